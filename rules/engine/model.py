# SPDX-License-Identifier: Apache-2.0
"""The words of a rule pack: groups, grades, indicators, fields, caps and worked examples (lists are in `lists.py`).

What a pack may say is decided here, by type; what it must not say is decided in `guardrails.py`. An
indicator is a place in one loaded pack: it is compared by identity, and two loads of a pack are compared
by `Pack.hash`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field as Constraint

from rules.engine.calendar import Ending, Window
from rules.engine.lists import ListRule
from rules.engine.terms import Citation, Code, GroupCode, Integer, Level, Name, Text, Word
from rules.engine.values import Amount, Expression, Frozen, Quantity, Value

Status: TypeAlias = Literal["record", "proposed"]
Tally = Annotated[str, Constraint(pattern=r"^([a-z][a-z0-9_]{0,39}|[A-Z]{2}-[0-9]{2})$")]

LEVELS: tuple[Level, ...] = ("E0", "E1", "E2", "E3", "E4")
CAUSE_WORDS = frozenset({"subject", "indicator", "place", "day", "start", "case"})
"""Parts of a cause that every report has; an indicator may add its own fields."""


class Group(Frozen):
    """A group that a pack knows; `record`: named in the public record, `proposed`: ours."""

    code: GroupCode
    kind: Literal["person", "body"]
    name: Name
    status: Status
    aliases: tuple[Text, ...] = ()
    basis: Text | None = None


class Band(Frozen):
    """A grade and the lowest standing that earns it."""

    code: Annotated[str, Constraint(pattern=r"^[A-Z]{1,4}$")]
    name: Name
    min: Integer


class Field(Frozen):
    """One fact that an award must state: a whole number in `unit`, one word of a list, or a day (ISO text)."""

    name: Word
    type: Literal["int", "enum", "day"]
    label: Name
    unit: Word | None = None
    min: Integer | None = None
    max: Integer | None = None
    values: Mapping[Word, Name] = Constraint(default_factory=dict[str, Name])
    default: Integer | str | None = None


class Cap(Frozen):
    """At most `max` in a window, on a field, a book or the number of awards; listed from the inside out."""

    id: Word
    on: Word
    window: Window
    max: Quantity


class Evidence(Frozen):
    """The weakest evidence that feeds each book."""

    standing: Level = "E1"
    points: Level = "E2"


class Lifetime(Frozen):
    """How long something counts: years from the deed, then to the end of that day, month, quarter or year.

    The years may hang on a list field (an award by the county counts one year, by the province three).
    """

    years: Annotated[int, Constraint(ge=0, le=10)] | Mapping[Word, Annotated[int, Constraint(ge=0, le=10)]] = 1
    by: Word | None = None
    end: Ending


class Validity(Frozen):
    """How long standing and points of this indicator live."""

    standing: Lifetime = Lifetime(years=1, end="month")
    points: Lifetime = Lifetime(years=1, end="year")


class Effective(Frozen):
    """The days of deed for which an indicator is in force, both included."""

    from_: date = Constraint(alias="from")
    to: date | None = None


class Example(Frozen):
    """One worked case; `used` is what each tally had already let through: a cap by its id, a ladder by "ladder", a
    highest-only set by "highest", another hat of the exclusion set by its code. It was used on the day of the deed, or
    on `used_on`, which tells one window from another. `worth` is the standing before the caps on the result.
    """

    says: Text
    occurred_on: date = Constraint(alias="on")
    posted_on: date | None = None
    takeover: Literal["yes"] | None = None
    evidence: Level | None = None
    facts: Mapping[str, Integer | str] = Constraint(default_factory=dict[str, int | str])
    used: Mapping[Tally, Annotated[int, Constraint(ge=0)]] = Constraint(default_factory=dict[str, int])
    used_on: date | None = None
    state: Literal["posted", "reduced", "zero", "refused"] = "posted"
    code: Word | None = None
    standing: Integer = 0
    points: Integer = 0
    worth: Integer | None = None
    standing_lot: date | Literal["never"] | None = None
    points_lot: date | Literal["never"] | None = None


class Indicator(Frozen):
    """One line of a catalogue: what is awarded for what, how often, on what evidence, for how long."""

    code: Code
    name: Name
    aliases: tuple[Text, ...] = ()
    group: str
    category: Word
    direction: Literal["plus", "minus"] = "plus"
    status: Status = "proposed"
    effective: Effective
    fields: tuple[Field, ...] = ()
    when: Expression | None = None
    standing: Value | None = None
    points: Value | None = None
    caps: tuple[Cap, ...] = ()
    evidence: Evidence = Evidence()
    approval: Literal["none", "second_person"] = "none"
    deadline: Annotated[int, Constraint(ge=1, le=12)] = 1
    validity: Validity = Validity()
    cause: tuple[Word, ...] = ("subject", "indicator", "place", "day", "start")
    reversal: Literal["only_available", "within_balance", "allow_debt"]
    cooling: Annotated[int, Constraint(ge=0, le=60)] = 0
    highest_only: Word | None = None
    exclusion: Word | None = None
    work: Literal["voluntary", "duty"] = "voluntary"
    risk: Literal["ordinary", "insured"] = "ordinary"
    grey: Literal["yes"] | None = None
    citation: Citation
    note: Text | None = None
    examples: tuple[Example, ...] = ()

    def field(self, name: str) -> Field | None:
        """The declared field of that name."""
        return next((field for field in self.fields if field.name == name), None)

    if TYPE_CHECKING:

        def __hash__(self) -> int: ...
        def __eq__(self, other: object) -> bool: ...
    else:  # object's own: a method in Python costs every look-up of a plan ten times as much
        __hash__ = object.__hash__
        __eq__ = object.__eq__


class ApprovalLimits(Frozen):
    """When a batch needs a second person: above `rows`, or above `share_rows` and that share of last month.

    A pack may be stricter than 200 rows and 2 %, never laxer.
    """

    rows: Annotated[int, Constraint(ge=0, le=200)] = 200
    share_rows: Annotated[int, Constraint(ge=0, le=20)] = 20
    share_percent: Annotated[int, Constraint(ge=0, le=2)] = 2


class Source(Frozen):
    """A document that a pack rests on; `text` is the file beside the TOML that holds its words."""

    title: Text
    issued: date | None = None
    text: Annotated[str, Constraint(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}\.txt$")] | None = None
    sha256: Annotated[str, Constraint(pattern=r"^[0-9a-f]{64}$")] | None = None


class ExclusionSet(Frozen):
    """One deed counts under one of the set's indicators: the same case once, or one hat a day."""

    name: Name
    by: Literal["day", "case"]


class HighestSet(Frozen):
    """Of the set's awards in one window only the highest counts; a later one adds what it is worth more."""

    name: Name
    window: Literal["month", "quarter", "year", "ever"]


class Adoption(Frozen):
    """How the pack became the community's own rule: which meeting, on what day, with what standing."""

    status: Literal["draft", "adopted"]
    body: Text
    adopted_on: date | None = None
    note: Text | None = None


class PackHeader(Frozen):
    """What `pack.toml` says about the pack as a whole."""

    id: Word
    version: Annotated[str, Constraint(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    name: Name
    zone: Literal["Asia/Shanghai", "Asia/Urumqi"] = "Asia/Shanghai"
    effective_from: date
    base_standing: Amount = 100_000
    adoption: Adoption
    approval: ApprovalLimits = ApprovalLimits()
    sources: Mapping[Word, Source]
    categories: Mapping[Word, Name]
    exclusion_sets: Mapping[Word, ExclusionSet] = Constraint(default_factory=dict[str, ExclusionSet])
    highest_sets: Mapping[Word, HighestSet] = Constraint(default_factory=dict[str, HighestSet])


class Pack(PackHeader):
    """A loaded, checked pack. Neither the names of its files nor their comments change `hash`."""

    hash: str
    groups: Mapping[str, Group]
    bands: tuple[Band, ...]
    indicators: Mapping[str, Indicator]
    lists: Mapping[str, ListRule] = Constraint(default_factory=dict[str, ListRule])

    def grade(self, standing: int) -> Band:
        """The highest grade whose threshold is reached; the lowest grade takes everything below."""
        return next((band for band in self.bands if standing >= band.min), self.bands[-1])

    def indicator_by_text(self, text: str) -> Indicator | None:
        """The indicator of exactly this code, name or alias; never a guess."""
        return self._indicators_by_text.get(plain(text))

    def group_by_text(self, text: str) -> Group | None:
        """The group of exactly this code, name or alias (width and case aside); never a guess."""
        return self._groups_by_text.get(plain(text))

    @cached_property
    def label(self) -> Mapping[str, str]:
        """What a trace says of the pack; one object shared by all traces."""
        return {"id": self.id, "version": self.version, "hash": self.hash}

    @cached_property
    def _indicators_by_text(self) -> Mapping[str, Indicator]:
        return {plain(word): indicator for indicator in self.indicators.values() for word in words_of(indicator)}

    @cached_property
    def _groups_by_text(self) -> Mapping[str, Group]:
        return {plain(word): group for group in self.groups.values() for word in words_of(group)}

    def excluded_by(self, indicator: Indicator) -> tuple[str, ...]:
        """The codes whose award on a day leaves no room for this indicator on that day."""
        by_day = indicator.exclusion is not None and self.exclusion_sets[indicator.exclusion].by == "day"
        return tuple(
            code
            for code, other in self.indicators.items()
            if by_day and other is not indicator and other.exclusion == indicator.exclusion
        )

    def cause_scope(self, indicator: Indicator) -> str:
        """Where a deed may count once: the indicator, or the whole set of those that score the same cases."""
        name = indicator.exclusion
        return name if name is not None and self.exclusion_sets[name].by == "case" else indicator.code

    def same_scope(self, code: str, indicator: Indicator) -> bool:
        """Whether an award under that code may be of the same deed."""
        other = self.indicators.get(code)
        return other is not None and self.cause_scope(other) == self.cause_scope(indicator)

    if TYPE_CHECKING:

        def __hash__(self) -> int: ...
        def __eq__(self, other: object) -> bool: ...
    else:
        __hash__ = object.__hash__
        __eq__ = object.__eq__


def words_of(thing: Indicator | Group) -> tuple[str, ...]:
    """Every text by which a sheet may name an indicator or a group."""
    return (thing.code, thing.name.zh, thing.name.en, *thing.aliases)


def plain(text: str) -> str:
    """A text as it is compared: one width, one case, no spaces (“社区 工作者”, “Ｇ１”)."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
