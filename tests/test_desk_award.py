# SPDX-License-Identifier: Apache-2.0
"""Single awards: who may, what is posted, what a cap lets through, and what a repeated request answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import pytest

from ledger.book import accounts
from ledger.errors import Refusal
from ledger.model import Act
from ledger.view import View
from rules.desk import AwardRequest, Cause, Evidence
from rules.engine.explain import render
from rules.ports import Actor
from tests.town import APPROVER, CLERK, EAST, PEOPLE, SHOP, STREETER, TODAY, WEST, WORKER, Town, hours

pytestmark = pytest.mark.schema("ledger", "rules")


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    town = await Town(database_url).open()
    yield town
    await town.close()


async def refused(code: str, coroutine: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await coroutine  # type: ignore[misc]
    assert caught.value.code == code, caught.value
    return caught.value


async def test_an_award_is_posted_and_explained(town: Town) -> None:
    """Points, receipt and explanation come back, and the stored award says the same."""
    answer = await town.desk.award(CLERK, hours(PEOPLE[1], 150, note="清雪"))
    record = answer.record
    assert (record.state, record.outcome, record.standing, record.points) == ("posted", "posted", 0, 250)
    assert record.receipt is not None and record.receipt["journal"] == EAST
    assert record.trace is not None and "150" in render(record.trace, "zh")
    stored = await town.desk.records.award(record.id)
    assert stored.receipt == record.receipt and stored.trace == record.trace
    assert stored.request is not None and stored.request["note"] == "清雪"
    entry = await town.ledger.entry(EAST, record.receipt["seq"])
    assert entry.leaf == record.receipt["entry_hash"]
    assert b"\xe6\xb8\x85" not in entry.body
    found = await town.desk.records.award_of_entry(EAST, record.receipt["seq"])
    assert found is not None and found.id == record.id
    assert await town.points(PEOPLE[1]) == 250


async def test_erased_award_keeps_its_numbers_only(town: Town) -> None:
    """Once the subject's key is gone the request and the trace cannot be read any more."""
    record = (await town.desk.award(CLERK, hours(PEOPLE[1]))).record
    town.safe.burnt.add(PEOPLE[1])
    stored = await town.desk.records.award(record.id)
    assert stored.trace is None and stored.request is None and stored.points == 100
    await refused("subject_erased", town.desk.award(CLERK, hours(PEOPLE[1], start="10:00")))


async def test_300_at_once_against_a_cap_of_four_hours_a_day(town: Town) -> None:
    """Of 300 simultaneous deeds on one day exactly four hours count, whatever the order."""
    asked = [town.desk.award(CLERK, hours(PEOPLE[1], 80, start=f"{n:03d}")) for n in range(300)]
    answers = await asyncio.gather(*asked)
    assert sum(answer.record.points > 0 for answer in answers) == 3
    assert {answer.record.outcome for answer in answers} == {"posted", "zero"}
    assert await town.points(PEOPLE[1]) == 399  # 3 × 1.33: each is rounded down
    assert await town.entries("award") == 300


async def test_one_deed_one_award(town: Town) -> None:
    """The same subject, indicator, place, day and start is refused; another start is another deed."""
    await town.desk.award(CLERK, hours(PEOPLE[1], start="09:00"))
    await refused("duplicate_cause", town.desk.award(CLERK, hours(PEOPLE[1], 30, start="09:00")))
    await refused("duplicate_cause", town.desk.award(STREETER, hours(PEOPLE[1], start="09:00", place=EAST)))
    await town.desk.award(CLERK, hours(PEOPLE[1], start="10:00"))
    cause = Cause("feiqiang", "D-7")
    await town.desk.award(CLERK, hours(PEOPLE[1], cause=cause))
    await refused("duplicate_cause", town.desk.award(CLERK, hours(PEOPLE[1], day=date(2022, 6, 14), cause=cause)))


async def test_a_deed_repeated_after_a_move(town: Town) -> None:
    """Moving to another community neither makes a deed new nor empties a cap."""
    await town.desk.award(CLERK, hours(PEOPLE[1], 180, start="09:00"))

    def move(view: View) -> None:
        accounts.move(view, EAST, WEST, Act("system", "2022-06-15", b"{}", "txn_m"), subject=PEOPLE[1])

    await town.run(move)
    await refused("duplicate_cause", town.desk.award(STREETER, hours(PEOPLE[1], 180, start="09:00")))
    await refused("duplicate_cause", town.desk.award(STREETER, hours(PEOPLE[1], 180, start="09:00", place=EAST)))
    record = (await town.desk.award(STREETER, hours(PEOPLE[1], 180, start="14:00"))).record
    assert (record.journal, record.outcome, record.points) == (WEST, "reduced", 100)


async def test_a_move_between_reading_and_commit_is_followed(town: Town) -> None:
    """The report was prepared for the old home; the entry goes to the new one."""
    desk = town.desk
    prepared = await desk._preparer.one(CLERK, hours(PEOPLE[1]), "txn_1")

    def move(view: View) -> None:
        accounts.move(view, EAST, WEST, Act("system", "2022-06-15", b"{}", "txn_m"), subject=PEOPLE[1])

    await town.run(move)
    from rules.desk.award import AwardCommand

    answer = await town.ledger.submit(AwardCommand(prepared, None, None))
    assert answer.value.journal == WEST


async def test_who_may_award(town: Town) -> None:
    """The place of the deed decides, nobody awards themselves, and approving is another office."""
    await refused("self_award", town.desk.award(WORKER, hours(PEOPLE[0])))
    await refused("forbidden", town.desk.award(CLERK, hours(PEOPLE[3])))
    await refused("forbidden", town.desk.award(APPROVER, hours(PEOPLE[1])))
    await refused("forbidden", town.desk.award(Actor("stf_none"), hours(PEOPLE[1])))
    await refused("not_found", town.desk.award(CLERK, hours(PEOPLE[1], place="99")))
    await refused("subject_unknown", town.desk.award(CLERK, hours("sub_nobody")))
    served_here = (await town.desk.award(CLERK, hours(PEOPLE[3], place=EAST))).record
    assert (served_here.journal, served_here.place) == (WEST, EAST)


async def test_what_is_refused(town: Town) -> None:
    """Group, facts, evidence, deadline and indicator are each refused by name."""
    desk = town.desk
    await refused("group_mismatch", desk.award(CLERK, AwardRequest(PEOPLE[1], "MK-01", TODAY)))
    await refused("group_mismatch", desk.award(CLERK, hours(PEOPLE[1], group="G1")))
    await refused("group_mismatch", desk.award(CLERK, hours(SHOP)))
    await refused("facts_invalid", desk.award(CLERK, hours(PEOPLE[1], 0)))
    await refused("evidence_too_weak", desk.award(CLERK, hours(PEOPLE[1], level="")))
    await refused("entry_deadline_passed", desk.award(CLERK, hours(PEOPLE[1], day=date(2022, 4, 1))))
    await refused("not_found", desk.award(CLERK, AwardRequest(PEOPLE[1], "ZZ-99", TODAY)))
    assert await town.entries("award") == 0


async def test_weak_evidence_feeds_standing_only(town: Town) -> None:
    """A list that only its keeper vouches for climbs the ladder of hours and earns no points."""
    record = (await town.desk.award(CLERK, hours(PEOPLE[1], 240, level="E1"))).record
    assert (record.points, record.level) == (0, "E1")


async def test_a_repeated_request_gets_the_first_answer(town: Town) -> None:
    """Same key and request: the first award; another request: refused; a refusal is repeated as well."""
    desk, ledger = town.desk, town.ledger
    first = await desk.award(CLERK, hours(PEOPLE[1]), ledger.retry("c", "k1", b"a"))
    again = await desk.award(CLERK, hours(PEOPLE[1]), ledger.retry("c", "k1", b"a"))
    assert again.replayed and again.record.id == first.record.id and again.record.trace == first.record.trace
    await refused("idempotency_key_reused", desk.award(CLERK, hours(PEOPLE[1]), ledger.retry("c", "k1", b"b")))
    await refused("forbidden", desk.award(CLERK, hours(PEOPLE[3]), ledger.retry("c", "k2", b"a")))
    said = await refused("forbidden", desk.award(CLERK, hours(PEOPLE[3]), ledger.retry("c", "k2", b"a")))
    assert said.replayed
    late = await desk.award(Actor("stf_clerk"), hours(PEOPLE[1]), ledger.retry("c", "k1", b"a"))
    assert late.replayed and late.record.id == first.record.id
    town.safe.burnt.add(PEOPLE[1])
    await refused("subject_erased", desk.award(CLERK, hours(PEOPLE[1]), ledger.retry("c", "k1", b"a")))


async def test_an_evaluation_changes_nothing(town: Town) -> None:
    """What would be posted, or why not, without an entry."""
    would = await town.desk.evaluate(CLERK, hours(PEOPLE[1], 300))
    assert (would.state, would.points) == ("reduced", 400) and would.trace is not None
    would = await town.desk.evaluate(CLERK, hours(PEOPLE[3]))
    assert would.state == "refused" and would.refusal is not None and would.refusal.code == "forbidden"
    brave = AwardRequest(PEOPLE[1], "RE-10", TODAY, {"degree": "recognised"}, evidence=(Evidence("document", "E3"),))
    assert (await town.desk.evaluate(CLERK, brave)).state == "awaiting_approval"
    assert await town.entries("award") == 0
    assert await town.ledger.fetch("SELECT * FROM award") == []
