# SPDX-License-Identifier: Apache-2.0
"""Tallies and how they cut: a counter is one cap in one window of days.

Caps stand in a row from the inside out: each sees what the one before it let through and counts what it
lets through itself. What a subject has already used is given, never looked up.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from rules.engine.calendar import Window, window_bounds
from rules.engine.model import Indicator, Pack
from rules.engine.values import AMOUNT_MAX, Ladder

LADDER = "ladder"
"""The id of the tally that every ladder keeps of what it has posted; no cap may take it."""
MARK = "mark"
"""The id of the tally that says "this hat was worn that day"; no cap may take it."""
HIGHEST = "highest"
"""The second half of the tally that a highest-only set keeps of what it has posted: `<set>/highest`."""
MARKS_MAX = 10**9


class Counter(NamedTuple):
    """A tally that an evaluation needs; what is used of it is found under (id, start)."""

    id: str
    start: date
    end: date
    limit: int


class CapUse(NamedTuple):
    """What an award found in a tally and what it adds to it (0 where it adds nothing)."""

    id: str
    start: date
    end: date
    limit: int
    used_before: int
    let: int


class Slot(NamedTuple):
    """One counter as the evaluation walks it: what it is on, its key in the used amounts, its trace words."""

    cap: str
    on: str
    limit: int
    key: tuple[str, str]
    counter: Counter
    stated: dict[str, Any]


class Slots(NamedTuple):
    """The counters of one indicator for one day: on facts, of the ladder, on the result, of its sets.

    `others` are the marks of the hats that this one excludes, by their codes: looked at, never added to.
    """

    counters: tuple[Counter, ...]
    on_facts: tuple[Slot, ...]
    ladder: Slot | None
    on_result: tuple[Slot, ...]
    highest: Slot | None
    mark: Slot | None
    others: tuple[tuple[str, tuple[str, str]], ...]


@lru_cache(maxsize=16384)
def slots(pack: Pack, indicator: Indicator, day: date) -> Slots:
    """Every tally that an award for a deed on `day` touches, in the order in which they cut, then those it looks at."""
    fields = {field.name for field in indicator.fields}
    on_facts = tuple(
        _slot(indicator, cap.id, cap.on, cap.window, cap.max, day) for cap in indicator.caps if cap.on in fields
    )
    on_result = tuple(
        _slot(indicator, cap.id, cap.on, cap.window, cap.max, day) for cap in indicator.caps if cap.on not in fields
    )
    ladder = None
    if isinstance(indicator.standing, Ladder):
        measured = next(cap for cap in indicator.caps if cap.id == indicator.standing.cap)
        ladder = _slot(indicator, LADDER, "standing", measured.window, indicator.standing.top, day)
        ladder.stated.update(kind="ladder", field=indicator.standing.field)
    highest = mark = None
    if indicator.highest_only is not None:
        name = pack.highest_sets[indicator.highest_only]
        highest = _slot(indicator, HIGHEST, "standing", name.window, AMOUNT_MAX, day)
        highest.stated.update(set=indicator.highest_only, name=name.name.model_dump())
    others: list[Slot] = []
    if excluded := pack.excluded_by(indicator):
        mark = _slot(indicator, MARK, MARK, "day", MARKS_MAX, day)
        others = [_slot(pack.indicators[code], MARK, code, "day", MARKS_MAX, day) for code in excluded]
    row = (*on_facts, *(slot for slot in (ladder, *on_result, highest, mark) if slot), *others)
    return Slots(
        tuple(slot.counter for slot in row),
        on_facts,
        ladder,
        on_result,
        highest,
        mark,
        tuple((slot.on, slot.key) for slot in others),
    )


def counter_id(indicator: Indicator, cap: str) -> str:
    """The name of a cap's tally, unlike any other indicator's; a highest-only set's is shared by its members."""
    return f"{indicator.highest_only if cap == HIGHEST else indicator.code}/{cap}"


def _slot(indicator: Indicator, cap: str, on: str, window: Window, limit: int, day: date) -> Slot:
    start, end = window_bounds(day, window)
    name = counter_id(indicator, cap)
    days = {"from": start.isoformat(), "to": end.isoformat()}
    stated: dict[str, Any] = {"id": name, "on": on, "window": window, **days, "limit": limit}
    return Slot(cap, on, limit, (name, days["from"]), Counter(name, start, end, limit), stated)
