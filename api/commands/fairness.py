# SPDX-License-Identifier: Apache-2.0
"""`jifen fairness`: whom a quarter's points reach, and where somebody should look."""

from __future__ import annotations

from pathlib import Path

from api.commands import DONE, Result, UsageError
from api.fairness import report
from api.fairness_page import alarms, as_csv, render
from api.messages import Lang
from api.world import World

_WORDS = {
    "zh": ("{name} {period}：{people} 人里 {reached} 人得到积分", "没有要查的", "已写入 {file}", "不足五"),
    "en": ("{name} {period}: {reached} of {people} people reached", "nothing to look into", "written to {file}", "few"),
}


async def fairness(world: World, period: str, place: str, out: Path | None, lang: Lang) -> Result:
    """The report of a quarter at a place; with `out`, as a table in a .csv or as a page in any other file."""
    said = await report(world, period, place)
    head, none, wrote, few = _WORDS[lang]
    counts = {name: few if said[name] is None else said[name] for name in ("people", "reached")}
    lines = [head.format(name=said["place_name"], period=period, **counts), *(alarms(said, lang) or [none])]
    if out is not None:
        try:
            out.write_bytes(as_csv(said, lang) if out.suffix == ".csv" else render(said, lang))
        except OSError as error:
            raise UsageError(f"{out}: {error.strerror}") from error
        lines.append(wrote.format(file=out))
    return Result(DONE, lines, said)
