# SPDX-License-Identifier: Apache-2.0
"""The queue of reported deeds: handed in by a resident or for one, decided by staff at the place of the deed.

A report alone is evidence of level E0 and earns nothing. Accepting it is reporting an award at the desk, with all that
holds there; the award and the end of the report are one commit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import orjson

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import BadKey, seal, unseal
from ledger.port import Retry
from ledger.tables import Row
from ledger.view import local_day
from rules.desk.award import AwardCommand
from rules.desk.desk import AwardAnswer, Desk
from rules.desk.lists import below
from rules.desk.prepare import refuse
from rules.desk.request import UNPROVED, AwardRequest, Evidence
from rules.desk.subjects import Subjects
from rules.engine.calendar import iso
from rules.ports import AWARDING, Actor, Vault
from rules.reports.filing import DECLINED, OPEN, WITHDRAWN, Accepting, Closing, Handing, Settling, State
from rules.tables import REPORT, ReportRow

PHOTO = "photo"  # the kind of evidence that a report brings along
PHOTOS_MAX = 6
TEXT_MAX = 500
WAITING_MAX = 20  # of one person, so that nobody fills the queue

_COLUMNS = ", ".join(REPORT.names)


@dataclass(frozen=True, slots=True)
class Report:
    """A deed as it is reported. `photos` are SHA-256 with the keyed digests under which the vault knows them, None for
    one that it does not know as this person's."""

    subject: str
    occurred_on: date
    text: str = ""
    place: str | None = None
    indicator: str | None = None
    facts: Mapping[str, int | str] | None = None
    photos: Mapping[str, bytes | None] | None = None


class ReportRecord(NamedTuple):
    """One report. `content` is None once the subject's key is gone, or where it was not asked for; `same_photo` lists
    other reports with one of its photos."""

    id: str
    state: State
    subject: str
    place: str
    indicator: str | None
    occurred_on: str
    reporter: str
    created_at: int
    award: str | None
    decided_by: str | None
    decided_at: int | None
    settled_at: int | None
    content: Mapping[str, Any] | None = None
    same_photo: Sequence[str] = ()

    @property
    def photos(self) -> Sequence[str]:
        """SHA-256 of its photos."""
        return [] if self.content is None else self.content["photos"]


class Reports:
    """What residents and staff call."""

    def __init__(self, ledger: Ledger, vault: Vault, desk: Desk) -> None:
        self.ledger = ledger
        self.vault = vault
        self.desk = desk
        self.places = desk.places
        self._subjects = Subjects(ledger)

    # handing in ------------------------------------------------------------------------------------------------

    async def hand_in(self, actor: Actor, report: Report, retry: Retry | None = None) -> tuple[ReportRecord, bool]:
        """Put a deed into the queue; the flag tells that this is the answer to an earlier request.

        By the person, or for them by staff at the place. Raises `forbidden`, `facts_invalid`, `photo_unknown`,
        `reports_too_many`, `not_found` for an unknown place or indicator, `subject_unknown`, `subject_erased`,
        `consent_required`.
        """
        try:
            row = await self._row(actor, report)
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            photos = tuple(digest for digest in (report.photos or {}).values() if digest is not None)
            answer = await self.ledger.submit(Handing(row, photos, retry))
        return await self.one(answer.ref), answer.replayed

    async def _row(self, actor: Actor, report: Report) -> Row:
        known = await self._subjects.one(report.subject)
        place = known.home if report.place is None else report.place
        self.places.place(place)
        if actor.subject != report.subject and not actor.may(AWARDING, place, self.places.covers):
            raise Refusal("forbidden", place=place)
        missing = [n for n, digest in enumerate((report.photos or {}).values()) if digest is None]
        if missing:
            errors = [{"pointer": f"/evidence/{n}", "code": "photo_unknown"} for n in missing]
            raise Refusal("photo_unknown", errors=errors)
        today, day = local_day(self.ledger.clock(), self.desk.shelf.zone), iso(report.occurred_on)
        if day > today:
            future = {"pointer": "/occurred_on", "code": "in_future", "found": day, "allowed": f"..{today}"}
            raise Refusal("facts_invalid", errors=[future])
        if report.indicator is not None:
            self.desk.shelf.indicator(report.indicator, report.occurred_on)
        ((waiting,),) = await self.ledger.fetch(
            "SELECT count(*) FROM report WHERE subject = ? AND state = 'open'", report.subject
        )
        if waiting >= WAITING_MAX:
            raise Refusal("reports_too_many", limit=WAITING_MAX)
        id_ = self.ledger.new_id("rep")
        said = {"text": report.text, "facts": dict(report.facts or {}), "photos": list(report.photos or {})}
        sealed = seal(await self.vault.data_key(report.subject), orjson.dumps(said), id_.encode())
        return (id_, OPEN, report.subject, place, report.indicator, day, actor.id, 0, None, None, None, None, sealed)

    # deciding --------------------------------------------------------------------------------------------------

    async def accept(self, actor: Actor, report: ReportRecord, asked: AwardRequest, retry: Retry) -> AwardAnswer:
        """Make it an award: `asked` is the whole deed as staff found it, still without the report's photos.

        Raises what the desk raises, `report_closed`, `already_reported`, and `evidence_too_weak` where nothing was
        added to the reporter's own word.
        """
        try:
            self._check_may(actor, report)
            if asked.level == UNPROVED:
                raise Refusal("evidence_too_weak", indicator=asked.indicator, given=UNPROVED, required="E1")
            case = self._case(asked)
        except Refusal as refusal:
            return await self.desk.recall(retry, refusal)
        photos = tuple(Evidence(PHOTO, UNPROVED, sha256) for sha256 in report.photos)
        with_photos = asked._replace(evidence=(*asked.evidence, *photos))

        def along(award: AwardCommand) -> Accepting:
            return Accepting(award, report.id, case, actor.id)

        return await self.desk.award(actor, with_photos, retry, along)

    def _case(self, asked: AwardRequest) -> bytes | None:
        """Where a rule goes by cases, only the first report of a case is paid. Raises `request_invalid` without one."""
        _, indicator = self.desk.shelf.indicator(asked.indicator, asked.occurred_on)
        if "case" not in indicator.cause:
            return None
        if asked.cause is None:
            raise Refusal("request_invalid", errors=[{"pointer": "/cause", "code": "field_missing"}])
        said = codec.encode({"source": asked.cause.source, "case": asked.cause.case})
        return self.ledger.cause(f"report:{indicator.code}", said, "")

    async def decline(
        self, actor: Actor, id_: str, reason: str, retry: Retry | None = None
    ) -> tuple[ReportRecord, bool]:
        """Close it without an award, with a reason that the reporter reads. Raises `report_closed`, `forbidden`."""
        return await self._close(actor, id_, DECLINED, reason, retry)

    async def withdraw(self, actor: Actor, id_: str, retry: Retry | None = None) -> tuple[ReportRecord, bool]:
        """Take it back: the person, or who handed it in for them. Raises `report_closed`, `forbidden`."""
        return await self._close(actor, id_, WITHDRAWN, None, retry)

    async def _close(
        self, actor: Actor, id_: str, state: State, reason: str | None, retry: Retry | None
    ) -> tuple[ReportRecord, bool]:
        try:
            row = await self._stored(id_)
            found = _record(row)
            if state == DECLINED:
                self._check_may(actor, found)
            elif found.subject != actor.subject and found.reporter != actor.id:
                raise Refusal("forbidden", place=found.place)
            sealed: bytes | None = None
            if reason is not None:
                key = await self.vault.data_key(found.subject)
                said = {**orjson.loads(unseal(key, bytes(row[12]), id_.encode())), "reason": reason}
                sealed = seal(key, orjson.dumps(said), id_.encode())
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            answer = await self.ledger.submit(Closing(id_, state, actor.id, sealed, retry))
        return await self.one(answer.ref), answer.replayed

    def _check_may(self, actor: Actor, report: ReportRecord) -> None:
        if not actor.may(AWARDING, report.place, self.places.covers):
            raise Refusal("forbidden", place=report.place)

    # reading ---------------------------------------------------------------------------------------------------

    async def one(self, id_: str) -> ReportRecord:
        """One report with what it says. Raises `not_found`."""
        row = await self._stored(id_)
        try:
            content = orjson.loads(unseal(await self.vault.data_key(row[2]), bytes(row[12]), id_.encode()))
        except (Refusal, BadKey):  # erased: what was said is gone
            content = None
        (shown,) = await self._with_twins([_record(row)])
        return shown._replace(content=content)

    async def listing(
        self,
        *,
        places: Collection[str] | None = None,
        subject: str | None = None,
        state: State | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[ReportRecord]:
        """Reports for deeds in these places and below them, or one person's own; the oldest first, without what is
        sealed."""
        row: Any = ReportRow
        query: Any = row.select(*(getattr(row, name) for name in REPORT.names if name != "sealed"))
        query = query.where(row.subject == subject if places is None else below(row.place, places))
        if state is not None:
            query = query.where(row.state == state)
        if after is not None:
            query = query.where(row.id > after)
        found = await query.order_by(row.id).limit(limit).run()
        return await self._with_twins([ReportRecord(*one.values()) for one in found])

    async def places_of(self, digest: bytes, subject: str) -> set[str]:
        """Where the reports are in which this photo of this person stands."""
        rows = await self.ledger.fetch(
            "SELECT r.place FROM report_photo p JOIN report r ON r.id = p.report WHERE p.digest = ? AND p.subject = ?",
            digest,
            subject,
        )
        return {place for (place,) in rows}

    async def _with_twins(self, found: Sequence[ReportRecord]) -> list[ReportRecord]:
        if not found:
            return []
        marks = ", ".join("?" * len(found))
        twins: dict[str, list[str]] = {}
        for report, other in await self.ledger.fetch(
            "SELECT DISTINCT p.report, o.report FROM report_photo p JOIN report_photo o ON o.digest = p.digest "
            f"AND o.report <> p.report WHERE p.report IN ({marks}) ORDER BY 1, 2",
            *(one.id for one in found),
        ):
            twins.setdefault(report, []).append(other)
        return [one._replace(same_photo=twins.get(one.id, ())) for one in found]

    async def _stored(self, id_: str) -> Row:
        rows = await self.ledger.fetch(f"SELECT {_COLUMNS} FROM report WHERE id = ?", id_)
        if not rows:
            raise Refusal("not_found", what="report", id=id_[:60])
        return rows[0]

    # the photos' end -------------------------------------------------------------------------------------------

    async def decided(self, limit: int = 500) -> tuple[list[str], list[tuple[str, bytes]]]:
        """Reports over which nobody decides any more and whose photos still have no end, and those of their photos,
        as (subject, digest), that stand in no report that is open or waits."""
        rows = await self.ledger.fetch(
            "SELECT r.id FROM report r LEFT JOIN award a ON a.id = r.award WHERE r.settled_at IS NULL "
            "AND r.state <> 'open' AND (a.id IS NULL OR a.state <> 'awaiting_approval') ORDER BY r.id LIMIT ?",
            limit,
        )
        over = [id_ for (id_,) in rows]
        if not over:
            return [], []
        marks = ", ".join("?" * len(over))
        photos = await self.ledger.fetch(
            f"SELECT DISTINCT p.subject, p.digest FROM report_photo p WHERE p.report IN ({marks}) AND NOT EXISTS ("
            "SELECT 1 FROM report_photo o JOIN report r ON r.id = o.report WHERE o.digest = p.digest "
            f"AND o.subject = p.subject AND r.settled_at IS NULL AND r.id NOT IN ({marks}))",
            *over,
            *over,
        )
        return over, [(subject, bytes(digest)) for subject, digest in photos]

    async def settle(self, reports: Collection[str]) -> None:
        """The end of these reports' photos is fixed."""
        await self.ledger.submit(Settling(reports))


def _record(row: Row) -> ReportRecord:
    return ReportRecord(*row[:12])
