# SPDX-License-Identifier: Apache-2.0
"""Objections in the domain, on both databases: marked at once, decided by somebody else, set right in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import date
from typing import Any

import pytest

from ledger.book import accounts, awards
from ledger.errors import Refusal
from ledger.model import Act, Draft
from rules.desk import Desk
from rules.objections import Missing, Objections, Outcome, Target, lists
from rules.objections.domain import Kind, kept_until
from rules.objections.records import ObjectionRecord
from rules.ports import Actor
from rules.workdays import builtin
from tests.ledgers import DAY, assert_whole
from tests.town import APPROVER, CLERK, EAST, PEOPLE, SECOND, SHOP, STREET, STREETER, WEST, Map, Town, hours

pytestmark = pytest.mark.schema("ledger", "rules")

ANNA, BERT = PEOPLE[1], PEOPLE[2]
SELF = Actor(ANNA, ANNA)
COUNCIL = Actor("stf_council", None, (("council", EAST),))


class Nowhere:
    """One redemption of Anna's, and no editions."""

    async def redemption(self, id_: str) -> Target | None:
        return Target(ANNA, WEST, None, frozenset({SECOND.id})) if id_ == "red_1" else None

    async def edition_entry(self, id_: str) -> Target | None:
        return None

    async def accounts(self, callers: Collection[str]) -> set[str]:
        return {BERT} if CLERK.id in callers else set()


class Room(Town):
    """The town with an office for objections."""

    async def ready(self) -> Room:
        await self.open()
        self.office = Objections(self.ledger, self.safe, Map(), self.desk.shelf, builtin(), Nowhere())
        return self

    async def earned(self, minutes: int = 60, actor: Actor = CLERK, desk: Desk | None = None, **more: Any) -> Any:
        return (await (desk or self.desk).award(actor, hours(ANNA, minutes, **more))).record

    async def object(self, award: Any, reason: str = "时间不对", actor: Actor = SELF) -> ObjectionRecord:
        return (await self.office.file(actor, ANNA, "entry", (award.journal, award.seq), reason))[0]

    async def decide(
        self, id_: str, outcome: Outcome = "upheld", facts: Any = None, actor: Actor = APPROVER
    ) -> ObjectionRecord:
        return (await self.office.decide(actor, id_, outcome, "已核实", facts))[0]

    async def lots(self, subject: str = ANNA) -> dict[str, int]:
        rows = await self.ledger.fetch(
            "SELECT lot, SUM(amount) FROM balance WHERE account = ? AND unit = 'points' GROUP BY lot",
            f"subject:{subject}",
        )
        return {lot: int(amount) for lot, amount in rows}

    async def short_lot(self, lot: str, points: int = 500) -> None:
        """Points that are good for a few days only."""
        cause = self.ledger.cause("T", lot.encode(), ANNA, "2022-06-15")
        key = await self.safe.data_key(ANNA)
        act = Act("system", "2022-06-15", b"{}", self.ledger.new_id("txn"), key)
        draft = Draft(
            "award", EAST, act, subject=ANNA, group="G3", place=EAST, rule="T", pack="50" * 32, cause=cause, trace=b"{}"
        )
        await self.run(lambda view: awards.award(view, draft, standing=0, points=points, points_lot=lot))


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    room = await Room(database_url).ready()
    yield room
    await assert_whole(room.ledger)
    await room.close()


async def refused(code: str, work: Any) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await work
    assert code == refusal.value.code, refusal.value
    return refusal.value


async def test_it_is_marked_at_once_and_kept_secret(room: Room) -> None:
    """An entry in the ledger linked to the disputed one, a mark, a day by which it is due, and no readable reason."""
    award = await room.earned()
    made = await room.object(award)
    assert ("open", "2022-06-20", True, False) == (made.state, made.due, made.sure, made.on_behalf)
    entry = (await room.ledger.entry(made.journal, made.seq)).fields
    assert {"due": "2022-06-20", "id": made.id} == entry["data"] and ANNA == entry["subject"]
    assert ("disputes", award.seq) == (entry["links"][0]["rel"], entry["links"][0]["seq"])
    assert {(EAST, award.seq)} == await lists.disputed(room.ledger, EAST)
    mark = {"id": made.id, "state": "open", "due": "2022-06-20"}
    assert {(EAST, award.seq): mark} == await lists.marks(room.ledger, [(EAST, award.seq), (EAST, 0)])
    assert made.id == (await refused("objection_open", room.object(award))).facts["objection"]
    rows = await room.ledger.fetch("SELECT * FROM objection")
    assert "时间不对".encode() not in b"".join(bytes(v) if isinstance(v, bytes) else str(v).encode() for v in rows[0])
    assert {"reason": "时间不对"} == (await room.office.one(made.id)).said
    room.safe.burnt.add(ANNA)
    assert {} == (await room.office.one(made.id)).said
    await refused("subject_erased", room.object(award))


async def test_an_award_that_should_not_be(room: Room) -> None:
    """Upheld: taken back in the same commit, the mark goes, nobody decides twice."""
    award = await room.earned()
    before = await room.points(ANNA)
    made = await room.object(award)
    done = await room.decide(made.id)
    assert ("upheld", APPROVER.id) == (done.state, done.decided_by)
    assert before - award.points == await room.points(ANNA)
    record = await room.desk.records.award(award.id)
    assert ("reversed", record.reversal_seq) == (record.state, (done.correction or {})["reversal"]["seq"])
    decision = (await room.ledger.entry(EAST, done.decision_seq or 0)).fields
    assert {"id": made.id, "outcome": "upheld"} == decision["data"] and "decides" == decision["links"][0]["rel"]
    assert decision["txn"] == (await room.ledger.entry(EAST, record.reversal_seq or 0)).fields["txn"]
    assert set() == await lists.disputed(room.ledger, EAST)
    await refused("already_decided", room.decide(made.id, "rejected", actor=SECOND))
    again = await room.object(award)  # what was decided may be disputed anew
    assert "rejected" == (await room.decide(again.id, "rejected", actor=SECOND)).state
    assert {"reason", "decision"} == (await room.office.one(again.id)).said.keys()


async def test_an_award_that_was_wrong_in_part(room: Room) -> None:
    """Reversed and posted anew with the right facts, late as it is; without facts there is nothing to decide."""
    award = await room.earned(60)
    room.now += 40 * DAY  # the report itself would now be too late
    await refused("entry_deadline_passed", room.earned(120, start="14:00"))
    made = await room.object(award)
    await refused("request_invalid", room.decide(made.id, "partly"))
    await refused("facts_invalid", room.decide(made.id, "partly", {"minutes": -1}))
    assert "open" == (await room.office.one(made.id)).state
    done = await room.decide(made.id, "partly", {"minutes": 120})
    fresh = await room.desk.records.award((done.correction or {})["award"]["award"])
    assert ("posted", 2 * award.points, "E4") == (fresh.state, fresh.points, fresh.level)
    assert award.id == (fresh.request or {})["replaces"] and fresh.points == await room.points(ANNA)


async def test_a_reversal_that_was_wrong(room: Room) -> None:
    """Upheld against a reversal: the award is posted again with its own facts."""
    award = await room.earned(60)
    back, _ = await room.desk.reverse(CLERK, award.id, reason="误操作", occurred_on="2022-06-15")
    where = back.receipt or {}
    made = (await room.office.file(SELF, ANNA, "entry", (where["journal"], where["seq"]), "我确实参加了"))[0]
    done = await room.decide(made.id)
    assert award.points == await room.points(ANNA) and {"award"} == (done.correction or {}).keys()


async def test_somebody_was_there_and_is_not_listed(room: Room) -> None:
    """The deed is posted as if reported on the day of the objection; once; and what came meanwhile is no second one."""
    there = Missing("RE-01", date(2022, 6, 10), EAST)
    made = (await room.office.file(SELF, ANNA, "missing", there, "我在现场"))[0]
    assert there.stated() == made.detail and {made.id} == {
        (await refused("objection_open", room.office.file(SELF, ANNA, "missing", there, "再提"))).facts["objection"]
    }
    room.now += 60 * DAY
    await refused("entry_deadline_passed", room.earned(60, day=date(2022, 6, 10)))
    await refused("request_invalid", room.decide(made.id))
    done = await room.decide(made.id, "upheld", {"minutes": 60})
    assert 100 == await room.points(ANNA)
    award = await room.desk.records.award((done.correction or {})["award"]["award"])
    assert ("2022-06-10", APPROVER.id) == (award.occurred_on, award.proposer)
    assert {"kind": "decision", "level": "E4", "reference": made.id} == (award.request or {})["evidence"][0]
    twice = (await room.office.file(SELF, ANNA, "missing", there, "还是没有"))[0]
    done = await room.decide(twice.id, "upheld", {"minutes": 60})
    assert (100, award.seq) == (await room.points(ANNA), (done.correction or {})["award"]["seq"])
    await refused(
        "facts_invalid", room.office.file(SELF, ANNA, "missing", Missing("RE-01", date(2023, 1, 1), EAST), "")
    )
    await refused("not_found", room.office.file(SELF, ANNA, "missing", Missing("RE-99", date(2022, 6, 1), EAST), ""))


async def test_what_takes_two_at_the_desk_takes_two_here(room: Room) -> None:
    """A deduction with other facts is taken back at once, and the new one waits for a second person."""
    body = Actor(SHOP, SHOP)
    pack = room.desk.shelf.newest()
    found = next(
        one
        for one in pack.indicators.values()
        if one.group == "G5" and one.direction == "plus" and one.approval == "second_person"
    )
    facts: dict[str, int | str] = {
        field.name: (max(field.min or 0, 1) if field.type == "int" else next(iter(field.values)))
        for field in found.fields
        if field.default is None
    }
    there = Missing(found.code, date(2022, 6, 10), EAST)
    made = (await room.office.file(body, SHOP, "missing", there, "漏记"))[0]
    done = (await room.office.decide(APPROVER, made.id, "upheld", "属实", facts))[0]
    waiting = (done.correction or {})["award"]
    assert "awaiting_approval" == (await room.desk.records.award(waiting["award"])).state
    await refused("same_person", room.desk.approve(APPROVER, waiting["approval"]))
    room.now += 60 * DAY
    await room.desk.approve(SECOND, waiting["approval"])
    assert "posted" == (await room.desk.records.award(waiting["award"])).state


async def test_nobody_decides_about_their_own_doing(room: Room) -> None:
    """Not who awarded, approved, objected on behalf or is meant; nobody from elsewhere; the home's council may."""
    award = await room.earned(actor=STREETER)
    helper = Actor("stf_helper", None, (("grid_worker", EAST), ("approver", EAST)))
    made = await room.object(award, actor=helper)
    assert made.on_behalf and helper.id == made.filed_by
    await refused("same_person", room.decide(made.id, actor=STREETER))
    await refused("same_person", room.decide(made.id, actor=helper))
    await refused("same_person", room.decide(made.id, actor=Actor("stf_anna", ANNA, (("council", EAST),))))
    for actor in (
        CLERK,
        SELF,
        Actor("stf_far", None, (("approver", WEST),)),
        Actor("a", None, (("county_admin", ""),)),
    ):
        await refused("forbidden", room.decide(made.id, actor=actor))
        await refused("forbidden", room.office.extend(actor, made.id, "要核对"))
    await refused("forbidden", room.object(award, actor=Actor("stf_far", None, (("grid_worker", WEST),))))
    await refused("not_found", room.office.file(Actor(BERT, BERT), BERT, "entry", (award.journal, award.seq), "x"))
    assert "rejected" == (await room.decide(made.id, "rejected", actor=COUNCIL)).state
    served = await room.earned(actor=Actor("stf_west", None, (("grid_worker", WEST),)), place=WEST)
    there = await room.object(served)  # the deed was in the west, the council of Anna's home may decide all the same
    assert WEST == there.place and "upheld" == (await room.decide(there.id, actor=COUNCIL)).state


async def test_a_second_login_is_no_second_person(room: Room) -> None:
    """Whoever reported, or objected for somebody, does not decide under another login linked to the same account."""
    other = Actor("stf_other", BERT, (("approver", STREET),))
    made = await room.object(await room.earned(actor=CLERK))
    await refused("same_person", room.decide(made.id, actor=other))
    there = Missing("RE-01", date(2022, 6, 10), EAST)
    helped = (await room.office.file(CLERK, ANNA, "missing", there, "她在现场"))[0]
    await refused("same_person", room.decide(helped.id, "upheld", {"minutes": 60}, actor=other))


async def test_what_was_taken_back_is_not_missing(room: Room) -> None:
    """Nobody is told "upheld, it is there" about a deed that was taken back: its reversal is what can be disputed."""
    award = await room.earned(60)
    back, _ = await room.desk.reverse(CLERK, award.id, reason="误操作", occurred_on="2022-06-15")
    there = Missing(award.indicator, date.fromisoformat(award.occurred_on), award.place)
    made = (await room.office.file(SELF, ANNA, "missing", there, "我在现场"))[0]
    await refused("duplicate_cause", room.decide(made.id, "upheld", {"minutes": 60}))
    where = back.receipt or {}
    right = (await room.office.file(SELF, ANNA, "entry", (where["journal"], where["seq"]), "我在现场"))[0]
    await room.decide(right.id)
    assert award.points == await room.points(ANNA)
    done = await room.decide(made.id, "upheld", {"minutes": 60})  # by now it stands again, and once
    assert award.points == await room.points(ANNA) and "seq" in (done.correction or {})["award"]


async def test_who_approved_a_batch_does_not_judge_it(room: Room) -> None:
    """Proposer and approver of the batch that an award came with are involved."""
    batch = await room.desk.commit(CLERK, [(1, hours(ANNA)), (2, hours(BERT))], ask=True)
    (approval,) = await room.ledger.fetch("SELECT id FROM approval WHERE target = ?", batch.record.id)
    await room.desk.approve(SECOND, approval[0])
    (award,) = await room.ledger.fetch("SELECT id FROM award WHERE subject = ?", ANNA)
    made = await room.object(await room.desk.records.award(award[0]))
    await refused("same_person", room.decide(made.id, actor=SECOND))
    await room.decide(made.id)
    assert "partly_reversed" == (await room.desk.records.batch(batch.record.id)).state


async def test_a_redemption_and_what_is_not_there(room: Room) -> None:
    """A decision about an order changes no points by itself; who served it does not decide; unknown is not found."""
    made = (await room.office.file(SELF, ANNA, "redemption", "red_1", "没有拿到"))[0]
    assert ({"id": "red_1"}, WEST, None) == (made.detail, made.place, made.target_seq)
    await refused("same_person", room.decide(made.id, actor=SECOND))
    await refused("request_invalid", room.decide(made.id, "upheld", {"minutes": 60}))
    assert (await room.decide(made.id)).correction is None
    nowhere: tuple[tuple[Kind, str], ...] = (("redemption", "red_2"), ("edition_entry", "edn_1"))
    for kind, id_ in nowhere:
        await refused("not_found", room.office.file(SELF, ANNA, kind, id_, "x"))
    await refused("not_found", room.office.file(Actor(BERT, BERT), BERT, "redemption", "red_1", "x"))


async def test_of_two_decisions_at_once_one_wins(room: Room) -> None:
    """Also of two objections; and the award taken back at the desk in the same moment: one decision, one reversal."""
    award = await room.earned()
    both = await asyncio.gather(room.object(award), room.object(award), return_exceptions=True)
    (made,) = [one for one in both if isinstance(one, ObjectionRecord)]
    assert ["objection_open"] == [one.code for one in both if isinstance(one, Refusal)]
    done = await asyncio.gather(
        room.decide(made.id, "upheld", actor=APPROVER),
        room.decide(made.id, "rejected", actor=SECOND),
        room.desk.reverse(CLERK, award.id, reason="重复", occurred_on="2022-06-15"),
        return_exceptions=True,
    )
    first, second, reversed_ = done
    lost = [one for one in (first, second) if isinstance(one, Refusal)]
    assert ["already_decided"] == [one.code for one in lost], done
    if isinstance(reversed_, BaseException):
        assert isinstance(reversed_, Refusal) and "already_reversed" == reversed_.code
    assert (1, 1, 0) == (await room.entries("decision"), await room.entries("reverse"), await room.points(ANNA))


async def test_an_objection_to_what_was_taken_back_meanwhile(room: Room) -> None:
    """Upheld although the award is gone already: decided, with the reversal that there is."""
    award = await room.earned()
    made = await room.object(award)
    back, _ = await room.desk.reverse(CLERK, award.id, reason="重复", occurred_on="2022-06-15")
    done = await room.decide(made.id)
    assert (back.receipt or {})["seq"] == (done.correction or {})["reversal"]["seq"]
    assert 1 == await room.entries("reverse")


async def test_more_time_once_and_taking_it_back(room: Room) -> None:
    """Seven working days from the first day, once and not when late; the subject may withdraw and object again."""
    award = await room.earned()
    made = await room.object(award)
    longer, _ = await room.office.extend(APPROVER, made.id, "要向组织方核对")
    assert ("2022-06-24", APPROVER.id) == (longer.due, longer.extended_by)
    assert "要向组织方核对" == (await room.office.one(made.id)).said["extension"]
    await refused("objection_extended", room.office.extend(SECOND, made.id, "再延"))
    await refused("not_found", room.office.withdraw(Actor(BERT, BERT), made.id))
    ended, _ = await room.office.withdraw(SELF, made.id)
    assert "withdrawn" == ended.state and set() == await lists.disputed(room.ledger, EAST)
    assert {} == await lists.marks(room.ledger, [(EAST, award.seq)])
    await refused("already_decided", room.decide(made.id))
    again = await room.object(award)
    room.now += 10 * DAY
    assert (await room.office.one(again.id)).overdue(room.office.today)
    await refused("objection_overdue", room.office.extend(APPROVER, again.id, "太晚"))
    assert "upheld" == (await room.decide(again.id)).state


async def test_nothing_lapses_while_it_is_open(room: Room) -> None:
    """Lots about to lapse get a day thirty days after the decision is due, once; a late decision moves them monthly."""
    await room.short_lot("2022-06-16")
    award = await room.earned()
    (far,) = set(await room.lots()) - {"2022-06-16"}
    made = await room.object(award)
    assert {"2022-07-20": 500, far: award.points} == await room.lots() and 1 == await room.entries("relot")
    assert 0 == await room.office.keep()
    await room.short_lot("2022-06-19", 300)  # came since
    assert 1 == await room.office.keep() and 800 == (await room.lots())["2022-07-20"]
    room.now += 5 * DAY  # past the day on which they would have lapsed
    assert await room.office.keep() == 0
    lapsed = lambda view: awards.expire_lots(view, EAST, Act("system", "2022-06-20", b"{}", "txn_x"), subject=ANNA)  # noqa: E731
    assert await room.run(lapsed) is None
    room.now += 10 * DAY  # ten days late: kept until sixty days after it was due
    assert 1 == await room.office.keep() and {"2022-08-19": 800, far: award.points} == await room.lots()
    room.now += 15 * DAY
    assert 0 == await room.office.keep()
    await room.decide(made.id, "rejected")
    room.now += 40 * DAY
    assert 0 == await room.office.keep()
    assert await room.run(lapsed) is not None  # in its own time


def test_how_long_lots_are_kept() -> None:
    """Thirty days after it is due, and thirty more with every thirty days of delay."""
    due = date(2022, 6, 20)
    said = [kept_until(due, date(2022, 6, day)).isoformat() for day in (1, 20, 21, 30)]
    assert ["2022-07-20", "2022-07-20", "2022-08-19", "2022-08-19"] == said
    assert date(2022, 8, 19) == kept_until(due, date(2022, 7, 20)) < kept_until(due, date(2022, 7, 21))


async def test_an_erasure_ends_it(room: Room) -> None:
    """Nobody is left to be answered: the objection ends, its entries stay, and nothing of it can be read."""
    made = await room.object(await room.earned())
    key = await room.safe.data_key(ANNA)
    act = Act("system", "2022-06-15", b"{}", "txn_erase", key)
    await room.run(lambda view: accounts.erase(view, EAST, act, subject=ANNA))
    room.safe.burnt.add(ANNA)
    await refused("subject_erased", room.decide(made.id))
    assert 1 == await room.office.keep()
    ended = await room.office.one(made.id)
    assert ("erased", {}) == (ended.state, ended.said) and set() == await lists.disputed(room.ledger, EAST)


async def test_the_same_request_is_answered_the_same(room: Room) -> None:
    """A retry key: one objection and one decision, however often they are sent."""
    award = await room.earned()
    retry = room.ledger.retry(ANNA, "k1", b"objection")
    sent = [room.office.file(SELF, ANNA, "entry", (EAST, award.seq), "x", retry) for _ in range(3)]
    made = await asyncio.gather(*sent)
    assert 1 == len({found.id for found, _ in made}) and [False, True, True] == sorted(again for _, again in made)
    retry = room.ledger.retry(APPROVER.id, "k2", b"decision")
    first, again = await room.office.decide(APPROVER, made[0][0].id, "upheld", "y", None, retry)
    second, replayed = await room.office.decide(APPROVER, made[0][0].id, "upheld", "y", None, retry)
    assert (False, True, 1) == (again, replayed, await room.entries("decision"))
    assert first.decision_seq == second.decision_seq and "y" == second.said["decision"]
