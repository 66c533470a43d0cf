# SPDX-License-Identifier: Apache-2.0
"""What a decision sees and changes: rows loaded under the journals' locks, and the entries appended so far.

A view is plain memory. Asking for a row that was not loaded raises `Missing`; the sequencer undoes the command, loads
the row in the same transaction and decides again, so `reads()` of a command is only there for speed. Every change
can be undone, which is how one refused command leaves no trace in a batch of hundreds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ledger import codec
from ledger.errors import Refusal
from ledger.model import FOREVER, KINDS, STANDING, Draft, Fields, Head, Link, Posting, Sealed, bounds
from ledger.tables import BALANCE, Key, Row, Table

Groups = dict[Key, dict[Key, Row]]


class Dirty:
    """Changed rows of one table by key (None: taken away), and which of the keys the database does not have yet."""

    __slots__ = ("fresh", "rows")

    def __init__(self) -> None:
        self.rows: dict[Key, Row | None] = {}
        self.fresh: set[Key] = set()

    def split(self) -> tuple[list[Row], list[Row], list[Key]]:
        """Rows to insert, rows to update, keys to delete."""
        new: list[Row] = []
        changed: list[Row] = []
        gone: list[Key] = []
        for key, row in self.rows.items():
            if key in self.fresh:
                if row is not None:
                    new.append(row)
            elif row is not None:
                changed.append(row)
            else:
                gone.append(key)
        return new, changed, gone


class Changes(NamedTuple):
    """What one transaction writes. Each head comes with the size it had when it was locked."""

    heads: list[tuple[Head, int]]
    entries: Sequence[Sealed]
    dirty: Mapping[Table, Dirty]
    inserts: Mapping[Table, Sequence[Row]]


# group, key, row before, changed rows of the table, whether this was the key's first change
_Change = tuple[dict[Key, Row], Key, Row | None, Dirty, bool]


class Missing(Exception):
    """The decision needs a group of rows that is not in memory yet."""

    def __init__(self, table: Table, prefix: Key) -> None:
        super().__init__(table.name, prefix)
        self.table = table
        self.prefix = prefix


class Unlocked(Exception):
    """The decision needs a journal whose head is not locked yet: to write there, or to read rows that are kept in
    memory and are only known to be current under that lock."""

    def __init__(self, journal: str) -> None:
        super().__init__(journal)
        self.journal = journal


@lru_cache(maxsize=64)
def _day(quarter_hour: int, zone: str) -> str:
    return datetime.fromtimestamp(quarter_hour * 900, ZoneInfo(zone)).date().isoformat()


def local_day(instant_us: int, zone: str) -> str:
    """The calendar day of an instant. Zones are offset by whole quarter hours, so a quarter hour is one lookup."""
    return _day(instant_us // 900_000_000, zone)


@lru_cache(maxsize=16)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")


def rfc3339(instant_us: int) -> str:
    """An instant in UTC with microseconds: `2026-11-22T01:02:03.000004Z`."""
    second, micro = divmod(instant_us, 1_000_000)
    return f"{_second(second)}{micro:06d}Z"


class View:
    """Rows, heads and pending entries of one transaction. Used by one command at a time."""

    def __init__(
        self,
        now_us: int,
        heads: Mapping[str, Head],
        groups: Mapping[Table, Groups],
        key: bytes,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.now_us = now_us
        self.heads = dict(heads)
        self._sizes = {journal: head.size for journal, head in heads.items()}
        self.entries: list[Sealed] = []
        self.dirty: dict[Table, Dirty] = {}
        self.inserts: dict[Table, list[Row]] = {}
        self._groups = groups
        self._key = key
        self._random = random
        self._undo: list[_Change | Callable[[], Any]] = []

    # reading ---------------------------------------------------------------------------------------------------

    def rows(self, table: Table, prefix: Key) -> Mapping[Key, Row]:
        """All rows that start with `prefix` (as many columns as the table's group), by key."""
        if table.cached and prefix[0] not in self.heads:
            raise Unlocked(prefix[0])
        try:
            return self._groups[table][prefix]
        except KeyError:
            raise Missing(table, prefix) from None

    def get(self, table: Table, *key: Any) -> Row | None:
        """The row with this key, or None."""
        if table.cached and key[0] not in self.heads:
            raise Unlocked(key[0])
        try:
            return self._groups[table][key[: table.group]].get(key)
        except KeyError:
            raise Missing(table, key[: table.group]) from None

    def head(self, journal: str) -> Head:
        """The locked head. Raises `Refusal not_found` for a journal that was never opened."""
        head = self.heads.get(journal)
        if head is None:
            raise Unlocked(journal)
        if not head.size:
            raise Refusal("not_found", what="journal", id=journal)
        return head

    def today(self, journal: str) -> str:
        """The day it is now in the journal's zone."""
        return local_day(self.now_us, self.head(journal).zone)

    def balances(self, journal: str, account: str, unit: str) -> dict[str, int]:
        """Lot → amount of one account in one unit."""
        rows = self.rows(BALANCE, (journal, account))
        return {row[3]: row[4] for row in rows.values() if row[2] == unit}

    # writing ---------------------------------------------------------------------------------------------------

    def put(self, table: Table, row: Row) -> None:
        """Write a row over whatever has its key. Its group must have been read."""
        self._set(table, row[: table.key], row)

    def remove(self, table: Table, *key: Any) -> None:
        """Take a row away. Its group must have been read."""
        self._set(table, key, None)

    def insert(self, table: Table, row: Row) -> None:
        """Add a row whose key is fresh (an id just made), unread. A key that exists after all fails the commit."""
        rows = self.inserts.setdefault(table, [])
        rows.append(row)
        self._undo.append(rows.pop)

    def _set(self, table: Table, key: Key, row: Row | None) -> None:
        try:
            group = self._groups[table][key[: table.group]]
        except KeyError:
            raise Missing(table, key[: table.group]) from None
        dirty = self.dirty.get(table)
        if dirty is None:
            dirty = self.dirty[table] = Dirty()
        self._change(group, dirty, key, row)

    def _change(self, group: dict[Key, Row], dirty: Dirty, key: Key, row: Row | None) -> None:
        old = group.get(key)
        if old == row:
            return
        self._undo.append((group, key, old, dirty, key not in dirty.rows))
        if row is not None:
            group[key] = row
        elif old is not None:
            del group[key]
        if old is None and key not in dirty.rows:
            dirty.fresh.add(key)
        dirty.rows[key] = row

    def append(self, draft: Draft) -> Sealed:
        """Give a draft its place: apply its postings, chain it to the head, hash it.

        Postings that do not balance or break a floor are programming errors: decisions check first and refuse by name.
        Raises `Refusal not_found` for a journal that was never opened.
        """
        head = self.heads.get(draft.journal)
        if head is None:
            raise Unlocked(draft.journal)
        if not head.size and (draft.kind != "open" or draft.subject is not None):
            raise Refusal("not_found", what="journal", id=draft.journal)
        assert draft.kind in KINDS, draft.kind
        self._apply(draft.journal, draft.postings)
        before = (head.size, head.leaf, head.recorded_at)
        sealed = _seal(draft, head, self.now_us, self._key, self._random(16))
        head.size, head.leaf, head.recorded_at = sealed.seq + 1, sealed.leaf, sealed.recorded_at
        self.entries.append(sealed)

        def take_back() -> None:
            head.size, head.leaf, head.recorded_at = before
            self.entries.pop()

        self._undo.append(take_back)
        return sealed

    def _apply(self, journal: str, postings: Sequence[Posting]) -> None:
        balances = self._groups[BALANCE]
        dirty = self.dirty.get(BALANCE)
        if dirty is None:
            dirty = self.dirty[BALANCE] = Dirty()
        standing = points = 0
        for posting in postings:
            account, unit, lot, amount = posting.account, posting.unit, posting.lot, posting.amount
            if lot == FOREVER:  # one read from a row is another object, and only this one is left out of the entry
                posting.lot = lot = FOREVER
            try:
                group = balances[journal, account]
            except KeyError:
                raise Missing(BALANCE, (journal, account)) from None
            key = (journal, account, unit, lot)
            row = group.get(key)
            balance = amount if row is None else row[4] + amount
            if balance < 0 or account[0] in "dm":  # debt:, minus: (and merchant:) have another side
                low, high = bounds(account)
                assert low <= balance <= high, (account, unit, lot, balance)
            if unit == STANDING:
                standing += amount
            else:
                points += amount
            self._change(group, dirty, key, (journal, account, unit, lot, balance) if balance else None)
        assert not standing and not points, postings

    # undoing ---------------------------------------------------------------------------------------------------

    def mark(self) -> int:
        """A point to which `undo` can return."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        """Take back every change made since `mark`, latest first."""
        while len(self._undo) > mark:
            change = self._undo.pop()
            if callable(change):
                change()
                continue
            group, key, row, dirty, first = change
            if row is None:
                group.pop(key, None)
            else:
                group[key] = row
            if first:
                del dirty.rows[key]
                dirty.fresh.discard(key)
            else:
                dirty.rows[key] = row

    def changes(self) -> Changes | None:
        """Everything that is to be written; None when nothing is."""
        heads = [(head, self._sizes[journal]) for journal, head in self.heads.items()]
        changed = [(head, was) for head, was in heads if head.size != was]
        dirty = {table: rows for table, rows in self.dirty.items() if rows.rows}
        inserts = {table: rows for table, rows in self.inserts.items() if rows}
        return Changes(changed, self.entries, dirty, inserts) if changed or dirty or inserts else None

    def keep(self) -> None:
        """The command stands: what it changed can no longer be undone one by one."""
        self._undo.clear()

    def set_takeover(self, journal: str, takeover: int) -> None:
        """Open or close the journal's take-over window; the policy entry that says so is the caller's to append."""
        head = self.head(journal)
        before = head.takeover

        def take_back() -> None:
            head.takeover = before

        self._undo.append(take_back)
        head.takeover = takeover


def _seal(draft: Draft, head: Head, now_us: int, key: bytes, nonce: bytes) -> Sealed:
    act = draft.act
    recorded_at = max(now_us, head.recorded_at + 1)
    digest = codec.opened(act.key if draft.subject is not None and act.key else key, nonce)
    fields = Fields(
        v=1,
        journal=draft.journal,
        seq=head.size,
        prev=head.leaf.hex(),
        kind=draft.kind,
        txn=act.txn,
        request=digest("request", act.request),
        actor=act.actor,
        recorded_at=rfc3339(recorded_at),
        occurred_on=act.occurred_on,
        evidence=[digest("evidence", item) for item in draft.evidence],
        caps=draft.caps,
        links=[_link(link, draft.journal) for link in draft.links],
        nonce=nonce.hex(),
        postings=draft.postings,
        cause=None if draft.cause is None else draft.cause.hex(),
        subject=draft.subject,
        group=draft.group,
        place=draft.place,
        rule=draft.rule,
        pack=draft.pack,
        trace=None if draft.trace is None else digest("trace", draft.trace),
        memo=None if act.memo is None else digest("memo", act.memo),
        data=draft.data,
    )
    body = codec.encode(fields)
    assert len(body) <= codec.ENTRY_BYTES_MAX, len(body)
    return Sealed(
        draft.journal,
        head.size,
        codec.leaf_hash(body),
        head.leaf,
        draft.kind,
        draft.subject,
        recorded_at,
        body,
    )


def _link(link: Link, journal: str) -> Link:
    return Link(link.rel, "", link.seq, link.leaf) if link.journal == journal else link
