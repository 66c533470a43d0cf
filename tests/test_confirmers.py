# SPDX-License-Identifier: Apache-2.0
"""Who may confirm hours: the record, what evidence may name, and what a suspension stops."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest

from api import erasure
from api.auth import ROLE_SCOPES, Caller
from ledger.errors import Refusal
from rules.desk.award import AwardCommand
from rules.desk.request import AwardRequest, Evidence, evidence_bytes, restated, stated
from rules.ports import Actor
from tests.front import DAY, Front, front, prepared  # noqa: F401 (fixtures)
from tests.test_desk_http import HERE, STREET, THERE

# ruff: noqa: F811 (a test's arguments are the fixtures)


def hours(subject: str, by: str | None = None, **more: Any) -> dict[str, Any]:
    proof: dict[str, Any] = {"kind": "sign_in_sheet", "level": "E2"}
    if by is not None:
        proof["confirmed_by"] = by
    deed = {"subject": subject, "indicator": "RE-01", "occurred_on": DAY, "facts": {"minutes": 60}, "place": HERE}
    return {**deed, "evidence": [proof], **more}


async def staff(front: Front, name: str, subject: str | None = None) -> str:
    made = await front.world.staff.create(None, name, "correct horse battery", [], subject=subject)
    return made.ref


async def registered(front: Front, **more: Any) -> str:
    body = {"place": HERE, "from": "2022-05-01", **more}
    return (await front.done("street", "POST", "/confirmers", body))["id"]


async def code(front: Front, who: str, body: dict[str, Any]) -> str:
    answer = await front.call(who, "POST", "/awards", body)
    return "" if answer.status_code == 201 else answer.json()["code"]


async def test_what_evidence_may_name(front: Front) -> None:
    """Somebody in force at the place on the day, not suspended now, not the one who is to be awarded."""
    wang, zhao = front.people["王丽"], front.people["赵敏"]
    good = await registered(front, subject=zhao)
    above = await registered(front, staff=await staff(front, "street.one"), place=STREET)
    elsewhere = await registered(front, subject=zhao, place=THERE)
    before = await registered(front, subject=wang, **{"from": "2022-01-01", "to": "2022-05-08"})
    own = await registered(front, subject=wang, **{"from": DAY, "to": DAY})
    assert "" == await code(front, "clerk", hours(wang, good))
    assert "" == await code(front, "clerk", hours(zhao, above))
    again = {"start": "15:00"}
    for body, expected in (
        (hours(wang, "cfm_nobody", **again), "confirmer_unknown"),
        (hours(wang, elsewhere, **again), "confirmer_unknown"),
        (hours(wang, before, **again), "confirmer_unknown"),
        (hours(wang, own, **again), "self_award"),
    ):
        assert expected == await code(front, "clerk", body)
        judged = await front.done("clerk", "POST", "/evaluations", body)
        assert ("refused", expected) == (judged["state"], judged["code"])
    await front.done("approver", "POST", f"/confirmers/{good}/suspend", {"reason": "时长造假，正在核查"})
    assert "confirmer_suspended" == await code(front, "clerk", hours(wang, good, **again))
    assert "confirmer_suspended" == await code(front, "clerk", hours(wang, good, occurred_on="2022-05-02"))
    await front.done("admin", "POST", f"/confirmers/{good}/resume", {"reason": "核查完毕"})
    assert "" == await code(front, "clerk", hours(wang, good, **again))
    awards = [row[0] for row in await front.world.ledger.fetch("SELECT id FROM award")]
    told = [(await front.world.desk.records.award(id_)).request or {} for id_ in awards]
    assert sorted([good, good, above]) == sorted(one["evidence"][0]["confirmed_by"] for one in told)


async def test_a_batch_says_it_row_by_row(front: Front) -> None:
    """One row with a suspended confirmer does not hold up the others."""
    wang, zhao = front.people["王丽"], front.people["赵敏"]
    good, bad = await registered(front, subject=zhao), await registered(front, staff=await staff(front, "two"))
    await front.done("street", "POST", f"/confirmers/{bad}/suspend", {"reason": "核查"})
    rows = [hours(wang, good), hours(zhao, bad), hours(wang, "cfm_x", start="16:00")]
    done = await front.done("clerk", "POST", "/award-batches?on_error=skip", {"items": rows})
    assert [None, "confirmer_suspended", "confirmer_unknown"] == [row.get("code") for row in done["rows"]]


async def test_staff_whose_right_is_suspended(front: Front) -> None:
    """They bring hours of the place only on another's word; other deeds and other places as before."""
    wang, zhao = front.people["王丽"], front.people["赵敏"]
    mine = await front.world.confirmers.register(
        Actor("stf_street", None, (("street_staff", STREET),)),
        who="stf_clerk",
        kind="staff",
        place=HERE,
        from_day=date(2022, 5, 1),
    )
    other = await registered(front, subject=zhao)
    await front.done("street", "POST", f"/confirmers/{mine.id}/suspend", {"reason": "核查"})
    assert "confirmer_suspended" == await code(front, "clerk", hours(wang))
    assert "confirmer_suspended" == await code(front, "clerk", hours(wang, mine.id))
    both = hours(wang)
    both["evidence"].append({"kind": "photo", "level": "E1", "confirmed_by": other})  # weaker than their own word
    assert "confirmer_suspended" == await code(front, "clerk", both)
    assert "" == await code(front, "clerk", hours(wang, other))
    assert "" == await code(front, "colleague", hours(wang, start="18:00"))
    case = {"cause": {"source": "12345", "case": "A-1"}, "facts": {}, "indicator": "RE-03"}
    assert "" == await code(front, "clerk", hours(wang, **case))
    sheet = {"items": [hours(wang, start="20:00")]}
    done = await front.call("clerk", "POST", "/award-batches", sheet)
    assert (422, "confirmer_suspended") == (done.status_code, done.json()["rows"][0]["code"])


async def test_the_record(front: Front) -> None:
    """Kept by approvers, street staff and county administrators at their places, never about themselves; readable."""
    wang, zhao = front.people["王丽"], front.people["赵敏"]
    body = {"subject": wang, "place": HERE, "from": "2022-05-01", "to": "2022-12-31", "daily_people": 30}
    refused: list[tuple[str, Any, int, str]] = [
        ("clerk", body, 403, "forbidden"),
        ("auditor", body, 403, "forbidden"),
        (wang, body, 403, "forbidden"),
        ("street", {**body, "place": "370321003"}, 404, "not_found"),
        ("street", {**body, "subject": "sub_nobody"}, 404, "subject_unknown"),
        ("street", {**body, "staff": "stf_x"}, 400, "request_invalid"),
        ("street", {**body, "subject": None}, 400, "request_invalid"),
        ("street", {**body, "subject": None, "staff": "stf_x"}, 404, "not_found"),
        ("street", {**body, "to": "2022-04-30"}, 400, "request_invalid"),
        ("street", {**body, "daily_people": 0}, 400, "request_invalid"),
    ]
    for who, sent, status, expected in refused:
        answer = await front.call(who, "POST", "/confirmers", sent)
        assert (status, expected) == (answer.status_code, answer.json()["code"]), (sent, answer.text)
    made = await front.done("approver", "POST", "/confirmers", body)
    assert (wang, "person", "active", 30) == tuple(made[n] for n in ("who", "kind", "state", "daily_people"))
    twice = await front.call("street", "POST", "/confirmers", {**body, "from": "2022-12-31", "to": None})
    assert (409, "already_confirmer") == (twice.status_code, twice.json()["code"])
    path = f"/confirmers/{made['id']}"
    assert 400 == (await front.call("street", "POST", f"{path}/suspend", {})).status_code
    assert 403 == (await front.call("clerk", "POST", f"{path}/suspend", {"reason": "x"})).status_code
    down = await front.done("street", "POST", f"{path}/suspend", {"reason": "签到表笔迹相同"})
    assert "suspended" == down["state"]
    for place in (HERE, STREET):  # not got round by being registered once more
        new = await front.call(
            "street", "POST", "/confirmers", {**body, "place": place, "from": "2023-01-01", "to": None}
        )
        assert (422, "confirmer_suspended") == (new.status_code, new.json()["code"])
    await front.done("street", "POST", "/confirmers", {**body, "place": THERE})
    await front.done("street", "POST", f"{path}/suspend", {"reason": "第二次"})  # already is
    await front.done("street", "POST", f"{path}/resume", {"reason": "已补签"})
    story = (await front.done("auditor", "GET", path))["story"]
    assert ["suspended", "active"] == [one["state"] for one in story]
    assert ["签到表笔迹相同", "已补签"] == [one["reason"] for one in story]
    assert 200 == (await front.call(wang, "GET", path)).status_code
    assert [404, 404] == [(await front.call(who, "GET", path)).status_code for who in (zhao, "clerk")]
    stored = await front.world.ledger.fetch("SELECT story FROM confirmer")
    assert all("笔迹".encode() not in bytes(row[0]) for row in stored)
    listed = await front.done("clerk", "GET", f"/confirmers?place={HERE}")
    assert [made["id"]] == [one["id"] for one in listed["items"]]
    assert 2 == len((await front.done("street", "GET", "/confirmers?state=active"))["items"])
    assert 403 == (await front.call("far", "GET", f"/confirmers?place={HERE}")).status_code


async def test_nobody_lifts_their_own_suspension(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by their login nor, with an account of their own, as that person."""
    zhao = front.people["赵敏"]
    login = await staff(front, "approver.one", zhao)
    made = await front.done("street", "POST", "/confirmers", {"staff": login, "place": HERE, "from": DAY})
    assert (zhao, "person") == (made["who"], made["kind"])
    held = (("approver", STREET),)

    async def caller(_token: str) -> Caller:
        now = front.world.clock()
        return Caller("staff", login, Actor(login, zhao, held), ROLE_SCOPES["approver"], zhao, proved_at=now)

    monkeypatch.setattr(front.world.gate, "caller", caller)
    for act in ("suspend", "resume"):
        answer = await front.call("themself", "POST", f"/confirmers/{made['id']}/{act}", {"reason": "x"})
        assert (403, "same_person") == (answer.status_code, answer.json()["code"])


async def test_a_suspension_wins_against_an_award_under_way(front: Front) -> None:
    """What was prepared before it is refused in the commit, and so is what waits for a second person."""
    wang, zhao = front.people["王丽"], front.people["赵敏"]
    confirmer = await registered(front, subject=zhao)
    rows = {"items": [hours(wang, confirmer)]}
    waits = await front.done("clerk", "POST", "/award-batches?approval=ask", rows)
    assert "awaiting_approval" == waits["state"]
    desk, actor = front.world.desk, Actor("stf_clerk", None, (("community_staff", HERE),))
    proof = (Evidence("sign_in_sheet", "E2", None, None, confirmer),)
    request = AwardRequest(wang, "RE-01", date.fromisoformat(DAY), {"minutes": 30}, place=HERE, evidence=proof)
    prepared = await desk._preparer.one(actor, request, "txn_x")  # pyright: ignore[reportPrivateUsage]
    turned = await asyncio.gather(
        *(front.done("street", "POST", f"/confirmers/{confirmer}/suspend", {"reason": "核查"}) for _ in range(3))
    )
    assert {"suspended"} == {one["state"] for one in turned}
    assert 1 == len((await front.done("street", "GET", f"/confirmers/{confirmer}"))["story"])
    with pytest.raises(Refusal, match="confirmer_suspended"):
        await front.world.ledger.submit(AwardCommand(prepared, None, None))
    (waiting,) = (await front.done("approver", "GET", "/approvals"))["items"]
    done = await front.done(
        "approver", "POST", f"/approvals/{waiting['id']}/approve", {}, headers={"If-Match": waiting["etag"]}
    )
    assert (0, "confirmer_suspended") == (done["points"], done["changed"][0]["code"])


async def test_the_erased_confirm_nothing(front: Front) -> None:
    """Their id stays, suspended; why they were suspended before cannot be read any more."""
    wang, zhao = front.people["王丽"], front.people["赵敏"]
    made = await registered(front, subject=zhao)
    for act in ("suspend", "resume"):
        await front.done("street", "POST", f"/confirmers/{made}/{act}", {"reason": "核查"})
    await erasure.erase(front.world, zhao, actor="stf_clerk", reason="wish")
    shown = await front.done("street", "GET", f"/confirmers/{made}")
    assert ("suspended", []) == (shown["state"], shown["story"])
    assert "confirmer_suspended" == await code(front, "clerk", hours(wang, made))
    resumed = await front.call("street", "POST", f"/confirmers/{made}/resume", {"reason": "x"})
    assert (410, "subject_erased") == (resumed.status_code, resumed.json()["code"])


def test_old_requests_still_mean_what_they_did() -> None:
    """Without a confirmer nothing of a stored request or its digests changes; with one both carry it."""
    plain = AwardRequest("sub_1", "RE-01", date(2022, 5, 9), {}, evidence=(Evidence("sheet", "E2", None, "7"),))
    assert (b'{"kind":"sheet","level":"E2","reference":"7"}',) == evidence_bytes(plain)
    named = plain._replace(evidence=(Evidence("sheet", "E2", confirmed_by="cfm_1"),))
    assert (b'{"confirmed_by":"cfm_1","kind":"sheet","level":"E2"}',) == evidence_bytes(named)
    for request in (plain, named):
        assert request.evidence == restated(stated(request, HERE, "G3")).evidence
