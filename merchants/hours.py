# SPDX-License-Identifier: Apache-2.0
"""When a shop says that it is open: spans by day of the week, and single days off.

For people who want to go there, and for whoever looks at odd sales. It locks no till: a shop that stays open an hour
longer for somebody's rice does nothing wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Spans = Iterable[tuple[str, str]]


def hours_text(week: Mapping[str, Spans], closed: Iterable[date] = ()) -> str:
    """As it is stored: `week` has spans ("08:30", "12:00") by day; one that does not end later than it begins goes on
    into the next day, and "24:00" is the end of a day."""
    said = {"closed": sorted({day.isoformat() for day in closed}), "week": {day: week.get(day, ()) for day in DAYS}}
    return orjson.dumps(said, default=list).decode()


@lru_cache(maxsize=4096)
def hours_of(text: str) -> Mapping[str, Any] | None:
    """What is stored as `{"closed", "week"}`; None where a shop has said nothing."""
    return orjson.loads(text) if text else None


def is_open(text: str, instant_us: int, zone: str) -> bool:
    """Is the shop open at this instant by its own hours? One that has said nothing always is."""
    said = hours_of(text)
    if said is None:
        return True
    local = datetime.fromtimestamp(instant_us // 1_000_000, ZoneInfo(zone))
    now = f"{local:%H:%M}"
    today, before = local.date(), local.date() - timedelta(days=1)
    return any(begin <= now and (now < end or end <= begin) for begin, end in _spans(said, today)) or any(
        end <= begin and now < end for begin, end in _spans(said, before)
    )


def _spans(said: Mapping[str, Any], day: date) -> Spans:
    return () if day.isoformat() in said["closed"] else said["week"][DAYS[day.weekday()]]
