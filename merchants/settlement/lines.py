# SPDX-License-Identifier: Apache-2.0
"""An entry as one line of a shop's statement, and what such lines add up to.

Points are in hundredths. What is owed is kept exactly, in hundredths of a fen, for each journal, budget, scenario and
rate since the shop's first entry; whole fen are cut from that sum alone, so months add up without a remainder lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from ledger import codec

KINDS = ("capture", "refund", "void", "benefit", "settle")


class BadEntry(ValueError):
    """The bytes are not those that were hashed, or not what a statement is made of; the message says which."""


class Group(NamedTuple):
    """What is reckoned together."""

    journal: str
    budget: str
    scenario: str
    fen_per_point: int


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. `points` to (+) or from (-) the shop; `owed` in hundredths of a fen; `fen` what a settlement paid
    under the `statement` (its digest) of a `period`; `quantity` of a benefit without points. `leaf` in hex, `at` as in
    the entry."""

    journal: str
    seq: int
    leaf: str
    day: str
    at: str
    kind: str
    points: int = 0
    redemption: str = ""
    budget: str = ""
    scenario: str = ""
    fen_per_point: int = 0
    quantity: int = 0
    owed: int = 0
    fen: int = 0
    period: str = ""
    statement: str = ""

    @property
    def group(self) -> Group:
        return Group(self.journal, self.budget, self.scenario, self.fen_per_point)


def read(body: bytes, leaf: bytes) -> tuple[str, Line]:
    """(merchant, line) of an entry as stored. Raises `BadEntry`."""
    if codec.leaf_hash(body) != leaf:
        raise BadEntry("the bytes are not those that were hashed")
    try:
        entry = codec.decode(body)
        return _read(entry, leaf.hex())
    except (codec.NotCanonical, KeyError, ValueError) as error:
        raise BadEntry(str(error)) from error


def _read(entry: dict[str, Any], leaf: str) -> tuple[str, Line]:
    kind, data = entry["kind"], entry.get("data", {})
    if kind not in KINDS:
        raise BadEntry(f"an entry of kind {kind} is on no statement")
    points, merchant, redemption = 0, data.get("merchant", ""), data.get("redemption", "")
    for posting in entry["postings"]:
        role, _, owner = posting["account"].partition(":")
        if role == "merchant":
            merchant, points = owner, points + posting["amount"]
        elif role == "held":
            redemption = owner
    if not merchant:
        raise BadEntry("names no merchant")
    place = (entry["journal"], entry["seq"], leaf, entry["occurred_on"], entry["recorded_at"], kind, points)
    if kind == "settle":
        return merchant, Line(*place, fen=data["fen"], period=data["period"], statement=data["statement"])
    rate = data.get("fen_per_point", 0)
    terms = (redemption, data.get("budget", ""), data.get("scenario", ""), rate)
    if kind == "benefit":
        return merchant, Line(*place, *terms, quantity=data["quantity"], owed=100 * data["fen"])
    return merchant, Line(*place, *terms, owed=points * rate)


@dataclass(slots=True)
class Account:
    """A shop's lines added up since its first entry: points it holds by journal, what it was owed by group, fen paid by
    journal."""

    held: dict[str, int] = field(default_factory=dict[str, int])
    owed: dict[Group, int] = field(default_factory=dict[Group, int])
    paid: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, lines: Iterable[Line]) -> Self:
        for line in lines:
            self.held[line.journal] = self.held.get(line.journal, 0) + line.points
            if line.kind == "settle":
                self.paid[line.journal] = self.paid.get(line.journal, 0) + line.fen
            else:
                self.owed[line.group] = self.owed.get(line.group, 0) + line.owed
        return self

    def copy(self) -> Account:
        return Account(dict(self.held), dict(self.owed), dict(self.paid))

    def unpaid(self, journal: str) -> int:
        """Fen owed and not paid yet in a journal."""
        owed = sum(exact // 100 for group, exact in self.owed.items() if group.journal == journal)
        return owed - self.paid.get(journal, 0)

    @property
    def journals(self) -> list[str]:
        return sorted(self.held.keys() | self.paid.keys() | {group.journal for group in self.owed})

    @property
    def open(self) -> bool:
        """Is there anything to settle, or to carry on?"""
        return any(self.held.get(journal) or self.unpaid(journal) for journal in self.journals)
