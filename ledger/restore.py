# SPDX-License-Identifier: Apache-2.0
"""Restoring a backup into an empty database of either kind: schema, rows and a mark, in one transaction.

Until the transaction commits there is nothing; from then on until `finish` the database carries a mark, and nobody
opens it. What stands between the two (erasures, verification, the fork guard) is the caller's and may be repeated.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from ledger.backup import Archive, Progress, Veil
from ledger.errors import Refusal
from ledger.migrate import DONE, UNFINISHED, SchemaError, Step, steps
from ledger.snapshot import Layout, postgres_layouts, sqlite_layouts
from ledger.store.sqlite import connect
from ledger.tables import Row

_asyncpg: Any = asyncpg  # it ships no types of its own
# A table that was never analysed looks empty to the planner, and the trigger on entries would read all of it each time.
_SETTINGS = {
    "application_name": "jifen-restore",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "idle_in_transaction_session_timeout": "0",
}


class Loaded(NamedTuple):
    """`rows` were written: 0 when an earlier attempt had done so already. `foreign` are tables that no step of ours
    makes: somebody else's in the same database, left out."""

    rows: int
    foreign: list[str]


class _Target(Protocol):
    dialect: str

    async def layouts(self) -> dict[str, Layout]: ...
    async def fetch(self, sql: str) -> list[Row]: ...
    async def run(self, sql: str, *params: str) -> None: ...
    async def insert(self, layout: Layout, rows: list[Row]) -> None: ...


async def load(
    url: str, rooms: Mapping[str, Path], archive: Archive, name: str, veil: Veil, progress: Progress | None = None
) -> Loaded:
    """Write everything in the backup called `name` and mark the database as unfinished.

    Raises `database_not_empty`; `restore_unfinished` when another backup was begun here; `SchemaError` when the backup
    is newer than this software.
    """
    async with _opened(url) as target:
        if await _begun(target, archive):
            return Loaded(0, [])
        manifest = archive.manifest
        await target.run(DONE)
        made = {(room, step): digest for room, step, digest in manifest.schema}
        list(steps(rooms, manifest.dialect, made))  # knows every step that the backup has had, unchanged
        before, after = _divided(list(steps(rooms, target.dialect, {})), made)
        await _migrate(target, before)
        layouts = await target.layouts()
        count = 0
        for table in manifest.tables:
            if table not in layouts:
                continue
            layout = archive.layout(table)
            if set(layouts[table].columns) != set(layout.columns):
                raise SchemaError(f"table {table} of the backup has other columns than this software gives it")
            for rows in archive.blocks(table):
                shown = veil.show(layout, rows)
                await target.insert(layout, shown)
                count += len(shown)
                if progress is not None:
                    progress(len(rows), what=table)
        await _migrate(target, after)
        await target.run(_MARK, UNFINISHED, name, archive.mac)
        return Loaded(count, sorted(manifest.tables.keys() - layouts.keys()))


_MARK = "INSERT INTO migration (room, step, hash) VALUES (?, ?, ?)"


async def finish(url: str) -> None:
    """Take the mark away: the database may be opened."""
    async with _opened(url) as target:
        await target.run("DELETE FROM migration WHERE room = ?", UNFINISHED)


async def _begun(target: _Target, archive: Archive) -> bool:
    """Did an earlier attempt write this backup? False for an empty database; a refusal for any other."""
    layouts = await target.layouts()
    if not layouts:
        return False
    if "migration" in layouts:
        for room, step, mac in await target.fetch("SELECT room, step, hash FROM migration"):
            if room == UNFINISHED and mac != archive.mac:
                raise Refusal("restore_unfinished", file=step)
            if room == UNFINISHED:
                return True
    raise Refusal("database_not_empty", table=min(layouts))


def _divided(all_steps: list[Step], made: Mapping[tuple[str, str], str]) -> tuple[list[Step], list[Step]]:
    """The steps up to where the backup's database was, and those that came later."""
    newest: dict[str, str] = {}
    for room, step in made:
        newest[room] = max(newest.get(room, ""), step[:4])
    before = [step for step in all_steps if step.name[:4] <= newest.get(step.room, "")]
    return before, [step for step in all_steps if step not in before]


async def _migrate(target: _Target, wanted: list[Step]) -> None:
    for step in wanted:
        for statement in step.statements:
            await target.run(statement)
        await target.run(_MARK, *step[:3])


# the two databases -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[_Target]:
    """A transaction of its own: all that is done in the block, or nothing."""
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(str(path))
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield _Sqlite(connection)
            await asyncio.to_thread(lambda: connection.execute("COMMIT").close())
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.close()
        return
    session: Any = await _asyncpg.connect(url, server_settings=_SETTINGS)
    try:
        async with session.transaction():
            yield _Postgres(session)
    finally:
        await session.close()


class _Sqlite:
    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def layouts(self) -> dict[str, Layout]:
        return sqlite_layouts(self._connection)

    async def fetch(self, sql: str) -> list[Row]:
        return self._connection.execute(sql).fetchall()

    async def run(self, sql: str, *params: str) -> None:
        self._connection.execute(sql, params)

    async def insert(self, layout: Layout, rows: list[Row]) -> None:
        sql = f"INSERT INTO {layout.name} ({', '.join(layout.names)}) VALUES ({', '.join('?' * len(layout.names))})"
        # The cursor ends in the thread that made it: let go later, it would reset the statement that runs by then.
        await asyncio.to_thread(lambda: self._connection.executemany(sql, rows).close())


class _Postgres:
    dialect = "postgres"

    def __init__(self, session: Any) -> None:
        self._session = session

    async def layouts(self) -> dict[str, Layout]:
        return await postgres_layouts(self._session)

    async def fetch(self, sql: str) -> list[Row]:
        return [tuple(row) for row in await self._session.fetch(sql)]

    async def run(self, sql: str, *params: str) -> None:
        for number in range(len(params)):
            sql = sql.replace("?", f"${number + 1}", 1)
        await self._session.execute(sql, *params)

    async def insert(self, layout: Layout, rows: list[Row]) -> None:
        await self._session.copy_records_to_table(layout.name, records=rows, columns=list(layout.names))
