# SPDX-License-Identifier: Apache-2.0
"""What a subject has and what happened to it, read from the ledger: balance with lots, and its entries newest first.

Balances come out of one statement, so the amounts and the `as_of` beside them belong together.
"""

from __future__ import annotations

from typing import Any

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import FOREVER, POINTS, STANDING
from ledger.view import local_day
from rules.engine.model import Pack

# Tallies: h the head, b a balance row, o an open hold (wherever it was made before a move).
_BALANCE = """
SELECT 'h' AS part, zone AS account, '' AS unit, '' AS lot, size - 1 AS amount FROM head WHERE journal = ?
UNION ALL
SELECT 'b', account, unit, lot, amount FROM balance WHERE journal = ? AND account IN (?, ?, ?)
UNION ALL
SELECT 'o', '', '', '', amount - captured - released FROM hold WHERE subject = ? AND state = 'held'
"""


async def balance(ledger: Ledger, pack: Pack, subject: str) -> dict[str, Any]:
    """The balance of CONTRACT's shape. Raises `subject_unknown`, `subject_erased`."""
    journal = await ledger.home(subject)
    own, minus, debt = (f"{role}:{subject}" for role in ("subject", "minus", "debt"))
    rows = await ledger.fetch(_BALANCE, journal, journal, own, minus, debt, subject)
    _, zone, _, _, seq = next(row for row in rows if row[0] == "h")
    today = local_day(ledger.clock(), zone)
    standing = sum(n for part, _, unit, lot, n in rows if part == "b" and unit == STANDING and lot >= today)
    lots = sorted(
        (lot, n)
        for part, account, unit, lot, n in rows
        if part == "b" and account == own and unit == POINTS and lot >= today
    )
    owed = -sum(n for part, account, *_, n in rows if part == "b" and account == debt)
    points: dict[str, Any] = {
        "available": 0 if owed else sum(n for _, n in lots),
        "held": sum(n for part, *_, n in rows if part == "o"),
        "lots": [{"amount": n} if lot == FOREVER else {"expires_on": lot, "amount": n} for lot, n in lots],
    }
    if owed:
        points["debt"] = owed
    return {
        "subject": subject,
        "standing": {"amount": standing, "grade": pack.grade(standing).code},
        "points": points,
        "as_of": {"journal": journal, "seq": seq},
    }


async def entries(ledger: Ledger, subject: str, limit: int, after: tuple[int, str, int] | None) -> list[dict[str, Any]]:
    """Entries that name the subject, newest first, after the one at (recorded_at, journal, seq)."""
    return [
        {**line(subject, codec.decode(body)), "entry_hash": leaf.hex(), "recorded_us": at}
        for at, _, _, leaf, body in await ledger.entries_of(subject, limit, after)
    ]


def line(subject: str, entry: dict[str, Any]) -> dict[str, Any]:
    """One entry as a line of a statement: what it did to this subject, in numbers."""
    accounts = {f"{role}:{subject}" for role in ("subject", "minus", "debt")}
    moved = {STANDING: 0, POINTS: 0}
    for posting in entry["postings"]:
        if posting["account"] in accounts:
            moved[posting["unit"]] += posting["amount"]
    said: dict[str, Any] = {name: entry[name] for name in ("journal", "seq", "kind", "recorded_at", "occurred_on")}
    said |= {"standing": moved[STANDING], "points": moved[POINTS]}
    said |= {name: entry[name] for name in ("rule", "group", "place") if name in entry}
    if entry["links"]:
        said["links"] = entry["links"]
    if entry.get("data", {}).get("takeover"):
        said["takeover"] = True
    return said


def names_merchant(entry: dict[str, Any], merchant: str) -> bool:
    """Does this entry pay that merchant, or take back from it?"""
    if not entry["postings"]:
        return entry.get("data", {}).get("merchant") == merchant
    return any(posting["account"] == f"merchant:{merchant}" for posting in entry["postings"])


async def stored(ledger: Ledger, journal: str, seq: int) -> Any:
    """One entry. Raises `not_found`, also for numbers that no journal has."""
    if not 0 <= seq <= codec.INTEGER_MAX:
        raise Refusal("not_found", what="entry", id=f"{journal}/{seq}")
    return await ledger.entry(journal, seq)
