# SPDX-License-Identifier: Apache-2.0
"""The subjects' data keys, in a SQLite file of their own that no backup of the database carries.

A key is made before the account that needs it, in one durable transaction; a crash in between leaves a key without an
account, which is nothing. Destroying a key is what erasure is: the file overwrites what it deletes, and so does its one
copy, `keys.copy.db` beside it, which is made anew after each erasure and every day.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from pathlib import Path

from api.people.search import found_in
from ledger.errors import Refusal
from ledger.keys import new_key, seal, unseal
from ledger.store.sqlite import private

_MEMORY = 100_000  # keys kept open, about 200 bytes each
_LOOK_EVERY_S = 0.5  # how long a key destroyed by another process may still be in this one's memory
_CHUNK = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS data_key (
  subject TEXT NOT NULL PRIMARY KEY, wrapped BLOB NOT NULL CHECK (length(wrapped) = 60)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS destroyed (
  subject TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Keystore:
    """32 random bytes a subject, each wrapped by the master key under the subject's id."""

    def __init__(self, path: Path, master: bytes) -> None:
        self.path = path
        self.copy = path.with_name(f"{path.stem}.copy{path.suffix}")
        self._master = master
        self._open: OrderedDict[str, bytes] = OrderedDict()
        self._looked = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        private(path)
        self._db = self._apart()
        self._db.executescript(_SCHEMA)
        self._version = self._data_version()

    def close(self) -> None:
        self._open.clear()
        self._db.close()

    def _apart(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=10, check_same_thread=False)
        # A rollback journal that is removed: no copy of a deleted key waits in a write-ahead log.
        # EXTRA: its removal is what commits, and must itself be on the disk (docs/adr/0013-failing-disks.md).
        for pragma in ("secure_delete = ON", "journal_mode = DELETE", "synchronous = EXTRA", "temp_store = MEMORY"):
            db.execute(f"PRAGMA {pragma}")
        return db

    # making ----------------------------------------------------------------------------------------------------

    def create(self, subjects: Collection[str]) -> dict[str, bytes]:
        """New keys for new subjects, durable when this returns."""
        keys = {subject: new_key() for subject in subjects}
        wrapped = [(subject, seal(self._master, key, _aad(subject))) for subject, key in keys.items()]
        with self._transaction():
            self._db.executemany("INSERT INTO data_key (subject, wrapped) VALUES (?, ?)", wrapped)
        for subject, key in keys.items():
            self._remember(subject, key)
        return keys

    def discard(self, subjects: Iterable[str]) -> None:
        """Take back keys whose accounts were refused."""
        gone = [(subject,) for subject in subjects]
        with self._transaction():
            self._db.executemany("DELETE FROM data_key WHERE subject = ?", gone)
        for (subject,) in gone:
            self._open.pop(subject, None)

    def destroy(self, subject: str, at_us: int) -> bytes | None:
        """Make everything sealed for a subject unreadable, for ever. Safe to repeat.

        The wrapped key that was deleted, for `scrub` to look for; None where it was gone already.
        """
        with self._transaction():
            rows = self._db.execute("SELECT wrapped FROM data_key WHERE subject = ?", (subject,)).fetchall()
            self._db.execute("DELETE FROM data_key WHERE subject = ?", (subject,))
            self._db.execute("INSERT OR IGNORE INTO destroyed (subject, at) VALUES (?, ?)", (subject, at_us))
            # Always a page to write: repeated after a COMMIT that failed half-way, it must reach the disk again.
            self._db.execute("PRAGMA user_version = 1")
        self._open.pop(subject, None)
        return rows[0][0] if rows else None

    def scrub(self, wrapped: Collection[bytes | None]) -> None:
        """Leave no copy of these destroyed keys in the file or in its copy; None: of one that nobody knows any more.

        SQLite overwrites what it deletes, but not what it once moved to another page: so the file is searched, and
        written anew where something is found. May run in a thread.
        """
        if None in wrapped or found_in([self.path], [one for one in wrapped if one]):
            with closing(self._apart()) as db:
                db.execute("VACUUM")
        self.roll()

    def roll(self) -> None:
        """Put a fresh copy of the file in the place of the one before, whose bytes are overwritten. May run in a
        thread. A crash leaves the new copy, the old one, or both; the next one tidies up."""
        fresh = self.copy.with_name(f"{self.copy.name}.new")
        with self.copy.with_name(f"{self.copy.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several server processes one at a time
            overwrite(fresh)  # of one that crashed here
            fresh.unlink(missing_ok=True)
            os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with closing(self._apart()) as db:
                db.execute("VACUUM INTO ?", (str(fresh),))
            with fresh.open("rb+") as written:
                os.fsync(written.fileno())
            overwrite(self.copy)
            fresh.replace(self.copy)
            folder = os.open(self.copy.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def copied_at(self) -> float:
        """When the copy was made, in seconds since 1970; 0 where there is none."""
        with suppress(FileNotFoundError):
            return self.copy.stat().st_mtime
        return 0.0

    # reading ---------------------------------------------------------------------------------------------------

    def key(self, subject: str) -> bytes:
        """Raises `subject_erased` for a destroyed key, `subject_unknown` for one that never was."""
        self._look()
        key = self._open.get(subject)
        if key is not None:
            self._open.move_to_end(subject)
            return key
        return self.keys([subject])[subject]

    def keys(self, subjects: Collection[str]) -> dict[str, bytes]:
        """The keys of all these subjects; raises as `key` does for the first that has none."""
        found = self.known(subjects)
        for subject in subjects:
            if subject not in found:
                raise Refusal("subject_erased" if self.destroyed(subject) else "subject_unknown", subject=subject)
        return found

    def known(self, subjects: Collection[str]) -> dict[str, bytes]:
        """The keys of those of these subjects who have one."""
        self._look()
        found = {subject: self._open[subject] for subject in subjects if subject in self._open}
        missing = [subject for subject in dict.fromkeys(subjects) if subject not in found]
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            for subject, wrapped in self._db.execute(
                f"SELECT subject, wrapped FROM data_key WHERE subject IN ({', '.join('?' * len(chunk))})", chunk
            ).fetchall():
                found[subject] = unseal(self._master, wrapped, _aad(subject))
                self._remember(subject, found[subject])
        return found

    def destroyed(self, subject: str) -> bool:
        rows = self._db.execute("SELECT 1 FROM destroyed WHERE subject = ?", (subject,)).fetchall()
        return bool(rows)

    def having(self, subjects: Collection[str]) -> set[str]:
        """Those of these subjects who have a key."""
        found: set[str] = set()
        wanted = list(subjects)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            sql = f"SELECT subject FROM data_key WHERE subject IN ({', '.join('?' * len(chunk))})"
            found.update(subject for (subject,) in self._db.execute(sql, chunk))
        return found

    def all_destroyed(self) -> list[str]:
        """Everybody whose key was ever destroyed, also those whom the database has never known or knows again."""
        return [subject for (subject,) in self._db.execute("SELECT subject FROM destroyed ORDER BY subject")]

    def _remember(self, subject: str, key: bytes) -> None:
        self._open[subject] = key
        if len(self._open) > _MEMORY:
            self._open.popitem(last=False)

    def _look(self) -> None:
        """Forget everything when another process has changed the file: it may have destroyed a key."""
        now = time.monotonic()
        if now - self._looked > _LOOK_EVERY_S:
            self._looked = now
            version = self._data_version()
            if version != self._version:
                self._version = version
                self._open.clear()

    def _data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._db.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def overwrite(path: Path) -> None:
    """Fill a file with zeros, on the disk, before it is let go."""
    with suppress(FileNotFoundError), path.open("rb+") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(bytes(min(left, 1 << 20)))
        file.flush()
        os.fsync(file.fileno())


def _aad(subject: str) -> bytes:
    return b"jifen/data-key/1\n" + subject.encode()
