# SPDX-License-Identifier: Apache-2.0
"""Decisions on an order that is there: capture, release, void, refund, and the sweep. Pure, like redeem.py.

The order's state is its hold's; what these write to the order's own row is only what the hold cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.book import benefits, holds
from ledger.errors import Refusal
from ledger.model import Act, Link, held_account, merchant_account
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, HOLD, MEMBER, Key, Table
from ledger.view import View, rfc3339
from merchants import display, limits
from merchants.booking import (
    Request,
    benefit_terms,
    capture_benefit,
    capture_points,
    check_may,
    hold_of,
    offer_in,
    spend,
    turned_over,
)
from merchants.model import UNCOUNTED, Redemption, state_of
from merchants.tables import BUDGET, MERCHANT, OFFER, PROBE, REASON, REDEMPTION, USAGE

VOUCHER = "voucher"  # the way of an order that a signed paper or picture stands for


@dataclass(frozen=True, slots=True)
class OnOrder:
    """A command on an order that is there. `order` is the row as read before; what may have changed since is read
    again."""

    request: Request
    order: Redemption

    @property
    def retry(self) -> Retry | None:
        return self.request.retry

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.order.journal,)

    @property
    def weight(self) -> int:
        return 2

    def reads(self) -> Iterable[tuple[Table, Key]]:
        order = self.order
        yield MERCHANT, (order.merchant,)
        yield OFFER, (order.offer,)
        yield REDEMPTION, (order.redemption,)
        yield from ((USAGE, one.key) for one in limits.remembered(order))
        if order.way in limits.BY_PIN:
            yield PROBE, (order.merchant, order.subject, order.day)
        if order.budget:
            yield BUDGET, (order.budget,)
        if order.points:
            yield HOLD, (order.journal, order.redemption)
            yield MEMBER, (order.journal, order.subject)
            for account in (held_account(order.redemption), merchant_account(order.merchant)):
                yield BALANCE, (order.journal, account)

    def decide(self, view: View) -> Answer:
        asker = self.request.asker
        row = view.get(REDEMPTION, self.order.redemption)
        assert row is not None, self.order.redemption  # orders are never removed
        order = self._at(view, Redemption.of(row))
        check_may(view, asker, order.merchant, order.community)
        assert asker.subject is None, asker.id  # the door lets no resident act on an order
        hold = hold_of(view, order)
        state = state_of(order, hold)
        if state in ("released", "voided"):
            raise Refusal("redemption_closed", state=state)
        before = order.cost(hold)
        order = self._do(view, order, hold, state)
        hold = hold_of(view, order)
        spend(view, order, order.cost(hold) - before)
        return Answer(200, order.redemption, (order, hold))

    def _at(self, view: View, order: Redemption) -> Redemption:
        """The order where it is acted on. One that a voucher stands for is nobody's to wind up while a till may have
        taken the voucher."""
        if order.way == VOUCHER and view.now_us < _ends(view, order):
            raise Refusal("voucher_open", expires_at=rfc3339(_ends(view, order)))
        return order

    def _do(self, view: View, order: Redemption, hold: holds.Hold | None, state: str) -> Redemption:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Capture(OnOrder):
    """Give the merchant all that is held, or `amount` of it. `final` gives the rest back. `shown_at` is the shop where
    the order's voucher was shown, and which it becomes the order of; that shop's right to it stands in the voucher."""

    amount: int | None = None
    final: bool = True
    shown_at: str = ""

    def _at(self, view: View, order: Redemption) -> Redemption:
        return order.but(merchant=self.shown_at) if self.shown_at else OnOrder._at(self, view, order)

    def _do(self, view: View, order: Redemption, hold: holds.Hold | None, state: str) -> Redemption:
        if hold is None:
            _still_held(view, order)
            if self.amount:
                raise Refusal("exceeds_original", left=0, asked=self.amount)
            _told(view, order, sold=True)
            return _put(view, capture_benefit(view, self.request.act(view, order.journal), order))
        amount = hold.held if self.amount is None else self.amount
        act = self.request.act(view, order.journal)
        capture_points(view, act, order, amount)
        if self.final and amount < hold.held:
            holds.release(view, order.journal, act, hold=order.redemption)
            return _uncount(view, order, _units(order, hold.captured + amount), hold.held - amount)
        if amount == hold.held:
            _told(view, order, sold=True)
        return _put(view, order)


@dataclass(frozen=True, slots=True)
class Release(OnOrder):
    """Give back what is still held."""

    def _do(self, view: View, order: Redemption, hold: holds.Hold | None, state: str) -> Redemption:
        if state == "expired":
            raise Refusal("hold_expired", expires_at=rfc3339(hold.expires_at if hold else order.expires_at))
        if state not in ("held", "partially_captured"):
            raise Refusal("already_captured", hold=order.redemption)
        if hold is None:
            return _uncount(view, order.but(mark="released"), 0)
        holds.release(view, order.journal, self.request.act(view, order.journal), hold=order.redemption)
        return _uncount(view, order, _units(order, hold.captured), hold.held)


@dataclass(frozen=True, slots=True)
class Void(OnOrder):
    """Undo the whole order on the day it was made: points, stock and limit as if it had never been."""

    reason: bytes = b""
    sealed: bytes | None = None

    def _do(self, view: View, order: Redemption, hold: holds.Hold | None, state: str) -> Redemption:
        if state == "expired":
            raise Refusal("redemption_closed", state=state)
        if view.today(order.journal) != order.day:
            raise Refusal("void_too_late", day=order.day)
        act = self.request.act(view, order.journal, self.reason)
        if hold is not None and hold.refundable:
            _take_back(view, act, order, hold.refundable, "void")
        if hold is not None and hold.held:
            holds.release(view, order.journal, act, hold=order.redemption)
        if hold is None and order.mark == "captured":
            _undo_benefit(view, act, order)
        _keep_reason(view, self.request, order, "void", self.sealed)
        return _uncount(view, order.but(mark="voided"), 0, order.points - (hold.released if hold else 0))


@dataclass(frozen=True, slots=True)
class Refund(OnOrder):
    """Return captured points to the lots they came from. The goods stay counted: whether they came back, and can be
    sold again, is for the shop to say."""

    amount: int = 0
    reason: bytes = b""
    sealed: bytes | None = None

    def _do(self, view: View, order: Redemption, hold: holds.Hold | None, state: str) -> Redemption:
        if hold is None:
            raise Refusal("exceeds_original", left=0, asked=self.amount)
        act = self.request.act(view, order.journal, self.reason)
        _told(view, order)
        _take_back(view, act, order, self.amount, "refund")
        _keep_reason(view, self.request, order, "refund", self.sealed)
        return order


@dataclass(frozen=True, slots=True)
class Expire(OnOrder):
    """The sweep: what is still held when the time is up goes back, with its stock and limit."""

    def _do(self, view: View, order: Redemption, hold: holds.Hold | None, state: str) -> Redemption:
        if hold is None:
            if order.mark != "held" or view.now_us < order.expires_at:
                raise Refusal("hold_open", expires_at=rfc3339(order.expires_at))
            return _uncount(view, order.but(mark="expired"), 0)
        act = self.request.act(view, order.journal)
        left = hold.held
        holds.release(view, order.journal, act, hold=order.redemption, expired=True)
        return _uncount(view, order, _units(order, hold.captured), left)


def _put(view: View, order: Redemption) -> Redemption:
    view.put(REDEMPTION, order.row())
    return order


def _units(order: Redemption, captured: int) -> int:
    """Units that the captured points have paid for; a unit paid in part has left the shelf too."""
    return -(-captured * order.quantity // order.points)


def _uncount(view: View, order: Redemption, left: int, points: int = 0) -> Redemption:
    """Let only `left` units count against stock and limits from now on, and `points` less."""
    units = order.counted - left
    if units > 0:
        offer = offer_in(view, order.offer)
        if order.stocked and offer.stock != UNCOUNTED:
            view.put(OFFER, offer.but(stock=offer.stock + units).row())
        display.free(view, order, units)
        order = order.but(counted=left)
    limits.count(view, limits.remembered(order), -max(0, units), -points)
    _told(view, order)
    return _put(view, order)


def _told(view: View, order: Redemption, *, sold: bool = False) -> None:
    """An order that comes to nothing, by whomever and be it by waiting, has told the till as much as a refusal; one
    that is sold has not."""
    if order.way in limits.BY_PIN:
        probe = limits.Probe(view, order.merchant, order.subject, order.day, view.head(order.journal).zone)
        view.put(*probe.ends(order, sold=sold))


def _take_back(view: View, act: Act, order: Redemption, amount: int, kind: str) -> None:
    """Captured points from the shop back to the person."""
    taken, _ = holds.refund(
        view,
        order.journal,
        act,
        hold=order.redemption,
        merchant=order.merchant,
        amount=amount,
        kind=kind,
        terms=order.terms,
    )
    turned_over(view, order.merchant, act, taken)


def _undo_benefit(view: View, act: Act, order: Redemption) -> None:
    """Say that a benefit was not used after all; orders older than such entries have none to undo."""
    if order.benefit_seq >= 0:
        first = Link("benefit", order.journal, order.benefit_seq, order.benefit_leaf)
        sealed = benefits.undo(view, order.journal, act, of=first, **benefit_terms(order))
        turned_over(view, order.merchant, act, sealed)


def _ends(view: View, order: Redemption) -> int:
    """When what is held goes back by itself."""
    hold = hold_of(view, order)
    if hold is None:
        return order.expires_at if order.mark == "held" else 0
    return hold.expires_at if hold.held else 0


def _still_held(view: View, order: Redemption) -> None:
    if order.mark == "expired" or (order.mark == "held" and view.now_us >= order.expires_at):
        raise Refusal("hold_expired", expires_at=rfc3339(order.expires_at))
    if order.mark != "held":
        raise Refusal("already_captured", hold=order.redemption)


def _keep_reason(view: View, request: Request, order: Redemption, kind: str, sealed: bytes | None) -> None:
    if sealed is not None:
        view.insert(REASON, (order.redemption, request.txn, kind, request.asker.id, view.now_us, sealed))
