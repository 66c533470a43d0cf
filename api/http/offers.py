# SPDX-License-Identifier: Apache-2.0
"""Offers: a shop proposes, the community approves; everybody may read what is open."""

from datetime import date
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, patch, post
from litestar.params import Parameter, QueryParameter
from pydantic import Field

from api.auth import Caller
from api.http.answers import answers
from api.http.body import Nothing, invalid
from api.http.conditions import IfMatch, etag, version_in
from api.http.merchants import Strict, asker
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.http.shop_shapes import OfferBody
from api.world import World
from ledger.errors import Refusal
from merchants.change import must_own
from merchants.model import UNCOUNTED, Asker, Offer

AMOUNT_MAX = 10**9

Id = Annotated[str, Field(min_length=1, max_length=64)]
Words = Annotated[str, Field(min_length=1, max_length=100)]
Amount = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
State = Literal["proposed", "open", "paused", "closed"]


class Title(Strict):
    """What is offered, in both languages."""

    zh: Words
    en: Words


class NewOffer(Strict):
    """`stock` null: it does not run out. `per_person` null: no limit. `from`, `to`: first and last day. `value_fen`:
    what the shop is paid for a unit of a benefit by grade, where somebody pays for it."""

    merchant: Id | None = None
    scenario: Annotated[str, Field(pattern=r"^S[0-9]{2}$")]
    title: Title
    price: Amount
    cash_fen: Amount = 0
    value_fen: Amount = 0
    stock: Amount | None = None
    per_person: Annotated[int, Field(ge=1, le=AMOUNT_MAX)] | None = None
    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None


class OfferChange(Strict):
    """What is not named stays. Anything that was approved needs approval again; `stock` and `state` do not."""

    title: Title | None = None
    price: Amount | None = None
    cash_fen: Amount | None = None
    value_fen: Amount | None = None
    stock: Amount | None = None
    per_person: Annotated[int, Field(ge=1, le=AMOUNT_MAX)] | None = None
    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None
    state: Literal["open", "paused", "closed"] | None = None


def offer_body(one: Offer) -> OfferBody:
    return {
        "id": one.offer,
        "merchant": one.merchant,
        "community": one.community,
        "scenario": one.scenario,
        "title": {"zh": one.title_zh, "en": one.title_en},
        "price": one.price,
        "cash_fen": one.cash_fen,
        "value_fen": one.value_fen,
        "stock": None if one.stock == UNCOUNTED else one.stock,
        "per_person": one.per_person or None,
        "from": one.from_day or None,
        "to": one.to_day or None,
        "state": one.state,
        "etag": f'"{one.version}"',
    }


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


@get(
    "/offers",
    opt={"public": True},
    tags=["merchants"],
    summary="Offers",
    operation_id="listOffers",
    responses={200: answers(Page[OfferBody])},
)
async def offers(
    request: Request[Any, Any, Any],
    world: World,
    merchant: Annotated[str | None, Parameter(max_length=64)] = None,
    community: Annotated[str | None, Parameter(max_length=40)] = None,
    scenario: Annotated[str | None, Parameter(max_length=8)] = None,
    offer_state: Annotated[State | None, QueryParameter(name="state")] = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[bytes]:
    """What is open, for everybody; a shop's key sees all of its own and only those; staff see all."""
    caller: Caller | None = request.scope.get("caller")  # type: ignore[assignment]
    stranger = caller is None or caller.kind not in ("merchant", "staff")
    if caller is not None and caller.kind == "merchant":
        merchant = caller.merchant or ""
    (after,) = key_of(cursor, str) or ("",)
    rows = await world.shop.offers.find(
        merchant=merchant,
        communities=None if community is None else [community],
        scenario=scenario,
        state=None if stranger else offer_state,
        selling=stranger,
        after=after,
        limit=limit + 1,
    )
    shown, more = page(rows, limit, lambda one: (one.offer,))
    return reply(200, {"items": [offer_body(one) for one in shown], "next": more})


@post(
    "/offers",
    tags=["merchants"],
    summary="Propose an offer",
    operation_id="proposeOffer",
    responses={201: answers(OfferBody, etag=True)},
)
async def propose(world: World, caller: Caller, data: NewOffer) -> Response[bytes]:
    """The offer waits for the community's approval. The shop comes from the key; staff name it."""
    merchant = data.merchant or caller.merchant
    if merchant is None:
        raise invalid([{"pointer": "/merchant", "code": "field_missing"}])
    made = await world.shop.offers.propose(
        asker(world, caller),
        merchant=merchant,
        scenario=data.scenario,
        title_zh=data.title.zh,
        title_en=data.title.en,
        price=data.price,
        cash_fen=data.cash_fen,
        value_fen=data.value_fen,
        stock=UNCOUNTED if data.stock is None else data.stock,
        per_person=data.per_person or 0,
        from_day=_day(data.from_),
        to_day=_day(data.to),
    )
    return reply(201, offer_body(made), headers=etag(made.version))


@get(
    "/offers/{offer:str}",
    opt={"public": True},
    tags=["merchants"],
    summary="An offer",
    operation_id="getOffer",
    responses={200: answers(OfferBody, etag=True)},
)
async def offer(request: Request[Any, Any, Any], world: World, offer: str) -> Response[bytes]:
    """One offer; in whatever state for its shop and for staff, else only while it is open."""
    caller: Caller | None = request.scope.get("caller")  # type: ignore[assignment]
    found = await world.shop.offers.get(offer)
    inside = caller is not None and (caller.kind == "staff" or caller.merchant == found.merchant)
    if not inside and not await world.shop.offers.selling(offer):
        raise Refusal("not_found", what="offer", id=offer)
    return reply(200, offer_body(found), headers=etag(found.version))


@patch(
    "/offers/{offer:str}",
    tags=["merchants"],
    summary="Change an offer",
    operation_id="changeOffer",
    responses={200: answers(OfferBody, etag=True)},
)
async def change(
    world: World, caller: Caller, offer: str, data: OfferChange, if_match: IfMatch = None
) -> Response[bytes]:
    """Pause, reopen, close, restock; other changes put the offer back to `proposed`. Opening it waits for an impact
    assessment, as approving it does."""
    sent = data.model_fields_set
    changes: dict[str, int | str] = {}
    if data.title is not None:
        changes |= {"title_zh": data.title.zh, "title_en": data.title.en}
    for name in ("price", "cash_fen", "value_fen", "state"):
        value = getattr(data, name)
        if value is not None:
            changes[name] = value
    if "stock" in sent:
        changes["stock"] = UNCOUNTED if data.stock is None else data.stock
    if "per_person" in sent:
        changes["per_person"] = data.per_person or 0
    if "from_" in sent:
        changes["from_day"] = _day(data.from_)
    if "to" in sent:
        changes["to_day"] = _day(data.to)
    changing = asker(world, caller)
    if data.state == "open":
        await _assessed(world, changing, offer)
    made = await world.shop.offers.change(changing, offer, version=version_in(if_match), **changes)
    return reply(200, offer_body(made), headers=etag(made.version))


async def _assessed(world: World, who: Asker, offer: str) -> None:
    """Raises `not_found`, `forbidden`, and `assessment_missing` where shops may not be switched on."""
    found = await world.shop.offers.get(offer)
    must_own(who, found.merchant, found.community)
    await world.assessments.require("merchant", found.community)


@post(
    "/offers/{offer:str}/approve",
    tags=["merchants"],
    summary="Approve an offer",
    operation_id="approveOffer",
    responses={200: answers(OfferBody, etag=True)},
)
async def approve(
    world: World, caller: Caller, offer: str, data: Nothing | None = None, if_match: IfMatch = None
) -> Response[bytes]:
    """Open it for redemption: by approvers, or by those who look after merchants. Whoever proposed it cannot; not
    before an impact assessment found shops acceptable there; and where the scenario asks for an agreement, only while
    the shop has one in force."""
    deciding = asker(world, caller)
    await _assessed(world, deciding, offer)
    made = await world.shop.offers.approve(deciding, offer, version=version_in(if_match))
    return reply(200, offer_body(made), headers=etag(made.version))


routes = [offers, propose, offer, change, approve]
