# SPDX-License-Identifier: Apache-2.0
"""Reported deeds: handed in by residents or for them, and the queue in which staff decide."""

from datetime import date
from typing import Annotated, Any, Literal, NotRequired

from litestar import Request, Response, get, post
from litestar.params import QueryParameter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.awards import Long, Particulars, Proof, Short, award_body, few, lang_of, proofs_of
from api.http.body import Nothing, invalid
from api.http.desk_shapes import AwardBody
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Day, Digest, Instant, Page, PlaceCode
from api.lookup import count
from api.reach import in_sight
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from ledger.view import rfc3339
from rules.desk import AwardRequest, Cause
from rules.reports.filing import State
from rules.reports.reports import PHOTOS_MAX, TEXT_MAX, Report, ReportRecord

TAGS = ["reports"]
PER_HOUR = 30  # handed in by one subject
DAY_US = 86_400_000_000
NO_STORE = {"Cache-Control": "no-store"}
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

Facts = Annotated[dict[Short, int | Short], AfterValidator(few)]
Code = Annotated[str, Field(min_length=1, max_length=40)]


class Deed(BaseModel):
    """`subject` is for staff; residents and bodies report what they did themselves. `evidence` are the `sha256` of
    photos handed in before."""

    model_config = _STRICT

    subject: Code | None = None
    occurred_on: date
    place: Code | None = None
    indicator: Code | None = None
    facts: Facts = {}
    text: Annotated[str, Field(max_length=TEXT_MAX)] = ""
    evidence: Annotated[list[Short], Field(max_length=PHOTOS_MAX)] = []


class Accepted(Particulars):
    """What an award still needs. What is left out is as it was reported; `evidence` is what staff found beside the
    reporter's word."""

    indicator: Code | None = None
    occurred_on: date | None = None
    facts: Facts | None = None
    evidence: Annotated[list[Proof], Field(min_length=1, max_length=10)]


class Declined(BaseModel):
    model_config = _STRICT

    reason: Long


class ReportHead(TypedDict):
    """A reported deed. `same_photo`, for those who decide: reports of others with the same photo."""

    id: str
    state: State
    subject: str
    place: PlaceCode
    indicator: str | None
    occurred_on: Day
    evidence_level: Literal["E0"]
    reporter: str
    created_at: Instant
    waited_days: int
    award: str | None
    decided_by: str | None
    decided_at: Instant | None
    same_photo: NotRequired[list[str]]


class ReportBody(ReportHead):
    """With what was written, until the subject is erased."""

    text: NotRequired[str]
    facts: NotRequired[dict[str, int | str]]
    evidence: NotRequired[list[Digest]]
    reason: NotRequired[str | None]


class AcceptedReport(AwardBody):
    report: str


def report_body(one: ReportRecord, caller: Caller, now_us: int) -> dict[str, Any]:
    """As answered. That others have handed in the same photo is for those who decide, not for those who report."""
    until = now_us if one.decided_at is None else one.decided_at
    body: dict[str, Any] = {
        "id": one.id,
        "state": one.state,
        "subject": one.subject,
        "place": one.place,
        "indicator": one.indicator,
        "occurred_on": one.occurred_on,
        "evidence_level": "E0",
        "reporter": one.reporter,
        "created_at": rfc3339(one.created_at),
        "waited_days": max(0, until - one.created_at) // DAY_US,
        "award": one.award,
        "decided_by": one.decided_by,
        "decided_at": None if one.decided_at is None else rfc3339(one.decided_at),
    }
    if caller.kind in ("staff", "client"):
        body["same_photo"] = list(one.same_photo)
    if one.content is not None:
        content = one.content
        body |= {"text": content["text"], "facts": content["facts"], "evidence": content["photos"]}
        body["reason"] = content.get("reason")
    return body


async def _found(world: World, caller: Caller, id_: str) -> ReportRecord:
    """A report that the caller may see. Raises `not_found`, whatever the reason."""
    await in_sight(world, caller, "report", id_, owners=("subject", "reporter"), places=("place",))
    found = await world.reports.one(id_)
    await world.saw(caller, found.subject, f"report {found.id}")
    return found


@post(
    "/reports",
    tags=TAGS,
    summary="Report a deed of one's own",
    operation_id="createReport",
    responses={201: answers(ReportBody)},
)
async def create(world: World, caller: Caller, data: Deed, maybe_retry: Retry | None) -> Response[bytes]:
    """Into the queue of the place, as evidence of level E0: nothing is awarded until staff accept it."""
    own = caller.kind in ("resident", "body") and caller.subject is not None
    subject = data.subject or (caller.subject if own else None)
    if subject is None:
        raise invalid([{"pointer": "/subject", "code": "field_missing"}])
    if own and subject != caller.subject:
        raise Refusal("forbidden", scope="awards:write")
    await count(world, f"report:{caller.id}", **({"most": PER_HOUR, "minutes": 60} if own else {}))
    known = await world.photos.of(subject, data.evidence)
    digests = {sha256: known[sha256].digest if sha256 in known else None for sha256 in data.evidence}
    report = Report(subject, data.occurred_on, data.text, data.place, data.indicator, data.facts, digests)
    found, replayed = await world.reports.hand_in(caller.actor, report, maybe_retry)
    return reply(201, report_body(found, caller, world.ledger.clock()), replayed, NO_STORE)


@get(
    "/reports",
    tags=TAGS,
    summary="Reports",
    operation_id="listReports",
    responses={200: answers(Page[ReportHead])},
)
async def listing(
    world: World,
    caller: Caller,
    state_: Annotated[State | None, QueryParameter(name="state")] = None,
    place: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[bytes]:
    """The queue of the caller's places, the oldest first; residents and bodies see their own. What was written is with
    the single report."""
    after = key_of(cursor, str)
    since = after[0] if after else None
    if caller.kind in ("resident", "body"):
        world.people.check_not_erased(caller.subject or "")
        found = await world.reports.listing(subject=caller.subject, state=state_, after=since, limit=limit + 1)
    else:
        places = {where for _, where in caller.actor.roles}
        if place is not None:
            world.register.place(place)
            if not caller.serves(place, world.covers):
                raise Refusal("forbidden", scope="lists:read", place=place)
            places = {place}
        found = await world.reports.listing(places=places, state=state_, after=since, limit=limit + 1)
    shown, following = page(found, limit, lambda one: (one.id,))
    now = world.ledger.clock()
    return reply(200, {"items": [report_body(one, caller, now) for one in shown], "next": following})


@get(
    "/reports/{report:str}",
    tags=TAGS,
    summary="One report",
    operation_id="getReport",
    responses={200: answers(ReportBody)},
)
async def one(world: World, caller: Caller, report: str) -> Response[bytes]:
    """With what was written. For the person, whoever handed it in, and staff at the place; written down."""
    found = await _found(world, caller, report)
    return reply(200, report_body(found, caller, world.ledger.clock()), headers=NO_STORE)


@post(
    "/reports/{report:str}/accept",
    tags=TAGS,
    summary="Accept a report",
    operation_id="acceptReport",
    responses={201: answers(AcceptedReport)},
)
async def accept(
    request: Request[Any, Any, Any], world: World, caller: Caller, report: str, data: Accepted, retry: Retry
) -> Response[bytes]:
    """Award it, with evidence stronger than the reporter's word. All that holds for awards holds here; award and report
    change together. The report's photos go along as evidence."""
    found = await _found(world, caller, report)
    indicator = data.indicator or found.indicator
    if indicator is None:
        raise invalid([{"pointer": "/indicator", "code": "field_missing"}])
    asked = AwardRequest(
        subject=found.subject,
        indicator=indicator,
        occurred_on=data.occurred_on or date.fromisoformat(found.occurred_on),
        facts=data.facts if data.facts is not None else (found.content or {}).get("facts", {}),
        group=data.group,
        place=data.place or found.place,
        cause=None if data.cause is None else Cause(data.cause.source, data.cause.case, data.cause.step),
        team=data.team,
        campaign=data.campaign,
        evidence=proofs_of(data.evidence),
        note=data.note,
        start=data.start,
        replaces=data.replaces,
    )
    answer = await world.reports.accept(caller.actor, found, asked, retry)
    return reply(201, {**award_body(answer.record, lang_of(request)), "report": found.id}, answer.replayed)


@post(
    "/reports/{report:str}/decline",
    tags=TAGS,
    summary="Decline a report",
    operation_id="declineReport",
    responses={201: answers(ReportBody)},
)
async def decline(
    world: World, caller: Caller, report: str, data: Declined, maybe_retry: Retry | None
) -> Response[bytes]:
    """With a reason, which the reporter can read."""
    await _found(world, caller, report)
    found, replayed = await world.reports.decline(caller.actor, report, data.reason, maybe_retry)
    return reply(201, report_body(found, caller, world.ledger.clock()), replayed, NO_STORE)


@post(
    "/reports/{report:str}/withdraw",
    tags=TAGS,
    summary="Withdraw a report",
    operation_id="withdrawReport",
    responses={201: answers(ReportBody)},
)
async def withdraw(
    world: World, caller: Caller, report: str, maybe_retry: Retry | None, data: Nothing | None = None
) -> Response[bytes]:
    """By the person, or by whoever handed it in for them."""
    await _found(world, caller, report)
    found, replayed = await world.reports.withdraw(caller.actor, report, maybe_retry)
    return reply(201, report_body(found, caller, world.ledger.clock()), replayed, NO_STORE)


routes: list[Any] = [create, listing, one, accept, decline, withdraw]
