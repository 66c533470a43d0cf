# SPDX-License-Identifier: Apache-2.0
"""Where the next page of a list begins. A cursor holds the key of the last row that was shown, so what is added
meanwhile moves nothing; and a tag that ties it to the list, its filters and whoever asked: it opens no other list."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qsl

import orjson

from api.invalid import invalid

TAG_BYTES = 12
_FREE = ("cursor", "limit")  # what may change from page to page
_TEXT = re.compile(r"[A-Za-z0-9_-]+")
_SCOPE: ContextVar[Any] = ContextVar("scope")


def listing(scope: Any) -> None:
    """What is listed from here on is listed for this request."""
    _SCOPE.set(scope)


def cursor_of(*key: str | int) -> str:
    """An opaque cursor that stands after the row with this key."""
    said = orjson.dumps(key)
    return base64.urlsafe_b64encode(_tag(said) + said).rstrip(b"=").decode()


def key_of(cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The key in a cursor, or None for the first page. Raises `request_invalid` for what was never given out, or for
    another list or caller."""
    if cursor is None:
        return None
    try:
        if not _TEXT.fullmatch(cursor):
            raise ValueError
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if not hmac.compare_digest(raw[:TAG_BYTES], _tag(raw[TAG_BYTES:])):
            raise ValueError
        key = orjson.loads(raw[TAG_BYTES:])
        if [type(part) for part in key] != list(types):  # of a version before this one
            raise ValueError
    except (ValueError, binascii.Error):
        raise invalid([{"pointer": "?cursor", "code": "not_in_form", "limit": "next"}]) from None
    return tuple(key)


def _tag(said: bytes) -> bytes:
    scope = _SCOPE.get()
    caller = scope.get("caller")
    asked = sorted(pair for pair in parse_qsl(scope["query_string"].decode("latin-1")) if pair[0] not in _FREE)
    listed = orjson.dumps([scope["path"], asked, caller.id if caller is not None else ""])
    key = scope["litestar_app"].state.world.cursor_key
    return hashlib.blake2b(b"%d\n%b%b" % (len(listed), listed, said), digest_size=TAG_BYTES, key=key).digest()
