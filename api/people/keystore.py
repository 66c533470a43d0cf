# SPDX-License-Identifier: Apache-2.0
"""The subjects' data keys, in a SQLite file of their own that no backup of the database carries.

A key is made before the account that needs it, in one durable transaction; a crash in between leaves a key without an
account, which is nothing. Destroying a key is what erasure is: the file overwrites what it deletes.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from pathlib import Path

from ledger.errors import Refusal
from ledger.keys import new_key, seal, unseal

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
        self._master = master
        self._open: OrderedDict[str, bytes] = OrderedDict()
        self._looked = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        # A rollback journal that is zeroed and removed: no copy of a deleted key waits in a write-ahead log.
        for pragma in ("secure_delete = ON", "journal_mode = DELETE", "synchronous = FULL", "temp_store = MEMORY"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._version = self._data_version()

    def close(self) -> None:
        self._open.clear()
        self._db.close()

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

    def destroy(self, subject: str, at_us: int) -> None:
        """Make everything sealed for a subject unreadable, for ever. Safe to repeat."""
        with self._transaction():
            self._db.execute("DELETE FROM data_key WHERE subject = ?", (subject,))
            self._db.execute("INSERT OR IGNORE INTO destroyed (subject, at) VALUES (?, ?)", (subject, at_us))
        self._open.pop(subject, None)

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
        self._look()
        known = self._open
        found = {subject: known[subject] for subject in subjects if subject in known}
        missing = [subject for subject in dict.fromkeys(subjects) if subject not in found]
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            rows = self._db.execute(
                f"SELECT subject, wrapped FROM data_key WHERE subject IN ({', '.join('?' * len(chunk))})", chunk
            ).fetchall()
            for subject, wrapped in rows:
                found[subject] = unseal(self._master, wrapped, _aad(subject))
                self._remember(subject, found[subject])
            if len(rows) != len(chunk):
                subject = next(subject for subject in chunk if subject not in found)
                raise Refusal("subject_erased" if self.destroyed(subject) else "subject_unknown", subject=subject)
        return found

    def destroyed(self, subject: str) -> bool:
        rows = self._db.execute("SELECT 1 FROM destroyed WHERE subject = ?", (subject,)).fetchall()
        return bool(rows)

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


def _aad(subject: str) -> bytes:
    return b"jifen/data-key/1\n" + subject.encode()
