# SPDX-License-Identifier: Apache-2.0
"""Editions of lists as anybody may read them, and what people say to them.

Only what was published is public, and there only what api/lists/naming.py lets out: no id of anybody. Staff of the
place see an edition from its draft on, with the lines that its subjects are told of.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.params import Parameter, QueryParameter
from pydantic import Field

from api import messages
from api.auth import Caller, calling
from api.editions import comment_body, edition_body
from api.http.answers import answers
from api.http.awards import lang_of, readable
from api.http.body import Nothing
from api.http.conditions import etag, polled
from api.http.list_shapes import CommentBody, EditionBody, EditionHead
from api.http.merchants import Strict
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.lists import frame, list_page, naming, notice_page, ranking_page, roll_up_page, tables
from api.lists.words import hushed
from api.lookup import count
from api.world import World
from ledger import codec
from ledger.errors import Refusal
from rules.lists.model import DRAFT, PUBLIC, Edition

TAGS = ["lists"]
FORMS = ("application/json", "text/html", "text/csv")
COMMENTS_PER_DAY = 5
COMMENT_MAX = 500
_NO_STORE = {"Cache-Control": "no-store"}  # names come and go with what people agree to

Form = Annotated[Literal["a4", "a3", "screen"], Parameter(description="Paper, or a screen in the lobby.")]
Tongue = Annotated[Literal["zh", "en"] | None, Parameter(description="Else as Accept-Language has it.")]
State = Literal["draft", "frozen", "notified", "decided", "published", "corrected", "discarded"]


def is_staff(world: World, caller: Caller | None, place: str) -> bool:
    """Somebody with a duty at the place, who may see what is not published yet."""
    return caller is not None and caller.serves(place, world.covers)


async def visible(world: World, caller: Caller | None, edition: str) -> tuple[Edition, bool]:
    """The edition, and whether it is seen as staff see it. One that may not be seen is not there."""
    found = await world.editions.get(edition)
    staff = is_staff(world, caller, found.place)
    if not staff and not found.is_public:
        raise Refusal("not_found", what="edition", id=edition[:60])
    return found, staff


async def data_of(world: World, found: Edition, staff: bool) -> dict[str, Any]:
    """What everybody may see of an edition, and `staff` of one that is not published yet; of a draft, what it would be
    if it were frozen now."""
    if found.state != DRAFT:
        return await naming.named(world, found.id, staff=staff and not found.is_public)
    frozen = await world.editions.preview(found.list, found.period, found.place, found.corrects)
    return await naming.dressed(world, frozen.header, codec.decode(frozen.files["definition.json"]), frozen.result)


def as_html(data: dict[str, Any], lang: messages.Lang, form: str) -> str:
    """The page; only notices have slides, so that the screen shows what else there is as large as on A3."""
    form = "a3" if form == "screen" and data["kind"] != "notice" else form
    match data["kind"]:
        case "notice":
            return notice_page.notice_page(data, lang, form)
        case "ranking":
            return ranking_page.ranking_page(data, lang, form)
        case "roll_up":
            return roll_up_page.roll_up_page(data, lang, form)
        case _:
            return list_page.list_page(data, lang, form)


def as_csv(data: dict[str, Any], lang: messages.Lang) -> bytes:
    match data["kind"]:
        case "notice":
            return tables.notice_csv(data, lang)
        case "ranking":
            return tables.ranking_csv(data, lang)
        case "roll_up":
            return tables.roll_up_csv(data, lang)
        case _:
            return tables.list_csv(data, lang)


async def shown(
    scope: Any, data: dict[str, Any], kind: str, lang: messages.Lang, form: str, *, file: str
) -> Response[bytes]:
    """`data` as `json`, `html` or `csv`; `file` is what the table is called when it is stored."""
    if kind == "html":
        made = await asyncio.to_thread(as_html, data, lang, form)
        return Response(made.encode(), media_type="text/html", headers=frame.headers(data["kind"]))
    if kind == "csv":
        made_csv = await asyncio.to_thread(as_csv, data, lang)
        headers = {**frame.headers(data["kind"]), "Content-Disposition": f'attachment; filename="{file}.csv"'}
        return Response(made_csv, media_type="text/csv; charset=utf-8", headers=headers)
    return polled(scope, data, _NO_STORE)


def _own_places(scope: Any, place: str | None, world: World) -> list[str]:
    """Where the caller may read what is not published; no machine may."""
    caller = calling(scope)
    if not caller.actor.roles:  # the rows of lists let everybody in, and leave roles to those who see more
        raise Refusal("forbidden", scope="lists:read")
    return readable(caller, place, world)


def _below(world: World, places: Sequence[str]) -> list[str]:
    """The places that lists are made for, of these and all that lies under them."""
    under = (one for place in places for one in world.register.tree.below(place))
    return sorted({one.code for one in under if one.level in ("county", "street", "community")})


@get(
    "/editions",
    opt={"public": True, "polled": True},
    tags=TAGS,
    summary="Editions of lists",
    operation_id="listEditions",
    responses={200: answers(Page[EditionHead])},
)
async def listing(
    request: Request[Any, Any, Any],
    world: World,
    list_: Annotated[str | None, QueryParameter(name="list", max_length=40)] = None,
    kind: Literal["ranking", "honour", "reminder", "notice"] | None = None,
    period: Annotated[str | None, Parameter(max_length=10)] = None,
    place: Annotated[str | None, Parameter(max_length=40)] = None,
    state_: Annotated[State | None, QueryParameter(name="state")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[bytes]:
    """What was published, newest first, corrected versions included. With another `state`, for staff and auditors of
    their places."""
    public = state_ is None or state_ in PUBLIC
    places = ([place] if place else None) if public else _below(world, _own_places(request.scope, place, world))
    before = key_of(cursor, str)
    found = await world.editions.find(
        list=list_,
        kind=kind,
        period=period,
        places=places,
        states=(state_,) if state_ else PUBLIC,
        before=before[0] if before else None,
        limit=limit + 1,
    )
    items, following = page(found, limit, lambda one: (one.id,))
    body = {"items": [edition_body(one, staff=not public) for one in items], "next": following}
    return polled(request.scope, body)


@get(
    "/editions/{edition:str}",
    opt={"public": True, "polled": True},
    tags=TAGS,
    summary="An edition",
    operation_id="getEdition",
    responses={200: answers(EditionBody, media=(*FORMS, "text/plain"))},
)
async def one(
    request: Request[Any, Any, Any], world: World, edition: str, form: Form = "a4", lang: Tongue = None
) -> Response[bytes]:
    """Its rows, named as far as that is allowed today; `.html` is to read and print, `.csv` a table, `.note` what was
    signed (of lists that name accounts by their ids, for staff and auditors). Staff of the place see an edition from
    its draft on, each line with how far it has got."""
    caller: Caller | None = request.scope.get("caller")  # type: ignore[assignment]
    id_, _, kind = edition.partition(".")
    if kind not in ("", "json", "html", "csv", "note"):
        raise Refusal("not_found", what="edition", id=edition[:60])
    found, staff = await visible(world, caller, id_)
    if kind == "note":
        if not found.note or (found.kind == "honour" and not staff):
            raise Refusal("not_found", what="edition", id=edition[:60])
        return Response(found.note.encode(), media_type="text/plain", headers=_NO_STORE)
    if kind in ("html", "csv"):
        file = f"{found.list}-{found.place}-{found.period}"
        data = await data_of(world, found, staff)
        return await shown(request.scope, data, kind, lang or lang_of(request), form, file=file)
    data: dict[str, Any] = await naming.named(world, found.id, staff=staff) if found.frozen_by else {}
    data = {**data, **edition_body(found, staff=staff)}
    if staff and caller is not None:
        rows = [row for part in ("rows", "bodies", "persons") for row in data.get(part, ())]
        await world.saw_all(caller, {row["subject"] for row in rows if "subject" in row}, f"edition {found.id}")
    if staff:  # who may act on it gets the version that If-Match asks for
        return reply(200, data, headers={**_NO_STORE, **etag(found.etag)})
    return polled(request.scope, data, _NO_STORE)


class Said(Strict):
    """What somebody says of an edition. It is shown once staff have read it, without a name."""

    text: Annotated[str, Field(min_length=1, max_length=COMMENT_MAX)]


@get(
    "/editions/{edition:str}/comments",
    opt={"public": True},
    tags=TAGS,
    summary="What people say of an edition",
    operation_id="listEditionComments",
    responses={200: answers(Page[CommentBody])},
)
async def comments(request: Request[Any, Any, Any], world: World, edition: str) -> Response[bytes]:
    """Those that are shown, oldest first; for staff of the place all."""
    found, staff = await visible(world, request.scope.get("caller"), edition)  # type: ignore[arg-type]
    said = await world.editions.comments.of(found.id, states=("waiting", "shown", "hidden") if staff else ("shown",))
    return reply(200, {"items": [comment_body(one, hushed(text), staff=staff) for one, text in said], "next": None})


@post(
    "/editions/{edition:str}/comments",
    tags=TAGS,
    summary="Say something",
    operation_id="commentEdition",
    responses={201: answers(CommentBody)},
)
async def comment(world: World, caller: Caller, edition: str, data: Said) -> Response[bytes]:
    """By residents and bodies, of what was published."""
    found, _ = await visible(world, None, edition)
    await count(world, f"comment:{caller.id}", most=COMMENTS_PER_DAY, minutes=24 * 60)
    made = await world.editions.comments.add(caller.id, found.id, data.text)
    return reply(201, comment_body(made, data.text, staff=True))


@post(
    "/editions/{edition:str}/comments/{comment:str}/show",
    status_code=200,
    tags=TAGS,
    summary="Show a comment",
    operation_id="showEditionComment",
    responses={200: answers(CommentBody)},
)
async def show(
    world: World, caller: Caller, edition: str, comment: str, data: Nothing | None = None
) -> Response[bytes]:
    """By staff of the place. That somebody doubts the list is no reason not to."""
    return await _moderated(world, caller, edition, comment, True)


@post(
    "/editions/{edition:str}/comments/{comment:str}/hide",
    status_code=200,
    tags=TAGS,
    summary="Hide a comment",
    operation_id="hideEditionComment",
    responses={200: answers(CommentBody)},
)
async def hide(
    world: World, caller: Caller, edition: str, comment: str, data: Nothing | None = None
) -> Response[bytes]:
    """By staff of the place, where it names or insults somebody."""
    return await _moderated(world, caller, edition, comment, False)


async def _moderated(world: World, caller: Caller, edition: str, comment: str, shown: bool) -> Response[bytes]:
    found, staff = await visible(world, caller, edition)
    known = await world.editions.comments.of(found.id, states=("waiting", "shown", "hidden")) if staff else []
    text = next((text for one, text in known if one.id == comment), None)
    if text is None:
        raise Refusal("not_found", what="comment", id=comment[:60])
    return reply(200, comment_body(await world.editions.comments.show(caller.actor, comment, shown), text, staff=True))


routes: list[Any] = [listing, one, comments, comment, show, hide]
