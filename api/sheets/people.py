# SPDX-License-Identifier: Apache-2.0
"""A sheet of people: who lives in which grid, under which hats, and whether their name may be published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from api.sheets import moments, values
from api.sheets.grid import Grid, RowProblem
from api.sheets.table import Line, Table


@dataclass(frozen=True, slots=True)
class PersonRow:
    row: int
    name: str
    phone: str | None
    """May be missing, and may be a child's that two elders share."""
    community: str
    grid: str
    groups: tuple[str, ...]
    birth: date | None
    publication: bool | None


@dataclass(frozen=True, slots=True)
class PeopleSheet:
    rows: list[PersonRow]
    problems: list[RowProblem]
    ignored: list[int]


def parse_people(grid: Grid) -> PeopleSheet:
    """Every line of the grid as a person, as problems, or ignored."""
    table = Table(grid, "people")
    rows = [row for line in table.lines() if (row := _person(line)) is not None]
    return PeopleSheet(rows, table.problems, table.ignored)


def _person(line: Line) -> PersonRow | None:
    name = line.take("name", values.name, own=True)
    if name is None and line.ok:
        line.note("name", "name_missing")
    phone = line.take("phone", values.phone)
    community, grid = _place(line, "community"), _place(line, "grid")
    groups = line.take("groups", values.parts) or ()
    birth = line.take("birth", moments.day, line.table.grid.epoch_1904, 1900, own=True)
    publication = line.take("publication", values.yes_no)
    if not line.ok or name is None or community is None or grid is None:
        return None
    return PersonRow(line.number, name, phone, community, grid, groups, birth, publication)


def _place(line: Line, name: str) -> str | None:
    noted = len(line.table.problems)
    place = line.take(name, values.label)
    if place is None and len(line.table.problems) == noted:
        line.note(name, "place_missing")
    return place
