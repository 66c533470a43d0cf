# SPDX-License-Identifier: Apache-2.0
"""The closed set of functions: how each is called, and how far its result reaches.

Every function is total on what `check` lets through: none can fail, and none looks at anything but its arguments.
"""

from __future__ import annotations

from rules.engine.language.types import Int

DAY_PARTS = {
    "year": Int(1, 9999),
    "month": Int(1, 12),
    "day": Int(1, 31),
    "quarter": Int(1, 4),
    "weekday": Int(1, 7),
}
"""A number of one day, and its interval. Monday is weekday 1, Sunday 7."""

SIGNATURES = {
    "min": "min(x, y, …)",
    "max": "max(x, y, …)",
    "div_floor": "div_floor(x, 60)",
    "round_half_up": "round_half_up(x, 60)",
    **{name: f"{name}(occurred_on)" for name in DAY_PARTS},
    "days_between": "days_between(first, last)",
}
"""How each is called; the names are all the functions there are."""

LARGEST_OR_SMALLEST = ("min", "max")
DIVISIONS = ("div_floor", "round_half_up")


def divided(function: str, one: Int, divisor: int) -> Int:
    """The interval of a division of what is not negative by what is positive; both only rise with the number."""
    assert one.lo >= 0
    assert divisor >= 1
    if function == "div_floor":
        return Int(one.lo // divisor, one.hi // divisor)
    # ⌊x/k + ½⌋, in whole numbers.
    return Int(*((2 * bound + divisor) // (2 * divisor) for bound in (one.lo, one.hi)))


def picked(function: str, intervals: list[Int]) -> Int:
    """The interval of `min` or `max`."""
    pick = min if function == "min" else max
    return Int(pick(one.lo for one in intervals), pick(one.hi for one in intervals))
