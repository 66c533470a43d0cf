# SPDX-License-Identifier: Apache-2.0
"""`jifen packs`: check and test a folder, propose it, and show what is published."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from api import messages, packs, permissions
from api.commands import DONE, FAILED, Result, UsageError, acting
from api.world import World
from ledger.errors import Refusal
from rules.engine.pack import PackError, load_files
from rules.publishing.gate import Finding, GateReport, Stage, examples, mutation, read, unreadable
from rules.publishing.publishing import PackRefused

_STATES = {
    "zh": {
        "passed": "通过", "warned": "通过，有提醒", "failed": "未通过", "not_reached": "未查到这一步",
        "waiting": "等第二人", "past": "已被替代", "in_force": "现行", "coming": "待生效",
        "added": "新增", "removed": "取消", "changed": "调整",
    },
    "en": {"not_reached": "not reached", "in_force": "in force"},
}  # fmt: skip
_SAID = {
    "zh": {
        "reads": "{id} {version}：{count} 个指标，{lists} 份榜单，指纹 {hash}",
        "examples": "{held}/{count} 个例子成立",
        "proposed": "{approval}：{id} {version} 已提出，{day} 起适用；请另一个人 jifen approve {approval} --as 用户名",
        "from": "{day} 起",
        "left": "还有 {days} 天",
    },
    "en": {
        "reads": "{id} {version}: {count} indicators, {lists} lists, hash {hash}",
        "examples": "{held} of {count} examples hold",
        "proposed": "{approval}: {id} {version}, from {day}, is proposed; next: jifen approve {approval} --as OTHER",
        "from": "from {day}",
        "left": "{days} days left",
    },
}


def check(folder: Path, lang: messages.Lang) -> Result:
    """What can be said of a pack without running it; what is wrong with it is the answer, so that is 1 and not 2."""
    report = _read(folder)
    return _result(report, report.stages, lang)


def test(folder: Path, lang: messages.Lang) -> Result:
    """The worked examples, run, and the changes of the rules that no example would notice."""
    report = _read(folder)
    if report.pack is None:
        return _result(report, report.stages, lang)
    ran = [examples(report.pack)]
    if ran[0].state == "passed":
        ran.append(mutation(report.pack))
    result = _result(report, ran, lang)
    tested = (*report.pack.indicators.values(), *report.pack.lists.values())
    count = sum(len(one.examples) for one in tested)
    held = count - len(ran[0].findings)
    result.lines.append(_SAID[lang]["examples"].format(held=held, count=count))
    result.data |= {"examples": count, "held": held}
    return result


def _read(folder: Path) -> GateReport:
    try:
        return read(_files(folder))
    except PackError as error:
        return unreadable(error)


def _files(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    try:
        return load_files(folder)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from error


def _result(report: GateReport, stages: Sequence[Stage], lang: messages.Lang) -> Result:
    found = [(stage.name, stage.state, finding) for stage in stages for finding in stage.findings]
    ok = all(stage.state != "failed" for stage in stages)
    data: dict[str, Any] = {
        "ok": ok,
        "problems": [_told(name, one) for name, state, one in found if state == "failed"],
        "warnings": [_told(name, one) for name, state, one in found if state != "failed"],
    }
    lines = [_line(name, one, lang) for name, _, one in found]
    if (pack := report.pack) is not None:
        data |= {"id": pack.id, "version": pack.version, "hash": pack.hash}
        facts = {"id": pack.id, "version": pack.version, "hash": pack.hash}
        facts |= {"count": len(pack.indicators), "lists": len(pack.lists)}
        lines.append(_SAID[lang]["reads"].format(**facts))
    return Result(DONE if ok else FAILED, lines, data)


def _told(stage: str, finding: Finding) -> dict[str, Any]:
    return {"stage": stage, **finding.data()}


def _line(stage: str, finding: Finding, lang: messages.Lang) -> str:
    where = f"{finding.where}: " if finding.file else ""
    return f"{where}[{stage}] {finding.says(lang)}"


# publishing --------------------------------------------------------------------------------------------------------


async def publish(world: World, folder: Path, user: str, lang: messages.Lang) -> Result:
    """Propose a pack. It becomes the rule when another person has adopted it and a week has passed."""
    caller = await acting(world, user, permissions.commands()["proposePack"])
    try:
        made = await world.publishing.propose(caller.actor, await asyncio.to_thread(_files, folder))
    except PackError as error:
        return _stopped(unreadable(error), lang)
    except PackRefused as refused:
        return _stopped(refused.report, lang)
    facts = {"id": made.pack.id, "version": made.version, "day": made.effective_from, "approval": made.approval}
    data = packs.proposed(world, made)
    lines = [*_stages(made.report, lang), *_changes(data["changes"], lang)]
    lines.append(_SAID[lang]["proposed"].format(**facts))
    return Result(lines=lines, data=data)


def _stopped(report: GateReport, lang: messages.Lang) -> Result:
    result = _result(report, report.stages, lang)
    result.lines += _stages(report.data(), lang)
    result.data |= {"stage": report.failed, "stages": report.data()}
    return result


async def listing(world: World, lang: messages.Lang) -> Result:
    """Every pack, oldest first."""
    items = await packs.listing(world)
    return Result(lines=[_headline(item, lang) for item in items], data={"items": items})


async def show(world: World, ref: str, out: Path | None, lang: messages.Lang) -> Result:
    """A pack by its version or the beginning of its hash, or a proposal by its id or its approval's."""
    if ref.startswith(("apr_", "ppk_")):
        target = ref if ref.startswith("ppk_") else (await world.desk.records.approval(ref)).target
        made = await world.publishing.proposal(target)
        data = packs.proposed(world, made)
        files: Mapping[str, bytes] = await world.publishing.files(target)
        lines = [f"{made.pack.id} {made.version}  {made.effective_from}  {made.hash}", *_stages(made.report, lang)]
    else:
        found = [
            item
            for item in await packs.listing(world)
            if item["version"] == ref or (len(ref) >= packs.SHORT_MIN and item["hash"].startswith(ref))
        ]
        if len(found) != 1:
            raise Refusal("not_found", what="pack", id=ref[:64])
        data = found[0]
        files = await world.packs.files(next(pack for pack in world.packs.packs if pack.hash == data["hash"]))
        lines = [_headline(data, lang)]
        for rule in data["lists"]:
            lines.append(f"{rule['code']} {rule['name'][lang]}")
            lines += [f"  {said}" for said in rule["says"][lang]]
    lines += _changes(data["changes"], lang)
    if out is not None:
        _write(out, files)
        lines.append(str(out))
    return Result(lines=lines, data=data)


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    try:
        out.mkdir()
        for name, data in files.items():
            (out / name).write_bytes(data)
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror}; name a folder that is not there yet") from error


def _headline(item: Mapping[str, Any], lang: messages.Lang) -> str:
    said = [f"{item['id']} {item['version']}", _word(item["state"], lang)]
    said.append(_SAID[lang]["from"].format(day=item["effective_from"]))
    if item["state"] == "coming":
        said.append(_SAID[lang]["left"].format(days=item["days_left"]))
    return "  ".join([*said, item["hash"]])


def _stages(stages: Iterable[Mapping[str, Any]], lang: messages.Lang) -> list[str]:
    return [f"{stage['stage']}: {_word(stage['state'], lang)}" for stage in stages]


def _changes(changes: Iterable[Mapping[str, Any]], lang: messages.Lang) -> list[str]:
    lines: list[str] = []
    for change in changes:
        lines.append(" ".join(filter(None, [_word(change["kind"], lang), change["code"], change["name"][lang]])))
        lines += [f"  {detail}" for detail in change["details"][lang]]
    return lines


def _word(word: str, lang: messages.Lang) -> str:
    return _STATES[lang].get(word, word)
