# SPDX-License-Identifier: Apache-2.0
"""A sheet of bodies: shops, companies, owners' committees, volunteer teams. Many have no credit code."""

from __future__ import annotations

from dataclasses import dataclass

from api.sheets import values
from api.sheets.grid import Grid, RowProblem
from api.sheets.table import Line, Table


@dataclass(frozen=True, slots=True)
class BodyRow:
    row: int
    name: str
    type: str
    uscc: str | None
    group: str | None
    community: str | None
    contact: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class BodiesSheet:
    rows: list[BodyRow]
    problems: list[RowProblem]
    ignored: list[int]


def parse_bodies(grid: Grid) -> BodiesSheet:
    """Every line of the grid as a body, as problems, or ignored."""
    table = Table(grid, "bodies")
    rows = [row for line in table.lines() if (row := _body(line)) is not None]
    return BodiesSheet(rows, table.problems, table.ignored)


def _body(line: Line) -> BodyRow | None:
    name = line.take("name", values.label, own=True)
    if name is None and line.ok:
        line.note("name", "name_missing")
    noted = len(line.table.problems)
    type_ = line.take("type", values.label)
    if type_ is None and len(line.table.problems) == noted:
        line.note("type", "type_missing")
    uscc = line.take("uscc", values.uscc, own=True)
    group = line.take("group", values.label)
    community = line.take("community", values.label)
    contact = line.take("contact", values.name)
    phone = line.take("phone", values.phone, landlines=True)
    if not line.ok or name is None or type_ is None:
        return None
    return BodyRow(line.number, name, type_, uscc, group, community, contact, phone)
