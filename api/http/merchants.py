# SPDX-License-Identifier: Apache-2.0
"""Shops that take points, and their tills. Only staff register and suspend them; a shop sees itself."""

from typing import Annotated, Any, Literal

from litestar import Response, get, patch, post
from litestar.params import HeaderParameter, Parameter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.body import invalid
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, key_of, page, reply
from api.world import SERVING, World
from ledger.errors import Refusal
from merchants.model import Asker, Merchant, Terminal

# Who looks after shops and serves residents at the counter, in the places where they hold the role.
KEEPING = SERVING | {"county_admin"}

Name = Annotated[str, Field(min_length=1, max_length=60)]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", max_length=64, description="The ETag you saw.")]


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, populate_by_name=False
    )


class NewMerchant(Strict):
    """A shop in a community."""

    name: Name
    community: Annotated[str, Field(min_length=1, max_length=40)]


class MerchantChange(Strict):
    """What may be changed."""

    name: Name | None = None
    state: Literal["open", "suspended"] | None = None


class NewTerminal(Strict):
    """A till: what the shop calls it."""

    name: Name


def asker(world: World, caller: Caller, roles: frozenset[str] = SERVING) -> Asker:
    """The caller as the shop knows callers. Raises `forbidden` for those who are none of its business."""
    if caller.kind == "merchant" and caller.merchant:
        return Asker(caller.id, merchant=caller.merchant, terminal=caller.terminal or "")
    if caller.kind in ("resident", "body") and caller.subject:
        return Asker(caller.id, subject=caller.subject)
    if caller.kind == "staff":
        return Asker(
            caller.actor.id,
            serves=lambda community: caller.actor.may(roles, community, world.register.covers),
        )
    raise Refusal("forbidden")


def etag(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


def version_in(if_match: str | None) -> int | None:
    """The version in an If-Match header; None where there is none. One we never gave out matches nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    digits = if_match.strip().removeprefix("W/").strip('"')
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 16 else -1


def merchant_body(one: Merchant, terminals: list[Terminal] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": one.merchant,
        "name": one.name,
        "community": one.community,
        "state": one.state,
        "etag": f'"{one.version}"',
    }
    if terminals is not None:
        body["terminals"] = [{"id": t.terminal, "name": t.name, "state": t.state} for t in terminals]
    return body


@get("/merchants", tags=["merchants"], summary="Shops", operation_id="listMerchants")
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


@post("/merchants", tags=["merchants"], summary="Register a shop", operation_id="addMerchant")
async def add_merchant(world: World, caller: Caller, data: NewMerchant) -> Response[bytes]:
    """An open shop without tills or offers."""
    caller.require("merchants:write")
    place = world.register.tree.places.get(data.community)
    if place is None or place.level != "community":
        raise invalid([{"pointer": "/community", "code": "not_a_choice", "limit": "community"}])
    made = await world.shop.offers.add_merchant(asker(world, caller, KEEPING), name=data.name, community=data.community)
    return reply(201, merchant_body(made, []), headers=etag(made.version))


@get("/merchants/{merchant:str}", tags=["merchants"], summary="A shop", operation_id="getMerchant")
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
    summary="Rename, suspend or reopen a shop",
    operation_id="changeMerchant",
)
async def change_merchant(
    world: World, caller: Caller, merchant: str, data: MerchantChange, if_match: IfMatch = None
) -> Response[bytes]:
    """A suspended shop redeems nothing and captures nothing; staff can wind up its orders."""
    caller.require("merchants:write")
    made = await world.shop.offers.change_merchant(
        asker(world, caller, KEEPING),
        merchant,
        version=version_in(if_match),
        name=data.name,
        state=data.state,
    )
    return reply(200, merchant_body(made), headers=etag(made.version))


@post(
    "/merchants/{merchant:str}/terminals",
    tags=["merchants"],
    summary="Register a till",
    operation_id="addTerminal",
)
async def add_terminal(world: World, caller: Caller, merchant: str, data: NewTerminal) -> Response[bytes]:
    """A till of the shop; a key for it comes from `POST /v1/keys`."""
    caller.require("merchants:write")
    made = await world.shop.offers.add_terminal(asker(world, caller, KEEPING), merchant, name=data.name)
    return reply(201, {"id": made.terminal, "merchant": made.merchant, "name": made.name, "state": made.state})


routes = [merchants, add_merchant, merchant, change_merchant, add_terminal]
