# SPDX-License-Identifier: Apache-2.0
"""Awards over HTTP on one worker, against Litestar's own echo of the same body on the same server settings."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, timedelta

import orjson

from benchmarks.figures import Figure, header, median, table
from benchmarks.town import COUNTY, Town, town

CONNECTIONS = 64
BATCH = 100


async def run(databases: dict[str, Callable[[], str]], *, seconds: float = 3, runs: int = 3) -> None:
    """Requests per second: echo, single awards, and awards in batches of a hundred."""
    header("HTTP, one worker")
    rows: list[tuple[str, ...]] = []
    for name, fresh in databases.items():
        async with town(fresh(), 2_000) as place:
            rows += await _compare(name, place, seconds, runs)
    table(("database", "what", "per second", "p99 ms", "ratio"), rows)


async def _compare(name: str, place: Town, seconds: float, runs: int) -> list[tuple[str, ...]]:
    token = await _sign_in(place)
    numbers = itertools.count()
    echoes: list[Figure] = []
    singles: list[Figure] = []
    batches: list[Figure] = []
    for _ in range(runs):
        async with _serving("benchmarks.echo:app", {}) as port:
            echoes.append(await _load(port, lambda: _single(place, next(numbers), token, "/echo"), seconds))
        async with _serving("api.app:factory", _environment(place)) as port:
            singles.append(await _load(port, lambda: _single(place, next(numbers), token), seconds))
            batches.append(await _load(port, lambda: _many(place, numbers, token), seconds, 8))
    echo, single, batch = median(echoes), median(singles), median(batches)
    per_batch = batch.per_second * BATCH
    return [
        (name, "echo of the same body", f"{echo.per_second:,.0f}", f"{echo.p99:.0f}", ""),
        (name, "single awards", f"{single.per_second:,.0f}", f"{single.p99:.0f}",
         f"{single.per_second / echo.per_second:.2f} of echo"),
        (name, f"awards in batches of {BATCH}", f"{per_batch:,.0f}", f"{batch.p99:.0f}",
         f"{per_batch / single.per_second:.1f}× single"),
    ]  # fmt: skip


async def _sign_in(place: Town) -> str:
    """A member of staff of the whole county, and a session."""
    staff = place.world.staff
    role: dict[str, str | None] = {"role": "community_staff", "place": COUNTY, "from": "2020-01-01", "to": None}
    await staff.create(None, "bench", "a long enough password", [role])
    return (await staff.sign_in("bench", "a long enough password")).token


def _environment(place: Town) -> dict[str, str]:
    return {"JIFEN_DATABASE_URL": place.url, "JIFEN_HOME": str(place.world.settings.home)}


def _award(place: Town, number: int) -> dict[str, object]:
    report = place.report(number)
    return {
        "subject": report.subject,
        "indicator": "RE-01",
        "occurred_on": (date.today() - timedelta(days=number // len(place.subjects) % 20)).isoformat(),
        "facts": {"minutes": 60},
        "evidence": [{"kind": "sign_in", "level": "E2"}],
        "cause": {"source": "bench", "case": str(number)},
    }


def _single(place: Town, number: int, token: str, path: str = "/v1/awards") -> bytes:
    return _request(path, orjson.dumps(_award(place, number)), token, f"k{number:012d}")


def _many(place: Town, numbers: Iterator[int], token: str) -> bytes:
    some = [next(numbers) for _ in range(BATCH)]
    body = orjson.dumps({"items": [_award(place, number) for number in some]})
    return _request("/v1/award-batches", body, token, f"b{some[0]:012d}")


def _request(path: str, body: bytes, token: str, key: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\r\n"
    )
    return head.encode() + body


@contextlib.asynccontextmanager
async def _serving(application: str, environment: dict[str, str]) -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    factory = ["--factory"] if application.endswith("factory") else []
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", application, *factory, "--port", str(port), "--loop", "uvloop",
         "--http", "httptools", "--no-access-log", "--log-level", "warning"],
        env={**os.environ, **environment},
    )  # fmt: skip
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


async def _load(port: int, make: Callable[[], bytes], seconds: float, connections: int = CONNECTIONS) -> Figure:
    """Keep-alive connections, each sending its next request when the last one is answered with 201."""
    latencies: list[float] = []

    async def client(stop: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (sent := time.perf_counter()) < stop:
            writer.write(make())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 201"), (head, body[:500])
            latencies.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(client(time.perf_counter() + 0.5) for _ in range(connections)))
    latencies.clear()
    began = time.perf_counter()
    await asyncio.gather(*(client(began + seconds) for _ in range(connections)))
    took = time.perf_counter() - began
    latencies.sort()
    return Figure(
        len(latencies) / took, latencies[len(latencies) // 2] * 1e3, latencies[int(len(latencies) * 0.99)] * 1e3
    )
