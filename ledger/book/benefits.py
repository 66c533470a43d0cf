# SPDX-License-Identifier: Apache-2.0
"""Benefits that cost no points: whoever has the grade, or belongs to the group, used one.

Nothing moves, but somebody may owe the shop for it: so it stands in an entry, as a capture does, with the terms on
which the shop is paid. Like a capture it names nobody.
"""

from __future__ import annotations

from typing import Any

from ledger.errors import Refusal
from ledger.model import Act, Draft, Link, Sealed
from ledger.tables import REVERSED
from ledger.view import View


def benefit(
    view: View,
    journal: str,
    act: Act,
    *,
    merchant: str,
    redemption: str,
    scenario: str,
    quantity: int,
    fen: int,
    budget: str = "",
) -> Sealed:
    """`quantity` units of a benefit were used at the merchant's; `fen` is what it is owed for all of them, in fen."""
    assert quantity > 0 and fen >= 0, (quantity, fen)
    return view.append(
        Draft("benefit", journal, act, data=_data(merchant, redemption, scenario, quantity, fen, budget))
    )


def undo(
    view: View,
    journal: str,
    act: Act,
    *,
    of: Link,
    merchant: str,
    redemption: str,
    scenario: str,
    quantity: int,
    fen: int,
    budget: str = "",
) -> Sealed:
    """A benefit should not have been: all of it is taken back, once. `of` is the entry of `benefit` in this journal,
    the rest as it was there. Raises `redemption_closed`."""
    if view.get(REVERSED, journal, of.seq) is not None:
        raise Refusal("redemption_closed", state="voided")
    data = _data(merchant, redemption, scenario, -quantity, -fen, budget)
    sealed = view.append(Draft("benefit", journal, act, links=[Link("undoes", journal, of.seq, of.leaf)], data=data))
    view.put(REVERSED, (journal, of.seq, sealed.seq, 0))
    return sealed


def _data(merchant: str, redemption: str, scenario: str, quantity: int, fen: int, budget: str) -> dict[str, Any]:
    named = {"budget": budget} if budget else {}
    return {
        "fen": fen,
        "merchant": merchant,
        "quantity": quantity,
        "redemption": redemption,
        "scenario": scenario,
        **named,
    }
