# SPDX-License-Identifier: Apache-2.0
"""HTTP clients that cost little: they share the two cores with what they measure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from benchmarks.figures import Figure

WARM_S = 0.5


class Answer(NamedTuple):
    status: int
    head: bytes
    body: bytes


def request(method: str, path: str, token: str, body: bytes = b"", key: str = "") -> bytes:
    """The bytes of a request on a connection that is kept."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    if key:
        head += f"Idempotency-Key: {key}\r\n"
    return head.encode() + b"\r\n" + body


class Link(asyncio.Protocol):
    """One connection, one request at a time. Reads answers that have a Content-Length, as all of ours have."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._read = b""
        self._length = -1  # of the whole answer, once its head is there
        self._head = 0

    @classmethod
    async def to(cls, port: int) -> Link:
        _, made = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return made

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def ask(self, sent: bytes) -> Answer:
        """Raises `ConnectionError` when the connection ends before the answer has come."""
        if self.closed:
            raise ConnectionResetError
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(sent)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._read += data
        if self._length < 0:
            self._head = self._read.find(b"\r\n\r\n") + 4
            if self._head < 4:
                return
            length = self._read[: self._head].lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._length = self._head + int(length or 0)
        if len(self._read) >= self._length:
            answer = Answer(int(self._read[9:12]), self._read[: self._head], self._read[self._head : self._length])
            self._read, self._length = b"", -1
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(answer)


async def together(port: int, make: Callable[[], bytes], seconds: float, connections: int, status: int = 201) -> Figure:
    """Each connection sends its next request when the last one is answered, with `status` or the measuring ends."""
    latencies: list[float] = []

    async def client(number: int, until: float) -> None:
        if links[number].closed:  # it had nothing to do for longer than the server waits
            links[number] = await Link.to(port)
        link = links[number]
        while (sent := time.perf_counter()) < until:
            answer = await link.ask(make())
            if answer.status != status:
                raise RuntimeError(f"{answer.status} instead of {status}: {answer.body[:500]!r}")
            latencies.append(time.perf_counter() - sent)

    async def all_of(until: float) -> None:
        await _gathered(*(client(number, until) for number in range(connections)))

    links = [await Link.to(port) for _ in range(connections)]
    try:
        await all_of(time.perf_counter() + WARM_S)
        latencies.clear()
        began = time.perf_counter()
        await all_of(began + seconds)
        took = time.perf_counter() - began
    finally:
        for link in links:
            link.close()
        await asyncio.sleep(0.1)  # one address may have so many connections and no more
    latencies.sort()
    return Figure(len(latencies) / took, _percentile(latencies, 50), _percentile(latencies, 99))


def _percentile(ordered: list[float], part: int) -> float:
    """In milliseconds, of latencies in seconds; NaN where there was no answer at all."""
    return ordered[min(len(ordered) - 1, len(ordered) * part // 100)] * 1e3 if ordered else float("nan")


async def _gathered(*work: Awaitable[None]) -> None:
    """All of them, or the first failure with none left running."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
