# SPDX-License-Identifier: Apache-2.0
"""Screens as their keepers and everybody see them: terms from a day on, floors let go for a day, the play lists.

Selling minutes is an order like any other; display.py has what it takes in the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View
from merchants.change import must_serve
from merchants.display import (
    AHEAD_DAYS,
    Plan,
    Play,
    Taken,
    plan_on,
    plans_of,
    play_list,
    screen_row,
    sold_days,
)
from merchants.model import Asker, Offer
from merchants.offers import Offers
from merchants.tables import SCREEN, SCREEN_DAY

_KEPT_PLANS = 200  # past terms that a calendar can still show


class Day(NamedTuple):
    """One day of a screen. `left` minutes may still be bought."""

    day: str
    minutes: int
    floor: int
    left: int
    plays: Sequence[Play]


@dataclass(frozen=True, slots=True)
class _OnScreen:
    """A command about an offer's screen by staff who serve where it stands, or by the member whom it is about."""

    asker: Asker
    offer: Offer
    retry: None = None
    weight: int = 1

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.offer.community,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SCREEN, (self.offer.offer,)

    def _today(self, view: View) -> str:
        return view.today(self.offer.community)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPlan(_OnScreen):
    """New terms from `plan.from_day` on. They take no minute from anybody who has bought it: raises `forbidden`,
    `precondition_failed`, `slot_closed`, `floors_too_long`, `calendar_booked`."""

    plan: Plan
    version: int | None = None

    def decide(self, view: View) -> Answer:
        must_serve(self.asker, self.offer.community)
        row, today = view.get(SCREEN, self.offer.offer), self._today(view)
        version = row[2] if row else 0
        if self.version is not None and self.version != version:
            raise Refusal("precondition_failed", version=version)
        plan = self.plan
        if plan.from_day < today:
            raise Refusal("slot_closed", day=plan.from_day, ahead=AHEAD_DAYS)
        if plan.room(Taken()) < 0:
            raise Refusal("floors_too_long", minutes=plan.minutes, needed=plan.floor * len(set(plan.members)))
        plans = [one for one in plans_of(row) if one.from_day != plan.from_day]
        plans.append(plan)
        for day in sold_days(today):
            if plan_on(plans, day) is plan:
                over = -plan.room(Taken.of(view.get(SCREEN_DAY, self.offer.offer, day)))
                if over > 0:
                    raise Refusal("calendar_booked", day=day, over=over)
        plans.sort(key=lambda one: one.from_day)
        past = sum(one.from_day <= today for one in plans) - 1  # terms that others have taken the place of
        kept = plans[max(0, min(past, len(plans) - _KEPT_PLANS)) :]
        view.put(SCREEN, screen_row(self.offer.offer, kept, version + 1))
        return Answer(value=version + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo(_OnScreen):
    """A member's floor of one day goes to the others, or with `keep` back to the member while nobody bought it.
    Raises `forbidden`, `not_found`, `slot_closed`, `slot_full`."""

    day: str
    member: str
    keep: bool = False

    def decide(self, view: View) -> Answer:
        if self.asker.subject != self.member:
            must_serve(self.asker, self.offer.community)
        plan = plan_on(plans_of(view.get(SCREEN, self.offer.offer)), self.day)
        if plan is None or self.day not in sold_days(self._today(view)):
            raise Refusal("slot_closed", day=self.day, ahead=AHEAD_DAYS)
        if self.member not in plan.members:
            raise Refusal("not_found", what="member", id=self.member)
        taken = Taken.of(view.get(SCREEN_DAY, self.offer.offer, self.day))
        after = taken.but(waived=taken.waived - {self.member} if self.keep else taken.waived | {self.member})
        if plan.room(after) < 0:
            left = max(0, plan.room(taken))
            raise Refusal("slot_full", day=self.day, left=left, asked=plan.floor)
        view.put(SCREEN_DAY, after.row(self.offer.offer, self.day))
        return Answer()


class Screens:
    """The screens of a deployment."""

    def __init__(self, ledger: Ledger, offers: Offers) -> None:
        self.ledger = ledger
        self.offers = offers

    async def offer(self, offer: str) -> Offer:
        """The offer behind a screen. Raises `not_found`, also for what is no screen."""
        found = await self.offers.get(offer)
        if self.offers.scenario(found.scenario).benefit != "display":
            raise Refusal("not_found", what="calendar", id=offer)
        return found

    async def set_plan(
        self,
        asker: Asker,
        offer: str,
        *,
        from_day: str,
        minutes: int,
        floor: int,
        members: Sequence[str],
        version: int | None = None,
    ) -> int:
        """Minutes a day and each member's floor from a day on; the new version. Raises what `SetPlan` refuses."""
        plan = Plan(from_day, minutes, floor, sorted(set(members)), asker.id)
        command = SetPlan(asker, await self.offer(offer), plan=plan, version=version)
        return (await self.ledger.submit(command)).value

    async def let_go(self, asker: Asker, offer: str, *, day: str, member: str, keep: bool = False) -> None:
        """Give a floor up for a day, or take it back. Raises what `LetGo` refuses."""
        await self.ledger.submit(LetGo(asker, await self.offer(offer), day=day, member=member, keep=keep))

    async def plan(self, offer: str, day: str) -> tuple[Plan | None, int]:
        """The terms of a day and the screen's version."""
        row = await self._screen(offer)
        return plan_on(plans_of(row), day), row[2] if row else 0

    async def days(self, offer: str, days: Sequence[str]) -> list[Day]:
        """These days, of those the screen has terms for, in order."""
        plans, first, last = plans_of(await self._screen(offer)), min(days), max(days)
        taken = {
            row[1]: Taken.of(row)
            for row in await self.ledger.fetch(
                "SELECT offer, day, booked, waived FROM screen_day WHERE offer = ? AND day BETWEEN ? AND ?",
                offer, first, last,
            )
        }  # fmt: skip
        bought: dict[str, dict[str, int]] = {}
        for day, subject, minutes in await self.ledger.fetch(
            "SELECT day, subject, SUM(minutes) FROM screen_slot"
            " WHERE offer = ? AND day BETWEEN ? AND ? AND minutes > 0 GROUP BY day, subject",
            offer, first, last,
        ):  # fmt: skip
            bought.setdefault(day, {})[subject] = int(minutes)
        found: list[Day] = []
        for day in days:
            plan = plan_on(plans, day)
            if plan is not None and plan.minutes:
                now = taken.get(day, Taken())
                plays = play_list(plan, day, now, bought.get(day, {}))
                found.append(Day(day, plan.minutes, plan.floor, max(0, plan.room(now)), plays))
        return found

    async def _screen(self, offer: str) -> tuple[str, str, int] | None:
        rows = await self.ledger.fetch("SELECT offer, plans, version FROM screen WHERE offer = ?", offer)
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None
