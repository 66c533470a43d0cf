# SPDX-License-Identifier: Apache-2.0
"""Reading the entries that statements are made of: by their pointers, or every one of them.

The table `turnover` only says where a shop's entries stand. Each one is hashed again as it is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import PutRows
from merchants.settlement.lines import KINDS, Account, BadEntry, Line, read
from merchants.settlement.statement import resume
from merchants.tables import TURNOVER

CHUNK = 1_000
STRETCH = 5_000  # entries of a journal looked through at a time

_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)
_MONTH = (
    "SELECT t.journal, t.seq, e.leaf, e.body FROM turnover t "
    "LEFT JOIN entry e ON e.journal = t.journal AND e.seq = t.seq "
    "WHERE t.merchant = ? AND t.month = ? AND (t.journal > ? OR t.journal = ? AND t.seq > ?) "
    "ORDER BY t.journal, t.seq LIMIT ?"
)


async def lines_of(ledger: Ledger, merchant: str, month: str) -> list[Line]:
    """A shop's lines of one month. Raises `statement_unsound` for an entry that is not what its pointer says."""
    lines: list[Line] = []
    after: tuple[str, int] = ("", -1)
    while True:
        found = await ledger.fetch(_MONTH, merchant, month, after[0], after[0], after[1], CHUNK)
        lines += [_line(merchant, month, *row) for row in found]
        if len(found) < CHUNK:
            return lines
        after = (found[-1][0], found[-1][1])


def _line(merchant: str, month: str, journal: str, seq: int, leaf: Any, body: Any) -> Line:
    try:
        if body is None:
            raise BadEntry("is not there")
        named, line = read(bytes(body), bytes(leaf))
        if (named, line.journal, line.seq, line.day[:7]) != (merchant, journal, seq, month):
            raise BadEntry("is not this shop's of this month")
    except BadEntry as error:
        raise Refusal("statement_unsound", journal=journal, seq=seq, reason=str(error)) from error
    return line


async def months_of(ledger: Ledger, merchant: str, until: str, after: str = "") -> list[str]:
    """The months, after `after` and up to `until`, in which a shop has entries."""
    found = await ledger.fetch(
        "SELECT DISTINCT month FROM turnover WHERE merchant = ? AND month > ? AND month <= ? ORDER BY month",
        merchant,
        after,
        until,
    )
    return [month for (month,) in found]


async def account_before(ledger: Ledger, merchant: str, period: str, last: dict[str, Any] | None) -> Account:
    """What a shop's entries before a month add up to, going on from its `last` statement where there is one."""
    account = resume(last) if last else Account()
    for month in await months_of(ledger, merchant, period, last["period"] if last else ""):
        if month < period:
            account.add(await lines_of(ledger, merchant, month))
    return account


async def scan(ledger: Ledger, journal: str, size: int) -> AsyncIterator[tuple[int, bytes, bytes]]:
    """(seq, leaf, body) of every entry that a statement could be made of, among the first `size` of a journal."""
    for start in range(0, size, STRETCH):
        found = await ledger.fetch(
            f"SELECT seq, leaf, body FROM entry WHERE journal = ? AND seq >= ? AND seq < ? AND kind IN ({_KINDS}) "
            "ORDER BY seq",
            journal,
            start,
            min(size, start + STRETCH),
        )
        for seq, leaf, body in found:
            yield seq, bytes(leaf), bytes(body)


async def backfill(ledger: Ledger) -> int:
    """Note the entries that are older than the table of pointers; how many there are. Needed once, and harmless."""
    known = dict(await ledger.fetch("SELECT journal, MIN(seq) FROM turnover GROUP BY journal"))
    done = 0
    for journal, size in await ledger.fetch("SELECT journal, size FROM head ORDER BY journal"):
        missing: list[Any] = []
        async for seq, leaf, body in scan(ledger, journal, known.get(journal, size)):
            try:
                merchant, line = read(body, leaf)
            except BadEntry as error:
                raise Refusal("statement_unsound", journal=journal, seq=seq, reason=str(error)) from error
            missing.append((TURNOVER, (merchant, line.day[:7], journal, seq)))
        for start in range(0, len(missing), CHUNK):
            await ledger.submit(PutRows(puts=tuple(missing[start : start + CHUNK])))
        done += len(missing)
    return done
