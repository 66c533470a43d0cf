# SPDX-License-Identifier: Apache-2.0
"""Checking statements against the entries alone: every entry is read and hashed again, everything derived is compared.

Only what is in `turnover` and `settlement` is taken from there, and only to be held against the entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger import note
from ledger.engine import Ledger
from ledger.keys import Verifier, parse_vkey
from ledger.published import keys_in_force
from merchants.settlement.derive import scan
from merchants.settlement.lines import Account, BadEntry, Line, read
from merchants.settlement.office import note_text
from merchants.settlement.state import Sums, sums
from merchants.settlement.statement import Statement, make

_SNAPSHOT = (
    "SELECT 'h' AS part, journal, '' AS account, size AS amount FROM head "
    "UNION ALL SELECT 'b', journal, account, amount FROM balance WHERE account LIKE 'merchant:%' "
    "UNION ALL SELECT 'p', merchant, paid, 0 FROM settlement WHERE period = ?"
)


@dataclass(slots=True)
class Checked:
    """What was read, and what does not hold. `fen`: owed for the month over all shops."""

    entries: int = 0
    statements: int = 0
    missing: list[str] = field(default_factory=list[str])
    fen: int = 0
    findings: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class _Shop:
    before: Account = field(default_factory=Account)
    lines: list[Line] = field(default_factory=list[Line])
    now: Account = field(default_factory=Account)
    paid: list[Line] = field(default_factory=list[Line])  # whenever they were posted: settlements of the month


async def check(ledger: Ledger, origin: str, period: str) -> Checked:
    """Make the statements of a month again from every entry there is, and compare: with the statements issued, with the
    balances of all shops now, and with the pointers. `missing` are shops whose statement was not made yet."""
    result = Checked()
    snapshot = await ledger.fetch(_SNAPSHOT, period)
    sizes = {journal: size for part, journal, _, size in snapshot if part == "h"}
    held = {(j, account.partition(":")[2]): amount for part, j, account, amount in snapshot if part == "b"}
    paid = {merchant: sums(text) for part, merchant, text, _ in snapshot if part == "p"}
    shops: dict[str, _Shop] = {}
    for journal in sorted(sizes):
        await _journal(ledger, journal, sizes[journal], period, shops, result)
    for merchant, shop in shops.items():
        for journal, points in shop.now.held.items():
            there = held.pop((journal, merchant), 0)
            if there != points:
                result.findings.append(f"{journal}: {merchant} holds {there}, its entries add up to {points}")
    result.findings += [f"{journal}: {merchant} holds {n} without entries" for (journal, merchant), n in held.items()]
    trusted = await _keys(ledger, sizes)
    for merchant in sorted(shops):
        _check_paid(merchant, paid.get(merchant, {}), shops[merchant].paid, result)
        await _statement(ledger, origin, period, merchant, shops[merchant], trusted, result)
    rows = await ledger.fetch("SELECT merchant FROM settlement WHERE period = ?", period)
    result.findings += [f"{merchant}: a statement without entries" for (merchant,) in rows if merchant not in shops]
    return result


async def _journal(
    ledger: Ledger, journal: str, size: int, period: str, shops: dict[str, _Shop], result: Checked
) -> None:
    pointers = {
        seq: (merchant, month)
        for seq, merchant, month in await ledger.fetch(
            "SELECT seq, merchant, month FROM turnover WHERE journal = ?", journal
        )
        if seq < size
    }
    async for seq, leaf, body in scan(ledger, journal, size):
        result.entries += 1
        try:
            merchant, line = read(body, leaf)
            if (line.journal, line.seq) != (journal, seq):
                raise BadEntry(f"says it is {line.journal}/{line.seq}")
        except BadEntry as error:
            pointers.pop(seq, None)
            result.findings.append(f"{journal}/{seq}: {error}")
            continue
        month = line.day[:7]
        if (pointed := pointers.pop(seq, None)) != (merchant, month):
            result.findings.append(f"{journal}/{seq}: belongs to {merchant} in {month}, the pointer says {pointed}")
        shop = shops.setdefault(merchant, _Shop())
        shop.now.add((line,))
        if line.kind == "settle" and line.period == period:
            shop.paid.append(line)
        if month < period:
            shop.before.add((line,))
        elif month == period:
            shop.lines.append(line)
    result.findings += [f"{journal}/{seq}: a pointer to nothing" for seq in sorted(pointers)]


async def _keys(ledger: Ledger, sizes: dict[str, int]) -> list[Verifier]:
    return [parse_vkey(one["vkey"]) for one in await keys_in_force(ledger, sizes)]


async def _statement(
    ledger: Ledger,
    origin: str,
    period: str,
    merchant: str,
    shop: _Shop,
    trusted: Sequence[Verifier],
    result: Checked,
) -> None:
    made = make(origin, merchant, period, shop.before, shop.lines)
    result.fen += made.fields["totals"]["owed_fen"]
    rows = await ledger.fetch(
        "SELECT s.sha256, s.points, s.fen, s.lines, s.closing, t.body, t.note "
        "FROM settlement s LEFT JOIN settlement_text t "
        "ON t.merchant = s.merchant AND t.period = s.period WHERE s.merchant = ? AND s.period = ?",
        merchant,
        period,
    )
    if not rows:
        if shop.lines or shop.before.open:
            result.missing.append(merchant)
        return
    result.statements += 1
    sha256, points, fen, lines, by_journal, body, signed = rows[0]
    closing = made.fields["closing"]
    listed = (points, fen, lines, sums(by_journal))
    follows = (closing["points"], closing["fen"], made.fields["totals"]["lines"], _open(made))
    if body is None or hashlib.sha256(bytes(body)).hexdigest() != sha256:
        result.findings.append(f"{merchant}: the statement's bytes are not those whose digest was kept")
    elif bytes(body) != made.body:
        result.findings.append(f"{merchant}: {_difference(bytes(body), made.body)}")
    elif listed != follows:
        result.findings.append(f"{merchant}: the list says {listed}, the statement {follows}")
    else:
        _check_owed(merchant, shop.paid, made, result)
        _check_note(merchant, signed, note_text(made.fields, made.sha256), trusted, result)


def _difference(was: bytes, made: bytes) -> str:
    """Where two statements part, in words."""
    for at, (one, two) in enumerate(zip(was, made, strict=False)):
        if one != two:
            start = max(0, at - 40)
            return f"issued …{was[start : at + 40].decode(errors='replace')}… but the entries say …" + made[
                start : at + 40
            ].decode(errors="replace")
    return f"issued {len(was)} bytes, the entries make {len(made)}"


def _open(made: Statement) -> Sums:
    """What is open at the end of a statement, journal by journal."""
    return {one["journal"]: (one["closing"]["points"], one["closing"]["fen"]) for one in made.fields["journals"]}


def _check_paid(merchant: str, paid: Sums, lines: Sequence[Line], result: Checked) -> None:
    """Is what was posted as paid what the list says, once a journal?"""
    posted = {line.journal: (-line.points, line.fen) for line in lines}
    if len(lines) != len(posted) or posted != paid:
        result.findings.append(f"{merchant}: the list says paid {paid}, the entries {posted}")


def _check_owed(merchant: str, lines: Sequence[Line], made: Statement, result: Checked) -> None:
    """Is it paid under these bytes, and no more than was open?"""
    left = _open(made)
    for line in lines:
        points, fen = left.get(line.journal, (0, 0))
        if line.statement != made.sha256 or -line.points > max(0, points) or line.fen > max(0, fen):
            result.findings.append(f"{merchant}: {line.journal}/{line.seq} pays what the statement does not owe")


def _check_note(merchant: str, signed: str, text: str, trusted: Sequence[Verifier], result: Checked) -> None:
    try:
        parsed = note.parse_note(signed.encode())
        note.verify(parsed, trusted)
        if parsed.text != text:
            raise note.BadNote("it signs something else")
    except note.BadNote as error:
        result.findings.append(f"{merchant}: the note under the statement: {error}")
