# SPDX-License-Identifier: Apache-2.0
"""Writing the audit export (docs/spec/export.md): the published prefix of every journal and what it takes to check it.

Entries go from the database to the file as they are. Everything is written beside its place and moved there at the end,
so a folder that has a manifest is a whole export.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ledger import codec, epochs, note, verifier
from ledger.engine import Ledger
from ledger.guard import EPOCHS, GuardBusy
from ledger.keys import Signer
from ledger.publish import Publisher
from ledger.published import keys_in_force
from ledger.view import rfc3339

CHUNK = 1_000  # entries or epochs in memory at a time
_TRIES, _PAUSE_S = 40, 0.25
_PACK, _EDITION = b'"pack":"', b'"kind":"edition"'

Progress = Callable[[int], None]
"""Told how many more entries have been written."""


class ExportRefused(Exception):
    """Nothing was exported; the message says why and what to do."""


class Summary(NamedTuple):
    """What was written: journal → size, how many epochs, bytes of entries."""

    journals: dict[str, int]
    epochs: int
    entry_bytes: int


class _Point(NamedTuple):
    size: int
    root: str
    note: str


@dataclass(slots=True)
class _Cut:
    """What was published at one moment: the newest checkpoint of each log, rotations, and the newest epoch."""

    points: dict[str, _Point]
    rotations: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


async def export(
    ledger: Ledger,
    publisher: Publisher,
    signer: Signer,
    folder: Path,
    *,
    recovery: str,
    witnesses: Iterable[str],
    packs: Mapping[str, Mapping[str, bytes]],
    software: str,
    editions: Mapping[str, Mapping[str, bytes]] | None = None,
    others: Mapping[str, bytes] | None = None,
    journals: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Sign what has been committed, then write it to `folder`, which must be empty or not there yet.

    `signer` is the key in force; `packs` has the files of each rule pack by its hash and name; `editions` those of
    each published list by its id and name, of which those are written that entries name; `others` are more files by
    name; `journals` are all, or those named. Raises `ExportRefused`, and what publishing raises.
    """
    partial = folder.with_name(folder.name + ".partial")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportRefused(f"{folder} is not empty; name a folder that is not there yet")
    if partial.exists():
        raise ExportRefused(f"{partial} is left from an export that was broken off; remove it")
    cut = await _published(ledger, publisher)
    logs = sorted(log for log in cut.points if log != EPOCHS)
    chosen = logs if journals is None else sorted(set(journals))
    for journal in chosen:
        if journal not in logs:
            raise ExportRefused(f"there is no journal {journal}; there are: {', '.join(logs) or 'none'}")
    if not logs:
        raise ExportRefused("nothing has been recorded yet: there is no journal")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial.mkdir(mode=0o700)
    out = _Folder(partial)
    named = _Named()
    for journal in chosen:
        point = cut.points[journal]
        await _entries(ledger, out, journal, point.size, named, progress)
        out.put(f"{journal}/checkpoint", point.note.encode())
        if rotations := cut.rotations.get(journal):
            out.put(f"{journal}/rotations", "".join(rotations).encode())
    entry_bytes = out.size
    await _epochs(ledger, out, cut.points[EPOCHS])
    keys = await keys_in_force(ledger, {journal: cut.points[journal].size for journal in logs})
    stated = {"keys": keys, "origin": signer.name, "recovery": recovery, "v": 1, "witnesses": list(witnesses)}
    out.put("keys.json", codec.canonical(stated) + b"\n")
    for pack in sorted(named.packs - packs.keys()):
        raise ExportRefused(f"entries name rule pack {pack}, and its files are not here; put them back first")
    for edition in sorted(named.editions - (editions or {}).keys()):
        raise ExportRefused(f"entries name list {edition}, and its files are not here; try again, or put them back")
    folders = {f"packs/{pack}": files for pack, files in packs.items()}
    folders |= {f"editions/{edition}": (editions or {})[edition] for edition in sorted(named.editions)}
    for where, files in folders.items():
        for name, data in files.items():
            out.put(f"{where}/{name}", data)
    for name, data in (others or {}).items():
        out.put(name, data)
    (partial / "verify.py").write_bytes(Path(verifier.__file__).read_bytes())
    info: dict[str, Any] = {
        "epoch": _stated(cut.points[EPOCHS]),
        "files": out.digests,
        "journals": {journal: _stated(cut.points[journal]) for journal in chosen},
        "made_at": rfc3339(ledger.clock()),
        "origin": signer.name,
        "software": software,
        "v": 1,
    }
    if chosen != logs:
        info["only"] = chosen
    text = f"jifen-export/v1\n{codec.canonical(info).decode()}\n"
    (partial / "manifest").write_bytes(note.format_note(text, [note.sign(text, signer)]))
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)
    return Summary({journal: cut.points[journal].size for journal in chosen}, cut.points[EPOCHS].size, entry_bytes)


async def _published(ledger: Ledger, publisher: Publisher) -> _Cut:
    """Publish, and read one moment of what was published: the newest epoch must be of the newest checkpoints."""
    for _ in range(_TRIES):
        try:
            await publisher.publish(epoch=True)
            with publisher.guard.lock():
                cut = await _cut(ledger)
                _, members = await publisher.epochs.at()
        except GuardBusy:
            await asyncio.sleep(_PAUSE_S)
            continue
        points = {log: (point.size, point.root) for log, point in cut.points.items() if log != EPOCHS}
        if points == {member.journal: (member.size, member.root) for member in members.values()}:
            return cut
    raise ExportRefused("others keep publishing in between; try again")


async def _cut(ledger: Ledger) -> _Cut:
    cut = _Cut({})
    for log, text, rotation in await ledger.fetch(
        "SELECT journal, note, rotation FROM checkpoint ORDER BY journal, size"
    ):
        point = note.parse_checkpoint(note.parse_note(text.encode()).text)
        cut.points[log] = _Point(point.size, point.root.hex(), text)
        if rotation:
            cut.rotations.setdefault(log, []).append(text)
    return cut


def _stated(point: _Point) -> dict[str, Any]:
    return {"root": point.root, "size": point.size}


class _Folder:
    """The files of the export with their digests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.digests: dict[str, str] = {}
        self.size = 0

    def put(self, name: str, data: bytes) -> None:
        with self.open(name) as file:
            self.digests[name] = hashlib.sha256(data).hexdigest()
            file.write(data)

    def open(self, name: str) -> BinaryIO:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")

    async def stream(self, name: str, chunks: AsyncGenerator[bytes]) -> None:
        digest = hashlib.sha256()
        with self.open(name) as file:
            async for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
                self.size += len(chunk)
        self.digests[name] = digest.hexdigest()


@dataclass(slots=True)
class _Named:
    """What entries name: the hashes of packs, the ids of lists."""

    packs: set[str] = field(default_factory=set[str])
    editions: set[str] = field(default_factory=set[str])


async def _entries(
    ledger: Ledger, out: _Folder, journal: str, size: int, named: _Named, progress: Progress | None
) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        seq = 0
        while seq < size:
            rows = await ledger.fetch(
                "SELECT seq, body FROM entry WHERE journal = ? AND seq >= ? AND seq < ? ORDER BY seq",
                journal,
                seq,
                min(size, seq + CHUNK),
            )
            if [row[0] for row in rows] != list(range(seq, min(size, seq + CHUNK))):
                raise ExportRefused(f"journal {journal} lacks entries from {seq} on; run: jifen verify")
            bodies = [bytes(row[1]) for row in rows]
            for body in bodies:
                at = body.rfind(_PACK) + len(_PACK)
                if at >= len(_PACK):
                    named.packs.add(body[at : at + 64].decode())
                elif _EDITION in body:
                    named.editions.add(codec.decode(body)["data"]["id"])
            seq += len(rows)
            if progress is not None:
                progress(len(rows))
            yield b"\n".join([*bodies, b""])

    await out.stream(f"{journal}/entries.jsonl", chunks())


async def _epochs(ledger: Ledger, out: _Folder, point: _Point) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        members: dict[str, epochs.Member] = {}
        number = 0
        while number < point.size:
            rows = await ledger.fetch(
                "SELECT epoch, journals_root, count, members FROM epoch WHERE epoch >= ? AND epoch < ? ORDER BY epoch",
                number,
                min(point.size, number + CHUNK),
            )
            if not rows:
                raise ExportRefused(f"epochs are missing from {number} on; run: jifen verify")
            for epoch, root, count, changed in rows:
                members.update((member.journal, member) for member in epochs.read(changed))
                listed = [members[journal]._asdict() for journal in sorted(members, key=str.encode)]
                stated = {"count": count, "epoch": epoch, "journals_root": bytes(root).hex(), "members": listed, "v": 1}
                yield codec.encode(stated) + b"\n"
            number += len(rows)

    await out.stream("epoch/leaves.jsonl", chunks())
    out.put("epoch/checkpoint", point.note.encode())
