# SPDX-License-Identifier: Apache-2.0
"""Charges: the till shows a code, the person approves on their own phone. What the person is refused stays theirs."""

from typing import Annotated, Any, Literal

from litestar import Response, get, post
from pydantic import Field

from api import qr
from api.auth import Caller
from api.http.answers import answers
from api.http.merchants import Strict, asker
from api.http.redemptions import Id, Reference, slip_body
from api.http.reply import reply
from api.http.shop_shapes import ChargeAsked, ChargeBody, ChargeCode, ChargeDeclined, SlipBody
from api.http.subjects import own_subject
from api.lookup import count
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from ledger.view import rfc3339
from merchants.charges import state_of
from merchants.model import QUANTITY_MAX, Asker, Charge

Code = Annotated[str, Field(min_length=1, max_length=64)]
NO_STORE = {"Cache-Control": "no-store"}


class NewCharge(Strict):
    """What a till asks for. With `capture` the points are the shop's as soon as the person approves."""

    offer: Id
    quantity: Annotated[int, Field(ge=1, le=QUANTITY_MAX)] = 1
    capture: bool = False
    pay: Literal["points", "points_then_cash"] = "points"


class Scanned(Strict):
    """The code as scanned."""

    code: Code = Field(repr=False)


class Approval(Scanned):
    """`points_then_cash` agrees to pay in cash what the points do not cover, where the shop takes that. `on_behalf_of`
    as for tokens; `for` is the relative who is given it, `reference` the meter, plate or home that a limit counts
    for."""

    pay: Literal["points", "points_then_cash"] = "points"
    on_behalf_of: Id | None = None
    to: Annotated[Id | None, Field(alias="for")] = None
    reference: Reference | None = None


@post(
    "/charges",
    tags=["redemptions"],
    summary="Show a code for a person to scan",
    operation_id="makeCharge",
    responses={201: answers(ChargeCode)},
)
async def make(world: World, caller: Caller, data: NewCharge) -> Response[bytes]:
    """Good for five minutes. Nothing is held until the person approves."""
    who = asker(world, caller)
    offer = await world.shop.offers.get(data.offer)
    charge, code = await world.charges.create(
        who, offer, quantity=data.quantity, capture=data.capture, then_cash=data.pay == "points_then_cash"
    )
    body = {
        "id": charge.charge,
        "code": code,
        "expires_at": rfc3339(charge.expires_at),
        "qr_svg": qr.svg(code, level="m"),
    }
    return reply(201, body, headers=NO_STORE)


@get(
    "/charges/{charge:str}",
    tags=["redemptions"],
    summary="A charge",
    operation_id="getCharge",
    responses={200: answers(ChargeBody)},
)
async def charge(world: World, caller: Caller, charge: str) -> Response[bytes]:
    """`pending`, `approved` with its redemption, `declined` or `expired`: nothing of what the person was told."""
    found = await world.charges.get(asker(world, caller), charge)
    body: dict[str, Any] = {
        "id": found.charge,
        "state": state_of(found, world.ledger.clock()),
        "expires_at": rfc3339(found.expires_at),
    }
    if found.redemption:
        body["redemption"] = slip_body(await world.shop.slip(asker(world, caller), found.redemption))
    return reply(200, body, headers=NO_STORE)


@post(
    "/me/charges/look",
    status_code=200,
    tags=["me"],
    summary="What a till asks for",
    operation_id="lookAtCharge",
    responses={200: answers(ChargeAsked)},
)
async def look(world: World, caller: Caller, data: Scanned) -> Response[bytes]:
    """The shop, the offer and what it costs, before anything is agreed to."""
    found = await _scanned(world, caller, data.code)
    state = state_of(found, world.ledger.clock())
    if state != "pending":
        raise Refusal("charge_closed", state=state)
    offer = await world.shop.offers.get(found.offer)
    shop = await world.shop.offers.merchant(found.merchant)
    named = world.shop.offers.scenario(offer.scenario).reference
    body = {
        "merchant": {"id": shop.merchant, "name": shop.name},
        "offer": {"id": offer.offer, "title": {"zh": offer.title_zh, "en": offer.title_en}},
        "quantity": found.quantity,
        "points": offer.price * found.quantity,
        "cash_fen": offer.cash_fen * found.quantity,
        "pay": "points_then_cash" if found.then_cash else "points",
        "reference": None if named is None else {"zh": named.zh, "en": named.en},
        "expires_at": rfc3339(found.expires_at),
    }
    return reply(200, body, headers=NO_STORE)


@post(
    "/me/charges/approve",
    tags=["me"],
    summary="Approve what a till asks for",
    operation_id="approveCharge",
    responses={201: answers(SlipBody)},
)
async def approve(world: World, caller: Caller, retry: Retry, data: Approval) -> Response[bytes]:
    """Redeems at once. Whatever is refused is told here and not at the till, where the charge stays open."""
    me = own_subject(world, caller)
    if (slip := await world.shop.again(retry)) is not None:
        return reply(201, slip_body(slip), True, headers=NO_STORE)
    found = await _scanned(world, caller, data.code)
    then_cash = bool(found.then_cash) and data.pay == "points_then_cash"
    shown = await world.counter.approving(
        me, found, subject=data.on_behalf_of or me, beneficiary=data.to, then_cash=then_cash
    )
    slip = await world.shop.redeem(
        Asker(found.charge, subject=me, terminal=found.terminal),  # a shop reads who acted in entries that pay it
        offer=found.offer,
        by=shown,
        quantity=found.quantity,
        retry=retry,
        capture=bool(found.capture),
        then_cash=then_cash,
        reference=data.reference,
    )
    return reply(201, slip_body(slip), slip.replayed, headers=NO_STORE)


@post(
    "/me/charges/decline",
    status_code=200,
    tags=["me"],
    summary="Decline it",
    operation_id="declineCharge",
    responses={200: answers(ChargeDeclined)},
)
async def decline(world: World, caller: Caller, data: Scanned) -> Response[bytes]:
    """The till is told that it was declined, not by whom."""
    found = await _scanned(world, caller, data.code)
    await world.charges.decline(found)
    return reply(200, {"state": "declined"}, headers=NO_STORE)


async def _scanned(world: World, caller: Caller, code: str) -> Charge:
    own_subject(world, caller)
    await count(world, f"charge:{caller.id}")
    return await world.charges.by_code(code)


routes = [make, charge, look, approve, decline]
