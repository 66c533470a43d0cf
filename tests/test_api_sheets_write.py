# SPDX-License-Identifier: Apache-2.0
"""Templates import as they are once filled in; refused rows go back with reasons and come in again mended."""

from __future__ import annotations

import io
import re
import tomllib
import zipfile
from pathlib import Path

import pytest

from api.sheets.awards import parse_awards
from api.sheets.bodies import parse_bodies
from api.sheets.grid import RowProblem, SheetRefused
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.sheets.sentences import sentence
from api.sheets.words import Kind
from api.sheets.write import errors_xlsx, template
from tests.test_api_sheets_read import book

ROOT = Path(__file__).parents[1]
PARSE = {"awards": parse_awards, "people": parse_people, "bodies": parse_bodies, "places": parse_places}


@pytest.mark.parametrize("kind", list(PARSE))
def test_a_blank_template_imports_as_nothing(kind: Kind) -> None:
    """Header understood, notes row ignored, no row and no problem."""
    grid = read_sheet(template(kind, {"community": ["中心社区", "田家社区"]}))
    sheet = PARSE[kind](grid)
    assert (sheet.rows, sheet.problems, sheet.ignored) == ([], [], [2])


def test_a_template_has_text_cells_drop_downs_and_a_fixed_header() -> None:
    """Phones keep their zeros, choices come from a list however long, the header stays in sight."""
    communities = [f"第{n}社区" for n in range(400)]
    data = template("people", {"所属社区": communities, "groups": ["党员", "居民"]})
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
        workbook = parts.read("xl/workbook.xml").decode()
        styles = parts.read("xl/styles.xml").decode()
    assert "$A$1:$A$400" in sheet
    assert sheet.count("<dataValidation ") == 3  # community, groups, consent
    assert 'state="frozen"' in sheet
    assert 'state="hidden"' in workbook
    assert 'numFmtId="49"' in styles  # @: text


def test_refused_rows_go_back_and_come_in_again() -> None:
    """Only the refused rows, in their own columns, with 原因 and 怎么改, and still a sheet that imports."""
    rows = [
        ["三月签到表"],
        ["姓名", "楼栋", "手机号", "日期", "时长"],
        ["王丽", "3号楼", 13800000000, "2022-03-05", 2],
        ["李强", "5号楼", 123, "03/05/22", 2],
        ["赵敏", "=1+1", "13900000000", "2022-03-05", 0],
    ]
    grid = read_sheet(book(rows))
    first = parse_awards(grid)
    data = errors_xlsx(grid, first.problems, "zh")
    again = read_sheet(data)
    assert again.headers == ["姓名", "楼栋", "手机号", "日期", "时长", "原行号", "原因", "怎么改"]
    assert [row[5] for row in again.rows[1:]] == ["4", "5"]
    assert "123" in str(again.rows[1][6])
    second = parse_awards(again)
    assert [(p.row, p.column, p.code) for p in second.problems] == [
        (2, "手机号", "phone_invalid"), (2, "日期", "date_invalid"), (3, "时长", "hours_invalid"),
    ]  # fmt: skip
    for row, column, value in ((1, 2, "13700000000"), (1, 3, "2022-03-05"), (2, 4, "2")):
        again.rows[row][column] = value
    assert [row.name for row in parse_awards(again).rows] == ["李强", "赵敏"]
    twice = read_sheet(errors_xlsx(again, second.problems, "en"))
    assert twice.headers[-3:] == ["Row", "Reason", "How to mend"]
    assert len(twice.headers) == 8


def test_no_cell_is_ever_a_formula() -> None:
    """What begins with = + - @ leaves as text."""
    text = "姓名,日期,备注\n" + "".join(f"甲{c},x,{c}cmd|' /C calc'!A0\n" for c in "=+-@")
    grid = read_sheet(text.encode())
    data = errors_xlsx(grid, parse_awards(grid).problems, "zh")
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        assert "<f>" not in parts.read("xl/worksheets/sheet1.xml").decode()
    assert [str(row[2])[0] for row in read_sheet(data).rows[1:]] == ["=", "+", "-", "@"]


def test_a_code_from_elsewhere_is_told_too() -> None:
    """Problems found after parsing are written the same way, even before they have a sentence."""
    grid = read_sheet(book([["姓名", "日期"], ["王丽", "2022-03-05"]]))
    problem = RowProblem(2, "姓名", "王丽", "never_heard_of")
    assert read_sheet(errors_xlsx(grid, [problem], "zh")).rows[1][3] == "never_heard_of"


def test_every_code_has_its_sentences_in_both_languages() -> None:
    """Each code raised under api/sheets has title, detail and fix in zh and en with the same placeholders."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "api/sheets").glob("*.py"))
    raised = set(re.findall(r"(?:Bad|SheetRefused)\(\s*\"([a-z_]+)\"", source))
    raised |= set(re.findall(r"note\([^()]*?\"([a-z]+_[a-z_]+)\"", source)) | {
        "column_missing",
        "date_invalid",
    }
    tables = [tomllib.loads((ROOT / f"api/locale/{lang}.toml").read_text(encoding="utf-8")) for lang in ("zh", "en")]
    assert len(raised) >= 25
    for code in raised - {"service_community"}:
        zh, en = (table[code] for table in tables)
        for part in ("title", "detail", "fix"):
            assert zh[part] and en[part]
            assert set(re.findall(r"{(\w+)}", zh[part])) == set(re.findall(r"{(\w+)}", en[part])), (
                code,
                part,
            )


def test_a_sentence_names_column_and_value() -> None:
    """The person reads the word of his own header and what he wrote."""
    detail, fix = sentence(RowProblem(7, "联系电话", "1.99E+10", "phone_scientific"))
    assert "联系电话" in detail
    assert "1.99E+10" in detail
    assert "文本" in fix
    assert "1.99E+10" in sentence(RowProblem(7, "联系电话", "1.99E+10", "phone_scientific"), "en")[0]


def test_sheet_refusals_fill_their_sentences() -> None:
    """The facts of a refused sheet fit the placeholders of its sentences."""
    zh = tomllib.loads((ROOT / "api/locale/zh.toml").read_text(encoding="utf-8"))
    for data in (b"", b"PK", b"%PDF", b"a,b\n1,2\n", "姓名,手机号\n甲,1\n".encode(), b"x" * 10_485_761):
        try:
            parse_awards(read_sheet(data))
        except SheetRefused as refused:
            for part in ("detail", "fix"):
                assert "{" not in zh[refused.code][part].format(**refused.facts)
        else:
            raise AssertionError("not refused")
