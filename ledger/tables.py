# SPDX-License-Identifier: Apache-2.0
"""Tables as the commit path sees them: columns, key, and how their rows are read together.

A row is a tuple of all columns, key first. Rooms above declare their own tables and hand rows to the same commit, so
that an order, its stock and its hold are one transaction. The SQL that makes these tables is in `migrations/`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

Row = tuple[Any, ...]
Key = tuple[Any, ...]
ColumnType = Literal["text", "int", "blob"]


@dataclass(frozen=True, eq=False)
class Table:
    """`key` leading columns identify a row; rows are loaded together by the first `group` of them.

    `cached` tables start with the journal and are derived from that journal's own entries: they may be kept in memory
    while the head is ours. All others are read (and on PostgreSQL locked) inside every transaction.
    """

    name: str
    columns: tuple[tuple[str, ColumnType], ...]
    key: int
    group: int
    cached: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


class FromRow:
    """A frozen dataclass whose fields are the columns of a table, in their order."""

    __slots__ = ()

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(*row)

    def row(self) -> Row:
        return tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)  # type: ignore[type-var]


def table(name: str, columns: str, *, key: int, group: int | None = None, cached: bool = False) -> Table:
    """Declare a table: columns as `name:type` words, text where no type is named."""
    parsed: list[tuple[str, ColumnType]] = []
    for word in columns.split():
        column, _, kind = word.partition(":")
        if kind not in ("", "text", "int", "blob"):
            raise ValueError(f"{name}.{column}: unknown type {kind!r}")
        parsed.append((column, kind or "text"))  # type: ignore[arg-type]
    return Table(name, tuple(parsed), key, key if group is None else group, cached)


BALANCE = table("balance", "journal account unit lot amount:int", key=4, group=2, cached=True)
MEMBER = table("member", "journal subject kind state home opened_seq:int", key=2, cached=True)
TALLY = table("tally", "journal start subject cap used:int", key=4, cached=True)
TALLIES = table("tally", "journal subject start cap used:int", key=4, group=2)  # for a move
HOLD = table(
    "hold",
    "journal hold subject state expires_at:int amount:int captured:int released:int refunded:int lots grace "
    "seq:int leaf:blob merchant",
    key=2,
    cached=True,
)
REVERSED = table("reversed", "journal seq:int by_seq:int shortfall:int", key=2, cached=True)
CAUSE = table("cause", "digest:blob journal seq:int reversed:int replaced:int", key=1)
REQUEST = table("request", "caller key digest:blob status:int ref refusal recorded_at:int", key=2)
TREE = table("tree", "journal level:int idx:int hash:blob", key=3, group=3)
CHECKPOINT = table("checkpoint", "journal size:int note rotation:int", key=2, group=1)
ACCOUNT_STATE = table("account_state", "journal account as_of:int version:int head:blob balances seqs", key=3)
SEAL = table("seal", "journal since:int as_of:int seq:int accounts:int state_root:blob", key=2)
EPOCH = table("epoch", "epoch:int journals_root:blob count:int members leaf:blob", key=1)


def of(piccolo: Any, *, key: int = 1, group: int | None = None) -> Table:
    """The commit path's view of a Piccolo table, so that a room above declares its columns once.

    Columns in the order of the class; Text, BigInt and Bytea only, because those mean the same on both databases.
    """
    kinds: dict[type, ColumnType] = {str: "text", int: "int", bytes: "blob"}
    columns: tuple[tuple[str, ColumnType], ...] = tuple(
        (c._meta.db_column_name, kinds[c.value_type]) for c in piccolo._meta.columns
    )
    return Table(piccolo._meta.tablename, columns, key, key if group is None else group)
