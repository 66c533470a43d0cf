# SPDX-License-Identifier: Apache-2.0
"""Which pages of other sites may call this interface from a browser: those that the operator names, without cookies.

Off unless JIFEN_CORS_ORIGINS names somebody. Litestar's own overwrites `Vary` and answers preflights of strangers with
what it would have allowed; this one says nothing at all to a stranger, and the browser does the rest (Fetch, §3.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.http.body import header

_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_ASKED = (
    b"Authorization, Content-Type, Content-Digest, Idempotency-Key, If-Match, If-None-Match, Signature, "
    b"Signature-Input, X-Request-Id"
)
_SHOWN = b"ETag, Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_VARY = (b"vary", b"Origin")


class Cors:
    """An ASGI application around another, for browsers on pages of these origins."""

    def __init__(self, app: Any, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = {origin.encode() for origin in origins}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        origin = header(scope, b"origin")
        allowed = [_VARY]
        if origin in self._origins and origin is not None:
            if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method") is not None:
                await _preflight(origin, send)
                return
            allowed += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _SHOWN)]

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *allowed]
            await send(message)

        await self._app(scope, receive, answer)


async def _preflight(origin: bytes, send: Any) -> None:
    headers = [
        _VARY,
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _ASKED),
        (b"access-control-max-age", b"600"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
