# SPDX-License-Identifier: Apache-2.0
"""What a pack would change, and for whom: the ledger as it is beside the same deeds judged by another pack.

Sums over deeds of a range of days, less what was taken back. Amounts are hundredths of a 分; one 分 is one yuan at the
till, so they are fen of budget too. Nothing here names a person, and what would tell of fewer than five of them is
put together or left unsaid.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from datetime import date
from typing import Any, TypeAlias

import polars as pl

from rules.backtest.history import History
from rules.backtest.simulate import CARRIED, REFUSED, Simulated
from rules.engine.model import Name, Pack

FEW = 5
"""Fewer people than this are never told apart."""
DECILES = 10
PERSON = "person"
OTHERS = ""
"""The code under which small grids, or rules with few people, are put together."""

Report: TypeAlias = dict[str, Any]
_SUMS = ("old_standing", "old_points", "new_standing", "new_points")


def compare(
    history: History, pack: Pack, simulated: Simulated, current: Pack, at_present: Simulated, first: date, last: date
) -> Report:
    """The report, as values that JSON can hold. `current` is the pack that holds now, `at_present` the same history
    judged by it: only the caps' hit-rates are taken from that; all other old figures are the ledger's own."""
    judged = simulated.events.select("state", "code", new_standing="standing", new_points="points")
    of_range = (
        history.events.select(
            "subject", "indicator", "group", "occurred_on", "back", "outcome",
            old_standing="standing", old_points="points",
        )
        .hstack(judged)
        .filter(pl.col("occurred_on").is_between(first, last))
    )  # fmt: skip
    deeds = of_range.filter(pl.col("back").is_null()).drop("back")
    people = history.people.with_row_index("subject_row").select(
        pl.col("subject_row").alias("subject"),
        pl.col("kind").cast(pl.String).fill_null(PERSON),
        pl.col("home").cast(pl.String),
        pl.col("grid").cast(pl.String),
    )
    deeds = deeds.join(people, on="subject", how="left")
    each = deeds.group_by("subject").agg(pl.col(_SUMS).sum()).join(people, on="subject", how="left").sort("subject")
    return {
        "v": 1,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "pack": _pack(pack),
        "current": _pack(current),
        "deeds": {
            "judged": deeds.filter(pl.col("state") != CARRIED).height,
            "carried": deeds.filter(pl.col("state") == CARRIED).height,
            "taken_back": of_range.height - deeds.height,
            "unreadable": len(history.unsealed),
            "old": _counted(deeds["outcome"]),
            "new": _counted(deeds["state"]),
            "refused": _counted(deeds.filter(pl.col("state") == REFUSED)["code"]),
        },
        "totals": _sums(deeds),
        "months": _months(deeds),
        "rules": _rules(deeds, pack, current),
        "groups": _groups(deeds, pack, current),
        "grids": _grids(each, people),
        "deciles": _deciles(each),
        "people": _moved(each),
        "grades": _grades(each, pack, current),
        "caps": _caps(simulated, at_present, pack, current),
    }


def _pack(pack: Pack) -> Report:
    return {"id": pack.id, "version": pack.version, "hash": pack.hash, "name": _name(pack.name)}


def _name(name: Name) -> dict[str, str]:
    return {"zh": name.zh, "en": name.en}


def _counted(values: pl.Series) -> dict[str, int]:
    found = values.cast(pl.String).drop_nulls().value_counts(sort=True, name="n")
    return {str(value): int(count) for value, count in found.iter_rows()}


def _sums(rows: pl.DataFrame) -> Report:
    sums = rows.select(pl.col(_SUMS).sum()).row(0, named=True)
    return {
        "old": {"standing": sums["old_standing"], "points": sums["old_points"]},
        "new": {"standing": sums["new_standing"], "points": sums["new_points"]},
    }


def _both(row: dict[str, Any]) -> Report:
    return {
        "old": {"standing": row["old_standing"], "points": row["old_points"]},
        "new": {"standing": row["new_standing"], "points": row["new_points"]},
    }


def _months(deeds: pl.DataFrame) -> list[Report]:
    of = deeds.group_by(pl.col("occurred_on").dt.strftime("%Y-%m").alias("month")).agg(pl.col(_SUMS).sum())
    return [{"month": row["month"], **_both(row)} for row in of.sort("month").iter_rows(named=True)]


# by rule, group and grid -----------------------------------------------------------------------------------------


def _rules(deeds: pl.DataFrame, pack: Pack, current: Pack) -> list[Report]:
    """A row per indicator; those with few persons in them are one row without a code."""
    of = _grouped(deeds, "indicator")
    rows: list[Report] = []
    for row in of.sort("indicator").iter_rows(named=True):
        rule = pack.indicators.get(row["indicator"]) or current.indicators.get(row["indicator"])
        rows.append(
            {
                "code": row["indicator"],
                "name": _name(rule.name) if rule is not None else None,
                "awards": row["awards"],
                "people": row["people"],
                "refused": row["refused"],
                "cut": row["cut"],
                **_both(row),
            }
        )
    return rows


def _grouped(deeds: pl.DataFrame, by: str) -> pl.DataFrame:
    def made(key: pl.Expr) -> pl.DataFrame:
        return deeds.group_by(key.alias(by), "bodies").agg(
            pl.len().alias("awards"),
            pl.col("subject").n_unique().alias("people"),
            (pl.col("state") == REFUSED).sum().alias("refused"),
            pl.col("state").is_in(["reduced", "zero"]).sum().alias("cut"),
            pl.col(_SUMS).sum(),
        )

    deeds = deeds.with_columns(pl.col(by).cast(pl.String), (pl.col("kind") != PERSON).alias("bodies"))
    persons = made(pl.col(by)).filter(~pl.col("bodies")).sort("people", by)
    few: list[str] = []
    for key, people in persons.select(by, "people").iter_rows():
        # What is put together must itself be of enough people, or the totals would tell of them.
        if people >= FEW and (not few or _heads(deeds, by, few) >= FEW):
            break
        few.append(key)
    folded = pl.when(pl.col(by).is_in(few) & ~pl.col("bodies")).then(pl.lit(OTHERS)).otherwise(pl.col(by))
    return made(folded).drop("bodies")


def _heads(deeds: pl.DataFrame, by: str, keys: list[str]) -> int:
    return deeds.filter(pl.col(by).is_in(keys) & ~pl.col("bodies"))["subject"].n_unique()


def _groups(deeds: pl.DataFrame, pack: Pack, current: Pack) -> list[Report]:
    rows: list[Report] = []
    for row in _grouped(deeds, "group").sort("group").iter_rows(named=True):
        group = pack.groups.get(row["group"]) or current.groups.get(row["group"])
        name = _name(group.name) if group is not None else None
        rows.append(
            {"code": row["group"], "name": name, "awards": row["awards"], "people": row["people"], **_both(row)}
        )
    return rows


def _grids(each: pl.DataFrame, people: pl.DataFrame) -> list[Report]:
    """Persons by grid, with the grid's place inside its community by standing a head, old and new.

    The denominator is everybody registered in the grid. Grids with few people are put together and have no place.
    """
    persons = people.filter((pl.col("kind") == PERSON) & pl.col("grid").is_not_null())
    heads = persons.group_by("home", "grid").agg(pl.len().alias("people"))
    sums = (
        each.filter(pl.col("kind") == PERSON)
        .group_by("home", "grid")
        .agg(pl.col(_SUMS).sum(), pl.len().alias("with_awards"))
    )
    of = heads.join(sums, on=["home", "grid"], how="left").with_columns(pl.col(*_SUMS, "with_awards").fill_null(0))
    few = (pl.col("people") < FEW) | pl.col("with_awards").is_between(1, FEW - 1)
    large = of.filter(~few).with_columns(
        *(
            (pl.col(f"{book}_standing") / pl.col("people"))
            .rank("min", descending=True)
            .over("home")
            .cast(pl.Int64)
            .alias(f"{book}_rank")
            for book in ("old", "new")
        )
    )
    rows = [
        {
            "community": row["home"],
            "grid": row["grid"],
            "people": row["people"],
            **_both(row),
            "rank": {"old": row["old_rank"], "new": row["new_rank"]},
        }
        for row in large.sort("home", "grid").iter_rows(named=True)
    ]
    rest = of.filter(few).group_by("home").agg(pl.col("people").sum(), pl.col(_SUMS).sum())
    for row in rest.sort("home").iter_rows(named=True):
        if row["people"] >= FEW:
            rows.append({"community": row["home"], "grid": OTHERS, "people": row["people"], **_both(row), "rank": None})
    return rows


# by person, never one of them ------------------------------------------------------------------------------------


def _deciles(each: pl.DataFrame) -> list[Report]:
    """Persons who have any award, in ten equal parts by their old points: the first has the fewest."""
    persons = each.filter(pl.col("kind") == PERSON)
    parts = min(DECILES, persons.height // FEW)
    if not parts:
        return []
    part = (pl.int_range(pl.len()) * parts // pl.len() + 1).alias("part")
    of = persons.sort("old_points", "old_standing", "subject").with_columns(part)
    summed = of.group_by("part").agg(pl.len().alias("people"), pl.col(_SUMS).sum()).sort("part")
    return [
        {"part": row["part"], "parts": parts, "people": row["people"], **_both(row)}
        for row in summed.iter_rows(named=True)
    ]


def _moved(each: pl.DataFrame) -> list[Report]:
    """How many persons, and how many bodies, gain or lose, and who is newly in or out: had nothing before, or now."""
    rows: list[Report] = []
    for kind in (PERSON, "body"):
        of = each.filter(pl.col("kind") == kind)
        old, new = (_something(of, book) for book in ("old", "new"))
        changes = {
            "newly_in": ~old & new,
            "newly_out": old & ~new,
            "more_points": of["new_points"] > of["old_points"],
            "fewer_points": of["new_points"] < of["old_points"],
            "more_standing": of["new_standing"] > of["old_standing"],
            "less_standing": of["new_standing"] < of["old_standing"],
        }
        said = {name: _number(int(mask.sum()), kind) for name, mask in changes.items()}
        rows.append({"kind": kind, "with_awards": _number(of.height, kind), **said})
    return rows


def _something(of: pl.DataFrame, book: str) -> pl.Series:
    return (of[f"{book}_standing"] != 0) | (of[f"{book}_points"] != 0)


def _number(count: int, kind: str) -> int | None:
    """A count that may be told; None for some, but fewer than five persons."""
    return None if kind == PERSON and 0 < count < FEW else count


def _grades(each: pl.DataFrame, pack: Pack, current: Pack) -> list[Report]:
    """Who would have another grade, were the standing of these deeds all they have on top of the opening one."""
    rows: list[Report] = []
    for kind in (PERSON, "body"):
        of = each.filter(pl.col("kind") == kind)
        graded = of.select(
            _grade(current, pl.col("old_standing")).alias("old"), _grade(pack, pl.col("new_standing")).alias("new")
        )
        for old, new, count in graded.group_by("old", "new").len().sort("old", "new").iter_rows():
            rows.append({"kind": kind, "old": old, "new": new, "people": _number(count, kind)})
    return rows


def _grade(pack: Pack, earned: pl.Expr) -> pl.Expr:
    standing = earned + pack.base_standing
    grade = pl.lit(pack.bands[-1].code)
    for band in reversed(pack.bands[:-1]):
        grade = pl.when(standing >= band.min).then(pl.lit(band.code)).otherwise(grade)
    return grade


# caps ------------------------------------------------------------------------------------------------------------


def _caps(simulated: Simulated, at_present: Simulated, pack: Pack, current: Pack) -> list[Report]:
    """How often each cap cut, under the new pack and under the current one."""
    new, old = (
        {(row["indicator"], row["cap"]): row for row in one.caps.iter_rows(named=True)}
        for one in (simulated, at_present)
    )
    rows: list[Report] = []
    for key in sorted(new.keys() | old.keys()):
        code, id_ = key
        row: Report = {"indicator": code, "cap": id_}
        for book, found, of in (("old", old, current), ("new", new, pack)):
            rule = of.indicators.get(code)
            cap = next((cap for cap in rule.caps if cap.id == id_), None) if rule is not None else None
            row[book] = None
            if cap is not None:
                hits = found.get(key)
                row[book] = {
                    "on": cap.on,
                    "window": cap.window,
                    "limit": cap.max,
                    **{name: hits[name] if hits else 0 for name in ("awards", "cut", "emptied")},
                }
        rows.append(row)
    return rows
