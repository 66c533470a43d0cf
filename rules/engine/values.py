# SPDX-License-Identifier: Apache-2.0
"""How much a deed is worth: the six value forms a pack may use, and their arithmetic.

Whole numbers only, always rounded down, and every value reports the step it took so that the trace can be
read without the pack. A value knows facts; it knows no caps, books, evidence or history (a ladder is given
its totals).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Constraint

AMOUNT_MAX = 10_000_000
"""No single award may be worth more than 100,000 分; a pack that could do so has a typing error."""

Step: TypeAlias = dict[str, Any]
Compute: TypeAlias = Callable[[Mapping[str, int | str]], tuple[int, Step]]

Amount = Annotated[int, Constraint(ge=0, le=AMOUNT_MAX)]
Quantity = Annotated[int, Constraint(ge=1, le=2**53 - 1)]
Expression = Annotated[str, Constraint(min_length=1, max_length=2000)]
"""Text in the rule language (docs/spec/rules.md)."""
Rounding = Literal["unit", "hundredth"]
"""`unit`: only whole units count; `hundredth`: parts of a unit count, down to the hundredth of a 分 below."""


class Frozen(BaseModel):
    """A piece of a pack as it was read: nothing coerced, nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Fixed(Frozen):
    """The same amount every time."""

    kind: Literal["fixed"]
    amount: Amount


class PerUnit(Frozen):
    """So much for every `unit` of a counted field."""

    kind: Literal["per_unit"]
    field: str
    unit: Quantity
    amount: Amount
    rounding: Rounding


class Tier(Frozen):
    """An amount for each value of a list field."""

    kind: Literal["tier"]
    field: str
    amounts: Mapping[str, Amount]


class Bracket(Frozen):
    """One stretch of a bracket table: `amount` per `unit` for what lies above the stretch before it."""

    up_to: Quantity | None = None
    unit: Quantity
    amount: Amount


class Brackets(Frozen):
    """Marginal brackets, as in a donation table: each part of the quantity counts at its own rate."""

    kind: Literal["brackets"]
    field: str
    brackets: Annotated[tuple[Bracket, ...], Constraint(min_length=1)]
    rounding: Rounding


class Rung(Frozen):
    """One step of a ladder: from `at` on, the level is `level`."""

    at: Quantity
    level: Amount


class Ladder(Frozen):
    """A level reached by a running total, not a sum: an award posts what the new level adds.

    The total is the tally of the cap named by `cap` (on the same field), so it starts anew with that window.
    """

    kind: Literal["ladder"]
    field: str
    cap: str
    steps: Annotated[tuple[Rung, ...], Constraint(min_length=1)]

    @property
    def top(self) -> int:
        """The highest level there is."""
        return self.steps[-1].level


class Formula(Frozen):
    """An amount in the rule language, over the facts and the day of the deed."""

    kind: Literal["formula"]
    expr: Expression


Value: TypeAlias = Annotated[Fixed | PerUnit | Tier | Brackets | Ladder | Formula, Constraint(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Climb:
    """A ladder ready to be climbed: a total that has passed `i` of the steps in `ats` is on `levels[i]`."""

    field: str
    cap: str
    ats: tuple[int, ...]
    levels: tuple[int, ...]

    @classmethod
    def of(cls, ladder: Ladder) -> Climb:
        """The same ladder as two rows of numbers, the ground included."""
        return cls(
            ladder.field,
            ladder.cap,
            tuple(rung.at for rung in ladder.steps),
            (0, *(rung.level for rung in ladder.steps)),
        )


def compile_value(value: Fixed | PerUnit | Tier | Brackets) -> Compute:
    """A function from facts to (amount, step), made once per indicator."""
    if isinstance(value, Fixed):
        return _compile_fixed(value)
    if isinstance(value, PerUnit):
        return _compile_per_unit(value)
    if isinstance(value, Tier):
        return _compile_tier(value)
    return _compile_brackets(value)


def largest(value: Fixed | PerUnit | Tier | Brackets | Ladder, quantity_max: int) -> int:
    """The most that one award can be worth when its counted field is at most `quantity_max`."""
    if isinstance(value, Fixed):
        return value.amount
    if isinstance(value, Tier):
        return max(value.amounts.values(), default=0)
    if isinstance(value, Ladder):
        return value.top
    return compile_value(value)({value.field: quantity_max})[0]


def _compile_fixed(value: Fixed) -> Compute:
    amount, step = value.amount, {"kind": "fixed", "amount": value.amount}

    def fixed(facts: Mapping[str, int | str]) -> tuple[int, Step]:
        return amount, step

    return fixed


def _compile_per_unit(value: PerUnit) -> Compute:
    name, unit, amount, rounding = value.field, value.unit, value.amount, value.rounding
    whole = rounding == "unit"
    stated: Step = {"kind": "per_unit", "field": name, "unit": unit, "amount": amount, "rounding": rounding}

    def per_unit(facts: Mapping[str, int | str]) -> tuple[int, Step]:
        quantity = _quantity(facts, name)
        result = quantity // unit * amount if whole else quantity * amount // unit
        return result, {**stated, "quantity": quantity}

    return per_unit


def _compile_tier(value: Tier) -> Compute:
    name = value.field
    table: dict[int | str, tuple[int, Step]] = {
        choice: (amount, {"kind": "tier", "field": name, "choice": choice, "amount": amount})
        for choice, amount in value.amounts.items()
    }

    def tier(facts: Mapping[str, int | str]) -> tuple[int, Step]:
        return table[facts[name]]

    return tier


def _compile_brackets(value: Brackets) -> Compute:
    name, whole = value.field, value.rounding == "unit"
    table: list[tuple[int, int | None, int, int]] = []
    low = 0
    for bracket in value.brackets:
        table.append((low, bracket.up_to, bracket.unit, bracket.amount))
        low = bracket.up_to or low

    def brackets(facts: Mapping[str, int | str]) -> tuple[int, Step]:
        quantity = _quantity(facts, name)
        total = 0
        parts: list[Step] = []
        for above, up_to, unit, amount in table:
            if quantity <= above:
                break
            part = (quantity if up_to is None else min(quantity, up_to)) - above
            worth = part // unit * amount if whole else part * amount // unit
            total += worth
            parts.append({"above": above, "part": part, "unit": unit, "amount": amount, "worth": worth})
        return total, {
            "kind": "brackets",
            "field": name,
            "quantity": quantity,
            "rounding": value.rounding,
            "parts": parts,
        }

    return brackets


def _quantity(facts: Mapping[str, int | str], name: str) -> int:
    value = facts[name]
    assert isinstance(value, int), f"{name} was checked to be a number"
    return value
