# SPDX-License-Identifier: Apache-2.0
"""Single awards in process, every feature on (rules, caps, floors, lots, retry keys, chain), against one transaction
per request through the bare driver and through Piccolo: the same commands, the same rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from benchmarks import naive
from benchmarks.figures import Figure, drive, header, median, table
from benchmarks.town import STAFF, Town, town
from ledger.codec import hmac_sha256
from ledger.port import Answer, Command

CLIENTS = (1, 16, 256)


async def run(
    databases: dict[str, Callable[[], str]], *, seconds: float = 3, runs: int = 3, people: int = 2000
) -> None:
    """A table per database: posts/s and latencies by number of clients, and the ratios."""
    header("Single awards in process")
    for name, fresh in databases.items():
        print(f"### {name}\n")
        rows: list[tuple[str, ...]] = []
        for clients in CLIENTS:
            group = await _measure(fresh, clients, seconds, runs, people, None)
            for way in ("bare", "piccolo"):
                single = await _measure(fresh, clients, seconds, 1 if way == "piccolo" else runs, people, way)
                rows.append(
                    (
                        str(clients), f"{group.per_second:,.0f}", f"{group.p50:.1f} / {group.p99:.1f}",
                        way, f"{single.per_second:,.0f}", f"{single.p50:.1f} / {single.p99:.0f}",
                        f"{group.per_second / single.per_second:.2f}×",
                    )
                )  # fmt: skip
        table(("clients", "group commit/s", "p50 / p99 ms", "baseline", "baseline/s", "p50 / p99 ms", "ratio"), rows)


async def _measure(
    fresh: Callable[[], str], clients: int, seconds: float, runs: int, people: int, way: str | None
) -> Figure:
    figures: list[Figure] = []
    for _ in range(runs):
        async with town(fresh(), people) as place:
            numbers = itertools.count(1_000_000_000)
            other = baseline(place, way)

            async def one(number: int, place: Town = place, numbers: itertools.count[int] = numbers) -> None:
                retry = place.world.ledger.retry("bench", f"key-{next(numbers)}", b"request")
                await place.world.desk.award(STAFF, place.report(number), retry)

            try:
                await drive(clients, 0.5, one)
                figures.append(await drive(clients, seconds, one, start=10_000_000))
            finally:
                if other is not None:
                    await other.close()
    return median(figures)


def baseline(place: Town, way: str | None) -> naive.Way | None:
    """Put a baseline where the desk submits its commands."""
    if way is None:
        return None
    key = hmac_sha256(b"bench", b"entries")
    made = naive.bare(place.url, key) if way == "bare" else naive.piccolo(place.url, key)

    async def submit(command: Command) -> Answer:
        return await made.submit(command)

    place.world.ledger.submit = submit  # type: ignore[method-assign]
    return made
