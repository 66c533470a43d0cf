# SPDX-License-Identifier: Apache-2.0
"""From a report to a decision that is ready to run: everything that does not depend on the moment of the commit.

Checks who acts (by the place of the deed, never for oneself), whose group the indicator is for, and works out cause,
tallies and digests, so that inside the commit only the caps are left to look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Protocol

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.model import Act, Link
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, CAUSE, MEMBER, TALLY, Key, Table
from ledger.view import View
from rules.desk.request import CONFIRMED_LEVEL, AwardRequest, cause_bytes, evidence_bytes, stated
from rules.desk.subjects import Known, Subjects
from rules.engine.calendar import iso
from rules.engine.evaluate import counters
from rules.engine.model import Indicator, Pack
from rules.ports import AWARDING, Actor, Vault, living_keys
from rules.reports.confirmers import Confirmers
from rules.shelf import Shelf
from rules.tables import AWARD, CONFIRMER


class Places(Protocol):
    """What the desk asks of the register: the tree of places."""

    def place(self, code: str, /) -> Any: ...
    def covers(self, upper: str, lower: str, /) -> bool: ...


@dataclass(slots=True)
class Prepared:
    """One report, resolved: `place` is that of the deed, `home` where the account was a moment ago."""

    id: str
    request: AwardRequest
    place: str
    said: bytes
    pack: Pack
    indicator: Indicator
    home: str
    key: bytes
    act: Act
    cause: bytes
    former_causes: tuple[bytes, ...]
    tallies: tuple[tuple[str, str], ...]
    evidence: tuple[bytes, ...]
    level: str
    proposer: str
    line: int | None = None
    batch: str | None = None
    replaces: Link | None = None
    confirmers: tuple[Key, ...] = ()

    @property
    def needs_second(self) -> bool:
        """Some awards are never one person's decision: those the pack names, and whatever is taken from a body."""
        return self.indicator.approval == "second_person" or self.indicator.direction == "minus"

    @property
    def confirmed_level(self) -> str:
        """The evidence when someone other than the uploader stands by the list."""
        return max(self.level, CONFIRMED_LEVEL)

    def reads(self) -> list[tuple[Table, Key]]:
        subject, home = self.request.subject, self.home
        wanted: list[tuple[Table, Key]] = [
            (MEMBER, (home, subject)),
            (CAUSE, (self.cause,)),
            (BALANCE, (home, "issuer")),
            (BALANCE, (home, f"subject:{subject}")),
        ]
        if self.indicator.group >= "G5":  # a body's other accounts; a wrong guess only costs a second read
            wanted += [(BALANCE, (home, f"minus:{subject}")), (BALANCE, (home, f"debt:{subject}"))]
        wanted += [(TALLY, (home, start, subject, cap)) for cap, start in self.tallies]
        wanted += [(CAUSE, (cause,)) for cause in self.former_causes]
        if self.request.replaces is not None:
            wanted.append((AWARD, (self.request.replaces,)))
        wanted += [(CONFIRMER, (who,)) for who, _ in self.confirmers]
        return wanted


@dataclass(frozen=True, slots=True)
class Refuse:
    """A command that says no to what was refused before the commit, so that a retry key remembers it, or that gives
    the first answer again to a request that would be refused today."""

    retry: Retry
    refusal: Refusal
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> list[tuple[Table, Key]]:
        return []

    def decide(self, view: View) -> Answer:
        raise Refusal(self.refusal.code, **self.refusal.facts)


async def refuse(ledger: Ledger, retry: Retry | None, refusal: Refusal) -> Answer:
    """Raise the refusal, or what the retry key already stands for."""
    if retry is None or isinstance(refusal, Unavailable):
        raise refusal
    return await ledger.submit(Refuse(retry, refusal))


class Preparer:
    """Resolves reports against register, vault and packs."""

    def __init__(self, ledger: Ledger, vault: Vault, places: Places, shelf: Shelf) -> None:
        self.ledger = ledger
        self.vault = vault
        self.places = places
        self.shelf = shelf
        self.subjects = Subjects(ledger)
        self.confirmers = Confirmers(ledger, vault, places)

    async def one(self, actor: Actor, request: AwardRequest, txn: str) -> Prepared:
        """A new report, by the one who makes it. Raises what is wrong with either."""
        known = await self.subjects.one(request.subject)
        key = await self.vault.data_key(request.subject)
        replaced = await self._replaced(request) if request.replaces else None
        self._allow(actor, request, known)
        standing = await self.confirmers.standing([request])
        prepared = self._resolve(actor.id, request, known, key, txn, replaced)
        prepared.confirmers = standing.check(actor, request, prepared.indicator, prepared.place)
        return prepared

    async def many(
        self, actor: Actor, requests: Sequence[AwardRequest], txn: str, *, again: bool = False
    ) -> list[Prepared | Refusal]:
        """Many reports; one that is refused does not hold up the others.

        `again`: they were handed in before, by someone else; who acts now has been looked at by the caller.
        """
        known = await self.subjects.many({request.subject for request in requests})
        keys = await self.keys([subject for subject, found in known.items() if isinstance(found, Known)])
        standing = await self.confirmers.standing(requests)
        done: list[Prepared | Refusal] = []
        for request in requests:
            try:
                found = known[request.subject]
                if isinstance(found, Refusal):
                    raise found
                key = keys.get(request.subject)
                if key is None:
                    raise Refusal("subject_erased", subject=request.subject)
                replaced = await self._replaced(request) if request.replaces else None
                if not again:
                    self._allow(actor, request, found)
                prepared = self._resolve(actor.id, request, found, key, txn, replaced)
                brought_by = None if again else actor
                prepared.confirmers = standing.check(brought_by, request, prepared.indicator, prepared.place)
                done.append(prepared)
            except Unavailable:
                raise
            except Refusal as refusal:
                done.append(refusal)
        return done

    async def keys(self, subjects: Sequence[str]) -> Mapping[str, bytes]:
        """Data keys of those who still have one."""
        return await living_keys(self.vault, subjects)

    def _allow(self, actor: Actor, request: AwardRequest, known: Known) -> None:
        """May this actor report this deed? The place of the deed decides, and nobody does it for themselves."""
        place = known.home if request.place is None else request.place
        if request.place is not None:
            self.places.place(place)
        if not actor.may(AWARDING, place, self.places.covers):
            raise Refusal("forbidden", place=place)
        if actor.subject is not None and actor.subject == request.subject:
            raise Refusal("self_award", subject=request.subject)

    def _resolve(
        self, actor: str, request: AwardRequest, known: Known, key: bytes, txn: str, replaces: Link | None
    ) -> Prepared:
        pack, indicator = self.shelf.indicator(request.indicator, request.occurred_on)
        place = known.home if request.place is None else request.place
        if request.group not in (None, indicator.group) or indicator.group not in known.groups:
            raise Refusal(
                "group_mismatch", indicator=indicator.code, group=indicator.group, groups=sorted(known.groups)
            )
        # Not said where: the home of that day. Someone who has moved since must not be paid again for it.
        former = known.former if request.place is None else ()
        day = iso(request.occurred_on)
        try:
            said = codec.encode(stated(request, place, indicator.group))
        except (TypeError, ValueError) as error:  # half a character, or a fact that is neither number nor word
            raise Refusal("request_invalid", errors=[{"pointer": "", "code": "bad_character"}]) from error
        return Prepared(
            id=self.ledger.new_id("awd"),
            request=request,
            place=place,
            said=said,
            pack=pack,
            indicator=indicator,
            home=known.home,
            key=key,
            act=Act(actor, day, said, txn, key=key, memo=request.note.encode() if request.note else None),
            cause=self._cause(request, pack, indicator, place, day),
            former_causes=tuple(self._cause(request, pack, indicator, old, day) for old in former),
            tallies=tally_keys(pack, indicator, request.occurred_on),
            evidence=evidence_bytes(request),
            level=request.level,
            proposer=actor,
            replaces=replaces,
        )

    def _cause(self, request: AwardRequest, pack: Pack, indicator: Indicator, place: str, day: str) -> bytes:
        # Place, day and start do not make two hats' deeds the same one; a case's number does.
        scope = indicator.code if request.cause is None else pack.cause_scope(indicator)
        made = cause_bytes(request, indicator if scope == indicator.code else None, place)
        return self.ledger.cause(scope, made, request.subject, day if request.cause is None else None)

    async def _replaced(self, request: AwardRequest) -> Link | None:
        """The entry whose place this award takes. Raises `not_found` unless it is a reversed award of this subject and
        of this indicator, or of one that scores the same cases."""
        if request.replaces is None:
            return None
        rows = await self.ledger.fetch(
            "SELECT journal, seq, leaf, state, indicator FROM award WHERE id = ? AND subject = ?",
            request.replaces,
            request.subject,
        )
        pack, indicator = self.shelf.indicator(request.indicator, request.occurred_on)
        if not rows or rows[0][1] is None or not pack.same_scope(rows[0][4], indicator):
            raise Refusal("not_found", what="award", id=request.replaces[:60])
        journal, seq, leaf, state, _ = rows[0]
        if state != "reversed":
            raise Refusal("duplicate_cause", journal=journal, seq=seq)
        return Link("replaces", journal, seq, bytes(leaf).hex())


@lru_cache(maxsize=16384)
def tally_keys(pack: Pack, indicator: Indicator, day: date) -> tuple[tuple[str, str], ...]:
    """(cap, first day of its window) of every tally that an award adds to or looks at."""
    return tuple((counter.id, iso(counter.start)) for counter in counters(pack, indicator, day))
