# SPDX-License-Identifier: Apache-2.0
"""Answers about the rules, impact assessments and fairness, and statements that prove themselves."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field

from api.assessments import Conclusion, Purpose
from api.http.answers import TypedDict
from api.http.list_shapes import About, Kind, Sentences
from api.http.shapes import BothLanguages, Day, Digest, Instant, Period, PlaceCode, Points, Seq, Standing
from rules.engine.calendar import Ending, Window
from rules.engine.terms import Level
from rules.engine.values import Value

# the catalogue ---------------------------------------------------------------------------------------------------


class GroupBody(TypedDict):
    """`status`: named in the public record, or proposed here."""

    code: str
    kind: Literal["person", "body"]
    name: BothLanguages
    status: Literal["record", "proposed"]
    aliases: list[str]
    basis: str | None
    pack: str


class FieldValue(TypedDict):
    value: str
    label: BothLanguages


class FactField(TypedDict):
    """A fact that a report must state: a whole number in `unit`, one of `values`, or a day."""

    name: str
    type: Literal["int", "enum", "day"]
    unit: str | None
    min: int | None
    max: int | None
    values: list[FieldValue]
    label: BothLanguages
    default: int | str | None


class CapBody(TypedDict):
    """At most `max` in a window, on a field, a book or the number of awards."""

    id: str
    on: str
    window: Window
    max: int


class WeakestEvidence(TypedDict):
    standing: Level
    points: Level


class LifetimeBody(TypedDict):
    """Years from the deed, for some by a field, and then to the end of that day, month, quarter or year."""

    years: int | dict[str, int]
    by: str | None
    end: Ending


class ValidityBody(TypedDict):
    standing: LifetimeBody
    points: LifetimeBody


EffectiveDays = TypedDict("EffectiveDays", {"from": Day, "to": Day | None})


class CitationBody(TypedDict):
    """A source of the pack, and its words where they may be quoted."""

    source: str
    part: str | None
    quote: str | None


class IndicatorBody(TypedDict):
    """What is awarded for what, how often, on what evidence, for how long. `says`: the same in sentences."""

    code: str
    name: BothLanguages
    aliases: list[str]
    group: str
    category: str
    direction: Literal["plus", "minus"]
    status: Literal["record", "proposed"]
    effective: EffectiveDays
    fields: list[FactField]
    when: str | None
    standing: Value | None
    points: Value | None
    caps: list[CapBody]
    evidence: WeakestEvidence
    approval: Literal["none", "second_person"]
    deadline: int
    validity: ValidityBody
    cause: list[str]
    reversal: Literal["only_available", "within_balance", "allow_debt"]
    cooling: int
    highest_only: str | None
    exclusion: str | None
    work: Literal["voluntary", "duty"]
    risk: Literal["ordinary", "insured"]
    grey: Literal["yes"] | None
    citation: CitationBody
    note: str | None
    says: Sentences


# packs -----------------------------------------------------------------------------------------------------------


class AdoptionBody(TypedDict):
    """Which meeting made the pack the community's own rule."""

    status: Literal["draft", "adopted"]
    body: str
    adopted_on: Day | None
    note: str | None


class ApprovalLimitsBody(TypedDict):
    """When a batch needs a second person."""

    rows: int
    share_rows: int
    share_percent: int


class BandBody(TypedDict):
    """A grade and the least standing that earns it."""

    code: str
    name: BothLanguages
    min: Standing


class PackList(TypedDict):
    code: str
    kind: Kind
    name: BothLanguages
    about: About
    period: Literal["month", "quarter", "year"]
    says: Sentences


class PackChange(TypedDict):
    """An indicator or list, or the pack itself (no code), that is new, gone or other than in the pack before."""

    kind: Literal["added", "removed", "changed"]
    code: str | None
    name: BothLanguages
    details: Sentences


class PackBody(TypedDict):
    """`hash` is what entries name; `days_left` until it takes effect."""

    id: str
    version: str
    hash: Digest
    name: BothLanguages
    zone: str
    effective_from: Day
    state: Literal["in_force", "coming", "past"]
    days_left: int
    published_at: Instant | None
    base_standing: Standing
    adoption: AdoptionBody
    approval: ApprovalLimitsBody
    bands: list[BandBody]
    indicators: int
    lists: list[PackList]
    changes: list[PackChange]


class PackFiles(PackBody):
    """With its files as they were published, by name."""

    files: dict[str, str]


class Packs(TypedDict):
    in_force: Digest
    coming: list[Digest]
    items: list[PackBody]
    next: None


# assessments -----------------------------------------------------------------------------------------------------


class AssessmentBody(TypedDict):
    """`summary` and `sha256` are for staff and auditors of the place."""

    id: str
    purpose: Purpose
    place: PlaceCode
    title: str
    conclusion: Conclusion
    by: str
    valid_until: Day
    recorded_at: Instant
    summary: NotRequired[str]
    sha256: NotRequired[Digest | None]


# fairness --------------------------------------------------------------------------------------------------------

Measure = Literal["reached", "points"]
Percent = Annotated[int | None, Field(description="Whole percents; null where it is not told.")]


class FairShare(TypedDict):
    """A group and what it got of what its number of people would have had; `too_few` have no figures."""

    code: str
    name: NotRequired[str]
    state: Literal["fair", "below", "unsure", "too_few"]
    below: NotRequired[list[Measure]]
    people: NotRequired[int]
    reached: NotRequired[int | None]
    points: NotRequired[Points | None]
    reached_of_fair: NotRequired[Percent]
    points_of_fair: NotRequired[Percent]


class ChannelShare(TypedDict):
    """By which way awards came in."""

    code: Literal["counter", "sheet", "report"]
    awards: int | None
    reached: int | None
    points: Points | None
    points_percent: Percent


class KinDealing(TypedDict):
    awards: int
    points: Points


class MutualDealing(TypedDict):
    awards: int
    pairs: int


class OwnGridDealing(TypedDict):
    staff: int
    awards: int


class SelfDealing(TypedDict):
    """Awards to those whom a giver stands in for, of givers to each other, and to the giver's own grid."""

    kin: KinDealing
    mutual: MutualDealing
    own_grid: OwnGridDealing


class Concentration(TypedDict):
    """The part of all points that a few got, and the part of all awards that one member of staff proposed."""

    top_people: int | None
    top_points_percent: Percent
    proposers: int
    one_proposer_percent: Percent


class FairnessAlarm(TypedDict):
    """`below_half` names the group and the measures; the others have their figures."""

    kind: Literal["below_half", "kin", "mutual", "own_grid"]
    about: NotRequired[Literal["age", "grid", "phone"]]
    code: NotRequired[str]
    measures: NotRequired[list[Measure]]
    awards: NotRequired[int]
    points: NotRequired[Points]
    pairs: NotRequired[int]
    staff: NotRequired[int]


Fairness = TypedDict(
    "Fairness",
    {
        "period": Period,
        "from": Day,
        "to": Day,
        "place": PlaceCode,
        "place_name": str,
        "as_of": Instant,
        "people": int | None,
        "reached": int | None,
        "points": Points | None,
        "age": list[FairShare],
        "grids": list[FairShare],
        "phone": list[FairShare],
        "channels": list[ChannelShare],
        "self_dealing": SelfDealing,
        "concentration": Concentration,
        "alarms": list[FairnessAlarm],
        "said": list[str],
    },
)
Fairness.__doc__ = """Whom the points of a quarter reached. `said`: the alarms in sentences."""

# statements that prove themselves --------------------------------------------------------------------------------


class SealBody(TypedDict):
    """A statement may begin and end at `as_of_size`; the root is over all accounts' states."""

    as_of_size: int
    seq: Seq
    accounts: int
    state_root: Digest


class ProvenSide(TypedDict):
    """What an account held at a seal, and the path from there to the seal's root."""

    receipt: str
    accounts: int
    index: int | None
    state: str | None
    proof: list[Digest]


ProvenStatement = TypedDict(
    "ProvenStatement",
    {
        "v": Literal[1],
        "journal": str,
        "account": str,
        "from": ProvenSide | None,
        "to": ProvenSide,
        "entries": list[str],
        "absent": None,
    },
)
ProvenStatement.__doc__ = """docs/spec/seal.md. `entries` are whole, as they were hashed."""
