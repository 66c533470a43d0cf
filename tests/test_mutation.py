# SPDX-License-Identifier: Apache-2.0
"""The mutation check: what it changes in a rule, and that only the example that holds a thing fast can hide it."""

from __future__ import annotations

from datetime import date

import pytest

from rules.engine.language.errors import LanguageError
from rules.engine.model import Effective, Pack, Validity
from rules.engine.mutation import Survivor, survivors
from rules.engine.pack import builtin_pack, load_pack
from rules.engine.values import Formula
from rules.engine.variants import variants
from tests.tree import ROOT

EXAMPLES = ROOT / "examples" / "packs" / "volunteer-hours"


def changed(pack: Pack, code: str, **update: object) -> Pack:
    """The same pack with one indicator changed."""
    indicators = {**pack.indicators, code: pack.indicators[code].model_copy(update=update)}
    return pack.model_copy(update={"indicators": indicators})


def without(pack: Pack, code: str, *says: str) -> Pack:
    """The same pack without those examples of an indicator; without any when none is named."""
    kept = tuple(one for one in pack.indicators[code].examples if says and one.says not in says)
    assert len(kept) == len(pack.indicators[code].examples) - len(says) or not says
    return changed(pack, code, examples=kept)


def left(pack: Pack, code: str) -> set[tuple[str, str]]:
    found = survivors(pack, [code])
    assert {one.indicator for one in found} <= {code}
    return {(one.path, one.change) for one in found}


@pytest.fixture(scope="module")
def pack() -> Pack:
    return builtin_pack("huantai")


@pytest.mark.parametrize(
    ("code", "paths"),
    [
        ("CW-01", {"standing.amount", "caps.quarter", "caps.quarter.max", "caps.quarter.window", "evidence.standing"}),
        ("PR-01", {"when", "standing.amounts.from_90", "standing.amounts.from_80"}),
        ("RE-01", {"standing.steps[0].at", "standing.steps[8].level", "points.unit", "points.rounding", "exclusion"}),
        ("RE-11", {"standing.brackets[3].unit", "standing.brackets[2].up_to", "standing.rounding"}),
        ("RE-13", {"validity.standing.years.nation", "validity.standing.end", "highest_only"}),
    ],
)
def test_without_examples_everything_goes_unnoticed(pack: Pack, code: str, paths: set[str]) -> None:
    """Each number, window, level, rounding, term and membership of a rule is changed."""
    assert paths <= {path for path, _ in left(without(pack, code), code)}


@pytest.mark.parametrize(
    ("code", "example", "loose"),
    [
        ("CW-01", "自己报的签到表不够", {("evidence.standing", "E2 → E1")}),
        (
            "CW-01",
            "上季已满，新季度从头计",
            {("caps.quarter.window", "quarter → year"), ("caps.quarter.window", "quarter → ever")},
        ),
        ("CW-02", "评3分不计", {("when", "rating >= 4 → –"), ("when", "4 → 3 at 1:11")}),
        ("CW-08", "省级60分，三年", {
            ("standing.amounts.province", "6000 → 5999"), ("standing.amounts.province", "6000 → 6001"),
            ("validity.standing.years.province", "3 → 2"), ("validity.standing.years.province", "3 → 4"),
        }),
        ("RE-01", "差1分钟到50小时", {("standing.steps[2].at", "3000 → 2999")}),
        ("RE-07", "当天已按时长计过（RE-01），不再按件计", {("exclusion", "hours_or_piece → –")}),
        ("SO-01", "登记20分，长期有效", {
            ("standing.amounts.registered", "2000 → 1999"), ("standing.amounts.registered", "2000 → 2001"),
            ("evidence.standing", "E3 → E4"),
        }),
    ],
)  # fmt: skip
def test_an_example_that_is_missing_is_missed(pack: Pack, code: str, example: str, loose: set[tuple[str, str]]) -> None:
    """Without the one example that holds it, exactly that number, word or window is no longer held."""
    assert left(without(pack, code, example), code) == loose


def test_what_a_rule_leaves_at_the_default_is_not_asked_for(pack: Pack) -> None:
    """A deadline, a term or a first day that the indicator states must be held; the format's own need not be."""
    stated = changed(
        pack,
        "CW-01",
        deadline=2,
        effective=Effective.model_validate({"from": date(2022, 2, 1), "to": date(2023, 12, 31)}),
        validity=Validity(),
    )
    assert {path for path, _ in left(stated, "CW-01")} == {"deadline", "effective.from", "effective.to"}


def test_a_change_that_the_loader_refuses_is_no_change(pack: Pack) -> None:
    """A weaker document under a deduction cannot be published, so no example has to object to it."""
    told = {change for path, change in left(without(pack, "MK-08"), "MK-08") if path == "evidence.standing"}
    assert told == {"E3 → E4"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a >= 4", {"a > 4", "a < 4", "a >= 3", "a >= 5"}),
        ("w == 'x'", {"w != 'x'", "w == 'y'"}),
        ("w in ['x', 'y']", {"w in ['y']", "w in ['x']", "w in ['x', 'z']"}),
        ("!(a == 1) && true", {
            "!(a == 1) || true", "a == 1 && true", "!(a != 1) && true", "!(a == 0) && true", "!(a == 2) && true",
            "!(a == 1) && false",
        }),
        ("min(a, 2) * 3", {"max(a, 2) * 3", "min(a, 1) * 3", "min(a, 3) * 3", "min(a, 2) + 3", "min(a, 2) * 2",
                           "min(a, 2) * 4"}),
        ("div_floor(a, 1)", {"div_floor(a, 0)", "div_floor(a, 2)"}),
        ("round_half_up(a, 2)", {"div_floor(a, 2)", "round_half_up(a, 1)", "round_half_up(a, 3)"}),
        ("a > 0 ? a : -a", {
            "a > 0 ? -a : a", "a >= 0 ? a : -a", "a <= 0 ? a : -a", "a > 1 ? a : -a", "a > 0 ? a : a",
        }),
    ],
)  # fmt: skip
def test_every_slip_in_an_expression(text: str, expected: set[str]) -> None:
    """Operators, numbers and words are each changed once, and the rest of the text stays."""
    assert {changed for changed, _ in variants(text, {"w": ("x", "y", "z"), "a": ()})} == expected


def test_a_divisor_of_nothing_is_refused_and_not_missed() -> None:
    """An expression that the loader would refuse is passed over, whatever the examples say."""
    pack = load_pack(EXAMPLES)
    bare = changed(pack, "VH-05", examples=(), points=Formula(kind="formula", expr="div_floor(minutes * 200, 1)"))
    assert not any("1 → 0" in one.change for one in survivors(bare, ["VH-05"]))
    with pytest.raises(LanguageError):
        list(variants("1 +", {}))


def test_survivors_name_indicator_place_and_change() -> None:
    """What is reported is enough to write the missing example."""
    assert survivors(without(load_pack(EXAMPLES), "VH-04", "59分钟按比例计")) == [
        Survivor("VH-04", "points.rounding", "hundredth → unit")
    ]
