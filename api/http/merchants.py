# SPDX-License-Identifier: Apache-2.0
"""Shops that take points, and their tills. Only staff register and suspend them; a shop sees itself."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from litestar import Response, get, patch, post
from litestar.params import Parameter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.auth import Caller
from api.http.answers import answers
from api.http.body import invalid
from api.http.conditions import IfMatch, etag, version_in
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.http.shop_shapes import MerchantBody, TerminalBody
from api.world import World
from ledger.errors import Refusal
from merchants.change import must_serve
from merchants.hours import DAYS, hours_of, hours_text
from merchants.model import Asker, Merchant, Terminal

Name = Annotated[str, Field(min_length=1, max_length=60)]
Opens = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Closes = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Spans = Annotated[list[tuple[Opens, Closes]], Field(max_length=4)]
Orders = Annotated[int, Field(ge=1, le=1_000_000)]


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, populate_by_name=False
    )


class Week(Strict):
    """When it is open, `["08:30", "12:00"]` a span; one that ends no later than it begins goes on past midnight."""

    mon: Spans = []
    tue: Spans = []
    wed: Spans = []
    thu: Spans = []
    fri: Spans = []
    sat: Spans = []
    sun: Spans = []


class Hours(Strict):
    """Opening hours, and single days on which the shop is closed all the same."""

    week: Week
    closed: Annotated[list[date], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not any(spans for _, spans in self.week):
            raise ValueError("never open")
        return self

    def text(self) -> str:
        return hours_text({day: getattr(self.week, day) for day in DAYS}, self.closed)


class Particulars(Strict):
    """What may be said of a shop, and left out. `circle`: shops of one circle honour each other's vouchers; `subject`:
    the body behind the shop; `per_minute`, `per_day`: how many orders a minute one till and a day all tills may make,
    where the usual is not right. null: not said."""

    circle: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    hours: Hours | None = None
    subject: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    per_minute: Orders | None = None
    per_day: Orders | None = None

    def said(self) -> dict[str, Any]:
        """The fields that were sent, as they are stored."""
        stored: dict[str, Any] = {
            "circle": self.circle or "",
            "hours": "" if self.hours is None else self.hours.text(),
            "subject": self.subject or "",
            "per_minute": self.per_minute or 0,
            "per_day": self.per_day or 0,
        }
        return {name: value for name, value in stored.items() if name in self.model_fields_set}


class NewMerchant(Particulars):
    """A shop in a community."""

    name: Name
    community: Annotated[str, Field(min_length=1, max_length=40)]


class MerchantChange(Particulars):
    """What may be changed; what is not named stays."""

    name: Name | None = None
    state: Literal["open", "suspended"] | None = None


class NewTerminal(Strict):
    """A till: what the shop calls it."""

    name: Name


class TerminalChange(Strict):
    """A new name; or closed, and open again."""

    name: Name | None = None
    state: Literal["open", "closed"] | None = None


def asker(world: World, caller: Caller) -> Asker:
    """The caller as the shop knows callers. Raises `forbidden` for those who are none of its business."""
    if caller.kind == "merchant" and caller.merchant:
        return Asker(caller.id, merchant=caller.merchant, terminal=caller.terminal or "")
    if caller.kind in ("resident", "body") and caller.subject:
        return Asker(caller.id, subject=caller.subject)
    if caller.kind == "staff":
        return Asker(
            caller.actor.id,
            serves=lambda community: caller.serves(community, world.covers),
            own=caller.subject or "",
        )
    raise Refusal("forbidden")


def merchant_body(one: Merchant, terminals: list[Terminal] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": one.merchant,
        "name": one.name,
        "community": one.community,
        "state": one.state,
        "circle": one.circle or None,
        "hours": hours_of(one.hours),
        "etag": f'"{one.version}"',
    }
    if terminals is not None:
        body |= {
            "subject": one.subject or None,
            "per_minute": one.per_minute or None,
            "per_day": one.per_day or None,
            "terminals": [terminal_body(till) for till in terminals],
        }
    return body


def terminal_body(one: Terminal) -> TerminalBody:
    return {
        "id": one.terminal,
        "merchant": one.merchant,
        "name": one.name,
        "state": one.state,
        "etag": f'"{one.version}"',
    }


async def _body_behind(world: World, data: Particulars) -> None:
    """Raises `request_invalid` unless the subject that is named is a registered body."""
    if data.subject is not None:
        try:
            known = await world.register.subject(data.subject)
        except Refusal as refusal:
            raise invalid([{"pointer": "/subject", "code": refusal.code}]) from None
        if known.kind != "body":
            raise invalid([{"pointer": "/subject", "code": "not_a_choice", "limit": "body"}])


@get(
    "/merchants",
    tags=["merchants"],
    summary="Shops",
    operation_id="listMerchants",
    responses={200: answers(Page[MerchantBody])},
)
async def merchants(
    world: World,
    caller: Caller,
    community: Annotated[str | None, Parameter(max_length=40)] = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[bytes]:
    """All shops, or a community's. A shop's key sees its own shop only."""
    offers = world.shop.offers
    if caller.kind == "merchant":
        found = await offers.merchant(caller.merchant or "")
        items = [merchant_body(found, await offers.terminals(found.merchant))]
        return reply(200, {"items": items, "next": None})
    (after,) = key_of(cursor, str) or ("",)
    rows = await offers.merchants(community=community, after=after, limit=limit + 1)
    shown, more = page(rows, limit, lambda one: (one.merchant,))
    return reply(200, {"items": [merchant_body(one) for one in shown], "next": more})


@post(
    "/merchants",
    tags=["merchants"],
    summary="Register a shop",
    operation_id="addMerchant",
    responses={201: answers(MerchantBody, etag=True)},
)
async def add_merchant(world: World, caller: Caller, data: NewMerchant) -> Response[bytes]:
    """An open shop without tills or offers."""
    place = world.register.tree.places.get(data.community)
    if place is None or place.level != "community":
        raise invalid([{"pointer": "/community", "code": "not_a_choice", "limit": "community"}])
    who = asker(world, caller)
    must_serve(who, data.community)
    await _body_behind(world, data)
    made = await world.shop.offers.add_merchant(who, name=data.name, community=data.community, **data.said())
    return reply(201, merchant_body(made, []), headers=etag(made.version))


@get(
    "/merchants/{merchant:str}",
    tags=["merchants"],
    summary="A shop",
    operation_id="getMerchant",
    responses={200: answers(MerchantBody, etag=True)},
)
async def merchant(world: World, caller: Caller, merchant: str) -> Response[bytes]:
    """The shop; its tills for itself and for staff."""
    if caller.kind == "merchant" and caller.merchant != merchant:
        raise Refusal("not_found", what="merchant", id=merchant)
    found = await world.shop.offers.merchant(merchant)
    inside = caller.kind in ("merchant", "staff")
    terminals = await world.shop.offers.terminals(merchant) if inside else None
    return reply(200, merchant_body(found, terminals), headers=etag(found.version))


@patch(
    "/merchants/{merchant:str}",
    tags=["merchants"],
    summary="Change, suspend or reopen a shop",
    operation_id="changeMerchant",
    responses={200: answers(MerchantBody, etag=True)},
)
async def change_merchant(
    world: World, caller: Caller, merchant: str, data: MerchantChange, if_match: IfMatch = None
) -> Response[bytes]:
    """A suspended shop redeems nothing, captures nothing and offers nothing; staff can wind up its orders."""
    who, offers = asker(world, caller), world.shop.offers
    must_serve(who, (await offers.merchant(merchant)).community)
    await _body_behind(world, data)
    made = await offers.change_merchant(
        who,
        merchant,
        version=version_in(if_match),
        name=data.name,
        state=data.state,
        **data.said(),
    )
    return reply(200, merchant_body(made), headers=etag(made.version))


@post(
    "/merchants/{merchant:str}/terminals",
    tags=["merchants"],
    summary="Register a till",
    operation_id="addTerminal",
    responses={201: answers(TerminalBody, etag=True)},
)
async def add_terminal(world: World, caller: Caller, merchant: str, data: NewTerminal) -> Response[bytes]:
    """A till of the shop; a key for it comes from `POST /v1/keys`."""
    made = await world.shop.offers.add_terminal(asker(world, caller), merchant, name=data.name)
    return reply(201, terminal_body(made), headers=etag(made.version))


@patch(
    "/merchants/{merchant:str}/terminals/{terminal:str}",
    tags=["merchants"],
    summary="Rename, close or reopen a till",
    operation_id="changeTerminal",
    responses={200: answers(TerminalBody, etag=True)},
)
async def change_terminal(
    world: World, caller: Caller, merchant: str, terminal: str, data: TerminalChange, if_match: IfMatch = None
) -> Response[bytes]:
    """The keys of a closed till are good for nothing until it is open again: one that was lost is closed at once."""
    made = await world.shop.offers.change_terminal(
        asker(world, caller),
        merchant,
        terminal,
        version=version_in(if_match),
        name=data.name,
        state=data.state,
    )
    world.gate.forget()
    return reply(200, terminal_body(made), headers=etag(made.version))


routes = [merchants, add_merchant, merchant, change_merchant, add_terminal, change_terminal]
