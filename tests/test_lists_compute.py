# SPDX-License-Identifier: Apache-2.0
"""What a list says of a small town, worked out by hand."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from rules.engine.lists import ListRule
from rules.engine.pack import builtin_pack
from rules.lists.bootstrap import draws
from rules.lists.compute import compute
from rules.lists.shrink import Sums, half_up, shrunken
from rules.lists.suppress import hidden, neighbours
from tests.list_lines import Book, header

PACK = builtin_pack("huantai")
A, B, C, D = "east-01", "east-02", "east-03", "east-04"
QUARTER = ("2026-07-01", "2026-09-30")
WORDS = (0x599ED017FB08FC85, 0x2C73F08458540FA5, 0x883EBCE5A3F27C77, 0x3FBEF740E9177B3F, 0xE3B8346708CB5ECD)
"""With which splitmix64 begins from 1234567, as its author published them."""


def rule_of(code: str, **change: Any) -> ListRule:
    rule = PACK.lists[code]
    if "minimum" in change:
        people, active = change["minimum"]
        change["minimum"] = rule.minimum.model_copy(update={"people": people, "active": active})
    return rule.model_copy(update=change)


PLAIN = rule_of("grids", minimum=(5, 0), interval=None, shrink=None)


def settled(grids: dict[str, int], **more: Any) -> Book:
    """So many residents in each grid, named east-01/0, east-01/1 …"""
    book = Book()
    for grid, count in grids.items():
        for number in range(count):
            book.join(f"{grid}.{number}", grid, **more)
    return book


def done(book: Book, grid: str, count: int, standing: int = 100, day: str = "2026-08-01") -> None:
    """The first `count` residents of a grid do something."""
    for number in range(count):
        book.award(f"{grid}.{number}", day, standing)


def ranking(book: Book, rule: ListRule = PLAIN, units: tuple[str, ...] = (A, B), **said: Any) -> dict[str, Any]:
    return compute(rule, header(*QUARTER, units, said.pop("as_of", book.reach()), **said), book.population(),
                   book.lines(), PACK)  # fmt: skip


def row(result: dict[str, Any], grid: str) -> dict[str, Any]:
    return next(one for one in result["rows"] if one["grid"] == grid)


# ranks -----------------------------------------------------------------------------------------------------------


def test_equal_figures_share_a_rank_and_leave_out_the_next() -> None:
    """1, 2, 2, 4, and beside each how many share it; what decides is the rounded figure that people see."""
    book = settled(dict.fromkeys((A, B, C, D), 6))
    done(book, A, 6, 300)
    done(book, B, 6, 200)
    done(book, C, 5, 200)
    book.award(f"{C}.5", "2026-08-01", 199)  # 1,199 among six is 199.8, and rounds to 200
    done(book, D, 6, 100)
    rows = ranking(book, units=(A, B, C, D))["rows"]
    assert [(one["grid"], one["rank"], one["ties"]) for one in rows] == [(A, 1, 1), (B, 2, 2), (C, 2, 2), (D, 4, 1)]
    assert [one["per_head"] for one in rows] == [100_300, 100_200, 100_200, 100_100]


def test_a_half_is_rounded_up() -> None:
    """Also below zero: -0.5 becomes 0."""
    assert [half_up(n, 2) for n in (1, 3, -1, -3)] == [1, 2, 0, -1]


def test_an_empty_and_a_tiny_grid_are_shown_and_not_ranked() -> None:
    """Nobody lives in one, six in another where ten are asked; the sums are those of ranked grids alone."""
    book = settled({A: 12, B: 6})
    done(book, A, 12)
    done(book, B, 6)
    result = ranking(book, rule_of("grids", minimum=(10, 0), interval=None), units=(A, B, C))
    assert result["rows"][1:] == [{"grid": B, "state": "too_few", "people": 6}, {"grid": C, "state": "empty"}]
    assert row(result, A)["rank"] == 1
    assert result["totals"]["people"] == 12
    assert {name: result["totals"][name] for name in ("ranked", "too_few", "empty")} == {
        "ranked": 1, "too_few": 1, "empty": 1,
    }  # fmt: skip


def test_too_few_active_people_are_not_ranked() -> None:
    """Fifty live there, nine did something, ten are asked."""
    book = settled({A: 50, B: 50})
    done(book, A, 10)
    done(book, B, 9)
    result = ranking(book, rule_of("grids", interval=None))
    assert (row(result, A)["state"], row(result, B)["state"]) == ("ranked", "too_few")


def test_a_flag_needs_every_threshold_and_has_no_quota() -> None:
    """100,300 per head and a fifth of the people: one grid misses the second, two have the flag, and none need have."""
    book = settled(dict.fromkeys((A, B, C), 50))
    for grid, count, standing in ((A, 10, 1500), (B, 9, 5000), (C, 50, 301)):
        done(book, grid, count, standing)
    flags = (PLAIN.flags[0].model_copy(update={"min_per_head": 100_300, "min_participation": 20}),)
    rule = rule_of("grids", minimum=(50, 5), interval=None, flags=flags)
    assert {one["grid"]: one["flags"] for one in ranking(book, rule, (A, B, C))["rows"]} == {
        A: ["red_flag"], B: [], C: ["red_flag"],
    }  # fmt: skip
    assert all(not one["flags"] for one in ranking(settled({A: 50, B: 50}), rule_of("grids", minimum=(5, 0)))["rows"])


def test_what_was_gained_can_be_ranked_instead() -> None:
    """Standing brought along does not count, and with it goes what came late and what was taken back."""
    book = settled({A: 6, B: 6}, base=0)
    done(book, A, 6, 100)
    done(book, B, 6, 90)
    done(book, B, 6, 999, day="2026-06-30")
    rows = ranking(book, rule_of("grids", metric="gained", minimum=(5, 0), interval=None))["rows"]
    assert [(one["grid"], one["total"]) for one in rows] == [(A, 600), (B, 540)]


# what counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "gained", "standing"),
    [("2026-06-30", 0, 700), ("2026-07-01", 700, 700), ("2026-09-30", 700, 700), ("2026-10-01", 0, 0)],
)
def test_the_first_and_last_day_of_a_quarter_are_in_it(day: str, gained: int, standing: int) -> None:
    """A deed of the day before counts for the level and not for the gain; one of the day after for neither."""
    book = settled({A: 6})
    done(book, A, 5, 0)
    for number in range(5):
        book.award(f"{A}.{number}", "2026-08-01", 0, 1)
    book.award(f"{A}.0", day, 700)
    result = row(ranking(book), A)
    assert (result["gained"], result["total"]) == (gained, 600_000 + standing)


@pytest.mark.parametrize(("lot", "counts"), [("2026-09-29", 0), ("2026-09-30", 700), (None, 700)])
def test_standing_that_lapsed_before_the_last_day_is_gone(lot: str | None, counts: int) -> None:
    """Its last day is one on which it counts."""
    book = settled({A: 6})
    book.award(f"{A}.0", "2026-01-01", 700, lot=lot)
    assert row(ranking(book), A)["total"] == 600_000 + counts


def test_a_disputed_award_counts_for_nothing_until_it_is_decided() -> None:
    """Pending at the freeze: out. Rejected before it: in."""
    book = settled({A: 6})
    award = book.award(f"{A}.0", "2026-08-01", 700)
    objection = book.dispute(award)
    assert row(ranking(book), A)["total"] == 600_000
    book.decide(objection)
    assert row(ranking(book), A)["total"] == 600_700


def test_a_reversal_after_the_freeze_is_for_the_next_edition() -> None:
    """Before: the award is not there. After: this edition stands, a correction sees it, the next one takes it back."""
    book = settled({A: 6})
    done(book, A, 6)
    award = book.award(f"{A}.0", "2026-08-01", 700)
    frozen = book.reach()
    book.reverse(award)
    later = book.reach()
    assert row(ranking(book, as_of=frozen), A)["total"] == 601_300
    assert row(ranking(book, as_of=frozen, seen=later), A)["total"] == 600_600
    after = header("2026-10-01", "2026-12-31", (A,), later, previous=(frozen, frozen))
    done(book, A, 5, day="2026-10-01")
    assert row(ranking(book), A)["total"] == 600_600
    rule = rule_of("grids", metric="gained", minimum=(5, 0), interval=None)
    after["as_of"]["east"]["size"] = after["seen"]["east"]["size"] = book.reach()["east"]
    result = compute(rule, after, book.population(), book.lines(), PACK)
    assert {name: row(result, A)[name] for name in ("gained", "late", "taken_back", "total")} == {
        "gained": 500, "late": 0, "taken_back": 700, "total": -200,
    }  # fmt: skip


def test_a_deed_that_was_entered_late_is_in_the_next_edition_as_its_own_figure() -> None:
    """It happened before the period and came after the last freeze; what an edition counted before is not late."""
    book = settled({A: 6})
    done(book, A, 6, day="2026-06-15")
    before = book.reach()
    book.award(f"{A}.0", "2026-06-30", 700)
    done(book, A, 6, 10)
    result = row(ranking(book, previous=(before, before)), A)
    assert (result["gained"], result["late"], result["total"]) == (60, 700, 601_360)
    assert row(ranking(book), A)["late"] == 0  # a first edition has nothing to be late for


def test_what_was_disputed_then_and_counts_now_comes_late() -> None:
    """No deed is lost between two editions, and none counts twice."""
    book = settled({A: 6})
    done(book, A, 6)
    objection = book.dispute(book.award(f"{A}.0", "2026-06-01", 700))
    then = book.reach()
    book.decide(objection)
    assert row(ranking(book, previous=(then, then)), A)["late"] == 700
    assert row(ranking(book, previous=(then, book.reach())), A)["late"] == 0


def test_deeds_are_brought_along_by_a_move() -> None:
    """Done in the west, lives in the east now: the east's grid has it, and of a journal that the edition before did not
    look at nothing is late."""
    book = settled({A: 6})
    done(book, A, 5)
    before = book.reach()
    book.award(f"{A}.0", "2026-06-01", 700, journal="west")
    book.award(f"{A}.0", "2026-08-01", 50, journal="west")
    result = row(ranking(book, previous=(before, before)), A)
    assert (result["total"], result["gained"], result["late"]) == (601_250, 550, 0)


def test_who_was_erased_or_left_is_not_in_the_figures() -> None:
    """What they had done goes with them, and an edition frozen earlier is what it was."""
    book = settled({A: 7})
    done(book, A, 7)
    frozen, population = book.reach(), book.population()
    result = ranking(book)
    del book.people[f"{A}.6"]
    assert (row(result, A)["total"], row(ranking(book), A)["total"]) == (700_700, 600_600)
    again = compute(PLAIN, header(*QUARTER, (A, B), frozen), population, book.lines(), PACK)
    assert again == result


def test_rows_in_another_order_give_the_same_result() -> None:
    """Also the intervals, whose draws hang on the line in the population file."""
    book = settled({A: 9, B: 9})
    done(book, A, 5)
    done(book, B, 7)
    rule = rule_of("grids", minimum=(5, 0))
    said = header(*QUARTER, (A, B), book.reach())
    backwards = compute(rule, said, book.population(), book.lines().reverse(), PACK)
    assert backwards == compute(rule, said, book.population(), book.lines(), PACK)


# small numbers ---------------------------------------------------------------------------------------------------


def test_a_small_number_is_hidden_and_never_alone() -> None:
    """Four active people are not told, nor the next smallest number of the community, nor what either did."""
    book = settled(dict.fromkeys((A, B, C), 8))
    for grid, count in ((A, 4), (B, 6), (C, 7)):
        done(book, grid, count)
    result = ranking(book, units=(A, B, C))
    assert {one["grid"]: one.get("active") for one in result["rows"]} == {C: 7, B: None, A: None}
    assert "gained" not in row(result, A)
    assert "late" not in row(result, B)
    assert result["totals"]["active"] == 17
    assert "active" not in ranking(book, units=(A,))["totals"]  # where there is no other, the sum would tell


def test_neighbours_are_the_grids_of_one_community() -> None:
    """A small number in the east does not hide one in the west; the longer name wins."""
    together = neighbours([A, "eastern-01", "eastern-02", "west-01"], ["east", "eastern", "west"])
    assert together == [[A], ["eastern-01", "eastern-02"], ["west-01"]]
    assert hidden({A: 9, "eastern-01": 1, "eastern-02": 9, "west-01": 9}, 5, together) == {"eastern-01", "eastern-02"}
    assert hidden({"a": 2, "b": 3, "c": 9}, 5, [["a", "b", "c"]]) == {"a", "b"}
    assert hidden({"a": 2, "b": 2, "c": 9, "d": 8}, 5, [["a", "b", "c", "d"]]) == {"a", "b", "d"}  # four people in two
    assert hidden({"a": 5, "b": 9}, 5, [["a", "b"]]) == set()


def test_a_notice_tells_no_sum_of_a_handful_of_people() -> None:
    """Four of eight did something in one grid; three live in another. The sums of the place stay."""
    book = settled({A: 8, B: 8, C: 3, D: 9})
    for grid, count in ((A, 4), (B, 8), (C, 3), (D, 9)):
        done(book, grid, count, day="2026-09-01")
    said = header("2026-09-01", "2026-09-30", (A, B, C, D), book.reach())
    result = compute(PACK.lists["notice"], said, book.population(), book.lines(), PACK)
    assert [{name: one.get(name) for name in ("people", "active", "gained")} for one in result["grids"]] == [
        {"people": None, "active": None, "gained": None},  # the smallest beside C, or the sum would tell C
        {"people": 8, "active": 8, "gained": 800},
        {"people": None, "active": None, "gained": None},
        {"people": 9, "active": 9, "gained": 900},
    ]
    assert result["totals"] == {
        "people": 28, "active": 24, "awards": 24, "gained": 2400, "points": 0, "late": 0, "taken_back": 0,
    }  # fmt: skip


def notice_of(active: dict[str, int], lived: dict[str, int] | None = None) -> dict[str, Any]:
    """The notice where so many of each grid's (by default nine) residents did something."""
    book = settled(lived or dict.fromkeys(active, 9))
    for grid, count in active.items():
        done(book, grid, count, day="2026-09-01")
    said = header("2026-09-01", "2026-09-30", tuple(active), book.reach())
    return compute(PACK.lists["notice"], said, book.population(), book.lines(), PACK)


def test_a_sum_of_too_few_people_is_not_told_either() -> None:
    """Two active in a community, in one grid or in two; nor what they gained. How many live there stays."""
    assert notice_of({A: 2})["totals"] == {"people": 9}
    assert notice_of({A: 1, B: 1})["totals"] == {"people": 18}
    assert notice_of({A: 2}, {A: 4})["totals"] == {}
    few = settled(dict.fromkeys((A, B), 6))
    done(few, A, 2)
    assert not {"active", "gained", "late", "taken_back"} & ranking(few)["totals"].keys()


def test_the_sum_less_what_is_told_is_never_of_too_few_people() -> None:
    """Two grids with two people each are no cover for each other; a third goes with them."""
    result = notice_of({A: 2, B: 2, C: 8, D: 9})
    assert [one["grid"] for one in result["grids"] if "active" in one] == [D]
    assert result["totals"]["active"] == 21


def test_a_community_is_not_told_by_the_sum_of_the_street() -> None:
    """The west has one grid with two people in it, and its own notice would say nothing; what the east hides is no
    cover, since the east's notice has its sum."""
    west, other = "west-01", "north-01"
    assert "active" not in notice_of({A: 3, B: 6, C: 9, west: 2})["totals"]
    assert "active" not in notice_of({A: 9, west: 2, other: 2})["totals"]
    assert notice_of({A: 9, west: 2, other: 3})["totals"]["active"] == 14


# bodies and persons ----------------------------------------------------------------------------------------------


def test_a_notice_thanks_bodies_and_persons_who_agreed() -> None:
    """Only what was gained, standing or points, and of persons only who wants it: not a word of a deduction, nor a
    level from which it could be seen."""
    book = settled({A: 8})
    book.join("shop", A, ["G5"])
    book.join("quiet", A, ["G5"])
    book.join("blamed", A, ["G5"])
    book.join("shy", A, listed=False)
    done(book, A, 1)
    book.award("shy", "2026-08-01", 100)
    book.award(f"{A}.1", "2026-08-01", 0, 300)  # an hour of voluntary work: points alone
    book.award(f"{A}.2", "2026-08-01", 0, 0)
    book.award("shop", "2026-08-01", 200, rule="MK-06")
    book.award("shop", "2026-08-02", -50, rule="MK-08")
    book.award("blamed", "2026-08-02", -50, rule="MK-08")
    result = compute(PACK.lists["notice"], header(*QUARTER, (A,), book.reach()), book.population(), book.lines(), PACK)
    assert result["bodies"] == [{"line": "shop", "subject": "shop", "grid": A, "gained": 200, "points": 0, "awards": 1}]
    assert [{name: one[name] for name in one if name != "line"} for one in result["persons"]] == [
        {"subject": f"{A}.0", "grid": A, "gained": 100, "points": 0, "awards": 1},
        {"subject": f"{A}.1", "grid": A, "gained": 0, "points": 300, "awards": 1},
    ]


def test_an_honour_needs_its_level_and_clean_months() -> None:
    """A deduction of a grey rule within the year keeps a body off; a year and a day ago it does not."""
    book = Book()
    for name in ("good", "fined", "mended", "low"):
        book.join(name, A, ["G5"])
        book.award(name, "2026-09-01", 2999 if name == "low" else 5000, rule="MK-06")
    book.award("fined", "2025-10-01", -100, rule="MK-08", lot="2026-01-01")
    book.award("mended", "2025-09-30", -100, rule="MK-08", lot="2026-01-01")
    said = header("2026-09-01", "2026-09-30", (A,), book.reach())
    result = compute(PACK.lists["red"], said, book.population(), book.lines(), PACK)
    assert [one["line"] for one in result["rows"]] == ["good", "mended"]
    assert result["rows"][0] == {
        "line": "good", "subject": "good", "grid": A, "standing": 105_000, "gained": 5000, "awards": 1,
    }  # fmt: skip
    assert result["totals"] == {"considered": 4}


def test_only_who_agreed_is_on_a_list_of_persons() -> None:
    """However much somebody gained."""
    book = Book()
    book.join("willing", A, ["G1", "G3"])
    book.join("shy", A, ["G1", "G3"], listed=False)
    book.join("resident", A)
    for name in book.people:
        book.award(name, "2026-09-01", 2000)
    result = compute(PACK.lists["workers"], header(*QUARTER, (A,), book.reach()), book.population(), book.lines(), PACK)
    assert [one["line"] for one in result["rows"]] == ["willing"]
    assert result["totals"] == {}  # two were considered: too few to tell


def test_an_award_on_weak_evidence_does_not_count_for_a_list_that_asks_more() -> None:
    """The rule's own demand decides; a rule that the pack does not know is weak."""
    strong = next(code for code, one in PACK.indicators.items() if one.evidence.standing == "E3" and not one.grey)
    book = Book()
    for name, rule in (("strong", strong), ("weak", "RE-01"), ("unknown", "XX-99")):
        book.join(name, A, ["G1", "G3"])
        book.award(name, "2026-09-01", 2000, rule=rule)
    found = compute(
        rule_of("workers", level="E3"), header(*QUARTER, (A,), book.reach()), book.population(), book.lines(), PACK
    )
    assert [one["line"] for one in found["rows"]] == ["strong"]


def test_a_reminder_has_each_deduction_and_no_minor_one() -> None:
    """Of the month, and an earlier one that came late; disputed and slight ones are not there, slight ones counted."""
    book = Book()
    book.join("shop", A, ["G5"])
    book.join("estate", A, ["G6"])
    book.award("shop", "2026-08-31", -300, rule="MK-08")
    before = book.reach()
    late = book.award("shop", "2026-08-30", -300, rule="MK-09")
    book.dispute(book.award("shop", "2026-09-02", -300, rule="MK-08"))
    own = book.award("estate", "2026-09-30", -1500, rule="PR-08")
    book.award("estate", "2026-09-03", -1499, rule="PR-08")
    book.award("shop", "2026-09-03", 500, rule="MK-06")
    said = header("2026-09-01", "2026-09-30", (A,), book.reach(), previous=(before, before))
    result = compute(PACK.lists["grey"], said, book.population(), book.lines(), PACK)
    assert result["totals"] == {"minor": 1}
    assert [(one["line"], one["indicator"], one["months"], one.get("late")) for one in result["rows"]] == [
        (f"east/{late['seq']}", "MK-09", 12, 1),
        (f"east/{own['seq']}", "PR-08", 6, None),
    ]


# the arithmetic --------------------------------------------------------------------------------------------------


def test_draws_are_those_of_the_published_generator() -> None:
    """splitmix64 from 1234567 begins with these five words; bytes from the lowest, each by its threshold."""
    lines = pl.DataFrame({"line": range(5), "unit": range(5), "value": [1, 10, 100, 2**52, -1]},
                         schema={"line": pl.UInt64, "unit": pl.UInt32, "value": pl.Int64})  # fmt: skip
    found = list(draws(lines, 5, 1_234_567, 8))
    for lane, (people, totals) in enumerate(found):
        times = [sum(word >> (8 * lane) & 255 >= least for least in (94, 188, 235, 251, 255)) for word in WORDS]
        assert people == times
        assert totals == [count * value for count, value in zip(times, (1, 10, 100, 2**52, -1), strict=True)]


def test_a_rank_of_like_grids_is_unsure_and_of_unlike_ones_is_not() -> None:
    """Two grids of which chance decides share their ranks; one far ahead keeps its own."""
    book = settled(dict.fromkeys((A, B, C), 30))
    done(book, A, 30, 9000)
    done(book, B, 15, 100)
    done(book, C, 14, 100)
    result = ranking(book, rule_of("grids", minimum=(5, 0)), (A, B, C))
    assert [(row(result, grid)["low"], row(result, grid)["high"]) for grid in (A, B, C)] == [(1, 1), (2, 3), (2, 3)]
    assert row(result, A)["per_head_low"] == row(result, A)["per_head_high"] == 109_000
    assert row(result, B)["per_head_low"] < row(result, B)["per_head"] < row(result, B)["per_head_high"]


def test_small_grids_are_drawn_further_towards_the_mean() -> None:
    """Two people with 6 and 2 points, four with 0: the mean is 8/6, within (40 - 32)/4 = 2, between (64/3 - 2)/(8/3) =
    7.25; they keep 7.25/8.25 and 7.25/7.75 of their distance."""
    found = shrunken({"small": Sums(2, 800, 400_000), "large": Sums(4, 0, 0)})
    assert found is not None
    assert (found.mean, found.within, found.between) == (133, 20_000, 72_500)
    assert found.means == {"small": 368, "large": 9}
    assert shrunken({"one": Sums(5, 10, 100)}) is None


def test_equal_grids_are_drawn_all_the_way() -> None:
    """Where grids differ by no more than chance, each has the mean of all; where nobody differs, each has its own."""
    noisy = shrunken({"a": Sums(2, 2, 20), "b": Sums(2, 4, 20)})
    assert noisy is not None
    assert (noisy.between, set(noisy.means.values())) == (0, {2})
    flat = shrunken({"a": Sums(2, 10, 50), "b": Sums(2, 10, 50)})
    assert flat is not None
    assert flat.means == {"a": 5, "b": 5}
