# SPDX-License-Identifier: Apache-2.0
"""One journal from its first entry to its last: hashes, links, instants, tree, and every entry applied to the book.

Memory does not grow with the entries: what caps counted in windows long past, and holds that are closed, are compared
with their rows and put aside as they come. Should such a row turn up again (`Unsure`), the journal is read once more
and nothing is put aside.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from operator import lt
from typing import Any

from ledger import codec
from ledger.states import States
from ledger.verify import derived, kinds, touched
from ledger.verify.book import Abroad, Book, Unsure
from ledger.verify.fast import Award, Fast, posted
from ledger.verify.reading import Fault, Line, need, read
from ledger.verify.resume import Seen, Start
from ledger.verify.source import Row, Source
from ledger.verify.spine import Spine
from ledger.view import local_day, rfc3339

_sha256 = hashlib.sha256
LIVE_MAX = 30_000  # counts of caps in memory, about 150 bytes each
HOLDS_MAX = 10_000
PAST_DAYS = 45  # a window that ended this long ago is seldom counted in again

_ENTRIES = (
    "SELECT seq, leaf, prev, kind, subject, recorded_at, body FROM entry WHERE journal = ? AND seq >= ? ORDER BY seq"
)
FIRST = -(2**63)  # a row before entry 0 is one too many
Progress = Callable[[int], None]

_DAY_US = 86_400_000_000
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
    start: int = 0  # the entries before were not read
    seen: Seen | None = None


class Replay:
    """See the module. `hashing` is off where others hash this journal's row groups."""

    def __init__(
        self,
        source: Source,
        journal: str,
        marks: Sequence[int] = (),
        *,
        hashing: bool = True,
        exact: bool = False,
        start: Start | None = None,
        seen: Seen | None = None,
    ) -> None:
        self.source = source
        self.journal = journal
        self.hashing = hashing
        self.exact = exact
        self.start, self.seen = start, seen
        if start is None:
            movers = source.rows("SELECT subject FROM member WHERE journal = ? AND (state = 'moved' OR subject IN "
                                 "(SELECT subject FROM member WHERE journal <> ?))", journal, journal)  # fmt: skip
            self.book = Book(journal, partial(_find, source), frozenset(row[0] for row in movers))
            self.spine = Spine(derived.tiles(source, journal) if hashing else {}, marks)
            self.leaf, self.since = b"", 0
        else:
            self.book, self.leaf, self.since = start.book, start.leaf, start.size
            self.spine = start.log.spine(start.size, marks)
        self.tiles = self.spine.peaks.tiles
        self.fast = Fast(self.book)
        self.outcome = Outcome(journal, start=self.since, seen=seen)
        self._live_max, self._holds_max = LIVE_MAX, HOLDS_MAX
        self._seals = derived.seal_sizes(source, journal, self.since)
        self._states = (States() if start is None else start.states) if self._seals else None

    def run(self, progress: Progress | None = None) -> Outcome:
        """Replay and compare."""
        book, outcome = self.book, self.outcome
        for rows in self.source.chunks(_ENTRIES, self.journal, self.since or FIRST):
            leaves, fault = self._apply(rows)
            if self.hashing:
                self.spine.extend(leaves)
            if fault:
                outcome.fault = (book.size, fault)
                break
            if self.seen is not None:
                outcome.findings += touched.deeds(self.source, book, self.seen)
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
        if outcome.fault is None and self.start is not None:
            touched.compare(self)
        elif outcome.fault is None:
            derived.compare(self)
        return outcome

    # entries ---------------------------------------------------------------------------------------------------

    def _apply(self, rows: Sequence[Row]) -> tuple[Sequence[bytes], str]:
        """Check and apply rows; the leaves of those that hold, and what is wrong with the next."""
        book, base = self.book, self.book.size
        columns = list(zip(*rows, strict=True))
        _, leaves, _, kinds_, subjects, ats, bodies = columns
        chain = self._chain(columns)
        found: Sequence[Award | None] = [None] * len(rows)
        if chain:
            found = self.fast.read(kinds_, subjects, bodies, chain)
        row, what = 0, ""
        while row < len(rows):
            due = self._seals[-1] - base if self._seals else -1
            first, row = row, self.fast.apply(found, subjects, row, due if row < due < len(rows) else len(rows))
            if row > first:
                book.size, book.recorded_at, self.leaf = base + row, ats[row - 1], leaves[row - 1]
                if self._states is not None:
                    for one in range(first, row):
                        self._states.fold(posted(found[one], subjects[one]), leaves[one])
            if row == due:
                self._seal_due()
            elif row < len(rows):
                what = self._one(rows[row], chain[row][-27:].decode() if chain else "")
                if what:
                    break
                row += 1
                if row == due:
                    self._seal_due()
        return leaves[:row], what

    def _chain(self, columns: Sequence[Sequence[Any]]) -> list[bytes]:
        """What the entries must have from `prev` to their instants; nothing where their places, hashes, links and
        instants do not all hold."""
        book = self.book
        seqs, leaves, prevs, _, _, ats, bodies = columns
        if seqs != tuple(range(book.size, book.size + len(seqs))):
            return []
        if prevs[1:] != leaves[:-1] or (book.size and prevs[0] != self.leaf):
            return []
        try:
            if self.hashing and [_sha256(b"\x00" + body).digest() for body in bodies] != list(leaves):
                return []
            if ats[0] <= book.recorded_at or not all(map(lt, ats, ats[1:])):
                return []
            hexes = b"".join(prevs).hex()
            found: list[bytes] = []
            while len(found) < len(ats):
                start = len(found)
                day = ats[start] // _DAY_US
                midnight, end = day * _DAY_US, bisect_left(ats, (day + 1) * _DAY_US)
                date = datetime.fromtimestamp(day * 86_400, UTC).strftime('","recorded_at":"%Y-%m-%dT')
                found += [
                    f"{hexes[row * 64 : row * 64 + 64]}{date}{_CLOCK[(at - midnight) // 1_000_000]}"
                    f"{at % 1_000_000:06d}Z".encode()
                    for row, at in enumerate(ats[start:end], start)
                ]
        except (TypeError, ValueError, OverflowError, OSError):
            return []
        return found

    def _one(self, row: Row, at: str) -> str:
        """Check and apply one entry, the long way: what is wrong with it. `at`: its instant, where hash, link and
        instant have been found to hold."""
        book = self.book
        seq, leaf, _, _, _, recorded_at, body = row
        if seq != book.size:
            return f"entry {book.size} is missing, {seq} follows"
        if self.hashing and not at and _sha256(b"\x00" + body).digest() != leaf:
            return "the bytes do not have the stored hash"
        try:
            lines = self._the_long_way(row, at or rfc3339(recorded_at), self.leaf)
            if self._states is not None:
                self._states.fold(lines, leaf)
        except Fault as fault:
            return str(fault)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
            return f"a field is missing or malformed: {error!r}"
        book.size, book.recorded_at, self.leaf = seq + 1, recorded_at, leaf
        return ""

    def _the_long_way(self, row: Row, at: str, last: bytes) -> list[Line]:
        """Everything that can be said of an entry; its postings. Raises `Fault`."""
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
        return entry["lines"]

    # seals and what is put aside -------------------------------------------------------------------------------

    def _seal_due(self) -> None:
        """The seal of this size: what it must say, and the rows that it left."""
        assert self._states is not None
        size = self._seals.pop()
        rows = self._states.close(self.journal)
        self.book.sealed[size] = self._states.seal_data()
        if self.start is not None and self.seen is not None:
            self.seen.states += rows  # compared with all others at the end
            return
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
