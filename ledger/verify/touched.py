# SPDX-License-Identifier: Apache-2.0
"""Derived rows after a check that did not begin at the first entry: those that entries from the start on have touched,
and the tables that a seal holds whole. What is found here only says that the full check is needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ledger.model import FOREVER
from ledger.verify import derived
from ledger.verify.book import Book, Counts
from ledger.verify.resume import Resumed, Seen, Start, looked_up
from ledger.verify.source import Row, Source

if TYPE_CHECKING:
    from ledger.verify.replay import Replay

Findings = list[tuple[int, str]]


def deeds(source: Source, book: Book, seen: Seen) -> Findings:
    """The rows of first awards since the last time: there, and theirs."""
    expected = {bytes.fromhex(cause): seq for cause, seq in zip(book.causes, book.cause_seqs, strict=True)}
    left = len(book.causes)
    sql = "SELECT digest, journal, seq, reversed, replaced FROM cause WHERE digest IN ({})"
    for digest, *row in looked_up(source, sql, expected):
        if row[:2] != [book.journal, expected[digest]]:
            return [(expected[digest], f"the table of deeds says that its deed is {row[0]}/{row[1]}")]
        if row[2] or row[3]:
            seen.marked[digest.hex()] = (row[0], row[1], row[2], row[3])
        left -= 1
    return [(min(expected.values()), "the table of deeds does not know a deed from here on")] if left else []


def compare(replay: Replay) -> None:
    """All of them; what differs goes to the outcome."""
    source, book, start, seen = replay.source, replay.book, replay.start, replay.seen
    assert start is not None and seen is not None
    findings = replay.outcome.findings
    findings += derived.head(source, replay)
    findings += _balances(source, start.book)
    findings += _members(source, book)
    findings += _tallies(source, book, replay.outcome.brought)
    findings += _holds(source, book)
    findings += _seals(source, book, start)
    findings += _states(source, start, seen)
    findings += derived.compare_tiles(replay.tiles, replay.spine.peaks.seen, replay.spine.peaks.bad)


def _balances(source: Source, book: Resumed) -> Findings:
    """All of them. What nobody touched is as the seal has it, text for text."""
    left = sum(map(len, book.accounts.values()))
    told: dict[str, list[str]] = {account: [] for account in book.untouched}
    sql = "SELECT account, unit, lot, amount FROM balance WHERE journal = ? ORDER BY account, unit, lot"
    for rows in source.chunks(sql, book.journal):
        for account, unit, lot, amount in rows:
            texts = told.get(account)
            if texts is not None:
                named = f',"lot":"{lot}"' if lot != FOREVER else ""
                texts.append(f'{{"amount":{amount}{named},"unit":"{unit}"}}')
                continue
            expected = book.accounts.get(account, {}).get((unit, lot))
            if amount != expected:
                return [derived.differs("balance", (account, unit, lot), amount, expected)]
            left -= 1
    for account, texts in told.items():
        if f"[{','.join(texts)}]" != book.untouched[account]:
            return [derived.differs("balance", account, texts, book.untouched[account])]
    return [(-1, "balance: a row is missing")] if left else []


def _members(source: Source, book: Book) -> Findings:
    sql = "SELECT subject, kind, state, home, opened_seq FROM member WHERE journal = ? AND subject IN ({})"
    left = len(book.members)
    for subject, *stored in looked_up(source, sql, book.members, book.journal):
        found = book.members[subject]
        expected = [found.kind, found.state, found.home, found.opened]
        if stored != expected:
            return [derived.differs("member", subject, stored, expected)]
        left -= 1
    return [(-1, "member: a row is missing")] if left else []


def _tallies(source: Source, book: Book, brought: dict[str, Counts]) -> Findings:
    """Windows that were counted in since the start; of members that came since, all."""
    wanted: dict[str, set[str]] = {}
    left = 0
    for subject, found in book.members.items():
        for _, first in found.counts:
            wanted.setdefault(first, set()).add(subject)
        left += len(found.counts)
    new = {subject for subject, found in book.members.items() if not found.stated}
    for first in starts(source, book.journal) if new else ():
        wanted.setdefault(first, set()).update(new)
    for first, subjects in wanted.items():
        for subject, cap, used in _used(source, book.journal, first, subjects):
            found, key = book.members[subject], (cap, first)
            expected = found.counts.get(key)
            if expected is not None:
                if used != expected:
                    return [derived.differs("tally", (subject, *key), used, expected)]
                left -= 1
            elif found.came is not None:
                brought.setdefault(subject, {})[key] = used
            elif not found.stated:
                return [derived.differs("tally", (subject, *key), used, None)]
    return [(-1, "tally: a row is missing")] if left else []


def starts(source: Source, journal: str) -> Iterable[str]:
    """The first days of windows that anybody has counted in."""
    sql = "SELECT MIN(start) FROM tally WHERE journal = ? AND start > ?"
    first = ""
    while (first := source.rows(sql, journal, first)[0][0]) is not None:
        yield first


def _used(source: Source, journal: str, first: str, subjects: Iterable[str]) -> Iterable[Row]:
    sql = "SELECT subject, cap, used FROM tally WHERE journal = ? AND start = ? AND subject IN ({})"
    return looked_up(source, sql, subjects, journal, first)


def counts(source: Source, journal: str, subject: str) -> Counts:
    """All that a subject's caps have counted in a journal, as stored."""
    return {
        (cap, first): used
        for first in starts(source, journal)
        for _, cap, used in _used(source, journal, first, [subject])
    }


def _holds(source: Source, book: Book) -> Findings:
    left = len(book.holds)
    sql = f"SELECT {derived.HOLD_COLUMNS} FROM hold WHERE journal = ? AND hold IN ({{}})"
    for row in looked_up(source, sql, book.holds, book.journal):
        expected = derived.hold_row(row[0], book.holds[row[0]])
        if derived.hold_told(row) != expected:
            return [derived.differs("hold", row[0], derived.hold_told(row), expected)]
        left -= 1
    if left:
        return [(-1, "hold: a row is missing")]
    still = {account.removeprefix("held:") for account in book.accounts if account.startswith("held:")}
    rows = source.rows("SELECT hold FROM hold WHERE state = 'held' AND journal = ?", book.journal)
    if {row[0] for row in rows} != still:
        return [(-1, "hold: others are open than those that hold something")]
    return []


def _seals(source: Source, book: Book, start: Start) -> Findings:
    expected: list[Row] = []
    for seq, data in book.seals:
        expected.append((data["as_of_size"], seq, data["accounts"], bytes.fromhex(data["state_root"])))
    sql = "SELECT since, as_of, seq, accounts, state_root FROM seal WHERE journal = ? AND since >= ? ORDER BY since"
    first = expected[0][0] if expected else start.size
    since = source.rows("SELECT MAX(since) FROM seal WHERE journal = ? AND since < ?", book.journal, first)[0][0]
    for row in source.rows(sql, book.journal, since if since is not None else 0):
        if not expected or row[1:] != expected[0] or row[0] != since:
            return [(row[2], f"the table of seals says {row[:4]} of it")]
        since = expected.pop(0)[0]
    return [(expected[0][1], "the table of seals does not know it")] if expected else []


def _states(source: Source, start: Start, seen: Seen) -> Findings:
    """The rows that later seals have left, and no others of a size above the start's."""
    expected = {row[1:3]: row[3:] for row in seen.states}
    journal, size = start.log.name, start.size
    later = {account for account, newest in start.newest.items() if newest > size}
    if later != {account for account, _ in expected}:
        return [(-1, "account_state: other accounts have states after the start")]
    sql = ("SELECT account, as_of, version, head, balances, seqs FROM account_state "
           "WHERE journal = ? AND as_of > ? AND account IN ({})")  # fmt: skip
    stored: dict[Any, Any] = {row[:2]: row[2:] for row in looked_up(source, sql, later, journal, size)}
    for key in sorted(stored.keys() | expected.keys()):
        if stored.get(key) != expected.get(key):
            return [derived.differs("account_state", key, stored.get(key), expected.get(key))]
    return []
