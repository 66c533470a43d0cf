# SPDX-License-Identifier: Apache-2.0
"""What shops have signed, by scenario: the shop reads its own, staff of its place record them."""

from datetime import date
from typing import Annotated, Literal

from litestar import Response, get, patch, post
from pydantic import Field

from api.auth import Caller
from api.http.answers import answers
from api.http.conditions import IfMatch, etag, version_in
from api.http.merchants import Strict, asker
from api.http.reply import reply
from api.http.shapes import Page
from api.http.shop_shapes import AgreementBody
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339
from merchants.change import must_serve
from merchants.model import Agreement

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class NewAgreement(Strict):
    """A paper that was signed: its number, its days (without `to`: until it is ended), the digest of its scan."""

    scenario: Annotated[str, Field(pattern=r"^S[0-9]{2}$")]
    number: Annotated[str, Field(min_length=1, max_length=60)]
    from_: Annotated[date, Field(alias="from")]
    to: date | None = None
    sha256: Sha256 | None = None


class AgreementChange(Strict):
    """A last day (null: none), the scan that came later, or the end."""

    to: date | None = None
    sha256: Sha256 | None = None
    state: Literal["ended"] | None = None


def agreement_body(one: Agreement) -> AgreementBody:
    return {
        "id": one.agreement,
        "merchant": one.merchant,
        "scenario": one.scenario,
        "number": one.number,
        "from": one.from_day,
        "to": one.to_day or None,
        "sha256": one.sha256 or None,
        "state": one.state,
        "created_at": rfc3339(one.created_at),
        "etag": f'"{one.version}"',
    }


@get(
    "/merchants/{merchant:str}/agreements",
    tags=["merchants"],
    summary="Agreements",
    operation_id="listAgreements",
    responses={200: answers(Page[AgreementBody])},
)
async def agreements(world: World, caller: Caller, merchant: str) -> Response[bytes]:
    """What a shop has signed, oldest first: for the shop, and for staff of its place."""
    who, offers = asker(world, caller), world.shop.offers
    if not (who.serves((await offers.merchant(merchant)).community) if who.is_staff else who.merchant == merchant):
        raise Refusal("not_found", what="merchant", id=merchant)
    items = [agreement_body(one) for one in await offers.agreements.of(merchant)]
    return reply(200, {"items": items, "next": None})


@post(
    "/merchants/{merchant:str}/agreements",
    tags=["merchants"],
    summary="Record one",
    operation_id="addAgreement",
    responses={201: answers(AgreementBody, etag=True)},
)
async def add(world: World, caller: Caller, merchant: str, data: NewAgreement) -> Response[bytes]:
    """An agreement that was signed on paper. Where a scenario asks for one, offers need it from then on."""
    offers = world.shop.offers
    made = await offers.agreements.add(
        asker(world, caller),
        merchant,
        scenario=offers.scenario(data.scenario),
        number=data.number,
        from_day=data.from_.isoformat(),
        to_day=data.to.isoformat() if data.to else "",
        sha256=data.sha256 or "",
    )
    return reply(201, agreement_body(made), headers=etag(made.version))


@patch(
    "/merchants/{merchant:str}/agreements/{agreement:str}",
    tags=["merchants"],
    summary="End or extend an agreement",
    operation_id="changeAgreement",
    responses={200: answers(AgreementBody, etag=True)},
)
async def change(
    world: World, caller: Caller, merchant: str, agreement: str, data: AgreementChange, if_match: IfMatch = None
) -> Response[bytes]:
    """What was ended stays ended. A new paper with a new number is a new agreement."""
    to_day = None
    if "to" in data.model_fields_set:
        to_day = data.to.isoformat() if data.to else ""
    who, offers = asker(world, caller), world.shop.offers
    must_serve(who, (await offers.merchant(merchant)).community)  # before the agreement is looked up
    made = await offers.agreements.change(
        who,
        merchant,
        agreement,
        version=version_in(if_match),
        to_day=to_day,
        sha256=data.sha256,
        state=data.state,
    )
    return reply(200, agreement_body(made), headers=etag(made.version))


routes = [agreements, add, change]
