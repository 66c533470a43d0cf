# SPDX-License-Identifier: Apache-2.0
"""The four-eyes queue: what waits for a second person, and their yes or no."""

import re
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import HeaderParameter, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from api import messages, packs
from api.auth import Caller
from api.http.answers import answers
from api.http.awards import lang_of
from api.http.batches import why_body
from api.http.desk_shapes import ApprovalBody, ApprovalHead, DecidedBody
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from ledger.view import rfc3339
from rules.desk import lists
from rules.desk.approval import Decided
from rules.desk.records import ApprovalRecord
from rules.ports import APPROVING

TAGS = ["awards"]
_ETAG = re.compile(r'(?:W/)?"?([A-Za-z0-9_.-]{1,80})"?')

IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description="`etag` of what was seen.")]


class Yes(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    reason: Annotated[str | None, Field(max_length=500)] = None


class No(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    reason: Annotated[str, Field(min_length=1, max_length=500)]


def approval_body(one: ApprovalRecord, lang: messages.Lang) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "target": one.target,
        "state": one.state,
        "proposer": one.proposer,
        "place": one.place,
        "why": why_body(one.why, lang),
        "rows": one.lines,
        "standing": one.standing,
        "points": one.points,
        "created_at": rfc3339(one.created_at),
        "etag": one.etag,
        "decided_by": one.decided_by,
        "decided_at": None if one.decided_at is None else rfc3339(one.decided_at),
        "reason": one.reason,
    }


def decided_body(done: Decided) -> dict[str, Any]:
    return {
        "id": done.approval,
        "kind": done.kind,
        "target": done.target,
        "state": done.state,
        "standing": done.standing,
        "points": done.points,
        "counts": dict(done.counts),
        "changed": list(done.changed),
    }


@get(
    "/approvals",
    tags=TAGS,
    summary="What waits for a second person",
    operation_id="listApprovals",
    responses={200: answers(Page[ApprovalHead])},
)
async def listing(
    request: Request[Any, Any, Any],
    world: World,
    caller: Caller,
    state_: Annotated[str, QueryParameter(name="state", pattern="^(open|approved|rejected)$")] = "open",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[bytes]:
    """Over the caller's places, and what the caller has proposed."""
    places = sorted({place for role, place in caller.actor.roles if role in APPROVING})
    before = key_of(cursor, str)
    found = await lists.approvals(
        places, caller.id, state=state_, before=before[0] if before else None, limit=limit + 1
    )
    shown, following = page(found, limit, lambda one: (one.id,))
    return reply(200, {"items": [approval_body(one, lang_of(request)) for one in shown], "next": following})


async def _shown(world: World, caller: Caller, approval: str) -> ApprovalRecord:
    """An approval for whoever decides it, and for whoever proposed it. Raises `not_found` for all others."""
    found = await world.desk.records.approval(approval)
    if found.proposer != caller.id and not all(
        caller.actor.may(APPROVING, place, world.covers) for place in found.places
    ):
        raise Refusal("not_found", what="approval", id=approval[:60])
    return found


@get(
    "/approvals/{approval:str}",
    tags=TAGS,
    summary="One approval",
    operation_id="getApproval",
    responses={200: answers(ApprovalBody, etag=True)},
)
async def one(request: Request[Any, Any, Any], world: World, caller: Caller, approval: str) -> Response[bytes]:
    found = await _shown(world, caller, approval)
    body = approval_body(found, lang_of(request))
    if found.kind == "pack":
        body["proposal"] = packs.proposed(world, await world.publishing.proposal(found.target))
    return reply(200, body, headers={"ETag": f'"{found.etag}"'})


@post(
    "/approvals/{approval:str}/approve",
    tags=TAGS,
    summary="Say yes",
    operation_id="approve",
    status_code=200,
    responses={200: answers(DecidedBody)},
)
async def approve(
    world: World,
    caller: Caller,
    approval: str,
    retry: Retry,
    data: Yes | None = None,
    if_match: IfMatch = None,
) -> Response[bytes]:
    """Judged again now; `changed` lists what came out other than it was seen. `If-Match` says what was seen."""
    etag = _seen(if_match)
    if etag is None:
        raise Refusal("precondition_required")
    await _shown(world, caller, approval)
    reason = data.reason if data is not None else None
    done, replayed = await world.desk.approve(caller.actor, approval, etag=etag, reason=reason, retry=retry)
    return reply(200, decided_body(done), replayed)


@post(
    "/approvals/{approval:str}/reject",
    tags=TAGS,
    summary="Say no",
    operation_id="reject",
    status_code=200,
    responses={200: answers(DecidedBody)},
)
async def reject(
    world: World, caller: Caller, approval: str, data: No, retry: Retry, if_match: IfMatch = None
) -> Response[bytes]:
    """Nothing is posted. Whoever proposed it may take it back themselves."""
    await _shown(world, caller, approval)
    done, replayed = await world.desk.reject(
        caller.actor, approval, reason=data.reason, etag=_seen(if_match), retry=retry
    )
    return reply(200, decided_body(done), replayed)


def _seen(if_match: str | None) -> str | None:
    if if_match is None:
        return None
    match = _ETAG.fullmatch(if_match.strip())
    return match[1] if match else ""


routes: list[Any] = [listing, one, approve, reject]
