# SPDX-License-Identifier: Apache-2.0
"""The ledger's values: accounts, postings, drafts and sealed entries.

Amounts are integers in hundredths (100 is 1 分). A lot is the last day on which its points are good, `YYYY-MM-DD`;
what never lapses has the lot `FOREVER`, which an entry leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

STANDING = "standing"
POINTS = "points"
UNITS = (STANDING, POINTS)
FOREVER = "9999-12-31"
AMOUNT_MAX = 10**12  # 10 milliard 分 in hundredths: far above any county, far below 2^53

ISSUER = "issuer"
EXPIRED = "expired"
REDEEMED = "redeemed"
ADJUSTMENT = "adjustment"

KINDS = frozenset(
    [
        "open",
        "policy",
        "key",
        "award",
        "deduct",
        "hold",
        "capture",
        "release",
        "refund",
        "void",
        "reverse",
        "expire",
        "relot",
        "adjust",
        "fund",
        "settle",
        "benefit",
        "objection",
        "decision",
        "edition",
        "seal",
        "erase",
        "move",
        "close",
    ]
)


def subject_account(subject: str) -> str:
    return f"subject:{subject}"


def held_account(hold: str) -> str:
    return f"held:{hold}"


def minus_account(subject: str) -> str:
    return f"minus:{subject}"


def debt_account(subject: str) -> str:
    return f"debt:{subject}"


def merchant_account(merchant: str) -> str:
    return f"merchant:{merchant}"


def bounds(account: str) -> tuple[int, int]:
    """Lowest and highest balance of one (account, unit, lot) row. The database holds the same in a CHECK."""
    if account in (ISSUER, EXPIRED, ADJUSTMENT):
        return -(2**53), 2**53
    if account.startswith(("minus:", "debt:")):
        return -(2**53), 0
    return 0, 2**53


class Posting(msgspec.Struct, omit_defaults=True, gc=False):
    """One line of an entry, as it is written there. Lines of an entry sum to zero per unit."""

    account: str
    unit: str
    lot: str = FOREVER
    amount: int = 0


class Link(msgspec.Struct, omit_defaults=True, gc=False):
    """A pointer to an earlier entry: what it is to this one, where it stands and its leaf in hex.

    In an entry `journal` is left out (empty) where it is the entry's own.
    """

    rel: str
    journal: str = ""
    seq: int = -1
    leaf: str = ""


class CapUse(msgspec.Struct, rename={"start": "from", "end": "to"}, gc=False):
    """What one cap counted for this entry; `start` and `end` are the window's first and last day."""

    id: str
    start: str
    end: str
    limit: int
    used_before: int
    let: int


@dataclass(slots=True)
class Act:
    """Who acts, when it happened, and under which request: what every entry of one business transaction shares.

    `request` is the canonical request; `key` the data key of the subject the entry names, if it names one; `txn`
    groups entries (a batch is many entries with one `txn`).
    """

    actor: str
    occurred_on: str
    request: bytes
    txn: str
    key: bytes | None = None
    memo: bytes | None = None


@dataclass(slots=True)
class Draft:
    """An entry before it has its place; what does not apply is left out. Bytes here become keyed digests there."""

    kind: str
    journal: str
    act: Act
    postings: list[Posting] = field(default_factory=list[Posting])
    subject: str | None = None
    group: str | None = None
    place: str | None = None
    rule: str | None = None
    pack: str | None = None
    cause: bytes | None = None
    trace: bytes | None = None
    evidence: Sequence[bytes] = ()
    caps: Sequence[CapUse] = ()
    links: Sequence[Link] = ()
    data: dict[str, Any] | None = None


class Sealed(NamedTuple):
    """An entry in its place: the bytes that were hashed, and the columns that are read from them."""

    journal: str
    seq: int
    leaf: bytes
    prev: bytes
    kind: str
    subject: str | None
    recorded_at: int
    body: bytes

    def link(self, rel: str) -> Link:
        return Link(rel, self.journal, self.seq, self.leaf.hex())


class Fields(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """The fields of an entry, docs/spec/entry.md; one that does not apply is left out."""

    actor: str
    caps: Sequence[CapUse]
    cause: str | None = None
    data: dict[str, Any] | None = None
    evidence: Sequence[str]
    group: str | None = None
    journal: str
    kind: str
    links: Sequence[Link]
    memo: str | None = None
    nonce: str
    occurred_on: str
    pack: str | None = None
    place: str | None = None
    postings: Sequence[Posting]
    prev: str
    recorded_at: str
    request: str
    rule: str | None = None
    seq: int
    subject: str | None = None
    trace: str | None = None
    txn: str
    v: int


@dataclass(slots=True)
class Head:
    """Where a journal stands: how many entries, the last leaf, its instant, its zone, and whether its past is open."""

    journal: str
    size: int
    leaf: bytes
    recorded_at: int
    zone: str
    takeover: int

    @property
    def place(self) -> tuple[int, bytes]:
        return self.size, self.leaf
