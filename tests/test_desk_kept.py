# SPDX-License-Identifier: Apache-2.0
"""One deed is paid once: what a reversal could not take back counts for the award that takes its place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rules.desk.kept import kept, relotted
from rules.engine.explain import render
from rules.engine.recount import recount
from tests import ledgers
from tests.town import CLERK, EAST, PEOPLE, Town, hours

ME = PEOPLE[0]
LOT, LATER = "2023-12-31", "2024-06-30"


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    town = await Town(database_url).open()
    yield town
    await ledgers.assert_whole(town.ledger)
    await town.close()


async def between(town: Town, what: str) -> None:
    """What happens to the 200 points of the award before it is taken back."""
    if what in ("hold", "spend"):
        await ledgers.hold(town.ledger, EAST, ME, "h_1", 150, hours=24 * 365 * 9)
    if what == "spend":
        await ledgers.capture(town.ledger, EAST, "h_1", 150)
    if what == "relot":
        await ledgers.relot(town.ledger, EAST, ME, LOT, LATER, 200)


@pytest.mark.parametrize(
    ("what", "minutes", "posted", "has"),
    [
        ("nothing", 120, 200, 200),
        ("nothing", 60, 100, 100),
        ("spend", 120, 50, 50),
        ("hold", 120, 50, 200),
        ("hold", 60, 0, 150),
        ("relot", 120, 0, 200),
    ],
)
async def test_what_stayed_counts(town: Town, what: str, minutes: int, posted: int, has: int) -> None:
    """Spent, on hold or under a later day: the new award adds what is lacking and no more; its trace says so."""
    deed = hours(ME, 120)
    first = (await town.desk.award(CLERK, deed)).record
    await between(town, what)
    await town.desk.reverse(CLERK, first.id, reason="时长有误", occurred_on="2022-06-15")
    seen = await town.desk.evaluate(CLERK, deed._replace(facts={"minutes": minutes}, replaces=first.id))
    made = (await town.desk.award(CLERK, deed._replace(facts={"minutes": minutes}, replaces=first.id))).record
    assert made.trace is not None and (posted, posted) == (made.points, seen.points)
    assert (made.standing, made.points) == recount(made.trace)
    assert (what == "nothing") == ("未能收回" not in render(made.trace, "zh"))
    if what == "hold":
        await ledgers.release(town.ledger, EAST, "h_1")
    assert has == await town.points(ME)


async def test_lots_that_went_on_under_a_later_day(town: Town) -> None:
    """They are found among everything that happened to a subject, and nothing else is."""
    await town.desk.award(CLERK, hours(ME, 120))
    assert frozenset() == await relotted(town.ledger, ME)
    await between(town, "relot")
    assert {("points", LOT)} == await relotted(town.ledger, ME)
    assert frozenset() == await relotted(town.ledger, PEOPLE[1])


def test_what_lapsed_is_not_kept() -> None:
    """Past its day a lot has lapsed, unless it was given a later one; what a body owes was taken back."""

    def entry(*lines: tuple[str, str, int, str]) -> dict[str, Any]:
        return {"postings": [dict(zip(("account", "unit", "amount", "lot"), line, strict=True)) for line in lines]}

    award = entry(("issuer", "points", -200, LATER), ("subject:a", "points", 200, LOT))
    nothing = entry()
    assert {} == kept(award, nothing, "2024-01-01", ())
    assert {"points": 200} == kept(award, nothing, "2024-01-01", {("points", LOT)})
    assert {"points": 200} == kept(award, nothing, LOT, ())
    assert {"points": 50} == kept(award, entry(("subject:a", "points", -150, LOT)), LOT, ())
    assert {} == kept(award, entry(("subject:a", "points", -150, LOT), ("debt:a", "points", -50, LATER)), LOT, ())
