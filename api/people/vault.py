# SPDX-License-Identifier: Apache-2.0
"""`People`: the one door to who is who. Data keys, registering, changing, matching and naming.

Matching works on digests alone; a record is unsealed only to name a person or to compare a name that the digests
cannot. Nothing here is written to a log, and refusals carry no names: they may be stored under a retry key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from argon2 import PasswordHasher

from api.people.cards import Cards, pin_hasher
from api.people.indexes import Indexes
from api.people.keystore import Keystore
from api.people.names import masked, normal, surname
from api.people.records import Amend, Consents, NewPerson, Person, nothing
from api.people.registering import Changing, Consenting, Index, Prepared, Registering
from ledger.codec import canonical
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.port import Answer, Retry

_CHUNK = 500
_FOUND_MAX = 20  # a look-up is for one person at a counter, not for a list
_CHANGE_TRIES = 4

UNCHANGED = "\0unchanged"  # stands for a field that a change leaves alone; None means: take it away


@dataclass(frozen=True, slots=True)
class Found:
    """A person as a look-up shows them."""

    subject: str
    masked_name: str


@dataclass(frozen=True, slots=True, repr=False)
class Who:
    """How a sheet or a request names a person."""

    name: str
    phone: str | None = None
    grid: str | None = None


class People:
    """The vault. `secret` is the deployment secret; the digests depend on it."""

    def __init__(
        self, ledger: Ledger, keystore: Keystore, secret: bytes, *, hasher: PasswordHasher | None = None
    ) -> None:
        self.ledger = ledger
        self.keystore = keystore
        self.indexes = Indexes(secret)
        self.cards = Cards(ledger, self.indexes, hasher or pin_hasher())

    def close(self) -> None:
        self.keystore.close()

    # data keys -------------------------------------------------------------------------------------------------

    async def data_key(self, subject: str) -> bytes:
        """Raises `subject_erased`, `subject_unknown`."""
        return self.keystore.key(subject)

    async def data_keys(self, subjects: Collection[str]) -> dict[str, bytes]:
        return self.keystore.keys(subjects)

    async def known_keys(self, subjects: Collection[str]) -> dict[str, bytes]:
        """The data keys of those who still have one."""
        return self.keystore.known(subjects)

    def check_not_erased(self, subject: str) -> None:
        """Raises `subject_erased`, also while a database from before the erasure still has an account of theirs."""
        if self.keystore.destroyed(subject):
            raise Refusal("subject_erased", subject=subject)

    # registering -----------------------------------------------------------------------------------------------

    async def register(
        self, new: NewPerson, *, actor: str, base: int, request: bytes | None = None, retry: Retry | None = None
    ) -> Answer:
        """Open one person's account; the answer's `ref` is the subject.

        Raises `already_registered`, `minor`, `birth_invalid`, `consent_required`, `journal_not_open`.
        """
        return await self.register_all([new], actor=actor, base=base, request=request, retry=retry)

    async def register_all(
        self,
        people: Sequence[NewPerson],
        *,
        actor: str,
        base: int,
        known: str = "refuse",
        request: bytes | None = None,
        retry: Retry | None = None,
    ) -> Answer:
        """Open all these accounts or none, in one command; `known="skip"` passes over who is registered already.

        The answer's value lists (subject, newly registered?) in the order given.
        """
        subjects = [self.ledger.secret_id("sub") for _ in people]
        keys = self.keystore.create(subjects)
        prepared = [
            self._prepared(subject, keys[subject], new, request) for subject, new in zip(subjects, people, strict=True)
        ]
        command = Registering(prepared, actor, self.ledger.new_id("txn"), base, known, retry)
        try:
            answer = await self.ledger.submit(command)
        except Unavailable:
            raise  # nothing is known of the commit: the keys stay, unused ones open nothing
        except Refusal:
            self.keystore.discard(subjects)
            raise
        if answer.replayed:
            self.keystore.discard(subjects)
        elif any(not new for _, new in answer.value):
            taken = {subject for subject, new in answer.value if new}
            self.keystore.discard(subject for subject in subjects if subject not in taken)
        return answer

    def _prepared(self, subject: str, key: bytes, new: NewPerson, request: bytes | None) -> Prepared:
        person = Person(new.name, new.phone, new.birth)
        stated = {"name": new.name, "phone": new.phone or "", "grid": new.grid, "home": new.home}
        stated["birth"] = new.birth.isoformat() if new.birth else ""
        return Prepared(
            subject,
            key,
            new,
            self._index(person, new.grid),
            person.sealed(subject, key),
            request or canonical({"register": stated}),
        )

    def _index(self, person: Person, grid: str) -> Index:
        name, phone = person.name, person.phone
        return Index(
            self.indexes.identity(name, phone, grid, person.birth),
            self.indexes.phone(phone) if phone else None,
            self.indexes.tail(name, phone[-4:]) if phone else None,
            self.indexes.name_grid(name, grid),
        )

    async def registered(self, people: Sequence[NewPerson]) -> list[str | Refusal | None]:
        """For each: the subject who is the same person, None when new, or why that cannot be told.

        Without phone, somebody of the same name in the same grid may be the same person or not: `ambiguous`, unless a
        birthday tells them apart.
        """
        digests = [self.indexes.identity(p.name, p.phone, p.grid, p.birth) for p in people]
        known = await self._lookup("identity", "digest", digests)
        namesakes = await self._lookup(
            "person",
            "name_grid_index",
            [self.indexes.name_grid(p.name, p.grid) for p in people if not p.phone and p.birth is None],
        )
        out: list[str | Refusal | None] = []
        for person, digest in zip(people, digests, strict=True):
            if digest in known:
                out.append(known[digest][0])
            elif person.phone or person.birth is not None:
                out.append(None)
            else:
                same = namesakes.get(self.indexes.name_grid(person.name, person.grid), [])
                out.append(Refusal("ambiguous", found=len(same)) if same else None)
        return out

    async def change(
        self,
        subject: str,
        *,
        home: str,
        grid: str,
        actor: str,
        name: str | None = None,
        phone: str | None = UNCHANGED,
        birth: date | None = None,
        new_home: str | None = None,
        amend: Amend = nothing,
        version: int | None = None,
    ) -> Answer:
        """Change a record; another home moves the account. `home` and `grid` are where the person is now. With a
        `version`, only as it was seen.

        Raises `already_registered`, `minor`, `birth_invalid`, `journal_not_open`, `subject_unknown`,
        `precondition_failed`.
        """
        key = self.keystore.key(subject)
        for attempt in range(_CHANGE_TRIES):
            seen, person = await self.seen(subject)
            if version not in (None, seen):
                raise Refusal("precondition_failed")
            person = replace(
                person,
                name=person.name if name is None else name,
                phone=person.phone if phone == UNCHANGED else phone,
                birth=person.birth if birth is None else birth,
            )
            stated = {"name": person.name, "phone": person.phone or "", "grid": grid}
            command = Changing(
                subject,
                key,
                seen,
                self._index(person, grid),
                person.sealed(subject, key),
                person.birth,
                home,
                new_home or home,
                actor,
                self.ledger.new_id("txn"),
                canonical({"change": stated}),
                amend,
            )
            try:
                return await self.ledger.submit(command)
            except Refusal as refusal:
                if refusal.code != "precondition_failed" or attempt == _CHANGE_TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    async def consent(self, subject: str, changes: dict[str, int], *, actor: str, amend: Amend = nothing) -> Consents:
        """Give or withdraw consents, in one step. Raises `subject_unknown`."""
        answer = await self.ledger.submit(Consenting(subject, changes, actor, amend))
        return answer.value

    async def consents(self, subject: str) -> Consents:
        """What a person agrees to now. Raises `subject_unknown`."""
        rows = await self.ledger.fetch(
            "SELECT ledger, publication, merchant, ranking FROM person WHERE subject = ?", subject
        )
        if not rows:
            raise Refusal("subject_unknown", subject=subject)
        return Consents(*rows[0])

    # matching --------------------------------------------------------------------------------------------------

    async def identify_rows(self, rows: Sequence[Who]) -> list[str | Refusal]:
        """Whom each row means: by phone and name, or by name and grid where that is one person.

        `name_mismatch`: the phone is known, under other names. `ambiguous`: several, or too little is given.
        """
        identities = [self.indexes.identity(w.name, w.phone, "", None) if w.phone else None for w in rows]
        exact = await self._lookup("identity", "digest", [d for d in identities if d])
        phones = {
            index: self.indexes.phone(who.phone)
            for index, (who, digest) in enumerate(zip(rows, identities, strict=True))
            if who.phone and digest not in exact
        }
        known_phones = await self._lookup("person", "phone_index", phones.values())
        grids = {
            index: self.indexes.name_grid(who.name, who.grid)
            for index, who in enumerate(rows)
            if not who.phone and who.grid
        }
        by_grid = await self._lookup("person", "name_grid_index", grids.values())
        out: list[str | Refusal] = []
        for index, (who, digest) in enumerate(zip(rows, identities, strict=True)):
            if digest in exact:
                out.append(exact[digest][0])
            elif who.phone:
                out.append(Refusal("name_mismatch" if phones[index] in known_phones else "subject_unknown"))
            elif not who.grid:
                out.append(Refusal("ambiguous", found=0))
            else:
                same = by_grid.get(grids[index], [])
                if len(same) == 1:
                    out.append(same[0])
                else:
                    out.append(Refusal("ambiguous", found=len(same)) if same else Refusal("subject_unknown"))
        return out

    async def identify(
        self,
        *,
        name: str,
        phone: str | None = None,
        phone_tail: str | None = None,
        grid: str | Collection[str] | None = None,
    ) -> list[Found]:
        """Look somebody up at a counter: by name and phone, surname or name and phone tail, or name and grids."""
        grids = [grid] if isinstance(grid, str) else list(grid or ())
        if phone:
            found = await self._lookup("identity", "digest", [self.indexes.identity(name, phone, "", None)])
        elif phone_tail:
            found = await self._lookup("person", "tail_index", [self.indexes.tail(name, phone_tail)])
        else:
            found = await self._lookup(
                "person", "name_grid_index", [self.indexes.name_grid(name, code) for code in grids]
            )
        subjects = sorted({subject for group in found.values() for subject in group})
        people = await self.records(subjects)
        only_surname = normal(name) == surname(name)
        return [
            Found(subject, masked(people[subject].name))
            for subject in subjects
            if subject in people and ((only_surname and phone_tail) or normal(people[subject].name) == normal(name))
        ][:_FOUND_MAX]

    async def _lookup(self, table: str, column: str, digests: Iterable[bytes | None]) -> dict[bytes | None, list[str]]:
        """Subjects by digest, in a few statements however many are asked for."""
        wanted = list(dict.fromkeys(digest for digest in digests if digest))
        found: dict[bytes | None, list[str]] = defaultdict(list)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            rows = await self.ledger.fetch(
                f"SELECT {column}, subject FROM {table} WHERE {column} IN ({', '.join('?' * len(chunk))})", *chunk
            )
            for digest, subject in rows:
                found[bytes(digest)].append(subject)
        return dict(found)

    async def by_card(self, serial: str, pin: str) -> str:
        """The subject of a card whose PIN is right. Raises `not_identified`, whatever is wrong."""
        return await self.cards.by_card(serial, pin)

    async def by_tail(self, phone_tail: str, surname: str, pin: str) -> str:
        """The one subject of that surname and phone tail, if the PIN is right. Raises `not_identified`."""
        return await self.cards.by_tail(phone_tail, surname, pin)

    async def activate(self, code: str, pin: str) -> str:
        """The subject of a printed code, used up by this. Raises `not_identified`."""
        return await self.cards.activate(code, pin)

    # naming ----------------------------------------------------------------------------------------------------

    async def records(self, subjects: Collection[str]) -> dict[str, Person]:
        """The clear records of those subjects who are persons with an account."""
        wanted = list(dict.fromkeys(subjects))
        sealed: dict[str, bytes] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            rows = await self.ledger.fetch(
                f"SELECT subject, sealed FROM person WHERE subject IN ({', '.join('?' * len(chunk))})", *chunk
            )
            sealed.update((subject, bytes(data)) for subject, data in rows)
        keys = self.keystore.known(list(sealed))
        return {
            subject: Person.opened(subject, keys[subject], data) for subject, data in sealed.items() if subject in keys
        }

    async def seen(self, subject: str) -> tuple[int, Person]:
        """The record, and the version that `change` takes. Raises `subject_unknown`, `subject_erased`."""
        key = self.keystore.key(subject)
        rows = await self.ledger.fetch("SELECT changed_at, sealed FROM person WHERE subject = ?", subject)
        if not rows:
            raise Refusal("subject_unknown", subject=subject)
        return int(rows[0][0]), Person.opened(subject, key, bytes(rows[0][1]))

    async def record(self, subject: str) -> Person:
        """Raises `subject_unknown`, `subject_erased`."""
        return (await self.seen(subject))[1]

    async def name(self, subject: str) -> str:
        return (await self.record(subject)).name

    async def masked(self, subject: str) -> str:
        """张*华: what a till or a list may show."""
        return masked(await self.name(subject))

    async def masked_names(self, subjects: Collection[str]) -> dict[str, str]:
        return {subject: masked(person.name) for subject, person in (await self.records(subjects)).items()}
