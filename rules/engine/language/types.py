# SPDX-License-Identifier: Apache-2.0
"""The four types, and how far the numbers of each operation can reach: exact intervals, one operation at a time.

The interval of an operation is the smallest that holds its result for all operands of their intervals. It does not
know that two operands are the same field (`x - x` may be anything from min − max to max − min).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
DAYS_MAX = (date.max - date.min).days
"""No two days are further apart."""


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number from `lo` to `hi`, both included."""

    lo: int
    hi: int

    def __post_init__(self) -> None:
        assert self.lo <= self.hi, f"{self.lo} > {self.hi}"

    def __str__(self) -> str:
        return f"{self.lo}..{self.hi}"

    @property
    def fits(self) -> bool:
        """Whether every value is an int64."""
        return self.lo >= INT64_MIN and self.hi <= INT64_MAX


@dataclass(frozen=True, slots=True)
class Enum:
    """One of these words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bool:
    """A condition."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the calendar."""


Type: TypeAlias = Int | Enum | Bool | Day


def negated(one: Int) -> Int:
    """The interval of `-x`."""
    return Int(-one.hi, -one.lo)


def arithmetic(operator: str, one: Int, two: Int) -> Int:
    """The interval of `x + y`, `x - y` or `x * y`."""
    if operator == "+":
        return Int(one.lo + two.lo, one.hi + two.hi)
    if operator == "-":
        return Int(one.lo - two.hi, one.hi - two.lo)
    assert operator == "*", operator
    corners = (one.lo * two.lo, one.lo * two.hi, one.hi * two.lo, one.hi * two.hi)
    return Int(min(corners), max(corners))


def either(one: Int, two: Int) -> Int:
    """The interval of `c ? x : y`."""
    return Int(min(one.lo, two.lo), max(one.hi, two.hi))
