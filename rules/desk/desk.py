# SPDX-License-Identifier: Apache-2.0
"""The desk's front: what other rooms call. It prepares, submits one command, and answers from what came back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.ids import ordered_id
from ledger.port import Command, Retry
from rules.desk.approval import Decided
from rules.desk.assess import AWAITING, Assessed
from rules.desk.award import AwardCommand, Previewed, Second, above_all
from rules.desk.batch import ROWS_MAX, BatchAnswer, BatchCommand, Line, OnError, Source
from rules.desk.deciding import Approvals, Decider
from rules.desk.prepare import Places, Prepared, Preparer, refuse
from rules.desk.records import AwardRecord, BatchRecord, Records
from rules.desk.request import SHEET_LEVEL, AwardRequest, Evidence
from rules.desk.reversal import Reversal
from rules.desk.reversing import Reversals
from rules.desk.whynot import WhyNot
from rules.ports import Actor, Brake, NoBrake, Rooms, Vault
from rules.shelf import Shelf

RowIn = tuple[int, AwardRequest | Refusal | None]
Along = Callable[[AwardCommand], Command]  # a command around an award's, for what must happen together with it


@dataclass(frozen=True, slots=True)
class AwardAnswer:
    """A single award as answered."""

    record: AwardRecord
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a report would become, or why not; nothing was changed. `checks` are those of a refused one, as far as the
    report could be put together: see `rules.engine.review`."""

    state: str
    standing: int = 0
    points: int = 0
    trace: Mapping[str, Any] | None = None
    refusal: Refusal | None = None
    checks: Sequence[Mapping[str, Any]] = ()


class Desk:
    """From a reported deed to a posted award, with whoever has to agree on the way."""

    def __init__(
        self, ledger: Ledger, vault: Vault, register: Places, shelf: Shelf, brake: Brake | None = None
    ) -> None:
        self.ledger = ledger
        self.vault = vault
        self.places = register
        self.shelf = shelf
        self.brake = brake or NoBrake()
        self.records = Records(ledger, vault)
        self._preparer = Preparer(ledger, vault, register, shelf)
        self._approvals = Approvals(ledger, self.records, self._preparer)
        self._reversals = Reversals(ledger, self.records, self._preparer)
        self.confirmers = self._preparer.confirmers
        self._months: dict[tuple[str, str], dict[str, int]] = {}

    # one award -------------------------------------------------------------------------------------------------

    async def award(
        self, actor: Actor, request: AwardRequest, retry: Retry | None = None, along: Along | None = None
    ) -> AwardAnswer:
        """Post one award, or put it before a second person; `along` adds what belongs to the same commit. Raises every
        reason why not."""
        try:
            prepared = await self._preparer.one(actor, request, self.ledger.new_id("txn"))
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            rooms = await self.brake.rooms((prepared.place,))
            command = AwardCommand(prepared, self._second(actor, prepared, rooms), retry, rooms=rooms)
            answer = await self.ledger.submit(command if along is None else along(command))
        if answer.replayed:
            return await self._again(answer.ref)
        return AwardAnswer(answer.value)

    async def recall(self, retry: Retry, refusal: Refusal) -> AwardAnswer:
        """For a report that could not even be put together: the award its retry key stands for, or the refusal."""
        answer = await refuse(self.ledger, retry, refusal)
        return await self._again(answer.ref)

    async def _again(self, award: str) -> AwardAnswer:
        """An award as it stands now. Raises `subject_erased` where its story cannot be told any more."""
        record = await self.records.award(award)
        if record.trace is None:
            raise Refusal("subject_erased", subject=record.subject)
        return AwardAnswer(record, True)

    async def evaluate(self, actor: Actor, request: AwardRequest) -> Judgement:
        """What `award` would do now."""
        prepared: Prepared | None = None
        try:
            prepared = await self._preparer.one(actor, request, self.ledger.new_id("txn"))
            rooms = await self.brake.rooms((prepared.place,))
            seen: tuple[Assessed, Any] = await self._dry(AwardCommand(prepared, None, None, dry=True, rooms=rooms))
        except Refusal as refusal:
            return Judgement("refused", refusal=refusal, checks=await self._checks(prepared))
        outcome, why = seen[0].outcome, seen[1]
        state = AWAITING if why else outcome.state
        return Judgement(state, outcome.standing, outcome.points, outcome.trace)

    async def _checks(self, prepared: Prepared | None) -> Sequence[Mapping[str, Any]]:
        """All that a refused report was judged by; nothing where it was never put together or its account is gone."""
        try:
            return () if prepared is None else await self._dry(WhyNot(prepared))
        except Refusal:
            return ()

    async def _dry(self, command: Command) -> Any:
        """What a command sees that always leaves by its preview."""
        try:
            await self.ledger.submit(command)
        except Previewed as seen:
            return seen.value
        raise AssertionError("a dry run always leaves by its preview")

    def _second(self, actor: Actor, prepared: Prepared, rooms: Rooms) -> Second | None:
        if not (prepared.needs_second or prepared.indicator.cooling or rooms):
            return None
        return Second(self.ledger.new_id("apr"), actor, prepared.place, (prepared.place,))

    # batches ---------------------------------------------------------------------------------------------------

    async def preview(
        self, actor: Actor, rows: Sequence[RowIn], *, source: Source = "api", ask: bool = False
    ) -> BatchRecord:
        """What `commit` would answer now, row by row; nothing is written."""
        command = await self._command(actor, rows, source, "skip", None, ask, dry=True)
        try:
            await self.ledger.submit(command)
        except Previewed as seen:
            return seen.value
        raise AssertionError("a dry run always leaves by its preview")

    async def commit(
        self,
        actor: Actor,
        rows: Sequence[RowIn],
        *,
        source: Source = "api",
        on_error: OnError = "abort",
        ask: bool = False,
        retry: Retry | None = None,
    ) -> BatchAnswer:
        """Post all rows in one decision, or store them for a second person.

        With `abort`, one refused row refuses the batch (`batch_has_errors`) and nothing is stored. `ask` puts the batch
        before a second person even if it is small, so that a sign-in list can earn points.
        """
        try:
            command = await self._command(actor, rows, source, on_error, retry, ask)
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            answer = await self.ledger.submit(command)
        if answer.replayed:
            return BatchAnswer(await self.records.batch(answer.ref), True)
        return BatchAnswer(answer.value)

    async def _command(
        self,
        actor: Actor,
        rows: Sequence[RowIn],
        source: Source,
        on_error: OnError,
        retry: Retry | None,
        ask: bool,
        dry: bool = False,
    ) -> BatchCommand:
        if not rows:
            raise Refusal("request_invalid", errors=[{"pointer": "/items", "code": "too_short", "limit": 1}])
        if sum(what is not None for _, what in rows) > ROWS_MAX:
            raise Refusal("request_invalid", errors=[{"pointer": "/items", "code": "too_long", "limit": ROWS_MAX}])
        id_, txn = self.ledger.new_id("bat"), self.ledger.new_id("txn")
        asked = [what for _, what in rows if isinstance(what, AwardRequest)]
        if source == "sheet":
            asked = [_listed(request) for request in asked]
        ready = iter(await self._preparer.many(actor, asked, txn))
        lines: list[Line] = []
        for row, what in rows:
            resolved = next(ready) if isinstance(what, AwardRequest) else what
            if isinstance(resolved, Prepared):
                resolved.line, resolved.batch = row, id_
            lines.append(Line(row, resolved))
        made = [line.what for line in lines if isinstance(line.what, Prepared)]
        places = tuple(sorted({p.place for p in made}))
        where = above_all(self.places, places) if places else next((place for _, place in actor.roles), "")
        second = Second(self.ledger.new_id("apr"), actor, where, places)
        limits = self.shelf.at(self.ledger.clock()).approval
        return BatchCommand(
            id=id_,
            lines=lines,
            source=source,
            on_error=on_error,
            second=second,
            limits=limits,
            month_points=await self._month_before() if len(made) > limits.share_rows else {},
            ask=ask,
            retry=retry,
            journals=tuple(sorted({p.home for p in made})),
            weight=max(1, len(made)),
            dry=dry,
            rooms=await self.brake.rooms(places),
        )

    async def _month_before(self) -> dict[str, int]:
        """Points that each journal gave in the calendar month before this one."""
        zone = self.shelf.zone
        today = datetime.fromtimestamp(self.ledger.clock() / 1_000_000, ZoneInfo(zone))
        first = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        before = (first - timedelta(days=1)).replace(day=1)
        key = (today.date().isoformat(), before.date().isoformat())
        if key not in self._months:
            # An award's id begins with its instant, so a month is one range of the primary key.
            low, high = (_first_id(int(moment.astimezone(UTC).timestamp()) * 1_000_000) for moment in (before, first))
            rows = await self.ledger.fetch(
                "SELECT journal, SUM(points) FROM award WHERE id >= ? AND id < ? AND seq IS NOT NULL GROUP BY journal",
                low,
                high,
            )
            self._months = {key: {journal: int(points) for journal, points in rows}}
        return self._months[key]

    async def ripen(self) -> int:
        """Post what has waited out its cooling-off; how many decisions."""
        return await self._approvals.ripen()

    # what waits, and what is taken back ----------------------------------------------------------------------------

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
        return await self._approvals.approve(actor, approval, etag=etag, reason=reason, retry=retry)

    async def reject(
        self, actor: Actor, approval: str, *, reason: str, etag: str | None = None, retry: Retry | None = None
    ) -> tuple[Decided, bool]:
        """Send back what waits; whoever proposed it may take it back too."""
        return await self._approvals.reject(actor, approval, reason=reason, etag=etag, retry=retry)

    def shares_queue(self, kind: str, decider: Decider) -> None:
        """Let approvals of another kind wait in the desk's queue, and be decided by `decider`."""
        self._approvals.others[kind] = decider

    async def reverse(
        self, actor: Actor, award: str, *, reason: str, occurred_on: str, retry: Retry | None = None
    ) -> tuple[Reversal, bool]:
        """Take one award back. Raises `already_reversed`, `not_reversible`."""
        return await self._reversals.reverse(actor, award, reason=reason, occurred_on=occurred_on, retry=retry)

    async def reverse_batch(
        self,
        actor: Actor,
        batch: str,
        *,
        reason: str,
        occurred_on: str,
        rows: Collection[int] | None = None,
        retry: Retry | None = None,
    ) -> tuple[list[Reversal], bool]:
        """Take a batch back, or some of its rows; what is reversed already is said, not refused."""
        return await self._reversals.reverse_batch(
            actor, batch, reason=reason, occurred_on=occurred_on, rows=rows, retry=retry
        )


def _listed(request: AwardRequest) -> AwardRequest:
    """A row of a sheet is evidence of its own: a list that its keeper vouches for."""
    if request.evidence:
        return request
    return request._replace(evidence=(Evidence("sign_in_sheet", SHEET_LEVEL),))


def _first_id(instant_us: int) -> str:
    return ordered_id("awd", instant_us, lambda length: bytes(length))
