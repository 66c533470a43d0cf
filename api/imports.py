# SPDX-License-Identifier: Apache-2.0
"""Sheets of places, people and bodies: first a plan that changes nothing, then one commit of all of it or none.

A plan says of each row whether it is new, known already, or refused and why. What is known already is left as it is, so
the same sheet may come twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from api.bodies import NewBody, known_bodies, register_bodies
from api.people.records import Consents, NewPerson, check_joining
from api.people.vault import People
from api.sheets.bodies import BodiesSheet, BodyRow
from api.sheets.grid import RowProblem
from api.sheets.people import PeopleSheet, PersonRow
from api.sheets.places import PlaceRow, PlacesSheet
from api.sheets.words import FIELDS, Kind
from ledger.book.accounts import open_journal
from ledger.codec import canonical
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import Keys
from ledger.model import Act
from ledger.port import Answer
from ledger.rotation import SigningKeys
from ledger.tables import Key, Table
from ledger.view import View, local_day
from rules.engine.model import Pack
from rules.publishing.adopting import Founding, adopt_all
from rules.register import LEVELS, Place, Register, subject_row
from rules.shelf import Shelf, packed
from rules.tables import PLACE, SUBJECT

T = TypeVar("T")

NEW, CHANGED, DUPLICATE, REFUSED = "new", "changed", "duplicate", "refused"


class Town(Protocol):
    """The part of the world that importing needs."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def people(self) -> People: ...
    @property
    def register(self) -> Register: ...
    @property
    def packs(self) -> Shelf: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def signing(self) -> SigningKeys: ...


@dataclass(slots=True)
class Plan(Generic[T]):
    """What would happen to each row; `ready` are the rows to be written, with what is written."""

    kind: Kind
    ignored: list[int]
    problems: list[RowProblem]
    states: dict[int, str] = field(default_factory=dict[int, str])
    ready: list[tuple[int, T]] = field(default_factory=list[tuple[int, T]])

    def __post_init__(self) -> None:
        self.states.update((problem.row, REFUSED) for problem in self.problems)

    def refuse(self, row: int, name: str, value: object, code: str, **facts: Any) -> None:
        column = FIELDS[self.kind][name][0]
        self.problems.append(RowProblem(row, column, "" if value is None else str(value)[:200], code, facts))
        self.states[row] = REFUSED

    def take(self, row: int, state: str, thing: T | None = None) -> None:
        self.states[row] = state
        if thing is not None:
            self.ready.append((row, thing))

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(self.states.values())
        counts = {state: counted[state] for state in (NEW, CHANGED, DUPLICATE, REFUSED)}
        return {"rows": len(self.states), **counts, "ignored": len(self.ignored)}

    @property
    def rows(self) -> list[tuple[int, str]]:
        """(row, state) in the sheet's order."""
        return sorted(self.states.items())

    def check(self, skip: bool) -> None:
        """Raises `batch_has_errors` unless there is nothing refused, or skipping was asked for."""
        if self.problems and not skip:
            raise Refusal("batch_has_errors", refused=sum(state == REFUSED for state in self.states.values()))


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written: the state of each row, and the id it stands for now."""

    counts: dict[str, int]
    rows: list[tuple[int, str]]
    ids: dict[int, str]


# places --------------------------------------------------------------------------------------------------------


async def plan_places(town: Town, sheet: PlacesSheet) -> Plan[Place]:
    """Every place under its parent, one level below it; a name may change, a level or a parent may not."""
    await town.register.refresh()
    plan: Plan[Place] = Plan("places", sheet.ignored, list(sheet.problems))
    known = town.register.tree.places
    given: dict[str, PlaceRow] = {}
    for row in sheet.rows:
        earlier = given.setdefault(row.code, row)
        if earlier is not row:
            same = (earlier.name, earlier.level, earlier.parent) == (row.name, row.level, row.parent)
            if same:
                plan.take(row.row, DUPLICATE)
            else:
                plan.refuse(row.row, "code", row.code, "rows_disagree", other=earlier.row)
    for row in given.values():
        parent = row.parent or _parent_code(row.code)
        above = LEVELS[LEVELS.index(row.level) - 1] if row.level != LEVELS[0] else None
        found = given.get(parent) or known.get(parent) if parent else None
        was = known.get(row.code)
        if (found.level if found else None) != above or (above is None and parent):
            plan.refuse(row.row, "parent", parent, "parent_unknown", level=row.level)
        elif was is not None and (was.level, was.parent) != (row.level, parent):
            plan.refuse(row.row, "code", row.code, "place_moved", was=was.parent or was.level)
        elif was is not None and was.name == row.name:
            plan.take(row.row, DUPLICATE)
        else:
            plan.take(row.row, CHANGED if was else NEW, Place(row.code, row.name, row.level, parent))
    refused = {given[code].code for code in given if plan.states[given[code].row] == REFUSED}
    _refuse_below(plan, given, refused)
    return plan


def _parent_code(code: str) -> str | None:
    community, dash, _ = code.partition("-")
    if dash:
        return community
    return code[:-3] if len(code) > 6 else None


def _refuse_below(plan: Plan[Place], given: dict[str, PlaceRow], refused: set[str]) -> None:
    """A place whose new parent is refused has no parent either."""
    while refused:
        children = [(row, place) for row, place in plan.ready if place.parent in refused]
        plan.ready = [(row, place) for row, place in plan.ready if place.parent not in refused]
        refused = set()
        for row, place in children:
            plan.refuse(row, "parent", place.parent, "parent_unknown", level=place.level)
            refused.add(given[place.code].code)


@dataclass(frozen=True, slots=True)
class _Settling:
    """Writes places and opens the journals of communities that have none; one that is open is passed over. A journal
    begins with entry 0 and the packs that it goes by."""

    places: Sequence[Place]
    opening: Sequence[str]
    keys: Keys
    vkey: str
    packs: Shelf
    founding: Founding
    actor: str
    txn: str
    retry: None = None

    @property
    def journals(self) -> Sequence[str]:
        return self.opening

    @property
    def weight(self) -> int:
        return 1 + len(self.opening) + len(self.places) // 4

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield from ((PLACE, (place.code,)) for place in self.places)

    def decide(self, view: View) -> Answer:
        for place in self.places:
            view.put(PLACE, place.row(view.now_us))
        opened: list[str] = []
        pack = self.packs.at(view.now_us)
        for journal in self.opening:
            if view.heads[journal].size:
                continue
            act = Act(self.actor, local_day(view.now_us, pack.zone), canonical({"open": journal}), self.txn)
            open_journal(
                view,
                journal,
                act,
                origin=self.keys.journal_origin(journal),
                vkey=self.vkey,
                recovery=self.keys.recovery,
                zone=pack.zone,
                policy={"pack": pack.hash, "base": pack.base_standing},
            )
            adopt_all(view, journal, act, self.founding)
            opened.append(journal)
        return Answer(201, self.txn, opened)


async def commit_places(town: Town, plan: Plan[Place], actor: str, *, skip: bool = False) -> Imported:
    """Write the places and open the journals of new communities, in one commit."""
    plan.check(skip)
    places = [place for _, place in plan.ready]
    new = [place.code for row, place in plan.ready if place.level == "community" and plan.states[row] == NEW]
    if places:
        await _settle(town, places, sorted(new), actor)
        await town.register.reload()
    return Imported(plan.counts, plan.rows, {row: place.code for row, place in plan.ready})


async def open_journals(town: Town, codes: Sequence[str], actor: str) -> list[str]:
    """Open the journals of these communities; those that were not open before. Raises `not_found`."""
    for code in codes:
        if town.register.place(code).level != "community":
            raise Refusal("not_found", what="community", id=code)
    return await _settle(town, (), sorted(set(codes)), actor)


async def _settle(town: Town, places: Sequence[Place], opening: Sequence[str], actor: str) -> list[str]:
    await town.packs.refresh()
    first = town.packs.first
    founding = Founding(first, packed(await town.packs.files(first)))
    async with town.signing.steady() as signer:
        txn = town.ledger.new_id("txn")
        command = _Settling(places, opening, town.keys, signer.vkey, town.packs, founding, actor, txn)
        return (await town.ledger.submit(command)).value


# people --------------------------------------------------------------------------------------------------------


async def plan_people(town: Town, sheet: PeopleSheet) -> Plan[NewPerson]:
    """Every person in a grid of an open community; children, unknown places and unknown groups are refused."""
    await town.register.refresh()
    plan: Plan[NewPerson] = Plan("people", sheet.ignored, list(sheet.problems))
    finder = _Finder(town.register, town.packs.at(town.ledger.clock()), await _open_journals(town.ledger))
    today = date.fromisoformat(local_day(town.ledger.clock(), finder.pack.zone))
    people = [(row, person) for row in sheet.rows if (person := _person(plan, finder, row, today)) is not None]
    known = await town.people.registered([person for _, person in people])
    first: dict[bytes, tuple[PersonRow, NewPerson]] = {}
    for (row, person), found in zip(people, known, strict=True):
        digest = town.people.indexes.identity(person.name, person.phone, person.grid, person.birth)
        earlier, same = first.setdefault(digest, (row, person))
        if earlier is not row:
            if (same.grid, same.birth, earlier.groups) == (person.grid, person.birth, row.groups):
                plan.take(row.row, DUPLICATE)
            else:
                plan.refuse(row.row, "name", row.name, "rows_disagree", other=earlier.row)
        elif isinstance(found, Refusal):
            plan.refuse(row.row, "name", row.name, found.code, **found.facts)
        elif found is not None:
            plan.take(row.row, DUPLICATE)
        else:
            plan.take(row.row, NEW, person)
    return plan


class _Finder:
    """Places and groups as a sheet writes them, each text looked up once."""

    def __init__(self, register: Register, pack: Pack, journals: frozenset[str]) -> None:
        self.register, self.pack, self.journals = register, pack, journals
        self._communities: dict[str, Place | None] = {}
        self._grids: dict[tuple[str, str], Place | None] = {}
        self._groups: dict[str, tuple[str, str] | None] = {}

    def community(self, text: str) -> Place | None:
        if text not in self._communities:
            self._communities[text] = self.register.match_community(text)
        return self._communities[text]

    def grid(self, text: str, community: str) -> Place | None:
        key = (text, community)
        if key not in self._grids:
            self._grids[key] = self.register.match_grid(text, community)
        return self._grids[key]

    def group(self, text: str) -> tuple[str, str] | None:
        """(code, kind) of a group."""
        if text not in self._groups:
            group = self.pack.group_by_text(text)
            self._groups[text] = (group.code, group.kind) if group else None
        return self._groups[text]


def _home(plan: Plan[Any], finder: _Finder, row: int, community: str | None) -> str | None:
    place = finder.community(community) if community else None
    if community is None:
        plan.refuse(row, "community", "", "place_missing")
    elif place is None:
        plan.refuse(row, "community", community, "place_unknown")
    elif place.code not in finder.journals:
        plan.refuse(row, "community", community, "journal_not_open", journal=place.code)
    else:
        return place.code
    return None


def _person(plan: Plan[NewPerson], finder: _Finder, row: PersonRow, today: date) -> NewPerson | None:
    home = _home(plan, finder, row.row, row.community)
    if home is None:
        return None
    grid = finder.grid(row.grid, home)
    if grid is None:
        plan.refuse(row.row, "grid", row.grid, "grid_unknown", community=row.community)
        return None
    groups = _groups(plan, finder, row.row, "groups", row.groups, "person")
    if groups is None:
        return None
    consents = Consents(publication=int(row.publication or False))
    try:
        check_joining(row.birth, consents, today)
    except Refusal as refusal:
        plan.refuse(row.row, "birth", row.birth, refusal.code, **refusal.facts)
        return None
    also = partial(_person_rows, home, grid.code, groups)
    return NewPerson(row.name, row.phone, row.birth, home, grid.code, consents, also)


def _person_rows(home: str, grid: str, groups: Sequence[str], subject: str, now_us: int) -> list[tuple[Table, Any]]:
    return [(SUBJECT, subject_row(subject, "person", home, grid, groups, now_us))]


def _groups(plan: Plan[Any], finder: _Finder, row: int, name: str, texts: Sequence[str], kind: str) -> list[str] | None:
    codes: list[str] = []
    for text in texts:
        found = finder.group(text)
        if found is None:
            plan.refuse(row, name, text, "group_unknown")
            return None
        if found[1] != kind:
            plan.refuse(row, name, text, "group_mismatch", group=found[0])
            return None
        codes.append(found[0])
    return codes


async def _open_journals(ledger: Ledger) -> frozenset[str]:
    return frozenset(journal for (journal,) in await ledger.fetch("SELECT journal FROM head"))


async def commit_people(town: Town, plan: Plan[NewPerson], actor: str, *, skip: bool = False) -> Imported:
    """Open all accounts of the plan in one commit."""
    plan.check(skip)
    if not plan.ready:
        return Imported(plan.counts, plan.rows, {})
    answer = await town.people.register_all(
        [person for _, person in plan.ready],
        actor=actor,
        base=town.packs.at(town.ledger.clock()).base_standing,
        known="skip",
    )
    return _imported(plan, answer)


def _imported(plan: Plan[Any], answer: Answer) -> Imported:
    """Somebody else may have registered one of them since the plan was made: then that row is a duplicate."""
    ids: dict[int, str] = {}
    for (row, _), (subject, new) in zip(plan.ready, answer.value, strict=True):
        ids[row] = subject
        if not new:
            plan.states[row] = DUPLICATE
    return Imported(plan.counts, plan.rows, ids)


# bodies --------------------------------------------------------------------------------------------------------


async def plan_bodies(town: Town, sheet: BodiesSheet) -> Plan[NewBody]:
    """Every body in an open community, under the group that is named or that its type names."""
    await town.register.refresh()
    plan: Plan[NewBody] = Plan("bodies", sheet.ignored, list(sheet.problems))
    finder = _Finder(town.register, town.packs.at(town.ledger.clock()), await _open_journals(town.ledger))
    bodies = [(row, body) for row in sheet.rows if (body := _body(plan, finder, row)) is not None]
    known = await known_bodies(town.ledger, [body for _, body in bodies])
    first: dict[str, tuple[BodyRow, NewBody]] = {}
    for row, body in bodies:
        earlier, same = first.setdefault(body.claim, (row, body))
        if earlier is not row and same != body:
            plan.refuse(
                row.row, "uscc" if body.uscc else "name", row.uscc or row.name, "rows_disagree", other=earlier.row
            )
        elif earlier is not row or body.claim in known:
            plan.take(row.row, DUPLICATE)
        else:
            plan.take(row.row, NEW, body)
    return plan


def _body(plan: Plan[NewBody], finder: _Finder, row: BodyRow) -> NewBody | None:
    home = _home(plan, finder, row.row, row.community)
    if home is None:
        return None
    named = "group" if row.group else "type"
    groups = _groups(plan, finder, row.row, named, [row.group or row.type], "body")
    if groups is None:
        return None
    return NewBody(row.name, row.type, row.uscc, groups[0], home, row.contact, row.phone)


async def commit_bodies(town: Town, plan: Plan[NewBody], actor: str, *, skip: bool = False) -> Imported:
    """Open all accounts of the plan in one commit."""
    plan.check(skip)
    if not plan.ready:
        return Imported(plan.counts, plan.rows, {})
    answer = await register_bodies(
        town,
        [body for _, body in plan.ready],
        actor=actor,
        base=town.packs.at(town.ledger.clock()).base_standing,
        known="skip",
    )
    return _imported(plan, answer)
