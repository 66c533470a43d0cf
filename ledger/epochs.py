# SPDX-License-Identifier: Apache-2.0
"""The epoch log's entries: which journals stood where, docs/spec/epoch.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from ledger import codec, merkle

_STEP = 128
_CHUNK = 32  # epochs read at a time, a few milliseconds between two turns of the event loop
_KEPT_MAX = 200_000  # members kept in memory, about 40 bytes each: they are the same objects over and over

Fetch = Callable[..., Awaitable[list[tuple[Any, ...]]]]


class Member(NamedTuple):
    """A journal in an epoch; `root` is in hex."""

    journal: str
    size: int
    root: str

    @property
    def body(self) -> bytes:
        return codec.encode(self._asdict())


def journals_root(members: Iterable[Member]) -> bytes:
    """The root over the members in ascending order of the bytes of their ids."""
    ordered = sorted(members, key=lambda member: member.journal.encode())
    return merkle.root([codec.leaf_hash(member.body) for member in ordered])


def body(epoch: int, root: bytes, count: int) -> bytes:
    """The bytes of an epoch: what its leaf is the hash of."""
    return codec.encode({"count": count, "epoch": epoch, "journals_root": root.hex(), "v": 1})


def listed(members: Iterable[Member]) -> str:
    """Members as they stand in the table."""
    return codec.encode([member._asdict() for member in members]).decode()


def read(text: str) -> list[Member]:
    """What `listed` was given."""
    return [Member(one["journal"], one["size"], one["root"]) for one in msgspec.json.decode(text)]


class Epochs:
    """The members of any epoch. Epochs keep only what changed, so the whole is kept in memory here and there, every
    `_step` epochs: without that, one journal in which nothing happens makes every look read the log from its start."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._step = _STEP
        self._kept: dict[int, tuple[bytes, dict[str, Member]]] = {}  # epoch → its leaf and members
        self._turn = asyncio.Lock()  # many who ask at once wait for one to read

    async def at(self, epoch: int | None = None) -> tuple[int, dict[str, Member]]:
        """The number of an epoch (the newest by default; -1: there is none) and its members by journal."""
        upper = 2**53 if epoch is None else epoch
        newest = await self._fetch("SELECT MAX(epoch) FROM epoch WHERE epoch <= ?", upper)
        if newest[0][0] is None:
            return -1, {}
        async with self._turn:
            return newest[0][0], await self._members(newest[0][0])

    async def _members(self, number: int) -> dict[str, Member]:
        start, found = await self._nearest(number)
        while start < number:
            rows = await self._fetch(
                "SELECT epoch, leaf, members FROM epoch WHERE epoch > ? AND epoch <= ? ORDER BY epoch LIMIT ?",
                start, number, _CHUNK,
            )  # fmt: skip
            if not rows:
                raise LookupError(f"epochs are missing from {start + 1} on")
            for start, leaf, text in rows:
                found.update((member.journal, member) for member in read(text))
                if start % self._step == 0:
                    self._keep(start, bytes(leaf), found)
            await asyncio.sleep(0)
        return found

    async def _nearest(self, number: int) -> tuple[int, dict[str, Member]]:
        """From where to read on: what is kept, unless the database behind us has become another."""
        below = max((kept for kept in self._kept if kept <= number), default=-1)
        if below < 0:
            return -1, {}
        leaf, members = self._kept[below]
        rows = await self._fetch("SELECT leaf FROM epoch WHERE epoch = ?", below)
        if not rows or bytes(rows[0][0]) != leaf:
            self._kept.clear()
            return -1, {}
        return below, dict(members)

    def _keep(self, epoch: int, leaf: bytes, members: dict[str, Member]) -> None:
        self._kept[epoch] = leaf, dict(members)
        if sum(len(members) for _, members in self._kept.values()) > _KEPT_MAX:
            self._step *= 2
            self._kept = {kept: what for kept, what in self._kept.items() if kept % self._step == 0}
