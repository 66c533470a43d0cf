# SPDX-License-Identifier: Apache-2.0
"""Schema steps: numbered SQL files in each room's `migrations/`, forward only, each in one transaction.

`NNNN_name.sql` serves both databases ({int}, {blob}, {rows}, {clustered}, {updated} stand for what differs);
`NNNN_name.sqlite.sql` and `NNNN_name.postgres.sql` serve one. Statements end with a semicolon and an empty line.
A step that has run is never edited: its hash is kept and compared.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_WORDS = {
    "sqlite": {
        "int": "INTEGER",
        "blob": "BLOB",
        "rows": "STRICT",
        "clustered": "STRICT, WITHOUT ROWID",
        "updated": "STRICT, WITHOUT ROWID",
    },
    "postgres": {
        "int": "BIGINT",
        "blob": "BYTEA",
        "rows": "",
        "clustered": "",
        "updated": "WITH (fillfactor = 60)",
    },
}
_LOCK = 7119001001  # any constant of our own: two starters take turns
DONE = (
    "CREATE TABLE IF NOT EXISTS migration "
    "(room TEXT NOT NULL, step TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (room, step))"
)


UNFINISHED = "restore"  # not a room: its row among the steps says that a restore has not come to its end


class SchemaError(RuntimeError):
    """The database was made by other steps than these; the message says which."""


class Step(NamedTuple):
    room: str
    name: str
    hash: str
    statements: list[str]


def steps(rooms: Mapping[str, Path], dialect: str, done: Mapping[tuple[str, str], str]) -> Iterator[Step]:
    """Steps that have not run yet, room by room in the order given, then by number. Raises `SchemaError`."""
    for room, step in done:
        if room == UNFINISHED:
            raise SchemaError(f"the restore of {step} has not come to its end; repeat: jifen restore {step}")
    known: set[tuple[str, str]] = set()
    for room, folder in rooms.items():
        for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql")):
            name, _, only = path.name.removesuffix(".sql").partition(".")
            if only not in ("", dialect):
                continue
            text = path.read_text(encoding="utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            known.add((room, name))
            if (room, name) in done:
                if done[room, name] != digest:
                    raise SchemaError(f"step {room}/{name} has changed since it ran on this database")
                continue
            for word, meaning in _WORDS[dialect].items():
                text = text.replace("{" + word + "}", meaning)
            yield Step(room, name, digest, [s for s in re.split(r"(?<=;)\s*\n\s*\n", text) if s.strip()])
    unknown = sorted(set(done) - known)
    if unknown:
        raise SchemaError(f"this database is newer than this software: it has had {unknown[0][0]}/{unknown[0][1]}")


def migrate_sqlite(connection: sqlite3.Connection, rooms: Mapping[str, Path]) -> list[str]:
    """Run what is missing; names of the steps that ran. One transaction, so two starters cannot meet."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(DONE)
        done = {(r, s): h for r, s, h in connection.execute("SELECT room, step, hash FROM migration")}
        ran: list[str] = []
        for step in steps(rooms, "sqlite", done):
            for statement in step.statements:
                connection.execute(statement)
            connection.execute("INSERT INTO migration (room, step, hash) VALUES (?, ?, ?)", step[:3])
            ran.append(f"{step.room}/{step.name}")
        connection.execute("COMMIT")
        return ran
    except BaseException:
        if connection.in_transaction:  # SQLite may have ended it itself
            connection.execute("ROLLBACK")
        raise


async def migrate_postgres(connection: Any, rooms: Mapping[str, Path]) -> list[str]:
    """The same on an asyncpg connection, under an advisory lock."""
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        await connection.execute(DONE)
        done = {(r["room"], r["step"]): r["hash"] for r in await connection.fetch("SELECT * FROM migration")}
        ran: list[str] = []
        for step in steps(rooms, "postgres", done):
            for statement in step.statements:
                await connection.execute(statement)
            await connection.execute("INSERT INTO migration (room, step, hash) VALUES ($1, $2, $3)", *step[:3])
            ran.append(f"{step.room}/{step.name}")
        return ran
