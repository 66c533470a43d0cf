# SPDX-License-Identifier: Apache-2.0
"""`jifen liability`: what the points that are out would cost, and the money there is for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api import messages
from api.commands import DONE, Result, UsageError
from api.liability import report, table
from api.world import World

_WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "all": "{name}：未兑换积分 {points}（其中冻结 {held}），最多折合 {value} 元；预算余额 {left} 元",
        "month": "  {name} {month} 到期 {points}，折合 {value} 元",
        "never": "（不过期）",
        "budget": "  预算 {id}：余 {left} 元{lasts}",
        "lasts": "，照今年的用法还够 {months} 个月",
        "wrote": "已写入 {file}",
    },
    "en": {
        "all": "{name}: {points} points out ({held} of them held), at most {value} yuan; budgets have {left} yuan left",
        "month": "  {name} {month}: {points} lapse, {value} yuan",
        "never": "(never)",
        "budget": "  budget {id}: {left} yuan left{lasts}",
        "lasts": ", {months} months at this year's rate",
        "wrote": "written to {file}",
    },
}


async def liability(world: World, place: str, out: Path | None, lang: messages.Lang) -> Result:
    """The report of a place; with `out`, its points as a table in a file as well."""
    said = await report(world, place)
    lines = _lines(said, _WORDS[lang])
    if out is not None:
        try:
            out.write_bytes(table(said))
        except OSError as error:
            raise UsageError(f"{out}: {error.strerror}") from error
        lines.append(_WORDS[lang]["wrote"].format(file=out))
    return Result(DONE, lines, said)


def _lines(said: dict[str, Any], words: dict[str, str]) -> list[str]:
    lines = [
        words["all"].format(
            name=said["name"],
            points=_two(said["points"]),
            held=_two(said["held"]),
            value=_two(said["value_fen"]),
            left=_two(said["budget_left_fen"]),
        )
    ]
    for one in said["journals"]:
        for each in one["months"]:
            month = each["month"] or words["never"]
            points, value = _two(each["points"]), _two(each["value_fen"])
            lines.append(words["month"].format(name=one["name"], month=month, points=points, value=value))
    for one in said["budgets"]:
        months = one["months_left"]
        lasts = "" if months is None else words["lasts"].format(months=months)
        lines.append(words["budget"].format(id=one["id"], left=_two(one["left_fen"]), lasts=lasts))
    return lines


def _two(hundredths: int) -> str:
    return f"{hundredths // 100:,}.{hundredths % 100:02d}"
