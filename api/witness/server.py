# SPDX-License-Identifier: Apache-2.0
"""We as a witness: whether a checkpoint continues what we cosigned before, decided and remembered in one step.

C2SP tlog-witness. Everything here may run in any thread; `api.http.witness` says it over HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.witness import config, wire
from api.witness.state import Cosigned, Memory, Refused
from ledger.errors import Refusal, Unavailable
from ledger.keys import Keys, Signer
from ledger.merkle import EMPTY_ROOT, BadProof, check_consistency
from ledger.note import BadNote, Checkpoint, Note, Signature, cosign, format_note, parse_note, verify

log = logging.getLogger("jifen.witness")

WAITING_MAX = 16  # calls that may be under way in one process
AGAIN_S = 10  # the same checkpoint within this time gets the same cosignature, without another write


@dataclass(frozen=True, slots=True)
class Conflict:
    """The old size of a call is not that of the latest checkpoint we cosigned; this is."""

    size: int


class Witness:
    """The witness of one deployment. Opens its files on first use; `clock` gives microseconds."""

    def __init__(self, home: Path, keys: Keys, clock: Callable[[], int]) -> None:
        self._home = home
        self._keys = keys
        self._clock = clock
        self._opening = threading.Lock()
        self._opened: tuple[Memory, Signer] | None = None
        self._config = config.Config()
        self._read_at: tuple[int, int] | None = None
        self._waiting = 0

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _open(self) -> tuple[Memory, Signer]:
        with self._opening:
            if self._opened is None:
                memory = Memory(self._home)
                try:
                    self._opened = memory, memory.signer(self._keys)
                except BaseException as error:
                    memory.close()
                    log.error("witness: %s", error)
                    raise
            return self._opened

    @property
    def vkey(self) -> str:
        """Our key as a witness, made on first use. Raises `BadKey`."""
        return self._open()[1].cosigner.text

    def configured(self) -> config.Config:
        """What the operator's file says now. While it is broken: what it said before."""
        try:
            found = (self._home / config.FILE).stat()
            at = found.st_mtime_ns, found.st_size
        except FileNotFoundError:
            at = 0, 0
        if at != self._read_at:
            try:
                self._config = config.read(self._home)
            except config.ConfigError as error:
                log.error("%s", error)
            self._read_at = at  # last: another thread that finds it here must find the rest
        return self._config

    async def in_turn(self, work: Callable[[Any], Any], what: Any) -> Any:
        """Do it in a thread, unless too many wait already: then `rate_limited`."""
        if self._waiting >= WAITING_MAX:
            raise Unavailable("rate_limited", retry_after=1)
        self._waiting += 1
        try:
            return await asyncio.to_thread(work, what)
        finally:
            self._waiting -= 1

    # the two calls -------------------------------------------------------------------------------------------------

    def add_checkpoint(self, body: bytes) -> str | Conflict:
        """The signature line for the checkpoint that `body` offers, remembered on disk; or the size to prove from.

        Raises `checkpoint_malformed`, `log_unknown`, `checkpoint_unsigned`, `checkpoint_inconsistent`.
        """
        try:
            asked = wire.read(body)
        except BadNote:
            raise Refusal("checkpoint_malformed") from None
        offered = asked.checkpoint
        keys = self.configured().logs.get(offered.origin)
        if keys is None:
            raise Refusal("log_unknown")
        try:
            trusted = {(key.name, key.id) for key in verify(asked.note, keys)}
        except BadNote:
            raise Refusal("checkpoint_unsigned") from None
        if asked.old > offered.size:
            raise Refusal("checkpoint_malformed")
        signatures = {(one.name, one.id): one for one in asked.note.signatures if (one.name, one.id) in trusted}
        memory, signer = self._open()
        with memory.transaction():
            known = memory.cosigned(offered.origin)
            size, root = (known.size, known.root) if known else (0, EMPTY_ROOT)
            wrong = "another tree of the same size" if known and _forked(offered, known) else ""
            if asked.old == size and not wrong:
                try:
                    check_consistency(size, offered.size, root, offered.root, asked.proof)
                except BadProof as error:
                    wrong = str(error)
            if asked.old == size and not wrong:
                return self._cosign(memory, signer, known, asked.note, [*signatures.values()], offered)
        if wrong:
            self._contradicted(memory, known, offered, wrong, body)
        if asked.old != size:
            return Conflict(size)
        raise Refusal("checkpoint_inconsistent")

    def latest(self, origin_hash: str) -> str | None:
        """The latest checkpoint of the log whose origin has this SHA-256 (hex), with our cosignature; None if we never
        cosigned one."""
        for origin in self.configured().logs:
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                known = self._open()[0].cosigned(origin)
                return known.note if known else None
        return None

    # inside ------------------------------------------------------------------------------------------------------

    def _cosign(
        self,
        memory: Memory,
        signer: Signer,
        known: Cosigned | None,
        note: Note,
        signatures: list[Signature],
        offered: Checkpoint,
    ) -> str:
        """Sign and remember; called inside the transaction that has found nothing wrong."""
        now = self._clock() // 1_000_000
        if now <= 0:
            raise Unavailable("clock_unsafe")
        if known is not None and known.size == offered.size and 0 <= now - known.at < AGAIN_S:
            before = parse_note(known.note.encode())
            line = before.signatures[-1]
            if before.text == note.text and line.id == signer.cosigner.id:
                return _line(line)
        ours = cosign(note.text, signer, now)
        kept = format_note(note.text, [*signatures, ours]).decode()
        memory.keep(Cosigned(offered.origin, offered.size, offered.root, kept, now))
        return _line(ours)

    def _contradicted(
        self, memory: Memory, known: Cosigned | None, offered: Checkpoint, wrong: str, body: bytes
    ) -> None:
        """What a log has signed does not continue what it signed before. Two trees of one size are the proof that it
        has forked; anything else may be a mistake of whoever sent it, who need not be the log."""
        fork = known is not None and _forked(offered, known)
        at, note = self._clock() // 1_000_000, known.note if known else ""
        if memory.keep_refused(Refused(offered.origin, offered.size, offered.root, fork, at, note, body)):
            log.log(
                logging.ERROR if fork else logging.WARNING,
                "witness: %s: size %d, root %s… is not cosigned; cosigned before: size %d; %s",
                offered.origin, offered.size, offered.root.hex()[:16], known.size if known else 0, wrong,
            )  # fmt: skip


def _forked(offered: Checkpoint, known: Cosigned) -> bool:
    return offered.size == known.size and offered.root != known.root


def _line(signature: Signature) -> str:
    """One signature line, as it stands under a note."""
    return format_note("\n", [signature]).decode().partition("\n\n")[2]
