# SPDX-License-Identifier: Apache-2.0
"""The epoch log's entries: which journals stood where, docs/spec/epoch.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from ledger import codec, merkle

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


async def at(fetch: Fetch, epoch: int | None = None) -> tuple[int, dict[str, Member]]:
    """The number of an epoch (the newest by default; -1: there is none) and its members by journal.

    Epochs keep only what changed, so older ones are read until every journal has been met.
    """
    upper = 2**62 if epoch is None else epoch
    newest = await fetch("SELECT epoch, count FROM epoch WHERE epoch <= ? ORDER BY epoch DESC LIMIT 1", upper)
    if not newest:
        return -1, {}
    number, count = newest[0]
    found: dict[str, Member] = {}
    upper = number
    while len(found) < count and upper >= 0:
        rows = await fetch("SELECT members FROM epoch WHERE epoch <= ? ORDER BY epoch DESC LIMIT 64", upper)
        for (text,) in rows:
            for member in read(text):
                found.setdefault(member.journal, member)
        upper -= 64
    return number, found
