# SPDX-License-Identifier: Apache-2.0
"""Spending: hold → capture (many) → release, refund and void. A hold has an account of its own.

The hold's entry names the subject; capture, refund and void move points between the hold and the merchant and name
nobody, so a merchant may keep them with their proofs. What goes back to the person is a release.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import orjson

from ledger.book.members import MOVED, OPEN, available, choose_lots, member
from ledger.errors import Refusal
from ledger.model import (
    EXPIRED,
    FOREVER,
    ISSUER,
    POINTS,
    REDEEMED,
    Act,
    Draft,
    Link,
    Posting,
    Sealed,
    held_account,
    merchant_account,
    subject_account,
)
from ledger.tables import HOLD, MEMBER, Row
from ledger.view import View, rfc3339

GRACE_DAYS = 30  # a refund into a lot that has lapsed stays good this long, once per redemption


@dataclass(slots=True)
class Hold:
    """`lots`: day → [still held, captured and not refunded]. State: held, closed or expired. `merchant`: who captured,
    empty before the first capture; from then on nobody else does."""

    journal: str
    id: str
    subject: str
    state: str
    expires_at: int
    amount: int
    captured: int
    released: int
    refunded: int
    lots: dict[str, list[int]]
    grace: str
    seq: int
    leaf: bytes
    merchant: str = ""

    @property
    def held(self) -> int:
        """Points still held: not captured and not given back."""
        return sum(part[0] for part in self.lots.values())

    @property
    def refundable(self) -> int:
        """Points captured and not refunded."""
        return sum(part[1] for part in self.lots.values())

    @property
    def link(self) -> Link:
        return Link("hold", self.journal, self.seq, self.leaf.hex())

    def row(self) -> Row:
        return (
            self.journal,
            self.id,
            self.subject,
            self.state,
            self.expires_at,
            self.amount,
            self.captured,
            self.released,
            self.refunded,
            orjson.dumps(self.lots, option=orjson.OPT_SORT_KEYS).decode(),
            self.grace,
            self.seq,
            self.leaf,
            self.merchant,
        )


def read_hold(row: Row) -> Hold:
    """A hold from its row."""
    fields: list[Any] = list(row)
    fields[9] = orjson.loads(row[9])
    return Hold(*fields)


def find_hold(view: View, journal: str, hold: str) -> Hold:
    """The hold, or `not_found`."""
    row = view.get(HOLD, journal, hold)
    if row is None:
        raise Refusal("not_found", what="hold", id=hold)
    return read_hold(row)


def hold(view: View, journal: str, act: Act, *, subject: str, hold: str, amount: int, expires_at: int) -> Sealed:
    """Set points aside, earliest lots first. Raises `insufficient_points` with what is available."""
    member(view, journal, subject)
    spendable = available(view, journal, subject)
    if amount <= 0 or spendable < amount:
        raise Refusal("insufficient_points", available=spendable, needed=amount)
    account, held = subject_account(subject), held_account(hold)
    chosen = choose_lots(view.balances(journal, account, POINTS), amount, view.today(journal))
    postings: list[Posting] = []
    for lot, part in chosen:
        postings += [Posting(account, POINTS, lot, -part), Posting(held, POINTS, lot, part)]
    sealed = view.append(
        Draft("hold", journal, act, postings, subject=subject, data={"expires_at": rfc3339(expires_at)})
    )
    lots = {lot: [part, 0] for lot, part in chosen}
    assert view.get(HOLD, journal, hold) is None, hold
    view.put(
        HOLD,
        Hold(journal, hold, subject, "held", expires_at, amount, 0, 0, 0, lots, "", sealed.seq, sealed.leaf).row(),
    )
    return sealed


def capture(
    view: View, journal: str, act: Act, *, hold: str, merchant: str, amount: int, terms: dict[str, Any] | None = None
) -> Sealed:
    """Give held points to the merchant. `terms` say under which scenario and at how many fen a point is settled, so
    that a statement needs the entries alone. Raises `hold_expired`, `already_captured`, `forbidden` where another
    merchant has captured from this hold, `exceeds_original`."""
    found = find_hold(view, journal, hold)
    if found.state == "expired" or (found.state == "held" and view.now_us >= found.expires_at):
        raise Refusal("hold_expired", expires_at=rfc3339(found.expires_at))
    if found.state != "held" or not found.held:
        raise Refusal("already_captured", hold=hold)
    if found.merchant not in ("", merchant):
        raise Refusal("forbidden")
    if amount <= 0 or amount > found.held:
        raise Refusal("exceeds_original", left=found.held, asked=amount)
    postings: list[Posting] = []
    left = amount
    for lot in sorted(found.lots):
        part = min(left, found.lots[lot][0])
        if part:
            postings.append(Posting(held_account(hold), POINTS, lot, -part))
            found.lots[lot][0] -= part
            found.lots[lot][1] += part
            left -= part
    postings.append(Posting(merchant_account(merchant), POINTS, FOREVER, amount))
    sealed = view.append(Draft("capture", journal, act, postings, links=[found.link], data=terms))
    found.captured += amount
    found.merchant = merchant
    if not found.held:
        found.state = "closed"
    view.put(HOLD, found.row())
    return sealed


def release(view: View, journal: str, act: Act, *, hold: str, expired: bool = False) -> Sealed | None:
    """Give back what is still held; None when nothing is. Lots past their day lapse in the same entry.

    `expired` is the sweep's reason: the hold ran out. Raises `hold_open` if it has not run out yet.
    """
    found = find_hold(view, journal, hold)
    if expired and (found.state != "held" or view.now_us < found.expires_at):
        raise Refusal("hold_open", expires_at=rfc3339(found.expires_at))
    if not found.held:
        return None
    back = {lot: part[0] for lot, part in found.lots.items() if part[0]}
    for part in found.lots.values():
        part[0] = 0
    found.released += sum(back.values())
    found.state = "expired" if expired else "closed"
    sealed = _give_back(view, journal, act, found, back, {"expired": 1} if expired else {})
    view.put(HOLD, found.row())
    return sealed


def refund(
    view: View,
    journal: str,
    act: Act,
    *,
    hold: str,
    merchant: str,
    amount: int,
    kind: str = "refund",
    terms: dict[str, Any] | None = None,
) -> list[Sealed]:
    """Return captured points to the person: to the lots they came from, the latest day first.

    A lot that has lapsed meanwhile comes back with max(its day, today + 30), and only one such day per redemption.
    Two entries: merchant → hold (nobody named), hold → person. Raises `exceeds_original`; `forbidden` where another
    merchant has captured; `merchant_overdrawn` when it has been settled and no longer holds the points.
    """
    found = find_hold(view, journal, hold)
    if amount <= 0 or amount > found.refundable:
        raise Refusal("exceeds_original", left=found.refundable, asked=amount)
    if found.merchant != merchant:
        raise Refusal("forbidden")
    held = view.balances(journal, merchant_account(merchant), POINTS).get(FOREVER, 0)
    if held < amount:
        raise Refusal("merchant_overdrawn", held=held, asked=amount)
    today = view.today(journal)
    postings = [Posting(merchant_account(merchant), POINTS, FOREVER, -amount)]
    back: dict[str, int] = {}
    left = amount
    for lot in sorted(found.lots, reverse=True):
        part = min(left, found.lots[lot][1])
        if part:
            day = lot if lot >= today else _grace(found, today)
            postings.append(Posting(held_account(hold), POINTS, day, part))
            back[day] = back.get(day, 0) + part
            found.lots[lot][1] -= part
            left -= part
    taken = view.append(Draft(kind, journal, act, _merged(postings), links=[found.link], data=terms))
    found.refunded += amount
    given = _give_back(view, journal, act, found, back, {})
    view.put(HOLD, found.row())
    return [taken, given]


def settle(
    view: View, journal: str, act: Act, *, merchant: str, amount: int, fen: int, period: str, statement: str
) -> Sealed:
    """Retire points for which the merchant has been paid: `fen` under the statement of that period (`YYYY-MM`) with
    this SHA-256 (hex). With `amount` 0, where only benefits are paid, there is no posting to name the merchant and
    `data` does. Raises `merchant_overdrawn`."""
    data: dict[str, Any] = {"fen": fen, "period": period, "statement": statement}
    if not amount and fen:
        return view.append(Draft("settle", journal, act, data={**data, "merchant": merchant}))
    held = view.balances(journal, merchant_account(merchant), POINTS).get(FOREVER, 0)
    if amount <= 0 or held < amount:
        raise Refusal("merchant_overdrawn", held=held, asked=amount)
    postings = [
        Posting(merchant_account(merchant), POINTS, FOREVER, -amount),
        Posting(REDEEMED, POINTS, FOREVER, amount),
    ]
    return view.append(Draft("settle", journal, act, postings, data=data))


def _grace(found: Hold, today: str) -> str:
    if not found.grace:
        found.grace = (date.fromisoformat(today) + timedelta(days=GRACE_DAYS)).isoformat()
    return found.grace


def _give_back(view: View, journal: str, act: Act, found: Hold, back: dict[str, int], data: dict[str, Any]) -> Sealed:
    """The release entry. A subject who has moved (once or often) is credited in the new home by a linked entry; one
    who is gone (erased, closed) is not credited at all."""
    home = journal
    row = view.get(MEMBER, home, found.subject)
    while row is not None and row[3] == MOVED:
        home = row[4]
        row = view.get(MEMBER, home, found.subject)
    there = row is not None and row[3] == OPEN
    today = view.today(journal)
    postings: list[Posting] = []
    good: dict[str, int] = {}
    for lot, part in sorted(back.items()):
        postings.append(Posting(held_account(found.id), POINTS, lot, -part))
        if lot >= today and there:
            good[lot] = part
        else:
            postings.append(Posting(EXPIRED, POINTS, FOREVER, part))
    here = home == journal
    for lot, part in good.items():
        postings.append(
            Posting(subject_account(found.subject), POINTS, lot, part)
            if here
            else Posting(ISSUER, POINTS, FOREVER, part)
        )
    if good and not here:
        data["to"] = home
    sealed = view.append(
        Draft("release", journal, act, _merged(postings), subject=found.subject, links=[found.link], data=data or None)
    )
    if good and not here:
        into: list[Posting] = []
        for lot, part in good.items():
            into += [
                Posting(ISSUER, POINTS, FOREVER, -part),
                Posting(subject_account(found.subject), POINTS, lot, part),
            ]
        links, data = [sealed.link("released_from")], {"from": journal}
        view.append(Draft("move", home, act, _merged(into), subject=found.subject, links=links, data=data))
    return sealed


def _merged(postings: list[Posting]) -> list[Posting]:
    """Lines on one (account, unit, lot) become one line, in order of first appearance."""
    sums: dict[tuple[str, str, str], int] = {}
    for line in postings:
        where = (line.account, line.unit, line.lot)
        sums[where] = sums.get(where, 0) + line.amount
    return [Posting(*where, amount) for where, amount in sums.items() if amount]
