# SPDX-License-Identifier: Apache-2.0
"""Evaluation: caps cut in order, ladders cannot be farmed, evidence decides the book, refusals say why."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine.evaluate import Outcome, Refused, counters, evaluate
from rules.engine.explain import amount, render
from rules.engine.model import Pack
from rules.engine.pack import builtin_pack

DAY = date(2022, 3, 5)
RE01 = "RE-01"
Used = dict[tuple[str, str], int]


@pytest.fixture(scope="module")
def pack() -> Pack:
    return builtin_pack("huantai")


def award(pack: Pack, code: str = RE01, used: Used | None = None, **given: Any) -> Outcome | Refused:
    facts = given.pop("facts", {"minutes": 60} if code == RE01 else {})
    occurred_on = given.pop("occurred_on", DAY)
    return evaluate(
        pack,
        pack.indicators[code],
        facts=facts,
        evidence_level=given.pop("evidence_level", "E2"),
        occurred_on=occurred_on,
        posted_on=given.pop("posted_on", occurred_on),
        used=used or {},
        **given,
    )


def posted(*args: Any, **given: Any) -> Outcome:
    outcome = award(*args, **given)
    assert isinstance(outcome, Outcome), outcome
    return outcome


def refused(*args: Any, **given: Any) -> Refused:
    outcome = award(*args, **given)
    assert isinstance(outcome, Refused), outcome
    return outcome


def add(used: Used, outcome: Outcome, sign: int = 1) -> None:
    for use in outcome.caps:
        key = (use.id, use.start.isoformat())
        used[key] = used.get(key, 0) + sign * use.let


def test_counters_name_every_tally_and_its_window(pack: Pack) -> None:
    """Day and year of the minutes, and the ladder's own tally with its top step as limit."""
    assert [tuple(counter) for counter in counters(pack, pack.indicators[RE01], DAY)][:3] == [
        ("RE-01/day", DAY, DAY, 240),
        ("RE-01/year", date(2022, 1, 1), date(2022, 12, 31), 36000),
        ("RE-01/ladder", date(2022, 1, 1), date(2022, 12, 31), 5000),
    ]


def test_nested_caps_each_sees_what_the_inner_one_let_through(pack: Pack) -> None:
    """The year's tally is asked for the day's remainder, not for what was reported."""
    outcome = posted(pack, facts={"minutes": 300}, used={("RE-01/day", "2022-03-05"): 100})
    assert [(use.id, use.used_before, use.let) for use in outcome.caps] == [
        ("RE-01/day", 100, 140),
        ("RE-01/year", 0, 140),
        ("RE-01/ladder", 0, 0),
        ("RE-01/mark", 0, 1),
    ]
    assert (outcome.state, outcome.points) == ("reduced", 233)


def test_a_full_cap_is_a_zero_and_not_a_refusal(pack: Pack) -> None:
    """All tallies are still listed, with nothing let through."""
    outcome = posted(pack, used={("RE-01/day", "2022-03-05"): 240, ("RE-01/year", "2022-01-01"): 240})
    assert (outcome.state, outcome.standing, outcome.points) == ("zero", 0, 0)
    assert [use.let for use in outcome.caps] == [0, 0, 0, 0]
    assert outcome.standing_lot is None


def test_a_step_not_reached_is_a_posted_award(pack: Pack) -> None:
    """Standing 0 below the first step is no cap's doing, and the trace says what is missing."""
    outcome = posted(pack, facts={"minutes": 90})
    assert (outcome.state, outcome.standing, outcome.points) == ("posted", 0, 150)
    step = outcome.trace["standing"]["step"]
    assert (step["missing"], step["next_at"], step["next_level"]) == (510, 600, 200)


def test_reversed_minutes_do_not_pay_the_same_step_twice(pack: Pack) -> None:
    """Only the minutes' room comes back when standing could not be taken back; the step stays paid."""
    used: Used = {("RE-01/year", "2022-01-01"): 540}
    first = posted(pack, used=used)
    add(used, first)
    used["RE-01/year", "2022-01-01"] -= 60
    again = posted(pack, used=used, occurred_on=date(2022, 3, 6))
    assert (first.standing, again.standing) == (200, 0)


def test_a_whole_reversal_gives_the_step_back(pack: Pack) -> None:
    """When every tally is given back, the same deed earns the same again."""
    used: Used = {("RE-01/year", "2022-01-01"): 540}
    first = posted(pack, used=used)
    add(used, first)
    add(used, first, -1)
    assert posted(pack, used=used)[:5] == first[:5]


def test_several_steps_at_once(pack: Pack) -> None:
    """An award that passes two steps posts the sum of both."""
    used: Used = {("RE-01/year", "2022-01-01"): 1100, ("RE-01/ladder", "2022-01-01"): 0}
    assert posted(pack, facts={"minutes": 120}, used=used).standing == 500


def test_a_sign_in_list_alone_feeds_standing_only(pack: Pack) -> None:
    """E1 counts the minutes, gives no redeemable points, and is no refusal."""
    outcome = posted(pack, evidence_level="E1", used={("RE-01/year", "2022-01-01"): 540})
    assert (outcome.state, outcome.standing, outcome.points) == ("posted", 200, 0)
    assert outcome.caps[1].let == 60
    assert outcome.trace["points"]["step"] == {"kind": "withheld", "needs": "E2"}


def test_evidence_below_standing_is_refused(pack: Pack) -> None:
    """A self-report (E0) gives nothing, and the refusal names what is needed."""
    assert refused(pack, evidence_level="E0") == Refused(
        "evidence_too_weak", {"indicator": RE01, "given": "E0", "required": "E1"}
    )
    assert refused(pack, "CW-05", facts={"difficulty": "hard"}, evidence_level="E3").facts["required"] == "E4"


@pytest.mark.parametrize(
    ("facts", "pointer", "code"),
    [
        ({}, "/facts/minutes", "missing"),
        ({"minutes": 0}, "/facts/minutes", "out_of_range"),
        ({"minutes": 1441}, "/facts/minutes", "out_of_range"),
        ({"minutes": True}, "/facts/minutes", "not_an_integer"),
        ({"minutes": "60"}, "/facts/minutes", "not_an_integer"),
        ({"minutes": 60, "hours": 1}, "/facts/hours", "unknown"),
    ],
)
def test_facts_are_checked_by_name_type_and_range(pack: Pack, facts: dict[str, Any], pointer: str, code: str) -> None:
    """Each error points at its fact and says what is allowed."""
    refusal = refused(pack, facts=facts)
    assert refusal.code == "facts_invalid"
    assert [(error["pointer"], error["code"]) for error in refusal.facts["errors"]] == [(pointer, code)]
    assert refusal.facts["errors"][0]["allowed"]


def test_list_facts_and_evidence_words_are_checked(pack: Pack) -> None:
    """A word outside the list is refused, for facts and for the evidence level."""
    errors = refused(pack, "CW-05", facts={"difficulty": "huge"}, evidence_level="E9").facts["errors"]
    assert [(error["pointer"], error["found"]) for error in errors] == [
        ("/facts/difficulty", "huge"),
        ("/evidence", "E9"),
    ]


def test_a_deed_in_the_future_is_refused(pack: Pack) -> None:
    """Nothing is awarded before it happened, not even in the take-over window."""
    refusal = refused(pack, occurred_on=date(2022, 3, 6), posted_on=DAY, takeover=True)
    assert refusal.facts["errors"][0]["code"] == "in_future"


def test_the_entry_deadline(pack: Pack) -> None:
    """One month to the day; one day later is too late."""
    assert posted(pack, posted_on=date(2022, 4, 5)).points == 100
    refusal = refused(pack, posted_on=date(2022, 4, 6))
    assert (refusal.code, refusal.facts["deadline"]) == ("entry_deadline_passed", "2022-04-05")


def test_the_take_over_window(pack: Pack) -> None:
    """No deadline; lots run from the posting day while caps stay in the year of the deed."""
    used: Used = {("RE-01/year", "2022-01-01"): 540}
    outcome = posted(pack, used=used, posted_on=date(2026, 11, 21), takeover=True)
    assert (outcome.standing_lot, outcome.points_lot) == (date(2027, 11, 30), date(2027, 12, 31))
    assert outcome.caps[1].start == date(2022, 1, 1)


def test_lots_run_from_the_deed_and_late_entry_does_not_extend_them(pack: Pack) -> None:
    """Standing to the end of the month a year on, points to the end of the following year."""
    used: Used = {("RE-01/year", "2022-01-01"): 540}
    outcome = posted(pack, used=used, posted_on=date(2022, 4, 5))
    assert (outcome.standing_lot, outcome.points_lot) == (date(2023, 3, 31), date(2023, 12, 31))


def test_before_the_pack_nothing_is_in_force(pack: Pack) -> None:
    """The refusal says since when the indicator applies."""
    refusal = refused(pack, occurred_on=date(2021, 12, 31))
    assert (refusal.code, refusal.facts["from"]) == ("indicator_not_in_force", "2022-01-01")


def test_a_deduction_is_negative_and_lapses_within_a_year(pack: Pack) -> None:
    """Only bodies; it needs a document."""
    outcome = posted(pack, "MK-09", evidence_level="E3")
    assert (outcome.standing, outcome.points, outcome.standing_lot) == (-2000, 0, date(2023, 3, 5))


def test_what_never_lapses_has_no_lot(pack: Pack) -> None:
    """Once-only items are posted without an expiry day."""
    outcome = posted(pack, "PR-07", evidence_level="E3")
    assert (outcome.standing, outcome.standing_lot) == (500, None)


def test_a_count_cap_lets_whole_awards_through(pack: Pack) -> None:
    """The inner count passes its award on to the outer one; when it is full, the outer counts nothing."""
    first = posted(pack, "RE-05")
    assert [(use.id, use.let) for use in first.caps] == [("RE-05/month", 1), ("RE-05/year", 1)]
    again = posted(pack, "RE-05", used={("RE-05/month", "2022-03-01"): 1, ("RE-05/year", "2022-01-01"): 1})
    assert again.state == "zero"
    assert [use.let for use in again.caps] == [0, 0]


def test_one_book_full_is_a_reduction(pack: Pack) -> None:
    """Standing is at its cap and points are not: the award is reduced, not zero."""
    outcome = posted(pack, "RE-02", used={("RE-02/month", "2022-03-01"): 500})
    assert (outcome.state, outcome.standing, outcome.points) == ("reduced", 0, 100)


def test_the_trace_is_plain_data(pack: Pack) -> None:
    """Objects, lists, texts and whole numbers only, so that it has one canonical form."""

    def check(value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                assert isinstance(key, str)
                check(inner)
        elif isinstance(value, list):
            for inner in value:
                check(inner)
        else:
            assert type(value) in (int, str), value

    for indicator in pack.indicators.values():
        for example in indicator.examples:
            outcome = award(
                pack,
                indicator.code,
                facts=example.facts,
                evidence_level="E4",
                occurred_on=example.occurred_on,
            )
            if isinstance(outcome, Outcome):
                check(outcome.trace)
                assert render(json.loads(json.dumps(outcome.trace)), "zh")
                assert render(outcome.trace, "en")


def test_the_explanation_names_cap_step_and_reason(pack: Pack) -> None:
    """Chinese and English say how much was cut, how far the next step is, and why points were withheld."""
    trace = posted(pack, facts={"minutes": 300}, evidence_level="E1").trace
    chinese, english = render(trace, "zh"), render(trace, "en")
    assert "本次300分钟，计入240分钟，超出的60分钟不计" in chinese
    assert "距下一档（600分钟，共2分）还差360分钟" in chinese
    assert "需要证据等级 E2，现为 E1" in chinese
    assert "360 minutes short of the next step" in english
    assert "evidence E2 is needed and this is E1" in english


def test_the_explanation_does_not_recompute(pack: Pack) -> None:
    """What is rendered is what was stored, even where it was stored wrongly."""
    trace = json.loads(json.dumps(posted(pack).trace))
    trace["points"]["result"] = 12345
    assert "兑换积分123.45分" in render(trace, "zh")


@pytest.mark.parametrize(
    ("hundredths", "text"),
    [(0, "0"), (50, "0.5"), (100, "1"), (1050, "10.5"), (1667, "16.67"), (-50, "-0.5"), (5, "0.05")],
)
def test_amounts_as_people_write_them(hundredths: int, text: str) -> None:
    """No trailing zeros, a sign only where it means something."""
    assert amount(hundredths) == text


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 600), st.booleans()), max_size=40))
def test_tallies_never_pass_their_limits(deeds: list[tuple[int, int, bool]]) -> None:
    """Whatever is reported, on whatever days: caps hold, and standing is the level of the minutes."""
    pack = builtin_pack("huantai")
    used: Used = {}
    standing = 0
    for offset, minutes, confirmed in deeds:
        day = date.fromordinal(DAY.toordinal() + offset)
        outcome = posted(
            pack,
            facts={"minutes": minutes},
            evidence_level="E2" if confirmed else "E1",
            occurred_on=day,
            used=used,
        )
        add(used, outcome)
        standing += outcome.standing
        assert all(use.used_before + use.let <= use.limit for use in outcome.caps)
    total = used.get(("RE-01/year", "2022-01-01"), 0)
    levels = [(600, 200), (1200, 500), (3000, 1000), (4800, 1500), (6000, 2000)]
    assert standing == max((level for at, level in levels if total >= at), default=0)
    assert standing == used.get(("RE-01/ladder", "2022-01-01"), 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 600)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_deeds_does_not_change_the_minutes_that_count(deeds: list[tuple[int, int]], random: Any) -> None:
    """Permuting the reports of a year keeps what counts of each day, and the standing."""

    def total(order: list[tuple[int, int]]) -> tuple[int, int]:
        used: Used = {}
        standing = 0
        for offset, minutes in order:
            outcome = posted(
                builtin_pack("huantai"),
                facts={"minutes": minutes},
                occurred_on=date.fromordinal(DAY.toordinal() + offset),
                used=used,
            )
            add(used, outcome)
            standing += outcome.standing
        return standing, used["RE-01/year", "2022-01-01"]

    shuffled = list(deeds)
    random.shuffle(shuffled)
    assert total(deeds) == total(shuffled)
