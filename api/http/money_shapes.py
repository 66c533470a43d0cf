# SPDX-License-Identifier: Apache-2.0
"""Answers about money: scenarios and budgets, what the points would cost, what shops are owed."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field

from api.http.answers import TypedDict
from api.http.shapes import BothLanguages, Day, Digest, Fen, Instant, Journal, Period, PlaceCode, Points, Seq, one_of
from api.http.shop_shapes import ETag
from merchants import catalogue

ScenarioCode = Annotated[str, Field(pattern="^S[0-9]{2}$")]
Exact = Annotated[int, Field(description="Hundredths of a fen.")]

# scenarios -------------------------------------------------------------------------------------------------------


class WhoMay(TypedDict):
    """`groups` narrows bodies, `age_min` persons."""

    kinds: list[Literal["person", "body"]]
    groups: list[str]
    age_min: int | None


class PointsAsked(TypedDict):
    """The least and the most that an offer may ask for one unit."""

    least: Points
    most: Points


class WhatItAsks(TypedDict):
    """A grade, of which nothing is spent; points, which are; or what a member of staff has looked up. Any one of them
    will do, unless `needs` is `all`."""

    grade: catalogue.Grade | None
    points: PointsAsked | None
    attested: BothLanguages | None
    needs: Literal["any", "all"]


class HowOften(TypedDict):
    """So many units, or points, in a period; for ever without one."""

    count: int | None
    points: Points | None
    per: catalogue.Period | None
    by: Literal["person", "site", "reference"]
    reference: BothLanguages | None
    note: BothLanguages | None


ValidDays = TypedDict("ValidDays", {"from": Day, "to": Day | None})


class ScenarioBody(TypedDict):
    """One of the 36. `value_fen`: what the payer owes the shop for a point."""

    code: ScenarioCode
    title: BothLanguages
    category: catalogue.Category
    benefit: catalogue.Benefit
    eligible: WhoMay
    gate: WhatItAsks
    limits: list[HowOften]
    terms: BothLanguages | None
    own_consent: bool
    gift: bool
    valid: ValidDays
    provider: BothLanguages
    agreement: Literal["required", "optional"]
    settlement: catalogue.Settlement
    value_fen: Fen
    public_service: bool
    ordinary_route: BothLanguages | None
    waits_for: BothLanguages | None
    origin: catalogue.Origin
    note: BothLanguages | None


# budgets and liability -------------------------------------------------------------------------------------------


class BudgetBody(TypedDict):
    """A year's money for a scenario at a place. `issue_limit`: points that the place may give out in a month."""

    id: str
    scenario: ScenarioCode
    place: PlaceCode
    year: str
    name: str
    limit_fen: Fen
    spent_fen: Fen
    issue_limit: Points | None
    state: Annotated[str, one_of("open", "closed")]
    created_at: Instant
    etag: ETag


class BudgetLeft(BudgetBody):
    """`months_left`: if they go on like the days of the year so far; null where nothing says how."""

    left_fen: Fen
    months_left: int | None


class LapsingPoints(TypedDict):
    """`month` null: they never lapse."""

    month: str | None
    points: Points
    value_fen: Fen


class JournalLiability(TypedDict):
    journal: Journal
    name: str
    points: Points
    held: Points
    with_shops: Points
    value_fen: Fen
    months: list[LapsingPoints]


class Liability(TypedDict):
    """Points that are out at a place and below it, what they would cost at most, and the money there is for them."""

    place: PlaceCode
    name: str
    as_of: Instant
    day: Day
    fen_per_point: Fen
    points: Points
    held: Points
    with_shops: Points
    value_fen: Fen
    budget_left_fen: Fen
    journals: list[JournalLiability]
    budgets: list[BudgetLeft]


# settlement ------------------------------------------------------------------------------------------------------


class Sum(TypedDict):
    points: Points
    fen: Fen


class JournalSum(Sum):
    journal: Journal


class StatementTotals(TypedDict):
    received: Points
    returned: Points
    settled: Points
    owed_fen: Fen
    paid_fen: Fen
    lines: int


class StatementJournal(TypedDict):
    journal: Journal
    opening: Sum
    received: Points
    returned: Points
    settled: Points
    owed_fen: Fen
    paid_fen: Fen
    closing: Sum


class StatementBudget(TypedDict):
    """What one line of the budget owes. `before` and `after` are exact and whole fen are cut from them alone."""

    journal: Journal
    scenario: str
    fen_per_point: int
    lines: int
    received: Points
    returned: Points
    benefits: int
    before: Exact
    after: Exact
    fen: Fen
    budget: NotRequired[str]


class StatementLine(TypedDict):
    """One entry. A settlement has `fen` and `period`; all others the order and what is owed for it."""

    no: int
    journal: Journal
    seq: Seq
    leaf: Digest
    day: Day
    at: Instant
    kind: Literal["capture", "refund", "void", "benefit", "settle"]
    points: Points
    fen: NotRequired[Fen]
    period: NotRequired[Period]
    redemption: NotRequired[str]
    scenario: NotRequired[str]
    owed: NotRequired[Exact]
    quantity: NotRequired[int]
    fen_per_point: NotRequired[int]
    budget: NotRequired[str]


StatementFields = TypedDict(
    "StatementFields",
    {
        "v": Literal[1],
        "origin": str,
        "merchant": str,
        "period": Period,
        "from": Day,
        "to": Day,
        "opening": Sum,
        "closing": Sum,
        "totals": StatementTotals,
        "journals": list[StatementJournal],
        "budgets": list[StatementBudget],
        "lines": list[StatementLine],
    },
)


class StatementDispute(TypedDict):
    """`line` 0: the statement as a whole."""

    line: int
    reason: str
    at: Instant
    outcome: NotRequired[Literal["upheld", "rejected"]]
    answer: NotRequired[str]


class VoucherDispute(TypedDict):
    """An uploaded voucher that was not captured, and so is in nobody's account."""

    day: Day
    terminal: str
    counter: int
    redemption: str
    points: Points
    reason: str


class StatementRow(TypedDict):
    """A month's statement and where it stands."""

    period: Period
    state: Annotated[str, one_of("open", "disputed", "agreed", "settled")]
    points: Points
    fen: Fen
    lines: int
    sha256: Digest
    issued_at: Instant
    disputes_until: Day
    agreed_at: NotRequired[Instant]
    settled_at: NotRequired[Instant]
    settled_with: NotRequired[Period]
    paid: NotRequired[list[JournalSum]]
    paid_reference: NotRequired[str]


class MonthStatement(TypedDict):
    """A month's statement in full; `preview` is of a month that is not over, and has no digest yet. `due`: what is to
    be paid now."""

    period: Period
    state: Annotated[str, one_of("preview", "open", "disputed", "agreed", "settled")]
    points: NotRequired[Points]
    fen: NotRequired[Fen]
    lines: NotRequired[int]
    sha256: NotRequired[Digest]
    issued_at: NotRequired[Instant]
    disputes_until: NotRequired[Day]
    agreed_at: NotRequired[Instant]
    settled_at: NotRequired[Instant]
    settled_with: NotRequired[Period]
    paid: NotRequired[list[JournalSum]]
    paid_reference: NotRequired[str]
    due: list[JournalSum]
    note: str
    disputes: list[StatementDispute]
    voucher_disputes: list[VoucherDispute]
    statement: StatementFields
