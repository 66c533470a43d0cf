# SPDX-License-Identifier: Apache-2.0
"""Awards, deductions, their reversal, and lots that lapse or get a later day."""

from __future__ import annotations

from typing import Any

from ledger.book.members import BODY, choose_lots, lot_day, member
from ledger.errors import Refusal
from ledger.model import (
    EXPIRED,
    FOREVER,
    ISSUER,
    POINTS,
    STANDING,
    UNITS,
    Act,
    CapUse,
    Draft,
    Link,
    Posting,
    Sealed,
    debt_account,
    minus_account,
    subject_account,
)
from ledger.tables import BALANCE, CAUSE, REVERSED, TALLY
from ledger.view import View


def check_cause(view: View, digest: bytes, replaces: Link | None = None) -> None:
    """One deed, one award. Raises `duplicate_cause`, `already_replaced` for a second replacement, and
    `replaces_other_deed` where what is to be replaced was awarded for another cause.

    A reversed award keeps its cause; one new award may take its place, and must name it.
    """
    row = view.get(CAUSE, digest)
    if row is None:
        if replaces is not None:
            raise Refusal("replaces_other_deed", journal=replaces.journal, seq=replaces.seq)
        return
    _, journal, seq, reversed_, replaced = row
    if replaces is None or not reversed_ or (replaces.journal, replaces.seq) != (journal, seq):
        raise Refusal("duplicate_cause", journal=journal, seq=seq)
    if replaced:
        raise Refusal("already_replaced", journal=journal, seq=seq)


def used(view: View, journal: str, subject: str, cap: str, start: str) -> int:
    """What a cap has let through in the window that starts on `start`."""
    row = view.get(TALLY, journal, start, subject, cap)
    return row[4] if row else 0


def award(
    view: View,
    draft: Draft,
    *,
    standing: int,
    points: int,
    standing_lot: str | None = None,
    points_lot: str | None = None,
    replaces: Link | None = None,
) -> Sealed:
    """Post one deed. Negative `standing` is a deduction and needs a body; a body's debt is repaid first.

    `draft` names subject, rule, pack, cause and the caps as counted inside this commit; its kind and postings are
    filled in here. Refusals come before any change, so a batch may skip a refused row.
    """
    journal, subject, cause = draft.journal, draft.subject, draft.cause
    assert subject is not None and cause is not None
    row = member(view, journal, subject)
    check_cause(view, cause, replaces)
    if replaces is not None:
        draft.links = [*draft.links, replaces]
    if standing < 0 and row[2] != BODY:
        raise Refusal("group_mismatch", subject=subject)
    if view.head(journal).takeover:
        draft.data = {**(draft.data or {}), "takeover": 1}
    draft.kind = "deduct" if standing < 0 else "award"
    draft.postings = _credit(view, journal, subject, row[2] == BODY, standing, points, standing_lot, points_lot)
    sealed = view.append(draft)
    for cap in draft.caps:
        view.put(TALLY, (journal, cap.start, subject, cap.id, cap.used_before + cap.let))
    old = view.get(CAUSE, cause)
    view.put(CAUSE, (cause, journal, sealed.seq, 0, 0) if old is None else (*old[:4], 1))
    return sealed


def _credit(
    view: View,
    journal: str,
    subject: str,
    body: bool,
    standing: int,
    points: int,
    standing_lot: str | None,
    points_lot: str | None,
) -> list[Posting]:
    postings: list[Posting] = []
    account = subject_account(subject)
    if standing:
        postings.append(Posting(ISSUER, STANDING, FOREVER, -standing))
        target = account if standing > 0 else minus_account(subject)
        postings.append(Posting(target, STANDING, lot_day(standing_lot), standing))
    if points:
        postings.append(Posting(ISSUER, POINTS, FOREVER, -points))
        rest = points
        if body:
            for lot, owed in sorted(view.balances(journal, debt_account(subject), POINTS).items()):
                repaid = min(rest, -owed)
                if repaid:
                    postings.append(Posting(debt_account(subject), POINTS, lot, repaid))
                    rest -= repaid
        if rest:
            postings.append(Posting(account, POINTS, lot_day(points_lot), rest))
    return postings


def reverse(
    view: View, home: str, act: Act, original: dict[str, Any], leaf: str, *, policy: str, reason: str = ""
) -> Sealed:
    """Undo one award or deduction, once. `original` is the entry as stored, `leaf` its hash, `home` where the subject
    lives now.

    Persons give back what is left of the award's own lots (`only_available`); bodies may have to give from other lots
    (`within_balance`) or owe the rest (`allow_debt`). What cannot be given back is written down as the shortfall.
    Debt that the award repaid stands again. What lapsed meanwhile is neither given back nor owed. Raises
    `already_reversed`, `not_reversible`.
    """
    journal, seq, subject = original["journal"], original["seq"], original["subject"]
    if original["kind"] not in ("award", "deduct"):
        raise Refusal("not_reversible", kind=original["kind"])
    if view.get(REVERSED, journal, seq) is not None:
        raise Refusal("already_reversed", journal=journal, seq=seq)
    row = member(view, home, subject)
    today = view.today(home)
    postings: list[Posting] = []
    shortfall = lapsed = 0
    for line in original["postings"]:
        account, unit, lot, amount = line["account"], line["unit"], line.get("lot", FOREVER), line["amount"]
        if account == ISSUER:
            continue
        if lot < today:
            lapsed += abs(amount)
            continue
        if account.startswith("debt:"):
            postings += [Posting(account, unit, lot, -amount), Posting(ISSUER, unit, FOREVER, amount)]
            continue
        if account.startswith("minus:"):
            back = min(-amount, -view.balances(home, account, unit).get(lot, 0))
            postings += [Posting(account, unit, lot, back), Posting(ISSUER, unit, FOREVER, -back)]
            continue
        taken, missing = _take_back(view, home, subject, unit, lot, amount, policy if row[2] == BODY else "", today)
        postings += taken
        shortfall += missing
    caps = [_give_room(view, home, subject, cap) for cap in original["caps"] if cap["let"]]
    data: dict[str, Any] = {"policy": policy, "shortfall": shortfall, "lapsed": lapsed}
    if reason:
        data["reason"] = reason
    sealed = view.append(
        Draft(
            "reverse",
            home,
            act,
            [p for p in postings if p.amount],
            subject=subject,
            group=original.get("group"),
            place=original.get("place"),
            rule=original.get("rule"),
            pack=original.get("pack"),
            caps=caps,
            links=[Link("reverses", journal, seq, leaf)],
            data=data,
        )
    )
    view.put(REVERSED, (journal, seq, sealed.seq, shortfall))
    digest = bytes.fromhex(original["cause"])
    cause = view.get(CAUSE, digest)
    if cause is not None and (cause[1], cause[2]) == (journal, seq):
        view.put(CAUSE, (*cause[:3], 1, cause[4]))
    return sealed


def _take_back(
    view: View, home: str, subject: str, unit: str, lot: str, amount: int, policy: str, today: str
) -> tuple[list[Posting], int]:
    """Postings that return `amount` to the issuer, and what could not be returned."""
    account = subject_account(subject)
    lots = view.balances(home, account, unit)
    taken = min(amount, lots.get(lot, 0))
    from_lots = [(lot, taken)] if taken else []
    missing = amount - taken
    if missing and policy in ("within_balance", "allow_debt"):
        lots.pop(lot, None)
        others = choose_lots(lots, missing, today)
        from_lots += others
        missing -= sum(part for _, part in others)
    postings = [Posting(account, unit, day, -part) for day, part in from_lots]
    if missing and policy == "allow_debt" and unit == POINTS:
        postings.append(Posting(debt_account(subject), unit, FOREVER, -missing))
        missing = 0
    back = -sum(posting.amount for posting in postings)
    return [*postings, Posting(ISSUER, unit, FOREVER, back)], missing


def _give_room(view: View, home: str, subject: str, cap: dict[str, Any]) -> CapUse:
    before = used(view, home, subject, cap["id"], cap["from"])
    view.put(TALLY, (home, cap["from"], subject, cap["id"], before - cap["let"]))
    return CapUse(cap["id"], cap["from"], cap["to"], cap["limit"], before, -cap["let"])


def expire_lots(view: View, journal: str, act: Act, *, subject: str) -> Sealed | None:
    """Post what has lapsed: lots of points and standing past their day go to `expired`, deductions lapse upwards.

    None when nothing has lapsed.
    """
    today = view.today(journal)
    postings: list[Posting] = []
    for account in (subject_account(subject), minus_account(subject)):
        for unit in UNITS:
            for lot, amount in sorted(view.balances(journal, account, unit).items()):
                if lot < today:
                    postings += [
                        Posting(account, unit, lot, -amount),
                        Posting(EXPIRED, unit, FOREVER, amount),
                    ]
    if not postings:
        return None
    return view.append(Draft("expire", journal, act, postings, subject=subject))


def relot(
    view: View,
    journal: str,
    act: Act,
    *,
    subject: str,
    unit: str,
    lot: str,
    later: str,
    amount: int,
    reason: str,
    links: list[Link],
) -> Sealed:
    """Give part of a lot a later day, with a reason (an objection pending, illness, an outage).

    Raises `insufficient_points` when the lot does not hold `amount` or has lapsed (swept or not), `facts_invalid` when
    the day is not later or nothing is asked for.
    """
    member(view, journal, subject)
    if later <= lot:
        raise Refusal("facts_invalid", errors=[{"pointer": "/later", "code": "not_later", "found": later}])
    if amount <= 0:
        raise Refusal("facts_invalid", errors=[{"pointer": "/amount", "code": "not_positive", "found": amount}])
    account = subject_account(subject)
    row = view.get(BALANCE, journal, account, unit, lot)
    there = row[4] if row is not None and lot >= view.today(journal) else 0
    if there < amount:
        raise Refusal("insufficient_points", available=there, needed=amount)
    postings = [Posting(account, unit, lot, -amount), Posting(account, unit, later, amount)]
    return view.append(Draft("relot", journal, act, postings, subject=subject, links=links, data={"reason": reason}))
