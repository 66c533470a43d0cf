# SPDX-License-Identifier: Apache-2.0
"""Servers that webhooks are sent to: one that keeps what it gets, and whatever a hostile one may do instead."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Message:
    """What arrived: headers in lower case, the body as bytes."""

    def __init__(self, request: str, headers: dict[str, str], body: bytes) -> None:
        self.request, self.headers, self.body = request, headers, body

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return orjson.loads(self.body)

    @property
    def kind(self) -> str:
        return self.event["type"]


class Receiver:
    """Answers with `status` (or what `answer` says of a message), and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.status = 204
        self.more = ""  # header lines
        self.answer: Callable[[Message], Awaitable[int]] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?for=jifen"

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.got]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        message = Message(head[0], headers, await reader.readexactly(int(headers["content-length"])))
        self.got.append(message)
        status = await self.answer(message) if self.answer is not None else self.status
        writer.write(f"HTTP/1.1 {status} So\r\n{self.more}content-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on this machine that does this with every connection; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with listening(receiver) as receiver.port:
        yield receiver


def says(*pieces: bytes, pause: float = 0.0, close: bool = True) -> Behaviour:
    """Sends these pieces, a pause between them, whatever was asked."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)  # what is left unread would turn our end into a reset
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if not close:
            await asyncio.sleep(30)

    return behave


def drips(first: bytes, piece: bytes, pause: float = 0.0) -> Behaviour:
    """Sends `first`, then `piece` for ever."""

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave
