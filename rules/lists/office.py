# SPDX-License-Identifier: Apache-2.0
"""The front of the room: who may draft, freeze, tell, decide and publish an edition, and one command for each of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple, Protocol, Self

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import Signer
from ledger.port import Answer, Command, Retry
from ledger.view import local_day
from rules.engine.lists import Flag, ListRule
from rules.engine.model import Pack
from rules.lists import reading
from rules.lists.comments import Comments
from rules.lists.freezing import Freezer, Frozen, lines_of, stored, stored_files
from rules.lists.model import (
    DECIDED,
    DRAFT,
    FROZEN,
    HEADER,
    NOTIFIED,
    POSTED,
    PUBLISHED,
    Channel,
    Edition,
    Line,
    Outcome,
    read_definition,
)
from rules.lists.periods import days_of, is_period
from rules.lists.publishing import Grant, Publish
from rules.lists.sealing import opened, sealed
from rules.lists.steps import Decide, Deliver, Discard, Draft, End, Freeze, Notify, Reply, Seen
from rules.lists.texts import check_public
from rules.ports import APPROVING, AWARDING, Actor, Vault
from rules.register import Register
from rules.shelf import Shelf
from rules.workdays import Workdays

DRAFTING = frozenset({"community_staff", "street_staff", "county_admin"})
STANDING = (FROZEN, NOTIFIED, DECIDED, PUBLISHED)
EDITIONS_MAX = 10_000  # of one list and place: a month's for 800 years
_RULED = ("definition.json", "result.json")
_LIST_PLACES = frozenset({"community", "street", "county"})


class Logins(Protocol):
    """Who is behind the logins: one person may have two."""

    async def logins(self, subject: str) -> set[str]: ...


@dataclass(frozen=True, slots=True)
class Office:
    """What the office is given by the room above."""

    vault: Vault
    register: Register
    shelf: Shelf
    workdays: Workdays
    logins: Logins
    signer: Callable[[], Awaitable[Signer]]


class Said(NamedTuple):
    """The sealed words of a line: the body's reply, and the reason of the decision. '' where there are none, or where
    the key is gone."""

    reply: str
    why: str


class Editions:
    """Editions as the rooms above meet them."""

    def __init__(self, ledger: Ledger, given: Office, freezer: Freezer) -> None:
        self.ledger = ledger
        self.given = given
        self.freezer = freezer
        self._seen: tuple[str, int] | None = None
        self.comments = Comments(
            ledger, given.vault, lambda actor, place: self._must(actor, DRAFTING | APPROVING, place)
        )

    @property
    def zone(self) -> str:
        return self.given.shelf.zone

    @property
    def today(self) -> str:
        return local_day(self.ledger.clock(), self.zone)

    def rule(self, list: str, period: str) -> tuple[ListRule, Pack]:
        """The list's definition in the pack in force on the period's last day. Raises `not_found`."""
        newest = next((pack.lists[list] for pack in reversed(self.given.shelf.packs) if list in pack.lists), None)
        if newest is not None and is_period(period, newest.period):
            pack = self.given.shelf.pack(days_of(period)[1])
            if list in pack.lists:
                return pack.lists[list], pack
        raise Refusal("not_found", what="list", id=f"{list}/{period}"[:60])

    # making one --------------------------------------------------------------------------------------------------

    async def draft(self, actor: Actor, list: str, period: str, place: str) -> Edition:
        """Raises `not_found`, `forbidden`, `edition_exists` naming the one there is."""
        rule, _ = self.rule(list, period)
        self._must(actor, DRAFTING, place)
        return await self._drafted(actor, rule, period, place)

    async def correct(self, actor: Actor, id: str, reason: str) -> Edition:
        """A new version of a published edition, as a draft. Raises `edition_state` where it is not the current one."""
        old = await self._own(actor, DRAFTING, id)
        if not old.is_public:
            raise Refusal("edition_state", edition=id, state=old.state, wanted=PUBLISHED)
        check_public(reason, "/reason")
        return await self._drafted(actor, await self._rule(id), old.period, old.place, corrects=id, reason=reason)

    async def _drafted(self, actor: Actor, rule: ListRule, period: str, place: str, **more: str) -> Edition:
        if self.given.register.place(place).level not in _LIST_PLACES:
            raise Refusal("not_found", what="community", id=place)
        known = await self.find(list=rule.code, period=period, places=[place], limit=1)
        version = known[0].version if known else 0
        made = Edition(
            self.ledger.new_id("edn"), rule.code, rule.kind, rule.about, period, place, version,
            more.get("corrects", ""), DRAFT, more.get("reason", ""), rule.notice_workdays, rule.approvers, actor.id, -1,
        )  # fmt: skip
        return (await self._do(Draft(made))).value

    async def draw_up(self, actor: Actor, list: str, period: str, place: str) -> Edition:
        """Drafted and frozen in one step: what cannot be frozen yet is not drafted, and a draft that is there is gone
        on with. Raises what `draft` and `freeze` do."""
        self.rule(list, period)
        self._must(actor, DRAFTING, place)
        made = await self.find(list=list, period=period, places=(place,), states=(DRAFT, *STANDING), limit=1)
        if not made:
            await self._in_time(list, period, place)
            made = [await self.draft(actor, list, period, place)]
        elif made[0].state != DRAFT:
            raise Refusal("edition_exists", edition=made[0].id, state=made[0].state)
        return await self.freeze(actor, made[0].id)

    async def freeze(self, actor: Actor, id: str) -> Edition:
        """Compute it from the ledger as it is now. Raises `period_not_over`, `edition_state`, `edition_order`,
        `journal_not_open` where the place has no entries yet."""
        edition = await self._own(actor, DRAFTING, id, DRAFT)
        if not edition.corrects:
            await self._in_time(edition.list, edition.period, edition.place)
        frozen, rule, before = await self._frozen(edition)
        lines = tuple(lines_of(edition, rule, frozen.result, before))
        return (await self._do(Freeze(id, actor.id, self.zone, rule=rule, files=frozen.files, lines=lines))).value

    async def _in_time(self, list: str, period: str, place: str) -> None:
        """Could an edition of this period be frozen today? It counts on from the one before: with an earlier one under
        way, or a later one made, deeds would be in two of them, and a deduction on two lists. Raises
        `period_not_over`, `edition_order`, `journal_not_open`."""
        first, last = (day.isoformat() for day in days_of(period))
        if self.today <= last:
            raise Refusal("period_not_over", period=period, last=last)
        for other in await self.find(list=list, places=(place,), states=STANDING, limit=EDITIONS_MAX):
            since = days_of(other.period)[0].isoformat()
            if since > first or (since < first and other.state != PUBLISHED):
                raise Refusal("edition_order", edition=other.id, period=other.period, state=other.state)
        if not await self.freezer.lived(self.freezer.communities(place)):
            raise Refusal("journal_not_open", journal=place)

    async def preview(self, list: str, period: str, place: str, corrects: str = "") -> Frozen:
        """What an edition would be if it were frozen now; nothing is kept. Of a period that is not over, what there is
        so far. Raises `not_found`."""
        rule, _ = self.rule(list, period)
        edition = Edition(
            "edn_preview", list, rule.kind, rule.about, period, place, 1, corrects, DRAFT, "", 0, 1, "", -1
        )
        return (await self._frozen(edition))[0]

    async def _frozen(self, edition: Edition) -> tuple[Frozen, ListRule, Mapping[str, Line]]:
        if edition.corrects:
            corrected = await stored(self.ledger, edition.corrects)
            rule = read_definition(corrected.files["definition.json"])
            pack = next(one for one in self.given.shelf.packs if one.hash == corrected.header["pack"])
            before: dict[str, Line] = {}
            for version in await self._before(edition):  # what is in none between may be in an older one
                before = {line.line: line for line in await self.lines(version)} | before
            return await self.freezer.freeze(edition, rule, pack, None, corrected), rule, before
        rule, pack = self.rule(edition.list, edition.period)
        last = await reading.latest(self.ledger, edition.list, edition.place, edition.period)
        previous = None if last is None else codec.decode((await self.files(last.id, HEADER))[HEADER])
        return await self.freezer.freeze(edition, rule, pack, previous, None), rule, {}

    async def _before(self, edition: Edition) -> list[str]:
        """The versions that this one corrects, the last one first."""
        found: list[str] = []
        while edition.corrects:
            found.append(edition.corrects)
            edition = await self.get(edition.corrects)
        return found

    async def notify(self, actor: Actor, id: str) -> Edition:
        """Those in it are to be told; the days to object begin."""
        await self._own(actor, DRAFTING, id)
        return (await self._do(Notify(id, actor.id, self.zone, workdays=self.given.workdays))).value

    async def discard(self, actor: Actor, id: str, reason: str) -> Edition:
        """It will not be published; the reason is kept. By whoever may draft or approve it."""
        await self._own(actor, DRAFTING | APPROVING, id)
        return (await self._do(Discard(id, actor.id, self.zone, reason=reason))).value

    # line by line --------------------------------------------------------------------------------------------------

    async def deliver(self, actor: Actor, id: str, line: str, channel: Channel) -> Line:
        """The subject has been told: it read it itself, or staff brought it. Its working days begin."""
        edition, found = await self._line(id, line)
        if found.subject != actor.id or channel != "read":
            self._must(actor, DRAFTING | APPROVING, edition.place)
        return await self._delivered(actor, id, line, channel)

    async def hand_over(self, actor: Actor, subject: str, id: str, line: str, channel: Channel) -> Line:
        """The same by staff of the place where the subject is, who tell people there of everything else too. Raises
        `not_found` for a line that is not about this subject."""
        await self._line(id, line, of=subject)
        known = await self.given.register.subject(subject)
        self._must(actor, AWARDING | APPROVING, known.grid or known.home)
        return await self._delivered(actor, id, line, channel)

    async def _delivered(self, actor: Actor, id: str, line: str, channel: Channel) -> Line:
        command = Deliver(id, line, actor.id, self.zone, channel=channel, workdays=self.given.workdays)
        return (await self._do(command)).value

    async def answer(self, subject: str, id: str, line: str, text: str, *, repaired: bool = False) -> Line:
        """The body's own words, public beside its line; `repaired`: it asks to be taken off. Raises `not_found` for
        somebody else's line, `personal_data_in_text`, `line_closed`."""
        _, found = await self._line(id, line, of=subject)
        check_public(text, "/text")
        sealed = await self._sealed(found, "reply", text)
        return (await self._do(Reply(id, line, subject, self.zone, text=sealed, repaired=repaired))).value

    async def decide(self, actor: Actor, id: str, line: str, outcome: Outcome, reason: str) -> Line:
        """A person's decision. Raises `forbidden`, `same_person` in one's own cause, `notice_missing`,
        `notice_running`, `line_disputed`, `line_closed`."""
        found, why = await self._judged(actor, id, line, reason)
        rule = await self._rule(id)
        if rule.kind == "honour" and rule.decision != "person":  # whoever reaches the figures is on it, and nobody else
            wrong = {"pointer": "/outcome", "code": "not_one_of", "found": outcome}
            raise Refusal("request_invalid", errors=[wrong])
        journals = (found.journal,) if found.journal else ()
        command = Decide(id, line, actor.id, self.zone, outcome=outcome, why=why, journals=journals)
        return (await self._do(command)).value

    async def repair(self, actor: Actor, id: str, line: str, reason: str) -> Line:
        """The matter has been put right: off the list at once."""
        return await self._off(actor, id, line, reason, "repaired")

    async def remove(self, actor: Actor, id: str, line: str, reason: str) -> Line:
        """It should not be there: off the list at once, whatever the correction then says."""
        return await self._off(actor, id, line, reason, "removed")

    async def _off(self, actor: Actor, id: str, line: str, reason: str, why: str) -> Line:
        _, said = await self._judged(actor, id, line, reason)
        return (await self._do(End(id, line, actor.id, self.zone, why=why, said=said))).value

    async def _judged(self, actor: Actor, id: str, line: str, reason: str) -> tuple[Line, bytes]:
        """The line that somebody decides about, not in their own cause, and the sealed reason."""
        edition, found = await self._line(id, line)
        self._must(actor, APPROVING, edition.place)
        if found.subject in (actor.id, actor.subject):
            raise Refusal("same_person")
        check_public(reason, "/reason")
        return found, await self._sealed(found, "why", reason)

    async def sweep(self) -> int:
        """End the lines whose last day is over, and those found wrong or whose entry was taken back; how many."""
        done = 0
        for id, line, why in await reading.ending(self.ledger, self.today):
            ended: Line = (await self._do(End(id, line, "system", self.zone, why=why))).value
            done += ended.state != POSTED
        return done

    # publishing ----------------------------------------------------------------------------------------------------

    async def publish(self, actor: Actor, id: str, reason: str = "") -> Edition:
        """An approval; with enough of them the edition is published. Raises `forbidden`, `same_person`,
        `already_approved`, `notice_running`, `edition_state`."""
        return (await self.agree(actor, id, reason, None))[0]

    async def agree(self, actor: Actor, id: str, reason: str, retry: Retry | None) -> tuple[Edition, bool]:
        """The same under a retry key; the flag tells that this is the answer to an earlier request."""
        edition = await self._own(actor, APPROVING, id)
        files = await self.files(id, HEADER, *_RULED)
        if HEADER not in files:
            raise Refusal("edition_state", edition=id, state=edition.state, wanted="frozen")
        rule = read_definition(files["definition.json"])
        lines = await self.lines(id)
        if actor.subject and any(line.subject == actor.subject for line in lines):
            raise Refusal("same_person")
        journals = {one["journal"] for one in await self.ledger.journals()}
        before = await self._before(edition)
        command = Publish(
            id,
            actor.id,
            self.zone,
            journals=tuple(one for one in self.freezer.communities(edition.place) if one in journals),
            frozen=sha256(files[HEADER]).hexdigest(),
            by_person=rule.decision == "person",
            lines=tuple(lines),
            grants=await self._granted(rule, files, before),
            signer=await self.given.signer(),
            request=codec.canonical({"publish": id, "reason": reason}),
            txn=self.ledger.new_id("txn"),
            corrects=edition.corrects,
            logins=await self.given.logins.logins(actor.subject) if actor.subject else (),
            elsewhere=await reading.elsewhere(self.ledger, id, before),
            retry=retry,
        )
        answer = await self._do(command)
        return (await self.get(id), True) if answer.replayed else (answer.value, False)

    async def _granted(
        self, rule: ListRule, files: Mapping[str, bytes], before: Collection[str]
    ) -> dict[str, list[Grant]]:
        """By journal, the money that the flags of a ranking carry, less what a version before granted already."""
        paid = {flag.code: flag for flag in rule.flags if flag.fund_fen}
        done: set[str] = set()
        for version in before if paid else ():
            done |= {place for place, _ in _flagged(paid, await self.files(version, "result.json"))}
        found: dict[str, list[Grant]] = {}
        for place, flag in _flagged(paid, files):
            if place not in done:
                journal = self.given.register.community_of(place)
                found.setdefault(journal, []).append(Grant(place, flag.fund_fen or 0, flag.budget or ""))
        return found

    # reading -------------------------------------------------------------------------------------------------------

    async def get(self, id: str) -> Edition:
        """Raises `not_found`."""
        return await reading.edition(self.ledger, id)

    async def find(self, **wanted: Any) -> list[Edition]:
        """`reading.find`."""
        return await reading.find(self.ledger, **wanted)

    async def lines(self, id: str) -> list[Line]:
        return await reading.lines(self.ledger, id)

    async def suspended(self, lines: Collection[Line]) -> set[str]:
        """Keys of the lines that are under objection or were found wrong, or whose entry was taken back: not to be
        shown."""
        return await reading.suspended(self.ledger, lines)

    async def of_subject(self, subject: str) -> list[tuple[Edition, Line]]:
        """Where somebody stands in an edition that has been told or published, newest first."""
        found = await reading.of_subject(self.ledger, subject)
        return [(edition, line) for edition, line in found if edition.notified_on or edition.is_public]

    async def files(self, id: str, *names: str) -> dict[str, bytes]:
        """A frozen edition's files by name, all or those named; of a draft none."""
        return await stored_files(self.ledger, id, *names)

    async def said(self, line: Line) -> Said:
        """The words about a line."""
        vault, bound = self.given.vault, f"{line.subject}/{line.line}"
        return Said(
            await opened(vault, line.subject, line.reply, f"{bound}/reply"),
            await opened(vault, line.subject, line.why, f"{bound}/why"),
        )

    # ---------------------------------------------------------------------------------------------------------------

    def _must(self, actor: Actor, roles: Collection[str], place: str) -> None:
        self.given.register.place(place)
        if not actor.may(roles, place, self.given.register.covers):
            raise Refusal("forbidden", place=place)

    async def _own(self, actor: Actor, roles: Collection[str], id: str, *states: str) -> Edition:
        """The edition, for somebody who may act on it. Raises `not_found`, `forbidden`, `edition_state`."""
        found = await self.get(id)
        self._must(actor, roles, found.place)
        if states and found.state not in states:
            raise Refusal("edition_state", edition=id, state=found.state, wanted=", ".join(states))
        return found

    async def _rule(self, id: str) -> ListRule:
        """The rule that a frozen edition was computed by."""
        return read_definition((await self.files(id, "definition.json"))["definition.json"])

    async def _line(self, id: str, line: str, *, of: str | None = None) -> tuple[Edition, Line]:
        """An edition's line, where it is said the one `of` this subject. Raises `not_found`."""
        edition = await self.get(id)
        for one in await self.lines(id):
            if one.line == line and of in (None, one.subject):
                return edition, one
        raise Refusal("not_found", what="edition_line", id=f"{id}:{line}"[:120])

    async def _sealed(self, line: Line, what: str, text: str) -> bytes:
        return await sealed(self.given.vault, line.subject, text, f"{line.subject}/{line.line}/{what}")

    def seen(self, id: str, etag: int | None) -> Self:
        """The same office, for somebody who acts on this edition only as they saw it: what they do is refused with
        `precondition_failed` where it has changed since. None: however it is now."""
        if etag is None:
            return self
        careful = copy(self)
        careful._seen = (id, etag)
        return careful

    async def _do(self, command: Command) -> Answer:
        return await self.ledger.submit(command if self._seen is None else Seen(command, *self._seen))


def _flagged(flags: Mapping[str, Flag], files: Mapping[str, bytes]) -> list[tuple[str, Flag]]:
    """The grids of a result with those of these flags that they have."""
    rows = codec.decode(files["result.json"])["rows"] if flags else ()
    return [(row["grid"], flags[code]) for row in rows for code in row.get("flags", ()) if code in flags]


__all__ = ["DRAFTING", "Editions", "Office", "Said"]
