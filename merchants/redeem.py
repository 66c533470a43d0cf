# SPDX-License-Identifier: Apache-2.0
"""The till's first decision: reads offer, stock, limits, budget and balances inside the commit, then holds the points.

Pure: no I/O and no clock; the view is the only source. Knows subjects by id alone. prepare.py brings what is needed,
orders.py has what happens to an order afterwards, booking.py what the two have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.book import holds
from ledger.book.members import MOVED, available, member
from ledger.errors import Refusal, Unavailable
from ledger.model import STANDING, debt_account, held_account, merchant_account, minus_account
from ledger.model import subject_account as account_of
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, HOLD, MEMBER, Key, Row, Table
from ledger.view import View
from merchants import limits
from merchants.agreements import check_signed
from merchants.booking import Request, budget_in, capture_benefit, capture_points, check_may, hold_of, offer_in, spend
from merchants.catalogue import Scenario
from merchants.judging import judge
from merchants.model import (
    HOLD_US,
    UNCOUNTED,
    Offer,
    Redemption,
    Shown,
)
from merchants.tables import AGREEMENT, BUDGET, MERCHANT, OFFER, PROBE, REDEMPTION, USAGE
from merchants.windows import Window, windows

_NOT_TOLD = {"subject_unknown", "subject_erased", "group_mismatch"}  # a till hears `not_identified` instead
# Said before the person is looked at: a till learns nothing from it.
_OF_THE_OFFER = {"offer_closed", "agreement_missing", "reference_missing"}


@dataclass(frozen=True, slots=True)
class Known:
    """What was looked up of the one whom an order is for, before its commit. `kind` is asked of a gift only: anybody
    else's is read in the commit."""

    standing_min: int | None = None
    in_group: bool = True
    of_age: bool = True
    kind: str = "person"


@dataclass(frozen=True, slots=True)
class Redeem:
    """Hold the points for an order and count it, in one decision. `journal` is where the payer was last seen, `budget`
    the line that would pay, `agreements` what the shop has signed for the scenario, `reference` the keyed digest of a
    meter, plate or home; `day` is today as far as the counter knows, so that the right rows are read beforehand.

    Refuses, in this order: forbidden, what `shown.conditions` refuse, rate_limited, offer_closed, agreement_missing,
    reference_missing, not_eligible, out_of_stock, limit_reached (the offer's), insufficient_points, limit_reached (the
    scenario's), what the conditions refuse, budget_exhausted, consent_needed. `dry_run` changes nothing but what a till
    has tried.
    """

    request: Request
    redemption: str
    offer: str
    merchant: str
    scenario: Scenario
    shown: Shown
    journal: str
    quantity: int = 1
    capture: bool = False
    then_cash: bool = False
    known: Known = Known()
    budget: str = ""
    agreements: tuple[str, ...] = ()
    reference: str = ""
    expires_at: int = 0
    dry_run: bool = False
    day: str = ""

    @property
    def retry(self) -> Retry | None:
        return self.request.retry

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.journal,)

    @property
    def weight(self) -> int:
        return 2

    @property
    def consumer(self) -> str:
        """Whom the order is for."""
        return self.shown.beneficiary or self.shown.subject

    def reads(self) -> Iterable[tuple[Table, Key]]:
        subject = self.shown.subject
        yield MERCHANT, (self.merchant,)
        yield OFFER, (self.offer,)
        yield USAGE, (self.offer, self.consumer, "")
        if self.day and (self.reference or self.scenario.reference is None or self.dry_run):
            yield from ((USAGE, one.key) for one in self._windows(self.day))
        yield MEMBER, (self.journal, subject)
        yield HOLD, (self.journal, self.redemption)
        if self.shown.way in limits.BY_PIN and self.request.asker.merchant:
            yield PROBE, (self.merchant, subject, self.day)
        if self.budget:
            yield BUDGET, (self.budget,)
        for agreement in self.agreements:
            yield AGREEMENT, (agreement,)
        for account in (account_of(subject), debt_account(subject), held_account(self.redemption)):
            yield BALANCE, (self.journal, account)
        if self.capture:
            yield BALANCE, (self.journal, merchant_account(self.merchant))
        for condition in self.shown.conditions:
            yield from condition.reads()

    def decide(self, view: View) -> Answer:
        asker = self.request.asker
        offer = offer_in(view, self.offer)
        check_may(view, asker, offer.merchant, offer.community, redeeming=True)
        if asker.merchant is None:
            return self._decide(view, offer)
        try:
            return self._decide(view, offer, self._probe(view, offer))
        except Refusal as refusal:
            if isinstance(refusal, Unavailable):
                raise
            raise _for_a_till(refusal) from None

    def _probe(self, view: View, offer: Offer) -> limits.Probe | None:
        """What the till has tried with this person's PIN today."""
        if self.shown.way not in limits.BY_PIN:
            return None
        zone = view.head(self.journal).zone
        return limits.Probe(view, offer.merchant, self.shown.subject, view.today(self.journal), zone)

    def _decide(self, view: View, offer: Offer, probe: limits.Probe | None = None) -> Answer:
        total = probe.total(offer.price * self.quantity, offer.scenario) if probe else ""
        tried = list[tuple[Table, Row]]()
        try:
            for condition in self.shown.conditions:
                condition.enter(view, self)
                tried += condition.leaves()
            if probe is not None:
                probe.check(total, view.now_us)
                tried.append(probe.tried(total))
            order = self._order(view, offer)
        except Refusal as refusal:
            if refusal.code not in _OF_THE_OFFER:
                refusal.leaves = tuple(tried)
            raise
        if self.dry_run:
            for row in tried:
                view.put(*row)
            return Answer()
        if probe is not None and not self.capture:
            view.put(*probe.holds(order, total))
        return self._write(view, offer, order)

    def _order(self, view: View, offer: Offer) -> Redemption:
        """The order, if everything that is asked for it is there."""
        journal = _home(view, self.journal, self.shown.subject)
        today = view.today(journal)
        if self.day and today[:4] != self.day[:4]:  # New Year came between: another year's line pays
            raise Unavailable("queue_full")
        if not offer.is_open(today) or not self.scenario.is_valid(today):
            raise Refusal("offer_closed", offer=offer.offer, state=offer.state)
        check_signed(view, self.scenario, self.agreements, today)
        counted = self._windows(today)
        self._judge(view, journal, offer)
        if offer.stock != UNCOUNTED and offer.stock < self.quantity:
            raise Refusal("out_of_stock", left=offer.stock, asked=self.quantity)
        row = view.get(USAGE, offer.offer, self.consumer, "")
        used = row[3] if row else 0
        if offer.per_person and used + self.quantity > offer.per_person:
            raise Refusal("limit_reached", limit=offer.per_person, used=used, asked=self.quantity)
        total, cash = offer.price * self.quantity, offer.cash_fen * self.quantity
        spendable = available(view, journal, self.shown.subject) if total else 0
        in_part = self.then_cash and self.scenario.fen_per_point > 0  # where a point is worth nothing, nor is the rest
        points = min(total, max(0, spendable)) if in_part else total
        if total and (not points or spendable < points):
            raise Refusal("insufficient_points", available=spendable, needed=total)
        limits.check(view, counted, self.quantity, points)
        order = Redemption(
            redemption=self.redemption,
            journal=journal,
            subject=self.shown.subject,
            offer=offer.offer,
            merchant=offer.merchant,
            community=offer.community,
            scenario=offer.scenario,
            quantity=self.quantity,
            counted=self.quantity,
            points=points,
            cash_fen=cash + -(-(total - points) * self.scenario.fen_per_point // 100),
            fen_per_point=self.scenario.fen_per_point,
            day=today,
            mark="" if points else "held",
            expires_at=0 if points else self.expires_at or view.now_us + HOLD_US,
            actor=self.request.asker.id,
            terminal=self.request.asker.terminal,
            created_at=view.now_us,
            beneficiary=self.consumer,
            proxy=self.shown.proxy,
            value_fen=0 if total else offer.value_fen * self.quantity,
            budget=self.budget,
            consent=self.shown.consent if points < total else "",
            way=self.shown.way,
            windows=limits.written(counted),
            stocked=int(offer.stock != UNCOUNTED),
        )
        if not self.dry_run:
            for condition in self.shown.conditions:
                condition.place(view, order)
        self._check_budget(view, points * self.scenario.fen_per_point if total else order.value_fen * 100)
        if points < total and not self.shown.consent:
            raise Refusal("consent_needed", points=points, cash_fen=order.cash_fen)
        return order

    def _windows(self, day: str) -> tuple[Window, ...]:
        return windows(
            self.scenario,
            day=day,
            merchant=self.merchant,
            subject=self.consumer,
            reference=self.reference,
            asking=self.dry_run,
        )

    def _judge(self, view: View, journal: str, offer: Offer) -> None:
        gift = self.consumer != self.shown.subject
        kind = member(view, journal, self.shown.subject)[2]
        if gift and (self.shown.proxy or not (self.scenario.gift and offer.price)):
            raise Refusal("not_eligible", reason="gift")
        least, asker = self.known.standing_min, self.request.asker
        judge(
            self.scenario,
            kind=self.known.kind if gift else kind,
            in_group=self.known.in_group,
            of_age=self.known.of_age,
            grade_ok=(not offer.price or self.scenario.gate.needs == "all")
            and least is not None
            and _standing(view, journal, self.shown.subject) >= least,
            # The member of staff who asks has looked it up, and is named in the order.
            attested_ok=asker.is_staff and asker.own not in (self.shown.subject, self.consumer),
            price=offer.price,
            # Neither who came for them nor staff, whose making a voucher may be too, agrees for somebody.
            agreed=not self.shown.proxy and "staff" not in (self.shown.way, self.shown.consent),
        )

    def _check_budget(self, view: View, cost: int) -> None:
        if not self.budget or not cost:
            return
        line = budget_in(view, self.budget)
        if line.state != "open" or line.spent + cost > line.limit_fen * 100:
            left = max(0, line.limit_fen * 100 - line.spent) // 100
            raise Refusal("budget_exhausted", scenario=line.scenario, year=line.year, left_fen=left)

    def _write(self, view: View, offer: Offer, order: Redemption) -> Answer:
        if offer.stock != UNCOUNTED:
            view.put(OFFER, offer.but(stock=offer.stock - self.quantity).row())
        limits.count(view, limits.remembered(order), order.quantity, order.points)
        act = self.request.act(view, order.journal)
        hold = None
        if order.points:
            holds.hold(
                view,
                order.journal,
                act,
                subject=order.subject,
                hold=order.redemption,
                amount=order.points,
                expires_at=self.expires_at or view.now_us + HOLD_US,
            )
            if self.capture:
                capture_points(view, act, order, order.points)
            hold = hold_of(view, order)
        elif self.capture:
            order = capture_benefit(view, act, order)
        spend(view, order, order.cost(hold))
        view.insert(REDEMPTION, order.row())
        return Answer(201, self.redemption, (order, hold))


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
    """The same no without what a shop must not learn: what is available, what was used and where, who it is and why
    not. What was tried is kept all the same."""
    code, facts = refusal.code, refusal.facts
    if code in _NOT_TOLD:
        told = Refusal("not_identified")
    elif code == "insufficient_points":
        told = Refusal(code, needed=facts["needed"])
    elif code == "limit_reached" and "scenario" not in facts:
        told = Refusal(code, limit=facts["limit"], asked=facts["asked"])
    elif code in ("not_eligible", "limit_reached"):
        told = Refusal("not_eligible")
    elif code == "consent_needed":
        told = Refusal(code)
    elif code == "budget_exhausted":
        told = Refusal(code, scenario=facts["scenario"], year=facts["year"], left_fen=0)
    else:
        return refusal
    told.leaves = refusal.leaves
    return told
