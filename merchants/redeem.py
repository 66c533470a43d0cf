# SPDX-License-Identifier: Apache-2.0
"""The till's first decision: reads offer, stock, limit and balances inside the commit, then holds the points.

Pure: no I/O and no clock; the view is the only source. Knows subjects by id alone. shop.py brings what is needed, and
orders.py has what happens to an order afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.book import holds
from ledger.book.members import BODY, MOVED, PERSON, available, member
from ledger.errors import Refusal
from ledger.model import STANDING, Act, debt_account, held_account, merchant_account, minus_account
from ledger.model import subject_account as account_of
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, HOLD, MEMBER, Key, Table
from ledger.view import View
from merchants.catalogue import Scenario
from merchants.model import HOLD_US, UNCOUNTED, Asker, Merchant, Offer, Redemption
from merchants.tables import MERCHANT, OFFER, REDEMPTION, USAGE

_NOT_TOLD = {"subject_unknown", "subject_erased", "group_mismatch"}  # a till hears `not_identified` instead


@dataclass(frozen=True, slots=True)
class Request:
    """What every command of the till carries: who asks, under which key, and what its entries are made with."""

    asker: Asker
    retry: Retry | None
    bytes: bytes
    txn: str
    key: bytes | None

    def act(self, view: View, journal: str, memo: bytes | None = None) -> Act:
        return Act(self.asker.id, view.today(journal), self.bytes, self.txn, self.key, memo)


@dataclass(frozen=True, slots=True)
class Redeem:
    """Hold the points for an order and count it, in one decision. `journal` is where the subject was last seen.

    Refuses, in this order: forbidden, offer_closed, not_eligible, out_of_stock, limit_reached, insufficient_points.
    `dry_run` decides and changes nothing.
    """

    request: Request
    redemption: str
    offer: str
    merchant: str
    scenario: Scenario
    subject: str
    journal: str
    quantity: int = 1
    capture: bool = False
    then_cash: bool = False
    standing_min: int | None = None
    in_group: bool = True
    of_age: bool = True
    dry_run: bool = False

    @property
    def retry(self) -> Retry | None:
        return self.request.retry

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.journal,)

    @property
    def weight(self) -> int:
        return 2

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield MERCHANT, (self.merchant,)
        yield OFFER, (self.offer,)
        yield USAGE, (self.offer, self.subject, "")
        yield MEMBER, (self.journal, self.subject)
        yield HOLD, (self.journal, self.redemption)
        for account in (
            account_of(self.subject),
            debt_account(self.subject),
            held_account(self.redemption),
        ):
            yield BALANCE, (self.journal, account)
        if self.capture:
            yield BALANCE, (self.journal, merchant_account(self.merchant))

    def decide(self, view: View) -> Answer:
        if self.request.asker.merchant is None:
            return self._decide(view)
        try:
            return self._decide(view)
        except Refusal as refusal:
            raise _for_a_till(refusal) from None

    def _decide(self, view: View) -> Answer:
        offer = offer_in(view, self.offer)
        check_may(view, self.request.asker, offer.merchant, offer.community, redeeming=True)
        journal = _home(view, self.journal, self.subject)
        today = view.today(journal)
        if not offer.is_open(today):
            raise Refusal("offer_closed", offer=offer.offer, state=offer.state)
        kind = member(view, journal, self.subject)[2]
        self._gate(view, journal, offer, kind)
        if offer.stock != UNCOUNTED and offer.stock < self.quantity:
            raise Refusal("out_of_stock", left=offer.stock, asked=self.quantity)
        row = view.get(USAGE, offer.offer, self.subject, "")
        used = row[3] if row else 0
        if offer.per_person and used + self.quantity > offer.per_person:
            raise Refusal("limit_reached", limit=offer.per_person, used=used, asked=self.quantity)
        points, cash = self._price(view, journal, offer)
        order = Redemption(
            redemption=self.redemption,
            journal=journal,
            subject=self.subject,
            offer=offer.offer,
            merchant=offer.merchant,
            community=offer.community,
            scenario=offer.scenario,
            quantity=self.quantity,
            counted=self.quantity,
            points=points,
            cash_fen=cash,
            fen_per_point=self.scenario.fen_per_point,
            day=today,
            mark="" if points else "captured" if self.capture else "held",
            expires_at=0 if points else view.now_us + HOLD_US,
            actor=self.request.asker.id,
            terminal=self.request.asker.terminal,
            created_at=view.now_us,
        )
        if self.dry_run:
            return Answer()
        if offer.stock != UNCOUNTED:
            view.put(OFFER, offer.but(stock=offer.stock - self.quantity).row())
        view.put(USAGE, (offer.offer, self.subject, "", used + self.quantity))
        view.insert(REDEMPTION, order.row())
        if points:
            act, expires_at = self.request.act(view, journal), view.now_us + HOLD_US
            holds.hold(
                view,
                journal,
                act,
                subject=self.subject,
                hold=self.redemption,
                amount=points,
                expires_at=expires_at,
            )
            if self.capture:
                holds.capture(
                    view,
                    journal,
                    act,
                    hold=self.redemption,
                    merchant=offer.merchant,
                    amount=points,
                    terms=order.terms,
                )
        return Answer(201, self.redemption, (order, hold_of(view, order)))

    def _gate(self, view: View, journal: str, offer: Offer, kind: str) -> None:
        if kind not in self.scenario.eligible.kinds:
            raise Refusal("not_eligible", reason="kind")
        if kind == BODY and not self.in_group:
            raise Refusal("not_eligible", reason="group")
        if kind == PERSON and not self.of_age:
            raise Refusal("not_eligible", reason="age")
        if offer.price:
            return
        if self.standing_min is not None and _standing(view, journal, self.subject) >= self.standing_min:
            return
        if self.scenario.gate.attested is not None and self.request.asker.is_staff:
            return  # the member of staff who asks has looked it up, and is named in the order
        raise Refusal("not_eligible", reason="gate")

    def _price(self, view: View, journal: str, offer: Offer) -> tuple[int, int]:
        points, cash = offer.price * self.quantity, offer.cash_fen * self.quantity
        if not points:
            return 0, cash
        spendable = available(view, journal, self.subject)
        if spendable >= points:
            return points, cash
        if not self.then_cash or not spendable:
            raise Refusal("insufficient_points", available=spendable, needed=points)
        missing = points - spendable
        return spendable, cash + -(-missing * self.scenario.fen_per_point // 100)


def offer_in(view: View, offer: str) -> Offer:
    """The offer as it is in the commit."""
    row = view.get(OFFER, offer)
    if row is None:
        raise Refusal("not_found", what="offer", id=offer)
    return Offer.of(row)


def check_may(view: View, asker: Asker, merchant: str, community: str, *, redeeming: bool = False) -> None:
    """A shop's key acts for its own shop while that is open; staff act where they serve. Nobody redeems at a suspended
    shop, but staff may still take back and wind up its orders."""
    if asker.merchant is None:
        if asker.is_staff and not asker.serves(community):
            raise Refusal("forbidden")
    elif asker.merchant != merchant:
        raise Refusal("forbidden")
    if asker.merchant is not None or redeeming:
        row = view.get(MERCHANT, merchant)
        if row is None or Merchant.of(row).state != "open":
            raise Refusal("forbidden", reason="merchant_suspended")


def hold_of(view: View, order: Redemption) -> holds.Hold | None:
    """The order's hold; None where nothing is spent."""
    return holds.find_hold(view, order.journal, order.redemption) if order.points else None


def _home(view: View, journal: str, subject: str) -> str:
    """The subject's journal now. Someone who moved since the request came in is followed, so that the move does not
    turn into a refusal; each head is locked before its member row is believed."""
    for _ in range(8):
        view.head(journal)
        row = view.get(MEMBER, journal, subject)
        if row is None or row[3] != MOVED or row[4] == journal:
            break
        journal = row[4]
    return journal


def _standing(view: View, journal: str, subject: str) -> int:
    today = view.today(journal)
    return sum(
        amount
        for account in (account_of(subject), minus_account(subject))
        for lot, amount in view.balances(journal, account, STANDING).items()
        if lot >= today
    )


def _for_a_till(refusal: Refusal) -> Refusal:
    """The same no without what a shop must not learn: what is available, what was used, who it is and why not."""
    if refusal.code in _NOT_TOLD:
        return Refusal("not_identified")
    if refusal.code == "insufficient_points":
        return Refusal(refusal.code, needed=refusal.facts["needed"])
    if refusal.code == "limit_reached":
        return Refusal(refusal.code, limit=refusal.facts["limit"], asked=refusal.facts["asked"])
    if refusal.code == "not_eligible":
        return Refusal(refusal.code)
    return refusal
