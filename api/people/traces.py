# SPDX-License-Identifier: Apache-2.0
"""Traces of deleted rows in a database's files: finding them, and making the database let go of them.

Deleting is not enough. SQLite overwrites what it deletes (`secure_delete`), but a cell that once moved to another page
may have left a copy behind, in one of a hundred cases; PostgreSQL overwrites nothing. So SQLite's file is searched for
what must be gone, and its tables written anew where something is found; PostgreSQL's tables always are.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from api.people.search import found_in
from ledger.engine import Ledger
from ledger.store.sqlite import connect

log = logging.getLogger("jifen.traces")

# The vault's tables, and where a digest of its photos stands beside a report; each with the first column of its key.
KEYS = {
    "person": "subject",
    "identity": "digest",
    "consent": "subject",
    "pin": "subject",
    "card": "serial",
    "activation": "digest",
    "photo": "subject",
    "proxy": "subject",
    "report_photo": "digest",
}
SMALL = 16 << 20  # bytes: a database up to here is written anew without searching first
WAIT_S = 3.0  # for somebody who still reads what was there before

_LOOK_S = 0.1
_PAUSE_S = 0.02  # in which others get their turn
_asyncpg: Any = asyncpg  # it ships no types of its own


async def scrub(ledger: Ledger, needles: Collection[bytes] | None) -> bool:
    """Make the files of the database let go of deleted rows of the vault; False: somebody is in the way, try again.

    `needles` are byte strings that must not be found any more; None where they are no longer known.
    """
    store: Any = ledger.store
    if store.dialect == "sqlite":
        return await asyncio.to_thread(_scrub_sqlite, Path(store.path), needles)
    return await _scrub_postgres(store.url)


# SQLite ----------------------------------------------------------------------------------------------------------


def _scrub_sqlite(path: Path, needles: Collection[bytes] | None) -> bool:
    with closing(connect(str(path))) as db:
        if not _emptied_log(db):
            return False
        blind = needles is None or path.stat().st_size <= SMALL
        for step in (_nothing, _write_indexes_anew, _write_tables_anew):
            if blind and step is not _write_tables_anew:
                continue
            step(db)
            if not _emptied_log(db):
                return False
            if needles is not None and not found_in((path, path.with_name(f"{path.name}-wal")), needles):
                return True
    return needles is None


def _emptied_log(db: sqlite3.Connection) -> bool:
    """Bring the write-ahead log into the file and cut it to nothing; False while a reader holds on to it."""
    deadline = time.monotonic() + WAIT_S
    db.execute(f"PRAGMA busy_timeout = {int(_LOOK_S * 1000)}")
    try:
        while True:
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_S)
    finally:
        db.execute("PRAGMA busy_timeout = 10000")


def _nothing(_db: sqlite3.Connection) -> None:
    """In most cases deleting was enough."""


def _write_indexes_anew(db: sqlite3.Connection) -> None:
    for table in KEYS:
        for _, index, _, origin, _ in db.execute(f"PRAGMA index_list({table})").fetchall():
            if origin != "pk":  # that is the table itself: these have no row ids
                db.execute(f"REINDEX {index}")
                time.sleep(_PAUSE_S)


def _write_tables_anew(db: sqlite3.Connection) -> None:
    """Take every row out and put it back: each page of the table and of its indexes is overwritten in between. Doing it
    some thousand rows at a time takes five times as long and leaves something at the borders."""
    for table, key in KEYS.items():
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table} ORDER BY {key}")
            db.execute(f"DELETE FROM {table}")
            db.execute(f"INSERT INTO {table} SELECT * FROM kept")
            db.execute("DROP TABLE kept")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


# PostgreSQL ------------------------------------------------------------------------------------------------------

# Rows deleted before this transaction can be dropped once nobody's snapshot is older than it.
_NOW = "SELECT pg_current_xact_id()::xid::text"
_OLDER = (
    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database() "
    "AND backend_xmin IS NOT NULL AND age(backend_xmin) >= age($1::text::xid)"
)


async def _scrub_postgres(url: str) -> bool:
    db = await _asyncpg.connect(url, server_settings={"application_name": "jifen-scrub", "lock_timeout": "2s"})
    try:
        now = await db.fetchval(_NOW)
        deadline = time.monotonic() + WAIT_S
        while await db.fetchval(_OLDER, now):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_S)
        for table in KEYS:
            await db.execute(f"VACUUM (FULL) {table}")
        await _let_go_of_log(db)
    except asyncpg.LockNotAvailableError:
        return False
    finally:
        await db.close()
    return True


async def _let_go_of_log(db: Any) -> None:
    """Start a new segment of the log and a checkpoint, after which the server removes the segments before. Where the
    role may not, they go with the server's own checkpoints (docs/privacy.md)."""
    try:
        await db.execute("SELECT pg_switch_wal()")
        await db.execute("CHECKPOINT")
    except asyncpg.InsufficientPrivilegeError:
        log.info("the write-ahead log is left to the server: the role may not checkpoint")
