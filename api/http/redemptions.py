# SPDX-License-Identifier: Apache-2.0
"""Redemptions at the till, and what may be asked before. A till's answer has the masked name and the points to deduct;
no balance, no grade and no history, whatever happens."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from litestar import Response, get, post
from litestar.params import Parameter
from pydantic import Field, model_validator

from api.auth import Caller
from api.http.body import Nothing, invalid
from api.http.merchants import Strict, asker
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, key_of, page, reply
from api.world import World
from ledger.errors import Refusal
from ledger.model import AMOUNT_MAX
from ledger.port import Retry
from ledger.view import local_day, rfc3339
from merchants.model import QUANTITY_MAX, REASON_MAX, Details, Slip

Id = Annotated[str, Field(min_length=1, max_length=64)]
Pin = Annotated[str, Field(min_length=1, max_length=12)]
Amount = Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX)]

_WAYS = ({"subject"}, {"card", "pin"}, {"phone_tail", "surname", "pin"})


class By(Strict):
    """Who pays: `card` and `pin`, or `phone_tail`, `surname` and `pin`; `subject` for community staff only."""

    subject: Id | None = None
    card: Id | None = None
    phone_tail: Annotated[str, Field(pattern=r"^[0-9]{4}$")] | None = None
    surname: Annotated[str, Field(min_length=1, max_length=20)] | None = None
    pin: Pin | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if set(self.said()) not in _WAYS:
            raise ValueError("exactly one way of saying who pays")
        return self

    def said(self) -> dict[str, str]:
        return {name: value for name, value in self if value is not None}


class Order(Strict):
    """What is redeemed, and by whom. Staff may name the shop; a till's shop is its key's."""

    offer: Id
    quantity: Annotated[int, Field(ge=1, le=QUANTITY_MAX)] = 1
    by: By
    pay: Literal["points", "points_then_cash"] = "points"
    merchant: Id | None = None


class Question(Strict):
    """Would one unit be redeemed now?"""

    offer: Id
    by: By


class CaptureBody(Strict):
    """All that is held, or `amount` of it; `final` gives the rest back."""

    amount: Amount | None = None
    final: bool = True


class Why(Strict):
    """Why it is undone; kept sealed."""

    reason: Reason


class RefundBody(Strict):
    """How much goes back, and why."""

    amount: Amount
    reason: Reason


def slip_body(slip: Slip) -> dict[str, Any]:
    return {
        "id": slip.id,
        "state": slip.state,
        "points": slip.points,
        "cash_fen": slip.cash_fen,
        "expires_at": rfc3339(slip.expires_at),
        "masked_name": slip.masked_name,
    }


def details_body(one: Details) -> dict[str, Any]:
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


@post("/redemptions", tags=["redemptions"], summary="Redeem an offer", operation_id="redeem")
async def redeem(world: World, caller: Caller, retry: Retry, data: Order, capture: bool = False) -> Response[bytes]:
    """Hold the points for fifteen minutes; with `?capture=true` give them to the shop in the same step."""
    caller.require("redemptions:write")
    slip = await world.shop.redeem(
        asker(world, caller),
        offer=data.offer,
        by=data.by.said(),
        quantity=data.quantity,
        retry=retry,
        capture=capture,
        then_cash=data.pay == "points_then_cash",
        merchant=data.merchant,
    )
    return reply(201, slip_body(slip), slip.replayed)


@get("/redemptions", tags=["redemptions"], summary="A day's redemptions", operation_id="listRedemptions")
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
    elif who.is_staff:
        communities = [one for one in await world.shop.offers.communities() if who.serves(one)]
    else:
        raise Refusal("forbidden")
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


@get("/redemptions/{redemption:str}", tags=["redemptions"], summary="A redemption", operation_id="getRedemption")
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
)
async def capture(
    world: World, caller: Caller, retry: Retry, redemption: str, data: CaptureBody | None = None
) -> Response[bytes]:
    """Hand-over: the points are the shop's. With `final` (default) what is not captured goes back."""
    what = data or CaptureBody()
    caller.require("redemptions:write")
    slip = await world.shop.capture(asker(world, caller), redemption, amount=what.amount, final=what.final, retry=retry)
    return reply(200, slip_body(slip), slip.replayed)


@post(
    "/redemptions/{redemption:str}/release",
    status_code=200,
    tags=["redemptions"],
    summary="Release held points",
    operation_id="release",
)
async def release(
    world: World, caller: Caller, retry: Retry, redemption: str, data: Nothing | None = None
) -> Response[bytes]:
    """Call the order off: what is still held goes back, with stock and limit."""
    caller.require("redemptions:write")
    slip = await world.shop.release(asker(world, caller), redemption, retry=retry)
    return reply(200, slip_body(slip), slip.replayed)


@post(
    "/redemptions/{redemption:str}/void",
    status_code=200,
    tags=["redemptions"],
    summary="Void a redemption",
    operation_id="void",
)
async def void(world: World, caller: Caller, retry: Retry, redemption: str, data: Why) -> Response[bytes]:
    """Undo the whole order, until midnight of its day; points, stock and limit as before."""
    caller.require("redemptions:write")
    slip = await world.shop.void(asker(world, caller), redemption, reason=data.reason, retry=retry)
    return reply(200, slip_body(slip), slip.replayed)


@post(
    "/redemptions/{redemption:str}/refunds",
    status_code=200,
    tags=["redemptions"],
    summary="Refund captured points",
    operation_id="refund",
)
async def refund(world: World, caller: Caller, retry: Retry, redemption: str, data: RefundBody) -> Response[bytes]:
    """Points go back to the lots they came from, never more than was captured."""
    caller.require("redemptions:write")
    slip = await world.shop.refund(
        asker(world, caller), redemption, amount=data.amount, reason=data.reason, retry=retry
    )
    return reply(200, slip_body(slip), slip.replayed)


@post("/eligibility", status_code=200, tags=["redemptions"], summary="Yes or no", operation_id="eligibility")
async def eligibility(world: World, caller: Caller, data: Question) -> Response[bytes]:
    """Nothing is held and nothing changes. A till hears yes or no; staff and the resident also hear why not."""
    if caller.kind in ("merchant", "staff"):
        caller.require("redemptions:write")
    if caller.kind in ("resident", "body") and set(data.by.said()) != {"subject"}:
        raise invalid([{"pointer": "/by", "code": "not_a_choice", "limit": "subject"}])
    if caller.kind == "staff" and data.by.subject is not None:
        await world.saw(caller, data.by.subject, "eligibility")
    answer = await world.shop.eligible(asker(world, caller), offer=data.offer, by=data.by.said())
    body: dict[str, Any] = {"eligible": answer.eligible}
    if answer.reason_code is not None:
        body["reason_code"] = answer.reason_code
    return reply(200, body)


routes = [redeem, redemptions, redemption, capture, release, void, refund, eligibility]
