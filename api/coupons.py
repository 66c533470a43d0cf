# SPDX-License-Identifier: Apache-2.0
"""A voucher as a page to print: what it is good for, where and until when, in large type, with its code."""

from __future__ import annotations

import html
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from api import qr
from api.pages.page import filled
from api.world import World
from merchants.vouchers.issue import Paper

_STATES = {
    "open": "可以使用",
    "ended": "已过期，没用的积分会自动退回",
    "used": "已经用掉",
    "returned": "已过期，积分已退回",
    "voided": "已作废",
}


async def coupon(world: World, paper: Paper) -> bytes:
    """The page. The code is on it only as long as the voucher can be used."""
    said, zone = paper.voucher, ZoneInfo(world.settings.timezone)
    state = paper.state(world.ledger.clock())
    shop = (await world.shop.offers.merchant(said.merchant)).name
    last = datetime.fromtimestamp(said.ends, zone) - timedelta(seconds=1)
    back = datetime.fromtimestamp(paper.returns_at / 1e6, zone)
    values = {
        "title": said.title,
        "quantity": str(said.quantity),
        "points": f"{said.points / 100:.2f}",
        "cash": f"{said.cash_fen / 100:.2f}",
        "shop": f"{shop}，以及“{said.circle}”的其他商户" if said.circle else shop,
        "place": world.place_name(said.community),
        "last": f"{last.year}年{last.month}月{last.day}日",
        "back": f"{back.year}年{back.month}月{back.day}日",
        "state": _STATES[state],
        "id": said.id,
    }
    drawn = f'<figure class="qr">{qr.svg(paper.text, inline=True, level="m")}</figure>' if state == "open" else ""
    return filled("voucher.html", qr=drawn, **{name: html.escape(value) for name, value in values.items()})
