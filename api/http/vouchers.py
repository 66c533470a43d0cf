# SPDX-License-Identifier: Apache-2.0
"""Vouchers for shops without a network: given out to residents, printed at the desk, taken in from tills.

The text of a voucher is as good as what it buys: it is in bodies and pages, never in an address or a log.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.params import Parameter
from pydantic import Field, field_validator

from api import coupons, qr
from api.auth import Caller
from api.counter import Consented
from api.http.answers import answers
from api.http.merchants import Strict, asker
from api.http.redemptions import Id
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.http.shop_shapes import ShownVoucher, TillKeys, UploadedBatch, UploadedLine, VoucherBody
from api.http.subjects import may_read, own_subject
from api.pages.page import CSP
from api.world import SERVING, World
from ledger.errors import Refusal
from ledger.model import AMOUNT_MAX
from ledger.port import Retry
from ledger.view import rfc3339
from merchants.model import QUANTITY_MAX
from merchants.vouchers.format import TEXT_MAX
from merchants.vouchers.issue import DAYS_MAX, Paper
from merchants.vouchers.upload import BATCH_MAX, Line, Told

TAGS = ["vouchers"]
NO_STORE = {"Cache-Control": "no-store"}


class NewVoucher(Strict):
    """What it is good for, and for how many days. `subject` is for staff, who print it for somebody at the desk."""

    offer: Id
    quantity: Annotated[int, Field(ge=1, le=QUANTITY_MAX)] = 1
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] = DAYS_MAX
    pay: Literal["points", "points_then_cash"] = "points"
    subject: Id | None = None


class TakenLine(Strict):
    """The till's own number, the voucher as scanned, and when it was taken: UTC, whole seconds."""

    counter: Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
    voucher: Annotated[str, Field(min_length=1, max_length=TEXT_MAX, repr=False)]
    at: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        _seconds(value)
        return value

    def line(self) -> Line:
        return Line(self.counter, self.voucher, _seconds(self.at))


class Batch(Strict):
    """What a till has taken, under a name of the till's own."""

    batch: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    lines: Annotated[list[TakenLine], Field(min_length=1, max_length=BATCH_MAX)]


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def paper_body(world: World, paper: Paper) -> VoucherBody:
    said = paper.voucher
    return {
        "id": said.id,
        "state": paper.state(world.ledger.clock()),
        "offer": paper.details.order.offer,
        "title": said.title,
        "quantity": said.quantity,
        "points": said.points,
        "cash_fen": said.cash_fen,
        "good_at": {"merchant": said.merchant, "community": said.community, "circle": said.circle or None},
        "taken_by": paper.details.order.merchant if paper.taken else None,
        "ends_at": rfc3339(said.ends * 1_000_000),
        "returns_at": rfc3339(paper.returns_at),
        "created_at": rfc3339(paper.details.order.created_at),
    }


def shown_body(world: World, paper: Paper) -> ShownVoucher:
    """The same with the voucher itself: only as long as it can be used."""
    body = paper_body(world, paper)
    good = body["state"] == "open"
    return {**body, "voucher": paper.text if good else None, "qr_svg": qr.svg(paper.text, level="m") if good else None}


@post(
    "/vouchers", tags=TAGS, summary="Get a voucher", operation_id="makeVoucher", responses={201: answers(ShownVoucher)}
)
async def make(world: World, caller: Caller, retry: Retry, data: NewVoucher) -> Response[bytes]:
    """Points are set aside for an offer, and a shop without a network can give for the voucher. It cannot be called
    off before its end; what nobody took comes back by itself three days later."""
    if caller.kind == "staff":
        subject = data.subject or ""
    else:
        subject = own_subject(world, caller)
        if data.subject not in (None, subject):
            raise Refusal("forbidden")
    paper, replayed = await world.vouchers.issue(
        asker(world, caller),
        subject=subject,
        offer=data.offer,
        quantity=data.quantity,
        days=data.days,
        then_cash=data.pay == "points_then_cash",
        retry=retry,
        more=() if caller.kind == "staff" else (Consented(subject),),
    )
    await world.saw(caller, subject, f"voucher {paper.voucher.id}")
    return reply(201, shown_body(world, paper), replayed, NO_STORE)


@get(
    "/vouchers",
    tags=TAGS,
    summary="Vouchers of a person or body",
    operation_id="listVouchers",
    responses={200: answers(Page[VoucherBody])},
)
async def vouchers(
    world: World,
    caller: Caller,
    subject: Annotated[str | None, Parameter(max_length=64)] = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[bytes]:
    """One's own; staff say whose. The newest first, without the codes."""
    if caller.kind in ("resident", "body"):
        subject = subject or own_subject(world, caller)
    subject = subject or ""
    await may_read(world, caller, subject, "vouchers")
    key = key_of(cursor, int, str)
    found = await world.vouchers.of(subject, after=None if key is None else (key[0], key[1]), limit=limit + 1)
    shown, more = page(found, limit, lambda one: (one.details.order.created_at, one.voucher.id))
    return reply(200, {"items": [paper_body(world, one) for one in shown], "next": more}, headers=NO_STORE)


@get(
    "/vouchers/{voucher:str}",
    tags=TAGS,
    summary="A voucher",
    operation_id="getVoucher",
    responses={200: answers(ShownVoucher)},
)
async def voucher(world: World, caller: Caller, voucher: str) -> Response[bytes]:
    """With its code, for whose it is and for staff who serve there or at the shop."""
    return reply(200, shown_body(world, await _seen(world, caller, voucher)), headers=NO_STORE)


@get(
    "/vouchers/{voucher:str}/slip",
    tags=TAGS,
    summary="A voucher to print",
    operation_id="getVoucherSlip",
    responses={200: answers(media="text/html")},
)
async def slip(world: World, caller: Caller, voucher: str) -> Response[bytes]:
    """A page in large type with the code."""
    paper = await _seen(world, caller, voucher)
    headers = {"Content-Security-Policy": CSP, **NO_STORE}
    return Response(await coupons.coupon(world, paper), media_type="text/html", headers=headers)


@post(
    "/voucher-batches",
    status_code=200,
    tags=TAGS,
    summary="Upload vouchers",
    operation_id="uploadVouchers",
    responses={200: answers(UploadedBatch)},
)
async def upload(world: World, caller: Caller, retry: Retry, data: Batch) -> Response[bytes]:
    """What a till has taken while it was without a network. Each line is decided once: `captured`, or `dispute` with a
    reason. Send the same batch again until it is answered."""
    told, replayed = await world.uploads.upload(
        asker(world, caller), data.batch, [one.line() for one in data.lines], retry=retry
    )
    return reply(200, {"batch": data.batch, "lines": [_told_body(one) for one in told]}, replayed)


@get(
    "/till-keys",
    tags=TAGS,
    summary="Keys for tills",
    operation_id="getTillKeys",
    responses={200: answers(TillKeys)},
    opt={"public": True},
)
async def till_keys(world: World) -> Response[bytes]:
    """What a till must know to check vouchers without a network: the deployment's name, and its public keys in hex."""
    return reply(200, {"origin": world.vouchers.key.name, "keys": [world.vouchers.key.verifier.public.hex()]})


async def _seen(world: World, caller: Caller, voucher: str) -> Paper:
    """The voucher, for those who may see it. To all others it is not there, as if it were none; so whose it is is asked
    before the voucher is made out."""
    rows = await world.ledger.fetch(
        "SELECT r.subject, r.community FROM voucher v JOIN redemption r ON r.redemption = v.voucher "
        "WHERE v.voucher = ?",
        voucher,
    )
    subject, community = rows[0] if rows else ("", "")
    if caller.actor.may(SERVING, community, world.covers):
        await world.saw(caller, subject, f"voucher {voucher}")
    else:
        try:
            await may_read(world, caller, subject, f"voucher {voucher}")
        except Refusal:
            raise Refusal("not_found", what="voucher", id=voucher) from None
    return await world.vouchers.paper(voucher)


def _told_body(one: Told) -> UploadedLine:
    return {"counter": one.counter, "result": one.result, "reason": one.reason or None, "replayed": one.replayed}


routes = [make, vouchers, voucher, slip, upload, till_keys]
