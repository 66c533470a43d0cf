# SPDX-License-Identifier: Apache-2.0
"""The lines of every journal, kept as columns in files that grow with the ledger: `JIFEN_HOME/columns/<journal>/`.

A part holds the lines of entries `start` up to `end` and bears the leaf of the last of them in its name. A leaf stands
for every entry before it, so a part either belongs to this history or does not; one that does not is made anew. A part
is written aside and renamed: whatever is killed leaves parts that are whole. They are derived and may be deleted.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import msgspec
import polars as pl

from ledger.engine import Ledger
from rules.lists.lines import KINDS, LINES, Lines, place_of

__all__ = ["LINES", "Columns", "NotThere", "from_export", "leaves", "refresh"]

PART = 1 << 15
"""Entries per part; only the last part of a journal has fewer, and is written again as it grows."""

_WRITTEN = 1 << 10
"""The last part is at hand in memory; its file follows when it is so many entries behind."""

_PIECE = 2_000
_STALE_S = 3_600
_NAME = re.compile(r"(\d{10})-(\d{10})-([0-9a-f]{64})\.v1\.parquet")


class NotThere(LookupError):
    """A list was counted from entries that are not here: `journal` has `have` of them, `need` are asked for."""

    def __init__(self, journal: str, have: int, need: int) -> None:
        super().__init__(f"journal {journal} has {have} entries here, and {need} are asked for")
        self.journal, self.have, self.need = journal, have, need


class Part(NamedTuple):
    """Lines of the entries `start` up to `end`, in a file or, of the last part, at hand; `leaf` is that of the last
    entry in hex, `written` how far the file goes."""

    start: int
    end: int
    leaf: str
    lines: Path | pl.DataFrame
    written: int = 0

    def scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.lines) if isinstance(self.lines, Path) else self.lines.lazy()

    def path(self, folder: Path) -> Path:
        return folder / f"{self.start:010}-{self.end:010}-{self.leaf}.v1.parquet"


@dataclass(frozen=True, slots=True)
class Columns:
    """Lines by journal.

    From an export also: `leaves`, 32 bytes for each entry in turn, and `broken`, for a journal whose chain does not
    hold the first entry whose bytes are not those that the entry after it names (or that cannot be read).
    """

    parts: Mapping[str, tuple[Part, ...]]
    leaves: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    broken: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def sizes(self) -> dict[str, int]:
        """How many entries each journal has here."""
        return {journal: parts[-1].end if parts else 0 for journal, parts in self.parts.items()}

    def lines(self, as_of: Mapping[str, int]) -> pl.LazyFrame:
        """Lines as `LINES` of the first so many entries of each journal named, and of no other. Raises `NotThere`."""
        chosen: list[pl.LazyFrame] = []
        for journal, size in sorted(as_of.items()):
            have = self.sizes.get(journal, 0)
            if size > have:
                raise NotThere(journal, have, size)
            for part in self.parts.get(journal, ()):
                if part.end <= size:
                    chosen.append(part.scan())
                elif part.start < size:
                    chosen.append(part.scan().filter(pl.col("seq") < size))
        return pl.concat(chosen) if chosen else pl.LazyFrame(schema=dict(LINES))

    def leaf(self, journal: str, size: int) -> str | None:
        """The leaf of the last of the first `size` entries, in hex; None where it is not known here."""
        found = self.leaves.get(journal, b"")[32 * (size - 1) : 32 * size] if size > 0 else b""
        return found.hex() or None


async def leaves(ledger: Ledger, sizes: Mapping[str, int]) -> dict[str, str]:
    """By journal the leaf of the last of its first so many entries, in hex; one without so many is left out."""
    found: dict[str, str] = {}
    for journal, size in sizes.items():
        for (leaf,) in await ledger.fetch("SELECT leaf FROM entry WHERE journal = ? AND seq = ?", journal, size - 1):
            found[journal] = bytes(leaf).hex()
    return found


# from the ledger ------------------------------------------------------------------------------------------------


async def refresh(ledger: Ledger, home: Path, held: Columns | None = None) -> Columns:
    """Bring the files under `home` up to what has been committed, and give the columns. `held` are those of an earlier
    call in this process: what has not changed since is taken from there."""
    before = held.parts if held is not None else dict[str, tuple[Part, ...]]()
    made: dict[str, tuple[Part, ...]] = {}
    for head in await ledger.journals():
        journal, folder = head["journal"], home / "columns" / head["journal"]
        parts = before.get(journal, ())
        if not parts or not await _belongs(ledger, head, parts[-1].end, parts[-1].leaf) or _lost(parts):
            parts = await _stored(ledger, folder, head)
        made[journal] = await _grown(ledger, folder, head, parts)
    return Columns(made)


async def _belongs(ledger: Ledger, head: Mapping[str, Any], end: int, leaf: str) -> bool:
    """Whether a part that ends there is of this history."""
    if end == head["size"]:
        return leaf == head["leaf"]
    return leaf in (await leaves(ledger, {head["journal"]: end})).values()


def _lost(parts: Iterable[Part]) -> bool:
    """Whether somebody has deleted a file."""
    return any(isinstance(one.lines, Path) and not one.lines.exists() for one in parts)


async def _stored(ledger: Ledger, folder: Path, head: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts on disk that are of this history, from entry 0 on and without a gap. Of the last one, whose file other
    processes replace as it grows, the lines themselves."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = [(int(name[1]), int(name[2]), name[3]) for name in map(_NAME.fullmatch, os.listdir(folder)) if name]
    done: list[Part] = []
    at = 0
    for start, end, leaf in sorted(names, key=lambda one: (one[0], -one[1])):
        if start != at or not await _belongs(ledger, head, end, leaf):
            continue
        part = Part(start, end, leaf, folder, end)
        path = part.path(folder)
        try:
            if end - start == PART:
                pl.read_parquet_schema(path)
                part = part._replace(lines=path)
            else:
                part = part._replace(lines=pl.read_parquet(path))
        except (OSError, pl.exceptions.PolarsError):  # torn when the machine went down, or replaced just now
            continue
        done.append(part)
        at = end
    return tuple(done)


async def _grown(ledger: Ledger, folder: Path, head: Mapping[str, Any], parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """`parts`, and what has come since."""
    journal, size = head["journal"], head["size"]
    done = list(parts)
    at = first = written = done[-1].end if done else 0
    rest: list[pl.DataFrame] = []
    if at < size and done and isinstance(last := done[-1].lines, pl.DataFrame):
        first, written, rest = done[-1].start, done[-1].written, [last]
        done.pop()
    while at < size:
        end = min(first + PART, size)
        lines = pl.concat([*rest, await _read(ledger, journal, at, end)], rechunk=True)
        part = Part(first, end, (await leaves(ledger, {journal: end}))[journal], lines, written)
        full = end - first == PART
        if full or end - written >= _WRITTEN:
            path = part.path(folder)
            _write(lines, path)
            part = part._replace(lines=path if full else lines, written=end)
            _tidy(folder, path.name)
        done.append(part)
        rest, at, first, written = [], end, end, end
    return tuple(done)


async def _read(ledger: Ledger, journal: str, start: int, end: int) -> pl.DataFrame:
    """Lines of the entries `start` up to `end`."""
    lines = Lines()
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    for first in range(start, end, _PIECE):
        for (body,) in await ledger.fetch(
            f"SELECT body FROM entry WHERE journal = ? AND seq >= ? AND seq < ? AND kind IN ({kinds}) ORDER BY seq",
            journal,
            first,
            min(first + _PIECE, end),
        ):
            lines.take(bytes(body))
    return lines.frame()


def _write(lines: pl.DataFrame, path: Path) -> None:
    aside = path.with_name(f".{path.name}.{token_hex(8)}")  # containers that share the folder share process ids, too
    try:
        with aside.open("wb") as file:
            lines.write_parquet(file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)


def _tidy(folder: Path, new: str) -> None:
    """Remove the parts that a new one replaces, shorter or of another history, and what was broken off an hour ago. A
    longer one is left: another process may have read on."""
    start, end, _ = new.split("-", 2)
    for name in os.listdir(folder):
        path, part = folder / name, _NAME.fullmatch(name)
        with contextlib.suppress(FileNotFoundError):
            if part is None:
                stale = path.stat().st_mtime < time.time() - _STALE_S
            else:
                stale = name != new and part[1] == start and part[2] <= end
            if stale:
                path.unlink()


# from an export -------------------------------------------------------------------------------------------------


def from_export(folder: Path) -> Columns:
    """The columns of an audit export (docs/spec/export.md), each entry hashed on the way. Whether the export is whole
    and signed is for its own verifier."""
    parts: dict[str, tuple[Part, ...]] = {}
    leaves: dict[str, bytes] = {}
    broken: dict[str, int] = {}
    for file in sorted(folder.glob("*/entries.jsonl")):
        journal = file.parent.name
        lines, hashes, first = _exported(file, journal)
        parts[journal] = (Part(0, len(hashes) // 32, hashes[-32:].hex(), lines),)
        leaves[journal] = hashes
        if first is not None:
            broken[journal] = first
    return Columns(parts, leaves, broken)


def _exported(file: Path, journal: str) -> tuple[pl.DataFrame, bytes, int | None]:
    """Lines, leaves, and the first entry that is not the one that its successor names."""
    lines, frames, hashes = Lines(), list[pl.DataFrame](), bytearray()
    broken: int | None = None
    before = ""
    with file.open("rb") as entries:
        for seq, line in enumerate(entries):
            body = line.removesuffix(b"\n")
            try:
                place = place_of(body)
                if (place.journal, place.seq) != (journal, seq):
                    raise msgspec.ValidationError("not the entry of this place")
                if place.kind in KINDS:
                    lines.take(body)
            except msgspec.MsgspecError:  # where it is from, and all that follows it, cannot be told
                broken = seq if broken is None else broken
                break
            if before and place.prev != before and broken is None:
                broken = seq - 1
            leaf = hashlib.sha256(b"\0" + body)
            before = leaf.hexdigest()
            hashes += leaf.digest()
            if len(lines) >= PART:
                frames.append(lines.frame())
    return pl.concat([*frames, lines.frame()]), bytes(hashes), broken
