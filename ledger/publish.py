# SPDX-License-Identifier: Apache-2.0
"""Publishing: leaves become trees, trees become signed checkpoints (docs/spec/tree.md, epoch.md). Never in the way of a
commit: it reads what is committed and writes rows of its own.

One round, under the guard's lock, and what a crash after each step leaves:
  1. grow the trees of what has changed      nothing
  2. compare with the guard, then move it    the guard is ahead of the checkpoints: the next round signs that size again
  3. sign, store tiles and checkpoints       the round is done
The epoch log follows in the same way; its new epoch is stored before anything is signed over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ledger import codec, epochs, note
from ledger.engine import Ledger
from ledger.guard import EPOCHS, ForkGuard, Guarded
from ledger.keys import Signer
from ledger.port import Answer, PutRows, Retry
from ledger.tables import CHECKPOINT, EPOCH, TREE, Key, Row, Table
from ledger.tree import Trees, grow
from ledger.view import View


class Keyring(Protocol):
    """Which keys sign; docs/spec/tree.md, *Which key signs*."""

    @property
    def origin(self) -> str:
        """The deployment's name, and the name of its keys."""
        ...

    async def signers(self, log: str, before: int, size: int) -> Sequence[Signer]:
        """Who signs the checkpoint of `size` when the one before had `before`: the key in force first, and a second
        where a `key` entry stands between the two. `log` is a journal, or '' for the epoch log."""
        ...


class Forked(Exception):
    """The ledger is not what was signed: it is shorter than the guard, or another below it."""

    def __init__(self, log: str, guarded: Guarded | None, size: int) -> None:
        said = f"{guarded.size} entries were published" if guarded else "checkpoints were published"
        what = f"the ledger has {size}" if guarded and size < guarded.size else "these are other entries"
        super().__init__(f"{log or 'the epoch log'}: {said}, and {what}")
        self.log = log
        self.guarded = guarded
        self.size = size


class _Step(NamedTuple):
    log: str
    was: Guarded | None
    now: Guarded
    before: int  # size of the checkpoint that is stored, 0: none
    tiles: Sequence[Row]


@dataclass(frozen=True, slots=True)
class _Cosigning:
    """Add signature lines to the epoch log's checkpoint, if it is still the newest."""

    size: int
    lines: tuple[note.Signature, ...]
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield CHECKPOINT, (EPOCHS,)

    def decide(self, view: View) -> Answer:
        row = view.get(CHECKPOINT, EPOCHS, self.size)
        if row is None:
            return Answer(value=False)
        signed = note.parse_note(row[2].encode())
        known = {(one.name, one.id) for one in signed.signatures}
        lines = [*signed.signatures, *(one for one in self.lines if (one.name, one.id) not in known)]
        view.put(CHECKPOINT, (EPOCHS, self.size, note.format_note(signed.text, lines).decode(), row[3]))
        return Answer(value=True)


class Publisher:
    """Signs what has been committed. One at a time per deployment: the guard's lock sees to that."""

    def __init__(self, ledger: Ledger, guard: ForkGuard, keyring: Keyring) -> None:
        self.ledger = ledger
        self.guard = guard
        self.keyring = keyring
        self.trees = Trees(ledger.fetch)
        self.epochs = epochs.Epochs(ledger.fetch)

    async def publish(self, *, epoch: bool = False) -> int:
        """Sign what is new; how many checkpoints that were. With `epoch`, also write an epoch if a journal has changed
        since the last. Raises `GuardBusy` while another process publishes, `Forked` when the guard refuses."""
        with self.guard.lock():
            logs = await self.ledger.fetch("SELECT journal, size FROM head ORDER BY journal")
            # An epoch that an earlier round wrote and did not live to sign is signed before the next one is written.
            done = await self._round([*logs, await self._epoch_log()])
            if epoch and await self._write_epoch():
                done += await self._round([await self._epoch_log()])
            return done

    async def _epoch_log(self) -> tuple[str, int]:
        return EPOCHS, int((await self.ledger.fetch("SELECT COUNT(*) FROM epoch"))[0][0])

    async def add_cosignatures(self, size: int, signatures: Sequence[note.Signature]) -> bool:
        """Keep witnesses' signatures with the epoch log's checkpoint of this size; False if it is not the newest."""
        answer = await self.ledger.submit(_Cosigning(size, tuple(signatures)))
        return bool(answer.value)

    async def _stored(self) -> dict[str, dict[int, bool]]:
        """Log → the sizes of its stored checkpoints, and whether each is a rotation."""
        found: dict[str, dict[int, bool]] = {}
        for log, size, rotation in await self.ledger.fetch("SELECT journal, size, rotation FROM checkpoint"):
            found.setdefault(log, {})[size] = bool(rotation)
        return found

    async def _round(self, logs: Iterable[Sequence[object]]) -> int:
        stored = await self._stored()
        guarded = self.guard.read()
        if stored and not guarded:
            log = min(stored)
            raise Forked(log, None, max(stored[log]))
        steps: list[_Step] = []
        for log, size in logs:
            assert isinstance(log, str) and isinstance(size, int)
            step = await self._step(log, size, guarded.get(log), max(stored.get(log, ()), default=0))
            if step is not None:
                steps.append(step)
        if not steps:
            return 0
        self.guard.advance((step.log, step.was, step.now) for step in steps)
        await self._sign(steps, stored)
        return len(steps)

    async def _step(self, log: str, size: int, was: Guarded | None, before: int) -> _Step | None:
        if was is not None and size < was.size:
            raise Forked(log, was, size)
        if not size or size == before:
            return None
        sizes = [size] if was is None else [was.size, size]
        growth, roots, leaf = await grow(self.trees, self.ledger.fetch, log, sizes)
        if was is not None and roots[0] != was.root:
            raise Forked(log, was, size)
        return _Step(log, was, Guarded(size, roots[-1], leaf), before, growth.rows)

    async def _sign(self, steps: Sequence[_Step], stored: dict[str, dict[int, bool]]) -> None:
        origin = self.keyring.origin
        tiles: list[tuple[Table, Row]] = []
        puts: list[tuple[Table, Row]] = []
        removes: list[tuple[Table, Key]] = []
        for log, _, now, before, rows in steps:
            name = f"{origin}/{log}" if log else origin
            text = note.checkpoint_text(note.Checkpoint(name, now.size, now.root))
            signers = await self.keyring.signers(log, before, now.size)
            signed = note.format_note(text, [note.sign(text, signer) for signer in signers]).decode()
            tiles += [(TREE, row) for row in rows]
            puts.append((CHECKPOINT, (log, now.size, signed, int(len(signers) > 1))))
            gone = [size for size, rotation in stored.get(log, {}).items() if not rotation]
            removes += [(CHECKPOINT, (log, size)) for size in gone]
        await self.ledger.submit(PutRows(puts=tuple(puts), inserts=tuple(tiles), removes=tuple(removes)))

    async def _write_epoch(self) -> bool:
        """Store the next epoch; False when no journal has changed since the last."""
        members = {
            log: epochs.Member(log, point.size, point.root.hex())
            for log, point in (await newest_checkpoints(self.ledger)).items()
            if log != EPOCHS
        }
        number, before = await self.epochs.at()
        changed = [member for log, member in sorted(members.items()) if before.get(log) != member]
        if not changed:
            return False
        root = epochs.journals_root(members.values())
        leaf = codec.leaf_hash(epochs.body(number + 1, root, len(members)))
        row = (number + 1, root, len(members), epochs.listed(changed), leaf)
        await self.ledger.submit(PutRows(inserts=((EPOCH, row),)))
        return True


async def newest_checkpoints(ledger: Ledger) -> dict[str, note.Checkpoint]:
    """The newest checkpoint of every log, by log; signatures are not looked at."""
    rows = await ledger.fetch("SELECT journal, note FROM checkpoint ORDER BY journal, size")
    return {log: note.parse_checkpoint(note.parse_note(text.encode()).text) for log, text in rows}


async def check_guard(ledger: Ledger, guard: ForkGuard) -> Forked | None:
    """Is this the ledger that was signed? By the last leaf under each guarded size: the chain hangs on it. The roots
    are compared whenever something is published."""
    guarded = guard.read()
    if not guarded:
        rows = await ledger.fetch("SELECT journal, size FROM checkpoint ORDER BY journal LIMIT 1")
        return Forked(rows[0][0], None, rows[0][1]) if rows else None
    trees = Trees(ledger.fetch)
    for log, was in sorted(guarded.items(), key=lambda one: (one[0] == EPOCHS, one[0])):
        try:
            same = await trees.hashes(log, 0, was.size - 1, 1) == [was.leaf]
        except LookupError:
            sql = "SELECT size FROM head WHERE journal = ?" if log else "SELECT COUNT(*) FROM epoch"
            rows = await ledger.fetch(sql, *([log] if log else []))
            return Forked(log, was, int(rows[0][0]) if rows else 0)
        if not same:
            return Forked(log, was, was.size)
    return None
