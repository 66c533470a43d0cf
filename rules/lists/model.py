# SPDX-License-Identifier: Apache-2.0
"""An edition and its lines as they are stored, and how far each has got."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from ledger import codec
from ledger.tables import FromRow
from rules.engine.lists import ListRule

DRAFT, FROZEN, NOTIFIED, DECIDED = "draft", "frozen", "notified", "decided"
PUBLISHED, CORRECTED, DISCARDED = "published", "corrected", "discarded"
PUBLIC = (PUBLISHED, CORRECTED)
PROPOSED, CONFIRMED, DROPPED = "proposed", "confirmed", "dropped"
CHOSEN, PASSED, POSTED, ENDED = "chosen", "passed", "posted", "ended"

Channel: TypeAlias = Literal["read", "sms", "print", "hand"]
Outcome: TypeAlias = Literal["confirmed", "dropped", "chosen", "passed"]

FROZEN_FILES = ("definition.json", "exclusions.json", "population.csv", "result.json")
"""What a header digests; in a correction also `changes.json`."""
HEADER, PUBLICATION, CHANGES, NOTE = "edition.json", "published.json", "changes.json", "note"
NOTE_HEADER = "jifen-edition/v1"


class Approval(NamedTuple):
    """Somebody's yes: who, when (µs), and the digest of what it was said to."""

    by: str
    at: int
    of: str


@dataclass(frozen=True, slots=True)
class Edition(FromRow):
    """One version of a list for a period and a place. '' and -1 stand for "not yet", or "none"."""

    id: str
    list: str
    kind: str
    about: str
    period: str
    place: str
    version: int
    corrects: str
    state: str
    reason: str
    workdays: int
    approvers: int
    drafted_by: str
    drafted_at: int
    frozen_by: str = ""
    frozen_at: int = -1
    notified_by: str = ""
    notified_on: str = ""
    due: str = ""
    sure: int = 1
    approvals: str = "[]"
    published_at: int = -1
    published_on: str = ""
    digest: str = ""
    note: str = ""
    etag: int = 0

    @property
    def said_yes(self) -> tuple[Approval, ...]:
        return tuple(Approval(*one) for one in orjson.loads(self.approvals))

    def with_yes(self, approvals: tuple[Approval, ...]) -> Edition:
        return self.but(approvals=orjson.dumps([list(one) for one in approvals]).decode())

    @property
    def is_public(self) -> bool:
        return self.state in PUBLIC


@dataclass(frozen=True, slots=True)
class Line(FromRow):
    """One subject's line in an edition about bodies or persons; `line` is its key in the result. `grade` is the class
    of a reminder, `until` its last day; `reply` and `why` are sealed."""

    edition: str
    line: str
    subject: str
    journal: str = ""
    seq: int = -1
    indicator: str = ""
    grade: str = ""
    months: int = 0
    state: str = PROPOSED
    delivered_on: str = ""
    channel: str = ""
    delivered_by: str = ""
    due: str = ""
    sure: int = 1
    reply: bytes = b""
    replied_on: str = ""
    asked_on: str = ""
    decided_by: str = ""
    decided_on: str = ""
    why: bytes = b""
    until: str = ""
    ended_on: str = ""
    ended_by: str = ""
    ended_why: str = ""

    def on_show(self, today: str) -> bool:
        """Is it on the list today? Its end does not wait for the job that writes it down."""
        return self.state == POSTED and (not self.until or self.until >= today)


@dataclass(frozen=True, slots=True)
class Comment(FromRow):
    """What somebody says to a published edition; `text` is sealed."""

    id: str
    edition: str
    subject: str
    state: str
    created_at: int
    text: bytes
    decided_by: str = ""
    decided_at: int = -1


def definition_bytes(rule: ListRule) -> bytes:
    """`definition.json`: the rule with its defaults written out, canonical."""
    return codec.canonical(rule.definition())


def read_definition(data: bytes) -> ListRule:
    """The rule of a frozen edition. Raises pydantic's ValidationError."""
    return ListRule.model_validate_json(data)


def deflated(data: bytes) -> bytes:
    """A file as it is stored."""
    return zlib.compress(data, 6)


def inflated(stored: Any) -> bytes:
    """A stored file's bytes."""
    return zlib.decompress(bytes(stored))
