# SPDX-License-Identifier: Apache-2.0
"""Photos that prove a deed: sealed under their owner's data key, in files of their own, and gone after some months.

A picture lies in `evidence/<subject>/<id>` beside the database: in a row, five megabytes would go through the one
writer, its log and every backup. Whatever of somebody lies there can be wiped without asking the database, so that an
erasure can be finished by whoever comes after a crash. The row in `photo` decides what there is: a file without one is
what a crash has left, and is swept away.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from api.people.keystore import overwrite
from api.people.pictures import Picture, cleaned
from api.people.tables import ERASURE, PHOTO
from api.people.vault import People
from ledger.codec import hmac_sha256
from ledger.errors import Refusal, Unavailable
from ledger.keys import BadKey, seal, unseal
from ledger.port import Answer
from ledger.tables import Key, Row, Table
from ledger.view import View

log = logging.getLogger("jifen.evidence")

DAY_US = 86_400_000_000
# Half a year: a deed is to be reported within a month and may be objected to after that. A photo is no archive (GR-13).
KEPT_DAYS = 180
KEPT_AFTER_DECISION_DAYS = 30  # once nobody has to look at it any more
PHOTOS_MAX = 60  # of one owner at a time: 300 MB at most

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 500
_ORPHAN_S = 3600.0  # an upload has long committed by then
_COLUMNS = ", ".join(PHOTO.names)


class Photo(NamedTuple):
    """One photo as the database knows it; instants in microseconds."""

    subject: str
    digest: bytes
    id: str
    kind: str
    size: int
    uploader: str
    at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Adding:
    """Note a photo whose file is written; the same one again only lasts longer."""

    photo: Photo
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield ERASURE, (self.photo.subject,)
        yield PHOTO, (self.photo.subject,)

    def decide(self, view: View) -> Answer:
        photo = self.photo
        if view.get(ERASURE, photo.subject) is not None:  # meanwhile: its key may still have been in somebody's memory
            raise Refusal("subject_erased", subject=photo.subject)
        known = view.get(PHOTO, photo.subject, photo.digest)
        if known is None:
            if len(view.rows(PHOTO, (photo.subject,))) >= PHOTOS_MAX:
                raise Refusal("photos_too_many", limit=PHOTOS_MAX)
            view.put(PHOTO, photo)
            return Answer(201, photo.id, photo)
        kept = Photo(*known)._replace(digest=photo.digest, expires_at=max(photo.expires_at, known[7]))
        view.put(PHOTO, kept)
        return Answer(201, kept.id, kept)


@dataclass(frozen=True, slots=True)
class Removing:
    """Take rows away, or let them end sooner: keys with the instant at which they end, 0 for now."""

    ends: Collection[tuple[str, bytes, int]]
    retry: None = None
    journals: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        return 1 + len(self.ends) // 4

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield from ((PHOTO, (subject,)) for subject, _, _ in self.ends)

    def decide(self, view: View) -> Answer:
        gone: list[Photo] = []
        for subject, digest, until in self.ends:
            row = view.get(PHOTO, subject, digest)
            if row is None:
                continue
            if until:
                view.put(PHOTO, (*row[:7], min(row[7], until)))
            elif row[7] <= view.now_us:  # and was not handed in again meanwhile
                view.remove(PHOTO, subject, digest)
                gone.append(Photo(*row))
        return Answer(value=gone)


class Photos:
    """The photos of a deployment, under `folder`. `secret` is the deployment secret; the digests depend on it."""

    def __init__(self, people: People, folder: Path, secret: bytes) -> None:
        self._people = people
        self._ledger = people.ledger
        self._folder = folder
        self._key = hmac_sha256(secret, b"jifen/photo/1")

    def digest(self, sha256: str) -> bytes:
        """By which a photo is found, 32 bytes: the same for everybody who hands in the same picture."""
        return hmac_sha256(self._key, bytes.fromhex(sha256))

    async def add(self, subject: str, data: bytes, uploader: str) -> tuple[str, Photo]:
        """Keep a photo for its owner, durably: its SHA-256 (of what is kept, without metadata) and its row.

        Raises `photo_kind`, `photo_damaged`, `photo_too_large`, `photos_too_many`, `subject_unknown`, `subject_erased`.
        """
        key = await self._people.data_key(subject)
        picture = await asyncio.to_thread(cleaned, data)
        sha256 = hashlib.sha256(picture.data).hexdigest()
        digest, now = self.digest(sha256), self._ledger.clock()
        known = await self.of(subject, [sha256])
        id_ = known[sha256].id if sha256 in known else self._ledger.secret_id("pho")
        path = self._path(subject, id_)
        fresh = not path.exists()  # a row without its file is what a restored database has
        if fresh:
            sealed = await asyncio.to_thread(seal, key, picture.data, _aad(subject, id_))
            await asyncio.to_thread(_write, path, sealed)
        expires_at = now + KEPT_DAYS * DAY_US
        photo = Photo(subject, digest, id_, picture.kind, len(picture.data), uploader, now, expires_at)
        try:
            answer = await self._ledger.submit(Adding(photo))
        except Unavailable:
            raise  # nothing is known of the commit: a file that nobody asks for is swept away later
        except Refusal:
            if fresh:
                await asyncio.to_thread(_wipe, [path])
            raise
        kept: Photo = answer.value
        if kept.id != id_:  # two sent the same photo at once: one of the files is enough
            await asyncio.to_thread(_wipe, [path])
        return sha256, kept

    async def of(self, subject: str, sha256s: Collection[str]) -> dict[str, Photo]:
        """Those of these photos that the subject owns and that have not expired; what is no SHA-256 is none."""
        wanted = {self.digest(one): one for one in sha256s if _SHA256.fullmatch(one)}
        if not wanted:
            return {}
        rows = await self._ledger.fetch(
            f"SELECT {_COLUMNS} FROM photo WHERE subject = ? AND digest IN ({', '.join('?' * len(wanted))}) "
            "AND expires_at > ?",
            subject,
            *wanted,
            self._ledger.clock(),
        )
        return {wanted[bytes(row[1])]: _photo(row) for row in rows}

    async def everywhere(self, sha256: str) -> list[Photo]:
        """The same picture as all its owners handed it in, the newest first."""
        if not _SHA256.fullmatch(sha256):
            return []
        rows = await self._ledger.fetch(
            f"SELECT {_COLUMNS} FROM photo WHERE digest = ? AND expires_at > ? ORDER BY at DESC",
            self.digest(sha256),
            self._ledger.clock(),
        )
        return [_photo(row) for row in rows]

    async def picture(self, photo: Photo) -> Picture:
        """The photo itself. Raises `not_found` where the file is not there, `subject_erased`."""
        key = await self._people.data_key(photo.subject)
        try:
            sealed = await asyncio.to_thread(self._path(photo.subject, photo.id).read_bytes)
            data = await asyncio.to_thread(unseal, key, sealed, _aad(photo.subject, photo.id))
        except (FileNotFoundError, BadKey) as error:
            log.warning("a photo cannot be opened: %s", type(error).__name__)
            raise Refusal("not_found", what="photo", id="") from error
        return Picture(data, photo.kind)

    # letting go ------------------------------------------------------------------------------------------------

    async def end_by(self, photos: Collection[tuple[str, bytes]], until: int) -> None:
        """Let these photos, as (owner, digest), end at `until` at the latest."""
        if photos:
            await self._ledger.submit(Removing([(subject, digest, until) for subject, digest in photos]))

    async def expire(self) -> int:
        """Take away what has served its time, and files that no row knows of; how many photos are gone."""
        now, done = self._ledger.clock(), 0
        while True:
            rows = await self._ledger.fetch(
                "SELECT subject, digest FROM photo WHERE expires_at <= ? ORDER BY expires_at LIMIT ?", now, _CHUNK
            )
            answer = await self._ledger.submit(Removing([(subject, bytes(digest), 0) for subject, digest in rows]))
            gone: list[Photo] = answer.value
            await asyncio.to_thread(_wipe, [self._path(one.subject, one.id) for one in gone])
            done += len(gone)
            if len(rows) < _CHUNK or not gone:
                break
        if self._ledger.frozen is None:  # else this may be another database, and these files another's photos
            await self._sweep()
        return done

    async def _sweep(self) -> None:
        files = await asyncio.to_thread(_older, self._folder, time.time() - _ORPHAN_S)
        if files:
            known = {(subject, id_) for subject, id_ in await self._ledger.fetch("SELECT subject, id FROM photo")}
            await asyncio.to_thread(_wipe, [path for path in files if (path.parent.name, path.name) not in known])

    def forget(self, subject: str) -> None:
        """Wipe whatever lies here of one owner; safe to repeat. May run in a thread."""
        _wipe(list((self._folder / subject).glob("*")))

    def _path(self, subject: str, id_: str) -> Path:
        return self._folder / subject / id_


def _photo(row: Row) -> Photo:
    return Photo(row[0], bytes(row[1]), *row[2:])


def _write(path: Path, data: bytes) -> None:
    """A new file, readable by its owner alone, on the disk when this returns."""
    partial = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    while True:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            opened = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            break
        except FileNotFoundError:  # the folder had become empty and was taken away just now
            continue
    with open(opened, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    for folder in (path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _wipe(paths: Iterable[Path]) -> None:
    """Overwrite files and let them go, and the folders that are empty then."""
    for path in paths:
        overwrite(path)
        path.unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:  # somebody's other photos
            continue


def _older(folder: Path, than: float) -> list[Path]:
    found: list[Path] = []
    for path in folder.glob("*/*"):
        try:
            if path.stat().st_mtime < than:
                found.append(path)
        except FileNotFoundError:
            continue
    return found


def _aad(subject: str, id_: str) -> bytes:
    return b"jifen/photo/1\n" + subject.encode() + b"\n" + id_.encode()
