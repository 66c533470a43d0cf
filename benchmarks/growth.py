# SPDX-License-Identifier: Apache-2.0
"""What a post costs as the ledger fills: retry keys in order of arrival, and random ones; and how large things get."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from datetime import date, timedelta

from benchmarks.figures import header, table
from benchmarks.town import STAFF, Town, town

WAVE = 256
PEOPLE = 20_000
SAMPLE = 20_000  # posts whose cost is averaged at each mark


async def run(databases: dict[str, Callable[[], str]], *, entries: int) -> None:
    """Cost per post at the start and at the end, and table and index sizes."""
    header(f"Growth to {entries:,} entries")
    rows: list[tuple[str, ...]] = []
    for name, fresh in databases.items():
        for keys in ("arrival order", "random"):
            async with town(fresh(), PEOPLE, communities=4) as place:
                first, last = await _fill(place, entries, keys == "random")
                rows.append((name, keys, f"{first:.0f} µs", f"{last:.0f} µs", f"{last / first:.2f}×", await _sizes(place)))
    table(("database", "retry keys", "first posts", "last posts", "ratio", "sizes, MB"), rows)


async def _fill(place: Town, entries: int, random_keys: bool) -> tuple[float, float]:
    costs: list[float] = []
    made = itertools.count()
    day = date.today() - timedelta(days=25)
    per_day = entries // 25 + 1
    desk, ledger = place.world.desk, place.world.ledger
    done = 0
    while done < entries:
        began = time.perf_counter()
        posted = 0
        while posted < SAMPLE:
            rows: list[tuple[int, object]] = []
            for _ in range(WAVE):
                number = next(made)
                report = place.report(number, day + timedelta(days=number // per_day))
                rows.append((number, report))
            await _wave(desk, ledger, rows, random_keys)
            posted += WAVE
        costs.append((time.perf_counter() - began) / posted * 1e6)
        done += posted
    return costs[1] if len(costs) > 2 else costs[0], costs[-1]


async def _wave(desk: object, ledger: object, rows: list[tuple[int, object]], random_keys: bool) -> None:
    import asyncio

    async def one(number: int, report: object) -> None:
        key = secrets.token_hex(16) if random_keys else f"terminal-1:{number:012d}"
        await desk.award(STAFF, report, ledger.retry("bench", key, b"request"))  # type: ignore[attr-defined]

    await asyncio.gather(*(one(number, report) for number, report in rows))


async def _sizes(place: Town) -> str:
    ledger = place.world.ledger
    if ledger.store.dialect == "sqlite":
        try:
            rows = await ledger.fetch("SELECT name, SUM(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 8")
        except Exception:  # SQLite built without dbstat
            rows = [("file", (await ledger.fetch("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))[0][0])]
    else:
        rows = await ledger.fetch(
            "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relkind IN ('r', 'i') "
            "AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC LIMIT 8"
        )
    return ", ".join(f"{name} {int(size) / 1e6:.0f}" for name, size in rows)
