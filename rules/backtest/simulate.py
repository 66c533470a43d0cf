# SPDX-License-Identifier: Apache-2.0
"""What a pack would have given for every deed in a history: `rules/engine/evaluate.py`, column by column.

An indicator's events go through the same stages in the same order as one award does. Where an award hangs on those of
other indicators (one hat a day, only the highest of a set), that subject's events are given to `evaluate` one by one.
Duplicates are not judged again, approvals are taken as they were given, and an award whose facts are gone is carried
with its old amounts.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from rules.backtest.history import Facts, History
from rules.backtest.stages import Windows, climb, cut, used_before, window_number, windows
from rules.backtest.values import condition, worth
from rules.backtest.walk import Undone, walk
from rules.engine.calendar import Window
from rules.engine.evaluate import Outcome, facts_in_range
from rules.engine.model import LEVELS, Cap, Indicator, Pack
from rules.engine.plan import prepared
from rules.engine.values import Ladder

REFUSED, CARRIED, NOT_IN_PACK = "refused", "carried", "not_in_pack"

_RESULT: dict[str, Any] = {
    "order": pl.UInt32,
    "state": pl.Categorical,
    "code": pl.Categorical,
    "standing": pl.Int64,
    "points": pl.Int64,
}
_USES: dict[str, Any] = {
    "indicator": pl.String,
    "cap": pl.String,
    "awards": pl.Int64,
    "cut": pl.Int64,
    "emptied": pl.Int64,
    "asked": pl.Int64,
    "let": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class Simulated:
    """`events`: a row per event of the history, in its order: state (posted, reduced, zero, refused, carried), the code
    of a refusal, standing and points in hundredths of a 分. `caps`: a row per cap that was asked for something: how
    many awards asked, how many it cut or left with nothing, how much was asked and let through."""

    events: pl.DataFrame
    caps: pl.DataFrame


def simulate(history: History, pack: Pack, *, since: date = date.min) -> Simulated:
    """Judge every event of the history by `pack` alone, all tallies starting empty.

    `since`: caps are counted for deeds from this day on, and for awards that were not taken back.
    """
    known = history.events.filter(pl.col("facts").is_not_null())
    done = [_settled(history.events.filter(pl.col("facts").is_null()), CARRIED, pl.lit(None, pl.String))]
    uses: list[pl.DataFrame] = []
    clashing = _clashing(known, pack)
    if clashing.height:
        events, caps = _one_by_one(clashing, history.facts, pack, since)
        done.append(events)
        uses.append(caps)
        known = known.join(clashing.select("order"), on="order", how="anti", maintain_order="left")
    for part in known.partition_by("indicator", maintain_order=True):
        indicator = pack.indicators.get(str(part["indicator"][0]))
        if indicator is None:
            done.append(_settled(part, REFUSED, pl.lit(NOT_IN_PACK)))
            continue
        course = _Course(pack, indicator, history.facts, since)
        done += course.run(part)
        uses += course.uses
    caps = pl.concat([pl.DataFrame(schema=_USES), *uses])
    counted = [name for name, kind in _USES.items() if kind == pl.Int64]
    return Simulated(
        pl.concat(done).sort("order"),
        caps.group_by("indicator", "cap", maintain_order=True).agg(pl.col(counted).sum()),
    )


class _Course:
    """One indicator's events on their way through the stages of an evaluation."""

    def __init__(self, pack: Pack, indicator: Indicator, facts: Sequence[Facts], since: date) -> None:
        self.indicator = indicator
        self.facts = facts
        self.since = since
        self.plan = prepared(pack, indicator, indicator.effective.from_)[0]
        self.uses: list[pl.DataFrame] = []
        self._grouped: dict[Window, Windows] = {}

    def run(self, events: pl.DataFrame) -> list[pl.DataFrame]:
        """The results of these events, in pieces and in no order."""
        judged, table = self._gate(events)
        done = [_settled(judged.filter(pl.col("code").is_not_null()), REFUSED, pl.col("code"))]
        live = judged.filter(pl.col("code").is_null())
        if not live.height:
            return done
        counted = pl.DataFrame([live["occurred_on"], *(column.gather(live["slot"]) for column in table)])
        if self.indicator.when is not None:
            holds = _over(counted, condition(self.indicator))
            if not holds.all():
                done.append(_settled(live.filter(~holds), REFUSED, pl.lit("condition_not_met")))
                live, counted = live.filter(holds), counted.filter(holds)
        if live.height:
            done.append(self._evaluate(live, counted))
        return done

    def _gate(self, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Each event with the `code` of its refusal, if any, and a `slot` in the table of its facts."""
        plan = self.plan
        slots, table = self._facts_table(events["facts"])
        deadline = pl.col("occurred_on").dt.offset_by(f"{self.indicator.deadline}mo")
        rank = pl.col("level").cast(pl.Enum(LEVELS), strict=False).to_physical()
        events = events.select(
            "order",
            "subject",
            "occurred_on",
            "back",
            rank.alias("rank"),
            slots.gather(events["facts"]).alias("slot"),
            (pl.col("posted_on") > deadline).and_(~pl.col("takeover")).alias("late"),
            (pl.col("occurred_on") > pl.col("posted_on")).alias("future"),
        )
        code = (
            pl.when(~pl.col("occurred_on").is_between(plan.first, plan.last))
            .then(pl.lit("indicator_not_in_force"))
            .when("late")
            .then(pl.lit("entry_deadline_passed"))
            .when(pl.col("slot").is_null() | pl.col("rank").is_null() | pl.col("future"))
            .then(pl.lit("facts_invalid"))
            .when(pl.col("rank") < plan.needed_rank)
            .then(pl.lit("evidence_too_weak"))
        )
        return events.with_columns(code.alias("code")), table

    def _facts_table(self, used: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
        """From a number of facts to a row of the table of valid ones, and the table: a column per field.

        Facts repeat (an hour is an hour), so each distinct one is checked once, by the engine's own check.
        """
        numbers: list[int] = []
        rows: list[Facts] = []
        for (number,) in used.unique().to_frame().iter_rows():
            known = facts_in_range(self.plan.fields, self.facts[int(number)])
            if known is not None:
                numbers.append(number)
                rows.append(known)
        slots = pl.zeros(len(self.facts), dtype=pl.UInt32, eager=True).scatter(numbers, range(1, len(numbers) + 1))
        slots = pl.select(pl.when(slots > 0).then(slots - 1)).to_series()
        table: dict[str, pl.Series] = {}
        for field in self.indicator.fields:
            kind = {"int": pl.Int64, "enum": pl.String, "day": pl.String}[field.type]
            column = pl.Series([row[field.name] for row in rows], dtype=kind)
            table[field.name] = column.str.to_date() if field.type == "day" else column
        return slots, pl.DataFrame(table)

    def _evaluate(self, live: pl.DataFrame, counted: pl.DataFrame) -> pl.DataFrame:
        plan, indicator = self.plan, self.indicator
        height = live.height
        nothing = pl.zeros(height, dtype=pl.Int64, eager=True)
        was_cut = emptied = pl.repeat(False, height, dtype=pl.Boolean, eager=True)
        lets: dict[str, pl.Series] = {}
        fields = {field.name for field in indicator.fields}
        for cap in (cap for cap in indicator.caps if cap.on in fields):
            asked = counted[cap.on]
            let = lets[cap.id] = self._cut(live, cap, asked)
            short = let < asked
            if short.any():
                was_cut, emptied = was_cut | short, emptied | (short & (let == 0))
                counted = counted.with_columns(let.alias(cap.on))
        standing = points = nothing
        if plan.climb is not None:
            among = self._windows(live, next(cap.window for cap in indicator.caps if cap.id == plan.climb.cap))
            total = used_before(among, lets[plan.climb.cap]) + counted[plan.climb.field]
            standing = climb(among, plan.climb, total, ~emptied)
        elif indicator.standing is not None and not isinstance(indicator.standing, Ladder):
            standing = _where(~emptied, _over(counted, worth(indicator, indicator.standing)))
        if indicator.points is not None and not isinstance(indicator.points, Ladder):
            fed = ~emptied & (live["rank"] >= plan.points_rank)
            points = _where(fed, _over(counted, worth(indicator, indicator.points)))
        worthy = (standing != 0) | (points != 0)
        for cap in (cap for cap in indicator.caps if cap.on not in fields):
            asked = {"count": (~emptied).cast(pl.Int64), "standing": standing}.get(cap.on, points)
            let = self._cut(live, cap, asked)
            short = let < asked
            if short.any():
                was_cut = was_cut | short
                if cap.on == "count":
                    standing, points, emptied = _where(~short, standing), _where(~short, points), emptied | short
                elif cap.on == "standing":
                    standing = let
                else:
                    points = let
            emptied = emptied | (was_cut & (standing == 0) & (points == 0) & worthy)
        ended = pl.DataFrame(
            {"order": live["order"], "cut": was_cut, "emptied": emptied, "standing": standing, "points": points}
        )
        state = pl.when("emptied").then(pl.lit("zero")).when("cut").then(pl.lit("reduced")).otherwise(pl.lit("posted"))
        return ended.select(
            "order",
            state.cast(pl.Categorical).alias("state"),
            pl.lit(None, pl.Categorical).alias("code"),
            -pl.col("standing") if plan.minus else "standing",
            "points",
        )

    def _cut(self, live: pl.DataFrame, cap: Cap, asked: pl.Series) -> pl.Series:
        let = cut(self._windows(live, cap.window), asked, cap.max)
        rows = live.select("occurred_on", "back", asked.alias("asked"), let.alias("let"))
        self.uses.append(_use(self.indicator.code, cap.id, rows, self.since))
        return let

    def _windows(self, live: pl.DataFrame, window: Window) -> Windows:
        if window not in self._grouped:
            self._grouped[window] = windows(live, window)
        return self._grouped[window]


def _over(counted: pl.DataFrame, expression: pl.Expr) -> pl.Series:
    """An expression for every row, also one that names no column."""
    return counted.select("occurred_on", expression.alias("value"))["value"]


def _where(mask: pl.Series, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(mask).then(values).otherwise(0)).to_series()


def _settled(events: pl.DataFrame, state: str, code: pl.Expr) -> pl.DataFrame:
    """Events with one answer for all: carried with what they have, or refused."""
    nothing = pl.lit(0, pl.Int64)
    return events.select(
        "order",
        pl.lit(state).cast(pl.Categorical).alias("state"),
        code.cast(pl.Categorical).alias("code"),
        pl.col("standing") if state == CARRIED else nothing.alias("standing"),
        pl.col("points") if state == CARRIED else nothing.alias("points"),
    )


def _use(indicator: str, cap: str, rows: pl.DataFrame, since: date) -> pl.DataFrame:
    """What was asked of one cap; rows: occurred_on, back, asked, let."""
    asking = rows.filter((pl.col("asked") > 0) & (pl.col("occurred_on") >= since) & pl.col("back").is_null())
    return asking.select(
        pl.lit(indicator).alias("indicator"),
        pl.lit(cap).alias("cap"),
        pl.len().cast(pl.Int64).alias("awards"),
        (pl.col("let") < pl.col("asked")).sum().cast(pl.Int64).alias("cut"),
        (pl.col("let") == 0).sum().cast(pl.Int64).alias("emptied"),
        pl.col("asked").sum(),
        pl.col("let").sum(),
    )


# where indicators hang together ----------------------------------------------------------------------------------


def _clashing(events: pl.DataFrame, pack: Pack) -> pl.DataFrame:
    """The events that depend on awards of other indicators: of subjects with two hats of a set on one day, or two
    awards in one window of a highest-only set, everything under an indicator that is in any set."""
    rules = pack.indicators.values()
    found: list[pl.DataFrame] = []
    for name, one in pack.highest_sets.items():
        members = [rule.code for rule in rules if rule.highest_only == name]
        key = ["subject", window_number(pl.col("occurred_on"), one.window).alias("window")]
        of = events.filter(pl.col("indicator").is_in(members))
        found.append(of.group_by(*key).len().filter(pl.col("len") > 1).select("subject"))
    for name, one in pack.exclusion_sets.items():
        if one.by == "day":
            members = [rule.code for rule in rules if rule.exclusion == name]
            of = events.filter(pl.col("indicator").is_in(members)).group_by("subject", "occurred_on")
            found.append(of.agg(pl.col("indicator").n_unique()).filter(pl.col("indicator") > 1).select("subject"))
    if not found:
        return events.clear()
    bound = [rule.code for rule in rules if rule.highest_only is not None or pack.excluded_by(rule)]
    subjects = pl.concat(found).unique()
    return events.filter(pl.col("indicator").is_in(bound)).join(subjects, on="subject", how="semi")


def _one_by_one(
    events: pl.DataFrame, facts: Sequence[Facts], pack: Pack, since: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows: list[tuple[Any, ...]] = []
    steps: list[tuple[Any, ...]] = []
    for judged in walk(events, facts, lambda code, _: (pack, pack.indicators[code])):
        if isinstance(judged, Undone):
            continue
        outcome = judged.outcome
        if isinstance(outcome, Outcome):
            rows.append((judged.order, outcome.state, None, outcome.standing, outcome.points))
            for step in outcome.trace["caps"]:
                code, _, cap = step["id"].partition("/")
                steps.append((judged.order, code, cap, step["asked"], step["let"]))
        else:
            assert outcome is not None
            rows.append((judged.order, REFUSED, outcome.code, 0, 0))
    made = pl.DataFrame(
        steps,
        schema={"order": pl.UInt32, "indicator": pl.String, "cap": pl.String, "asked": pl.Int64, "let": pl.Int64},
        orient="row",
    ).join(events.select("order", "occurred_on", "back"), on="order")
    parts = made.partition_by("indicator", "cap", maintain_order=True)
    uses = [_use(str(part["indicator"][0]), str(part["cap"][0]), part, since) for part in parts]
    return (
        pl.DataFrame(rows, schema=_RESULT, orient="row"),
        pl.concat([pl.DataFrame(schema=_USES), *uses]),
    )
