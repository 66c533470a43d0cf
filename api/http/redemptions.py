# SPDX-License-Identifier: Apache-2.0
"""Redemptions at the till, and what may be asked before. A till's answer has the masked name and the points to deduct;
no balance, no grade and no history, whatever happens."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from litestar import Response, get, post
from litestar.params import Parameter
from pydantic import Field, model_validator

from api.auth import Caller
from api.http.answers import answers
from api.http.body import Nothing, invalid
from api.http.merchants import Strict, asker
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.http.shop_shapes import EligibilityBody, MyOrder, NamedOrder, OrderBody, SlipBody
from api.http.subjects import own_subject
from api.world import World
from ledger.model import AMOUNT_MAX
from ledger.port import Retry
from ledger.view import local_day, rfc3339
from merchants import display
from merchants.model import QUANTITY_MAX, REASON_MAX, Details, Slip
from merchants.passes import TEXT_MAX

Id = Annotated[str, Field(min_length=1, max_length=64)]
Pin = Annotated[str, Field(min_length=1, max_length=12)]
Amount = Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
Code = Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
Reference = Annotated[str, Field(min_length=1, max_length=40)]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX)]

_ASKING = ({"subject"}, {"token"}, {"card", "pin"}, {"card", "pin", "for_card"}, {"phone_tail", "surname", "pin"})
_WAYS = (*_ASKING, {"visit"}, {"subject", "proxy"})


class By(Strict):
    """Who pays: the `token` on a person's phone, the `visit` that an eligibility answer came with, `card` and `pin`, or
    `phone_tail`, `surname` and `pin`. With `for_card` the holder of `card` pays for somebody else with that one's
    points. `subject` is for community staff only, with the `proxy` who came if it is not the person."""

    subject: Id | None = None
    proxy: Id | None = None
    token: Code | None = Field(default=None, repr=False)
    visit: Code | None = Field(default=None, repr=False)
    card: Id | None = None
    for_card: Id | None = None
    phone_tail: Annotated[str | None, Field(pattern=r"^[0-9]{4}$", repr=False)] = None
    surname: Annotated[str | None, Field(min_length=1, max_length=20, repr=False)] = None
    pin: Pin | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if set(self.said()) not in _WAYS:
            raise ValueError("exactly one way of saying who pays")
        return self

    def said(self) -> dict[str, str]:
        return {name: value for name, value in self if value is not None}


class Gift(Strict):
    """Whom a gift is for, where a scenario allows one: a relative's card, or their `subject` (staff only)."""

    subject: Id | None = None
    card: Id | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.subject is None) == (self.card is None):
            raise ValueError("exactly one way of saying whom it is for")
        return self

    def said(self) -> dict[str, str]:
        return {f"to_{name}": value for name, value in self if value is not None}


class Slot(Strict):
    """The day on which the minutes of a screen are played, where it is not today."""

    day: date


class Order(Strict):
    """What is redeemed, and by whom. Staff may name the shop; a till's shop is its key's. `for` is the relative who is
    given it, `reference` the meter, plate or home that a limit counts for, `slot` where minutes of a screen go."""

    offer: Id
    quantity: Annotated[int, Field(ge=1, le=QUANTITY_MAX)] = 1
    by: By
    to: Annotated[Gift | None, Field(alias="for")] = None
    pay: Literal["points", "points_then_cash"] = "points"
    reference: Reference | None = None
    slot: Slot | None = None
    merchant: Id | None = None

    def said(self) -> dict[str, str]:
        return {**self.by.said(), **(self.to.said() if self.to else {})}


class Question(Strict):
    """Would one unit be redeemed now?"""

    offer: Id
    by: By


class CaptureBody(Strict):
    """All that is held, or `amount` of it; `final` gives the rest back."""

    amount: Amount | None = None
    final: bool = True


class Undoing(Strict):
    """Why it is undone; kept sealed."""

    reason: Reason


class RefundBody(Strict):
    """How much goes back, and why."""

    amount: Amount
    reason: Reason


def slip_body(slip: Slip) -> SlipBody:
    return {
        "id": slip.id,
        "state": slip.state,
        "points": slip.points,
        "cash_fen": slip.cash_fen,
        "expires_at": rfc3339(slip.expires_at),
        "masked_name": slip.masked_name,
    }


def details_body(one: Details) -> OrderBody:
    order = one.order
    return {
        "id": order.redemption,
        "state": one.state,
        "offer": order.offer,
        "merchant": order.merchant,
        "quantity": order.quantity,
        "points": order.points,
        "cash_fen": order.cash_fen,
        "captured": one.captured,
        "released": one.released,
        "refunded": one.refunded,
        "day": order.day,
        "created_at": rfc3339(order.created_at),
        "expires_at": rfc3339(one.expires_at),
    }


@post(
    "/redemptions",
    tags=["redemptions"],
    summary="Redeem an offer",
    operation_id="redeem",
    responses={201: answers(SlipBody)},
)
async def redeem(world: World, caller: Caller, retry: Retry, data: Order, capture: bool = False) -> Response[bytes]:
    """Hold the points for fifteen minutes; with `?capture=true` give them to the shop in the same step."""
    slip = await world.shop.redeem(
        asker(world, caller),
        offer=data.offer,
        by=data.said(),
        quantity=data.quantity,
        retry=retry,
        capture=capture,
        then_cash=data.pay == "points_then_cash",
        merchant=data.merchant,
        reference=data.reference,
        more=() if data.slot is None else (display.Slot(data.offer, data.slot.day.isoformat()),),
    )
    return reply(201, slip_body(slip), slip.replayed)


@get(
    "/redemptions",
    tags=["redemptions"],
    summary="A day's redemptions",
    operation_id="listRedemptions",
    responses={200: answers(Page[OrderBody])},
)
async def redemptions(
    world: World,
    caller: Caller,
    day: date | None = None,
    merchant: Annotated[str | None, Parameter(max_length=64)] = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[bytes]:
    """The day sheet, oldest first: a shop's own, or of the communities that staff serve. Today where no day is said."""
    who = asker(world, caller)
    communities: list[str] | None = None
    if who.merchant is not None:
        merchant = who.merchant
    else:
        communities = [one for one in await world.shop.offers.communities() if who.serves(one)]
    key = key_of(cursor, int, str)
    rows = await world.shop.day(
        day.isoformat() if day else local_day(world.ledger.clock(), world.settings.timezone),
        merchant=merchant,
        communities=communities,
        after=None if key is None else (key[0], key[1]),
        limit=limit + 1,
    )
    shown, more = page(rows, limit, lambda one: (one.order.created_at, one.order.redemption))
    return reply(200, {"items": [details_body(one) for one in shown], "next": more})


@get(
    "/me/redemptions",
    tags=["me"],
    summary="My redemptions",
    operation_id="listMyRedemptions",
    responses={200: answers(Page[MyOrder])},
)
async def my_redemptions(
    world: World, caller: Caller, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> Response[bytes]:
    """What I redeemed, or was given, newest first, with the offer's name and the shop's."""
    subject = own_subject(world, caller)
    key = key_of(cursor, int, str)
    rows = await world.shop.mine(subject, after=None if key is None else (key[0], key[1]), limit=limit + 1)
    shown, more = page(rows, limit, lambda one: (one.order.created_at, one.order.redemption))
    items = [{**details_body(one), **await _named(world, one), "mine": one.order.subject == subject} for one in shown]
    return reply(200, {"items": items, "next": more}, headers={"Cache-Control": "no-store"})


async def _named(world: World, one: Details) -> dict[str, Any]:
    offer = await world.shop.offers.get(one.order.offer)
    merchant = await world.shop.offers.merchant(one.order.merchant)
    return {"title": {"zh": offer.title_zh, "en": offer.title_en}, "merchant_name": merchant.name}


@get(
    "/redemptions/{redemption:str}",
    tags=["redemptions"],
    summary="A redemption",
    operation_id="getRedemption",
    responses={200: answers(NamedOrder)},
)
async def redemption(world: World, caller: Caller, redemption: str) -> Response[bytes]:
    """For its shop, for staff who serve there, and for the person whose points they are."""
    details = await world.shop.details(asker(world, caller), redemption)
    if caller.kind == "staff":  # a till sees its own sale
        await world.saw(caller, details.order.subject, f"redemption {redemption}")
    return reply(200, {**details_body(details), **slip_body(await world.shop.told(details))})


@post(
    "/redemptions/{redemption:str}/capture",
    status_code=200,
    tags=["redemptions"],
    summary="Capture held points",
    operation_id="capture",
    responses={200: answers(SlipBody)},
)
async def capture(
    world: World, caller: Caller, retry: Retry, redemption: str, data: CaptureBody | None = None
) -> Response[bytes]:
    """Hand-over: the points are the shop's. With `final` (default) what is not captured goes back."""
    what = data or CaptureBody()
    slip = await world.shop.capture(asker(world, caller), redemption, amount=what.amount, final=what.final, retry=retry)
    return reply(200, slip_body(slip), slip.replayed)


@post(
    "/redemptions/{redemption:str}/release",
    status_code=200,
    tags=["redemptions"],
    summary="Release held points",
    operation_id="release",
    responses={200: answers(SlipBody)},
)
async def release(
    world: World, caller: Caller, retry: Retry, redemption: str, data: Nothing | None = None
) -> Response[bytes]:
    """Call the order off: what is still held goes back, with stock and limit."""
    slip = await world.shop.release(asker(world, caller), redemption, retry=retry)
    return reply(200, slip_body(slip), slip.replayed)


@post(
    "/redemptions/{redemption:str}/void",
    status_code=200,
    tags=["redemptions"],
    summary="Void a redemption",
    operation_id="void",
    responses={200: answers(SlipBody)},
)
async def void(world: World, caller: Caller, retry: Retry, redemption: str, data: Undoing) -> Response[bytes]:
    """Undo the whole order, until midnight of its day; points, stock and limit as before."""
    slip = await world.shop.void(asker(world, caller), redemption, reason=data.reason, retry=retry)
    return reply(200, slip_body(slip), slip.replayed)


@post(
    "/redemptions/{redemption:str}/refunds",
    status_code=200,
    tags=["redemptions"],
    summary="Refund captured points",
    operation_id="refund",
    responses={200: answers(SlipBody)},
)
async def refund(world: World, caller: Caller, retry: Retry, redemption: str, data: RefundBody) -> Response[bytes]:
    """Points go back to the lots they came from, never more than was captured."""
    slip = await world.shop.refund(
        asker(world, caller), redemption, amount=data.amount, reason=data.reason, retry=retry
    )
    return reply(200, slip_body(slip), slip.replayed)


@post(
    "/eligibility",
    status_code=200,
    tags=["redemptions"],
    summary="Yes or no",
    operation_id="eligibility",
    responses={200: answers(EligibilityBody)},
)
async def eligibility(world: World, caller: Caller, data: Question) -> Response[bytes]:
    """Nothing is held and nothing changes, but that a token is used up: it answers for one offer. A till hears yes or
    no, and with a yes gets a `visit` that redeems this offer at this till within five minutes; staff and the resident
    also hear why not."""
    by = data.by.said()
    if caller.kind in ("resident", "body") and set(by) != {"subject"}:
        raise invalid([{"pointer": "/by", "code": "not_a_choice", "limit": "subject"}])
    if set(by) not in _ASKING:
        raise invalid([{"pointer": "/by", "code": "field_invalid"}])
    if caller.kind == "staff" and data.by.subject is not None:
        await world.saw(caller, data.by.subject, "eligibility")
    who = asker(world, caller)
    answer = await world.shop.eligible(who, offer=data.offer, by=by)
    body: dict[str, Any] = {"eligible": answer.eligible}
    if answer.shown is not None and who.merchant is not None:
        body["visit"] = world.counter.visit(answer.shown, who, data.offer)
    if answer.reason_code is not None:
        body["reason_code"] = answer.reason_code
    return reply(200, body, headers={"Cache-Control": "no-store"})


routes = [redeem, redemptions, my_redemptions, redemption, capture, release, void, refund, eligibility]
