# SPDX-License-Identifier: Apache-2.0
"""The tables that are derived from one journal's entries, held against what its replay left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from ledger.model import FOREVER
from ledger.tree import LEVELS
from ledger.verify.book import Book, Held, Member, Unsure
from ledger.verify.source import Row, Source
from ledger.verify.spine import Tiles
from ledger.view import rfc3339

if TYPE_CHECKING:
    from ledger.verify.replay import Replay

AT_ONCE = 200  # keys looked up in one statement
HOLD_COLUMNS = (
    "hold, subject, expires_at, amount, seq, leaf, state, captured, released, refunded, grace, merchant, lots"
)
Findings = list[tuple[int, str]]


def compare(replay: Replay) -> None:
    """All of them; what differs goes to the outcome. Raises `Unsure`."""
    source, book, findings = replay.source, replay.book, replay.outcome.findings
    findings += head(source, replay)
    findings += balances(source, book)
    findings += _members(source, book)
    findings += _tallies(source, book, replay.outcome.brought)
    findings += _holds(source, book)
    findings += _seals(source, book)
    if replay.hashing:
        findings += compare_tiles(replay.tiles, replay.spine.peaks.seen, replay.spine.peaks.bad)


def differs(what: str, key: Any, stored: Any, expected: Any) -> tuple[int, str]:
    return -1, f"{what} {key}: stored {stored}, replay {expected}"


def head(source: Source, replay: Replay) -> Findings:
    book = replay.book
    rows = source.rows("SELECT size, leaf, recorded_at, zone, takeover FROM head WHERE journal = ?", book.journal)
    if not rows:
        return [(-1, "table entry has rows of a journal without a head")]
    if rows[0][0] > book.size:
        return [(book.size, "the head counts this entry, and it is missing")]
    if rows[0] != (book.size, replay.leaf, book.recorded_at, book.zone, book.takeover):
        return [(book.size - 1, "the head does not stand at the last entry")]
    return []


def balances(source: Source, book: Book) -> Findings:
    left = sum(map(len, book.accounts.values()))
    for rows in source.chunks("SELECT account, unit, lot, amount FROM balance WHERE journal = ?", book.journal):
        for account, unit, lot, amount in rows:
            expected = book.accounts.get(account, {}).get((unit, lot))
            if amount != expected:
                return [differs("balance", (account, unit, lot), amount, expected)]
        left -= len(rows)
    if left:
        rows = source.rows("SELECT account, unit, lot FROM balance WHERE journal = ?", book.journal)
        stored = set(rows)
        for account, lots in book.accounts.items():
            for (unit, lot), amount in lots.items():
                if (account, unit, lot) not in stored:
                    return [differs("balance", (account, unit, lot), None, amount)]
        return [(-1, "balance: a row is there twice")]
    return []


def _members(source: Source, book: Book) -> Findings:
    left = len(book.members)
    sql = "SELECT subject, kind, state, home, opened_seq FROM member WHERE journal = ?"
    seen: set[str] = set()
    for rows in source.chunks(sql, book.journal):
        for subject, *stored in rows:
            found = book.members.get(subject)
            expected = [found.kind, found.state, found.home, found.opened] if found else None
            if stored != expected:
                return [differs("member", subject, stored, expected)]
            seen.add(subject)
        left -= len(rows)
    missing = min(book.members.keys() - seen, default=None) if left else None
    return [differs("member", missing, None, "there")] if left else []


# caps --------------------------------------------------------------------------------------------------------------


def _is_put_aside(book: Book, subject: str, found: Member) -> bool:
    return found.came is None and subject not in book.movers


def put_aside_counts(source: Source, book: Book, before: str) -> None:
    """Forget counts in windows that ended before a day, where their rows say the same."""
    old: dict[str, dict[tuple[str, str], int]] = {}
    for subject, found in book.members.items():
        if _is_put_aside(book, subject, found):
            for (cap, start), used in found.counts.items():
                if used and book.until.get((cap, start), FOREVER) < before:
                    old.setdefault(start, {})[subject, cap] = used
    for start, counts in old.items():
        sql = "SELECT subject, cap, used FROM tally WHERE journal = ? AND start = ?"
        for rows in source.chunks(sql, book.journal, start):
            for subject, cap, used in rows:
                if counts.get((subject, cap)) == used:
                    del book.members[subject].counts[cap, start]
                    book.spent[start] = book.spent.get(start, 0) + 1
                    book.live -= 1


def _tallies(source: Source, book: Book, brought: dict[str, dict[tuple[str, str], int]]) -> Findings:
    aside: Counter[str] = Counter()
    left = sum(len(found.counts) for found in book.members.values())
    for rows in source.chunks("SELECT start, subject, cap, used FROM tally WHERE journal = ?", book.journal):
        for start, subject, cap, used in rows:
            found = book.members.get(subject)
            expected = found.counts.get((cap, start)) if found is not None else None
            if expected is not None:
                if used != expected:
                    if book.spent.get(start):
                        raise Unsure
                    return [differs("tally", (subject, cap, start), used, expected)]
                left -= 1
            elif book.spent.get(start) and found is not None and _is_put_aside(book, subject, found):
                aside[start] += 1
            elif found is not None and found.came is not None:
                brought.setdefault(subject, {})[cap, start] = used
            else:
                return [differs("tally", (subject, cap, start), used, None)]
    if any(aside[start] != count for start, count in book.spent.items()):
        raise Unsure
    if left:
        return [next(_missing_tallies(source, book))]
    return []


def _missing_tallies(source: Source, book: Book) -> Iterator[tuple[int, str]]:
    for subject, found in book.members.items():
        if found.counts:
            rows = source.rows("SELECT cap, start FROM tally WHERE journal = ? AND subject = ?", book.journal, subject)
            for cap, start in found.counts.keys() - set(rows):
                yield differs("tally", (subject, cap, start), None, found.counts[cap, start])
    yield -1, "tally: a row is there twice"


# holds -------------------------------------------------------------------------------------------------------------


def hold_row(name: str, found: Held) -> tuple[Any, ...]:
    return (
        name, found.subject, found.expires_at, found.amount, found.seq, found.leaf, found.state, found.captured,
        found.released, found.refunded, found.grace, found.merchant, found.lots,
    )  # fmt: skip


def hold_told(row: Row) -> tuple[Any, ...]:
    name, subject, expires_at, amount, seq, leaf, *rest, lots = row
    try:
        instant, read = rfc3339(expires_at), orjson.loads(lots)
    except (ValueError, OverflowError, OSError):
        instant = read = None
    return (name, subject, instant, amount, seq, leaf.hex(), *rest, read)


def put_aside_holds(source: Source, book: Book) -> None:
    """Forget holds that are over, where their rows say the same."""
    over = [name for name, found in book.holds.items() if found.state != "held" and name != book.passing]
    for start in range(0, len(over), AT_ONCE):
        names = over[start : start + AT_ONCE]
        sql = f"SELECT {HOLD_COLUMNS} FROM hold WHERE journal = ? AND hold IN ({', '.join('?' * len(names))})"
        for row in source.rows(sql, book.journal, *names):
            if hold_told(row) == hold_row(row[0], book.holds[row[0]]):
                del book.holds[row[0]]
                book.gone += 1


def _holds(source: Source, book: Book) -> Findings:
    left, aside = len(book.holds), book.gone
    seen: set[str] = set()
    for rows in source.chunks(f"SELECT {HOLD_COLUMNS} FROM hold WHERE journal = ?", book.journal):
        for row in rows:
            found = book.holds.get(row[0])
            if found is not None:
                if hold_told(row) != hold_row(row[0], found):
                    return [differs("hold", row[0], hold_told(row), hold_row(row[0], found))]
                seen.add(row[0])
                left -= 1
            elif book.gone:
                aside -= 1
            else:
                return [differs("hold", row[0], hold_told(row), None)]
    if aside:
        raise Unsure
    missing = min(book.holds.keys() - seen, default=None) if left else None
    return [differs("hold", missing, None, "there")] if left else []


# trees and seals ---------------------------------------------------------------------------------------------------


def tiles(source: Source, journal: str) -> dict[tuple[int, int], bytes]:
    """The stored tiles of a log: (level, index) → hash."""
    rows = source.rows("SELECT level, idx, hash FROM tree WHERE journal = ?", journal)
    return {(level, index): value for level, index, value in rows}


def compare_tiles(stored: Tiles, seen: int, bad: tuple[int, int] | None) -> Findings:
    """What the spine has seen of them."""
    if bad is not None:
        level, index = bad
        return [(index << level, f"tree node {level}/{index}, which begins here, is another")]
    if seen != len(stored):
        return [(-1, f"tree: {len(stored) - seen} nodes are stored over entries that are not there")]
    return []


def missing_tiles(stored: Collection[tuple[int, int]], size: int) -> Findings:
    """Every tile that is complete in a tree that was signed must be stored."""
    for level in LEVELS:
        for index in range(size >> level):
            if (level, index) not in stored:
                return [(index << level, f"tree node {level}/{index}, which begins here, is missing")]
    return []


def seal_sizes(source: Source, journal: str, since: int = 0) -> list[int]:
    """The sizes above `since` that the journal's seals are of, the largest first; entries that say something else fail
    elsewhere."""
    sizes: set[int] = set()
    sql = "SELECT body FROM entry WHERE journal = ? AND kind = 'seal' AND kind IN ('key', 'seal') AND seq >= ?"
    for (body,) in source.rows(sql, journal, since):
        try:
            size = orjson.loads(body)["data"]["as_of_size"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
        if type(size) is int and size > since:
            sizes.add(size)
    return sorted(sizes, reverse=True)


def compare_states(source: Source, journal: str, size: int, rows: Sequence[Row]) -> Findings:
    """The rows that one seal left, against those that it should have."""
    expected = {row[1]: row[3:] for row in rows}
    sql = "SELECT account, version, head, balances, seqs FROM account_state WHERE journal = ? AND as_of = ?"
    stored = {row[0]: row[1:] for row in source.rows(sql, journal, size)}
    for account in sorted(stored.keys() | expected.keys()):
        if stored.get(account) != expected.get(account):
            return [differs(f"account_state at {size}", account, stored.get(account), expected.get(account))]
    return []


def _seals(source: Source, book: Book) -> Findings:
    expected: list[Row] = []
    since = 0
    for seq, data in book.seals:
        size = data["as_of_size"]
        expected.append((since, size, seq, data["accounts"], bytes.fromhex(data["state_root"])))
        since = size
    stored = source.rows("SELECT since, as_of, seq, accounts, state_root FROM seal WHERE journal = ? ORDER BY since",
                         book.journal)  # fmt: skip
    for one, other in zip(stored, expected, strict=False):
        if one != other:
            return [(other[2], f"the table of seals says {one[:4]} of it")]
    if len(stored) != len(expected):
        return [(-1, f"the table of seals has {len(stored)} seals, the entries {len(expected)}")]
    sizes = {row[1] for row in expected}
    rows = source.rows("SELECT DISTINCT as_of FROM account_state WHERE journal = ?", book.journal)
    return [(-1, f"account_state of a seal {size} that is not there") for (size,) in rows if size not in sizes][:1]
