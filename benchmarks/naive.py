# SPDX-License-Identifier: Apache-2.0
"""The baselines: the same commands, rows and durability, but one transaction per request.

`bare` goes through the driver alone (threads on SQLite, a pool on PostgreSQL); `piccolo` through Piccolo's own
transaction and queries. Both read, decide and write exactly what the group commit does, so the ratio shows what
grouping buys and nothing else.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from ledger.clock import system_clock
from ledger.model import Head
from ledger.port import Answer, Command
from ledger.sequencer import replay, request_row, wanted
from ledger.store import PostgresStore, SqliteStore, Store
from ledger.store.base import GENESIS_LEAF, Conflict, grouped
from ledger.tables import REQUEST, Key, Row, Table
from ledger.view import Changes, Missing, Unlocked, View

WORKERS = 16

T = TypeVar("T")


class Way(Protocol):
    """A way to get one command committed."""

    name: str

    async def submit(self, command: Command) -> Answer: ...
    async def close(self) -> None: ...


async def transaction(store: Store, command: Command, key: bytes) -> Answer:
    """One command, one transaction: begin, read, decide, write, commit."""
    journals = set(command.journals)
    while True:
        heads = await store.begin(journals)
        try:
            answer = await _decide(store, command, heads, key)
            await store.commit()
            return answer
        except Unlocked as more:
            journals.add(more.journal)
            await store.rollback()
        except BaseException:
            await store.rollback()
            raise


async def _decide(store: Store, command: Command, heads: dict[str, Head], key: bytes) -> Answer:
    groups: dict[Table, dict[Key, dict[Key, Row]]] = {}
    for table, prefixes in wanted([command], heads).items():
        groups[table] = await store.load(table, sorted(prefixes))
    view = View(system_clock(), heads, groups, key)
    retry = command.retry
    if retry is not None and (known := view.get(REQUEST, retry.caller, retry.key)) is not None:
        outcome = replay(known, retry)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
    while True:
        mark = view.mark()
        try:
            answer = command.decide(view)
            break
        except Missing as missing:
            view.undo(mark)
            groups.setdefault(missing.table, {}).update(await store.load(missing.table, [missing.prefix]))
    if retry is not None:
        view.put(REQUEST, request_row(retry, view.now_us, answer.status, answer.ref, ""))
    changes = view.changes()
    assert changes is not None
    await store.write(changes)
    return answer


class BareSqlite:
    """Sixteen threads, each with a connection of its own, BEGIN IMMEDIATE."""

    name = "bare driver, one transaction a request"

    def __init__(self, path: str, key: bytes) -> None:
        self._path = path
        self._key = key
        self._threads = concurrent.futures.ThreadPoolExecutor(WORKERS)
        self._mine = threading.local()
        self._open: list[SqliteStore] = []

    async def submit(self, command: Command) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, command)

    def _run(self, command: Command) -> Answer:
        store = getattr(self._mine, "store", None)
        if store is None:
            store = self._mine.store = SqliteStore(self._path)
            _now(store.open())
            self._open.append(store)
        return _now(transaction(store, command, self._key))

    async def close(self) -> None:
        self._threads.shutdown()
        for store in self._open:
            await store.close()


def _now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits (SQLite's does not)."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


class Pooled:
    """A fixed number of stores; a request takes one for its transaction. Lost races run again."""

    def __init__(self, name: str, make: Callable[[], Store], count: int, key: bytes) -> None:
        self.name = name
        self._make = make
        self._count = count
        self._key = key
        self._free: asyncio.Queue[Store] = asyncio.Queue()
        self._all: list[Store] = []

    async def submit(self, command: Command) -> Answer:
        if not self._all:
            self._all = [self._make() for _ in range(self._count)]
            for store in self._all:
                await store.open()
                self._free.put_nowait(store)
        store = await self._free.get()
        try:
            while True:
                try:
                    return await transaction(store, command, self._key)
                except Conflict:
                    continue
        finally:
            self._free.put_nowait(store)

    async def close(self) -> None:
        for store in self._all:
            await store.close()


def bare(url: str, key: bytes) -> Way:
    """One transaction per request through the driver."""
    if url.startswith("sqlite:///"):
        return BareSqlite(url.removeprefix("sqlite:///"), key)
    return Pooled("bare driver, one transaction a request", lambda: PostgresStore(url, readers=1), WORKERS, key)


def piccolo(url: str, key: bytes) -> Way:
    """One transaction per request through Piccolo."""
    return Pooled("Piccolo, one transaction a request", lambda: PiccoloStore(url), WORKERS, key)


class PiccoloStore:
    """`Store` on Piccolo's engine: its transaction, and its raw queries with their parameters."""

    def __init__(self, url: str) -> None:
        from piccolo.engine.postgres import PostgresEngine
        from piccolo.engine.sqlite import SQLiteEngine
        from piccolo.table import Table as PiccoloTable

        self.dialect = "sqlite" if url.startswith("sqlite:///") else "postgres"
        self._engine: Any = (
            SQLiteEngine(path=url.removeprefix("sqlite:///"), timeout=120)
            if self.dialect == "sqlite"
            else PostgresEngine({"dsn": url})
        )
        self._raw: Any = type("Anything", (PiccoloTable,), {}, db=self._engine).raw
        self._transaction: Any = None

    async def open(self) -> None:
        if self.dialect == "postgres":
            await self._engine.start_connection_pool(min_size=1, max_size=1)

    async def close(self) -> None:
        if self.dialect == "postgres":
            await self._engine.close_connection_pool()

    async def begin(self, journals: Collection[str]) -> dict[str, Head]:
        from piccolo.engine.sqlite import TransactionType

        how = {"transaction_type": TransactionType.immediate} if self.dialect == "sqlite" else {}
        self._transaction = self._engine.transaction(**how)
        await self._transaction.__aenter__()
        heads = {journal: Head(journal, 0, GENESIS_LEAF, 0, "UTC", 0) for journal in journals}
        lock = "" if self.dialect == "sqlite" else " FOR UPDATE"
        for journal in sorted(journals):
            sql = f"SELECT journal, size, leaf, recorded_at, zone, takeover FROM head WHERE journal = {{}}{lock}"
            for row in await self._raw(sql, journal):
                heads[journal] = Head(**row)
        return heads

    async def load(self, table: Table, prefixes: Sequence[Key]) -> dict[Key, dict[Key, Row]]:
        names = table.names
        where = " AND ".join(f"{name} = {{}}" for name in names[: table.group])
        rows: list[Row] = []
        for prefix in prefixes:
            found = await self._raw(f"SELECT {', '.join(names)} FROM {table.name} WHERE {where}", *prefix)
            rows += [tuple(row[name] for name in names) for row in found]
        return grouped(table, prefixes, rows)

    async def write(self, changes: Changes) -> None:
        columns = ("journal", "seq", "leaf", "prev", "kind", "subject", "recorded_at", "body")
        for entry in changes.entries:
            await self._insert("entry", columns, entry)
        for table, rows in changes.dirty.items():
            new, changed, gone = rows.split()
            key, rest = table.names[: table.key], table.names[table.key :]
            match = " AND ".join(f"{name} = {{}}" for name in key)
            for row in new:
                await self._insert(table.name, table.names, row)
            for row in changed:
                change = ", ".join(f"{name} = {{}}" for name in rest)
                await self._raw(f"UPDATE {table.name} SET {change} WHERE {match}", *row[table.key :], *row[: table.key])
            for one in gone:
                await self._raw(f"DELETE FROM {table.name} WHERE {match}", *one)
        for table, added in changes.inserts.items():
            for row in added:
                await self._insert(table.name, table.names, row)
        for head, was in changes.heads:
            await self._raw(
                "UPDATE head SET size = {}, leaf = {}, recorded_at = {} WHERE journal = {} AND size = {}",
                head.size,
                head.leaf,
                head.recorded_at,
                head.journal,
                was,
            )

    async def _insert(self, table: str, columns: Sequence[str], row: Sequence[Any]) -> None:
        values = ", ".join(["{}"] * len(columns))
        await self._raw(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", *row)

    async def commit(self) -> None:
        await self._transaction.__aexit__(None, None, None)

    async def rollback(self) -> None:
        await self._transaction.__aexit__(RuntimeError, RuntimeError("rolled back"), None)

    async def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    async def migrate(self, rooms: Mapping[str, Any]) -> list[str]:
        raise NotImplementedError
