# SPDX-License-Identifier: Apache-2.0
"""Where one deed could be claimed twice: indicators of one group that nothing in the pack keeps apart.

A name that means two indicators refuses a pack when it is read. What is looked for here may be meant, so it is a
warning: indicators of one group and one category that recognise a deed by the same things and are in force on some
common day, without an exclusion set in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from rules.engine.model import Indicator, Pack


@dataclass(frozen=True, slots=True)
class Overlap:
    """Indicators (codes, sorted) of a group and a category whose deeds nothing keeps apart."""

    group: str
    category: str
    indicators: tuple[str, ...]


def overlaps(pack: Pack) -> Iterator[Overlap]:
    """One finding for each group, category and shape of a cause; none where sets cover every pair."""
    alike: dict[tuple[str, str, tuple[str, ...]], list[Indicator]] = {}
    for indicator in pack.indicators.values():
        key = (indicator.group, indicator.category, tuple(sorted(indicator.cause)))
        alike.setdefault(key, []).append(indicator)
    for (group, category, _), indicators in sorted(alike.items(), key=lambda one: one[0]):
        codes: set[str] = set()
        for one, other in combinations(indicators, 2):
            if _together(one, other) and not _apart(one, other):
                codes |= {one.code, other.code}
        if codes:
            yield Overlap(group, category, tuple(sorted(codes)))


def _together(one: Indicator, other: Indicator) -> bool:
    """Is there a day on which both are in force?"""
    first = max(one.effective.from_, other.effective.from_)
    return first <= min(one.effective.to or date.max, other.effective.to or date.max)


def _apart(one: Indicator, other: Indicator) -> bool:
    """Does a set of the pack, or their direction, keep the two apart?"""
    return one.direction != other.direction or (one.exclusion is not None and one.exclusion == other.exclusion)
