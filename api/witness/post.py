# SPDX-License-Identifier: Apache-2.0
"""One HTTP POST to another machine, bounded in time and size: no redirect is followed, no proxy asked, no cookie kept.

What the other side answers is taken as far as it fits and never trusted; who reads it checks it.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools

SECONDS = 10.0  # for all of it, from the look-up of the name to the last byte
ANSWER_MAX = 64 * 1024  # head and body together
_NOT_HTTP = (httptools.HttpParserError, httptools.HttpParserUpgrade)  # or no longer: 101


class Unreachable(Exception):
    """There was no answer that can be used; the message says why, in words for an operator."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. `content_type` is as sent, in lower case and without parameters."""

    status: int
    content_type: str
    body: bytes


def address(url: str) -> tuple[bool, str, int, str]:
    """(TLS?, host, port, path) of an address. Raises `ValueError`, whose message says what is wrong with it."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("only printable ASCII, without spaces (a name in Chinese as xn--…)")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("it must begin with https:// (or http://)")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("no user, password, ? or # belongs in it")
    if not parts.hostname:
        raise ValueError("it names no host")
    port = parts.port  # raises ValueError with a message of its own
    tls = parts.scheme == "https"
    return tls, parts.hostname, port if port is not None else (443 if tls else 80), parts.path or "/"


async def post(url: str, body: bytes, *, seconds: float = SECONDS, limit: int = ANSWER_MAX) -> Answer:
    """Send `body` and return the answer, whatever its status. Raises `Unreachable`."""
    try:
        async with asyncio.timeout(seconds):
            return await _post(url, body, limit)
    except TimeoutError:
        raise Unreachable(f"no complete answer within {seconds:g} s") from None
    except ssl.SSLError as error:
        raise Unreachable(f"TLS: {error.reason or error}") from error
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"no connection: {error}") from error
    except _NOT_HTTP as error:
        raise Unreachable(f"what it answers is not HTTP: {error}") from error


async def _post(url: str, body: bytes, limit: int) -> Answer:
    tls, host, port, path = address(url)
    reader, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if tls else None)
    try:
        name = f"[{host}]" if ":" in host else host
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {name}:{port}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nUser-Agent: jifen\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        await writer.drain()
        incoming = _Incoming()
        while not incoming.complete:
            piece = await reader.read(16 * 1024)
            if not piece:
                incoming.ended()
                break
            limit -= len(piece)
            if limit < 0:
                raise Unreachable("its answer is too long")
            incoming.feed(piece)
        return incoming.answer()
    finally:
        writer.transport.abort()  # nothing more is expected, and a polite end could be made to last


class _Incoming:
    """Puts an answer together; the `on_…` methods are httptools' callbacks."""

    def __init__(self) -> None:
        self.complete = False
        self._headed = False
        self._type = b""
        self._measured = False  # it says itself how long it is
        self._body: list[bytes] = []
        self._status = 0
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except _NOT_HTTP:
            if not self.complete:  # what follows a complete answer does not matter
                raise

    def ended(self) -> None:
        """The other side has closed: the end of a body without a length, the loss of any other."""
        if not self._headed or self._measured:
            raise Unreachable("it closed the connection before its answer was complete")
        self.complete = True

    def answer(self) -> Answer:
        kind = self._type.decode("latin-1").partition(";")[0].strip().lower()
        return Answer(self._status, kind, b"".join(self._body))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.complete:
            return
        match name.lower():
            case b"content-type":
                self._type = value
            case b"content-length" | b"transfer-encoding":
                self._measured = True

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        self._status = self._parser.get_status_code()
        if self._status < 200:  # the answer is still to come
            self._type, self._measured = b"", False
        else:
            self._headed = True

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self.complete = self._headed
