# SPDX-License-Identifier: Apache-2.0
"""The founding pack: it loads, its own examples hold, and it says what the public record says."""

from __future__ import annotations

from datetime import date

import pytest

from rules.engine.evaluate import Outcome, counters, evaluate
from rules.engine.examples import failures
from rules.engine.model import Indicator, Pack
from rules.engine.mutation import survivors
from rules.engine.pack import builtin_pack, load_pack
from tests.tree import ROOT

CATALOGUE = {
    "G1": [f"CW-0{n}" for n in range(1, 9)],
    "G2": [f"PM-0{n}" for n in range(1, 7)],
    "G3": [f"RE-{n:02}" for n in range(1, 14)],
    "G4": [f"BL-0{n}" for n in range(1, 6)],
    "G5": [f"MK-0{n}" for n in range(1, 10)],
    "G6": ["OC-01", *(f"PR-0{n}" for n in range(1, 9))],
    "G7": [f"CB-0{n}" for n in range(1, 7)],
    "G8": [f"SO-0{n}" for n in range(1, 7)],
}
HOURS = ROOT / "examples" / "packs" / "volunteer-hours"
DIMINISHING_HOURS = [
    (10, 1000),
    (20, 2000),
    (21, 2050),
    (50, 3500),
    (80, 5000),
    (100, 5667),
    (200, 9000),
    (250, 10250),
    (300, 11500),
]
LADDER_HOURS = [
    (9, 0),
    (10, 2),
    (19, 2),
    (20, 5),
    (21, 5),
    (50, 10),
    (80, 15),
    (100, 20),
    (150, 25),
    (200, 30),
    (250, 40),
    (300, 50),
    (600, 50),
]


@pytest.fixture(scope="module")
def pack() -> Pack:
    return builtin_pack("huantai")


def test_every_example_holds(pack: Pack) -> None:
    """Each worked example gives the numbers that it states."""
    assert list(failures(pack)) == []


def test_every_indicator_has_a_plain_case_a_limit_and_a_negative_one(pack: Pack) -> None:
    """At least three examples: one posted in full, one refused, and a cap is seen to cut wherever there is one."""
    for indicator in pack.indicators.values():
        states = [example.state for example in indicator.examples]
        assert len(states) >= 3, indicator.code
        assert {"posted", "refused"} <= set(states), indicator.code
        assert not indicator.caps or {"reduced", "zero"} & set(states), indicator.code


def test_no_change_of_a_rule_goes_unnoticed(pack: Pack) -> None:
    """Any number, word, window, level or set changed in any indicator, and one of its own examples objects."""
    assert survivors(pack) == []
    assert survivors(load_pack(HOURS)) == []


def test_quotations_are_from_texts_beside_the_pack(pack: Pack) -> None:
    """Our own proposal is quoted; of laws there is the title and the article, for their texts are not ours to ship."""
    with_text = {name for name, source in pack.sources.items() if source.text is not None}
    quoted = {one.citation.source for one in pack.indicators.values() if one.citation.quote is not None}
    assert with_text == quoted == {"proposal"}
    cited = {"volunteer", "waste", "property", "credit"}
    laws = [one for one in pack.indicators.values() if one.citation.source in cited]
    assert len(laws) >= 8 and all((one.citation.part or "").startswith("第") for one in laws)


def test_one_deed_is_paid_under_one_hat(pack: Pack) -> None:
    """Who wears two hats is paid once: for hours or by piece, for a demand, a dispute, a service."""
    sets = {
        name: [one.code for one in pack.indicators.values() if one.exclusion == name] for name in pack.exclusion_sets
    }
    assert sets == {
        "hours_or_piece": ["RE-01", "RE-07"],
        "one_demand": ["BL-03", "RE-02"],
        "one_dispute": ["CW-05", "RE-06"],
        "one_service": ["CW-03", "PM-03", "PM-04"],
    }


def test_paid_work_gives_no_redeemable_points(pack: Pack) -> None:
    """What community workers do on duty is marked as such; an honour is not duty."""
    assert [one.code for one in pack.indicators.values() if one.work == "duty"] == [f"CW-0{n}" for n in range(1, 8)]
    assert not any(one.points for one in pack.indicators.values() if one.group == "G1")


def test_every_deduction_counts_for_the_grey_list(pack: Pack) -> None:
    """What is held against a body, and nothing else."""
    marked = [one.code for one in pack.indicators.values() if one.grey == "yes"]
    assert marked == [one.code for one in pack.indicators.values() if one.direction == "minus"]


def test_it_has_all_eight_groups_and_their_indicators(pack: Pack) -> None:
    """Eight groups, five from the record; the catalogue is complete and has nothing else."""
    by_group = {group: [one.code for one in pack.indicators.values() if one.group == group] for group in pack.groups}
    assert by_group == CATALOGUE
    assert [group.code for group in pack.groups.values() if group.status == "proposed"] == ["G4", "G6", "G8"]
    assert [group.code for group in pack.groups.values() if group.kind == "person"] == [
        "G1",
        "G2",
        "G3",
        "G4",
    ]


def test_persons_are_plus_only(pack: Pack) -> None:
    """No person's indicator deducts, and none can put a person in debt."""
    for indicator in pack.indicators.values():
        if pack.groups[indicator.group].kind == "person":
            assert (indicator.direction, indicator.reversal) == ("plus", "only_available")


def test_its_header(pack: Pack) -> None:
    """In force from 2022, in the zone of Shandong, on a base of 1,000."""
    assert (pack.id, pack.zone, pack.effective_from, pack.base_standing) == (
        "huantai",
        "Asia/Shanghai",
        date(2022, 1, 1),
        100_000,
    )
    assert (pack.approval.rows, pack.approval.share_rows, pack.approval.share_percent) == (200, 20, 2)
    assert len(pack.hash) == 64


@pytest.mark.parametrize(
    ("standing", "grade"),
    [
        (106500, "AAA"),
        (105000, "AAA"),
        (104999, "AA"),
        (103000, "AA"),
        (100000, "A"),
        (96000, "A"),
        (95999, "B"),
        (60000, "C"),
        (59999, "D"),
        (0, "D"),
        (-1, "D"),
    ],
)
def test_grades(pack: Pack, standing: int, grade: str) -> None:
    """Grades change exactly at their thresholds, and the lowest takes everything below."""
    assert pack.grade(standing).code == grade


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("RE-01", "RE-01"),
        ("re-01", "RE-01"),
        (" ＲＥ-01 ", "RE-01"),
        ("志愿服务", "RE-01"),
        ("志愿服务时长", "RE-01"),
        ("疫情防控志愿服务", "RE-01"),
        ("Volunteer hours", "RE-01"),
        ("门前三包", "MK-01"),
        ("PM-07", None),
        ("志愿", None),
        ("", None),
    ],
)
def test_a_sheet_names_an_indicator_exactly_or_not_at_all(pack: Pack, text: str, code: str | None) -> None:
    """Code, name or alias in any width and case; nothing is guessed from a part."""
    found = pack.indicator_by_text(text)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("居民", "G3"),
        ("党员", "G2"),
        ("社区工作者", "G1"),
        ("网格员", "G1"),
        ("楼长", "G4"),
        ("单元长", "G4"),
        ("市场主体", "G5"),
        ("商户", "G5"),
        ("物业", "G6"),
        ("业委会", "G6"),
        ("共建部门", "G7"),
        ("共建单位", "G7"),
        ("社会组织", "G8"),
        ("志愿服务队", "G8"),
        ("G3", "G3"),
        ("外星人", None),
    ],
)
def test_groups_by_the_words_of_sheets(pack: Pack, text: str, code: str | None) -> None:
    """Sheets write the Chinese names of groups in several ways."""
    found = pack.group_by_text(text)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(("hours", "level"), LADDER_HOURS)
def test_the_ladder_gives_the_published_levels(pack: Pack, hours: int, level: int) -> None:
    """Confirmed in pieces of at most four hours, a year's hours add up to the level of the table."""
    assert _year_of_service(pack, pack.indicators["RE-01"], hours * 60, 240) == (level * 100, hours * 100)


@pytest.mark.parametrize(("hours", "worth"), DIMINISHING_HOURS)
def test_the_falling_rate_gives_the_published_points(hours: int, worth: int) -> None:
    """As a formula it is rounded half up, as a table down: only where an hour is a third of a 分 do they differ."""
    pack = load_pack(HOURS)
    results = [
        evaluate(
            pack,
            pack.indicators[code],
            facts={"minutes": hours * 60},
            evidence_level="E2",
            occurred_on=date(2026, 12, 31),
            posted_on=date(2026, 12, 31),
            used={},
        )
        for code in ("VH-02", "VH-03")
    ]
    assert [one.standing for one in results if isinstance(one, Outcome)] == [worth, worth - (hours == 100)]


def test_ninety_minutes_at_a_time_lose_no_step(pack: Pack) -> None:
    """The ladder depends on the total alone, not on the pieces it came in."""
    assert _year_of_service(pack, pack.indicators["RE-01"], 6030, 90) == (2000, 10050)


def test_the_donation_table(pack: Pack) -> None:
    """The bracket table: ¥3,000 is worth 15, ¥10,000 30, ¥20,000 40, before the cap of 10 a year."""
    for yuan, worth in [(100, 1), (1000, 10), (3000, 15), (5000, 20), (10000, 30), (20000, 40)]:
        outcome = evaluate(
            pack,
            pack.indicators["RE-11"],
            facts={"amount_fen": yuan * 100},
            evidence_level="E3",
            occurred_on=date(2022, 3, 5),
            posted_on=date(2022, 3, 5),
            used={},
        )
        assert isinstance(outcome, Outcome)
        assert outcome.trace["standing"]["worth"] == worth * 100
        assert outcome.standing == min(worth, 10) * 100


def _year_of_service(pack: Pack, indicator: Indicator, minutes: int, piece: int) -> tuple[int, int]:
    """Standing and points after so many minutes, served in pieces, a piece a day."""
    used: dict[tuple[str, str], int] = {}
    standing = points = 0
    day = date(2023, 1, 1).toordinal()
    while minutes:
        now = date.fromordinal(day)
        served = min(piece, minutes)
        outcome = evaluate(
            pack,
            indicator,
            facts={"minutes": served},
            evidence_level="E2",
            occurred_on=now,
            posted_on=now,
            used=used,
        )
        assert isinstance(outcome, Outcome)
        assert outcome.state == "posted"
        assert [use[:4] for use in outcome.caps] == [tuple(one) for one in counters(pack, indicator, now)][
            : len(outcome.caps)
        ]
        for use in outcome.caps:
            key = (use.id, use.start.isoformat())
            used[key] = used.get(key, 0) + use.let
        standing, points = standing + outcome.standing, points + outcome.points
        minutes, day = minutes - served, day + 1
    return standing, points
