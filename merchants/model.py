# SPDX-License-Identifier: Apache-2.0
"""The shop's values: merchants, offers, redemptions and their states, who is asking, and what a till is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

from ledger.book.holds import Hold
from ledger.tables import Row

HOLD_US = 15 * 60 * 1_000_000  # long enough to fetch the goods from the back room, short enough to forget nothing
UNCOUNTED = -1  # stock of an offer that does not run out: a discount, a service
QUANTITY_MAX = 1_000
REASON_MAX = 500

STATES = (
    "held",
    "partially_captured",
    "captured",
    "released",
    "expired",
    "voided",
    "partially_refunded",
    "refunded",
)


class _FromRow:
    """Fields in the order of the table's columns."""

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(*row)

    def row(self) -> Row:
        return tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True)
class Merchant(_FromRow):
    merchant: str
    name: str
    community: str
    state: str
    version: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Terminal(_FromRow):
    terminal: str
    merchant: str
    name: str
    state: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Offer(_FromRow):
    """`stock` UNCOUNTED never runs out, `per_person` 0 sets no limit, an empty day no bound."""

    offer: str
    merchant: str
    community: str
    scenario: str
    title_zh: str
    title_en: str
    price: int
    cash_fen: int
    stock: int
    per_person: int
    from_day: str
    to_day: str
    state: str
    version: int
    proposer: str
    approver: str
    created_at: int

    def is_open(self, today: str) -> bool:
        """Can it be redeemed on this day, stock aside?"""
        return self.state == "open" and self.from_day <= today and (not self.to_day or today <= self.to_day)


@dataclass(frozen=True, slots=True)
class Redemption(_FromRow):
    """An order as its own row has it; migrations/0001 says what `mark`, `counted` and `expires_at` mean."""

    redemption: str
    journal: str
    subject: str
    offer: str
    merchant: str
    community: str
    scenario: str
    quantity: int
    counted: int
    points: int
    cash_fen: int
    fen_per_point: int
    day: str
    mark: str
    expires_at: int
    actor: str
    terminal: str
    created_at: int

    @property
    def terms(self) -> dict[str, Any]:
        """What the merchant's entries say of the order, and all that a statement needs: sorted, as entries are."""
        return {"fen_per_point": self.fen_per_point, "scenario": self.scenario}


def state_of(order: Redemption, hold: Hold | None) -> str:
    """The state, from the hold and the mark. A hold that has run out but was not swept yet is still `held`: its points
    are not back."""
    if order.mark or hold is None:
        return order.mark
    if not hold.captured:
        return {"held": "held", "expired": "expired"}.get(hold.state, "released")
    if hold.held:
        return "partially_captured"
    if not hold.refunded:
        return "captured"
    return "partially_refunded" if hold.refundable else "refunded"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks. `id` goes into entries. With a `merchant` it is that shop's key and sees only what a till may see; with
    a `subject` it is that person, who may look but not act; else it is staff, and `serves(community)` says where."""

    id: str
    merchant: str | None = None
    subject: str | None = None
    serves: Callable[[str], bool] = lambda community: False
    terminal: str = ""

    @property
    def is_staff(self) -> bool:
        return self.merchant is None and self.subject is None


@dataclass(frozen=True, slots=True)
class Traits:
    """What eligibility may ask about a subject: its groups, and its age in years if that is known."""

    groups: Collection[str] = ()
    age: int | None = None


class Residents(Protocol):
    """Keeper of identities, as far as a shop may ask it."""

    async def identify(self, by: Mapping[str, str]) -> str:
        """The subject behind a card and PIN, or a phone's tail, surname and PIN. Raises one `not_identified`."""
        ...

    async def masked(self, subject: str) -> str:
        """The name with all but one character hidden."""
        ...

    async def data_key(self, subject: str) -> bytes: ...

    async def traits(self, subject: str) -> Traits: ...


@dataclass(frozen=True, slots=True)
class Slip:
    """What a till is told, and all it is told."""

    id: str
    state: str
    points: int
    cash_fen: int
    expires_at: int
    masked_name: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Details:
    """An order with what has happened to it."""

    order: Redemption
    state: str
    expires_at: int
    captured: int
    released: int
    refunded: int
