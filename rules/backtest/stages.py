# SPDX-License-Identifier: Apache-2.0
"""Caps and ladders over whole columns: the arithmetic of `rules/engine/evaluate.py` for many events at once.

In one window (subject × first day) a cap lets through min(c, cap) − min(c − x, cap), c being the running sum of what
was asked. Rows are brought together by sorting one packed integer, which is several times faster than grouping. A
window in which something was taken back has no such formula: it is counted one by one, but only that window.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from rules.engine.calendar import Window
from rules.engine.values import AMOUNT_MAX, Climb

_ROOM = 2**62
"""No running sum and no packed key may come near the edge of int64."""
_LEVELS = 2**24
assert AMOUNT_MAX < _LEVELS


@dataclass(frozen=True, slots=True)
class Windows:
    """Rows brought together by window: `row` in group order, `first` where a group starts, `group` its number.

    `undone` holds the groups with a reversal in them, moment by moment: group, row, and whether its award came or was
    taken back; `events` are what was grouped.
    """

    row: pl.Series
    first: pl.Series
    group: pl.Series
    undone: pl.DataFrame
    events: pl.DataFrame


def window_number(day: pl.Expr, window: Window) -> pl.Expr:
    """A whole number for the window that holds a day, like `calendar.window_bounds` but cheaper than its first day."""
    year = day.dt.year().cast(pl.Int64)
    if window == "day":
        return day.cast(pl.Int32).cast(pl.Int64)
    if window == "month":
        return year * 12 + day.dt.month()
    if window == "quarter":
        return year * 4 + day.dt.quarter()
    return year if window == "year" else pl.lit(0, dtype=pl.Int64)


def windows(events: pl.DataFrame, window: Window) -> Windows:
    """Bring the rows of `events` (subject, occurred_on, order, back; in ledger order; at least one) together."""
    height = events.height
    numbered = events.select("subject", window_number(pl.col("occurred_on"), window).alias("number"))
    low, high, top = numbered.select(
        pl.col("number").min(), pl.col("number").max().alias("high"), pl.col("subject").max()
    ).row(0)
    span, bits = high - low + 1, max(height - 1, 1).bit_length()
    assert (top + 1) * span < _ROOM >> bits, "too many windows for one key"
    key = (numbered["subject"].cast(pl.Int64) * span + (numbered["number"] - low)) * 2**bits + pl.int_range(
        height, eager=True
    )
    packed = key.sort()
    placed = pl.DataFrame({"key": packed}).select(
        (pl.col("key") & (2**bits - 1)).cast(pl.UInt32).alias("row"), (pl.col("key") // 2**bits).alias("window")
    )
    placed = placed.with_columns((pl.col("window") != pl.col("window").shift(1)).fill_null(True).alias("first"))
    group = placed["first"].cast(pl.UInt32).cum_sum()
    return Windows(placed["row"], placed["first"], group, _moments(events, placed["row"], group), events)


def _moments(events: pl.DataFrame, row: pl.Series, group: pl.Series, *, every: bool = False) -> pl.DataFrame:
    if events["back"].null_count() == events.height and not every:
        return pl.DataFrame(schema={"group": pl.UInt32, "row": pl.UInt32, "comes": pl.Boolean})
    placed = pl.DataFrame({"row": row, "group": group, "back": events["back"].gather(row)})
    backs = placed.filter(pl.col("back").is_not_null())
    if not every:
        placed = placed.join(backs.select("group").unique(), on="group", how="semi")
    moment = events["order"].gather(placed["row"])
    coming = placed.select("group", "row", moment.alias("moment"), pl.lit(True).alias("comes"))
    going = backs.select("group", "row", pl.col("back").alias("moment"), pl.lit(False).alias("comes"))
    return pl.concat([coming, going]).sort("group", "moment").drop("moment")


def cut(among: Windows, asked: pl.Series, limit: int) -> pl.Series:
    """What one cap lets through of every row's `asked`, which is never negative."""
    if limit >= _ROOM // max(asked.len(), 1):  # such a sum might leave int64: one by one it cannot
        moments = _moments(among.events, among.row, among.group, every=True)
        return _exactly(moments, asked, limit, pl.zeros(asked.len(), dtype=pl.Int64, eager=True))
    x, run = pl.col("x"), pl.col("run")
    placed = pl.DataFrame({"x": asked.gather(among.row).clip(upper_bound=limit), "first": among.first})
    placed = placed.with_columns((x.cum_sum() - x).alias("run"))
    before = run - pl.when("first").then(run).forward_fill()
    let = (before + x).clip(upper_bound=limit) - before.clip(upper_bound=limit)
    return _exactly(among.undone, asked, limit, _back_in_place(among.row, placed.select(let.alias("let"))["let"]))


def used_before(among: Windows, let: pl.Series) -> pl.Series:
    """What the tally of a cap held before each row, from what it let through."""
    placed = pl.DataFrame({"let": let.gather(among.row), "first": among.first})
    run = pl.col("let").cum_sum() - pl.col("let")
    placed = placed.with_columns(run.alias("run"))
    before = pl.col("run") - pl.when("first").then("run").forward_fill()
    found = _back_in_place(among.row, placed.select(before.alias("before"))["before"])
    exact: dict[int, int] = {}
    group, used = 0, 0
    for at, row, comes, given in among.undone.with_columns(let.gather(among.undone["row"]).alias("let")).iter_rows():
        if at != group:
            group, used = at, 0
        if comes:
            exact[row] = used
        used += given if comes else -given
    return _replaced(found, exact)


def _back_in_place(row: pl.Series, values: pl.Series) -> pl.Series:
    return pl.zeros(row.len(), dtype=pl.Int64, eager=True).scatter(row, values)


def _replaced(values: pl.Series, exact: dict[int, int]) -> pl.Series:
    if not exact:
        return values
    return values.scatter(pl.Series(exact.keys(), dtype=pl.UInt32), pl.Series(exact.values(), dtype=pl.Int64))


def _exactly(moments: pl.DataFrame, asked: pl.Series, limit: int, let: pl.Series) -> pl.Series:
    """`let` with these groups counted one by one."""
    given: dict[int, int] = {}
    group, used = 0, 0
    for at, row, comes, wanted in moments.with_columns(asked.gather(moments["row"]).alias("asked")).iter_rows():
        if at != group:
            group, used = at, 0
        if comes:
            room = limit - used
            given[row] = wanted if wanted <= room else max(room, 0)
            used += given[row]
        else:
            used -= given[row]
    return _replaced(let, given)


def climb(among: Windows, levels: Climb, total: pl.Series, climbing: pl.Series) -> pl.Series:
    """What a ladder adds for every row, `total` being its measure with this row in it.

    Rows not `climbing` were emptied before: they add nothing and pass no level.
    """
    steps = pl.Series(levels.ats, dtype=pl.Int64).search_sorted(total, side="right")
    level = pl.Series(levels.levels, dtype=pl.Int64).gather(steps)
    level = pl.select(pl.when(climbing).then(level).otherwise(0)).to_series()
    placed = pl.DataFrame({"level": level.gather(among.row), "group": among.group.cast(pl.Int64)})
    reached = pl.col("level") + pl.col("group") * _LEVELS
    posted = (reached.cum_max().shift(1, fill_value=0) - pl.col("group") * _LEVELS).clip(lower_bound=0)
    added = placed.select((pl.col("level") - posted).clip(lower_bound=0).alias("added")).to_series()
    found = _back_in_place(among.row, added)
    return _replaced(found, _climbed(among.undone, level))


def _climbed(moments: pl.DataFrame, level: pl.Series) -> dict[int, int]:
    added: dict[int, int] = {}
    group, posted = 0, 0
    for at, row, comes, reached in moments.with_columns(level.gather(moments["row"]).alias("level")).iter_rows():
        if at != group:
            group, posted = at, 0
        if comes:
            added[row] = max(reached - posted, 0)
            posted += added[row]
        else:
            posted -= added[row]
    return added
