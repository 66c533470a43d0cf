# SPDX-License-Identifier: Apache-2.0
"""Which key signs what, and how the next one takes over (docs/spec/tree.md, *Which key signs*).

A change of keys goes through these steps; whatever it is stopped by, doing it again finishes it:
  1. the next key is made, in a file of its own     nobody knows of it yet
  2. one commit: a `key` entry in every journal     from here on the next key is in force, and the one before is kept
  3. the first checkpoints, with both signatures    the histories show that the change was meant
  4. the next key's file becomes the signing key's  and the key before is overwritten
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ledger import codec, keys
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.guard import EPOCHS, GuardBusy
from ledger.keys import RECOVERY, SIGNING, Keys, NextKey, Signer
from ledger.model import Act, Draft
from ledger.port import Answer, Retry
from ledger.publish import Publisher
from ledger.tables import Key, Table
from ledger.view import View

_PUBLISH_TRIES = 40
_PUBLISH_PAUSE_S = 0.25


class Change(NamedTuple):
    """A `key` entry at `seq`: this key signs every checkpoint above it."""

    seq: int
    vkey: str
    authority: str


class SigningKeys:
    """The keys of this deployment that sign. Reads their files again when another process has changed them."""

    def __init__(self, ledger: Ledger, home: Path, opened: Keys) -> None:
        self.recovery: Signer | None = None  # only while `rotate` runs under its authority
        self._ledger = ledger
        self._home = home
        self._master = opened.master
        self._signing = opened.signer
        self._next: NextKey | None = None
        self._seen: object = None
        self._first: dict[str, str] = {}  # journal → the key that its entry 0 names

    @property
    def origin(self) -> str:
        return self._signing.name

    def on_the_way(self) -> NextKey | None:
        """The key that is about to take over, if one is."""
        self._read()
        return self._next

    async def current(self) -> Signer:
        """The key in force: it signs the epoch log and what is exported, and new journals name it."""
        self._read()
        if self._next is not None:
            rows = await self._ledger.fetch("SELECT journal, size FROM head ORDER BY journal LIMIT 1")
            if rows and (await self.history(*rows[0]))[-1].vkey == self._next.signer.vkey:
                return self._next.signer
        return self._signing

    async def signers(self, log: str, before: int, size: int) -> Sequence[Signer]:
        """Who signs a journal's checkpoint of `size` when the one before had `before`: the key in force, then whoever
        vouches for it if this checkpoint is the first to contain it. Raises `signing_key_unavailable`."""
        if log == EPOCHS:
            return (await self.current(),)
        self._read()
        history = await self.history(log, size)
        signing = [self._held(log, history[-1].vkey)]
        for earlier, change in pairwise(history):
            if change.seq < before:
                continue
            if change.authority == SIGNING:
                voucher = self._held(log, earlier.vkey)
            elif self.recovery is not None:
                voucher = self.recovery
            else:
                raise self._lacking(log, f"{self.origin}/recovery")
            if voucher not in signing:
                signing.append(voucher)
        return signing

    async def history(self, journal: str, size: int) -> list[Change]:
        """The keys of a journal in the order in which they came into force, as far as its first `size` entries tell."""
        first = self._first.get(journal)
        if first is None:
            first = self._first[journal] = (await self._ledger.entry(journal, 0)).fields["data"]["vkey"]
        rows = await self._ledger.fetch(
            "SELECT seq, body FROM entry WHERE kind IN ('key', 'seal') AND journal = ? AND kind = 'key' AND seq < ? "
            "ORDER BY seq",
            journal,
            size,
        )
        stated = [(seq, codec.decode(bytes(body))["data"]) for seq, body in rows]
        return [Change(-1, first, "")] + [Change(seq, data["vkey"], data["authority"]) for seq, data in stated]

    @asynccontextmanager
    async def steady(self) -> AsyncGenerator[Signer]:
        """The key in force, which stays in force for as long as the block lasts: for naming it in a new journal."""
        with self._lock(fcntl.LOCK_SH):
            yield await self.current()

    @contextmanager
    def alone(self) -> Generator[None]:
        """Nobody else changes keys or names one. Raises `rotation_running`."""
        with self._lock(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _lock(self, how: int) -> Generator[None]:
        descriptor = os.open(self._home / "keys.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            except OSError as error:
                raise Unavailable("rotation_running", retry_after=2) from error
            yield
        finally:
            os.close(descriptor)

    def make_next(self, authority: str) -> NextKey:
        return keys.make_next_key(self._home, self._master, self.origin, authority)

    def install_next(self) -> None:
        keys.install_next_key(self._home, self._master, self.origin)

    def _held(self, journal: str, vkey: str) -> Signer:
        held = [self._signing] if self._next is None else [self._signing, self._next.signer]
        for signer in held:
            if signer.vkey == vkey:
                return signer
        raise self._lacking(journal, vkey)

    def _lacking(self, journal: str, vkey: str) -> Unavailable:
        return Unavailable("signing_key_unavailable", retry_after=60, journal=journal, vkey=vkey)

    def _read(self) -> None:
        seen = tuple(_mark(self._home / name) for name in ("next.key", "signing.key"))
        if seen != self._seen:
            # In this order: when the next key becomes the signing key between the two, it is seen twice, not never.
            self._next = keys.next_key(self._home, self._master, self.origin)
            self._signing = keys.signing_key(self._home, self._master, self.origin)
            self._seen = seen


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _Naming:
    """A `key` entry in each of these journals, in one commit."""

    journals: tuple[str, ...]
    vkey: str
    authority: str
    txn: str
    retry: Retry | None = None

    @property
    def weight(self) -> int:
        return len(self.journals)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ()

    def decide(self, view: View) -> Answer:
        data = {"vkey": self.vkey, "authority": self.authority}
        for journal in self.journals:
            act = Act("system", view.today(journal), codec.encode({"key": data}), self.txn)
            view.append(Draft("key", journal, act, data=data))
        return Answer()


async def rotate(ledger: Ledger, publisher: Publisher, signing: SigningKeys, recovery: Signer | None = None) -> str:
    """A new signing key for all journals, vouched for by the one in force or by the recovery key; its vkey.

    Finishes what an earlier call began. Raises `read_only`, `rotation_running`, `recovery_begun`,
    `wrong_recovery_key`, and what committing and publishing raise.
    """
    if ledger.frozen is not None:
        raise Unavailable("read_only", retry_after=60)
    with signing.alone():
        await _check_recovery(ledger, recovery)
        begun = signing.on_the_way()
        if begun is not None and begun.authority == RECOVERY and recovery is None:
            raise Refusal("recovery_begun")
        if begun is not None and begun.authority == SIGNING and recovery is not None:
            await _carry_out(ledger, publisher, signing, begun)
            begun = None
        coming = begun or signing.make_next(SIGNING if recovery is None else RECOVERY)
        signing.recovery = recovery
        try:
            await _carry_out(ledger, publisher, signing, coming)
        finally:
            signing.recovery = None
        return coming.signer.vkey


async def _check_recovery(ledger: Ledger, recovery: Signer | None) -> None:
    if recovery is not None:
        for (journal,) in await ledger.fetch("SELECT journal FROM head ORDER BY journal"):
            if (await ledger.entry(journal, 0)).fields["data"]["recovery"] != recovery.vkey:
                raise Refusal("wrong_recovery_key", journal=journal)


async def _carry_out(ledger: Ledger, publisher: Publisher, signing: SigningKeys, coming: NextKey) -> None:
    vkey = coming.signer.vkey
    heads = await ledger.fetch("SELECT journal, size FROM head ORDER BY journal")
    waiting = [journal for journal, size in heads if (await signing.history(journal, size))[-1].vkey != vkey]
    if waiting:
        await ledger.submit(_Naming(tuple(waiting), vkey, coming.authority, ledger.new_id("txn")))
    await _publish(publisher)
    published = dict(await ledger.fetch("SELECT journal, MAX(size) FROM checkpoint GROUP BY journal"))
    for (journal,) in await ledger.fetch("SELECT journal FROM head ORDER BY journal"):
        if (await signing.history(journal, published.get(journal, 0)))[-1].vkey != vkey:
            raise Unavailable("not_published", retry_after=2)
    signing.install_next()


async def _publish(publisher: Publisher) -> None:
    """Publish, in turn with the server beside us."""
    for attempt in range(_PUBLISH_TRIES):
        try:
            await publisher.publish(epoch=True)
            return
        except GuardBusy:
            if attempt == _PUBLISH_TRIES - 1:
                raise
            await asyncio.sleep(_PUBLISH_PAUSE_S)
