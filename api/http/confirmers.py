# SPDX-License-Identifier: Apache-2.0
"""The record of who may confirm hours: kept by approvers, street staff and county administrators at their places."""

from datetime import date
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.awards import Long
from api.http.body import invalid
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Day, Instant, Page, PlaceCode
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339
from rules.ports import READING
from rules.reports.confirmers import ACTIVE, MANAGING, SUSPENDED, Confirmer, Kind, State
from rules.reports.lists import confirmers as listed

TAGS = ["reports"]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Code = Annotated[str, Field(min_length=1, max_length=40)]


class Named(BaseModel):
    """`subject`, a person or a body, or `staff`. The days are those of the deeds; without `to` there is no last one."""

    model_config = _STRICT

    subject: Code | None = None
    staff: Code | None = None
    place: Code
    from_: Annotated[date, Field(alias="from")]
    to: date | None = None
    daily_people: Annotated[int | None, Field(ge=1, le=10_000)] = None


class Why(BaseModel):
    model_config = _STRICT

    reason: Long


ConfirmerBody = TypedDict(
    "ConfirmerBody",
    {
        "id": str,
        "who": str,
        "kind": Kind,
        "place": PlaceCode,
        "from": Day,
        "to": Day | None,
        "daily_people": int | None,
        "state": State,
        "registered_by": str,
        "registered_at": Instant,
        "changed_at": Instant,
    },
)


class ConfirmerTurn(TypedDict):
    state: State
    reason: str
    by: str
    at: Instant


class ConfirmerRecord(ConfirmerBody):
    """With what was decided about them, the newest last."""

    story: list[ConfirmerTurn]


def confirmer_body(one: Confirmer) -> ConfirmerBody:
    return {
        "id": one.id,
        "who": one.who,
        "kind": one.kind,
        "place": one.place,
        "from": one.from_day,
        "to": one.to_day,
        "daily_people": one.daily_people,
        "state": one.state,
        "registered_by": one.registered_by,
        "registered_at": rfc3339(one.registered_at),
        "changed_at": rfc3339(one.changed_at),
    }


@post(
    "/confirmers",
    tags=TAGS,
    summary="Register a confirmer",
    operation_id="createConfirmer",
    responses={201: answers(ConfirmerBody)},
)
async def create(world: World, caller: Caller, data: Named) -> Response[bytes]:
    """Awards whose evidence names the id as `confirmed_by` are checked against it."""
    if (data.subject is None) == (data.staff is None):
        raise invalid([{"pointer": "/subject", "code": "field_missing"}])
    if data.to is not None and data.to < data.from_:
        raise invalid([{"pointer": "/to", "code": "field_invalid"}])
    who, kind = await _who(world, data)
    made = await world.confirmers.register(
        caller.actor,
        who=who,
        kind=kind,
        place=data.place,
        from_day=data.from_,
        to_day=data.to,
        daily_people=data.daily_people,
    )
    return reply(201, confirmer_body(made))


async def _who(world: World, data: Named) -> tuple[str, Kind]:
    """Staff who have an account of their own are that person: nobody has one right suspended and keeps another."""
    subject = data.subject
    if data.staff is not None:
        rows = await world.ledger.fetch("SELECT subject FROM staff WHERE id = ?", data.staff)
        if not rows:
            raise Refusal("not_found", what="staff", id=data.staff)
        if not rows[0][0]:
            return data.staff, "staff"
        subject = rows[0][0]
    known = await world.register.subject(subject or "")
    return known.subject, "body" if known.kind == "body" else "person"


@get(
    "/confirmers",
    tags=TAGS,
    summary="Who may confirm",
    operation_id="listConfirmers",
    responses={200: answers(Page[ConfirmerBody])},
)
async def listing(
    world: World,
    caller: Caller,
    place: str | None = None,
    state_: Annotated[State | None, QueryParameter(name="state")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[bytes]:
    """At the caller's places and below them, the newest first."""
    places = {where for role, where in caller.actor.roles if role in READING | MANAGING}
    if place is not None:
        world.register.place(place)
        if not caller.serves(place, world.covers):
            raise Refusal("forbidden", scope="lists:read", place=place)
        places = {place}
    before = key_of(cursor, str)
    found = await listed(places, state=state_, before=before[0] if before else None, limit=limit + 1)
    shown, following = page(found, limit, lambda one: (one.id,))
    return reply(200, {"items": [confirmer_body(one) for one in shown], "next": following})


@get(
    "/confirmers/{confirmer:str}",
    tags=TAGS,
    summary="One confirmer",
    operation_id="getConfirmer",
    responses={200: answers(ConfirmerRecord)},
)
async def one(world: World, caller: Caller, confirmer: str) -> Response[bytes]:
    """With what was decided about them and why: for those who decide it, for auditors and for themselves."""
    found = await world.confirmers.one(confirmer)
    own = found.who in (caller.subject, caller.id)
    if not own and not caller.actor.may(MANAGING | {"auditor"}, found.place, world.covers):
        raise Refusal("not_found", what="confirmer", id=confirmer[:60])
    story = [{**told, "at": rfc3339(told["at"])} for told in await world.confirmers.story(found)]
    await world.saw(caller, found.who, f"confirmer {found.id}")
    return reply(200, {**confirmer_body(found), "story": story}, headers={"Cache-Control": "no-store"})


@post(
    "/confirmers/{confirmer:str}/suspend",
    tags=TAGS,
    summary="Suspend a confirmer",
    operation_id="suspendConfirmer",
    status_code=200,
    responses={200: answers(ConfirmerBody)},
)
async def suspend(world: World, caller: Caller, confirmer: str, data: Why) -> Response[bytes]:
    """At once; what was awarded stays until it is taken back. Not by oneself, of oneself."""
    found = await world.confirmers.turn(caller.actor, confirmer, SUSPENDED, data.reason)
    return reply(200, confirmer_body(found))


@post(
    "/confirmers/{confirmer:str}/resume",
    tags=TAGS,
    summary="Let a confirmer go on",
    operation_id="resumeConfirmer",
    status_code=200,
    responses={200: answers(ConfirmerBody)},
)
async def resume(world: World, caller: Caller, confirmer: str, data: Why) -> Response[bytes]:
    """From now on, also for deeds of the time between."""
    found = await world.confirmers.turn(caller.actor, confirmer, ACTIVE, data.reason)
    return reply(200, confirmer_body(found))


routes: list[Any] = [create, listing, one, suspend, resume]
