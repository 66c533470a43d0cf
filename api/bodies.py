# SPDX-License-Identifier: Apache-2.0
"""Registering bodies: shops, companies, committees, teams. Their names are public; who answers the phone is not.

A body is the same one when its credit code is; where it has none, when its name in its community is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from api.people.names import normal
from api.people.vault import People
from ledger.book.accounts import open_account
from ledger.codec import canonical
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.keys import seal, unseal
from ledger.model import ISSUER, Act, subject_account
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, MEMBER, Key, Table
from ledger.view import View
from rules.register import subject_row
from rules.tables import BODY, BODY_CLAIM, SUBJECT


class Town(Protocol):
    """The part of the world that registering needs."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def people(self) -> People: ...


@dataclass(frozen=True, slots=True)
class NewBody:
    """A body to register: at home in `home`, the journal of its community."""

    name: str
    type: str
    uscc: str | None
    group: str
    home: str
    contact: str | None = None
    phone: str | None = None

    @property
    def claim(self) -> str:
        return f"uscc:{self.uscc}" if self.uscc else f"name:{self.home}:{normal(self.name)}"

    def sealed(self, subject: str, key: bytes) -> bytes:
        record = {"contact": self.contact or "", "phone": self.phone or ""}
        return seal(key, orjson.dumps(record), _aad(subject))


def contact_of(subject: str, key: bytes, sealed: bytes) -> dict[str, str]:
    """{"contact", "phone"} of a body, as sealed when it was registered."""
    return orjson.loads(unseal(key, sealed, _aad(subject)))


def _aad(subject: str) -> bytes:
    return b"jifen/body-contact/1\n" + subject.encode()


@dataclass(frozen=True, slots=True)
class _Registering:
    bodies: Sequence[tuple[str, bytes, NewBody]]
    actor: str
    txn: str
    base: int
    known: str
    retry: Retry | None = None

    @property
    def journals(self) -> set[str]:
        return {body.home for _, _, body in self.bodies}

    @property
    def weight(self) -> int:
        return len(self.bodies)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        for home in self.journals:
            yield BALANCE, (home, ISSUER)
        for subject, _, body in self.bodies:
            yield BODY_CLAIM, (body.claim,)
            yield MEMBER, (body.home, subject)
            yield BALANCE, (body.home, subject_account(subject))

    def decide(self, view: View) -> Answer:
        for home in self.journals:
            try:
                view.head(home)
            except Refusal as refusal:
                raise Refusal("journal_not_open", journal=home) from refusal
        done: list[tuple[str, bool]] = []
        for subject, key, body in self.bodies:
            known = view.get(BODY_CLAIM, body.claim)
            if known is None:
                self._open(view, subject, key, body)
                done.append((subject, True))
            elif self.known == "skip":
                done.append((known[1], False))
            else:
                raise Refusal("already_registered", subject=known[1])
        return Answer(201, done[0][0] if len(done) == 1 else self.txn, done)

    def _open(self, view: View, subject: str, key: bytes, body: NewBody) -> None:
        stated: dict[str, Any] = {"name": body.name, "type": body.type, "uscc": body.uscc or "", "home": body.home}
        act = Act(self.actor, view.today(body.home), canonical({"register": stated}), self.txn, key)
        open_account(view, body.home, act, subject=subject, kind="body", base=self.base)
        now = view.now_us
        view.put(BODY_CLAIM, (body.claim, subject))
        sealed = body.sealed(subject, key)
        view.insert(BODY, (subject, body.name, body.type, body.uscc, body.claim, body.home, sealed, now))
        view.insert(SUBJECT, subject_row(subject, "body", body.home, body.home, [body.group], now))


async def register_bodies(
    town: Town,
    bodies: Sequence[NewBody],
    *,
    actor: str,
    base: int,
    known: str = "refuse",
    retry: Retry | None = None,
) -> Answer:
    """Open all these accounts or none; `known="skip"` passes over what is registered already.

    The answer's value lists (subject, newly registered?). Raises `already_registered`, `journal_not_open`.
    """
    subjects = [town.ledger.secret_id("sub") for _ in bodies]
    keys = town.people.keystore.create(subjects)
    rows = [(subject, keys[subject], body) for subject, body in zip(subjects, bodies, strict=True)]
    try:
        answer = await town.ledger.submit(_Registering(rows, actor, town.ledger.new_id("txn"), base, known, retry))
    except Unavailable:
        raise  # nothing is known of the commit: unused keys open nothing
    except Refusal:
        town.people.keystore.discard(subjects)
        raise
    taken = {subject for subject, new in answer.value or () if new}
    if len(taken) < len(subjects):
        town.people.keystore.discard(subject for subject in subjects if subject not in taken)
    return answer


async def known_bodies(ledger: Ledger, bodies: Sequence[NewBody]) -> dict[str, str]:
    """Claim → subject of those that are registered already."""
    wanted = list(dict.fromkeys(body.claim for body in bodies))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        chunk = wanted[start : start + 500]
        rows = await ledger.fetch(
            f"SELECT claim, subject FROM body_claim WHERE claim IN ({', '.join('?' * len(chunk))})", *chunk
        )
        found.update((claim, subject) for claim, subject in rows)
    return found
