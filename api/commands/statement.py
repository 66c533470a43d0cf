# SPDX-License-Identifier: Apache-2.0
"""`jifen statement`: what an account held at a seal and every entry on the way there, as a file that proves itself."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from api.auth import Caller
from api.commands import DONE, Result, UsageError
from api.world import World
from rules.ports import Actor


async def statement(
    world: World, who: str, journal: str | None, since: int | None, until: int | None, out: Path
) -> Result:
    """`who` is a subject or an account (`merchant:…`, `minus:…`); one that is not in the journal is shown not to be."""
    role, colon, owner = who.partition(":")
    account = who if colon else f"subject:{who}"
    subject = owner if colon else role
    merchant = account.startswith("merchant:")
    if out.exists():
        raise UsageError(f"{out} is there already")
    if journal is None:
        journal = (
            (await world.shop.offers.merchant(subject)).community if merchant else await world.ledger.home(subject)
        )
    if not merchant:
        operator = Caller("staff", "operator", Actor("operator", None), frozenset())
        await world.saw(operator, subject, f"statement {journal}")
    made = await world.statements.make(journal, account, since=since, until=until, absence=True)
    write_private(out, orjson.dumps(made, option=orjson.OPT_INDENT_2) + b"\n")
    there = made["to"]["state"] is not None
    said = f"{len(made['entries'])} entries" if there else f"shown not to be in journal {journal}"
    data = {"file": str(out), "journal": journal, "account": account, "entries": len(made["entries"]), "there": there}
    return Result(DONE, [f"{out}: {account}: {said}"], data)


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner reads: it says what one person did. Raises `UsageError`."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
