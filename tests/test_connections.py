# SPDX-License-Identifier: Apache-2.0
"""Connections that do not read, and addresses that take too many: on a real socket, with short times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from api.server.bounds import BoundedHttp

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[int]:
    """The port of a server of this application in this process."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_level="critical", http=BoundedHttp, ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await serving


class Large:
    """Answers with so much that no buffer holds it, and knows whether it was let go."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        size = 32 * 1024 * 1024
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(32):
            await send({"type": "http.response.body", "body": bytes(size // 32), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self.ended.set()


async def small(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_whoever_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody reads is let go after a while, connection and memory; one that is read slowly arrives."""
    monkeypatch.setattr("api.server.bounds.READ_S", 0.4)
    app = Large()
    async with listening(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(GET)
        await asyncio.wait_for(app.ended.wait(), 5)
        assert 0 == BoundedHttp.open
        writer.close()

        app.ended.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=256 * 1024)
        writer.write(GET)
        got = 0
        while got < 32 * 1024 * 1024:
            piece = await asyncio.wait_for(reader.read(512 * 1024), 5)
            assert piece, f"cut off after {got} bytes"
            got += len(piece)
            await asyncio.sleep(0.01)
        writer.close()


async def test_one_address_may_keep_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that the newest is closed at once, until one of the others is; a trusted proxy and this machine may have
    more, and nothing is remembered of who has gone."""
    monkeypatch.setattr("api.server.bounds.PEER_MAX", 3)
    async with listening(small) as port:

        async def opened(count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
            return [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]

        async def served(pair: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
            reader, writer = pair
            try:
                writer.write(GET)
                return bool(await asyncio.wait_for(reader.read(100), 5))
            except ConnectionError:
                return False

        many = await opened(5)
        assert [True] * 5 == [await served(one) for one in many]
        for _, writer in many:
            writer.close()
        monkeypatch.setattr("api.server.bounds.LOOPBACK", ())
        await asyncio.sleep(0.05)
        many = await opened(5)
        assert [True] * 3 + [False] * 2 == [await served(one) for one in many]
        many[0][1].close()
        await asyncio.sleep(0.05)
        (other,) = await opened(1)
        assert await served(other)
        for _, writer in (*many, other):
            writer.close()
        await asyncio.sleep(0.05)
        assert (0, {}) == (BoundedHttp.open, dict(BoundedHttp._peers))
