# SPDX-License-Identifier: Apache-2.0
"""What the rules cost: one award judged with its trace, against the same rule written by hand in Python; and a history
of a million, in columns, against the one-by-one loop.

The rule is RE-01, volunteer hours: facts checked, a cap a day and a cap a year, a ladder for standing, points by the
minute, the mark of the hat worn that day. The hand-written one knows its own limits and nothing else: another number
means another program. Both run in turns in one process, so a loaded machine slows down both.
"""

from __future__ import annotations

import random
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl

from benchmarks.figures import header, table
from rules.backtest.history import EVENTS, PEOPLE, History
from rules.backtest.simulate import simulate
from rules.backtest.walk import Judged, walk
from rules.engine.evaluate import Outcome, evaluate
from rules.engine.model import Cap, Pack
from rules.engine.pack import builtin_names, builtin_pack
from rules.engine.recount import recount

PACK = builtin_pack(builtin_names()[0])
HOURS = PACK.indicators["RE-01"]
ATS = (600, 1_200, 3_000, 4_800, 6_000, 9_000, 12_000, 15_000, 18_000)
LEVELS = (0, 200, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000)
FIRST, MONTH = date(2022, 1, 1), timedelta(days=31)
Used = Mapping[tuple[str, str], int]


def by_hand(
    minutes: object, level: str, occurred_on: date, posted_on: date, used: Used
) -> tuple[int, int, dict[str, int], dict[str, Any]]:
    """Standing, points, what each tally gains, and a trace with the numbers that an explanation needs."""
    if type(minutes) is not int or not 1 <= minutes <= 1_440:
        raise ValueError("minutes")
    if not FIRST <= occurred_on <= posted_on or posted_on - occurred_on > MONTH:
        raise ValueError("day")
    if level not in ("E1", "E2", "E3", "E4"):
        raise ValueError("evidence")
    day = occurred_on.isoformat()
    year = f"{day[:4]}-01-01"
    if used.get(("RE-07/mark", day), 0):
        raise ValueError("scored by piece")
    day_before, year_before = used.get(("RE-01/day", day), 0), used.get(("RE-01/year", year), 0)
    ladder_before = used.get(("RE-01/ladder", year), 0)
    let_day = min(minutes, max(240 - day_before, 0))
    let = min(let_day, max(36_000 - year_before, 0))
    level_after = LEVELS[bisect_right(ATS, year_before + let)]
    standing = max(level_after - ladder_before, 0) if let else 0
    points = let * 100 // 60 if level >= "E2" else 0
    trace = {
        "rule": "RE-01",
        "occurred_on": day,
        "posted_on": posted_on.isoformat(),
        "evidence": level,
        "facts": {"minutes": minutes},
        "caps": [
            {"id": "RE-01/day", "limit": 240, "used_before": day_before, "asked": minutes, "let": let_day},
            {"id": "RE-01/year", "limit": 36_000, "used_before": year_before, "asked": let_day, "let": let},
        ],
        "standing": {"result": standing, "level_after": level_after, "posted_before": ladder_before},
        "points": {"result": points, "quantity": let, "unit": 60, "amount": 100},
    }
    counted = {"RE-01/day": let_day, "RE-01/year": let, "RE-01/ladder": standing, "RE-01/mark": 1 if let else 0}
    return standing, points, counted, trace


def evaluation(runs: int = 15, awards: int = 4_000) -> None:
    """Median µs of an award both ways, the ratio of each round, and what the second count of a trace costs."""
    deeds = _deeds(awards)
    for deed in deeds:
        outcome = _judged(deed)
        assert (outcome.standing, outcome.points) == by_hand(*deed)[:2] == recount(outcome.trace)
    rounds = [(_timed(by_hand, deeds), _timed(lambda *deed: _judged(deed), deeds)) for _ in range(runs)]
    traces = [_judged(deed).trace for deed in deeds]
    again = _timed(recount, [(trace,) for trace in traces])
    hand, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(mine / theirs for theirs, mine in rounds)
    header("One award judged, with its trace")
    table(
        ("", "µs", "× by hand"),
        [
            ("by hand", f"{hand:.1f}", "1.0"),
            ("evaluate", f"{ours:.1f}", f"{ratio:.1f}"),
            ("recount of a trace", f"{again:.1f}", f"{again / hand:.1f}"),
        ],
    )


def backtest(*, events: int = 1_000_000, sample: int = 50_000, runs: int = 3) -> None:
    """Volunteer hours of some years judged by a pack with three nested caps and a ladder, in columns and one by one.

    Both in one process; `sample` is how many events the scalar loop gets, its time a deed is what is compared. One deed
    in ten is late, one in two hundred is taken back.
    """
    pack, history = _years(events)
    few = replace(history, events=history.events.head(sample))
    columns: list[float] = []
    loop: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        made = simulate(history, pack)
        columns.append(time.perf_counter() - began)
        began = time.perf_counter()
        judged = [one.outcome for one in walk(few.events, few.facts, lambda *_: (pack, pack.indicators["RE-01"]))
                  if isinstance(one, Judged)]  # fmt: skip
        loop.append(time.perf_counter() - began)
    points = sum(one.points for one in judged if isinstance(one, Outcome))
    assert points == simulate(few, pack).events["points"].sum() and made.events.height == events
    ratio = statistics.median(theirs / sample * events / ours for ours, theirs in zip(columns, loop, strict=True))
    header(f"A back-test of {events:,} events, three nested caps and a ladder")
    table(
        ("", "seconds", "µs an event", "× faster"),
        [
            (
                "in columns",
                f"{statistics.median(columns):.2f}",
                f"{statistics.median(columns) / events * 1e6:.2f}",
                f"{ratio:.0f}",
            ),
            (
                f"one by one ({sample:,})",
                f"{statistics.median(loop):.2f}",
                f"{statistics.median(loop) / sample * 1e6:.2f}",
                "1",
            ),
        ],
    )


def _years(events: int, people: int = 20_000, days: int = 1_095) -> tuple[Pack, History]:
    month = Cap(id="month", on="minutes", window="month", max=3_600)
    day, year = HOURS.caps
    rule = HOURS.model_copy(update={"caps": (day, month, year)})
    pack = PACK.model_copy(update={"indicators": {**PACK.indicators, "RE-01": rule}})
    rng = random.Random(1)
    entered = sorted(rng.randrange(days) for _ in range(events))
    posted = [FIRST + timedelta(days=number) for number in entered]
    late = [timedelta(days=rng.randrange(1, 28) if rng.random() < 0.1 else 0) for _ in range(events)]
    order = [2 * number for number in range(events)]  # every place in between is a reversal's
    backs = [at + 1 + 2 * rng.randrange(2_000) if rng.random() < 0.005 else None for at in order]
    every: dict[str, Any] = {
        "journal": "east", "indicator": "RE-01", "group": "G3", "takeover": False, "level": "E2", "standing": 0,
        "points": 0, "outcome": "posted", "pack": PACK.hash,
    }  # fmt: skip
    each = {
        "order": order,
        "seq": order,
        "subject": [rng.randrange(people) for _ in range(events)],
        "occurred_on": [max(at - before, FIRST) for at, before in zip(posted, late, strict=True)],
        "posted_on": posted,
        "facts": [rng.randrange(300) for _ in range(events)],
        "back": backs,
    }
    frame = pl.DataFrame(each).with_columns(**{name: pl.lit(value) for name, value in every.items()})
    rows = [(f"sub_{number}", "person", "east", "east-01") for number in range(people)]
    return pack, History(
        frame.select(pl.col(name).cast(kind) for name, kind in EVENTS.items()),
        pl.DataFrame(rows, schema=dict(PEOPLE), orient="row"),
        [{"minutes": 1 + number} for number in range(300)],
    )


def run(*, runs: int) -> None:
    """Everything here."""
    evaluation(runs=max(runs, 5))
    backtest(runs=runs)


def _deeds(count: int) -> list[tuple[Any, ...]]:
    """Deeds of a year as `by_hand` takes them, under caps from empty to full."""
    made: list[tuple[Any, ...]] = []
    for number in range(count):
        day = date(2023, 1, 1) + timedelta(days=number * 7 % 365)
        used = {
            ("RE-01/day", day.isoformat()): number % 5 * 60,
            ("RE-01/year", "2023-01-01"): number * 13 % 36_100,
            ("RE-01/ladder", "2023-01-01"): 0,
        }
        made.append((30 + number % 300, f"E{1 + number % 3}", day, day + timedelta(days=number % 9), used))
    return made


def _judged(deed: tuple[Any, ...]) -> Outcome:
    minutes, level, occurred_on, posted_on, used = deed
    outcome = evaluate(
        PACK,
        HOURS,
        facts={"minutes": minutes},
        evidence_level=level,
        occurred_on=occurred_on,
        posted_on=posted_on,
        used=used,
    )
    assert isinstance(outcome, Outcome)
    return outcome


def _timed(function: Callable[..., object], deeds: list[tuple[Any, ...]]) -> float:
    """µs a deed."""
    began = time.perf_counter()
    for deed in deeds:
        function(*deed)
    return (time.perf_counter() - began) / len(deeds) * 1e6
