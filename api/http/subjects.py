# SPDX-License-Identifier: Apache-2.0
"""Records, balances and entries of subjects: of oneself under `/me`, of others for those whose duty it is.

A full record is read by the home place: whoever may act there. Each reading of somebody else's is written down.
"""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import Parameter

from api import desk_slip, slips, statement
from api.auth import Caller
from api.disputes import mark
from api.http.reply import Cursor, Limit, cursor_of, key_of, reply
from api.world import World
from ledger.errors import Refusal
from rules.ports import READING

TAGS = ["subjects"]
Wait = Annotated[int, Parameter(ge=0, le=30, description="Seconds to wait for the newest entry's publication.")]


async def may_read(world: World, caller: Caller, subject: str, scope: str, what: str) -> None:
    """Oneself, or somebody with a duty at the subject's home. Raises `forbidden`; the same for unknown subjects
    unless the caller may look up people at all."""
    if caller.subject is not None and caller.subject == subject:
        world.people.check_not_erased(subject)
        return
    caller.require(scope)
    if caller.kind not in ("staff", "client"):
        raise Refusal("forbidden", scope=scope)
    world.people.check_not_erased(subject)
    known = await world.register.subject(subject)
    if not caller.actor.may(READING, known.grid or known.home, world.covers):
        raise Refusal("forbidden", scope=scope, place=known.home)
    await world.saw(caller, subject, what)


def own_subject(world: World, caller: Caller) -> str:
    if caller.kind not in ("resident", "body") or caller.subject is None:
        raise Refusal("forbidden", scope="")
    world.people.check_not_erased(caller.subject)
    return caller.subject


async def _record(world: World, subject: str) -> Response[bytes]:
    known = await world.register.subject(subject)
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
        person = await world.people.record(subject)
        body["name"] = person.name
        if person.phone:
            body["phone"] = person.phone
        if person.birth:
            body["birth"] = person.birth.isoformat()
    return reply(200, body, headers={"Cache-Control": "no-store"})


async def _balance(world: World, subject: str) -> Response[bytes]:
    return reply(200, await statement.balance(world.ledger, world.pack, subject))


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


@get("/subjects/{subject:str}", tags=TAGS, summary="A full record", operation_id="getSubject")
async def record(world: World, caller: Caller, subject: str) -> Response[bytes]:
    """With the name: for those with a duty at the subject's home, and written down."""
    await may_read(world, caller, subject, "people:read", "record")
    return await _record(world, subject)


@get("/subjects/{subject:str}/balance", tags=TAGS, summary="Balance", operation_id="getBalance")
async def balance(world: World, caller: Caller, subject: str) -> Response[bytes]:
    """Standing with its grade; points available, held, and by the day they lapse."""
    await may_read(world, caller, subject, "balances:read", "balance")
    return await _balance(world, subject)


@get("/subjects/{subject:str}/entries", tags=TAGS, summary="Entries", operation_id="listSubjectEntries")
async def entries(
    world: World, caller: Caller, subject: str, limit: Limit = 50, cursor: Cursor = None
) -> Response[bytes]:
    """What happened, newest first: numbers and rules, no names."""
    await may_read(world, caller, subject, "entries:read", "entries")
    return await _entries(world, subject, limit, cursor)


@get("/subjects/{subject:str}/slip", tags=TAGS, summary="Slip to print", operation_id="getSlip", media_type="text/html")
async def slip(world: World, caller: Caller, subject: str, wait: Wait = 2) -> Response[bytes]:
    """For somebody without a phone: balance, what lapses next, the last ten entries in words, and a receipt."""
    await may_read(world, caller, subject, "balances:read", "slip")
    return await _slip(world, subject, wait)


@get("/me", tags=["me"], summary="My record", operation_id="getMe")
async def my_record(world: World, caller: Caller) -> Response[bytes]:
    """What is kept about me."""
    return await _record(world, own_subject(world, caller))


@get("/me/balance", tags=["me"], summary="My balance", operation_id="getMyBalance")
async def my_balance(world: World, caller: Caller) -> Response[bytes]:
    """My standing and points."""
    return await _balance(world, own_subject(world, caller))


@get("/me/entries", tags=["me"], summary="My entries", operation_id="listMyEntries")
async def my_entries(world: World, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """What happened to my account, newest first."""
    return await _entries(world, own_subject(world, caller), limit, cursor)


@get("/me/slip", tags=["me"], summary="My slip", operation_id="getMySlip", media_type="text/html")
async def my_slip(world: World, caller: Caller, wait: Wait = 2) -> Response[bytes]:
    """The same page of one's own."""
    return await _slip(world, own_subject(world, caller), wait)


routes = [record, balance, entries, slip, my_record, my_balance, my_entries, my_slip]
