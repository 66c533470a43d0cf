# SPDX-License-Identifier: Apache-2.0
"""A sheet of places: county, streets, communities and grids, each under its parent's code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from api.sheets import values
from api.sheets.grid import Cell, Grid, RowProblem
from api.sheets.table import Line, Table
from api.sheets.values import Bad

LEVELS: dict[str, str] = {
    "county": "county", "区县": "county", "县": "county", "县区": "county", "县(区)": "county",
    "县级": "county",
    "street": "street", "街道": "street", "镇": "street", "乡": "street", "乡镇": "street",
    "镇街": "street", "镇办": "street",
    "街道(镇)": "street", "镇(街道)": "street",
    "community": "community", "社区": "community", "村": "community", "村居": "community",
    "社区(村)": "community",
    "grid": "grid", "网格": "grid",
}  # fmt: skip
"""What people call a level → the level."""


@dataclass(frozen=True, slots=True)
class PlaceRow:
    row: int
    code: str
    name: str
    level: str
    """county, street, community or grid."""
    parent: str | None


@dataclass(frozen=True, slots=True)
class PlacesSheet:
    rows: list[PlaceRow]
    problems: list[RowProblem]
    ignored: list[int]


def parse_places(grid: Grid) -> PlacesSheet:
    """Every line of the grid as a place, as problems, or ignored. Parents are for the tree to check."""
    table = Table(grid, "places")
    rows = [row for line in table.lines() if (row := _place(line)) is not None]
    return PlacesSheet(rows, table.problems, table.ignored)


def _place(line: Line) -> PlaceRow | None:
    code = line.take("code", _code, own=True)
    if code is None and line.ok:
        line.note("code", "code_missing")
    noted = len(line.table.problems)
    name = line.take("name", values.label, own=True)
    if name is None and len(line.table.problems) == noted:
        line.note("name", "name_missing")
    noted = len(line.table.problems)
    level = line.take("level", _level)
    if level is None and len(line.table.problems) == noted:
        line.note("level", "level_invalid")
    parent = line.take("parent", _code)
    if not line.ok or code is None or name is None or level is None:
        return None
    return PlaceRow(line.number, code, name, level, parent)


def _code(cell: Cell) -> str | None:
    text = values.plain_text(cell, 60)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{6}(?:[0-9]{3}){0,2}(?:-[0-9]{1,4})?", text):
        raise Bad("code_invalid")
    return text


def _level(cell: Cell) -> str | None:
    text = values.label(cell)
    if text is None:
        return None
    level = LEVELS.get(text.lower())
    if level is None:
        raise Bad("level_invalid")
    return level
