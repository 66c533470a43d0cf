# SPDX-License-Identifier: Apache-2.0
"""One instant of the database, read on a connection of the verifier's own, so that a server goes on serving.

Plain calls, no event loop: replay runs in threads and processes of its own, where waiting costs nobody anything.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import quote

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

Row = tuple[Any, ...]
CHUNK = 128  # rows in memory at a time: with their bodies they stay in the processor's cache
PREFETCH = 4_096  # rows that PostgreSQL sends at once
MAPPED = 1 << 40  # bytes of the file that SQLite may map: all of it, or as much as it was built for

_asyncpg: Any = asyncpg  # it ships no types of its own


class Source(Protocol):
    """A read transaction: everything read through it is of one instant."""

    def chunks(self, sql: str, *params: Any) -> Iterator[Sequence[Row]]:
        """Rows some at a time; `?` for parameters. One at once: finish it before the next."""
        ...

    def rows(self, sql: str, *params: Any) -> Sequence[Row]: ...
    def share(self) -> str:
        """What another process passes to `open_source` to see the same instant; '' where the caller must hold the
        writers up meanwhile."""
        ...

    def close(self) -> None: ...


def open_source(url: str, shared: str = "") -> Source:
    """A source of the database as it is now, or as the process sees it that shared its instant."""
    if url.startswith("sqlite:///"):
        return SqliteSource(url.removeprefix("sqlite:///"))
    return PostgresSource(url, shared)


class SqliteSource:
    """Read-only. In WAL mode a reader holds up no commit, only the shrinking of the log."""

    def __init__(self, path: str) -> None:
        where = f"file:{quote(path)}?mode=ro"
        self._connection = sqlite3.connect(where, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
        self._connection.execute("PRAGMA cache_size = -16384")
        self._connection.execute(f"PRAGMA mmap_size = {MAPPED}")  # pages are read where they lie, not copied
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT 1 FROM sqlite_master").fetchall()  # from here on it is this instant

    def chunks(self, sql: str, *params: Any) -> Iterator[Sequence[Row]]:
        cursor = self._connection.execute(sql, params)
        while rows := cursor.fetchmany(CHUNK):
            yield rows

    def rows(self, sql: str, *params: Any) -> Sequence[Row]:
        return self._connection.execute(sql, params).fetchall()

    def share(self) -> str:
        return ""

    def close(self) -> None:
        self._connection.close()


class PostgresSource:
    """REPEATABLE READ, READ ONLY, on an event loop that only this object turns."""

    def __init__(self, url: str, shared: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection: Any = None
        self._run(self._open(url, shared))

    async def _open(self, url: str, shared: str) -> None:
        settings = {"application_name": "jifen-verify", "idle_in_transaction_session_timeout": "0", "jit": "off"}
        self._connection = await _asyncpg.connect(url, server_settings=settings)
        await self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        if shared:
            await self._connection.execute(f"SET TRANSACTION SNAPSHOT '{shared}'")
        await self._connection.fetchval("SELECT 1")

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    def chunks(self, sql: str, *params: Any) -> Iterator[Sequence[Row]]:
        cursor = self._run(self._cursor(sql, params))
        while rows := self._run(cursor.fetch(PREFETCH)):
            for start in range(0, len(rows), CHUNK):
                yield [tuple(row) for row in rows[start : start + CHUNK]]

    async def _cursor(self, sql: str, params: Sequence[Any]) -> Any:
        return await self._connection.cursor(_numbered(sql), *params)

    def rows(self, sql: str, *params: Any) -> Sequence[Row]:
        return [tuple(row) for row in self._run(self._connection.fetch(_numbered(sql), *params))]

    def share(self) -> str:
        return str(self._run(self._connection.fetchval("SELECT pg_export_snapshot()")))

    def close(self) -> None:
        with suppress(Exception):
            self._run(self._connection.close(timeout=5))
        self._loop.close()


def _numbered(sql: str) -> str:
    count = iter(range(1, 1000))
    return re.sub(r"\?", lambda _: f"${next(count)}", sql)
