# SPDX-License-Identifier: Apache-2.0
"""The calendar of a screen: what is played on each day, public; its terms, for the staff of its place; a floor let go,
for the member."""

import html
from datetime import date, timedelta
from typing import Annotated, Any

from litestar import Response, get, put
from litestar.params import QueryParameter
from pydantic import Field

from api.auth import Caller
from api.http.answers import answers
from api.http.body import invalid
from api.http.conditions import IfMatch, etag, version_in
from api.http.merchants import Strict, asker
from api.http.reply import reply
from api.http.shop_shapes import FloorKept, ScreenDays, ScreenTerms
from api.pages.page import CSP, filled
from api.world import World
from ledger.view import local_day
from merchants.display import MEMBERS_MAX, MINUTES_MAX, sold_days
from merchants.model import Offer
from merchants.screens import Day

SHOWN_DAYS = 7
DAYS_MAX = 62
_PUBLIC = {"public": True}

Minutes = Annotated[int, Field(ge=0, le=MINUTES_MAX)]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class Terms(Strict):
    """Minutes a day, `floor` of them for each member, from a day on: today where none is said."""

    minutes: Minutes
    floor: Minutes
    members: Annotated[list[Id], Field(max_length=MEMBERS_MAX)]
    from_: Annotated[date | None, Field(alias="from")] = None


class Floor(Strict):
    """Does the member keep its floor of this day, or let it go to the others? Staff name the member."""

    keep: bool
    member: Id | None = None


async def _days(world: World, offer: Offer, from_: date | None, to: date | None) -> list[Day]:
    """These days as they stand; nothing is left of one that is no longer, or not yet, sold."""
    today = local_day(world.ledger.clock(), world.settings.timezone)
    first = from_ or date.fromisoformat(today)
    last = to or first + min(timedelta(days=SHOWN_DAYS - 1), date.max - first)
    if not 0 <= (last - first).days < DAYS_MAX:
        raise invalid([{"pointer": "?to", "code": "out_of_range", "found": str(to), "allowed": f"0..{DAYS_MAX} d"}])
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    sold = sold_days(today)
    return [day if day.day in sold else day._replace(left=0) for day in await world.screens.days(offer.offer, days)]


async def _names(world: World, days: list[Day]) -> dict[str, str]:
    """Names of bodies, which are public; nobody else's."""
    wanted = sorted({one.subject for day in days for one in day.plays})
    if not wanted:
        return {}
    marks = ", ".join("?" * len(wanted))
    return dict(await world.ledger.fetch(f"SELECT subject, name FROM body WHERE subject IN ({marks})", *wanted))


@get(
    "/offers/{offer:str}/calendar",
    opt=_PUBLIC,
    tags=["merchants"],
    summary="What a screen plays",
    operation_id="getCalendar",
    responses={200: answers(ScreenDays, etag=True)},
)
async def calendar(
    world: World,
    offer: str,
    from_: Annotated[date | None, QueryParameter(name="from")] = None,
    to: date | None = None,
) -> Response[bytes]:
    """Who plays for how many minutes on each day, and what is left to book; a week from today where no days are said.
    Names are those of bodies."""
    found = await world.screens.offer(offer)
    days = await _days(world, found, from_, to)
    names = await _names(world, days)
    items = [
        {
            "day": day.day,
            "minutes": day.minutes,
            "floor": day.floor,
            "left": day.left,
            "plays": [
                {"name": names.get(one.subject, ""), "minutes": one.minutes, "floor": one.floor, "bought": one.bought}
                for one in day.plays
            ],
        }
        for day in days
    ]
    _, version = await world.screens.plan(offer, days[0].day if days else "")
    return reply(200, {"offer": offer, "price": found.price, "items": items}, headers=etag(version))


@get(
    "/offers/{offer:str}/calendar.html",
    opt=_PUBLIC,
    tags=["merchants"],
    summary="What a screen plays, to print",
    operation_id="getCalendarPage",
    responses={200: answers(media="text/html")},
)
async def printed(
    world: World,
    offer: str,
    from_: Annotated[date | None, QueryParameter(name="from")] = None,
    to: date | None = None,
) -> Response[bytes]:
    """The play lists as a page to hang up."""
    found = await world.screens.offer(offer)
    days = await _days(world, found, from_, to)
    names = await _names(world, days)
    told = "\n".join(_section(day, names) for day in days)
    empty = '<p>这几天没有安排播放。<span lang="en">Nothing is played on these days.</span></p>'
    place = world.place_name(found.community)
    body = filled("calendar.html", title=html.escape(found.title_zh), place=html.escape(place), days=told or empty)
    headers = {"Content-Security-Policy": CSP, "Cache-Control": "no-cache"}
    return Response(body, media_type="text/html", headers=headers)


_WEEKDAYS = "一二三四五六日"


def _section(day: Day, names: dict[str, str]) -> str:
    rows = "".join(
        f'<tr><td class="number">{number}</td><td>{html.escape(names.get(one.subject, "—"))}</td>'
        f'<td class="number">{one.floor}</td><td class="number">{one.bought}</td>'
        f'<td class="number"><strong>{one.minutes}</strong></td></tr>'
        for number, one in enumerate(day.plays, 1)
    )
    weekday = _WEEKDAYS[date.fromisoformat(day.day).weekday()]
    return (
        f'<section class="plays"><h2>{day.day} 星期{weekday} <small>共 {day.minutes} 分钟，'
        f"可预约 {day.left} 分钟</small></h2>"
        '<table><thead><tr><th class="number">顺序</th><th>商户 <span lang="en">Shop</span></th>'
        '<th class="number">保底 <span lang="en">Floor</span></th>'
        '<th class="number">兑换 <span lang="en">Bought</span></th>'
        '<th class="number">分钟 <span lang="en">Minutes</span></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></section>"
    )


@put(
    "/offers/{offer:str}/calendar",
    tags=["merchants"],
    summary="A screen's terms",
    operation_id="setCalendar",
    responses={200: answers(ScreenTerms, etag=True)},
)
async def set_terms(world: World, caller: Caller, offer: str, data: Terms, if_match: IfMatch = None) -> Response[bytes]:
    """Members, their floor and the minutes of a day, from a day on. Nothing that is booked is taken away: terms that
    leave no room for it must begin later. 0 minutes switch the screen off."""
    found = await world.screens.offer(offer)
    kinds = world.shop.offers.scenario(found.scenario).eligible.kinds
    known = await world.register.subjects(data.members)
    wrong = [
        {"pointer": f"/members/{number}", "code": "not_a_choice", "limit": ", ".join(kinds)}
        for number, member in enumerate(data.members)
        if member not in known or known[member].kind not in kinds
    ]
    if wrong:
        raise invalid(wrong)
    today = local_day(world.ledger.clock(), world.settings.timezone)
    from_day = data.from_.isoformat() if data.from_ else today
    version = await world.screens.set_plan(
        asker(world, caller),
        offer,
        from_day=from_day,
        minutes=data.minutes,
        floor=data.floor,
        members=data.members,
        version=version_in(if_match),
    )
    return reply(200, {"offer": offer, **_terms(data), "from": from_day}, headers=etag(version))


def _terms(data: Terms) -> dict[str, Any]:
    return {"minutes": data.minutes, "floor": data.floor, "members": sorted(set(data.members))}


@put(
    "/offers/{offer:str}/calendar/{day:date}/floor",
    tags=["merchants"],
    summary="Keep a floor, or let it go",
    operation_id="setFloor",
    responses={200: answers(FloorKept)},
)
async def set_floor(world: World, caller: Caller, offer: str, day: date, data: Floor) -> Response[bytes]:
    """A member that has nothing to show on a day gives its minutes to the others; it may take them back while nobody
    has bought them."""
    who = asker(world, caller)
    member = data.member or who.subject
    if member is None:
        raise invalid([{"pointer": "/member", "code": "field_missing"}])
    await world.screens.let_go(who, offer, day=day.isoformat(), member=member, keep=data.keep)
    return reply(200, {"offer": offer, "day": day.isoformat(), "keep": data.keep})


routes = [calendar, printed, set_terms, set_floor]
