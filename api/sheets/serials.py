# SPDX-License-Identifier: Apache-2.0
"""Numbers as spreadsheets store them, and the days and times that they stand for."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation


def plain_number(text: str) -> int | Decimal | None:
    """A number as Excel stores it, without the noise past its fifteen digits (0.1+0.2 is 0.3)."""
    text = text.strip()
    if len(text) <= 15 and text.isdecimal() and text.isascii():
        return int(text)
    if len(text) > 40:
        return None
    try:
        number = Decimal(text)
        if not number.is_finite() or number.adjusted() > 20 or number.adjusted() < -20:
            return None if not number.is_finite() or number.adjusted() > 20 else 0
        if len(number.as_tuple().digits) > 15 and number != number.to_integral_value():
            number = Decimal(format(number, ".15g"))
    except (InvalidOperation, ValueError):
        return None
    return int(number) if number == number.to_integral_value() else number.normalize()


def from_serial(number: int | Decimal, epoch_1904: bool) -> date | datetime | time | None:
    """The day, moment or time of day of an Excel serial; None where there is none (1900-02-29 included)."""
    if not 0 <= number < 2_958_466:
        return None
    days = int(number)
    seconds = int((number - days) * 86_400 + Decimal("0.5"))
    if days == 0 and not epoch_1904:
        return None if seconds >= 86_400 else time(seconds // 3600, seconds // 60 % 60, seconds % 60)
    if epoch_1904:
        day = datetime(1904, 1, 1)
    elif days == 60:
        return None
    else:
        day = datetime(1899, 12, 31) if days < 60 else datetime(1899, 12, 30)
    try:
        moment = day + timedelta(days=days, seconds=seconds)
    except OverflowError:
        return None
    return moment if seconds else moment.date()
