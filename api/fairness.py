# SPDX-License-Identifier: Apache-2.0
"""The fairness report of a quarter, with what only this room knows: ages, phones, who works here, who acts for whom.

Records are opened to count in which band an age falls, and closed again: no record, id or name is in the answer.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from api.invalid import invalid
from api.people.records import age
from api.world import World
from ledger.view import local_day, rfc3339
from rules.lists.fairness import DEEDS, PEOPLE, STAFF, TIES, band_of, fairness
from rules.lists.periods import days_of, is_period

LEVELS = ("county", "street", "community")
_CHUNK = 500
_PAGE = 20_000


async def report(world: World, period: str, place: str) -> dict[str, Any]:
    """As `rules.lists.fairness.fairness` says, with the quarter, the place and names of grids: of the people at home at
    a place now who were registered by the quarter's end, and of the deeds done in it. Raises `not_found`, and
    `request_invalid` for what is no quarter that has begun, or a place below a community."""
    where, zone = world.register.place(place), world.settings.timezone
    now = world.ledger.clock()
    if not is_period(period, "quarter") or days_of(period)[0].isoformat() > local_day(now, zone):
        raise invalid([{"pointer": "?period", "code": "not_in_form", "limit": "2026Q3"}])
    if where.level not in LEVELS:
        raise invalid([{"pointer": "?place", "code": "not_a_choice", "limit": ", ".join(LEVELS)}])
    first, last = days_of(period)
    homes = [one.code for one in world.register.tree.below(place) if one.level == "community"]
    people = await _people(world, homes, last)
    found = fairness(people, await _deeds(world, first, last), await _staff(world), await _ties(world))
    for row in found["grids"]:
        row["name"] = world.place_name(row["code"])
    return {
        "period": period,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "place": place,
        "place_name": where.name,
        "as_of": rfc3339(now),
        **found,
    }


async def _people(world: World, homes: list[str], last: date) -> pl.DataFrame:
    """Whoever had an account on the last day, in bands by their age on it."""
    end = _us(last + timedelta(days=1), world.settings.timezone)
    rows: list[tuple[str, str, str, str]] = []
    for home in homes:
        known = await world.ledger.fetch(
            "SELECT s.subject, CASE WHEN s.grid = '' THEN s.home ELSE s.grid END, "
            "CASE WHEN p.phone_index IS NULL THEN 'without' ELSE 'with' END "
            "FROM subject s JOIN person p ON p.subject = s.subject "
            "WHERE s.home = ? AND s.kind = 'person' AND s.state = 'open' AND s.registered_at < ?",
            home,
            end,
        )
        for start in range(0, len(known), _CHUNK):
            chunk = known[start : start + _CHUNK]
            records = await world.people.records([subject for subject, *_ in chunk])
            births = {subject: record.birth for subject, record in records.items()}
            for subject, grid, phone in chunk:
                birth = births.get(subject)
                rows.append((subject, grid, band_of(None if birth is None else age(birth, last)), phone))
    return pl.DataFrame(rows, PEOPLE, orient="row")


async def _deeds(world: World, first: date, last: date) -> pl.DataFrame:
    """Awards that stand for deeds of these days, with the way they came in."""
    days = (first.isoformat(), last.isoformat())
    reported = await world.ledger.fetch(
        "SELECT award FROM report WHERE award IS NOT NULL AND occurred_on BETWEEN ? AND ?", *days
    )
    reports = {award for (award,) in reported}
    frames = [pl.DataFrame(schema=DEEDS)]
    # An id begins with the moment at which it was made, and nothing is reported before it was done.
    after = f"awd_{_us(first - timedelta(days=1), world.settings.timezone):014x}"
    while True:
        page = await world.ledger.fetch(
            "SELECT a.id, a.subject, a.standing, a.points, a.proposer, a.approver, b.source FROM award a "
            "LEFT JOIN batch b ON b.id = a.batch "
            "WHERE a.id > ? AND a.state = 'posted' AND a.occurred_on BETWEEN ? AND ? ORDER BY a.id LIMIT ?",
            after,
            *days,
            _PAGE,
        )
        rows = [
            (*rest, "report" if award in reports else "sheet" if source == "sheet" else "counter")
            for award, *rest, source in page
        ]
        frames.append(pl.DataFrame(rows, DEEDS, orient="row"))
        if len(page) < _PAGE:
            return pl.concat(frames)
        after = page[-1][0]


async def _staff(world: World) -> pl.DataFrame:
    rows = await world.ledger.fetch(
        "SELECT f.id, f.subject, s.grid FROM staff f JOIN subject s ON s.subject = f.subject WHERE f.subject <> ''"
    )
    return pl.DataFrame(rows, STAFF, orient="row")


async def _ties(world: World) -> pl.DataFrame:
    return pl.DataFrame(await world.ledger.fetch("SELECT DISTINCT subject, agent FROM proxy"), TIES, orient="row")


def _us(day: date, zone: str) -> int:
    """The first microsecond of a day."""
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * 1_000_000
