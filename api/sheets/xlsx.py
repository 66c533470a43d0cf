# SPDX-License-Identifier: Apache-2.0
"""Reading xlsx: worksheets as rows of cells, each judged by itself, within fixed limits of size and work.

Why not a data-frame reader: it drops the empty rows above the table, and with them the file's own row
numbers; gives one type to a column, so that phones typed as numbers and as text do not both survive; turns
`#DIV/0!` into a blank; does not know the Chinese built-in date formats 31 and 57; and makes room for all
the cells between the corners, which a small file may put at A1 and XFD1048576.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass, field
from struct import error as struct_error
from xml.parsers import expat

from api.sheets.grid import Cell, SheetRefused
from api.sheets.package import Done, LocalNames, Package
from api.sheets.serials import from_serial, plain_number

MAX_ROWS = 20_000
MAX_COLUMNS = 60
MAX_CELL = 32_767
"""Characters in a cell, as in the office suites."""
ROWS_AROUND = 30
"""Titles, header and notes are not counted; the exact count comes once the header is known."""
MAX_STRINGS = MAX_ROWS * MAX_COLUMNS
MAX_MERGES = 20_000


@dataclass(slots=True)
class RawSheet:
    """One worksheet before anybody looked for its header."""

    name: str
    rows: list[list[Cell]] = field(default_factory=list[list[Cell]])
    numbers: list[int] = field(default_factory=list[int])
    merges: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    """(first file row, last file row, column index) of cells merged downwards."""
    epoch_1904: bool = False


_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")


def _text(text: str) -> str:
    """A cell's text, its `_x000D_` escapes resolved; "" when there is nothing to see in it."""
    if len(text) > MAX_CELL:
        raise SheetRefused("sheet_too_large", what="cell", limit=MAX_CELL)
    if "_x" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return "" if not text or text.isspace() else text


def read_sheets(data: bytes) -> list[RawSheet]:
    """The visible worksheets that hold anything, in the workbook's order."""
    try:
        return _read_sheets(data)
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct_error,
        expat.ExpatError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        LookupError,
        ValueError,
    ) as error:
        raise SheetRefused("sheet_unreadable", reason="broken") from error


def _read_sheets(data: bytes) -> list[RawSheet]:
    package = Package(data)
    workbook = "xl/workbook.xml"
    for target in _relations(package, "", "_rels/.rels", "/officeDocument").values():
        workbook = target
    if workbook.lower() not in package.parts:
        raise SheetRefused("sheet_unreadable", reason="not_xlsx")
    folder, _, file = workbook.rpartition("/")
    beside = f"{folder}/" if folder else ""
    relations = _relations(package, beside, f"{beside}_rels/{file}.rels", "")
    listed: list[tuple[str, str]] = []
    epoch_1904 = False
    local = LocalNames()

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal epoch_1904
        match local[tag]:
            case "sheet" if attributes.get("state", "visible") == "visible":
                key = next((v for k, v in attributes.items() if k.endswith(":id")), "")
                listed.append((attributes.get("name", ""), relations.get(key, "")))
            case "workbookPr":
                epoch_1904 = attributes.get("date1904", "0") in ("1", "true", "on")

    package.parse(workbook, start)
    strings = _strings(package, _named(package, beside, "sharedStrings.xml"))
    dated = _date_styles(package, _named(package, beside, "styles.xml"))
    sheets: list[RawSheet] = []
    for name, part in listed[:50]:
        if part.lower() in package.parts and "chartsheet" not in part:
            sheet = RawSheet(name, epoch_1904=epoch_1904)
            _rows(package, part, sheet, strings, dated)
            if sheet.rows:
                sheets.append(sheet)
    return sheets


def _named(package: Package, beside: str, file: str) -> str | None:
    part = (beside + file).lower()
    return part if part in package.parts else None


def _relations(package: Package, beside: str, part: str, kind: str) -> dict[str, str]:
    found: dict[str, str] = {}
    local = LocalNames()

    def start(tag: str, attributes: dict[str, str]) -> None:
        if local[tag] == "Relationship" and attributes.get("Type", "").endswith(kind):
            target = attributes.get("Target", "")
            found[attributes.get("Id", "")] = target[1:] if target.startswith("/") else beside + target

    if part.lower() in package.parts:
        package.parse(part, start)
    return found


def _strings(package: Package, part: str | None) -> list[str]:
    strings: list[str] = []
    if part is None:
        return strings
    local = LocalNames()
    pieces: list[str] = []
    inside = phonetic = False

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal inside, phonetic
        name = local[tag]
        if name == "t":
            inside = not phonetic
        elif name == "si":
            pieces.clear()
        elif name == "rPh":
            phonetic = True

    def end(tag: str) -> None:
        nonlocal inside, phonetic
        name = local[tag]
        if name == "t":
            inside = False
        elif name == "si":
            strings.append(_text("".join(pieces)))
            if len(strings) > MAX_STRINGS:
                raise SheetRefused("sheet_too_large", what="cells", limit=MAX_STRINGS)
        elif name == "rPh":
            phonetic = False

    def text(data: str) -> None:
        if inside:
            pieces.append(data)

    package.parse(part, start, end, text)
    return strings


_BUILT_IN_DATES = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
_NOT_TOKENS = re.compile(r'"[^"]*"?|\\.|_.|\*.|\[(?!(?:h+|m+|s+)\])[^\]]*\]?', re.IGNORECASE)


def _is_date_format(code: str) -> bool:
    bare = _NOT_TOKENS.sub("", code.split(";")[0]).lower()
    return "general" not in bare and bool(set(bare) & set("ymdhs"))


def _date_styles(package: Package, part: str | None) -> list[bool]:
    """For each cell style whether it shows its number as a day or a time."""
    dated: list[bool] = []
    if part is None:
        return dated
    custom: dict[str, bool] = {}
    local = LocalNames()
    inside = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        match local[tag]:
            case "numFmt":
                custom[attributes.get("numFmtId", "")] = _is_date_format(attributes.get("formatCode", ""))
            case "cellXfs":
                inside = True
            case "xf" if inside:
                key = attributes.get("numFmtId", "0")
                dated.append(custom.get(key, key.isdecimal() and int(key[:6]) in _BUILT_IN_DATES))
            case _:
                pass

    def end(tag: str) -> None:
        if local[tag] == "cellXfs":
            raise Done

    package.parse(part, start, end)
    return dated


def _rows(package: Package, part: str, sheet: RawSheet, strings: list[str], dated: list[bool]) -> None:
    """One worksheet, element by element; empty rows leave no trace but a gap in the numbers.

    Written as one closure because it runs ten times for every cell: names, not attributes, are what is fast
    here.
    """
    local, known, pieces, inline = LocalNames(), dict[str, int](), list[str](), list[str]()
    row: list[Cell] = []
    number = column = style = 0
    kind, value = "n", ""
    formula = phonetic = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal row, number, column, style, kind, value, formula, phonetic
        name = local[tag]
        if name == "v" or name == "t":
            pieces.clear()
        elif name == "c":
            reference = attributes.get("r")
            if reference is None:
                column += 1
            else:
                letters = reference.rstrip("0123456789")
                if (at := known.get(letters)) is None:
                    at = known[letters] = _column_index(letters)
                column = at
            kind = attributes.get("t", "n")
            style = int(attributes.get("s", 0))
            value, formula, phonetic = "", False, False
            pieces.clear()
            inline.clear()
        elif name == "row":
            said = attributes.get("r")
            here = number + 1 if said is None else int(said)
            if not number < here <= 1_048_576:
                raise SheetRefused("sheet_unreadable", reason="broken")
            number, column, row = here, -1, []
        elif name == "f":
            formula = True
        elif name == "rPh":
            phonetic = True
        elif name == "mergeCell":
            _merge(sheet, attributes.get("ref", ""))

    def end(tag: str) -> None:
        nonlocal value, phonetic
        name = local[tag]
        if name == "v":
            value = pieces[0] if len(pieces) == 1 else "".join(pieces)
        elif name == "c":
            if value or inline or formula:
                cell: Cell = None
                if kind == "s":
                    cell = strings[int(value)] if value else None
                elif kind == "n":
                    # a formula that was never computed has no number: keep the sign of it and say so later
                    cell = _number(value, dated, style, sheet.epoch_1904) if value else "=" if formula else None
                elif kind == "b":
                    cell = value.strip() in ("1", "true")
                else:  # str, inlineStr, e (an error such as #REF!), d (an ISO day)
                    cell = _text("".join(inline) if inline else value)
                if cell is not None and cell != "":
                    _put(row, column, cell)
        elif name == "row":
            if not row:
                return
            sheet.rows.append(row)
            sheet.numbers.append(number)
            if len(sheet.rows) > MAX_ROWS + ROWS_AROUND:
                raise SheetRefused("sheet_too_large", what="rows", limit=MAX_ROWS)
        elif name == "t":
            if not phonetic:
                inline.extend(pieces)
        elif name == "rPh":
            phonetic = False

    package.parse(part, start, end, pieces.append)


def _put(row: list[Cell], column: int, cell: Cell) -> None:
    if column >= MAX_COLUMNS:
        raise SheetRefused("sheet_too_large", what="columns", limit=MAX_COLUMNS)
    if column == len(row):
        row.append(cell)
        return
    while len(row) <= column:
        row.append(None)
    row[column] = cell


_MERGE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7}):\$?([A-Z]{1,3})\$?([0-9]{1,7})")


def _merge(sheet: RawSheet, reference: str) -> None:
    found = _MERGE.fullmatch(reference)
    if found and found[1] == found[3] and int(found[2]) < int(found[4]):
        if len(sheet.merges) >= MAX_MERGES:
            raise SheetRefused("sheet_too_large", what="cells", limit=MAX_MERGES)
        sheet.merges.append((int(found[2]), int(found[4]), _column_index(found[1])))


def _number(text: str, dated: list[bool], style: int, epoch_1904: bool) -> Cell:
    number = plain_number(text)
    if number is None:
        return text
    if style < len(dated) and dated[style]:
        moment = from_serial(number, epoch_1904)
        return number if moment is None else moment
    return number


def _column_index(letters: str) -> int:
    if not (1 <= len(letters) <= 3 and letters.isascii() and letters.isupper()):
        raise SheetRefused("sheet_unreadable", reason="broken")
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1
