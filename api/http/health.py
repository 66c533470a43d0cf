# SPDX-License-Identifier: Apache-2.0
"""Is it alive, and how far has each journal come?"""

from typing import Any

from litestar import Response, get

from api.http.reply import reply
from api.world import World
from ledger.publish import newest_checkpoints


@get("/health", opt={"public": True}, tags=["operation"], summary="Liveness", operation_id="health")
async def health(world: World) -> Response[bytes]:
    """Answers while the process can read its database."""
    await world.ledger.fetch("SELECT 1")
    return reply(200, {"status": "ok"})


@get("/status", opt={"public": True}, tags=["operation"], summary="Where each journal stands", operation_id="status")
async def status(world: World) -> Response[bytes]:
    """`seq` is the last entry that was sequenced; `published_seq` and `root` stand under a signed checkpoint.
    `read_only` says why nothing is taken, if that is so."""
    newest = await newest_checkpoints(world.ledger)
    items: list[dict[str, Any]] = []
    for one in await world.ledger.journals():
        point = newest.get(one["journal"])
        items.append(
            {
                "journal": one["journal"],
                "seq": one["size"] - 1,
                "published_seq": point.size - 1 if point else None,
                "root": point.root.hex() if point else None,
            }
        )
    frozen = world.ledger.frozen
    return reply(
        200,
        {"journals": items, "queued": world.ledger.sequencer.queued, "read_only": str(frozen) if frozen else None},
    )


routes = [status]
