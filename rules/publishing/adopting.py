# SPDX-License-Identifier: Apache-2.0
"""Inside the commit: a pack becomes the rule. Its row and one policy entry in every journal, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ledger.book.accounts import adopt_pack
from ledger.codec import encode
from ledger.errors import Unavailable
from ledger.model import Act
from ledger.port import Answer, Retry
from ledger.tables import Key, Row, Table
from ledger.view import View, local_day
from rules.desk.approval import Decided, closed, open_approval
from rules.desk.records import ApprovalRecord
from rules.engine.model import Pack
from rules.publishing.forward import Line, Published, check_forward
from rules.tables import APPROVAL, PACK, SHELF

_SHELF = "packs"


@dataclass(frozen=True, slots=True)
class AdoptPack:
    """A second person's yes to a pack. `journals` are all there were when `opened` journals had been opened."""

    approval: ApprovalRecord
    pack: Pack
    files: bytes
    line: Line
    actor: str
    etag: str | None
    reason: str | None
    retry: Retry | None
    txn: str
    journals: tuple[str, ...]
    opened: int

    @property
    def weight(self) -> int:
        return 1 + len(self.journals)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield APPROVAL, (self.approval.id,)
        yield SHELF, (_SHELF,)
        yield PACK, (self.line.id,)

    def decide(self, view: View) -> Answer:
        approval = open_approval(view, self.approval.id, self.etag)
        if journals_opened(view) != self.opened:  # one was opened a moment ago and is not among ours
            raise Unavailable("queue_full")
        today = local_day(view.now_us, self.pack.zone)
        in_takeover = all(view.head(journal).takeover for journal in self.journals)
        published = [Published(row[2], row[3]) for row in view.rows(PACK, (self.line.id,)).values()]
        check_forward(self.line, published, self.pack, date.fromisoformat(today), noticed=not in_takeover)
        pack, effective_from = self.pack, self.pack.effective_from.isoformat()
        view.put(SHELF, (_SHELF, self.opened))  # if it is not there yet, only one of two can be the first to write it
        view.insert(
            PACK,
            (
                pack.id, pack.hash, pack.version, effective_from, view.now_us,
                self.approval.target, self.approval.proposer, self.actor, self.files,
            ),
        )  # fmt: skip
        act = Act(self.actor, today, encode({"adopt": pack.hash}), self.txn)
        for journal in self.journals:
            _write(view, journal, act, pack.id, pack.version, pack.hash, effective_from)
        view.put(APPROVAL, closed(approval, "approved", self.actor, view.now_us, self.reason))
        done = Decided(self.approval.id, self.approval.kind, self.approval.target, "approved")
        return Answer(201, self.approval.id, done)


@dataclass(frozen=True, slots=True)
class RejectPack:
    """A no, or the proposer taking it back. Nothing is published."""

    approval: ApprovalRecord
    actor: str
    etag: str | None
    reason: str
    retry: Retry | None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield APPROVAL, (self.approval.id,)

    def decide(self, view: View) -> Answer:
        approval = open_approval(view, self.approval.id, self.etag)
        view.put(APPROVAL, closed(approval, "rejected", self.actor, view.now_us, self.reason))
        return Answer(201, self.approval.id, Decided(self.approval.id, "pack", self.approval.target, "rejected"))


def adopt_all(view: View, journal: str, act: Act, founding: Founding) -> None:
    """The policy entries that a new journal begins with: one for each pack on the shelf, earliest first.

    Of packs that are not in force any more too, for in its take-over window a journal takes deeds of their days. The
    first journal puts the founding pack on the shelf: from then on its rules are those, whatever the software brings.
    """
    rows: list[Row] = list(view.rows(PACK, (founding.pack.id,)).values())
    if not any(is_founding(row) for row in rows):
        rows.append(founding.row(view.now_us))
        view.put(PACK, rows[-1])
    for id_, hash_, version, effective_from in sorted((row[:4] for row in rows), key=lambda row: row[3]):
        _write(view, journal, act, id_, version, hash_, effective_from)
    view.put(SHELF, (_SHELF, journals_opened(view) + 1))


@dataclass(frozen=True, slots=True)
class Founding:
    """The pack that a deployment starts with, and its files as they are stored. Nobody proposed it."""

    pack: Pack
    files: bytes

    def row(self, now_us: int) -> Row:
        pack = self.pack
        first = pack.effective_from.isoformat()
        return (pack.id, pack.hash, pack.version, first, now_us, "", "system", "system", self.files)


def is_founding(row: Row) -> bool:
    """Is this row of PACK the founding pack's?"""
    return row[5] == ""


def journals_opened(view: View) -> int:
    """How many journals were opened under this shelf so far."""
    row = view.get(SHELF, _SHELF)
    return 0 if row is None else row[1]


def _write(view: View, journal: str, act: Act, id_: str, version: str, hash_: str, effective_from: str) -> None:
    adopt_pack(view, journal, act, id=id_, version=version, hash=hash_, effective_from=effective_from)
