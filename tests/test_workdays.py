# SPDX-License-Identifier: Apache-2.0
"""Working days: golden cases from the State Council's notices, where the table ends, and an operator's own file."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from rules.workdays import HolidaysError, builtin, load, read, working_days_after


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        ("2022-03-04", 3, "2022-03-09"),  # over a weekend
        ("2022-09-30", 3, "2022-10-10"),  # National Day; Saturday 8 and Sunday 9 October are worked
        ("2023-04-21", 1, "2023-04-23"),  # a Sunday that is worked for Labour Day
        ("2024-02-09", 1, "2024-02-18"),  # New Year's Eve was no holiday in 2024, Sunday the 18th is worked
        ("2025-01-24", 3, "2025-02-05"),  # Sunday 26 and Monday 27 January, then Spring Festival
        ("2025-12-31", 1, "2026-01-04"),  # New Year's Day to Saturday, worked on Sunday
        ("2026-02-12", 3, "2026-02-24"),  # Friday 13, Saturday 14 worked, nine days of Spring Festival
        ("2026-02-25", 3, "2026-02-28"),  # Thursday, Friday, Saturday the 28th is worked
        ("2026-09-18", 2, "2026-09-21"),  # Sunday 20 September is worked
        ("2026-09-30", 3, "2026-10-10"),  # National Day, then Thursday, Friday, Saturday the 10th is worked
        ("2026-09-23", 7, "2026-10-10"),  # Mid-Autumn and National Day in one week
    ],
)
def test_official_years(day: str, count: int, expected: str) -> None:
    """Three and seven working days as a calendar on the wall counts them."""
    assert (date.fromisoformat(expected), True) == working_days_after(date.fromisoformat(day), count)


def test_every_year_has_as_many_days_off_as_its_notice() -> None:
    """Days named as off, and Saturdays and Sundays named as worked, per notice."""
    table = builtin()
    assert {2022, 2023, 2024, 2025, 2026} == table.years
    worked = {year: sum(day.year == year for day in table.worked) for year in table.years}
    assert {2022: 7, 2023: 7, 2024: 8, 2025: 5, 2026: 6} == worked
    assert 31 + 27 + 28 + 28 + 33 == len(table.off)
    assert not table.off & table.worked


def test_where_the_table_ends() -> None:
    """Beyond its years Monday to Friday count, and the answer says that this is not certain."""
    assert (date(2027, 1, 5), False) == working_days_after(date(2026, 12, 30), 4)
    day, sure = working_days_after(date(2030, 5, 1), 3)
    assert (date(2030, 5, 6), False) == (day, sure)


def test_an_operator_adds_a_year(tmp_path: Path) -> None:
    """A file in JIFEN_HOME adds a year or takes the place of one, and what is handed on is one table again."""
    assert load(tmp_path).text == builtin().text
    (tmp_path / "holidays.toml").write_text(
        '[[year]]\nyear = 2027\nnotice = "x"\nholidays = [{ name = "元旦", from = 2027-01-01, to = 2027-01-03 }]\n'
        '[[year]]\nyear = 2026\nnotice = "changed"\nholidays = [{ name = "a", from = 2026-10-01, to = 2026-10-02 }]\n',
        encoding="utf-8",
    )
    table = load(tmp_path)
    assert (date(2027, 1, 5), True) == table.after(date(2026, 12, 31), 2)
    assert (date(2026, 10, 6), True) == table.after(date(2026, 9, 30), 2)
    assert read(table.text) == table
    assert table.after(date(2025, 9, 30), 1) == builtin().after(date(2025, 9, 30), 1)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"[[year]",
        b"",
        b"[[year]]\nyear = 2027\nnotice = 'x'\nholidays = []",
        b"[[year]]\nyear = 2027\nnotice = 'x'\nholidays = [{ name = 'a', from = 2027-01-03, to = 2027-01-01 }]",
        b"[[year]]\nyear = 2027\nnotice = 'x'\nholidays = [{ name = 'a', from = 2027-01-03, to = 2057-01-01 }]",
        b"[[year]]\nyear = 2027\nnotice = 'x'\nholidays = [{ name = 'a', from = 2027-01-01, to = 2027-01-01, "
        b"work = [2027-01-04] }]",
        b"[[year]]\nyear = '2027'\nnotice = 'x'\nholidays = [{ name = 'a', from = 2027-01-01, to = 2027-01-01 }]",
        b"top = 1\n[[year]]\nyear = 2027\nnotice = 'x'\n"
        b"holidays = [{ name = 'a', from = 2027-01-01, to = 2027-01-01 }]",
    ],
)
def test_a_table_that_cannot_be_meant(text: bytes) -> None:
    """Refused with a sentence that names the file, never half understood."""
    with pytest.raises(HolidaysError, match=r"holidays\.toml"):
        read(text)


def test_a_week_is_five_days_and_counting_never_skips() -> None:
    """After every day of two years, n + 1 working days are more than n, and end on a working day."""
    table = builtin()
    for n in range(0, 730, 3):
        day = date(2025, 1, 1) + timedelta(days=n)
        three, _ = table.after(day, 3)
        seven, _ = table.after(day, 7)
        assert day < three < seven and table.is_workday(three) and table.is_workday(seven)
        assert 3 == sum(table.is_workday(day + timedelta(days=k)) for k in range(1, (three - day).days + 1))
