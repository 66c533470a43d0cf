# SPDX-License-Identifier: Apache-2.0
"""Deductions of bodies that a reminder list would show: each by itself, never a sum, and never a minor one."""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import polars as pl

from rules.engine.lists import ListRule
from rules.engine.model import LEVELS, Pack
from rules.lists.deeds import counted
from rules.lists.figures import Frame, late_from


def reminders(rule: ListRule, frame: Frame, bodies: pl.DataFrame, lines: pl.LazyFrame, pack: Pack) -> dict[str, Any]:
    """The result of a reminder: deductions of the period, and earlier ones that the edition before could not know."""
    least = LEVELS.index(rule.level)
    codes = [i.indicator for i in rule.items if LEVELS.index(pack.indicators[i.indicator].evidence.standing) >= least]
    day = pl.col("occurred_on")
    late = (day < frame.first) & late_from(frame)
    deeds = (
        counted(lines, frame.as_of, frame.seen)
        .filter(
            (pl.col("standing") < 0) & pl.col("rule").is_in(codes) & (day.is_between(frame.first, frame.last) | late)
        )
        .join(bodies.lazy().select("subject", "grid"), on="subject")
        .sort("occurred_on", "journal", "seq")
        .select("journal", "seq", "subject", "grid", "rule", "occurred_on", "standing", late.alias("late"))
    )
    rows: list[dict[str, Any]] = []
    minor = 0
    for journal, seq, subject, grid, code, occurred_on, standing, is_late in deeds.collect().iter_rows():
        item = rule.item(code)
        if item is None or item.class_of(standing) == "minor":
            minor += 1
            continue
        row: dict[str, Any] = {
            "line": f"{journal}/{seq}",
            "journal": journal,
            "seq": seq,
            "subject": subject,
            "grid": grid,
            "indicator": code,
            "class": item.class_,
            "months": item.months,
            "occurred_on": occurred_on.isoformat(),
            "standing": standing,
        }
        if is_late:
            row["late"] = 1
        rows.append(row)
    return {"rows": rows, "totals": {"minor": minor}}
