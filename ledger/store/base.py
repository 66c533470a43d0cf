# SPDX-License-Identifier: Apache-2.0
"""What the sequencer asks of a database, and the two ways in which a database says no."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ledger.model import Head
from ledger.tables import Key, Row, Table
from ledger.view import Changes

GENESIS_LEAF = bytes(32)  # stands in a head that has no entries; entry 0 replaces it by its own genesis hash


class Conflict(Exception):
    """The database refused the transaction: another writer was first, or a constraint holds. Nothing was written."""


class StoreLost(Exception):
    """The connection broke. `committing` tells that COMMIT was under way and its outcome is unknown."""

    def __init__(self, cause: BaseException, *, committing: bool = False) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.committing = committing


class Store(Protocol):
    """One writer connection. `begin` … `commit` or `rollback`; never nested, never shared."""

    dialect: str

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def begin(self, journals: Collection[str]) -> dict[str, Head]:
        """Start a transaction and lock the heads, in sorted order. A journal without entries has an empty head."""
        ...

    async def load(self, table: Table, prefixes: Sequence[Key]) -> dict[Key, dict[Key, Row]]:
        """Rows by group prefix; every prefix asked for is in the answer. Rows of uncached tables stay locked."""
        ...

    async def write(self, changes: Changes) -> None:
        """Write everything, set-based; heads by compare and swap."""
        ...

    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...
    async def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Read outside the commit path, `?` for parameters. Sees committed rows only."""
        ...

    async def migrate(self, rooms: Mapping[str, Path]) -> list[str]:
        """Bring the schema up to date; the names of the steps that ran."""
        ...


def select(table: Table) -> str:
    return ", ".join(table.names)


def grouped(table: Table, prefixes: Sequence[Key], rows: Iterable[Row]) -> dict[Key, dict[Key, Row]]:
    """Rows under the prefixes they were asked for."""
    groups: dict[Key, dict[Key, Row]] = {prefix: {} for prefix in prefixes}
    for row in rows:
        groups[row[: table.group]][row[: table.key]] = row
    return groups
