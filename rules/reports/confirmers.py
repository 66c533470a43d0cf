# SPDX-License-Identifier: Apache-2.0
"""Who may confirm hours, where and when; and that nobody whose right is suspended stands behind an award.

Nobody has to be on record: a place that registers no confirmers works as before. But evidence that names a confirmer
must name one who is in force at the place on the day of the deed and is not suspended now, and staff whose own right is
suspended bring hours only on the word of another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import orjson

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import BadKey, seal, unseal
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View
from rules.engine.model import Indicator
from rules.ports import Actor, Vault
from rules.tables import CONFIRMER

if TYPE_CHECKING:
    from rules.desk.request import AwardRequest  # the desk asks here, so at run time it comes first

Kind = Literal["person", "body", "staff"]
State = Literal["active", "suspended"]
ACTIVE: State = "active"
SUSPENDED: State = "suspended"
MANAGING = frozenset({"approver", "street_staff", "county_admin"})

_COLUMNS = ", ".join(CONFIRMER.names)
_SEEN_S = 5.0  # how long another process may go on without knowing of a suspension, as with roles and sessions
_TRIES = 4
_CHUNK = 256


class Places(Protocol):
    """What is asked of the register."""

    def place(self, code: str, /) -> Any: ...
    def covers(self, upper: str, lower: str, /) -> bool: ...


class Confirmer(NamedTuple):
    """One who may confirm hours. Instants in microseconds; `to_day` is the last day, None while there is none."""

    who: str
    id: str
    kind: Kind
    place: str
    from_day: str
    to_day: str | None
    daily_people: int | None
    state: State
    version: int
    registered_by: str
    registered_at: int
    changed_at: int
    story: bytes

    def in_force(self, day: str) -> bool:
        return self.from_day <= day <= (self.to_day or "9999-12-31")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is on record about those who stand behind some awards: confirmers by id, suspended ones by who they are."""

    named: Mapping[str, Confirmer]
    suspended: Mapping[str, Sequence[str]]
    covers: Callable[[str, str], bool]

    def check(self, actor: Actor | None, request: AwardRequest, indicator: Indicator, place: str) -> tuple[Key, ...]:
        """Keys of the confirmers whom the evidence names, to be looked at again in the commit. `actor` is None where
        somebody else brought the evidence. Raises `confirmer_unknown`, `confirmer_suspended`, `self_award`."""
        named = [self._named(item.confirmed_by, request, place) for item in request.evidence if item.confirmed_by]
        if actor is not None and self.suspended and counts_hours(indicator):
            own = {actor.id, actor.subject} & self.suspended.keys()
            here = any(self.covers(where, place) for who in own for where in self.suspended[who or ""])
            if here and not any(
                item.level == request.level and item.confirmed_by and self.named[item.confirmed_by].who not in own
                for item in request.evidence
            ):
                raise Refusal("confirmer_suspended", place=place)
        return tuple((one.who, one.id) for one in named)

    def _named(self, id_: str, request: AwardRequest, place: str) -> Confirmer:
        found = self.named.get(id_)
        if found is None or not self.covers(found.place, place) or not found.in_force(request.occurred_on.isoformat()):
            raise Refusal("confirmer_unknown", id=id_[:60], place=place, day=request.occurred_on.isoformat())
        if found.state == SUSPENDED:
            raise Refusal("confirmer_suspended", place=place)
        if found.who == request.subject:
            raise Refusal("self_award", subject=request.subject)
        return found


def counts_hours(indicator: Indicator) -> bool:
    """Is it time that this indicator counts?"""
    return any(one.unit == "minute" for one in indicator.fields)


def check_still(view: View, keys: Iterable[Key]) -> None:
    """In the commit: nobody has been suspended meanwhile. Raises `confirmer_suspended`."""
    for key in keys:
        row = view.get(CONFIRMER, *key)
        if row is None or row[7] == SUSPENDED:
            raise Refusal("confirmer_suspended", place="" if row is None else row[3])


@dataclass(frozen=True, slots=True)
class Registering:
    """Put somebody on record. A suspension is not got round by being registered once more."""

    confirmer: Confirmer
    covers: Callable[[str, str], bool]
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield CONFIRMER, (self.confirmer.who,)

    def decide(self, view: View) -> Answer:
        new = self.confirmer
        for row in view.rows(CONFIRMER, (new.who,)).values():
            known = Confirmer(*row)
            near = self.covers(known.place, new.place) or self.covers(new.place, known.place)
            if known.state == SUSPENDED and near:
                raise Refusal("confirmer_suspended", place=known.place)
            apart = new.from_day > (known.to_day or "9999-12-31") or known.from_day > (new.to_day or "9999-12-31")
            if known.place == new.place and not apart:
                raise Refusal("already_confirmer", id=known.id)
        made = new._replace(registered_at=view.now_us, changed_at=view.now_us)
        view.put(CONFIRMER, made)
        return Answer(201, made.id, made)


@dataclass(frozen=True, slots=True)
class Turning:
    """Suspend or resume, if nobody has changed the record since it was read."""

    before: Confirmer
    state: State
    story: bytes
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield CONFIRMER, (self.before.who,)

    def decide(self, view: View) -> Answer:
        row = view.get(CONFIRMER, self.before.who, self.before.id)
        if row is None or row[8] != self.before.version:
            raise Refusal("precondition_failed", state="", etag="")
        made = self.before._replace(
            state=self.state, version=self.before.version + 1, changed_at=view.now_us, story=self.story
        )
        view.put(CONFIRMER, made)
        return Answer(200, made.id, made)


@dataclass(slots=True)
class Confirmers:
    """The record, and what the desk asks of it."""

    ledger: Ledger
    vault: Vault
    places: Places
    _suspended: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _seen: float = -_SEEN_S

    # for the desk ----------------------------------------------------------------------------------------------

    async def standing(self, requests: Iterable[AwardRequest]) -> Standing:
        """All that has to be known to judge these reports."""
        now = time.monotonic()
        if now - self._seen >= _SEEN_S:
            suspended: dict[str, list[str]] = {}
            for who, place in await self.ledger.fetch("SELECT who, place FROM confirmer WHERE state = 'suspended'"):
                suspended.setdefault(who, []).append(place)
            self._suspended, self._seen = suspended, now
        wanted = sorted({one.confirmed_by for each in requests for one in each.evidence if one.confirmed_by})
        named: dict[str, Confirmer] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            for row in await self.ledger.fetch(f"SELECT {_COLUMNS} FROM confirmer WHERE id IN ({marks})", *chunk):
                named[row[1]] = Confirmer(*row)
        return Standing(named, self._suspended, self.places.covers)

    # the record ------------------------------------------------------------------------------------------------

    async def register(
        self,
        actor: Actor,
        *,
        who: str,
        kind: Kind,
        place: str,
        from_day: date,
        to_day: date | None = None,
        daily_people: int | None = None,
    ) -> Confirmer:
        """Put somebody on record; whether there is such a person is the caller's question.

        Raises `forbidden`, `same_person`, `confirmer_suspended`, `already_confirmer`, `subject_erased`.
        """
        self.places.place(place)
        if not actor.may(MANAGING, place, self.places.covers):
            raise Refusal("forbidden", place=place)
        _check_another(actor, who)
        id_ = self.ledger.new_id("cfm")
        story = await self._told(who, kind, id_, [])
        end = None if to_day is None else to_day.isoformat()
        new = Confirmer(
            who, id_, kind, place, from_day.isoformat(), end, daily_people, ACTIVE, 1, actor.id, 0, 0, story
        )
        return (await self.ledger.submit(Registering(new, self.places.covers))).value

    async def turn(self, actor: Actor, id_: str, state: State, reason: str) -> Confirmer:
        """Suspend or resume; nothing happens where it is so already. Raises `same_person`, and `not_found` also where
        it is none of the actor's business."""
        for attempt in range(_TRIES):
            found = await self.one(id_)
            if not actor.may(MANAGING, found.place, self.places.covers):
                raise Refusal("not_found", what="confirmer", id=id_[:60])
            _check_another(actor, found.who)
            if found.state == state:
                return found
            now = {"state": state, "reason": reason, "by": actor.id, "at": self.ledger.clock()}
            story = await self._told(found.who, found.kind, found.id, [*await self.story(found), now])
            try:
                answer = await self.ledger.submit(Turning(found, state, story))
            except Refusal as refusal:
                if refusal.code != "precondition_failed" or attempt == _TRIES - 1:
                    raise
            else:
                self._seen = -_SEEN_S
                return answer.value
        raise AssertionError("unreachable")

    async def one(self, id_: str) -> Confirmer:
        """Raises `not_found`."""
        rows = await self.ledger.fetch(f"SELECT {_COLUMNS} FROM confirmer WHERE id = ?", id_)
        if not rows:
            raise Refusal("not_found", what="confirmer", id=id_[:60])
        return Confirmer(*rows[0])

    async def story(self, confirmer: Confirmer) -> list[dict[str, Any]]:
        """What was decided about a confirmer, oldest first; nothing once their key is gone."""
        data = bytes(confirmer.story)
        if confirmer.kind != "staff":
            try:
                data = unseal(await self.vault.data_key(confirmer.who), data, confirmer.id.encode())
            except (Refusal, BadKey):
                return []
        return orjson.loads(data)

    async def _told(self, who: str, kind: Kind, id_: str, story: list[dict[str, Any]]) -> bytes:
        data = orjson.dumps(story)
        return data if kind == "staff" else seal(await self.vault.data_key(who), data, id_.encode())


def _check_another(actor: Actor, who: str) -> None:
    if who in (actor.id, actor.subject):
        raise Refusal("same_person")


def ended(view: View, keys: Collection[Key]) -> None:
    """Whoever is erased confirms nothing any more."""
    for key in keys:
        row = view.get(CONFIRMER, *key)
        if row is not None:
            made = Confirmer(*row)._replace(state=SUSPENDED, changed_at=view.now_us)
            view.put(CONFIRMER, made._replace(version=made.version + 1))
