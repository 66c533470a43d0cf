# SPDX-License-Identifier: Apache-2.0
"""What each member of a population has at the end of a period and did in it: the only step that looks at every entry.

Everything after it is arithmetic on some hundred grids or some dozen lines. Amounts are hundredths.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from rules.engine.calendar import add_months
from rules.engine.lists import ListRule
from rules.engine.model import LEVELS, Pack
from rules.lists.deeds import among, gone, up_to, within

_NEVER = 2**62


class Frame:
    """An edition's header as it is computed with: days, sizes, and what the edition before it had counted."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self.first = date.fromisoformat(header["from"])
        self.last = date.fromisoformat(header["to"])
        self.units: list[str] = list(header["units"])
        self.as_of: dict[str, int] = {journal: at["size"] for journal, at in header["as_of"].items()}
        self.seen: dict[str, int] = {journal: at["size"] for journal, at in header["seen"].items()}
        self.seed = int(header["seed"][:16], 16)
        previous: Mapping[str, Any] = header.get("previous", {})
        self.counted_before: dict[str, int] = dict(previous.get("as_of", {}))
        self.seen_before: dict[str, int] = dict(previous.get("seen", {}))


def members(rule: ListRule, kind: str, population: pl.DataFrame, pack: Pack) -> pl.DataFrame:
    """Members whom the list is about: `line` (u64, in the population file from 0), `subject`, `grid`, `listed`.

    A member is a person or a body as its groups are.
    """
    groups = [code for code, group in pack.groups.items() if group.kind == kind]
    if rule.groups and rule.kind != "notice":
        groups = [code for code in groups if code in rule.groups]
    belongs = pl.col("groups").list.eval(pl.element().is_in(groups)).list.any()
    return population.with_row_index("line").filter(belongs).select(
        pl.col("line").cast(pl.UInt64), "subject", "grid", "listed"
    )  # fmt: skip


def figures(rule: ListRule, frame: Frame, lines: pl.LazyFrame, pack: Pack) -> pl.LazyFrame:
    """By `subject`, of everybody with a line.

    `standing` on the last day; of the period `gained`, `points`, `awards`, `active` (1: an award that gave
    something); `marked` (1: an award under one of the list's indicators); `grey` (how many deductions that a body must
    not have); `late` and `taken_back` (standing for deeds before the period that count now and did not in the edition
    before, and the other way round).
    """
    rows = _marked(frame, lines)
    day, standing, points = pl.col("occurred_on"), pl.col("standing"), pl.col("points")
    opening, gone, was_gone = pl.col("kind") == "open", pl.col("gone"), pl.col("was_gone")
    deed = ~opening & ~gone
    alive = opening | deed & (day <= frame.last) & (pl.col("lot").is_null() | (pl.col("lot") >= frame.last))
    here = deed & day.is_between(frame.first, frame.last)
    award = here & (pl.col("kind") == "award") & _asks_enough(rule, pack)
    gave = award & ((standing > 0) | (points > 0))
    early, known = ~opening & (day < frame.first), up_to(frame.counted_before)
    one = pl.lit(1, dtype=pl.Int64)
    sums = {
        "standing": (standing, alive),
        "gained": (standing, award & (standing > 0)),
        "points": (points, award),
        "awards": (one, gave),
        "late": (standing, early & ~gone & (late_from(frame) | known & was_gone)),
        "taken_back": (standing, early & known & gone & ~was_gone),
    }
    if rule.clean_months is not None:
        since = add_months(frame.last + timedelta(days=1), -rule.clean_months)
        grey = [code for code, indicator in pack.indicators.items() if indicator.grey is not None]
        bad = deed & (standing < 0) & pl.col("rule").is_in(grey) & day.is_between(since, frame.last)
        sums["grey"] = (one, bad)
    marks = {"active": gave}
    if rule.indicators:
        marks["marked"] = award & pl.col("rule").is_in(rule.indicators)
    rows = rows.select(
        "subject", **marks, **{name: pl.when(counts).then(value).otherwise(0) for name, (value, counts) in sums.items()}
    )
    return rows.group_by("subject").agg(pl.col(*sums).sum(), pl.col(*marks).any().cast(pl.Int64))


def _marked(frame: Frame, lines: pl.LazyFrame) -> pl.LazyFrame:
    """Openings and deeds, each with whether it does not count now, and did not in the edition before this one."""
    said = lines.filter(pl.col("kind").is_in(["reverse", "objection", "decision"])).collect().lazy()
    rows = within(lines.filter(pl.col("kind").is_in(["open", "award", "deduct"])), frame.as_of)
    return rows.with_columns(gone=among(gone(said, frame.seen)), was_gone=among(gone(said, frame.seen_before)))


def _asks_enough(rule: ListRule, pack: Pack) -> pl.Expr:
    """Awards under rules that ask at least the list's evidence; a rule that the pack does not know asks E1."""
    if rule.kind not in ("honour", "reminder") or rule.level <= "E1":
        return pl.lit(True)
    asking = [
        code for code, one in pack.indicators.items() if LEVELS.index(one.evidence.standing) >= LEVELS.index(rule.level)
    ]
    return pl.col("rule").is_in(asking).fill_null(False)


def late_from(frame: Frame) -> pl.Expr:
    """Whether an entry came after the edition before this one had counted; none did in a journal it did not look at."""
    sizes = frame.counted_before
    if not sizes:
        return pl.lit(False)
    ends = pl.col("journal").replace_strict(list(sizes), list(sizes.values()), default=_NEVER, return_dtype=pl.Int64)
    return pl.col("seq") >= ends


def of_members(who: pl.DataFrame, found: pl.LazyFrame) -> pl.DataFrame:
    """`who` with their figures, in their order; who has no line has nothing."""
    joined = who.lazy().join(found, on="subject", how="left", maintain_order="left")
    return joined.with_columns(pl.exclude(who.columns).fill_null(0)).collect()
