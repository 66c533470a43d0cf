# SPDX-License-Identifier: Apache-2.0
"""The tree over one journal's leaves while they are read, held against the stored tiles; roots at the sizes asked for.

A spine may begin at any multiple of 65,536, so that the hashing of a long journal is shared out; `Peaks` puts the
parts together again. docs/spec/tree.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from ledger import merkle
from ledger.tree import LEVELS

_sha256 = hashlib.sha256
_digest = type(_sha256()).digest
TILE = 256
Tiles = Mapping[tuple[int, int], bytes]  # (level, index) → hash


class Peaks:
    """The complete subtrees of a growing tree, largest first, as (level, hash)."""

    __slots__ = ("bad", "found", "seen", "size", "tiles")

    def __init__(self, tiles: Tiles, start: int = 0) -> None:
        self.tiles = tiles
        self.size = start
        self.found: list[tuple[int, bytes]] = []
        self.seen = 0  # stored tiles that have been compared
        self.bad: tuple[int, int] | None = None  # the first that is another: level, index

    def add(self, level: int, grown: bytes) -> None:
        """One more complete subtree at the right end."""
        self.size += 1 << level
        self._compare(level, grown)
        while self.found and self.found[-1][0] == level:
            grown = _sha256(b"\x01" + self.found.pop()[1] + grown).digest()
            level += 1
            self._compare(level, grown)
        self.found.append((level, grown))

    def _compare(self, level: int, grown: bytes) -> None:
        if level in LEVELS:
            index = (self.size >> level) - 1
            stored = self.tiles.get((level, index))
            if stored is not None:
                self.seen += 1
                if stored != grown and self.bad is None:
                    self.bad = (level, index)

    def with_more(self, more: Iterable[tuple[int, bytes]]) -> list[bytes]:
        return [grown for _, grown in self.found] + [grown for _, grown in more]


class Spine:
    """Leaves in order; `marks` are the sizes (counted from the start of the journal) whose roots are wanted."""

    def __init__(
        self,
        tiles: Tiles,
        marks: Iterable[int],
        start: int = 0,
        found: Iterable[tuple[int, bytes]] = (),
        tail: Iterable[bytes] = (),
    ) -> None:
        """From `start` on; or going on from a tree that had `found` up to there, and a `tail` of leaves after it."""
        self.peaks = Peaks(tiles, start)
        self.peaks.found += found
        self.marked: dict[int, list[tuple[int, bytes]]] = {}
        self._marks = sorted(marks, reverse=True)
        self._tail: list[bytes] = list(tail)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """The next leaves; blocks of 256 are folded level by level."""
        tail = self._tail
        tail += leaves
        done = 0
        while len(tail) - done >= TILE:
            levels = _levels(tail[done : done + TILE])
            self._mark(levels, TILE - 1)
            self.peaks.add(8, levels[-1][0])
            done += TILE
        if done:
            del tail[:done]

    def close(self) -> None:
        """No more leaves."""
        levels = _levels(self._tail)
        self._mark(levels, len(self._tail))
        for level in range(len(levels) - 1, -1, -1):
            if len(self._tail) >> level & 1:
                self.peaks.add(level, levels[level][(len(self._tail) >> level) - 1])
        self._tail = []

    def _mark(self, levels: list[list[bytes]], last: int) -> None:
        base = self.peaks.size
        while self._marks and self._marks[-1] <= base + last:
            size = self._marks.pop()
            part = size - base
            tops = [
                (level, levels[level][(part >> level) - 1])
                for level in range(part.bit_length() - 1, -1, -1)
                if part >> level & 1
            ]
            self.marked[size] = [*self.peaks.found, *tops]

    def roots(self) -> dict[int, bytes]:
        """The root at each mark that was reached, for a spine that began at 0."""
        return {size: merkle.fold([grown for _, grown in parts]) for size, parts in self.marked.items()}


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Complete subtrees over these leaves, level by level."""
    level = list(leaves)
    levels = [level]
    while len(level) > 1:
        pairs = map(bytes.__add__, level[::2], level[1::2])
        level = list(map(_digest, map(_sha256, map(b"\x01".__add__, pairs))))
        levels.append(level)
    return levels
