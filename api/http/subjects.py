# SPDX-License-Identifier: Apache-2.0
"""Records, balances and entries of subjects: of oneself under `/me`, of others for those whose duty it is.

A full record is read by the home place: whoever may act there. Each reading of somebody else's is written down.
"""

from typing import Annotated, Any, Literal, NotRequired

from litestar import Response, get
from litestar.params import Parameter

from api import desk_slip, slips, statement
from api.auth import Caller
from api.disputes import mark
from api.http.answers import TypedDict, answers
from api.http.conditions import etag, polled
from api.http.desk_shapes import ObjectionMark
from api.http.reply import Cursor, Limit, cursor_of, key_of, reply
from api.http.shapes import Day, Digest, Instant, Journal, Page, PlaceCode, Points, Seq, Standing
from api.reach import reached
from api.world import World
from ledger.errors import Refusal

TAGS = ["subjects"]
Wait = Annotated[int, Parameter(ge=0, le=30, description="Seconds to wait for the newest entry's publication.")]


class SubjectRecord(TypedDict):
    """What is kept of a person or a body. `phone`, `birth`: of people who gave them; `type`: of bodies."""

    subject: str
    kind: Literal["person", "body"]
    home: PlaceCode
    home_name: str
    grid: PlaceCode | None
    grid_name: str | None
    groups: list[str]
    state: Literal["open", "withdrawn", "closed", "erased"]
    name: NotRequired[str]
    phone: NotRequired[str]
    birth: NotRequired[Day]
    type: NotRequired[str]


class StandingBody(TypedDict):
    amount: Standing
    grade: str


class Lot(TypedDict):
    """Points that lapse on one day, or never, where none is named."""

    amount: Points
    expires_on: NotRequired[Day]


class PointsBody(TypedDict):
    """`debt`: what was taken back after it was spent; until it is made up, nothing is available."""

    available: Points
    held: Points
    lots: list[Lot]
    debt: NotRequired[Points]


class AsOf(TypedDict):
    journal: Journal
    seq: int


class Balance(TypedDict):
    """As it stood right after the entry that `as_of` names."""

    subject: str
    standing: StandingBody
    points: PointsBody
    as_of: AsOf


class Link(TypedDict):
    """An entry that this one goes back to."""

    rel: str
    seq: Seq
    leaf: Digest
    journal: NotRequired[Journal]


class EntryLine(TypedDict):
    """One entry as a line of an account: what it did to this subject."""

    journal: Journal
    seq: Seq
    kind: str
    recorded_at: Instant
    occurred_on: Day
    standing: Standing
    points: Points
    entry_hash: Digest
    rule: NotRequired[str]
    group: NotRequired[str]
    place: NotRequired[PlaceCode]
    links: NotRequired[list[Link]]
    takeover: NotRequired[bool]
    objection: NotRequired[ObjectionMark]


async def may_read(world: World, caller: Caller, subject: str, what: str) -> None:
    """Oneself, or somebody with a duty at the subject's home. Raises what `reached` raises."""
    if caller.subject is not None and caller.subject == subject:
        world.people.check_not_erased(subject)
        return
    await reached(world, caller, subject)
    await world.saw(caller, subject, what)


def own_subject(world: World, caller: Caller) -> str:
    if caller.kind not in ("resident", "body") or caller.subject is None:
        raise Refusal("forbidden", scope="")
    world.people.check_not_erased(caller.subject)
    return caller.subject


async def _record(world: World, subject: str) -> Response[bytes]:
    known, headers = await world.register.subject(subject), {"Cache-Control": "no-store"}
    body: dict[str, Any] = {
        "subject": known.subject,
        "kind": known.kind,
        "home": known.home,
        "home_name": world.place_name(known.home),
        "grid": known.grid or None,
        "grid_name": world.place_name(known.grid) if known.grid else None,
        "groups": list(known.groups),
        "state": known.state,
    }
    if known.kind == "body":
        rows = await world.ledger.fetch("SELECT name, type FROM body WHERE subject = ?", subject)
        if rows:
            body["name"], body["type"] = rows[0]
    else:
        version, person = await world.people.seen(subject)
        headers |= etag(version)
        body["name"] = person.name
        if person.phone:
            body["phone"] = person.phone
        if person.birth:
            body["birth"] = person.birth.isoformat()
    return reply(200, body, headers=headers)


async def _balance(world: World, subject: str, scope: Any) -> Response[bytes]:
    # `as_of` moves with everybody's entries: who asks again and again wants to know whether anything of theirs did.
    return polled(scope, await statement.balance(world.ledger, world.pack, subject), but="as_of")


async def _slip(world: World, subject: str, wait: int) -> Response[bytes]:
    body = await desk_slip.page(world, subject, wait)
    return Response(body, media_type="text/html", headers=slips.headers("slip", ""))


async def _entries(world: World, subject: str, limit: int, cursor: str | None) -> Response[bytes]:
    after: Any = key_of(cursor, int, str, int)
    found = await statement.entries(world.ledger, subject, limit + 1, after)
    keys = [(one.pop("recorded_us"), one["journal"], one["seq"]) for one in found]
    following = cursor_of(*keys[limit - 1]) if len(found) > limit else None
    await mark(world.ledger, found[:limit], found[:limit])
    return reply(200, {"items": found[:limit], "next": following})


@get(
    "/subjects/{subject:str}",
    tags=TAGS,
    summary="A full record",
    operation_id="getSubject",
    responses={200: answers(SubjectRecord, etag=True)},
)
async def record(world: World, caller: Caller, subject: str) -> Response[bytes]:
    """With the name: for those with a duty at the subject's home, and written down."""
    await may_read(world, caller, subject, "record")
    return await _record(world, subject)


@get(
    "/subjects/{subject:str}/balance",
    tags=TAGS,
    summary="Balance",
    operation_id="getBalance",
    opt={"polled": True},
    responses={200: answers(Balance)},
)
async def balance(world: World, caller: Caller, subject: str, scope: Any) -> Response[bytes]:
    """Standing with its grade; points available, held, and by the day they lapse."""
    await may_read(world, caller, subject, "balance")
    return await _balance(world, subject, scope)


@get(
    "/subjects/{subject:str}/entries",
    tags=TAGS,
    summary="Entries",
    operation_id="listSubjectEntries",
    responses={200: answers(Page[EntryLine])},
)
async def entries(
    world: World, caller: Caller, subject: str, limit: Limit = 50, cursor: Cursor = None
) -> Response[bytes]:
    """What happened, newest first: numbers and rules, no names."""
    await may_read(world, caller, subject, "entries")
    return await _entries(world, subject, limit, cursor)


@get(
    "/subjects/{subject:str}/slip",
    tags=TAGS,
    summary="Slip to print",
    operation_id="getSlip",
    media_type="text/html",
    responses={200: answers(media="text/html")},
)
async def slip(world: World, caller: Caller, subject: str, wait: Wait = 2) -> Response[bytes]:
    """For somebody without a phone: balance, what lapses next, the last ten entries in words, and a receipt."""
    await may_read(world, caller, subject, "slip")
    return await _slip(world, subject, wait)


@get(
    "/me",
    tags=["me"],
    summary="My record",
    operation_id="getMe",
    responses={200: answers(SubjectRecord, etag=True)},
)
async def my_record(world: World, caller: Caller) -> Response[bytes]:
    """What is kept about me."""
    return await _record(world, own_subject(world, caller))


@get(
    "/me/balance",
    tags=["me"],
    summary="My balance",
    operation_id="getMyBalance",
    opt={"polled": True},
    responses={200: answers(Balance)},
)
async def my_balance(world: World, caller: Caller, scope: Any) -> Response[bytes]:
    """My standing and points."""
    return await _balance(world, own_subject(world, caller), scope)


@get(
    "/me/entries",
    tags=["me"],
    summary="My entries",
    operation_id="listMyEntries",
    responses={200: answers(Page[EntryLine])},
)
async def my_entries(world: World, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """What happened to my account, newest first."""
    return await _entries(world, own_subject(world, caller), limit, cursor)


@get(
    "/me/slip",
    tags=["me"],
    summary="My slip",
    operation_id="getMySlip",
    media_type="text/html",
    responses={200: answers(media="text/html")},
)
async def my_slip(world: World, caller: Caller, wait: Wait = 2) -> Response[bytes]:
    """The same page of one's own."""
    return await _slip(world, own_subject(world, caller), wait)


routes = [record, balance, entries, slip, my_record, my_balance, my_entries, my_slip]
