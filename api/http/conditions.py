# SPDX-License-Identifier: Apache-2.0
"""Requests that hold only under a condition (RFC 9110 §13): change what I saw and nothing else, answer only what is
new to me."""

import base64
import hashlib
import re
from typing import Annotated, Any

import orjson
from litestar import Response
from litestar.params import HeaderParameter

from api.http.body import header
from api.http.reply import Json

IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", max_length=200, description="The ETag of what you saw.")
]

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_VERSION = re.compile(r'"?([0-9]{1,18})"?')


class _Unchanged(Json):
    """304: the headers that the answer would have had, and nothing else."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def etag(version: int) -> dict[str, str]:
    """The header of a thing with versions."""
    return {"ETag": f'"{version}"'}


def version_in(if_match: str | None) -> int | None:
    """The version that an If-Match asks for; None for any. What was never given out, weak tags and lists match none."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = _VERSION.fullmatch(if_match.strip())
    return int(match[1]) if match else -1


def polled(
    scope: Any, body: dict[str, Any], headers: dict[str, str] | None = None, *, but: str = ""
) -> Response[bytes]:
    """`body` as JSON with a tag made of its bytes, or 304 for whoever names that tag: it spares the line, not us.

    The route says `opt={"polled": True}`, for the document. `but` is a member that may differ between two answers that
    say the same; the tag is weak then.
    """
    content = orjson.dumps(body)
    told = orjson.dumps({name: value for name, value in body.items() if name != but}) if but else content
    digest = base64.urlsafe_b64encode(hashlib.blake2b(told, digest_size=15).digest()).decode()
    headers = {**(headers or {}), "ETag": f'W/"{digest}"' if but else f'"{digest}"'}
    known = header(scope, b"if-none-match")
    if known is not None and _has(known.decode("latin-1"), f'"{digest}"'):
        return _Unchanged(b"", 304, headers)
    return Json(content, 200, headers)


def _has(if_none_match: str, tag: str) -> bool:
    """Is it among them, by weak comparison (RFC 9110 §13.1.2)?"""
    return if_none_match.strip() == "*" or tag in (one.removeprefix("W/") for one in _TAG.findall(if_none_match))
