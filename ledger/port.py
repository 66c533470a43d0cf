# SPDX-License-Identifier: Apache-2.0
"""The command port: how the rooms above decide inside the ledger's own commit.

The ledger knows no rules, offers or people, yet a cap or a stock can only be held where the commit is. So a command
brings its own decision; the sequencer brings the locks, the rows and the transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ledger.tables import Key, Row, Table
from ledger.view import View


class Retry(NamedTuple):
    """A caller's retry key and the keyed digest of the whole request it stands for."""

    caller: str
    key: str
    digest: bytes


FORGOTTEN = bytes(32)  # instead of the digest of a request whose person was erased; its row answers any request


class Answer(NamedTuple):
    """What an accepted command answers. `status` and `ref` are kept for replays; `value` is for this caller only."""

    status: int = 200
    ref: str = ""
    value: Any = None
    replayed: bool = False


class Command(Protocol):
    """One business decision. `decide` must be pure: no I/O, no clock, nothing but the view and the command itself,
    because it may run again when a row was missing or the batch had to be split."""

    @property
    def retry(self) -> Retry | None: ...

    @property
    def journals(self) -> Collection[str]:
        """Journals whose heads to lock; one that turns out to be missing is added and the batch decided again."""
        ...

    @property
    def weight(self) -> int:
        """About how many entries it writes: what the cap on a batch counts."""
        ...

    def reads(self) -> Iterable[tuple[Table, Key]]:
        """Groups of rows worth loading beforehand, as (table, group prefix)."""
        ...

    def decide(self, view: View) -> Answer:
        """Append entries and change rows, or raise `Refusal`."""
        ...


@dataclass(frozen=True, slots=True)
class PutRows:
    """A command that only writes rows: settings, sessions, registers. `absent` keys must not exist yet."""

    puts: tuple[tuple[Table, Row], ...] = ()
    inserts: tuple[tuple[Table, Row], ...] = ()
    removes: tuple[tuple[Table, Key], ...] = ()
    answer: Answer = field(default_factory=Answer)
    retry: Retry | None = None
    journals: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        return 1 + (len(self.puts) + len(self.inserts)) // 4

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield from ((table, row[: table.group]) for table, row in self.puts)
        yield from ((table, key[: table.group]) for table, key in self.removes)

    def decide(self, view: View) -> Answer:
        for table, row in self.puts:
            view.put(table, row)
        for table, row in self.inserts:
            view.insert(table, row)
        for table, key in self.removes:
            view.remove(table, *key)
        return self.answer
