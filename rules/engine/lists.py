# SPDX-License-Identifier: Apache-2.0
"""The words of a list: who is on it or ranked in it, by what, in which period, and who has to agree.

A list is data of the pack like a rule. What kinds there are and what each may say is decided here, by type;
`list_guardrails.py` has what belongs together and what no list may do. How a list is computed is no matter of the
engine's: `docs/spec/edition.md` says it.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field as Constraint

from rules.engine.terms import Citation, Code, GroupCode, Integer, Level, Name, Text, Word
from rules.engine.values import Frozen

Kind: TypeAlias = Literal["ranking", "honour", "reminder", "notice"]
About: TypeAlias = Literal["grids", "bodies", "persons"]
Class: TypeAlias = Literal["minor", "ordinary"]
Period: TypeAlias = Literal["month", "quarter", "year"]

Hundredths = Annotated[int, Constraint(ge=0, le=1_000_000_000)]
"""Of standing: 105000 is 1,050 分."""
PeriodName = Annotated[str, Constraint(pattern=r"^[12][0-9]{3}(Q[1-4]|-(0[1-9]|1[0-2]))?$")]
"""A period by its name: 2022, 2022Q1, 2022-01."""


class Minimum(Frozen):
    """Below this a grid is shown and not ranked: residents who count, and those of them who did something."""

    people: Annotated[int, Constraint(ge=5, le=10_000)] = 50
    active: Annotated[int, Constraint(ge=0, le=10_000)] = 10


class Interval(Frozen):
    """How sure a rank is: so many repetitions, and the share of them, in percent, that the interval holds."""

    replicates: Annotated[int, Constraint(ge=100, le=1_000)] = 200
    percent: Annotated[int, Constraint(ge=50, le=98)] = 90


class Flag(Frozen):
    """What a ranked grid earns that reaches every threshold named: total per head in hundredths, active people in
    percent of all. `fund_fen` is what it gets, in fen, and `budget` the line of the budget that pays."""

    code: Word
    name: Name
    min_per_head: Hundredths | None = None
    min_participation: Annotated[int, Constraint(ge=1, le=100)] | None = None
    fund_fen: Annotated[int, Constraint(ge=1, le=1_000_000_000)] | None = None
    budget: Text | None = None


class Item(Frozen):
    """Deductions under one indicator on a reminder list: `minor` ones are counted and never posted, an `ordinary` one
    is posted for so many months at most. Under an ordinary indicator, too, what takes less than `least` is minor."""

    indicator: Code
    class_: Class = Constraint(alias="class")
    months: Annotated[int, Constraint(ge=1, le=12)] | None = None
    least: Annotated[int, Constraint(ge=1, le=1_000_000_000)] | None = None

    def class_of(self, standing: int) -> Class:
        """The class of one deduction by what it took, in hundredths (its sign does not matter)."""
        return "minor" if abs(standing) < (self.least or 0) else self.class_


class Deed(Frozen):
    """One award (or deduction, `standing` below zero) of an example; `state` where it does not simply count."""

    indicator: Code
    occurred_on: date = Constraint(alias="on")
    standing: Integer = 0
    points: Integer = 0
    lot: date | None = None
    state: Literal["counted", "reversed", "objected"] = "counted"


class Member(Frozen):
    """`times` people (or bodies) alike: where they live, what they had at the start, what they did.

    `base` is their standing before these deeds, by default the pack's. Who agreed to be named is `listed`.
    """

    name: Word
    grid: Word
    groups: tuple[GroupCode, ...] = ()
    times: Annotated[int, Constraint(ge=1, le=1_000)] = 1
    base: Hundredths | None = None
    listed: Literal["yes", "no"] = "yes"
    deeds: tuple[Deed, ...] = ()


class Row(Frozen):
    """One row that comes out: a grid by its code, a member by its name. Only what is stated is compared."""

    unit: Word
    state: Literal["ranked", "too_few", "empty"] | None = None
    rank: Integer | None = None
    people: Integer | None = None
    active: Integer | None = None
    total: Integer | None = None
    per_head: Integer | None = None
    flags: tuple[Word, ...] | None = None
    standing: Integer | None = None
    gained: Integer | None = None
    lost: Integer | None = None
    indicator: Code | None = None
    months: Integer | None = None


class ListExample(Frozen):
    """One worked case: who there is in which period, and every row that comes out, in any order. `minor` (reminders):
    how many deductions are counted and not posted."""

    says: Text
    period: PeriodName
    members: Annotated[tuple[Member, ...], Constraint(min_length=1)]
    rows: tuple[Row, ...] = ()
    minor: Integer | None = None


class ListRule(Frozen):
    """One list of a pack.

    `groups`: whose members count, all of that kind where none is named. `metric` (rankings): the level of standing on
    the period's last day, or what was gained for deeds of the period. `min_standing`, `min_gained`: hundredths on that
    day, and in that period. `indicators`: a counted award under one of them in the period. `level`: only rules that ask
    at least this evidence for standing count towards `min_gained`, `indicators` and `items`. `clean_months`: no counted
    deduction of a grey rule in so many months up to the period's last day. `decision`: whoever reaches the thresholds
    is on it, or a person decides of each with a reason. `notice_workdays`: time to answer before it is published.
    `suppress_below`: smaller numbers of people are not told.
    """

    code: Word
    kind: Kind
    name: Name
    about: About
    period: Period
    groups: tuple[GroupCode, ...] = ()
    metric: Literal["standing", "gained"] = "standing"
    min_standing: Hundredths | None = None
    min_gained: Annotated[int, Constraint(ge=1, le=1_000_000_000)] | None = None
    indicators: tuple[Code, ...] = ()
    level: Level = "E1"
    clean_months: Annotated[int, Constraint(ge=1, le=12)] | None = None
    decision: Literal["threshold", "person"] = "threshold"
    approvers: Literal[1, 2] = 1
    notice_workdays: Annotated[int, Constraint(ge=0, le=30)] = 0
    minimum: Minimum = Minimum()
    suppress_below: Annotated[int, Constraint(ge=5, le=100)] = 5
    interval: Interval | None = None
    shrink: Literal["yes"] | None = None
    flags: tuple[Flag, ...] = ()
    items: tuple[Item, ...] = ()
    citation: Citation
    note: Text | None = None
    examples: tuple[ListExample, ...] = ()

    def definition(self) -> dict[str, Any]:
        """What an edition keeps of it, in plain JSON values, defaults written out. Its examples are tests of it."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"examples"})

    def item(self, indicator: str) -> Item | None:
        """What the list does with deductions under that indicator."""
        return next((item for item in self.items if item.indicator == indicator), None)

    if TYPE_CHECKING:

        def __hash__(self) -> int: ...
        def __eq__(self, other: object) -> bool: ...
    else:  # a place in one loaded pack, as an indicator is
        __hash__ = object.__hash__
        __eq__ = object.__eq__
