# SPDX-License-Identifier: Apache-2.0
"""Grids ranked by what their residents have per head, with how sure each rank is. Whoever reaches a flag's thresholds
has it; there is no quota."""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from rules.engine.lists import Flag, Interval, ListRule
from rules.lists.bootstrap import draws
from rules.lists.figures import Frame
from rules.lists.shrink import Sums, half_up, shrunken
from rules.lists.suppress import hidden, neighbours, sum_tells, without


class Unit(NamedTuple):
    """A grid's residents taken together; `squares` are those of their values, whose sum is `total`."""

    people: int
    active: int
    total: int
    gained: int
    late: int
    taken_back: int
    squares: int


_NOBODY = Unit(0, 0, 0, 0, 0, 0, 0)
_ADDED = ("people", "active", "total", "gained", "late", "taken_back")
_OF_ACTIVE = ("active", "gained", "gained_per_head", "late", "taken_back")


class _Spread(NamedTuple):
    low: int
    high: int
    per_head_low: int
    per_head_high: int


def ranking(rule: ListRule, frame: Frame, found: pl.DataFrame) -> dict[str, Any]:
    """The result of a ranking; `found` are the residents with their figures (`rules.lists.figures`)."""
    value = (
        pl.col("standing") if rule.metric == "standing" else pl.col("gained") + pl.col("late") - pl.col("taken_back")
    )
    found = found.with_columns(value=value)
    units = _units(found)
    states = {grid: _state(rule, units.get(grid)) for grid in frame.units}
    ranked, rest, empty = (
        {grid: units.get(grid, _NOBODY) for grid, state in states.items() if state == wanted}
        for wanted in ("ranked", "too_few", "empty")
    )
    rows, method = _ranked(rule, frame, found, ranked)
    totals: dict[str, Any] = {name: sum(getattr(one, name) for one in ranked.values()) for name in _ADDED}
    together = neighbours(frame.units, frame.as_of)
    active = {grid: one.active for grid, one in ranked.items()}
    quiet = hidden(active, rule.suppress_below, together)
    rows = [without(row, _OF_ACTIVE) if row["grid"] in quiet else row for row in rows]
    if sum_tells(quiet, active, rule.suppress_below, together):
        totals = without(totals, _OF_ACTIVE)
    unnamed = hidden({grid: one.people for grid, one in rest.items()}, rule.suppress_below, together)
    for grid, one in rest.items():
        rows.append({"grid": grid, "state": "too_few", **({} if grid in unnamed else {"people": one.people})})
    rows += [{"grid": grid, "state": "empty"} for grid in empty]
    return {
        "rows": rows,
        "totals": totals | {"ranked": len(ranked), "too_few": len(rest), "empty": len(empty)},
        "method": method,
    }


def _units(found: pl.DataFrame) -> dict[str, Unit]:
    value = pl.col("value")
    sums = found.group_by("grid").agg(
        pl.len().cast(pl.Int64),
        *(pl.col(name).sum() for name in ("active", "value", "gained", "late", "taken_back")),
        squares=(value.cast(pl.Int128) * value).sum(),
    )
    return {grid: Unit(*rest) for grid, *rest in sums.iter_rows()}


def _state(rule: ListRule, unit: Unit | None) -> str:
    if unit is None:
        return "empty"
    # A ranking by what was gained would tell what so few people gained.
    active = rule.minimum.active if rule.metric == "standing" else max(rule.minimum.active, rule.suppress_below)
    few = unit.people < max(rule.minimum.people, rule.suppress_below) or unit.active < active
    return "too_few" if few else "ranked"


def _ranked(
    rule: ListRule, frame: Frame, found: pl.DataFrame, units: Mapping[str, Unit]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    per_head = {grid: half_up(one.total, one.people) for grid, one in units.items()}
    ranks = dict(zip(per_head, places([*per_head.values()]), strict=True))
    spreads = _spreads(rule.interval, frame, found, per_head) if rule.interval is not None and units else {}
    drawn_in = None
    if rule.shrink is not None:
        drawn_in = shrunken({grid: Sums(one.people, one.total, one.squares) for grid, one in units.items()})
    rows: list[dict[str, Any]] = []
    for grid in sorted(units, key=lambda grid: (ranks[grid], grid)):
        one = units[grid]
        row: dict[str, Any] = {
            "grid": grid,
            "state": "ranked",
            "people": one.people,
            "active": one.active,
            "total": one.total,
            "per_head": per_head[grid],
            "gained": one.gained,
            "gained_per_head": half_up(one.gained, one.people),
            "late": one.late,
            "taken_back": one.taken_back,
            "rank": ranks[grid],
            "ties": [*ranks.values()].count(ranks[grid]),
            "flags": [flag.code for flag in rule.flags if _earned(flag, one, per_head[grid])],
        }
        if grid in spreads:
            row |= spreads[grid]._asdict()
        if drawn_in is not None:
            row["shrunken"] = drawn_in.means[grid]
        rows.append(row)
    if drawn_in is None:
        return rows, {}
    return rows, {"mean": drawn_in.mean, "between": drawn_in.between, "within": drawn_in.within}


def _earned(flag: Flag, unit: Unit, per_head: int) -> bool:
    """Every threshold that is stated, by the figures that people see."""
    enough = flag.min_per_head is None or per_head >= flag.min_per_head
    return enough and (flag.min_participation is None or 100 * unit.active >= flag.min_participation * unit.people)


def places(figures: Sequence[int]) -> list[int]:
    """The rank of each, from the highest down; equal ones share a rank and leave out as many: 1, 2, 2, 4."""
    first: dict[int, int] = {}
    for place, figure in enumerate(sorted(figures, reverse=True), start=1):
        first.setdefault(figure, place)
    return [first[figure] for figure in figures]


def _spreads(interval: Interval, frame: Frame, found: pl.DataFrame, per_head: Mapping[str, int]) -> dict[str, _Spread]:
    """Where each grid's rank and figure lie in most of the replicates."""
    grids = sorted(per_head)
    numbers = pl.col("grid").replace_strict(grids, range(len(grids)), return_dtype=pl.UInt32)
    drawn = found.filter(pl.col("grid").is_in(grids)).select("line", "value", unit=numbers)
    heads: list[list[int]] = []
    for people, totals in draws(drawn, len(grids), frame.seed, interval.replicates):
        # Nobody drawn says nothing: the grid keeps its own figure.
        heads.append([half_up(t, p) if p else per_head[grid] for grid, p, t in zip(grids, people, totals, strict=True)])
    ranks = [places(replicate) for replicate in heads]
    return {
        grid: _Spread(*_middle(own_ranks, interval.percent), *_middle(own_heads, interval.percent))
        for grid, own_ranks, own_heads in zip(grids, zip(*ranks, strict=True), zip(*heads, strict=True), strict=True)
    }


def _middle(values: Sequence[int], percent: int) -> tuple[int, int]:
    """The lowest and highest of the values that stay when as many are left out at both ends as make up the rest."""
    ordered = sorted(values)
    cut = len(ordered) * (100 - percent) // 200
    return ordered[cut], ordered[-1 - cut]
