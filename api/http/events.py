# SPDX-License-Identifier: Apache-2.0
"""Public events: as a list to ask again, or as a stream (server-sent events) for those who accept one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import orjson
from litestar import Request, Response, get
from litestar.params import HeaderParameter
from pydantic import Field

from api import feed
from api.http.answers import TypedDict, answers
from api.http.reply import Cursor, Limit, cursor_of, key_of, reply
from api.http.shapes import Instant
from api.identity.address import client_address, household
from api.world import World
from ledger.view import rfc3339

TAGS = ["journals"]
STREAM = "text/event-stream"
HEARTBEAT_S = 15.0
SEND_S = 20.0  # for a listener to take what is sent to it
_BEGINNING = (0, "", "")
_HEADERS = [
    (b"content-type", STREAM.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep it back until there is more
]

LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", max_length=512, description="`id` of the last event seen."),
]


class PublicEventBody(TypedDict):
    """What was published. `data`: of a checkpoint `journal`, `size` and `root`; of an edition `id`, `list`, `period`,
    `place`, `version` and what it `corrects`; of a pack `id`, `version`, `hash` and `effective_from`."""

    id: str
    type: Literal["checkpoint.published", "edition.published", "pack.adopted"]
    timestamp: Instant
    data: dict[str, str | int | None]


class PublicEvents(TypedDict):
    """One page, oldest first. `next` goes into `?cursor=`, at once or later: it is never null."""

    items: list[PublicEventBody]
    next: Annotated[str, Field(min_length=1)]


@get(
    "/events",
    tags=TAGS,
    summary="Public events",
    operation_id="listEvents",
    responses={200: answers(PublicEvents, media=("application/json", STREAM))},
    opt={"endless": True},
)
async def listing(
    request: Request[Any, Any, Any],
    world: World,
    limit: Limit = 50,
    cursor: Cursor = None,
    last_event_id: LastEventId = None,
) -> Response[bytes]:
    """Checkpoints signed, editions published, packs adopted. With `Accept: text/event-stream` a stream of server-sent
    events from now on, or from `Last-Event-ID`, in which an event may come twice; else a page, from the beginning or
    the cursor on, of what is older than five seconds. Of checkpoints only the newest of a journal is told."""
    if STREAM in request.headers.get("accept", ""):
        after = _place(cursor if last_event_id is None else last_event_id)
        queue = world.feed.join(household(client_address(request.scope)))
        return _Stream(world.feed, queue, after)
    after = _place(last_event_id if cursor is None else cursor) or _BEGINNING
    found = (await world.feed.since(after, world.clock() - feed.SETTLED_US))[:limit]
    items = [_body(one) for one in found]
    return reply(200, {"items": items, "next": items[-1]["id"] if items else cursor_of(*after)})


def _place(text: str | None) -> tuple[int, str, str] | None:
    found = key_of(text, int, str, str)
    return None if found is None else (found[0], found[1], found[2])


def _body(event: feed.PublicEvent) -> PublicEventBody:
    return {
        "id": cursor_of(*event.place),
        "type": event.type,  # type: ignore[typeddict-item]
        "timestamp": rfc3339(event.at),
        "data": event.data,
    }


class _Stream(Response[bytes]):
    """An answer that goes on until the listener leaves, lags too far behind, or the server stops."""

    def __init__(self, source: feed.Feed, queue: feed.Queue, after: tuple[int, str, str] | None) -> None:
        self._feed = source
        self._queue = queue
        self._after = after

    def to_asgi_response(self, app: Any, request: Any, **_defaults: Any) -> Any:
        return self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async for piece in self._pieces(gone):
                async with asyncio.timeout(SEND_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return  # it takes nothing any more: the server hangs up
        finally:
            gone.cancel()
            self._feed.leave(self._queue)

    async def _pieces(self, gone: asyncio.Task[None]) -> AsyncIterator[bytes]:
        yield b"retry: 5000\n\n"
        told: set[tuple[int, str, str]] = set()
        if self._after is not None:
            told.add(self._after)
            for one in await self._feed.since((max(0, self._after[0] - feed.OVERLAP_US), "", "")):
                if one.place not in told:
                    told.add(one.place)
                    yield _written(one)
        while not gone.done():
            coming = asyncio.ensure_future(self._queue.get())
            try:
                await asyncio.wait({coming, gone}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
            if not coming.done():
                yield b": still here\n\n"
                continue
            event = coming.result()
            if event is None:
                return
            if event.place not in told:
                yield _written(event)


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _written(event: feed.PublicEvent) -> bytes:
    body = _body(event)
    return f"id: {body['id']}\nevent: {body['type']}\n".encode() + b"data: " + orjson.dumps(body) + b"\n\n"


routes = [listing]
