# SPDX-License-Identifier: Apache-2.0
"""Patterns that were seen where hours were bought or made up, found among deeds: pure, and without names.

A person in two places at once; more than 24 hours in a day; several deeds entered for one person within two minutes;
one device, one picture or one hand behind many people; an awarder whose own grid gets most of it; a batch cut up so
that nobody else had to look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from rules.ports import SYSTEM
from rules.watch.deeds import Deed

DAY_MINUTES = 1440
BURST_US = 120_000_000  # hours on an account two minutes after they were paid for
BURST_DEEDS = 3
DEVICE_PEOPLE = 3  # a family shares a phone; three households do not
HAND_PEOPLE = 200  # what one organiser can have seen with their own eyes in a day
ROWS_ALONE = 200  # rows of one batch that need no second person
OWN_GRID_DEEDS = 10
OWN_GRID_SHARE = 50  # percent

_DAY_US = 86_400_000_000

_Key = TypeVar("_Key")


class Finding(NamedTuple):
    """Where to look: the kind (a sentence of its own in both languages), the day, whom and which awards it is about,
    and the numbers of that sentence."""

    kind: str
    day: str
    subjects: Sequence[str]
    awards: Sequence[str]
    facts: Mapping[str, int | str]


def findings(
    deeds: Sequence[Deed],
    staff: Mapping[str, str],
    capacity: Mapping[str, int] | None = None,
) -> list[Finding]:
    """Everything that should be looked at, latest day first. `staff` is the own grid of those who award, by their id;
    `capacity` how many people one confirmer can see in a day where that is known."""
    found = [
        *_per_person_and_day(deeds),
        *_bursts(deeds),
        *_shared(deeds, "same_device", "reference", lambda item: item["kind"] == "check_in"),
        *_shared(deeds, "same_photo", "sha256", lambda item: True),
        *_hands(deeds, capacity or {}),
        *_own_grid(deeds, staff),
        *_split(deeds),
    ]
    return sorted(found, key=lambda one: (one.day, one.kind, one.awards), reverse=True)


def _finding(kind: str, day: str, deeds: Iterable[Deed], **facts: int | str) -> Finding:
    there = list(deeds)
    subjects, awards = sorted({one.subject for one in there}), sorted(one.award for one in there)
    return Finding(kind, day, subjects, awards, {"people": len(subjects), "deeds": len(awards), **facts})


def _grouped(deeds: Iterable[Deed], key: Callable[[Deed], _Key]) -> Mapping[_Key, list[Deed]]:
    groups: defaultdict[_Key, list[Deed]] = defaultdict(list)
    for deed in deeds:
        groups[key(deed)].append(deed)
    return groups


def _per_person_and_day(deeds: Sequence[Deed]) -> Iterator[Finding]:
    for (_, day), there in _grouped(deeds, lambda one: (one.subject, one.day)).items():
        minutes = sum(one.minutes for one in there)
        if minutes > DAY_MINUTES:
            yield _finding("over_24_hours", day, there, minutes=minutes)
        timed = sorted((start, one) for one in there if (start := _minute(one.start)) is not None)
        for (start, one), (next_start, other) in pairwise(timed):
            at_once = next_start < start + one.minutes or next_start == start
            if at_once and (one.place, one.indicator) != (other.place, other.indicator):
                yield _finding("two_at_once", day, (one, other), start=other.start)


def _minute(start: str) -> int | None:
    """Minutes since midnight of HH:MM; a source's own mark is no time."""
    hours, colon, minutes = start.partition(":")
    told = colon and len(hours) == len(minutes) == 2 and (hours + minutes).isdecimal()
    return int(hours) * 60 + int(minutes) if told else None


def _bursts(deeds: Sequence[Deed]) -> Iterator[Finding]:
    """Deeds of different days, typed in one after the other. A sheet is not a burst: it is looked at as a whole."""
    for there in _grouped(
        (one for one in deeds if one.batch is None), lambda one: (one.subject, one.proposer)
    ).values():
        there.sort(key=lambda one: one.created_at)
        run: list[Deed] = []
        for deed in [*there, None]:
            if deed is not None and (not run or deed.created_at - run[0].created_at <= BURST_US):
                run.append(deed)
                continue
            if len({one.day for one in run}) >= BURST_DEEDS:
                yield _finding("burst", run[-1].day, run, minutes=sum(one.minutes for one in run))
            run = [deed] if deed is not None else []


def _shared(
    deeds: Sequence[Deed], kind: str, name: str, counts: Callable[[Mapping[str, str]], bool]
) -> Iterator[Finding]:
    """One device that checked in many people on a day; one picture that proves several people's deeds or days."""
    groups: defaultdict[tuple[str, str], list[Deed]] = defaultdict(list)
    for deed in deeds:
        for item in deed.evidence:
            if name in item and counts(item):
                groups[item[name], deed.day if kind == "same_device" else ""].append(deed)
    for there in groups.values():
        people, days = {one.subject for one in there}, {one.day for one in there}
        same_minute = len({(one.day, one.start) for one in there}) < len(there)
        many = len(people) >= DEVICE_PEOPLE if kind == "same_device" else len(people) > 1 or len(days) > 1
        # A picture of the whole group at one event proves all of them; over days or places it proves nothing.
        event = kind == "same_photo" and len({(one.day, one.place, one.indicator) for one in there}) == 1
        if many and not event:
            yield _finding(kind, max(days), there, same_minute="yes" if same_minute else "no")


def _hands(deeds: Sequence[Deed], capacity: Mapping[str, int]) -> Iterator[Finding]:
    """More people vouched for in a day than one person can have seen."""
    groups: defaultdict[tuple[str, str], list[Deed]] = defaultdict(list)
    for deed in deeds:
        if deed.minutes:
            vouchers = {item["confirmed_by"] for item in deed.evidence if "confirmed_by" in item} or {deed.proposer}
            for who in vouchers:
                groups[who, deed.day].append(deed)
    for (who, day), there in groups.items():
        limit = capacity.get(who, HAND_PEOPLE)
        if len({one.subject for one in there}) > limit:
            yield _finding("one_hand", day, there, who=who, limit=limit)


def _split(deeds: Sequence[Deed]) -> Iterator[Finding]:
    """What one person posted in a day in several batches or one by one, none of which a second person saw, and
    together should. Time that has passed (`system`) is no second person."""
    alone = (one for one in deeds if one.approver in (None, SYSTEM.id))
    for (who, _), there in _grouped(alone, lambda one: (one.proposer, one.created_at // _DAY_US)).items():
        batches = len({one.batch or one.award for one in there})
        if batches > 1 and len(there) > ROWS_ALONE:
            yield _finding("split", max(one.day for one in there), there, who=who, batches=batches, limit=ROWS_ALONE)


def _own_grid(deeds: Sequence[Deed], staff: Mapping[str, str]) -> Iterator[Finding]:
    """Somebody who awards, and most of it goes to the grid in which they live."""
    for who, there in _grouped((one for one in deeds if one.proposer in staff), lambda one: one.proposer).items():
        near = [one for one in there if one.grid == staff[who]]
        if len(near) >= OWN_GRID_DEEDS and len(near) * 100 > OWN_GRID_SHARE * len(there):
            share = len(near) * 100 // len(there)
            yield _finding("own_grid", max(one.day for one in near), near, who=who, grid=staff[who], percent=share)
