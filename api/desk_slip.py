# SPDX-License-Identifier: Apache-2.0
"""The slip that a desk prints for somebody without a phone: what they have, what lapses next, what happened lately, and
the newest entry's receipt as a QR code. Large type, whole sentences, the name masked: slips get left on buses."""

from __future__ import annotations

import html
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from api import messages, slips, statement
from api.notices import wording
from api.pages.page import filled
from api.world import World
from ledger.errors import Refusal
from rules.engine.explain import amount

LINES = 10
LOTS = 4  # named one by one; the later ones are one sum
_SEEN = 30  # entries looked at to find ten that moved something

_ORDERS = """
SELECT h.journal, h.seq, m.name, o.title_zh FROM hold h
JOIN redemption r ON r.redemption = h.hold JOIN merchant m ON m.merchant = r.merchant JOIN offer o ON o.offer = r.offer
WHERE h.subject = ? ORDER BY r.created_at DESC LIMIT ?
"""


async def page(world: World, subject: str, wait: float) -> bytes:
    """The page as HTML; the receipt of the newest entry is waited for up to `wait` seconds.

    Raises `subject_unknown`, `subject_erased`.
    """
    has = await statement.balance(world.ledger, world.pack, subject)
    known = await world.register.subject(subject)
    points, now = has["points"], datetime.fromtimestamp(world.ledger.clock() / 1e6, ZoneInfo(world.settings.timezone))
    moved = await _lately(world, subject)
    return filled(
        "account_slip.html",
        who=html.escape(await world.counter.named(subject)),
        place=html.escape(world.place_name(known.home)),
        printed=f"{now:%Y-%m-%d %H:%M}",
        available=amount(points["available"]),
        standing=amount(has["standing"]["amount"]),
        grade=html.escape(has["standing"]["grade"]),
        more="".join(_sum(words, points.get(part, 0)) for part, words in (("held", "冻结中"), ("debt", "待抵扣"))),
        lapsing=html.escape(_lapsing(points["lots"])),
        lines="\n".join(f"<li>{html.escape(words)}</li>" for _, words in moved) or "<li>还没有记录。</li>",
        receipt=await _receipt(world, [line for line, _ in moved], wait),
    )


def _sum(words: str, hundredths: int) -> str:
    return f"<div><dt>{words}</dt><dd><b>{amount(hundredths)}</b> 分</dd></div>" if hundredths else ""


def _lapsing(lots: list[dict[str, Any]]) -> str:
    """What lapses when: the next days one by one, because one date says nothing of the lot after it."""
    dated = [(lot["expires_on"], lot["amount"]) for lot in lots if "expires_on" in lot]
    if not dated:
        return "没有快到期的兑换积分。"
    said = [f"{amount(points)} 分到 {_day(day)}" for day, points in dated[:LOTS]]
    if later := sum(points for _, points in dated[LOTS:]):
        said.append(f"其余 {amount(later)} 分更晚")
    return f"使用期限：{'；'.join(said)}。"


def _day(iso: str) -> str:
    day = date.fromisoformat(iso)
    return f"{day.year}年{day.month}月{day.day}日"


async def _lately(world: World, subject: str) -> list[tuple[dict[str, Any], str]]:
    """The last entries that moved something of theirs, newest first, each in one sentence."""
    found = await statement.entries(world.ledger, subject, _SEEN, None)
    rows = await world.ledger.fetch(_ORDERS, subject, _SEEN)
    orders = {(journal, seq): (shop, title) for journal, seq, shop, title in rows}
    moved = [line for line in found if line["standing"] or line["points"]][:LINES]
    return [(line, _words(world, line, orders.get((line["journal"], line["seq"])))) for line in moved]


def _words(world: World, line: dict[str, Any], order: tuple[str, str] | None) -> str:
    if order is None:
        return wording.sentence(world, line, "zh")
    facts = {"day": line["occurred_on"], "shop": order[0], "offer": order[1], "points": wording.signed(line["points"])}
    return messages.sentence("slip_order", "detail", "zh", facts)


async def _receipt(world: World, lines: list[dict[str, Any]], wait: float) -> str:
    """The newest receipt there is: the newest entry's, or an older one's while that is not published yet."""
    for number, line in enumerate(lines):
        try:
            found = await slips.receipt(world, line["journal"], line["seq"], 0 if number else wait)
            _, drawn = slips.render(world, found, "svg")
        except Refusal:
            continue
        which = "最近一笔的凭证" if not number else f"{line['occurred_on']} 一笔的凭证（更近的还没有公布）"
        caption = f"{which}：{line['journal']}/{line['seq']}。请收好，谁都可以用 verify.py 核对。"
        return f'<figure class="qr">{drawn.decode()}<figcaption>{html.escape(caption)}</figcaption></figure>'
    return ""
