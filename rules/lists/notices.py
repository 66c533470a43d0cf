# SPDX-License-Identifier: Apache-2.0
"""What is put up once a month: sums by grid, and who is thanked: bodies, and persons who agreed. Only what was
gained: a deduction is nobody's to read before its body was told, answered and two people agreed (`reminders`)."""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import polars as pl

from rules.engine.lists import ListRule
from rules.lists.figures import Frame
from rules.lists.suppress import hidden, neighbours, sum_tells, without

_DONE = ("active", "awards", "gained", "points", "late", "taken_back")


def notice(rule: ListRule, frame: Frame, persons: pl.DataFrame, bodies: pl.DataFrame) -> dict[str, Any]:
    """The result of a notice, from persons and bodies with their figures."""
    sums = persons.group_by("grid").agg(
        pl.len().cast(pl.Int64).alias("people"), *(pl.col(name).sum() for name in _DONE)
    )
    units = {row["grid"]: row for row in sums.iter_rows(named=True)}
    nobody = dict.fromkeys(("people", *_DONE), 0)
    rows: list[dict[str, Any]] = [
        {"grid": grid, **{name: units.get(grid, nobody)[name] for name in nobody}} for grid in frame.units
    ]
    totals: dict[str, Any] = {name: sum(row[name] for row in rows) for name in nobody}
    together = neighbours(frame.units, frame.as_of)
    lived_in = [row for row in rows if row["people"]]
    # What a handful of people did together tells on each of them.
    quiet: set[str] = set()
    for about, names in (("people", ("people",)), ("active", _DONE)):
        counts = {row["grid"]: row[about] for row in lived_in}
        quiet = hidden(counts, rule.suppress_below, together, quiet)
        rows = [without(row, names) if row["grid"] in quiet else row for row in rows]
        if sum_tells(quiet, counts, rule.suppress_below, together):
            totals = without(totals, names)
    return {"grids": rows, "bodies": _thanked(bodies), "persons": _thanked(persons), "totals": totals}


def _thanked(found: pl.DataFrame) -> list[dict[str, Any]]:
    found = found.filter(pl.col("listed") & ((pl.col("gained") > 0) | (pl.col("points") > 0))).sort("subject")
    line = pl.col("subject").alias("line")
    return found.select(line, "subject", "grid", "gained", "points", "awards").to_dicts()
