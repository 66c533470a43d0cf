# SPDX-License-Identifier: Apache-2.0
"""Opening a journal, opening accounts, moving them between journals, and the policy entries of a journal."""

from __future__ import annotations

from typing import Any

from ledger import codec
from ledger.book.members import ERASED, MOVED, OPEN, member
from ledger.errors import Refusal
from ledger.model import (
    EXPIRED,
    FOREVER,
    ISSUER,
    STANDING,
    UNITS,
    Act,
    Draft,
    Posting,
    Sealed,
    subject_account,
)
from ledger.tables import MEMBER, TALLIES, TALLY
from ledger.view import Unlocked, View


def open_journal(
    view: View,
    journal: str,
    act: Act,
    *,
    origin: str,
    vkey: str,
    recovery: str,
    zone: str,
    policy: dict[str, Any],
) -> Sealed:
    """Entry 0: who signs this journal, which key may revoke that one, and the policy it starts under.

    The take-over window is open from here until `close_takeover`. Raises `already_open`.
    """
    head = view.heads.get(journal)
    if head is None:
        raise Unlocked(journal)
    if head.size:
        raise Refusal("already_open", journal=journal)
    policy = {**policy, "zone": zone, "takeover": 1}
    head.leaf = bytes.fromhex(codec.genesis_prev(origin, vkey, recovery, policy))
    head.zone, head.takeover = zone, 1
    data = {"origin": origin, "vkey": vkey, "recovery": recovery, "policy": policy}
    return view.append(Draft("open", journal, act, [], data=data))


def close_takeover(view: View, journal: str, act: Act) -> Sealed:
    """End the take-over window for ever. Raises `takeover_closed` when it has ended already."""
    if not view.head(journal).takeover:
        raise Refusal("takeover_closed", journal=journal)
    view.set_takeover(journal, 0)
    return view.append(Draft("policy", journal, act, [], data={"takeover": 0}))


def adopt_pack(view: View, journal: str, act: Act, *, id: str, version: str, hash: str, effective_from: str) -> Sealed:
    """Write down that a rule pack was adopted: its name, version and SHA-256 (hex), and the first day of deed that it
    judges. From then on anybody can tell which rules the journal goes by."""
    pack = {"id": id, "version": version, "hash": hash, "effective_from": effective_from}
    return view.append(Draft("policy", journal, act, [], data={"pack": pack}))


def open_account(view: View, journal: str, act: Act, *, subject: str, kind: str, base: int) -> Sealed:
    """Open a subject's account with its base standing, which never lapses. Raises `already_registered`."""
    if view.get(MEMBER, journal, subject) is not None:
        raise Refusal("already_registered", subject=subject)
    postings: list[Posting] = []
    if base:
        postings = [
            Posting(ISSUER, STANDING, FOREVER, -base),
            Posting(subject_account(subject), STANDING, FOREVER, base),
        ]
    data = {"kind": kind, "base": base}
    sealed = view.append(Draft("open", journal, act, postings, subject=subject, data=data))
    view.put(MEMBER, (journal, subject, kind, OPEN, journal, sealed.seq))
    return sealed


def move(view: View, origin: str, target: str, act: Act, *, subject: str) -> tuple[Sealed, Sealed]:
    """Move an account to another journal: two linked entries in one transaction.

    Every lot goes along, and so do the cap tallies: both entries carry one hash over them, so that a move cannot
    quietly empty a cap. Holds stay where they are and find the new home when they are released. Raises
    `already_registered` when the account is in `target` already.
    """
    row = member(view, origin, subject)
    there = view.get(MEMBER, target, subject)
    if there is not None and there[3] == OPEN:
        raise Refusal("already_registered", subject=subject)
    tallies = _tallies(view, origin, subject)
    digest = codec.tallies_hash(tallies)
    out: list[Posting] = []
    into: list[Posting] = []
    for role in ("subject", "minus", "debt"):
        account = f"{role}:{subject}"
        for unit in UNITS:
            for lot, amount in sorted(view.balances(origin, account, unit).items()):
                out += [Posting(account, unit, lot, -amount), Posting(ISSUER, unit, FOREVER, amount)]
                into += [Posting(ISSUER, unit, FOREVER, -amount), Posting(account, unit, lot, amount)]
    left = view.append(Draft("move", origin, act, out, subject=subject, data={"to": target, "tallies": digest}))
    links, data = [left.link("moved_from")], {"from": origin, "kind": row[2], "tallies": digest}
    came = view.append(Draft("move", target, act, into, subject=subject, links=links, data=data))
    view.put(MEMBER, (origin, subject, row[2], MOVED, target, row[5]))
    view.put(MEMBER, (target, subject, row[2], OPEN, target, came.seq if there is None else there[5]))
    for cap, start, used in tallies:
        view.put(TALLY, (target, start, subject, cap, used))
    return left, came


def erase(view: View, journal: str, act: Act, *, subject: str) -> Sealed:
    """Close an account for ever: every lot lapses, deductions and debt with it. `journal` is where it lives now.

    Points still held lapse when their hold ends, for there is nobody left to credit. Raises what `member` raises.
    """
    row = member(view, journal, subject)
    postings: list[Posting] = []
    for role in ("subject", "minus", "debt"):
        account = f"{role}:{subject}"
        for unit in UNITS:
            for lot, amount in sorted(view.balances(journal, account, unit).items()):
                postings += [Posting(account, unit, lot, -amount), Posting(EXPIRED, unit, FOREVER, amount)]
    sealed = view.append(Draft("erase", journal, act, postings, subject=subject))
    view.put(MEMBER, (journal, subject, row[2], ERASED, journal, row[5]))
    return sealed


def _tallies(view: View, journal: str, subject: str) -> list[tuple[str, str, int]]:
    """(cap, start, used) of one subject, sorted. Zeros too: coming back, they stand over what was left behind."""
    found = {(row[3], row[2]): row[4] for row in view.rows(TALLIES, (journal, subject)).values()}
    changed = view.dirty.get(TALLY)  # earlier decisions of this commit are in no database yet
    for key, row in changed.rows.items() if changed else ():
        if key[0] == journal and key[2] == subject and row is not None:
            found[key[3], key[1]] = row[4]
    return [(cap, start, used) for (cap, start), used in sorted(found.items())]
