# SPDX-License-Identifier: Apache-2.0
"""Publishing a pack: one person proposes what has passed the gate, another adopts it, all read it a week before.

A proposal waits in the same queue as awards do. Adopting writes the pack and a policy entry in every journal in one
commit. A pack is for the whole deployment, so both people must stand over all of it: whoever leads the credit work
may propose, and the council (社区信用议事会) or an approver of the county adopts. An administrator cannot adopt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import orjson

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import PutRows, Retry
from ledger.view import local_day
from rules.desk.approval import Decided
from rules.desk.award import Second
from rules.desk.records import ApprovalRecord
from rules.engine.model import Pack
from rules.engine.pack import read_pack
from rules.ports import ADOPTING_PACKS, PROPOSING_PACKS, Actor
from rules.publishing.adopting import AdoptPack, RejectPack
from rules.publishing.changes import Change, changes
from rules.publishing.forward import Line, Published, check_forward
from rules.publishing.gate import Backtest, GateReport, examples, gate, read
from rules.shelf import Shelf, packed, unpacked
from rules.tables import APPROVAL, PACK_PROPOSAL


class County(Protocol):
    """What publishing asks of the register: the tops of the tree, and what lies below them."""

    def children(self, parent: str | None, /) -> list[Any]: ...
    def covers(self, upper: str, lower: str, /) -> bool: ...


class PackRefused(Refusal):
    """The gate says no; `report` tells at which stage and why."""

    def __init__(self, report: GateReport) -> None:
        found = [finding for stage, finding in report.findings() if stage == report.failed]
        super().__init__("pack_refused", stage=report.failed, findings=len(found))
        self.report = report


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pack that waits, or waited, for a second person; `report` is what the gate said when it was proposed."""

    id: str
    approval: str
    hash: str
    version: str
    effective_from: str
    proposer: str
    created_at: int
    pack: Pack
    report: list[dict[str, Any]]


class Publishing:
    """Proposals, adoption and the public notice. `backtest` runs a pack against the ledger's history."""

    def __init__(self, ledger: Ledger, places: County, shelf: Shelf, backtest: Backtest | None = None) -> None:
        self.ledger = ledger
        self.places = places
        self.shelf = shelf
        self.backtest = backtest

    async def propose(self, actor: Actor, files: Mapping[str, bytes]) -> Proposal:
        """Put a pack before a second person. Raises `forbidden`, what `check_forward` raises, and `PackRefused`."""
        places = self._whole(actor, PROPOSING_PACKS)
        report = await self._passed(files)
        assert report.pack is not None
        pack, id_ = report.pack, self.ledger.new_id("ppk")
        second = Second(self.ledger.new_id("apr"), actor, places[0], tuple(places))
        now, day = self.ledger.clock(), pack.effective_from.isoformat()
        why = [{"code": "pack", "id": pack.id, "version": pack.version, "effective_from": day, "hash": pack.hash}]
        row = (
            id_, pack.id, pack.version, pack.hash, day, actor.id, now,
            packed(files), orjson.dumps(report.data()),
        )  # fmt: skip
        waits = second.row("pack", id_, why, len(pack.indicators), 0, 0, now)
        await self.ledger.submit(PutRows(inserts=((PACK_PROPOSAL, row), (APPROVAL, waits))))
        return await self.proposal(id_)

    async def _passed(self, files: Mapping[str, bytes]) -> GateReport:
        await self.shelf.refresh()
        quick = read(files)
        if quick.pack is None:
            raise PackRefused(quick)
        await self._forward(quick.pack)
        report = await gate(files, self.backtest)
        if not report.ok:
            raise PackRefused(report)
        return report

    async def _forward(self, pack: Pack) -> None:
        """Could it be adopted today? Asked before the long stages; the commit asks again."""
        journals = await self.ledger.journals()
        today = date.fromisoformat(local_day(self.ledger.clock(), self.shelf.zone))
        since = [Published(one.version, one.effective_from.isoformat()) for one in self.shelf.packs]
        noticed = not all(journal["takeover"] for journal in journals)
        check_forward(self._line, since, pack, today, noticed=noticed)

    @property
    def _line(self) -> Line:
        first = self.shelf.first
        return Line(first.id, first.zone, Published(first.version, first.effective_from.isoformat()))

    def _whole(self, actor: Actor, roles: Collection[str]) -> list[str]:
        """The tops of the tree, all under the actor in one of these roles. Raises `forbidden`."""
        tops = sorted(place.code for place in self.places.children(None))
        for top in tops or [""]:
            if not tops or not actor.may(roles, top, self.places.covers):
                raise Refusal("forbidden", place=top)
        return tops

    # the second person: called by the queue that all approvals wait in ----------------------------------------------

    async def approval(
        self, actor: Actor, found: ApprovalRecord, etag: str | None, reason: str | None, retry: Retry | None
    ) -> AdoptPack:
        """What a yes will do. Raises `forbidden`, `same_person`, and `PackRefused` where the software has changed since
        and the pack does not hold any more."""
        self._whole(actor, ADOPTING_PACKS)
        if found.proposed_by(actor):
            raise Refusal("same_person", approval=found.id)
        files = await self.files(found.target)
        report = read(files)
        if report.pack is None:
            raise PackRefused(report)
        if (again := examples(report.pack)).state != "passed":
            raise PackRefused(GateReport((again,), report.pack))
        opened = await self.ledger.fetch("SELECT journals FROM shelf")
        journals = await self.ledger.journals()
        return AdoptPack(
            approval=found,
            pack=report.pack,
            files=packed(files),
            line=self._line,
            actor=actor.id,
            etag=etag,
            reason=reason,
            retry=retry,
            txn=self.ledger.new_id("txn"),
            journals=tuple(journal["journal"] for journal in journals),
            opened=opened[0][0] if opened else 0,
        )

    async def rejection(
        self, actor: Actor, found: ApprovalRecord, etag: str | None, reason: str, retry: Retry | None
    ) -> RejectPack:
        """What a no will do; whoever proposed it may take it back."""
        if actor.id != found.proposer:
            self._whole(actor, ADOPTING_PACKS)
        return RejectPack(found, actor.id, etag, reason, retry)

    async def settled(self) -> None:
        """A decision has been committed."""
        await self.shelf.refresh()

    async def decided(self, found: ApprovalRecord) -> Decided:
        """A decision as it stands in the store."""
        return Decided(found.id, found.kind, found.target, found.state)

    # reading -------------------------------------------------------------------------------------------------------

    async def proposal(self, id_: str) -> Proposal:
        """Raises `not_found`."""
        rows = await self.ledger.fetch(
            "SELECT p.id, a.id, p.hash, p.version, p.effective_from, p.proposer, p.created_at, p.files, p.report "
            "FROM pack_proposal p JOIN approval a ON a.target = p.id AND a.kind = 'pack' WHERE p.id = ?",
            id_,
        )
        if not rows:
            raise Refusal("not_found", what="pack", id=id_[:64])
        row = rows[0]
        pack, report = read_pack(unpacked(bytes(row[7]))), orjson.loads(bytes(row[8]))
        return Proposal(row[0], row[1], row[2], row[3], row[4], row[5], row[6], pack, report)

    async def published(self) -> dict[str, int]:
        """When each pack was published (µs), by its hash; the founding pack never was."""
        return dict(await self.ledger.fetch("SELECT hash, published_at FROM pack WHERE proposal <> ''"))

    def changes(self, pack: Pack) -> list[Change]:
        """What a pack changes, against the one in force before it; nothing for the first."""
        earlier = [one for one in self.shelf.packs if one.effective_from < pack.effective_from]
        return list(changes(earlier[-1], pack)) if earlier else []

    async def files(self, proposal: str) -> dict[str, bytes]:
        """The files of a proposal, by name; empty where there is none."""
        rows = await self.ledger.fetch("SELECT files FROM pack_proposal WHERE id = ?", proposal)
        return unpacked(bytes(rows[0][0])) if rows else {}
