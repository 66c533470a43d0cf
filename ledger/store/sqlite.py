# SPDX-License-Identifier: Apache-2.0
"""SQLite: one file, one writer. Rows are written in the event loop's own thread, because handing each of them to
another thread costs more than it saves; the COMMIT of a large batch waits for the disk in a thread of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ledger.migrate import migrate_sqlite
from ledger.model import Head
from ledger.store.base import GENESIS_LEAF, Conflict, StoreLost, grouped, select
from ledger.tables import Key, Row, Table
from ledger.view import Changes

BUSY_MS = 10_000  # how long to wait for another process (the CLI beside the server) to finish its transaction
_THREAD_FROM = 16  # entries from which others get on with their work while the disk is waited for
_CHUNKS = (256, 64, 16, 4, 1)  # a few statement shapes, so that sqlite3's statement cache hits

_ENTRY = (
    "INSERT INTO entry (journal, seq, leaf, prev, kind, subject, recorded_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def connect(path: str, *, query_only: bool = False) -> sqlite3.Connection:
    """A connection as the ledger wants it: WAL, full durability, foreign writers waited for."""
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=BUSY_MS / 1000, cached_statements=512, check_same_thread=False
    )
    for pragma in (
        "page_size = 4096",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "cache_size = -262144",
        "wal_autocheckpoint = 8000",
        "temp_store = MEMORY",
        "secure_delete = OFF",  # what must vanish is encrypted, and its key lies in a file of its own
    ):
        connection.execute(f"PRAGMA {pragma}")
    if query_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


class SqliteStore:
    """See `Store`. A kept connection for writing and one for reading, both in the thread of the event loop."""

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = path
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._written = 0

    async def open(self) -> None:
        if self.path != ":memory:":
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        self._writer = connect(self.path)
        self._reader = connect(self.path, query_only=True)

    async def close(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    @property
    def _write(self) -> sqlite3.Connection:
        assert self._writer is not None, "the store is not open"
        return self._writer

    async def begin(self, journals: Collection[str]) -> dict[str, Head]:
        try:
            self._write.execute("BEGIN IMMEDIATE")
            self._written = 0
        except sqlite3.OperationalError as error:
            raise StoreLost(error) from error
        heads: dict[str, Head] = {}
        for journal in journals:
            row = self._write.execute(
                "SELECT journal, size, leaf, recorded_at, zone, takeover FROM head WHERE journal = ?",
                (journal,),
            ).fetchone()
            heads[journal] = Head(*row) if row else Head(journal, 0, GENESIS_LEAF, 0, "UTC", 0)
        return heads

    async def load(self, table: Table, prefixes: Sequence[Key]) -> dict[Key, dict[Key, Row]]:
        rows: list[Row] = []
        execute = self._write.execute
        position = 0
        for size in _CHUNKS:
            sql = _select_sql(table, size)
            while len(prefixes) - position >= size:
                chunk = prefixes[position : position + size]
                rows += execute(sql, [value for prefix in chunk for value in prefix]).fetchall()
                position += size
        return grouped(table, prefixes, rows)

    async def write(self, changes: Changes) -> None:
        try:
            self._write_all(changes)
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error)) from error

    def _write_all(self, changes: Changes) -> None:
        many = self._write.executemany
        many(_ENTRY, changes.entries)
        self._written = len(changes.entries)
        for table, rows in changes.dirty.items():
            new, changed, gone = rows.split()
            moved = [(*row[table.key :], *row[: table.key]) for row in changed]
            for sql, values in ((_insert_sql(table), new), (_update_sql(table), moved), (_delete_sql(table), gone)):
                if values:
                    many(sql, values)
        for table, rows in changes.inserts.items():
            many(_insert_sql(table), rows)
        for head, was in changes.heads:
            if was:
                done = self._write.execute(
                    "UPDATE head SET size = ?, leaf = ?, recorded_at = ?, takeover = ? WHERE journal = ? AND size = ?",
                    (head.size, head.leaf, head.recorded_at, head.takeover, head.journal, was),
                ).rowcount
                if done != 1:
                    raise Conflict(f"head of {head.journal} is not at {was}")
            else:
                self._write.execute(
                    "INSERT INTO head (journal, size, leaf, recorded_at, zone, takeover) VALUES (?, ?, ?, ?, ?, ?)",
                    (head.journal, head.size, head.leaf, head.recorded_at, head.zone, head.takeover),
                )

    async def commit(self) -> None:
        try:
            if self._written < _THREAD_FROM:
                self._write.execute("COMMIT")
            else:
                await asyncio.get_running_loop().run_in_executor(None, self._write.execute, "COMMIT")
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error)) from error
        except sqlite3.OperationalError as error:
            raise StoreLost(error) from error

    async def rollback(self) -> None:
        if self._write.in_transaction:
            self._write.execute("ROLLBACK")

    async def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        assert self._reader is not None, "the store is not open"
        return self._reader.execute(sql, params).fetchall()

    async def migrate(self, rooms: Mapping[str, Path]) -> list[str]:
        return migrate_sqlite(self._write, rooms)


_SQL: dict[tuple[str, Any], str] = {}


def _select_sql(table: Table, count: int) -> str:
    key = (f"select {count}", table)
    if key not in _SQL:
        # CROSS JOIN keeps SQLite from scanning the table, which is what it does for `(a, b) IN (VALUES …)`.
        columns = table.names[: table.group]
        wanted = ", ".join([f"({', '.join('?' * len(columns))})"] * count)
        match = " AND ".join(f"t.{column} = k.{column}" for column in columns)
        names = ", ".join(f"t.{name}" for name in table.names)
        _SQL[key] = (
            f"WITH k({', '.join(columns)}) AS (VALUES {wanted}) "
            f"SELECT {names} FROM k CROSS JOIN {table.name} t ON {match}"
        )
    return _SQL[key]


def _insert_sql(table: Table) -> str:
    key = ("insert", table)
    if key not in _SQL:
        _SQL[key] = f"INSERT INTO {table.name} ({select(table)}) VALUES ({', '.join('?' * len(table.columns))})"
    return _SQL[key]


def _update_sql(table: Table) -> str:
    """Parameters: the other columns, then the key."""
    key = ("update", table)
    if key not in _SQL:
        where = " AND ".join(f"{column} = ?" for column in table.names[: table.key])
        change = ", ".join(f"{column} = ?" for column in table.names[table.key :])
        _SQL[key] = f"UPDATE {table.name} SET {change} WHERE {where}"
    return _SQL[key]


def _delete_sql(table: Table) -> str:
    key = ("delete", table)
    if key not in _SQL:
        where = " AND ".join(f"{column} = ?" for column in table.names[: table.key])
        _SQL[key] = f"DELETE FROM {table.name} WHERE {where}"
    return _SQL[key]
