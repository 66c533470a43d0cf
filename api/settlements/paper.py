# SPDX-License-Identifier: Apache-2.0
"""What every form of a statement says: names for its codes, its lines with both sums, and how money is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from api.world import World
from merchants.settlement.office import Shown

Row = Mapping[str, Any]


class Word(NamedTuple):
    """One thing, said twice."""

    zh: str
    en: str


KINDS = {
    "capture": Word("核销", "Captured"),
    "refund": Word("退分", "Refunded"),
    "void": Word("撤销", "Voided"),
    "benefit": Word("享用", "Benefit used"),
    "settle": Word("付款", "Paid"),
}
STATES = {
    "preview": Word("试算，未出单", "Preview, not issued"),
    "open": Word("已出单，可提异议", "Issued, may be disputed"),
    "disputed": Word("有异议，待社区答复", "Disputed"),
    "agreed": Word("商户已确认", "Agreed"),
    "settled": Word("已付款", "Paid"),
}
OUTCOMES = {
    "": Word("待答复", "Waiting"),
    "upheld": Word("异议成立，另行更正", "Upheld; corrected apart"),
    "rejected": Word("异议不成立", "Rejected"),
}
VOUCHERS = {
    "used": Word("已被别处先用", "used elsewhere before"),
    "expired": Word("过期", "out of date"),
    "unknown": Word("查无此券", "not one of ours"),
    "other_shop": Word("不是这家店的券", "for other shops"),
    "forged": Word("验签不过", "signature does not verify"),
    "closed": Word("兑换已撤销", "order voided"),
    "suspended": Word("商户停用期间", "shop suspended"),
    "counter_reused": Word("同一流水号用了两次", "counter used twice"),
}
HEADS = {
    "no": Word("序号", "No."),
    "day": Word("日期", "Day"),
    "kind": Word("种类", "Kind"),
    "redemption": Word("兑换单号", "Redemption"),
    "scenario": Word("应用场景", "Scenario"),
    "budget": Word("预算科目", "Budget"),
    "quantity": Word("次数", "Times"),
    "points": Word("积分", "Points"),
    "rate": Word("每分折算（元）", "Yuan a point"),
    "owed": Word("应付（元）", "Owed (yuan)"),
    "paid": Word("已付（元）", "Paid (yuan)"),
    "entry": Word("账簿/序号", "Entry"),
    "leaf": Word("指纹", "Leaf"),
    "lines": Word("笔数", "Lines"),
    "received": Word("核销积分", "Captured"),
    "returned": Word("退回积分", "Returned"),
}


@dataclass(frozen=True, slots=True)
class Paper:
    """A statement with the names of what it speaks of."""

    shown: Shown
    shop: str
    place: str
    scenarios: Mapping[str, Word]
    budgets: Mapping[str, str]

    @property
    def state(self) -> str:
        return self.shown.row.state if self.shown.row else "preview"

    @property
    def lines(self) -> list[Row]:
        return self.shown.fields["lines"]

    def scenario(self, code: str) -> str:
        word = self.scenarios.get(code)
        return f"{code} {word.zh}" if word else code

    def budget(self, line: Row) -> str:
        code = line.get("budget", "")
        return self.budgets.get(code, code) if code else "—"

    def by_budget(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """(budget line, its rows over all journals), one row for each scenario and rate."""
        sums: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
        for row in self.shown.fields["budgets"]:
            if not (row["lines"] or row["fen"]):
                continue
            key = (row["scenario"], row["fen_per_point"])
            into = sums.setdefault(self.budget(row), {}).setdefault(key, {"scenario": key[0], "fen_per_point": key[1]})
            for name in ("lines", "received", "returned", "benefits", "fen"):
                into[name] = into.get(name, 0) + row[name]
        for budget in sorted(sums):
            yield budget, [sums[budget][key] for key in sorted(sums[budget])]


async def paper(world: World, merchant: str, shown: Shown) -> Paper:
    """The statement with names looked up."""
    found = await world.shop.offers.merchant(merchant)
    there = {row["budget"] for row in shown.fields["budgets"] if "budget" in row}
    lines = [one for one in await world.ledger.fetch("SELECT budget, name FROM budget") if one[0] in there]
    often = Counter(name for _, name in lines)  # a new year's line often has the old one's name
    budgets = {code: f"{name}（{code}）" if often[name] > 1 else name for code, name in lines}
    scenarios = {code: Word(one.title.zh, one.title.en) for code, one in world.shop.scenarios.items()}
    return Paper(shown, found.name, world.place_name(found.community), scenarios, budgets)


def yuan(fen: int) -> str:
    """Money in yuan: 123456 → 1,234.56."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def exact_yuan(hundredths: int) -> str:
    """Hundredths of a fen in yuan, exactly, with two places at least: 10000 → 1.00, 3333 → 0.3333."""
    whole, rest = divmod(abs(hundredths), 10_000)
    places = f"{rest:04d}"
    return f"{'-' if hundredths < 0 else ''}{whole:,}.{places[:2]}{places[2:].rstrip('0')}"


def points(hundredths: int) -> str:
    """Points with two places: 1050 → 10.50."""
    return yuan(hundredths)


_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_PARTS = ("", "万", "亿", "万亿")


def in_words(fen: int) -> str:
    """Money in the characters that are hard to alter, as a bill in Chinese writes it: 100050 → 壹仟元伍角."""
    whole, rest = divmod(abs(fen), 100)
    jiao, cents = divmod(rest, 10)
    said = _whole(whole) + "元" if whole else ""
    if jiao:
        said += _DIGITS[jiao] + "角"
    elif cents and whole:
        said += "零"
    if cents:
        said += _DIGITS[cents] + "分"
    elif not jiao or not said:
        said = (said or "零元") + "整"
    return ("负" if fen < 0 else "") + said


def _whole(number: int) -> str:
    parts: list[int] = []
    while number:
        number, part = divmod(number, 10_000)
        parts.append(part)
    said = ""
    for at in range(len(parts) - 1, -1, -1):
        if parts[at]:
            gap = said and (parts[at] < 1_000 or parts[at + 1] % 10 == 0)
            said += ("零" if gap else "") + _four(parts[at]) + _PARTS[at]
    return said


def _four(number: int) -> str:
    said, zero = "", False
    for at in range(3, -1, -1):
        digit = number // 10**at % 10
        if digit:
            said += ("零" if zero and said else "") + _DIGITS[digit] + _PLACES[at]
        zero = not digit
    return said
