# SPDX-License-Identifier: Apache-2.0
"""The values every sheet file speaks of: a grid of cells, a problem in a row, the refusal of a sheet.

Cells hold no floats: a number is an int or a Decimal, a cell formatted as a day or a time is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from ledger.errors import Refusal

Cell = str | int | Decimal | bool | date | datetime | time | None


class SheetRefused(Refusal):
    """The sheet as a whole cannot be taken: nothing in it was read into rows."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing wrong in one row: where it stands, what is written there, what to do (by code)."""

    row: int
    column: str
    value: str
    code: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Grid:
    """The rows of one worksheet that hold anything, with the numbers that the file itself gives them."""

    name: str
    rows: list[list[Cell]]
    numbers: list[int]
    header: int
    """Index in `rows` of the row of header words."""
    body: int
    """Index in `rows` of the first row below the header."""
    headers: list[str]
    """One header word a column, as the sheet writes it ("" where there is none)."""
    filled: frozenset[tuple[int, int]] = frozenset()
    """(file row, column index) of cells that got their value from a merged cell above."""
    epoch_1904: bool = False

    @property
    def above(self) -> list[int]:
        """File rows above the header: titles and the like."""
        return self.numbers[: self.header]


CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters with no business in a cell. Tab and line breaks have."""


def _picture(found: re.Match[str]) -> str:
    return chr(0x2400 + ord(found[0])) if found[0] < " " else "\ufffd"


def shown(cell: Cell) -> str:
    """A cell as a person would write it, for messages and for sheets that go back."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return CONTROL.sub(_picture, cell)
    if isinstance(cell, bool):
        return "是" if cell else "否"
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S") if cell.second else cell.strftime("%Y-%m-%d %H:%M")
    if isinstance(cell, time):
        return cell.strftime("%H:%M:%S") if cell.second else cell.strftime("%H:%M")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return format(cell, "f")
    return str(cell)
