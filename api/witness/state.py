# SPDX-License-Identifier: Apache-2.0
"""What a deployment remembers as a witness and about its witnesses: `witness.db`, and the key in `witness.key`.

The memory is what makes a witness: one that forgets can be talked into signing a second history. So the key is bound
to the file, and a key without its memory signs nothing.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from ledger.keys import BadKey, Keys, Signer, new_key, seal, unseal
from ledger.store.sqlite import private

REFUSED_MAX = 100  # of one log; a fork is kept beyond that
LEASE_S = 60  # how long one process has a witness to itself
LONGEST_WAIT_S = 15 * 60  # between two tries; what is written as later than that was written by a wrong clock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS own (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), vkey TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS cosigned (
  origin TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL CHECK (size >= 0),
  root BLOB NOT NULL CHECK (length(root) = 32), note TEXT NOT NULL, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refused (
  origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, fork INTEGER NOT NULL, at INTEGER NOT NULL,
  known TEXT NOT NULL, request BLOB NOT NULL, PRIMARY KEY (origin, size, root, fork)
) STRICT;
CREATE TABLE IF NOT EXISTS witness (
  vkey TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL, at INTEGER NOT NULL, next_at INTEGER NOT NULL,
  tries INTEGER NOT NULL, said TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The latest checkpoint that we cosigned for a log; `note` has its signatures and ours. `at` in seconds."""

    origin: str
    size: int
    root: bytes
    note: str
    at: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A checkpoint that a log signed and that we did not cosign: the call, and the note it does not continue. With
    `fork` the two notes name one size and two roots, which is all it takes to convict the log."""

    origin: str
    size: int
    root: bytes
    fork: bool
    at: int
    known: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """How we stand with one of our witnesses: the size it cosigned last, when, and what came of the last try."""

    vkey: str
    size: int = 0
    at: int = 0
    next_at: int = 0
    tries: int = 0
    said: str = ""


class Memory:
    """The file. Every method may be called from any thread; several processes may have it open."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock = threading.RLock()
        path = home / "witness.db"
        private(path)  # another thread of ours may be in a transaction: its locks must stay
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        for pragma in ("journal_mode = DELETE", "synchronous = EXTRA", "fullfsync = ON"):
            self._db.execute(f"PRAGMA {pragma}")
        with self.transaction():
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Alone in the file, over all processes; on disk when it ends."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # our key as a witness ----------------------------------------------------------------------------------------

    def signer(self, keys: Keys) -> Signer:
        """The witness key, made on first use. Raises `BadKey` where it cannot be opened or its memory is not here."""
        name = f"{keys.origin}/witness"
        aad = b"jifen/witness-key/1\n" + name.encode()
        path = self.home / "witness.key"
        with self.transaction():
            made = not path.exists()
            seed = new_key() if made else unseal(keys.master, path.read_bytes(), aad)
            signer = Signer(name, seed)
            if made:
                self._db.execute("INSERT OR REPLACE INTO own (one, vkey) VALUES (1, ?)", (signer.cosigner.text,))
            elif self._db.execute("SELECT vkey FROM own").fetchone() != (signer.cosigner.text,):
                raise BadKey(
                    f"{self.home / 'witness.db'} is not the memory of {path}: a witness that has forgotten what it "
                    "signed could sign the opposite. Remove witness.key to become a new witness, and tell its new "
                    "vkey (jifen witness show) to those you witness."
                )
        if not made:
            return signer
        # Only now that its row is on disk: a crash in between leaves a row without a key, and another key is made.
        with self.transaction():
            if not path.exists() and self._db.execute("SELECT vkey FROM own").fetchone() == (signer.cosigner.text,):
                write_file(path, seal(keys.master, seed, aad))
        return self.signer(keys)

    # whom we witness ---------------------------------------------------------------------------------------------

    def cosigned(self, origin: str) -> Cosigned | None:
        with self._lock:
            row = self._db.execute(
                "SELECT origin, size, root, note, at FROM cosigned WHERE origin = ?", (origin,)
            ).fetchone()
        return Cosigned(*row) if row else None

    def keep(self, new: Cosigned) -> None:
        """Called inside a transaction. What was refused at this size before turns out to be a fork now."""
        self._db.execute("INSERT OR REPLACE INTO cosigned VALUES (?, ?, ?, ?, ?)", astuple(new))
        self._db.execute(
            "UPDATE OR IGNORE refused SET fork = 1, known = ? WHERE origin = ? AND size = ? AND root <> ? AND fork = 0",
            (new.note, new.origin, new.size, new.root),
        )

    def keep_refused(self, one: Refused) -> bool:
        """Keep what was refused; False if it was there already, or is no fork and there is enough of that."""
        with self.transaction():
            (count,) = self._db.execute(
                "SELECT COUNT(*) FROM refused WHERE origin = ? AND fork = 0", (one.origin,)
            ).fetchone()
            if not one.fork and count >= REFUSED_MAX:
                return False
            done = self._db.execute("INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(one))
            return done.rowcount == 1

    def refused(self, origin: str) -> list[Refused]:
        """What was refused of a log, the first one first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT origin, size, root, fork, at, known, request FROM refused WHERE origin = ? ORDER BY at, size",
                (origin,),
            ).fetchall()
        return [Refused(*row) for row in rows]

    # who witnesses us --------------------------------------------------------------------------------------------

    def standing(self, vkey: str) -> Standing:
        with self._lock:
            row = self._db.execute(
                "SELECT vkey, size, at, next_at, tries, said FROM witness WHERE vkey = ?", (vkey,)
            ).fetchone()
        return Standing(*row) if row else Standing(vkey)

    def claim(self, vkey: str, now: int) -> Standing | None:
        """The standing with a witness, for one process alone and for a minute; None while it is not to be asked."""
        with self.transaction():
            standing = self.standing(vkey)
            if now < standing.next_at <= now + LONGEST_WAIT_S:
                return None
            self._put(replace(standing, next_at=now + LEASE_S))
        return standing

    def settle(self, standing: Standing) -> None:
        """Write down how it went, and give the witness back."""
        with self.transaction():
            self._put(standing)

    def _put(self, one: Standing) -> None:
        self._db.execute("INSERT OR REPLACE INTO witness VALUES (?, ?, ?, ?, ?, ?)", astuple(one))


def write_file(path: Path, data: bytes) -> None:
    """Put a file that only its owner reads in place, whole or not at all, and on disk before we go on."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
