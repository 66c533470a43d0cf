# SPDX-License-Identifier: Apache-2.0
"""What a post costs in an empty ledger and in one with millions of entries: retry keys in order of arrival, and random.

The millions are laid down by SQL, not posted (that would take an hour): random bytes of the right size under keys of
the right shape, in the same tables and indexes. What is then measured are real awards through the desk.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any

import asyncpg

from benchmarks.figures import header, table
from benchmarks.town import STAFF, Town, town

WAVE = 256
PEOPLE = 20_000
SAMPLE = 10_000  # awards whose cost is averaged
STEP = 250_000  # rows laid down in one transaction

# {n} is the number of the row; one statement per table and database. `bench` is the caller of the awards measured.
_SQLITE = {
    "entry": "SELECT 'fill', n, randomblob(32), randomblob(32), 'award', 'sub_' || hex(randomblob(8)), n, "
    "randomblob(1250)",
    "award": "SELECT 'awd_' || printf('%014x', n) || hex(randomblob(6)), NULL, NULL, 'posted', 'posted', NULL, "
    "'sub_x', "
    "'fill', n, randomblob(32), '370321001001', 'RE-01', 'G3', '2026-01-01', 'E2', 0, 100, 'stf_bench', NULL, n, NULL, "
    "NULL, randomblob(1500)",
    "cause": "SELECT CAST(char(20 + n / 1250000, n / 12500 % 100) || randomblob(30) AS BLOB), 'fill', n, 0, 0",
    "request": "SELECT 'bench', {key}, randomblob(32), 201, 'awd_', '', n",
    "tally": "SELECT 'fill', date('2025-01-01', (n / 12500) || ' days'), 'sub_' || hex(randomblob(8)), 'RE-01/day', 60",
}
_POSTGRES = {
    "entry": "SELECT 'fill', n, sha256(n::text::bytea), sha256(n::text::bytea), 'award', "
    "'sub_' || md5(random()::text), n, "
    "decode(repeat(md5(random()::text), 78), 'hex')",
    "award": "SELECT 'awd_' || lpad(to_hex(n), 14, '0') || left(md5(random()::text), 12), NULL, NULL, 'posted', "
    "'posted', NULL, 'sub_x', 'fill', n, sha256(n::text::bytea), '370321001001', 'RE-01', 'G3', '2026-01-01', 'E2', 0, "
    "100, 'stf_bench', NULL, n, NULL, NULL, decode(repeat(md5(random()::text), 94), 'hex')",
    "cause": "SELECT decode(lpad(to_hex(5000 + n / 12500), 4, '0'), 'hex') || "
    "substr(sha256(random()::text::bytea), 1, 30), "
    "'fill', n, 0, 0",
    "request": "SELECT 'bench', {key}, sha256(n::text::bytea), 201, 'awd_', '', n",
    "tally": "SELECT 'fill', (date '2025-01-01' + (n / 12500)::int)::text, 'sub_' || md5(random()::text), "
    "'RE-01/day', 60",
}
_KEYS = {
    ("sqlite", "arrival"): "'terminal-1:' || printf('%012d', n)",
    ("sqlite", "random"): "lower(hex(randomblob(16)))",
    ("postgres", "arrival"): "'terminal-1:' || lpad(n::text, 12, '0')",
    ("postgres", "random"): "md5(random()::text)",
}


async def run(databases: dict[str, Callable[[], str]], *, entries: int) -> None:
    """Cost per award before and after, and how large tables and indexes are then."""
    header(f"Growth to {entries:,} entries")
    rows: list[tuple[str, ...]] = []
    for name, fresh in databases.items():
        for keys in ("arrival", "random"):
            async with town(fresh(), PEOPLE, communities=4) as place:
                numbers = itertools.count()
                first = await _cost(place, numbers, keys)
                await _fill(place, entries, keys)
                last = await _cost(place, numbers, keys)
                row = (name, keys, f"{first:.0f} µs", f"{last:.0f} µs", f"{last / first:.2f}×", await _sizes(place))
                print(" · ".join(row), file=sys.stderr, flush=True)
                rows.append(row)
    table(("database", "retry keys", "empty", "full", "ratio", "largest tables and indexes, MB"), rows)


async def _cost(place: Town, numbers: itertools.count[int], keys: str) -> float:
    """Microseconds per award, 256 at a time: the median of three samples, after one that is not counted."""
    costs: list[float] = []
    for _ in range(4):
        began = time.perf_counter()
        for _ in range(SAMPLE // WAVE):
            await asyncio.gather(*(_post(place, next(numbers), keys) for _ in range(WAVE)))
        costs.append((time.perf_counter() - began) / (SAMPLE // WAVE * WAVE) * 1e6)
    return sorted(costs[1:])[1]


async def _post(place: Town, number: int, keys: str) -> None:
    key = secrets.token_hex(16) if keys == "random" else f"terminal-1:{number + 10**9:012d}"
    retry = place.world.ledger.retry("bench", key, b"request")
    await place.world.desk.award(STAFF, place.report(number), retry)


async def _fill(place: Town, entries: int, keys: str) -> None:
    dialect = place.world.ledger.store.dialect
    statements = _SQLITE if dialect == "sqlite" else _POSTGRES
    key = _KEYS[dialect, keys]
    if dialect == "sqlite":
        _fill_sqlite(place.url.removeprefix("sqlite:///"), entries, statements, key)
    else:
        await _fill_postgres(place.url, entries, statements, key)


def _fill_sqlite(path: str, entries: int, statements: dict[str, str], key: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    chained = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entry_chained'").fetchone()[0]
    connection.execute("DROP TRIGGER entry_chained")
    for start in range(0, entries, STEP):
        connection.execute("BEGIN IMMEDIATE")
        for name, select in statements.items():
            numbers = f"WITH RECURSIVE c(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM c LIMIT {STEP})"
            connection.execute(f"INSERT INTO {name} {numbers} {select.format(key=key)} FROM c")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(chained)
    connection.close()


async def _fill_postgres(url: str, entries: int, statements: dict[str, str], key: str) -> None:
    connection: Any = await asyncpg.connect(url)
    await connection.execute("ALTER TABLE entry DISABLE TRIGGER USER")
    await connection.execute("ALTER TABLE entry DROP CONSTRAINT entry_hashed")
    for start in range(0, entries, STEP):
        for name, select in statements.items():
            numbers = f"generate_series({start}::bigint, {start + STEP - 1}) AS c(n)"
            await connection.execute(f"INSERT INTO {name} {select.format(key=key)} FROM {numbers}")
    await connection.execute("ALTER TABLE entry ENABLE TRIGGER USER")
    await connection.execute(
        "ALTER TABLE entry ADD CONSTRAINT entry_hashed CHECK (leaf = sha256('\\x00'::bytea || body)) NOT VALID"
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def _sizes(place: Town) -> str:
    ledger = place.world.ledger
    if ledger.store.dialect == "sqlite":
        rows = await ledger.fetch("SELECT name, SUM(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 9")
    else:
        rows = await ledger.fetch(
            "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relkind IN ('r', 'i') "
            "AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC LIMIT 9"
        )
    return ", ".join(f"{name} {int(size) / 1e6:,.0f}" for name, size in rows)
