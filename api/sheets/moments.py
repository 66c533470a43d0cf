# SPDX-License-Identifier: Apache-2.0
"""Days, times of day and durations, as people write them in cells.

Nothing here guesses: 03/05/22 may be March or May, and a bare `9` may be a time or a count.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache

from api.sheets.grid import Cell
from api.sheets.serials import from_serial, plain_number
from api.sheets.values import Bad, plain_text

_DAY = re.compile(
    r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|\.(\d{1,2})\.(\d{1,2})\.?|年(\d{1,2})月(\d{1,2})(?:日|号)?)",
    re.ASCII,
)
_WEEKDAY = re.compile(r"\(?(?:星期|周|礼拜)[一二三四五六日天]\)?")


@lru_cache(maxsize=4096)
def _day_text(text: str, epoch_1904: bool, from_year: int) -> date:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return _real_day(int(text[:4]), int(text[5:7]), int(text[8:]), from_year=from_year)  # nearly all of them
    bare = _WEEKDAY.sub("", text).strip()
    bare = re.sub(r"\s*([年月日号/.\-])\s*", r"\1", bare)
    found = _DAY.match(bare)
    if found is not None:
        rest = bare[found.end() :]
        if rest and not re.fullmatch(r"[T ]?\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?", rest):
            raise Bad("date_invalid")
        return _real_day(*(int(part) for part in found.groups() if part is not None), from_year=from_year)
    if re.fullmatch(r"\d{8}", bare, re.ASCII):
        return _real_day(int(bare[:4]), int(bare[4:6]), int(bare[6:]), from_year=from_year)
    number = plain_number(bare) if re.fullmatch(r"\d{5}(\.\d+)?", bare, re.ASCII) else None
    moment = None if number is None else from_serial(number, epoch_1904)
    if isinstance(moment, date):  # a bare serial: a day whose cell lost its format
        return _real_day(moment.year, moment.month, moment.day, from_year=from_year)
    raise Bad("date_invalid")


def _real_day(year: int, month: int, day: int, *, from_year: int) -> date:
    try:
        real = date(year, month, day)
    except ValueError:
        raise Bad("date_invalid") from None
    if not from_year <= year < 2100:
        raise Bad("date_invalid")
    return real


def day(cell: Cell, epoch_1904: bool = False, from_year: int = 2000) -> date | None:
    """A real calendar day with its year, in one of the orders that start with it."""
    if isinstance(cell, datetime):
        cell = cell.date()
    if isinstance(cell, date):
        return _real_day(cell.year, cell.month, cell.day, from_year=from_year)
    if isinstance(cell, (time, bool)):
        raise Bad("date_invalid")
    text = plain_text(cell, 60)
    return None if text is None else _day_text(text, epoch_1904, from_year)


_CLOCK = re.compile(
    r"(凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|晚|am|pm)?"
    r"(\d{1,2})(?::(\d{2})(?::(\d{2})(?:\.\d+)?)?|(?:点|时)(?:(半|一刻|三刻|整|钟)|(\d{1,2})分?)?)"
    r"(am|pm)?",
    re.ASCII,
)
_QUARTERS = {"半": 30, "一刻": 15, "三刻": 45, "整": 0, "钟": 0}
_PERIODS: dict[str, tuple[int, int]] = {
    # word → the 24-hour range it may mean; an hour outside of it, as written or twelve later, is refused
    "凌晨": (0, 5), "清晨": (4, 8), "早上": (5, 10), "早晨": (5, 10), "上午": (6, 11), "am": (1, 11),
    "中午": (11, 14), "下午": (12, 18), "pm": (12, 23), "傍晚": (16, 20), "晚上": (18, 23), "晚": (18, 23),
}  # fmt: skip


@lru_cache(maxsize=4096)
def _time_text(text: str) -> time:
    bare = text.replace(" ", "").lower()
    if re.fullmatch(r"\d{4}", bare, re.ASCII):
        bare = f"{bare[:2]}:{bare[2:]}"
    found = _CLOCK.fullmatch(bare)
    if found is None:
        raise Bad("time_invalid")
    before, hour_text, minute_text, second_text, quarter, minute_word, after = found.groups()
    hour = int(hour_text)
    minute = _QUARTERS[quarter] if quarter else int(minute_text or minute_word or 0)
    if before and after:
        raise Bad("time_invalid")
    if period := before or after:
        low, high = _PERIODS[period]
        meant = [h for h in (hour, hour + 12) if low <= h <= high]
        if len(meant) != 1:
            raise Bad("time_invalid")
        hour = meant[0]
    if hour > 23 or minute > 59 or int(second_text or 0) > 59:
        raise Bad("time_invalid")
    return time(hour, minute)


_MOMENT = re.compile(r"(\d{4}.{3,8}?)[T ]\s*(\S.*)", re.ASCII)


def clock(cell: Cell, epoch_1904: bool = False) -> tuple[date | None, time] | None:
    """A time of day to the minute, with the day where the cell has one too (2022-03-05 09:00)."""
    if isinstance(cell, datetime):
        return cell.date(), time(cell.hour, cell.minute)
    if isinstance(cell, time):
        return None, time(cell.hour, cell.minute)
    if isinstance(cell, (date, bool)):
        raise Bad("time_invalid")
    if isinstance(cell, Decimal):
        moment = from_serial(cell, epoch_1904)
        if isinstance(moment, datetime) and 2000 <= moment.year < 2100:
            return moment.date(), time(moment.hour, moment.minute)
        if isinstance(moment, time) and not epoch_1904:  # a time whose cell lost its format: 0.375
            return None, time(moment.hour, moment.minute)
        raise Bad("time_invalid")
    text = plain_text(cell, 60)
    if text is None:
        return None
    if found := _MOMENT.fullmatch(text):
        return _day_text(found[1], epoch_1904, 2000), _time_text(found[2])
    return None, _time_text(text)


_SPAN = re.compile(r"(.+?)\s*(?:至|到|--|-|~|—{1,2}|–)\s*([^至到~—–-]+)")


def span(cell: Cell, epoch_1904: bool = False) -> tuple[date | None, time | None, time | None]:
    """A cell headed only 服务时间: a day, a time, `9:00-11:00`, or a day and then its times."""
    if cell is None:
        return None, None, None
    if isinstance(cell, datetime):
        return cell.date(), time(cell.hour, cell.minute), None
    if not isinstance(cell, str):
        try:
            return day(cell, epoch_1904), None, None
        except Bad:
            pass
        on, at = clock(cell, epoch_1904) or (None, None)
        return on, at, None
    text = plain_text(cell, 80)
    if text is None:
        return None, None, None
    text = _WEEKDAY.sub("", text).strip()
    on: date | None = None
    bare = re.sub(r"(?<=\d)\s*([年月/.])\s*", r"\1", text)
    if found := _DAY.match(bare):
        on = _day_text(found[0], epoch_1904, 2000)
        text = bare[found.end() :].strip(" T")
        if not text:
            return on, None, None
    try:
        if found := _SPAN.fullmatch(text):
            return on, _time_text(found[1]), _time_text(found[2])
        return on, _time_text(text), None
    except Bad:
        raise Bad("date_invalid" if on is None and re.match(r"\d{1,4}[./年月]", text) else "time_invalid") from None


_NUMERALS = {n: i for i, n in enumerate("零一二三四五六七八九十")} | {"两": 2}
_HOURS_TEXT = re.compile(
    r"(?:(\d+(?:\.\d+)?|[一二两三四五六七八九十])个?(半)?(?:小时|钟头|h|hours?))?(?:(\d{1,4})(?:分钟?|min))?",
    re.ASCII,
)


def minutes(cell: Cell, unit: int = 60) -> int | None:
    """Whole minutes of a duration; `unit` is what a bare number counts (60 for hours, 1 for minutes).

    A bare 1.33 is taken as 1 h 20 min because no other minute is written so with two decimals; 1.34 is none.
    """
    if isinstance(cell, time):
        cell = f"{cell.hour}:{cell.minute:02d}" if not cell.second else "?"
    if isinstance(cell, (bool, date)):
        raise Bad("hours_invalid")
    if isinstance(cell, str):
        text = plain_text(cell, 40)
        if text is None:
            return None
        number = plain_number(text) if re.fullmatch(r"\d{1,6}(\.\d{1,15})?", text, re.ASCII) else None
        found = _duration_text(text) if number is None else _whole(Decimal(number) * unit, number, unit)
    elif cell is None:
        return None
    else:
        found = _whole(Decimal(cell) * unit, cell, unit)
    if not 0 < found <= 24 * 60:
        raise Bad("hours_invalid")
    return found


def _whole(exact: Decimal, written: int | Decimal, unit: int) -> int:
    near = int(exact.to_integral_value()) if abs(exact) < 10_000 else -1
    if exact == near:
        return near
    places = -int(Decimal(written).as_tuple().exponent)
    if unit == 60 and 2 <= places <= 15 and round(Decimal(near) / 60, places) == written:
        return near
    raise Bad("hours_invalid")


@lru_cache(maxsize=4096)
def _duration_text(text: str) -> int:
    bare = text.replace(" ", "").lower()
    if clocked := re.fullmatch(r"(\d{1,2}):([0-5]\d)(:00)?", bare, re.ASCII):
        return int(clocked[1]) * 60 + int(clocked[2])
    if bare in ("半小时", "半个小时", "半个钟头"):
        return 30
    found = _HOURS_TEXT.fullmatch(bare)
    if found is None or not bare:
        raise Bad("hours_invalid")
    hours, half, rest = found.groups()
    total = 0
    if hours:
        amount = Decimal(_NUMERALS[hours]) if hours in _NUMERALS else Decimal(hours)
        if ((half or rest) and amount != amount.to_integral_value()) or (half and rest):
            raise Bad("hours_invalid")
        total = _whole(amount * 60, amount, 60) + (30 if half else 0)
    return total + int(rest or 0)
