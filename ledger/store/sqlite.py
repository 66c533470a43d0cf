# SPDX-License-Identifier: Apache-2.0
"""SQLite: one file, one writer. Rows are written in the event loop's own thread, because handing each of them to
another thread costs more than it saves; the COMMIT of a large batch waits for the disk in a thread of its own.

What a failing disk does to each step, and why a failed COMMIT is not simply a "no": docs/adr/0013-failing-disks.md."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ledger.migrate import migrate_sqlite
from ledger.model import Head
from ledger.store.base import GENESIS_LEAF, Conflict, StoreLost, grouped, select
from ledger.tables import Key, Row, Table
from ledger.view import Changes

BUSY_MS = 10_000  # how long to wait for another process (the CLI beside the server) to finish its transaction
_THREAD_FROM = 16  # entries from which others get on with their work while the disk is waited for
_LOST = frozenset(  # the file or its disk, not what was asked of it
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_CHUNKS = (256, 64, 16, 4, 1)  # a few statement shapes, so that sqlite3's statement cache hits

_ENTRY = (
    "INSERT INTO entry (journal, seq, leaf, prev, kind, subject, recorded_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def private(path: str | Path) -> None:
    """Make an empty file that only its owner reads, if there is none. One that is there is not even opened: closing any
    handle of a SQLite file lets go of all locks that this process holds on it."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def connect(path: str, *, query_only: bool = False) -> sqlite3.Connection:
    """A connection as the ledger wants it: WAL, full durability, foreign writers waited for. Raises `StoreLost`."""
    if path != ":memory:":
        _made_private(path)
    with _in_our_words():
        connection = sqlite3.connect(
            path, isolation_level=None, timeout=BUSY_MS / 1000, cached_statements=512, check_same_thread=False
        )
        try:
            _set_up(connection, query_only)
        except BaseException:
            connection.close()
            raise
        return connection


def _made_private(path: str) -> None:
    try:
        private(path)
    except OSError as error:
        raise StoreLost(error) from error


def _set_up(connection: sqlite3.Connection, query_only: bool) -> None:
    for pragma in (
        "page_size = 4096",
        "synchronous = EXTRA",  # in WAL what FULL is; the change to WAL itself is a rollback journal's removal
        "journal_mode = WAL",
        "fullfsync = ON",  # macOS, where an ordinary fsync stops at the drive's own memory
        "foreign_keys = ON",
        "cache_size = -262144",
        "wal_autocheckpoint = 8000",
        "temp_store = MEMORY",
        "secure_delete = ON",  # what is deleted is overwritten: a digest of a phone must vanish with its person
    ):
        connection.execute(f"PRAGMA {pragma}")
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if mode == "delete":  # a file system without shared memory says so in no other way
        raise StoreLost(OSError("this file system cannot hold a write-ahead log; use a local disk"))
    if query_only:
        connection.execute("PRAGMA query_only = ON")


def _sync_log(path: str) -> None:
    """Make safe what a killed process wrote to the log and did not live to sync: whoever opens the file next takes it
    for committed, and answers from it. Raises `StoreLost`."""
    try:
        with open(f"{path}-wal", "rb") as log:
            os.fsync(log.fileno())
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StoreLost(error) from error


@contextmanager
def _in_our_words() -> Generator[None]:
    """What sqlite3 raises, as the sequencer knows it; a mistake of ours stays what it is."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Conflict(str(error)) from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOST:
            raise StoreLost(error) from error
        raise


class SqliteStore:
    """See `Store`. A kept connection for writing and one for reading, both in the thread of the event loop."""

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = path
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._written = 0
        self._doubtful = False  # a COMMIT failed, and what it wrote may still be found by a recovery

    async def open(self) -> None:
        if self.path != ":memory:":
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            _sync_log(self.path)
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
        with _in_our_words():
            if self._doubtful:
                # A transaction of one page, in the place in the log where the failed one stood: from here on that
                # one has not happened, whatever a crash makes of the log. Fails as long as the disk does.
                self._write.execute("PRAGMA user_version = 1")
                self._doubtful = False
            self._write.execute("BEGIN IMMEDIATE")
            self._written = 0
            return {journal: self._head(journal) for journal in journals}

    def _head(self, journal: str) -> Head:
        row = self._write.execute(
            "SELECT journal, size, leaf, recorded_at, zone, takeover FROM head WHERE journal = ?", (journal,)
        ).fetchone()
        return Head(*row) if row else Head(journal, 0, GENESIS_LEAF, 0, "UTC", 0)

    async def load(self, table: Table, prefixes: Sequence[Key]) -> dict[Key, dict[Key, Row]]:
        with _in_our_words():
            return grouped(table, prefixes, self._rows(table, prefixes))

    def _rows(self, table: Table, prefixes: Sequence[Key]) -> list[Row]:
        rows: list[Row] = []
        execute = self._write.execute
        position = 0
        for size in _CHUNKS:
            sql = _select_sql(table, size)
            while len(prefixes) - position >= size:
                chunk = prefixes[position : position + size]
                rows += execute(sql, [value for prefix in chunk for value in prefix]).fetchall()
                position += size
        return rows

    async def write(self, changes: Changes) -> None:
        with _in_our_words():
            self._write_all(changes)

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
                await asyncio.get_running_loop().run_in_executor(None, self._commit)
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error)) from error
        except sqlite3.Error as error:
            self._doubtful = True
            raise StoreLost(error, committing=True) from error

    def _commit(self) -> None:
        # Closed here: a cursor that ends in another thread would reset a statement that has gone on meanwhile.
        self._write.execute("COMMIT").close()

    async def rollback(self) -> None:
        if self._write.in_transaction:
            self._write.execute("ROLLBACK")

    async def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        assert self._reader is not None, "the store is not open"
        with _in_our_words():
            return self._reader.execute(sql, params).fetchall()

    async def migrate(self, rooms: Mapping[str, Path]) -> list[str]:
        with _in_our_words():
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
