# SPDX-License-Identifier: Apache-2.0
"""What every answer says besides what it answers: to browsers what they may do with it, to caches whether they may keep
it, to callers how much they may still ask (docs/limits.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from api.server import rates

_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# Data that a browser takes for a page may do nothing; a page says itself what it needs.
_CSP = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_PAGE = [
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000")  # a year; not for other names under the same domain
_NO_STORE = (b"cache-control", b"no-store")
_ASK_AGAIN = (b"cache-control", b"no-cache")


def hook(*, hsts: bool) -> Callable[[Any, Any], Awaitable[None]]:
    """Adds them as an answer begins. `hsts` where the server is only ever reached over TLS."""
    always = [*_ALWAYS, _HSTS] if hsts else _ALWAYS

    async def add(message: Any, scope: Any) -> None:
        if message["type"] != "http.response.start":
            return
        scope["answered"] = True
        said = dict(message["headers"])
        more = list(always)
        if b"content-security-policy" not in said:
            more.append(_CSP)
        if said.get(b"content-type", b"").startswith(b"text/html"):
            more += _PAGE
        if b"cache-control" not in said:
            public = scope["method"] in ("GET", "HEAD") and scope.get("caller") is None and message["status"] < 400
            more.append(_ASK_AGAIN if public else _NO_STORE)
        if (rate := scope.get("rate")) is not None:
            more += rates.headers(rate)
        message["headers"] = [*message["headers"], *more]

    return add
