# SPDX-License-Identifier: Apache-2.0
"""What the decisions share: who is a member where, what can be spent, and which lots give it."""

from __future__ import annotations

from ledger.errors import Refusal
from ledger.model import FOREVER, POINTS, debt_account, subject_account
from ledger.tables import MEMBER, Row
from ledger.view import View

PERSON = "person"
BODY = "body"
OPEN = "open"
MOVED = "moved"
ERASED = "erased"


def member(view: View, journal: str, subject: str) -> Row:
    """The subject's row in its home journal. Raises `subject_unknown`, `subject_erased`, or `subject_moved`."""
    row = view.get(MEMBER, journal, subject)
    if row is None:
        raise Refusal("subject_unknown", subject=subject)
    state = row[3]
    if state == OPEN:
        return row
    if state == MOVED:
        raise Refusal("subject_moved", subject=subject, journal=row[4])
    raise Refusal("subject_erased" if state == ERASED else "subject_unknown", subject=subject)


def available(view: View, journal: str, subject: str) -> int:
    """Points the subject can spend today: unexpired lots, and nothing at all while a debt stands."""
    if any(view.balances(journal, debt_account(subject), POINTS).values()):
        return 0
    today = view.today(journal)
    lots = view.balances(journal, subject_account(subject), POINTS)
    return sum(amount for lot, amount in lots.items() if lot >= today)


def choose_lots(lots: dict[str, int], amount: int, today: str) -> list[tuple[str, int]]:
    """Which unexpired lots give `amount`, earliest day first; less than `amount` if there is not enough."""
    chosen: list[tuple[str, int]] = []
    for lot in sorted(lots):
        if not amount:
            break
        if lot >= today:
            taken = min(amount, lots[lot])
            if taken > 0:
                chosen.append((lot, taken))
                amount -= taken
    return chosen


def lot_day(day: str | None) -> str:
    """A lot from a day that may be absent: no day means it never lapses."""
    return FOREVER if day is None else day
