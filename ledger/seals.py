# SPDX-License-Identifier: Apache-2.0
"""Making seals (docs/spec/seal.md), beside the commits, and reading what they sealed.

A run folds the entries since the last seal and puts the seal entry and the accounts' states into one commit: so there
are no half-done runs. What was read is below `as_of_size` and never changes, so commits may go on meanwhile; of two
runs at once the second finds a seal in its place and leaves it there.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger import codec, merkle
from ledger.book.seals import seal
from ledger.engine import Ledger
from ledger.model import Act
from ledger.port import Answer, Retry
from ledger.states import State, States
from ledger.tables import SEAL, Key, Row, Table
from ledger.view import View

SPAN = 5_000  # entries that one seal covers at most: bounds its commit; a long history takes several seals
CHUNK = 400  # entries or accounts read at a time, a few milliseconds between two turns of the event loop
CACHE_LEAVES_MAX = 200_000


class Seal(NamedTuple):
    """One seal of a journal: of its first `as_of` entries, stated by entry `seq`, after the seal of size `since`."""

    journal: str
    since: int
    as_of: int
    seq: int
    accounts: int
    state_root: bytes


_COLUMNS = ", ".join(SEAL.names)

# The newest state of each account up to a size. The recursion steps from account to account along the key: reading all
# rows would cost more every day. Subqueries rather than a join: PostgreSQL would hash the whole table for one.
_NEWEST = (
    "(SELECT s.{} FROM account_state s WHERE s.journal = ? AND s.account = a.account AND s.as_of <= ? "
    "ORDER BY s.as_of DESC LIMIT 1)"
)


def states_query(*more: str) -> str:
    """account, what `more` asks of it, and its newest `State` up to a size, account by account. Parameters: journal,
    the account to start after, journal, how many; those of `more`; then journal and size for each field of a state."""
    wanted = ", ".join(["account", *more, *map(_NEWEST.format, State._fields)])
    return f"""
WITH RECURSIVE a(account, n) AS (
  SELECT (SELECT MIN(account) FROM account_state WHERE journal = ? AND account > ?), 1
  UNION ALL
  SELECT (SELECT MIN(x.account) FROM account_state x WHERE x.journal = ? AND x.account > a.account), a.n + 1
  FROM a WHERE a.account IS NOT NULL AND a.n < ?
)
SELECT {wanted} FROM a WHERE account IS NOT NULL
"""


_STATES = states_query()


# making --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutSeal:
    """The seal entry and its rows. The answer's value is None where another run was first."""

    journal: str
    since: int
    data: dict[str, Any]
    states: list[Row]
    txn: str
    retry: Retry | None = None

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.journal,)

    @property
    def weight(self) -> int:
        return 1 + len(self.states) // 4

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SEAL, (self.journal, self.since)

    def decide(self, view: View) -> Answer:
        request = codec.encode({"as_of_size": self.data["as_of_size"], "job": "seals"})
        act = Act("system", view.today(self.journal), request, self.txn)
        return Answer(value=seal(view, self.journal, act, since=self.since, data=self.data, states=self.states))


async def make_seals(ledger: Ledger, journal: str, *, span: int = SPAN) -> int:
    """Seal what has been posted to a journal since its last seal; how many seals that took (none: only seals).

    Raises `ValueError` when what is stored, states or entries, is not what was sealed or hashed.
    """
    last = await newest(ledger, journal)
    since = last.as_of if last else 0
    size = (await ledger.fetch("SELECT size FROM head WHERE journal = ?", journal))[0][0]
    made = 0
    states: States | None = None
    while await _posted(ledger, journal, since, size):
        states = states or await _resume(ledger, journal, last)
        await _fold(ledger, journal, states, min(size, since + span))
        rows = await asyncio.to_thread(states.close, journal)
        data = await asyncio.to_thread(states.seal_data)
        answer = await ledger.submit(PutSeal(journal, since, data, rows, ledger.new_id("txn")))
        if answer.value is None:
            break
        made += 1
        since = states.size
    return made


async def _resume(ledger: Ledger, journal: str, last: Seal | None) -> States:
    if last is None:
        return States()
    states = await load(ledger, journal, last.as_of)
    stated = (await ledger.entry(journal, last.seq)).fields.get("data")
    if stated != await asyncio.to_thread(states.seal_data):
        raise ValueError(f"{journal}: the stored states are not those of the seal of {last.as_of}")
    return states


async def _posted(ledger: Ledger, journal: str, since: int, size: int) -> bool:
    """Is there anything but seals from `since` on?"""
    sql = "SELECT 1 FROM entry WHERE journal = ? AND seq >= ? AND seq < ? AND kind <> 'seal' LIMIT 1"
    return bool(await ledger.fetch(sql, journal, since, size))


async def _fold(ledger: Ledger, journal: str, states: States, size: int) -> None:
    while states.size < size:
        rows = await ledger.fetch(
            "SELECT body, leaf FROM entry WHERE journal = ? AND seq >= ? AND seq < ? ORDER BY seq",
            journal, states.size, min(size, states.size + CHUNK),
        )  # fmt: skip
        if not rows:
            raise ValueError(f"{journal}: entry {states.size} is missing")
        for body, leaf in rows:
            states.apply(bytes(body), bytes(leaf))
        await asyncio.sleep(0)


# reading -------------------------------------------------------------------------------------------------------


async def newest(ledger: Ledger, journal: str) -> Seal | None:
    """The journal's last seal."""
    sql = f"SELECT {_COLUMNS} FROM seal WHERE journal = ? ORDER BY since DESC LIMIT 1"
    rows = await ledger.fetch(sql, journal)
    return _seal(rows[0]) if rows else None


async def seals(ledger: Ledger, journal: str, before: int, limit: int) -> list[Seal]:
    """Seals of fewer than `before` entries, newest first."""
    sql = f"SELECT {_COLUMNS} FROM seal WHERE journal = ? AND since < ? AND as_of < ? ORDER BY since DESC LIMIT ?"
    return [_seal(row) for row in await ledger.fetch(sql, journal, before, before, limit)]


def _seal(row: tuple[Any, ...]) -> Seal:
    journal, since, as_of, seq, accounts, root = row
    return Seal(journal, since, as_of, seq, accounts, bytes(root))


async def load(ledger: Ledger, journal: str, as_of: int) -> States:
    """The states of all accounts at a seal."""
    known: list[tuple[str, State]] = []
    after = ""
    while True:
        rows = await ledger.fetch(_STATES, journal, after, journal, CHUNK, *(journal, as_of) * len(State._fields))
        known += [(a, State(version, bytes(head), text)) for a, version, head, text in rows if version is not None]
        if len(rows) < CHUNK:
            break
        after = rows[-1][0]
        await asyncio.sleep(0)
    return States(as_of, known)


class SealTree:
    """The accounts of one seal in order, and their leaves."""

    def __init__(self, states: States) -> None:
        leaves = states.leaves()
        self.names = list(leaves)
        self.leaves = list(leaves.values())
        self.root = merkle.root(self.leaves)

    def place(self, account: str) -> tuple[int, bool]:
        """Where the name stands, or would stand, and whether it is there."""
        index = bisect_left(self.names, account)
        return index, index < len(self.names) and self.names[index] == account

    def proof(self, index: int) -> list[str]:
        return [sibling.hex() for sibling in merkle.inclusion(self.leaves, index, len(self.leaves))]


class SealTrees:
    """The trees of the seals that were last asked for: making one reads every account."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: dict[tuple[str, int], SealTree] = {}

    async def of(self, one: Seal) -> SealTree:
        """Raises `ValueError` when the stored states are not what was sealed."""
        key = one.journal, one.as_of
        tree = self._kept.pop(key, None)
        if tree is None:
            states = await load(self._ledger, one.journal, one.as_of)
            tree = await asyncio.to_thread(SealTree, states)
            if tree.root != one.state_root:
                raise ValueError(f"{one.journal}: the stored states are not those of the seal of {one.as_of}")
        self._kept[key] = tree
        while len(self._kept) > 1 and sum(len(kept.names) for kept in self._kept.values()) > CACHE_LEAVES_MAX:
            del self._kept[next(iter(self._kept))]
        return tree
