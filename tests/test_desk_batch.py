# SPDX-License-Identifier: Apache-2.0
"""Batches: all rows or none, states row by row, the four-eyes threshold, approval, rejection and reversal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ledger.errors import Refusal
from rules.desk import AwardRequest, Evidence, lists
from rules.desk.batch import BatchRefused
from rules.ports import Actor
from tests.test_desk_award import refused
from tests.town import APPROVER, CLERK, EAST, PEOPLE, SECOND, SHOP, STREET, STREETER, TODAY, WEST, Town, hours

pytestmark = pytest.mark.schema("ledger", "rules")

Rows = list[tuple[int, AwardRequest | Refusal | None]]


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    town = await Town(database_url).open()
    yield town
    await town.close()


def sheet(count: int = 6, *, minutes: int = 60, level: str = "") -> Rows:
    """Rows 2, 3, … one deed each, over both communities."""
    return [
        (
            n + 2,
            hours(
                PEOPLE[n % 12], minutes, start=f"{n // 12:03d}", level=level, place=EAST if n % 12 % 4 != 3 else WEST
            ),
        )
        for n in range(count)
    ]


def states(rows: object) -> list[str]:
    return [row.state for row in rows]  # type: ignore[attr-defined]


async def test_a_small_api_batch_is_posted_at_once(town: Town) -> None:
    """Rows go to their own journals under one transaction id, duplicates and asides are said and not posted."""
    rows = sheet(4, level="E2")
    rows += [(6, rows[0][1]), (7, None), (8, hours(PEOPLE[1], 300, start="9", level="E2"))]
    record = (await town.desk.commit(STREETER, rows)).record
    assert record.state == "posted"
    assert states(record.rows) == ["posted"] * 4 + ["duplicate", "ignored", "reduced"]
    assert record.counts == {
        "posted": 4, "reduced": 1, "zero": 0, "duplicate": 1, "refused": 0, "ignored": 1,
    }  # fmt: skip
    assert record.points == 4 * 100 + 300
    stored = await town.desk.records.batch(record.id)
    assert states(stored.rows) == states(record.rows) and stored.points == 700
    found = await town.ledger.fetch("SELECT DISTINCT journal FROM award ORDER BY journal")
    assert [journal for (journal,) in found] == [EAST, WEST]


async def test_one_refused_row_refuses_the_batch(town: Town) -> None:
    """By default nothing is stored; with `skip` the other rows are posted. A preview says the same."""
    rows = [*sheet(2, level="E2"), (9, Refusal("ambiguous", count=2)), (10, hours(SHOP))]
    preview = await town.desk.preview(STREETER, rows)
    assert states(preview.rows) == ["posted", "posted", "refused", "refused"]
    assert preview.id == "" and {row.award for row in preview.rows} == {None}
    retry = town.ledger.retry("c", "k", b"x")
    for _ in range(2):
        said = await refused("batch_has_errors", town.desk.commit(STREETER, rows, retry=retry))
        assert [row["state"] for row in said.facts["rows"]] == ["posted", "posted", "refused", "refused"]
        assert said.facts["rows"][3]["code"] == "group_mismatch" and said.facts["refused"] == 2
    assert said.replayed and not isinstance(said, BatchRefused)
    assert await town.entries("award") == 0 and await town.ledger.fetch("SELECT * FROM batch") == []
    record = (await town.desk.commit(STREETER, rows, on_error="skip")).record
    assert states(record.rows) == ["posted", "posted", "refused", "refused"]
    assert await town.entries("award") == 2


async def test_the_same_batch_twice_and_half_of_it_again(town: Town) -> None:
    """Not one point twice: a replay answers the first batch, another key finds duplicates."""
    rows = sheet(10, level="E2")
    retry = town.ledger.retry("c", "k", b"x")
    first = await town.desk.commit(STREETER, rows, retry=retry)
    again = await town.desk.commit(STREETER, rows, retry=retry)
    assert again.replayed and again.record == first.record.__class__(
        **{name: getattr(first.record, name) for name in first.record.__slots__ if name != "rows"},
        rows=again.record.rows,
    )
    assert [row.brief() for row in again.record.rows] == [row.brief() for row in first.record.rows]
    half = (await town.desk.commit(STREETER, rows[::2])).record
    assert states(half.rows) == ["duplicate"] * 5 and half.points == 0
    assert await town.entries("award") == 10


async def test_two_batches_at_once_share_a_cap(town: Town) -> None:
    """Simultaneous batches for one person together stay inside four hours a day."""
    asked = [town.desk.commit(CLERK, [(n, hours(PEOPLE[1], 120, start=f"{b}{n}")) for n in range(3)]) for b in range(4)]
    await asyncio.gather(*asked)
    assert await town.points(PEOPLE[1]) == 400


async def test_a_small_sheet_feeds_standing_only(town: Town) -> None:
    """Nobody but the uploader stands by it, so there are no points; whoever asks for a second person gets them."""
    record = (await town.desk.commit(STREETER, sheet(3), source="sheet")).record
    assert (record.state, record.points, states(record.rows)) == ("posted", 0, ["posted"] * 3)
    asked = (await town.desk.commit(STREETER, sheet(6)[3:], source="sheet", ask=True)).record
    assert (asked.state, asked.points) == ("awaiting_approval", 300)
    assert [why["code"] for why in asked.why] == ["asked"]


async def test_a_large_sheet_waits_and_is_posted_by_another(town: Town) -> None:
    """Above 200 rows a second person confirms; E1 becomes E2, and what changed since the preview is said."""
    rows = sheet(204, minutes=20)
    record = (await town.desk.commit(STREETER, rows, source="sheet")).record
    assert record.state == "awaiting_approval"
    assert record.why[0] == {"code": "many_rows", "rows": 204, "limit": 200}
    assert set(states(record.rows)) == {"posted", "zero"} or "reduced" in states(record.rows)
    assert await town.entries("award") == 0 and record.points > 0
    await town.desk.award(CLERK, hours(PEOPLE[1], 240, start="x"))
    (found,) = await town.ledger.fetch("SELECT id FROM approval")
    approval = await town.desk.records.approval(found[0])
    assert (approval.place, approval.lines, approval.points) == (STREET, 204, record.points)
    await refused("same_person", town.desk.approve(STREETER, approval.id))
    await refused("forbidden", town.desk.approve(CLERK, approval.id))
    await refused("precondition_failed", town.desk.approve(APPROVER, approval.id, etag="old"))
    await refused("self_award", town.desk.approve(Actor("stf_x", PEOPLE[2], APPROVER.roles), approval.id))
    outcomes = await asyncio.gather(
        town.desk.approve(APPROVER, approval.id, etag=approval.etag),
        town.desk.approve(SECOND, approval.id, etag=approval.etag),
        return_exceptions=True,
    )
    wins = [one for one in outcomes if not isinstance(one, BaseException)]
    losses = [one for one in outcomes if isinstance(one, Refusal)]
    assert len(wins) == 1 and [one.code for one in losses] == ["precondition_failed"]
    decided = wins[0][0]
    assert {one["now"]["state"] for one in decided.changed} == {"zero"}
    assert decided.points == record.points - 12 * 33 and len(decided.changed) >= 12
    batch = await town.desk.records.batch(record.id)
    assert (batch.state, batch.points) == ("posted", decided.points)
    levels = await town.ledger.fetch("SELECT DISTINCT level FROM award WHERE batch = ?", record.id)
    assert levels == [("E2",)]
    assert await town.entries("award") == 205
    await refused("duplicate_cause", town.desk.award(STREETER, hours(PEOPLE[1], 20, start="000", place=EAST)))


async def test_more_than_two_percent_of_last_month_needs_a_second_person(town: Town) -> None:
    """Above 20 rows the share of what the journal gave in the calendar month before decides."""
    town.now = int(datetime(2022, 6, 16, 4, tzinfo=UTC).timestamp()) * 1_000_000
    for n in range(1, 9):
        if n != 3 and n != 7:
            await town.desk.award(STREETER, hours(PEOPLE[n], 240, day=date(2022, 6, 16)))
    town.now = int(datetime(2022, 7, 2, 4, tzinfo=UTC).timestamp()) * 1_000_000
    rows = [(n, hours(PEOPLE[4], 1, day=date(2022, 7, 1), start=str(n))) for n in range(40)]
    record = (await town.desk.commit(STREETER, rows[:20])).record
    assert record.state == "posted"
    record = (
        await town.desk.commit(
            STREETER, [(n, hours(PEOPLE[5], 2, day=date(2022, 7, 1), start=str(n))) for n in range(21)]
        )
    ).record
    assert record.state == "awaiting_approval"
    assert [why["code"] for why in record.why] == ["large_share"]


async def test_deductions_and_honours_wait_for_a_second_person(town: Town) -> None:
    """A body loses standing only when two people agree; a person never does."""
    minus = AwardRequest(SHOP, "MK-08", TODAY, evidence=(Evidence("decision", "E3", reference="鲁01"),))
    proposed = (await town.desk.award(CLERK, minus)).record
    assert (proposed.state, proposed.receipt) == ("awaiting_approval", None)
    (found,) = await town.ledger.fetch("SELECT id FROM approval WHERE state = 'open'")
    approval = await town.desk.records.approval(found[0])
    assert approval.kind == "award" and approval.why[0]["code"] == "second_person"
    retry = town.ledger.retry("c", "ok", b"")
    decided, replayed = await town.desk.approve(APPROVER, approval.id, etag=approval.etag, retry=retry)
    assert decided.standing < 0 and not replayed
    again, replayed = await town.desk.approve(APPROVER, approval.id, etag=approval.etag, retry=retry)
    assert replayed and again == decided
    stored = await town.desk.records.award(proposed.id)
    assert (stored.state, stored.proposer, stored.approver) == ("posted", CLERK.id, APPROVER.id)
    assert await town.entries("deduct") == 1


async def test_a_rejected_report_leaves_no_entry(town: Town) -> None:
    """The reason is kept with the report, sealed; the deed may be reported again."""
    brave = AwardRequest(PEOPLE[1], "RE-10", TODAY, {"degree": "recognised"}, evidence=(Evidence("document", "E3"),))
    proposed = (await town.desk.award(CLERK, brave)).record
    (found,) = await town.ledger.fetch("SELECT id FROM approval")
    await refused("forbidden", town.desk.reject(WEST_CLERK, found[0], reason="x"))
    decided, _ = await town.desk.reject(APPROVER, found[0], reason="证明不是原件")
    assert decided.state == "rejected"
    stored = await town.desk.records.award(proposed.id)
    assert stored.state == "rejected" and stored.later["rejection"]["reason"] == "证明不是原件"
    await refused("precondition_failed", town.desk.approve(APPROVER, found[0]))
    assert await town.entries("award") == 0
    again = (await town.desk.award(CLERK, brave)).record
    assert again.state == "awaiting_approval"


WEST_CLERK = Actor("stf_west", None, (("community_staff", WEST),))


async def test_a_reversal_gives_the_room_back(town: Town) -> None:
    """Points go back, the cap has room again, and only one award may take the place of the reversed one."""
    first = (await town.desk.award(CLERK, hours(PEOPLE[1], 240, start="1"))).record
    assert (await town.desk.award(CLERK, hours(PEOPLE[1], 60, start="2"))).record.outcome == "zero"
    await refused("forbidden", town.desk.reverse(WEST_CLERK, first.id, reason="r", occurred_on="2022-06-15"))
    retry = town.ledger.retry("c", "rev", b"")
    reversal, _ = await town.desk.reverse(CLERK, first.id, reason="活动取消", occurred_on="2022-06-15", retry=retry)
    assert (reversal.state, reversal.points, reversal.shortfall) == ("reversed", -400, 0)
    again, replayed = await town.desk.reverse(CLERK, first.id, reason="活动取消", occurred_on="2022-06-15", retry=retry)
    assert replayed and again == reversal
    await refused("already_reversed", town.desk.reverse(CLERK, first.id, reason="r", occurred_on="2022-06-15"))
    late = town.desk.reverse(CLERK, first.id, reason="r", occurred_on="2022-06-16")
    await refused("facts_invalid", late)
    assert await town.points(PEOPLE[1]) == 0
    assert (await town.desk.records.award(first.id)).later["reversal"]["reason"] == "活动取消"
    assert (await town.desk.award(CLERK, hours(PEOPLE[1], 60, start="3"))).record.points == 100
    await refused("duplicate_cause", town.desk.award(CLERK, hours(PEOPLE[1], 120, start="1")))
    new = (await town.desk.award(CLERK, hours(PEOPLE[1], 120, start="1", replaces=first.id))).record
    assert new.points == 200
    await refused("already_replaced", town.desk.award(CLERK, hours(PEOPLE[1], 90, start="1", replaces=first.id)))


async def test_a_whole_batch_is_reversed(town: Town) -> None:
    """Selected rows first, then the rest; rows reversed before are said, not refused."""
    rows = sheet(8, level="E2")
    batch = (await town.desk.commit(STREETER, rows)).record.id
    some, _ = await town.desk.reverse_batch(STREETER, batch, reason="r", occurred_on="2022-06-15", rows=[2, 5])
    assert [(one.row, one.state) for one in some] == [(2, "reversed"), (5, "reversed")]
    assert (await town.desk.records.batch(batch)).state == "partly_reversed"
    await refused(
        "not_found", town.desk.reverse_batch(STREETER, batch, reason="r", occurred_on="2022-06-15", rows=[99])
    )
    town.safe.burnt.add(PEOPLE[2])
    rest, _ = await town.desk.reverse_batch(STREETER, batch, reason="r", occurred_on="2022-06-15")
    assert [one.state for one in rest].count("already_reversed") == 2
    assert [one.state for one in rest].count("reversed") == 5
    assert [one.state for one in rest].count("subject_erased") == 1
    assert await town.entries("reverse") == 7
    sums = await town.ledger.fetch("SELECT SUM(amount) FROM balance WHERE unit = 'points' AND account <> 'issuer'")
    assert int(sums[0][0]) == 100


async def test_lists(town: Town) -> None:
    """Newest first, page by page, and only what lies in the reader's places."""
    from piccolo.engine.postgres import PostgresEngine
    from piccolo.engine.sqlite import SQLiteEngine

    from rules.tables import ApprovalRow, AwardRow, BatchRow

    batch = (await town.desk.commit(STREETER, sheet(8, level="E2"))).record
    await town.desk.commit(STREETER, sheet(9)[8:], source="sheet", ask=True)
    path = getattr(town.ledger.store, "path", None)
    engine: Any = PostgresEngine({"dsn": town.url}) if path is None else SQLiteEngine(path)
    for table in (AwardRow, BatchRow, ApprovalRow):
        table._meta._db = engine
    everything = await lists.awards([STREET])
    assert len(everything) == 9 and everything[0].id > everything[-1].id
    page = await lists.awards([STREET], batch=batch.id, limit=3)
    rest = await lists.awards([STREET], batch=batch.id, before=page[-1].id)
    assert sorted(one.line or 0 for one in (*page, *rest)) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert {one.place for one in await lists.awards([WEST])} == {WEST}
    assert await lists.awards([]) == []
    assert [one.state for one in await lists.awards([STREET], state="awaiting_approval")] == ["awaiting_approval"]
    assert len(await lists.batches([STREET], "")) == 2 and len(await lists.batches([], STREETER.id)) == 2
    (waiting,) = await lists.approvals([STREET], "")
    assert waiting.lines == 1


async def test_a_list_too_weak_alone_is_confirmed_or_taken_back(town: Town) -> None:
    """What needs two sides is never refused on a sheet: it waits; whoever handed it in may take it back."""
    rows: Rows = [(2, AwardRequest(PEOPLE[1], "CW-01", TODAY)), (3, AwardRequest(PEOPLE[2], "CW-05", TODAY))]
    record = (await town.desk.commit(CLERK, rows, source="sheet", on_error="skip")).record
    assert (record.state, states(record.rows)) == ("awaiting_approval", ["posted", "refused"])
    assert [why["code"] for why in record.why] == ["needs_confirmation"]
    (found,) = await town.ledger.fetch("SELECT id FROM approval")
    decided, _ = await town.desk.reject(CLERK, found[0], reason="传错了表")
    assert decided.state == "rejected"
    batch = await town.desk.records.batch(record.id)
    assert batch.state == "rejected" and await town.entries("award") == 0
    await refused("not_reversible", town.desk.reverse_batch(CLERK, record.id, reason="r", occurred_on="2022-06-15"))
    again = (await town.desk.commit(CLERK, rows[:1], source="sheet")).record
    (waiting,) = await town.ledger.fetch("SELECT id FROM approval WHERE state = 'open'")
    decided, _ = await town.desk.approve(APPROVER, waiting[0])
    assert decided.counts["posted"] == 1 and decided.standing == again.standing == 50
