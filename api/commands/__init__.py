# SPDX-License-Identifier: Apache-2.0
"""What each command of `jifen` does, given an open world. Printing and exit statuses are `api.cli`'s."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from api import imports, jobs, messages
from api.auth import Caller
from api.permissions import Rule, commands, rules
from api.settings import TOKEN, Settings
from api.sheet_awards import sheet_requests, told
from api.sheets.bodies import parse_bodies
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.sheets.sentences import sentence
from api.sheets.words import Kind
from api.world import World
from ledger import codec
from ledger.book.accounts import close_takeover
from ledger.errors import Refusal
from ledger.model import Act
from ledger.port import Answer, Retry
from ledger.tables import Key, Table
from ledger.view import View, local_day
from rules.desk import lists
from rules.desk.batch import BatchRefused, tally
from rules.desk.records import RowResult
from rules.ports import Actor

DONE, FAILED, USAGE = 0, 1, 2

_UNWRITTEN = {
    "zh": {
        "preview": "这是预览，没有写入；加 --commit --as 用户名 写入。",
        "refused": "没有写入：先改好上面的行，或加 --skip-bad 跳过它们。",
        "unconfirmed": "只有经手人认可的签到表不计兑换积分；要计，请加 --ask，由第二人审批。",
        "errors": "退回的行在 {file}：照“怎么改”改好，直接导入这个文件。",
    },
    "en": {
        "preview": "A preview: nothing was written. Add --commit --as USER.",
        "refused": "Nothing was written: mend the rows above, or add --skip-bad to leave them out.",
        "unconfirmed": "A list vouched for by its keeper alone earns no points; --ask puts it before a second person.",
        "errors": "The refused rows are in {file}: mend them as “How to mend” says, and import that file.",
    },
}
_STATES = {
    "zh": {
        "rows": "共", "posted": "记分", "reduced": "部分记分", "zero": "记零分", "duplicate": "重复", "refused": "退回",
        "ignored": "跳过", "new": "新增", "changed": "有变动",
        "awaiting_approval": "等第二人审批", "approved": "已批准", "rejected": "已驳回",
    },
    "en": {"awaiting_approval": "awaiting approval"},
}  # fmt: skip

Progress = Callable[[int], None]


class UsageError(ValueError):
    """The command cannot be meant like this; the message says what would be right."""


@dataclass(slots=True)
class Result:
    """What a command found: lines for people, `data` for `--json`."""

    status: int = DONE
    lines: list[str] = field(default_factory=list[str])
    data: dict[str, Any] = field(default_factory=dict[str, Any])


# how it is said ----------------------------------------------------------------------------------------------------


def _state(state: str, lang: messages.Lang) -> str:
    return _STATES[lang].get(state, state)


def _tally(counts: Mapping[str, int], lang: messages.Lang) -> str:
    return "  ".join(f"{_state(name, lang)} {count}" for name, count in counts.items())


def _sums(standing: int, points: int, lang: messages.Lang) -> str:
    said = "信用分 {:,.2f}，兑换积分 {:,.2f}" if lang == "zh" else "standing {:,.2f}, points {:,.2f}"
    return said.format(Decimal(standing) / 100, Decimal(points) / 100)


# who ---------------------------------------------------------------------------------------------------------------


def password(username: str) -> str:
    """From the terminal without echo, or the first line of what is piped in; never from the command line."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{username}: ")
    return sys.stdin.readline().rstrip("\n")


async def acting(world: World, username: str, rule: Rule) -> Caller:
    """The staff member of that name, by a token from the environment or a password from the terminal, with the roles
    that count for this. Raises what `Rule.admit` raises."""
    token = os.environ.get(TOKEN)
    if not token:
        token = await _signed_in(world, username, password(username))
    caller = await world.gate.caller(token)
    if caller is None or caller.kind != "staff":
        raise Refusal("unauthenticated")
    if (await world.staff.get(caller.id))["username"] != username:
        raise UsageError(f"{TOKEN} is not a token of {username}")
    admitted = rule.admit(caller, world.ledger.clock())
    return admitted or caller


async def _signed_in(world: World, username: str, given: str) -> str:
    """A token; asks for a one-time code too where the account has a second factor."""
    try:
        return (await world.staff.sign_in(username, given)).token
    except Refusal as refusal:
        if refusal.code != "totp_required":
            raise
    return (await world.staff.sign_in(username, given, totp=password(f"{username} (TOTP)"))).token


# deployment --------------------------------------------------------------------------------------------------------


async def init(settings: Settings) -> Result:
    ran = await World(settings).init()
    lines = [f"schema: {step}" for step in ran] or ["nothing to do: keys and schema are up to date"]
    key = settings.home / "recovery.key"
    if key.exists():
        lines.append(f"keep {key} away from this machine: it alone can revoke the signing key")
    return Result(lines=lines, data={"steps": ran})


async def staff_add(world: World, username: str, role: str, place: str) -> Result:
    """The operator at the machine makes the first account; the others are made by it."""
    answer = await world.staff.create(None, username, password(username), [{"role": role, "place": place}])
    return Result(lines=[f"{username}: {role} at {place}"], data={"id": answer.ref, "username": username})


# journals ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CloseTakeover:
    """End a journal's take-over window for ever."""

    journal: str
    act: Act
    retry: Retry | None = None
    weight: int = 1

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.journal,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ()

    def decide(self, view: View) -> Answer:
        return Answer(200, str(close_takeover(view, self.journal, self.act).seq))


async def journal_open(world: World, journal: str) -> Result:
    opened = await imports.open_journals(world, [journal], "system")
    said = f"{journal}: opened" if opened else f"{journal}: open already"
    return Result(lines=[said], data={"journal": journal, "opened": bool(opened)})


async def journal_close_takeover(world: World, journal: str) -> Result:
    today = local_day(world.ledger.clock(), world.settings.timezone)
    request = codec.encode({"close_takeover": journal})
    act = Act("system", today, request, world.ledger.new_id("txn"))
    answer = await world.ledger.submit(CloseTakeover(journal, act))
    return Result(
        lines=[f"{journal}: the take-over window is closed (entry {answer.ref})"],
        data={"journal": journal, "seq": int(answer.ref)},
    )


# sheets ------------------------------------------------------------------------------------------------------------


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


async def import_register(
    world: World,
    kind: Kind,
    path: Path,
    *,
    user: str | None,
    commit: bool,
    skip: bool,
    header_row: int | None,
    lang: messages.Lang,
) -> Result:
    """Places, people or bodies: what would happen, or with `commit` what did."""
    caller = await acting(world, user, _importing(kind)) if user else None
    if commit and caller is None:
        raise UsageError("--commit needs --as USER")
    grid = read_sheet(read_file(path), path.name, header_row)
    plan: imports.Plan[Any]
    if kind == "places":
        plan = await imports.plan_places(world, parse_places(grid))
    elif kind == "people":
        plan = await imports.plan_people(world, parse_people(grid))
    else:
        plan = await imports.plan_bodies(world, parse_bodies(grid))
    if caller is not None and kind != "places":
        _may_import(world, caller, plan)
    problems = [_problem(problem, lang) for problem in sorted(plan.problems, key=lambda one: one.row)]
    lines = [_problem_line(problem, lang) for problem in problems]
    data: dict[str, Any] = {"committed": False, "counts": plan.counts, "problems": problems}
    if commit and caller is not None and (skip or not problems):
        work = {"places": imports.commit_places, "people": imports.commit_people, "bodies": imports.commit_bodies}
        done = await work[kind](world, plan, caller.id, skip=skip)
        data |= {"committed": True, "counts": done.counts}
    lines.append(_tally(data["counts"], lang))
    if not commit or not data["committed"]:
        lines.append(_UNWRITTEN[lang]["refused" if commit else "preview"])
    refused = bool(problems) and not (data["committed"] and skip)
    return Result(FAILED if refused else DONE, lines, data)


async def import_awards(
    world: World,
    path: Path,
    *,
    user: str | None,
    commit: bool,
    skip: bool,
    ask: bool,
    indicator: str | None,
    place: str | None,
    header_row: int | None,
    replaces: str | None,
    errors: Path | None,
    lang: messages.Lang,
) -> Result:
    """A sheet of deeds: what each row would become, or with `commit` what became of it."""
    caller = await acting(world, user, rules()["createBatch"]) if user else None
    if commit and caller is None:
        raise UsageError("--commit needs --as USER")
    if errors is not None and (not errors.parent.is_dir() or errors.resolve() == path.resolve()):
        raise UsageError(f"{errors}: --errors needs a file of its own in a folder that is there")
    sheet = await sheet_requests(
        world,
        read_file(path),
        path.name,
        header_row=header_row,
        indicator=indicator,
        place=place,
        replaces=replaces,
    )
    actor = caller.actor if caller is not None else _operator(world)
    data: dict[str, Any] = {"committed": False, "id": None, "state": "preview"}
    rows: Sequence[RowResult]
    why: Sequence[Mapping[str, Any]] = ()
    try:
        if commit:
            policy = "skip" if skip else "abort"
            record = (await world.desk.commit(actor, sheet.rows, source="sheet", on_error=policy, ask=ask)).record
            data |= {"committed": True, "id": record.id, "state": record.state}
        else:
            record = await world.desk.preview(actor, sheet.rows, source="sheet", ask=ask)
        rows, counts = record.rows, dict(record.counts)
        why = _why(record.why, lang)
        data |= {"standing": record.standing, "points": record.points, "why": why}
    except BatchRefused as refusal:
        rows, counts = refusal.rows, tally(refusal.rows)
        data["state"] = "refused"
    refused = [one for one in rows if one.state == "refused"]
    if errors is not None and refused:
        try:
            errors.write_bytes(sheet.errors(rows, lang))
        except OSError as error:
            raise UsageError(f"{errors}: {error.strerror}") from error
    answered = [told(one, sheet.about(one) if one.state == "refused" else (), lang) for one in rows]
    data |= {"counts": {"rows": len(rows), **counts}, "rows": answered}
    lines = [
        _problem_line({"reason": one.get("detail", ""), "fix": "", **one}, lang)
        for one in answered
        if one["state"] == "refused"
    ]
    lines.append(_tally(data["counts"], lang))
    if data["state"] != "refused":
        lines.append(_sums(data["standing"], data["points"], lang))
    lines += [f"{_state('awaiting_approval', lang)}: {one['detail']}" for one in why]
    if not why and not data.get("points") and any(data["counts"][state] for state in ("posted", "reduced", "zero")):
        lines.append(_UNWRITTEN[lang]["unconfirmed"])
    if errors is not None and refused:
        lines.append(_UNWRITTEN[lang]["errors"].format(file=errors))
    if not data["committed"]:
        lines.append(_UNWRITTEN[lang]["refused" if commit else "preview"])
    else:
        lines.append(f"{data['id']}: {_state(data['state'], lang)}")
    return Result(FAILED if refused and not (data["committed"] and skip) else DONE, lines, data)


def _operator(world: World) -> Actor:
    """Whoever sits at the machine may look at what a sheet would become, anywhere; posting takes a person."""
    roots = world.register.children(None)
    return Actor("system", None, tuple(("street_staff", place.code) for place in roots))


def _importing(kind: Kind) -> Rule:
    """Who may bring in what: administrators the places, others people and bodies as they would register them."""
    if kind == "places":
        return commands()["importPlaces"]
    return rules()["registerPerson" if kind == "people" else "registerBody"]


def _may_import(world: World, caller: Caller, plan: imports.Plan[Any]) -> None:
    for home in {new.home for _, new in plan.ready}:
        if not caller.serves(home, world.covers):
            raise Refusal("forbidden", scope="people:write", place=home)


def _problem(problem: Any, lang: messages.Lang) -> dict[str, Any]:
    reason, fix = sentence(problem, lang)
    return {
        "row": problem.row,
        "column": problem.column,
        "value": problem.value,
        "code": problem.code,
        "reason": reason,
        "fix": fix,
    }


def _problem_line(problem: dict[str, Any], lang: messages.Lang) -> str:
    row = f"第{problem['row']}行" if lang == "zh" else f"row {problem['row']}"
    column, value = problem.get("column", ""), problem.get("value", "")
    where = ""
    if column and (f"“{column}”" not in problem["reason"] or (value and value not in problem["reason"])):
        where = f"{column}“{value}” " if value else f"{column} "
    return f"{row} [{problem['code']}] {where}{problem['reason']} {problem['fix']}".rstrip()


async def template(settings: Settings, kind: Kind, out: Path) -> Result:
    """The sheet that the import takes; where there is a county, with its own places to choose from."""
    from api.sheets.write import template as blank  # here: the writer takes long to load

    choices: dict[str, list[str]] = {}
    world = World(settings)
    try:
        await world.open()
        places = sorted(world.register.tree.places.values(), key=lambda place: place.code)
        choices["community"] = [place.name for place in places if place.level == "community"][:200]
        await world.close()
    except Exception:  # before `jifen init` a blank sheet does as well
        choices = {}
    try:
        data = blank(kind, choices if kind in ("people", "bodies", "awards") and choices.get("community") else None)
        out.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror}") from error
    return Result(lines=[str(out)], data={"file": str(out), "bytes": len(data)})


# the four-eyes queue -----------------------------------------------------------------------------------------------


async def approvals(world: World, lang: messages.Lang) -> Result:
    roots = [place.code for place in world.register.children(None)]
    waiting = await lists.approvals(roots, "", limit=200)
    items = [
        {
            "id": one.id,
            "kind": one.kind,
            "place": one.place,
            "proposer": one.proposer,
            "rows": one.lines,
            "standing": one.standing,
            "points": one.points,
            "why": _why(one.why, lang),
        }
        for one in waiting
    ]
    lines = [
        f"{one['id']}  {one['kind']}  {world.place_name(one['place'])}  "
        + (
            " ".join(why["detail"] for why in one["why"])
            if one["kind"] == "pack"
            else f"{_state('rows', lang)} {one['rows']}  {_sums(one['standing'], one['points'], lang)}"
        )
        for one in items
    ]
    return Result(lines=lines or ["没有等待审批的事项" if lang == "zh" else "nothing waits"], data={"items": items})


def _why(why: Iterable[Mapping[str, Any]], lang: messages.Lang) -> list[dict[str, Any]]:
    return [{**one, "detail": messages.sentence(f"why_{one['code']}", "detail", lang, one)} for one in why]


async def decide(
    world: World, id_: str, user: str, *, approve: bool, reason: str | None, lang: messages.Lang
) -> Result:
    caller = await acting(world, user, rules()["approve" if approve else "reject"])
    if approve:
        decided, _ = await world.desk.approve(caller.actor, id_, reason=reason)
    else:
        if not reason:
            raise UsageError("--reason is needed: whoever proposed it has to know why")
        decided, _ = await world.desk.reject(caller.actor, id_, reason=reason)
    data = {
        "id": id_,
        "kind": decided.kind,
        "target": decided.target,
        "state": decided.state,
        "standing": decided.standing,
        "points": decided.points,
        "counts": dict(decided.counts),
        "changed": [dict(row) for row in decided.changed],
    }
    lines = [f"{id_} ({decided.target}): {_state('approved' if approve else 'rejected', lang)}"]
    lines += [_tally(decided.counts, lang)] if decided.counts else []
    lines += [_sums(decided.standing, decided.points, lang)] if approve and decided.kind != "pack" else []
    if decided.changed:
        said = "和提交时相比有变化的行：{}" if lang == "zh" else "rows that changed since it was proposed: {}"
        lines.append(said.format(len(decided.changed)))
    return Result(lines=lines, data=data)


async def jobs_run(world: World, names: list[str]) -> Result:
    unknown = [name for name in names if name not in jobs.JOBS]
    if unknown:
        raise UsageError(f"no such job: {unknown[0]}; there are {', '.join(jobs.JOBS)}")
    done = {name: await jobs.JOBS[name](world) for name in names or jobs.JOBS}
    return Result(lines=[f"{name}: {count}" for name, count in done.items()], data={"jobs": done})
