# SPDX-License-Identifier: Apache-2.0
"""What the vault keeps of a person, and how it is sealed: under the person's own data key, bound to their id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date

import orjson

from ledger.errors import Refusal
from ledger.keys import seal, unseal
from ledger.tables import Row, Table
from ledger.view import View

ADULT = 18

Also = Callable[[str, int], Iterable[tuple[Table, Row]]]
"""Rows of rooms above that belong to the same transaction, given the subject and the instant."""

Amend = Callable[[View], None]
"""What a room above changes in the same transaction."""


def nothing(_view: View) -> None:
    """No room above has anything to change."""


@dataclass(frozen=True, slots=True)
class Consents:
    """What a person agreed to, purpose by purpose. Without `ledger` there is no account."""

    ledger: int = 1
    publication: int = 0  # nobody is named in public unasked
    merchant: int = 1
    ranking: int = 1

    def changed(self, changes: dict[str, int]) -> Consents:
        return replace(self, **changes)

    @property
    def row(self) -> tuple[int, int, int, int]:
        return self.ledger, self.publication, self.merchant, self.ranking


@dataclass(frozen=True, slots=True)
class Person:
    """The clear record; it never leaves the request that asked for it."""

    name: str
    phone: str | None = None
    birth: date | None = None

    def sealed(self, subject: str, key: bytes) -> bytes:
        record = {"name": self.name}
        if self.phone:
            record["phone"] = self.phone
        if self.birth:
            record["birth"] = self.birth.isoformat()
        return seal(key, orjson.dumps(record), _aad(subject))

    @classmethod
    def opened(cls, subject: str, key: bytes, sealed: bytes) -> Person:
        record = orjson.loads(unseal(key, sealed, _aad(subject)))
        birth = record.get("birth")
        return cls(record["name"], record.get("phone"), date.fromisoformat(birth) if birth else None)

    def __repr__(self) -> str:
        return "Person(…)"  # a name in a log is a name in clear


def _aad(subject: str) -> bytes:
    return b"jifen/person/1\n" + subject.encode()


@dataclass(frozen=True, slots=True, repr=False)
class NewPerson:
    """A person to register: at home in the journal `home`, living in `grid`."""

    name: str
    phone: str | None
    birth: date | None
    home: str
    grid: str
    consents: Consents = Consents()
    also: Also = lambda subject, now_us: ()


def age(birth: date, today: date) -> int:
    """Full years on a day; somebody born on 29 February turns a year older on 1 March."""
    return today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))


def check_joining(birth: date | None, consents: Consents, today: date) -> None:
    """Joining is voluntary and for adults. Raises `consent_required`, `birth_invalid`, `minor`."""
    if not consents.ledger:
        raise Refusal("consent_required", purpose="ledger")
    if birth is not None:
        if birth > today or age(birth, today) > 130:
            raise Refusal("birth_invalid")
        if age(birth, today) < ADULT:
            raise Refusal("minor", adult=ADULT)
