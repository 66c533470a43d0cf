# SPDX-License-Identifier: Apache-2.0
"""Conditions, formulas, one deed under one hat, only the highest of its kind: posted, refused and given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from api import messages
from ledger import codec, verifier
from ledger.audit import audit
from ledger.book import accounts
from ledger.engine import MIGRATIONS, Ledger
from ledger.errors import Refusal
from ledger.model import Act
from ledger.view import View
from rules.desk import AwardRequest, Cause, Desk, Evidence
from rules.desk.desk import AwardAnswer
from rules.engine.evaluate import Outcome, Refused, evaluate
from rules.engine.explain import render
from rules.engine.model import Pack
from rules.engine.recount import recount
from rules.shelf import Shelf
from rules.tables import SUBJECT
from tests.export_maker import PACK, Office
from tests.ledgers import FixedClock, opened, run
from tests.packs import made, sets_of_hats
from tests.town import CLERK, EAST, PEOPLE, STREETER, TODAY, WEST, Map, Safe, Town
from tests.tree import ROOT

pytestmark = pytest.mark.schema("ledger", "rules")

ME = PEOPLE[1]
MET = {"minutes": 120, "team": 30, "trained": "2022-01-01", "insured": "yes"}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return made(tmp_path_factory.mktemp("pack"), sets_of_hats())


@pytest.fixture
async def town(database_url: str, pack: Pack) -> AsyncIterator[Town]:
    """A town that goes by the trial pack; whatever a test did, its ledger must verify."""
    town = await Town(database_url).open()
    town.desk = Desk(town.ledger, town.safe, Map(), Shelf([pack]))
    yield town
    assert [] == (await audit(town.ledger)).findings
    await town.close()


def judged(pack: Pack, code: str, facts: dict[str, Any], used: dict[tuple[str, str], int] | None = None) -> Any:
    return evaluate(
        pack,
        pack.indicators[code],
        facts=facts,
        evidence_level="E3",
        occurred_on=TODAY,
        posted_on=TODAY,
        used=used or {},
    )


def deed(code: str, facts: dict[str, Any] | None = None, *, subject: str = ME, **more: Any) -> AwardRequest:
    return AwardRequest(
        subject, code, more.pop("day", TODAY), facts or {}, evidence=(Evidence("document", "E3"),), **more
    )


HOURS, PIECE = deed("TT-01", {"minutes": 60}), deed("TT-02")


async def refused(code: str, coroutine: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await coroutine
    assert code == caught.value.code, caught.value
    return caught.value


# --- conditions and formulas ---


def test_conditions_that_hold_stand_in_the_trace_with_their_values(pack: Pack) -> None:
    """Each conjunct by itself, with the facts it saw and what it worked out from them; the prose says so."""
    outcome = judged(pack, "TT-07", MET)
    assert isinstance(outcome, Outcome)
    conditions = outcome.trace["conditions"]
    assert [{"team": 30}, {"insured": "yes"}, {"trained": "2022-01-01"}] == [one["values"] for one in conditions]
    assert [165] == [one["value"] for one in conditions[2]["worked"]]
    assert "人数不少于2，符合（人数：30人）" in render(outcome.trace, "zh")
    assert "Team is at least 2; it holds (Team: 30 people)" in render(outcome.trace, "en")
    codec.encode(outcome.trace)


async def test_what_was_reported_is_not_kept_with_a_refusal(town: Town) -> None:
    """A retry key remembers which condition was missed, and nothing that the subject's key could not erase."""
    bad = deed("TT-07", {**MET, "trained": "2020-07-08"})
    await refused("condition_not_met", town.desk.award(CLERK, bad, town.ledger.retry("c", "k", b"a")))
    ((kept,),) = await town.ledger.fetch("SELECT refusal FROM request")
    assert "从培训日到行为发生日的天数不超过365" in kept and "2020-07-08" not in kept


def test_a_condition_that_does_not_hold_refuses_and_says_which(pack: Pack) -> None:
    """All conjuncts come with their values; the sentence names those that are missed, in both languages."""
    refusal = judged(pack, "TT-07", {**MET, "team": 1, "trained": "2020-01-01"})
    assert isinstance(refusal, Refused) and "condition_not_met" == refusal.code
    assert ["no", "yes", "no"] == [one["holds"] for one in refusal.facts["conditions"]]
    assert 896 == refusal.facts["conditions"][2]["worked"][0]["value"]
    zh = messages.sentence(refusal.code, "detail", "zh", refusal.facts)
    assert "人数不少于2；从培训日到行为发生日的天数不超过365" in zh and "保险" not in zh
    assert "Team is at least 2" in messages.sentence(refusal.code, "detail", "en", refusal.facts)


@pytest.mark.parametrize("day", ["2022-1-1", "20220101", "2022-02-30", "", 20220101])
def test_a_day_is_an_iso_day(pack: Pack, day: str | int) -> None:
    """One way to write a day, and only days that there are."""
    refusal = judged(pack, "TT-07", {**MET, "trained": day})
    assert isinstance(refusal, Refused)
    assert ["not_a_day"] == [error["code"] for error in refusal.facts["errors"]]


@pytest.mark.parametrize(
    ("minutes", "used", "team", "worth"),
    [(120, 0, 30, (200, 200)), (119, 0, 30, (150, 0)), (240, 0, 30, (300, 200)), (240, 0, 60, (400, 200)),
     (600, 200, 30, (50, 0)), (600, 220, 30, (0, 0))],
)  # fmt: skip
def test_a_formula_counts_what_the_caps_have_left(
    pack: Pack, minutes: int, used: int, team: int, worth: tuple[int, int]
) -> None:
    """Half a point for each half hour up to a ceiling that hangs on the team; 2 points from two hours on."""
    outcome = judged(pack, "TT-07", {**MET, "minutes": minutes, "team": team}, {("TT-07/day", TODAY.isoformat()): used})
    assert isinstance(outcome, Outcome)
    assert worth == (outcome.standing, outcome.points) == recount(outcome.trace)


# --- one hat a day ---


async def test_the_second_hat_of_a_day_is_refused_by_the_name_of_the_first(town: Town) -> None:
    """The same hat again that day is another deed; the next day is free."""
    await town.desk.award(CLERK, HOURS)
    await town.desk.award(CLERK, deed("TT-01", {"minutes": 60}, start="09:00"))
    refusal = await refused("other_hat", town.desk.award(CLERK, PIECE))
    assert ("TT-01", "试验TT-01", "2022-06-15") == (
        refusal.facts["other"],
        refusal.facts["other_name"]["zh"],
        refusal.facts["day"],
    )
    await town.desk.award(CLERK, deed("TT-02", day=date(2022, 6, 14)))
    await town.desk.award(CLERK, deed("TT-02", subject=PEOPLE[2]))
    said = messages.sentence("other_hat", "detail", "zh", refusal.facts)
    assert "“按时长或按件”" in said and "试验TT-01" in said


async def test_taking_the_first_hat_back_frees_the_other(town: Town) -> None:
    """A reversal gives the mark back like any other room; two awards leave two marks."""
    first = (await town.desk.award(CLERK, HOURS)).record
    second = (await town.desk.award(CLERK, deed("TT-01", {"minutes": 60}, start="09:00"))).record
    await town.desk.reverse(CLERK, first.id, reason="错", occurred_on="2022-06-15")
    await refused("other_hat", town.desk.award(CLERK, PIECE))
    await town.desk.reverse(CLERK, second.id, reason="错", occurred_on="2022-06-15")
    assert 200 == (await town.desk.award(CLERK, PIECE)).record.points
    await refused("other_hat", town.desk.award(CLERK, deed("TT-01", {"minutes": 60}, start="10:00")))


async def test_an_award_of_nothing_wears_no_hat(town: Town) -> None:
    """What is 0 because a cap is full does not keep the other hat off."""
    full = [await town.desk.award(CLERK, deed("TT-01", {"minutes": 240}, start=f"0{n}:00")) for n in (8, 9)]
    assert ["posted", "zero"] == [answer.record.outcome for answer in full]
    await town.desk.reverse(CLERK, full[0].record.id, reason="错", occurred_on="2022-06-15")
    assert "posted" == (await town.desk.award(CLERK, PIECE)).record.outcome


async def test_a_race_of_two_hats_has_one_winner(town: Town) -> None:
    """Ten people, both hats at the same moment: each is awarded once."""
    people = [one for number, one in enumerate(PEOPLE[1:], 1) if number % 4 != 3]
    desks = [town.desk, town.desk]
    other = Ledger(town.url, bytes(32), clock=town.clock)
    if town.url.startswith("postgresql"):  # another process at the same books
        await other.open()
        desks[1] = Desk(other, town.safe, Map(), town.desk.shelf)
    asked = [
        desk.award(CLERK, request._replace(subject=one))
        for number, one in enumerate(people)
        for desk, request in zip(desks[:: 1 - number % 2 * 2], (HOURS, PIECE), strict=True)
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    await other.close()
    outcomes = [answer.record.state if isinstance(answer, AwardAnswer) else answer.code for answer in answers]  # type: ignore[union-attr]
    pairs = [set(outcomes[at : at + 2]) for at in range(0, len(outcomes), 2)]
    assert [{"posted", "other_hat"}] * len(people) == pairs


async def test_two_hats_in_one_sheet(town: Town) -> None:
    """The row below sees the hat of the row above, in the preview and in the commit."""
    rows = [(2, HOURS), (3, PIECE), (4, deed("TT-02", subject=PEOPLE[2]))]
    preview = await town.desk.preview(CLERK, rows)
    assert ["posted", "refused", "posted"] == [row.state for row in preview.rows]
    done = (await town.desk.commit(CLERK, rows, on_error="skip")).record
    assert [None, "other_hat", None] == [row.code for row in done.rows]


async def test_the_hat_moves_along(town: Town) -> None:
    """Moving to another community makes no second hat."""
    await town.desk.award(CLERK, HOURS)

    def move(view: View) -> None:
        accounts.move(view, EAST, WEST, Act("system", "2022-06-15", b"{}", "txn_m"), subject=ME)

    await town.run(move)
    await refused("other_hat", town.desk.award(STREETER, PIECE))


# --- one hat for a case ---


async def test_a_case_counts_once_among_its_hats(town: Town) -> None:
    """The case is the same whatever each indicator would add to its cause; without one, two deeds of a day are two."""
    case = Cause("feiqiang", "D-7")
    await town.desk.award(CLERK, deed("TT-03", cause=case))
    await refused("duplicate_cause", town.desk.award(CLERK, deed("TT-04", {"minutes": 60}, cause=case)))
    await town.desk.award(CLERK, deed("TT-04", {"minutes": 60}, cause=Cause("feiqiang", "D-8")))
    await town.desk.award(CLERK, deed("TT-03"))
    await town.desk.award(CLERK, deed("TT-04", {"minutes": 90}))


async def test_a_case_taken_back_may_be_scored_under_the_other_hat(town: Town) -> None:
    """It names the award whose place it takes; an award of another set is not the same deed."""
    case = Cause("feiqiang", "D-7")
    first = (await town.desk.award(CLERK, deed("TT-03", cause=case))).record
    hours = (await town.desk.award(CLERK, HOURS)).record
    for one in (first, hours):
        await town.desk.reverse(CLERK, one.id, reason="错", occurred_on="2022-06-15")
    other = deed("TT-04", {"minutes": 60}, cause=case)
    await refused("duplicate_cause", town.desk.award(CLERK, other))
    await refused("not_found", town.desk.award(CLERK, other._replace(replaces=hours.id)))
    strange = other._replace(cause=Cause("feiqiang", "D-8"), replaces=first.id)
    await refused("replaces_other_deed", town.desk.award(CLERK, strange))
    assert "posted" == (await town.desk.award(CLERK, other._replace(replaces=first.id))).record.state


async def test_a_race_for_one_case_has_one_winner(town: Town) -> None:
    """Two hats, twenty requests, one award."""
    case = Cause("feiqiang", "D-9")
    asked = [deed("TT-03", cause=case), deed("TT-04", {"minutes": 60}, cause=case)] * 10
    answers = await asyncio.gather(*(town.desk.award(CLERK, one) for one in asked), return_exceptions=True)
    assert 1 == sum(isinstance(answer, AwardAnswer) for answer in answers)
    assert 1 == await town.entries("award")


# --- only the highest ---


async def test_a_higher_award_adds_the_difference(town: Town) -> None:
    """Whatever the order and the indicator, the set's awards of a year come to the highest of them."""
    given: list[int] = []
    for code, level in (("TT-05", "county"), ("TT-06", "city"), ("TT-05", "city"), ("TT-05", "nation")):
        start = f"{9 + len(given):02d}:00"
        record = (await town.desk.award(CLERK, deed(code, {"level": level}, start=start))).record
        given.append(record.standing)
        assert record.trace is not None and (record.standing, 0) == recount(record.trace)
    assert [2000, 1000, 0, 7000] == given
    text = render((await town.desk.award(CLERK, deed("TT-06", {"level": "county"}))).record.trace or {}, "zh")
    assert "“年度表彰”只取最高一项：本项值20分，当年此前已记100分，本次加0分。" in text


async def test_what_was_taken_back_is_not_the_highest_any_more(town: Town) -> None:
    """After a reversal the next award adds up to its own worth again."""
    city = (await town.desk.award(CLERK, deed("TT-05", {"level": "city"}))).record
    await town.desk.reverse(CLERK, city.id, reason="错", occurred_on="2022-06-15")
    county = (await town.desk.award(CLERK, deed("TT-06", {"level": "county"}))).record
    assert 2000 == county.standing
    next_year = judged(town.desk.shelf.newest(), "TT-05", {"level": "city"}, {("best/highest", "2021-01-01"): 3000})
    assert 3000 == next_year.standing


def test_the_highest_is_what_was_posted(pack: Pack) -> None:
    """A cap on the result cuts what the set adds, and the set remembers no more than that."""
    used = {("best/highest", "2022-01-01"): 3000, ("TT-06/year", "2022-01-01"): 3000}
    outcome = judged(pack, "TT-06", {"level": "nation"}, used)
    assert isinstance(outcome, Outcome)
    assert {"TT-06/year": 3000, "best/highest": 3000} == {use.id: use.let for use in outcome.caps}
    assert ("reduced", 3000) == (outcome.state, outcome.standing) and (3000, 0) == recount(outcome.trace)


# --- why not ---


async def test_a_refused_evaluation_shows_every_check(town: Town) -> None:
    """Not only the first reason: days, evidence, facts, each condition, the other hat, and the room in each cap."""
    await town.desk.award(CLERK, deed("TT-07", MET))
    bad = deed("TT-07", {**MET, "team": 1}, day=date(2022, 5, 1), start="10:00")
    would = await town.desk.evaluate(CLERK, bad)
    assert would.refusal is not None and "entry_deadline_passed" == would.refusal.code
    holds = [(one["check"], one["holds"]) for one in would.checks]
    assert [
        ("in_force", "yes"), ("deadline", "no"), ("evidence", "yes"), ("facts", "yes"),
        ("condition", "no"), ("condition", "yes"), ("condition", "yes"), ("room", "yes"),
    ] == holds  # fmt: skip
    assert all(set(one["says"]) == {"zh", "en"} for one in would.checks)
    await town.desk.award(CLERK, PIECE)
    would = await town.desk.evaluate(CLERK, HOURS)
    hat = next(one for one in would.checks if one["check"] == "other_hat")
    assert ("no", "TT-02") == (hat["holds"], hat["other"])
    assert "还可计240分钟" in would.checks[-1]["says"]["zh"]
    assert () == (await town.desk.evaluate(CLERK, deed("TT-07", MET, subject=PEOPLE[3]))).checks
    assert 2 == await town.entries("award")


# --- the book ---


@pytest.mark.schema("ledger")
async def test_an_export_with_sets_is_verified_by_the_script_it_carries(
    database_url: str, tmp_path: Path, pack: Pack
) -> None:
    """Marks and highest-only tallies, posted and given back, are caps like any other to who checks the books."""
    clock = FixedClock()
    async with opened(database_url, clock) as ledger:
        office = Office(ledger, clock, tmp_path)
        await ledger.store.migrate({"ledger": MIGRATIONS, "rules": ROOT / "rules" / "migrations"})
        for journal in (EAST, WEST):
            await office.open(journal)
        await office.close_takeover(EAST)
        await office.member(EAST, ME)
        row = (ME, "person", EAST, EAST, orjson.dumps(["G3"]).decode(), "open", 0)
        await run(ledger, lambda view: view.insert(SUBJECT, row), EAST)
        desk = Desk(ledger, Safe(), Map(), Shelf([pack.model_copy(update={"hash": PACK})]))
        day = date.fromisoformat(clock.today)
        hours = await desk.award(CLERK, HOURS._replace(occurred_on=day))
        await desk.reverse(CLERK, hours.record.id, reason="错", occurred_on=clock.today)
        await desk.award(CLERK, PIECE._replace(occurred_on=day))
        await desk.award(CLERK, deed("TT-05", {"level": "county"}, day=day))
        await desk.award(CLERK, deed("TT-06", {"level": "city"}, day=day))
        await office.export(tmp_path / "out")
    answer = verifier.verify(str(tmp_path / "out"), jobs=1)
    assert answer["ok"], answer["lines"]
