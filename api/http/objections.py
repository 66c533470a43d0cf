# SPDX-License-Identifier: Apache-2.0
"""Objections: made by the subject or on their behalf, shown with their deadlines, decided by somebody else."""

import re
from datetime import date
from typing import Annotated, Any, Literal, NotRequired

from litestar import Response, get, post
from litestar.params import QueryParameter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.auth import Caller
from api.disputes import objection_body
from api.http.answers import TypedDict, answers
from api.http.awards import FACTS_MAX, Long, Short, readable
from api.http.body import INTEGER_MAX, Nothing, invalid
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Day, EntryRef, Instant, PlaceCode, Points, Receipt
from api.lookup import count
from api.reach import in_sight
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from rules.objections import Missing, lists
from rules.objections.domain import Kind

TAGS = ["objections"]
PER_HOUR = 20  # made by one subject
_ENTRY = re.compile(r"([A-Za-z0-9_-]{1,40})/(0|[1-9][0-9]{0,11})")
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

Id = Annotated[str, Field(min_length=1, max_length=60)]


class EntryAt(BaseModel):
    """An entry as its receipt names it."""

    model_config = _STRICT

    journal: Annotated[str, Field(min_length=1, max_length=40)]
    seq: Annotated[int, Field(ge=0, le=INTEGER_MAX)]
    entry_hash: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None


class MissingDeed(BaseModel):
    """A deed that is not in the record."""

    model_config = _STRICT

    indicator: Annotated[str, Field(min_length=1, max_length=40)]
    occurred_on: date
    place: Annotated[str, Field(min_length=1, max_length=40)]


class Filing(BaseModel):
    """One of `entry` (as in a receipt, `journal/seq`, or an award's id), `edition_entry`, `redemption`, `missing`."""

    model_config = _STRICT

    entry: EntryAt | Id | None = None
    edition_entry: Id | None = None
    redemption: Id | None = None
    missing: MissingDeed | None = None
    reason: Long
    on_behalf_of: Annotated[str | None, Field(min_length=1, max_length=40)] = None


def _few(facts: dict[str, int | str] | None) -> dict[str, int | str] | None:
    if facts is not None and len(facts) > FACTS_MAX:
        raise ValueError("too many facts")
    return facts


class Decision(BaseModel):
    """`facts`: those of the deed as it was, where an award is to stand in its place."""

    model_config = _STRICT

    outcome: Literal["upheld", "partly", "rejected"]
    reason: Long
    facts: Annotated[dict[Short, int | Short] | None, AfterValidator(_few)] = None


class Extension(BaseModel):
    model_config = _STRICT

    reason: Long


class DisputedDeed(TypedDict):
    indicator: str
    occurred_on: Day
    place: PlaceCode


class CorrectingAward(EntryRef):
    award: str


class CorrectingReversal(CorrectingAward):
    shortfall: Points


class Correction(TypedDict):
    """What was posted to set it right."""

    reversal: NotRequired[CorrectingReversal]
    award: NotRequired[CorrectingAward]


class ObjectionHead(TypedDict):
    """`due`: the day by which it is decided; `due_sure` is false where the working days of that time are not announced
    yet. `receipt` is that of the objection's own entry, `decision` the entry that decided it. One of `entry`,
    `edition_entry`, `redemption`, `missing` says what is disputed."""

    id: str
    state: Literal["open", "upheld", "partly", "rejected", "withdrawn", "erased"]
    subject: str
    place: PlaceCode
    kind: Kind
    due: Day
    due_sure: bool
    overdue: bool
    extended: bool
    on_behalf: bool
    filed_by: str
    filed_at: Instant
    receipt: Receipt
    decided_by: str | None
    decided_at: Instant | None
    decision: EntryRef | None
    correction: Correction | None
    entry: NotRequired[EntryRef]
    edition_entry: NotRequired[str]
    redemption: NotRequired[str]
    missing: NotRequired[DisputedDeed]


class ObjectionBody(ObjectionHead):
    """With its reasons, until the subject is erased."""

    reason: NotRequired[str | None]
    decision_reason: NotRequired[str]
    extension_reason: NotRequired[str]


class ObjectionPage(TypedDict):
    """`overdue` counts all that are late, on whichever page."""

    items: list[ObjectionHead]
    next: str | None
    overdue: int


@post(
    "/objections",
    tags=TAGS,
    summary="Object",
    operation_id="createObjection",
    responses={201: answers(ObjectionBody)},
)
async def create(world: World, caller: Caller, data: Filing, maybe_retry: Retry | None) -> Response[bytes]:
    """Against an entry in one's own name, or for one that is missing; marked at once. Staff do it on somebody's
    behalf. What is disputed already is refused with the objection there is."""
    own = caller.kind in ("resident", "body")
    if own and data.on_behalf_of not in (None, caller.subject):
        raise Refusal("forbidden", scope="awards:write")
    subject = caller.subject if own else data.on_behalf_of
    if subject is None:
        raise invalid([{"pointer": "/on_behalf_of", "code": "field_missing"}])
    kind, what = _what(data)
    await count(world, f"objection:{caller.id}", **({"most": PER_HOUR, "minutes": 60} if own else {}))
    found, replayed = await world.objections.file(caller.actor, subject, kind, what, data.reason, maybe_retry)
    if not own:
        await world.saw(caller, subject, f"objection {found.id}")
    return reply(201, objection_body(found, world.objections.today), replayed)


def _what(data: Filing) -> tuple[Kind, tuple[str, int] | str | Missing]:
    """The one thing that is disputed. Raises `request_invalid` for none, and for two."""
    given: dict[Kind, Any] = {
        "entry": data.entry,
        "edition_entry": data.edition_entry,
        "redemption": data.redemption,
        "missing": data.missing,
    }
    named: list[Kind] = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        code = "field_unknown" if named else "field_missing"
        raise invalid([{"pointer": f"/{name}", "code": code} for name in (named[1:] if named else ["entry"])])
    if data.missing is not None:
        return "missing", Missing(data.missing.indicator, data.missing.occurred_on, data.missing.place)
    if isinstance(data.entry, EntryAt):
        return "entry", (data.entry.journal, data.entry.seq)
    match = _ENTRY.fullmatch(data.entry or "")
    return named[0], (match[1], int(match[2])) if match is not None else given[named[0]]


@get(
    "/objections",
    tags=TAGS,
    summary="Objections",
    operation_id="listObjections",
    responses={200: answers(ObjectionPage)},
)
async def listing(
    world: World,
    caller: Caller,
    place: str | None = None,
    state_: Annotated[
        str | None, QueryParameter(name="state", pattern="^(open|upheld|partly|rejected|withdrawn|erased)$")
    ] = None,
    late: Annotated[bool, QueryParameter(name="overdue", description="Only those that are late.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[bytes]:
    """One's own; for staff and auditors those of their places, newest first. `overdue` counts what is late."""
    today = world.objections.today
    whose: dict[str, Any]
    if caller.kind in ("resident", "body") and caller.subject:
        whose = {"subject": caller.subject}
    else:
        whose = {"places": readable(caller, place, world)}
    before = key_of(cursor, str)
    found = await lists.objections(
        **whose,
        state=state_,
        due_before=today if late else None,
        before=before[0] if before else None,
        limit=limit + 1,
    )
    shown, following = page(found, limit, lambda one: (one.id,))
    items = [objection_body(one, today) for one in shown]
    return reply(200, {"items": items, "next": following, "overdue": await lists.overdue(today, **whose)})


async def _seen(world: World, caller: Caller, objection: str) -> None:
    await in_sight(world, caller, "objection", objection, places=("place", "journal"))


@get(
    "/objections/{objection:str}",
    tags=TAGS,
    summary="One objection",
    operation_id="getObjection",
    responses={200: answers(ObjectionBody)},
)
async def one(world: World, caller: Caller, objection: str) -> Response[bytes]:
    """With its reasons. For the subject, and for staff of the place of the deed or of the home."""
    await _seen(world, caller, objection)
    found = await world.objections.one(objection)
    await world.saw(caller, found.subject, f"objection {found.id}")
    return reply(200, objection_body(found, world.objections.today), headers={"Cache-Control": "no-store"})


@post(
    "/objections/{objection:str}/decision",
    tags=TAGS,
    summary="Decide",
    operation_id="decideObjection",
    responses={201: answers(ObjectionBody)},
)
async def decide(world: World, caller: Caller, objection: str, data: Decision, retry: Retry) -> Response[bytes]:
    """By somebody who had no hand in what is disputed. What was wrong is set right in the same moment; what cannot be
    is refused, and the objection stays open."""
    await _seen(world, caller, objection)
    found, replayed = await world.objections.decide(
        caller.actor, objection, data.outcome, data.reason, data.facts, retry
    )
    return reply(201, objection_body(found, world.objections.today), replayed)


@post(
    "/objections/{objection:str}/extension",
    tags=TAGS,
    summary="More time",
    operation_id="extendObjection",
    responses={201: answers(ObjectionBody)},
)
async def extend(
    world: World, caller: Caller, objection: str, data: Extension, maybe_retry: Retry | None
) -> Response[bytes]:
    """Seven working days instead of three, once, where others must check."""
    await _seen(world, caller, objection)
    found, replayed = await world.objections.extend(caller.actor, objection, data.reason, maybe_retry)
    return reply(201, objection_body(found, world.objections.today), replayed)


@post(
    "/objections/{objection:str}/withdrawal",
    tags=TAGS,
    summary="Take back",
    operation_id="withdrawObjection",
    responses={201: answers(ObjectionBody)},
)
async def withdraw(
    world: World, caller: Caller, objection: str, maybe_retry: Retry | None, data: Nothing | None = None
) -> Response[bytes]:
    """By the subject alone."""
    found, replayed = await world.objections.withdraw(caller.actor, objection, maybe_retry)
    return reply(201, objection_body(found, world.objections.today), replayed)


routes: list[Any] = [create, listing, one, decide, extend, withdraw]
