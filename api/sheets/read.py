# SPDX-License-Identifier: Apache-2.0
"""From bytes to a grid: what the file is, which worksheet holds the table, where its header stands."""

from __future__ import annotations

import csv
import io

from api.sheets.grid import Cell, Grid, SheetRefused, shown
from api.sheets.words import FIELDS, RETURNED, Kind, field_of, understood
from api.sheets.xlsx import MAX_CELL, MAX_COLUMNS, MAX_ROWS, ROWS_AROUND, RawSheet, read_sheets

MAX_BYTES = 10 * 1024 * 1024
HEADER_WITHIN = 20
_OTHER_FILES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"{\\rtf")


def read_sheet(data: bytes, filename: str | None = None, header_row: int | None = None) -> Grid:
    """The table in a file, header found by its words, or on `header_row` (the file's own number).

    The content decides what the file is; `filename` only helps to say what is wrong with it.
    """
    if len(data) > MAX_BYTES:
        raise SheetRefused("sheet_too_large", what="bytes", limit=MAX_BYTES // (1024 * 1024))
    if not data.strip():
        raise SheetRefused("sheet_empty")
    if data.startswith(b"PK"):
        sheets = read_sheets(data)
    elif data.startswith(b"\xd0\xcf\x11\xe0"):
        encrypted = "EncryptedPackage".encode("utf-16-le") in data
        raise SheetRefused("sheet_unreadable", reason="encrypted" if encrypted else "old_xls")
    elif data.startswith(_OTHER_FILES) or (filename or "").lower().endswith((".xlsx", ".xlsm", ".xls", ".et")):
        raise SheetRefused("sheet_unreadable", reason="not_xlsx")
    else:
        sheets = [_read_text(data)]
    sheets = [sheet for sheet in sheets if sheet.rows]
    if not sheets:
        raise SheetRefused("sheet_empty")
    return _choose(sheets, header_row)


def _choose(sheets: list[RawSheet], header_row: int | None) -> Grid:
    found = [(sheet, index) for sheet in sheets if (index := _header_index(sheet, header_row)) is not None]
    if not found:
        raise SheetRefused("header_not_found", seen=_seen(sheets[0], header_row), understood=understood())
    if len(found) > 1:
        raise SheetRefused("sheet_ambiguous", sheets="、".join(sheet.name for sheet, _ in found))
    return _grid(*found[0])


def _seen(sheet: RawSheet, header_row: int | None) -> str:
    """The words of the likeliest row, so that the reader of the message recognises the sheet."""
    rows = [r for n, r in zip(sheet.numbers, sheet.rows, strict=True) if header_row in (None, n)][:HEADER_WITHIN]
    widest = max(rows, key=lambda row: sum(c is not None for c in row), default=[])
    return "、".join([shown(c).strip()[:40] for c in widest if c is not None][:20])


def _matches(row: list[Cell]) -> int:
    """How many different fields of one kind of sheet the row's words name."""
    words = [c for c in row if isinstance(c, str)]
    if not words:
        return 0
    return max(len({f for w in words if (f := field_of(kind, w)) is not None}) for kind in FIELDS)


def _header_index(sheet: RawSheet, header_row: int | None) -> int | None:
    if header_row is not None:
        exact = sheet.numbers.index(header_row) if header_row in sheet.numbers else None
        return exact if exact is not None and _matches(sheet.rows[exact]) > 0 else None
    best, score = None, 1  # one word alone is a title or a chance
    for index, (number, row) in enumerate(zip(sheet.numbers, sheet.rows, strict=True)):
        if number > HEADER_WITHIN:
            break
        if (here := _matches(row)) > score:
            best, score = index, here
    return best


def _grid(sheet: RawSheet, header: int) -> Grid:
    filled = _fill_merges(sheet)
    width = max(len(row) for row in sheet.rows)
    for row in sheet.rows:
        row.extend([None] * (width - len(row)))
    headers = [" ".join(shown(cell).split()) for cell in sheet.rows[header]]
    body = header + 1
    if body < len(sheet.rows) and _is_second_header(sheet.rows[header], sheet.rows[body]):
        lower = [" ".join(shown(cell).split()) for cell in sheet.rows[body]]
        headers = [below or above for above, below in zip(headers, lower, strict=True)]
        body += 1
    if len(sheet.rows) - body > MAX_ROWS:
        raise SheetRefused("sheet_too_large", what="rows", limit=MAX_ROWS)
    return Grid(sheet.name, sheet.rows, sheet.numbers, header, body, headers, frozenset(filled), sheet.epoch_1904)


def _is_second_header(upper: list[Cell], lower: list[Cell]) -> bool:
    """服务时间 over 签到时间 and 签退时间: every word below is a header word, and some column needed it."""
    words = [c for c in lower if c is not None]
    if not all(isinstance(c, str) and any(field_of(kind, c) for kind in FIELDS) for c in words):
        return False
    return any(below is not None and below != above for above, below in zip(upper, lower, strict=True))


def _fill_merges(sheet: RawSheet) -> set[tuple[int, int]]:
    """Give every row under a downward merge the merged value, remembering which cells got it that way."""
    filled: set[tuple[int, int]] = set()
    at = {number: index for index, number in enumerate(sheet.numbers)} if sheet.merges else {}
    budget = MAX_ROWS * MAX_COLUMNS
    for first, last, column in sheet.merges:
        top = at.get(first)
        if top is None or column >= len(sheet.rows[top]) or (value := sheet.rows[top][column]) is None:
            continue
        for index in range(top + 1, len(sheet.rows)):
            budget -= 1
            if sheet.numbers[index] > last or budget < 0:
                break
            row = sheet.rows[index]
            row.extend([None] * (column + 1 - len(row)))
            if row[column] is None:
                row[column] = value
                filled.add((sheet.numbers[index], column))
    return filled


def _read_text(data: bytes) -> RawSheet:
    text = _decode(data)
    start = text[:200].lstrip().lower()
    if start.startswith(("<html", "<!doctype", "<table", "<?xml", "<meta")):
        raise SheetRefused("sheet_unreadable", reason="not_xlsx")  # a web page named .xls, as some systems export
    first, _, rest = text.partition("\n")
    said = first.strip().lower()
    if said.startswith("sep=") and len(said) == 5:
        return _parse_text(rest, said[4], 1)
    sheets: list[tuple[int, int, RawSheet]] = []
    problem: SheetRefused | None = None
    for delimiter in (",", "\t", ";"):
        if delimiter not in text and sheets:
            continue
        try:
            sheet = _parse_text(text, delimiter, 0)
        except SheetRefused as refused:
            problem = problem or refused
            continue
        head = sheet.rows[:HEADER_WITHIN]
        sheets.append((max(map(_matches, head), default=0), max(map(len, head), default=0), sheet))
    if not sheets:
        raise problem or SheetRefused("sheet_unreadable", reason="broken")
    best = max(sheets, key=lambda judged: judged[:2])
    if problem is not None and best[0] < 2:
        raise problem
    return best[2]


def _decode(data: bytes) -> str:
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SheetRefused("sheet_unreadable", reason="encoding")


def _parse_text(text: str, delimiter: str, skipped: int) -> RawSheet:
    sheet = RawSheet("")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = skipped
    try:
        for fields in reader:
            number += 1
            row: list[Cell] = [_text_cell(value) for value in fields]
            while row and row[-1] is None:
                row.pop()
            if not row:
                continue
            if len(row) > MAX_COLUMNS:
                raise SheetRefused("sheet_too_large", what="columns", limit=MAX_COLUMNS)
            sheet.rows.append(row)
            sheet.numbers.append(number)
            if len(sheet.rows) > MAX_ROWS + ROWS_AROUND:
                raise SheetRefused("sheet_too_large", what="rows", limit=MAX_ROWS)
    except csv.Error as error:
        raise SheetRefused("sheet_unreadable", reason="quotes", row=number + 1) from error
    return sheet


def _text_cell(value: str) -> str | None:
    """A csv cell; what spreadsheets put around text to keep it text (`="199…"`, a leading ') is taken off."""
    if len(value) > MAX_CELL:
        raise SheetRefused("sheet_too_large", what="cell", limit=MAX_CELL)
    if value[:1] in ("=", "'"):
        if value.startswith('="') and value.endswith('"') and len(value) >= 3:
            value = value[2:-1]
        elif value[0] == "'" and value[1:2] in ("=", "+", "-", "@", *"0123456789"):
            value = value[1:]
    return value if value.strip() else None


def columns(grid: Grid, kind: Kind) -> dict[str, int]:
    """Where each field of a kind of sheet stands; two columns for one field are refused."""
    at: dict[str, int] = {}
    for index, word in enumerate(grid.headers):
        if word in RETURNED or (name := field_of(kind, word)) is None:
            continue
        if name in at:
            raise SheetRefused("column_twice", columns=f"{grid.headers[at[name]]}、{word}")
        at[name] = index
    return at
