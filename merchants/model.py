# SPDX-License-Identifier: Apache-2.0
"""The shop's values: merchants, offers, redemptions and their states, who is asking, and what a till is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ledger.book.holds import Hold
from ledger.tables import FromRow, Key, Row, Table
from ledger.view import View

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


@dataclass(frozen=True, slots=True)
class Merchant(FromRow):
    merchant: str
    name: str
    community: str
    state: str
    version: int
    created_at: int
    circle: str = ""
    hours: str = ""
    subject: str = ""
    per_minute: int = 0
    per_day: int = 0


@dataclass(frozen=True, slots=True)
class Terminal(FromRow):
    terminal: str
    merchant: str
    name: str
    state: str
    created_at: int
    version: int = 1


@dataclass(frozen=True, slots=True)
class Offer(FromRow):
    """`stock` UNCOUNTED never runs out, `per_person` 0 sets no limit, an empty day no bound. `value_fen` is what the
    payer owes the shop for a unit where nothing is spent."""

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
    value_fen: int = 0

    def is_open(self, today: str) -> bool:
        """Can it be redeemed on this day, stock aside?"""
        return self.state == "open" and self.from_day <= today and (not self.to_day or today <= self.to_day)


@dataclass(frozen=True, slots=True)
class Redemption(FromRow):
    """An order as its own row has it; migrations/0001 and 0002 say what the columns mean."""

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
    beneficiary: str = ""
    proxy: str = ""
    value_fen: int = 0
    budget: str = ""
    consent: str = ""
    way: str = ""
    windows: str = "[]"
    benefit_seq: int = -1
    benefit_leaf: str = ""
    stocked: int = 1

    @property
    def terms(self) -> dict[str, Any]:
        """What the merchant's entries say of the order, and all that a statement needs: sorted, as entries are."""
        budget = {"budget": self.budget} if self.budget else {}
        return {**budget, "fen_per_point": self.fen_per_point, "scenario": self.scenario}

    @property
    def consumer(self) -> str:
        """Whom the limits count: the one it is for."""
        return self.beneficiary or self.subject

    def cost(self, hold: Hold | None) -> int:
        """What the order takes of its budget as it stands, in hundredths of a fen."""
        if hold is not None:
            return (hold.held + hold.refundable) * self.fen_per_point
        return self.value_fen * 100 if self.mark in ("held", "captured") else 0


@dataclass(frozen=True, slots=True)
class Budget(FromRow):
    """A year's money for one scenario at a place and below it. `spent` in hundredths of a fen; `issue_limit` is how
    many points (hundredths, 0: no limit) the place may give out in a month before a second person is asked."""

    budget: str
    scenario: str
    place: str
    year: str
    name: str
    limit_fen: int
    spent: int
    state: str
    version: int
    created_at: int
    issue_limit: int = 0


@dataclass(frozen=True, slots=True)
class Agreement(FromRow):
    """What a shop has signed for a scenario: the paper's number, its days, the digest of its scan ("" if there is
    none)."""

    agreement: str
    merchant: str
    scenario: str
    number: str
    from_day: str
    to_day: str
    sha256: str
    state: str
    version: int
    created_at: int

    def in_force(self, day: str) -> bool:
        return self.state == "signed" and self.from_day <= day and (not self.to_day or day <= self.to_day)


@dataclass(frozen=True, slots=True)
class Charge(FromRow):
    """What a till asks a person to approve; migrations/0004 says what the columns mean."""

    charge: str
    digest: bytes
    merchant: str
    terminal: str
    community: str
    offer: str
    quantity: int
    capture: int
    then_cash: int
    state: str
    redemption: str
    created_at: int
    expires_at: int


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
    a `subject` it is that person, who may look but not act; else it is staff, `serves(community)` says where, and `own`
    is their own account ("" none), for which they vouch for nothing."""

    id: str
    merchant: str | None = None
    subject: str | None = None
    serves: Callable[[str], bool] = lambda community: False
    terminal: str = ""
    own: str = ""

    @property
    def is_staff(self) -> bool:
        return self.merchant is None and self.subject is None


@dataclass(frozen=True, slots=True)
class Traits:
    """What eligibility may ask about a subject: its groups, and its age in years if that is known."""

    groups: Collection[str] = ()
    age: int | None = None
    kind: str = "person"


class Condition:
    """Something else that must hold for an order, decided and written in the order's own commit: a code used up, a
    slot taken. Each hook reads and writes through the view and raises `Refusal`."""

    def reads(self) -> Iterable[tuple[Table, Key]]:
        """Rows worth loading beforehand."""
        return ()

    def enter(self, view: View, command: Any) -> None:
        """Before anything else is looked at, the asker's right to act here aside. `command` is the `Redeem`."""

    def place(self, view: View, order: Redemption) -> None:
        """After stock, points and limits, before the budget. Not asked in a dry run."""

    def leaves(self) -> tuple[tuple[Table, Row], ...]:
        """Rows that stay where the order is refused for what it found out about the person."""
        return ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown at the till came to: whose points, by which `way`, how they `consent` to pay the rest in cash,
    who acted for them, whom it is for ("" themselves), and what the commit must still see to."""

    subject: str
    way: str
    consent: str = ""
    proxy: str = ""
    beneficiary: str = ""
    conditions: tuple[Condition, ...] = ()


class Residents(Protocol):
    """Keeper of identities, as far as a shop may ask it."""

    async def identify(self, by: Mapping[str, str], *, asker: Asker, offer: str) -> Shown:
        """Who is behind a card and PIN, a phone's tail, surname and PIN, or a code. Raises one `not_identified`,
        `token_expired`."""
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
