# SPDX-License-Identifier: Apache-2.0
"""Lists over random towns, counted twice: in columns, and one entry at a time (`tests/reference_lists.py`)."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import codec
from rules.engine.lists import ListRule
from rules.engine.pack import builtin_pack
from rules.lists.compute import compute
from tests import reference_lists
from tests.list_lines import Book, header

FIRST, LAST = date(2026, 7, 1), date(2026, 9, 30)
EDGES = [FIRST, LAST, FIRST - timedelta(days=1), LAST + timedelta(days=1), date(2026, 6, 30), date(2026, 3, 31)]
UNITS = ("east-01", "east-02", "east-03", "eastern-01", "eastern-02", "west-01")
RULES = ("RE-01", "RE-02", "MK-06", "MK-08", "PR-08", "XX-99")
PACK = builtin_pack("huantai")


def town(chance: random.Random) -> tuple[Book, dict[str, Any]]:
    """Some dozen accounts, some hundred entries, and a header that reaches to anywhere among them."""
    book = Book()
    bodies = [book.join(f"b{n}", chance.choice(UNITS), [chance.choice(("G5", "G6"))]) for n in range(6)]
    favoured = chance.sample(UNITS, chance.choice((1, 2, 4)))
    people = [
        book.join(f"p{n:02}", chance.choice(favoured), ["G3", *chance.sample(["G1", "G2"], chance.randrange(2))],
                  chance.random() < 0.5)
        for n in range(chance.choice((20, 60, 60)))
    ]  # fmt: skip
    reaches = [book.reach()]
    eager = chance.sample(people, len(people) // chance.randint(1, 2))
    for _ in range(chance.choice((30, 150, 300))):
        act(book, chance, eager if chance.random() < 0.7 else bodies)
        reaches.append(book.reach())
    for subject in chance.sample(sorted(book.people), 4):  # no longer members when it is frozen
        del book.people[subject]
    moments = sorted(int(len(reaches) * chance.random() ** 0.5) for _ in range(4))
    previous = None
    if chance.random() < 0.7:
        previous = (dict(reaches[moments[0]]), reaches[moments[1]])
        if chance.random() < 0.3:
            previous[0].pop("west", None)
    seed = f"{chance.getrandbits(256):064x}"
    as_of, seen = reaches[moments[2]], reaches[moments[3]]
    return book, header(FIRST.isoformat(), LAST.isoformat(), UNITS, as_of, seen, previous, seed)


def act(book: Book, chance: random.Random, whose: list[str]) -> None:
    """One more entry; deeds lie anywhere in a year, on the edges of the quarter more often."""
    targets = [one for one in book.entries if one["kind"] in ("award", "deduct")]
    open_ones = [one for one in book.entries if one["kind"] == "objection"]
    what = chance.random()
    if targets and what < 0.1:
        book.reverse(chance.choice(targets), journal=chance.choice((None, "west")))
    elif targets and what < 0.2:
        book.dispute(chance.choice(targets), f"obj_{chance.randrange(30)}")
    elif open_ones and what < 0.3:
        book.decide(chance.choice(open_ones))
    else:
        day = chance.choice(EDGES) if chance.random() < 0.3 else date(2026, 3, 1) + timedelta(chance.randrange(240))
        lot = chance.choice((None, LAST, LAST - timedelta(days=1), day + timedelta(days=chance.randrange(400))))
        standing = chance.choice((0, 50, 100, 300, 12_345))
        points = chance.choice((0, standing))
        subject = chance.choice(whose)
        if subject.startswith("b") and chance.random() < 0.4:
            standing, points = -chance.choice((100, 999, 1000, 5000)), 0
        book.award(
            subject, day.isoformat(), standing, points, rule=chance.choice(RULES), lot=lot and lot.isoformat(),
            journal=chance.choice((None, None, None, "west")),
        )  # fmt: skip


def varied(chance: random.Random, rule: ListRule) -> ListRule:
    """The rule with its numbers somewhere else."""
    change: dict[str, Any] = {"suppress_below": chance.choice((5, 8)), "level": chance.choice(("E1", "E2", "E3"))}
    if rule.kind == "ranking":
        flag = rule.flags[0].model_copy(update={"min_per_head": chance.choice((None, 100_100))})
        change |= {
            "metric": chance.choice(("standing", "gained")),
            "minimum": rule.minimum.model_copy(update={"people": 5, "active": chance.choice((0, 3))}),
            "interval": chance.choice((None, rule.interval and rule.interval.model_copy(update={"replicates": 101}))),
            "shrink": chance.choice((None, "yes")),
            "flags": (flag.model_copy(update={"min_participation": chance.choice((None, 30))}),),
        }
    if rule.kind == "honour":
        change |= {
            "min_standing": chance.choice((None, 100_000, 100_100)),
            "min_gained": chance.choice((None, 100)),
            "indicators": chance.choice(((), ("RE-01", "MK-06"))),
            "groups": chance.choice(((), ("G1",) if rule.about == "persons" else ("G5",))),
            "clean_months": chance.choice((None, 1, 5, 12)) if rule.about == "bodies" else None,
        }
    return rule.model_copy(update=change)


def agree(seed: int) -> None:
    chance = random.Random(seed)
    book, frozen = town(chance)
    population = list(book.people.values())
    shuffled = book.lines().sample(fraction=1.0, shuffle=True, seed=seed % 1000)
    for rule in PACK.lists.values():
        rule = varied(chance, rule)
        mine = compute(rule, frozen, book.population(), shuffled, PACK)
        theirs = reference_lists.result(rule, frozen, population, book.entries, PACK)
        assert mine == theirs, rule.code
        codec.canonical(mine)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_columns_and_single_entries_give_the_same_lists(seed: int) -> None:
    """Late, reversed, disputed, lapsed, moved, tiny and empty in every mixture, the rows in any order."""
    agree(seed)


@pytest.mark.long
def test_columns_and_single_entries_give_the_same_lists_for_long() -> None:
    """The same over two hundred towns."""
    for seed in range(200):
        agree(seed)
