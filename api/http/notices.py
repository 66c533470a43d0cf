# SPDX-License-Identifier: Apache-2.0
"""The monthly notice of a community (一月一公示): drawn up, agreed to by somebody else, published; on paper, on a
screen in the lobby, as JSON and as a table."""

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import Parameter
from pydantic import Field

from api.auth import Caller
from api.editions import assessed, edition_body, notice_code
from api.http.answers import answers
from api.http.awards import lang_of
from api.http.conditions import IfMatch, polled, version_in
from api.http.edition_office import Agreeing, answered
from api.http.editions import FORMS, Form, Tongue, shown, visible
from api.http.list_shapes import EditionHead, ListData
from api.http.merchants import Strict
from api.http.reply import Cursor, Limit, key_of, page
from api.http.shapes import Page
from api.lists import naming
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from rules.lists.model import PUBLISHED, Edition

TAGS = ["lists"]

Community = Annotated[str, Parameter(max_length=40)]


class NewNotice(Strict):
    """A month that is over, `2026-10`, and a community."""

    period: Annotated[str, Field(pattern=r"^[12][0-9]{3}-(0[1-9]|1[0-2])$")]
    community: Annotated[str, Field(min_length=1, max_length=40)]


@get(
    "/notices",
    opt={"public": True, "polled": True},
    tags=TAGS,
    summary="Monthly notices",
    operation_id="listNotices",
    responses={200: answers(Page[EditionHead])},
)
async def listing(
    world: World, scope: Any, community: Community, limit: Limit = 50, cursor: Cursor = None
) -> Response[bytes]:
    """Those that were published, newest first."""
    world.register.place(community)
    before = key_of(cursor, str)
    found = await world.editions.find(
        kind="notice", places=[community], states=[PUBLISHED], before=before[0] if before else None, limit=limit + 1
    )
    items, following = page(found, limit, lambda one: (one.id,))
    return polled(scope, {"items": [edition_body(one) for one in items], "next": following})


@get(
    "/notices/{period:str}",
    opt={"public": True, "polled": True},
    tags=TAGS,
    summary="A month's notice",
    operation_id="getNotice",
    responses={200: answers(ListData, media=FORMS)},
)
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
    return await shown(request.scope, data, kind, lang or lang_of(request), form, file=f"notice-{community}-{month}")


@post(
    "/notices",
    tags=TAGS,
    summary="Draw up a notice",
    operation_id="draftNotice",
    responses={201: answers(EditionHead, etag=True)},
)
async def draft(world: World, caller: Caller, data: NewNotice) -> Response[bytes]:
    """Drafted and frozen in one step, or frozen where it was drafted before. Its page, `/v1/editions/{id}.html`, is
    what somebody else is to agree to."""
    code = notice_code(world, data.period)
    return answered(await world.editions.draw_up(caller.actor, code, data.period, data.community), 201)


@post(
    "/notices/{notice:str}/approve",
    status_code=200,
    tags=TAGS,
    summary="Agree to it",
    operation_id="approveNotice",
    responses={200: answers(EditionHead, etag=True)},
)
async def approve(
    world: World,
    caller: Caller,
    maybe_retry: Retry | None,
    notice: str,
    data: Agreeing | None = None,
    if_match: IfMatch = None,
) -> Response[bytes]:
    """By somebody who did not draw it up. Where the list asks for one approval, that publishes it."""
    return await _agreed(world, caller, await _noticed(world, caller, notice), data, maybe_retry, if_match)


@post(
    "/notices/{notice:str}/publish",
    status_code=200,
    tags=TAGS,
    summary="Publish it",
    operation_id="publishNotice",
    responses={200: answers(EditionHead, etag=True)},
)
async def publish(
    world: World,
    caller: Caller,
    maybe_retry: Retry | None,
    notice: str,
    data: Agreeing | None = None,
    if_match: IfMatch = None,
) -> Response[bytes]:
    """What is published already stays so; else as agreeing to it."""
    found = await _noticed(world, caller, notice)
    if found.state == PUBLISHED:
        return answered(found)
    return await _agreed(world, caller, found, data, maybe_retry, if_match)


async def _noticed(world: World, caller: Caller, notice: str) -> Edition:
    """The notice, for staff of its place. Raises `not_found` for everybody else, and for another kind of edition."""
    found, staff = await visible(world, caller, notice)
    if not staff or found.kind != "notice":
        raise Refusal("not_found", what="edition", id=notice[:60])
    return found


async def _agreed(
    world: World, caller: Caller, found: Edition, data: Agreeing | None, retry: Retry | None, if_match: str | None
) -> Response[bytes]:
    await assessed(world, found)
    office = world.editions.seen(found.id, version_in(if_match))
    done, replayed = await office.agree(caller.actor, found.id, "" if data is None else data.reason, retry)
    return answered(done, replayed=replayed)


routes: list[Any] = [listing, notice, draft, approve, publish]
