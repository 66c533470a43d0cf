# SPDX-License-Identifier: Apache-2.0
"""Is it alive, may it be asked, and how far has each journal come?"""

import asyncio
from typing import Literal

from litestar import Response, get

from api.http.answers import TypedDict, answers
from api.http.reply import reply
from api.http.shapes import Digest, Instant, Journal, Seq
from api.settings import software_version
from api.world import World
from ledger.errors import Unavailable
from ledger.publish import newest_checkpoints
from ledger.view import rfc3339

_DATABASE_S = 5.0  # a database that takes longer to read one row is not there


class Alive(TypedDict):
    """The process answers."""

    status: Literal["ok"]


class Ready(TypedDict):
    """Requests may be sent here; with `read_only` those that write are refused."""

    status: Literal["ready"]
    read_only: bool


class JournalStatus(TypedDict):
    """`seq` is the last entry that was sequenced, at `recorded_at`; `published_seq` and `root` stand under a signed
    checkpoint."""

    journal: Journal
    seq: Seq
    recorded_at: Instant
    published_seq: Seq | None
    root: Digest | None


class PackInForce(TypedDict):
    """Which rules count now."""

    id: str
    version: str


class Status(TypedDict):
    """How the deployment stands. `queued` entries wait for a commit in this process; `read_only` says why nothing is
    taken, if that is so; `stopping` tells that this process is about to go."""

    version: str
    time: Instant
    pack: PackInForce
    journals: list[JournalStatus]
    queued: int
    read_only: str | None
    stopping: bool


@get("/health", tags=["operation"], summary="Liveness", operation_id="health", responses={200: answers(Alive)})
async def health() -> Response[bytes]:
    """Answers while the process does; its database is not asked, because starting the process anew would not bring a
    database back. That is what `/ready` is for."""
    return reply(200, {"status": "ok"})


@get("/ready", tags=["operation"], summary="Readiness", operation_id="ready", responses={200: answers(Ready)})
async def ready(world: World) -> Response[bytes]:
    """May requests be sent to this process? 503 with `shutting_down`, `database_unavailable` or `clock_unsafe` where
    they would be refused or get stuck. A ledger that is read-only is still worth asking, and says so."""
    if world.stopping.is_set():
        raise Unavailable("shutting_down", retry_after=5)
    try:
        rows = await asyncio.wait_for(world.ledger.fetch("SELECT MAX(recorded_at) FROM head"), _DATABASE_S)
    except TimeoutError:
        raise Unavailable("database_unavailable", retry_after=2) from None
    guard = world.ledger.sequencer.guard
    guard.check(guard.now(), rows[0][0] or 0)
    return reply(200, {"status": "ready", "read_only": world.ledger.frozen is not None})


@get(
    "/status",
    tags=["operation"],
    summary="Where each journal stands",
    operation_id="status",
    responses={200: answers(Status)},
)
async def status(world: World) -> Response[bytes]:
    """Every journal with what is sequenced and what is published, the rules in force, and whether anything is taken."""
    newest = await newest_checkpoints(world.ledger)
    items: list[JournalStatus] = []
    for one in await world.ledger.journals():
        point = newest.get(one["journal"])
        items.append(
            {
                "journal": one["journal"],
                "seq": one["size"] - 1,
                "recorded_at": one["recorded_at"],
                "published_seq": point.size - 1 if point else None,
                "root": point.root.hex() if point else None,
            }
        )
    pack, frozen = world.pack, world.ledger.frozen
    said: Status = {
        "version": software_version(),
        "time": rfc3339(world.ledger.clock()),
        "pack": {"id": pack.id, "version": pack.version},
        "journals": items,
        "queued": world.ledger.sequencer.queued,
        "read_only": str(frozen) if frozen else None,
        "stopping": world.stopping.is_set(),
    }
    return reply(200, said)


routes = [status]
