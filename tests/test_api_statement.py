# SPDX-License-Identifier: Apache-2.0
"""Balances, statements and single entries through the door: the numbers, and who may see them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from api import imports, jobs
from api.auth import KIND_SCOPES
from api.settings import Settings
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.world import World
from ledger.book import awards, holds
from ledger.model import Act, Draft, held_account, merchant_account
from ledger.port import Answer
from ledger.view import View
from tests.application import application

pytestmark = pytest.mark.schema()

HERE, ELSEWHERE, GRID = "370321002003", "370321002002", "370321002003-04"
PASSWORD = "correct horse battery"
PLACES = """编码,名称,层级,上级编码
370321,桓台县,county,
370321002,少海街道,street,370321
370321002002,兴旺社区,community,370321002
370321002003,中心社区,community,370321002
370321002003-04,中心第4网格,grid,370321002003
"""

PEOPLE = """姓名,手机号,所属社区,所属网格
张建国,13900000001,中心社区,第4网格
李秀英,13900000002,中心社区,第4网格
"""


class Do:
    """Any decision of the ledger's book as a command."""

    def __init__(self, decide: Any) -> None:
        self.decide_, self.journals, self.retry, self.weight = decide, (HERE,), None, 1

    def reads(self) -> tuple[()]:
        return ()

    def decide(self, view: View) -> Answer:
        return Answer(value=self.decide_(view))


class Door(httpx.AsyncClient):
    world: World
    subject: str
    tokens: dict[str, str]
    now: list[int]

    async def see(self, who: str, path: str, lang: str = "en") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Accept-Language": lang}
        return await self.get(f"/v1{path}", headers=headers)

    async def act(self, decide: Any) -> Any:
        return (await self.world.ledger.submit(Do(decide))).value

    async def doing(self) -> Act:
        key = await self.world.people.data_key(self.subject)
        return Act("stf_x", "2022-06-15", b"{}", self.world.ledger.new_id("txn"), key)


@pytest.fixture
async def door(database_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    now = [int(datetime(2022, 6, 15, 4, tzinfo=UTC).timestamp()) * 1_000_000]
    world = World(Settings(database_url, tmp_path / "home"), clock=lambda: now[0])
    await world.init()
    await world.open()
    await imports.commit_places(
        world, await imports.plan_places(world, parse_places(read_sheet(PLACES.encode()))), "system"
    )
    transport = httpx.ASGITransport(app=application(world), raise_app_exceptions=False)
    async with Door(transport=transport, base_url="http://test") as client:
        client.world, client.now = world, now
        await _furnish(client)
        yield client
    await world.close()


async def _furnish(door: Door) -> None:
    world = door.world
    plan = await imports.plan_people(world, parse_people(read_sheet(PEOPLE.encode())))
    done = await imports.commit_people(world, plan, "system")
    door.subject, other = (done.ids[row] for row, _ in done.rows)
    door.tokens = {}
    for name, role, place in (
        ("here", "community_staff", HERE),
        ("there", "community_staff", ELSEWHERE),
        ("auditor", "auditor", "370321002"),
        ("far_auditor", "auditor", ELSEWHERE),
    ):
        await world.staff.create(None, name, PASSWORD, [{"role": role, "place": place}])
        door.tokens[name] = (await world.staff.sign_in(name, PASSWORD)).token
    for name, subject in (("self", door.subject), ("other", other)):
        issued = await world.staff.sign_in_subject("resident", subject, KIND_SCOPES["resident"])
        door.tokens[name] = issued.token
    for name in ("mer_1", "mer_2"):
        door.tokens[name] = (await world.staff.issue_key(None, "merchant", name, merchant=name)).key
    act = await door.doing()
    for number, (points, lot) in enumerate(((300, "2022-06-30"), (500, "2022-12-31"))):
        draft = Draft("award", HERE, act, subject=door.subject, rule="RE-01", group="G3", place=HERE)
        draft.cause = hashlib.sha256(bytes([number])).digest()
        await door.act(
            lambda view, d=draft, p=points, at=lot: awards.award(view, d, standing=200, points=p, points_lot=at)
        )


async def test_a_balance_says_what_can_be_spent_until_when(door: Door) -> None:
    """The documented shape: amount and grade, available and held, lots by day, and the entry it stands at."""
    answer = await door.see("self", "/me/balance")
    seq = answer.json()["as_of"]["seq"]
    assert {
        "subject": door.subject,
        "standing": {"amount": 100_400, "grade": "A"},
        "points": {
            "available": 800,
            "held": 0,
            "lots": [{"amount": 300, "expires_on": "2022-06-30"}, {"amount": 500, "expires_on": "2022-12-31"}],
        },
        "as_of": {"journal": HERE, "seq": seq},
    } == answer.json()


async def test_held_points_and_lapsed_lots_are_not_available(door: Door) -> None:
    """Held is said apart; a lot past its day counts no more even before the sweep has posted it."""
    act = await door.doing()
    await door.act(
        lambda view: holds.hold(
            view,
            HERE,
            act,
            hold="red_1",
            subject=door.subject,
            amount=100,
            expires_at=door.now[0] + 10**9,
        )
    )
    points = (await door.see("self", "/me/balance")).json()["points"]
    assert (700, 100, 200) == (points["available"], points["held"], points["lots"][0]["amount"])
    door.now[0] += 20 * 86_400 * 1_000_000
    points = (await door.see("self", "/me/balance")).json()["points"]
    assert (500, ["2022-12-31"]) == (points["available"], [lot["expires_on"] for lot in points["lots"]])
    assert 1 == await jobs.lots(door.world)
    assert 0 == await jobs.lots(door.world)
    newest = (await door.see("self", "/me/entries?limit=1")).json()["items"][0]
    assert ("expire", -200) == (newest["kind"], newest["points"])
    assert points == (await door.see("self", "/me/balance")).json()["points"]


async def test_a_statement_runs_from_newest_to_oldest(door: Door) -> None:
    """Pages meet without a gap; numbers and rules only."""
    whole = (await door.see("self", "/me/entries")).json()["items"]
    assert ["award", "award", "open"] == [one["kind"] for one in whole]
    assert [(200, 500), (200, 300), (100_000, 0)] == [(one["standing"], one["points"]) for one in whole]
    assert all("张" not in orjson.dumps(one).decode() for one in whole)
    pages: list[Any] = []
    path = "/me/entries?limit=2"
    while True:
        answer = (await door.see("self", path)).json()
        pages += answer["items"]
        if answer["next"] is None:
            break
        path = f"/me/entries?limit=2&cursor={answer['next']}"
    assert whole == pages


async def test_records_are_read_by_home_place_and_it_is_written_down(door: Door) -> None:
    """Staff of the home community; nobody else's staff, no other resident, no till; each reading leaves a line."""
    path = f"/subjects/{door.subject}"
    record = await door.see("here", path)
    assert (200, "张建国", "中心第4网格") == (record.status_code, record.json()["name"], record.json()["grid_name"])
    assert 200 == (await door.see("here", f"{path}/balance")).status_code
    for who in ("there", "other", "mer_1"):
        for tail in ("", "/balance", "/entries"):
            answer = await door.see(who, path + tail)
            assert (403, "forbidden") == (answer.status_code, answer.json()["code"]), (who, tail)
    assert 200 == (await door.see("self", path)).status_code
    assert 403 == (await door.see("here", "/me")).status_code
    assert 403 == (await door.see("here", "/subjects/sub_nobody")).status_code  # as one who lives elsewhere
    logged = await door.world.ledger.fetch("SELECT subject, what FROM access_log")
    assert {(door.subject, "record"), (door.subject, "balance")} == set(logged)


async def test_an_entry_is_shown_as_it_was_hashed(door: Door) -> None:
    """To its subject and to auditors of the place; for all others whom the door lets in it does not exist."""
    newest = (await door.see("self", "/me/entries?limit=1")).json()["items"][0]
    path = f"/entries/{HERE}/{newest['seq']}"
    shown = (await door.see("self", path)).json()
    canonical = orjson.dumps(shown["entry"], option=orjson.OPT_SORT_KEYS)
    assert newest["entry_hash"] == shown["entry_hash"] == hashlib.sha256(b"\0" + canonical).hexdigest()
    assert 200 == (await door.see("auditor", path)).status_code
    missing = (await door.see("other", f"/entries/{HERE}/999999")).json()
    for who in ("here", "there"):
        assert 403 == (await door.see(who, path)).status_code, who
    for who in ("other", "far_auditor", "mer_1"):
        answer = await door.see(who, path)
        assert 404 == answer.status_code, who
        assert {**missing, "instance": ""} == {**answer.json(), "instance": ""}
    for wrong in (f"/entries/{HERE}/{2**70}", "/entries/x/0", f"/entries/{HERE}/-1", f"/entries/{HERE}/x"):
        assert 404 == (await door.see("auditor", wrong)).status_code


async def test_a_merchant_sees_what_paid_it_and_nothing_else(door: Door) -> None:
    """The capture of its own, not the hold before it, not another shop's."""
    act = await door.doing()
    await door.act(
        lambda view: holds.hold(
            view,
            HERE,
            act,
            hold="red_1",
            subject=door.subject,
            amount=100,
            expires_at=door.now[0] + 10**9,
        )
    )
    bare = Act("key_x", "2022-06-15", b"{}", "txn_2")
    sealed = await door.act(lambda view: holds.capture(view, HERE, bare, hold="red_1", merchant="mer_1", amount=100))
    seq = (sealed[0] if isinstance(sealed, list) else sealed).seq
    path = f"/entries/{HERE}/{seq}"
    shown = await door.see("mer_1", path)
    assert 200 == shown.status_code
    accounts = {posting["account"] for posting in shown.json()["entry"]["postings"]}
    assert {held_account("red_1"), merchant_account("mer_1")} == accounts
    assert door.subject not in shown.text
    assert "1 points" in (await door.see("mer_1", f"{path}/explain")).json()["text"]
    for who, other in (("mer_2", path), ("mer_1", f"/entries/{HERE}/{seq - 1}"), ("self", path)):
        assert 404 == (await door.see(who, other)).status_code


async def test_an_entry_without_a_trace_is_explained_in_a_sentence(door: Door) -> None:
    """In the reader's language, in 分."""
    items = (await door.see("self", "/me/entries")).json()["items"]
    opened = f"/entries/{HERE}/{items[-1]['seq']}/explain"
    assert "1000" in (await door.see("self", opened)).json()["text"]
    assert "起始信用分 1000 分" in (await door.see("self", opened, "zh")).json()["text"]


async def test_status_and_journals_are_public(door: Door) -> None:
    """How far each journal has come, by its place's name."""
    status = (await door.get("/v1/status")).json()
    assert {ELSEWHERE: 1, HERE: 5} == {one["journal"]: one["seq"] for one in status["journals"]}
    journals = (await door.get("/v1/journals")).json()["items"]
    assert ["兴旺社区", "中心社区"] == [one["name"] for one in journals]
    assert "中心社区" in (await door.get("/")).text
