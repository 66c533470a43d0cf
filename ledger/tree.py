# SPDX-License-Identifier: Apache-2.0
"""The journals' Merkle trees over the stored leaves (docs/spec/tree.md).

Leaves stand in the entries. Of the tree only the roots of complete subtrees of 256, 65,536 and 16,777,216 leaves are
stored ("tiles"): whatever else a root or a proof needs is folded from at most 255 hashes of each kind, when asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ledger import merkle
from ledger.guard import EPOCHS
from ledger.tables import Row

TILE = 8  # a tile is a complete subtree of 2^8 hashes of the level below
LEVELS = (8, 16, 24)
CHUNK = 1 << 14  # leaves read at a time

Fetch = Callable[..., Awaitable[list[tuple[Any, ...]]]]


class Trees:
    """Roots and proofs of every log; `fetch` reads committed rows."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def hashes(self, log: str, level: int, start: int, count: int) -> list[bytes]:
        """`count` hashes of one stored level (0: leaves) from `start`. Raises `LookupError` if some are missing."""
        if not count:
            return []
        end = start + count
        if level:
            sql = "SELECT hash FROM tree WHERE journal = ? AND level = ? AND idx >= ? AND idx < ? ORDER BY idx"
            rows = await self._fetch(sql, log, level, start, end)
        elif log == EPOCHS:
            sql = "SELECT leaf FROM epoch WHERE epoch >= ? AND epoch < ? ORDER BY epoch"
            rows = await self._fetch(sql, start, end)
        else:
            sql = "SELECT leaf FROM entry WHERE journal = ? AND seq >= ? AND seq < ? ORDER BY seq"
            rows = await self._fetch(sql, log, start, end)
        if len(rows) != count:
            raise LookupError(f"{log or 'epochs'}: level {level} from {start}: {len(rows)} of {count} hashes")
        return [bytes(row[0]) for row in rows]

    async def root(self, log: str, size: int) -> bytes:
        """The root over the first `size` leaves; all of them must have been integrated."""
        return merkle.fold([await self._subtree(log, *peak) for peak in merkle.cover(0, size)])

    async def inclusion(self, log: str, index: int, size: int) -> list[bytes]:
        """RFC 9162 §2.1.3.1, leaf's sibling first. Raises `BadProof` when `index` is not below `size`."""
        return await self._proof(log, merkle.inclusion_nodes(index, size))

    async def consistency(self, log: str, before: int, size: int) -> list[bytes]:
        """RFC 9162 §2.1.4.1. Raises `BadProof` when `before` is above `size`."""
        return await self._proof(log, merkle.consistency_nodes(before, size))

    async def _proof(self, log: str, parts: Sequence[Sequence[tuple[int, int]]]) -> list[bytes]:
        return [merkle.fold([await self._subtree(log, *node) for node in part]) for part in parts]

    async def _subtree(self, log: str, level: int, index: int) -> bytes:
        """The root of the complete subtree of 2^level leaves, from the stored level at or below it."""
        stored = min(level // TILE * TILE, LEVELS[-1])
        wide = level - stored
        return merkle.subtree(await self.hashes(log, stored, index << wide, 1 << wide))


class Growth:
    """A tree while leaves are added to it: the hashes that are not in a complete tile yet, level by level, and the
    tiles completed on the way (`rows`, for the table `tree`)."""

    def __init__(self, log: str, size: int, tails: list[list[bytes]]) -> None:
        self.log = log
        self.size = size
        self.rows: list[Row] = []
        self._tails = tails

    @classmethod
    async def resume(cls, trees: Trees, fetch: Fetch, log: str) -> Growth:
        """From the tiles that are stored: what follows the last of them is read again."""
        rows = await fetch("SELECT COUNT(*) FROM tree WHERE journal = ? AND level = ?", log, TILE)
        count = int(rows[0][0])
        size = count << TILE
        tails: list[list[bytes]] = [[]]
        for level in LEVELS:
            last = level == LEVELS[-1]
            done = 0 if last else count >> TILE << TILE
            tails.append(await trees.hashes(log, level, done, count - done))
            count >>= TILE
        return cls(log, size, tails)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaves."""
        tail = self._tails[0]
        tail.extend(leaves)
        self.size += len(leaves)
        full = len(tail) >> TILE << TILE
        first = (self.size - len(tail)) >> TILE
        for number, start in enumerate(range(0, full, 1 << TILE)):
            self._complete(1, first + number, merkle.subtree(tail[start : start + (1 << TILE)]))
        del tail[:full]

    def _complete(self, step: int, index: int, tile: bytes) -> None:
        self.rows.append((self.log, step * TILE, index, tile))
        above = self._tails[step]
        above.append(tile)
        if step < len(LEVELS) and len(above) == 1 << TILE:
            self._complete(step + 1, index >> TILE, merkle.subtree(above))
            above.clear()

    def root(self) -> bytes:
        """The root over all leaves so far."""
        parts: list[bytes] = []
        for tail in reversed(self._tails):
            parts += [merkle.subtree(tail[i << n : (i + 1) << n]) for n, i in merkle.cover(0, len(tail))]
        return merkle.fold(parts)


async def grow(trees: Trees, fetch: Fetch, log: str, sizes: Sequence[int]) -> tuple[Growth, list[bytes], bytes]:
    """Integrate a log up to the last of `sizes` (ascending): the tree, its root at each size, and its last leaf."""
    growth = await Growth.resume(trees, fetch, log)
    roots: list[bytes] = []
    leaf = b""
    for size in sizes:
        if size < growth.size:  # tiles are ahead of what is asked for
            roots.append(await trees.root(log, size))
            continue
        while growth.size < size:
            leaves = await trees.hashes(log, 0, growth.size, min(CHUNK, size - growth.size))
            growth.extend(leaves)
            leaf = leaves[-1]
        roots.append(growth.root())
    if not leaf and sizes:
        leaf = (await trees.hashes(log, 0, sizes[-1] - 1, 1))[0]
    return growth, roots, leaf
