# SPDX-License-Identifier: Apache-2.0
"""What one journal's entries have made so far: accounts, members, caps, holds, and what other journals must confirm.

Pure state. `kinds` says what an entry may do to it, `award` does the common case fast; `derived` compares it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from ledger import codec
from ledger.model import FOREVER, POINTS, STANDING, UNITS, bounds
from ledger.verify.reading import Fault, Line, need
from ledger.view import local_day

Cap = tuple[str, str]  # cap and first day of its window
Counts = dict[Cap, int]
Place = tuple[str, int]  # journal and seq
Lots = dict[tuple[str, str], int]  # (unit, lot) → amount

SKEW_US = 5_000_000  # recorded_at may be ahead of the clock by which an entry was decided by this much


class Unsure(Exception):
    """Something that was put aside turned up again: only a replay that puts nothing aside can say what is wrong."""


@dataclass(slots=True)
class Member:
    """A subject in this journal. `counts` are what its caps have counted here; `came` is the entry it moved in from,
    and `assumed` what its caps were said to have counted before that, by the entry that said so. `stated`: it was here
    before the check started, so what its caps had counted is what its next entry says."""

    kind: str
    state: str
    home: str
    opened: int
    lots: Lots
    counts: Counts = field(default_factory=dict[Cap, int])
    came: Place | None = None
    assumed: dict[Cap, tuple[int, int]] = field(default_factory=dict[Cap, tuple[int, int]])
    owes: bool = False
    stated: bool = False


@dataclass(slots=True)
class Held:
    """A hold as its entries tell it; `lots`: day → [still held, captured and not refunded]."""

    subject: str
    expires_at: str
    amount: int
    seq: int
    leaf: str
    lots: dict[str, list[int]]
    state: str = "held"
    captured: int = 0
    released: int = 0
    refunded: int = 0
    grace: str = ""
    merchant: str = ""  # who captured


@dataclass(slots=True)
class Departure:
    """A subject that moved away: where to, what its caps had counted here, where it had come from, and the hash that
    the entry states."""

    subject: str
    to: str
    kind: str
    counts: Counts
    came: Place | None
    tallies: str
    stated: bool = False


@dataclass(slots=True)
class Abroad:
    """What this journal says of others, and others must confirm. By seq."""

    departures: dict[int, Departure] = field(default_factory=dict[int, Departure])
    arrivals: dict[int, tuple[str, str, Place]] = field(default_factory=dict[int, tuple[str, str, Place]])
    sent: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])  # subject, journal
    received: dict[int, Place] = field(default_factory=dict[int, Place])
    assumed: list[tuple[int, str, Cap, int, Place]] = field(default_factory=list[tuple[int, str, Cap, int, Place]])
    reversals: dict[Place, tuple[int, int, str]] = field(default_factory=dict[Place, tuple[int, int, str]])
    replaced: list[tuple[int, str, str, Place]] = field(default_factory=list[tuple[int, str, str, Place]])
    erased: set[str] = field(default_factory=set[str])
    lapsed: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])  # given to nobody: who must be erased


class Book:
    """One journal. `find` reads an earlier entry of any journal: its body and leaf, or None."""

    def __init__(
        self, journal: str, find: Callable[[str, int], tuple[bytes, bytes] | None], movers: frozenset[str] = frozenset()
    ) -> None:
        self.journal = journal
        self.find = find
        self.movers = movers  # what their caps have counted is never put aside
        self.zone = "UTC"
        self.size = 0
        self.takeover = 0
        self.recorded_at = 0
        self.genesis: dict[str, Any] = {}
        self.accounts: dict[str, Lots] = {}
        self.members: dict[str, Member] = {}
        self.holds: dict[str, Held] = {}
        self.passing = self.passing_txn = ""  # a hold whose refund the next entry passes on, and in which txn
        self.passed: list[tuple[str, int]] = []  # by (lot, amount)
        self.issued_standing = self.issued_points = 0  # given out by awards since `settle_up`
        self.causes: list[str] = []  # of first awards since `settle_up`, with their places
        self.cause_seqs: list[int] = []
        self.deeds = 0  # over all first awards: the sum of the hashes of their rows
        self.deed_count = 0
        self.keys: list[tuple[int, str, str]] = []  # seq, vkey, authority
        self.losses: list[tuple[int, dict[str, Any]]] = []
        self.seals: list[tuple[int, dict[str, Any]]] = []
        self.sealed: dict[int, dict[str, Any]] = {}  # what a seal of that size must say
        self.once: set[tuple[str, ...]] = set()  # what is said once of an id: (objection | benefit | edition | …, id)
        self.abroad = Abroad()
        self.live = 0  # counts in memory
        self.until: dict[Cap, str] = {}  # last day of each window
        self.spent: dict[str, int] = {}  # counts put aside, by first day of the window
        self.gone = 0  # holds put aside

    # time ------------------------------------------------------------------------------------------------------

    def days(self) -> tuple[str, ...]:
        """The day on which the entry was decided: two where it was midnight just then."""
        latest = local_day(self.recorded_at, self.zone)
        earliest = local_day(self.recorded_at - SKEW_US, self.zone)
        return (latest,) if earliest == latest else (latest, earliest)

    # accounts --------------------------------------------------------------------------------------------------

    def lots(self, account: str, unit: str) -> list[tuple[str, int]]:
        """(lot, amount) of one account in one unit, earliest first."""
        return sorted([(lot, amount) for (one, lot), amount in self.accounts.get(account, {}).items() if one == unit])

    def post(self, lines: list[Line]) -> None:
        """Apply postings. Raises `Fault` where a balance would leave its bounds."""
        for account, unit, lot, amount in lines:
            held = self.accounts.get(account)
            if held is None:
                held = self.accounts[account] = {}
            key = (unit, lot)
            balance = held.get(key, 0) + amount
            low, high = bounds(account)
            if not low <= balance <= high:
                raise Fault(f"balance of {account} in lot {lot} would be {balance}")
            if balance:
                held[key] = balance
            else:
                held.pop(key, None)
                if not held and account.startswith("held:"):
                    del self.accounts[account]

    def everything(self, subject: str) -> list[tuple[str, str, str, int]]:
        """All that a subject has and owes: (account, unit, lot, amount)."""
        return [
            (account, unit, lot, amount)
            for account in (f"subject:{subject}", f"minus:{subject}", f"debt:{subject}")
            for unit in UNITS
            for lot, amount in self.lots(account, unit)
        ]

    # members ---------------------------------------------------------------------------------------------------

    def member(self, subject: str) -> Member:
        """The subject, whose home is here. Raises `Fault`."""
        found = self.members.get(subject)
        need(found is not None, f"{subject} has no account here")
        assert found is not None
        need(found.state == "open", f"the account of {subject} is {found.state}")
        return found

    def enter(self, subject: str, kind: str, seq: int) -> Member:
        """A new member, or one that comes back."""
        account = f"subject:{subject}"
        lots = self.accounts.setdefault(account, {})
        before = self.members.get(subject)
        opened = seq if before is None else before.opened
        found = self.members[subject] = Member(kind, "open", self.journal, opened, lots)
        return found

    def note_debt(self, subject: str) -> None:
        found = self.members.get(subject)
        if found is not None:
            found.owes = bool(self.lots(f"debt:{subject}", POINTS))

    # caps ------------------------------------------------------------------------------------------------------

    def count(self, seq: int, subject: str, found: Member, cap: dict[str, Any]) -> None:
        """Count one cap on from what it had counted. Raises `Fault`."""
        key = (cap["id"], cap["from"])
        before, after = cap["used_before"], cap["used_before"] + cap["let"]
        known = found.counts.get(key)
        if known is None:
            if found.came is not None:
                found.assumed[key] = (seq, before)
                self.abroad.assumed.append((seq, subject, key, before, found.came))
            elif before and not found.stated:
                if self.spent.get(key[1]):
                    raise Unsure
                raise Fault(f"cap {key[0]} counted {before} before, the replay 0")
            self.live += 1
            self.until[key] = max(cap["to"], self.until.get(key, ""))
        elif known != before:
            raise Fault(f"cap {key[0]} counted {before} before, the replay {known}")
        need(after >= 0, f"cap {key[0]} would have counted {after}")
        if cap["let"] > 0:
            need(after <= cap["limit"], f"cap {key[0]} let {after} through, its limit is {cap['limit']}")
        found.counts[key] = after

    def all_counts(self, subject: str, found: Member) -> Counts:
        """What a subject's caps have counted here since it came, all of it."""
        if self.spent and subject not in self.movers:
            raise Unsure
        return dict(found.counts)

    def recall(self, hold: str, seq: int) -> Held:
        """A hold that is not in memory, said to be opened by entry `seq`: it never was, or it has been put aside."""
        raise Unsure() if self.gone else Fault(f"hold {hold} was never opened")

    # deeds -----------------------------------------------------------------------------------------------------

    def settle_up(self) -> None:
        """Book what awards have left to be done for many at once.

        The row of the table of deeds that a first award makes is added to a sum that no other set of rows has: of
        hashes of this process, whose key is drawn when it starts.
        """
        self.deeds += deeds_sum(self.causes, repeat(self.journal), self.cause_seqs)
        self.deed_count += len(self.causes)
        self.causes.clear()
        self.cause_seqs.clear()
        if self.issued_standing or self.issued_points:
            lines = [
                ("issuer", STANDING, FOREVER, -self.issued_standing),
                ("issuer", POINTS, FOREVER, -self.issued_points),
            ]
            self.post([line for line in lines if line[3]])
            self.issued_standing = self.issued_points = 0

    def entry(self, journal: str, seq: int, leaf: str) -> dict[str, Any]:
        """The entry a link names. Raises `Fault` unless it is there and is what was hashed."""
        there = self.find(journal, seq) if journal != self.journal or seq < self.size else None
        if there is None or there[1].hex() != leaf or codec.leaf_hash(there[0]) != there[1]:
            raise Fault(f"it links an entry {journal}/{seq} that is not there")
        try:
            return codec.decode(there[0])
        except codec.NotCanonical as error:
            raise Fault(f"it links an entry {journal}/{seq} that cannot be read") from error


def deeds_sum(causes: Iterable[str], journals: Iterable[str], seqs: Iterable[int]) -> int:
    """The sum over rows of the table of deeds. Of hashes of texts, not of tuples: sums of those stay the same, one time
    in a few, when two rows exchange their places."""
    return sum(map(hash, map("{} {} {}".format, causes, journals, seqs)))


def lines_of(entry: dict[str, Any]) -> list[Line]:
    """The postings of an entry that was read elsewhere."""
    try:
        return [(line["account"], line["unit"], line.get("lot", FOREVER), line["amount"]) for line in entry["postings"]]
    except (KeyError, TypeError) as error:
        raise Fault("it links an entry that cannot be read") from error
