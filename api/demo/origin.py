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
_FIRST = ("head", "staff", "subject", "merchant")  # a deployment in use has something in one of these
_KEYS = (
    "keys.db",
    "keys.copy.db",
    "guard.db",
    "guard.lock",
    "origin",
    "recovery.key",
    "recovery.vkey",
    "secret.key",
    "signing.key",
    "next.key",
    "keys.lock",
    "master.key",
)


class Occupied(UsageError):
    """There is something here that no demo has made."""


async def clear(settings: Settings) -> None:
    """Make room for a demo: remove an earlier one, finished or broken off; what is empty is used as it is.

    Raises `Occupied` for anything else.
    """
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    stored = _sqlite_state(path) if settings.sqlite else await _postgres_state(settings)
    if stored == "taken":
        raise Occupied(_occupied(str(path) if settings.sqlite else "the database"))
    if stored != "demo" and not (settings.home / LOGINS).exists():
        if stored == "none" and _any(settings.home / "keys.db", "data_key"):
            raise Occupied(_occupied(str(settings.home / "keys.db")))
        return
    if settings.sqlite:
        for tail in ("", "-wal", "-shm"):
            path.with_name(path.name + tail).unlink(missing_ok=True)
    else:
        await _drop(settings)
    for file in _files(settings):
        file.unlink(missing_ok=True)


def _sqlite_state(path: Path) -> str:
    """`none`, `empty`, `demo`, or `taken` by something that is not ours to remove."""
    if not path.exists():
        return "none"
    with closing(sqlite3.connect(path)) as connection:
        try:
            if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                return "none"
            if connection.execute(_MARK).fetchone():
                return "demo"
            used = any(connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in _FIRST)
        except sqlite3.DatabaseError:
            return "taken"
    return "taken" if used else "empty"


async def _postgres_state(settings: Settings) -> str:
    connection = await asyncpg.connect(settings.database_url)
    try:
        if not await connection.fetchval("SELECT to_regclass('migration')"):
            return "none"
        if await connection.fetchval(_MARK):
            return "demo"
        used = [await connection.fetchval(f"SELECT 1 FROM {table} LIMIT 1") for table in _FIRST]
    except asyncpg.UndefinedTableError:
        return "taken"
    finally:
        await connection.close()
    return "taken" if any(used) else "empty"


async def _drop(settings: Settings) -> None:
    """Our tables and functions, and nothing else that may be in the database."""
    sql = "\n".join(path.read_text(encoding="utf-8") for room in ROOMS.values() for path in sorted(room.glob("*.sql")))
    connection = await asyncpg.connect(settings.database_url)
    try:
        async with connection.transaction():
            for name in (*re.findall(r"CREATE TABLE (\w+)", sql), "migration"):
                await connection.execute(f'DROP TABLE IF EXISTS "{name}" CASCADE')
            for name in sorted(set(re.findall(r"CREATE FUNCTION (\w+)", sql))):
                await connection.execute(f'DROP FUNCTION IF EXISTS "{name}" CASCADE')
    finally:
        await connection.close()


def _any(path: Path, table: str) -> bool:
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


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
