# SPDX-License-Identifier: Apache-2.0
"""Inside the commit: an edition is approved, and with the last approval published. Its digest goes into the journals.

An approval is of certain lines. Where one of them is disputed or decided otherwise before the next approval, it has to
be given again: nobody's yes stands under something that they did not see.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

from ledger import codec, note
from ledger.book import editions as book
from ledger.errors import Refusal
from ledger.keys import Signer
from ledger.model import Act
from ledger.tables import Key, Table
from ledger.view import View
from rules.lists.model import (
    CHOSEN,
    CONFIRMED,
    CORRECTED,
    DECIDED,
    ENDED,
    FROZEN,
    NOTE_HEADER,
    NOTIFIED,
    POSTED,
    PUBLICATION,
    PUBLISHED,
    Approval,
    Edition,
    Line,
    deflated,
)
from rules.lists.steps import (
    OnEdition,
    check_heard,
    disputed,
    edition_in,
    line_in,
    lines_in,
    must_be,
    taken_back,
    targets,
)
from rules.tables import EDITION, EDITION_FILE, EDITION_LINE, OBJECTION_MARK


@dataclass(frozen=True, slots=True)
class Grant:
    """Money that a flag carries: for a place, from a budget line (fen)."""

    place: str
    fen: int
    budget: str


@dataclass(frozen=True, slots=True)
class Publish(OnEdition):
    """Approve; where that makes enough, publish. `frozen` is the digest of the header, `by_person`: only lines that a
    person has decided on are shown, `grants` are written beside the digest in the journal of their place. `logins` are
    all that the approver has; `elsewhere` are the same lines in other editions than the versions before."""

    frozen: str = ""
    by_person: bool = False
    lines: tuple[Line, ...] = ()
    grants: Mapping[str, Sequence[Grant]] | None = None
    signer: Signer | None = None
    request: bytes = b""
    txn: str = ""
    corrects: str = ""
    logins: Collection[str] = ()
    elsewhere: Collection[tuple[str, str]] = ()

    def reads(self) -> Iterable[tuple[Table, Key]]:
        for id in (self.id, self.corrects):
            if id:
                yield EDITION, (id,)
                yield EDITION_LINE, (id,)
        yield from ((EDITION_LINE, (id,)) for id, _ in self.elsewhere)
        for line in self.lines:
            yield from ((OBJECTION_MARK, (target,)) for one in self._versions(line) for target in targets(one))

    def _do(self, view: View, edition: Edition, today: str) -> Edition:
        waited = (NOTIFIED, DECIDED) if edition.workdays else (FROZEN, NOTIFIED, DECIDED)
        must_be(edition, *waited)
        if edition.due and edition.workdays and today <= edition.due:
            raise Refusal("notice_running", line="", due=edition.due)
        me = {self.actor, *self.logins}
        if me & {edition.drafted_by, edition.frozen_by, *(one.by for one in edition.said_yes if one.by != self.actor)}:
            raise Refusal("same_person")
        lines = [self._since(view, line) for line in lines_in(view, self.id).values()]
        taken = {line for id, line in self.elsewhere if line_in(view, id, line).state in (POSTED, ENDED)}
        shown = [line for line in lines if line.line not in taken and self._shows(view, edition, line, today)]
        of = sha256(codec.canonical([line.line for line in shown])).hexdigest()
        before = tuple(one for one in edition.said_yes if one.of == of)
        if any(one.by == self.actor for one in before):
            raise Refusal("already_approved", edition=self.id)
        approvals = (*before, Approval(self.actor, view.now_us, of))
        edition = edition.but(state=DECIDED).with_yes(approvals)
        if len(approvals) < edition.approvers:
            return edition
        for line in lines:
            if line.state == ENDED:
                view.put(EDITION_LINE, line.row())
        return self._publish(view, edition, [self._posted(line, today) for line in shown], today)

    def _versions(self, line: Line) -> tuple[Line, ...]:
        """The line as it is here and in the version before: an objection to either holds it back."""
        return (line, line.but(edition=self.corrects)) if self.corrects else (line,)

    def _since(self, view: View, line: Line) -> Line:
        """With what became of the same line of the version before while this one was made: an end, an answer."""
        row = view.get(EDITION_LINE, self.corrects, line.line) if self.corrects else None
        if row is None:
            return line
        old = Line.of(row)
        if old.reply and old.replied_on >= line.replied_on:
            line = line.but(reply=old.reply, replied_on=old.replied_on, asked_on=max(old.asked_on, line.asked_on))
        if old.state == ENDED:
            return old.but(edition=line.edition, reply=line.reply, replied_on=line.replied_on)
        return line

    def _shows(self, view: View, edition: Edition, line: Line, today: str) -> bool:
        if taken_back(view, line) or any(disputed(view, one) for one in self._versions(line)):
            return False
        if edition.kind == "reminder":
            if line.state != CONFIRMED:
                return False
            check_heard(line, today)  # it was when it was confirmed; nothing is shown that was not
            return True
        return line.state == CHOSEN if self.by_person else line.state != ENDED

    @staticmethod
    def _posted(line: Line, today: str) -> Line:
        until = line.until or (months_after(today, line.months) if line.months else "")
        return line.but(state=POSTED, until=until)

    def _publish(self, view: View, edition: Edition, posted: Sequence[Line], today: str) -> Edition:
        shown = [line for line in posted if line.on_show(today)]  # a correction may come after the end of a line
        said: dict[str, Any] = {
            "approved_by": sorted(one.by for one in edition.said_yes),
            "day": today,
            "edition": self.id,
            "frozen": self.frozen,
            "lines": [{"line": one.line, **({"until": one.until} if one.until else {})} for one in shown],
            "v": 1,
        }
        data = codec.canonical(said)
        digest = sha256(data).hexdigest()
        view.insert(EDITION_FILE, (self.id, PUBLICATION, deflated(data)))
        for line in shown:
            view.put(EDITION_LINE, line.row())
        for journal in self.journals:
            act = Act(self.actor, view.today(journal), self.request, self.txn)
            sealed = book.edition(
                view, journal, act,
                id=self.id, digest=digest, list=edition.list, period=edition.period, version=edition.version,
            )  # fmt: skip
            for one in (self.grants or {}).get(journal, ()):
                book.fund(
                    view, journal, act, of=sealed, edition=self.id, place=one.place, fen=one.fen, budget=one.budget
                )
        if edition.corrects:
            old = edition_in(view, edition.corrects)
            must_be(old, PUBLISHED)
            view.put(EDITION, old.but(state=CORRECTED, etag=old.etag + 1).row())
        assert self.signer is not None
        text = f"{NOTE_HEADER}\n{data.decode()}\n"
        signed = note.format_note(text, [note.sign(text, self.signer)]).decode()
        return edition.but(state=PUBLISHED, published_at=view.now_us, published_on=today, digest=digest, note=signed)


def months_after(day: str, months: int) -> str:
    """The last day of so many months that begin on a day, that day included: a year from 10 March ends on 9 March."""
    since = date.fromisoformat(day)
    year, month = divmod(since.year * 12 + since.month - 1 + months, 12)
    return (date(year, month + 1, min(since.day, monthrange(year, month + 1)[1])) - timedelta(days=1)).isoformat()
