# SPDX-License-Identifier: Apache-2.0
"""A second person's yes or no: who may say it, and what is put before the commit."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import orjson

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Command, Retry
from ledger.tables import Row
from ledger.view import local_day
from rules.desk import cooling
from rules.desk.approval import ApproveCommand, Decided, RejectCommand, resealed
from rules.desk.prepare import Prepared, Preparer, refuse
from rules.desk.records import ApprovalRecord, Records, opened
from rules.desk.request import AwardRequest, restated
from rules.ports import APPROVING, SYSTEM, Actor


class Decider(Protocol):
    """Another room's part in the queue: what a yes or a no to its own kind of matter will do, who may say it, and what
    is to be done when it was said."""

    async def approval(
        self, actor: Actor, found: ApprovalRecord, etag: str | None, reason: str | None, retry: Retry | None, /
    ) -> Command: ...
    async def rejection(
        self, actor: Actor, found: ApprovalRecord, etag: str | None, reason: str, retry: Retry | None, /
    ) -> Command: ...
    async def decided(self, found: ApprovalRecord, /) -> Decided: ...
    async def settled(self) -> None: ...


class Approvals:
    """What waits for a second person, decided. `others` decide about kinds of matters that are not the desk's."""

    def __init__(self, ledger: Ledger, records: Records, preparer: Preparer) -> None:
        self.ledger = ledger
        self.records = records
        self._preparer = preparer
        self.places = preparer.places
        self.shelf = preparer.shelf
        self.others: dict[str, Decider] = {}

    async def approve(
        self,
        actor: Actor,
        approval: str,
        *,
        etag: str | None = None,
        reason: str | None = None,
        retry: Retry | None = None,
    ) -> tuple[Decided, bool]:
        """Post what waits, judged again now. The flag tells that this is the answer to an earlier request."""
        other: Decider | None = None
        try:
            found = await self.records.approval(approval)
            other = self.others.get(found.kind)
            command: Command = (
                await self._approval(actor, found, etag, reason, retry)
                if other is None
                else await other.approval(actor, found, etag, reason, retry)
            )
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            answer = await self.ledger.submit(command)
        if answer.replayed:
            return await self._decided(answer.ref), True
        if other is not None:
            await other.settled()
        return answer.value, False

    async def ripen(self) -> int:
        """Post what only had to wait for its day: nobody stands by it, so its evidence stays as strong as it was."""
        today = local_day(self.ledger.clock(), self.shelf.zone)
        done = 0
        for id_, why in await self.ledger.fetch("SELECT id, why FROM approval WHERE state = 'open' ORDER BY id"):
            told = orjson.loads(why)
            if cooling.only(told) and cooling.until(told) <= today:
                found = await self.records.approval(id_)
                rows = await self._targets(found)
                with suppress(Refusal):  # decided meanwhile, or nobody's account any more: shown in the queue as it is
                    await self.ledger.submit(await self._command(SYSTEM, found, rows, confirmed=False))
                    done += 1
        return done

    async def _approval(
        self, actor: Actor, found: ApprovalRecord, etag: str | None, reason: str | None, retry: Retry | None
    ) -> ApproveCommand:
        self._may_decide(actor, found)
        if found.proposed_by(actor):
            raise Refusal("same_person", approval=found.id)
        rows = await self._targets(found)
        own = [row[2] for row in rows if actor.subject is not None and row[6] == actor.subject]
        if own:
            raise Refusal("self_award", rows=[line for line in own if line is not None])
        source = "api" if found.kind == "award" else (await self.records.batch_row(found.target))[2]
        return await self._command(actor, found, rows, source == "sheet", etag, reason, retry)

    async def _command(
        self,
        actor: Actor,
        found: ApprovalRecord,
        rows: list[Row],
        confirmed: bool,
        etag: str | None = None,
        reason: str | None = None,
        retry: Retry | None = None,
    ) -> ApproveCommand:
        """`confirmed`: the actor stands by the list, which makes its evidence stronger."""
        keys = await self._preparer.keys(sorted({row[6] for row in rows}))
        requests: list[AwardRequest | Refusal] = []
        for row in rows:
            key = keys.get(row[6])
            gone = Refusal("subject_erased", subject=row[6])
            requests.append(gone if key is None else restated(opened(row, key)["request"]))
        asked = [what for what in requests if isinstance(what, AwardRequest)]
        ready = iter(await self._preparer.many(actor, asked, self.ledger.new_id("txn"), again=True))
        waiting: list[tuple[str, Prepared | Refusal]] = []
        for row, what in zip(rows, requests, strict=True):
            resolved = next(ready) if isinstance(what, AwardRequest) else what
            if isinstance(resolved, Prepared):
                resolved.id, resolved.batch, resolved.line, resolved.proposer = row[0], row[1], row[2], row[17]
            waiting.append((row[0], resolved))
        return ApproveCommand(
            approval=found,
            waiting=waiting,
            confirmed=confirmed,
            zone=self.shelf.zone,
            actor=actor.id,
            etag=etag,
            reason=reason,
            retry=retry,
            journals=tuple(sorted({p.home for _, p in waiting if isinstance(p, Prepared)})),
            weight=max(1, len(waiting)),
        )

    async def reject(
        self,
        actor: Actor,
        approval: str,
        *,
        reason: str,
        etag: str | None = None,
        retry: Retry | None = None,
    ) -> tuple[Decided, bool]:
        """Send back what waits; whoever proposed it may take it back too."""
        try:
            found = await self.records.approval(approval)
            command = await self._rejection(actor, found, etag, reason, retry)
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            answer = await self.ledger.submit(command)
        if answer.replayed:
            return await self._decided(answer.ref), True
        return answer.value, False

    async def _rejection(
        self, actor: Actor, found: ApprovalRecord, etag: str | None, reason: str, retry: Retry | None
    ) -> Command:
        if (other := self.others.get(found.kind)) is not None:
            return await other.rejection(actor, found, etag, reason, retry)
        if actor.id != found.proposer:
            self._may_decide(actor, found)
        rows = await self._targets(found)
        sealed: dict[str, bytes] = {}
        if found.kind == "award":
            keys = await self._preparer.keys([row[6] for row in rows])
            story = {"rejection": {"reason": reason, "actor": actor.id}}
            sealed = {
                row[0]: resealed(row, opened(row, keys[row[6]]), keys[row[6]], story) for row in rows if row[6] in keys
            }
        return RejectCommand(found, [row[0] for row in rows], sealed, actor.id, etag, reason, retry)

    def _may_decide(self, actor: Actor, approval: ApprovalRecord) -> None:
        for place in approval.places:
            if not actor.may(APPROVING, place, self.places.covers):
                raise Refusal("forbidden", place=place)

    async def _targets(self, approval: ApprovalRecord) -> list[Row]:
        if approval.kind == "award":
            return [await self.records.award_row(approval.target)]
        return await self.records.award_rows(approval.target)

    async def _decided(self, id_: str) -> Decided:
        """A decision as it stands in the store, for who asks again."""
        found = await self.records.approval(id_)
        if (other := self.others.get(found.kind)) is not None:
            return await other.decided(found)
        if found.kind == "award":
            award = await self.records.award(found.target)
            return Decided(id_, "award", found.target, found.state, award.standing, award.points, {}, found.changed)
        batch = await self.records.batch(found.target)
        sums = (batch.standing, batch.points)
        return Decided(id_, "batch", found.target, found.state, *sums, batch.counts, found.changed)
