# SPDX-License-Identifier: Apache-2.0
"""Lists, month by month: the notice of every community, red and grey lists of the streets, rankings and honours when a
quarter or a year is over. Some shops do not put a complaint right; docs/demo.md says what becomes of each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, timedelta

from api.demo.county import County, Neighbour
from api.demo.lane import Session, first_day
from api.demo.places import COMMUNITIES, STREETS
from rules.desk import AwardRequest, Cause, Evidence
from rules.lists.model import POSTED, Edition, Line
from rules.lists.periods import Period, containing
from rules.ports import Actor

_LISTS: tuple[tuple[str, Period, Sequence[str]], ...] = (
    ("notice", "month", tuple(COMMUNITIES)),
    ("grids", "quarter", tuple(COMMUNITIES)),
    ("red", "month", tuple(STREETS)),
    ("grey", "month", tuple(STREETS)),
    ("workers", "quarter", tuple(STREETS)),
    ("shops", "quarter", tuple(STREETS)),
    ("models", "year", tuple(STREETS)),
)
_EVERYWHERE = 1_000  # people; a smaller town has the lists of its last quarter, in its first community and street
_QUARTER_DAYS = 110
# Days of a month: lists are made, letters brought round; later a shop objects, what is due is published, an objection
# is decided, and what was put right comes off.
_MAKE, _TELL, _OBJECT, _PUBLISH, _DECIDE, _REPAIR = _DAYS = (3, 4, 10, 12, 13, 24)
_DESK = 28  # open in a small town, too
# The months, counted from the first, in which a shop is found not to have put a complaint right; and what follows.
_STORIES = {1: "expires", 6: "repairs", 8: "objects", 10: "stays"}


class Editing:
    """The office for lists. `counts` says what it did."""

    def __init__(self, county: County, as_of: date, counts: Counter[str]) -> None:
        self.county = county
        self.editions = county.world.editions
        self.counts = counts
        self.first = self.done = first_day(as_of)
        self.places_max = None
        if county.scale.people < _EVERYWHERE:
            self.places_max, self.done = 1, as_of - timedelta(days=_QUARTER_DAYS)
        self.shops = [one for bodies in county.bodies.values() for one in bodies if "G5" in one.groups]
        self.waiting: list[str] = []  # grey editions on their way
        self.objection = ""

    def _story(self, month: date) -> tuple[str, Neighbour] | None:
        """What is told of a month, and of which shop."""
        number = (month.year - self.first.year) * 12 + month.month - self.first.month
        if number not in _STORIES:
            return None
        return _STORIES[number], self.shops[list(_STORIES).index(number) % len(self.shops)]

    def complaint(self, home: str, session: Session) -> list[tuple[Neighbour, AwardRequest]]:
        """The month's deduction, where it is a shop of this community."""
        story = self._story(session.day)
        if story is None or story[1].home != home or session.sheet or session.day.day != _DESK:
            return []
        cause = Cause("投诉", f"{session.day:%Y%m}-{home[-4:]}-未整改")
        proof = (Evidence("decision", "E3"),)
        return [(story[1], AwardRequest(story[1].subject, "MK-08", session.day, cause=cause, evidence=proof))]

    async def work(self, day: date) -> None:
        """Everything that fell due since the last time, up to this day, each on its own."""
        for at in self._days(day):
            self.county.clock.set(at, "10:00")
            with self.county.ids("lists", at):
                self.counts["lines ended"] += await self.editions.sweep()
                await self._publish_grey()
                if at.day == _MAKE:
                    await self._make(at)
                else:
                    await self._go_on(at)

    def _days(self, day: date) -> Iterator[date]:
        while self.done < day:
            self.done += timedelta(days=1)
            if self.done.day in _DAYS and self.done > self.first.replace(day=_DESK):  # when a month is over
                yield self.done

    # making them -------------------------------------------------------------------------------------------------

    async def _make(self, at: date) -> None:
        """The lists of what is over: all frozen at one state of the ledger, then published or told to those in them."""
        over = _month_before(at)
        drafted = [
            await self.editions.draft(self._maker(place), code, containing(over, of), place)
            for code, of, places in _LISTS
            if containing(over, of) != containing(at, of)
            for place in places[: self.places_max]
        ]
        # The first brings the columns up to the ledger, the others find them there.
        frozen = [await self._freeze(drafted[0]), *await asyncio.gather(*map(self._freeze, drafted[1:]))]
        for code, _, _ in _LISTS:
            made = [one for one in frozen if one.list == code]
            await self._each(made, self._tell if code == "grey" else self._publish)

    async def _freeze(self, made: Edition) -> Edition:
        return await self.editions.freeze(self._maker(made.place), made.id)

    async def _each(self, editions: Sequence[Edition], work: Callable[[Edition], Awaitable[None]]) -> None:
        async def one(edition: Edition) -> None:
            with self.county.ids("lists", edition.id, work.__name__):
                await work(edition)

        await asyncio.gather(*(one(edition) for edition in editions))

    async def _publish(self, edition: Edition) -> None:
        """Where a person decides, the approver chooses whoever reaches the figures; then the approver agrees."""
        approver, world = self.county.staff["approver"].actor, self.county.world
        if edition.about == "persons":
            for line in await self.editions.lines(edition.id):
                await self.editions.decide(approver, edition.id, line.line, "chosen", "评议会一致同意")
        await world.assessments.require("ranking" if edition.kind == "ranking" else "publication", edition.place)
        await self.editions.publish(approver, edition.id, "核对无误")
        self.counts[f"list: {edition.list}"] += 1
        resident = self.county.resident
        if edition.list == "shops" and resident is not None and resident.home.startswith(edition.place):
            said = await self.editions.comments.add(
                resident.subject, edition.id, "常去的那家也请评议会看看，从不缺斤短两。"
            )
            await self.editions.comments.show(self._maker(edition.place), said.id, True)

    def _maker(self, place: str) -> Actor:
        """The community's own worker, or the street's."""
        return (self.county.staff[place] if place in STREETS else self.county.clerk(place)).actor

    # the grey list -------------------------------------------------------------------------------------------------

    async def _tell(self, edition: Edition) -> None:
        await self.editions.notify(self._maker(edition.place), edition.id)
        self.waiting.append(edition.id)

    async def _publish_grey(self) -> None:
        """What everybody in it has had the time to answer is looked at line by line, and published by two."""
        first, second = (self.county.staff[name].actor for name in ("approver", "second_approver"))
        for id in sorted(self.waiting):
            edition, lines = await self.editions.get(id), await self.editions.lines(id)
            if self.editions.today <= max(edition.due, *(line.due for line in lines), ""):
                continue
            open_ = await self.editions.suspended(lines)
            for line in lines:
                if line.delivered_on and line.state == "notified" and line.line not in open_:
                    await self.editions.decide(first, id, line.line, "confirmed", "情况属实，逾期未整改")
            await self.county.world.assessments.require("publication", edition.place)
            for actor in (first, second):
                edition = await self.editions.publish(actor, id, "材料齐全，程序完备")
            self.waiting.remove(id)
            self.counts[f"list: {edition.list}"] += 1

    async def _go_on(self, at: date) -> None:
        """Letters are brought round; then the part of the month's shop, and of those who deal with it."""
        story, shop = self._story(_month_before(at)) or ("", None)
        street = {place: self.county.staff[place].actor for place in STREETS}
        if at.day == _TELL:
            for id in self.waiting:
                place = (await self.editions.get(id)).place
                for line in await self.editions.lines(id):
                    reads = shop is not None and line.subject == shop.subject and story in ("repairs", "objects")
                    who = Actor(line.subject, line.subject) if reads else street[place]
                    await self.editions.deliver(who, id, line.line, "read" if reads else "hand")
            return
        line = await self._line(shop, _month_before(at))
        if shop is None or line is None:
            return
        staff = street[shop.home[:9]]
        if (story, at.day) == ("repairs", _OBJECT):
            said = "问题已经整改，欢迎街坊来看，也请街道复核。"
            await self.editions.answer(shop.subject, line.edition, line.line, said, repaired=True)
        elif (story, at.day) == ("repairs", _REPAIR) and line.state == POSTED:
            await self.editions.repair(staff, line.edition, line.line, "现场复核，已经整改")
        elif (story, at.day) == ("objects", _OBJECT):
            body, about = Actor(shop.subject, shop.subject), (line.journal, line.seq)
            reason = "告知书送到时店里正在装修，没有收到"
            filed, _ = await self.county.world.objections.file(body, shop.subject, "entry", about, reason)
            self.objection = filed.id
        elif (story, at.day) == ("objects", _DECIDE):
            decider = self.county.staff["second_approver"].actor
            await self.county.world.objections.decide(decider, self.objection, "rejected", "签收单上有店主签名")
        elif (story, at.day) == ("objects", _REPAIR):
            newer = await self.editions.correct(staff, line.edition, "异议已经办结，补上这一条")
            await self._tell(await self.editions.freeze(staff, newer.id))

    async def _line(self, shop: Neighbour | None, month: date) -> Line | None:
        """The shop's line in the month's grey list, in its newest version."""
        if shop is None:
            return None
        for edition, line in await self.editions.of_subject(shop.subject):
            if (edition.list, edition.period) == ("grey", containing(month, "month")):
                return line
        return None


def _month_before(day: date) -> date:
    return day.replace(day=1) - timedelta(days=1)
