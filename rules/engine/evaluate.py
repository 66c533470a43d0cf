# SPDX-License-Identifier: Apache-2.0
"""From a reported deed to what would be posted, and why: the one function that decides points.

Order: in force → in time → facts in range → evidence → conditions → no other hat that day → caps on facts → values
(or the ladder's next level) → the highest of its set → caps on the result. A cap is a result and never a refusal; a
refusal says that nothing was evaluated. Everything that does not depend on the deed is worked out once per indicator
(`plan.py`), because this runs inside the ledger's commit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple, TypeAlias

from rules.engine.calendar import iso, last_day_of_validity
from rules.engine.caps import CapUse, Counter, Slot, slots
from rules.engine.conditions import given, look
from rules.engine.language import OCCURRED_ON
from rules.engine.model import LEVELS, Indicator, Lifetime, Pack
from rules.engine.plan import RANK, Known, prepared
from rules.engine.refusals import Refused, condition_not_met, invalid, not_in_force, other_hat, too_late
from rules.engine.values import Climb

TRACE_VERSION = 1
State: TypeAlias = Literal["posted", "reduced", "zero"]
Facts: TypeAlias = Mapping[str, int | str]

# A named tuple's own constructor costs twice as much, and there are three in every award.
_cap_use: Callable[[type[CapUse], Iterable[Any]], CapUse] = tuple.__new__  # pyright: ignore


class Outcome(NamedTuple):
    """What an award posts. `trace` is to be stored and rendered; parts of it are shared: never change it."""

    state: State
    standing: int
    points: int
    standing_lot: date | None
    points_lot: date | None
    caps: tuple[CapUse, ...]
    trace: dict[str, Any]


def counters(pack: Pack, indicator: Indicator, occurred_on: date) -> tuple[Counter, ...]:
    """Every tally that an award for a deed on that day needs; its used amount is keyed (id, start).

    First those that it adds to, in the order of `Outcome.caps`, then the marks of other hats, which it looks at.
    """
    return slots(pack, indicator, occurred_on).counters


def evaluate(
    pack: Pack,
    indicator: Indicator,
    *,
    facts: Facts,
    evidence_level: str,
    occurred_on: date,
    posted_on: date,
    used: Mapping[tuple[str, str], int],
    takeover: bool = False,
) -> Outcome | Refused:
    """What this deed earns, given what its subject had already used; a missing tally is 0.

    In the take-over window the entry deadline is waived and lots run from the posting day.
    """
    plan, tallies, deadline = prepared(pack, indicator, occurred_on)
    if not plan.first <= occurred_on <= plan.last:
        return not_in_force(indicator, occurred_on)
    if posted_on > deadline and not takeover:
        return too_late(indicator, occurred_on, posted_on, deadline)
    evidence_rank = RANK.get(evidence_level, -1)
    known = facts_in_range(plan.fields, facts)
    if known is None or evidence_rank < 0 or occurred_on > posted_on:
        return invalid(indicator, facts, evidence_level, occurred_on, posted_on)
    if evidence_rank < plan.needed_rank:
        return Refused(
            "evidence_too_weak",
            {"indicator": indicator.code, "given": evidence_level, "required": LEVELS[plan.needed_rank]},
        )

    counted: Facts = {**known, OCCURRED_ON: iso(occurred_on)} if plan.dated else known
    conditions: list[dict[str, Any]] = []
    if plan.when:
        rule_facts = given(counted, plan.days)
        conditions = [look(condition, known, rule_facts) for condition in plan.when]
        if unmet := [index for index, condition in enumerate(plan.when) if not condition.holds(rule_facts)]:
            return condition_not_met(indicator, conditions, unmet)
    for other, key in tallies.others:
        if used.get(key, 0) > 0:
            return other_hat(pack, indicator, other, occurred_on)

    cap_uses: list[CapUse] = []
    cap_steps: list[dict[str, Any]] = []
    cut = emptied = False

    total_before: dict[str, int] = {}
    for slot in tallies.on_facts:
        asked = _quantity(counted, slot.on)
        let = _cut(slot, asked, used, cap_uses, cap_steps)
        total_before[slot.cap] = cap_uses[-1].used_before
        if let < asked:
            cut = True
            emptied = emptied or let == 0
            counted = {**counted, slot.on: let}

    standing = points = 0
    standing_step: dict[str, Any] = plan.no_standing
    points_step: dict[str, Any] = plan.no_points
    climb, ladder_slot = plan.climb, tallies.ladder
    if emptied:
        standing_step, points_step = plan.emptied_standing, plan.emptied_points
        if ladder_slot is not None:
            cap_uses.append(CapUse(*ladder_slot.counter, used.get(ladder_slot.key, 0), 0))
    elif climb is not None and ladder_slot is not None:
        before = total_before[climb.cap]
        standing, standing_step = _climb(
            climb, ladder_slot, before, before + _quantity(counted, climb.field), used, cap_uses
        )
    elif plan.standing is not None:
        standing, standing_step = plan.standing(counted)
    if plan.points is not None:
        if evidence_rank < plan.points_rank:
            points_step = plan.points_withheld
        elif not emptied:
            points, points_step = plan.points(counted)

    worth_standing, worth_points = standing, points
    highest_step: dict[str, Any] | None = None
    if tallies.highest is not None:
        standing, highest_step = _highest(tallies.highest, standing, used)
        cut = cut or standing < worth_standing
        emptied = emptied or (cut and not standing and not points and bool(worth_standing or worth_points))
    for slot in tallies.on_result:
        if slot.on == "count":
            asked = 0 if emptied else 1
            if _cut(slot, asked, used, cap_uses, cap_steps) < asked:
                standing, points, cut, emptied = 0, 0, True, True
        elif slot.on == "standing":
            let = _cut(slot, standing, used, cap_uses, cap_steps)
            cut = cut or let < standing
            standing = let
        else:
            let = _cut(slot, points, used, cap_uses, cap_steps)
            cut = cut or let < points
            points = let
        emptied = emptied or (cut and not standing and not points and bool(worth_standing or worth_points))

    if tallies.highest is not None:
        cap_uses.append(CapUse(*tallies.highest.counter, used.get(tallies.highest.key, 0), standing))
    if tallies.mark is not None:
        cap_uses.append(CapUse(*tallies.mark.counter, used.get(tallies.mark.key, 0), 0 if emptied else 1))
    if plan.minus:
        standing, worth_standing = -standing, -worth_standing
    standing_book: dict[str, Any] = {"worth": worth_standing, "result": standing, "step": standing_step}
    points_book: dict[str, Any] = {"worth": worth_points, "result": points, "step": points_step}
    lots_from = posted_on if takeover else occurred_on
    standing_lot = points_lot = None
    if standing and (standing_lot := _last_day(plan.standing_lifetime, lots_from, known)) is not None:
        standing_book["lot"] = iso(standing_lot)
    if points and (points_lot := _last_day(plan.points_lifetime, lots_from, known)) is not None:
        points_book["lot"] = iso(points_lot)
    state: State = "zero" if emptied else "reduced" if cut else "posted"
    trace: dict[str, Any] = {
        "v": TRACE_VERSION,
        "pack": pack.label,
        "rule": plan.rule,
        "occurred_on": iso(occurred_on),
        "posted_on": iso(posted_on),
        "evidence": evidence_level,
        "facts": known,
        "caps": cap_steps,
        "state": state,
        "standing": standing_book,
        "points": points_book,
    }
    if takeover:
        trace["takeover"] = "yes"
    if conditions:
        trace["conditions"] = conditions
    if plan.exclusion is not None:
        trace["exclusion"] = plan.exclusion
    if highest_step is not None:
        standing_book["highest"] = highest_step
    return Outcome(state, standing, points, standing_lot, points_lot, tuple(cap_uses), trace)


# --- the walk through the tallies ---


def _cut(
    slot: Slot,
    asked: int,
    used: Mapping[tuple[str, str], int],
    uses: list[CapUse],
    steps: list[dict[str, Any]],
) -> int:
    """What a tally lets through; noted for the entry and for the trace."""
    _, _, limit, key, counter, stated = slot
    used_before = used.get(key, 0)
    room = limit - used_before
    let = asked if asked <= room else max(room, 0)
    uses.append(_cap_use(CapUse, (*counter, used_before, let)))
    steps.append({**stated, "used_before": used_before, "asked": asked, "let": let})
    return let


def _climb(
    climb: Climb,
    slot: Slot,
    before: int,
    after: int,
    used: Mapping[tuple[str, str], int],
    uses: list[CapUse],
) -> tuple[int, dict[str, Any]]:
    """What the new level adds to what this ladder has already posted in its window.

    Not level(after) − level(before): after a reversal, climbing the same step again must not pay twice.
    """
    _, _, _, key, counter, stated = slot
    ats, levels = climb.ats, climb.levels
    posted_before = used.get(key, 0)
    passed = bisect_right(ats, after)
    level_after = levels[passed]
    added = level_after - posted_before if level_after > posted_before else 0
    uses.append(_cap_use(CapUse, (*counter, posted_before, added)))
    step: dict[str, Any] = {
        **stated,
        "before": before,
        "after": after,
        "level_before": levels[bisect_right(ats, before)],
        "level_after": level_after,
        "posted_before": posted_before,
    }
    if passed < len(ats):
        at = ats[passed]
        step["next_at"] = at
        step["next_level"] = levels[passed + 1]
        step["missing"] = at - after
    return added, step


def _highest(slot: Slot, worth: int, used: Mapping[tuple[str, str], int]) -> tuple[int, dict[str, Any]]:
    """What an award adds to the highest that its set has already posted in this window.

    The tally is written when the caps on the result have cut too, so it holds what was really posted.
    """
    given_before = used.get(slot.key, 0)
    let = worth - given_before if worth > given_before else 0
    return let, {**slot.stated, "worth": worth, "given_before": given_before, "let": let}


def facts_in_range(fields: tuple[Known, ...], facts: Facts) -> dict[str, int | str] | None:
    """The facts with defaults filled in; None when any is missing, unknown, mistyped or out of range."""
    known: dict[str, int | str] = {}
    for name, least, most, values, default in fields:
        value = facts.get(name, default)
        if values is None:
            # a bool passes for an int in Python, and is never a quantity
            if type(value) is not int or not least <= value <= most:
                return None
        elif type(value) is not str or value not in values:
            return None
        known[name] = value
    for name in facts:
        if name not in known:
            return None
    return known


def _quantity(facts: Facts, name: str) -> int:
    value = facts[name]
    assert isinstance(value, int), f"{name} was checked to be a number"
    return value


def _last_day(lifetime: Lifetime, start: date, facts: Facts) -> date | None:
    years = lifetime.years
    if not isinstance(years, int):
        years = years[str(facts[lifetime.by or ""])]
    return last_day_of_validity(start, years, lifetime.end)
