# SPDX-License-Identifier: Apache-2.0
"""The backup: one file with every table, the same for both databases, written while the ledger goes on working.

A zip archive: `tables/<name>` for each table, then `manifest.json`, then `manifest.mac`. A table is a sequence of
blocks: the length (4 bytes, big-endian), then a MessagePack array of rows. The manifest has each table's columns, rows,
bytes and SHA-256; its HMAC under a key of the deployment's stands beside it, so that an edited file shows itself.

Keys are in files of their own and never in here. Columns that a room above wants unreadable once a subject is erased
pass through its `Veil`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, cast

import msgspec

from ledger.codec import hmac_sha256
from ledger.errors import Refusal
from ledger.snapshot import Layout, Snapshot, snapshot
from ledger.tables import ColumnType, Row
from ledger.view import rfc3339

VERSION = 1
MANIFEST, MAC = "manifest.json", "manifest.mac"
_MANIFEST_BYTES_MAX = 16 * 2**20
_BLOCK_BYTES_MAX = 256 * 2**20
# What zipfile and zlib make of damaged bytes; RuntimeError is how the former says that it has no password.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error)
_UNSTORED = frozenset({"migration"})  # the steps are in the manifest: they are run again, not copied

Progress = Callable[..., None]  # how many rows more; `total=`, `what=` when they are known


class Veil(Protocol):
    """Rows as a backup holds them, made and undone by the room that owns the table."""

    def hide(self, layout: Layout, rows: list[Row]) -> list[Row]: ...
    def show(self, layout: Layout, rows: list[Row]) -> list[Row]:
        """Leaves out rows that nobody may read any more."""
        ...


class TableInfo(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[tuple[str, ColumnType]]
    rows: int
    bytes: int
    sha256: str


class JournalInfo(msgspec.Struct, forbid_unknown_fields=True):
    """Where a journal stood: its size, its last leaf in hex, and its newest signed checkpoint ('': none yet)."""

    journal: str
    size: int
    leaf: str
    checkpoint: str


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What is in the file. `schema` lists (room, step, hash) of what made the database it was taken from."""

    origin: str
    software: str
    made_at: str
    dialect: str
    schema: list[tuple[str, str, str]]
    journals: list[JournalInfo]
    tables: dict[str, TableInfo]
    v: int = VERSION

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


# writing ---------------------------------------------------------------------------------------------------------


async def backup(
    url: str,
    path: Path,
    *,
    key: bytes,
    origin: str,
    software: str,
    now_us: int,
    veil: Veil,
    progress: Progress | None = None,
) -> Manifest:
    """Write the database as it is now to a new file. Raises `backup_exists`; nothing is left behind by a failure."""
    if path.exists():
        raise Refusal("backup_exists", file=str(path))
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            async with snapshot(url) as source:
                manifest = await _stated(source, origin, software, now_us)
                layouts = {name: found for name, found in (await source.layouts()).items() if name not in _UNSTORED}
                if progress is not None:
                    progress(0, total=await _count(source, layouts))
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                    for name, layout in sorted(layouts.items()):
                        manifest.tables[name] = await _write_table(archive, source, layout, veil, progress)
                    stated = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
                    archive.writestr(MANIFEST, stated)
                    archive.writestr(MAC, hmac_sha256(key, stated).hex())
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if path.exists():
            raise Refusal("backup_exists", file=str(path))
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return manifest


async def _stated(source: Snapshot, origin: str, software: str, now_us: int) -> Manifest:
    schema = await source.fetch("SELECT room, step, hash FROM migration ORDER BY room, step")
    notes = dict(await source.fetch("SELECT journal, note FROM checkpoint ORDER BY journal, size"))
    heads = await source.fetch("SELECT journal, size, leaf FROM head ORDER BY journal")
    journals = [JournalInfo(name, size, bytes(leaf).hex(), notes.get(name, "")) for name, size, leaf in heads]
    rows = cast("list[tuple[str, str, str]]", schema)
    return Manifest(origin, software, rfc3339(now_us), source.dialect, rows, journals, {})


async def _count(source: Snapshot, layouts: Iterable[str]) -> int:
    return sum([int((await source.fetch(f"SELECT COUNT(*) FROM {name}"))[0][0]) for name in layouts])


async def _write_table(
    archive: zipfile.ZipFile, source: Snapshot, layout: Layout, veil: Veil, progress: Progress | None
) -> TableInfo:
    info = TableInfo(list(layout.columns), 0, 0, "")
    digest = hashlib.sha256()

    def add(stream: IO[bytes], rows: list[Row]) -> None:
        block = msgspec.msgpack.encode(rows)
        framed = len(block).to_bytes(4, "big") + block
        digest.update(framed)
        stream.write(framed)
        info.rows += len(rows)
        info.bytes += len(framed)

    with archive.open(f"tables/{layout.name}", "w", force_zip64=True) as stream:
        async for rows in source.rows(layout):
            await asyncio.to_thread(add, stream, veil.hide(layout, rows))
            if progress is not None:
                progress(len(rows), what=layout.name)
    info.sha256 = digest.hexdigest()
    return info


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# reading ---------------------------------------------------------------------------------------------------------


class Archive:
    """A backup file, opened and known to be whole, ours and unchanged."""

    def __init__(self, zipped: zipfile.ZipFile, manifest: Manifest, mac: str) -> None:
        self._zip = zipped
        self.manifest = manifest
        self.mac = mac

    def close(self) -> None:
        self._zip.close()

    def layout(self, name: str) -> Layout:
        """The table as it was; in what order it was written plays no part any more."""
        return Layout(name, tuple(self.manifest.tables[name].columns), ())

    def blocks(self, name: str) -> Iterator[list[Row]]:
        """The rows of a table as they were written. Raises `backup_edited`, `backup_inflated`."""
        info = self.manifest.tables[name]
        digest = hashlib.sha256()
        left = info.bytes
        count = 0
        try:
            with self._zip.open(f"tables/{name}") as stream:
                while left:
                    length = int.from_bytes(framing := stream.read(4), "big")
                    left -= 4 + length
                    if len(framing) < 4 or left < 0 or length > _BLOCK_BYTES_MAX:
                        raise Refusal("backup_edited", part=name)
                    digest.update(framing)
                    block = stream.read(length)
                    digest.update(block)
                    rows = [tuple(row) for row in msgspec.msgpack.decode(block, type=list[list[Any]])]
                    count += len(rows)
                    yield rows
                if stream.read(1):
                    raise Refusal("backup_inflated", part=name)
        except (*_UNREADABLE, msgspec.DecodeError) as error:
            raise Refusal("backup_edited", part=name) from error
        if digest.hexdigest() != info.sha256 or count != info.rows:
            raise Refusal("backup_edited", part=name)

    def check(self, progress: Progress | None = None) -> None:
        """Read every table once. Raises as `blocks` does."""
        for name in self.manifest.tables:
            for rows in self.blocks(name):
                if progress is not None:
                    progress(len(rows), what=f"check {name}")


def open_backup(path: Path, *, key: bytes, origin: str) -> Archive:
    """A backup of this deployment. Raises `backup_incomplete` (cut short, or no backup), `backup_version`,
    `backup_foreign` (another deployment's), `backup_edited`, `backup_inflated`."""
    try:
        zipped = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise Refusal("backup_incomplete", file=str(path)) from error
    try:
        stated = _bounded(zipped, MANIFEST)
        mac = _bounded(zipped, MAC).decode("ascii", "replace")
        manifest = _parsed(stated, path)
        if manifest.origin != origin:
            raise Refusal("backup_foreign", origin=manifest.origin[:80], own=origin)
        if not hmac.compare_digest(hmac_sha256(key, stated).hex().encode(), mac.encode()):
            raise Refusal("backup_edited", part=MANIFEST)
        expected = sorted([MANIFEST, MAC, *(f"tables/{name}" for name in manifest.tables)])
        _compare(sorted(zipped.namelist()), expected)
        return Archive(zipped, manifest, mac)
    except BaseException:
        zipped.close()
        raise


def _compare(found: Sequence[str], expected: Sequence[str]) -> None:
    if list(found) != list(expected):
        other = sorted(set(found) ^ set(expected)) or sorted(found)
        raise Refusal("backup_edited", part=other[0][:80])


def _bounded(zipped: zipfile.ZipFile, name: str) -> bytes:
    try:
        with zipped.open(name) as stream:
            data = stream.read(_MANIFEST_BYTES_MAX + 1)
    except (*_UNREADABLE, KeyError) as error:
        raise Refusal("backup_incomplete", file=str(zipped.filename)) from error
    if len(data) > _MANIFEST_BYTES_MAX:
        raise Refusal("backup_inflated", part=name)
    return data


def _parsed(stated: bytes, path: Path) -> Manifest:
    try:
        version = msgspec.json.decode(stated, type=dict[str, Any]).get("v")
        if version != VERSION:
            raise Refusal("backup_version", found=str(version)[:20], known=VERSION)
        return msgspec.json.decode(stated, type=Manifest)
    except msgspec.DecodeError as error:
        raise Refusal("backup_edited", part=MANIFEST) from error
