# SPDX-License-Identifier: Apache-2.0
"""`jifen`: the command line. Exit status 0 done, 1 the thing checked does not hold, 2 usage or input error.

Results go to stdout (`--json`: one document), everything else to stderr; a progress bar only where a terminal is.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from api import messages, settings
from api.settings import Settings, SettingsError
from ledger.errors import Refusal
from ledger.store import StoreLost

DONE, FAILED, USAGE = 0, 1, 2
KINDS = ("places", "people", "bodies", "awards")
_LONG = {("packs", "backtest"), ("packs", "replay"), ("lists", "verify")}
# What a sheet, a pack or a ledger says of itself, as opposed to how the command was given.
_DOES_NOT_HOLD = frozenset(
    {"batch_has_errors", "backup_incomplete", "backup_edited", "backup_inflated", "restore_unsound"}
)


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="one JSON document on stdout")
    top = argparse.ArgumentParser(prog="jifen", description="积分 Jifen: community credit points.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str, under: Any = commands) -> argparse.ArgumentParser:
        return under.add_parser(name, help=help, description=help, parents=[shared])

    def group(name: str, help: str) -> Any:
        return commands.add_parser(name, help=help).add_subparsers(dest="action", required=True, metavar="ACTION")

    add("init", "create schema and keys; safe to repeat")

    demo = add("demo", "build the demo county and write its logins to $JIFEN_HOME/demo.json")
    demo.add_argument("--people", type=_whole, metavar="N", help="how many people")
    demo.add_argument("--seed", type=_whole, metavar="S", help="another town")
    demo.add_argument("--as-of", metavar="DAY", help="the last day of its history, YYYY-MM-DD")
    demo.add_argument("--force", action="store_true", help="start again with a new origin")

    serve = add("serve", "the HTTP server")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=_whole, default=8000)
    serve.add_argument("--workers", type=_whole, help="processes; more than one needs PostgreSQL")

    add("checkpoint", "sign and publish now")

    proof = group("proof", "RFC 9162 proofs, hashes in hex")
    for name, first, second in (("inclusion", "SEQ", "SIZE"), ("consistency", "FROM", "TO")):
        prove = add(name, f"{name} proof under a published checkpoint", proof)
        prove.add_argument("journal", metavar="J", help="a journal, or `epochs`")
        prove.add_argument("numbers", type=_whole, nargs="+", metavar=f"{first} [{second}]")

    receipt = add("receipt", "the receipt of one entry")
    receipt.add_argument("journal", metavar="J")
    receipt.add_argument("seq", type=_whole, metavar="SEQ")
    receipt.add_argument("--form", choices=("text", "qr", "svg", "slip"), default="text")
    receipt.add_argument("--out", type=Path, metavar="FILE")

    statement = add("statement", "what an account holds and every entry on the way there, with proof")
    statement.add_argument("account", metavar="SUBJECT|merchant:ID")
    statement.add_argument("out", type=Path, metavar="OUT.json")
    statement.add_argument("--journal", metavar="J", help="where it is not the account's home")
    statement.add_argument("--from", dest="since", type=_whole, metavar="SIZE", help="`as_of_size` of a seal")
    statement.add_argument("--to", dest="until", type=_whole, metavar="SIZE", help="the same; else the newest")

    monthly = group("statements", "what shops are owed: every shop's statement of a month")
    for name, said in (("run", "make them; safe to repeat"), ("check", "hold them against every entry there is")):
        add(name, said, monthly).add_argument("period", type=_month, metavar="YYYY-MM")

    guard = group("guard", "the fork guard: what was signed last")
    add("show", "what was signed last, and whether the ledger agrees", guard)
    loss = add("accept-loss", "published entries are lost for good: say so in the ledger and go on", guard)
    loss.add_argument("--recovery-key", type=Path, required=True, metavar="FILE")
    loss.add_argument("--reason", required=True)
    add("adopt", "the guard's file is gone: make it anew from the stored checkpoints", guard)

    witness = group("witness", "who witnesses us, and whom we witness")
    add("show", "our vkeys to hand out, and how it stands with everybody", witness)
    of = add("add-log", "witness the log of another deployment", witness)
    of.add_argument("vkey", metavar="VKEY")
    of.add_argument("--origin", help="the first line of its checkpoints, where it is not the key's name")
    by = add("add-witness", "be witnessed by another deployment", witness)
    by.add_argument("vkey", metavar="VKEY")
    by.add_argument("url", metavar="URL", help="the address before /add-checkpoint, e.g. https://host/v1/witness")

    export = add("export", "everything an outsider needs to check this deployment, in a new folder")
    export.add_argument("dir", type=Path, metavar="DIR")
    export.add_argument("--journal", metavar="J", action="append", default=[], help="only this one; may be repeated")
    outside = add("verify-export", "check such a folder; the same as DIR/verify.py")
    outside.add_argument("dir", type=Path, metavar="DIR")
    outside.add_argument("--pin", metavar="FILE", type=Path, action="append", default=[], help="checkpoint or receipt")
    outside.add_argument("--quick", action="store_true", help="hashes, roots and signatures only")
    outside.add_argument("--jobs", type=_whole, default=0, metavar="N", help="processes (default: one a core)")

    add("backup", "everything in the database, into one new file").add_argument("file", type=Path, metavar="FILE")
    restored = add("restore", "put a backup into an empty database")
    restored.add_argument("file", type=Path, metavar="FILE")
    restored.add_argument("--check", action="store_true", help="only read it: is it whole and unchanged?")
    restored.add_argument("--keyless", action="store_true", help="leave out people whose data keys are lost")

    keys = group("keys", "the keys that sign")
    add("show", "which keys there are", keys)
    add("rotate", "a new signing key, vouched for by the one before", keys)
    recover = add("recover", "a new signing key, vouched for by the recovery key", keys)
    recover.add_argument("--recovery-key", type=Path, required=True, metavar="FILE")

    verify = add("verify", "check the database; names the first bad entry per journal")
    verify.add_argument("--journal", metavar="J")
    pinned = "a trusted checkpoint or receipt, from elsewhere: read on from the last seal in it; repeatable"
    verify.add_argument("--from", dest="pins", action="append", default=[], type=Path, metavar="FILE", help=pinned)
    verify.add_argument("--full", action="store_true", help="with --from: read everything all the same")
    verify.add_argument("--quick", action="store_true", help="hashes, links, trees and signatures only")
    verify.add_argument("--jobs", type=_whole, metavar="N", help="processes; default: the cores of the machine")

    journal = group("journal", "open a journal, or end its take-over window")
    add("open", "open a community's journal", journal).add_argument("journal", metavar="J")
    add("close-takeover", "end the take-over window for ever", journal).add_argument("journal", metavar="J")

    packs = group("packs", "rule packs")
    add("check", "loader errors with file, line and way out", packs).add_argument("dir", type=Path, metavar="DIR")
    held = "run the worked examples, and see what they do not hold"
    add("test", held, packs).add_argument("dir", type=Path, metavar="DIR")
    publish = add("publish", "propose a pack; it takes effect a week after another person has adopted it", packs)
    publish.add_argument("dir", type=Path, metavar="DIR")
    publish.add_argument("--as", dest="user", required=True, metavar="USER")
    tried = add("backtest", "what a pack would have made of the deeds of a time", packs)
    tried.add_argument("dir", type=Path, metavar="DIR")
    tried.add_argument("--from", dest="since", required=True, type=_day, metavar="DAY")
    tried.add_argument("--to", dest="until", required=True, type=_day, metavar="DAY")
    tried.add_argument("--out", type=Path, metavar="REPORT.html", help="the report as a page to read and print")
    tried.add_argument("--xlsx", type=Path, metavar="REPORT.xlsx", help="the report as a workbook with charts")
    again = add("replay", "judge every award again: do the rules reproduce the ledger?", packs)
    again.add_argument("--from", dest="since", type=_day, metavar="DAY")
    again.add_argument("--to", dest="until", type=_day, metavar="DAY")
    add("list", "which pack is in force, and which is coming", packs)
    shown = add("show", "a pack or a proposal, and what it changes", packs)
    shown.add_argument("ref", metavar="VERSION|HASH|ID")
    shown.add_argument("--out", type=Path, metavar="DIR", help="write its files there")

    _import(add("import", "import a sheet; a preview unless --commit"))

    template = add("template", "the sheet that the import takes")
    template.add_argument("kind", choices=KINDS)
    template.add_argument("out", type=Path, metavar="OUT.xlsx")

    add("approvals", "what waits for a second person")
    look = add("anomalies", "where somebody should look among the awards, or the spending, of a place")
    look.add_argument("--place", required=True, metavar="CODE")
    look.add_argument("--from", dest="since", required=True, type=_day, metavar="DAY")
    look.add_argument("--to", dest="until", required=True, type=_day, metavar="DAY")
    look.add_argument("--about", choices=("awards", "spending"), default="awards")
    owed = add("liability", "what the points that are out would cost, and the money there is for them")
    owed.add_argument("--place", required=True, metavar="CODE")
    owed.add_argument("--out", type=Path, metavar="FILE.csv", help="the points by journal and month as a table")
    fair = add("fairness", "whom a quarter's points reach, and where somebody should look")
    fair.add_argument("period", metavar="QUARTER", help="2026Q3")
    fair.add_argument("--place", required=True, metavar="CODE")
    fair.add_argument("--out", type=Path, metavar="FILE", help="a table (.csv) or a page to print (.html)")
    for name in ("approve", "reject"):
        decide = add(name, f"{name} what waits, as another person than its proposer")
        decide.add_argument("id", metavar="ID")
        decide.add_argument("--as", dest="user", required=True, metavar="USER")
        decide.add_argument("--reason")

    disputed = group("objections", "what is disputed, and the decisions on it")
    add("list", "what is open and by when it is decided", disputed).add_argument("--late", action="store_true")
    judge = add("decide", "decide one, as somebody who had no hand in it", disputed)
    judge.add_argument("id", metavar="ID")
    judge.add_argument("outcome", choices=("upheld", "partly", "rejected"))
    judge.add_argument("--as", dest="user", required=True, metavar="USER")
    judge.add_argument("--reason", required=True)
    judge.add_argument("--fact", dest="facts", action="append", type=_fact, metavar="NAME=VALUE", help="as it was")

    editions = group("lists", "editions of the pack's lists: rankings, red and grey lists, honours, notices")
    drafted = add("draft", "a new edition of a list for a period and a place", editions)
    drafted.add_argument("list", metavar="LIST", help="its code in the pack")
    drafted.add_argument("period", metavar="PERIOD", help="2026-11, 2026Q4 or 2026, as the list has it")
    drafted.add_argument("--place", required=True, metavar="CODE")
    _as_user(drafted)
    frozen = "compute it from the ledger as it is now; nothing in it changes after that"
    for name, said in (("freeze", frozen), ("notify", "those in it are told, and the days to answer begin")):
        step = add(name, said, editions)
        step.add_argument("id", metavar="ID")
        _as_user(step)
    out = add("publish", "agree to it; it is published when enough people have", editions)
    out.add_argument("id", metavar="ID")
    _as_user(out)
    out.add_argument("--reason", default="")
    checked = add("verify", "compute published editions again: is every byte the same?", editions)
    checked.add_argument("ids", nargs="*", metavar="ID", help="by default all")
    checked.add_argument("--export", dest="folder", type=Path, metavar="DIR", help="from an audit export alone")
    told = add("show", "an edition with its lines, or the newest of a place", editions)
    told.add_argument("id", nargs="?", metavar="ID")
    told.add_argument("--place", metavar="CODE")
    told.add_argument("--period", metavar="PERIOD")

    notice = add("notice", "a community's monthly notice as a page to print or to show on a screen")
    notice.add_argument("period", type=_month, metavar="YYYY-MM")
    notice.add_argument("--community", required=True, metavar="CODE")
    notice.add_argument("--out", required=True, type=Path, metavar="NOTICE.html")
    notice.add_argument("--form", choices=("a4", "a3", "screen"), default="a4")

    erase = add("erase", "forget a person for ever; the account's entries stay")
    erase.add_argument("subject", metavar="SUBJECT")
    erase.add_argument("--as", dest="user", required=True, metavar="USER")
    erase.add_argument("--reason", choices=("wish", "died", "moved_away", "mistake"), default="wish")

    staff = group("staff", "the operator's way to the first account")
    first = add("add", "add a staff account; its password is asked for", staff)
    first.add_argument("username")
    first.add_argument("--role", required=True)
    first.add_argument("--place", required=True, metavar="CODE")

    jobs = group("jobs", "the work that nobody asks for")
    add("run", "run one job, or all", jobs).add_argument("names", nargs="*", metavar="NAME")
    return top


def _as_user(command: argparse.ArgumentParser) -> None:
    command.add_argument("--as", dest="user", required=True, metavar="USER")


def _import(sheet: argparse.ArgumentParser) -> None:
    sheet.add_argument("kind", choices=KINDS)
    sheet.add_argument("file", type=Path, metavar="FILE")
    sheet.add_argument("--commit", action="store_true", help="write it; needs --as")
    sheet.add_argument("--as", dest="user", metavar="USER", help=f"password from a prompt, or {settings.TOKEN}")
    sheet.add_argument("--skip-bad", action="store_true", help="leave refused rows out instead of refusing all")
    sheet.add_argument("--header-row", type=_whole, metavar="N", help="where the header stands")
    sheet.add_argument("--indicator", metavar="CODE", help="awards: for rows that name none")
    sheet.add_argument("--place", metavar="CODE", help="awards: for rows that name none")
    sheet.add_argument("--ask", action="store_true", help="awards: put it before a second person even if it is small")
    sheet.add_argument("--replaces", metavar="BATCH", help="awards: a mended sheet, in place of a batch taken back")
    sheet.add_argument("--errors", type=Path, metavar="OUT.xlsx", help="awards: the refused rows as a sheet")


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day (YYYY-MM-DD)") from None


def _month(text: str) -> str:
    from merchants.settlement.statement import is_period

    if not is_period(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a month (YYYY-MM)")
    return text


def _fact(text: str) -> tuple[str, int | str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, int(value) if value.isascii() and value.isdecimal() and len(value) < 13 else value


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    lang = _language()
    try:
        return _run(args, settings.read(), lang)
    except Refusal as refusal:
        title, detail, fix = (
            messages.sentence(refusal.code, p, lang, refusal.facts) for p in ("title", "detail", "fix")
        )
        print(f"jifen: [{refusal.code}] {title}: {detail} {fix}".rstrip(), file=sys.stderr)
        for error in refusal.facts.get("errors", ()):
            said = messages.sentence(error.get("code", ""), "detail", lang, error)
            print(f"  {error.get('pointer', '')}: {said}", file=sys.stderr)
        return FAILED if refusal.code in _DOES_NOT_HOLD else USAGE
    except KeyboardInterrupt:
        return 130
    except (SettingsError, ValueError, RuntimeError, StoreLost) as error:
        if not _ours(error):
            raise
        print(f"jifen: {error}", file=sys.stderr)
        return USAGE


def _ours(error: Exception) -> bool:
    """Is this one of the errors whose message is meant for whoever typed the command?"""
    from api.commands import UsageError
    from api.world import NotReady
    from ledger.keys import BadKey
    from ledger.migrate import SchemaError

    return isinstance(error, SettingsError | UsageError | NotReady | BadKey | SchemaError | StoreLost)


def _run(args: argparse.Namespace, config: Settings, lang: messages.Lang) -> int:
    # Imported here: `jifen --help` needs none of it, and polars alone takes a good part of a second.
    from api import commands
    from api.commands import Result

    if args.command == "serve":
        from api.server.serving import serve

        return serve(config, args.host, args.port, args.workers or config.workers, as_json=args.json)
    if args.command == "demo":
        return _demo(args, config)
    if args.command == "witness":
        return _show(_witness(args, config), args.json)
    if args.command == "packs" and args.action in ("check", "test"):
        from api.commands import packs

        return _show((packs.check if args.action == "check" else packs.test)(args.dir, lang), args.json)
    if args.command == "init":
        return _show(asyncio.run(commands.init(config)), args.json)
    if args.command == "template":
        return _show(asyncio.run(commands.template(config, args.kind, args.out)), args.json)

    if args.command == "restore":
        from api.commands import backup

        with _bar(args) as progress:
            work = backup.restore(config, args.file, check=args.check, keyless=args.keyless, progress=progress)
            return _show(asyncio.run(work), args.json)
    if args.command == "keys":
        return _keys(args, config)
    if args.command == "lists" and args.action == "verify" and args.folder is not None:
        from api.commands.edition_checks import verify_folder

        return _show(verify_folder(args.folder, args.ids, lang), args.json)
    if args.command == "verify-export":
        from api.commands.export import verify_export

        return _show(verify_export(args.dir, args.pin, args.quick, args.jobs), args.json)

    async def inside() -> Result:
        from api.world import World

        world = World(config)
        await world.open()
        try:
            with _bar(args) as progress:
                return await _in_world(args, world, lang, progress)
        finally:
            await world.close()

    return _show(asyncio.run(inside()), args.json)


async def _in_world(args: argparse.Namespace, world: Any, lang: messages.Lang, progress: Any) -> Any:
    from api import commands
    from api.commands import backup, proofs
    from api.commands import verify as check

    match args.command, getattr(args, "action", None):
        case "verify", _:
            return await check.verify(
                world, args.journal, progress, pins=args.pins, full=args.full, quick=args.quick, jobs=args.jobs
            )
        case "export", _:
            from api.commands.export import export

            return await export(world, args.dir, args.journal, progress)
        case "backup", _:
            return await backup.backup(world, args.file, progress)
        case "checkpoint", _:
            return await proofs.checkpoint(world)
        case "proof", action:
            return await proofs.proof(world, str(action), args.journal, args.numbers)
        case "receipt", _:
            return await proofs.receipt(world, args.journal, args.seq, args.form, args.out)
        case "statement", _:
            from api.commands.statement import statement

            return await statement(world, args.account, args.journal, args.since, args.until, args.out)
        case "statements", action:
            from api.commands import settlements

            return await (settlements.run if action == "run" else settlements.check)(world, args.period)
        case "guard", "show":
            return await proofs.guard_show(world)
        case "guard", "adopt":
            return await proofs.guard_adopt(world)
        case "guard", _:
            return await proofs.guard_accept_loss(world, args.recovery_key, args.reason)
        case "journal", "open":
            return await commands.journal_open(world, args.journal)
        case "journal", _:
            return await commands.journal_close_takeover(world, args.journal)
        case "import", _:
            return await _import_sheet(args, world, lang)
        case "anomalies", _:
            from api.commands.anomalies import anomalies

            return await anomalies(world, args.place, args.since, args.until, lang, args.about)
        case "liability", _:
            from api.commands.liability import liability

            return await liability(world, args.place, args.out, lang)
        case "fairness", _:
            from api.commands.fairness import fairness

            return await fairness(world, args.period, args.place, args.out, lang)
        case "packs", "backtest":
            from api.commands.backtest import backtest

            return await backtest(
                world, args.dir, args.since, args.until, lang, out=args.out, xlsx=args.xlsx, progress=progress
            )
        case "packs", "replay":
            from api.commands.backtest import replay

            return await replay(world, args.since, args.until, lang, progress)
        case "packs", action:
            return await _packs(args, str(action), world, lang)
        case "approvals", _:
            return await commands.approvals(world, lang)
        case ("approve" | "reject") as word, _:
            return await commands.decide(
                world, args.id, args.user, approve=word == "approve", reason=args.reason, lang=lang
            )
        case "objections", action:
            from api.commands import objections

            if action == "list":
                return await objections.listing(world, args.late, lang)
            return await objections.decide(world, args.id, args.user, args.outcome, args.reason, args.facts, lang)
        case "lists", action:
            return await _lists(args, str(action), world, lang, progress)
        case "notice", _:
            from api.commands.editions import notice

            return await notice(world, args.period, args.community, args.out, args.form, lang)
        case "erase", _:
            from api.commands.erase import erase

            return await erase(world, args.subject, args.user, args.reason, lang)
        case "staff", _:
            return await commands.staff_add(world, args.username, args.role, args.place)
        case "jobs", _:
            return await commands.jobs_run(world, args.names)
    raise AssertionError(args.command)


async def _packs(args: argparse.Namespace, action: str, world: Any, lang: messages.Lang) -> Any:
    from api.commands import packs

    match action:
        case "publish":
            return await packs.publish(world, args.dir, args.user, lang)
        case "list":
            return await packs.listing(world, lang)
        case _:
            return await packs.show(world, args.ref, args.out, lang)


async def _lists(args: argparse.Namespace, action: str, world: Any, lang: messages.Lang, progress: Any) -> Any:
    from api.commands import edition_checks, editions

    match action:
        case "draft":
            return await editions.draft(world, args.list, args.period, args.place, args.user, lang)
        case "freeze" | "notify":
            return await editions.step(world, action, args.id, args.user, lang)
        case "publish":
            return await editions.publish(world, args.id, args.user, args.reason, lang)
        case "verify":
            return await edition_checks.verify(world, args.ids, lang, progress)
        case _:
            return await editions.show(world, args.id, args.place, args.period, lang)


def _keys(args: argparse.Namespace, config: Settings) -> int:
    from api.commands import keys

    if args.action == "show":
        return _show(keys.show(config), args.json)
    file = args.recovery_key if args.action == "recover" else None
    return _show(asyncio.run(keys.rotate(config, file)), args.json)


async def _import_sheet(args: argparse.Namespace, world: Any, lang: messages.Lang) -> Any:
    from api import commands

    if args.kind == "awards":
        return await commands.import_awards(
            world,
            args.file,
            user=args.user,
            commit=args.commit,
            skip=args.skip_bad,
            ask=args.ask,
            indicator=args.indicator,
            place=args.place,
            header_row=args.header_row,
            replaces=args.replaces,
            errors=args.errors,
            lang=lang,
        )
    if args.indicator or args.place or args.errors or args.ask or args.replaces:
        raise commands.UsageError("--indicator, --place, --errors, --ask and --replaces are for awards")
    return await commands.import_register(
        world,
        args.kind,
        args.file,
        user=args.user,
        commit=args.commit,
        skip=args.skip_bad,
        header_row=args.header_row,
        lang=lang,
    )


def _witness(args: argparse.Namespace, config: Settings) -> Any:
    from api.commands import witness

    match args.action:
        case "add-log":
            return witness.add_log(config, args.vkey, args.origin)
        case "add-witness":
            return witness.add_witness(config, args.vkey, args.url)
        case _:
            return witness.show(config)


def _demo(args: argparse.Namespace, config: Settings) -> int:
    """The demo county is built by `api.demo`, which brings its own clock."""
    from api import demo

    made: Callable[..., Any] = demo.build
    with _bar(args) as progress:
        result = made(config, people=args.people, seed=args.seed, as_of=args.as_of, force=args.force, progress=progress)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
    return _show(result, args.json)


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


@contextmanager
def _bar(args: argparse.Namespace) -> Iterator[Any]:
    """A progress bar on a terminal: call it with how much was done, and `total=`, `what=` when they are known."""
    long = args.command in ("verify", "demo", "import", "export", "backup", "restore")
    long = long or (args.command, getattr(args, "action", None)) in _LONG
    if args.json or not long or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(args.command, total=None)

        def advance(done: int, total: int | None = None, what: str | None = None) -> None:
            shown.update(task, advance=done, total=total, description=what)

        yield advance


def _show(result: Any, as_json: bool) -> int:
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(result.data, option=orjson.OPT_INDENT_2, default=str) + b"\n")
        sys.stdout.flush()
    else:
        for line in result.lines:
            print(line)
    return result.status


def _language() -> messages.Lang:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "en" if value.startswith("en") else "zh"
    return "zh"


if __name__ == "__main__":
    raise SystemExit(main())
