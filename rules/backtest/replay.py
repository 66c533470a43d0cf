# SPDX-License-Identifier: Apache-2.0
"""Does the ledger hold what its rules say? Every award judged again by the pack of its day, in ledger order, with
tallies that start empty, and laid beside its entry: amounts, caps, pack, and the room that reversals gave back.

Nothing that was worked out at the time is taken over: not what a cap had counted, not the amounts in the desk's table.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from ledger.engine import Ledger
from ledger.errors import Refusal
from rules.backtest.history import History, Keys, Progress, digest, read_history
from rules.backtest.walk import Judged, Undone, walk
from rules.engine.calendar import iso
from rules.engine.caps import CapUse
from rules.engine.evaluate import Outcome
from rules.engine.model import Indicator, Pack
from rules.shelf import Shelf

LISTED = 1_000
"""Differences that are listed in full; all are counted."""


class Difference(NamedTuple):
    """One entry that is not what it should be. `what`: standing, points, caps, pack, rule, refused (no award at all),
    desk (the desk's table says otherwise than the entry), sealed (the request cannot be opened), no_award (nothing at
    the desk stands behind the entry)."""

    journal: str
    seq: int
    what: str
    expected: Any
    found: Any


@dataclass(slots=True)
class Replayed:
    """`awards` and `reversals` that were judged again; `erased` are those whose facts are gone with a person's key."""

    awards: int = 0
    reversals: int = 0
    erased: int = 0
    count: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])

    def add(self, journal: str, seq: int, what: str, expected: Any, found: Any) -> None:
        self.count += 1
        if len(self.differences) < LISTED:
            self.differences.append(Difference(journal, seq, what, expected, found))


async def replay(
    ledger: Ledger,
    keys: Keys,
    shelf: Shelf,
    *,
    first: date = date.min,
    last: date = date.max,
    progress: Progress | None = None,
) -> Replayed:
    """Judge again the awards for deeds from `first` to `last`; what came before them is read for the tallies."""
    history = await read_history(ledger, keys, last=last, entries=True, progress=progress)
    done = Replayed()
    for journal, seq in history.unsealed:
        done.add(journal, seq, "sealed", "a request", "nothing that opens")
    for journal, seq in await ledger.fetch(
        "SELECT e.journal, e.seq FROM entry e LEFT JOIN award a ON a.journal = e.journal AND a.seq = e.seq "
        "WHERE e.kind IN ('award', 'deduct') AND a.id IS NULL ORDER BY e.journal, e.seq"
    ):
        done.add(journal, seq, "no_award", "an award", None)
    _stated(history, shelf, first, done)
    known = history.events.filter(pl.col("facts").is_not_null())
    of_range = history.events.filter(pl.col("occurred_on") >= first)
    gone = of_range.filter(pl.col("facts").is_null()).select("journal", "seq").rows()
    done.erased = len(set(gone).difference(history.unsealed))
    for row, caps, reverses in _judged(history, known, shelf, first, done):
        journal, seq = _place(history, row)
        if reverses:
            rows = await ledger.fetch(
                "SELECT reversal_journal, reversal_seq FROM award WHERE journal = ? AND seq = ?", journal, seq
            )
            journal, seq = rows[0]
        entry = await ledger.entry(journal, seq)
        done.add(journal, seq, "caps", _said(caps), entry.fields["caps"])
    return done


def _stated(history: History, shelf: Shelf, first: date, done: Replayed) -> None:
    """What needs no judging: the desk's table against the entry, and the pack of the day."""
    assert history.bodies is not None
    days = history.events["occurred_on"].unique().to_list()
    packs = pl.DataFrame(
        {"occurred_on": days, "of_day": [shelf.pack(day).hash for day in days]},
        schema={"occurred_on": pl.Date, "of_day": pl.String},
    )
    both = history.events.hstack(history.bodies.rename(lambda name: f"e_{name}")).filter(pl.col("occurred_on") >= first)
    text = {name: pl.col(name).cast(pl.String) for name in ("journal", "e_pack", "indicator", "e_rule")}
    both = both.with_columns(**text).join(packs, on="occurred_on", how="left", maintain_order="left")
    for what, expected, found in (
        ("pack", "of_day", "e_pack"),
        ("rule", "indicator", "e_rule"),
        ("desk", "e_standing", "standing"),
        ("desk", "e_points", "points"),
    ):
        wrong = both.filter(pl.col(expected).ne_missing(pl.col(found)))
        for row in wrong.select("journal", "seq", expected, found).iter_rows():
            done.add(row[0], row[1], what, row[2], row[3])


def _judged(
    history: History, known: pl.DataFrame, shelf: Shelf, first: date, done: Replayed
) -> list[tuple[int, Sequence[CapUse], bool]]:
    """Amounts laid beside the entries. Back come the rows whose caps differ, with the caps as they should be, and
    whether they are those of the reversal."""
    assert history.bodies is not None
    found = _by_order(history)
    wrong: list[tuple[int, Sequence[CapUse], bool]] = []

    def rules(code: str, day: date) -> tuple[Pack, Indicator] | None:
        try:
            return shelf.indicator(code, day)
        except Refusal:
            return None

    for judged in walk(known, history.facts, rules):
        order = judged.order
        row = found.row[order]
        if found.day[order] < first.toordinal():
            continue
        if isinstance(judged, Undone):
            done.reversals += 1
            caps, stands, reverses = judged.caps, found.back_caps[order], True
        else:
            done.awards += 1
            _compare(history, row, judged, found, done)
            if not isinstance(judged.outcome, Outcome):
                continue
            caps, stands, reverses = judged.outcome.caps, found.caps[order], False
        if digest(_said(caps)) != stands:
            if len(wrong) < LISTED:
                wrong.append((row, caps, reverses))
            else:
                done.count += 1
    return wrong


def _compare(history: History, row: int, judged: Judged, found: _Found, done: Replayed) -> None:
    order, outcome = judged.order, judged.outcome
    amounts = found.standing[order], found.points[order]
    if isinstance(outcome, Outcome):
        if (outcome.standing, outcome.points) != amounts:
            for what, expected, stands in zip(("standing", "points"), outcome[1:3], amounts, strict=True):
                if expected != stands:
                    done.add(*_place(history, row), what, expected, stands)
        return
    code = "no such indicator" if outcome is None else outcome.code
    done.add(*_place(history, row), "refused", code, {"standing": amounts[0], "points": amounts[1]})


class _Found(NamedTuple):
    """What the entries say, by order: compact, because there may be millions."""

    row: array[int]
    day: array[int]
    standing: array[int]
    points: array[int]
    caps: array[int]
    back_caps: array[int]


def _by_order(history: History) -> _Found:
    bodies, events = history.bodies, history.events
    assert bodies is not None
    height = int(events.select(pl.col("order").max().fill_null(0)).item()) + 1

    def placed(values: pl.Series, kind: str) -> array[int]:
        at = pl.zeros(height, dtype=values.dtype, eager=True).scatter(events["order"], values)
        made: array[int] = array(kind)
        for start in range(0, height, 65_536):
            made.extend(at.slice(start, 65_536).to_list())
        return made

    ordinals = events["occurred_on"].cast(pl.Int32).cast(pl.Int64) + date(1970, 1, 1).toordinal()
    return _Found(
        placed(pl.int_range(events.height, eager=True), "q"),
        placed(ordinals, "q"),
        placed(bodies["standing"], "q"),
        placed(bodies["points"], "q"),
        placed(bodies["caps"], "Q"),
        placed(bodies["back_caps"].fill_null(0), "Q"),
    )


def _place(history: History, row: int) -> tuple[str, int]:
    return history.events["journal"][row], history.events["seq"][row]


def _said(caps: Sequence[CapUse]) -> list[dict[str, Any]]:
    """Tallies as an entry states them."""
    return [
        {
            "id": cap.id,
            "from": iso(cap.start),
            "to": iso(cap.end),
            "limit": cap.limit,
            "used_before": cap.used_before,
            "let": cap.let,
        }
        for cap in caps
    ]
