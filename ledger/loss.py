# SPDX-License-Identifier: Apache-2.0
"""When the guard refuses: accepting, for good and in public, that published entries are lost, and taking up a guard
whose file is gone. docs/spec/tree.md, *Fork guard*."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.guard import EPOCHS, ForkGuard, Guarded
from ledger.keys import Signer, parse_vkey
from ledger.model import Act, Draft
from ledger.port import Answer, Retry
from ledger.publish import Forked, newest_checkpoints
from ledger.tables import Key, Table
from ledger.tree import Trees, grow
from ledger.view import View, local_day


def statement(log: str, lost: Guarded, reason: str) -> bytes:
    """What the recovery key signs: which log had been signed at which size and root, and why it is no longer there."""
    said = {"log": log, "reason": reason, "root": lost.root.hex(), "size": lost.size}
    return b"jifen/loss/1\n" + codec.canonical(said)


@dataclass(frozen=True, slots=True)
class _Losing:
    """One policy entry for each log that has lost entries. That of the epoch log, and of a journal that is gone
    altogether, stands in the first journal."""

    lost: tuple[tuple[str, str, Guarded], ...]  # journal to write in, log, what had been signed of it
    reason: str
    recovery: Signer
    txn: str
    retry: Retry | None = None

    @property
    def journals(self) -> tuple[str, ...]:
        return tuple({journal for journal, _, _ in self.lost})

    @property
    def weight(self) -> int:
        return len(self.lost)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ()

    def decide(self, view: View) -> Answer:
        for journal, log, lost in self.lost:
            said = statement(log, lost, self.reason)
            day = local_day(view.now_us, view.head(journal).zone)
            signature = base64.b64encode(self.recovery.sign(said)).decode()
            loss = {
                "log": log,
                "reason": self.reason,
                "root": lost.root.hex(),
                "signature": signature,
                "size": lost.size,
            }
            view.append(Draft("policy", journal, Act("system", day, said, self.txn), data={"loss": loss}))
        return Answer()


async def accept_loss(ledger: Ledger, guard: ForkGuard, recovery: Signer, reason: str) -> list[str]:
    """Write the loss into every journal that has lost entries, then guard what is left; the logs it was about.

    Crash-safe: until the guard is replaced the ledger stays frozen, and the entries are found again by what they say.
    Raises `nothing_lost`, `no_journal_left` where there is none to write in, and `wrong_recovery_key` unless entry 0
    names this key.
    """
    with guard.lock():
        guarded = guard.read()
        sizes = await _sizes(ledger)
        lost = [log for log, was in sorted(guarded.items()) if not await _holds(ledger, log, was, sizes.get(log, 0))]
        if not lost:
            raise Refusal("nothing_lost")
        journals = sorted(log for log in sizes if log != EPOCHS)
        if not journals:
            raise Refusal("no_journal_left")
        for journal in journals:
            named = (await ledger.entry(journal, 0)).fields["data"]["recovery"]
            if parse_vkey(named) != recovery.verifier:
                raise Refusal("wrong_recovery_key", journal=journal)
        where = [(log if log in journals else journals[0], log, guarded[log]) for log in lost]
        missing = [one for one in where if not await _written(ledger, *one)]
        if missing:
            # Past the ledger's own door, which is shut: this entry is the way to open it.
            losing = _Losing(tuple(missing), reason, recovery, ledger.new_id("txn"))
            await ledger.sequencer.submit(losing)
        guard.replace(await _now(ledger))
        ledger.frozen = None
    return lost


async def adopt(ledger: Ledger, guard: ForkGuard) -> dict[str, Guarded]:
    """Make the guard's file anew from the stored checkpoints, because it is gone or empty. Raises `guard_present`;
    `Forked` when the entries do not have the root that was signed."""
    if guard.read():
        raise Refusal("guard_present")
    found: dict[str, Guarded] = {}
    sizes = await _sizes(ledger)
    for log, point in (await newest_checkpoints(ledger)).items():
        was = Guarded(point.size, point.root, b"")
        if sizes.get(log, 0) < point.size:
            raise Forked(log, was, sizes.get(log, 0))
        _, roots, leaf = await grow(Trees(ledger.fetch), ledger.fetch, log, [point.size])
        if roots != [point.root]:
            raise Forked(log, was, sizes[log])
        found[log] = Guarded(point.size, point.root, leaf)
    guard.replace(found)
    ledger.frozen = None
    return found


async def _sizes(ledger: Ledger) -> dict[str, int]:
    sizes = dict(await ledger.fetch("SELECT journal, size FROM head"))
    rows = await ledger.fetch("SELECT COUNT(*) FROM epoch")
    return {**sizes, EPOCHS: int(rows[0][0])}


async def _holds(ledger: Ledger, log: str, was: Guarded, size: int) -> bool:
    if size < was.size:
        return False
    # The leaf too: where tiles cover all of it, the root comes from them alone.
    _, roots, leaf = await grow(Trees(ledger.fetch), ledger.fetch, log, [was.size])
    return (roots, leaf) == ([was.root], was.leaf)


async def _written(ledger: Ledger, journal: str, log: str, lost: Guarded) -> bool:
    """Does the end of the journal tell of this loss already? A run before this one may have come so far."""
    rows = await ledger.fetch(
        "SELECT body FROM entry WHERE journal = ? AND kind = 'policy' ORDER BY seq DESC LIMIT 20", journal
    )
    told = [codec.decode(bytes(body))["data"].get("loss", {}) for (body,) in rows]
    return any((one.get("log"), one.get("size"), one.get("root")) == (log, lost.size, lost.root.hex()) for one in told)


async def _now(ledger: Ledger) -> dict[str, Guarded]:
    found: dict[str, Guarded] = {}
    for log, size in (await _sizes(ledger)).items():
        if size:
            _, roots, leaf = await grow(Trees(ledger.fetch), ledger.fetch, log, [size])
            found[log] = Guarded(size, roots[-1], leaf)
    return found
