# SPDX-License-Identifier: Apache-2.0
"""Piccolo's engine as we use it: for reading only. Writes go through the ledger's sequencer and nowhere else.

Piccolo's own SQLite engine opens a connection (and a thread) for each query; ours keeps one, which cannot write. On
PostgreSQL the pool's sessions are read-only. `bind` gives the engine to every table of ours.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import asyncpg
from piccolo.engine.base import Engine
from piccolo.engine.postgres import PostgresEngine
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.querystring import QueryString
from piccolo.table import Table

from ledger.store import StoreLost
from ledger.store.sqlite import connect

_ROOMS = ("rules.", "merchants.", "api.")
_LOST = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, TimeoutError)


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


class KeptSqlite(SQLiteEngine):
    """One connection in the thread of the event loop, query-only, without Piccolo's type converters."""

    __slots__ = ("_reader",)

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._reader: sqlite3.Connection | None = None

    async def open(self) -> None:
        self._reader = connect(self.path, query_only=True)
        self._reader.row_factory = _as_dict

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    async def run_querystring(self, querystring: QueryString, in_pool: bool = False) -> Any:
        assert self._reader is not None, "the engine is not open"
        sql, values = querystring.compile_string(engine_type=self.engine_type)
        return self._reader.execute(sql, values).fetchall()

    async def run_ddl(self, ddl: str, in_pool: bool = False) -> Any:
        raise RuntimeError("the schema is made by migrations/, not by Piccolo")


class PooledPostgres(PostgresEngine):
    """A small pool of read-only sessions."""

    __slots__ = ("_size",)

    def __init__(self, url: str, size: int = 4) -> None:
        self._size = size
        super().__init__(
            {
                "dsn": url,
                "command_timeout": 60,
                "server_settings": {
                    "application_name": "jifen-lists",
                    "default_transaction_read_only": "on",
                },
            }
        )

    async def get_version(self) -> float:
        """Piccolo would connect to ask, before anybody has opened anything."""
        return 15.0

    async def open(self) -> None:
        self.pool = await asyncpg.create_pool(**self.config, min_size=0, max_size=self._size)

    async def close(self) -> None:
        if self.pool is not None:
            await self.pool.close()
        self.pool = None

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> Any:
        sql, values = querystring.compile_string(engine_type=self.engine_type)
        assert self.pool is not None, "the engine is not open"
        try:
            async with self.pool.acquire(timeout=20) as connection:
                return [dict(row) for row in await connection.fetch(sql, *values)]
        except _LOST as error:
            raise StoreLost(error) from error

    async def run_ddl(self, ddl: str, in_pool: bool = True) -> Any:
        raise RuntimeError("the schema is made by migrations/, not by Piccolo")


def make_engine(url: str) -> KeptSqlite | PooledPostgres:
    """The reading engine for a database URL. Not opened yet."""
    if url.startswith("sqlite:///"):
        return KeptSqlite(url.removeprefix("sqlite:///"))
    return PooledPostgres(url)


def bind(engine: Engine[Any]) -> list[str]:
    """Give the engine to every table of our rooms that is imported; their names."""
    bound: list[str] = []
    for table in Table.__subclasses__():
        if table.__module__.startswith(_ROOMS):
            table._meta._db = engine
            bound.append(table._meta.tablename)
    return sorted(bound)
