# SPDX-License-Identifier: Apache-2.0
"""Events judged one by one by `rules/engine/evaluate.py` itself, subject by subject in ledger order, with reversals
giving their room back: slow, exact, and in the memory of one subject."""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import polars as pl

from rules.backtest.history import Facts
from rules.engine.calendar import iso
from rules.engine.caps import CapUse
from rules.engine.evaluate import Outcome, evaluate
from rules.engine.model import Indicator, Pack
from rules.engine.refusals import Refused

_SLICE = 20_000
_COLUMNS = ("subject", "order", "back", "indicator", "occurred_on", "posted_on", "takeover", "level", "facts")

Rules: TypeAlias = Callable[[str, date], tuple[Pack, Indicator] | None]
"""From an indicator's code and the day of a deed to the rule it is judged by; None where there is none."""


class Judged(NamedTuple):
    """What the award at `order` gets; None where no rule is."""

    order: int
    pack: Pack | None
    outcome: Outcome | Refused | None


class Undone(NamedTuple):
    """What taking back the award at `order` does to the tallies: as an award's caps, `let` negative."""

    order: int
    caps: Sequence[CapUse]


def walk(events: pl.DataFrame, facts: Sequence[Facts], rules: Rules) -> Iterator[Judged | Undone]:
    """Judge events (rows of `History.events` with facts). Every tally starts empty."""
    ordered = events.select(_COLUMNS).sort("subject", "order")
    rows = chain.from_iterable(part.iter_rows() for part in ordered.iter_slices(_SLICE))
    for _, group in groupby(rows, key=itemgetter(0)):
        yield from _subject(list(group), facts, rules)


def _subject(rows: Sequence[tuple[Any, ...]], facts: Sequence[Facts], rules: Rules) -> Iterator[Judged | Undone]:
    timeline = [(row[1], row, True) for row in rows]
    timeline += [(row[2], row, False) for row in rows if row[2] is not None]
    timeline.sort(key=itemgetter(0))
    used: dict[tuple[str, str], int] = {}
    made: dict[int, Sequence[CapUse]] = {}
    for _, (_, order, _, code, occurred_on, posted_on, takeover, level, number), comes in timeline:
        if not comes:
            yield Undone(order, tuple(_give_room(cap, used) for cap in made.get(order, ()) if cap.let))
            continue
        found = rules(code, occurred_on)
        if found is None:
            yield Judged(order, None, None)
            continue
        outcome = evaluate(
            *found,
            facts=facts[int(number)],
            evidence_level=level,
            occurred_on=occurred_on,
            posted_on=posted_on,
            used=used,
            takeover=takeover,
        )
        if isinstance(outcome, Outcome):
            made[order] = outcome.caps
            for cap in outcome.caps:
                used[cap.id, iso(cap.start)] = cap.used_before + cap.let
        yield Judged(order, found[0], outcome)


def _give_room(cap: CapUse, used: dict[tuple[str, str], int]) -> CapUse:
    key = (cap.id, iso(cap.start))
    before = used[key]
    used[key] = before - cap.let
    return cap._replace(used_before=before, let=-cap.let)
