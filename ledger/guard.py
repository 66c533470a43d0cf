# SPDX-License-Identifier: Apache-2.0
"""The fork guard: a small file that remembers what was signed last, so that a ledger restored from an older copy, or
changed below, cannot sign a second history. docs/spec/tree.md, *Fork guard*.

It is a file of its own because it must not travel with the ledger: restoring the ledger must leave it behind.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger.store.sqlite import private

EPOCHS = ""  # the name of the epoch log among the journals

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS guarded (
  log TEXT NOT NULL PRIMARY KEY,
  size INTEGER NOT NULL CHECK (size > 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  leaf BLOB NOT NULL CHECK (length(leaf) = 32)
) STRICT, WITHOUT ROWID;
"""


class Guarded(NamedTuple):
    """What was signed last of one log: its size, its root, and the last leaf under it."""

    size: int
    root: bytes
    leaf: bytes


class GuardBusy(Exception):
    """Another process is publishing just now."""


class GuardDamaged(RuntimeError):
    """The guard's file cannot be read; the message says what to do."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is damaged. Move it away; then everything is read-only until what was signed is taken up again: "
            "jifen guard adopt (docs/operations.md)"
        )


class GuardMoved(Exception):
    """What was to be guarded would go back, or the guard changed since it was read."""


class ForkGuard:
    """The guard's file. It is opened for each look: the lock is held for moments, and nothing of it is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        return self.path.exists()

    @contextmanager
    def lock(self) -> Generator[None]:
        """Held by whoever publishes, over processes of this machine. Raises `GuardBusy`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise GuardBusy(str(self.path)) from error
            yield
        finally:
            os.close(descriptor)

    def read(self) -> dict[str, Guarded]:
        """What is guarded, by log; empty when there is no file yet."""
        if not self.exists:
            return {}
        with self._open() as db:
            return {log: Guarded(*row) for log, *row in db.execute("SELECT log, size, root, leaf FROM guarded")}

    def advance(self, rows: Iterable[tuple[str, Guarded | None, Guarded]]) -> None:
        """(log, what is guarded now, what is to be): all of them or none, on disk when this returns."""
        with self._open() as db:
            for log, was, now in rows:
                if was is not None and now.size < was.size:
                    raise GuardMoved(f"{log or 'epochs'}: {was.size} → {now.size}")
                if was is None:
                    done = db.execute("INSERT OR IGNORE INTO guarded VALUES (?, ?, ?, ?)", (log, *now))
                else:
                    done = db.execute(
                        "UPDATE guarded SET size = ?, root = ?, leaf = ? WHERE log = ? AND size = ? AND root = ?",
                        (*now, log, was.size, was.root),
                    )
                if done.rowcount != 1:
                    raise GuardMoved(f"{log or 'epochs'}: no longer at {was.size if was else 0}")

    def replace(self, rows: dict[str, Guarded]) -> None:
        """Guard exactly this from now on. A person decides it: it gives up what was signed before."""
        with self._open() as db:
            db.execute("DELETE FROM guarded")
            db.executemany("INSERT INTO guarded VALUES (?, ?, ?, ?)", [(log, *row) for log, row in rows.items()])

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        private(self.path)
        db = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        try:
            db.execute("PRAGMA synchronous = EXTRA")  # the journal's removal too: docs/adr/0013-failing-disks.md
            db.executescript(_SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in _DAMAGED:
                raise GuardDamaged(self.path) from error
            raise
        finally:
            db.close()
