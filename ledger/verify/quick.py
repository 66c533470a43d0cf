# SPDX-License-Identifier: Apache-2.0
"""Hashes, links and tree of a row group of one journal, without reading what the entries say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ledger.verify import derived
from ledger.verify.source import Source
from ledger.verify.spine import Spine

_sha256 = hashlib.sha256
GROUP = 65_536  # entries: a complete subtree of the tree's second stored level

_ROWS = "SELECT seq, leaf, prev, body FROM entry WHERE journal = ? AND seq >= ? AND seq < ? ORDER BY seq"


class Group(NamedTuple):
    """What a row group has shown: where it ends, the first bad entry, its part of the tree, the parts at the sizes
    asked for, and how its stored tiles agree."""

    end: int
    fault: tuple[int, str] | None
    peaks: list[tuple[int, bytes]]
    marked: dict[int, list[tuple[int, bytes]]]
    seen: int
    bad: tuple[int, int] | None


def hash_group(
    source: Source,
    journal: str,
    start: int,
    end: int,
    marks: Sequence[int],
    progress: Callable[[int], None] | None = None,
) -> Group:
    """Entries from `start` (a multiple of 65,536) to `end`."""
    stored = {key: value for key, value in derived.tiles(source, journal).items() if start <= key[1] << key[0] < end}
    stored = {key: value for key, value in stored.items() if (key[1] + 1) << key[0] <= end and key[0] <= 16}
    spine = Spine(stored, [size for size in marks if start < size <= end], start)
    before = source.rows("SELECT leaf FROM entry WHERE journal = ? AND seq = ?", journal, start - 1)
    last: bytes = before[0][0] if before else b""
    place, fault = start, None
    for rows in source.chunks(_ROWS, journal, start, end):
        leaves: list[bytes] = []
        for seq, leaf, prev, body in rows:
            if seq != place:
                fault = (place, f"entry {place} is missing, {seq} follows")
            elif _sha256(b"\x00" + body).digest() != leaf:
                fault = (place, "the bytes do not have the stored hash")
            elif (place and prev != last) or b'"prev":"%b","recorded_at":"' % prev.hex().encode() not in body:
                fault = (place, "prev is not the hash of the entry before")
            if fault:
                break
            leaves.append(leaf)
            last = leaf
            place += 1
        spine.extend(leaves)
        if fault:
            break
        if progress is not None:
            progress(len(rows))
    spine.close()
    return Group(place, fault, spine.peaks.found, spine.marked, spine.peaks.seen, spine.peaks.bad)
