# SPDX-License-Identifier: Apache-2.0
"""What is reported to the desk: one deed of one subject, with its evidence. Values only; nothing is looked up here.

Named tuples, because every award makes three of them and a frozen dataclass sets each field the slow way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from ledger import codec
from rules.engine.calendar import iso
from rules.engine.model import CAUSE_WORDS, Indicator

UNPROVED = "E0"
SHEET_LEVEL = "E1"  # a sign-in list that its keeper vouches for
CONFIRMED_LEVEL = "E2"  # the same list when someone else stands by it


class Evidence(NamedTuple):
    """One piece of evidence: what it is, how strong, where it can be found again, and which registered confirmer stands
    by it."""

    kind: str
    level: str
    sha256: str | None = None
    reference: str | None = None
    confirmed_by: str | None = None


class Cause(NamedTuple):
    """The case that a workflow gives a deed; without one, place, day and start make the cause."""

    source: str
    case: str
    step: str | None = None


class AwardRequest(NamedTuple):
    """One reported deed. `replaces` names a reversed award of the same deed whose place this one takes."""

    subject: str
    indicator: str
    occurred_on: date
    facts: Mapping[str, int | str] = {}
    group: str | None = None
    place: str | None = None
    cause: Cause | None = None
    team: str | None = None
    campaign: str | None = None
    evidence: tuple[Evidence, ...] = ()
    note: str | None = None
    start: str | None = None
    replaces: str | None = None

    @property
    def level(self) -> str:
        """The strongest evidence given."""
        return max((item.level for item in self.evidence), default=UNPROVED)


def stated(request: AwardRequest, place: str, group: str) -> dict[str, Any]:
    """The request as it is hashed and kept: place and group as resolved, and what is not said left out."""
    said: dict[str, Any] = {
        "subject": request.subject,
        "indicator": request.indicator,
        "occurred_on": iso(request.occurred_on),
        "facts": request.facts,
        "place": place,
        "group": group,
        "evidence": [_proof(item) for item in request.evidence],
    }
    if request.start is not None:
        said["start"] = request.start
    if request.note is not None:
        said["note"] = request.note
    if request.team is not None:
        said["team"] = request.team
    if request.campaign is not None:
        said["campaign"] = request.campaign
    if request.replaces is not None:
        said["replaces"] = request.replaces
    if request.cause is not None:
        said["cause"] = _case(request.cause)
    return said


def restated(said: Mapping[str, Any]) -> AwardRequest:
    """The request that `stated` gave these values."""
    cause = said.get("cause")
    return AwardRequest(
        subject=said["subject"],
        indicator=said["indicator"],
        occurred_on=date.fromisoformat(said["occurred_on"]),
        facts=said["facts"],
        cause=None if cause is None else Cause(**cause),
        evidence=tuple(Evidence(**item) for item in said["evidence"]),
        **{name: said.get(name) for name in ("group", "place", "team", "campaign", "note", "start", "replaces")},
    )


def evidence_bytes(request: AwardRequest) -> tuple[bytes, ...]:
    """Each piece of evidence as the bytes whose digest stands in the entry."""
    return tuple(codec.encode(_proof(item)) for item in request.evidence)


def cause_bytes(request: AwardRequest, indicator: Indicator | None, place: str) -> bytes:
    """What makes this deed this deed, beside its subject and indicator.

    The place is that of the deed, so the cause survives a move of the subject. An indicator may add fields of its own;
    without one, several indicators score the same deeds and none of them may add what the others do not know.
    """
    made: dict[str, Any]
    if request.cause is not None:
        made = _case(request.cause)
    else:
        made = {"place": place, "day": iso(request.occurred_on)}
        if request.start is not None:
            made["start"] = request.start
    if indicator is None:
        return codec.encode(made)
    for word in indicator.cause:
        if word not in CAUSE_WORDS:
            declared = indicator.field(word)
            value = request.facts.get(word, declared.default if declared else None)
            if value is not None:
                made[f"facts.{word}"] = value
    return codec.encode(made)


def _proof(item: Evidence) -> dict[str, Any]:
    said = {"kind": item.kind, "level": item.level}
    if item.sha256 is not None:
        said["sha256"] = item.sha256
    if item.reference is not None:
        said["reference"] = item.reference
    if item.confirmed_by is not None:
        said["confirmed_by"] = item.confirmed_by
    return said


def _case(cause: Cause) -> dict[str, Any]:
    said = {"source": cause.source, "case": cause.case}
    if cause.step is not None:
        said["step"] = cause.step
    return said
