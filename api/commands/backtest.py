# SPDX-License-Identifier: Apache-2.0
"""`jifen packs backtest` and `jifen packs replay`: a draft against history, and history against its own rules."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from api import messages
from api.backtests.html import render
from api.backtests.words import WORDS, amount, signed
from api.backtests.xlsx import workbook
from api.commands import DONE, FAILED, Result, UsageError
from api.world import World
from rules.backtest.history import Progress
from rules.backtest.replay import Difference, Replayed
from rules.backtest.replay import replay as judge_again
from rules.backtest.report import report
from rules.engine.pack import PackError, load_pack

_SHOWN = 20
_SAID = {
    "zh": {
        "judged": "重新评定 {judged} 条，保留原数 {carried} 条，已撤销不计 {taken_back} 条",
        "line": "{book}：实际 {old}，按新规则 {new}，{change}",
        "moved": "{kind}：新获得 {newly_in}，不再获得 {newly_out}，积分增加 {more_points}，减少 {fewer_points}",
        "written": "报告已写入 {file}",
        "replayed": "重放 {awards} 条记录、{reversals} 次撤销；{erased} 条当事人已注销，事由已删除，未重放",
        "whole": "与台账分毫不差",
        "different": "有 {count} 处与台账不一致：",
        "difference": "{journal}/{seq} {what}：应为 {expected}，实为 {found}",
        "more": "……另有 {count} 处，见 --json",
    },
    "en": {
        "judged": "{judged} awards judged again, {carried} carried as they were, {taken_back} taken back and left out",
        "line": "{book}: actual {old}, under the new pack {new}, {change}",
        "moved": "{kind}: newly in {newly_in}, newly out {newly_out}, more points {more_points}, fewer {fewer_points}",
        "written": "report written to {file}",
        "replayed": "{awards} awards and {reversals} reversals replayed; {erased} of erased people have no facts left",
        "whole": "the ledger is reproduced to the unit",
        "different": "{count} differences from the ledger:",
        "difference": "{journal}/{seq} {what}: expected {expected}, found {found}",
        "more": "… and {count} more, see --json",
    },
}


async def backtest(
    world: World,
    folder: Path,
    first: str,
    last: str,
    lang: messages.Lang,
    *,
    out: Path | None = None,
    xlsx: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """What the pack in `folder` would have made of the deeds from `first` to `last`."""
    days = _range(first, last)
    for file in (out, xlsx):
        if file is not None and file.exists():
            raise UsageError(f"{file} is there already")
    try:
        pack = load_pack(folder)
    except (PackError, OSError) as error:
        raise UsageError(f"{folder}: {error}") from error
    found = await report(world.ledger, world.people, world.packs, pack, *days, progress=progress)
    lines = _summary(found, lang)
    for file, made in ((out, render), (xlsx, workbook)):
        if file is not None:
            page = made(found, world.place_name)
            _write(file, page.encode() if isinstance(page, str) else page)
            lines.append(_SAID[lang]["written"].format(file=file))
    return Result(DONE, lines, dict(found))


async def replay(
    world: World, first: str | None, last: str | None, lang: messages.Lang, progress: Progress | None = None
) -> Result:
    """Do the packs that held reproduce every entry? 1 where they do not."""
    days = _range(first or date.min.isoformat(), last or date.max.isoformat())
    done = await judge_again(world.ledger, world.people, world.packs, first=days[0], last=days[1], progress=progress)
    data: dict[str, Any] = {
        "ok": not done.count,
        "awards": done.awards,
        "reversals": done.reversals,
        "erased": done.erased,
        "count": done.count,
        "differences": [one._asdict() for one in done.differences],
    }
    return Result(FAILED if done.count else DONE, _told(done, lang), data)


def _range(first: str, last: str) -> tuple[date, date]:
    days = date.fromisoformat(first), date.fromisoformat(last)
    if days[0] > days[1]:
        raise UsageError(f"--from {first} is after --to {last}")
    return days


def _summary(found: Any, lang: messages.Lang) -> list[str]:
    said, totals = _SAID[lang], found["totals"]
    lines = [said["judged"].format(**found["deeds"])]
    for book in ("standing", "points"):
        old, new = totals["old"][book], totals["new"][book]
        word = getattr(WORDS[book], lang)
        lines.append(said["line"].format(book=word, old=amount(old), new=amount(new), change=signed(new - old)))
    few = getattr(WORDS["few"], lang)
    for row in found["people"]:
        counts = {name: few if count is None else count for name, count in row.items()}
        lines.append(said["moved"].format(**{**counts, "kind": getattr(WORDS[row["kind"]], lang)}))
    return lines


def _told(done: Replayed, lang: messages.Lang) -> list[str]:
    said = _SAID[lang]
    lines = [said["replayed"].format(awards=done.awards, reversals=done.reversals, erased=done.erased)]
    if not done.count:
        return [*lines, said["whole"]]
    lines.append(said["different"].format(count=done.count))
    lines += [said["difference"].format(**_short(one)) for one in done.differences[:_SHOWN]]
    if done.count > _SHOWN:
        lines.append(said["more"].format(count=done.count - _SHOWN))
    return lines


def _short(one: Difference) -> dict[str, Any]:
    return {name: str(value)[:200] for name, value in one._asdict().items()}


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
