# SPDX-License-Identifier: Apache-2.0
"""Shops through the door: what is said of them, tills that are closed, agreements, and what strangers do not see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from merchants.hours import hours_text, is_open
from tests.test_merchants_http import HERE, ROLES, Counter, _offer, _shop, counter, counter_town  # noqa: F401

pytestmark = pytest.mark.schema(town=counter_town)

WEEK = {"mon": [["08:30", "12:00"], ["14:00", "20:00"]], "sat": [["20:00", "02:00"]], "sun": [["00:00", "24:00"]]}


def at(text: str) -> int:
    """An instant of Shanghai as microseconds."""
    return int(datetime.fromisoformat(f"{text}+08:00").astimezone(UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2022-06-13T08:29", False),  # a Monday
        ("2022-06-13T08:30", True),
        ("2022-06-13T12:00", False),
        ("2022-06-13T19:59", True),
        ("2022-06-14T10:00", False),  # nothing on Tuesdays
        ("2022-06-18T19:00", False),
        ("2022-06-18T23:30", True),
        ("2022-06-19T23:59", True),  # all Sunday
        ("2022-06-20T01:00", False),  # and no longer
        ("2022-06-25T21:00", False),  # a Saturday off
        ("2022-06-26T01:30", True),  # Sunday's own hours
        ("2022-06-27T09:00", True),
    ],
)
def test_opening_hours(when: str, expected: bool) -> None:
    """Spans hold from their first minute to before their last; one may go on past midnight; a day off opens nothing."""
    days: Any = {day: [tuple(span) for span in spans] for day, spans in WEEK.items()}
    text = hours_text(days, [datetime(2022, 6, 25).date()])
    assert expected == is_open(text, at(when), "Asia/Shanghai")
    assert is_open("", at(when), "Asia/Shanghai")


def test_a_night_goes_on_after_a_day_off() -> None:
    """What began on an open day ends after midnight, though the next day is off."""
    text = hours_text({"sat": [("20:00", "02:00")]}, [datetime(2022, 6, 19).date()])
    assert [True, False] == [is_open(text, at(f"2022-06-19T0{hour}:30"), "Asia/Shanghai") for hour in (1, 2)]


async def test_what_is_said_of_a_shop(counter: Counter) -> None:  # noqa: F811
    """Circle and hours are for everybody; the body behind it, its limits and tills for itself and staff."""
    said = {"name": "夜市便利店", "community": HERE, "circle": "少海惠民圈", "per_minute": 30}
    hours = {"week": WEEK, "closed": ["2022-06-25"]}
    made = await counter.post("staff", "/merchants", {**said, "hours": hours})
    assert 201 == made.status_code, made.text
    path, inside = f"/merchants/{made.json()['id']}", made.json()
    assert ("少海惠民圈", 30, None, WEEK["mon"]) == (
        inside["circle"],
        inside["per_minute"],
        inside["per_day"],
        inside["hours"]["week"]["mon"],
    )
    outside = (await counter.send("resident", "GET", path)).json()
    assert {"id", "name", "community", "state", "circle", "hours", "etag"} == set(outside)
    for wrong, pointer in (
        ({"subject": counter.subject}, "/subject"),  # a person
        ({"subject": "sub_0000000000000000"}, "/subject"),
        ({"per_day": 0}, "/per_day"),
        ({"hours": {"week": {}}}, "/hours"),
        ({"hours": {"week": {"mon": [["8:30", "12:00"]]}}}, "/hours/week/mon/0/0"),
        ({"hours": {"week": {"mon": [["08:30"]]}}}, "/hours/week/mon/0/1"),
    ):
        refused = await counter.send("staff", "PATCH", path, wrong)
        assert (400, [pointer]) == (refused.status_code, [one["pointer"] for one in refused.json()["errors"]])
    changed = await counter.send("staff", "PATCH", path, {"hours": None, "per_day": 900}, **{"If-Match": '"1"'})
    assert (None, "少海惠民圈", '"2"') == (
        changed.json()["hours"],
        changed.json()["circle"],
        changed.headers["ETag"],
    )
    again = (await counter.send("staff", "GET", path)).json()
    assert (30, 900, None) == (again["per_minute"], again["per_day"], again["hours"])


async def test_a_closed_tills_keys_are_good_for_nothing(counter: Counter) -> None:  # noqa: F811
    """A lost till is closed: from then on its key is nobody's, until it is found. Others go on."""
    shop = await _shop(counter)
    (till,) = (await counter.send("staff", "GET", f"/merchants/{shop}")).json()["terminals"]
    await _shop(counter, "别家", till="rival")
    path = f"/merchants/{shop}/terminals/{till['id']}"
    for who in ("till", "rival", "resident"):
        assert "forbidden" == (await counter.send(who, "PATCH", path, {"state": "closed"})).json()["code"]
    stale = await counter.send("staff", "PATCH", path, {"state": "closed"}, **{"If-Match": '"7"'})
    assert "precondition_failed" == stale.json()["code"]
    closed = await counter.send("staff", "PATCH", path, {"state": "closed"}, **{"If-Match": till["etag"]})
    assert (200, "closed", '"2"') == (closed.status_code, closed.json()["state"], closed.headers["ETag"])
    assert "unauthenticated" == (await counter.send("till", "GET", "/merchants")).json()["code"]
    assert 200 == (await counter.send("rival", "GET", "/merchants")).status_code
    issued = {"kind": "merchant", "merchant": shop, "terminal": till["id"]}
    assert "not_found" == (await counter.post("staff", "/keys", issued)).json()["code"]
    opened = await counter.send("staff", "PATCH", path, {"state": "open", "name": "2 号收银台"})
    assert ("open", "2 号收银台") == (opened.json()["state"], opened.json()["name"])
    assert 200 == (await counter.send("till", "GET", "/merchants")).status_code
    other = path.replace(shop, "mer_0000000000000000")
    assert "not_found" == (await counter.send("staff", "PATCH", other, {"state": "closed"})).json()["code"]


async def test_strangers_see_what_is_open(counter: Counter) -> None:  # noqa: F811
    """A proposal, a paused offer and a suspended shop's offers are for the shop and for staff only."""
    shop = await _shop(counter)
    await _shop(counter, "别家", till="rival")
    body = {"scenario": "S13", "title": {"zh": "米", "en": "Rice"}, "price": 1_000}
    proposed = (await counter.post("till", "/offers", body)).json()["id"]
    opened, strangers, insiders = await _offer(counter), ("", "resident", "rival"), ("till", "staff")

    async def seen(offer: str) -> list[str]:
        path = f"/offers/{offer}"
        return [who for who in (*strangers, *insiders) if 200 == (await counter.send(who, "GET", path)).status_code]

    assert list(insiders) == await seen(proposed)
    assert [*strangers, *insiders] == await seen(opened)
    await counter.send("till", "PATCH", f"/offers/{opened}", {"state": "paused"})
    assert list(insiders) == await seen(opened)
    await counter.send("till", "PATCH", f"/offers/{opened}", {"state": "open"})
    assert [opened] == [one["id"] for one in (await counter.send("", "GET", "/offers")).json()["items"]]
    await counter.send("staff", "PATCH", f"/merchants/{shop}", {"state": "suspended"})
    assert list(insiders) == await seen(opened)
    assert [] == (await counter.send("", "GET", "/offers")).json()["items"]
    assert 2 == len((await counter.send("staff", "GET", f"/offers?merchant={shop}")).json()["items"])


async def test_no_offer_without_its_agreement(counter: Counter) -> None:  # noqa: F811
    """Where a scenario asks for an agreement, an offer is opened and redeemed only while one is in force."""
    shop = await _shop(counter)
    await _shop(counter, "别家", till="rival")
    body = {"scenario": "S02", "title": {"zh": "公交充值卡", "en": "Bus card"}, "price": 2_000}
    offer = (await counter.post("till", "/offers", body)).json()["id"]
    approve, papers = f"/offers/{offer}/approve", f"/merchants/{shop}/agreements"
    missing = await counter.post("staff", approve)
    assert (409, "agreement_missing") == (missing.status_code, missing.json()["code"])
    paper = {"scenario": "S02", "number": "桓信协〔2022〕7号", "from": "2022-06-16", "sha256": "ab" * 32}
    later = await counter.post("staff", papers, paper)
    assert (201, "signed") == (later.status_code, later.json()["state"]), later.text
    assert "agreement_missing" == (await counter.post("staff", approve)).json()["code"]
    backwards = await counter.post("staff", papers, {**paper, "to": "2022-06-01"})
    assert "facts_invalid" == backwards.json()["code"] and "before" in backwards.json()["errors"][0]["detail"]
    now = (await counter.post("staff", papers, {**paper, "from": "2022-06-15", "to": "2022-06-15"})).json()
    assert "open" == (await counter.post("staff", approve)).json()["state"]
    order = {"offer": offer, "by": counter.card}
    assert "held" == (await counter.post("till", "/redemptions", order)).json()["state"]
    ended = await counter.send(
        "staff", "PATCH", f"{papers}/{now['id']}", {"state": "ended"}, **{"If-Match": now["etag"]}
    )
    assert ("ended", '"2"') == (ended.json()["state"], ended.headers["ETag"])
    gone = await counter.post("staff", "/redemptions", {"offer": offer, "by": {"subject": counter.subject}})
    assert "agreement_missing" == gone.json()["code"], gone.text
    again = await counter.send("staff", "PATCH", f"{papers}/{now['id']}", {"to": None})
    assert (409, "agreement_ended") == (again.status_code, again.json()["code"])
    both = (await counter.send("till", "GET", papers)).json()["items"]
    assert {later.json()["id"], now["id"]} == {one["id"] for one in both}
    for who, code in (("rival", "not_found"), ("resident", "forbidden")):
        assert code == (await counter.send(who, "GET", papers)).json()["code"]
    assert "forbidden" == (await counter.post("till", papers, paper)).json()["code"]


async def test_what_a_benefit_by_grade_is_paid(counter: Counter) -> None:  # noqa: F811
    """The shop says what it is owed for a unit, within what the scenario allows; never beside points."""
    await _shop(counter)
    body = {"title": {"zh": "供暖减免", "en": "Heating relief"}}
    for scenario, price, value, code in (
        ("S24", 0, 30_000, None),
        ("S24", 0, 30_001, "facts_invalid"),
        ("S13", 1_000, 1, "facts_invalid"),
        ("S14", 0, 1, "facts_invalid"),
    ):
        sent = {**body, "scenario": scenario, "price": price, "value_fen": value}
        assert code == (await counter.post("till", "/offers", sent)).json().get("code"), (scenario, value)


async def test_staff_do_not_vouch_for_themselves(counter: Counter) -> None:  # noqa: F811
    """What must be looked up in person is looked up by somebody else: an account that is linked to a person opens no
    such gate for that person."""
    await _shop(counter)
    offer = await _offer(counter, scenario="S33", price=0)
    await counter.world.staff.create(None, "own01", "a long enough password 1", ROLES, subject=counter.subject)
    counter.tokens["own"] = (await counter.world.staff.sign_in("own01", "a long enough password 1")).token
    order = {"offer": offer, "by": {"subject": counter.subject}}
    said = [(await counter.post(who, "/redemptions", order)).json() for who in ("own", "staff")]
    assert ("not_eligible", "held") == (said[0].get("code"), said[1].get("state")), said
