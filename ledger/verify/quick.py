# SPDX-License-Identifier: Apache-2.0
"""Hashes, links and tree of a row group of one journal, without reading what the entries say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ledger.verify import derived
from ledger.verify.source import Row, Source
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
    place = start
    fault: tuple[int, str] | None = None
    behind: dict[int, int] = {}
    for rows in source.chunks(_ROWS, journal, start or -(2**63), end):
        leaves, fault = _linked(rows, place, last, behind)
        place += len(leaves)
        last = leaves[-1] if leaves else last
        spine.extend(leaves)
        if fault:
            break
        if progress is not None:
            progress(len(rows))
    spine.close()
    return Group(place, fault, spine.peaks.found, spine.marked, spine.peaks.seen, spine.peaks.bad)


def _linked(
    rows: Sequence[Row], place: int, last: bytes, behind: dict[int, int]
) -> tuple[Sequence[bytes], tuple[int, str] | None]:
    """The leaves of those of the next entries that are linked, and what is wrong with the one after them. `behind`
    remembers where `prev` stands in an entry of some length: most of that length have it there."""
    seqs, leaves, prevs, bodies = zip(*rows, strict=True)
    before = (last, *leaves[:-1])
    good = (
        seqs == tuple(range(place, place + len(rows)))
        and [_sha256(b"\x00" + body).digest() for body in bodies] == list(leaves)
        and prevs == (before if place else (prevs[0], *before[1:]))
    )
    if good:
        text = b"".join(prevs).hex().encode()
        at = 0
        for body in bodies:
            link = b'"prev":"%b","recorded_at":"' % text[at : at + 64]
            where = behind.get(len(body), 0)
            if body[where : where + len(link)] != link:
                where = behind[len(body)] = body.find(link)
                if where < 0:
                    break
            at += 64
        else:
            return leaves, None
    for index, (seq, leaf, prev, body) in enumerate(rows):
        what = ""
        if seq != place + index:
            what = f"entry {place + index} is missing, {seq} follows"
        elif _sha256(b"\x00" + body).digest() != leaf:
            what = "the bytes do not have the stored hash"
        elif (
            place + index and prev != before[index]
        ) or b'"prev":"%b","recorded_at":"' % prev.hex().encode() not in body:
            what = "prev is not the hash of the entry before"
        if what:
            return leaves[:index], (place + index, what)
    return leaves, None
