# SPDX-License-Identifier: Apache-2.0
"""The statement itself: one month of one shop as canonical JSON (docs/reference/settlement-statement.md). Pure.

Everything in it follows from the shop's entries up to the end of the month, so making it again gives the same bytes.
"""

from __future__ import annotations

import calendar
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ledger import codec
from merchants.settlement.lines import Account, Group, Line

_PERIOD = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


class Statement(NamedTuple):
    """Its fields, its canonical bytes, and their SHA-256 in hex."""

    fields: dict[str, Any]
    body: bytes
    sha256: str


def is_period(text: str) -> bool:
    """A month, `YYYY-MM`."""
    return bool(_PERIOD.fullmatch(text))


def last_day(period: str) -> str:
    """The last day of a month."""
    year, month = int(period[:4]), int(period[5:])
    return f"{period}-{calendar.monthrange(year, month)[1]:02d}"


def month_before(day: str) -> str:
    """The month before the one that this day or month lies in."""
    year, month = int(day[:4]), int(day[5:7])
    return f"{year - (month == 1):04d}-{(month - 2) % 12 + 1:02d}"


def months(first: str, last: str) -> Iterator[str]:
    """Every month from `first` to `last`, both included."""
    year, month = int(first[:4]), int(first[5:])
    while (period := f"{year:04d}-{month:02d}") <= last:
        yield period
        year, month = year + month // 12, month % 12 + 1


def make(origin: str, merchant: str, period: str, before: Account, lines: Sequence[Line]) -> Statement:
    """The statement of the month that began with `before` and has these lines, in whatever order."""
    lines = sorted(lines, key=lambda line: (line.at, line.journal, line.seq))
    after = before.copy().add(lines)
    by_journal: defaultdict[str, list[Line]] = defaultdict(list)
    by_group: defaultdict[Group, list[Line]] = defaultdict(list)
    for line in lines:
        by_journal[line.journal].append(line)
        if line.kind != "settle":
            by_group[line.group].append(line)
    journals = [_journal(journal, before, after, by_journal[journal]) for journal in after.journals]
    fields = {
        "v": 1,
        "origin": origin,
        "merchant": merchant,
        "period": period,
        "from": f"{period}-01",
        "to": last_day(period),
        "opening": _sum(journals, "opening"),
        "closing": _sum(journals, "closing"),
        "totals": {
            **{
                name: sum(one[name] for one in journals)
                for name in ("received", "returned", "settled", "owed_fen", "paid_fen")
            },
            "lines": len(lines),
        },
        "journals": journals,
        "budgets": [_budget(group, before, after, by_group[group]) for group in sorted(after.owed)],
        "lines": [{"no": number, **_line(line)} for number, line in enumerate(lines, 1)],
    }
    body = codec.canonical(fields)
    return Statement(fields, body, hashlib.sha256(body).hexdigest())


def resume(fields: dict[str, Any]) -> Account:
    """The account as a statement left it."""
    account = Account()
    for row in fields["budgets"]:
        group = Group(row["journal"], row.get("budget", ""), row["scenario"], row["fen_per_point"])
        account.owed[group] = row["after"]
    for row in fields["journals"]:
        journal, closing = row["journal"], row["closing"]
        account.held[journal] = closing["points"]
        account.paid[journal] = account.unpaid(journal) - closing["fen"]
    return account


def _journal(journal: str, before: Account, after: Account, mine: Sequence[Line]) -> dict[str, Any]:
    paid = sum(line.fen for line in mine)
    return {
        "journal": journal,
        "opening": {"points": before.held.get(journal, 0), "fen": before.unpaid(journal)},
        "received": sum(line.points for line in mine if line.kind == "capture"),
        "returned": -sum(line.points for line in mine if line.kind in ("refund", "void")),
        "settled": -sum(line.points for line in mine if line.kind == "settle"),
        "owed_fen": after.unpaid(journal) - before.unpaid(journal) + paid,
        "paid_fen": paid,
        "closing": {"points": after.held.get(journal, 0), "fen": after.unpaid(journal)},
    }


def _sum(journals: Sequence[dict[str, Any]], side: str) -> dict[str, int]:
    return {unit: sum(one[side][unit] for one in journals) for unit in ("points", "fen")}


def _budget(group: Group, before: Account, after: Account, mine: Sequence[Line]) -> dict[str, Any]:
    was, now = before.owed.get(group, 0), after.owed[group]
    row: dict[str, Any] = {
        "journal": group.journal,
        "scenario": group.scenario,
        "fen_per_point": group.fen_per_point,
        "lines": len(mine),
        "received": sum(line.points for line in mine if line.points > 0),
        "returned": -sum(line.points for line in mine if line.points < 0),
        "benefits": sum(line.quantity for line in mine),
        "before": was,
        "after": now,
        "fen": now // 100 - was // 100,
    }
    return {**row, "budget": group.budget} if group.budget else row


def _line(line: Line) -> dict[str, Any]:
    row: dict[str, Any] = {
        "journal": line.journal,
        "seq": line.seq,
        "leaf": line.leaf,
        "day": line.day,
        "at": line.at,
        "kind": line.kind,
        "points": line.points,
    }
    if line.kind == "settle":
        return {**row, "fen": line.fen, "period": line.period}
    row |= {"redemption": line.redemption, "scenario": line.scenario, "owed": line.owed}
    if line.kind == "benefit":
        row["quantity"] = line.quantity
    else:
        row["fen_per_point"] = line.fen_per_point
    return {**row, "budget": line.budget} if line.budget else row
