# SPDX-License-Identifier: Apache-2.0
"""The front of the room: who may object to what, who decides, and one command for each of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import date
from typing import Any, Protocol

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import BadKey
from ledger.model import Act, Link
from ledger.port import Answer, Command, Retry
from ledger.tables import Row
from ledger.view import local_day
from rules.desk.prepare import Places, Preparer, refuse
from rules.desk.records import Records
from rules.desk.reversing import Reversals
from rules.objections.correcting import Corrections
from rules.objections.deciding import DecideCommand
from rules.objections.domain import HELPING, OPEN, Kind, Missing, Outcome, Target, check_decider, kept_until
from rules.objections.filing import ExtendCommand, FileCommand, ForgetCommand, KeepCommand, WithdrawCommand
from rules.objections.records import ObjectionRecord, opened, record
from rules.ports import SYSTEM, Actor, Vault
from rules.shelf import Shelf
from rules.tables import OBJECTION
from rules.workdays import Workdays


class Elsewhere(Protocol):
    """What can be disputed and is kept in other rooms; None for what is not there."""

    async def redemption(self, id_: str) -> Target | None: ...
    async def edition_entry(self, id_: str) -> Target | None: ...
    async def accounts(self, callers: Collection[str]) -> set[str]:
        """The subjects that these callers are, as far as that is known: one person may have two logins."""
        ...


class Objections:
    """Makes, extends, withdraws and decides objections, and keeps points from lapsing while they are open."""

    def __init__(
        self, ledger: Ledger, vault: Vault, places: Places, shelf: Shelf, workdays: Workdays, elsewhere: Elsewhere
    ) -> None:
        self.ledger = ledger
        self.vault = vault
        self.places = places
        self.shelf = shelf
        self.workdays = workdays
        self.elsewhere = elsewhere
        self._records = Records(ledger, vault)
        self._preparer = Preparer(ledger, vault, places, shelf)
        reversals = Reversals(ledger, self._records, self._preparer)
        self._corrections = Corrections(ledger, self._records, self._preparer, reversals)

    @property
    def today(self) -> str:
        return local_day(self.ledger.clock(), self.shelf.zone)

    # making one ------------------------------------------------------------------------------------------------

    async def file(
        self,
        actor: Actor,
        subject: str,
        kind: Kind,
        what: tuple[str, int] | str | Missing,
        reason: str,
        retry: Retry | None = None,
    ) -> tuple[ObjectionRecord, bool]:
        """Object for oneself, or on behalf of somebody at the actor's place. The flag tells that this is the answer to
        an earlier request. `what` is an entry's (journal, seq), the id of an award or of what is kept elsewhere, or the
        deed that is missing.

        Raises `objection_open` naming the one there is, `not_found`, `forbidden`, `subject_erased`.
        """

        async def prepared() -> FileCommand:
            known = await self._preparer.subjects.one(subject)
            key = await self.vault.data_key(subject)
            grid = await self._grid(subject, known.home)
            if actor.id != subject and not actor.may(HELPING, grid, self.places.covers):
                raise Refusal("forbidden", place=known.home)
            about, target = await self._target(subject, kind, what, grid)
            detail = None
            if kind != "entry":
                detail = what.stated() if isinstance(what, Missing) else {"id": str(what)}
            id_ = self.ledger.new_id("obj")
            said = {"objection": id_, "target": target, "reason": reason}
            act = self._act(actor, said, key, reason)
            return FileCommand(
                id_, kind, target, about, detail, reason, actor.id, known.home, key, act, self.workdays, retry
            )

        return await self._answered(retry, prepared)

    async def _grid(self, subject: str, home: str) -> str:
        rows = await self.ledger.fetch("SELECT grid FROM subject WHERE subject = ?", subject)
        return (rows[0][0] if rows else "") or home

    async def _target(
        self, subject: str, kind: Kind, what: tuple[str, int] | str | Missing, grid: str
    ) -> tuple[Target, str]:
        """What is meant, and its name among things disputed: an entry has one, whatever it was asked for by."""
        if isinstance(what, Missing):
            self.places.place(what.place)
            self.shelf.indicator(what.indicator, what.occurred_on)
            if what.occurred_on.isoformat() > self.today:
                wrong = {"pointer": "/missing/occurred_on", "code": "in_future", "found": what.occurred_on.isoformat()}
                raise Refusal("facts_invalid", errors=[{**wrong, "allowed": f"..{self.today}"}])
            named = "/".join((subject, what.indicator, what.occurred_on.isoformat(), what.place))
            return Target(subject, what.place), f"missing:{named}"
        if kind == "entry" and isinstance(what, str):
            rows = await self.ledger.fetch(
                "SELECT journal, seq FROM award WHERE id = ? AND subject = ? AND seq IS NOT NULL", what, subject
            )
            if not rows:
                raise Refusal("not_found", what="entry", id=what[:60])
            what = (rows[0][0], rows[0][1])
        if isinstance(what, tuple):
            journal, seq = what
            entry = await self.ledger.entry(journal, seq)
            if entry.fields.get("subject") != subject:
                raise Refusal("not_found", what="entry", id=f"{journal}/{seq}")
            place = entry.fields.get("place", grid)
            about = Target(subject, place, Link("disputes", journal, seq, entry.leaf))
        else:
            found = await self._elsewhere(kind, what)
            if found is None or found.subject != subject:
                raise Refusal("not_found", what=kind, id=what[:60])
            about = found
        entry = about.entry
        return about, f"{kind}:{what}" if entry is None else f"entry:{entry.journal}/{entry.seq}"

    async def _elsewhere(self, kind: str, id_: str) -> Target | None:
        find = self.elsewhere.redemption if kind == "redemption" else self.elsewhere.edition_entry
        return await find(id_)

    # while it is open --------------------------------------------------------------------------------------------

    async def extend(
        self, actor: Actor, id_: str, reason: str, retry: Retry | None = None
    ) -> tuple[ObjectionRecord, bool]:
        """More time, once, because others must check. Raises `objection_extended`, `objection_overdue`."""

        async def prepared() -> ExtendCommand:
            found, home, key = await self._deciding(actor, id_)
            act = self._act(actor, {"extend": id_, "reason": reason}, key, reason)
            return ExtendCommand(id_, found.subject, home, key, act, reason, self.workdays, retry)

        return await self._answered(retry, prepared)

    async def withdraw(self, actor: Actor, id_: str, retry: Retry | None = None) -> tuple[ObjectionRecord, bool]:
        """By the subject alone, also where somebody made it on their behalf."""

        async def prepared() -> WithdrawCommand:
            found = await self._found(id_)
            if actor.id != found.subject:
                raise Refusal("not_found", what="objection", id=id_[:60])
            key = await self.vault.data_key(found.subject)
            act = self._act(actor, {"withdraw": id_}, key)
            return WithdrawCommand(id_, found.subject, await self.ledger.home(found.subject), key, act, retry)

        return await self._answered(retry, prepared)

    async def keep(self) -> int:
        """Give a later day to what would lapse while an objection is open, and end those of erased subjects; how many
        lots and objections."""
        done, today = 0, date.fromisoformat(self.today)
        for id_, subject, target, due in await self.ledger.fetch(
            "SELECT id, subject, target, due FROM objection WHERE state = ? ORDER BY id", OPEN
        ):
            try:
                home = await self.ledger.home(subject)
                key = await self.vault.data_key(subject)
            except Refusal as refusal:
                if refusal.code == "subject_erased":
                    done += (await self.ledger.submit(ForgetCommand(id_, target))).value
                continue
            later = kept_until(date.fromisoformat(due), today).isoformat()
            lapsing = await self.ledger.fetch(
                "SELECT 1 FROM balance WHERE journal = ? AND account = ? AND lot >= ? AND lot < ? LIMIT 1",
                home,
                f"subject:{subject}",
                today.isoformat(),
                later,
            )
            if lapsing:
                act = self._act(SYSTEM, {"keep": id_, "until": later}, key)
                done += (await self.ledger.submit(KeepCommand(id_, subject, home, act))).value
        return done

    # deciding ----------------------------------------------------------------------------------------------------

    async def decide(
        self,
        actor: Actor,
        id_: str,
        outcome: Outcome,
        reason: str,
        facts: Mapping[str, int | str] | None = None,
        retry: Retry | None = None,
    ) -> tuple[ObjectionRecord, bool]:
        """Decide and set right. Raises `forbidden`, `same_person`, `already_decided`, and what the desk raises where
        nothing can be set right as asked; then the objection is as open as before."""

        async def prepared() -> DecideCommand:
            found, home, key = await self._deciding(actor, id_)
            said: dict[str, Any] = {"decide": id_, "outcome": outcome, "reason": reason}
            if facts is not None:
                said["facts"] = dict(facts)
            act = self._act(actor, said, key, reason)
            correction = await self._corrections.prepare(
                actor, found, outcome, facts, reason=reason, today=act.occurred_on, key=key
            )
            done = correction.within(act.txn)
            return DecideCommand(id_, found.subject, found.target, home, outcome, reason, done, key, act, retry)

        return await self._answered(retry, prepared)

    async def _deciding(self, actor: Actor, id_: str) -> tuple[ObjectionRecord, str, bytes]:
        """The open objection with its subject's home and key, if this actor may decide it."""
        found = await self._found(id_)
        involved = await self._involved(found)
        place, home = found.place, found.journal
        check_decider(
            actor, place=place, home=home, subject=found.subject, involved=involved, covers=self.places.covers
        )
        if found.state != OPEN:
            raise Refusal("already_decided", objection=id_, state=found.state)
        return found, await self.ledger.home(found.subject), await self.vault.data_key(found.subject)

    async def _involved(self, found: ObjectionRecord) -> set[str]:
        """Everybody who had a hand in what is disputed: who made the entry, who proposed and who approved the award
        behind it, and who made the objection; each also by the account that they have, whatever login they use."""
        people: set[str | None] = {found.filed_by}
        if found.target_journal is not None and found.target_seq is not None:
            people.add((await self.ledger.entry(found.target_journal, found.target_seq)).fields["actor"])
        if found.detail is not None and "id" in found.detail:
            about = await self._elsewhere(found.kind, found.detail["id"])
            people |= about.involved if about is not None else set()
        behind = await self._corrections.award_behind(found)
        if behind is not None:
            row = behind[0]
            people |= {row[17], row[18]}
            for one in await self.ledger.fetch(
                "SELECT proposer, proposer_subject, decided_by FROM approval WHERE target IN (?, ?)", row[0], row[1]
            ):
                people |= set(one)
        callers = {one for one in people if one is not None}
        return callers | await self.elsewhere.accounts(callers)

    # reading -----------------------------------------------------------------------------------------------------

    async def one(self, id_: str) -> ObjectionRecord:
        """With its reasons, where they can still be opened. Raises `not_found`."""
        row = await self._row(id_)
        try:
            return record(row, opened(row, await self.vault.data_key(row[3])))
        except (Refusal, BadKey):  # erased: that there was an objection stays, why is gone
            return record(row)

    async def _found(self, id_: str) -> ObjectionRecord:
        return record(await self._row(id_))

    async def _row(self, id_: str) -> Row:
        rows = await self.ledger.fetch(f"SELECT {', '.join(OBJECTION.names)} FROM objection WHERE id = ?", id_)
        if not rows:
            raise Refusal("not_found", what="objection", id=id_[:60])
        return rows[0]

    # what all of them do -----------------------------------------------------------------------------------------

    def _act(self, actor: Actor, said: dict[str, Any], key: bytes, reason: str | None = None) -> Act:
        try:
            request, memo = codec.encode(said), None if reason is None else reason.encode()
        except (TypeError, ValueError) as error:  # half a character
            raise Refusal("request_invalid", errors=[{"pointer": "", "code": "bad_character"}]) from error
        return Act(actor.id, self.today, request, self.ledger.new_id("txn"), key=key, memo=memo)

    async def _answered(
        self, retry: Retry | None, prepared: Callable[[], Awaitable[Command]]
    ) -> tuple[ObjectionRecord, bool]:
        try:
            command = await prepared()
        except Refusal as refusal:
            answer: Answer = await refuse(self.ledger, retry, refusal)
        else:
            answer = await self.ledger.submit(command)
        if not answer.replayed:
            return answer.value, False
        found = await self.one(answer.ref)
        if not found.said:
            raise Refusal("subject_erased", subject=found.subject)
        return found, True
