# SPDX-License-Identifier: Apache-2.0
"""Half an hour at 70 % of what two workers on PostgreSQL can do, with a worker and then the database killed: is every
acknowledged write there, was every answer right, did the memory stay flat, and how soon was the tail back?"""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg
import orjson
import psutil

from benchmarks.figures import header, table
from benchmarks.front import RATES, Front, front
from benchmarks.load import Link
from benchmarks.steady import START_POINTS, Books, Load
from benchmarks.town import town
from tests.pg import Cluster
from tests.serving import Served

SHARE = 0.7  # of the capacity
CAPACITY_S = 10.0
BEFORE_S = 60.0  # of which the tail before a fault is taken
BACK_TIMES, BACK_S = 2.0, 30.0  # the tail is back when it is at most so many times as long; it must be by then
GROWTH = 0.05  # so much more memory may the last quarter of a worker's life need than the second
REPEATED = 200
CHUNK = 10_000


class Fault(NamedTuple):
    what: str
    at: float


@dataclass
class Soak:
    """One run: the server and its database, who asks, and what happened when (monotonic clock)."""

    made: Front
    server: Served
    cluster: Cluster
    load: Load
    faults: list[Fault] = field(default_factory=list)
    memory: defaultdict[int, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    findings: list[tuple[str, bool, str]] = field(default_factory=list)

    def find(self, what: str, good: bool, said: str) -> None:
        self.findings.append((what, good, said))

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        children = psutil.Process(self.server.pid).children(recursive=True)
        return [one for one in children if "resource_tracker" not in " ".join(_words(one))]


async def run(*, minutes: float = 30, people: int = 10_000) -> bool:
    """Prints what was found. Is all of it as it should be?"""
    header(f"Soak, {minutes:g} minutes")
    with Cluster() as cluster:
        async with town(cluster.url("soak"), people) as place:
            made = await front(place)
            await place.world.close()  # its own connections would not outlive the database
            server = Served(place.url, place.world.settings.home, 2, RATES)
            server.start()
            try:
                soak = Soak(made, server, cluster, Load(made, server.port))
                await _asked(soak, minutes * 60)
                await _checked(soak)
            finally:
                server.stop()
    return _told(soak)


async def _asked(soak: Soak, seconds: float) -> None:
    capacity = await soak.load.flat_out(CAPACITY_S)
    rate = capacity * SHARE
    print(f"capacity {capacity:,.0f} requests/s, of which {rate:,.0f}/s are asked for\n", flush=True)
    began = time.monotonic()
    watching = asyncio.create_task(_watch(soak))
    killing = asyncio.create_task(_kill(soak, seconds))
    await soak.load.steady(rate, seconds)
    late = time.monotonic() - began - seconds
    await killing
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    soak.find("nothing piles up", late < BACK_S, f"the last answer came {late:.1f} s after the last request was due")


async def _watch(soak: Soak) -> None:
    while True:
        for worker in await asyncio.to_thread(soak.workers):
            with contextlib.suppress(psutil.Error):
                soak.memory[worker.pid].append((time.monotonic(), worker.memory_info().rss))
        await asyncio.sleep(1)


async def _kill(soak: Soak, seconds: float) -> None:
    """A worker after a third of the time, the database after two."""
    began = time.monotonic()
    await asyncio.sleep(seconds / 3)
    worker = random.choice(await asyncio.to_thread(soak.workers))
    soak.faults.append(Fault("a worker killed", time.monotonic()))
    worker.kill()
    await asyncio.sleep(began + seconds * 2 / 3 - time.monotonic())
    soak.faults.append(Fault("the database killed, started a second later", time.monotonic()))
    await asyncio.to_thread(soak.cluster.kill9)
    await asyncio.sleep(1)
    await asyncio.to_thread(soak.cluster.restart)


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


# afterwards ----------------------------------------------------------------------------------------------------------


async def _checked(soak: Soak) -> None:
    books = soak.load.books
    soak.find("no wrong answer", not books.wrong, "; ".join([f"{len(books.wrong)}", *books.wrong[:3]]))
    connection = await asyncpg.connect(soak.made.place.url)
    try:
        await _check_awards(soak, connection, books)
        await _check_orders(soak, connection, books)
        await _check_balances(soak, connection, books)
    finally:
        await connection.close()
    await _check_repeated(soak, books)
    command = [sys.executable, "-m", "api", "verify"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=soak.server.environment, capture_output=True, text=True, check=False
    )
    said = (done.stdout or done.stderr).strip().splitlines()[:1]
    soak.find("`jifen verify`", done.returncode == 0, " ".join(said))


async def _check_awards(soak: Soak, connection: asyncpg.Connection, books: Books) -> None:
    """Each under the hash that was promised, and none twice."""
    promised = sorted(books.awards.values())
    lost = 0
    for start in range(0, len(promised), CHUNK):
        part = promised[start : start + CHUNK]
        rows = await connection.fetch(
            "SELECT journal, seq, leaf FROM entry "
            "WHERE (journal, seq) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))",
            [one.journal for one in part],
            [one.seq for one in part],
        )
        lost += len(set(part) - {(row["journal"], row["seq"], row["leaf"]) for row in rows})
    stored = await connection.fetchval("SELECT count(*) FROM award")
    soak.find("no acknowledged award lost", not lost, f"{len(promised):,} acknowledged, {lost} not there")
    soak.find("no award twice", stored == len(promised), f"{stored:,} stored")


async def _check_orders(soak: Soak, connection: asyncpg.Connection, books: Books) -> None:
    stored = {row["redemption"] for row in await connection.fetch("SELECT redemption FROM redemption")}
    told = set(books.orders.values())
    said = f"{len(told):,} acknowledged, {len(told - stored)} not there, {len(stored - told)} unasked for"
    soak.find("orders as acknowledged", stored == told, said)


async def _check_balances(soak: Soak, connection: asyncpg.Connection, books: Books) -> None:
    rows = await connection.fetch(
        "SELECT account, SUM(amount)::bigint AS points FROM balance "
        "WHERE unit = 'points' AND account LIKE 'subject:%' GROUP BY account"
    )
    stored = {row["account"].removeprefix("subject:"): row["points"] for row in rows}
    subjects = soak.made.place.subjects
    off = [one for one in subjects if stored.get(one) != START_POINTS + books.points[one]]
    soak.find("every balance to the point", not off, f"{len(subjects):,} compared, {len(off)} other")


async def _check_repeated(soak: Soak, books: Books) -> None:
    """Asked once more under their keys, from either worker: the same answer."""
    link = await Link.to(soak.server.port)
    other = 0
    chosen = random.sample(sorted(books.awards), min(REPEATED, len(books.awards)))
    for number in chosen:
        answer = await link.ask(soak.made.award(number))
        stands = orjson.loads(answer.body).get("receipt", {})
        same = (stands.get("journal"), stands.get("seq")) == books.awards[number][:2]
        other += not (answer.status == 201 and same and b"idempotency-replayed" in answer.head.lower())
    link.close()
    soak.find("repeated: the same answer", not other, f"{len(chosen)} asked again, {other} other")


def _told(soak: Soak) -> bool:
    tail = soak.load.tail
    rows: list[tuple[str, ...]] = []
    for fault in soak.faults:
        before = tail.part(99, fault.at - BEFORE_S, fault.at)
        back = tail.back_after(fault.at, before, BACK_TIMES)
        worst = tail.part(100, fault.at, fault.at + BACK_S)
        rows.append((fault.what, f"{before * 1e3:,.0f}", f"{worst * 1e3:,.0f}", f"{back:.1f}"))
        soak.find(f"the tail is back: {fault.what}", back <= BACK_S, f"after {back:.1f} s")
    table(("fault", "p99 ms before", "longest ms after", "seconds until p99 is back"), rows)
    for pid, samples in soak.memory.items():
        _remember(soak, pid, samples)
    table(("told to come back, or not answered", "times"), [(k, f"{n:,}") for k, n in soak.load.books.refusals.items()])
    table(
        ("what", "as it should be", "found"),
        [(what, "yes" if good else "**NO**", said) for what, good, said in soak.findings],
    )
    print(f"{len(tail):,} requests in all; p50 {_ms(soak, 50)} ms, p99 {_ms(soak, 99)} ms", flush=True)
    return all(good for _, good, _ in soak.findings)


def _ms(soak: Soak, percent: int) -> str:
    return f"{soak.load.tail.part(percent, 0, float('inf')) * 1e3:,.0f}"


def _remember(soak: Soak, pid: int, samples: list[tuple[float, int]]) -> None:
    """A worker's memory: the last quarter of its life against the second, when its caches were filled."""
    quarter = len(samples) // 4
    if quarter < 10:
        return
    early, late = (
        sum(rss for _, rss in part) / quarter for part in (samples[quarter : 2 * quarter], samples[-quarter:])
    )
    lived = samples[-1][0] - samples[0][0]
    slope = (late - early) / 1e6 / (lived * 0.625 / 60)  # from the middle of the one to the middle of the other
    said = f"{early / 1e6:,.0f} MB, {late / 1e6:,.0f} MB at the end of {lived:,.0f} s: {slope:+.2f} MB a minute"
    soak.find(f"memory of worker {pid}", late <= early * (1 + GROWTH), said)
