# SPDX-License-Identifier: Apache-2.0
"""A whole database as it is at one instant, read table by table on a connection of its own while others go on writing.

Which tables and columns there are is asked of the database itself, so that a table added later is not forgotten.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from ledger.migrate import SchemaError
from ledger.store.sqlite import connect
from ledger.tables import ColumnType, Row

CHUNK = 1_000  # rows in memory at a time

_asyncpg: Any = asyncpg  # it ships no types of its own
_KINDS: dict[str, ColumnType] = {
    "TEXT": "text", "INTEGER": "int", "BLOB": "blob",
    "text": "text", "bigint": "int", "bytea": "blob",
}  # fmt: skip
_POSTGRES_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
  coalesce(array_position(i.indkey::int2[], a.attnum), -1)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
ORDER BY c.relname, a.attnum
"""


class UnknownColumn(SchemaError):
    """A column of a type that does not mean the same on both databases; the message names it."""


class Layout(NamedTuple):
    """A table as the database describes it: columns in their order, and the names of its primary key."""

    name: str
    columns: tuple[tuple[str, ColumnType], ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


class Snapshot(Protocol):
    """One instant of one database."""

    dialect: str

    async def fetch(self, sql: str) -> list[Row]: ...
    async def layouts(self) -> dict[str, Layout]:
        """Every table by name. Raises `UnknownColumn`."""
        ...

    def rows(self, layout: Layout) -> AsyncIterator[list[Row]]:
        """All rows in the order of the key, some at a time."""
        ...


@asynccontextmanager
async def snapshot(url: str) -> AsyncGenerator[Snapshot]:
    """The database at this instant, for as long as the block lasts. No commit waits for it."""
    if url.startswith("sqlite:///"):
        connection = connect(url.removeprefix("sqlite:///"), query_only=True)
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM sqlite_master").fetchall()  # from here on it is this instant
            yield SqliteSnapshot(connection)
        finally:
            connection.close()
        return
    settings = {"application_name": "jifen-backup", "idle_in_transaction_session_timeout": "0"}
    connection: Any = await _asyncpg.connect(url, server_settings=settings)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield PostgresSnapshot(connection)
    finally:
        await connection.close()


def laid_out(described: Sequence[tuple[str, str, str, int]]) -> dict[str, Layout]:
    """(table, column, type, place in the key or -1), in order, as layouts. Raises `UnknownColumn`."""
    columns: dict[str, list[tuple[str, ColumnType]]] = {}
    keys: dict[str, list[tuple[int, str]]] = {}
    for table, column, kind, place in described:
        if kind not in _KINDS:
            raise UnknownColumn(f"{table}.{column} is of type {kind}; a backup carries text, integers and bytes")
        columns.setdefault(table, []).append((column, _KINDS[kind]))
        if place >= 0:
            keys.setdefault(table, []).append((place, column))
    return {
        table: Layout(table, tuple(found), tuple(name for _, name in sorted(keys.get(table, ()))))
        for table, found in columns.items()
    }


def sqlite_layouts(connection: sqlite3.Connection) -> dict[str, Layout]:
    rows = connection.execute(
        "SELECT m.name, c.name, c.type, c.pk - 1 FROM sqlite_master m JOIN pragma_table_info(m.name) c "
        "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, c.cid"
    ).fetchall()
    return laid_out(rows)


async def postgres_layouts(connection: Any) -> dict[str, Layout]:
    return laid_out([tuple(row) for row in await connection.fetch(_POSTGRES_COLUMNS)])


def _select(layout: Layout) -> str:
    order = f" ORDER BY {', '.join(layout.key)}" if layout.key else ""
    return f"SELECT {', '.join(layout.names)} FROM {layout.name}{order}"


class SqliteSnapshot:
    """See `Snapshot`. A read transaction: in WAL mode it holds up nobody's commit, only the shrinking of the log."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str) -> list[Row]:
        return await asyncio.to_thread(lambda: self._connection.execute(sql).fetchall())

    async def layouts(self) -> dict[str, Layout]:
        return sqlite_layouts(self._connection)

    async def rows(self, layout: Layout) -> AsyncIterator[list[Row]]:
        cursor = await asyncio.to_thread(self._connection.execute, _select(layout))
        while rows := await asyncio.to_thread(cursor.fetchmany, CHUNK):
            yield rows


class PostgresSnapshot:
    """See `Snapshot`. REPEATABLE READ, READ ONLY."""

    dialect = "postgres"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, sql: str) -> list[Row]:
        return [tuple(row) for row in await self._connection.fetch(sql)]

    async def layouts(self) -> dict[str, Layout]:
        return await postgres_layouts(self._connection)

    async def rows(self, layout: Layout) -> AsyncIterator[list[Row]]:
        cursor = await self._connection.cursor(_select(layout))
        while rows := await cursor.fetch(CHUNK):
            yield [tuple(row) for row in rows]
