# SPDX-License-Identifier: Apache-2.0
"""The Idempotency-Key of a request, and the bytes that say what the whole request was."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import orjson
from litestar import Request
from litestar.datastructures import UploadFile

from api.auth import Caller
from api.http.body import Body, header, invalid
from ledger import codec
from ledger.errors import Refusal
from ledger.port import Retry

_KEY = re.compile(rb'"([\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')


def key_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key, bare or quoted; None where there is none. Raises `request_invalid` for one that cannot be meant."""
    found = [value for name, value in headers if name == b"idempotency-key"]
    if not found:
        return None
    match = _KEY.fullmatch(found[0].strip())
    if match is None or len(found) > 1:
        raise invalid([{"pointer": "Idempotency-Key", "code": "not_in_form", "limit": "1…255 ASCII"}])
    return (match[1] or match[2]).decode()


async def request_bytes(request: Request[Any, Any, Any]) -> bytes:
    """Method, path, query and body in one form: two requests that mean the same have the same bytes."""
    scope = request.scope
    query = scope["query_string"]
    if query:
        query = b"&".join(sorted(part for part in query.split(b"&") if part))
    head = b"%s %s?%s\n" % (scope["method"].encode(), scope["path"].encode(), query)
    if (header(scope, b"content-type") or b"")[:10].lower() == b"multipart/":
        return head + await _parts(request)
    if not await request.body():
        return head
    body: Body = await request.json()
    try:
        return head + codec.encode(body.value)
    except orjson.JSONEncodeError:
        raise invalid([{"pointer": "", "code": "too_deep"}]) from None


async def _parts(request: Request[Any, Any, Any]) -> bytes:
    parts: list[list[str]] = []
    for name, value in (await request.form()).multi_items():
        if isinstance(value, UploadFile):
            data = await value.read()
            await value.seek(0)
        else:
            data = str(value).encode()
        parts.append([name, hashlib.sha256(data).hexdigest()])
    return codec.encode(sorted(parts))


async def maybe_retry_of(request: Request[Any, Any, Any], caller: Caller) -> Retry | None:
    """The retry key if the request has one: for routes on which a dry run needs none."""
    key = key_in(request.scope["headers"])
    if key is None:
        return None
    return request.app.state.world.ledger.retry(caller.id, key, await request_bytes(request))


async def retry_of(request: Request[Any, Any, Any], caller: Caller) -> Retry:
    """The retry key of a request that must have one. Raises `idempotency_key_missing`."""
    retry = await maybe_retry_of(request, caller)
    if retry is None:
        raise Refusal("idempotency_key_missing")
    return retry
