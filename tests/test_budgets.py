# SPDX-License-Identifier: Apache-2.0
"""Budgets through the door: who sets them, what they pay, what is left, and the brake on what is given out."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from api import commands
from api.brake import SETTLED_US, IssueBrake
from merchants.model import Asker
from rules.ports import Room
from tests.test_desk_http import HERE as GARDEN
from tests.test_desk_http import SHEET, STREET, Front, front  # noqa: F401
from tests.test_desk_http import THERE as CENTRE
from tests.test_merchants_http import HERE, Counter, _offer, _shop, counter, counter_town  # noqa: F401
from tests.test_shops_http import at

pytestmark = pytest.mark.schema(town=counter_town)

GOODS = {"scenario": "S13", "place": HERE, "year": "2022", "name": "日用品兑换", "limit_fen": 1_500}


async def test_who_sets_a_budget_and_how_often(counter: Counter) -> None:  # noqa: F811
    """Staff of the place, once a scenario, year and place; only where somebody is paid; changed under its ETag."""
    made = await counter.post("staff", "/budgets", {**GOODS, "issue_limit": 90_000})
    assert 201 == made.status_code, made.text
    assert f"bud_S13_2022_{HERE}" == made.json()["id"]
    assert (1_500, 0, 90_000, "open") == tuple(
        made.json()[k] for k in ("limit_fen", "spent_fen", "issue_limit", "state")
    )
    await _shop(counter)
    for who, change, code in (
        ("staff", {}, "budget_exists"),
        ("staff", {"place": "370321002"}, "forbidden"),
        ("staff", {"place": "37"}, "not_found"),
        ("staff", {"scenario": "S14"}, "facts_invalid"),
        ("staff", {"scenario": "S99"}, "not_found"),
        ("staff", {"year": "22"}, "request_invalid"),
        ("staff", {"issue_limit": 0}, "request_invalid"),
        ("till", {"year": "2023"}, "forbidden"),
        ("resident", {"year": "2023"}, "forbidden"),
    ):
        assert code == (await counter.post(who, "/budgets", {**GOODS, **change})).json()["code"], (who, change)
    path = f"/budgets/{made.json()['id']}"
    stale = await counter.send("staff", "PATCH", path, {"limit_fen": 2_000}, **{"If-Match": '"9"'})
    assert "precondition_failed" == stale.json()["code"]
    more = await counter.send("staff", "PATCH", path, {"limit_fen": 2_000, "issue_limit": None}, **{"If-Match": '"1"'})
    assert (2_000, None, "日用品兑换", '"2"') == (
        *(more.json()[k] for k in ("limit_fen", "issue_limit", "name")),
        more.headers["ETag"],
    )
    assert 1 == len((await counter.send("staff", "GET", f"/budgets?place={HERE}&year=2022")).json()["items"])
    assert [] == (await counter.send("staff", "GET", "/budgets?year=2023")).json()["items"]
    for who, place in (("till", HERE), ("staff", "370321002")):
        assert "forbidden" == (await counter.send(who, "GET", f"/budgets?place={place}")).json()["code"]


async def test_who_divides_the_countys_money(counter: Counter) -> None:  # noqa: F811
    """Where the county has set a line, a community cannot set itself a nearer one, nor raise the one it has."""
    own = await counter.post("staff", "/budgets", GOODS)
    county = Asker("stf_county", serves=lambda where: True)
    goods = counter.world.shop.offers.scenario("S13")
    line = await counter.world.budgets.add(
        county, scenario=goods, place="370321", year="2022", name="县级专项", limit_fen=10_000
    )
    path = f"/budgets/{own.json()['id']}"
    assert "forbidden" == (await counter.send("staff", "PATCH", path, {"limit_fen": 10**9})).json()["code"]
    assert 201 == (await counter.post("staff", "/budgets", {**GOODS, "year": "2023"})).status_code
    await counter.world.budgets.change(county, line.budget, state="closed")
    assert 200 == (await counter.send("staff", "PATCH", path, {"limit_fen": 2_000})).status_code


async def test_a_budget_pays_until_it_is_used_up(counter: Counter) -> None:  # noqa: F811
    """Ten yuan of fifteen are taken by the first order; the second is refused, and goes through once the first is back
    on the shelf. A closed line pays nothing."""
    await _shop(counter)
    offer = await _offer(counter)
    line = (await counter.post("staff", "/budgets", GOODS)).json()["id"]
    order: dict[str, Any] = {"offer": offer, "by": {"subject": counter.subject}}

    async def spent() -> int:
        return (await counter.send("staff", "GET", "/budgets")).json()["items"][0]["spent_fen"]

    first = (await counter.post("staff", "/redemptions", order)).json()
    assert 1_000 == await spent()
    full = await counter.post("staff", "/redemptions", order)
    assert (409, "budget_exhausted") == (full.status_code, full.json()["code"])
    await counter.post("staff", f"/redemptions/{first['id']}/release")
    assert 0 == await spent()
    assert "held" == (await counter.post("staff", "/redemptions", order)).json()["state"]
    await counter.send("staff", "PATCH", f"/budgets/{line}", {"limit_fen": 9_999, "state": "closed"})
    assert "budget_exhausted" == (await counter.post("staff", "/redemptions", order)).json()["code"]
    assert 1_000 == await spent()


async def test_what_the_points_would_cost(counter: Counter) -> None:  # noqa: F811
    """50 points are out, 10 of them held; they lapse in December. The budget has 990 yuan left, and at ten yuan in 166
    days that is long. The table says the same."""
    await _shop(counter)
    offer = await _offer(counter)
    await counter.post("staff", "/budgets", {**GOODS, "limit_fen": 100_000})
    await counter.post("staff", "/redemptions", {"offer": offer, "by": {"subject": counter.subject}})
    said = (await counter.send("staff", "GET", f"/liability?place={HERE}")).json()
    assert (5_000, 1_000, 0, 5_000, 99_000) == tuple(
        said[k] for k in ("points", "held", "with_shops", "value_fen", "budget_left_fen")
    )
    (journal,) = said["journals"]
    assert [{"month": "2022-12", "points": 4_000, "value_fen": 4_000}] == journal["months"]
    (line,) = said["budgets"]
    assert (99_000, 540) == (line["left_fen"], line["months_left"])
    captured = await counter.post(
        "staff", "/redemptions?capture=true", {"offer": offer, "by": {"subject": counter.subject}}
    )
    assert 201 == captured.status_code
    said = (await counter.send("staff", "GET", f"/liability?place={HERE}")).json()
    assert (4_000, 1_000, 1_000) == (said["points"], said["held"], said["with_shops"])
    answer = await counter.send("staff", "GET", f"/liability.csv?place={HERE}")
    assert answer.content.startswith(b"\xef\xbb\xbf") and "text/csv" in answer.headers["content-type"]
    table = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [
        [HERE, "中心社区", "未兑换", "2022-12", "30.00", "30.00"],
        [HERE, "中心社区", "冻结中", "", "10.00", "10.00"],
    ] == table[1:]
    for who in ("resident", "staff"):
        assert "forbidden" == (await counter.send(who, "GET", "/liability?place=370321002")).json()["code"]


# the brake -------------------------------------------------------------------------------------------------------


def deed(minutes: int, start: str, name: str = "王丽", phone: str = "13900000001") -> dict[str, Any]:
    return {
        "who": {"name": name, "phone": phone},
        "indicator": "RE-01",
        "occurred_on": "2022-04-01",
        "start": start,
        "facts": {"minutes": minutes},
        "evidence": [{"kind": "check_in", "level": "E2"}],
    }


async def over(front: Front) -> None:  # noqa: F811
    """The take-over of both communities is over."""
    for journal in (GARDEN, CENTRE):
        await commands.journal_close_takeover(front.world, journal)


async def limit(front: Front, points: int | None, place: str = GARDEN) -> None:  # noqa: F811
    """A monthly limit on a place, whether its line is there or not."""
    who = "clerk" if place == GARDEN else "street"
    body = {**GOODS, "place": place, "limit_fen": 100_000, "issue_limit": points}
    made = await front.call(who, "POST", "/budgets", body)
    if made.json().get("code") == "budget_exists":
        made = await front.call(who, "PATCH", f"/budgets/bud_S13_2022_{place}", {"issue_limit": points})
    assert made.status_code in (200, 201), made.text


@pytest.mark.schema()
async def test_what_would_pass_the_limit_waits_for_a_second_person(front: Front) -> None:  # noqa: F811
    """An hour fits; the next two would pass the month's limit and wait, with the reason; approved, they are posted in
    full. A deed elsewhere is not held up, nor the past in a take-over window, and once the brake is off nothing is."""
    await limit(front, 1)
    past = {**deed(60, "18:00"), "occurred_on": "2022-03-01"}
    assert "posted" == (await front.call("clerk", "POST", "/awards", past)).json()["state"]  # given out long ago
    await over(front)
    await limit(front, 250)
    first = await front.call("clerk", "POST", "/awards", deed(60, "08:00"))
    assert ("posted", 100) == (first.json()["state"], first.json()["points"]), first.text
    tried = await front.call("clerk", "POST", "/evaluations", deed(120, "10:00"))
    assert ("awaiting_approval", 200) == (tried.json()["state"], tried.json()["points"])
    await limit(front, 350)  # read anew when a budget changes: 200 are given
    waiting = await front.call("clerk", "POST", "/awards", deed(120, "10:00"))
    assert (201, "awaiting_approval", 200) == tuple(
        [waiting.status_code, waiting.json()["state"], waiting.json()["points"]]
    )
    (asked,) = (await front.call("approver", "GET", "/approvals")).json()["items"]
    (why,) = asked["why"]
    assert ("budget_brake", GARDEN, 350, 200, 200) == tuple(
        why[k] for k in ("code", "place", "limit", "given", "points")
    )
    assert GARDEN in why["detail"]
    path = f"/approvals/{asked['id']}/approve"
    done = await front.call("approver", "POST", path, If_Match=f'"{asked["etag"]}"')
    assert (200, 200) == (done.status_code, done.json()["points"]), done.text
    elsewhere = deed(60, "08:00", "赵敏", "13900000003")
    assert "posted" == (await front.call("street", "POST", "/awards", elsewhere)).json()["state"]
    back = {"reason": "记错人", "occurred_on": "2022-04-02"}
    await front.call("clerk", "POST", f"/awards/{first.json()['id']}/reverse", back)
    await limit(front, 350)
    again = (await front.call("clerk", "POST", "/award-batches?dry_run=true", {"items": [deed(60, "14:00")]})).json()
    assert [300] == [one["given"] for one in again["why"]]  # what was taken back is given no longer
    await limit(front, None)
    assert "posted" == (await front.call("clerk", "POST", "/awards", deed(60, "16:00"))).json()["state"]


@pytest.mark.schema()
async def test_a_batch_is_braked_as_a_whole(front: Front) -> None:  # noqa: F811
    """Its rows count together, against every limit over their places; the street's limit holds for its communities."""
    await over(front)
    await limit(front, 300, STREET)
    rows = {"items": [deed(60, "08:00"), deed(60, "10:00"), deed(60, "08:00", "赵敏", "13900000003")]}
    fits = await front.call("street", "POST", "/award-batches", rows)
    assert ("posted", 300) == (fits.json()["state"], fits.json()["points"]), fits.text
    await limit(front, 10_000, CENTRE)
    more = {"items": [deed(30, "14:00"), deed(30, "14:00", "赵敏", "13900000003")]}
    preview = (await front.call("street", "POST", "/award-batches?dry_run=true", more)).json()
    assert ("awaiting_approval", ["budget_brake"]) == (preview["state"], [one["code"] for one in preview["why"]])
    assert (STREET, 300, 100) == tuple(preview["why"][0][k] for k in ("place", "given", "points"))
    listed = (await front.upload("street", "?dry_run=true", SHEET)).json()
    assert ("posted", 0) == (listed["state"], listed["points"])  # what earns no points costs nothing


@pytest.mark.schema()
async def test_what_is_cut_small_is_braked_too(front: Front) -> None:  # noqa: F811
    """Deeds one by one within a minute come to the limit as a batch would."""
    await over(front)
    await limit(front, 250)
    said = [await front.call("clerk", "POST", "/awards", deed(60, f"{hour:02}:00")) for hour in range(8, 18, 2)]
    assert ["posted"] * 2 + ["awaiting_approval"] * 3 == [one.json()["state"] for one in said]


class Asked:
    """A ledger that answers what it is given, and keeps what it was asked."""

    def __init__(self, *answers: list[tuple[Any, ...]]) -> None:
        self.now, self.answers, self.asked = at("2022-04-02T10:00"), list(answers), list[tuple[Any, ...]]()

    def clock(self) -> int:
        return self.now

    async def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        self.asked.append(params)
        return self.answers.pop(0)


async def test_the_budgets_are_asked_once_a_minute() -> None:
    """Limits and month, that is; the last minute counts at once. What was given counts from the first of the month, in
    our zone."""
    ledger: Any = Asked(
        [(STREET, 500)], [(GARDEN, 200), ("370321009001", 900)], [(GARDEN, 100)], *[[(GARDEN, 100)]] * 2, []
    )
    brake = IssueBrake(ledger, lambda upper, lower: lower.startswith(upper), "Asia/Shanghai")
    expected = {GARDEN: [Room(STREET, 500, 300)]}
    for seconds in (0, 1, 59):
        ledger.now = at("2022-04-02T10:00") + seconds * 1_000_000
        assert expected == await brake.rooms([GARDEN, "370321009001"])
    year, (first, settled), (since, _), *_ = ledger.asked
    assert ("2022",) == year and first.startswith(f"awd_{at('2022-04-01T00:00'):014x}")
    assert settled == since and since.startswith(f"awd_{at('2022-04-02T10:00') - SETTLED_US:014x}")
    ledger.now += 1_000_000
    assert {} == await brake.rooms([GARDEN])
