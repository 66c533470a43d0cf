# SPDX-License-Identifier: Apache-2.0
"""Answers about lists: editions and their lines, rankings, honours, reminders, monthly notices.

Names are there as far as they are allowed on the day of asking, and ids of subjects for staff only. A figure that would
tell of too few people is left out.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field

from api.http.answers import TypedDict
from api.http.shapes import (
    BothLanguages,
    Day,
    Digest,
    EntryRef,
    Fen,
    Instant,
    Period,
    PlaceCode,
    Points,
    Seq,
    Standing,
    one_of,
)

Kind = Literal["ranking", "honour", "reminder", "notice"]
About = Literal["grids", "bodies", "persons"]
Class = Literal["minor", "ordinary"]
State = Annotated[str, one_of("draft", "frozen", "notified", "decided", "published", "corrected", "discarded")]
LineState = Annotated[
    str, one_of("proposed", "notified", "confirmed", "dropped", "chosen", "passed", "posted", "ended")
]
Channel = Annotated[str | None, one_of("read", "sms", "print", "hand", None)]
NotYet = Annotated[str, Field(description='A day, or "" where there is none yet.')]
Mean = Annotated[int, Field(description="Hundredths a head.")]

# where an edition and its lines stand ----------------------------------------------------------------------------


class EditionApproval(TypedDict):
    by: str
    at: Instant


class EditionHead(TypedDict):
    """One version of a list for a period and a place. What stands from `drafted_by` on is for staff of the place."""

    id: str
    list: str
    kind: Kind
    about: About
    period: Period
    place: PlaceCode
    version: int
    corrects: str | None
    state: State
    reason: str | None
    published_on: Day | None
    digest: Digest | None
    drafted_by: NotRequired[str]
    drafted_at: NotRequired[Instant]
    frozen_by: NotRequired[str | None]
    frozen_at: NotRequired[Instant | None]
    notified_on: NotRequired[Day | None]
    due: NotRequired[Day | None]
    due_sure: NotRequired[bool]
    approvers: NotRequired[int]
    approvals: NotRequired[list[EditionApproval]]
    etag: NotRequired[int]


EditionLine = TypedDict(
    "EditionLine",
    {
        "edition": str,
        "line": str,
        "subject": str,
        "entry": EntryRef | None,
        "indicator": str | None,
        "class": Class | None,
        "months": int | None,
        "state": LineState,
        "delivered_on": Day | None,
        "channel": Channel,
        "due": Day | None,
        "due_sure": bool,
        "reply": str | None,
        "replied_on": Day | None,
        "repaired_on": Day | None,
        "decided_on": Day | None,
        "reason": str | None,
        "until": Day | None,
        "ended_on": Day | None,
        "ended_why": str | None,
    },
)
EditionLine.__doc__ = """How far a line has got, what its subject says to it, and why it was decided so."""


class LineObjection(TypedDict):
    id: str
    state: str
    due: Day


class MyLine(EditionLine):
    """A line about me, with where it comes from. `objection`: the one that is open against it, if any."""

    list: str
    name: BothLanguages
    kind: Kind
    period: Period
    place: PlaceCode
    place_name: str
    edition_state: State
    published_on: Day | None
    occurred_on: Day | None
    standing: Standing | None
    objection: LineObjection | None


class CommentBody(TypedDict):
    """`state` is for staff, and for whoever said it."""

    id: str
    text: str
    at: Instant
    state: NotRequired[Annotated[str, one_of("waiting", "shown", "hidden")]]


# what is on it ---------------------------------------------------------------------------------------------------


class Sentences(TypedDict):
    zh: list[str]
    en: list[str]


class PackRef(TypedDict):
    id: str
    version: str
    hash: Digest


class Closing(TypedDict):
    """The newest signed checkpoint that covers what the edition was made from."""

    log: str
    origin: str
    size: int
    root: Digest
    note: str


class JournalReach(TypedDict):
    """How far a journal had come when the edition was frozen."""

    leaf: Digest
    size: int


class LeastNumbers(TypedDict):
    """Below this a grid is shown and not ranked."""

    people: int
    active: int


class FlagRule(TypedDict):
    """What a grid earns that reaches every threshold that is stated."""

    code: str
    name: BothLanguages
    min_per_head: NotRequired[Mean]
    min_participation: NotRequired[int]
    fund_fen: NotRequired[Fen]
    budget: NotRequired[str]


class FlagEarned(TypedDict):
    grid: PlaceCode
    name: str
    flag: str
    flag_name: BothLanguages
    fund_fen: NotRequired[Fen]
    budget: NotRequired[str]


class FlagHeld(FlagEarned):
    edition: str
    period: Period
    version: int
    per_head: Mean


class Totals(TypedDict):
    """Over all rows. Grids that are `ranked`, `too_few` and `empty` are counted in rankings, bodies or persons that
    were `considered` in honours, `minor` deductions in reminders."""

    people: NotRequired[int]
    active: NotRequired[int]
    awards: NotRequired[int]
    total: NotRequired[int]
    gained: NotRequired[Standing]
    points: NotRequired[Points]
    late: NotRequired[Standing]
    taken_back: NotRequired[Standing]
    ranked: NotRequired[int]
    too_few: NotRequired[int]
    empty: NotRequired[int]
    considered: NotRequired[int]
    minor: NotRequired[int]


class GridFigures(TypedDict):
    """A grid in a monthly notice."""

    grid: PlaceCode
    name: str
    people: NotRequired[int]
    active: NotRequired[int]
    awards: NotRequired[int]
    gained: NotRequired[Standing]
    points: NotRequired[Points]
    late: NotRequired[Standing]
    taken_back: NotRequired[Standing]


_RowOfClass = TypedDict("_RowOfClass", {"class": NotRequired[Class]})


class ListRow(_RowOfClass):
    """A grid of a ranking; or a body or person of a list of honour or reminder, `removed` once it is off that list.
    `line`, `subject` and how far it has got are for staff. `low` to `high` is where the rank nearly surely lies."""

    # a ranking's
    grid: NotRequired[PlaceCode]
    name: NotRequired[str]
    state: NotRequired[str]
    people: NotRequired[int]
    active: NotRequired[int]
    total: NotRequired[int]
    per_head: NotRequired[Mean]
    gained: NotRequired[Standing]
    gained_per_head: NotRequired[Mean]
    late: NotRequired[int]
    taken_back: NotRequired[Standing]
    rank: NotRequired[int]
    ties: NotRequired[int]
    low: NotRequired[int]
    high: NotRequired[int]
    per_head_low: NotRequired[Mean]
    per_head_high: NotRequired[Mean]
    shrunken: NotRequired[Mean]
    flags: NotRequired[list[str]]
    # a list's
    no: NotRequired[int]
    grid_name: NotRequired[str]
    place_name: NotRequired[str]
    standing: NotRequired[Standing]
    awards: NotRequired[int]
    indicator: NotRequired[str]
    indicator_name: NotRequired[BothLanguages]
    months: NotRequired[int]
    occurred_on: NotRequired[Day]
    until: NotRequired[NotYet]
    reply: NotRequired[str]
    reason: NotRequired[str]
    line: NotRequired[str]
    subject: NotRequired[str]
    delivered_on: NotRequired[NotYet]
    due: NotRequired[NotYet]
    channel: NotRequired[str]
    removed: NotRequired[Literal[True]]
    on: NotRequired[NotYet]


class Thanked(TypedDict):
    """A body, or a person who agreed to be named, with what they did well."""

    name: str
    grid_name: str
    place_name: str
    gained: Standing
    points: Points
    awards: int
    line: NotRequired[str]
    subject: NotRequired[str]


class Figures(TypedDict):
    rank: NotRequired[int]
    people: NotRequired[int]
    active: NotRequired[int]
    total: NotRequired[int]
    per_head: NotRequired[Mean]
    standing: NotRequired[Standing]
    gained: NotRequired[Standing]
    awards: NotRequired[int]
    points: NotRequired[Points]


ChangedRow = TypedDict(
    "ChangedRow",
    {
        "part": str,
        "name": NotRequired[str],
        "was": NotRequired[Figures],
        "is": NotRequired[Figures],
        "added": NotRequired[int],
        "removed": NotRequired[int],
        "changed": NotRequired[int],
    },
)
ChangedRow.__doc__ = """What a correction changed: a grid's or body's figures; of other rows, how many."""


class PublicComment(TypedDict):
    text: str
    day: Day


class Shrinking(TypedDict):
    """How figures were drawn towards the mean, as far as they were."""

    mean: NotRequired[int]
    between: NotRequired[int]
    within: NotRequired[int]


_Days = TypedDict("_Days", {"from": NotRequired[Day], "to": NotRequired[Day]})


class _Rows(_Days):
    minimum: NotRequired[LeastNumbers]
    notice_workdays: NotRequired[int]
    comments: NotRequired[list[PublicComment]]
    rows: NotRequired[list[ListRow]]
    flags: NotRequired[list[FlagRule]]
    percent: NotRequired[int | None]
    history: NotRequired[list[FlagHeld]]
    computed: NotRequired[Shrinking]
    conditions: NotRequired[Sentences]
    minor: NotRequired[int]
    grids: NotRequired[list[GridFigures]]
    bodies: NotRequired[list[Thanked]]
    persons: NotRequired[list[Thanked]]
    corrects_version: NotRequired[int]
    corrected_by: NotRequired[str | None]
    changes: NotRequired[list[ChangedRow]]


class ListData(_Rows):
    """A published edition with its rows. A ranking has `rows`, with `low` and `high`; a notice `grids`, `bodies` and
    `persons`. `withheld`: rows that are not shown."""

    id: str
    kind: Kind
    about: About
    state: State
    period: Period
    place: PlaceCode
    place_name: str
    version: int
    list: str
    frozen_at: Instant
    as_of: dict[str, JournalReach]
    seed: str
    method: str
    zone: str
    name: BothLanguages
    metric: Literal["standing", "gained"]
    suppress_below: int
    decision: Literal["threshold", "person"]
    pack: PackRef
    totals: Totals
    digest: Digest
    published_on: Day
    closing: Closing | None
    withheld: int
    corrects: NotRequired[str]
    reason: NotRequired[str]


class EditionBody(EditionHead, _Rows):
    """Where an edition stands and, once it is frozen, its rows."""

    place_name: NotRequired[str]
    as_of: NotRequired[dict[str, JournalReach]]
    seed: NotRequired[str]
    method: NotRequired[str]
    zone: NotRequired[str]
    name: NotRequired[BothLanguages]
    metric: NotRequired[Literal["standing", "gained"]]
    suppress_below: NotRequired[int]
    decision: NotRequired[Literal["threshold", "person"]]
    pack: NotRequired[PackRef]
    totals: NotRequired[Totals]
    closing: NotRequired[Closing | None]
    withheld: NotRequired[int]


# rankings beside each other --------------------------------------------------------------------------------------


class CommunityRanking(TypedDict):
    """What a community has published."""

    place: PlaceCode
    name: str
    edition: str
    version: int
    published_on: Day
    totals: Totals
    per_head: NotRequired[Mean]
    flags: list[FlagEarned]
    fund_fen: Fen


class PlaceName(TypedDict):
    place: PlaceCode
    name: str


class RollUpTotals(TypedDict):
    """Sums of what was published; what one community leaves out is in none. Empty where nobody has published."""

    people: NotRequired[int]
    active: NotRequired[int]
    total: NotRequired[int]
    gained: NotRequired[Standing]
    late: NotRequired[int]
    taken_back: NotRequired[Standing]
    ranked: NotRequired[int]
    too_few: NotRequired[int]
    empty: NotRequired[int]
    per_head: NotRequired[Mean]
    flags: NotRequired[int]
    fund_fen: NotRequired[Fen]


RollUp = TypedDict(
    "RollUp",
    {
        "kind": Literal["roll_up"],
        "list": str,
        "name": BothLanguages,
        "period": Period,
        "from": Day,
        "to": Day,
        "place": PlaceCode,
        "place_name": str,
        "communities": list[CommunityRanking],
        "waiting": list[PlaceName],
        "totals": RollUpTotals,
    },
)
RollUp.__doc__ = """A street's or county's communities beside each other, in the order of their codes; never ranked."""


class FlagPage(TypedDict):
    community: PlaceCode
    items: list[FlagHeld]
    next: None


# what people must be told ----------------------------------------------------------------------------------------


class NoticeEntry(TypedDict):
    journal: PlaceCode
    seq: Seq
    kind: str


class LapsingLot(TypedDict):
    expires_on: Day
    amount: Points


class PriorLine(TypedDict):
    """A line of an edition that a body must be told of before it is published."""

    edition: str
    line: str


class NoticeMark(TypedDict):
    """Send it back as it is, once the person was told."""

    journal: PlaceCode
    seq: Annotated[int, Field(ge=-1)]
    warned: Day | None


class NoticeOut(TypedDict):
    subject: str
    name: str
    phone: str | None
    grid: PlaceCode | None
    text: str
    entries: list[NoticeEntry]
    lapsing: list[LapsingLot]
    prior: list[PriorLine]
    mark: NoticeMark


class NoticesDelivered(TypedDict):
    """How many were recorded now."""

    delivered: int


class MyNotice(NoticeEntry):
    recorded_at: Instant
    text: str


class MyNotices(TypedDict):
    """`told_at`: when anything was last sent or handed over."""

    items: list[MyNotice]
    next: None
    channel: Annotated[str | None, one_of("sms", "print", None)]
    told_at: Instant | None
