# SPDX-License-Identifier: Apache-2.0
"""Taking awards back: one, a whole batch, or some of its rows, each with its own entry and all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import codec
from ledger.book import awards
from ledger.errors import Refusal
from ledger.model import Act
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, CAUSE, MEMBER, REVERSED, TALLY, Key, Row, Table
from ledger.view import View
from rules.desk.approval import resealed
from rules.desk.assess import POSTED, home_now
from rules.desk.assess import REVERSED as TAKEN_BACK
from rules.desk.kept import Lot, kept
from rules.desk.records import opened
from rules.tables import AWARD, BATCH


@dataclass(frozen=True, slots=True)
class Original:
    """An award to take back: its entry as stored, whose it is, and how its indicator says it is done. `relotted`: lots
    past their day that went on under a later one."""

    award: str
    row: int | None
    fields: Mapping[str, Any]
    leaf: str
    home: str
    key: bytes
    act: Act
    policy: str
    relotted: frozenset[Lot] = frozenset()


@dataclass(frozen=True, slots=True)
class Reversal:
    """What became of one: `reversed`, `already_reversed`, or the code why it could not be."""

    award: str
    row: int | None
    state: str
    standing: int = 0
    points: int = 0
    shortfall: int = 0
    receipt: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ReverseCommand:
    """Reverse these awards in one commit. `others` are awards of the batch that stay."""

    originals: Sequence[Original | Reversal]
    batch: str | None
    others: Sequence[str]
    reason: str
    actor: str
    ref: str
    retry: Retry | None
    journals: tuple[str, ...]
    weight: int

    def reads(self) -> Iterable[tuple[Table, Key]]:
        if self.batch is not None:
            yield BATCH, (self.batch,)
        for other in self.others:
            yield AWARD, (other,)
        for one in self.originals:
            yield AWARD, (one.award,)
            if not isinstance(one, Original):
                continue
            subject, home, fields = one.fields["subject"], one.home, one.fields
            yield MEMBER, (home, subject)
            yield REVERSED, (fields["journal"], fields["seq"])
            yield CAUSE, (bytes.fromhex(fields["cause"]),)
            yield BALANCE, (home, "issuer")
            for role in ("subject", "minus", "debt"):
                yield BALANCE, (home, f"{role}:{subject}")
            for cap in fields["caps"]:
                yield TALLY, (home, cap["from"], subject, cap["id"])

    def decide(self, view: View) -> Answer:
        done = [one if isinstance(one, Reversal) else self._reverse(view, one) for one in self.originals]
        if not any(one.state == "reversed" for one in done):
            first = done[0] if done else None
            raise Refusal(first.state if first else "not_found", **({"award": first.award} if first else {}))
        if self.batch is not None:
            left = any(
                row is not None and row[3] == POSTED
                for award in (*self.others, *(one.award for one in self.originals))
                for row in (view.get(AWARD, award),)
            )
            row = view.get(BATCH, self.batch)
            assert row is not None
            view.put(BATCH, (row[0], "partly_reversed" if left else TAKEN_BACK, *row[2:]))
        return Answer(201, self.ref, done)

    def _reverse(self, view: View, one: Original) -> Reversal:
        row = view.get(AWARD, one.award)
        if row is None or row[3] != POSTED:
            state = "already_reversed" if row is not None and row[3] == TAKEN_BACK else "not_reversible"
            return Reversal(one.award, one.row, state)
        try:
            home = home_now(view, one.home, one.fields["subject"])
            sealed = awards.reverse(view, home, one.act, dict(one.fields), one.leaf, policy=one.policy)
        except Refusal as refusal:
            return Reversal(one.award, one.row, refusal.code)
        said: dict[str, Any] = {"reason": self.reason, "occurred_on": one.act.occurred_on, "actor": self.actor}
        if left := kept(one.fields, codec.decode(sealed.body), view.today(home), one.relotted):
            said["kept"] = left
        story = {"reversal": said}
        column = resealed(row, opened(row, one.key), one.key, story)
        view.put(AWARD, (*row[:3], TAKEN_BACK, *row[4:20], sealed.journal, sealed.seq, column))
        marked = view.get(REVERSED, one.fields["journal"], one.fields["seq"])
        return Reversal(
            one.award,
            one.row,
            "reversed",
            -row[15],
            -row[16],
            marked[3] if marked else 0,
            {"journal": sealed.journal, "seq": sealed.seq, "entry_hash": sealed.leaf.hex()},
        )


def of_row(row: Row) -> Reversal | None:
    """The answer for an award that can no longer be reversed; None for one that can."""
    if row[3] == POSTED:
        return None
    return Reversal(row[0], row[2], "already_reversed" if row[3] == TAKEN_BACK else "not_reversible")
