# SPDX-License-Identifier: Apache-2.0
"""One journal from its first entry to its last: hashes, links, instants, tree, and every entry applied to the book.

Memory does not grow with the entries: what caps counted in windows long past, and holds that are closed, are compared
with their rows and put aside as they come. Should such a row turn up again (`Unsure`), the journal is read once more
and nothing is put aside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from ledger import codec
from ledger.states import States
from ledger.verify import derived, kinds
from ledger.verify.book import Abroad, Book, Unsure
from ledger.verify.fast import Fast
from ledger.verify.reading import Fault, need, read
from ledger.verify.source import Row, Source
from ledger.verify.spine import Spine
from ledger.view import local_day

_sha256 = hashlib.sha256
LIVE_MAX = 30_000  # counts of caps in memory, about 150 bytes each
HOLDS_MAX = 10_000
PAST_DAYS = 45  # a window that ended this long ago is seldom counted in again

_ENTRIES = (
    "SELECT seq, leaf, prev, kind, subject, recorded_at, body FROM entry WHERE journal = ? AND seq >= ? ORDER BY seq"
)
Progress = Callable[[int], None]

# Every second of a day as it is written: formatting it costs more than reading the entry's columns.
_CLOCK = [
    f"{hour:02d}:{minute:02d}:{second:02d}." for hour in range(24) for minute in range(60) for second in range(60)
]


@dataclass(slots=True)
class Outcome:
    """What one journal's entries have shown; `fault` is the first bad entry."""

    journal: str
    size: int = 0
    leaf: bytes = b""
    fault: tuple[int, str] | None = None
    findings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    genesis: dict[str, Any] = field(default_factory=dict[str, Any])
    keys: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    losses: list[tuple[int, dict[str, Any]]] = field(default_factory=list[tuple[int, dict[str, Any]]])
    roots: dict[int, bytes] = field(default_factory=dict[int, bytes])
    deeds: int = 0
    deed_count: int = 0
    abroad: Abroad = field(default_factory=Abroad)
    brought: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict[str, dict[tuple[str, str], int]])
    own: dict[str, set[tuple[str, str]]] = field(default_factory=dict[str, set[tuple[str, str]]])  # of who moved in


class Replay:
    """See the module. `hashing` is off where others hash this journal's row groups."""

    def __init__(
        self, source: Source, journal: str, marks: Sequence[int] = (), *, hashing: bool = True, exact: bool = False
    ) -> None:
        self.source = source
        self.journal = journal
        self.hashing = hashing
        self.exact = exact
        movers = source.rows("SELECT subject FROM member WHERE journal = ? AND (state = 'moved' OR subject IN "
                             "(SELECT subject FROM member WHERE journal <> ?))", journal, journal)  # fmt: skip
        self.book = Book(journal, partial(_find, source), frozenset(row[0] for row in movers))
        self.fast = Fast(self.book)
        self.tiles = derived.tiles(source, journal) if hashing else {}
        self.spine = Spine(self.tiles, marks)
        self.leaf = b""
        self.outcome = Outcome(journal)
        self._live_max, self._holds_max = LIVE_MAX, HOLDS_MAX
        self._day, self._date = -1, ""
        self._seals = derived.seal_sizes(source, journal)
        self._states = States() if self._seals else None

    def run(self, progress: Progress | None = None) -> Outcome:
        """Replay and compare."""
        book, outcome = self.book, self.outcome
        for rows in self.source.chunks(_ENTRIES, self.journal, 0):
            leaves, fault = self._apply(rows)
            if self.hashing:
                self.spine.extend(leaves)
            if fault:
                outcome.fault = (book.size, fault)
                break
            book.settle_up()
            if not self.exact:
                self._put_aside()
            if progress is not None:
                progress(len(rows))
        else:
            if book.passing:
                outcome.fault = (book.size - 1, "the refund was not passed on")
        if self.hashing:
            self.spine.close()
            outcome.roots = self.spine.roots()
        outcome.size, outcome.leaf = book.size, self.leaf
        outcome.genesis, outcome.keys, outcome.losses = book.genesis, book.keys, book.losses
        outcome.deeds, outcome.deed_count, outcome.abroad = book.deeds, book.deed_count, book.abroad
        outcome.own = {subject: set(one.counts) for subject, one in book.members.items() if one.came is not None}
        if outcome.fault is None:
            derived.compare(self)
        return outcome

    # entries ---------------------------------------------------------------------------------------------------

    def _apply(self, rows: Sequence[Row]) -> tuple[list[bytes], str]:
        """Check and apply rows; the leaves of those that hold, and what is wrong with the next."""
        book, award, hashing = self.book, self.fast.award, self.hashing
        leaves: list[bytes] = []
        leaf, prev, what = self.leaf, self.leaf.hex(), ""
        states, due = self._states, self._seals[-1] if self._seals else -1
        for row in rows:
            seq, stored, before, kind, subject, recorded_at, body = row
            if seq != book.size:
                what = f"entry {book.size} is missing, {seq} follows"
                break
            if hashing and _sha256(b"\x00" + body).digest() != stored:
                what = "the bytes do not have the stored hash"
                break
            try:
                day, rest = divmod(recorded_at, 86_400_000_000)
                if day != self._day:
                    self._day, self._date = day, datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%dT")
                second, micro = divmod(rest, 1_000_000)
                at = f"{self._date}{_CLOCK[second]}{micro:06d}Z"
                fits = kind == "award" and before == leaf and recorded_at > book.recorded_at
                if not (fits and award(body, prev, at, subject)):
                    self._the_long_way(row, at, leaf)
                if states is not None:
                    states.apply(body, stored)
            except Fault as fault:
                what = str(fault)
                break
            except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
                what = f"a field is missing or malformed: {error!r}"
                break
            book.recorded_at = recorded_at
            book.size += 1
            leaf, prev = stored, stored.hex()
            leaves.append(stored)
            if book.size == due:
                self._seal_due()
                due = self._seals[-1] if self._seals else -1
        if not self.fast.digests_are_hex():
            for place, row in enumerate(rows[: len(leaves)]):
                try:
                    read(row[6])
                except Fault as fault:
                    book.size = row[0]
                    return leaves[:place], str(fault)
        self.leaf = leaf
        return leaves, what

    def _the_long_way(self, row: Row, at: str, last: bytes) -> None:
        """Everything that can be said of an entry. Raises `Fault`."""
        seq, leaf, prev, kind, subject, recorded_at, body = row
        book = self.book
        entry = read(body)
        need(
            (entry["journal"], entry["seq"]) == (self.journal, seq),
            "version, journal or seq inside the entry is another",
        )
        need(entry["prev"] == prev.hex() and (not seq or prev == last), "prev is not the hash of the entry before")
        if not seq:
            data = entry["data"]
            stated = codec.genesis_prev(data["origin"], data["vkey"], data["recovery"], data["policy"])
            need(entry["prev"] == stated, "entry 0 does not start from its own origin, keys and policy")
        need(
            entry["kind"] == kind and entry.get("subject") == subject,
            "kind or subject beside the entry is another than inside",
        )
        rises = entry["recorded_at"] == at and recorded_at > book.recorded_at
        need(rises, "recorded_at does not rise or differs from the column")
        book.recorded_at, before = recorded_at, book.recorded_at
        entry["leaf"] = leaf.hex()
        try:
            kinds.apply(book, entry)
        finally:
            book.recorded_at = before

    # seals and what is put aside -------------------------------------------------------------------------------

    def _seal_due(self) -> None:
        """The seal of this size: what it must say, and the rows that it left."""
        assert self._states is not None
        size = self._seals.pop()
        rows = self._states.close(self.journal)
        self.book.sealed[size] = self._states.seal_data()
        self.outcome.findings += derived.compare_states(self.source, self.journal, size, rows)

    def _put_aside(self) -> None:
        book = self.book
        if book.live > self._live_max:
            today = date.fromisoformat(local_day(book.recorded_at, book.zone))
            before = (today - timedelta(days=PAST_DAYS)).isoformat()
            derived.put_aside_counts(self.source, book, before)
            self._live_max = max(LIVE_MAX, 2 * book.live)
        if len(book.holds) > self._holds_max:
            derived.put_aside_holds(self.source, book)
            self._holds_max = max(HOLDS_MAX, 2 * len(book.holds))


def _find(source: Source, journal: str, seq: int) -> tuple[bytes, bytes] | None:
    rows = source.rows("SELECT body, leaf FROM entry WHERE journal = ? AND seq = ?", journal, seq)
    return (rows[0][0], rows[0][1]) if rows else None


def replay(
    source: Source, journal: str, marks: Sequence[int] = (), *, hashing: bool = True, progress: Progress | None = None
) -> Outcome:
    """One journal, read once more with nothing put aside where that is needed to say what is wrong."""
    try:
        return Replay(source, journal, marks, hashing=hashing).run(progress)
    except Unsure:
        return Replay(source, journal, marks, hashing=hashing, exact=True).run()
