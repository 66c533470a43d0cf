# SPDX-License-Identifier: Apache-2.0
"""What the shop answers with: merchants and tills, agreements, offers, screens, orders, charges, vouchers."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field

from api.http.answers import TypedDict
from api.http.shapes import BothLanguages, Day, Digest, Fen, Instant, PlaceCode, Points, one_of

ETag = Annotated[str, Field(description="As in the header `ETag`, with its quotes.")]
Span = Annotated[list[str], Field(min_length=2, max_length=2, description='`["08:30", "12:00"]`')]
OrderState = Annotated[
    str,
    one_of(
        "held",
        "partially_captured",
        "captured",
        "released",
        "expired",
        "partially_refunded",
        "refunded",
        "voided",
    ),
]

# merchants and what they have signed -----------------------------------------------------------------------------


class OpenWeek(TypedDict):
    mon: list[Span]
    tue: list[Span]
    wed: list[Span]
    thu: list[Span]
    fri: list[Span]
    sat: list[Span]
    sun: list[Span]


class OpeningHours(TypedDict):
    """By the day of the week, and single days on which the shop is closed all the same."""

    week: OpenWeek
    closed: list[Day]


class TerminalBody(TypedDict):
    """A till."""

    id: str
    merchant: str
    name: str
    state: Annotated[str, one_of("open", "closed")]
    etag: ETag


class MerchantBody(TypedDict):
    """A shop. What stands from `subject` on is for the shop itself and for staff."""

    id: str
    name: str
    community: PlaceCode
    state: Annotated[str, one_of("open", "suspended")]
    circle: str | None
    hours: OpeningHours | None
    etag: ETag
    subject: NotRequired[str | None]
    per_minute: NotRequired[int | None]
    per_day: NotRequired[int | None]
    terminals: NotRequired[list[TerminalBody]]


AgreementBody = TypedDict(
    "AgreementBody",
    {
        "id": str,
        "merchant": str,
        "scenario": str,
        "number": str,
        "from": Day,
        "to": Day | None,
        "sha256": Digest | None,
        "state": Annotated[str, one_of("signed", "ended")],
        "created_at": Instant,
        "etag": ETag,
    },
)

# offers ----------------------------------------------------------------------------------------------------------

OfferBody = TypedDict(
    "OfferBody",
    {
        "id": str,
        "merchant": str,
        "community": PlaceCode,
        "scenario": str,
        "title": BothLanguages,
        "price": Points,
        "cash_fen": Fen,
        "value_fen": Fen,
        "stock": Annotated[int | None, Field(description="null: it does not run out.")],
        "per_person": int | None,
        "from": Day | None,
        "to": Day | None,
        "state": Annotated[str, one_of("proposed", "open", "paused", "closed")],
        "etag": ETag,
    },
)


class Played(TypedDict):
    """Minutes of one body on a screen: its floor, and what it has bought."""

    name: str
    minutes: int
    floor: int
    bought: int


class ScreenDay(TypedDict):
    day: Day
    minutes: int
    floor: int
    left: int
    plays: list[Played]


class ScreenDays(TypedDict):
    """What a screen plays, day by day. `price` is that of a minute."""

    offer: str
    price: Points
    items: list[ScreenDay]


ScreenTerms = TypedDict("ScreenTerms", {"offer": str, "minutes": int, "floor": int, "members": list[str], "from": Day})


class FloorKept(TypedDict):
    offer: str
    day: Day
    keep: bool


# orders ----------------------------------------------------------------------------------------------------------


class SlipBody(TypedDict):
    """What a till is told of an order: no balance, no grade, no history. `points` are to be deducted."""

    id: str
    state: OrderState
    points: Points
    cash_fen: Fen
    expires_at: Instant
    masked_name: str


class OrderBody(TypedDict):
    """An order with what has become of its points."""

    id: str
    state: OrderState
    offer: str
    merchant: str
    quantity: int
    points: Points
    cash_fen: Fen
    captured: Points
    released: Points
    refunded: Points
    day: Day
    created_at: Instant
    expires_at: Instant


class NamedOrder(OrderBody):
    masked_name: str


class MyOrder(OrderBody):
    """`mine`: with my points; else it was given to me."""

    title: BothLanguages
    merchant_name: str
    mine: bool


class EligibilityBody(TypedDict):
    """Yes or no. `visit` is a till's, to redeem with; `reason_code` is for staff and the person."""

    eligible: bool
    visit: NotRequired[str]
    reason_code: NotRequired[str]


class TokenBody(TypedDict):
    token: str
    expires_at: Instant
    qr_svg: str


class ChargeCode(TypedDict):
    """What the till shows."""

    id: str
    code: str
    expires_at: Instant
    qr_svg: str


class ChargeBody(TypedDict):
    id: str
    state: Annotated[str, one_of("pending", "approved", "declined", "expired")]
    expires_at: Instant
    redemption: NotRequired[SlipBody]


class ChargeMerchant(TypedDict):
    id: str
    name: str


class ChargeOffer(TypedDict):
    id: str
    title: BothLanguages


class ChargeAsked(TypedDict):
    """What a till asks for; `reference` is what the person is to name, if anything."""

    merchant: ChargeMerchant
    offer: ChargeOffer
    quantity: int
    points: Points
    cash_fen: Fen
    pay: Literal["points", "points_then_cash"]
    reference: BothLanguages | None
    expires_at: Instant


class ChargeDeclined(TypedDict):
    state: Literal["declined"]


# vouchers --------------------------------------------------------------------------------------------------------


class GoodAt(TypedDict):
    """Where a voucher is taken: at a shop, or at every shop of its circle in the community."""

    merchant: str
    community: PlaceCode
    circle: str | None


class VoucherBody(TypedDict):
    """Taken until `ends_at`; what nobody took is back at `returns_at`."""

    id: str
    state: Annotated[str, one_of("open", "ended", "used", "returned", "voided")]
    offer: str
    title: str
    quantity: int
    points: Points
    cash_fen: Fen
    good_at: GoodAt
    taken_by: str | None
    ends_at: Instant
    returns_at: Instant
    created_at: Instant


class ShownVoucher(VoucherBody):
    """With its code, as long as it can be used."""

    voucher: str | None
    qr_svg: str | None


class UploadedLine(TypedDict):
    """`replayed`: another batch had brought it."""

    counter: int
    result: Annotated[str, one_of("captured", "dispute")]
    reason: str | None
    replayed: bool


class UploadedBatch(TypedDict):
    batch: str
    lines: list[UploadedLine]


class TillKeys(TypedDict):
    """The deployment's name, and the public keys under which its vouchers are signed, in hex."""

    origin: str
    keys: list[str]
