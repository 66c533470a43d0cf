# SPDX-License-Identifier: Apache-2.0
"""The journals: one per community."""

from litestar import Response, get

from api.http.reply import reply
from api.world import World


@get("/journals", opt={"public": True}, tags=["journals"], summary="Every journal", operation_id="listJournals")
async def journals(world: World) -> Response[bytes]:
    """Size, last entry's hash and zone of every journal; public, for it says nothing of anyone."""
    items = [
        {
            "journal": one["journal"],
            "name": world.place_name(one["journal"]),
            "seq": one["size"] - 1,
            "entry_hash": one["leaf"],
            "recorded_at": one["recorded_at"],
            "zone": one["zone"],
            "takeover": bool(one["takeover"]),
        }
        for one in await world.ledger.journals()
    ]
    return reply(200, {"items": items, "next": None})


routes = [journals]
