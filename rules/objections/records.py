# SPDX-License-Identifier: Apache-2.0
"""Objections as stored: one row each, with what is sealed where it may be opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from ledger import codec
from ledger.keys import seal, unseal
from ledger.tables import Row
from rules.objections.domain import OPEN


class ObjectionRecord(NamedTuple):
    """One objection, in the order of its columns but for `sealed`. `detail` and `correction` are read from their JSON;
    `said` has the reasons by what they are for, empty where they were not asked for or the subject's key is gone."""

    id: str
    state: str
    kind: str
    subject: str
    journal: str
    seq: int
    leaf: bytes
    place: str
    target: str
    target_journal: str | None
    target_seq: int | None
    detail: Mapping[str, str] | None
    filed_by: str
    on_behalf: bool
    filed_at: int
    filed_on: str
    due: str
    sure: bool
    extended_by: str | None
    decided_by: str | None
    decided_at: int | None
    decision_journal: str | None
    decision_seq: int | None
    correction: Mapping[str, Any] | None
    said: Mapping[str, str] = {}

    def overdue(self, today: str) -> bool:
        return self.state == OPEN and self.due < today

    def row(self, key: bytes) -> Row:
        """The columns, with the reasons sealed under the subject's data key."""
        values: list[Any] = list(self[:-1])
        values[11], values[23] = _json(self.detail), _json(self.correction)
        values[13], values[17] = int(self.on_behalf), int(self.sure)
        return (*values, seal(key, codec.encode(dict(self.said)), self.id.encode()))


def record(row: Row, said: Mapping[str, str] | None = None) -> ObjectionRecord:
    """From a row, with or without its last column."""
    values = list(row[:24])
    values[11], values[23] = (None if row[at] is None else orjson.loads(row[at]) for at in (11, 23))
    values[13], values[17] = bool(row[13]), bool(row[17])
    return ObjectionRecord(*values, said={} if said is None else said)


def opened(row: Row, key: bytes) -> dict[str, str]:
    """The reasons in a whole row. Raises `BadKey`."""
    return orjson.loads(unseal(key, bytes(row[24]), row[0].encode()))


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
