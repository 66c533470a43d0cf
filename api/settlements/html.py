# SPDX-License-Identifier: Apache-2.0
"""A statement as a page to print on A4, stamp and file: sums, budget lines, every line, disputes, the digest and a QR
code with the signed note."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from api import qr
from api.pages.page import filled
from api.settlements.paper import (
    HEADS,
    KINDS,
    OUTCOMES,
    STATES,
    VOUCHERS,
    Paper,
    Row,
    Word,
    exact_yuan,
    in_words,
    points,
    yuan,
)

Cell = str | tuple[str, str]
"""Text, or (class, text)."""

_RECEIVED = ("no", "day", "kind", "redemption", "scenario", "budget", "points", "owed", "entry")
_PAID = ("no", "day", "kind", "points", "paid", "entry")


def render(paper: Paper, zone: str) -> bytes:
    """The whole page."""
    fields, row = paper.shown.fields, paper.shown.row
    closing = fields["closing"]
    said = {
        "period": fields["period"],
        "shop": paper.shop,
        "merchant": fields["merchant"],
        "place": paper.place,
        "from": fields["from"],
        "to": fields["to"],
        "issued": _moment(row.made_at, zone) if row else "—",
        "until": row.until_day if row else "—",
        "closing_yuan": yuan(closing["fen"]),
        "closing_words": in_words(closing["fen"]),
    }
    parts = {
        "state": _said(STATES[paper.state]),
        "summary": _summary(paper),
        "budgets": _budgets(paper),
        "lines": "".join(_lines(paper)),
        "disputes": _disputes(paper),
        "proof": _proof(paper),
    }
    return filled("statement.html", **{name: escape(text) for name, text in said.items()}, **parts)


def _summary(paper: Paper) -> str:
    fields = paper.shown.fields
    totals, opening, closing = fields["totals"], fields["opening"], fields["closing"]
    rows = [
        (Word("期初余额", "Opening"), opening["points"], opening["fen"]),
        (Word("本期核销", "Received"), totals["received"], None),
        (Word("本期退回", "Returned"), -totals["returned"], None),
        (Word("本期应付", "Owed for the month"), None, totals["owed_fen"]),
        (Word("本期已付", "Paid in the month"), -totals["settled"], -totals["paid_fen"]),
    ]
    body = [[_said(word), _number(one, points), _number(fen, yuan)] for word, one, fen in rows]
    last = [_said(Word("期末余额", "Closing")), _number(closing["points"], points), _number(closing["fen"], yuan)]
    heads = [Word("项目", "Item"), HEADS["points"], Word("金额（元）", "Yuan")]
    return _table(heads, body, [last], right=(1, 2))


def _budgets(paper: Paper) -> str:
    body: list[list[Cell]] = []
    for budget, found in paper.by_budget():
        for one in found:
            body.append(
                [
                    escape(budget),
                    escape(paper.scenario(one["scenario"])),
                    _number(one["fen_per_point"] or None, yuan),
                    _number(one["lines"], str),
                    _number(one["received"] or None, points),
                    _number(one["returned"] or None, points),
                    _number(one["benefits"] or None, str),
                    _number(one["fen"], yuan),
                ]
            )
        if len(found) > 1:
            name = escape(f"{budget} 小计") if budget != "—" else "小计"
            body.append([name, *[""] * 6, _number(sum(one["fen"] for one in found), yuan)])
    total = [_said(Word("合计", "Total")), *[""] * 6, _number(paper.shown.fields["totals"]["owed_fen"], yuan)]
    names = ("budget", "scenario", "rate", "lines", "received", "returned", "quantity", "owed")
    return _table([HEADS[name] for name in names], body, [total], right=range(2, 8))


def _lines(paper: Paper) -> Iterable[str]:
    back = ("refund", "void")
    for title, names, wanted in (
        (
            Word("核销明细", "Lines"),
            _RECEIVED,
            lambda line: line["kind"] not in (*back, "settle") and not _undone(line),
        ),
        (Word("退回与撤销明细", "Returned"), _RECEIVED, lambda line: line["kind"] in back or _undone(line)),
        (Word("付款明细", "Payments"), _PAID, lambda line: line["kind"] == "settle"),
    ):
        found = [line for line in paper.lines if wanted(line)]
        body = [[_cell(paper, line, name) for name in names] for line in found]
        if names is _PAID:
            last = [["", "", "合计", _total(found, "points"), _number(sum(line["fen"] for line in found), yuan), ""]]
        else:
            owed = _number(sum(line["owed"] for line in found), exact_yuan)
            last = [["", "", "合计", "", "", "", _total(found, "points"), owed, ""]]
        right = [at for at, name in enumerate(names) if name in ("no", "points", "owed", "paid")]
        inside = _table([HEADS[name] for name in names], body, last if found else [], right=right)
        yield f"<section><h2>{_said(title)}（{len(found)} 笔）</h2>{inside if found else '<p>无</p>'}</section>"


def _undone(line: Row) -> bool:
    return line["kind"] == "benefit" and line["quantity"] < 0


def _total(lines: Sequence[Row], name: str) -> Cell:
    return _number(sum(line[name] for line in lines), points)


def _cell(paper: Paper, line: Row, name: str) -> Cell:
    match name:
        case "no":
            return ("number", str(line["no"]))
        case "day":
            return ("day", escape(line["day"]))
        case "kind":
            times = f" ×{abs(line['quantity'])}" if "quantity" in line else ""
            return ("撤销" if _undone(line) else "") + KINDS[line["kind"]].zh + times
        case "scenario":
            return escape(paper.scenario(line["scenario"]))
        case "budget":
            return escape(paper.budget(line))
        case "points":
            return _number(line["points"], points)
        case "owed":
            return _number(line["owed"], exact_yuan)
        case "paid":
            return _number(line["fen"], yuan)
        case "entry":
            return ("code", f"{escape(line['journal'])}/{line['seq']}<br>{line['leaf'][:8]}")
        case _:
            return ("code", escape(line["redemption"]))


def _disputes(paper: Paper) -> str:
    body: list[list[Cell]] = [
        [
            f"第 {one.row.line} 行" if one.row.line else "整张对账单",
            escape(one.reason),
            _said(OUTCOMES[one.row.outcome]),
            escape(one.answer),
        ]
        for one in paper.shown.disputes
    ]
    for one in paper.shown.vouchers:
        why = VOUCHERS.get(one["reason"], Word(one["reason"], one["reason"]))
        what = f"离线券 {one['day']}，{points(one['points'])} 分，未入账"
        body.append([("code", escape(one["redemption"] or "—")), escape(what), _said(why), ""])
    heads = [Word("项目", "Item"), Word("异议", "Dispute"), Word("结果", "Outcome"), Word("答复", "Answer")]
    inside = _table(heads, body, []) if body else "<p>无</p>"
    return f"<section><h2>{_said(Word('异议', 'Disputes'))}</h2>{inside}</section>"


def _proof(paper: Paper) -> str:
    row = paper.shown.row
    if row is None:
        return '<p class="note">本页为试算，月末后出正式对账单。</p>'
    return (
        f'<section class="proof"><figure class="qr">{qr.svg(paper.shown.note.encode(), inline=True)}</figure><div>'
        f'<p>SHA-256<br><span class="code hash">{row.sha256}</span></p>'
        "<p>本单每一行都是账簿里的一条分录，行末的指纹取自分录原文。二维码里是对账单指纹和运营方签名；把网站上的 "
        ".json 文件算出 SHA-256，与上面一致，就是这张单。签章后双方各存一份。</p>"
        '<p lang="en">Every line is an entry of the books. The QR code holds the digest and our signature: hash the '
        ".json file and compare.</p></div></section>"
    )


# pieces ------------------------------------------------------------------------------------------------------------


def _said(word: Word) -> str:
    return f'{escape(word.zh)} <span lang="en">{escape(word.en)}</span>'


def _number(value: int | None, how: Any) -> Cell:
    return ("number", "" if value is None else how(value))


def _table(
    heads: Sequence[Word], body: Sequence[Sequence[Cell]], last: Sequence[Sequence[Cell]], *, right: Iterable[int] = ()
) -> str:
    numbers = set(right)
    top = "".join(f"<th{' class=number' if at in numbers else ''}>{_said(head)}</th>" for at, head in enumerate(heads))
    rows = "".join(f"<tr>{_cells(row)}</tr>" for row in body)
    rows += "".join(f'<tr class="sum">{_cells(row)}</tr>' for row in last)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(row: Sequence[Cell]) -> str:
    return "".join(
        f'<td class="{cell[0]}">{cell[1]}</td>' if isinstance(cell, tuple) else f"<td>{cell}</td>" for cell in row
    )


def _moment(instant_us: int, zone: str) -> str:
    return datetime.fromtimestamp(instant_us / 1e6, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
