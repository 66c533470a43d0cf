# SPDX-License-Identifier: Apache-2.0
"""What holds for all histories: order of independent deeds, larger caps, new rules, reversals, and the second count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import codec
from rules.engine.evaluate import Outcome, Refused, counters, evaluate
from rules.engine.explain import render
from rules.engine.model import Indicator, Pack
from rules.engine.pack import builtin_pack
from rules.engine.recount import recount
from rules.engine.values import PerUnit
from tests.packs import made, sets_of_hats

FIRST = date(2023, 1, 1)
FOUNDING = builtin_pack("huantai")
Tallies = dict[tuple[str, str], int]


class Deed(NamedTuple):
    """One report of one of a few people, on one of sixty days."""

    who: int
    code: str
    day: date
    level: str
    facts: Mapping[str, int | str]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return made(tmp_path_factory.mktemp("pack"), sets_of_hats())


@st.composite
def facts_of(draw: st.DrawFn, indicator: Indicator) -> dict[str, int | str]:
    """Facts in range, the ends of the range as often as its middle."""
    facts: dict[str, int | str] = {}
    for field in indicator.fields:
        if field.type == "enum":
            facts[field.name] = draw(st.sampled_from(sorted(field.values)))
        elif field.type == "day":
            facts[field.name] = (FIRST - timedelta(days=draw(st.integers(0, 700)))).isoformat()
        else:
            least, most = field.min or 0, field.max or 0
            few = min(most, least + 300)
            facts[field.name] = draw(st.one_of(st.integers(least, few), st.integers(least, most), st.just(most)))
    return facts


@st.composite
def deeds_of(draw: st.DrawFn, pack: Pack, codes: Sequence[str], most: int = 25, people: int = 2) -> list[Deed]:
    made: list[Deed] = []
    for _ in range(draw(st.integers(1, most))):
        code = draw(st.sampled_from(codes))
        made.append(
            Deed(
                draw(st.integers(1, people)),
                code,
                FIRST + timedelta(days=draw(st.integers(0, 60))),
                draw(st.sampled_from(["E1", "E2", "E3", "E4"])),
                draw(facts_of(pack.indicators[code])),
            )
        )
    return made


def judge(pack: Pack, deed: Deed, used: Tallies) -> Outcome | Refused:
    return evaluate(
        pack,
        pack.indicators[deed.code],
        facts=deed.facts,
        evidence_level=deed.level,
        occurred_on=deed.day,
        posted_on=deed.day,
        used=used,
    )


def add(used: Tallies, outcome: Outcome, sign: int = 1) -> None:
    for use in outcome.caps:
        key = (use.id, use.start.isoformat())
        used[key] = used.get(key, 0) + sign * use.let


def told(pack: Pack, history: Sequence[Deed]) -> tuple[dict[tuple[int, str], list[int]], list[tuple[int, int] | str]]:
    """Totals by person and indicator (standing, points), and what each deed came to."""
    used: dict[int, Tallies] = defaultdict(dict)
    totals: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    each: list[tuple[int, int] | str] = []
    for deed in history:
        outcome = judge(pack, deed, used[deed.who])
        if isinstance(outcome, Refused):
            each.append(outcome.code)
            continue
        add(used[deed.who], outcome)
        each.append((outcome.standing, outcome.points))
        total = totals[deed.who, deed.code]
        total[0] += outcome.standing
        total[1] += outcome.points
    return dict(totals), each


def with_cap(pack: Pack, code: str, index: int, most: int) -> Pack:
    """The same pack with another limit in one cap of one indicator."""
    indicator = pack.indicators[code]
    caps = list(indicator.caps)
    caps[index] = caps[index].model_copy(update={"max": most})
    changed = indicator.model_copy(update={"caps": tuple(caps)})
    return pack.model_copy(update={"indicators": {**pack.indicators, code: changed}})


CAPPED = sorted(code for code, indicator in FOUNDING.indicators.items() if indicator.caps)
HOURLY = sorted(
    code for code in CAPPED if len([cap for cap in FOUNDING.indicators[code].caps if cap.on == "minutes"]) > 1
)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_order_of_independent_deeds_does_not_matter(trial: Pack, data: st.DataObject) -> None:
    """Two deeds are independent when they touch no tally in common; swapped anywhere, each still earns the same."""
    pack = data.draw(st.sampled_from([FOUNDING, trial]))
    history = data.draw(deeds_of(pack, sorted(pack.indicators)))
    touched = [
        {(deed.who, use.id, use.start) for use in counters(pack, pack.indicators[deed.code], deed.day)}
        for deed in history
    ]
    order = list(range(len(history)))
    for at in data.draw(st.lists(st.integers(0, max(0, len(order) - 2)), max_size=40)):
        if at + 1 < len(order) and not touched[order[at]] & touched[order[at + 1]]:
            order[at], order[at + 1] = order[at + 1], order[at]
    totals, each = told(pack, history)
    again, shuffled = told(pack, [history[index] for index in order])
    assert totals == again
    assert each == [shuffled[order.index(index)] for index in range(len(history))]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_within_its_caps_the_order_of_hours_does_not_matter_either(data: st.DataObject) -> None:
    """A ladder depends on the total alone, a highest-only set on the highest alone."""
    minutes = data.draw(st.lists(st.integers(1, 240), min_size=1, max_size=40))
    hours = [Deed(1, "RE-01", FIRST + timedelta(days=n), "E2", {"minutes": one}) for n, one in enumerate(minutes)]
    assert told(FOUNDING, hours)[0] == told(FOUNDING, data.draw(st.permutations(hours)))[0]
    honours = ["model_family", "county", "city", "province", "nation"]
    levels = data.draw(st.lists(st.sampled_from(honours), min_size=1, max_size=5))
    awards = [Deed(1, "RE-13", FIRST, "E3", {"level": level}) for level in levels]
    _, each = told(FOUNDING, data.draw(st.permutations(awards)))
    best = max(told(FOUNDING, [award])[0][1, "RE-13"][0] for award in awards)
    assert best == sum(one[0] for one in each if not isinstance(one, str))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_raising_the_outermost_cap_lowers_nobody(data: st.DataObject) -> None:
    """Of no deed and in neither book: nothing stands behind that cap that could fill up earlier."""
    code = data.draw(st.sampled_from([code for code in CAPPED if FOUNDING.indicators[code].exclusion is None]))
    history = data.draw(deeds_of(FOUNDING, [code], people=1))
    caps = FOUNDING.indicators[code].caps
    before, _ = told(FOUNDING, history)
    raised = with_cap(FOUNDING, code, len(caps) - 1, caps[-1].max * data.draw(st.integers(2, 5)))
    after, _ = told(raised, history)
    sign = -1 if FOUNDING.indicators[code].direction == "minus" else 1
    for who, (standing, points) in before.items():
        assert sign * after[who][0] >= sign * standing and after[who][1] >= points


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_raising_an_inner_cap_lowers_no_total(data: st.DataObject) -> None:
    """More may count on one day and less on a later one, never less in all; what is rounded down for each award may
    differ by less than a hundredth for each."""
    code = data.draw(st.sampled_from(HOURLY))
    history = data.draw(deeds_of(FOUNDING, [code], people=1))
    indicator = FOUNDING.indicators[code]
    before, each = told(FOUNDING, history)
    after, _ = told(with_cap(FOUNDING, code, 0, indicator.caps[0].max * data.draw(st.integers(2, 5))), history)
    assert not isinstance(indicator.points, PerUnit) or "hundredth" == indicator.points.rounding
    for who, (standing, points) in before.items():
        assert after[who][0] >= standing and after[who][1] > points - len(each)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_new_rule_changes_no_other(trial: Pack, data: st.DataObject) -> None:
    """With or without a rule that is in no set with them, all others give the same, deed by deed."""
    pack = data.draw(st.sampled_from([FOUNDING, trial]))
    alone = [
        code
        for code, one in pack.indicators.items()
        if one.exclusion is None and one.highest_only is None and len(pack.indicators) > 1
    ]
    added = data.draw(st.sampled_from(sorted(alone)))
    fewer = pack.model_copy(
        update={"indicators": {code: one for code, one in pack.indicators.items() if code != added}}
    )
    history = data.draw(deeds_of(pack, sorted(pack.indicators)))
    _, each = told(pack, history)
    _, without = told(fewer, [deed for deed in history if deed.code != added])
    assert without == [one for deed, one in zip(history, each, strict=True) if deed.code != added]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_reversal_gives_the_room_back(trial: Pack, data: st.DataObject) -> None:
    """The last award taken back leaves the tallies as it found them; all taken back leave nothing behind."""
    pack = data.draw(st.sampled_from([FOUNDING, trial]))
    used: Tallies = {}
    posted: list[Outcome] = []
    for deed in data.draw(deeds_of(pack, sorted(pack.indicators), people=1)):
        found = dict(used)
        outcome = judge(pack, deed, used)
        if isinstance(outcome, Refused):
            continue
        add(used, outcome)
        add(used, outcome, -1)
        assert found == {key: count for key, count in used.items() if count or key in found}
        assert judge(pack, deed, used) == outcome
        add(used, outcome)
        posted.append(outcome)
    for outcome in data.draw(st.permutations(posted)):
        add(used, outcome, -1)
    assert not any(used.values())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_trace_recounts_to_its_own_numbers(trial: Pack, data: st.DataObject) -> None:
    """From the trace alone, as it is stored, in any history; and it can be told in both languages."""
    pack = data.draw(st.sampled_from([FOUNDING, trial]))
    used: Tallies = {}
    for deed in data.draw(deeds_of(pack, sorted(pack.indicators), people=1)):
        outcome = judge(pack, deed, used)
        if isinstance(outcome, Refused):
            continue
        add(used, outcome)
        stored: Any = codec.decode(codec.encode(outcome.trace))
        assert (outcome.standing, outcome.points) == recount(stored)
        assert render(stored, "zh") and render(stored, "en")


def test_a_trace_that_was_tampered_with_recounts_to_something_else() -> None:
    """Each number that matters moves the result, or contradicts another."""
    outcome = judge(FOUNDING, Deed(1, "RE-01", FIRST, "E2", {"minutes": 300}), {("RE-01/year", "2023-01-01"): 540})
    assert isinstance(outcome, Outcome) and (200, 400) == (outcome.standing, outcome.points)
    for path, value in (
        (("caps", 0, "limit"), 120),
        (("caps", 0, "used_before"), 30),
        (("facts", "minutes"), 60),
        (("points", "step", "amount"), 200),
        (("standing", "step", "level_after"), 500),
        (("standing", "step", "posted_before"), 100),
    ):
        stored: Any = codec.decode(codec.encode(outcome.trace))
        place = stored
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        with suppress(ValueError):  # two numbers that cannot both be true
            assert (200, 400) != recount(stored), path
