# SPDX-License-Identifier: Apache-2.0
"""Tallies and how they cut: a counter is one cap in one window of days.

Caps stand in a row from the inside out: each sees what the one before it let through and counts what it
lets through itself. What a subject has already used is given, never looked up.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import NamedTuple

from rules.engine.calendar import Window, window_bounds
from rules.engine.model import Indicator
from rules.engine.values import Ladder

LADDER = "ladder"
"""The id of the tally that every ladder keeps of what it has posted; no cap may take it."""


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
    stated: dict[str, str | int]


class Slots(NamedTuple):
    """The counters of one indicator for one day: on facts, of the ladder, on the result."""

    counters: tuple[Counter, ...]
    on_facts: tuple[Slot, ...]
    ladder: Slot | None
    on_result: tuple[Slot, ...]


@lru_cache(maxsize=16384)
def slots(indicator: Indicator, day: date) -> Slots:
    """Every tally that an award for a deed on `day` touches, in the order in which they cut."""
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
    row = (*on_facts, *((ladder,) if ladder else ()), *on_result)
    return Slots(tuple(slot.counter for slot in row), on_facts, ladder, on_result)


def counter_id(indicator: Indicator, cap: str) -> str:
    """The name of a cap's tally, unlike any other indicator's."""
    return f"{indicator.code}/{cap}"


def _slot(indicator: Indicator, cap: str, on: str, window: Window, limit: int, day: date) -> Slot:
    start, end = window_bounds(day, window)
    name = counter_id(indicator, cap)
    days = {"from": start.isoformat(), "to": end.isoformat()}
    stated: dict[str, str | int] = {"id": name, "on": on, "window": window, **days, "limit": limit}
    return Slot(cap, on, limit, (name, days["from"]), Counter(name, start, end, limit), stated)
