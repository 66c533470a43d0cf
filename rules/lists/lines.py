# SPDX-License-Identifier: Apache-2.0
"""Entries as rows: what lists are counted from, read out of canonical bytes.

One row per entry that opens an account, awards, deducts, reverses, disputes or decides, and per move and erasure, by
which it is seen whether an account was open. Nothing personal is in it: an entry has nothing personal.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import polars as pl

from ledger import codec

KINDS = ("open", "award", "deduct", "reverse", "objection", "decision", "move", "erase")
OUTCOMES = ("upheld", "partly", "rejected", "withdrawn")

LINES: Mapping[str, Any] = {
    "journal": pl.String,
    "seq": pl.Int64,
    "kind": pl.Enum(KINDS),
    "subject": pl.String,
    "group": pl.String,
    "rule": pl.String,
    "place": pl.String,
    "occurred_on": pl.Date,
    "lot": pl.Date,
    "standing": pl.Int64,
    "points": pl.Int64,
    "target_journal": pl.String,
    "target_seq": pl.Int64,
    "said": pl.String,
    "outcome": pl.Enum(OUTCOMES),
}
"""The columns; null is what does not apply.

Amounts are hundredths, signed as the subject sees them (a deduction is negative), 0 where nothing moved and in a move
or an erasure. `lot` is the last day of the standing, null where it never lapses. The target is the entry that is
reversed, disputed or decided on, or the other side of a move (of a departure the journal alone). `said` is the id of an
objection and of its decision, `person` or `body` of an opening, `out` or `in` of a move."""


_Whole = Annotated[int, msgspec.Meta(ge=-codec.INTEGER_MAX, le=codec.INTEGER_MAX)]


class _Posting(msgspec.Struct, gc=False):
    account: str
    unit: str
    amount: _Whole
    lot: str | None = None


class _Link(msgspec.Struct, gc=False):
    rel: str
    seq: _Whole
    journal: str | None = None


class _Data(msgspec.Struct, gc=False):
    id: str | None = None
    outcome: str | None = None
    kind: str | None = None
    to: str | None = None


class Place(msgspec.Struct, gc=False):
    """What links an entry to those around it."""

    journal: str
    seq: _Whole
    prev: str
    kind: str
    subject: str | None = None


class _Entry(msgspec.Struct, gc=False):
    kind: str
    journal: str
    seq: _Whole
    occurred_on: str
    postings: list[_Posting]
    links: list[_Link]
    subject: str | None = None
    group: str | None = None
    rule: str | None = None
    place: str | None = None
    data: _Data | None = None


place_of = msgspec.json.Decoder(Place).decode
_entry = msgspec.json.Decoder(_Entry).decode
_NOTHING = _Data()
_TARGETS = {"reverse": "reverses", "objection": "disputes", "decision": "decides", "move": "moved_from"}
_RAW = {**LINES, "occurred_on": pl.String, "lot": pl.String, "outcome": pl.String}


class Lines:
    """Rows on their way into a frame. `take` raises `msgspec.MsgspecError` where the bytes are not such an entry."""

    def __init__(self) -> None:
        self._columns: tuple[list[Any], ...] = tuple([] for _ in LINES)

    def __len__(self) -> int:
        return len(self._columns[0])

    def take(self, body: bytes) -> None:
        """Add the row of an entry of one of `KINDS`; one that is about no subject, or moves points alone, has none."""
        entry = _entry(body)
        data, kind = entry.data or _NOTHING, entry.kind
        if entry.subject is None:
            return
        rel = _TARGETS.get(kind)
        link = next((one for one in entry.links if one.rel == rel), None) if entry.links else None
        target = (None, None) if link is None else (link.journal or entry.journal, link.seq)
        said = data.id
        if kind == "move":
            if link is None and data.to is None:  # points released elsewhere follow their subject
                return
            said, target = ("in", target) if link is not None else ("out", (data.to, None))
        elif kind == "open":
            said = data.kind
        standing = points = 0
        lot = None
        if kind != "move" and kind != "erase":
            for line in entry.postings:
                if line.account == "issuer":
                    if line.unit == "standing":
                        standing -= line.amount
                    else:
                        points -= line.amount
                elif line.unit == "standing" and kind != "reverse":
                    lot = line.lot
        values = (
            entry.journal, entry.seq, kind, entry.subject, entry.group, entry.rule, entry.place, entry.occurred_on,
            lot, standing, points, *target, said, data.outcome,
        )  # fmt: skip
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)

    def frame(self) -> pl.DataFrame:
        """What was taken, as `LINES`; nothing is left here. A day or an outcome that is none (in an export that was
        tampered with) is null."""
        made = pl.DataFrame(dict(zip(LINES, self._columns, strict=True)), schema=_RAW)
        self._columns = tuple([] for _ in LINES)
        return made.with_columns(
            pl.col("occurred_on", "lot").str.to_date("%Y-%m-%d", strict=False),
            pl.col("outcome").cast(LINES["outcome"], strict=False),
        )
