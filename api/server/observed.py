# SPDX-License-Identifier: Apache-2.0
"""Around every request: the id it goes by, the line that is written of it, what is counted; and the refusal of new
requests once the server is told to stop.

What is written never comes from the caller: the route as we spell it, never the path; the caller by the random id of
the account; of the answer its status and code. docs/adr/0034-what-is-observed.md.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

import orjson

from api import messages, problems
from api.server.logs import REQUEST_ID
from ledger.errors import Unavailable

if TYPE_CHECKING:
    from api.server.metrics import Metrics
    from api.server.tracing import Tracing

# As proxies and trace headers write them. Anything looser, and a phone number or a token could come in as an id.
_SANE = re.compile(rb"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEAVING_S = 5  # when to come back: another process, or this one anew
PROBES = ("/health", "/ready")
GAVE_UP = 499  # nobody was there to hear the answer; a status in our lines and counts only


class Observed:
    """An ASGI application around Litestar's own. `log` is a `request_log`; what is absent costs nothing."""

    def __init__(
        self, app: Any, *, log: Any = None, meter: Metrics | None = None, tracing: Tracing | None = None
    ) -> None:
        self._app = app
        self.log = log
        self.meter = meter
        self.tracing = tracing
        self._process = secrets.token_hex(12)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.tracing is None:
            await self._answer(scope, receive, send)
            return
        with self.tracing.request(scope):
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        started = time.perf_counter()
        request_id = self._request_id(scope)
        scope["request_id"] = request_id
        REQUEST_ID.set(request_id)  # of this task's context, so nobody has to set it back
        id_header = (b"x-request-id", request_id.encode())

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                scope["status"] = message["status"]
                message["headers"] = [*message["headers"], id_header]
            await send(message)

        try:
            if scope["litestar_app"].state.world.stopping.is_set() and scope["path"] not in PROBES:
                await _leave(scope, sending)
            else:
                await self._app(scope, receive, sending)
        finally:
            self._done(scope, request_id, time.perf_counter() - started)

    def _request_id(self, scope: Any) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                if _SANE.fullmatch(value):
                    return value.decode()
                break
        return f"{self._process}{next(self._numbers):08x}"

    def _done(self, scope: Any, request_id: str, seconds: float) -> None:
        status, code = scope.setdefault("status", GAVE_UP), scope.get("refused", "")
        handler = scope.get("route_handler")
        rule = handler.opt.get("rule") if handler is not None else None
        if self.meter is not None:
            operation = rule.operation if rule is not None else "page" if handler is not None else "unknown"
            self.meter.answered(operation, status, code, seconds)
        if self.log is None or (status < 400 and scope["path"] in PROBES):
            return
        route, caller = scope.get("path_template", ""), scope.get("caller")
        said: dict[str, Any] = {"request_id": request_id, "status": status, "ms": round(seconds * 1000, 1)}
        if rule is not None:
            said["operation"] = rule.operation
        if caller is not None:
            said["caller"] = f"{caller.kind} {caller.id}"
        if code:
            said["code"] = code
        write = self.log.error if status >= 500 and status != 503 else self.log.info
        write(f"{scope['method']} {route}", **said)


async def _leave(scope: Any, send: Any) -> None:
    """No, since this process is going: come back in a moment. The connection ends with it, so that the next one is
    made to a process that stays."""
    refusal = Unavailable("shutting_down", retry_after=_LEAVING_S)
    headers = dict(scope["headers"])
    lang = messages.language(headers.get(b"accept-language", b"").decode("latin-1"))
    body = orjson.dumps(problems.problem(refusal, lang, scope["path"]))
    scope["refused"] = refusal.code
    await send(
        {
            "type": "http.response.start",
            "status": problems.status_of(refusal),
            "headers": [
                (b"content-type", problems.MEDIA_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"content-language", lang.encode()),
                (b"vary", b"Accept-Language"),
                (b"retry-after", str(_LEAVING_S).encode()),
                (b"connection", b"close"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
