# SPDX-License-Identifier: Apache-2.0
"""The tree of places: county, streets, communities, grids, and what is below a grid."""

from typing import Literal

from litestar import Response, get

from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Page, PlaceCode
from api.world import World


class PlaceBody(TypedDict):
    code: PlaceCode
    name: str
    level: Literal["county", "street", "community", "grid", "building", "unit"]
    parent: PlaceCode | None


@get(
    "/places",
    tags=["rules"],
    summary="Places below a place",
    operation_id="listPlaces",
    responses={200: answers(Page[PlaceBody])},
)
async def listing(
    world: World, caller: Caller, parent: str | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[bytes]:
    """Directly below `parent`, by code; without it, the top of the tree."""
    await world.register.refresh()
    if parent is not None:
        world.register.place(parent)
    after = key_of(cursor, str)
    places = [place for place in world.register.children(parent) if after is None or place.code > after[0]]
    shown, following = page(places[: limit + 1], limit, lambda place: (place.code,))
    items = [{"code": place.code, "name": place.name, "level": place.level, "parent": place.parent} for place in shown]
    return reply(200, {"items": items, "next": following})


routes = [listing]
