# SPDX-License-Identifier: Apache-2.0
"""Decisions on an order that is there: capture, release, void, refund, and the sweep. Pure, like redeem.py.

The order's state is its hold's; what these write to the order's own row is only what the hold cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.book import holds
from ledger.errors import Refusal
from ledger.model import held_account, merchant_account
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, HOLD, MEMBER, Key, Table
from ledger.view import View, rfc3339
from merchants.model import UNCOUNTED, Redemption, state_of
from merchants.redeem import Request, check_may, hold_of, offer_in
from merchants.tables import MERCHANT, OFFER, REASON, REDEMPTION, USAGE


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
        yield USAGE, (order.offer, order.subject, "")
        yield REDEMPTION, (order.redemption,)
        if order.points:
            yield HOLD, (order.journal, order.redemption)
            yield MEMBER, (order.journal, order.subject)
            for account in (held_account(order.redemption), merchant_account(order.merchant)):
                yield BALANCE, (order.journal, account)

    def decide(self, view: View) -> Answer:
        asker = self.request.asker
        row = view.get(REDEMPTION, self.order.redemption)
        assert row is not None, self.order.redemption  # orders are never removed
        order = Redemption.of(row)
        check_may(view, asker, order.merchant, order.community)
        assert asker.subject is None, asker.id  # the door lets no resident act on an order
        hold = hold_of(view, order)
        state = state_of(order, hold)
        if state in ("released", "voided"):
            raise Refusal("redemption_closed", state=state)
        order = self._do(view, order, hold, state)
        return Answer(200, order.redemption, (order, hold_of(view, order)))

    def _do(self, view: View, order: Redemption, hold: holds.Hold | None, state: str) -> Redemption:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Capture(OnOrder):
    """Give the merchant all that is held, or `amount` of it. `final` gives the rest back."""

    amount: int | None = None
    final: bool = True

    def _do(self, view: View, order: Redemption, hold: holds.Hold | None, state: str) -> Redemption:
        if hold is None:
            _still_held(view, order)
            if self.amount:
                raise Refusal("exceeds_original", left=0, asked=self.amount)
            return _put(view, order.but(mark="captured"))
        amount = hold.held if self.amount is None else self.amount
        act = self.request.act(view, order.journal)
        holds.capture(
            view,
            order.journal,
            act,
            hold=order.redemption,
            merchant=order.merchant,
            amount=amount,
            terms=order.terms,
        )
        if self.final and amount < hold.held:
            holds.release(view, order.journal, act, hold=order.redemption)
            return _uncount(view, order, _units(order, hold.captured + amount))
        return order


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
        return _uncount(view, order, _units(order, hold.captured))


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
            holds.refund(
                view,
                order.journal,
                act,
                hold=order.redemption,
                merchant=order.merchant,
                amount=hold.refundable,
                kind="void",
                terms=order.terms,
            )
        if hold is not None and hold.held:
            holds.release(view, order.journal, act, hold=order.redemption)
        _keep_reason(view, self.request, order, "void", self.sealed)
        return _uncount(view, order.but(mark="voided"), 0)


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
        holds.refund(
            view,
            order.journal,
            act,
            hold=order.redemption,
            merchant=order.merchant,
            amount=self.amount,
            terms=order.terms,
        )
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
        holds.release(view, order.journal, act, hold=order.redemption, expired=True)
        return _uncount(view, order, _units(order, hold.captured))


def _put(view: View, order: Redemption) -> Redemption:
    view.put(REDEMPTION, order.row())
    return order


def _units(order: Redemption, captured: int) -> int:
    """Units that the captured points have paid for; a unit paid in part has left the shelf too."""
    return -(-captured * order.quantity // order.points)


def _uncount(view: View, order: Redemption, left: int) -> Redemption:
    """Let only `left` units count against stock and limit from now on."""
    units = order.counted - left
    if units > 0:
        offer = offer_in(view, order.offer)
        if offer.stock != UNCOUNTED:
            view.put(OFFER, offer.but(stock=offer.stock + units).row())
        row = view.get(USAGE, order.offer, order.subject, "")
        used = max(0, (row[3] if row else 0) - units)
        if used:
            view.put(USAGE, (order.offer, order.subject, "", used))
        elif row is not None:
            view.remove(USAGE, order.offer, order.subject, "")
        order = order.but(counted=left)
    return _put(view, order)


def _still_held(view: View, order: Redemption) -> None:
    if order.mark == "expired" or (order.mark == "held" and view.now_us >= order.expires_at):
        raise Refusal("hold_expired", expires_at=rfc3339(order.expires_at))
    if order.mark != "held":
        raise Refusal("already_captured", hold=order.redemption)


def _keep_reason(view: View, request: Request, order: Redemption, kind: str, sealed: bytes | None) -> None:
    if sealed is not None:
        view.insert(REASON, (order.redemption, request.txn, kind, request.asker.id, view.now_us, sealed))
