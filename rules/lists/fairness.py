# SPDX-License-Identifier: Apache-2.0
"""Who a quarter's points reach, and who gives them out: pure, over frames of ids, without a name in the answer.

A group's fair share is its part of the people. A grid, the over-sixties or those without a phone that get less than
half of it, in people reached or in points, raise an alarm; where the fair share is less than five people, chance could
do as much and none is raised. A group of fewer than five people is not told, nor what one to four people got.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import polars as pl

from rules.lists.suppress import hidden

ELDERS, ELDER_BANDS = "60+", ("60-74", "75+")
OTHER_BANDS = ("18-39", "40-59", "unknown")
BANDS = ("18-39", "40-59", *ELDER_BANDS, "unknown")
PHONES = ("with", "without")
CHANNELS = ("counter", "sheet", "report")
BELOW = 5  # people
TOP_PERCENT = 1
TOP_LEAST = 5  # people: the share of fewer is somebody's own
OWN_GRID_AWARDS = 10
OWN_GRID_PERCENT = 50

PEOPLE = pl.Schema({"subject": pl.String, "grid": pl.String, "band": pl.String, "phone": pl.String})
"""Who has an account, a person a row; `band` is one of BANDS, `phone` of PHONES."""
DEEDS = pl.Schema(
    {
        "subject": pl.String,
        "standing": pl.Int64,
        "points": pl.Int64,
        "proposer": pl.String,
        "approver": pl.String,
        "channel": pl.String,
    }
)
"""Awards that stand, amounts in hundredths; `approver` may be null, `channel` is one of CHANNELS."""
STAFF = pl.Schema({"id": pl.String, "account": pl.String, "home": pl.String})
"""Who gives awards out and has an account of their own, in the grid `home`."""
TIES = pl.Schema({"one": pl.String, "other": pl.String})
"""Who may act, or pay, for whom."""

Measure = Literal["reached", "points"]


class _Sums(NamedTuple):
    people: int
    reached: int
    points: int


def band_of(age: int | None) -> str:
    """The band of an age in years."""
    if age is None:
        return "unknown"
    return "75+" if age >= 75 else "60-74" if age >= 60 else "40-59" if age >= 40 else "18-39"


def fairness(people: pl.DataFrame, deeds: pl.DataFrame, staff: pl.DataFrame, ties: pl.DataFrame) -> dict[str, Any]:
    """Reach by age, grid, phone and channel, self-dealing, concentration, alarms; docs/fairness.md says what each
    figure is. Frames are as PEOPLE, DEEDS, STAFF and TIES say; deeds of others than `people` count for nothing. Points
    in hundredths; what ends in `percent` or `of_fair` is in whole percents; null is a figure that is not told."""
    given = (
        deeds.filter((pl.col("points") > 0) | (pl.col("standing") > 0))
        .join(people.select("subject", "grid"), on="subject")
        .with_row_index("award")
    )
    got = given.group_by("subject").agg(pl.col("points").sum())
    each = people.join(got, on="subject", how="left").with_columns(
        reached=pl.col("points").is_not_null().cast(pl.Int64), points=pl.col("points").fill_null(0)
    )
    totals = _Sums(each.height, got.height, int(got["points"].sum()))
    elders = each.filter(pl.col("band").is_in(ELDER_BANDS)).with_columns(band=pl.lit(ELDERS))
    ages = _rows(pl.concat([each, elders]), "band", totals, (*BANDS, ELDERS), _few_of_ages)
    grids = _rows(each, "grid", totals, sorted(people["grid"].unique()), _few)
    phones = _rows(each, "phone", totals, PHONES, _few)
    dealing = _self_dealing(given, staff, ties)
    told = not 0 < totals.reached < BELOW
    return {
        "people": totals.people if totals.people >= BELOW else None,
        "reached": totals.reached if told else None,
        "points": totals.points if told else None,
        "age": ages,
        "grids": grids,
        "phone": phones,
        "channels": _channels(given, totals),
        "self_dealing": dealing,
        "concentration": _concentration(got, given),
        "alarms": [
            *_alarms("age", [one for one in ages if one["code"] == ELDERS]),
            *_alarms("grid", grids),
            *_alarms("phone", [one for one in phones if one["code"] == "without"]),
            *({"kind": kind, **dealing[kind]} for kind in ("kin", "mutual", "own_grid") if any(dealing[kind].values())),
        ],
    }


def _few(counts: Mapping[str, int]) -> set[str]:
    """Whose counts are not told, when the sum of all is known."""
    return hidden(counts, BELOW, [list(counts)])


def _few_of_ages(counts: Mapping[str, int]) -> set[str]:
    """The same, when the over-sixties are told beside their two bands."""
    found = hidden(counts, BELOW, [(*OTHER_BANDS, ELDERS), ELDER_BANDS])
    return {*found, *ELDER_BANDS} if ELDERS in found else found


def _rows(
    each: pl.DataFrame,
    by: str,
    totals: _Sums,
    codes: Sequence[str],
    few: Callable[[Mapping[str, int]], set[str]],
) -> list[dict[str, Any]]:
    """A row for each of `codes` that has people. `few`: whose counts are not told."""
    grouped = each.group_by(by).agg(pl.len(), pl.col("reached", "points").sum())
    sums = {code: _Sums(*rest) for code, *rest in grouped.iter_rows()}
    untold = few({code: one.people for code, one in sums.items()})
    unsaid = few({code: one.reached for code, one in sums.items() if one.reached})
    rows: list[dict[str, Any]] = []
    for code in (code for code in codes if code in sums):
        if code in untold:
            rows.append({"code": code, "state": "too_few"})
        else:
            rows.append({"code": code, **_row(sums[code], totals, told=code not in unsaid)})
    return rows


def _row(one: _Sums, totals: _Sums, *, told: bool) -> dict[str, Any]:
    below = _below(one, totals)
    sure = one.people * totals.reached >= BELOW * totals.people
    return {
        "state": "unsure" if not sure else "below" if below else "fair",
        "below": below if sure else [],
        "people": one.people,
        "reached": one.reached if told else None,
        "points": one.points if told else None,
        "reached_of_fair": _percent(one.reached * totals.people, totals.reached * one.people) if told else None,
        "points_of_fair": _percent(one.points * totals.people, totals.points * one.people) if told else None,
    }


def _below(one: _Sums, totals: _Sums) -> list[Measure]:
    """In what the group got less than half of what its number of people would have had."""
    measures: tuple[Measure, Measure] = ("reached", "points")
    return [
        measure
        for measure in measures
        if 2 * getattr(one, measure) * totals.people < getattr(totals, measure) * one.people
    ]


def _percent(part: int, whole: int) -> int | None:
    """Rounded half up."""
    return (200 * part + whole) // (2 * whole) if whole else None


def _alarms(about: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"kind": "below_half", "about": about, "code": one["code"], "measures": one["below"]}
        for one in rows
        if one["state"] == "below"
    ]


def _channels(given: pl.DataFrame, totals: _Sums) -> list[dict[str, Any]]:
    """By which way awards came in. One person may have come by several."""
    grouped = given.group_by("channel").agg(pl.len(), pl.col("subject").n_unique(), pl.col("points").sum())
    sums = {code: rest for code, *rest in grouped.iter_rows()}
    few = _few({code: reached for code, (_, reached, _) in sums.items()})
    rows: list[dict[str, Any]] = []
    for code in CHANNELS:
        awards, reached, points = (None, None, None) if code in few else sums.get(code, (0, 0, 0))
        share = None if points is None else _percent(points, totals.points)
        rows.append({"code": code, "awards": awards, "reached": reached, "points": points, "points_percent": share})
    return rows


def _self_dealing(given: pl.DataFrame, staff: pl.DataFrame, ties: pl.DataFrame) -> dict[str, dict[str, int]]:
    """What went to those whom a giver may act or pay for, or who may for the giver (`kin`); what two givers gave each
    other (`mutual`); and givers most of whose awards went to the grid in which they live (`own_grid`). These are told
    however few they are: a second person looks, and no sum tells of whom."""
    hands = pl.concat(
        [given.select("award", "subject", "points", id=pl.col(hand)).drop_nulls() for hand in ("proposer", "approver")]
    ).join(staff, on="id")
    both_ways = pl.concat([ties.select("one", "other"), ties.select(one="other", other="one")]).unique()
    kin = hands.join(both_ways, left_on=["account", "subject"], right_on=["one", "other"], how="semi")
    proposed = given.join(staff, left_on="proposer", right_on="id")
    back = proposed.select("account", "subject").unique()
    mutual = proposed.join(back, left_on=["account", "subject"], right_on=["subject", "account"], how="semi")
    own = (
        proposed.group_by("proposer")
        .agg(pl.len().alias("all"), (pl.col("grid") == pl.col("home")).sum().alias("near"))
        .filter((pl.col("near") >= OWN_GRID_AWARDS) & (pl.col("near") * 100 > pl.col("all") * OWN_GRID_PERCENT))
    )
    return {
        "kin": {"awards": kin["award"].n_unique(), "points": int(kin.unique("award")["points"].sum())},
        "mutual": {"awards": mutual.height, "pairs": mutual.select("account", "subject").unique().height // 2},
        "own_grid": {"staff": own.height, "awards": int(own["near"].sum())},
    }


def _concentration(got: pl.DataFrame, given: pl.DataFrame) -> dict[str, Any]:
    """The part of all points that went to the hundredth of those reached who got most, and the part of all awards that
    one member of staff proposed."""
    top = max(TOP_LEAST, -(-got.height * TOP_PERCENT // 100))
    told = got.height >= 2 * top
    most = int(got["points"].top_k(top).sum())
    by_one: list[int] = given.group_by("proposer").len()["len"].to_list()
    return {
        "top_people": top if told else None,
        "top_points_percent": _percent(most, int(got["points"].sum())) if told else None,
        "proposers": len(by_one),
        "one_proposer_percent": _percent(max(by_one, default=0), given.height),
    }
