# SPDX-License-Identifier: Apache-2.0
"""A sheet of deeds: who did what on which day, from when to when, for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time

from api.sheets import moments, values
from api.sheets.grid import Grid, RowProblem
from api.sheets.table import Line, Table


@dataclass(frozen=True, slots=True)
class AwardRow:
    row: int
    """The file's own row number, counted from 1."""
    name: str
    phone: str | None
    community: str | None
    grid: str | None
    indicator: str | None
    """What stands under 指标编码, else under 活动: a code, a name or an alias, not yet looked up."""
    occurred_on: date
    start: time | None
    end: time | None
    minutes: int | None
    service_community: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class AwardSheet:
    rows: list[AwardRow]
    problems: list[RowProblem]
    ignored: list[int]


def parse_awards(grid: Grid) -> AwardSheet:
    """Every line of the grid as an award, as problems, or ignored; a line with any problem yields no row."""
    table = Table(grid, "awards", {"day": ("when", "start")})
    rows = [row for line in table.lines() if (row := _award(line)) is not None]
    return AwardSheet(rows, table.problems, table.ignored)


def _award(line: Line) -> AwardRow | None:
    name = line.take("name", values.name, own=True)
    if name is None and line.ok:
        line.note("name", "name_missing")
    phone = line.take("phone", values.phone, own=True)
    community = line.take("community", values.label)
    grid = line.take("grid", values.label)
    indicator = line.take("indicator", values.label) or line.take("activity", values.label)
    occurred_on, start, end = _moment(line)
    minutes = _minutes(line, start, end)
    service_community = line.take("service_community", values.label)
    note = line.take("note", values.plain_text)
    if not line.ok or name is None or occurred_on is None:
        return None
    return AwardRow(
        line.number,
        name,
        phone,
        community,
        grid,
        indicator,
        occurred_on,
        start,
        end,
        minutes,
        service_community,
        note,
    )


def _moment(line: Line) -> tuple[date | None, time | None, time | None]:
    """The day and the times, from their own columns or a shared one; all that is said must agree."""
    epoch = line.table.grid.epoch_1904
    problems = len(line.table.problems)
    days: list[tuple[str, date]] = []
    if (own := line.take("day", moments.day, epoch)) is not None:
        days.append(("day", own))
    when_day, start, end = line.take("when", moments.span, epoch) or (None, None, None)
    if when_day is not None:
        days.append(("when", when_day))
    came, left = line.take("start", moments.clock, epoch), line.take("end", moments.clock, epoch)
    for name, said in (("start", came), ("end", left)):
        if said is None:
            continue
        if said[0] is not None:
            days.append((name, said[0]))
        seen = start if name == "start" else end
        if seen is not None and seen != said[1]:
            line.note(name, "time_twice", other=f"{seen:%H:%M}")
    start, end = (came[1] if came else start), (left[1] if left else end)
    if len(line.table.problems) > problems:
        return None, None, None
    if not days:
        line.note("day", "date_missing")
        return None, start, end
    if other := next(((name, on) for name, on in days if on != days[0][1]), None):
        line.note(other[0], "time_other_day", day=days[0][1].isoformat())
    elif start is not None and end is not None and end <= start:
        line.note("end" if left else "when", "times_reversed", start=f"{start:%H:%M}", end=f"{end:%H:%M}")
    return days[0][1], start, end


def _minutes(line: Line, start: time | None, end: time | None) -> int | None:
    """The duration written down, which must be the one between the times; or the one between the times."""
    problems = len(line.table.problems)
    hours = line.take("hours", moments.minutes, own=True)
    counted = line.take("minutes", moments.minutes, 1, own=True)
    if len(line.table.problems) > problems:
        return None
    if hours is not None and counted is not None and hours != counted:
        line.note("minutes", "hours_mismatch", minutes=hours, written=counted)
        return None
    written = hours if hours is not None else counted
    if start is None or end is None or end <= start:
        return written
    between = (end.hour - start.hour) * 60 + end.minute - start.minute
    if written is not None and written != between:
        line.note("hours" if hours is not None else "minutes", "hours_mismatch", minutes=between, written=written)
    return between
