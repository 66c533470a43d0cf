# SPDX-License-Identifier: Apache-2.0
"""Cards, PINs and printed activation codes: how somebody without a smartphone shows who they are.

A subject has one PIN; the card's serial, or surname and phone tail, say whose it is. A try is taken inside the
ledger's commit before the PIN is looked at and given back after a right one, so guesses that race cannot be more
than five. Every failure is the same `not_identified`, after the same work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.people.indexes import Indexes
from api.people.tables import ACTIVATION, CARD, ERASURE, PERSON, PIN
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View

TRIES_MAX = 5
CODE_DAYS = 30
PIN_DIGITS = 6
_DAY_US = 86_400_000_000
_AT_ONCE = 4  # PINs hashed at the same time: each takes 19 MiB
_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

ACTIVE, FROZEN, REPLACED = "active", "frozen", "replaced"


class Issued(NamedTuple):
    """What is printed once and then known to nobody but the holder."""

    serial: str
    pin: str


class Code(NamedTuple):
    """A printed activation code, good until `expires_at` (µs)."""

    code: str
    expires_at: int


class Claim(NamedTuple):
    """Who a serial, tail or code says it is, and the hash that the PIN must fit ("" where none is set yet)."""

    subject: str
    hash: str


@dataclass(frozen=True, slots=True)
class _Try:
    """Takes one of the five tries. The value is a `Claim`, or None where there is nobody to try."""

    serial: str = ""
    subject: str = ""
    code: bytes = b""
    at_till: bool = True
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        if self.serial:
            yield CARD, (self.serial,)
        if self.code:
            yield ACTIVATION, (self.code,)
        if self.subject:
            yield PIN, (self.subject,)
            yield PERSON, (self.subject,)

    def decide(self, view: View) -> Answer:
        claim = self._claim(view)
        if claim is None and self.at_till:  # written as well, or a commit that takes no time says that there is nobody
            view.get(PIN, "")
            view.put(PIN, ("", "", 0, view.now_us))
        return Answer(value=claim)

    def _claim(self, view: View) -> Claim | None:
        subject = self._who(view)
        if subject is None:
            return None
        if self.at_till:
            person = view.get(PERSON, subject)
            if person is not None and not (person[6] and person[8]):
                return None  # no consent to be known to merchants
        row = view.get(PIN, subject)
        if row is None:
            return Claim(subject, "") if self.code else None
        if row[2] >= TRIES_MAX:
            return None
        view.put(PIN, (subject, row[1], row[2] + 1, row[3]))
        return Claim(subject, row[1])

    def _who(self, view: View) -> str | None:
        if self.serial:
            card = view.get(CARD, self.serial)
            return card[1] if card is not None and card[2] == ACTIVE else None
        if self.code:
            row = view.get(ACTIVATION, self.code)
            return row[1] if row is not None and not row[3] and row[2] > view.now_us else None
        return self.subject or None


@dataclass(frozen=True, slots=True)
class _Right:
    """Gives the tries back after a right PIN; uses up the code, and sets the first PIN, where one was given.

    The value is False when PIN or code have changed in the meantime.
    """

    claim: Claim
    code: bytes = b""
    first: str = ""
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield PIN, (self.claim.subject,)
        if self.code:
            yield ACTIVATION, (self.code,)

    def decide(self, view: View) -> Answer:
        subject, hash_ = self.claim
        row = view.get(PIN, subject)
        if (row[1] if row else "") != hash_:
            return Answer(value=False)
        if self.code:
            code = view.get(ACTIVATION, self.code)
            if code is None or code[3]:
                return Answer(value=False)
            view.put(ACTIVATION, (*code[:3], view.now_us))
        if row is None:
            view.put(PIN, (subject, self.first, 0, view.now_us))
        else:
            view.put(PIN, (subject, hash_, 0, row[3]))
        return Answer(value=True)


@dataclass(frozen=True, slots=True)
class _Issue:
    """A new card with a new PIN; cards issued before are replaced."""

    subject: str
    serial: str
    hash: str
    before: tuple[str, ...]
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield PERSON, (self.subject,)
        yield ERASURE, (self.subject,)
        yield PIN, (self.subject,)
        for serial in (self.serial, *self.before):
            yield CARD, (serial,)

    def decide(self, view: View) -> Answer:
        _still_there(view, self.subject)
        if view.get(CARD, self.serial) is not None:
            return Answer(value=False)
        now = view.now_us
        view.get(PIN, self.subject)
        for serial in self.before:
            row = view.get(CARD, serial)
            if row is not None and row[2] != REPLACED:
                view.put(CARD, (serial, row[1], REPLACED, row[3], now))
        view.put(CARD, (self.serial, self.subject, ACTIVE, now, now))
        view.put(PIN, (self.subject, self.hash, 0, now))
        return Answer(201, self.serial, True)


@dataclass(frozen=True, slots=True)
class _Freeze:
    serials: tuple[str, ...]
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield from ((CARD, (serial,)) for serial in self.serials)

    def decide(self, view: View) -> Answer:
        frozen: list[str] = []
        for serial in self.serials:
            row = view.get(CARD, serial)
            if row is not None and row[2] == ACTIVE:
                view.put(CARD, (serial, row[1], FROZEN, row[3], view.now_us))
                frozen.append(serial)
        return Answer(200, value=frozen)


@dataclass(frozen=True, slots=True)
class _NewCode:
    """A printed code instead of those printed before; a frozen PIN is set anew with it."""

    subject: str
    digest: bytes
    before: tuple[bytes, ...]
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield PERSON, (self.subject,)
        yield ERASURE, (self.subject,)
        yield PIN, (self.subject,)
        for digest in (self.digest, *self.before):
            yield ACTIVATION, (digest,)

    def decide(self, view: View) -> Answer:
        _still_there(view, self.subject)
        for digest in self.before:
            row = view.get(ACTIVATION, digest)
            if row is not None and not row[3]:
                view.remove(ACTIVATION, digest)
        pin = view.get(PIN, self.subject)
        if pin is not None and pin[2] >= TRIES_MAX:
            view.remove(PIN, self.subject)
        expires_at = view.now_us + CODE_DAYS * _DAY_US
        view.get(ACTIVATION, self.digest)
        view.put(ACTIVATION, (self.digest, self.subject, expires_at, 0))
        return Answer(201, value=expires_at)


def _still_there(view: View, subject: str) -> None:
    """Refuses whoever was erased since the request came in. Read after the person's row: its lock is what an erasure
    under way in another process holds."""
    view.get(PERSON, subject)
    if view.get(ERASURE, subject) is not None:
        raise Refusal("subject_erased", subject=subject)


def pin_hasher() -> PasswordHasher:
    """How PINs are hashed: some hundredths of a second and 19 MiB each."""
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


@dataclass(slots=True)
class Cards:
    """Issues and recognises. Nothing here says why somebody was not recognised."""

    ledger: Ledger
    indexes: Indexes
    hasher: PasswordHasher
    _busy: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _nobody: str = ""

    # issuing ---------------------------------------------------------------------------------------------------

    async def issue(self, subject: str) -> Issued:
        """A card with a new PIN for a subject; also after loss or too many tries."""
        rows = await self.ledger.fetch("SELECT serial FROM card WHERE subject = ?", subject)
        before = tuple(sorted(serial for (serial,) in rows))
        pin = f"{self._number(10**PIN_DIGITS):0{PIN_DIGITS}d}"
        hash_ = await self._hash(subject, pin)
        while True:
            serial = _with_check_digit(f"{10**11 + self._number(9 * 10**11)}")
            answer = await self.ledger.submit(_Issue(subject, serial, hash_, before))
            if answer.value:
                return Issued(serial, pin)

    async def active(self, subject: str) -> bool:
        """Does the subject have a card that works, tries left or not?"""
        rows = await self.ledger.fetch("SELECT state FROM card WHERE subject = ?", subject)
        return any(state == ACTIVE for (state,) in rows)

    async def holder(self, serial: str) -> str | None:
        """Whose card that is, if it works and its holder wants to be known to shops. Proves nothing about who is
        there."""
        rows = await self.ledger.fetch(
            "SELECT c.subject FROM card c JOIN person p ON p.subject = c.subject "
            "WHERE c.serial = ? AND c.state = ? AND p.ledger = 1 AND p.merchant = 1",
            _digits(serial),
            ACTIVE,
        )
        return rows[0][0] if rows else None

    async def freeze(self, subject: str) -> list[str]:
        """Freeze the subject's cards; the serials that were active."""
        rows = await self.ledger.fetch("SELECT serial FROM card WHERE subject = ?", subject)
        answer = await self.ledger.submit(_Freeze(tuple(sorted(serial for (serial,) in rows))))
        return answer.value

    async def issue_code(self, subject: str) -> Code:
        """A printed code with which the subject activates a token. Codes printed before are void."""
        rows = await self.ledger.fetch("SELECT digest FROM activation WHERE subject = ?", subject)
        number = int.from_bytes(self.ledger.random(7), "big")
        text = "".join(_CODE_ALPHABET[number >> shift & 31] for shift in range(0, 50, 5))
        before = tuple(sorted(bytes(digest) for (digest,) in rows))
        answer = await self.ledger.submit(_NewCode(subject, self.indexes.code(text), before))
        return Code(f"{text[:5]}-{text[5:]}", answer.value)

    def _number(self, below: int) -> int:
        return int.from_bytes(self.ledger.random(12), "big") % below

    # recognising -----------------------------------------------------------------------------------------------

    async def by_card(self, serial: str, pin: str) -> str:
        """Raises `not_identified`, whatever is wrong."""
        return await self._recognised(_Try(serial=_digits(serial)), pin)

    async def by_tail(self, phone_tail: str, surname: str, pin: str) -> str:
        """Surname and the last four digits, where that is one person. Raises `not_identified`."""
        rows = await self.ledger.fetch(
            "SELECT subject FROM person WHERE tail_index = ? ORDER BY subject LIMIT 2",
            self.indexes.tail(surname, phone_tail),
        )
        return await self._recognised(_Try(subject=rows[0][0] if len(rows) == 1 else ""), pin)

    async def activate(self, code: str, pin: str) -> str:
        """Use up a printed code. The PIN is the subject's, or becomes it where there is none yet.

        Raises `not_identified`.
        """
        return await self._recognised(_Try(code=self.indexes.code(code), at_till=False), pin)

    async def _recognised(self, attempt: _Try, pin: str) -> str:
        claim: Claim | None = (await self.ledger.submit(attempt)).value
        first = ""
        if claim is None:
            await self._fits(self._nobody or await self._dummy(), "", pin)
            raise Refusal("not_identified")
        if claim.hash:
            if not await self._fits(claim.hash, claim.subject, pin):
                raise Refusal("not_identified")
        else:
            first = await self._hash(claim.subject, pin)
        done = await self.ledger.submit(_Right(claim, attempt.code, first))
        if not done.value:
            raise Refusal("not_identified")
        return claim.subject

    async def _dummy(self) -> str:
        self._nobody = await self._hash("nobody", "none")
        return self._nobody

    async def _hash(self, subject: str, pin: str) -> str:
        async with self._busy:
            return await asyncio.to_thread(self.hasher.hash, self.indexes.pin(subject, pin))

    async def _fits(self, hash_: str, subject: str, pin: str) -> bool:
        async with self._busy:
            try:
                return await asyncio.to_thread(self.hasher.verify, hash_, self.indexes.pin(subject, pin))
            except (VerificationError, InvalidHashError):
                return False


def _digits(serial: str) -> str:
    """A serial as typed or scanned; "-" where nothing of it can be one."""
    return "".join(c for c in serial if c.isdigit() and c.isascii()) or "-"


def _with_check_digit(digits: str) -> str:
    """Luhn: a till that mistypes one digit is told nothing, but hits nobody else's card either."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if index % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{digits}{-total % 10}"
