# SPDX-License-Identifier: Apache-2.0
"""The ledger a second time, as simple as it can be said: dictionaries, and nothing imported from the ledger.

Written from docs/spec/entry.md and the design, so that one reading of the rules checks the other. It knows balances,
lots, holds, caps, deeds, benefits, reversals, moves and lists; it knows no bytes, hashes, databases or batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

NEVER = "9999-12-31"


class No(Exception):
    """A refusal by its code."""


@dataclass
class Account:
    kind: str
    state: str
    home: str


@dataclass
class Booking:
    """One award or deduction: what it put where, so that it can be taken back."""

    journal: str
    subject: str
    deed: str
    lines: list[tuple[str, str, str, int]]  # role, unit, lot, amount
    caps: list[tuple[str, str, int]]
    reversed: bool = False


@dataclass
class Hold:
    journal: str
    subject: str
    merchant: str  # whom it is meant for
    expires_at: int
    lots: dict[str, int]
    held: dict[str, int]
    spent: dict[str, int] = field(default_factory=dict)
    state: str = "held"
    released: int = 0
    refunded: int = 0
    captured: int = 0
    grace: str = ""
    captor: str = ""  # who captured


class Reference:
    """The same questions and answers as the book; `today` and `now` are set by the test."""

    def __init__(self) -> None:
        self.now = 0
        self.today = ""
        self.accounts: dict[tuple[str, str], Account] = {}  # (journal, subject)
        self.balances: dict[tuple[str, str, str, str], int] = {}  # (journal, account, unit, lot)
        self.used: dict[tuple[str, str, str, str], int] = {}  # (journal, subject, cap, start)
        self.deeds: dict[tuple[str, str], tuple[int, bool]] = {}  # (subject, deed) → booking, replaced
        self.bookings: list[Booking] = []
        self.holds: dict[str, Hold] = {}
        self.undone: set[str] = set()
        self.lists: dict[str, str] = {}  # id of an edition → journal; of each one, once
        self.granted: dict[tuple[str, str, str], int] = {}  # (journal, edition, place) → fen

    # small things --------------------------------------------------------------------------------------------

    def post(self, journal: str, account: str, unit: str, lot: str, amount: int) -> None:
        key = (journal, account, unit, lot)
        total = self.balances.get(key, 0) + amount
        if account.split(":")[0] in ("subject", "held", "merchant", "redeemed"):
            assert total >= 0, (key, total)
        if account.split(":")[0] in ("minus", "debt"):
            assert total <= 0, (key, total)
        self.balances.pop(key, None)
        if total:
            self.balances[key] = total

    def lots(self, journal: str, account: str, unit: str = "points") -> dict[str, int]:
        return {k[3]: v for k, v in sorted(self.balances.items()) if k[:3] == (journal, account, unit)}

    def open_here(self, journal: str, subject: str) -> Account:
        account = self.accounts.get((journal, subject))
        if account is None:
            raise No("subject_unknown")
        if account.state != "open":
            raise No("subject_moved")
        return account

    def home(self, subject: str) -> str:
        return next(j for (j, s), account in self.accounts.items() if s == subject and account.state == "open")

    def spendable(self, journal: str, subject: str) -> int:
        if self.lots(journal, f"debt:{subject}"):
            return 0
        return sum(v for lot, v in self.lots(journal, f"subject:{subject}").items() if lot >= self.today)

    # the book ------------------------------------------------------------------------------------------------

    def open(self, journal: str, subject: str, kind: str, base: int) -> None:
        self.accounts[journal, subject] = Account(kind, "open", journal)
        self.post(journal, "issuer", "standing", NEVER, -base)
        self.post(journal, f"subject:{subject}", "standing", NEVER, base)

    def let_through(self, journal: str, subject: str, asked: int, caps: list[tuple[str, str, int]]) -> list[int]:
        """What each nested cap (id, window start, limit) lets through of what the one before let through."""
        let: list[int] = []
        for cap, start, limit in caps:
            asked = max(0, min(asked, limit - self.used.get((journal, subject, cap, start), 0)))
            let.append(asked)
        return let

    def award(
        self, journal: str, subject: str, deed: str, standing: int, points: int, lot: str,
        caps: list[tuple[str, str, int]], replaces: int | None = None,
    ) -> int:  # fmt: skip
        account = self.open_here(journal, subject)
        known = self.deeds.get((subject, deed))
        if known is not None:
            first, replaced = known
            if replaces != first or not self.bookings[first].reversed:
                raise No("duplicate_cause")
            if replaced:
                raise No("already_replaced")
        if standing < 0 and account.kind != "body":
            raise No("group_mismatch")
        let = self.let_through(journal, subject, points, caps)
        points = let[-1] if caps else points
        lines: list[tuple[str, str, str, int]] = []
        if standing:
            lines.append(("subject" if standing > 0 else "minus", "standing", lot, standing))
        for day, owed in self.lots(journal, f"debt:{subject}").items() if account.kind == "body" else ():
            back = min(points, -owed)
            if back:
                lines.append(("debt", "points", day, back))
                points -= back
        if points:
            lines.append(("subject", "points", lot, points))
        for role, unit, day, amount in lines:
            self.post(journal, f"{role}:{subject}", unit, day, amount)
            self.post(journal, "issuer", unit, NEVER, -amount)
        counted = []
        for (cap, start, _), part in zip(caps, let, strict=True):
            self.used[journal, subject, cap, start] = self.used.get((journal, subject, cap, start), 0) + part
            counted.append((cap, start, part))
        self.bookings.append(Booking(journal, subject, deed, lines, counted))
        number = len(self.bookings) - 1
        self.deeds[subject, deed] = (number, False) if known is None else (known[0], True)
        return number

    def reverse(self, number: int, policy: str) -> tuple[int, int]:
        """(shortfall, lapsed)."""
        booking = self.bookings[number]
        if booking.reversed:
            raise No("already_reversed")
        subject, home = booking.subject, self.home(booking.subject)
        body = self.accounts[home, subject].kind == "body"
        shortfall = lapsed = 0
        for role, unit, lot, amount in booking.lines:
            account = f"{role}:{subject}"
            if lot < self.today:
                lapsed += abs(amount)
                continue
            if role == "debt":
                taken = [(account, lot, amount)]
            elif role == "minus":
                taken = [(account, lot, max(amount, self.lots(home, account, unit).get(lot, 0)))]
            else:
                taken, missing = [], amount
                stock = self.lots(home, account, unit)
                days = [lot] + ([d for d in stock if d != lot] if body and policy != "only_available" else [])
                for day in days:
                    part = min(missing, stock.get(day, 0)) if day >= self.today else 0
                    taken.append((account, day, part))
                    missing -= part
                if missing and body and policy == "allow_debt" and unit == "points":
                    taken.append((f"debt:{subject}", NEVER, missing))
                    missing = 0
                shortfall += missing
            for name, day, part in taken:
                self.post(home, name, unit, day, -part)
                self.post(home, "issuer", unit, NEVER, part)
        for cap, start, part in booking.caps:
            if part:
                self.used[home, subject, cap, start] -= part
        booking.reversed = True
        return shortfall, lapsed

    def hold(self, journal: str, subject: str, name: str, merchant: str, amount: int, expires_at: int) -> None:
        self.open_here(journal, subject)
        if amount <= 0 or self.spendable(journal, subject) < amount:
            raise No("insufficient_points")
        taken: dict[str, int] = {}
        for lot, there in self.lots(journal, f"subject:{subject}").items():
            part = min(there, amount - sum(taken.values())) if lot >= self.today else 0
            if part:
                taken[lot] = part
                self.post(journal, f"subject:{subject}", "points", lot, -part)
                self.post(journal, f"held:{name}", "points", lot, part)
        self.holds[name] = Hold(journal, subject, merchant, expires_at, dict(taken), dict(taken))

    def capture(self, name: str, amount: int, merchant: str = "") -> None:
        hold = self.holds[name]
        merchant = merchant or hold.merchant
        if hold.state == "expired" or (hold.state == "held" and self.now >= hold.expires_at):
            raise No("hold_expired")
        left = sum(hold.held.values())
        if hold.state != "held":
            raise No("already_captured")
        if hold.captor and hold.captor != merchant:
            raise No("forbidden")
        if amount <= 0 or amount > left:
            raise No("exceeds_original")
        self.post(hold.journal, f"merchant:{merchant}", "points", NEVER, amount)
        hold.captured += amount
        hold.captor = merchant
        for lot in sorted(hold.held):
            part = min(amount, hold.held[lot])
            self.post(hold.journal, f"held:{name}", "points", lot, -part)
            hold.held[lot] -= part
            hold.spent[lot] = hold.spent.get(lot, 0) + part
            amount -= part
        if not sum(hold.held.values()):
            hold.state = "closed"

    def release(self, name: str, expired: bool = False) -> None:
        hold = self.holds[name]
        if expired and (hold.state != "held" or self.now < hold.expires_at):
            raise No("hold_open")
        if hold.state != "held":
            return
        for lot, part in hold.held.items():
            self.post(hold.journal, f"held:{name}", "points", lot, -part)
            self.give_back(hold, lot, part)
            hold.released += part
            hold.held[lot] = 0
        hold.state = "expired" if expired else "closed"

    def give_back(self, hold: Hold, lot: str, part: int) -> None:
        if lot < self.today:
            self.post(hold.journal, "expired", "points", NEVER, part)
            return
        home = self.home(hold.subject)
        self.post(home, f"subject:{hold.subject}", "points", lot, part)
        if home != hold.journal:  # value leaves one journal through its issuer and enters the other through its own
            self.post(hold.journal, "issuer", "points", NEVER, part)
            self.post(home, "issuer", "points", NEVER, -part)

    def refund(self, name: str, amount: int, merchant: str = "") -> None:
        hold = self.holds[name]
        merchant = merchant or hold.captor
        if amount <= 0 or amount > sum(hold.spent.values()):
            raise No("exceeds_original")
        if hold.captor != merchant:
            raise No("forbidden")
        if self.lots(hold.journal, f"merchant:{merchant}").get(NEVER, 0) < amount:
            raise No("merchant_overdrawn")
        self.post(hold.journal, f"merchant:{merchant}", "points", NEVER, -amount)
        hold.refunded += amount
        for lot in sorted(hold.spent, reverse=True):
            part = min(amount, hold.spent[lot])
            hold.spent[lot] -= part
            amount -= part
            day = lot
            if part and lot < self.today:
                hold.grace = hold.grace or (date.fromisoformat(self.today) + timedelta(days=30)).isoformat()
                day = hold.grace
            if part:
                self.give_back(hold, day, part)

    def settle(self, journal: str, merchant: str, amount: int) -> None:
        if self.lots(journal, f"merchant:{merchant}").get(NEVER, 0) < amount:  # nothing: only benefits are paid
            raise No("merchant_overdrawn")
        self.post(journal, f"merchant:{merchant}", "points", NEVER, -amount)
        self.post(journal, "redeemed", "points", NEVER, amount)

    def undo(self, redemption: str) -> None:
        if redemption in self.undone:
            raise No("redemption_closed")
        self.undone.add(redemption)

    def publish(self, journal: str, edition: str) -> str:
        assert edition not in self.lists
        self.lists[edition] = journal
        return edition

    def grant(self, edition: str, place: str, fen: int) -> None:
        """Money, of which points know nothing."""
        assert fen > 0
        self.granted[self.lists[edition], edition, place] = fen

    def sweep(self, journal: str, subject: str) -> None:
        for (j, account, unit, lot), amount in list(self.balances.items()):
            if j == journal and account in (f"subject:{subject}", f"minus:{subject}") and lot < self.today:
                self.post(j, account, unit, lot, -amount)
                self.post(j, "expired", unit, NEVER, amount)

    def relot(self, journal: str, subject: str, lot: str, later: str, amount: int) -> None:
        self.open_here(journal, subject)
        if later <= lot or amount <= 0:
            raise No("facts_invalid")
        there = self.lots(journal, f"subject:{subject}").get(lot, 0) if lot >= self.today else 0
        if there < amount:
            raise No("insufficient_points")
        self.post(journal, f"subject:{subject}", "points", lot, -amount)
        self.post(journal, f"subject:{subject}", "points", later, amount)

    def move(self, origin: str, target: str, subject: str) -> None:
        account = self.open_here(origin, subject)
        if origin == target:
            raise No("already_registered")
        names = [f"{role}:{subject}" for role in ("subject", "minus", "debt")]
        for (j, name, unit, lot), amount in list(self.balances.items()):
            if j == origin and name in names:
                for place, sign in ((origin, -1), (target, 1)):
                    self.post(place, name, unit, lot, sign * amount)
                    self.post(place, "issuer", unit, NEVER, -sign * amount)
        for (j, s, cap, start), used in list(self.used.items()):
            if (j, s) == (origin, subject):
                self.used[target, subject, cap, start] = used
        self.accounts[origin, subject] = Account(account.kind, "moved", target)
        self.accounts[target, subject] = Account(account.kind, "open", target)
