# SPDX-License-Identifier: Apache-2.0
"""From a sheet of deeds to requests for the desk, row by row; shared by the server and the command line.

Whom a row means is asked of the vault, where it happened of the register, what it counts as of the pack. What is not
certain is refused by row, column and value, with what to do about it; nothing is guessed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from api.people.vault import People, Who
from api.sheets.awards import AwardRow, parse_awards
from api.sheets.grid import Grid, RowProblem, SheetRefused, shown
from api.sheets.read import columns, read_sheet
from api.sheets.sentences import sentence
from api.sheets.words import FIELDS
from ledger.errors import Refusal
from rules.desk.batch import ROWS_MAX
from rules.desk.desk import Desk, RowIn
from rules.desk.records import RowResult, opened
from rules.desk.request import AwardRequest
from rules.engine.model import Indicator
from rules.register import Register
from rules.shelf import Shelf

_CODE = re.compile(r"[A-Za-z]{2}-?[0-9]{2}")
# Which column a refusal of the desk speaks of; the first that the sheet has.
_COLUMN: dict[str, tuple[str, ...]] = {
    "facts_invalid": ("hours", "minutes", "end"),
    "entry_deadline_passed": ("day", "when"),
    "indicator_not_in_force": ("day", "when"),
    "not_found": ("indicator", "activity"),
    "group_mismatch": ("indicator", "activity"),
    "evidence_too_weak": ("indicator", "activity"),
    "forbidden": ("service_community", "community"),
}


class Town(Protocol):
    """The part of the world that a sheet needs."""

    @property
    def people(self) -> People: ...
    @property
    def register(self) -> Register: ...
    @property
    def packs(self) -> Shelf: ...
    @property
    def desk(self) -> Desk: ...


@dataclass(slots=True)
class SheetRequests:
    """A sheet as the desk takes it, and what is needed to talk about its rows afterwards."""

    rows: list[RowIn]
    problems: dict[int, list[RowProblem]]
    grid: Grid

    def about(self, result: RowResult) -> list[RowProblem]:
        """What is wrong with a row: found in the sheet itself, or said by the desk."""
        if known := self.problems.get(result.row):
            return known
        code = result.code or "request_invalid"
        at = columns(self.grid, "awards")
        field = next((name for name in _COLUMN.get(code, ()) if name in at), "name")
        index = at.get(field)
        column = FIELDS["awards"][field][0] if index is None else self.grid.headers[index]
        value = "" if index is None else shown(self._cells(result.row)[index])[:200]
        return [RowProblem(result.row, column, value, code, result.facts)]

    def errors(self, results: Iterable[RowResult], lang: str) -> bytes:
        """The refused rows as a sheet that can be mended and handed in again."""
        from api.sheets.write import errors_xlsx  # here: the writer takes long to load and is seldom wanted

        problems = [one for result in results if result.state == "refused" for one in self.about(result)]
        return errors_xlsx(self.grid, problems, lang)

    def _cells(self, row: int) -> Sequence[Any]:
        try:
            return self.grid.rows[self.grid.numbers.index(row)]
        except ValueError:
            return [None] * len(self.grid.headers)


def told(result: RowResult, problems: Sequence[RowProblem], lang: str) -> dict[str, Any]:
    """One row as answered: state and amounts, and for a refused one where, why and what to do."""
    said = result.brief()
    if result.award is not None:
        said["award"] = result.award
    if problems:
        first = problems[0]
        reason, fix = sentence(first, lang)
        said |= {"column": first.column, "value": first.value, "detail": reason, "fix": fix}
    return said


async def sheet_requests(
    town: Town,
    data: bytes,
    filename: str | None = None,
    *,
    header_row: int | None = None,
    indicator: str | None = None,
    place: str | None = None,
    replaces: str | None = None,
) -> SheetRequests:
    """Read a sheet and resolve its rows. `indicator` and `place` serve rows that name none of their own.

    `replaces` is a batch that was taken back, wholly or in part: the mended sheet's awards take the place of its
    reversed ones, where otherwise the same deed would count as rewarded already.

    Raises `SheetRefused` for the sheet as a whole, `not_found` for an indicator or place that does not exist.
    """
    await town.register.refresh()
    if place is not None:
        town.register.place(place)
    if indicator is not None and not town.packs.knows(indicator):
        raise Refusal("not_found", what="indicator", id=indicator[:40])
    # In a thread: a large sheet takes a second, and others are waiting for the loop.
    grid = await asyncio.to_thread(read_sheet, data, filename, header_row)
    sheet = await asyncio.to_thread(parse_awards, grid)
    if len(sheet.rows) + len({problem.row for problem in sheet.problems}) > ROWS_MAX:
        raise SheetRefused("sheet_too_large", what="rows", limit=ROWS_MAX)
    problems: dict[int, list[RowProblem]] = {}
    for problem in sheet.problems:
        problems.setdefault(problem.row, []).append(problem)
    reader = _Reader(town, columns(grid, "awards"), grid, indicator, place, problems)
    grids = {row.row: reader.grid_of(row) for row in sheet.rows}
    found = await town.people.identify_rows([Who(row.name, row.phone, grids[row.row]) for row in sheet.rows])
    requests = {
        row.row: request
        for row, subject in zip(sheet.rows, found, strict=True)
        if (request := reader.request(row, subject)) is not None
    }
    if replaces is not None:
        former = await _reversed(town, replaces)
        requests = {row: one._replace(replaces=_former(former, one)) for row, one in requests.items()}
    out: dict[int, RowIn] = {number: (number, None) for number in sheet.ignored}
    out |= {number: (number, request) for number, request in requests.items()}
    # What the desk stores under a retry key may name nobody: the code is enough, the sheet has the rest.
    out |= {number: (number, Refusal(found[0].code)) for number, found in problems.items()}
    return SheetRequests([out[number] for number in sorted(out)], problems, grid)


def _deed(request: AwardRequest) -> tuple[str, ...]:
    """What a reversed award is known by in the mended sheet; whether it is the same deed the ledger decides."""
    return request.subject, request.indicator, request.occurred_on.isoformat(), request.start or ""


def _former(found: Mapping[tuple[str, ...], Mapping[str, str]], request: AwardRequest) -> str | None:
    at = found.get(_deed(request), {})
    return at.get(request.place) if request.place is not None else next(iter(at.values())) if len(at) == 1 else None


async def _reversed(town: Town, batch: str) -> dict[tuple[str, ...], dict[str, str]]:
    """The awards of a batch that were taken back, by their deeds and places. Raises `not_found`."""
    await town.desk.records.batch_row(batch)
    rows = [row for row in await town.desk.records.award_rows(batch) if row[3] == "reversed"]
    keys = await town.people.known_keys({row[6] for row in rows})
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        if row[6] in keys:  # an erased person has no deeds to mend
            start = opened(row, keys[row[6]])["request"].get("start") or ""
            found.setdefault((row[6], row[11], row[13], start), {})[row[10]] = row[0]
    return found


@dataclass(slots=True)
class _Reader:
    """One sheet under resolution: notes what is wrong instead of raising it."""

    town: Town
    at: Mapping[str, int]
    grid: Grid
    indicator: str | None
    place: str | None
    problems: dict[int, list[RowProblem]]

    def note(self, row: int, field: str, value: object, code: str, **facts: Any) -> None:
        index = self.at.get(field)
        column = FIELDS["awards"][field][0] if index is None else self.grid.headers[index]
        text = "" if value is None else str(value)[:200]
        self.problems.setdefault(row, []).append(RowProblem(row, column, text, code, facts))

    def grid_of(self, row: AwardRow) -> str | None:
        """The grid by which a person without a phone is found; with a phone the grid is not asked."""
        if row.phone is not None:
            return None
        register = self.town.register
        community = self.place
        if row.community is not None:
            found = register.match_community(row.community)
            if found is None:
                self.note(row.row, "community", row.community, "place_unknown")
                return None
            community = found.code
        if row.grid is None:
            return None
        if community is None:
            exact = register.tree.places.get(row.grid)
            if exact is not None and exact.level == "grid":
                return exact.code
            self.note(row.row, "community", None, "place_missing")
            return None
        matched = register.match_grid(row.grid, community)
        if matched is None:
            self.note(row.row, "grid", row.grid, "grid_unknown", community=row.community or community)
            return None
        return matched.code

    def request(self, row: AwardRow, subject: str | Refusal) -> AwardRequest | None:
        noted = row.row in self.problems
        if isinstance(subject, Refusal) and not noted:
            field = "phone" if row.phone is not None and subject.code == "name_mismatch" else "name"
            value = row.phone if field == "phone" else row.name
            self.note(row.row, field, value, subject.code, **subject.facts)
        indicator = self._indicator(row)
        place = self._place(row)
        if row.row in self.problems or isinstance(subject, Refusal) or indicator is None:
            return None
        facts: dict[str, int | str] = {}
        if row.minutes is not None and indicator.field("minutes") is not None:
            facts["minutes"] = row.minutes
        return AwardRequest(
            subject=subject,
            indicator=indicator.code,
            occurred_on=row.occurred_on,
            facts=facts,
            place=place,
            note=row.note,
            start=None if row.start is None else f"{row.start:%H:%M}",
        )

    def _indicator(self, row: AwardRow) -> Indicator | None:
        pack = self.town.packs.pack(row.occurred_on)
        text = row.indicator
        found = None if text is None else pack.indicator_by_text(text)
        if found is None and self.indicator is not None and not (text and _CODE.fullmatch(text)):
            found = pack.indicators.get(self.indicator)
        if found is None:
            field = "indicator" if "indicator" in self.at or "activity" not in self.at else "activity"
            self.note(row.row, field, text, "indicator_missing" if text is None else "indicator_unknown")
        return found

    def _place(self, row: AwardRow) -> str | None:
        if row.service_community is None:
            return self.place
        found = self.town.register.match_community(row.service_community)
        if found is None:
            self.note(row.row, "service_community", row.service_community, "place_unknown")
            return None
        return found.code
