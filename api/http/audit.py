# SPDX-License-Identifier: Apache-2.0
"""Who read whose record: for the person whose record it is, and for auditors of the place."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import Parameter

from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Instant, PlaceCode
from api.reach import reached
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339

Subject = Annotated[str | None, Parameter(max_length=64, description="Oneself, where none is named.")]


class HeldRole(TypedDict):
    role: str
    place: PlaceCode


class Reading(TypedDict):
    """`what` was read, by whom, in which roles."""

    at: Instant
    reader: str
    roles: list[HeldRole]
    what: str


class AccessPage(TypedDict):
    subject: str
    items: list[Reading]
    next: str | None


@get(
    "/audit/access",
    tags=["subjects"],
    summary="Who read a record",
    operation_id="listAccess",
    responses={200: answers(AccessPage)},
)
async def access(
    world: World, caller: Caller, subject: Subject = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[bytes]:
    """Newest first, with the roles and places that the reader had then; also for somebody who was erased since."""
    subject = subject or caller.subject
    if subject is None:
        raise Refusal("subject_unknown", subject="")
    if caller.kind not in ("resident", "body") or caller.subject != subject:
        await reached(world, caller, subject, erased=True)
    before: Any = key_of(cursor, int, str) or (2**53 - 1, "")
    rows = await world.ledger.fetch(
        "SELECT at, id, reader, what, roles FROM access_log WHERE subject = ? "
        "AND (at < ? OR at = ? AND id < ?) ORDER BY at DESC, id DESC LIMIT ?",
        subject, before[0], before[0], before[1], limit + 1,
    )  # fmt: skip
    shown, following = page(rows, limit, lambda row: (row[0], row[1]))
    items = [
        {"at": rfc3339(at), "reader": reader, "roles": _roles(roles), "what": what}
        for at, _, reader, what, roles in shown
    ]
    return reply(200, {"subject": subject, "items": items, "next": following}, headers={"Cache-Control": "no-store"})


def _roles(words: str) -> list[dict[str, str]]:
    parted = (word.partition("@") for word in words.split())
    return [{"role": role, "place": place} for role, _, place in parted]


routes = [access]
