# SPDX-License-Identifier: Apache-2.0
"""Impact assessments: that somebody has thought about what publishing, ranking or shops do to people, and said so.

The law asks for it before such processing begins and for three years after, so a record is added and never changed or
taken out; a newer one goes before an older one. `require` is what the doors ask before they switch something on.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Literal, NamedTuple

from api.invalid import invalid
from api.tables import ASSESSMENT
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import PutRows
from ledger.view import local_day
from rules.lists.texts import check_public
from rules.ports import Actor
from rules.register import Register

Purpose = Literal["publication", "ranking", "merchant"]
Conclusion = Literal["acceptable", "not_acceptable"]
ASSESSING = frozenset({"county_admin", "street_staff"})
YEARS_MAX = 3  # then it is due again


class Assessment(NamedTuple):
    """What was assessed for a place and everything below it. `made_by` is an office, not a person; `sha256` the digest
    of the paper, or empty; `valid_until` the last day on which it counts; `recorded_at` in microseconds."""

    id: str
    purpose: str
    place: str
    title: str
    summary: str
    sha256: str
    conclusion: str
    made_by: str
    valid_until: str
    recorded_by: str
    recorded_at: int


_COLUMNS = ", ".join(Assessment._fields)


class Assessments:
    """The records, and whether one of them allows what somebody is about to switch on."""

    def __init__(self, ledger: Ledger, register: Register, zone: str) -> None:
        self._ledger = ledger
        self._register = register
        self._zone = zone

    @property
    def _today(self) -> str:
        return local_day(self._ledger.clock(), self._zone)

    async def record(
        self,
        actor: Actor,
        *,
        purpose: Purpose,
        place: str,
        title: str,
        summary: str,
        conclusion: Conclusion,
        made_by: str,
        valid_until: date,
        sha256: str = "",
    ) -> Assessment:
        """Add one, by staff of the street or the county; title and office are public. Raises `not_found` for an unknown
        place, `forbidden`, `personal_data_in_text`, and
        `request_invalid` for a last day that is over or more than three years off."""
        self._register.place(place)
        check_public(title, "/title")
        check_public(made_by, "/by")
        if not actor.may(ASSESSING, place, self._register.covers):
            raise Refusal("forbidden", place=place)
        today = date.fromisoformat(self._today)
        last = years_after(today, YEARS_MAX)
        if not today <= valid_until <= last:
            raise invalid([{"pointer": "/valid_until", "code": "out_of_range", "allowed": f"{today}..{last}"}])
        made = Assessment(
            id=self._ledger.new_id("pia"),
            purpose=purpose,
            place=place,
            title=title,
            summary=summary,
            sha256=sha256,
            conclusion=conclusion,
            made_by=made_by,
            valid_until=valid_until.isoformat(),
            recorded_by=actor.id,
            recorded_at=self._ledger.clock(),
        )
        await self._ledger.submit(PutRows(inserts=((ASSESSMENT, tuple(made)),)))
        return made

    async def require(self, purpose: Purpose, place: str) -> Assessment:
        """The record that allows `purpose` at `place` today: of those of the place and of the places above it, the
        nearest place's newest. Raises `assessment_missing` where there is none, or where that one says no."""
        near = [one.code for one in self._register.tree.up(place)]
        today = self._today
        known = [one for one in await self.find(purpose=purpose, places=near) if one.valid_until >= today]
        deciding = min(known, key=lambda one: near.index(one.place), default=None)  # of one place, the newest is first
        if deciding is None or deciding.conclusion != "acceptable":
            raise Refusal("assessment_missing", purpose=purpose, place=place)
        return deciding

    async def find(
        self,
        *,
        purpose: str | None = None,
        places: Collection[str] | None = None,
        before: str = "pia_~",
        limit: int = 1_000,
    ) -> list[Assessment]:
        """Records, newest first, from the one before the id `before` on."""
        where, params = "id < ?", [before]
        if purpose is not None:
            where, params = f"{where} AND purpose = ?", [*params, purpose]
        if places is not None:
            if not places:
                return []
            where += f" AND place IN ({', '.join('?' * len(places))})"
            params += sorted(places)
        sql = f"SELECT {_COLUMNS} FROM assessment WHERE {where} ORDER BY id DESC LIMIT {limit:d}"
        return [Assessment(*row) for row in await self._ledger.fetch(sql, *params)]


def years_after(day: date, years: int) -> date:
    """The same day `years` later; the last of February for the 29th."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
