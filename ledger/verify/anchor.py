# SPDX-License-Identifier: Apache-2.0
"""Signatures: stored checkpoints, rotations, the epoch log, and checkpoints from elsewhere (pins).

What a replay shows is that a history agrees with itself. That it is the history that was published is shown here, by
roots: docs/spec/tree.md, epoch.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger import codec, merkle, note
from ledger.keys import BadKey, Verifier, parse_vkey
from ledger.receipt import BadReceipt, parse_receipt
from ledger.verify import derived
from ledger.verify.replay import FIRST, Outcome
from ledger.verify.resume import Doubt, Log, Starts, members_at
from ledger.verify.source import Source
from ledger.verify.spine import Spine

Finding = tuple[str, int, str]
EPOCHS = ""  # the epoch log among the journals
Row = tuple[Any, ...]


class BadPin(ValueError):
    """What was given as a checkpoint is none; the message says why."""


def read_pin(data: bytes) -> tuple[note.Note, note.Checkpoint]:
    """A checkpoint, or the one in a receipt; copies may have other line ends: docs/spec/export.md. Raises `BadPin`."""
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
    try:
        is_receipt = data.startswith(b"c2sp.org/tlog-proof")
        signed = parse_receipt(data).checkpoint_note if is_receipt else note.parse_note(data)
        return signed, note.parse_checkpoint(signed.text)
    except (note.BadNote, BadReceipt) as error:
        raise BadPin(str(error)) from error


@dataclass(slots=True)
class Published:
    """The tables of what was signed, read before the replay: it must know at which sizes a root is wanted."""

    checkpoints: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    epochs: list[Row] = field(default_factory=list[Row])
    members: list[list[Row]] = field(default_factory=list[list[Row]])  # journal, size, root; per epoch
    wanted: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    roots: dict[int, bytes] = field(default_factory=dict[int, bytes])  # of the epoch log
    first: int = 0  # epochs before this one were not read
    before: dict[str, Row] = field(default_factory=dict[str, Row])  # the members in the one before it

    @property
    def epoch_count(self) -> int:
        return self.first + len(self.epochs)

    def want(self, log: str, size: int) -> None:
        if size > 0:
            self.wanted.setdefault(log, set()).add(size)


def read_published(source: Source, starts: Starts | None = None) -> Published:
    """All of it; where the check has `starts`, only epochs whose members all stand behind them. Raises `Doubt`."""
    found = Published()
    for log, *row in source.rows("SELECT journal, size, note, rotation FROM checkpoint ORDER BY journal, size"):
        found.checkpoints.setdefault(log, []).append(tuple(row))
        found.want(log, row[0])
    found.first = _first_epoch(source, starts) if starts else 0
    if found.first:
        members, leaf = members_at(source, found.first - 1)
        if source.rows("SELECT leaf FROM epoch WHERE epoch = ?", found.first - 1) != [(leaf,)]:
            raise Doubt(EPOCHS, f"epoch {found.first - 1} is not what its members make")
        found.before = {one.journal: (one.journal, one.size, one.root) for one in members.values()}
    sql = "SELECT epoch, journals_root, count, members, leaf FROM epoch WHERE epoch >= ? ORDER BY epoch"
    for row in source.rows(sql, found.first or FIRST):
        found.epochs.append(row)
        members = _members(row[3])
        found.members.append(members)
        for journal, size, _ in members:
            found.want(journal, size)
    return found


def _first_epoch(source: Source, starts: Starts) -> int:
    """From which epoch on every member that it names stands behind the start of its journal."""
    upper = source.rows("SELECT MAX(epoch) FROM epoch")[0][0]
    while upper is not None and upper >= 0:
        sql = "SELECT epoch, members FROM epoch WHERE epoch <= ? ORDER BY epoch DESC LIMIT 64"
        for epoch, text in source.rows(sql, upper):
            if any(journal in starts and size < starts[journal].size for journal, size, _ in _members(text)):
                return epoch + 1
            upper = epoch - 1
    return 0


def _members(text: str) -> list[Row]:
    """(journal, size, root) of an epoch's members; nothing where the text is not what we write."""
    try:
        said = orjson.loads(text)
        if codec.canonical(said).decode() != text:
            return []
        found = [
            (one["journal"], one["size"], one["root"]) for one in said if one.keys() == {"journal", "root", "size"}
        ]
    except (orjson.JSONDecodeError, codec.NotCanonical, KeyError, TypeError, AttributeError):
        return []
    return found if all(type(size) is int and size > 0 for _, size, _ in found) and len(found) == len(said) else []


class Keys:
    """The keys of one journal's history."""

    def __init__(self, outcome: Outcome) -> None:
        """Raises `BadKey`."""
        self.recovery = outcome.genesis["recovery"]
        named = [(0, outcome.genesis["vkey"], ""), *((seq + 1, vkey, by) for seq, vkey, by in outcome.keys)]
        self.known = [(size, parse_vkey(vkey), by) for size, vkey, by in named]
        self.name = self.known[0][1].name
        for _, key, _ in self.known:
            if key.name != self.name:
                raise BadKey(f"vkey: {key.name} signs for {self.name}")

    def at(self, size: int) -> Verifier:
        """The key in force at a size."""
        return [key for start, key, _ in self.known if start <= size][-1]

    def authority(self, index: int) -> Verifier:
        """Who vouches for the index-th key."""
        by = self.known[index][2]
        return parse_vkey(self.recovery) if by == "recovery" else self.known[index - 1][1]


def check_journal(outcome: Outcome, rows: Sequence[Row]) -> tuple[list[str], int]:
    """What is wrong with a journal's stored checkpoints, and the size of the newest."""
    if not rows:
        return [], 0
    newest = rows[-1][0]
    try:
        keys = Keys(outcome)
        notes: dict[int, note.Note] = {}
        for size, text, rotation in rows:
            if size > outcome.size:
                return [f"a checkpoint of {size} entries was signed: the end is missing"], newest
            signed = notes[size] = note.parse_note(text.encode())
            point = note.parse_checkpoint(signed.text)
            if point != (f"{keys.name}/{outcome.journal}", size, outcome.roots.get(size)):
                return [f"checkpoint {size}: it is signed over another root than that of the entries"], newest
            note.verify(signed, [keys.at(size)])
            if rotation not in (0, 1) or (size != newest and not rotation):
                return [f"checkpoint {size}: it should have made way for the next"], newest
        if outcome.genesis["origin"] != f"{keys.name}/{outcome.journal}":
            return ["entry 0 has another origin than its checkpoints"], newest
        rotations = [row[0] for row in rows if row[2]]
        needed: set[int] = set()
        for index, (start, _, _) in enumerate(keys.known[1:], 1):
            if start > newest:
                continue
            size = next((one for one in rotations if one >= start), None)
            if size is None:
                return [f"key of entry {start - 1}: there is no rotation that vouches for it"], newest
            note.verify(notes[size], [keys.authority(index)])
            needed.add(size)
        if set(rotations) - needed:
            return [f"checkpoint {min(set(rotations) - needed)}: a rotation where no key changed"], newest
    except (note.BadNote, BadKey) as error:
        return [f"checkpoints: {error}"], newest
    return [], newest


def check_losses(outcome: Outcome) -> Iterable[tuple[int, str]]:
    """Entries that accept a loss are signed by the recovery key."""
    for seq, loss in outcome.losses:
        said = {name: loss[name] for name in ("log", "reason", "root", "size")}
        try:
            key = parse_vkey(outcome.genesis["recovery"])
            good = key.verify(note.b64(loss["signature"]), b"jifen/loss/1\n" + codec.canonical(said))
        except (BadKey, note.BadNote, codec.NotCanonical):
            good = False
        if not good:
            yield seq, "the recovery key has not signed this loss"


def lost(outcomes: Mapping[str, Outcome], journal: str, size: int) -> bool:
    """Was an entry below this size given up for lost, in public?"""
    outcome = outcomes.get(journal)
    losses = outcome.losses if outcome is not None else []
    return any(loss["log"] == journal and seq < size <= loss["size"] for seq, loss in losses)


def check_epochs(source: Source, published: Published, outcomes: Mapping[str, Outcome]) -> list[Finding]:
    """The epoch log: its entries, its tree, its checkpoint. Leaves its roots in `published`."""
    wanted = published.wanted.get(EPOCHS, set[int]())
    log = Log(source, EPOCHS, published.epoch_count)
    spine = log.spine(published.first, wanted) if published.first else Spine(log.tiles, wanted)
    members = dict(published.before)
    for number, (row, changed) in enumerate(zip(published.epochs, published.members, strict=True), published.first):
        epoch, root, count, _, leaf = row
        if epoch != number:
            return [(EPOCHS, number, f"epoch {number} is missing, {epoch} follows")]
        names = [one[0] for one in changed]
        if not changed or names != sorted(set(names)):
            return [(EPOCHS, number, f"epoch {number}: its members are malformed")]
        for one in changed:
            journal, size, said = one
            before = members.get(journal)
            given_up = lost(outcomes, journal, size)
            if before is not None and (size < before[1] or one == before) and not lost(outcomes, journal, before[1]):
                return [(EPOCHS, number, f"epoch {number}: {journal} has not grown")]
            outcome = outcomes.get(journal)
            there = outcome.roots.get(size, b"").hex() if outcome is not None else ""
            if there != said and not given_up:
                return [(EPOCHS, number, f"epoch {number}: {journal} at {size} is another than its entries")]
            members[journal] = one
        leaves = [
            codec.leaf_hash(codec.encode({"journal": journal, "root": said, "size": size}))
            for journal, size, said in sorted(members.values(), key=lambda one: one[0].encode())
        ]
        body = {"count": len(leaves), "epoch": number, "journals_root": merkle.root(leaves).hex(), "v": 1}
        if (merkle.root(leaves), len(leaves), codec.leaf_hash(codec.encode(body))) != (root, count, leaf):
            return [(EPOCHS, number, f"epoch {number}: its root, count or leaf is another")]
        spine.extend([leaf])
    spine.close()
    published.roots = {size: log.root(size) for size in wanted if size <= published.first} | spine.roots()
    signed = published.checkpoints[EPOCHS][-1][0] if EPOCHS in published.checkpoints else 0
    wrong = derived.compare_tiles(spine.peaks.tiles, spine.peaks.seen, spine.peaks.bad)
    wrong += derived.missing_tiles(log.tiles, signed)
    findings = [(EPOCHS, -1, f"epochs: {what}") for _, what in wrong]
    for journal, size, _ in members.values():
        stored = published.checkpoints.get(journal, [(0,)])[-1][0]
        if stored < size and not lost(outcomes, journal, size):
            findings.append((journal, -1, f"checkpoint: {size} entries were signed, the newest stored is of {stored}"))
    if published.epoch_count - signed > 1:
        said = f"checkpoint of epochs: the newest is of {signed}, not of {published.epoch_count}"
        findings.append((EPOCHS, -1, said))
    return findings + [(EPOCHS, -1, what) for what in _check_epoch_notes(published, outcomes)]


def _check_epoch_notes(published: Published, outcomes: Mapping[str, Outcome]) -> list[str]:
    rows = published.checkpoints.get(EPOCHS, [])
    for place, (size, text, rotation) in enumerate(rows):
        try:
            keys = [Keys(outcome) for outcome in outcomes.values()]
            names = {one.name for one in keys}
            signed = note.parse_note(text.encode())
            point = note.parse_checkpoint(signed.text)
            if {point.origin} != names or (point.size, point.root) != (size, published.roots.get(size)):
                return [f"checkpoint of epochs {size}: it is signed over another root than that of the epochs"]
            note.verify(signed, {key for one in keys for _, key, _ in one.known})
        except (note.BadNote, BadKey) as error:
            return [f"checkpoint of epochs {size}: {error}"]
        if rotation or place < len(rows) - 1:
            return [f"checkpoint of epochs {size}: it should have made way for the next"]
    return []


def check_pin(
    pin: tuple[note.Note, note.Checkpoint], published: Published, outcomes: Mapping[str, Outcome]
) -> tuple[Finding | None, str]:
    """Does the history contain this checkpoint? What is wrong, or how far the journal is anchored by it."""
    signed, point = pin
    for journal, outcome in outcomes.items():
        if not outcome.genesis or point.origin not in (
            outcome.genesis["origin"],
            outcome.genesis["origin"].rpartition("/")[0],
        ):
            continue
        whole = point.origin != outcome.genesis["origin"]
        log = EPOCHS if whole else journal
        root = published.roots.get(point.size) if whole else outcome.roots.get(point.size)
        try:
            keys = Keys(outcome)
            note.verify(signed, [key for _, key, _ in keys.known])
        except (note.BadNote, BadKey) as error:
            return (log, -1, f"pin of {point.size}: {error}"), ""
        if point.size > (published.epoch_count if whole else outcome.size):
            return (log, outcome.size, f"a checkpoint of {point.size} was signed, and the end is missing"), ""
        if root != point.root:
            return (log, -1, f"pin of {point.size}: this is another history than the one that was signed"), ""
        return None, f"{log or 'epochs'}: anchored up to {point.size}"
    return ("", -1, f"pin: there is no journal {point.origin}"), ""
