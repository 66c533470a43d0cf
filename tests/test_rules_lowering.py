# SPDX-License-Identifier: Apache-2.0
"""The structured value forms and the expressions they are lowered to come to the same amount."""

from __future__ import annotations

from random import Random

import polars as pl
import pytest

from rules.engine.language import Enum, Int, Type, check, compile_scalar, parse, source, to_polars
from rules.engine.lowering import ladder_level, lower
from rules.engine.values import Bracket, Brackets, Fixed, Formula, Ladder, PerUnit, Rounding, Rung, Tier, compile_value

QUANTITY_MAX = 10**6
WORDS = tuple(f"w{index}" for index in range(40))


def some_value(random: Random) -> Fixed | PerUnit | Tier | Brackets:
    def amount() -> int:
        return random.choice([0, 1, 50, 100, random.randint(0, 10_000)])

    def unit() -> int:
        return random.choice([1, 60, random.randint(1, 500)])

    rounding: Rounding = random.choice(("unit", "hundredth"))
    match random.randint(0, 3):
        case 0:
            return Fixed(kind="fixed", amount=amount())
        case 1:
            return PerUnit(kind="per_unit", field="n", unit=unit(), amount=amount(), rounding=rounding)
        case 2:
            return Tier(kind="tier", field="w", amounts={word: amount() for word in WORDS[: random.randint(1, 40)]})
        case _:
            ends = sorted(random.sample(range(1, QUANTITY_MAX), random.randint(0, 60)))
            ups = [*ends, random.choice([None, QUANTITY_MAX])]
            brackets = tuple(Bracket(up_to=up, unit=unit(), amount=amount()) for up in ups)
            return Brackets(kind="brackets", field="n", brackets=brackets, rounding=rounding)


@pytest.mark.parametrize("seed", range(10))
def test_a_lowered_value_is_the_value(seed: int) -> None:
    """Random forms on random facts, at their steps and beside them, alone and in columns."""
    random = Random(seed)
    for _ in range(30):
        value = some_value(random)
        words = tuple(value.amounts) if isinstance(value, Tier) else WORDS
        scope: dict[str, Type] = {"n": Int(0, QUANTITY_MAX), "w": Enum(words)}
        edges = [b.up_to for b in value.brackets if b.up_to] if isinstance(value, Brackets) else []
        numbers = [
            0,
            1,
            QUANTITY_MAX,
            *(edge + step for edge in edges[:4] for step in (-1, 0, 1)),
            random.randrange(10**6),
        ]
        rows = [{"n": min(n, QUANTITY_MAX), "w": random.choice(words)} for n in numbers]
        checked = check(lower(value), scope)
        rule, compute = compile_scalar(checked), compile_value(value)
        expected = [compute(row)[0] for row in rows]
        assert expected == [rule(row) for row in rows], source(checked.expr)
        assert expected == pl.DataFrame(rows).with_columns(found=to_polars(checked))["found"].to_list()


@pytest.mark.parametrize("seed", range(5))
def test_a_ladder_is_the_highest_rung_reached(seed: int) -> None:
    """At every rung, beside it, below the first and above the last."""
    random = Random(seed)
    ats = sorted(random.sample(range(1, 1000), random.randint(1, 50)))
    rungs = tuple(Rung(at=at, level=random.randint(0, 10_000)) for at in ats)
    ladder = Ladder(kind="ladder", field="minutes", cap="year", steps=rungs)
    rule = compile_scalar(check(ladder_level(ladder), {"total": Int(0, 2**53)}))
    for total in [0, 2**53, *(at + step for at in ats for step in (-1, 0, 1))]:
        reached = [rung.level for rung in rungs if rung.at <= total]
        assert (reached[-1] if reached else 0) == rule({"total": total})


def test_lowered_forms_read_like_written_ones() -> None:
    """A person would have written the same; a formula is its own text."""
    per_unit = PerUnit(kind="per_unit", field="minutes", unit=60, amount=100, rounding="unit")
    assert "div_floor(minutes, 60) * 100" == source(lower(per_unit))
    parts = per_unit.model_copy(update={"rounding": "hundredth"})
    assert "div_floor(minutes * 100, 60)" == source(lower(parts))
    tier = Tier(kind="tier", field="level", amounts={"city": 300, "district": 200, "community": 100})
    assert "level == 'city' ? 300 : level == 'district' ? 200 : 100" == source(lower(tier))
    text = "min(div_floor(minutes, 60), 8) * 100"
    assert parse(text) == lower(Formula(kind="formula", expr=text))
    brackets = Brackets(
        kind="brackets",
        field="yuan",
        rounding="unit",
        brackets=(Bracket(up_to=1000, unit=100, amount=50), Bracket(unit=100, amount=10)),
    )
    assert (
        "div_floor(max(min(yuan, 1000), 0), 100) * 50 + div_floor(max(yuan - 1000, 0), 100) * 10"
        == source(lower(brackets))
    )  # fmt: skip
