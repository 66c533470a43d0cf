# SPDX-License-Identifier: Apache-2.0
"""Calendar arithmetic of the rules: cap windows, entry deadlines, the last day of a lot.

Knows days and nothing smaller; the zone was applied before a day came here. There is no "today".
"""

from __future__ import annotations

from datetime import MAXYEAR, date, timedelta
from functools import lru_cache
from typing import Literal, TypeAlias

Window: TypeAlias = Literal["day", "month", "quarter", "year", "ever"]
Ending: TypeAlias = Literal["day", "month", "quarter", "year", "never"]

WINDOWS: tuple[Window, ...] = ("day", "month", "quarter", "year", "ever")
"""Every window lies inside the next one, so caps listed in this order always nest."""

_MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}


@lru_cache(maxsize=8192)
def window_bounds(day: date, window: Window) -> tuple[date, date]:
    """First and last day of the window that holds `day`; "ever" is the whole calendar."""
    if window == "day":
        return day, day
    if window == "ever":
        return date.min, date.max
    months = _MONTHS_IN[window]
    start = date(day.year, (day.month - 1) // months * months + 1, 1)
    return start, _last_day_before(start, months)


@lru_cache(maxsize=8192)
def add_months(day: date, months: int) -> date:
    """The same day of a later month, or its last day where it is shorter (31 January + 1 → 28 February)."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    if year > MAXYEAR:
        return date.max
    first = date(year, month + 1, 1)
    return min(_last_day_before(first, 1), first + timedelta(days=day.day - 1))


@lru_cache(maxsize=8192)
def iso(day: date) -> str:
    """A day as it is written everywhere outside the engine."""
    return day.isoformat()


@lru_cache(maxsize=8192)
def last_day_of_validity(start: date, years: int, ending: Ending) -> date | None:
    """The last day on which something that began on `start` still counts; None where it never lapses."""
    if ending == "never":
        return None
    anniversary = add_months(start, 12 * years)
    return anniversary if ending == "day" else window_bounds(anniversary, ending)[1]


def _last_day_before(first: date, months: int) -> date:
    """The day before the first of the month `months` after `first` (itself the first of a month)."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    if year > MAXYEAR:  # 9999-12-31 stands in sheets for "no end"
        return date.max
    return date(year, month + 1, 1) - timedelta(days=1)
