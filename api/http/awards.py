# SPDX-License-Identifier: Apache-2.0
"""Single awards: reporting, trying out, reading, taking back."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api import messages
from api.auth import Caller, calling
from api.disputes import mark
from api.http.answers import answers
from api.http.body import header, invalid
from api.http.desk_shapes import AwardBody, AwardHead, Judged, ReversalBody
from api.http.idempotency import retry_of
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.people.vault import Who
from api.reach import in_sight
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from ledger.view import rfc3339
from rules.desk import AwardRequest, Cause, Evidence, lists
from rules.desk.desk import Judgement
from rules.desk.records import AwardRecord
from rules.desk.reversal import Reversal
from rules.engine.explain import render
from rules.ports import READING

TAGS = ["awards"]
FACTS_MAX = 20
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

Short = Annotated[str, Field(min_length=1, max_length=64)]
Long = Annotated[str, Field(min_length=1, max_length=500)]


class Person(BaseModel):
    """Somebody by name and phone, in the body of a request and never in its address."""

    model_config = _STRICT

    name: Annotated[str, Field(min_length=1, max_length=50)]
    phone: Annotated[str, Field(pattern=r"^1[3-9][0-9]{9}$")]


class CaseOf(BaseModel):
    model_config = _STRICT

    source: Short
    case: Short
    step: Short | None = None


class Proof(BaseModel):
    model_config = _STRICT

    kind: Short
    level: Annotated[str, Field(pattern=r"^E[0-4]$")]
    sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None
    reference: Annotated[str | None, Field(max_length=200)] = None
    confirmed_by: Annotated[str | None, Field(min_length=1, max_length=40)] = None


def few(facts: dict[str, int | str]) -> dict[str, int | str]:
    # Said by hand: for a length on a mapping the OpenAPI document would call it a list.
    if len(facts) > FACTS_MAX:
        raise ValueError("too many facts")
    return facts


class Particulars(BaseModel):
    """What may be said of a deed beside whose it is, what it was and when."""

    model_config = _STRICT

    group: Annotated[str | None, Field(pattern=r"^G[1-9][0-9]?$")] = None
    place: Annotated[str | None, Field(min_length=1, max_length=40)] = None
    cause: CaseOf | None = None
    team: Short | None = None
    campaign: Short | None = None
    note: Long | None = None
    start: Annotated[str | None, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = None
    replaces: Short | None = None


class Reported(Particulars):
    """One deed. `subject` or `who`, not both."""

    subject: Annotated[str | None, Field(min_length=1, max_length=40)] = None
    who: Person | None = None
    indicator: Annotated[str, Field(min_length=1, max_length=40)]
    occurred_on: date
    facts: Annotated[dict[Short, int | Short], AfterValidator(few)] = {}
    evidence: Annotated[list[Proof], Field(max_length=10)] = []


class TakingBack(BaseModel):
    """`rows` only for batches: the sheet's own row numbers."""

    model_config = _STRICT

    reason: Long
    occurred_on: date
    rows: Annotated[list[int] | None, Field(min_length=1, max_length=5000)] = None


async def requests_of(world: World, items: Sequence[Reported]) -> list[AwardRequest | Refusal]:
    """Reports as the desk takes them; whoever is named by name and phone is looked up together."""
    if wrong := [n for n, item in enumerate(items) if (item.subject is None) == (item.who is None)]:
        at = [f"/items/{n}/subject" for n in wrong] if len(items) > 1 else ["/subject"]
        raise invalid([{"pointer": pointer, "code": "field_missing"} for pointer in at])
    named = [Who(item.who.name, item.who.phone) for item in items if item.who is not None]
    found = iter(await world.people.identify_rows(named) if named else [])
    out: list[AwardRequest | Refusal] = []
    for item in items:
        subject = item.subject or next(found)
        out.append(subject if isinstance(subject, Refusal) else _request(item, subject))
    return out


def _request(item: Reported, subject: str) -> AwardRequest:
    return AwardRequest(
        subject=subject,
        indicator=item.indicator,
        occurred_on=item.occurred_on,
        facts=item.facts,
        group=item.group,
        place=item.place,
        cause=None if item.cause is None else Cause(item.cause.source, item.cause.case, item.cause.step),
        team=item.team,
        campaign=item.campaign,
        evidence=proofs_of(item.evidence),
        note=item.note,
        start=item.start,
        replaces=item.replaces,
    )


def proofs_of(items: Sequence[Proof]) -> tuple[Evidence, ...]:
    return tuple(Evidence(one.kind, one.level, one.sha256, one.reference, one.confirmed_by) for one in items)


def lang_of(request: Request[Any, Any, Any]) -> messages.Lang:
    return messages.language((header(request.scope, b"accept-language") or b"").decode("latin-1"))


def award_body(record: AwardRecord, lang: messages.Lang) -> dict[str, Any]:
    """An award as answered. The explanation is None once the subject's key is gone."""
    body: dict[str, Any] = {
        "id": record.id,
        "state": record.state,
        "outcome": record.outcome,
        "standing": record.standing,
        "points": record.points,
        "explanation": None if record.trace is None else render(record.trace, lang),
        "receipt": record.receipt,
        "subject": record.subject,
        "indicator": record.indicator,
        "group": record.group,
        "place": record.place,
        "occurred_on": record.occurred_on,
        "evidence_level": record.level,
        "proposer": record.proposer,
        "approver": record.approver,
        "batch": record.batch,
        "row": record.line,
        "created_at": rfc3339(record.created_at),
    }
    if record.code is not None:
        body["code"] = record.code
    if record.reversal_seq is not None:
        body["reversal"] = {"journal": record.reversal_journal, "seq": record.reversal_seq}
    return body


def reversal_body(one: Reversal) -> dict[str, Any]:
    body = {
        "award": one.award,
        "state": one.state,
        "standing": one.standing,
        "points": one.points,
        "shortfall": one.shortfall,
        "receipt": one.receipt,
    }
    return body if one.row is None else {"row": one.row, **body}


def readable(caller: Caller, place: str | None, world: World) -> list[str]:
    """The places whose lists the caller may read: all of theirs, or the one asked for. Raises `forbidden`."""
    if place is None:
        return sorted({where for role, where in caller.actor.roles if role in READING})
    world.register.place(place)
    if not caller.serves(place, world.covers):
        raise Refusal("forbidden", scope="lists:read", place=place)
    return [place]


async def _posting(request: Request[Any, Any, Any]) -> tuple[World, Caller, Retry]:
    """World, caller and retry key in one: each dependency of its own costs a request some 10 µs, and this is the one
    route that is called all day."""
    caller = calling(request.scope)
    return request.app.state.world, caller, await retry_of(request, caller)


@post(
    "/awards",
    tags=TAGS,
    summary="Report one deed",
    operation_id="createAward",
    responses={201: answers(AwardBody)},
    dependencies={"posting": Provide(_posting)},
)
async def create(
    request: Request[Any, Any, Any], data: Reported, posting: NamedDependency[SkipValidation[Any]]
) -> Response[bytes]:
    """Posted at once, or put before a second person where the rules ask for one. A cap is a result, not an error."""
    world, caller, retry = posting
    (asked,) = await requests_of(world, [data])
    if isinstance(asked, Refusal):
        answer = await world.desk.recall(retry, asked)
    else:
        answer = await world.desk.award(caller.actor, asked, retry)
    return reply(201, award_body(answer.record, lang_of(request)), answer.replayed)


@post(
    "/evaluations",
    tags=TAGS,
    summary="Try out a report",
    operation_id="evaluate",
    status_code=200,
    responses={200: answers(Judged)},
)
async def evaluate(request: Request[Any, Any, Any], world: World, caller: Caller, data: Reported) -> Response[bytes]:
    """What would be posted and why, or why not. Changes nothing.

    Refused: `why_not` holds every check that the report was judged by, with its values, `holds` (yes or no) and a
    sentence (`says`) in both languages: days, evidence, facts, conditions, other hats, the room left in each cap.
    """
    lang = lang_of(request)
    (asked,) = await requests_of(world, [data])
    if isinstance(asked, Refusal):
        would = Judgement("refused", refusal=asked)
    else:
        would = await world.desk.evaluate(caller.actor, asked)
        if would.trace is not None or would.checks:  # what it says of their caps is read and leaves no entry
            await world.saw(caller, asked.subject, f"evaluation {asked.indicator}")
    body: dict[str, Any] = {"state": would.state, "standing": would.standing, "points": would.points}
    if would.refusal is not None:
        code, facts = would.refusal.code, would.refusal.facts
        body |= {"code": code, "explanation": messages.sentence(code, "detail", lang, facts)}
        body |= {"fix": messages.sentence(code, "fix", lang, facts), "errors": errors_of(facts, lang)}
        body["why_not"] = would.checks
    else:
        body |= {"explanation": render(would.trace or {}, lang), "trace": would.trace}
    return reply(200, body)


def errors_of(facts: Mapping[str, Any], lang: messages.Lang) -> list[dict[str, Any]]:
    """Single fields that were wrong, with their sentences."""
    return [
        {**one, "detail": messages.sentence(str(one.get("code")), "detail", lang, {**facts, **one})}
        for one in facts.get("errors", ())
    ]


@get(
    "/awards",
    tags=TAGS,
    summary="Awards",
    operation_id="listAwards",
    responses={200: answers(Page[AwardHead])},
)
async def listing(
    request: Request[Any, Any, Any],
    world: World,
    caller: Caller,
    place: str | None = None,
    indicator: str | None = None,
    state_: Annotated[str | None, QueryParameter(name="state")] = None,
    from_: Annotated[date | None, QueryParameter(name="from")] = None,
    to: date | None = None,
    batch: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[bytes]:
    """For deeds in the caller's places, newest first. The explanation is with the single award."""
    places = readable(caller, place, world)
    before = key_of(cursor, str)
    found = await lists.awards(
        places,
        indicator=indicator,
        state=state_,
        from_day=None if from_ is None else from_.isoformat(),
        to_day=None if to is None else to.isoformat(),
        batch=batch,
        before=before[0] if before else None,
        limit=limit + 1,
    )
    shown, following = page(found, limit, lambda one: (one.id,))
    lang = lang_of(request)
    items = [{k: v for k, v in award_body(one, lang).items() if k != "explanation"} for one in shown]
    await mark(world.ledger, items, [one.receipt for one in shown])
    return reply(200, {"items": items, "next": following})


async def _seen(world: World, caller: Caller, award: str) -> None:
    await in_sight(world, caller, "award", award, places=("place", "journal"))


@get(
    "/awards/{award:str}",
    tags=TAGS,
    summary="One award",
    operation_id="getAward",
    responses={200: answers(AwardBody)},
)
async def one(request: Request[Any, Any, Any], world: World, caller: Caller, award: str) -> Response[bytes]:
    """With its explanation. For the subject, and for staff of the place of the deed or of the home."""
    await _seen(world, caller, award)
    record = await world.desk.records.award(award)
    await world.saw(caller, record.subject, f"award {record.id}")
    body = award_body(record, lang_of(request))
    await mark(world.ledger, [body], [record.receipt])
    return reply(200, body)


@post(
    "/awards/{award:str}/reverse",
    tags=TAGS,
    summary="Take an award back",
    operation_id="reverseAward",
    responses={201: answers(ReversalBody)},
)
async def reverse(world: World, caller: Caller, award: str, data: TakingBack, retry: Retry) -> Response[bytes]:
    """Once. What was spent meanwhile is the shortfall; the caps have room again."""
    if data.rows is not None:
        raise invalid([{"pointer": "/rows", "code": "field_unknown"}])
    await _seen(world, caller, award)
    done, replayed = await world.desk.reverse(
        caller.actor, award, reason=data.reason, occurred_on=data.occurred_on.isoformat(), retry=retry
    )
    return reply(201, reversal_body(done), replayed)


routes: list[Any] = [create, evaluate, listing, one, reverse]
