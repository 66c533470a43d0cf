# SPDX-License-Identifier: Apache-2.0
"""Merchants, offers and redemptions through the door: a till's key, a member of staff, a resident."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.auth import KIND_SCOPES
from api.people.records import NewPerson
from api.settings import Settings
from api.world import World
from ledger.book import accounts, awards
from ledger.model import Act, Draft
from ledger.port import Answer, PutRows
from ledger.view import View
from rules.register import PLACE, SUBJECT, Place, subject_row
from tests.application import application
from tests.assessed import assess
from tests.conftest import Built

HERE, GRID = "370321002003", "370321002003-04"
NOON = int(datetime(2022, 6, 15, 4, tzinfo=UTC).timestamp()) * 1_000_000
ROLES = [{"role": "community_staff", "place": HERE, "from": "2022-01-01", "to": None}]


class Do:
    """Any decision of the ledger's book as a command."""

    def __init__(self, decide: Any, *journals: str) -> None:
        self.decide_, self.journals, self.retry, self.weight = decide, journals, None, 1

    def reads(self) -> tuple[()]:
        return ()

    def decide(self, view: View) -> Answer:
        self.decide_(view)
        return Answer()


class Counter:
    """A client of the running application that counts its retry keys."""

    def __init__(self, app: Any, world: World) -> None:
        self.world = world
        self.keys = 0
        self.card = {"card": "", "pin": ""}
        self.tokens: dict[str, str] = {}
        self.subject = ""
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test/v1")

    def known(self) -> dict[str, Any]:
        """What a counter on a copy of this one's town goes on with."""
        return {name: value for name, value in vars(self).items() if name not in ("world", "http")}

    def goes_on(self, known: dict[str, Any]) -> None:
        vars(self).update(copy.deepcopy(known))

    async def send(
        self, who: str, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        self.keys += 1
        sent = {"Idempotency-Key": key or f"k{self.keys}", "Accept-Language": "en"}
        if who:
            sent["Authorization"] = f"Bearer {self.tokens[who]}"
        return await self.http.request(method, path, json=body, headers={**sent, **headers})

    async def post(self, who: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.send(who, "POST", path, body, **more)


async def counter_town(url: str, home: Path) -> dict[str, Any]:
    """A community with its staff and a resident, before there is a shop."""
    world = World(Settings(url, home), clock=lambda: NOON)
    await world.init()
    await world.open()
    made = Counter(application(world), world)
    await _furnish(made, world)
    await made.http.aclose()
    await world.close()
    return made.known()


pytestmark = pytest.mark.schema(town=counter_town)


@pytest.fixture
async def counter(town_copy: Built) -> AsyncIterator[Counter]:
    world = World(Settings(town_copy.url, town_copy.home), clock=lambda: NOON)
    await world.open()
    made = Counter(application(world), world)
    made.goes_on(town_copy.known)
    yield made
    await made.http.aclose()
    await world.close()


async def _furnish(made: Counter, world: World) -> None:
    places = [
        Place("370321", "桓台县", "county"),
        Place("370321002", "少海街道", "street", "370321"),
        Place(HERE, "中心社区", "community", "370321002"),
        Place(GRID, "第4网格", "grid", HERE),
    ]
    await world.ledger.submit(PutRows(puts=tuple((PLACE, place.row(NOON)) for place in places)))
    await world.register.reload()
    await assess(world, "merchant")
    act = Act("system", "2022-06-15", b"{}", "txn_1")
    held = world.keys
    names = {"origin": held.journal_origin(HERE), "vkey": held.vkey, "recovery": held.recovery}
    stated = {**names, "zone": "Asia/Shanghai", "policy": {}}
    await world.ledger.submit(Do(lambda view: accounts.open_journal(view, HERE, act, **stated), HERE))
    new = NewPerson(
        "王小红",
        "13800000001",
        date(1960, 1, 1),
        HERE,
        GRID,
        also=lambda subject, now: ((SUBJECT, subject_row(subject, "person", HERE, GRID, (), now)),),
    )
    made.subject = (await world.people.register(new, actor="system", base=100_000)).ref
    cause = world.ledger.cause("T-01", b"1", made.subject)
    given = Act("system", "2022-06-15", b"{}", "txn_2", await world.people.data_key(made.subject))
    draft = Draft("award", HERE, given, subject=made.subject, rule="T-01", cause=cause)
    await world.ledger.submit(
        Do(lambda view: awards.award(view, draft, standing=0, points=5_000, points_lot="2022-12-31"), HERE)
    )
    card = await world.people.cards.issue(made.subject)
    made.card = {"card": card.serial, "pin": card.pin}
    for name in ("staff", "second"):
        await world.staff.create(None, f"{name}01", "a long enough password 1", ROLES)
        made.tokens[name] = (await world.staff.sign_in(f"{name}01", "a long enough password 1")).token
    issued = await world.staff.sign_in_subject("resident", made.subject, KIND_SCOPES["resident"])
    made.tokens["resident"] = issued.token


async def _shop(counter: Counter, name: str = "便民超市", till: str = "till") -> str:
    made = await counter.post("staff", "/merchants", {"name": name, "community": HERE})
    assert 201 == made.status_code, made.text
    shop = made.json()["id"]
    terminal = await counter.post("staff", f"/merchants/{shop}/terminals", {"name": "1 号收银台"})
    key = await counter.world.staff.issue_key(
        None,
        "merchant",
        "",
        merchant=shop,
        terminal=terminal.json()["id"],
        scopes=["redemptions:write", "merchants:write"],
    )
    counter.tokens[till] = key.key
    return shop


async def _offer(counter: Counter, **changes: Any) -> str:
    body = {"scenario": "S13", "title": {"zh": "米", "en": "Rice"}, "price": 1_000, "stock": 5, **changes}
    made = await counter.post("till", "/offers", body)
    assert (201, "proposed") == (made.status_code, made.json()["state"]), made.text
    done = await counter.post("staff", f"/offers/{made.json()['id']}/approve", None, **{"If-Match": '"1"'})
    assert (200, "open") == (done.status_code, done.json()["state"]), done.text
    return made.json()["id"]


async def test_the_catalogue_is_public(counter: Counter) -> None:
    """Anybody may read the 36 scenarios and the open offers, signed in or not."""
    await _shop(counter)
    offer = await _offer(counter)
    items = (await counter.send("", "GET", "/scenarios")).json()["items"]
    assert 36 == len(items)
    assert {"zh": "体检卡", "en": "Health-check voucher"} == items[8]["title"]
    found = await counter.send("", "GET", "/offers")
    assert [offer] == [one["id"] for one in found.json()["items"]]
    assert '"2"' == (await counter.send("", "GET", f"/offers/{offer}")).headers["ETag"]


async def test_from_hold_to_refund(counter: Counter) -> None:
    """The till's whole work, with the fields that the contract names and no others."""
    await _shop(counter)
    offer = await _offer(counter, cash_fen=100)
    body = {"offer": offer, "quantity": 2, "by": counter.card}
    asked = {"offer": offer, "by": counter.card}
    assert {"eligible", "visit"} == set((await counter.post("till", "/eligibility", asked)).json())
    made = await counter.post("till", "/redemptions", body, key="same")
    assert 201 == made.status_code, made.text
    slip = made.json()
    rows = await counter.world.ledger.fetch("SELECT terminal FROM redemption")
    assert rows[0][0].startswith("ter_")
    assert {"id", "state", "points", "cash_fen", "expires_at", "masked_name"} == set(slip)
    assert ("held", 2_000, 200, "2022-06-15T04:15:00.000000Z") == (
        slip["state"],
        slip["points"],
        slip["cash_fen"],
        slip["expires_at"],
    )
    assert "小" not in slip["masked_name"]
    again = await counter.post("till", "/redemptions", body, key="same")
    assert (201, slip, "true") == (again.status_code, again.json(), again.headers["Idempotency-Replayed"])
    changed = await counter.post("till", "/redemptions", {**body, "quantity": 1}, key="same")
    assert (409, "idempotency_key_reused") == (changed.status_code, changed.json()["code"])
    red = f"/redemptions/{slip['id']}"
    part = await counter.post("till", f"{red}/capture", {"amount": 500, "final": False})
    assert (200, "partially_captured") == (part.status_code, part.json()["state"])
    assert "captured" == (await counter.post("till", f"{red}/capture")).json()["state"]
    assert "already_captured" == (await counter.post("till", f"{red}/release", {})).json()["code"]
    assert "request_invalid" == (await counter.post("till", f"{red}/release", {"why": 1})).json()["code"]
    assert "request_invalid" == (await counter.post("till", f"{red}/capture", {"amount": 0})).json()["code"]
    back = await counter.post("staff", f"{red}/refunds", {"amount": 500, "reason": "少一袋"})
    assert "partially_refunded" == back.json()["state"]
    shown = (await counter.send("resident", "GET", red)).json()
    assert (2_000, 0, 500) == (shown["captured"], shown["released"], shown["refunded"])
    assert "voided" == (await counter.post("till", f"{red}/void", {"reason": "扫错了"})).json()["state"]
    sheet = (await counter.send("till", "GET", "/redemptions?day=2022-06-15")).json()
    assert [(slip["id"], "voided")] == [(one["id"], one["state"]) for one in sheet["items"]]
    assert sheet["items"] == (await counter.send("staff", "GET", "/redemptions")).json()["items"]
    one_trip = await counter.post("staff", "/redemptions?capture=true", {**body, "by": {"subject": counter.subject}})
    assert (201, "captured") == (one_trip.status_code, one_trip.json()["state"])
    mine = (await counter.send("resident", "GET", "/me/redemptions?limit=1")).json()
    older = (await counter.send("resident", "GET", f"/me/redemptions?cursor={mine['next']}")).json()
    items = [*mine["items"], *older["items"]]  # of one instant, hence in either order
    assert ({slip["id"], one_trip.json()["id"]}, None) == ({one["id"] for one in items}, older["next"])
    assert {("米", "便民超市", True)} == {(one["title"]["zh"], one["merchant_name"], one["mine"]) for one in items}
    assert 403 == (await counter.send("till", "GET", "/me/redemptions")).status_code


async def test_what_the_till_is_refused(counter: Counter) -> None:
    """Each no has its code and its status, and tells a till nothing about the person."""
    await _shop(counter)
    offer = await _offer(counter, per_person=6, stock=6)
    by = counter.card
    for body, code in (
        ({"offer": offer, "quantity": 6, "by": by}, "insufficient_points"),
        ({"offer": offer, "quantity": 7, "by": by}, "out_of_stock"),
        ({"offer": "off_x", "by": by}, "not_found"),
        ({"offer": offer, "by": {**by, "pin": "000000" if by["pin"] != "000000" else "1"}}, "not_identified"),
        ({"offer": offer, "by": {"phone_tail": "0001", "surname": "李", "pin": by["pin"]}}, "not_identified"),
        ({"offer": offer, "by": {"subject": counter.subject}}, "forbidden"),
        ({"offer": offer, "by": {}}, "request_invalid"),
        ({"offer": offer, "by": {**by, "subject": counter.subject}}, "request_invalid"),
        ({"offer": offer, "quantity": 0, "by": by}, "request_invalid"),
        ({"offer": offer, "quantity": 1.0, "by": by}, "request_invalid"),
        ({"offer": offer, "by": by, "price": 1}, "request_invalid"),
    ):
        said = await counter.post("till", "/redemptions", body)
        assert code == said.json()["code"], said.text
        assert 400 <= said.status_code < 500
        assert not {"available", "5000", counter.subject} & set(said.text.replace('"', " ").split())
    missing = await counter.http.post(
        "/redemptions",
        json={"offer": offer, "by": by},
        headers={"Authorization": f"Bearer {counter.tokens['till']}"},
    )
    assert "idempotency_key_missing" == missing.json()["code"]


async def test_everybody_in_their_place(counter: Counter) -> None:
    """A shop sees and touches its own only; residents do neither register shops nor act on orders."""
    mine = await _shop(counter)
    offer = await _offer(counter)
    other = await _shop(counter, "别家", till="rival")
    body = {"offer": offer, "by": counter.card}
    red = (await counter.post("till", "/redemptions", body)).json()["id"]
    for who, path, sent, code in (
        ("rival", "/redemptions", body, "forbidden"),
        ("rival", "/eligibility", body, "forbidden"),
        ("rival", f"/redemptions/{red}/capture", {}, "not_found"),
        ("resident", "/redemptions", body, "forbidden"),
        ("resident", f"/redemptions/{red}/release", {}, "forbidden"),
        ("resident", "/merchants", {"name": "x", "community": HERE}, "forbidden"),
        ("till", "/merchants", {"name": "x", "community": HERE}, "forbidden"),
        ("staff", "/merchants", {"name": "x", "community": GRID}, "request_invalid"),
        ("staff", f"/offers/{offer}/approve", None, "offer_state"),
    ):
        assert code == (await counter.post(who, path, sent)).json()["code"], (who, path)
    assert "not_found" == (await counter.send("rival", "GET", f"/redemptions/{red}")).json()["code"]
    assert [] == (await counter.send("rival", "GET", f"/offers?merchant={mine}")).json()["items"]
    seen = (await counter.send("rival", "GET", "/merchants")).json()["items"]
    assert [other] == [one["id"] for one in seen]
    assert 2 == len((await counter.send("staff", "GET", f"/merchants?community={HERE}")).json()["items"])
    asked = {"offer": offer, "by": {"subject": counter.subject}}
    assert {"eligible": True} == (await counter.post("resident", "/eligibility", asked)).json()
    stopped = await counter.send("staff", "PATCH", f"/merchants/{mine}", {"state": "suspended"})
    assert (200, '"2"') == (stopped.status_code, stopped.headers["ETag"])
    assert "forbidden" == (await counter.post("till", f"/redemptions/{red}/capture", {})).json()["code"]
    assert "released" == (await counter.post("staff", f"/redemptions/{red}/release")).json()["state"]


async def test_an_offer_changes_under_its_etag(counter: Counter) -> None:
    """A change of what was approved goes back for approval; a stale ETag changes nothing."""
    await _shop(counter)
    offer = await _offer(counter)
    path = f"/offers/{offer}"
    stale = await counter.send("till", "PATCH", path, {"stock": 9}, **{"If-Match": '"1"'})
    assert (412, "precondition_failed") == (stale.status_code, stale.json()["code"])
    fresh = await counter.send("till", "PATCH", path, {"stock": 9}, **{"If-Match": '"2"'})
    assert (200, 9, "open") == (fresh.status_code, fresh.json()["stock"], fresh.json()["state"])
    dearer = (await counter.send("till", "PATCH", path, {"price": 1_200, "to": "2022-07-01"})).json()
    assert ("proposed", 1_200, "2022-07-01") == (dearer["state"], dearer["price"], dearer["to"])
    wrong = await counter.send("till", "PATCH", path, {"price": 999_999})
    assert "price_not_allowed" == wrong.json()["code"]
    assert "open" == (await counter.post("second", f"{path}/approve")).json()["state"]
