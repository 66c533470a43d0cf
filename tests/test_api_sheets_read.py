# SPDX-License-Identifier: Apache-2.0
"""Files become grids: encodings, delimiters, headers, row numbers, cell types, limits, and nothing but the
refusal."""

from __future__ import annotations

import io
import random
import zipfile
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from api.sheets import package
from api.sheets.awards import parse_awards
from api.sheets.bodies import parse_bodies
from api.sheets.grid import Grid, SheetRefused
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.sheets.words import FIELDS

HEADER = ["姓名", "手机号", "服务日期"]
ROW = ["王丽", "13800000000", "2022-03-05"]


def book(rows: dict[int, list[Any]] | list[list[Any]], formats: dict[tuple[int, int], str] | None = None) -> bytes:
    """An xlsx of the rows (by file row number, or from row 1), with number formats for some cells."""
    out = io.BytesIO()
    made = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = made.add_worksheet("表")
    numbered = rows if isinstance(rows, dict) else dict(enumerate(rows, 1))
    for number, cells in numbered.items():
        for column, cell in enumerate(cells):
            code = (formats or {}).get((number, column))
            style = made.add_format({"num_format": code}) if code else None
            if cell is not None:
                sheet.write(number - 1, column, cell, style)
    made.close()
    return out.getvalue()


def refusal(data: bytes, **kwargs: Any) -> SheetRefused:
    with pytest.raises(SheetRefused) as raised:
        read_sheet(data, **kwargs)
    return raised.value


def part(data: bytes, name: str, change: dict[str, str]) -> bytes:
    """The same xlsx with words replaced in one part."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for info in source.infolist():
            content = source.read(info)
            if info.filename == name:
                text = content.decode()
                for old, new in change.items():
                    assert old in text
                    text = text.replace(old, new)
                content = text.encode()
            target.writestr(info.filename, content)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_csv_in_every_encoding_and_delimiter(encoding: str, delimiter: str) -> None:
    """A csv is read whatever the office suite saved it as."""
    text = "\r\n".join(delimiter.join(row) for row in (HEADER, ROW))
    grid = read_sheet(text.encode(encoding), "a.csv")
    assert grid.headers == HEADER
    assert grid.rows[1] == ROW
    assert grid.numbers == [1, 2]


def test_row_numbers_are_the_files_own() -> None:
    """Empty rows above, between and inside do not shift the numbers, in xlsx and csv alike."""
    grid = read_sheet(book({3: HEADER, 5: ROW, 9: ROW}))
    assert grid.numbers == [3, 5, 9]
    grid = read_sheet(("\n\n" + ",".join(HEADER) + "\n\n,,\n" + ",".join(ROW)).encode())
    assert grid.numbers == [3, 6]


def test_cells_keep_their_own_types() -> None:
    """A phone typed as a number and one typed as text live in one column; days and times come out as such."""
    moment = datetime(2022, 3, 5, 9, 30)
    data = book(
        [
            HEADER,
            ["甲", 13800000000, date(2022, 3, 5)],
            ["乙", "13800000000", 44625],
            ["丙", 1.5, moment],
            ["丁", 0.1 + 0.2, 0.375],
        ],
        {(2, 2): 'yyyy"年"m"月"d"日"', (4, 2): "yyyy/m/d h:mm", (5, 2): "h:mm"},
    )
    rows = read_sheet(data).rows
    assert rows[1][1:] == [13800000000, date(2022, 3, 5)]
    assert rows[2][1:] == ["13800000000", 44625]
    assert rows[3][1:] == [Decimal("1.5"), moment]
    assert rows[4][1:] == [Decimal("0.3"), time(9, 0)]


@pytest.mark.parametrize("code", [14, 31, 57, "yyyy/m/d;@", '[$-804]yyyy"年"m"月"d"日"', "m/d"])
def test_chinese_date_formats_are_dates(code: Any) -> None:
    """The built-in formats of a Chinese Excel (31, 57) are days like any other."""
    grid = read_sheet(book([HEADER, ["甲", None, 44625]], {(2, 2): code}))
    assert grid.rows[1][2] == date(2022, 3, 5)


@pytest.mark.parametrize("code", ["0.00", "General", '0"日"', "[Red]0", "@", "#,##0_);[Red](#,##0)"])
def test_number_formats_are_not_dates(code: str) -> None:
    """Colours, quoted units and General do not make a number a day."""
    grid = read_sheet(book([HEADER, ["甲", None, 44625]], {(2, 2): code}))
    assert grid.rows[1][2] == 44625


def test_the_1904_date_system() -> None:
    """A workbook from an old Mac counts its days from 1904."""
    data = book([HEADER, ["甲", None, 43163]], {(2, 2): "yyyy-mm-dd"})
    data = part(data, "xl/workbook.xml", {"<workbookPr ": '<workbookPr date1904="1" '})
    assert read_sheet(data).rows[1][2] == date(2022, 3, 5)


def test_prefixed_elements_are_read() -> None:
    """Some systems write every element with a namespace prefix."""
    data = book([HEADER, ["甲", None, 1]])
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        sheet = source.read("xl/worksheets/sheet1.xml").decode()
    prefixed = sheet.replace("<", "<x:").replace("<x:/", "</x:").replace("<x:?", "<?").replace("xmlns=", "xmlns:x=")
    assert read_sheet(part(data, "xl/worksheets/sheet1.xml", {sheet: prefixed})).rows[1] == ["甲", None, 1]


def test_header_below_titles_and_by_number() -> None:
    """Title rows are passed over; an explicit header row is taken at its word."""
    rows = [["少海街道2022年3月志愿服务登记表"], ["填报单位：中心社区"], HEADER, ROW]
    assert read_sheet(book(rows)).header == 2
    assert read_sheet(book(rows), header_row=3).headers == HEADER
    refused = refusal(book(rows), header_row=2)
    assert refused.code == "header_not_found"
    assert "填报单位：中心社区" in refused.facts["seen"]


def test_header_is_looked_for_in_the_first_twenty_rows() -> None:
    """A header on row 20 is found, on row 21 it needs to be named."""
    assert read_sheet(book({20: HEADER, 21: ROW})).numbers[0] == 20
    assert refusal(book({21: HEADER, 22: ROW})).code == "header_not_found"
    assert read_sheet(book({21: HEADER, 22: ROW}), header_row=21).headers == HEADER


def test_no_header_says_what_was_seen_and_what_is_understood() -> None:
    """The refusal names the words in the sheet and the words that would do."""
    refused = refusal(book([["甲", "乙"], ["1", "2"]]))
    assert refused.code == "header_not_found"
    assert refused.facts["seen"] == "甲、乙"
    assert "姓名" in refused.facts["understood"]


def test_two_line_header() -> None:
    """服务时间 over 签到时间 and 签退时间: the lower words name the columns."""
    grid = read_sheet(
        book(
            [
                ["姓名", "服务日期", "服务时间"],
                [None, None, "签到时间", "签退时间"],
                ["甲", "2022-03-05", "9:00", "10:00"],
            ]
        )
    )
    assert grid.headers == ["姓名", "服务日期", "签到时间", "签退时间"]
    assert grid.body == 2


def two_sheets(hidden: bool) -> bytes:
    out = io.BytesIO()
    made = xlsxwriter.Workbook(out)
    for name in ("三月", "四月"):
        sheet = made.add_worksheet(name)
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, ROW)
        if hidden and name == "四月":
            sheet.hide()
    made.add_worksheet("Sheet3")
    made.close()
    return out.getvalue()


def test_two_worksheets_with_tables_are_not_chosen_between() -> None:
    """Two visible tables are refused by name; a hidden or empty worksheet is nothing."""
    refused = refusal(two_sheets(hidden=False))
    assert (refused.code, refused.facts["sheets"]) == ("sheet_ambiguous", "三月、四月")
    assert read_sheet(two_sheets(hidden=True)).name == "三月"


def test_merged_cells_reach_down() -> None:
    """A community written once over merged rows belongs to each of them, and is remembered as such."""
    out = io.BytesIO()
    made = xlsxwriter.Workbook(out)
    sheet = made.add_worksheet()
    sheet.write_row(0, 0, ["姓名", "所属社区", "服务日期"])
    for row, name in enumerate("甲乙丙", 1):
        sheet.write_string(row, 0, name)
    sheet.merge_range(1, 1, 2, 1, "中心社区")
    made.close()
    grid = read_sheet(out.getvalue())
    assert [row[1] for row in grid.rows] == ["所属社区", "中心社区", "中心社区", None]
    assert grid.filled == {(3, 1)}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "sheet_empty"),
        (b"  \r\n ", "sheet_empty"),
        (book([]), "sheet_empty"),
        (b"PK\x03\x04 broken", "sheet_unreadable"),
        (book([HEADER, ROW])[:-200], "sheet_unreadable"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "sheet_unreadable"),
        (b"%PDF-1.7", "sheet_unreadable"),
        (b"<html><table><tr><td>\xe5", "sheet_unreadable"),
        (b"\xff\xff\xff\xff", "sheet_unreadable"),
        ('姓名,手机号\n"甲,1\n乙,2\n'.encode(), "sheet_unreadable"),
        (b"x" * (10 * 1024 * 1024 + 1), "sheet_too_large"),
        (("姓名,手机号\n" + "甲,1\n" * 20_001).encode(), "sheet_too_large"),
        (("姓名,手机号" + ",x" * 59 + "\n").encode(), "sheet_too_large"),
        (book([[*HEADER, *["x"] * 58]]), "sheet_too_large"),
    ],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_sheet_is_refused(data: bytes, code: str) -> None:
    """Empty, broken, foreign and oversized files each get their code, never a traceback."""
    assert refusal(data).code == code


def test_encrypted_and_old_files_are_told_apart() -> None:
    """A password-protected workbook and an old .xls look alike from outside; the reason says which."""
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    assert refusal(ole).facts["reason"] == "old_xls"
    assert refusal(ole + "EncryptedPackage".encode("utf-16-le")).facts["reason"] == "encrypted"


def test_twenty_thousand_rows_are_taken() -> None:
    """The limit itself is within the limit."""
    data = ("姓名,手机号\n" + "甲,1\n" * 20_000).encode()
    assert len(read_sheet(data).rows) == 20_001


def test_zip_bombs_are_refused_before_and_while_unpacking() -> None:
    """A part that swells is refused by the directory, and by what really comes out when the directory
    lies."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("xl/workbook.xml", b" " * (210 * 1024 * 1024))
    honest = out.getvalue()
    assert refusal(honest).code == "sheet_too_large"
    lying = honest.replace((210 * 1024 * 1024).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert refusal(lying).code in ("sheet_unreadable", "sheet_too_large")


def test_entity_bombs_are_refused() -> None:
    """A document type has no place in a workbook."""
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    data = part(book([HEADER, ROW]), "xl/sharedStrings.xml", {"<sst": bomb + "<sst"})
    assert refusal(data).code == "sheet_unreadable"


def test_a_far_corner_costs_nothing() -> None:
    """A cell in the last row and one beyond the last column: no rectangle is made room for."""
    grid = read_sheet(book({1: HEADER, 2: ROW, 1_048_576: ROW}))
    assert grid.numbers == [1, 2, 1_048_576]
    data = part(book([HEADER, ROW]), "xl/worksheets/sheet1.xml", {'r="C2"': 'r="XFD2"'})
    assert refusal(data).code == "sheet_too_large"


def test_endless_elements_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that hold more elements than any sheet within the limits are given up on, wherever they stand."""
    monkeypatch.setattr(package, "MAX_MARKS", 5_000)
    data = book([HEADER, ROW])
    assert read_sheet(data).rows[1] == ROW
    for name, tag in (("xl/worksheets/sheet1.xml", "<sheetData>"), ("xl/workbook.xml", "<sheets>")):
        assert refusal(part(data, name, {tag: "<a></a>" * 5_000 + tag})).code == "sheet_too_large"


def test_texts_longer_than_a_cell_are_refused() -> None:
    """One string of many characters in many cells must not be worked on cell by cell."""
    data = part(book([HEADER, ROW]), "xl/sharedStrings.xml", {"王丽": "王" * 40_000})
    assert refusal(data).code == "sheet_too_large"


def read_all(data: bytes) -> Grid | None:
    """Read and parse as every kind; only the refusal may come out."""
    try:
        grid = read_sheet(data)
    except SheetRefused:
        return None
    for parse in (parse_awards, parse_people, parse_bodies, parse_places):
        try:
            parse(grid)
        except SheetRefused:
            continue
    return grid


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_grid_or_the_refusal(data: bytes) -> None:
    """Whatever arrives, nothing but the refusal is raised."""
    read_all(data)
    read_all(b"PK\x03\x04" + data)


CELL = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "王丽",
            "13800000000",
            "2022-03-05",
            "9:00-11:00",
            "下午3点",
            "1小时30分",
            "合计",
            "=1+1",
            "\0",
            "#REF!",
        ]
    ),
    st.from_regex(r"[0-9年月日时点分半上下午:/.\-+eE ]{1,16}", fullmatch=True),
)
WORDS = st.sampled_from(sorted({word for kind in FIELDS for words in FIELDS[kind].values() for word in words[:2]}))


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=8, unique=True), st.lists(st.lists(CELL, max_size=8), max_size=5))
def test_any_cells_give_rows_or_problems(header: list[str], rows: list[list[str]]) -> None:
    """Under real headers any text at all is a row, a problem or an aside."""
    quoted = [",".join('"' + c.replace('"', '""') + '"' for c in row) for row in [list(header), *rows]]
    read_all("\n".join(quoted).encode("utf-8", "surrogatepass"))


NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(NUMBERS, st.sampled_from(["General", "yyyy-mm-dd", "h:mm", "@", "0.00"])),
        min_size=3,
        max_size=20,
    )
)
def test_any_typed_cells_give_rows_or_problems(cells: list[tuple[Any, str]]) -> None:
    """The same for real xlsx cells of every type and format."""
    header = [
        "姓名",
        "手机号",
        "服务日期",
        "签到时间",
        "时长",
        "编码",
        "名称",
        "出生日期",
        "统一社会信用代码",
        "层级",
        "所属社区",
        "所属网格",
    ]
    values = [value for value, _ in cells]
    formats = {(2, column): code for column, (_, code) in enumerate(cells)}
    assert read_all(book([header, values], formats)) is not None


def test_a_damaged_workbook_never_escapes_the_refusal() -> None:
    """Bytes flipped and parts cut at random, inside the zip and outside."""
    chance = random.Random(7)
    good = book([HEADER, ROW, ["甲", 1.5, date(2022, 3, 5)]], {(3, 2): "yyyy-mm-dd"})
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        read_all(bytes(bad))
    with zipfile.ZipFile(io.BytesIO(good)) as source:
        parts = {info.filename: source.read(info) for info in source.infolist()}
    for _ in range(300):
        out = io.BytesIO()
        hit = chance.choice([n for n in parts if n.startswith("xl/") or n == "_rels/.rels"])
        with zipfile.ZipFile(out, "w") as target:
            for name, content in parts.items():
                damaged = bytearray(content)
                if name == hit:
                    for _ in range(chance.randint(1, 4)):
                        damaged[chance.randrange(len(damaged))] = chance.choice(b'<>"=/0129AZaz ')
                target.writestr(name, bytes(damaged))
        read_all(out.getvalue())
