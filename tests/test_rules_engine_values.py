# SPDX-License-Identifier: Apache-2.0
"""Values and calendar: whole-number arithmetic with stated rounding, windows and last days."""

from __future__ import annotations

from datetime import date

import pytest

from rules.engine.calendar import Ending, Window, add_months, last_day_of_validity, window_bounds
from rules.engine.values import Bracket, Brackets, Fixed, PerUnit, Rounding, Tier, compile_value

DIMINISH = Brackets(
    kind="brackets",
    field="minutes",
    rounding="hundredth",
    brackets=(
        Bracket(up_to=1200, unit=60, amount=100),
        Bracket(up_to=4800, unit=120, amount=100),
        Bracket(up_to=12000, unit=180, amount=100),
        Bracket(unit=240, amount=100),
    ),
)


@pytest.mark.parametrize(
    ("hours", "points"),
    [
        (10, 1000),
        (20, 2000),
        (21, 2050),
        (50, 3500),
        (80, 5000),
        (100, 5666),
        (200, 9000),
        (250, 10250),
        (300, 11500),
    ],
)
def test_diminishing_hours(hours: int, points: int) -> None:
    """The published curve: 1 an hour to 20 h, per 2 h to 80, per 3 h to 200, per 4 h above; rounded down."""
    assert compile_value(DIMINISH)({"minutes": hours * 60})[0] == points


@pytest.mark.parametrize(
    ("minutes", "rounding", "amount"),
    [
        (59, "unit", 0),
        (60, "unit", 100),
        (119, "unit", 100),
        (59, "hundredth", 98),
        (1, "hundredth", 1),
        (61, "hundredth", 101),
    ],
)
def test_per_unit_rounds_down_as_it_states(minutes: int, rounding: Rounding, amount: int) -> None:
    """Whole units only, or parts down to a hundredth; never up."""
    value = PerUnit(kind="per_unit", field="minutes", unit=60, amount=100, rounding=rounding)
    assert compile_value(value)({"minutes": minutes})[0] == amount


def test_fixed_and_tier() -> None:
    """A fixed amount ignores the facts; a tier reads one word."""
    assert compile_value(Fixed(kind="fixed", amount=50))({}) == (50, {"kind": "fixed", "amount": 50})
    tier = compile_value(Tier(kind="tier", field="size", amounts={"small": 100, "large": 500}))
    assert tier({"size": "large"})[0] == 500


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("day", date(2024, 2, 29), date(2024, 2, 29)),
        ("month", date(2024, 2, 1), date(2024, 2, 29)),
        ("quarter", date(2024, 1, 1), date(2024, 3, 31)),
        ("year", date(2024, 1, 1), date(2024, 12, 31)),
        ("ever", date.min, date.max),
    ],
)
def test_windows(window: Window, start: date, end: date) -> None:
    """Calendar windows, leap day included."""
    assert window_bounds(date(2024, 2, 29), window) == (start, end)


def test_the_last_quarter_ends_the_year() -> None:
    """December belongs to the fourth quarter."""
    assert window_bounds(date(2022, 12, 31), "quarter") == (date(2022, 10, 1), date(2022, 12, 31))


def test_months_later_stays_inside_the_month() -> None:
    """31 January plus one is the last of February."""
    assert add_months(date(2022, 1, 31), 1) == date(2022, 2, 28)
    assert add_months(date(2022, 12, 15), 1) == date(2023, 1, 15)


@pytest.mark.parametrize(
    ("ending", "last"),
    [
        ("day", date(2025, 2, 28)),
        ("month", date(2025, 2, 28)),
        ("quarter", date(2025, 3, 31)),
        ("year", date(2025, 12, 31)),
        ("never", None),
    ],
)
def test_last_days(ending: Ending, last: date | None) -> None:
    """A year from a leap day, to the end of what is stated."""
    assert last_day_of_validity(date(2024, 2, 29), 1, ending) == last
