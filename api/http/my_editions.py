# SPDX-License-Identifier: Apache-2.0
"""Lines about oneself: what a body is to be put on a list for, read here and answered here.

A body that reads that it is proposed for a reminder has been told: its days to answer begin.
"""

from typing import Annotated, Any

from litestar import Response, get, post
from pydantic import Field

from api.auth import Caller
from api.editions import line_body
from api.http.answers import answers
from api.http.list_shapes import EditionLine, MyLine
from api.http.merchants import Strict
from api.http.reply import reply
from api.http.shapes import Page
from api.http.subjects import own_subject
from api.world import World
from ledger import codec
from rules.lists.model import NOTIFIED, Edition, Line, read_definition

TAGS = ["me"]
ANSWER_MAX = 500
SHOWN = 100  # lines of some years
_PRIVATE = {"Cache-Control": "no-store"}


class Answer(Strict):
    """One's own words, shown beside the line as they are. `repaired`: the matter is settled, and staff are asked to
    take the line off before its day."""

    edition: Annotated[str, Field(min_length=1, max_length=40)]
    line: Annotated[str, Field(min_length=1, max_length=60)]
    text: Annotated[str, Field(min_length=1, max_length=ANSWER_MAX)]
    repaired: bool = False


@get(
    "/me/editions",
    tags=TAGS,
    summary="Lists that I am on",
    operation_id="listMyEditions",
    responses={200: answers(Page[MyLine])},
)
async def mine(world: World, caller: Caller) -> Response[bytes]:
    """Lines about me in editions that were told or published, newest first, with where they come from. Object to
    one with `POST /v1/objections {"edition_entry": "<edition>:<line>"}`: it is not shown until that is decided."""
    subject = own_subject(world, caller)
    found = await world.editions.of_subject(subject)
    open_ = await world.ledger.fetch(
        "SELECT m.target, o.id, o.state, o.due FROM objection_mark m JOIN objection o ON o.id = m.objection "
        "WHERE o.subject = ?",
        subject,
    )
    marks = {target: {"id": id_, "state": state, "due": due} for target, id_, state, due in open_}
    items: list[dict[str, Any]] = []
    for edition, line in found[:SHOWN]:
        if line.state == NOTIFIED and not line.delivered_on:
            line = await world.editions.deliver(caller.actor, edition.id, line.line, "read")
        items.append(await _item(world, edition, line, marks))
    return reply(200, {"items": items, "next": None}, headers=_PRIVATE)


@post(
    "/me/editions/answer",
    status_code=200,
    tags=TAGS,
    summary="Answer a line about me",
    operation_id="answerMyEdition",
    responses={200: answers(EditionLine)},
)
async def answer(world: World, caller: Caller, data: Answer) -> Response[bytes]:
    """Before it is published or after; a later answer takes the place of the one before."""
    subject = own_subject(world, caller)
    done = await world.editions.answer(subject, data.edition, data.line, data.text, repaired=data.repaired)
    return reply(200, await _told(world, await world.editions.get(done.edition), done), headers=_PRIVATE)


async def _told(world: World, edition: Edition, line: Line) -> dict[str, Any]:
    """The line; whether somebody is chosen is told with the edition."""
    body = await line_body(world, line)
    if not edition.is_public and edition.kind != "reminder":
        body |= {"state": NOTIFIED, "decided_on": None, "reason": None}
    return body


async def _item(world: World, edition: Edition, line: Line, marks: dict[str, Any]) -> dict[str, Any]:
    files = await world.editions.files(edition.id, "definition.json", "result.json")
    rule = read_definition(files["definition.json"])
    result = codec.decode(files["result.json"])
    row = next((one for one in result.get("rows", ()) if one["line"] == line.line), {})
    targets = (f"edition_entry:{edition.id}:{line.line}", f"entry:{line.journal}/{line.seq}")
    return {
        **await _told(world, edition, line),
        "list": edition.list,
        "name": {"zh": rule.name.zh, "en": rule.name.en},
        "kind": edition.kind,
        "period": edition.period,
        "place": edition.place,
        "place_name": world.place_name(edition.place),
        "edition_state": edition.state,
        "published_on": edition.published_on or None,
        "occurred_on": row.get("occurred_on"),
        "standing": row.get("standing"),
        "objection": next((marks[one] for one in targets if one in marks), None),
    }


routes: list[Any] = [mine, answer]
