# SPDX-License-Identifier: Apache-2.0
"""Writing sheets: the blank template that the import takes, and the refused rows that go back to be mended.

Every cell is written as text. One that begins with = + - @ stays a text wherever it is opened.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from api.sheets.grid import Cell, Grid, RowProblem, shown
from api.sheets.sentences import sentence
from api.sheets.words import FIELDS, RETURNED, Kind, header_word

_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_TITLES: dict[Kind, str] = {
    "awards": "积分登记",
    "people": "人员登记",
    "bodies": "单位登记",
    "places": "地点登记",
}
_ROWS_OF_TEMPLATE = 2_000
_MAX_CELL = 32_767
_MAX_SHOWN = 2_000
"""Of a cell that goes back; no text that the import takes is as long."""
_TEXT = 49
"""The built-in number format `@`: what is typed stays as typed, leading zeros and all."""


def inert(text: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r\n") else text


# Field, header word, note in the second row, width. The first note opens with 说明： so that the import
# passes over it.
_COLUMNS: dict[Kind, tuple[tuple[str, str, str, int], ...]] = {
    "awards": (
        ("name", "姓名", "说明：必填，写登记时的姓名。本行不用删", 16),
        ("phone", "手机号", "11 位；没有手机可不填", 16),
        ("community", "所属社区", "居民所在社区，从下拉中选", 18),
        ("grid", "所属网格", "没有手机号时必填，如 第4网格", 16),
        ("indicator", "指标编码", "从下拉中选，或在导入时统一指定", 16),
        ("activity", "活动", "没有指标编码时写活动名称", 18),
        ("day", "服务日期", "必填，写全年月日，如 2022-03-05", 16),
        ("start", "签到时间", "24 小时制，如 09:00", 12),
        ("end", "签退时间", "同一天内，如 11:30；过夜的分两行写", 14),
        ("hours", "服务时长(小时)", "如 2.5；有签到签退时须与之相符", 18),
        ("service_community", "服务社区", "不在本社区服务时填", 18),
        ("note", "备注", "可不填", 20),
    ),
    "people": (
        ("name", "姓名", "说明：必填，写身份证上的姓名。本行不用删", 16),
        ("phone", "手机号", "11 位；老人可不填或填子女的", 16),
        ("community", "所属社区", "必填，从下拉中选", 18),
        ("grid", "所属网格", "必填，如 第4网格", 16),
        ("groups", "群体", "多个群体用顿号隔开", 18),
        ("birth", "出生日期", "写全年月日，如 1965-08-01；可不填", 16),
        ("publication", "是否同意公示", "填 是 或 否；不填按未征得同意", 16),
    ),
    "bodies": (
        ("name", "名称", "说明：必填，写单位全称。本行不用删", 26),
        ("type", "类型", "必填，如 商户、企业、业主委员会、志愿服务队", 18),
        ("uscc", "统一社会信用代码", "18 位；没有的不填", 24),
        ("group", "群体", "从下拉中选", 14),
        ("community", "所属社区", "从下拉中选", 18),
        ("contact", "联系人", "可不填", 14),
        ("phone", "电话", "手机号，或带区号的座机", 18),
    ),
    "places": (
        ("code", "编码", "说明：必填，如 370321002003-04。本行不用删", 20),
        ("name", "名称", "必填，同一上级下不能重名", 24),
        ("level", "层级", "必填，从下拉中选", 12),
        ("parent", "上级编码", "除县区外必填", 20),
    ),
}
_OWN_CHOICES: dict[tuple[Kind, str], tuple[str, ...]] = {
    ("people", "publication"): ("是", "否"),
    ("places", "level"): ("县区", "街道", "社区", "网格"),
}


def template(kind: Kind, choices: Mapping[str, Sequence[str]] | None = None) -> bytes:
    """A blank sheet of a kind. `choices` gives drop-downs by field or header word."""
    given = {header_word(word): list(dict.fromkeys(values)) for word, values in (choices or {}).items()}
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, _OPTIONS)
    sheet = book.add_worksheet(_TITLES[kind])
    lists = book.add_worksheet("选项")
    lists.hide()
    text = book.add_format({"num_format": _TEXT})
    head = book.add_format({"bold": True, "bg_color": "#E7EEF7", "border": 1, "align": "center", "num_format": _TEXT})
    hint = book.add_format({"italic": True, "font_color": "#7F7F7F", "text_wrap": True, "num_format": _TEXT})
    listed = 0
    for column, (field, word, note, width) in enumerate(_COLUMNS[kind]):
        sheet.set_column(column, column, width, text)
        sheet.write_string(0, column, word, head)
        sheet.write_string(1, column, note, hint)
        values = given.get(field) or given.get(header_word(word)) or list(_OWN_CHOICES.get((kind, field), ()))
        if not values:
            continue
        for row, value in enumerate(values):
            lists.write_string(row, listed, value, text)
        sheet.data_validation(2, column, _ROWS_OF_TEMPLATE, column, _drop_down(listed, len(values), field, word))
        listed += 1
    sheet.set_row(1, 32)
    sheet.freeze_panes(1, 1)
    book.close()
    return out.getvalue()


def _drop_down(column: int, length: int, field: str, word: str) -> dict[str, Any]:
    letter = xl_col_to_name(column)
    strict = field in ("publication", "level", "community")
    return {
        "validate": "list",
        "source": f"=选项!${letter}$1:${letter}${length}",
        "error_type": "stop" if strict else "information",  # several groups in one cell are not in the list
        "error_title": word,
        "error_message": "请从下拉中选择。" if strict else "不在下拉中，确认无误可继续。",
    }


def errors_xlsx(grid: Grid, problems: Iterable[RowProblem], lang: str) -> bytes:
    """The refused rows in their own columns, with the reasons and what to do; mended, it imports.

    `problems` may come from the parsers or from later checks: a code is enough, its sentence is looked up.
    """
    by_row: dict[int, list[RowProblem]] = {}
    for problem in problems:
        by_row.setdefault(problem.row, []).append(problem)
    kept = [
        index
        for index, word in enumerate(grid.headers)
        if word not in RETURNED and (word or any(row[index] is not None for row in grid.rows[grid.body :]))
    ]
    at = {number: index for index, number in enumerate(grid.numbers)}
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, _OPTIONS)
    sheet = book.add_worksheet("要改的行" if lang == "zh" else "Rows to mend")
    text = book.add_format({"num_format": _TEXT})
    wrong = book.add_format({"num_format": _TEXT, "bg_color": "#FDE9E7"})
    wrapped = book.add_format({"num_format": _TEXT, "text_wrap": True, "valign": "top"})
    head = book.add_format({"bold": True, "bg_color": "#E7EEF7", "border": 1, "num_format": _TEXT})
    added = RETURNED[:3] if lang == "zh" else RETURNED[3:]
    for column, word in enumerate([*(grid.headers[index] for index in kept), *added]):
        sheet.write_string(0, column, word, head)
    sheet.set_column(0, len(kept), 16, text)
    sheet.set_column(len(kept) + 1, len(kept) + 2, 48, wrapped)
    for line, number in enumerate(sorted(by_row), start=1):
        index = at.get(number)
        cells = [] if index is None else grid.rows[index]
        columns = {problem.column for problem in by_row[number]}
        for column, source in enumerate(kept if cells else ()):
            style = wrong if grid.headers[source] in columns else text
            value = "" if (number, source) in grid.filled and style is wrong else _written(cells[source])
            sheet.write_string(line, column, value, style)
        told = [sentence(problem, lang) for problem in by_row[number]]
        sheet.write_string(line, len(kept), str(number), text)
        sheet.write_string(line, len(kept) + 1, _joined(said for said, _ in told), wrapped)
        sheet.write_string(line, len(kept) + 2, _joined(fix for _, fix in told), wrapped)
    sheet.freeze_panes(1, 0)
    book.close()
    return out.getvalue()


def _written(cell: Cell) -> str:
    return shown(cell[:_MAX_SHOWN]) if isinstance(cell, str) else shown(cell)


def _joined(texts: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(texts))[:_MAX_CELL]


assert all(word in FIELDS[kind][field] or field == "hours" for kind, c in _COLUMNS.items() for field, word, *_ in c)
