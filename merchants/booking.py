# SPDX-License-Identifier: Apache-2.0
"""What the decisions on orders have in common: who may act, rows as they are in the commit, what a shop's entries say
and where they stand, and the budget that pays. Pure, like all that runs inside a commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger import codec
from ledger.book import benefits, holds
from ledger.errors import Refusal
from ledger.model import Act, Sealed
from ledger.port import Retry
from ledger.view import View
from merchants.model import Asker, Budget, Merchant, Offer, Redemption
from merchants.tables import BUDGET, MERCHANT, OFFER, TURNOVER


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


def said(call: str, body: Mapping[str, Any]) -> bytes:
    """The canonical request that the entries commit to. Never a PIN: it is no part of what was decided."""
    return codec.canonical({"call": call, **body})


def capture_points(view: View, act: Act, order: Redemption, amount: int) -> None:
    """Held points to the order's shop, with the entry in its turnover."""
    sealed = holds.capture(
        view,
        order.journal,
        act,
        hold=order.redemption,
        merchant=order.merchant,
        amount=amount,
        terms=order.terms,
    )
    turned_over(view, order.merchant, act, sealed)


def capture_benefit(view: View, act: Act, order: Redemption) -> Redemption:
    """A benefit without points was used: the order, with the entry that says so."""
    sealed = benefits.benefit(view, order.journal, act, **benefit_terms(order))
    turned_over(view, order.merchant, act, sealed)
    return order.but(mark="captured", benefit_seq=sealed.seq, benefit_leaf=sealed.leaf.hex())


def benefit_terms(order: Redemption) -> dict[str, Any]:
    """What the benefit entry of an order says."""
    return {
        "merchant": order.merchant,
        "redemption": order.redemption,
        "scenario": order.scenario,
        "quantity": order.quantity,
        "fen": order.value_fen,
        "budget": order.budget,
    }


def turned_over(view: View, merchant: str, act: Act, sealed: Sealed) -> None:
    """Note where an entry of a shop stands."""
    view.insert(TURNOVER, (merchant, act.occurred_on[:7], sealed.journal, sealed.seq))


def budget_in(view: View, budget: str) -> Budget:
    """The budget line as it is in the commit."""
    row = view.get(BUDGET, budget)
    if row is None:
        raise Refusal("not_found", what="budget", id=budget)
    return Budget.of(row)


def spend(view: View, order: Redemption, cost: int) -> None:
    """Take this from the order's budget; a negative cost gives back."""
    if order.budget and cost:
        line = budget_in(view, order.budget)
        view.put(BUDGET, line.but(spent=max(0, line.spent + cost)).row())


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
