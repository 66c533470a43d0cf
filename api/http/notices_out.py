# SPDX-License-Identifier: Apache-2.0
"""What has to be told to whom: as a list, as a table for the sender of messages, as slips to print; and that it was."""

from datetime import date
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.params import Parameter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.answers import answers
from api.http.awards import lang_of
from api.http.list_shapes import MyNotices, NoticeOut, NoticesDelivered
from api.http.reply import Cursor, cursor_of, key_of, reply
from api.http.shapes import Page
from api.http.subjects import own_subject
from api.notices import wording
from api.notices.untold import Channel, Deliver, Delivered, Place, own, plausible, untold
from api.pages.page import CSP
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339

TAGS = ["people"]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
_PRIVATE = {"Cache-Control": "no-store"}


class Line(BaseModel):
    """A line of an edition, as the list gave it under `prior`."""

    model_config = _STRICT

    edition: Annotated[str, Field(min_length=1, max_length=40)]
    line: Annotated[str, Field(min_length=1, max_length=60)]


class Told(BaseModel):
    """As the list gave it: up to which entry of which journal, up to which day lots were announced, and which lines of
    editions."""

    model_config = _STRICT

    subject: Annotated[str, Field(min_length=1, max_length=40)]
    journal: Annotated[str, Field(min_length=1, max_length=40)]
    seq: Annotated[int, Field(ge=-1, le=2**53 - 1)]
    warned: date | None
    prior: Annotated[list[Line], Field(max_length=100)] = []


class Deliveries(BaseModel):
    model_config = _STRICT

    channel: Literal["sms", "print"]
    delivered: Annotated[list[Told], Field(min_length=1, max_length=5000)]


@get(
    "/notices-out",
    tags=TAGS,
    summary="What people must be told",
    operation_id="listNoticesOut",
    responses={200: answers(Page[NoticeOut], media=("application/json", "text/csv", "text/html"))},
)
async def listing(
    request: Request[Any, Any, Any],
    world: World,
    caller: Caller,
    channel: Channel,
    place: Annotated[str, Parameter(max_length=40)],
    form: Literal["json", "csv", "slips"] = "json",
    cursor: Cursor = None,
) -> Response[bytes]:
    """Entries that somebody living at a place was not told of, points that lapse within 60 days, and prior notice to
    bodies (`prior`: say so when it was delivered). `sms` are those with a phone, `print` all others. One page covers a
    stretch of a journal, so `items` may be empty before the last.
    """
    world.register.place(place)
    if not caller.serves(place, world.covers):
        raise Refusal("forbidden", scope="people:read", place=place)
    at = key_of(cursor, str, int)
    found, following = await untold(world, place, Place(*at) if at else None)
    told = [one for one in await wording.worded(world, found) if (one.phone is not None) == (channel == "sms")]
    await world.saw_all(caller, (one.notice.subject for one in told), f"notice {channel}")
    after = None if following is None else cursor_of(*following)
    headers = {**_PRIVATE, **({"X-Next-Cursor": after} if after else {})}
    if form == "csv":
        headers["Content-Disposition"] = f'attachment; filename="notices-{place}.csv"'
        return Response(wording.table(told), media_type="text/csv; charset=utf-8", headers=headers)
    if form == "slips":
        page = wording.slips(world, told)
        return Response(page, media_type="text/html", headers={**headers, "Content-Security-Policy": CSP})
    return reply(200, {"items": [_body(one) for one in told], "next": after}, headers=headers)


@post(
    "/notices-out/deliveries",
    tags=TAGS,
    summary="They were told",
    operation_id="deliverNotices",
    responses={200: answers(NoticesDelivered)},
    status_code=200,
)
async def deliver(world: World, caller: Caller, data: Deliveries) -> Response[bytes]:
    """Recorded once and never undone; saying it again changes nothing."""
    subjects = await world.register.subjects([one.subject for one in data.delivered])
    for one in data.delivered:
        known = subjects.get(one.subject)
        if known is None or not caller.serves(known.grid or known.home, world.covers):
            raise Refusal("forbidden")
    delivered = [
        Delivered(one.subject, one.journal, one.seq, one.warned.isoformat() if one.warned else "")
        for one in data.delivered
    ]
    told = await plausible(world, delivered, {subject: known.home for subject, known in subjects.items()})
    for one in data.delivered:
        for line in one.prior:
            await world.editions.hand_over(caller.actor, one.subject, line.edition, line.line, data.channel)
    answer = await world.ledger.submit(Deliver(told, data.channel, caller.id))
    return reply(200, {"delivered": answer.value})


@get(
    "/me/notices", tags=["me"], summary="My notices", operation_id="listMyNotices", responses={200: answers(MyNotices)}
)
async def mine(request: Request[Any, Any, Any], world: World, caller: Caller) -> Response[bytes]:
    """What was done in my name, in words, newest first; `told_at` says when it was last sent or handed over."""
    subject, lang = own_subject(world, caller), lang_of(request)
    rows = await world.ledger.fetch("SELECT channel, told_at FROM notice_mark WHERE subject = ?", subject)
    items = [
        {**{name: line[name] for name in ("journal", "seq", "kind", "recorded_at")},
         "text": wording.sentence(world, line, lang)}
        for line in await own(world, subject, 100)
    ]  # fmt: skip
    told = {"channel": rows[0][0], "told_at": rfc3339(rows[0][1])} if rows else {"channel": None, "told_at": None}
    return reply(200, {"items": items, "next": None, **told}, headers=_PRIVATE)


def _body(one: wording.Told) -> dict[str, Any]:
    notice = one.notice
    return {
        "subject": notice.subject,
        "name": one.name,
        "phone": one.phone,
        "grid": notice.grid or None,
        "text": one.text,
        "entries": [{name: line[name] for name in ("journal", "seq", "kind")} for line in notice.lines],
        "lapsing": [{"expires_on": day, "amount": points} for day, points in notice.lapsing],
        "prior": [{"edition": line.edition, "line": line.line} for line in notice.prior],
        "mark": {"journal": notice.journal, "seq": notice.seq, "warned": notice.warned or None},
    }


routes = [listing, deliver, mine]
