# SPDX-License-Identifier: Apache-2.0
"""Bodies: shops, companies, committees, teams. Their names are public; who answers the phone is not shown here."""

from typing import Annotated, Any

from litestar import Response, get, post
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.bodies import NewBody, register_bodies
from api.http.answers import answers
from api.http.people import Place, group_codes, read_text
from api.http.people_shapes import BodyItem, Registered
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.sheets import values
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from rules.tables import BodyRow

TAGS = ["people"]


class Founding(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    type: Annotated[str, Field(min_length=1, max_length=100)]
    uscc: Annotated[str | None, Field(max_length=40)] = None
    group: Annotated[str | None, Field(max_length=40)] = None
    community: Place
    contact: Annotated[str | None, Field(max_length=50)] = None
    phone: Annotated[str | None, Field(max_length=20)] = None


def _landline(text: str) -> str | None:
    return values.phone(text, landlines=True)


@post(
    "/bodies",
    tags=TAGS,
    summary="Register a body",
    operation_id="registerBody",
    responses={201: answers(Registered)},
)
async def register(world: World, caller: Caller, data: Founding, maybe_retry: Retry | None) -> Response[bytes]:
    """In a community of the caller's. `group` is needed where the type does not name one."""
    await world.register.refresh()
    place = world.register.tree.places.get(data.community)
    if place is None or place.level != "community":
        raise Refusal("place_unknown", value=data.community)
    if not caller.serves(place.code, world.covers):
        raise Refusal("forbidden", scope="people:write", place=place.code)
    body = NewBody(
        read_text(values.label, data.name, "/name"),
        read_text(values.label, data.type, "/type"),
        read_text(values.uscc, data.uscc, "/uscc") if data.uscc else None,
        group_codes(world, [data.group or data.type], "body")[0],
        place.code,
        read_text(values.name, data.contact, "/contact") if data.contact else None,
        read_text(_landline, data.phone, "/phone") if data.phone else None,
    )
    base = world.pack.base_standing
    answer = await register_bodies(world, [body], actor=caller.id, base=base, retry=maybe_retry)
    return reply(201, {"subject": answer.ref}, answer.replayed)


@get(
    "/bodies",
    tags=TAGS,
    summary="Bodies",
    operation_id="listBodies",
    responses={200: answers(Page[BodyItem])},
)
async def listing(
    world: World, caller: Caller, place: str | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[bytes]:
    """Of a place and what is below it; without one, of everywhere the caller has a duty."""
    await world.register.refresh()
    if place is not None:
        world.register.place(place)
    communities = [
        found.code
        for found in world.register.tree.places.values()
        if found.level == "community"
        and (place is None or world.covers(place, found.code))
        and caller.serves(found.code, world.covers)
    ]
    after = key_of(cursor, str)
    rows: list[dict[str, Any]] = []
    if communities:
        query = BodyRow.select(BodyRow.subject, BodyRow.name, BodyRow.type, BodyRow.uscc, BodyRow.community).where(
            BodyRow.community.is_in(communities)
        )
        if after is not None:
            query = query.where(BodyRow.subject > after[0])
        rows = await query.order_by(BodyRow.subject).limit(limit + 1)
    shown, following = page(rows, limit, lambda row: (row["subject"],))
    known = await world.register.subjects([row["subject"] for row in shown])
    items = [{**row, "groups": list(known[row["subject"]].groups)} for row in shown if row["subject"] in known]
    return reply(200, {"items": items, "next": following})


routes = [register, listing]
