# SPDX-License-Identifier: Apache-2.0
"""Means of small grids drawn towards the mean of all: empirical Bayes, in exact fractions."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple


class Sums(NamedTuple):
    """What one unit has: how many people, the sum of their values and of the squares of these."""

    people: int
    total: int
    squares: int


class Shrunken(NamedTuple):
    """The drawn-in means by unit, and what they follow from: the mean of all people, the variance between units and
    within them. All rounded half up (hundredths; variances in squared hundredths)."""

    means: dict[str, int]
    mean: int
    between: int
    within: int


def half_up(numerator: int, denominator: int) -> int:
    """The nearest whole number to a fraction with a positive denominator; a half goes up."""
    return (2 * numerator + denominator) // (2 * denominator)


def shrunken(units: Mapping[str, Sums]) -> Shrunken | None:
    """None where there is nothing to estimate: fewer than two units, or nobody more than units.

    Variances by the method of moments: within = Σ(squares − total²/people) / (people − units), pooled; between from
    what the means differ by more than that explains, never below 0. A unit keeps between / (between + within/people)
    of its distance from the mean.
    """
    people = sum(one.people for one in units.values())
    freedom, count = people - len(units), len(units)
    if count < 2 or freedom < 1:
        return None
    total = sum(one.total for one in units.values())
    explained = sum((Fraction(one.total * one.total, one.people) for one in units.values()), Fraction(0))
    within = (sum(one.squares for one in units.values()) - explained) / freedom
    size = (people - Fraction(sum(one.people * one.people for one in units.values()), people)) / (count - 1)
    between = max(Fraction(0), ((explained - Fraction(total * total, people)) / (count - 1) - within) / size)
    mean = Fraction(total, people)
    means: dict[str, int] = {}
    for unit, one in units.items():
        noise = within / one.people
        keeps = between / (between + noise) if between + noise else Fraction(1)
        means[unit] = _half_up(mean + keeps * (Fraction(one.total, one.people) - mean))
    return Shrunken(means, _half_up(mean), _half_up(between), _half_up(within))


def _half_up(value: Fraction) -> int:
    return half_up(value.numerator, value.denominator)
