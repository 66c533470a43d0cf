# SPDX-License-Identifier: Apache-2.0
"""A pack over a whole history, in columns, gives what the engine gives one event at a time."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.backtest.history import EVENTS, PEOPLE, History
from rules.backtest.simulate import simulate
from rules.engine.calendar import WINDOWS
from rules.engine.model import Pack
from tests.histories import FIRST, asked_one_by_one, indicator, pack_of, random_history, random_pack

HUGE = 2**53 - 1


def assert_agrees(history: History, pack: Pack, seed: object = None) -> None:
    columns = simulate(history, pack).events.select("order", "state", "code", "standing", "points").rows()
    for expected, actual in zip(asked_one_by_one(history, pack), columns, strict=True):
        assert expected == actual, (seed, expected, actual)


def campaign(seeds: range) -> None:
    for seed in seeds:
        rng = Random(seed)
        pack = random_pack(rng)
        assert_agrees(random_history(rng, [*pack.indicators, "ZZ-01"], rng.choice([1, 8, 40, 120])), pack, seed)


def test_random_packs_over_random_histories() -> None:
    """Late events, reversals, nested caps, ladders, sets, formulas: columns and one-by-one agree."""
    campaign(range(60))


@pytest.mark.long
def test_thousands_of_random_packs_over_random_histories() -> None:
    """The same, far more often."""
    campaign(range(1_000, 4_000))


def deeds_of(rows: list[tuple[int, int, int, int | None]], on: date = FIRST) -> History:
    """(subject, day of the deed, minutes, how many deeds later it is taken back) in the order of their entry."""
    order, backs, taken = 0, dict[int, int](), dict[int, list[int]]()
    orders: list[int] = []
    for number, (_, _, _, later) in enumerate(rows):
        orders.append(order)
        order += 1
        if later is not None:
            taken.setdefault(min(number + later, len(rows) - 1), []).append(number)
        for gone in taken.pop(number, []):
            backs[gone] = order
            order += 1
    events = [
        {
            "order": orders[number], "journal": "east", "seq": number, "subject": who, "indicator": "XX-01",
            "group": "G3", "occurred_on": on + timedelta(days=day), "posted_on": on + timedelta(days=20),
            "takeover": True, "level": "E2", "facts": number, "standing": 0, "points": 0, "outcome": "posted",
            "back": backs.get(number), "pack": None,
        }
        for number, (who, day, _, _) in enumerate(rows)
    ]  # fmt: skip
    people = [("sub_a", "person", "east", "east-1"), ("sub_b", "person", "east", "east-1")]
    return History(
        pl.DataFrame(events, schema=dict(EVENTS)),
        pl.DataFrame(people, schema=dict(PEOPLE), orient="row"),
        [{"minutes": minutes} for _, _, minutes, _ in rows],
    )


CAPPED = pack_of(
    indicator(
        "XX-01",
        caps=(
            {"id": "day", "on": "minutes", "window": "day", "max": 100},
            {"id": "month", "on": "minutes", "window": "month", "max": 150},
            {"id": "year", "on": "minutes", "window": "year", "max": 400},
            {"id": "times", "on": "count", "window": "month", "max": 3},
            {"id": "most", "on": "points", "window": "quarter", "max": 260},
        ),
        standing={
            "kind": "ladder", "field": "minutes", "cap": "year",
            "steps": ({"at": 100, "level": 10}, {"at": 250, "level": 40}),
        },
        points={"kind": "per_unit", "field": "minutes", "unit": 1, "amount": 1, "rounding": "unit"},
    )
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), st.integers(0, 20) | st.integers(-40, 20), st.integers(0, 150),
            st.none() | st.integers(0, 5),
        ),
        max_size=25,
    )
)  # fmt: skip
def test_any_order_of_deeds_and_reversals(rows: list[tuple[int, int, int, int | None]]) -> None:
    """Five caps and a ladder over deeds entered in any order and taken back at any time."""
    assert_agrees(deeds_of(rows, date(2024, 2, 15)), CAPPED, rows)


@pytest.mark.parametrize("window", WINDOWS)
def test_quantities_at_the_edge_of_what_a_pack_may_say(window: str) -> None:
    """Sums that would leave int64 are counted all the same."""
    huge = {
        "name": "minutes",
        "type": "int",
        "unit": "minute",
        "label": {"zh": "量", "en": "amount"},
        "min": 0,
        "max": HUGE,
    }
    rule = indicator(
        "XX-01", fields=(huge,), points={"kind": "fixed", "amount": 1},
        caps=({"id": "all", "on": "minutes", "window": window, "max": HUGE},),
    )  # fmt: skip
    rows: list[tuple[int, int, int, int | None]] = [(0, 0, HUGE, 1 if n % 5 == 0 else None) for n in range(1_100)]
    assert_agrees(deeds_of(rows), pack_of(rule))


def test_caps_are_counted_for_the_range_that_is_reported() -> None:
    """How often a cap cut is told of deeds since a day that still stand."""
    history = deeds_of([(0, 0, 150, None), (0, 3, 80, None), (0, 4, 80, None), (1, 3, 60, 1), (1, 4, 10, None)])
    caps = simulate(history, CAPPED, since=FIRST + timedelta(days=3)).caps
    assert (3, 2, 1, 170, 60) == caps.filter(pl.col("cap") == "month").row(0)[2:]
    assert (3, 0, 0, 170, 170) == caps.filter(pl.col("cap") == "day").row(0)[2:]
