# SPDX-License-Identifier: Apache-2.0
"""Who may stand in for whom: listed by the person, or by staff at home who keep the signed paper."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from litestar import Response, delete, get, post
from litestar.params import Parameter
from pydantic import Field

from api.auth import Caller
from api.http.answers import answers
from api.http.body import invalid
from api.http.merchants import Strict
from api.http.people import NO_STORE, theirs
from api.http.people_shapes import EndedProxies, MyProxies, Proxies, ProxyBody
from api.http.reply import reply
from api.http.subjects import own_subject
from api.lookup import count
from api.people.names import masked
from api.people.proxies import Proxy
from api.world import World
from ledger.errors import Refusal
from ledger.view import local_day

LASTS_DAYS = 3 * 366
PER_HOUR = 20
Subject = Annotated[str, Field(min_length=1, max_length=64)]
# Not in the path: one step further up lies the erasure of the person.
Whom = Annotated[str, Parameter(min_length=1, max_length=64, description="The other of the two.")]


class Mine(Strict):
    """`acts`: may pay at a till with my points, for me. `relative`: may pay for me with points of their own, where a
    scenario allows such gifts. `until` is the last day."""

    proxy: Subject
    kind: Literal["acts", "relative"]
    until: date


class Listing(Mine):
    """The same by staff; `consent` says where the signed paper is."""

    consent: Annotated[str, Field(min_length=1, max_length=200)]


@get(
    "/people/{subject:str}/proxies",
    tags=["people"],
    summary="Who stands in",
    operation_id="listProxies",
    responses={200: answers(Proxies)},
)
async def listed(world: World, caller: Caller, subject: str) -> Response[bytes]:
    """Who may act for the person, and whose relative may pay for them."""
    await theirs(world, caller, subject)
    await world.saw(caller, subject, "proxies")
    return reply(200, {"items": await _told(world, await world.counter.proxies.of(subject))}, headers=NO_STORE)


@post(
    "/people/{subject:str}/proxies",
    tags=["people"],
    summary="List a proxy",
    operation_id="addProxy",
    responses={201: answers(ProxyBody)},
)
async def add(world: World, caller: Caller, subject: str, data: Listing) -> Response[bytes]:
    """With the person's signed consent. Not oneself: somebody else has to list a member of staff."""
    await theirs(world, caller, subject)
    if caller.subject is not None and caller.subject == data.proxy:
        raise Refusal("same_person")
    await world.saw(caller, subject, "proxy_add")
    return await _add(world, caller, subject, data, data.consent)


@delete(
    "/people/{subject:str}/proxies",
    status_code=200,
    tags=["people"],
    summary="End a proxy",
    operation_id="endProxy",
    responses={200: answers(EndedProxies)},
)
async def end(world: World, caller: Caller, subject: str, proxy: Whom) -> Response[bytes]:
    """Works at once, also on orders that are being made."""
    await theirs(world, caller, subject)
    await world.saw(caller, subject, "proxy_end")
    return reply(200, {"ended": await world.counter.proxies.end(subject, proxy)}, headers=NO_STORE)


@get(
    "/me/proxies",
    tags=["me"],
    summary="Who stands in for me, and I for whom",
    operation_id="listMyProxies",
    responses={200: answers(MyProxies)},
)
async def my_proxies(world: World, caller: Caller) -> Response[bytes]:
    """Both lists."""
    me = own_subject(world, caller)
    body = {
        "items": await _told(world, await world.counter.proxies.of(me)),
        "for": await _told(world, await world.counter.proxies.for_whom(me), of="subject"),
    }
    return reply(200, body, headers=NO_STORE)


@post(
    "/me/proxies",
    tags=["me"],
    summary="List somebody who stands in for me",
    operation_id="addMyProxy",
    responses={201: answers(ProxyBody)},
)
async def add_mine(world: World, caller: Caller, data: Mine) -> Response[bytes]:
    """By the number on their account."""
    me = own_subject(world, caller)
    await count(world, f"proxy:{caller.id}", most=PER_HOUR, minutes=60)
    return await _add(world, caller, me, data, "")


@delete(
    "/me/proxies",
    status_code=200,
    tags=["me"],
    summary="End it",
    operation_id="endMyProxy",
    responses={200: answers(EndedProxies)},
)
async def end_mine(world: World, caller: Caller, proxy: Whom) -> Response[bytes]:
    """Whatever they stand in for me, or I for them, ends at once."""
    ended = await world.counter.proxies.end(own_subject(world, caller), proxy)
    return reply(200, {"ended": ended}, headers=NO_STORE)


async def _add(world: World, caller: Caller, subject: str, data: Mine, consent: str) -> Response[bytes]:
    today = date.fromisoformat(local_day(world.ledger.clock(), world.settings.timezone))
    if data.proxy == subject:
        raise invalid([{"pointer": "/proxy", "code": "field_invalid"}])
    if not today <= data.until <= today + timedelta(days=LASTS_DAYS):
        limit = f"{today} … {today + timedelta(days=LASTS_DAYS)}"
        raise invalid([{"pointer": "/until", "code": "not_a_choice", "limit": limit}])
    made = await world.counter.proxies.grant(
        subject,
        data.proxy,
        data.kind,
        to_day=data.until.isoformat(),
        consent=consent,
        key=await world.people.data_key(subject),
        actor=caller.id,
    )
    return reply(201, (await _told(world, [made]))[0], headers=NO_STORE)


async def _told(world: World, proxies: list[Proxy], of: Literal["agent", "subject"] = "agent") -> list[dict[str, Any]]:
    names = await world.people.records([getattr(one, of) for one in proxies])
    return [
        {
            "proxy" if of == "agent" else "subject": getattr(one, of),
            "masked_name": masked(names[getattr(one, of)].name) if getattr(one, of) in names else "",
            "kind": one.kind,
            "until": one.to_day,
        }
        for one in proxies
    ]


routes = [listed, add, end, my_proxies, add_mine, end_mine]
