# SPDX-License-Identifier: Apache-2.0
"""A new origin: what a demo may clear away. Only what a demo has made; a real county's database is never touched."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg

from api.commands import UsageError
from api.settings import Settings
from api.world import ROOMS, World
from ledger.port import Answer, PutRows

LOGINS = "demo.json"
# The mark is a request that was answered, under the name of a caller that no deployment has.
CALLER, KEY = "demo", "origin"
_MARK = "SELECT 1 FROM request WHERE caller = 'demo' AND key = 'origin'"
_KEYS = ("keys.db", "origin", "recovery.key", "recovery.vkey", "secret.key", "signing.key", "master.key")


class Occupied(UsageError):
    """There is something here that no demo has made."""


async def clear(settings: Settings) -> None:
    """Make room for a demo: remove an earlier one, finished or broken off. Raises `Occupied` for anything else."""
    if settings.sqlite:
        _clear_sqlite(settings)
    else:
        await _clear_postgres(settings)


def _clear_sqlite(settings: Settings) -> None:
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    ours = (settings.home / LOGINS).exists()
    if path.exists():
        if not ours and not _marked(path):
            raise Occupied(_occupied(str(path)))
        ours = True
    if ours:
        for file in (*(path.with_name(path.name + tail) for tail in ("", "-wal", "-shm")), *_files(settings)):
            file.unlink(missing_ok=True)
    elif (settings.home / "keys.db").exists():
        raise Occupied(_occupied(str(settings.home / "keys.db")))


def _marked(path: Path) -> bool:
    """Does a demo stand in this file, or nothing at all?"""
    with closing(sqlite3.connect(path)) as connection:
        try:
            if connection.execute(_MARK).fetchone():
                return True
            return not connection.execute("SELECT 1 FROM head LIMIT 1").fetchone() and not _staff(connection)
        except sqlite3.DatabaseError:
            return not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()


def _staff(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM staff LIMIT 1").fetchone() is not None


async def _clear_postgres(settings: Settings) -> None:
    sql = "\n".join(path.read_text(encoding="utf-8") for room in ROOMS.values() for path in sorted(room.glob("*.sql")))
    tables = [*re.findall(r"CREATE TABLE (\w+)", sql), "migration"]
    functions = sorted(set(re.findall(r"CREATE FUNCTION (\w+)", sql)))
    connection = await asyncpg.connect(settings.database_url)
    try:
        there = [name for name in tables if await connection.fetchval("SELECT to_regclass($1)", name)]
        marked = "request" in there and await connection.fetchval(_MARK)
        if not marked and await _used(connection, there):
            raise Occupied(_occupied("the database"))
        async with connection.transaction():
            for name in there:
                await connection.execute(f'DROP TABLE "{name}" CASCADE')
            for name in functions:
                await connection.execute(f'DROP FUNCTION IF EXISTS "{name}" CASCADE')
    finally:
        await connection.close()
    if marked or (settings.home / LOGINS).exists():
        for file in _files(settings):
            file.unlink(missing_ok=True)
    elif (settings.home / "keys.db").exists():
        raise Occupied(_occupied(str(settings.home / "keys.db")))


async def _used(connection: asyncpg.Connection, tables: list[str]) -> bool:
    for name in tables:
        if name != "migration" and await connection.fetchval(f'SELECT 1 FROM "{name}" LIMIT 1'):
            return True
    return False


def _files(settings: Settings) -> list[Path]:
    """Logins and keys of a demo; a master key that was brought along stays."""
    return [
        settings.home / name for name in (LOGINS, *_KEYS) if name != "master.key" or settings.master_key_file is None
    ]


def _occupied(what: str) -> str:
    return (
        f"{what} is not a demo's and stays as it is. A demo county needs an empty place: set JIFEN_HOME to an empty "
        "folder, or JIFEN_DATABASE_URL to an empty database."
    )


async def mark(world: World) -> None:
    """Say in the database that this is a demo."""
    retry = world.ledger.retry(CALLER, KEY, b"jifen demo")
    await world.ledger.submit(PutRows(answer=Answer(201, "demo"), retry=retry))
