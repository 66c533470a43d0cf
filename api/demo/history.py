# SPDX-License-Identifier: Apache-2.0
"""Thirteen months of the county's life: deeds reported week by week, sheets handed in and approved at the month's end,
points spent, and what goes wrong put right.

Lanes run side by side, so that the ledger commits them together; within one journal everything happens in one order,
whatever the database.
"""

from __future__ import annotations

import asyncio
from calendar import monthrange
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from random import Random

from api.demo.county import County, Neighbour
from api.demo.deeds import DEEDS, MINUTES, PEAK_MONTH, SEASON, STARTS, Deed
from api.demo.editions import Editing
from api.demo.lane import Gain, Lane, Session, book, open_days, sessions
from api.demo.paying import Paying
from api.demo.places import COMMUNITIES
from api.demo.spending import Spending
from ledger.view import View
from rules.desk import AwardRequest, Cause, Evidence
from rules.ports import Actor
from rules.tables import SUBJECT

CHUNK = 20  # rows that one person may post without a second
_TRIES = 12


class History:
    """Lives through the sessions. `counts` says what happened."""

    def __init__(self, county: County, as_of: date) -> None:
        self.county = county
        self.as_of = as_of
        self.counts: Counter[str] = Counter()
        self.days = open_days(county.scale.people)
        self.sessions = sessions(as_of, self.days)
        self.peak = max(
            (s.day for s in self.sessions if s.sheet and s.day.month == PEAK_MONTH and s.day.day == 31),
            default=date.min,
        )
        staff = county.staff
        self.lanes = {
            code: Lane(
                code,
                county.rng("lane", code),
                county.clerk(code).actor,
                staff[code[:9]].actor,
                county.people.get(code, []),
                county.bodies.get(code, []),
            )
            for code in COMMUNITIES
        }
        for lane in self.lanes.values():
            lane.sort()
            lane.spend = lane.rng.random()  # so that a small town's few redemptions happen too
        desk = [s.number for s in self.sessions if not s.sheet]
        self.reversals = {desk[len(desk) * part // 8] for part in (2, 4, 6)}
        self.moving = desk[len(desk) // 3]
        self.spending = Spending(county, county.scale.redemptions / (len(desk) - len(self.days)), self.counts)
        self.paying = Paying(county, self.counts, as_of)
        self.editing = Editing(county, as_of, self.counts)
        self.totals = Counter({key: 0 for lane in self.lanes.values() for key in lane.pools})
        for lane in self.lanes.values():
            self.totals.update({key: len(pool) for key, pool in lane.pools.items()})

    async def run(self, tick: Callable[[], None]) -> None:
        for session in self.sessions:
            await self.editing.work(session.day)
            self.county.clock.set(session.day, "08:30")
            await self.paying.work(session.day)
            if session.sheet:
                await self._sheet_day(session)
            else:
                await self._desk_day(session)
            tick()

    async def _all(self, session: Session, phase: str, work: Callable[[Lane], Awaitable[None]]) -> None:
        """The same work in every lane at once, ids from each lane's own stream."""

        async def one(lane: Lane) -> None:
            with self.county.ids(lane.code, session.number, phase):
                await work(lane)

        await asyncio.gather(*(one(lane) for lane in self.lanes.values()))

    # deeds -----------------------------------------------------------------------------------------------------

    async def _desk_day(self, session: Session) -> None:
        clock = self.county.clock
        clock.set(session.day, "09:00")
        await self._all(session, "deeds", lambda lane: self._deeds(lane, session))
        if session.number in self.reversals:
            clock.set(session.day, "11:00")
            await self._take_back(session)
        if session.number == self.moving:
            clock.set(session.day, "11:30")
            await self._move(session)
        if session.first:
            return
        clock.set(session.day, "15:00")
        await self._all(session, "orders", self.spending.spend)
        clock.set(session.day, "15:05")
        await self._all(session, "settling", self.spending.settle)
        clock.set(session.day, "16:00")
        with self.county.ids("expiry", session.number):
            await self.spending.sweep()

    async def _deeds(self, lane: Lane, session: Session) -> None:
        """What happened since the last session, reported by the community; its own workers' deeds by the street."""
        by_clerk: list[tuple[Neighbour, AwardRequest]] = []
        by_street: list[tuple[Neighbour, AwardRequest]] = []
        decided: list[tuple[Neighbour, AwardRequest]] = []
        pack = self.county.world.pack
        for deed in DEEDS:
            pool = lane.pools.get((deed.group, deed.types))
            if not pool or not deed.happens(session.day.month, session.first):
                continue
            here = len(pool) / self.totals[deed.group, deed.types]
            indicator = pack.indicators[deed.code]
            second = indicator.approval == "second_person" or indicator.direction == "minus"
            target = decided if second else by_street if deed.group == "G1" else by_clerk
            for _ in range(lane.about(deed.monthly * self.county.scale.share * here / len(self.days))):
                if made := self._deed(lane, session, deed):
                    target.append(made)
        hero = self.county.resident
        if hero is not None and hero.home == lane.code and session.day.day == self.days[-1]:
            proof = (Evidence("inspection", "E2"),)
            by_clerk.append((hero, AwardRequest(hero.subject, "RE-05", session.day, evidence=proof)))
        for actor, rows in ((lane.clerk, by_clerk), (lane.street, by_street)):
            for start in range(0, len(rows), CHUNK):
                await self._commit(lane, actor, rows[start : start + CHUNK])
        if decided := [*decided, *self.editing.complaint(lane.code, session)]:
            await self._commit(lane, lane.street, decided)
            await self._approve(lane)

    def _deed(self, lane: Lane, session: Session, deed: Deed) -> tuple[Neighbour, AwardRequest] | None:
        rng, pool = lane.rng, lane.pools.get((deed.group, deed.types), [])
        if not pool:
            return None
        for _ in range(_TRIES):
            one = pool[int(rng.random() * len(pool))]
            day = session.since + timedelta(days=rng.randrange((session.day - session.since).days + 1))
            when = f"{day:%Y-%m}" if deed.once else f"{day}"
            if one is not self.county.resident and (deed.code, one.subject, when) not in lane.done:
                break
        else:
            return None
        lane.done.add((deed.code, one.subject, when))
        cause = None
        if deed.case:
            lane.cases += 1
            cause = Cause(deed.case, f"{day:%Y%m}-{lane.code[-4:]}-{lane.cases:04d}")
        proof = (Evidence(deed.evidence, deed.level),)
        return one, AwardRequest(one.subject, deed.code, day, deed.facts(rng), cause=cause, evidence=proof)

    async def _commit(
        self, lane: Lane, actor: Actor, rows: Sequence[tuple[Neighbour, AwardRequest]], *, sheet: bool = False
    ) -> None:
        if not rows:
            return
        desk = self.county.world.desk
        numbered = [(number, request) for number, (_, request) in enumerate(rows, start=2 if sheet else 1)]
        answer = await desk.commit(actor, numbered, source="sheet" if sheet else "api", on_error="skip", ask=sheet)
        gained: list[Gain] = []
        for (one, request), row in zip(rows, answer.record.rows, strict=True):
            self.counts[row.state] += 1
            if row.state in ("posted", "reduced", "zero"):
                gained.append(Gain(one, row.standing, row.points))
                self.counts[request.indicator] += 1
                if row.points and row.award and "G3" in one.groups and one is not self.county.resident:
                    lane.last = (row.award, one)
        if answer.record.state == "awaiting_approval":
            lane.waiting.append((answer.record.id, gained))
            lane.last = None
        else:
            book(gained)

    async def _approve(self, lane: Lane) -> None:
        """A second person looks at what waits."""
        world, approver = self.county.world, self.county.staff["approver"].actor
        waiting, lane.waiting = lane.waiting, []
        for batch, gained in waiting:
            rows = await world.ledger.fetch("SELECT id FROM approval WHERE target = ?", batch)
            decided, _ = await world.desk.approve(approver, rows[0][0])
            self.counts["approvals"] += 1
            self.counts["changed"] += len(decided.changed)
            book(gained)

    # sheets ----------------------------------------------------------------------------------------------------

    async def _sheet_day(self, session: Session) -> None:
        """The month's sign-in sheets come in; two hours later the approver stands by them. The last one still waits."""
        numbers = self._volunteers(session)
        clock = self.county.clock
        clock.set(session.day, "17:00")
        await self._all(session, "sheets", lambda lane: self._hand_in(lane, session, numbers[lane.code]))
        clock.set(session.day, "19:00")
        if session is self.sessions[-1]:
            waiting = [lane for lane in self.lanes.values() if lane.waiting]
            if len(waiting) > 1:
                waiting[-1].waiting.clear()
                self.counts["left waiting"] = 1
        await self._all(session, "approvals", self._approve)

    def _volunteers(self, session: Session) -> dict[str, int]:
        """How many rows each community's sheet has; together they are the month's figure."""
        rng, peak = self.county.rng("sheets", session.number), self.county.scale.peak_awards
        if session.day == self.peak:
            total = peak
        else:
            of_month = session.day.day / monthrange(session.day.year, session.day.month)[1]
            total = round(peak * SEASON[session.day.month - 1] * rng.uniform(0.85, 1.15) * of_month)
        lanes = [lane for lane in self.lanes.values() if lane.weights and lane.weights[-1]]
        exact = [total * len(lane.people) / sum(len(lane.people) for lane in lanes) for lane in lanes]
        numbers = [int(number) for number in exact]
        order = sorted(range(len(lanes)), key=lambda index: numbers[index] - exact[index])
        for index in order[: total - sum(numbers)]:
            numbers[index] += 1
        return {code: 0 for code in self.lanes} | {lane.code: n for lane, n in zip(lanes, numbers, strict=True)}

    async def _hand_in(self, lane: Lane, session: Session, number: int) -> None:
        rng, teams = lane.rng, lane.pools.get(("G8", "志愿服务队"), [])
        rows: list[tuple[Neighbour, AwardRequest]] = []
        taken: set[tuple[str, date]] = set()
        hero = self.county.resident
        if hero is not None and hero.home == lane.code:  # out every week; a month's sheet has them three times
            days = [day for n in (4, 11, 18) if (day := session.since + timedelta(days=n)) <= session.day]
            rows += [(hero, self._hours(hero, day, 240, "08:30", rng, teams)) for day in days]
            number -= len(days)
        once = session.day == self.peak  # in the peak month many came, each of them once
        queue = [one for one in self._shuffled(lane)] if once else []
        pack = self.county.world.pack
        other_hats = pack.excluded_by(pack.indicators["RE-01"])
        tries = 0
        while number > 0 and tries < 1_000 + number * _TRIES:
            tries += 1
            one = queue.pop() if queue else lane.volunteer()
            day = session.since + timedelta(days=rng.randrange((session.day - session.since).days + 1))
            if one is None or (one.subject, day) in taken:
                continue
            if any((code, one.subject, f"{day}") in lane.done for code in other_hats):
                continue
            taken.add((one.subject, day))
            number -= 1
            rows.append((one, self._hours(one, day, rng.choice(MINUTES), rng.choice(STARTS), rng, teams)))
        rows.sort(key=lambda row: (row[1].occurred_on, row[0].subject))
        await self._commit(lane, lane.clerk, rows, sheet=True)

    def _shuffled(self, lane: Lane) -> list[Neighbour]:
        found = [one for one in lane.people if one.keen]
        lane.rng.shuffle(found)
        return found

    def _hours(
        self, one: Neighbour, day: date, minutes: int, start: str, rng: Random, teams: Sequence[Neighbour]
    ) -> AwardRequest:
        team = rng.choice(teams).subject if teams else None
        return AwardRequest(one.subject, "RE-01", day, {"minutes": minutes}, start=start, team=team)

    # put right -------------------------------------------------------------------------------------------------

    async def _take_back(self, session: Session) -> None:
        """One award was entered for the wrong person; the street reverses it."""
        for lane in self.lanes.values():
            if lane.last is None:
                continue
            award, one = lane.last
            lane.last = None
            with self.county.ids("reversal", session.number):
                done, _ = await self.county.world.desk.reverse(
                    lane.street, award, reason="登记对象有误", occurred_on=session.day.isoformat()
                )
            self.counts[done.state] += 1
            one.standing += done.standing
            rows = await self.county.world.ledger.fetch(
                "SELECT COALESCE(SUM(amount), 0) FROM balance WHERE journal = ? AND account = ? AND unit = 'points'",
                one.home,
                f"subject:{one.subject}",
            )
            one.points = int(rows[0][0])
            return

    async def _move(self, session: Session) -> None:
        """A family moves to another community; the account goes along with its points and its caps."""
        lanes = [lane for lane in self.lanes.values() if lane.people]
        for origin in lanes[1:]:
            ordinary = [one for one in origin.people if one.groups == {"G3"}]
            if not ordinary:
                continue
            target = lanes[(lanes.index(origin) + 1) % len(lanes)]
            one = max(ordinary, key=lambda found: (found.points, found.subject))
            grid = f"{target.code}-01"

            def amend(view: View, one: Neighbour = one, home: str = target.code, grid: str = grid) -> None:
                row = view.get(SUBJECT, one.subject)
                if row is not None:
                    view.put(SUBJECT, (*row[:2], home, grid, *row[4:]))

            with self.county.ids("move", session.number):
                await self.county.world.people.change(
                    one.subject,
                    home=origin.code,
                    grid=grid,
                    new_home=target.code,
                    actor=self.county.staff["staff"].id,
                    amend=amend,
                )
            origin.people.remove(one)
            target.people.append(one)
            one.home, one.grid = target.code, grid
            origin.sort()
            target.sort()
            self.counts["moved"] += 1
            return
