# SPDX-License-Identifier: Apache-2.0
"""A network that fails on order: a proxy in front of a real server that loses requests and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

# What may become of one request. In the first line it never reaches the server, in the second it does.
LOST = ("refused", "503", "429", "portal", "login")
DONE = ("dropped", "half", "502", "late", "500")
FAULTS = LOST + DONE
STALL_S = 1.5

_PROBLEM = json.dumps({"code": "queue_full", "detail": "later", "status": 503}).encode()
_PAGES = {
    "503": (b"503 Service Unavailable", b"application/problem+json", _PROBLEM),
    "429": (b"429 Too Many Requests", b"application/problem+json", _PROBLEM.replace(b"queue_full", b"rate_limited")),
    "500": (b"500 Internal Server Error", b"application/problem+json", _PROBLEM.replace(b"queue_full", b"internal")),
    "502": (b"502 Bad Gateway", b"text/html", b"<h1>Bad Gateway</h1>"),
    "portal": (b"200 OK", b"text/html", b"<h1>Welcome to the free Wi-Fi</h1>"),
    "login": (b"302 Found", b"text/html", b""),
}


class Faulty:
    """Requests meet the faults in `plan`, one each, and none once it is empty. `seen` are the requests that came."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.plan: deque[str] = deque()
        self.seen: list[bytes] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            while True:
                request = await _message(reader)
                self.seen.append(request)
                if not await self._answer(self.plan.popleft() if self.plan else "", request, writer):
                    break
        writer.close()

    async def _answer(self, fault: str, request: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        if fault == "refused":
            return False
        answer = b"" if fault in LOST else await self._forward(request)
        if fault in _PAGES:
            status, media, body = _PAGES[fault]
            head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (status, media, len(body))
            answer = head + body
        if fault == "late":
            await asyncio.sleep(STALL_S)
        if fault == "dropped":
            return False
        writer.write(answer[:-9] if fault == "half" else answer)
        await writer.drain()
        return fault != "half"

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server_port)
        writer.write(request)
        answer = await _message(reader)
        writer.close()
        return answer


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")),
        0,
    )
    return head + await reader.readexactly(length)


@contextlib.asynccontextmanager
async def faulty_server(app: Any) -> AsyncIterator[Faulty]:
    """`app` on a real port of this process, behind a network that fails on order."""
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_level="warning", http="api.server.bounds:BoundedHttp", ws="none"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    network = Faulty(server.servers[0].sockets[0].getsockname()[1])
    proxy = await asyncio.start_server(network.serve, "127.0.0.1", 0)
    network.port = proxy.sockets[0].getsockname()[1]
    try:
        yield network
    finally:
        proxy.close()
        server.should_exit = True
        await serving
