# SPDX-License-Identifier: Apache-2.0
"""Many clients and tills at once against a real server, on PostgreSQL with two workers, on SQLite with its one: of each
thing that is there once there is one winner, every no has its name, and the books hold afterwards."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests import pg
from tests.serving import Served, served

LAST = 400  # four 分: what four hours earn
PRICE = 100  # what an hour of volunteering brings
CROWD = 16


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One town and its server for all races here; each leaves behind what the others do not mind. When they are over,
    every entry is read again and every balance with it."""
    home = tmp_path_factory.mktemp("races")
    if request.param == "sqlite":
        with served(f"sqlite:///{home / 'jifen.db'}", home / "home") as running:
            yield running
            running.jifen("verify")
        return
    postgres: pg.Server = request.getfixturevalue("postgres_server")
    with served(postgres.url(), home / "home", workers=2) as running:
        yield running
        running.jifen("verify")


def today() -> str:
    return datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat()


def hours(subject: str, start: str, minutes: int = 60, day: str | None = None, **more: Any) -> dict[str, Any]:
    """A body for POST /v1/awards: volunteer hours on a confirmed list."""
    return {
        "subject": subject,
        "indicator": "RE-01",
        "occurred_on": day or today(),
        "facts": {"minutes": minutes},
        "evidence": [{"kind": "sign_in", "level": "E2"}],
        "cause": {"source": "test", "case": f"{day}-{start}"},
        **more,
    }


async def post(client: httpx.AsyncClient, path: str, body: Any, key: str) -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


async def available(client: httpx.AsyncClient, subject: str) -> int:
    answer = await client.get(f"/v1/subjects/{subject}/balance")
    assert 200 == answer.status_code, answer.text
    return answer.json()["points"]["available"]


async def test_last_points_are_spent_once(server: Served) -> None:
    """256 clients redeem all that a resident has, at once: one succeeds, the others get insufficient_points."""
    merchant = server.demo["merchant"]["id"]
    async with server.client(server.sign_in()) as staff, server.client(server.sign_in("approver")) as approver:
        made = await staff.post("/v1/people", json=person(f"{server.demo['journals'][0]}-01", "19900000004"))
        assert 201 == made.status_code, made.text
        subject = made.json()["subject"]
        given = await post(staff, "/v1/awards", hours(subject, "last", 240), "last")
        assert LAST == given.json()["points"], given.text
        offer = await _offer(staff, approver, merchant, LAST)
        body = {"offer": offer, "quantity": 1, "by": {"subject": subject}, "merchant": merchant}
        answers = await asyncio.gather(*(post(staff, "/v1/redemptions", body, f"last-{n}") for n in range(256)))
        outcomes = Counter("held" if a.status_code == 201 else a.json()["code"] for a in answers)

        assert {"held": 1, "insufficient_points": 255} == dict(outcomes)
        assert 0 == await available(staff, subject)


async def _offer(proposer: httpx.AsyncClient, approver: httpx.AsyncClient, merchant: str, price: int) -> str:
    body = {
        "merchant": merchant,
        "scenario": "S13",
        "title": {"zh": "米面油一份", "en": "Household goods"},
        "price": price,
        "cash_fen": 0,
        "stock": 1000,
        "per_person": 500,
        "from": today(),
        "to": "2099-12-31",
    }
    made = await proposer.post("/v1/offers", json=body)
    assert 201 == made.status_code, made.text
    opened = await approver.post(f"/v1/offers/{made.json()['id']}/approve", json={})
    assert opened.status_code in (200, 201), opened.text
    return made.json()["id"]


async def test_a_daily_cap_holds(server: Served) -> None:
    """300 awards of 80 minutes at once against four hours a day: exactly three count, whole."""
    async with server.client(server.sign_in()) as staff:
        made = await staff.post("/v1/people", json=person(f"{server.demo['journals'][0]}-01", "19900000003"))
        assert 201 == made.status_code, made.text
        subject = made.json()["subject"]
        answers = await asyncio.gather(
            *(post(staff, "/v1/awards", hours(subject, f"{n}", 80), f"cap-{n}") for n in range(300))
        )
        assert {201} == {a.status_code for a in answers}, answers[0].text

        assert [133, 133, 133] == [a.json()["points"] for a in answers if a.json()["points"]]
        assert 399 == await available(staff, subject)


async def test_one_retry_key_in_two_journals(server: Served) -> None:
    """The same retry key for subjects of two journals at the same moment: one 201, one 409."""
    async with server.client(server.sign_in()) as staff:
        here, there = await _two_homes(server)
        for attempt in range(10):
            one, other = await asyncio.gather(
                *(post(staff, "/v1/awards", hours(s, f"two-{attempt}"), f"both-{attempt}") for s in (here, there))
            )
            assert [201, 409] == sorted((one.status_code, other.status_code)), (one.text, other.text)
            refused = one if one.status_code == 409 else other
            assert "idempotency_key_reused" == refused.json()["code"]


async def _two_homes(server: Served) -> tuple[str, str]:
    """The resident, and somebody registered in another community."""
    async with server.client(server.sign_in("admin")) as admin, server.client(server.sign_in()) as staff:
        me = (await admin.get(f"/v1/subjects/{server.demo['resident']['subject']}")).json()
        other = next(journal for journal in server.demo["journals"] if not me["home"].startswith(journal))
        made = await staff.post("/v1/people", json=person(f"{other}-01", "19900000001"))
        assert 201 == made.status_code, made.text
        return me["subject"], made.json()["subject"]


def person(grid: str, phone: str) -> dict[str, Any]:
    return {
        "name": "张明华",
        "phone": phone,
        "birth": "1980-05-06",
        "grid": grid,
        "groups": ["G3"],
        "consents": {"ledger": True, "publication": False, "merchant": True, "ranking": True},
    }


async def test_a_deed_repeated_after_a_move(server: Served) -> None:
    """Whoever moves takes causes and caps along: the deed again is duplicate_cause, and the day's cap still counts."""
    async with server.client(server.sign_in()) as staff:
        old, new = server.demo["journals"][:2]
        made = await staff.post("/v1/people", json=person(f"{old}-01", "19900000002"))
        subject = made.json()["subject"]
        first = await post(staff, "/v1/awards", hours(subject, "deed", 200, place=old), "first")
        assert (201, 333) == (first.status_code, first.json().get("points")), first.text
        moved = await staff.patch(f"/v1/people/{subject}", json={"grid": f"{new}-01"})
        assert 200 == moved.status_code, moved.text
        again = await post(staff, "/v1/awards", hours(subject, "deed", 200, place=old), "again")
        more = await post(staff, "/v1/awards", hours(subject, "more", 200, place=new), "more")

        assert (409, "duplicate_cause") == (again.status_code, again.json()["code"])
        assert (201, "reduced", 66) == (
            more.status_code,
            more.json()["outcome"],
            more.json()["points"],
        )


async def test_a_batch_again_is_no_points_again(server: Served) -> None:
    """The same batch twice is answered again; half of it under another key brings not one point; same key with
    another body is refused."""
    subject = server.demo["resident"]["subject"]
    items = [hours(subject, f"batch-{n}", 10) for n in range(20)]
    async with server.client(server.sign_in()) as staff:
        first = await post(staff, "/v1/award-batches", {"items": items}, "batch")
        assert 201 == first.status_code, first.text
        after = await available(staff, subject)
        again = await post(staff, "/v1/award-batches", {"items": items}, "batch")
        half = await post(staff, "/v1/award-batches", {"items": items[:10]}, "half")
        other = await post(staff, "/v1/award-batches", {"items": items[:9]}, "batch")

        assert (201, "true") == (again.status_code, again.headers.get("idempotency-replayed"))
        assert first.json()["id"] == again.json()["id"]
        assert {"duplicate"} == {row["state"] for row in half.json()["rows"]}, half.text
        assert (409, "idempotency_key_reused") == (other.status_code, other.json()["code"])
        assert after == await available(staff, subject)


# at the till -------------------------------------------------------------------------------------------------------


class Fair:
    """A shop with four tills, and a crowd that has an hour's points each, spent and come by as the tests go on."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.keys = (f"fair-{n}" for n in itertools.count())
        self.phones = (f"1990001{n:04d}" for n in itertools.count())
        self.staff = self.client(server.sign_in())
        self.approver = self.client(server.sign_in("approver"))
        self.place = server.demo["journals"][0]
        self.merchant = self.shop("集市摊位")
        self.tills = [self.till(self.merchant, n) for n in range(1, 5)]

    def client(self, token: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.server.port}/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    def made(self, path: str, body: Any) -> Any:
        answer = self.staff.post(path, json=body, headers={"Idempotency-Key": next(self.keys)})
        assert 201 == answer.status_code, answer.text
        return answer.json()

    def shop(self, name: str) -> str:
        return self.made("/merchants", {"name": name, "community": self.place})["id"]

    def till(self, merchant: str, number: int) -> str:
        terminal = self.made(f"/merchants/{merchant}/terminals", {"name": f"{number} 号收银台"})["id"]
        scopes = ["redemptions:write"]
        return self.made("/keys", {"merchant": merchant, "terminal": terminal, "scopes": scopes})["key"]

    def people(self, count: int, minutes: int = 60) -> list[str]:
        """So many more people, each with points for so many minutes."""
        made: list[str] = []
        for phone in itertools.islice(self.phones, count):
            body = {**person(f"{self.place}-02", phone), "name": f"张{chr(0x4E00 + int(phone[-4:]))}"}
            made.append(self.made("/people", body)["subject"])
            self.made("/awards", hours(made[-1], "fair", minutes))
        return made

    def offer(self, **said: Any) -> str:
        body = {"merchant": self.merchant, "scenario": "S13", "title": {"zh": "纸", "en": "Paper"}, "price": PRICE}
        made = self.made("/offers", {**body, "stock": 1000, "from": today(), **said})
        opened = self.approver.post(f"/offers/{made['id']}/approve", json={})
        assert 200 == opened.status_code, opened.text
        return made["id"]

    def points(self, subject: str) -> int:
        return self.staff.get(f"/subjects/{subject}/balance").json()["points"]["available"]

    def redeemed(self, offer: str, subject: str, quantity: int = 1) -> str:
        body = {"offer": offer, "quantity": quantity, "by": {"subject": subject}, "merchant": self.merchant}
        return self.made("/redemptions", body)["id"]

    @asynccontextmanager
    async def counters(self, *tokens: str) -> AsyncIterator[list[httpx.AsyncClient]]:
        """One client each for these, or for all tills."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.server.client(token)) for token in tokens or self.tills]


@pytest.fixture(scope="module")
def fair(server: Served) -> Fair:
    """One fair for all races at the till."""
    return Fair(server)


async def redeem(client: httpx.AsyncClient, key: str, **body: Any) -> httpx.Response:
    return await client.post("/v1/redemptions", json=body, headers={"Idempotency-Key": key})


def outcome(answer: httpx.Response) -> str:
    """The state of the order, or the name of the no."""
    said = answer.json()
    return said["state"] if answer.is_success else said["code"]


async def all_at_once(fair: Fair, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    """Each order from the desk, under a key of its own."""
    async with fair.counters(fair.server.sign_in()) as [staff]:
        return await asyncio.gather(
            *(redeem(staff, next(fair.keys), merchant=fair.merchant, **body) for body in bodies)
        )


async def test_the_last_item(fair: Fair) -> None:
    """A crowd wants the last one: one gets it and pays, the others keep their points."""
    crowd, offer = fair.people(CROWD), fair.offer(stock=1)
    answers = await all_at_once(fair, [{"offer": offer, "quantity": 1, "by": {"subject": one}} for one in crowd])
    assert {"held": 1, "out_of_stock": CROWD - 1} == dict(Counter(map(outcome, answers)))
    assert PRICE * (CROWD - 1) == sum(map(fair.points, crowd))
    assert 0 == fair.staff.get(f"/offers/{offer}").json()["stock"]


async def test_the_last_yuan_of_a_budget(fair: Fair) -> None:
    """There is money for one: one gets it, the others hear that the money is spent; with more, more go through."""
    crowd, offer = fair.people(CROWD), fair.offer()
    body = {"scenario": "S13", "place": fair.place, "year": today()[:4], "name": "本社区", "limit_fen": PRICE}
    line = fair.made("/budgets", body)["id"]
    bodies = [{"offer": offer, "quantity": 1, "by": {"subject": one}} for one in crowd]
    assert {"held": 1, "budget_exhausted": CROWD - 1} == dict(Counter(map(outcome, await all_at_once(fair, bodies))))
    assert PRICE * (CROWD - 1) == sum(map(fair.points, crowd))
    assert 200 == fair.staff.patch(f"/budgets/{line}", json={"limit_fen": 10**9}).status_code
    assert CROWD - 1 == Counter(map(outcome, await all_at_once(fair, bodies)))["held"]


async def test_one_code_at_two_shops(fair: Fair) -> None:
    """A code photographed and shown at several tills of two shops: it is good once, and then used up everywhere."""
    other = fair.shop("隔壁摊位")
    offers = [fair.offer(), fair.offer(merchant=other)]
    resident = fair.server.demo["resident"]
    before = fair.points(resident["subject"])
    async with fair.counters(resident["token"], *fair.tills[:2], *(fair.till(other, n) for n in (1, 2))) as clients:
        me, *tills = clients
        for _ in range(3):
            shown = await me.post("/v1/tokens", json={})
            assert 201 == shown.status_code, shown.text
            by = {"token": shown.json()["token"]}
            answers = await asyncio.gather(
                *(redeem(till, next(fair.keys), offer=offers[n // 2], by=by) for n, till in enumerate(tills))
            )
            assert {"held": 1, "token_used": 3} == dict(Counter(map(outcome, answers)))
    assert before - 3 * PRICE == fair.points(resident["subject"])


async def test_a_charge_approved_on_two_phones(fair: Fair) -> None:
    """The person scans a till's code twice over and approves on both: one order, and the till is told of it."""
    resident = fair.server.demo["resident"]
    before = fair.points(resident["subject"])
    async with fair.counters(resident["token"], fair.tills[0]) as [me, till]:
        shown = (await till.post("/v1/charges", json={"offer": fair.offer(), "capture": True})).json()
        answers = await asyncio.gather(
            *(
                me.post("/v1/me/charges/approve", json={"code": shown["code"]}, headers={"Idempotency-Key": key})
                for key in itertools.islice(fair.keys, 4)
            )
        )
        assert {"captured": 1, "charge_closed": 3} == dict(Counter(map(outcome, answers)))
        told = (await till.get(f"/v1/charges/{shown['id']}")).json()
    assert ("approved", "captured") == (told["state"], told["redemption"]["state"])
    assert before - PRICE == fair.points(resident["subject"])


async def test_one_voucher_at_all_tills(fair: Fair) -> None:
    """A voucher copied and taken at four tills without a network: one of them is paid, the others have a dispute."""
    [one] = fair.people(1)
    voucher = fair.made("/vouchers", {"offer": fair.offer(), "subject": one})["voucher"]
    line = {"counter": 1, "voucher": voucher, "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    async with fair.counters() as tills:
        answers = await asyncio.gather(
            *(
                till.post(
                    "/v1/voucher-batches",
                    json={"batch": f"batch-{number}", "lines": [line]},
                    headers={"Idempotency-Key": next(fair.keys)},
                )
                for number, till in enumerate(tills)
            )
        )
    told = [answer.json()["lines"][0] for answer in answers]
    assert {("captured", None): 1, ("dispute", "used"): 3} == dict(Counter((t["result"], t["reason"]) for t in told))
    assert 0 == fair.points(one)


async def test_a_charge_approved_and_declined(fair: Fair) -> None:
    """Two phones of one person, one says yes and one says no, each twice: the first word counts, and once."""
    offer, resident = fair.offer(), fair.server.demo["resident"]
    async with fair.counters(fair.tills[0], resident["token"]) as [till, me]:
        for _ in range(3):
            before = fair.points(resident["subject"])
            code = (await till.post("/v1/charges", json={"offer": offer})).json()
            answers = await asyncio.gather(
                *(
                    me.post(
                        f"/v1/me/charges/{deed}",
                        json={"code": code["code"]},
                        headers={"Idempotency-Key": next(fair.keys)},
                    )
                    for deed in ["approve", "decline"] * 2
                )
            )
            said, told = Counter(map(outcome, answers)), (await till.get(f"/v1/charges/{code['id']}")).json()
            paid = {"approved": PRICE, "declined": 0}[told["state"]]
            assert {"held" if paid else "declined": 1, "charge_closed": 3} == dict(said)
            assert before - paid == fair.points(resident["subject"])


async def test_a_consent_withdrawn_at_the_till(fair: Fair) -> None:
    """Codes shown while their holder withdraws: what is not paid by then is not paid any more."""
    offer, resident = fair.offer(), fair.server.demo["resident"]
    path, before = f"/v1/people/{resident['subject']}/consents", fair.points(resident["subject"])
    async with fair.counters(resident["token"], *fair.tills) as [me, *tills]:
        shown = [(await me.post("/v1/tokens", json={})).json()["token"] for _ in range(5)]
        withdrawn, *answers = await asyncio.gather(
            me.post(path, json={"merchant": False}),
            *(
                redeem(till, next(fair.keys), offer=offer, by={"token": token})
                for till, token in zip(tills, shown, strict=False)
            ),
        )
        assert 200 == withdrawn.status_code, withdrawn.text
        said = Counter(map(outcome, answers))
        assert {"held", "not_identified"} >= set(said), said
        assert before - said["held"] * PRICE == fair.points(resident["subject"])
        late = await redeem(tills[0], next(fair.keys), offer=offer, by={"token": shown[4]})
        assert "not_identified" == outcome(late)
        assert 200 == (await me.post(path, json={"merchant": True})).status_code


async def test_a_limit_per_person(fair: Fair) -> None:
    """One person at many tills: as many as the offer allows, and the rest are told of the limit."""
    [one], offer = fair.people(1, 240), fair.offer(per_person=2)
    body = {"offer": offer, "quantity": 1, "by": {"subject": one}}
    answers = await all_at_once(fair, [body] * CROWD)
    assert {"held": 2, "limit_reached": CROWD - 2} == dict(Counter(map(outcome, answers)))


async def test_one_card_at_many_tills(fair: Fair) -> None:
    """Card and PIN at four tills at once, with points for one: one order, the others hear that points are short."""
    [one] = fair.people(1)
    card = fair.made(f"/people/{one}/card", {"action": "issue"})
    offer, by = fair.offer(), {"card": card["card"], "pin": card["pin"]}
    async with fair.counters() as tills:
        answers = await asyncio.gather(*(redeem(till, next(fair.keys), offer=offer, by=by) for till in tills))
        assert {"held": 1, "insufficient_points": len(tills) - 1} == dict(Counter(map(outcome, answers)))
        assert not [one for answer in answers if one in answer.text]
    assert 0 == fair.points(one)


async def test_one_key_sent_many_times(fair: Fair) -> None:
    """A till that sends the same order again before it has heard: one order, told every time."""
    [one] = fair.people(1)
    body = {"offer": fair.offer(), "by": {"subject": one}, "merchant": fair.merchant}
    key = next(fair.keys)
    async with fair.counters(fair.server.sign_in()) as [staff]:
        answers = await asyncio.gather(*(redeem(staff, key, **body) for _ in range(CROWD)))
    assert {201} == {answer.status_code for answer in answers}, answers[0].text
    assert 1 == len({answer.json()["id"] for answer in answers})
    assert CROWD - 1 == sum("idempotency-replayed" in answer.headers for answer in answers)
    assert 0 == fair.points(one)


async def test_capture_or_release(fair: Fair) -> None:
    """Two tills take the points while two give them back: the first decides, and the others hear which it was."""
    crowd, offer = fair.people(6), fair.offer()
    orders = {one: fair.redeemed(offer, one) for one in crowd}
    async with fair.counters() as tills:
        for one, red in orders.items():
            deeds = ["capture", "release"] * 2
            answers = await asyncio.gather(
                *(
                    till.post(f"/v1/redemptions/{red}/{deed}", json={}, headers={"Idempotency-Key": next(fair.keys)})
                    for till, deed in zip(tills, deeds, strict=True)
                )
            )
            said = Counter(map(outcome, answers))
            if "captured" in said:
                assert ({"captured": 1, "already_captured": 3}, 0) == (dict(said), fair.points(one))
            else:
                assert ({"released": 1, "redemption_closed": 3}, PRICE) == (dict(said), fair.points(one))


async def test_refund_or_void(fair: Fair) -> None:
    """Whatever comes first, and whatever comes after it: the points come back once, and the shop keeps none."""
    crowd, offer = fair.people(3), fair.offer(stock=10)
    body = {"reason": "退货"}
    async with fair.counters() as tills:
        for one in crowd:
            red = fair.redeemed(offer, one)
            done = await tills[0].post(
                f"/v1/redemptions/{red}/capture", json={}, headers={"Idempotency-Key": next(fair.keys)}
            )
            assert "captured" == outcome(done)
            answers = await asyncio.gather(
                *(
                    till.post(
                        f"/v1/redemptions/{red}/{deed}",
                        json={**body, "amount": PRICE} if deed == "refunds" else body,
                        headers={"Idempotency-Key": next(fair.keys)},
                    )
                    for till, deed in zip(tills, ["refunds", "void"] * 2, strict=True)
                )
            )
            said = Counter(map(outcome, answers))
            assert 1 == said["voided"] and said["refunded"] in (0, 1), said
            assert {"voided", "refunded", "redemption_closed", "exceeds_original"} >= set(said), said
            assert PRICE == fair.points(one)
    assert 10 == fair.staff.get(f"/offers/{offer}").json()["stock"]
