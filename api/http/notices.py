# SPDX-License-Identifier: Apache-2.0
"""The monthly notice of a community (一月一公示): drawn up, agreed to by somebody else, published; on paper, on a
screen in the lobby, as JSON and as a table."""

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import Parameter
from pydantic import Field

from api.auth import Caller
from api.editions import assessed, edition_body, notice_code
from api.http.awards import lang_of
from api.http.edition_office import Agreed
from api.http.editions import Form, Tongue, shown, visible
from api.http.merchants import Strict
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.lists import naming
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from rules.lists.model import DRAFT, PUBLISHED, Edition

TAGS = ["lists"]

Community = Annotated[str, Parameter(max_length=40)]


class NewNotice(Strict):
    """A month that is over, `2026-10`, and a community."""

    period: Annotated[str, Field(pattern=r"^[12][0-9]{3}-(0[1-9]|1[0-2])$")]
    community: Annotated[str, Field(min_length=1, max_length=40)]


@get("/notices", opt={"public": True}, tags=TAGS, summary="Monthly notices", operation_id="listNotices")
async def listing(world: World, community: Community, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """Those that were published, newest first."""
    world.register.place(community)
    before = key_of(cursor, str)
    found = await world.editions.find(
        kind="notice", places=[community], states=[PUBLISHED], before=before[0] if before else None, limit=limit + 1
    )
    items, following = page(found, limit, lambda one: (one.id,))
    return reply(200, {"items": [edition_body(one) for one in items], "next": following})


@get("/notices/{period:str}", opt={"public": True}, tags=TAGS, summary="A month's notice", operation_id="getNotice")
async def notice(
    request: Request[Any, Any, Any],
    world: World,
    period: str,
    community: Community,
    form: Form = "a4",
    lang: Tongue = None,
) -> Response[bytes]:
    """`2026-10`; with `.html` to print (`form=a3` for a board) or to show in a lobby (`form=screen`), with `.csv` as a
    table. Persons only where they agreed to it, masked, and with what they did well."""
    month, _, kind = period.partition(".")
    world.register.place(community)
    found = await world.editions.find(kind="notice", period=month, places=[community], states=[PUBLISHED], limit=1)
    if kind not in ("", "json", "html", "csv") or not found:
        raise Refusal("not_found", what="notice", id=f"{period}/{community}"[:60])
    data = await naming.named(world, found[0].id)
    return await shown(data, kind, lang or lang_of(request), form, file=f"notice-{community}-{month}")


@post("/notices", tags=TAGS, summary="Draw up a notice", operation_id="draftNotice")
async def draft(world: World, caller: Caller, data: NewNotice) -> Response[bytes]:
    """Drafted and frozen in one step. Its page, `/v1/editions/{id}.html`, is what somebody else is to agree to."""
    caller.require("lists:write")
    code = notice_code(world, data.period)
    try:
        made = await world.editions.draft(caller.actor, code, data.period, data.community)
    except Refusal as refusal:  # drafted before, when its month was not over yet
        if refusal.code != "edition_exists" or refusal.facts["state"] != DRAFT:
            raise
        made = await world.editions.get(refusal.facts["edition"])
    return reply(201, edition_body(await world.editions.freeze(caller.actor, made.id), staff=True))


@post(
    "/notices/{notice:str}/approve",
    status_code=200,
    tags=TAGS,
    summary="Agree to it",
    operation_id="approveNotice",
)
async def approve(
    world: World, caller: Caller, maybe_retry: Retry | None, notice: str, data: Agreed | None = None
) -> Response[bytes]:
    """By somebody who did not draw it up. Where the list asks for one approval, that publishes it."""
    return await _agreed(world, caller, await _noticed(world, caller, notice), data, maybe_retry)


@post(
    "/notices/{notice:str}/publish",
    status_code=200,
    tags=TAGS,
    summary="Publish it",
    operation_id="publishNotice",
)
async def publish(
    world: World, caller: Caller, maybe_retry: Retry | None, notice: str, data: Agreed | None = None
) -> Response[bytes]:
    """What is published already stays so; else as agreeing to it."""
    found = await _noticed(world, caller, notice)
    if found.state == PUBLISHED:
        return reply(200, edition_body(found, staff=True))
    return await _agreed(world, caller, found, data, maybe_retry)


async def _noticed(world: World, caller: Caller, notice: str) -> Edition:
    """The notice, for staff of its place. Raises `not_found` for everybody else, and for another kind of edition."""
    caller.require("lists:write")
    found, staff = await visible(world, caller, notice)
    if not staff or found.kind != "notice":
        raise Refusal("not_found", what="edition", id=notice[:60])
    return found


async def _agreed(
    world: World, caller: Caller, found: Edition, data: Agreed | None, retry: Retry | None
) -> Response[bytes]:
    await assessed(world, found)
    done, replayed = await world.editions.agree(caller.actor, found.id, "" if data is None else data.reason, retry)
    return reply(200, edition_body(done, staff=True), replayed)


routes: list[Any] = [listing, notice, draft, approve, publish]
