# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: the head row is the lock, taken first and in sorted order; writes are a few set-based statements."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from ledger.migrate import migrate_postgres
from ledger.model import Head
from ledger.store.base import GENESIS_LEAF, Conflict, StoreLost, grouped
from ledger.tables import ColumnType, Key, Row, Table
from ledger.view import Changes

_asyncpg: Any = asyncpg  # it ships no types of its own
_CAST: dict[ColumnType, str] = {"text": "text", "int": "bigint", "blob": "bytea"}
_COPY_FROM = 32  # entries from which COPY beats one INSERT … SELECT FROM unnest
_ENTRY_COLUMNS: tuple[tuple[str, ColumnType], ...] = (
    ("journal", "text"),
    ("seq", "int"),
    ("leaf", "blob"),
    ("prev", "blob"),
    ("kind", "text"),
    ("subject", "text"),
    ("recorded_at", "int"),
    ("body", "blob"),
)
# Row locks and keys we name are always reached by their index; without this a fresh table's statistics make the
# planner read all of it. Idle transactions and lock waits are bounded so that a hung peer cannot stop a journal.
_SETTINGS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "30s",
    "application_name": "jifen",
}
# Where the server or the role lets COMMIT answer before the log is on disk, a crash takes back entries that were
# acknowledged, and even signed; anything stricter than `on` stays.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
_HEADS = (
    "SELECT journal, size, leaf, recorded_at, zone, takeover FROM head WHERE journal = ANY($1) "
    "ORDER BY journal FOR UPDATE"
)
_LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a session that was ended between two of our statements answers
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,  # no connection, no memory, no room on its disk
)
_REFUSED = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)


class PostgresStore:
    """See `Store`. One connection writes; a small pool reads."""

    dialect = "postgres"

    def __init__(self, url: str, readers: int = 4) -> None:
        self.url = url
        self._readers = readers
        self._connection: Any = None
        self._pool: Any = None

    @property
    def _writer(self) -> Any:
        assert self._connection is not None, "the store is not open"
        return self._connection

    async def open(self) -> None:
        try:
            self._connection = await _asyncpg.connect(self.url, server_settings=_SETTINGS, command_timeout=60)
            await self._connection.execute(_DURABLE)
            if self._pool is None:
                self._pool = await _asyncpg.create_pool(
                    self.url,
                    min_size=1,
                    max_size=self._readers,
                    command_timeout=60,
                    server_settings={"application_name": "jifen-read"},
                )
        except _LOST as error:
            raise StoreLost(error) from error

    async def close(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close(timeout=5)
        self._connection = None
        if self._pool is not None:
            await self._pool.close()
        self._pool = None

    async def begin(self, journals: Collection[str]) -> dict[str, Head]:
        try:
            if self._connection is None or self._connection.is_closed():
                await self.open()
            await self._writer.execute("BEGIN")
            rows: list[Any] = await self._writer.fetch(_HEADS, sorted(journals)) if journals else []
        except _LOST as error:
            raise StoreLost(error) from error
        except _REFUSED as error:
            raise Conflict(str(error)) from error
        heads = {journal: Head(journal, 0, GENESIS_LEAF, 0, "UTC", 0) for journal in journals}
        heads.update((row[0], Head(*row)) for row in rows)
        return heads

    async def load(self, table: Table, prefixes: Sequence[Key]) -> dict[Key, dict[Key, Row]]:
        try:
            rows = await self._writer.fetch(_select_sql(table), *_columns(prefixes, table.group))
        except _LOST as error:
            raise StoreLost(error) from error
        except _REFUSED as error:
            raise Conflict(str(error)) from error
        return grouped(table, prefixes, map(tuple, rows))

    async def write(self, changes: Changes) -> None:
        try:
            await self._write_all(changes)
        except _LOST as error:
            raise StoreLost(error) from error
        except _REFUSED as error:
            raise Conflict(str(error)) from error

    async def _write_all(self, changes: Changes) -> None:
        fetch = self._writer.fetch
        await self._insert("entry", _ENTRY_COLUMNS, changes.entries)
        for table, rows in changes.dirty.items():
            new, changed, gone = rows.split()
            await self._insert(table.name, table.columns, new)
            if changed:
                await fetch(_update_sql(table), *_columns(changed, len(table.columns)))
            if gone:
                await fetch(_delete_sql(table), *_columns(gone, table.key))
        for table, rows in changes.inserts.items():
            await self._insert(table.name, table.columns, rows)
        for head, was in changes.heads:
            if was:
                done = await self._writer.execute(
                    "UPDATE head SET size = $2, leaf = $3, recorded_at = $4, takeover = $5 "
                    "WHERE journal = $1 AND size = $6",
                    head.journal,
                    head.size,
                    head.leaf,
                    head.recorded_at,
                    head.takeover,
                    was,
                )
                if done != "UPDATE 1":
                    raise Conflict(f"head of {head.journal} is not at {was}")
            else:
                await self._writer.execute(
                    "INSERT INTO head (journal, size, leaf, recorded_at, zone, takeover) "
                    "VALUES ($1, $2, $3, $4, $5, $6)",
                    head.journal,
                    head.size,
                    head.leaf,
                    head.recorded_at,
                    head.zone,
                    head.takeover,
                )

    async def _insert(self, name: str, columns: Sequence[tuple[str, ColumnType]], rows: Sequence[Row]) -> None:
        if not rows:
            return
        if len(rows) >= _COPY_FROM:
            await self._writer.copy_records_to_table(name, records=rows, columns=[c for c, _ in columns])
        else:
            await self._writer.fetch(_insert_sql(name, columns), *_columns(rows, len(columns)))

    async def commit(self) -> None:
        try:
            await self._writer.execute("COMMIT")
        except _REFUSED as error:
            raise Conflict(str(error)) from error
        except _LOST as error:
            raise StoreLost(error, committing=True) from error

    async def rollback(self) -> None:
        if self._connection is None:
            return
        try:
            await self._writer.execute("ROLLBACK")
        except Exception:  # the connection is beyond use: the next begin makes a new one
            await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        connection.terminate()

    async def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        if self._pool is None:
            await self.open()
        try:
            pool: Any = self._pool
            async with pool.acquire(timeout=20) as connection:
                return [tuple(row) for row in await connection.fetch(_numbered(sql), *params)]
        except (*_LOST, TimeoutError) as error:
            raise StoreLost(error) from error

    async def migrate(self, rooms: Mapping[str, Path]) -> list[str]:
        return await migrate_postgres(self._connection, rooms)


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as columns, the shape in which unnest takes them."""
    columns = [list(column) for column in zip(*rows, strict=True)][:width]
    return columns


_SQL: dict[tuple[str, Any], str] = {}


def _numbered(sql: str) -> str:
    """`?` placeholders as `$1, $2, …`; our SQL holds no other question mark."""
    key = ("numbered", sql)
    if key not in _SQL:
        count = iter(range(1, 1000))
        _SQL[key] = re.sub(r"\?", lambda _: f"${next(count)}", sql)
    return _SQL[key]


def _unnest(columns: Sequence[tuple[str, ColumnType]]) -> str:
    return "unnest(" + ", ".join(f"${i}::{_CAST[kind]}[]" for i, (_, kind) in enumerate(columns, 1)) + ")"


def _select_sql(table: Table) -> str:
    key = ("select", table)
    if key not in _SQL:
        columns = table.columns[: table.group]
        names = ", ".join(name for name, _ in columns)
        match = " AND ".join(f"t.{name} = k.{name}" for name, _ in columns)
        order = ", ".join(f"t.{name}" for name in table.names[: table.key])
        lock = "" if table.cached else f" ORDER BY {order} FOR UPDATE OF t"
        _SQL[key] = (
            f"SELECT {', '.join(f't.{name}' for name in table.names)} FROM {_unnest(columns)} AS k({names}) "
            f"JOIN {table.name} t ON {match}{lock}"
        )
    return _SQL[key]


def _insert_sql(name: str, columns: Sequence[tuple[str, ColumnType]]) -> str:
    key = ("insert", name)
    if key not in _SQL:
        names = ", ".join(column for column, _ in columns)
        _SQL[key] = f"INSERT INTO {name} ({names}) SELECT * FROM {_unnest(columns)}"
    return _SQL[key]


def _update_sql(table: Table) -> str:
    key = ("update", table)
    if key not in _SQL:
        names = ", ".join(table.names)
        match = " AND ".join(f"t.{name} = k.{name}" for name in table.names[: table.key])
        change = ", ".join(f"{name} = k.{name}" for name in table.names[table.key :])
        _SQL[key] = f"UPDATE {table.name} t SET {change} FROM {_unnest(table.columns)} AS k({names}) WHERE {match}"
    return _SQL[key]


def _delete_sql(table: Table) -> str:
    key = ("delete", table)
    if key not in _SQL:
        columns = table.columns[: table.key]
        names = ", ".join(name for name, _ in columns)
        match = " AND ".join(f"t.{name} = k.{name}" for name, _ in columns)
        _SQL[key] = f"DELETE FROM {table.name} t USING {_unnest(columns)} AS k({names}) WHERE {match}"
    return _SQL[key]
