# SPDX-License-Identifier: Apache-2.0
"""The walk that every kind of sheet shares: which lines are rows, and how problems are noted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from api.sheets.grid import Cell, Grid, RowProblem, SheetRefused, shown
from api.sheets.read import columns
from api.sheets.values import Bad
from api.sheets.words import FIELDS, REQUIRED, Kind, field_of, is_aside, is_hint, understood

T = TypeVar("T")
_HINTS_WITHIN = 3


class Table:
    """One grid read as one kind of sheet."""

    def __init__(self, grid: Grid, kind: Kind, instead: dict[str, Sequence[str]] | None = None) -> None:
        self.grid = grid
        self.kind: Kind = kind
        self.at = columns(grid, kind)
        self.problems: list[RowProblem] = []
        self.ignored = list(grid.above)
        self.ignored += grid.numbers[grid.header + 1 : grid.body]  # the lower half of a two-line header
        missing = [
            FIELDS[kind][wanted][0]
            for wanted in REQUIRED[kind]
            if wanted not in self.at and not any(other in self.at for other in (instead or {}).get(wanted, ()))
        ]
        if missing:
            code = "column_missing" if len(missing) < len(REQUIRED[kind]) else "header_not_found"
            seen = "、".join([word for word in grid.headers if word][:20])
            facts: dict[str, Any] = {"missing": "、".join(missing)} if code == "column_missing" else {}
            raise SheetRefused(code, **facts, seen=seen, understood=understood(kind))

    def lines(self) -> Iterator[Line]:
        """Rows of the table in the file's order; asides go to `ignored`."""
        grid, name_at = self.grid, self.at["name"]
        wanted = sorted(self.at.values())
        for index in range(grid.body, len(grid.rows)):
            cells, number = grid.rows[index], grid.numbers[index]
            named = cells[name_at]
            if self._is_row(cells, named, wanted, index):
                yield Line(self, number, cells)
            else:
                self.ignored.append(number)

    def _is_row(self, cells: list[Cell], named: Cell, wanted: list[int], index: int) -> bool:
        if all(cells[i] is None for i in wanted):
            return False  # only a serial number, or columns that are not ours
        texts = [c for c in cells if isinstance(c, str)]
        word = named if isinstance(named, str) else ""
        if not word and self._has_phone(cells):
            return True  # somebody's row whose name was forgotten
        if index - self.grid.body < _HINTS_WITHIN and is_hint(word, texts):
            return False
        if is_aside(word, texts):
            return False
        # the header once more, as on a second printed page
        return not (word and word == self.grid.headers[self.at["name"]] and field_of(self.kind, word) == "name")

    def _has_phone(self, cells: list[Cell]) -> bool:
        at = self.at.get("phone")
        return at is not None and re.fullmatch(r"1[3-9][0-9]{9}", shown(cells[at]).strip()) is not None


class Line:
    """One row under judgement: cells are taken by field, and every refusal is noted rather than raised."""

    __slots__ = ("cells", "number", "ok", "table")

    def __init__(self, table: Table, number: int, cells: list[Cell]) -> None:
        self.table, self.number, self.cells, self.ok = table, number, cells, True

    def cell(self, name: str) -> Cell:
        at = self.table.at.get(name)
        return None if at is None else self.cells[at]

    def take(self, name: str, read: Callable[..., T], *args: Any, own: bool = False, **kwargs: Any) -> T | None:
        """The cell of a field through its reader; `own`: not when merged over several rows."""
        at = self.table.at.get(name)
        if at is None:
            return None
        cell = self.cells[at]
        if cell is None:
            return None
        if own and (self.number, at) in self.table.grid.filled:
            self.note(name, "cell_merged")
            return None
        try:
            return read(cell, *args, **kwargs)
        except Bad as bad:
            self.note(name, bad.code, **bad.facts)
            return None

    def note(self, name: str, code: str, **facts: Any) -> None:
        at = self.table.at.get(name)
        column = FIELDS[self.table.kind][name][0] if at is None else self.table.grid.headers[at]
        cell = None if at is None else self.cells[at]
        value = shown(cell[:200] if isinstance(cell, str) else cell)
        self.table.problems.append(RowProblem(self.number, column, value, code, facts))
        self.ok = False
