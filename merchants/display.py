# SPDX-License-Identifier: Apache-2.0
"""A screen's minutes: what each member plays every day without asking, what may be bought beside it, and the commit in
which a minute is taken or given back.

The floor of every member is set aside before anything is sold, so no booking of anybody can touch it (ADR 0024). Pure:
the view is the only source.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import NamedTuple, Self

from ledger.errors import Refusal
from ledger.tables import Key, Row, Table
from ledger.view import View
from merchants.catalogue import Scenario
from merchants.model import Condition, Redemption
from merchants.tables import SCREEN, SCREEN_DAY, SCREEN_SLOT

AHEAD_DAYS = 31  # how far ahead minutes are sold; what is changed later is checked against this many days
MINUTES_MAX = 1_440
MEMBERS_MAX = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """A screen's terms from one day on: minutes a day, and `floor` of them for each member. 0 minutes: switched off."""

    from_day: str
    minutes: int
    floor: int
    members: Sequence[str]
    actor: str

    def room(self, taken: Taken) -> int:
        """Minutes that may still be sold; less than none where the floors and what is sold do not both fit."""
        return self.minutes - self.floor * len(set(self.members).difference(taken.waived)) - taken.booked


@dataclass(frozen=True, slots=True)
class Taken:
    """What a day has lost and won: minutes sold, and members who let their floor go to the others."""

    booked: int = 0
    waived: frozenset[str] = frozenset()

    @classmethod
    def of(cls, row: Row | None) -> Self:
        return cls() if row is None else cls(row[2], frozenset(json.loads(row[3])))

    def row(self, offer: str, day: str) -> Row:
        return (offer, day, self.booked, json.dumps(sorted(self.waived)))

    def but(self, *, booked: int = 0, waived: Collection[str] | None = None) -> Taken:
        """With so many minutes more, and these members' floors let go."""
        return Taken(self.booked + booked, self.waived if waived is None else frozenset(waived))


class Play(NamedTuple):
    """What one shop plays on a day: its floor, and what it bought."""

    subject: str
    floor: int
    bought: int

    @property
    def minutes(self) -> int:
        return self.floor + self.bought


def plans_of(row: Row | None) -> list[Plan]:
    """A screen's plans, oldest first."""
    return [] if row is None else [Plan(**one) for one in json.loads(row[1])]


def screen_row(offer: str, plans: Iterable[Plan], version: int) -> Row:
    """The row that `plans_of` reads."""
    ordered = sorted(plans, key=lambda one: one.from_day)
    return (offer, json.dumps([asdict(one) for one in ordered]), version)


def plan_on(plans: Iterable[Plan], day: str) -> Plan | None:
    """The terms of a day; None before there were any."""
    return max((one for one in plans if one.from_day <= day), key=lambda one: one.from_day, default=None)


def play_list(plan: Plan, day: str, taken: Taken, bought: Mapping[str, int]) -> list[Play]:
    """A day's plays. Who is first moves on by one every day, so that nobody is always last."""
    floors = {who: plan.floor for who in plan.members if who not in taken.waived and plan.floor}
    names = sorted(floors.keys() | bought.keys())
    first = date.fromisoformat(day).toordinal() % max(1, len(names))
    return [Play(who, floors.get(who, 0), bought.get(who, 0)) for who in names[first:] + names[:first]]


def sold_days(today: str) -> list[str]:
    """The days for which minutes are sold, today first."""
    first = date.fromisoformat(today)
    return [(first + timedelta(days=n)).isoformat() for n in range(AHEAD_DAYS + 1)]


@dataclass(frozen=True, slots=True)
class Slot(Condition):
    """The minutes of an order, taken on one day of its offer's screen: "" is today. Raises `slot_closed`,
    `slot_full`."""

    offer: str
    day: str = ""

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SCREEN, (self.offer,)  # first: whoever holds this row decides about all of its days
        if self.day:
            yield SCREEN_DAY, (self.offer, self.day)

    def place(self, view: View, order: Redemption) -> None:
        day = self.day or order.day
        plan = plan_on(plans_of(view.get(SCREEN, self.offer)), day)
        if plan is None or not plan.minutes or day not in sold_days(order.day):
            raise Refusal("slot_closed", day=day, ahead=AHEAD_DAYS)
        taken = Taken.of(view.get(SCREEN_DAY, self.offer, day))
        left = plan.room(taken)
        if order.quantity > left:
            raise Refusal("slot_full", day=day, left=max(0, left), asked=order.quantity)
        view.put(SCREEN_DAY, taken.but(booked=order.quantity).row(self.offer, day))
        view.insert(SCREEN_SLOT, (order.redemption, self.offer, day, order.consumer, order.quantity))


def with_slot(scenario: Scenario, offer: str, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The same conditions; minutes of a screen are minutes of some day, today where none was said."""
    if scenario.benefit != "display" or any(isinstance(one, Slot) for one in conditions):
        return conditions
    return (*conditions, Slot(offer))


def free(view: View, order: Redemption, units: int) -> None:
    """Minutes of an order that is called off, in whole or in part, may be sold again."""
    row = view.get(SCREEN_SLOT, order.redemption)
    if row is None:
        return
    redemption, offer, day, subject, minutes = row
    assert units <= minutes, (redemption, units, minutes)
    taken = Taken.of(view.get(SCREEN_DAY, offer, day))
    view.put(SCREEN_DAY, taken.but(booked=-units).row(offer, day))
    view.put(SCREEN_SLOT, (redemption, offer, day, subject, minutes - units))
