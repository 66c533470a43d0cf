# SPDX-License-Identifier: Apache-2.0
"""Erasing a person: account, record, indexes, consents, PIN, cards, codes and photos in one commit, then the data key.

The commit decides. Before it nothing has happened; after it the row in `erasure` says that the key has to be destroyed
and the files scrubbed, and whoever comes next goes on from there. The entries stay as they are: they name a random id,
and what their digests stood for can never be opened again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from api.people.records import Amend, nothing
from api.people.tables import ACTIVATION, CARD, CONSENT, ERASURE, IDENTITY, PERSON, PHOTO, PIN, PROXY
from api.people.vault import People
from ledger.book.accounts import erase
from ledger.codec import canonical
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import Act
from ledger.port import Answer
from ledger.tables import BALANCE, Key, Table
from ledger.view import View, local_day

Reason = Literal["wish", "died", "moved_away", "mistake"]
_MOVES_MAX = 4  # somebody who moves while being erased is followed this often
_CHUNK = 500
_NAMING = ("person", "card", "pin", "activation", "photo")  # where somebody who has come back is met
_SHARED = ("phone_index", "tail_index", "name_grid_index")  # digests that several people may have


class Held(NamedTuple):
    """Rows of the vault that are found by subject, as keys for the commit."""

    cards: tuple[str, ...]
    codes: tuple[bytes, ...]
    digests: tuple[bytes, ...]
    proxies: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Erasing:
    """Take everything of one person away and close the account, in one commit. The value lists what must not be found
    in any file afterwards.

    Without `journal` the account is left as it is: a ledger that takes no entries forgets names all the same.
    """

    subject: str
    held: Held
    actor: str
    reason: str
    journal: str | None
    act: Act
    amend: Amend = nothing
    retry: None = None
    weight: int = 2

    @property
    def journals(self) -> tuple[str, ...]:
        return () if self.journal is None else (self.journal,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        for table in (PERSON, CONSENT, PIN, PHOTO, ERASURE):
            yield table, (self.subject,)
        for table, keys in ((CARD, self.held.cards), (ACTIVATION, self.held.codes), (IDENTITY, self.held.digests)):
            yield from ((table, (key,)) for key in keys)
        yield from ((PROXY, key) for key in self.held.proxies)
        if self.journal is not None:
            yield from ((BALANCE, (self.journal, f"{role}:{self.subject}")) for role in ("subject", "minus", "debt"))

    def decide(self, view: View) -> Answer:
        subject, needles = self.subject, set[bytes]()
        if self.journal is not None:
            erase(view, self.journal, self.act, subject=subject)
        person = view.get(PERSON, subject)
        digests = {*self.held.digests, *([bytes(person[2])] if person else [])}
        if person is not None:
            needles |= {bytes(value) for value in person[1:6] if value is not None}
            view.remove(PERSON, subject)
        for digest in digests:
            if view.get(IDENTITY, digest) is not None:
                view.remove(IDENTITY, digest)
        for key in list(view.rows(CONSENT, (subject,))):
            view.remove(CONSENT, *key)
        for key in list(view.rows(PHOTO, (subject,))):
            needles.add(bytes(key[1]))
            view.remove(PHOTO, *key)
        pin = view.get(PIN, subject)
        if pin is not None:
            needles.add(pin[1].encode())
            view.remove(PIN, subject)
        for table, keys in ((CARD, self.held.cards), (ACTIVATION, self.held.codes)):
            for key in keys:
                if view.get(table, key) is not None:
                    needles.add(key if isinstance(key, bytes) else key.encode())
                    view.remove(table, key)
        for key in self.held.proxies:
            if view.get(PROXY, *key) is not None:
                view.remove(PROXY, *key)
        known = view.get(ERASURE, subject)
        at, actor, reason = known[1:4] if known else (view.now_us, self.actor, self.reason)
        view.put(ERASURE, (subject, at, actor, reason, 0))
        self.amend(view)
        return Answer(200, subject, needles)


@dataclass(frozen=True, slots=True)
class Settled:
    """The keys of these people are destroyed and their traces gone."""

    subjects: Sequence[str]
    retry: None = None
    journals: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        return 1 + len(self.subjects) // 4

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield from ((ERASURE, (subject,)) for subject in self.subjects)

    def decide(self, view: View) -> Answer:
        for subject in self.subjects:
            row = view.get(ERASURE, subject)
            if row is not None and not row[4]:
                view.put(ERASURE, (*row[:4], view.now_us))
        return Answer()


@dataclass(slots=True)
class Erased:
    """What was taken away: byte strings to look for, None where they are no longer known; the wrapped data key."""

    subject: str
    needles: set[bytes] | None
    wrapped: bytes | None = field(repr=False)


async def erase_person(
    people: People, subject: str, zone: str, *, actor: str, reason: str, amend: Amend = nothing
) -> Erased:
    """Forget a person and destroy the data key; safe to repeat. Raises `subject_unknown` and what stops any commit;
    then nothing was changed. Where the ledger is frozen the account stays open until it is not."""
    ledger = people.ledger
    key = _key(people, subject)
    day = local_day(ledger.clock(), zone)
    act = Act(actor, day, canonical({"erase": {"subject": subject}}), ledger.new_id("txn"), key)
    for _ in range(_MOVES_MAX):
        journal = await _open_in(ledger, subject)
        command = Erasing(subject, await held_by(ledger, subject), actor, reason, journal, act, amend)
        try:
            answer = await ledger.submit(command)
        except Refusal as refusal:
            if refusal.code not in ("subject_moved", "subject_erased"):  # meanwhile, by somebody else
                raise
        else:
            break
    else:
        raise Refusal("subject_moved", subject=subject)
    wrapped = people.keystore.destroy(subject, ledger.clock())
    return Erased(subject, await _own(ledger, answer.value), wrapped)


async def _open_in(ledger: Ledger, subject: str) -> str | None:
    """Where there is an account to close."""
    if ledger.frozen is not None:
        return None
    try:
        return await ledger.home(subject)
    except Refusal as refusal:
        if refusal.code != "subject_erased":
            raise
    return None


def _key(people: People, subject: str) -> bytes:
    try:
        return people.keystore.key(subject)
    except Refusal:  # a database from before the erasure: the entry's digest is one that nobody opens either way
        return people.ledger.random(32)


async def held_by(ledger: Ledger, subject: str) -> Held:
    """Keys of the rows that name the subject elsewhere than in their key."""
    found: list[tuple[Any, ...]] = []
    for column, table in (("serial", "card"), ("digest", "activation"), ("digest", "identity")):
        rows = await ledger.fetch(f"SELECT {column} FROM {table} WHERE subject = ? ORDER BY 1", subject)
        found.append(tuple(bytes(value) if isinstance(value, bytes | memoryview) else value for (value,) in rows))
    rows = await ledger.fetch(
        "SELECT subject, agent, kind FROM proxy WHERE subject = ? OR agent = ? ORDER BY 1, 2, 3", subject, subject
    )
    cards, codes, digests = found
    return Held(cards, codes, digests, tuple(rows))


async def _own(ledger: Ledger, needles: set[bytes]) -> set[bytes]:
    """Less the digests that somebody else has too: a phone shared in a family, a namesake in the same grid, a photo
    that went round."""
    left = set(needles)
    for column in _SHARED:
        for needle in needles:
            if len(needle) == 16 and await ledger.fetch(f"SELECT 1 FROM person WHERE {column} = ? LIMIT 1", needle):
                left.discard(needle)
    for needle in needles:
        if len(needle) == 32 and await ledger.fetch("SELECT 1 FROM photo WHERE digest = ? LIMIT 1", needle):
            left.discard(needle)
    return left


async def unsettled(people: People) -> list[str]:
    """Erased people whose key is still there (a crash, or an older key store) or whose traces may be."""
    rows = await people.ledger.fetch("SELECT subject, settled_at FROM erasure ORDER BY at")
    keyed = people.keystore.having([subject for subject, _ in rows])
    return [subject for subject, settled_at in rows if not settled_at or subject in keyed]


async def come_back(people: People) -> list[str]:
    """People whose key was destroyed and whom the database still has: it is older than their erasure.

    While the ledger is frozen only those of whom there is a record; their accounts must wait.
    """
    ledger = people.ledger
    found: set[str] = set()
    gone = people.keystore.all_destroyed()
    for start in range(0, len(gone), _CHUNK):
        chunk = gone[start : start + _CHUNK]
        marks = ", ".join("?" * len(chunk))
        sources = [f"SELECT subject FROM {table} WHERE subject IN ({marks})" for table in _NAMING]
        if ledger.frozen is None:
            sources.append(f"SELECT subject FROM member WHERE subject IN ({marks}) AND state = 'open'")
        for sql in sources:
            found |= {subject for (subject,) in await ledger.fetch(sql, *chunk)}
    return sorted(found)
