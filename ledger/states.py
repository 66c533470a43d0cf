# SPDX-License-Identifier: Apache-2.0
"""What every account of one journal holds after its first entries, folded entry by entry, and the root over it.

Pure: no store. docs/spec/seal.md says what a state is; the seal run, statements and the audit fold it here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from ledger import codec, merkle
from ledger.model import FOREVER, Posting
from ledger.tables import Row

ZERO_HEAD = bytes(32)
NOTHING = "[]"
_OWNED = ("subject:", "minus:", "debt:", "merchant:", "fund:")
_sha256 = hashlib.sha256


class Lines(msgspec.Struct, gc=False):
    """What folding needs of an entry."""

    seq: int
    postings: list[Posting]


_lines = msgspec.json.Decoder(Lines).decode


class _Amount(msgspec.Struct, omit_defaults=True, gc=False):
    amount: int
    lot: str = FOREVER
    unit: str = ""


_amounts = msgspec.json.Decoder(list[_Amount]).decode


class State(NamedTuple):
    """One account at one size: how many entries have posted to it, their running hash, and what is not zero by
    (unit, lot), as canonical JSON."""

    version: int
    head: bytes
    balances: str


def owned(account: str) -> bool:
    """Does somebody own it? Only then it has a history, and stays in every seal once it is there."""
    return account.startswith(_OWNED)


def state_bytes(account: str, state: State) -> bytes:
    """The canonical bytes of which the account's leaf is the hash."""
    balances = msgspec.Raw(state.balances.encode())
    said = {"account": account, "balances": balances, "head": state.head.hex(), "version": state.version}
    return codec.encode(said)


def next_head(head: bytes, leaf: bytes) -> bytes:
    """The head after one more entry: SHA-256(02 ‖ head ‖ leaf)."""
    return _sha256(b"\x02" + head + leaf).digest()


class _Open:
    """An account that entries are being folded into."""

    __slots__ = ("amounts", "head", "seqs", "version")

    def __init__(self, state: State) -> None:
        self.version, self.head = state.version, state.head
        self.amounts = {(one.unit, one.lot): one.amount for one in _amounts(state.balances.encode())}
        self.seqs: list[int] = []

    def state(self) -> State:
        # msgspec leaves a default out only where it is the same object, and an entry may have spelled this lot out.
        held = [
            _Amount(amount, FOREVER if lot == FOREVER else lot, unit)
            for (unit, lot), amount in sorted(self.amounts.items())
            if amount
        ]
        return State(self.version, self.head, codec.encode(held).decode())


class States:
    """All accounts of one journal after its first `size` entries. Memory: some 500 bytes an account."""

    def __init__(self, size: int = 0, known: Iterable[tuple[str, State]] = ()) -> None:
        self.size = size
        self._known = dict(known)
        self._open: dict[str, _Open] = {}
        self._leaves: dict[str, bytes] = {}

    def apply(self, body: bytes, leaf: bytes) -> None:
        """Fold the next entry. Raises `ValueError` for another one, or for bytes that are not this leaf's."""
        entry = _lines(body)
        if entry.seq != self.size or codec.leaf_hash(body) != leaf:
            raise ValueError(f"entry {self.size} is missing or is not what was hashed")
        self.fold([(line.account, line.unit, line.lot, line.amount) for line in entry.postings], leaf)

    def fold(self, lines: Iterable[tuple[str, str, str, int]], leaf: bytes) -> None:
        """The same for an entry that has been read already: its postings as (account, unit, lot, amount)."""
        touched: set[str] = set()
        for account, unit, lot, amount in lines:
            opened = self._open.get(account)
            if opened is None:
                opened = self._open[account] = _Open(self._known.get(account) or State(0, ZERO_HEAD, NOTHING))
            key = unit, lot
            opened.amounts[key] = opened.amounts.get(key, 0) + amount
            touched.add(account)
        for account in touched:
            if owned(account):
                opened = self._open[account]
                opened.version += 1
                opened.head = next_head(opened.head, leaf)
                opened.seqs.append(self.size)
        self.size += 1

    def close(self, journal: str) -> list[Row]:
        """Rows of `account_state` for what changed since the last time, by account."""
        rows: list[Row] = []
        for account, opened in sorted(self._open.items()):
            state = opened.state()
            if state.balances == NOTHING and not owned(account) and account not in self._known:
                continue  # came and went between two seals
            self._known[account] = state
            self._leaves.pop(account, None)
            seqs = codec.encode(opened.seqs).decode()
            rows.append((journal, account, self.size, state.version, state.head, state.balances, seqs))
        self._open.clear()
        return rows

    def sealed(self) -> Iterator[tuple[str, State]]:
        """What a seal states, in the order of its leaves; after `close`."""
        for account in sorted(self._known):
            state = self._known[account]
            if state.balances != NOTHING or owned(account):
                yield account, state

    def leaves(self) -> dict[str, bytes]:
        """Account → leaf, in the order of a seal's tree."""
        found: dict[str, bytes] = {}
        for account, state in self.sealed():
            leaf = self._leaves.get(account)
            if leaf is None:
                leaf = self._leaves[account] = codec.leaf_hash(state_bytes(account, state))
            found[account] = leaf
        return found

    def state(self, account: str) -> State | None:
        """The account's state in a seal at this size, None where it has none; after `close`."""
        state = self._known.get(account)
        return state if state is not None and (state.balances != NOTHING or owned(account)) else None

    def seal_data(self) -> dict[str, Any]:
        """The `data` of a seal of this size; after `close`."""
        leaves = list(self.leaves().values())
        return {"accounts": len(leaves), "as_of_size": self.size, "state_root": merkle.root(leaves).hex()}
