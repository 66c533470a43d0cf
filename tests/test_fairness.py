# SPDX-License-Identifier: Apache-2.0
"""Whom a quarter's points reach: answers by hand, and what is never told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.lists.fairness import BELOW, CHANNELS, DEEDS, PEOPLE, STAFF, TIES, band_of, fairness

Person = tuple[str, str, str, str]


def people(grid: str, number: int, *, band: str = "40-59", phone: str = "with") -> list[Person]:
    return [(f"{grid}/{band}/{phone}/{n}", grid, band, phone) for n in range(number)]


def award(
    subject: str, points: int = 100, *, by: str = "a", second: str | None = None, channel: str = "counter"
) -> Any:
    return (subject, 0, points, by, second, channel)


def report(
    there: Sequence[Person],
    awards: Iterable[Any],
    staff: Iterable[tuple[str, str, str]] = (),
    ties: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    made = [pl.DataFrame(list(rows), schema, orient="row") for rows, schema in (
        (there, PEOPLE), (awards, DEEDS), (staff, STAFF), (ties, TIES),
    )]  # fmt: skip
    return fairness(*made)


def of(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["code"]: row for row in rows}


def test_half_a_fair_share_by_hand() -> None:
    """Three grids of twenty: all, ten and four reached. Ten of the fair 11⅓ is fair; four is below half."""
    there = [one for grid in ("g1", "g2", "g3") for one in people(grid, 20)]
    awards = [award(one[0]) for one in (*there[:20], *there[20:30], *there[40:44])]
    found = report(there, awards)
    assert (60, 34, 3_400) == (found["people"], found["reached"], found["points"])
    grids = of(found["grids"])
    assert {"state": "fair", "reached": 20, "reached_of_fair": 176, "points_of_fair": 176}.items() <= grids[
        "g1"
    ].items()
    # four are too few to be told, and alone they would follow from the sum
    assert {"state": "fair", "reached": None, "points": None, "points_of_fair": None}.items() <= grids["g2"].items()
    assert {"state": "below", "reached": None, "people": 20}.items() <= grids["g3"].items()
    assert [{"kind": "below_half", "about": "grid", "code": "g3", "measures": ["reached", "points"]}] == found["alarms"]


def test_exactly_half_is_no_alarm() -> None:
    """Of two grids of thirty one has 45 of 60 reached-shares and the other exactly half of its fair share."""
    there = [*people("g1", 30), *people("g2", 30)]
    awards = [award(one[0], 100) for one in there[:30]] + [award(one[0], 100) for one in there[30:40]]
    at_half = report(there, awards)
    assert (50, "fair") == (of(at_half["grids"])["g2"]["reached_of_fair"], of(at_half["grids"])["g2"]["state"])
    under = report(there, awards[:-1])
    assert "below" == of(under["grids"])["g2"]["state"]


def test_old_people_and_those_without_a_phone() -> None:
    """Nobody over sixty was reached, and without a phone only in number: both are said, each by its measure."""
    there = [*people("g", 30), *people("g", 10, band="60-74"), *people("g", 10, band="75+", phone="without")]
    found = report(there, [award(one[0]) for one in there[:30]])
    ages = of(found["age"])
    assert {"state": "below", "reached": 0, "points": 0, "reached_of_fair": 0}.items() <= ages["60+"].items()
    assert 20 == ages["60+"]["people"]
    assert [("age", "60+"), ("phone", "without")] == [(one["about"], one["code"]) for one in found["alarms"]]
    pennies = report(there, [award(one[0], 1 if one in there[40:] else 100) for one in there])
    assert [["points"]] == [one["measures"] for one in pennies["alarms"]]
    assert "phone" == pennies["alarms"][0]["about"]


def test_chance_is_not_accused() -> None:
    """Where a fair share would be under five people, having nobody is no alarm."""
    there = [*people("g1", 100), *people("g2", 40)]
    found = report(there, [award(one[0]) for one in there[:16]])
    assert ("unsure", 0) == (of(found["grids"])["g2"]["state"], of(found["grids"])["g2"]["reached"])
    assert [] == found["alarms"]


def test_only_what_stands_counts() -> None:
    """Awards of nothing, and of those who are not among the people, reach nobody."""
    there = people("g", 10)
    found = report(there, [award(there[0][0], 0), award("elsewhere"), ("g/40-59/with/1", 50, 0, "a", None, "sheet")])
    assert found["reached"] is None, "one who gained standing only, and one is too few to be told"
    assert 0 == report(there, [award(there[0][0], 0), award("elsewhere")])["reached"]


def test_a_small_group_cannot_be_worked_out() -> None:
    """Three people over 75 are not told, nor the band whose figures with the known sum of the over-sixties would give
    them away; the only small grid takes the next smallest with it."""
    there = [*people("g1", 60), *people("g2", 12, band="60-74"), *people("g3", 3, band="75+")]
    found = report(there, [award(one[0]) for one in there])
    ages, grids = of(found["age"]), of(found["grids"])
    assert {"code": "75+", "state": "too_few"} == ages["75+"]
    assert {"code": "60-74", "state": "too_few"} == ages["60-74"]
    assert 15 == ages["60+"]["people"]
    assert ["too_few", "too_few"] == [grids[code]["state"] for code in ("g2", "g3")]
    assert 60 == grids["g1"]["people"]


def test_self_dealing_by_hand() -> None:
    """A relative's award by either hand counts once; two who award each other are a pair; eleven of fifteen at home."""
    there = [*people("home", 20), *people("far", 20)]
    near, far = [one[0] for one in there[:20]], [one[0] for one in there[20:]]
    staff = [("a", near[0], "home"), ("b", far[0], "far"), ("c", far[1], "far")]
    awards = [
        award(near[5], by="a", second="b"),  # both hands are tied to them
        award(near[6], by="x", second="a"),  # nobody's
        award(far[0], by="a"),
        award(near[0], by="b"),
        *(award(one, by="c") for one in (*far[2:13], *near[8:12])),
    ]
    found = report(there, awards, staff, [(near[5], near[0]), (far[0], near[5])])
    dealing = found["self_dealing"]
    assert {"awards": 1, "points": 100} == dealing["kin"]
    assert {"awards": 2, "pairs": 1} == dealing["mutual"]
    assert {"staff": 1, "awards": 11} == dealing["own_grid"]
    assert {"kin", "mutual", "own_grid"} == {one["kind"] for one in found["alarms"]} - {"below_half"}


def test_concentration_by_hand() -> None:
    """Six of six hundred have a hundred times as much as others, half of all; one of two givers did two thirds."""
    there = people("g", 600)
    awards = [award(one[0], 10_000 if n < 6 else 100, by="a" if n < 400 else "b") for n, one in enumerate(there)]
    shares = report(there, awards)["concentration"]
    assert (6, 50) == (shares["top_people"], shares["top_points_percent"])  # 600 of 600 + 594
    assert (2, 67) == (shares["proposers"], shares["one_proposer_percent"])
    few = report(there, awards[:9])["concentration"]
    assert (None, None) == (few["top_people"], few["top_points_percent"])


def test_nobody_and_nothing() -> None:
    """A place without residents, or without a deed, has a report all the same."""
    empty = report([], [])
    assert (None, 0, [], []) == (empty["people"], empty["reached"], empty["grids"], empty["alarms"])
    quiet = report(people("g", 30), [])
    assert (30, 0, []) == (quiet["people"], quiet["reached"], quiet["alarms"])
    assert [0, 0, 0] == [one["awards"] for one in quiet["channels"]]


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (None, "unknown"),
        (18, "18-39"),
        (39, "18-39"),
        (40, "40-59"),
        (59, "40-59"),
        (60, "60-74"),
        (74, "60-74"),
        (75, "75+"),
    ],
)
def test_bands(age: int | None, band: str) -> None:
    """The first and last year of each."""
    assert band == band_of(age)


OTHERS = (("g3", "unknown", "with"), ("g3", "75+", "with"), ("g2", "40-59", "without"))


@st.composite
def towns(draw: st.DrawFn) -> tuple[list[Person], list[Any]]:
    there: list[Person] = []
    for grid, band, phone in (("g1", "18-39", "with"), ("g1", "75+", "without"), ("g2", "60-74", "with"), *OTHERS):
        there += people(grid, draw(st.integers(0, 9)), band=band, phone=phone)
    chosen = draw(st.lists(st.sampled_from(there), max_size=25)) if there else []
    channel = st.sampled_from(CHANNELS)
    return there, [award(one[0], draw(st.integers(0, 9)), channel=draw(channel)) for one in chosen]


def in_group(one: Person, code: str) -> bool:
    return one[2] in ("60-74", "75+") if code == "60+" else code in one


@settings(max_examples=30, deadline=None)
@given(towns())
def test_no_figure_of_one_to_four_people(town: tuple[list[Person], list[Any]]) -> None:
    """Whatever the town: no such number is told, and none follows from a sum less the other figures."""
    there, awards = town
    found = report(there, awards)
    got = {one[0] for one in awards if one[2]}
    sums = {"age": [("18-39", "40-59", "unknown", "60+"), ("60-74", "75+")], "grids": [("g1", "g2", "g3")]}
    sums["phone"] = [("with", "without")]
    for part, groups in sums.items():
        rows = of(found[part])
        for name in ("people", "reached"):
            for codes in groups:
                known = [code for code in codes if code in rows]
                actual = {code: sum(in_group(one, code) and (name == "people" or one[0] in got) for one in there)
                          for code in known}  # fmt: skip
                for code in known:
                    figure = rows[code].get(name)
                    assert figure is None or (figure == actual[code] and not 0 < figure < BELOW)
                untold = [actual[code] for code in known if rows[code].get(name) is None]
                whole = rows["60+"].get(name) if codes == ("60-74", "75+") and known else found[name]
                assert len(untold) != 1 or whole is None or not 0 < untold[0] < BELOW, (part, name, rows)
