# SPDX-License-Identifier: Apache-2.0
"""The day sheet: a shop's orders of one day with their totals, as a table for a spreadsheet and as a page to sign.

It has no names and no subjects: what a shop hands in on paper says what was given, not to whom.
"""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from api import messages
from api.pages.page import filled
from api.sheets.write import inert
from api.world import World
from ledger.view import local_day
from merchants.model import Details
from rules.engine.explain import amount

_PAGE = 500
_UNDONE = ("released", "expired", "voided", "refunded")
_HEADS = (
    "日期", "时间", "商户", "编号", "场景", "项目", "数量", "状态", "核销积分", "退回积分", "净积分", "现金(元)",
    "收银设备",
)  # fmt: skip


class Line(NamedTuple):
    """One order as the sheet has it. Points in hundredths, cash in fen; both of what stands."""

    time: str
    id: str
    scenario: str
    title: str
    quantity: int
    state: str
    captured: int
    refunded: int
    cash_fen: int
    terminal: str

    @property
    def net(self) -> int:
        return self.captured - self.refunded


class Sheet(NamedTuple):
    """One shop's day as it stands at `printed` (local time)."""

    merchant: str
    shop: str
    community: str
    day: str
    printed: str
    lines: Sequence[Line]


class Total(NamedTuple):
    """What some lines come to. `orders` counts those that stand."""

    orders: int
    quantity: int
    captured: int
    refunded: int
    cash_fen: int

    @classmethod
    def of(cls, lines: Collection[Line]) -> Total:
        standing = [one for one in lines if one.state not in (*_UNDONE, "held")]
        return cls(
            len(standing),
            sum(one.quantity for one in standing),
            sum(one.captured for one in lines),
            sum(one.refunded for one in lines),
            sum(one.cash_fen for one in standing),
        )


async def sheets(
    world: World, day: str, *, merchant: str | None = None, communities: Collection[str] | None = None
) -> list[Sheet]:
    """The day's orders by shop, each in order of time. Shops without any are left out."""
    there: dict[str, list[Details]] = {}
    after: tuple[int, str] | None = None
    while True:
        found = await world.shop.day(day, merchant=merchant, communities=communities, after=after, limit=_PAGE)
        for one in found:
            there.setdefault(one.order.merchant, []).append(one)
        if len(found) < _PAGE:
            break
        after = (found[-1].order.created_at, found[-1].order.redemption)
    zone = ZoneInfo(world.settings.timezone)
    now = world.ledger.clock()
    clock = datetime.fromtimestamp(now // 1_000_000, zone).strftime("%H:%M")
    made: list[Sheet] = []
    for shop, orders in there.items():
        known = await world.shop.offers.merchant(shop)
        tills = {till.terminal: till.name for till in await world.shop.offers.terminals(shop)}
        titles = dict(await world.ledger.fetch("SELECT offer, title_zh FROM offer WHERE merchant = ?", shop))
        lines = [_line(one, zone, titles, tills) for one in orders]
        place, printed = world.place_name(known.community), f"{local_day(now, zone.key)} {clock}"
        made.append(Sheet(shop, known.name, place, day, printed, lines))
    return sorted(made, key=lambda one: (one.community, one.shop, one.merchant))


def _line(one: Details, zone: ZoneInfo, titles: dict[str, str], tills: dict[str, str]) -> Line:
    order = one.order
    at = datetime.fromtimestamp(order.created_at // 1_000_000, zone).strftime("%H:%M:%S")
    return Line(
        at, order.redemption, order.scenario, titles.get(order.offer, ""), order.quantity, one.state, one.captured,
        one.refunded, 0 if one.state in (*_UNDONE, "held") else order.cash_fen, tills.get(order.terminal, ""),
    )  # fmt: skip


def table(found: Sequence[Sheet]) -> bytes:
    """For a spreadsheet, with a mark that Excel knows as UTF-8: every order and, for each shop, a line of totals."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(_HEADS)
    for sheet in found:
        for one in sheet.lines:
            rows.writerow(
                (
                    sheet.day, one.time, inert(sheet.shop), one.id, one.scenario, inert(one.title), one.quantity,
                    _state(one.state), amount(one.captured), amount(one.refunded), amount(one.net), yuan(one.cash_fen),
                    inert(one.terminal),
                )
            )  # fmt: skip
        total = Total.of(sheet.lines)
        rows.writerow(
            (
                sheet.day, "合计", inert(sheet.shop), f"{total.orders} 笔", "", "", total.quantity, "",
                amount(total.captured), amount(total.refunded), amount(total.captured - total.refunded),
                yuan(total.cash_fen), "",
            )
        )  # fmt: skip
    return "\ufeff".encode() + out.getvalue().encode()


def page(found: Sequence[Sheet], day: str) -> bytes:
    """One sheet of paper or more for each shop, with a place to sign."""
    parts = [_section(one) for one in found]
    empty = '<p>这一天没有兑换。<span lang="en">No redemptions on this day.</span></p>'
    return filled("day_sheet.html", day=html.escape(day), sheets="\n".join(parts) or empty)


_COLUMNS = (
    ("时间", "Time", ""),
    ("编号", "Id", ""),
    ("项目", "Offer", ""),
    ("数量", "Qty", "number"),
    ("状态", "State", ""),
    ("核销", "Captured", "number"),
    ("退回", "Refunded", "number"),
    ("现金(元)", "Cash", "number"),
)


def _section(sheet: Sheet) -> str:
    heads = "".join(f'<th class="{how}">{zh} <span lang="en">{en}</span></th>' for zh, en, how in _COLUMNS)
    rows = "".join(
        f"<tr{' class=undone' if one.state in _UNDONE else ''}><td>{one.time}</td>"
        f'<td class="code">{one.id[-8:]}</td><td>{one.scenario} {html.escape(one.title)}</td>'
        f'<td class="number">{one.quantity}</td><td>{_state(one.state)}</td>'
        f'<td class="number">{amount(one.captured)}</td><td class="number">{amount(one.refunded)}</td>'
        f'<td class="number">{yuan(one.cash_fen)}</td></tr>'
        for one in sheet.lines
    )
    return (
        f'<section class="sheet"><h1>当日兑换表 <span lang="en">Day sheet</span></h1>'
        f"<p><strong>{html.escape(sheet.shop)}</strong> · {html.escape(sheet.community)} · {sheet.day}</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{_totals(sheet)}{_SIGN}"
        f'<p class="note">打印于 <span lang="en">printed</span> {sheet.printed}，之后的退分不在表内。</p></section>'
    )


_SIGN = (
    '<p class="sign"><span>商户签字 <i lang="en">shop</i></span><span>社区核对 <i lang="en">community</i></span>'
    '<span>日期 <i lang="en">date</i></span></p>'
)


def _totals(sheet: Sheet) -> str:
    """By scenario, because that is how it is paid; then everything."""
    parts = [
        (code, Total.of([one for one in sheet.lines if one.scenario == code]))
        for code in sorted({one.scenario for one in sheet.lines})
    ]
    if len(parts) > 1:
        parts.append(("合计", Total.of(sheet.lines)))
    elif parts:
        parts = [(f"合计 {parts[0][0]}", parts[0][1])]
    rows = "".join(
        f'<tr><th>{name}</th><td class="number">{total.orders}</td><td class="number">{amount(total.captured)}</td>'
        f'<td class="number">{amount(total.refunded)}</td>'
        f'<td class="number">{amount(total.captured - total.refunded)}</td>'
        f'<td class="number">{yuan(total.cash_fen)}</td></tr>'
        for name, total in parts
    )
    return (
        '<table class="totals"><thead><tr><th></th><th class="number">有效笔数 <span lang="en">Orders</span></th>'
        '<th class="number">核销积分 <span lang="en">Captured</span></th>'
        '<th class="number">退回积分 <span lang="en">Refunded</span></th>'
        '<th class="number">净积分 <span lang="en">Net</span></th>'
        '<th class="number">现金(元) <span lang="en">Cash</span></th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _state(state: str) -> str:
    return messages.sentence(f"redemption_{state}", "title", "zh", {})


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
