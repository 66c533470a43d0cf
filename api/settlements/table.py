# SPDX-License-Identifier: Apache-2.0
"""A statement's lines as CSV, with a mark that Excel knows as UTF-8, and the whole of it as a workbook."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import xlsxwriter

from api.settlements.paper import HEADS, KINDS, OUTCOMES, STATES, VOUCHERS, Paper, Row, exact_yuan, points
from api.sheets.write import inert

_COLUMNS = (
    "no", "day", "kind", "redemption", "scenario", "budget", "quantity", "points", "rate", "owed", "paid", "entry",
    "leaf",
)  # fmt: skip
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_WIDTHS = {"redemption": 26, "scenario": 22, "budget": 22, "entry": 22, "leaf": 68}


def table(paper: Paper) -> bytes:
    """Every line, as text and in their order."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(HEADS[name].zh for name in _COLUMNS)
    for line in paper.lines:
        rows.writerow(_text(cell) for cell in _cells(paper, line))
    return "\ufeff".encode() + out.getvalue().encode()


class _Sum(int):
    """Hundredths of points, or of a yuan."""


class _Exact(int):
    """Hundredths of a fen."""


def _text(cell: Any) -> Any:
    if isinstance(cell, _Exact):
        return exact_yuan(cell).replace(",", "")
    if isinstance(cell, _Sum):
        return points(cell).replace(",", "")
    return inert(cell) if isinstance(cell, str) else cell


def _cells(paper: Paper, line: Row) -> list[Any]:
    paid = line["kind"] == "settle"
    return [
        line["no"],
        line["day"],
        KINDS[line["kind"]].zh,
        line.get("redemption", ""),
        "" if paid else paper.scenario(line["scenario"]),
        "" if paid else paper.budget(line),
        line.get("quantity", ""),
        _Sum(line["points"]),
        _Sum(line["fen_per_point"]) if "fen_per_point" in line else "",
        "" if paid else _Exact(line["owed"]),
        _Sum(line["fen"]) if paid else "",
        f"{line['journal']}/{line['seq']}",
        line["leaf"],
    ]


def workbook(paper: Paper) -> bytes:
    """Sheets: what it comes to, by budget line, every line, what is disputed."""
    out = io.BytesIO()
    book = _Book(xlsxwriter.Workbook(out, _OPTIONS))
    book.sheet("汇总", ["项目 Item", "积分 Points", "金额（元） Yuan"], _summary(paper), (30, 26, 18))
    names = ("budget", "scenario", "rate", "lines", "received", "returned", "quantity", "owed")
    heads = [f"{HEADS[name].zh} {HEADS[name].en}" for name in names]
    book.sheet("预算科目", heads, _budgets(paper), (24, 26, *[16] * 6))
    heads = [f"{HEADS[name].zh} {HEADS[name].en}" for name in _COLUMNS]
    rows = [_cells(paper, line) for line in paper.lines]
    book.sheet("明细", heads, rows, [_WIDTHS.get(name, 14) for name in _COLUMNS])
    book.sheet("异议", ["项目", "日期", "内容", "结果", "答复"], _disputes(paper), (30, 14, 40, 26, 40))
    book.close()
    return out.getvalue()


def _summary(paper: Paper) -> list[list[Any]]:
    fields = paper.shown.fields
    totals, opening, closing = fields["totals"], fields["opening"], fields["closing"]
    row = paper.shown.row
    return [
        ["商户 Shop", paper.shop, fields["merchant"]],
        ["社区 Community", paper.place, ""],
        ["期间 Period", f"{fields['from']} – {fields['to']}", STATES[paper.state].zh],
        ["期初 Opening", _Sum(opening["points"]), _Sum(opening["fen"])],
        ["本期核销与应付 Received, owed", _Sum(totals["received"]), _Sum(totals["owed_fen"])],
        ["本期退回 Returned", _Sum(-totals["returned"]), ""],
        ["本期已付 Paid", _Sum(-totals["settled"]), _Sum(-totals["paid_fen"])],
        ["期末 Closing", _Sum(closing["points"]), _Sum(closing["fen"])],
        ["SHA-256", row.sha256 if row else "", ""],
    ]


def _budgets(paper: Paper) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for budget, found in paper.by_budget():
        rows += [
            [
                budget,
                paper.scenario(one["scenario"]),
                _Sum(one["fen_per_point"]),
                one["lines"],
                _Sum(one["received"]),
                _Sum(one["returned"]),
                one["benefits"],
                _Sum(one["fen"]),
            ]
            for one in found
        ]
        if len(found) > 1:
            rows.append([f"{budget} 小计", "", "", "", "", "", "", _Sum(sum(one["fen"] for one in found))])
    return [*rows, ["合计 Total", "", "", "", "", "", "", _Sum(paper.shown.fields["totals"]["owed_fen"])]]


def _disputes(paper: Paper) -> list[list[Any]]:
    rows: list[list[Any]] = [
        [_line(one.row.line), "", one.reason, OUTCOMES[one.row.outcome].zh, one.answer] for one in paper.shown.disputes
    ]
    for one in paper.shown.vouchers:
        why = VOUCHERS[one["reason"]].zh if one["reason"] in VOUCHERS else one["reason"]
        rows.append([f"离线券 {one['redemption'] or '—'}", one["day"], f"{points(one['points'])} 分", why, ""])
    return rows


def _line(number: int) -> str:
    return f"第 {number} 行" if number else "整张对账单"


class _Book:
    """Sheets of one shape: a header that stays, sums as numbers with two places."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self._book = book
        self._top = book.add_format({"bold": True, "bg_color": "#E7EEF7", "border": 1, "text_wrap": True})
        self._sum = book.add_format({"num_format": "#,##0.00"})
        self._exact = book.add_format({"num_format": "#,##0.00##"})

    def close(self) -> None:
        self._book.close()

    def sheet(self, title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[int]) -> None:
        sheet: Any = self._book.add_worksheet(title)
        sheet.freeze_panes(1, 0)
        sheet.set_paper(9)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.write_row(0, 0, heads, self._top)
        for at, row in enumerate(rows, 1):
            for column, cell in enumerate(row):
                if isinstance(cell, _Exact):
                    sheet.write_number(at, column, cell / 10_000, self._exact)
                elif isinstance(cell, _Sum):
                    sheet.write_number(at, column, cell / 100, self._sum)
                else:
                    sheet.write(at, column, cell)
