# SPDX-License-Identifier: Apache-2.0
"""Small numbers are not told, and no sum gives one away."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any


def neighbours(units: Iterable[str], journals: Iterable[str]) -> list[list[str]]:
    """Units that belong together: those of one journal (one community), whose name their codes begin with."""
    names = sorted(journals, key=len, reverse=True)
    found: dict[str, list[str]] = {}
    for unit in units:
        found.setdefault(next((name for name in names if unit.startswith(name)), ""), []).append(unit)
    return list(found.values())


def hidden(
    counts: Mapping[str, int], below: int, together: Iterable[Sequence[str]], already: Collection[str] = ()
) -> set[str]:
    """Units whose count is not told: those under `below` or hidden `already`, and where these are one alone, or
    together under `below`, the smallest of their neighbours too, since who knows the sum of all would know theirs."""
    found: set[str] = set()
    for units in together:
        known = sorted((counts[unit], unit) for unit in units if unit in counts)
        small = [unit for count, unit in known if count < below or unit in already]
        if _bare([counts[unit] for unit in small], below):
            small += [unit for _count, unit in known if unit not in small][:1]
        found.update(small)
    return found


def sum_tells(
    hidden_units: Collection[str], counts: Mapping[str, int], below: int, together: Iterable[Sequence[str]]
) -> bool:
    """Whether the sum over all units would give away what is hidden: where neighbours had none left to hide behind,
    their own sum is not told, and that of all is not unless it hides several such sums, of enough people together."""
    sums: list[int] = []
    for units in together:
        own = [counts[unit] for unit in units if unit in hidden_units]
        if _bare(own, below):
            sums.append(sum(own))
    return _bare(sums, below)


def _bare(counts: Sequence[int], below: int) -> bool:
    """Whether the sum of what is hidden tells too much: it is one alone, or of too few people."""
    return bool(counts) and (len(counts) == 1 or sum(counts) < below)


def without(row: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The row with these figures left out."""
    return {name: value for name, value in row.items() if name not in names}
