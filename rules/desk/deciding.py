# SPDX-License-Identifier: Apache-2.0
"""A second person's yes or no: who may say it, and what is put before the commit."""

from __future__ import annotations

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Retry
from ledger.tables import Row
from rules.desk.approval import ApproveCommand, Decided, RejectCommand, resealed
from rules.desk.prepare import Prepared, Preparer, refuse
from rules.desk.records import ApprovalRecord, Records, approval_record, opened
from rules.desk.request import AwardRequest, restated
from rules.ports import APPROVING, Actor


class Approvals:
    """What waits for a second person, decided."""

    def __init__(self, ledger: Ledger, records: Records, preparer: Preparer) -> None:
        self.ledger = ledger
        self.records = records
        self._preparer = preparer
        self.places = preparer.places
        self.shelf = preparer.shelf

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
        try:
            command = await self._approval(actor, approval, etag, reason, retry)
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            answer = await self.ledger.submit(command)
        if answer.replayed:
            return await self._decided(answer.ref), True
        return answer.value, False

    async def _approval(
        self, actor: Actor, id_: str, etag: str | None, reason: str | None, retry: Retry | None
    ) -> ApproveCommand:
        found = await self.records.approval(id_)
        self._may_decide(actor, found)
        if actor.id == found.proposer or (actor.subject is not None and actor.subject == found.proposer_subject):
            raise Refusal("same_person", approval=id_)
        rows = await self._targets(found)
        own = [row[2] for row in rows if actor.subject is not None and row[6] == actor.subject]
        if own:
            raise Refusal("self_award", rows=[line for line in own if line is not None])
        keys = await self._preparer.keys(sorted({row[6] for row in rows}))
        source = "api" if found.kind == "award" else (await self.records.batch_row(found.target))[2]
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
            sheet=source == "sheet",
            zone=self.shelf.newest().zone,
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
            if actor.id != found.proposer:
                self._may_decide(actor, found)
            rows = await self._targets(found)
            sealed: dict[str, bytes] = {}
            if found.kind == "award":
                keys = await self._preparer.keys([row[6] for row in rows])
                story = {"rejection": {"reason": reason, "actor": actor.id}}
                sealed = {
                    row[0]: resealed(row, opened(row, keys[row[6]]), keys[row[6]], story)
                    for row in rows
                    if row[6] in keys
                }
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            command = RejectCommand(found, [row[0] for row in rows], sealed, actor.id, etag, reason, retry)
            answer = await self.ledger.submit(command)
        if answer.replayed:
            return await self._decided(answer.ref), True
        return answer.value, False

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
        found = approval_record(await self.records.approval_row(id_))
        if found.kind == "award":
            award = await self.records.award(found.target)
            return Decided(id_, "award", found.target, found.state, award.standing, award.points, {}, found.changed)
        batch = await self.records.batch(found.target)
        sums = (batch.standing, batch.points)
        return Decided(id_, "batch", found.target, found.state, *sums, batch.counts, found.changed)
