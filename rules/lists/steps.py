# SPDX-License-Identifier: Apache-2.0
"""What happens to an edition inside a commit, up to its publication: drafted, frozen, told, answered, decided.

There is no way around a step: each command looks at the rows as they are in the commit. Who may act where is the
office's to check; that nobody approves their own list is checked in `publishing.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from ledger.errors import Refusal
from ledger.port import Answer, Command, Retry
from ledger.tables import REVERSED, Key, Table
from ledger.view import View, local_day
from rules.engine.lists import ListRule
from rules.lists.model import (
    CHOSEN,
    CONFIRMED,
    CORRECTED,
    DECIDED,
    DISCARDED,
    DRAFT,
    DROPPED,
    ENDED,
    FROZEN,
    NOTIFIED,
    PASSED,
    POSTED,
    PROPOSED,
    PUBLISHED,
    Channel,
    Edition,
    Line,
    Outcome,
    deflated,
)
from rules.tables import EDITION, EDITION_FILE, EDITION_LINE, EDITION_MARK, OBJECTION_MARK
from rules.workdays import Workdays

LEAST_WORKDAYS = 5  # a body proposed for the grey list has at least so many to answer
_UNDECIDED = (PROPOSED, NOTIFIED)


def edition_in(view: View, id: str) -> Edition:
    """The edition as it is in the commit. Raises `not_found`."""
    row = view.get(EDITION, id)
    if row is None:
        raise Refusal("not_found", what="edition", id=id[:60])
    return Edition.of(row)


def lines_in(view: View, id: str) -> dict[str, Line]:
    """Its lines by their keys, in order."""
    rows = view.rows(EDITION_LINE, (id,))
    return {key[1]: Line.of(rows[key]) for key in sorted(rows)}


def line_in(view: View, id: str, line: str) -> Line:
    """Raises `not_found`."""
    row = view.get(EDITION_LINE, id, line)
    if row is None:
        raise Refusal("not_found", what="edition_line", id=f"{id}:{line}"[:120])
    return Line.of(row)


def must_be(edition: Edition, *states: str) -> None:
    """Raises `edition_state` naming where it stands."""
    if edition.state not in states:
        raise Refusal("edition_state", edition=edition.id, state=edition.state, wanted=", ".join(states))


def targets(line: Line) -> tuple[str, ...]:
    """What an objection to this line can be about: the line itself, and the entry behind it."""
    own = f"edition_entry:{line.edition}:{line.line}"
    return (own, f"entry:{line.journal}/{line.seq}") if line.journal else (own,)


def disputed(view: View, line: Line) -> bool:
    """Is there an open objection to it?"""
    return any(view.get(OBJECTION_MARK, target) is not None for target in targets(line))


def taken_back(view: View, line: Line) -> bool:
    """Was the entry reversed that it comes from? Then there is nothing left to show."""
    return bool(line.journal) and view.get(REVERSED, line.journal, line.seq) is not None


@dataclass(frozen=True, slots=True)
class Draft:
    """A new edition, or a new version of a published one; one at a time for a list, period and place."""

    made: Edition
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield EDITION_MARK, (self.made.list, self.made.period, self.made.place)
        if self.made.corrects:
            yield EDITION, (self.made.corrects,)

    def decide(self, view: View) -> Answer:
        made = self.made  # its version: that of the newest there is, discarded ones too, whose numbers are used up
        mark = view.get(EDITION_MARK, made.list, made.period, made.place)
        current = None if mark is None else edition_in(view, mark[3])
        if made.corrects:
            if current is None or current.id != made.corrects:
                raise Refusal(
                    "edition_exists", edition=current.id if current else "", state=current.state if current else ""
                )
            must_be(current, PUBLISHED)
        elif current is not None and current.state != DISCARDED:
            raise Refusal("edition_exists", edition=current.id, state=current.state)
        least = made.version if current is None else max(made.version, current.version)
        made = made.but(version=least + 1, drafted_at=view.now_us, etag=1)
        view.put(EDITION_MARK, (made.list, made.period, made.place, made.id))
        view.insert(EDITION, made.row())
        return Answer(201, made.id, made)


@dataclass(frozen=True, slots=True)
class Seen:
    """A command on an edition, if that still is what somebody saw. Raises `precondition_failed`."""

    command: Command
    id: str
    etag: int

    @property
    def retry(self) -> Retry | None:
        return self.command.retry

    @property
    def journals(self) -> Collection[str]:
        return self.command.journals

    @property
    def weight(self) -> int:
        return self.command.weight

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return self.command.reads()

    def decide(self, view: View) -> Answer:
        edition = edition_in(view, self.id)
        if edition.etag != self.etag:
            raise Refusal("precondition_failed", state=edition.state, etag=f'"{edition.etag}"')
        return self.command.decide(view)


@dataclass(frozen=True, slots=True)
class OnEdition:
    """A command on one edition that its lines do not matter to, or all of them."""

    id: str
    actor: str
    zone: str
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 2

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield EDITION, (self.id,)
        yield EDITION_LINE, (self.id,)

    def decide(self, view: View) -> Answer:
        before = edition_in(view, self.id)
        after = self._do(view, before, local_day(view.now_us, self.zone))
        if after != before:
            after = after.but(etag=before.etag + 1)
            view.put(EDITION, after.row())
        return Answer(200, self.id, after)

    def _do(self, view: View, edition: Edition, today: str) -> Edition:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Freeze(OnEdition):
    """The result stands: its files and one line for each subject in it, under the `rule` that it was computed by, which
    may be a newer one than it was drafted under. `lines` of a correction carry over what was done for the same line
    before."""

    rule: ListRule | None = None
    files: Mapping[str, bytes] | None = None
    lines: tuple[Line, ...] = ()

    def _do(self, view: View, edition: Edition, today: str) -> Edition:
        must_be(edition, DRAFT)
        assert self.rule is not None
        for name, data in (self.files or {}).items():
            view.insert(EDITION_FILE, (self.id, name, deflated(data)))
        for line in self.lines:
            view.insert(EDITION_LINE, line.row())
        return edition.but(
            state=FROZEN, kind=self.rule.kind, about=self.rule.about, workdays=self.rule.notice_workdays,
            approvers=self.rule.approvers, frozen_by=self.actor, frozen_at=view.now_us,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notify(OnEdition):
    """Those in it are to be told, and the days to object begin. Lines that were told in an earlier version stay so."""

    workdays: Workdays | None = None

    def _do(self, view: View, edition: Edition, today: str) -> Edition:
        must_be(edition, FROZEN)
        assert self.workdays is not None
        due, sure = self.workdays.after(date.fromisoformat(today), edition.workdays)
        for line in lines_in(view, self.id).values():
            if line.state == PROPOSED:
                view.put(EDITION_LINE, line.but(state=NOTIFIED).row())
        return edition.but(
            state=NOTIFIED, notified_by=self.actor, notified_on=today, due=due.isoformat(), sure=int(sure)
        )


@dataclass(frozen=True, slots=True)
class Discard(OnEdition):
    """It will not be published. It stays to be seen, with the reason; another may be drafted."""

    reason: str = ""

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield EDITION, (self.id,)

    def _do(self, view: View, edition: Edition, today: str) -> Edition:
        must_be(edition, DRAFT, FROZEN, NOTIFIED, DECIDED)
        if edition.corrects:  # what it was to correct stands as before, and can be corrected again
            view.put(EDITION_MARK, (edition.list, edition.period, edition.place, edition.corrects))
        return edition.but(state=DISCARDED, reason=self.reason, approvals="[]")


@dataclass(frozen=True, slots=True)
class OnLine:
    """A command on one line."""

    id: str
    line: str
    actor: str
    zone: str
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield EDITION, (self.id,)
        yield EDITION_LINE, (self.id,)

    def decide(self, view: View) -> Answer:
        edition, before = edition_in(view, self.id), line_in(view, self.id, self.line)
        after = self._do(view, edition, before, local_day(view.now_us, self.zone))
        if after != before:
            view.put(EDITION_LINE, after.row())
            view.put(EDITION, edition.but(etag=edition.etag + 1).row())
        return Answer(200, f"{self.id}:{self.line}", after)

    def _do(self, view: View, edition: Edition, line: Line, today: str) -> Line:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Deliver(OnLine):
    """The subject has been told: from today on it has its working days. The first delivery counts."""

    channel: Channel = "read"
    workdays: Workdays | None = None

    def _do(self, view: View, edition: Edition, line: Line, today: str) -> Line:
        if line.delivered_on or line.state != NOTIFIED:
            return line
        assert self.workdays is not None
        count = max(edition.workdays, LEAST_WORKDAYS)
        due, sure = self.workdays.after(date.fromisoformat(today), count)
        return line.but(
            delivered_on=today, channel=self.channel, delivered_by=self.actor, due=due.isoformat(), sure=int(sure)
        )


@dataclass(frozen=True, slots=True)
class Reply(OnLine):
    """What the body says to its line: shown beside it. With `repaired` it says that it has put the matter right."""

    text: bytes = b""
    repaired: bool = False

    def _do(self, view: View, edition: Edition, line: Line, today: str) -> Line:
        must_be(edition, NOTIFIED, DECIDED, PUBLISHED)
        if line.state in (ENDED, DROPPED):  # that one was passed over is told with the edition
            raise Refusal("line_closed", state=line.state)
        return line.but(reply=self.text, replied_on=today, asked_on=today if self.repaired else line.asked_on)


@dataclass(frozen=True, slots=True)
class Decide(OnLine):
    """A person's decision about one line, with a reason. A body is put on the grey list only after it was told, after
    its working days, and while nothing of it is disputed; it is let off at any time."""

    outcome: Outcome = "dropped"
    why: bytes = b""

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield EDITION, (self.id,)
        yield EDITION_LINE, (self.id,)
        yield OBJECTION_MARK, (f"edition_entry:{self.id}:{self.line}",)
        if "/" in self.line:
            yield OBJECTION_MARK, (f"entry:{self.line}",)

    def _do(self, view: View, edition: Edition, line: Line, today: str) -> Line:
        grey = edition.kind == "reminder"
        if (self.outcome in (CONFIRMED, DROPPED)) != grey:
            raise Refusal(
                "request_invalid", errors=[{"pointer": "/outcome", "code": "not_one_of", "found": self.outcome}]
            )
        must_be(edition, FROZEN, NOTIFIED, DECIDED)
        if line.state not in (*_UNDECIDED, CONFIRMED, DROPPED, CHOSEN, PASSED):
            raise Refusal("line_closed", state=line.state)
        if self.outcome == CONFIRMED:
            check_heard(line, today)
            if disputed(view, line):
                raise Refusal("line_disputed", line=line.line)
            if taken_back(view, line):
                raise Refusal("line_closed", state="reversed")
        return line.but(state=self.outcome, decided_by=self.actor, decided_on=today, why=self.why)


def check_heard(line: Line, today: str) -> None:
    """Was the subject told, and have its working days passed? Raises `notice_missing`, `notice_running`."""
    if not line.delivered_on:
        raise Refusal("notice_missing", line=line.line)
    if today <= line.due:
        raise Refusal("notice_running", line=line.line, due=line.due)


@dataclass(frozen=True, slots=True)
class End(OnLine):
    """Off the list: repaired, removed, or because its day is over. What is gone does not come back."""

    why: str = "expired"
    said: bytes = b""

    def _do(self, view: View, edition: Edition, line: Line, today: str) -> Line:
        must_be(edition, PUBLISHED, CORRECTED)
        if line.state != POSTED:
            raise Refusal("line_closed", state=line.state)
        if self.why == "expired" and line.on_show(today):
            return line
        return line.but(state=ENDED, ended_on=today, ended_by=self.actor, ended_why=self.why, why=self.said or line.why)
