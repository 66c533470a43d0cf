# SPDX-License-Identifier: Apache-2.0
"""What can be disputed, by when it is decided, who decides, and how long points are kept. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from ledger.errors import Refusal
from ledger.model import Link
from rules.ports import AWARDING, Actor

Kind = Literal["entry", "edition_entry", "redemption", "missing"]
Outcome = Literal["upheld", "partly", "rejected"]

OPEN, WITHDRAWN, ERASED = "open", "withdrawn", "erased"
OUTCOMES: tuple[Outcome, ...] = ("upheld", "partly", "rejected")
DUE_WORKDAYS = 3  # 山东省社会信用条例 art. 39
EXTENDED_WORKDAYS = 7  # the same, where others must check
KEPT_DAYS = 30  # how long after the decision is due nothing lapses
DECIDING = frozenset({"approver", "street_staff", "council"})
HELPING = AWARDING  # who may object on somebody's behalf


@dataclass(frozen=True, slots=True)
class Target:
    """What is disputed: whose it is, at which place, the entry it is about if there is one, and who had a hand in it
    (ids of callers, and subjects)."""

    subject: str
    place: str
    entry: Link | None = None
    involved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Missing:
    """A deed that is not in the record: "I was there and am not listed"."""

    indicator: str
    occurred_on: date
    place: str

    def stated(self) -> dict[str, str]:
        return {"indicator": self.indicator, "occurred_on": self.occurred_on.isoformat(), "place": self.place}


def kept_until(due: date, today: date) -> date:
    """The day that no lot of the subject may lapse before.

    It depends on the day only when the decision is late, and then moves in steps, so that a lot gets a later day once a
    month and not once a day.
    """
    late = max(0, (today - due).days)
    return due + timedelta(days=KEPT_DAYS * (1 + -(-late // KEPT_DAYS)))


def check_decider(
    actor: Actor,
    *,
    place: str,
    home: str,
    subject: str,
    involved: Collection[str],
    covers: Callable[[str, str], bool],
) -> None:
    """May this person decide? At the place of the deed, or as the subject's own council; never in their own cause, and
    never about what they had a hand in. Raises `forbidden`, `same_person`; no role is above that."""
    if not actor.may(DECIDING, place, covers) and not actor.may({"council"}, home, covers):
        raise Refusal("forbidden", place=place)
    if {actor.id, actor.subject} & {subject, *involved}:
        raise Refusal("same_person")
