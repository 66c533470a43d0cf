# SPDX-License-Identifier: Apache-2.0
"""People: registering, changing, looking up, cards, printed codes and consents. No name ever stands in an address."""

import json
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Response, delete, patch, post
from pydantic import BaseModel, ConfigDict, Field

from api import erasure
from api.auth import Caller
from api.http.answers import answers
from api.http.body import Nothing, invalid
from api.http.conditions import IfMatch, etag, version_in
from api.http.people_shapes import (
    ActivationCode,
    ErasedPerson,
    FoundPeople,
    FrozenCards,
    IssuedCard,
    Masked,
    MyFrozenCards,
    Registered,
    SubjectConsents,
)
from api.http.reply import reply
from api.http.subjects import own_subject
from api.lookup import look_up
from api.people.erasing import Reason
from api.people.names import masked
from api.people.records import Consents, NewPerson
from api.people.vault import UNCHANGED
from api.reach import reached
from api.sheets import values
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from ledger.tables import Row, Table
from ledger.view import View, rfc3339
from rules.register import RESIDENTS, Subject, subject_row
from rules.tables import SUBJECT

TAGS = ["people"]
NO_STORE = {"Cache-Control": "no-store"}

Text = Annotated[str, Field(min_length=1, max_length=50)]
Phone = Annotated[str, Field(pattern=r"^1[3-9][0-9]{9}$")]
Place = Annotated[str, Field(min_length=1, max_length=40)]
Groups = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=8)]
Given = bool | Literal[0, 1]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Agreed(BaseModel):
    """Purpose by purpose; what is not said is not agreed to."""

    model_config = _STRICT

    ledger: Given
    publication: Given = False
    merchant: Given = False
    ranking: Given = False


class Joining(BaseModel):
    model_config = _STRICT

    name: Text
    phone: Phone | None = None
    birth: date | None = None
    grid: Place
    groups: Groups = []
    consents: Agreed


class Changes(BaseModel):
    """What is left out stays; `phone: null` takes the phone away."""

    model_config = _STRICT

    name: Text | None = None
    phone: Phone | None = None
    birth: date | None = None
    grid: Place | None = None
    groups: Groups | None = None


class Asking(BaseModel):
    model_config = _STRICT

    name: Text
    phone: Phone | None = None
    phone_tail: Annotated[str | None, Field(pattern=r"^[0-9]{4}$")] = None
    place: Place | None = None


class CardAct(BaseModel):
    model_config = _STRICT

    action: Literal["issue", "freeze", "reissue"] = "issue"


class LostCard(BaseModel):
    model_config = _STRICT

    action: Literal["freeze"]


class ConsentChange(BaseModel):
    model_config = _STRICT

    ledger: Given | None = None
    publication: Given | None = None
    merchant: Given | None = None
    ranking: Given | None = None


# what a body means ---------------------------------------------------------------------------------------------


def read_text(read: Callable[..., str | None], value: str, pointer: str) -> str:
    """A text as a sheet's cell would be read: the same name is the same name at both doors."""
    try:
        found = read(value)
    except values.Bad as bad:
        raise invalid([{"pointer": pointer, "code": bad.code, **bad.facts}]) from None
    if found is None:
        raise invalid([{"pointer": pointer, "code": "field_missing"}])
    return found


def group_codes(world: World, groups: Sequence[str], kind: str) -> list[str]:
    """Codes of groups given by code or Chinese name. Raises `group_unknown`, `group_mismatch`."""
    codes: list[str] = []
    for text in groups:
        group = world.pack.group_by_text(text)
        if group is None:
            raise Refusal("group_unknown", value=text)
        if group.kind != kind:
            raise Refusal("group_mismatch", group=group.code)
        codes.append(group.code)
    return codes


async def _grid(world: World, caller: Caller, code: str) -> tuple[str, str]:
    """(community, grid) where the caller may register people. Raises `grid_unknown`, `forbidden`."""
    await world.register.refresh()
    place = world.register.tree.places.get(code)
    if place is None or place.level not in ("grid", "building", "unit"):
        raise Refusal("grid_unknown", value=code, community="")
    if not caller.serves(code, world.covers):
        raise Refusal("forbidden", scope="people:write", place=code)
    return world.register.community_of(code), code


async def theirs(world: World, caller: Caller, subject: str) -> Subject:
    """A subject whose record the caller may change. Raises `forbidden`, `subject_unknown`, `subject_erased`."""
    return await reached(world, caller, subject)


# handlers ------------------------------------------------------------------------------------------------------


@post(
    "/people",
    tags=TAGS,
    summary="Register a person",
    operation_id="registerPerson",
    responses={201: answers(Registered)},
)
async def register(world: World, caller: Caller, data: Joining, maybe_retry: Retry | None) -> Response[bytes]:
    """Adults who agree to the ledger, in a grid of the caller's. Everybody is a resident beside other hats."""
    home, grid = await _grid(world, caller, data.grid)
    groups = group_codes(world, data.groups, "person")
    agreed = Consents(**{name: int(given) for name, given in data.consents.model_dump().items()})
    name = read_text(values.name, data.name, "/name")
    rows = partial(_rows, home, grid, groups)
    person = NewPerson(name, data.phone, data.birth, home, grid, agreed, rows)
    base = world.pack.base_standing
    answer = await world.people.register(person, actor=caller.id, base=base, retry=maybe_retry)
    return reply(201, {"subject": answer.ref}, answer.replayed)


def _rows(home: str, grid: str, groups: Sequence[str], subject: str, now_us: int) -> list[tuple[Table, Row]]:
    return [(SUBJECT, subject_row(subject, "person", home, grid, groups, now_us))]


@patch(
    "/people/{subject:str}",
    tags=TAGS,
    summary="Change a record",
    operation_id="changePerson",
    responses={200: answers(Masked, etag=True)},
)
async def change(
    world: World, caller: Caller, subject: str, data: Changes, if_match: IfMatch = None
) -> Response[bytes]:
    """A new grid may lie in another community: then the account moves there, with its points and its caps."""
    known = await theirs(world, caller, subject)
    given = data.model_dump(exclude_unset=True)
    if nothing := [name for name in ("name", "birth", "grid", "groups") if name in given and given[name] is None]:
        raise invalid([{"pointer": f"/{name}", "code": "field_invalid"} for name in nothing])
    home, grid = await _grid(world, caller, data.grid) if data.grid else (known.home, known.grid)
    groups = None if data.groups is None else group_codes(world, data.groups, "person")
    await world.saw(caller, subject, "change")
    await world.people.change(
        subject,
        home=known.home,
        grid=grid,
        new_home=home,
        actor=caller.id,
        name=read_text(values.name, data.name, "/name") if data.name else None,
        phone=data.phone if "phone" in given else UNCHANGED,
        birth=data.birth,
        amend=partial(_amend, subject, home, grid, groups),
        version=version_in(if_match),
    )
    after = await world.register.subject(subject)
    version, person = await world.people.seen(subject)
    body = {
        "subject": subject,
        "masked_name": masked(person.name),
        "place": after.grid,
        "groups": list(after.groups),
    }
    return reply(200, body, headers={**NO_STORE, **etag(version)})


def _amend(subject: str, home: str, grid: str, groups: Sequence[str] | None, view: View) -> None:
    row = view.get(SUBJECT, subject)
    if row is not None:
        hats = row[4] if groups is None else json.dumps(sorted({*groups, RESIDENTS}))
        view.put(SUBJECT, (subject, row[1], home, grid, hats, row[5], row[6]))


@delete(
    "/people/{subject:str}",
    tags=TAGS,
    summary="Erase a person",
    operation_id="erasePerson",
    status_code=200,
    responses={200: answers(ErasedPerson)},
)
async def erase(world: World, caller: Caller, subject: str, reason: Reason = "wish") -> Response[bytes]:
    """By the person, or by staff who register people where they live; the reason is kept. Cannot be undone: points
    lapse, the record and its key are destroyed, entries stay without anybody's name. `traces` says whether the
    database's files are clean already; if somebody still reads them, the server goes on trying."""
    await erasure.check_may(world, caller, subject)
    gone = await erasure.erase(world, subject, actor=caller.id, reason=reason)
    return reply(200, {"subject": subject, "state": "erased", "traces": "none" if gone else "pending"})


@post(
    "/people/lookup",
    tags=TAGS,
    summary="Look somebody up",
    operation_id="lookUpPeople",
    status_code=200,
    responses={200: answers(FoundPeople)},
)
async def lookup(world: World, caller: Caller, data: Asking) -> Response[bytes]:
    """By name and phone, name or surname and the phone's last four digits, or name and place. Written down."""
    if data.phone is None and data.phone_tail is None and data.place is None:
        raise invalid([{"pointer": "/phone", "code": "field_missing"}])
    await world.register.refresh()
    name = read_text(values.name, data.name, "/name")
    items = await look_up(world, caller, name=name, phone=data.phone, phone_tail=data.phone_tail, place=data.place)
    return reply(200, {"items": items}, headers=NO_STORE)


@post(
    "/people/{subject:str}/card",
    tags=TAGS,
    summary="Issue, freeze or replace a card",
    operation_id="card",
    responses={200: answers(FrozenCards, "Frozen."), 201: answers(IssuedCard, "Issued.")},
)
async def card(world: World, caller: Caller, subject: str, data: CardAct) -> Response[bytes]:
    """The PIN is shown once, to be printed. A card issued before is void after `reissue`."""
    await theirs(world, caller, subject)
    if data.action == "freeze":
        await world.saw(caller, subject, "card_freeze")
        frozen = await world.people.cards.freeze(subject)
        return reply(200, {"subject": subject, "state": "frozen", "cards": len(frozen)})
    if data.action == "issue" and await world.people.cards.active(subject):
        raise Refusal("card_active", subject=subject)
    await world.saw(caller, subject, "card_issue")
    issued = await world.people.cards.issue(subject)
    body = {"subject": subject, "state": "active", "card": issued.serial, "pin": issued.pin}
    return reply(201, body, headers=NO_STORE)


@post(
    "/me/card",
    status_code=200,
    tags=["me"],
    summary="Freeze my lost card",
    operation_id="freezeMyCard",
    responses={200: answers(MyFrozenCards)},
)
async def freeze_mine(world: World, caller: Caller, data: LostCard) -> Response[bytes]:
    """A new one is issued at the community's desk; the phone goes on working."""
    frozen = await world.people.cards.freeze(own_subject(world, caller))
    return reply(200, {"state": "frozen", "cards": len(frozen)})


@post(
    "/people/{subject:str}/activation-code",
    tags=TAGS,
    summary="Print an activation code",
    operation_id="printCode",
    responses={201: answers(ActivationCode)},
)
async def activation_code(world: World, caller: Caller, subject: str, data: Nothing | None = None) -> Response[bytes]:
    """For people and bodies: with it and a PIN they activate their own access. Codes printed before are void."""
    await theirs(world, caller, subject)
    await world.saw(caller, subject, "activation_code")
    code = await world.people.cards.issue_code(subject)
    body = {"subject": subject, "code": code.code, "expires_at": rfc3339(code.expires_at)}
    return reply(201, body, headers=NO_STORE)


@post(
    "/people/{subject:str}/consents",
    tags=TAGS,
    summary="Give or withdraw consents",
    operation_id="changeConsents",
    status_code=200,
    responses={200: answers(SubjectConsents)},
)
async def consents(world: World, caller: Caller, subject: str, data: ConsentChange) -> Response[bytes]:
    """By the person, or by staff at home on their behalf. What is left out stays; each change is kept."""
    if caller.subject != subject or caller.kind != "resident":
        await theirs(world, caller, subject)
    given: dict[str, Any] = data.model_dump(exclude_unset=True)
    if nothing := [name for name, value in given.items() if value is None]:
        raise invalid([{"pointer": f"/{name}", "code": "field_invalid"} for name in nothing])
    changes = {name: int(value) for name, value in given.items()}
    await world.saw(caller, subject, "consents")
    after = await world.people.consent(subject, changes, actor=caller.id, amend=partial(_rejoin, subject, changes))
    names = ("ledger", "publication", "merchant", "ranking")
    return reply(200, {"subject": subject, "consents": dict(zip(names, after.row, strict=True))})


def _rejoin(subject: str, changes: dict[str, int], view: View) -> None:
    """Without consent to the ledger the account is marked as withdrawn; what is there stays until it is erased."""
    row = view.get(SUBJECT, subject)
    if row is not None and "ledger" in changes and row[5] != "erased":
        view.put(SUBJECT, (*row[:5], "open" if changes["ledger"] else "withdrawn", row[6]))


routes = [register, change, erase, lookup, card, freeze_mine, activation_code, consents]
