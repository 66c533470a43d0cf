# SPDX-License-Identifier: Apache-2.0
"""The periods that lists are about: a month `2026-09`, a quarter `2026Q3`, a year `2026`."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Literal, TypeAlias

from rules.engine.calendar import window_bounds

Period: TypeAlias = Literal["month", "quarter", "year"]

_FORMS: dict[Period, re.Pattern[str]] = {
    "month": re.compile(r"([12][0-9]{3})-(0[1-9]|1[0-2])"),
    "quarter": re.compile(r"([12][0-9]{3})Q([1-4])"),
    "year": re.compile(r"([12][0-9]{3})"),
}
_MONTHS: dict[Period, int] = {"month": 1, "quarter": 3, "year": 12}


def is_period(text: str, of: Period) -> bool:
    """Whether `text` names a month, a quarter or a year, as `of` says."""
    return _FORMS[of].fullmatch(text) is not None


def kind_of(period: str) -> Period:
    """What a period is. Raises `ValueError` where it is none."""
    for kind, form in _FORMS.items():
        if form.fullmatch(period):
            return kind
    raise ValueError(f"{period!r} is not a period: write 2026-09, 2026Q3 or 2026")


def days_of(period: str) -> tuple[date, date]:
    """First and last day of a period. Raises `ValueError` where it is none."""
    kind = kind_of(period)
    year, *part = re.split("[-Q]", period)
    month = (int(part[0]) - 1) * _MONTHS[kind] + 1 if part else 1
    return window_bounds(date(int(year), month, 1), kind)


def containing(day: date, of: Period) -> str:
    """The period in which a day lies."""
    if of == "month":
        return f"{day.year:04d}-{day.month:02d}"
    if of == "quarter":
        return f"{day.year:04d}Q{(day.month + 2) // 3}"
    return f"{day.year:04d}"


def before(period: str) -> str:
    """The period just before this one, of the same kind. Raises `ValueError` where it is none."""
    return containing(days_of(period)[0] - timedelta(days=1), kind_of(period))
