# SPDX-License-Identifier: Apache-2.0
"""What handlers answer with, and how lists are cut into pages."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from litestar import Response
from litestar.params import Parameter

from api.cursors import cursor_of as cursor_of
from api.cursors import key_of as key_of

LIMIT_DEFAULT = 50
LIMIT_MAX = 200

Limit = Annotated[int, Parameter(ge=1, le=LIMIT_MAX, description="At most this many items.")]
Cursor = Annotated[str | None, Parameter(max_length=512, description="`next` of the page before.")]

Item = TypeVar("Item")

_REPLAYED = {"Idempotency-Replayed": "true"}


class Json(Response[bytes]):
    """An answer that is JSON already and sends itself. Litestar's own builds, copies and encodes a set of headers,
    cookies and encoders twice over on its way out, and that costs more than our JSON does."""

    def __init__(self, content: bytes, status: int, headers: dict[str, str]) -> None:
        self.content = content
        self.status_code = status
        self.headers = headers

    def to_asgi_response(self, app: Any, request: Any, **_defaults: Any) -> Any:
        """Itself; what a route could set by default (status, cookies, encoders) no route of ours sets."""
        return self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.content))]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.content, "more_body": False})


def reply(status: int, body: Any, replayed: bool = False, headers: dict[str, str] | None = None) -> Response[bytes]:
    """`body` as JSON. A replayed answer says so."""
    if replayed:
        headers = {**(headers or {}), **_REPLAYED}
    return Json(orjson.dumps(body), status, headers or {})


def page(
    rows: Sequence[Item], limit: int, key: Callable[[Item], tuple[str | int, ...]]
) -> tuple[Sequence[Item], str | None]:
    """The first `limit` of rows fetched with `limit + 1`, and the cursor to the rest if there is any."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursor_of(*key(rows[limit - 1]))
