# SPDX-License-Identifier: Apache-2.0
"""Impact assessments: staff of the street or the county record them; everybody may see which there are."""

from datetime import date
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import Parameter
from pydantic import Field

from api.assessments import Assessment, Conclusion, Purpose
from api.auth import Caller
from api.http.agreements import Sha256
from api.http.answers import answers
from api.http.merchants import Strict
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, key_of, page, reply
from api.http.rule_shapes import AssessmentBody
from api.http.shapes import Page
from api.world import World
from ledger.view import rfc3339

TAGS = ["assessments"]


class NewAssessment(Strict):
    """What was assessed and found, for a place and everything below it. `by`: the office that answers for it;
    `valid_until`: within three years; `sha256`: of the full paper."""

    purpose: Purpose
    place: Annotated[str, Field(min_length=1, max_length=40)]
    title: Annotated[str, Field(min_length=1, max_length=100)]
    summary: Annotated[str, Field(min_length=1, max_length=4_000)]
    sha256: Sha256 | None = None
    conclusion: Conclusion
    by: Annotated[str, Field(min_length=1, max_length=60)]
    valid_until: date


def assessment_body(one: Assessment, *, full: bool) -> dict[str, Any]:
    """`full`: with what only staff and auditors of the place read."""
    said: dict[str, Any] = {
        "id": one.id,
        "purpose": one.purpose,
        "place": one.place,
        "title": one.title,
        "conclusion": one.conclusion,
        "by": one.made_by,
        "valid_until": one.valid_until,
        "recorded_at": rfc3339(one.recorded_at),
    }
    return said | {"summary": one.summary, "sha256": one.sha256 or None} if full else said


@get(
    "/impact-assessments",
    opt={"public": True},
    tags=TAGS,
    summary="Impact assessments",
    operation_id="listImpactAssessments",
    responses={200: answers(Page[AssessmentBody])},
)
async def assessments(
    request: Request[Any, Any, Any],
    world: World,
    place: Annotated[str | None, Parameter(max_length=40)] = None,
    purpose: Purpose | None = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[bytes]:
    """Newest first, those that have run out too; `place`: what counts there, its own and those of the places above.
    What they say in full is for staff and auditors of the place."""
    caller: Caller | None = request.scope.get("caller")  # type: ignore[assignment]
    places = None if place is None else [one.code for one in world.register.tree.up(world.register.place(place).code)]
    (before,) = key_of(cursor, str) or ("pia_~",)
    rows = await world.assessments.find(purpose=purpose, places=places, before=before, limit=limit + 1)
    shown, more = page(rows, limit, lambda one: (one.id,))

    def full(one: Assessment) -> bool:
        return caller is not None and caller.serves(one.place, world.covers)

    return reply(200, {"items": [assessment_body(one, full=full(one)) for one in shown], "next": more})


@post(
    "/impact-assessments",
    tags=TAGS,
    summary="Record one",
    operation_id="addImpactAssessment",
    responses={201: answers(AssessmentBody)},
)
async def add(world: World, caller: Caller, data: NewAssessment) -> Response[bytes]:
    """Without one that finds it acceptable, nothing is published, ranked or offered at a place. It is kept for ever; a
    newer one goes before it."""
    made = await world.assessments.record(
        caller.actor,
        purpose=data.purpose,
        place=data.place,
        title=data.title,
        summary=data.summary,
        conclusion=data.conclusion,
        made_by=data.by,
        valid_until=data.valid_until,
        sha256=data.sha256 or "",
    )
    return reply(201, assessment_body(made, full=True))


routes = [assessments, add]
