# SPDX-License-Identifier: Apache-2.0
"""Where a check starts that does not read everything: at the newest seal inside a checkpoint that somebody trusts.

A start is only ever good for saying yes. Whatever does not agree on the way (`Doubt`, or any finding) sends the caller
back to the first entry, so what is wrong, and where, is said by the full check alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from ledger import codec, epochs, merkle
from ledger.model import FOREVER, POINTS
from ledger.seals import states_query
from ledger.states import NOTHING, State, States
from ledger.verify import derived
from ledger.verify.book import Book, Held, Member, Place
from ledger.verify.kinds import published
from ledger.verify.source import Row, Source
from ledger.verify.spine import Spine

EPOCHS = ""
AT_ONCE = 200  # keys looked up in one statement
SEALS_TRIED = 3
_READ = 2_000  # accounts read in one statement
_GONE = ("refund", "void")
_OF_SUBJECTS = ("subject", "minus", "debt")

# With the size of each account's newest state: whether entries since the seal have touched it.
_STATES = states_query("(SELECT MAX(s.as_of) FROM account_state s WHERE s.journal = ? AND s.account = a.account)")


class Doubt(Exception):
    """Something did not agree: only the full check can say what. `journal` and the reason."""

    def __init__(self, journal: str, why: str) -> None:
        super().__init__(journal, why)
        self.journal = journal
        self.why = why


# logs --------------------------------------------------------------------------------------------------------------


class Log:
    """The stored tree of one log ('' are the epochs) over its first `size` leaves."""

    def __init__(self, source: Source, name: str, size: int) -> None:
        self.source = source
        self.name = name
        self.size = size
        self.tiles = derived.tiles(source, name)
        self._blocks: dict[int, list[bytes]] = {}

    def leaf(self, seq: int) -> bytes:
        return self.leaves(seq >> 8)[seq & 255]

    def leaves(self, block: int) -> list[bytes]:
        """The leaves of the block-th 256, as far as the log goes; those of a whole block are those of its tile."""
        found = self._blocks.get(block)
        if found is None:
            start, end = block << 8, min((block + 1) << 8, self.size)
            table, place = ("epoch", "epoch") if self.name == EPOCHS else ("entry", "seq")
            only = "" if self.name == EPOCHS else "journal = ? AND "
            sql = f"SELECT leaf FROM {table} WHERE {only}{place} >= ? AND {place} < ? ORDER BY {place}"
            rows = self.source.rows(sql, *([self.name] if self.name else []), start, end)
            found = self._blocks[block] = [row[0] for row in rows]
            if len(found) != end - start:
                raise Doubt(self.name, f"entries are missing between {start} and {end}")
            if len(found) == 256 and merkle.subtree(found) != self.tile(8, block):
                raise Doubt(self.name, f"a leaf between {start} and {end} is not the one of the tree")
        return found

    def tile(self, level: int, index: int) -> bytes:
        there = self.tiles.get((level, index))
        if there is None:
            raise Doubt(self.name, f"tree node {level}/{index} is missing")
        return there

    def root(self, size: int) -> bytes:
        """The root over the first leaves."""
        return merkle.fold([self._subtree(level, index) for level, index in merkle.cover(0, size)])

    def _subtree(self, level: int, index: int) -> bytes:
        if level < 8:
            start = index << level
            inside = start & 255
            return merkle.subtree(self.leaves(start >> 8)[inside : inside + (1 << level)])
        stored = min(level // 8 * 8, 24)
        wide = level - stored
        return merkle.subtree([self.tile(stored, one) for one in range(index << wide, (index + 1) << wide)])

    def spine(self, size: int, marks: Iterable[int]) -> Spine:
        """The tree that grows on from `size` leaves; `marks` from the last whole block on."""
        base = size >> 8 << 8
        later = {key: value for key, value in self.tiles.items() if (key[1] + 1) << key[0] > base}
        found = [(level, self._subtree(level, index)) for level, index in merkle.cover(0, base)]
        tail = self.leaves(size >> 8)[: size - base] if size > base else []
        return Spine(later, [one for one in marks if one >= base], base, found, tail)


class Trusted(Log):
    """A log up to a checkpoint: every stored tile below it, and the leaves after the last one, give its root."""

    def __init__(self, source: Source, name: str, size: int, root: bytes) -> None:
        """Raises `Doubt`."""
        super().__init__(source, name, size)
        for level in (16, 24):
            for index in range(size >> level):
                below = [self.tile(level - 8, one) for one in range(index << 8, (index + 1) << 8)]
                if merkle.subtree(below) != self.tile(level, index):
                    raise Doubt(name, f"tree node {level}/{index} is not over those below it")
        for index in range(size >> 8):
            self.tile(8, index)
        if self.root(size) != root:
            raise Doubt(name, f"the stored tree at {size} is another than that of the checkpoint")

    def body(self, seq: int) -> bytes:
        """An entry below the checkpoint: the bytes of which the leaf in the tree is the hash."""
        rows = self.source.rows("SELECT body FROM entry WHERE journal = ? AND seq = ?", self.name, seq)
        if not rows or codec.leaf_hash(rows[0][0]) != self.leaf(seq):
            raise Doubt(self.name, f"entry {seq} is not the one that the checkpoint contains")
        return rows[0][0]

    def entry(self, seq: int) -> dict[str, Any]:
        return orjson.loads(self.body(seq))


# where to start ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Start:
    """One journal at a seal inside a trusted checkpoint: the book as it was after `size` entries."""

    log: Trusted
    size: int
    seal: int  # the entry that states it
    leaf: bytes
    states: States
    newest: dict[str, int]  # account → size of its newest stored state
    book: Resumed
    head: dict[str, Any]  # entry 0's data

    @property
    def pinned(self) -> int:
        return self.log.size


Starts = Mapping[str, Start]


def trusted_members(source: Source, size: int, root: bytes) -> list[epochs.Member]:
    """Which journals stood where in the last of `size` epochs that a checkpoint of the epoch log covers."""
    log = Trusted(source, EPOCHS, size, root)
    members, leaf = members_at(source, size - 1)
    if leaf != log.leaf(size - 1):
        raise Doubt(EPOCHS, f"the members of epoch {size - 1} are not those of the checkpoint")
    return list(members.values())


def members_at(source: Source, epoch: int) -> tuple[dict[str, epochs.Member], bytes]:
    """The members of an epoch, gathered from it and those before, and the leaf that follows from them."""
    rows = source.rows("SELECT count FROM epoch WHERE epoch = ?", epoch)
    if not rows:
        raise Doubt(EPOCHS, f"epoch {epoch} is missing")
    found: dict[str, epochs.Member] = {}
    upper = epoch
    while len(found) < rows[0][0] and upper >= 0:
        some = source.rows("SELECT members FROM epoch WHERE epoch <= ? AND epoch > ? ORDER BY epoch DESC",
                           upper, upper - 64)  # fmt: skip
        for (text,) in some:
            for member in _read(text, epoch):
                found.setdefault(member.journal, member)
        upper -= 64
    body = epochs.body(epoch, epochs.journals_root(found.values()), len(found))
    return found, codec.leaf_hash(body)


def _read(text: str, epoch: int) -> list[epochs.Member]:
    try:
        return epochs.read(text)
    except (ValueError, KeyError, TypeError) as error:
        raise Doubt(EPOCHS, f"the members of epoch {epoch} cannot be read") from error


def begin(source: Source, journal: str, size: int, root: bytes, find: Callable[[str, int], Any]) -> Start:
    """The newest seal that a checkpoint of `size` covers. `find` reads earlier entries for links. Raises `Doubt`."""
    log = Trusted(source, journal, size, root)
    sql = ("SELECT seq FROM entry WHERE journal = ? AND kind = 'seal' AND kind IN ('key', 'seal') AND seq < ? "
           "ORDER BY seq DESC LIMIT ?")  # fmt: skip
    for (seq,) in source.rows(sql, journal, size, SEALS_TRIED):
        try:
            data = log.entry(seq)["data"]
            as_of = data["as_of_size"]
            last = log.entry(as_of - 1)
        except (KeyError, TypeError, orjson.JSONDecodeError) as error:
            raise Doubt(journal, f"seal {seq} cannot be read") from error
        if last["kind"] in _GONE:  # the next entry passes it on: a place to look at, not to start from
            continue
        return _start(log, seq, data, last, find)
    raise Doubt(journal, f"there is no seal below {size}")


def _start(log: Trusted, seal: int, data: dict[str, Any], last: dict[str, Any], find: Callable[..., Any]) -> Start:
    source, journal, size = log.source, log.name, data["as_of_size"]
    book = Resumed(log, find)
    subjects, first = _look(book, size)
    states, newest = _load(book, size, subjects)
    if states.seal_data() != data:
        raise Doubt(journal, f"the stored states are not those of the seal of {size}")
    genesis = log.entry(0)["data"]
    leaf = log.leaf(size - 1)
    book.genesis, book.zone = genesis, genesis["policy"]["zone"]
    book.takeover = _takeover(log, size, genesis["policy"]["takeover"])
    book.size = size
    book.recorded_at = _us(last["recorded_at"])
    seldom = "SELECT seq FROM entry WHERE journal = ? AND kind = ? AND kind IN ('key', 'seal') AND seq >= ? AND seq < ?"
    for (seq,) in source.rows(seldom + " ORDER BY seq", journal, "key", 0, size):
        key = log.entry(seq)["data"]
        book.keys.append((seq, key["vkey"], key["authority"]))
    for (seq,) in source.rows(seldom + " ORDER BY seq", journal, "seal", size, seal + 1):
        stated = log.entry(seq)["data"]
        book.sealed[stated["as_of_size"]] = stated
    listed = "SELECT seq FROM entry WHERE journal = ? AND kind IN ('edition', 'fund') AND seq < ?"
    for (seq,) in source.rows(listed, journal, size):
        book.once.add(published(log.entry(seq)))
    _enter(book, subjects, first)
    return Start(log, size, seal, leaf, states, newest, book, genesis)


def _us(instant: str) -> int:
    moment = datetime.fromisoformat(instant)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


def _load(book: Resumed, size: int, subjects: set[str]) -> tuple[States, dict[str, int]]:
    """All states at a seal. Of accounts that no later entry can touch, what they hold stays a text."""
    source, journal = book.log.source, book.journal
    known: list[tuple[str, State]] = []
    newest: dict[str, int] = {}
    after = ""
    while True:
        rows = source.rows(_STATES, journal, after, journal, _READ, journal, *(journal, size) * len(State._fields))
        for account, last, version, head, text in rows:
            newest[account] = last
            if version is None:
                continue
            known.append((account, State(version, head, text)))
            role, _, name = account.partition(":")
            if role in _OF_SUBJECTS and name not in subjects:
                book.untouched[account] = text
            elif text != NOTHING or role != "held":
                lots = {(one["unit"], one.get("lot", FOREVER)): one["amount"] for one in orjson.loads(text)}
                book.accounts[account] = lots
        if len(rows) < _READ:
            return States(size, known), newest
        after = rows[-1][0]


def _takeover(log: Trusted, size: int, opened: int) -> int:
    """Was the take-over window open after `size` entries? The last award, or the entry that closed it, says so."""
    sql = ("SELECT seq FROM entry WHERE journal = ? AND seq < ? AND kind IN ('award', 'deduct', 'policy') "
           "ORDER BY seq DESC LIMIT 1")  # fmt: skip
    while opened and (rows := log.source.rows(sql, log.name, size)):
        size = rows[0][0]
        entry = log.entry(size)
        if entry["kind"] != "policy":
            return int("takeover" in entry.get("data", {}))
        if "takeover" in entry["data"]:
            return 0
    return opened


# what a seal does not hold -----------------------------------------------------------------------------------------


class Resumed(Book):
    """A book that goes on from a start: members and holds from before come from their rows, as those were then."""

    def __init__(self, log: Trusted, find: Callable[[str, int], tuple[bytes, bytes] | None]) -> None:
        super().__init__(log.name, find)
        self.log = log
        self.untouched: dict[str, str] = {}  # what accounts hold that no entry from `size` on is about
        self.refunds: dict[str, dict[str, int]] = {}  # hold → lot → what is given back from `size` on

    def recall(self, hold: str, seq: int) -> Held:
        """A hold that was opened before the start. What it still holds the seal says, what it held its first entry;
        of what is over its row says the rest."""
        source, log = self.log.source, self.log
        sql = "SELECT state, released, refunded, grace, merchant, lots FROM hold WHERE journal = ? AND hold = ?"
        rows = source.rows(sql, self.journal, hold)
        if not rows or seq >= log.size:
            raise Doubt(self.journal, f"hold {hold} was never opened")
        row_state, row_released, row_refunded, grace, merchant, row_lots = rows[0]
        entry = log.entry(seq)
        lines = [line for line in entry["postings"] if line["account"] == f"held:{hold}"]
        opened = {line.get("lot", FOREVER): line["amount"] for line in lines}
        if entry["kind"] != "hold" or not opened:
            raise Doubt(self.journal, f"entry {seq} did not open hold {hold}")
        amount, still = sum(opened.values()), dict(self.lots(f"held:{hold}", POINTS))
        left = sum(still.values())
        released, state = (0, "held") if left else (row_released, row_state)
        captured, refunded = amount - released - left, row_refunded - sum(self.refunds.get(hold, {}).values())
        if not 0 <= refunded <= captured or (not left and state == "held") or (captured and not merchant):
            raise Doubt(self.journal, f"hold {hold} is not what its row says")
        lots = {lot: [still.pop(lot, 0), part] for lot, part in _spent(opened, captured, refunded).items()}
        if not left and not grace:  # nothing but refunds can have followed, and they name the lots
            after, back = orjson.loads(row_lots), self.refunds.get(hold, {})
            lots = {lot: [0, after[lot][1] + back.get(lot, 0)] for lot in opened}
        if still or sum(part for _, part in lots.values()) != captured - refunded:
            raise Doubt(self.journal, f"hold {hold} is not what its entries leave")
        found = Held(entry["subject"], entry["data"]["expires_at"], amount, seq, codec.leaf_hash(log.body(seq)).hex(),
                     lots, state, captured, released, refunded, grace if refunded else "",
                     merchant if captured else "")  # fmt: skip
        self.holds[hold] = found
        return found


def _spent(opened: dict[str, int], captured: int, refunded: int) -> dict[str, int]:
    """What of each lot is captured and not given back: captures take the earliest first, refunds the latest."""
    spent: dict[str, int] = {}
    for lot in sorted(opened):
        spent[lot] = min(captured, opened[lot])
        captured -= spent[lot]
    for lot in sorted(opened, reverse=True):
        part = min(refunded, spent[lot])
        spent[lot] -= part
        refunded -= part
    return spent


def _look(book: Resumed, size: int) -> tuple[set[str], dict[str, str]]:
    """Whom entries from `size` on are about, and whether the first move of each leads away or here. Leaves what they
    give back in the book."""
    source, journal = book.log.source, book.journal
    first: dict[str, str] = {}
    subjects: set[str] = set()
    seldom: list[tuple[int, str]] = []
    for rows in source.chunks("SELECT seq, kind, subject FROM entry WHERE journal = ? AND seq >= ?", journal, size):
        subjects.update(row[2] for row in rows if row[2] is not None)
        seldom += [row[:2] for row in rows if row[1] in ("move", "erase", *_GONE)]
    for seq, kind in sorted(seldom):
        entry = _loaded(source, journal, seq)
        lines: list[dict[str, Any]] = entry.get("postings", [])
        data: dict[str, Any] = entry.get("data", {})
        if kind in _GONE:
            held = [line for line in lines if line["account"].startswith("held:")]
            name = str(held[0]["account"]).removeprefix("held:") if held else ""
            back = book.refunds.setdefault(name, {})
            for line in held:
                lot = line.get("lot", FOREVER)
                back[lot] = back.get(lot, 0) + line["amount"]
        elif kind == "erase" or "to" in data:
            first.setdefault(entry["subject"], "leaves")
        elif "tallies" in data:
            first.setdefault(entry["subject"], "arrives")
    return subjects, first


def _enter(book: Resumed, subjects: set[str], first: dict[str, str]) -> None:
    """Members that the new entries name, as they were at the start: their rows, less what happened since."""
    source, journal, size = book.log.source, book.journal, book.size
    for row in looked_up(source, "SELECT subject, kind, state, home, opened_seq FROM member WHERE journal = ? "
                         "AND subject IN ({})", subjects, journal):  # fmt: skip
        subject, kind, state, home, opened = row
        if opened >= size:
            continue
        found: Member = book.enter(subject, kind, opened)
        event = first.get(subject)
        if event == "leaves":
            state, home = "open", journal
        elif event == "arrives":
            state, home = "moved", ""
        if (state == "open") != (home == journal) and state != "erased":
            raise Doubt(journal, f"the row of member {subject} contradicts itself")
        found.state, found.home, found.stated = state, home, True
        if f"debt:{subject}" in book.accounts:
            book.note_debt(subject)


def _loaded(source: Source, journal: str, seq: int) -> dict[str, Any]:
    rows = source.rows("SELECT body FROM entry WHERE journal = ? AND seq = ?", journal, seq)
    try:
        return orjson.loads(rows[0][0])
    except orjson.JSONDecodeError as error:
        raise Doubt(journal, f"entry {seq} cannot be read") from error


def looked_up(source: Source, sql: str, keys: Iterable[Any], *params: Any) -> Iterable[Row]:
    """Rows of many keys, some at a time; `{}` stands for their marks, after the other parameters."""
    every = list(keys)
    for start in range(0, len(every), AT_ONCE):
        some = every[start : start + AT_ONCE]
        yield from source.rows(sql.format(", ".join("?" * len(some))), *params, *some)


@dataclass(slots=True)
class Seen:
    """What a resumed replay leaves for the comparison with rows: the states of later seals, the rows of deeds that
    were reversed or replaced."""

    states: list[Row] = field(default_factory=list[Row])
    marked: dict[str, tuple[str, int, int, int]] = field(default_factory=dict[str, tuple[str, int, int, int]])


def finder(source: Source, logs: Mapping[str, Trusted]) -> Callable[[str, int], tuple[bytes, bytes] | None]:
    """Earlier entries for links: those below a checkpoint are the ones that it contains."""

    def find(journal: str, seq: int) -> tuple[bytes, bytes] | None:
        log = logs.get(journal)
        if log is not None and 0 <= seq < log.size:
            body = log.body(seq)
            return body, codec.leaf_hash(body)
        rows = source.rows("SELECT body, leaf FROM entry WHERE journal = ? AND seq = ?", journal, seq)
        return (rows[0][0], rows[0][1]) if rows else None

    return find


def links_before(
    source: Source, starts: Starts, subject: str, rels: Sequence[str]
) -> Iterable[tuple[Place, str, Place]]:
    """Links of these kinds that entries about the subject from before the starts have: the entry, rel, where to."""
    for (journal,) in source.rows("SELECT journal FROM member WHERE subject = ?", subject):
        start = starts.get(journal)
        size = start.size if start is not None else 0
        sql = "SELECT seq, body FROM entry WHERE journal = ? AND seq / 4096 IN ({}) AND subject = ? AND seq < ?"
        for bucket in range(0, (size + 4095) // 4096, 16):
            marks = ", ".join("?" * 16)
            rows = source.rows(sql.format(marks), journal, *range(bucket, bucket + 16), subject, size)
            for seq, body in rows:
                for link in orjson.loads(body)["links"]:
                    if link["rel"] in rels:
                        yield (journal, seq), link["rel"], (link.get("journal", journal), link["seq"])
