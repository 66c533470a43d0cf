# SPDX-License-Identifier: Apache-2.0
"""The calendar of the story, and its lanes: one for each community, with its people, its workers and its own chance."""

from __future__ import annotations

from bisect import bisect
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import NamedTuple

from api.demo.county import Neighbour
from api.demo.scale import SMALL
from rules.ports import Actor

WEEKLY = (7, 14, 21, 28)  # days of a month on which the desk is open
MONTHLY = (28,)  # and in a small town


class Gain(NamedTuple):
    """What an award brought somebody."""

    one: Neighbour
    standing: int
    points: int


class Later(NamedTuple):
    """An order that takes another turn: `end` is what becomes of it."""

    order: str
    end: str
    points: int
    one: Neighbour


@dataclass(frozen=True, slots=True)
class Session:
    """A day on which the desk is open. `since` is the session before; `sheet`: the month's lists are handed in."""

    day: date
    since: date
    number: int
    sheet: bool = False
    first: bool = False


def first_day(as_of: date) -> date:
    """The first of the month twelve months before."""
    return as_of.replace(year=as_of.year - 1, day=1)


def open_days(people: int) -> tuple[int, ...]:
    return WEEKLY if people >= SMALL else MONTHLY


def sessions(as_of: date, days: tuple[int, ...] = WEEKLY) -> list[Session]:
    """Every session before `as_of`, oldest first."""
    made: list[Session] = []
    month = since = first_day(as_of)
    start = month
    while month < as_of:
        last = month.replace(day=monthrange(month.year, month.month)[1])
        end = min(last, as_of - timedelta(days=1))
        for number in days:
            day = month.replace(day=number)
            if day <= end:
                made.append(Session(day, since, len(made), first=month == start))
                since = day + timedelta(days=1)
        made.append(Session(end, month, len(made), sheet=True))
        month = last + timedelta(days=1)
    return made


@dataclass(slots=True)
class Lane:
    """One community: its people, who works there, and its own chance."""

    code: str
    rng: Random
    clerk: Actor
    street: Actor
    people: list[Neighbour]
    bodies: list[Neighbour]
    weights: list[float] = field(default_factory=list[float])
    pools: dict[tuple[str, str], list[Neighbour]] = field(default_factory=dict[tuple[str, str], list[Neighbour]])
    done: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    waiting: list[tuple[str, list[Gain]]] = field(default_factory=list[tuple[str, list[Gain]]])
    spend: float = 0.0
    later: list[Later] = field(default_factory=list[Later])
    last: tuple[str, Neighbour] | None = None
    cases: int = 0

    def sort(self) -> None:
        """Pools by group and type, and who is how likely to volunteer."""
        self.pools.clear()
        for one in (*self.people, *self.bodies):
            for group in sorted(one.groups):
                self.pools.setdefault((group, ""), []).append(one)
                if one.type:
                    self.pools.setdefault((group, one.type), []).append(one)
        self.weights = list(accumulate(one.keen for one in self.people))

    def volunteer(self) -> Neighbour | None:
        if not self.weights or not self.weights[-1]:
            return None
        return self.people[bisect(self.weights, self.rng.random() * self.weights[-1])]

    def about(self, number: float) -> int:
        """A whole number that is `number` on average."""
        return int(number + self.rng.random())


def book(gains: Iterable[Gain]) -> None:
    """Keep the story in step with the ledger."""
    for one, standing, points in gains:
        one.standing += standing
        one.points += points
