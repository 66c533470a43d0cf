# SPDX-License-Identifier: Apache-2.0
"""What the desk answers with: awards, batches, approvals, reversals, findings."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field

from api.http.answers import TypedDict
from api.http.shapes import BothLanguages, Day, EntryRef, Instant, PlaceCode, Points, Receipt, Standing, Wrong

AwardState = Literal["posted", "awaiting_approval", "rejected", "refused", "reversed"]
RowState = Literal["posted", "reduced", "zero", "duplicate", "refused", "ignored"]
Level = Annotated[str, Field(pattern="^E[0-4]$", description="Level of the evidence.")]
Trace = Annotated[dict[str, Any], Field(description="How it was judged, step by step, as sealed with the award.")]


class ObjectionMark(TypedDict):
    """The last objection that was not withdrawn."""

    id: str
    state: Literal["open", "upheld", "partly", "rejected", "erased"]
    due: Day


class AwardHead(TypedDict):
    """One award. `outcome` says what the caps left of it; `receipt` is null until there is an entry."""

    id: str
    state: AwardState
    outcome: RowState | Literal["awaiting_approval", ""]
    standing: Standing
    points: Points
    receipt: Receipt | None
    subject: str
    indicator: str
    group: str
    place: PlaceCode
    occurred_on: Day
    evidence_level: Level
    proposer: str
    approver: str | None
    batch: str | None
    row: int | None
    created_at: Instant
    code: NotRequired[str]
    reversal: NotRequired[EntryRef]
    objection: NotRequired[ObjectionMark]


class AwardBody(AwardHead):
    """One award with its explanation, which is null once the subject's key is gone."""

    explanation: str | None


class Check(TypedDict):
    """One thing that the report was judged by. What it was measured against are further members."""

    __pydantic_config__ = {"extra": "allow"}  # type: ignore[misc]  # noqa: RUF012 (pydantic's, not a member)

    check: str
    holds: Literal["yes", "no"]
    says: BothLanguages


class Judged(TypedDict):
    """What a report would become. Refused: `code`, `fix`, `errors`, `why_not`; else the `trace`."""

    state: RowState | Literal["awaiting_approval"]
    standing: Standing
    points: Points
    explanation: str
    trace: NotRequired[Trace | None]
    code: NotRequired[str]
    fix: NotRequired[str | None]
    errors: NotRequired[list[Wrong]]
    why_not: NotRequired[list[Check]]


class ReversalBody(TypedDict):
    """`shortfall` is what had been spent meanwhile; it is owed."""

    row: NotRequired[int]
    award: str
    state: Literal["reversed", "already_reversed", "not_reversible"]
    standing: Standing
    points: Points
    shortfall: Points
    receipt: Receipt | None


class WhyAsked(TypedDict):
    """Why a second person is asked. The figures behind it are further members."""

    __pydantic_config__ = {"extra": "allow"}  # type: ignore[misc]  # noqa: RUF012

    code: str
    detail: str


class BatchRow(TypedDict):
    """`row` is the sheet's own number. Of a refused row: what is wrong where, and what to do."""

    row: int
    state: RowState | AwardState
    standing: Standing
    points: Points
    code: NotRequired[str]
    award: NotRequired[str]
    column: NotRequired[str | None]
    value: NotRequired[str | None]
    detail: NotRequired[str]
    fix: NotRequired[str | None]


class BatchHead(TypedDict):
    """A batch without its rows. `id` is null in a dry run. `counts`: all `rows`, then by state."""

    id: str | None
    state: Literal["posted", "awaiting_approval", "rejected", "reversed"]
    source: Literal["sheet", "api"]
    proposer: str
    approver: str | None
    place: PlaceCode
    counts: dict[str, int]
    standing: Standing
    points: Points
    why: list[WhyAsked]
    created_at: Instant


class BatchBody(BatchHead):
    rows: list[BatchRow]


class BatchReversal(TypedDict):
    """`reversed` counts the rows taken back just now; the sums are theirs."""

    id: str
    reversed: int
    standing: Standing
    points: Points
    shortfall: Points
    rows: list[ReversalBody]


class ApprovalHead(TypedDict):
    """What waits, or waited, for a second person. `etag` names what is seen here."""

    id: str
    kind: Literal["award", "batch", "pack"]
    target: str
    state: Literal["open", "approved", "rejected"]
    proposer: str
    place: PlaceCode
    why: list[WhyAsked]
    rows: int
    standing: Standing
    points: Points
    created_at: Instant
    etag: str
    decided_by: str | None
    decided_at: Instant | None
    reason: str | None


class PackProposal(TypedDict):
    """A pack that waits: what it changes, and what each stage of the gate found."""

    id: str
    approval: str
    pack: str
    version: str
    hash: str
    effective_from: Day
    proposer: str
    stages: Any
    changes: list[dict[str, Any]]


class ApprovalBody(ApprovalHead):
    proposal: NotRequired[PackProposal]


class Outcome(TypedDict):
    state: str
    standing: Standing
    points: Points


class Change(TypedDict):
    """An award that came out other than the approver saw it."""

    award: str
    before: Outcome
    now: Outcome
    row: NotRequired[int]
    code: NotRequired[str]


class DecidedBody(TypedDict):
    id: str
    kind: Literal["award", "batch", "pack"]
    target: str
    state: Literal["approved", "rejected"]
    standing: Standing
    points: Points
    counts: dict[str, int]
    changed: list[Change]


class FindingBody(TypedDict):
    """Something for a person to look at: among awards, or (`merchant`, `redemptions`) among orders."""

    kind: str
    day: Day
    subjects: list[str]
    facts: dict[str, int | str | list[str]]
    detail: str
    awards: NotRequired[list[str]]
    merchant: NotRequired[str]
    redemptions: NotRequired[list[str]]
