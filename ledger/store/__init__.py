# SPDX-License-Identifier: Apache-2.0
"""The databases. One store is one dedicated connection for the commit path, and one way to read beside it."""

from __future__ import annotations

from ledger.store.base import Conflict, Store, StoreLost
from ledger.store.postgres import PostgresStore
from ledger.store.sqlite import SqliteStore

__all__ = ["Conflict", "PostgresStore", "SqliteStore", "Store", "StoreLost", "make_store"]


def make_store(url: str) -> Store:
    """A store for `sqlite:///path` or `postgresql://…`. Not opened yet. Raises ValueError for any other URL."""
    if url.startswith("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresStore(url)
    raise ValueError(f"not a database URL this engine knows: {url.split(':', 1)[0]}:… (sqlite:/// or postgresql://)")
