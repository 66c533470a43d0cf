# SPDX-License-Identifier: Apache-2.0
"""A back-test's report as a workbook with charts of its own: one sheet a table, headers in both languages."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import xlsxwriter

from api.backtests.words import WORDS, PlaceName, Word, named, rate

Part: TypeAlias = Mapping[str, Any]

_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_SUM_HEADS = [
    f"{WORDS[book].zh} {WORDS[side].zh}\n{WORDS[book].en}: {WORDS[side].en.lower()}"
    for book in ("standing", "points")
    for side in ("old", "new")
]


def workbook(report: Part, place_name: PlaceName = str) -> bytes:
    """The whole workbook. Amounts are in 分, as numbers."""
    out = io.BytesIO()
    book = _Book(xlsxwriter.Workbook(out, _OPTIONS))
    _summary(book, report)
    months = [[row["month"], *_sums(row)] for row in report["months"]]
    book.charted("months", [_head("month"), *_SUM_HEADS], months, "column", 3)
    rules = [
        [row["code"], *_said(row), row["awards"], row["people"], row["refused"], row["cut"], *_sums(row)]
        for row in report["rules"]
    ]
    heads = [_head(name) for name in ("code", "name", "awards", "people", "refused", "cut")]
    book.charted("rules", [heads[0], "名称", "Name", *heads[2:], *_SUM_HEADS], rules, "bar", 9)
    groups = [[row["code"], *_said(row), row["awards"], row["people"], *_sums(row)] for row in report["groups"]]
    book.charted("groups", [heads[0], "名称", "Name", *heads[2:4], *_SUM_HEADS], groups, "column", 7)
    deciles = [[f"{row['part']}/{row['parts']}", row["people"], *_sums(row)] for row in report["deciles"]]
    book.charted("deciles", [_head("part"), _head("people"), *_SUM_HEADS], deciles, "column", 4)
    book.table("grids", _grid_heads(), [_grid(row, place_name) for row in report["grids"]])
    book.table(
        "grades",
        [_head(name) for name in ("kind", "from_grade", "to_grade", "people")],
        [[_both(WORDS[row["kind"]]), row["old"], row["new"], _few(row["people"])] for row in report["grades"]],
    )
    book.charted("caps", _cap_heads(), [_cap(row) for row in report["caps"]], "bar", 4, apart=4, percent=True)
    book.close()
    return out.getvalue()


class _Book:
    """Sheets of one shape: a header that stays, plain cells, and now and then a chart of old beside new."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self._book = book
        self._top = book.add_format({"bold": True, "bg_color": "#E7EEF7", "border": 1, "text_wrap": True})
        self._amount = book.add_format({"num_format": "#,##0.00"})
        self._percent = book.add_format({"num_format": "0.0%"})

    def close(self) -> None:
        self._book.close()

    def table(self, name: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
        """A sheet; whole numbers as they are, parts of a 分 with two places."""
        title = f"{WORDS[name].zh.split('（')[0]} {name}"[:31]
        sheet = self._book.add_worksheet(title)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(heads) - 1, 16)
        sheet.write_row(0, 0, heads, self._top)
        for at, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                if isinstance(value, float):
                    share = name == "caps"
                    sheet.write_number(at, column, value, self._percent if share else self._amount)
                elif value is not None:
                    sheet.write(at, column, value)
        return sheet

    def charted(
        self,
        name: str,
        heads: Sequence[str],
        rows: Sequence[Sequence[Any]],
        kind: str,
        old: int,
        *,
        apart: int = 1,
        percent: bool = False,
    ) -> None:
        """A sheet with a chart of column `old` and the one `apart` from it, beside the table."""
        sheet = self.table(name, heads, rows)
        if not rows:
            return
        chart: Any = self._book.add_chart({"type": kind})
        for column, which, colour in ((old, "held" if percent else "old", "#9FB3C8"), (old + apart, "new", "#C0392B")):
            chart.add_series(
                {
                    "name": _both(WORDS[which]),
                    "categories": [sheet.get_name(), 1, 0, len(rows), 1 if percent else 0],
                    "values": [sheet.get_name(), 1, column, len(rows), column],
                    "fill": {"color": colour},
                }
            )
        chart.set_title({"name": _both(WORDS[name]), "name_font": {"size": 12}})
        if kind == "bar":
            chart.set_y_axis({"reverse": True})
        chart.set_size({"width": 760, "height": max(320, 26 * len(rows) if kind == "bar" else 0)})
        sheet.insert_chart(1, len(heads) + 1, chart)


def _summary(book: _Book, report: Part) -> None:
    old, new, deeds = report["totals"]["old"], report["totals"]["new"], report["deeds"]
    rows: list[list[Any]] = [
        [_both(WORDS["range"]), report["from"], report["to"]],
        *(
            [_both(WORDS[which]), f"{pack['id']} {pack['version']}", pack["hash"]]
            for which, pack in (("draft", report["pack"]), ("current", report["current"]))
        ),
        [_both(WORDS["standing"]), old["standing"] / 100, new["standing"] / 100],
        [_both(WORDS["points"]), old["points"] / 100, new["points"] / 100],
        [_both(WORDS["budget"]), old["points"] / 100, new["points"] / 100],
        *([_both(WORDS[name]), deeds[name]] for name in ("judged", "carried", "taken_back", "unreadable")),
    ]
    for row in report["people"]:
        for name in row.keys() - {"kind"}:
            rows.append([f"{_both(WORDS[row['kind']])}: {_both(WORDS[name])}", _few(row[name])])
    rows.append([_both(WORDS["method_note"])])
    book.table("totals", ["", _head("old"), _head("new")], rows)


def _sums(row: Part) -> list[float]:
    return [row[side][book] / 100 for book in ("standing", "points") for side in ("old", "new")]


def _both(word: Word) -> str:
    return f"{word.zh} {word.en}"


def _head(name: str) -> str:
    return f"{WORDS[name].zh}\n{WORDS[name].en}"


def _said(row: Part) -> tuple[str, str]:
    return named(row["name"], row["code"]) if row["code"] else WORDS["others"]


def _few(count: int | None) -> int | str:
    return _both(WORDS["few"]) if count is None else count


def _grid_heads() -> list[str]:
    ranks = [
        f"{WORDS['rank'].zh} {WORDS[side].zh}\n{WORDS['rank'].en}: {WORDS[side].en.lower()}" for side in ("old", "new")
    ]
    return [*(_head(name) for name in ("community", "grid", "people")), *ranks, *_SUM_HEADS]


def _grid(row: Part, place_name: PlaceName) -> list[Any]:
    grid = place_name(row["grid"]) if row["grid"] else _both(WORDS["others"])
    rank = row["rank"] or {"old": None, "new": None}
    return [place_name(row["community"]), grid, row["people"], rank["old"], rank["new"], *_sums(row)]


def _cap_heads() -> list[str]:
    sides = [
        f"{WORDS[name].zh} {WORDS[side].zh}\n{WORDS[name].en}: {WORDS[side].en.lower()}"
        for side in ("held", "new")
        for name in ("awards", "cut", "hit_rate", "limit")
    ]
    return [_head("code"), _head("cap"), *sides]


def _cap(row: Part) -> list[Any]:
    cells: list[Any] = [row["indicator"], row["cap"]]
    for side in ("old", "new"):
        cap = row[side]
        cells += [None] * 4 if cap is None else [cap["awards"], cap["cut"], rate(cap), cap["limit"]]
    return cells
