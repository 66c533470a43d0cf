# SPDX-License-Identifier: Apache-2.0
"""Webhooks from the shop's till to the receiver: who is told what, in which order, how often, and what ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from api import jobs
from api.tables import API_KEY
from api.webhooks import delivery
from api.webhooks.delivery import PAUSES_S, Deliverer, Moved, backlog
from ledger.book import accounts, awards
from ledger.model import Act, Draft
from ledger.port import PutRows
from rules.register import PLACE, Place
from tests.receivers import Message, Receiver, receiving
from tests.test_merchants_http import Do
from tests.till_town import HERE, SECOND, Till, till, till_town

__all__ = ["till"]

pytestmark = pytest.mark.schema(town=till_town)
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # where no row is fought over

HOUR = 3_600 * SECOND
FAR = "370321002009"
SCOPES = ["webhooks:write", "redemptions:write"]


class Town:
    """The till's town, its receiver, and keys that may subscribe."""

    def __init__(self, till: Till, receiver: Receiver) -> None:
        self.till, self.receiver, self.world = till, receiver, till.world
        self.deliverer = Deliverer(till.world.webhooks)
        self.awarded = 0

    async def key(
        self, name: str, kind: str = "client", scopes: list[str] = SCOPES, place: str = HERE, **more: Any
    ) -> str:
        roles = [{"role": "community_staff", "place": place}] if kind == "client" else []
        made = await self.world.staff.issue_key(None, kind, name, scopes=scopes, roles=roles, **more)
        self.till.tokens[name] = made.key
        return made.id

    async def staff(self, name: str, role: str, place: str) -> str:
        made = await self.world.staff.create(None, name, "a long enough password 1", [{"role": role, "place": place}])
        self.till.tokens[name] = (await self.world.staff.sign_in(name, "a long enough password 1")).token
        return made.ref

    async def subscribe(self, who: str = "shop", **more: Any) -> Any:
        body = {"url": self.receiver.url, "events": ["entry.*"], **more}
        made = await self.till.post(who, "/webhooks", body)
        assert 201 == made.status_code, made.text
        return made.json()

    async def code(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> str:
        return (await self.till.send(who, method, path, body, **headers)).json()["code"]

    async def shown(self, id_: str, who: str = "shop") -> Any:
        return (await self.till.send(who, "GET", f"/webhooks/{id_}")).json()

    async def state(self, id_: str) -> tuple[str, str | None]:
        shown = await self.shown(id_)
        return shown["state"], shown["reason"]

    async def sale(self) -> str:
        """A redemption, captured; two entries."""
        slip = await self.till.redeem(self.till.card)
        done = await self.till.post("till", f"/redemptions/{slip['id']}/capture")
        assert 200 == done.status_code, done.text
        return slip["id"]

    async def award(self, journal: str = HERE) -> None:
        """One more entry of a journal; in the far one a fund's, which needs nobody."""
        self.awarded += 1
        if journal == HERE:
            subject, key = self.till.subject, await self.world.people.data_key(self.till.subject)
            act = Act("system", "2022-06-15", b"{}", f"txn_{self.awarded}", key)
            cause = self.world.ledger.cause("T-01", b"w%d" % self.awarded, subject)
            draft = Draft("award", HERE, act, subject=subject, rule="T-01", cause=cause)
            given = Do(lambda view: awards.award(view, draft, standing=0, points=100, points_lot="2022-12-31"), HERE)
        else:
            act = Act("system", "2022-06-15", b"{}", f"txn_{self.awarded}")
            names = {"origin": "far", "vkey": self.world.keys.vkey, "recovery": self.world.keys.recovery}
            given = Do(
                lambda view: accounts.open_journal(view, FAR, act, **names, zone="Asia/Shanghai", policy={}), FAR
            )
        await self.world.ledger.submit(given)

    async def deliver(self) -> int:
        """One round; how many arrived in it."""
        before = self.deliverer.done
        await self.deliverer.tick()
        await self.deliverer.drain()
        return self.deliverer.done - before

    async def size(self) -> int:
        return (await self.world.ledger.fetch("SELECT size FROM head WHERE journal = ?", HERE))[0][0]


@pytest.fixture
async def town(till: Till) -> AsyncIterator[Town]:
    till.world.webhooks.private = True  # the receiver is on this machine
    async with receiving() as receiver:
        made = Town(till, receiver)
        await made.key("shop", "merchant", merchant=till.shop)
        yield made
        await made.deliverer.close()


async def test_a_shop_is_told_of_what_it_is_paid(town: Town) -> None:
    """In order, once, signed; with the redemption's id and nothing of the person; and of nothing from before."""
    await town.sale()
    hook = await town.subscribe()
    assert ("active", None, town.till.shop) == (hook["state"], hook["place"], hook["merchant"])
    redemption = await town.sale()
    assert 1 == await town.deliver()
    town.till.now += SECOND
    back = {"amount": 300, "reason": "少一袋"}
    assert 200 == (await town.till.post("till", f"/redemptions/{redemption}/refunds", back)).status_code
    assert [1, 0] == [await town.deliver(), await town.deliver()]
    assert ["entry.capture", "entry.refund"] == [message.kind for message in town.receiver.got]
    for message in town.receiver.got:
        event = message.event
        assert {"type", "timestamp", "data"} == set(event)
        assert {"journal", "seq", "kind", "id"} == set(event["data"])
        kind = await town.world.ledger.fetch(
            "SELECT kind FROM entry WHERE journal = ? AND seq = ?", HERE, event["data"]["seq"]
        )
        assert (redemption, f"entry.{kind[0][0]}") == (event["data"]["id"], event["type"])
        for person in (town.till.subject, "王小红", "13800000001"):
            assert person.encode() not in message.body
    assert str(town.till.now // SECOND) == town.receiver.got[1].headers["webhook-timestamp"]
    assert 2 == len(set(town.receiver.ids))
    seq = town.receiver.got[0].event["data"]["seq"]
    assert "capture" == (await town.till.send("till", "GET", f"/entries/{HERE}/{seq}")).json()["entry"]["kind"]
    tries = (await town.till.send("shop", "GET", f"/webhooks/{hook['id']}/deliveries?limit=1")).json()
    older = await town.till.send("shop", "GET", f"/webhooks/{hook['id']}/deliveries?cursor={tries['next']}")
    both = [*tries["items"], *older.json()["items"]]
    assert [("entry.refund", "delivered", 204, 1), ("entry.capture", "delivered", 204, 1)] == [
        (one["type"], one["outcome"], one["status"], one["attempt"]) for one in both
    ]
    town.till.now += 8 * 24 * HOUR
    await jobs.retention(town.world)
    assert [] == (await town.till.send("shop", "GET", f"/webhooks/{hook['id']}/deliveries")).json()["items"]


@once
async def test_the_standards_own_library_believes_it(town: Town) -> None:
    """Now, as it checks the time; before, during and after a change of secrets."""
    town.till.now = int(time.time()) * SECOND
    await town.key("shop", "merchant", merchant=town.till.shop)
    hook = await town.subscribe()
    path = f"/webhooks/{hook['id']}"

    async def signatures() -> tuple[Message, int]:
        assert "delivered" == (await town.till.post("shop", f"{path}/test")).json()["outcome"]
        message = town.receiver.got[-1]
        return message, len(message.headers["webhook-signature"].split())

    message, count = await signatures()
    assert (2, hook["id"]) == (count, Webhook(hook["secret"]).verify(message.body, message.headers)["data"]["webhook"])
    rotated = (await town.till.post("shop", f"{path}/rotate")).json()
    assert hook["secret"] != rotated["secret"] and hook["public_key"] != rotated["public_key"]
    message, count = await signatures()
    assert 4 == count
    for secret in (hook["secret"], rotated["secret"]):
        Webhook(secret).verify(message.body, message.headers)
    town.till.now += 25 * HOUR
    assert 2 == (await signatures())[1]
    stored = repr(await town.world.ledger.fetch("SELECT * FROM webhook"))
    for secret in (hook["secret"][6:], rotated["secret"][6:], "hook?for=jifen"):
        assert secret not in stored
    assert "secret" not in await town.shown(hook["id"])


async def test_everybody_is_told_of_their_own(town: Town) -> None:
    """A shop of its entries, staff of their place's, a client of what its scopes read; in each journal of the place."""
    other = await town.till.more_shops("烤饼铺", "other till")
    await town.key("other", "merchant", merchant=other)
    await town.staff("admin", "county_admin", HERE)
    await town.staff("far", "county_admin", FAR)
    await town.key("reader", scopes=["webhooks:write", "awards:write"])
    seen: dict[str, set[str]] = {}
    async with receiving() as another, receiving() as office, receiving() as machine:
        for who, receiver, more in (
            ("shop", town.receiver, {}),
            ("other", another, {}),
            ("admin", office, {"place": HERE}),
            ("reader", machine, {"place": HERE}),
        ):
            await town.subscribe(who, url=receiver.url, **more)
        await town.award()
        await town.sale()
        await town.award(FAR)
        await town.deliver()
        for name, receiver in (("shop", town.receiver), ("other", another), ("admin", office), ("reader", machine)):
            seen[name] = {message.kind for message in receiver.got}
            assert {HERE} >= {message.event["data"]["journal"] for message in receiver.got}
    assert {"shop": {"entry.capture"}, "other": set(), "reader": {"entry.award"}} == {
        name: kinds for name, kinds in seen.items() if name != "admin"
    }
    assert {"entry.award", "entry.hold", "entry.capture"} == seen["admin"]


@once
async def test_who_may_subscribe_and_to_what(town: Town) -> None:
    """Only keys with the scope and administrators of the place; only to what they may read; only to safe addresses."""
    await town.staff("admin", "county_admin", HERE)
    await town.staff("clerk", "community_staff", HERE)
    await town.key("reader", scopes=["webhooks:write", "awards:write"])
    await town.key("plain", scopes=["awards:write"])
    url = "https://hooks.example.org/"
    for who, body, code in (
        ("till", {}, "forbidden"),  # without the scope
        ("plain", {"place": HERE}, "forbidden"),
        ("clerk", {"place": HERE}, "forbidden"),
        ("resident", {"place": HERE}, "forbidden"),
        ("admin", {"place": "370321"}, "forbidden"),  # above its own
        ("reader", {"place": "370321002"}, "forbidden"),
        ("admin", {"place": "nowhere"}, "not_found"),
        ("admin", {}, "request_invalid"),
        ("shop", {"place": HERE}, "request_invalid"),
        ("shop", {"events": ["entry.award"]}, "webhook_events_refused"),
        ("reader", {"place": HERE, "events": ["entry.capture"]}, "webhook_events_refused"),
        ("admin", {"place": HERE, "events": ["entry.nothing"]}, "webhook_events_refused"),
        ("shop", {"events": []}, "request_invalid"),
        ("shop", {"events": ["*"]}, "request_invalid"),
    ):
        assert code == await town.code(who, "POST", "/webhooks", {"url": url, "events": ["entry.*"], **body}), (
            who,
            body,
        )
    town.world.webhooks.private = False
    for refused in ("http://hooks.example.org/", "https://10.0.0.1/", "https://u:p@hooks.example.org/"):
        assert "webhook_url_refused" == await town.code(
            "shop", "POST", "/webhooks", {"url": refused, "events": ["entry.*"]}
        )
    body = {"url": url, "events": ["entry.*"]}
    made = await asyncio.gather(*(town.till.post("shop", "/webhooks", body) for _ in range(15)))
    assert 10 == sum(answer.status_code == 201 for answer in made)
    assert "webhooks_too_many" == await town.code("shop", "POST", "/webhooks", {"url": url, "events": ["entry.*"]})


async def test_endpoints_of_others_are_not_there(town: Town) -> None:
    """Every call on them answers as for one that does not exist; staff see a shop's and may pause it, and no more."""
    hook = await town.subscribe()
    other = await town.till.more_shops("烤饼铺", "other till")
    await town.key("other", "merchant", merchant=other)
    await town.key("reader", scopes=["webhooks:write", "awards:write"])
    await town.staff("far", "county_admin", FAR)
    await town.staff("admin", "county_admin", HERE)
    calls = [
        ("GET", "", None),
        ("PATCH", "", {"state": "paused"}),
        ("DELETE", "", None),
        ("POST", "/rotate", None),
        ("POST", "/replay", {"journal": HERE, "seq": 0}),
        ("POST", "/test", None),
        ("GET", "/deliveries", None),
    ]
    for who in ("other", "reader", "far"):
        for method, path, body in calls:
            there = await town.till.send(who, method, f"/webhooks/{hook['id']}{path}", body)
            not_there = await town.till.send(who, method, f"/webhooks/whk_0000000000000000{path}", body)
            assert (404, "not_found") == (there.status_code, there.json()["code"]), (who, method, path)
            assert {**there.json(), "instance": ""} == {**not_there.json(), "instance": ""}
        assert [] == (await town.till.send(who, "GET", "/webhooks")).json()["items"]
    for path, body in (("/rotate", None), ("/replay", {"journal": HERE, "seq": 0}), ("/test", None)):
        assert "forbidden" == await town.code("admin", "POST", f"/webhooks/{hook['id']}{path}", body)
    for change in ({"url": "https://example.org/"}, {"state": "active"}, {"state": "paused", "events": ["entry.*"]}):
        assert "forbidden" == await town.code("admin", "PATCH", f"/webhooks/{hook['id']}", change)
    machines = await town.subscribe("reader", place=HERE)
    assert "forbidden" == await town.code("admin", "PATCH", f"/webhooks/{machines['id']}", {"state": "active"})
    assert "forbidden" == await town.code("admin", "POST", f"/webhooks/{machines['id']}/rotate")
    assert 204 == (await town.till.send("admin", "DELETE", f"/webhooks/{machines['id']}")).status_code
    paused = await town.till.send("admin", "PATCH", f"/webhooks/{hook['id']}", {"state": "paused"})
    origin = town.receiver.url.removesuffix("hook?for=jifen")  # the rest is often as good as a password
    assert ("paused", origin) == (paused.json()["state"], paused.json()["url"])
    assert [town.receiver.url, origin] == [(await town.shown(hook["id"], who))["url"] for who in ("shop", "admin")]
    assert [origin] == [one["url"] for one in (await town.till.send("admin", "GET", "/webhooks")).json()["items"]]
    for who in ("shop", "admin"):
        assert [hook["id"]] == [one["id"] for one in (await town.till.send(who, "GET", "/webhooks")).json()["items"]]
    assert 204 == (await town.till.send("admin", "DELETE", f"/webhooks/{hook['id']}")).status_code
    assert "not_found" == await town.code("shop", "GET", f"/webhooks/{hook['id']}")


async def test_a_receiver_that_fails_is_tried_again_in_order(town: Town) -> None:
    """Later and later, the same id each time, nothing that comes after it before it; the wish to wait is heard."""
    hook = await town.subscribe()
    await town.sale()
    await town.sale()
    town.receiver.status = 500
    assert 0 == await town.deliver()
    assert 0 == await town.deliver()  # too early
    assert 1 == len(town.receiver.got)
    waiting, age = await backlog(town.world.ledger)
    assert (True, 0) == (waiting > 0, age)
    town.till.now += 7 * SECOND
    assert 0 == await town.deliver()
    town.receiver.status, town.receiver.more = 503, "Retry-After: 7200\r\n"
    town.till.now += 100 * SECOND
    assert 0 == await town.deliver()
    town.receiver.status = 200
    town.till.now += HOUR
    assert 0 == await town.deliver()
    town.till.now += HOUR
    assert 2 == await town.deliver()
    ids = town.receiver.ids
    assert (5, 2) == (len(ids), len(set(ids))) and 4 == ids.count(ids[0])
    assert (0, 0) == await backlog(town.world.ledger)
    tries = (await town.till.send("shop", "GET", f"/webhooks/{hook['id']}/deliveries")).json()["items"]
    assert {(200, 1), (200, 4), (503, 3), (500, 2), (500, 1)} == {(one["status"], one["attempt"]) for one in tries}


@once
async def test_a_receiver_that_fails_for_days_is_given_up(town: Town) -> None:
    """After some five days, with the reason; switched on again, it gets everything that waited."""
    hook = await town.subscribe()
    await town.sale()
    town.receiver.status = 500
    while (await town.shown(hook["id"]))["state"] == "active":
        await town.deliver()
        town.till.now += 13 * HOUR  # longer than any pause
    assert len(PAUSES_S) + 1 == len(town.receiver.got)
    assert 4 < sum(PAUSES_S) / 86_400 < 5
    assert ("disabled", "failing") == await town.state(hook["id"])
    assert 0 == await town.deliver()
    town.receiver.status = 204
    done = await town.till.send("shop", "PATCH", f"/webhooks/{hook['id']}", {"state": "active"})
    assert ("active", None) == (done.json()["state"], done.json()["reason"])
    await town.sale()
    assert 2 == await town.deliver()


@once
@pytest.mark.parametrize(("status", "state"), [(410, "disabled"), (302, "active"), (404, "active")])
async def test_gone_is_gone(town: Town, status: int, state: str) -> None:
    """410 ends it at once; a redirect is a failure like any other and is not followed."""
    hook = await town.subscribe()
    town.receiver.status, town.receiver.more = status, f"Location: {town.receiver.url}\r\n"
    await town.sale()
    assert (0, 1) == (await town.deliver(), len(town.receiver.got))
    assert (state, "gone" if status == 410 else None) == await town.state(hook["id"])


@once
async def test_one_journal_waits_for_no_other(town: Town) -> None:
    """What a receiver cannot take in one community holds up that one and no other."""
    east = Place(FAR, "东村", "community", "370321002")
    await town.world.ledger.submit(PutRows(puts=((PLACE, east.row(town.till.now)),)))
    await town.world.register.reload()
    await town.staff("admin", "county_admin", "370321")
    await town.subscribe("admin", place="370321002")

    async def picky(message: Message) -> int:
        return 500 if message.event["data"]["journal"] == HERE else 204

    town.receiver.answer = picky
    await town.award()
    await town.award(FAR)
    for _ in range(3):
        await town.deliver()
        town.till.now += 15 * SECOND
    taken = [message.kind for message in town.receiver.got if message.event["data"]["journal"] == FAR]
    assert ["entry.open"] == taken and 1 == town.deliverer.done


@once
@pytest.mark.parametrize("how", ["revoked", "expired", "till", "scope"])
async def test_it_ends_with_its_owner(town: Town, how: str) -> None:
    """A key that is revoked, has run out or lost its scope is told nothing more; another key of the shop takes over."""
    owner = await town.key("short", "merchant", merchant=town.till.shop, lasts=24 * HOUR)
    hook = await town.subscribe("short")
    assert owner == hook["owner"]
    if how == "revoked":
        await town.world.staff.revoke_key(owner)
    elif how == "expired":
        town.till.now += 25 * HOUR
    elif how == "till":
        tills = f"/merchants/{town.till.shop}/terminals"
        terminal = (await town.till.post("staff", tills, {"name": "2 号收银台"})).json()["id"]
        await town.world.staff.revoke_key(owner)
        owner = await town.key("short", "merchant", merchant=town.till.shop, terminal=terminal)
        hook = await town.subscribe("short")
        closed = await town.till.send("staff", "PATCH", f"{tills}/{terminal}", {"state": "closed"})
        assert 200 == closed.status_code, closed.text
    else:
        row = (await town.world.ledger.fetch(f"SELECT {', '.join(API_KEY.names)} FROM api_key WHERE id = ?", owner))[0]
        values = {**dict(zip(API_KEY.names, row, strict=True)), "scopes": '["redemptions:write"]'}
        await town.world.ledger.submit(PutRows(puts=((API_KEY, tuple(values.values())),)))
    await town.sale()
    assert (0, []) == (await town.deliver(), town.receiver.got)
    assert ("disabled", "owner_ended") == await town.state(hook["id"])
    taken = await town.till.send("shop", "PATCH", f"/webhooks/{hook['id']}", {"state": "active"})
    assert taken.json()["owner"] not in ("", owner)
    assert 1 == await town.deliver()


async def test_replay(town: Town) -> None:
    """From an entry on, with the same ids; also while something is under way, and forward past what cannot be taken."""
    hook = await town.subscribe()
    start = await town.size()
    replay = f"/webhooks/{hook['id']}/replay"
    await town.sale()
    await town.sale()
    assert 2 == await town.deliver()
    first = town.receiver.ids
    assert 200 == (await town.till.post("shop", replay, {"journal": HERE, "seq": start})).status_code
    assert 2 == await town.deliver()
    assert [*first, *first] == town.receiver.ids

    async def midway(message: Message) -> int:
        town.receiver.answer = None
        await town.till.post("shop", replay, {"journal": HERE, "seq": start})
        return 204

    town.receiver.answer = midway
    await town.sale()
    await town.deliver()
    await town.deliver()
    assert [*first, *first] == town.receiver.ids[:4] and town.receiver.ids[5:7] == first and 8 == len(town.receiver.got)
    town.receiver.status = 500
    await town.sale()
    await town.deliver()
    assert 200 == (await town.till.post("shop", replay, {"journal": HERE, "seq": await town.size()})).status_code
    town.receiver.status = 204
    assert 0 == await town.deliver()
    await town.sale()
    assert 1 == await town.deliver()
    for body in ({"journal": HERE, "seq": 10_000}, {"journal": FAR, "seq": 0}, {"journal": "", "seq": 0}):
        assert (await town.code("shop", "POST", replay, body)) in ("not_found", "request_invalid")


@once
async def test_nothing_is_lost_between_answer_and_commit(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies after the receiver has answered sends the event once more, under the same id."""
    await town.subscribe()
    await town.sale()
    submit = town.world.ledger.submit

    async def dies(command: Any) -> Any:
        if isinstance(command, Moved):
            raise ConnectionError("kill -9")
        return await submit(command)

    monkeypatch.setattr(town.world.ledger, "submit", dies)
    await town.deliver()
    monkeypatch.setattr(town.world.ledger, "submit", submit)
    assert (0, 1) == (await town.deliver(), len(town.receiver.got))  # what fails in an unknown way rests for minutes
    town.till.now += delivery.LEASE_US + 1
    successor = Deliverer(town.world.webhooks)
    assert 1 == await successor.tick()
    await successor.drain()
    await successor.close()
    assert 2 == len(town.receiver.got) and 1 == len(set(town.receiver.ids))


async def test_one_process_of_several(town: Town) -> None:
    """Two that try at once send everything once; when one says nothing for half a minute, the other goes on."""
    await town.subscribe()
    await town.sale()
    other = Deliverer(town.world.webhooks)
    await asyncio.gather(town.deliverer.tick(), other.tick())
    await asyncio.gather(town.deliverer.drain(), other.drain())
    assert 1 == len(town.receiver.got)
    leader, follower = (town.deliverer, other) if town.deliverer.done else (other, town.deliverer)
    await town.sale()
    assert 0 == await follower.tick()
    town.till.now += delivery.LEASE_US + 1  # the leader says nothing
    assert 1 == await follower.tick()
    await follower.drain()
    assert (2, 0) == (len(town.receiver.got), await leader.tick())
    await follower.close()
    await town.sale()
    assert 1 == await leader.tick()
    await leader.drain()
    assert (3, 3) == (len(town.receiver.got), len(set(town.receiver.ids)))


@once
async def test_changing_an_endpoint(town: Town) -> None:
    """As it was seen; a paused one gets what waited when it goes on; other events are those from then on."""
    hook = await town.subscribe()
    path = f"/webhooks/{hook['id']}"
    stale = await town.till.send("shop", "PATCH", path, {"state": "paused"}, **{"If-Match": '"9"'})
    assert (412, "precondition_failed") == (stale.status_code, stale.json()["code"])
    done = await town.till.send("shop", "PATCH", path, {"state": "paused"}, **{"If-Match": '"1"'})
    assert ("paused", '"2"') == (done.json()["state"], done.headers["ETag"])
    redemption = await town.sale()
    await town.till.post("till", f"/redemptions/{redemption}/refunds", {"amount": 100, "reason": "少"})
    assert 0 == await town.deliver()
    await town.till.send("shop", "PATCH", path, {"state": "active", "events": ["entry.refund"]})
    assert (1, ["entry.refund"]) == (await town.deliver(), [message.kind for message in town.receiver.got])
    assert "webhook_events_refused" == await town.code("shop", "PATCH", path, {"events": ["entry.award"]})
    assert ["entry.refund"] == (await town.shown(hook["id"]))["events"]


@once
async def test_the_job(town: Town) -> None:
    """`jifen jobs run webhooks` delivers what is due and gives the lease back."""
    await town.subscribe()
    await town.sale()
    assert [1, 0] == [await jobs.JOBS["webhooks"](town.world) for _ in range(2)]
    await town.sale()
    assert 1 == await town.deliver()


@once
async def test_a_long_way_past_what_concerns_nobody(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that an endpoint is not told of are passed over, and that is written down now and then."""
    monkeypatch.setattr(delivery, "UNSAVED_MAX", 5)
    monkeypatch.setattr("api.webhooks.events.STRETCH", 3)
    monkeypatch.setattr("api.webhooks.events.PAGE", 2)
    hook = await town.subscribe()
    for _ in range(7):
        await town.award()
    assert 0 == await town.deliver()
    rows = await town.world.ledger.fetch("SELECT seq FROM webhook_cursor WHERE webhook = ?", hook["id"])
    assert [(await town.size(),)] == [tuple(row) for row in rows]
    for _ in range(3):
        await town.sale()
    assert 3 == await town.deliver()
