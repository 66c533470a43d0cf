# SPDX-License-Identifier: Apache-2.0
"""What staff do with an edition, step by step: drafted, frozen, told, decided, published, corrected, line by line."""

from typing import Annotated, Any, Literal

from litestar import Response, post
from pydantic import Field

from api.auth import Caller
from api.editions import assessed, edition_body, line_body
from api.http.answers import answers
from api.http.body import Nothing
from api.http.conditions import IfMatch, etag, version_in
from api.http.editions import TAGS, visible
from api.http.list_shapes import EditionHead, EditionLine
from api.http.merchants import Strict
from api.http.reply import reply
from api.lists import naming
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from rules.lists.model import Edition
from rules.lists.office import Editions

REASON_MAX = 500

Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX)]
Code = Annotated[str, Field(min_length=1, max_length=40)]
LineId = Annotated[str, Field(min_length=1, max_length=60)]


class NewEdition(Strict):
    """A list of the pack in force, a period as the list has it (`2026-11`, `2026Q4`, `2026`), and a place."""

    list: Code
    period: Annotated[str, Field(pattern=r"^[12][0-9]{3}(-(0[1-9]|1[0-2])|Q[1-4])?$")]
    place: Code


class Because(Strict):
    reason: Reason


class Agreeing(Strict):
    """Why, where there is something to say of it."""

    reason: Annotated[str, Field(max_length=REASON_MAX)] = ""


class DecideLine(Strict):
    """`confirmed` or `dropped` on a reminder, `chosen` or `passed` where a person chooses."""

    line: LineId
    outcome: Literal["confirmed", "dropped", "chosen", "passed"]
    reason: Reason


class DeliverLine(Strict):
    """How the subject was told."""

    line: LineId
    channel: Literal["sms", "print", "hand"]


class RepairLine(Strict):
    line: LineId
    reason: Reason


async def _seen(world: World, caller: Caller, edition: str) -> Edition:
    """The edition, for staff of its place; for everybody else one that is not published is not there, and one that is
    cannot be acted on. What exactly may be done is the office's to say."""
    found, staff = await visible(world, caller, edition)
    if not staff:
        raise Refusal("forbidden", scope="lists:write", place=found.place)
    return found


async def _office(world: World, caller: Caller, edition: str, if_match: str | None) -> Editions:
    """The office, for staff of the edition's place who act on what they saw."""
    await _seen(world, caller, edition)
    return world.editions.seen(edition, version_in(if_match))


def answered(made: Edition, status: int = 200, replayed: bool = False) -> Response[bytes]:
    return reply(status, edition_body(made, staff=True), replayed, etag(made.etag))


@post(
    "/editions",
    tags=TAGS,
    summary="Draft an edition",
    operation_id="draftEdition",
    responses={201: answers(EditionHead, etag=True)},
)
async def draft(world: World, caller: Caller, data: NewEdition) -> Response[bytes]:
    """One at a time for a list, period and place. Nothing is computed yet; its page shows what it would be."""
    made = await world.editions.draft(caller.actor, data.list, data.period, data.place)
    return answered(made, 201)


@post(
    "/editions/{edition:str}/freeze",
    status_code=200,
    tags=TAGS,
    summary="Freeze",
    operation_id="freezeEdition",
    responses={200: answers(EditionHead, etag=True)},
)
async def freeze(
    world: World, caller: Caller, edition: str, data: Nothing | None = None, if_match: IfMatch = None
) -> Response[bytes]:
    """Computed from the ledger as it is at this moment, once the period is over. Nothing in it changes after that."""
    office = await _office(world, caller, edition, if_match)
    return answered(await office.freeze(caller.actor, edition))


@post(
    "/editions/{edition:str}/notify",
    status_code=200,
    tags=TAGS,
    summary="Tell them",
    operation_id="notifyEdition",
    responses={200: answers(EditionHead, etag=True)},
)
async def notify(
    world: World, caller: Caller, edition: str, data: Nothing | None = None, if_match: IfMatch = None
) -> Response[bytes]:
    """Bodies find it under `/me/editions`, and `/notices-out` has it for those who must be told on paper. Each body's
    days to answer begin when it was told."""
    office = await _office(world, caller, edition, if_match)
    return answered(await office.notify(caller.actor, edition))


@post(
    "/editions/{edition:str}/publish",
    status_code=200,
    tags=TAGS,
    summary="Agree to it",
    operation_id="publishEdition",
    responses={200: answers(EditionHead, etag=True)},
)
async def publish(
    world: World,
    caller: Caller,
    maybe_retry: Retry | None,
    edition: str,
    data: Agreeing | None = None,
    if_match: IfMatch = None,
) -> Response[bytes]:
    """An approval; with the last one that it needs, it is published and its digest stands in the journals. Not by
    whoever drafted or froze it, and not by somebody who is on it."""
    await assessed(world, await _seen(world, caller, edition))
    reason = "" if data is None else data.reason
    office = world.editions.seen(edition, version_in(if_match))
    done, replayed = await office.agree(caller.actor, edition, reason, maybe_retry)
    return answered(done, replayed=replayed)


@post(
    "/editions/{edition:str}/discard",
    status_code=200,
    tags=TAGS,
    summary="Discard it",
    operation_id="discardEdition",
    responses={200: answers(EditionHead, etag=True)},
)
async def discard(
    world: World, caller: Caller, edition: str, data: Because, if_match: IfMatch = None
) -> Response[bytes]:
    """It will not be published. It stays to be seen by staff, with the reason."""
    office = await _office(world, caller, edition, if_match)
    return answered(await office.discard(caller.actor, edition, data.reason))


@post(
    "/editions/{edition:str}/corrections",
    tags=TAGS,
    summary="Correct it",
    operation_id="correctEdition",
    responses={201: answers(EditionHead, etag=True)},
)
async def correct(
    world: World, caller: Caller, edition: str, data: Because, if_match: IfMatch = None
) -> Response[bytes]:
    """A new version, as a draft: of the same members and deeds, without what was taken back or found wrong since. The
    version before stays to be read, marked as corrected."""
    office = await _office(world, caller, edition, if_match)
    await naming.check_unnamed(world, edition, data.reason)
    return answered(await office.correct(caller.actor, edition, data.reason), 201)


@post(
    "/editions/{edition:str}/lines/decide",
    status_code=200,
    tags=TAGS,
    summary="Decide on a line",
    operation_id="decideEditionLine",
    responses={200: answers(EditionLine)},
)
async def decide(
    world: World, caller: Caller, edition: str, data: DecideLine, if_match: IfMatch = None
) -> Response[bytes]:
    """A body is confirmed on a reminder only after it was told, after its days to answer, and while nothing about the
    line is disputed. No machine ends or gives an honour."""
    office = await _office(world, caller, edition, if_match)
    await naming.check_unnamed(world, edition, data.reason)
    done = await office.decide(caller.actor, edition, data.line, data.outcome, data.reason)
    return reply(200, await line_body(world, done))


@post(
    "/editions/{edition:str}/lines/deliver",
    status_code=200,
    tags=TAGS,
    summary="A body was told",
    operation_id="deliverEditionLine",
    responses={200: answers(EditionLine)},
)
async def deliver(world: World, caller: Caller, edition: str, data: DeliverLine) -> Response[bytes]:
    """The first delivery counts; saying it again changes nothing."""
    await _seen(world, caller, edition)
    return reply(
        200, await line_body(world, await world.editions.deliver(caller.actor, edition, data.line, data.channel))
    )


@post(
    "/editions/{edition:str}/lines/repair",
    status_code=200,
    tags=TAGS,
    summary="Put right: off the list",
    operation_id="repairEditionLine",
    responses={200: answers(EditionLine)},
)
async def repair(
    world: World, caller: Caller, edition: str, data: RepairLine, if_match: IfMatch = None
) -> Response[bytes]:
    """At once, on every page; the archive says that a line was removed and on which day."""
    office = await _office(world, caller, edition, if_match)
    return reply(200, await line_body(world, await office.repair(caller.actor, edition, data.line, data.reason)))


@post(
    "/editions/{edition:str}/lines/remove",
    status_code=200,
    tags=TAGS,
    summary="Should not be there: off the list",
    operation_id="removeEditionLine",
    responses={200: answers(EditionLine)},
)
async def remove(
    world: World, caller: Caller, edition: str, data: RepairLine, if_match: IfMatch = None
) -> Response[bytes]:
    """At once, before the correction that it asks for is made."""
    office = await _office(world, caller, edition, if_match)
    return reply(200, await line_body(world, await office.remove(caller.actor, edition, data.line, data.reason)))


routes: list[Any] = [draft, freeze, notify, publish, discard, correct, decide, deliver, repair, remove]
