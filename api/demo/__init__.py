# SPDX-License-Identifier: Apache-2.0
"""The demo county: `jifen demo`. An invented town on the real places, with thirteen months behind it.

The same seed, number of people and last day make the same town: the same subjects with the same balances. docs/demo.md
says what is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any

import orjson

from api.commands import UsageError, journal_close_takeover
from api.demo import logins
from api.demo.chance import Clock, draw
from api.demo.county import County, assess, charter, hire, invent, posts, register, settle
from api.demo.history import History
from api.demo.lane import first_day, open_days, sessions
from api.demo.origin import LOGINS, clear, mark
from api.demo.papers import hand_out
from api.demo.places import CLOSED_STREET, COMMUNITIES, ZONE
from api.demo.scale import PEOPLE, Scale
from api.demo.shops import stock
from api.settings import Settings
from api.world import World

__all__ = ["PEOPLE", "SEED", "Demo", "build"]

SEED = 1
LEAST, MOST = 2, 200_000
FOUNDED = date(2022, 1, 1)  # the founding pack is in force from here

Progress = Callable[..., None]
"""Called as `progress(done, total=…, what=…)`: `done` steps more out of `total`."""


class Demo(dict[str, Any]):
    """What stands in demo.json, with what the command line says about it. `counts`: what happened, for a fresh one."""

    status = 0

    def __init__(self, said: dict[str, Any], lines: list[str], counts: dict[str, int] | None = None) -> None:
        super().__init__(said)
        self.lines = lines
        self.counts = counts or {}

    @property
    def data(self) -> dict[str, Any]:
        return dict(self)


async def build(
    settings: Settings,
    *,
    people: int | None = None,
    seed: int | None = None,
    as_of: date | str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Demo:
    """Build the county and write demo.json; one that is there already stays, unless `force` starts a new origin.

    `as_of` is today unless it is said. Raises `UsageError` for numbers that make no county, and where something stands
    that is not a demo's.
    """
    path = settings.home / LOGINS
    if path.exists() and not force:
        return Demo(orjson.loads(path.read_bytes()), [f"{path}: the demo county is there already (--force: a new one)"])
    clock = Clock(ZONE)
    last = _last_day(as_of, clock.today())
    count = PEOPLE if people is None else people
    if not LEAST <= count <= MOST:
        raise UsageError(f"--people: {count} is not between {LEAST} and {MOST}")
    await clear(settings)
    clock.set(first_day(last), "00:01")
    world = World(settings, clock=clock)
    await world.init()
    await world.open()
    try:
        world.ledger.random = draw
        county = County(world, clock, SEED if seed is None else seed, Scale.of(count))
        said, counts = await _live(county, last, progress or _quiet)
        await world.publisher.publish(epoch=True)
    finally:
        await world.close()
    logins.write(path, said)
    return Demo(said, _lines(path.as_posix(), said, counts), counts)


def _last_day(as_of: date | str | None, today: date) -> date:
    if isinstance(as_of, str):
        try:
            as_of = date.fromisoformat(as_of)
        except ValueError:
            raise UsageError(f"--as-of: {as_of!r} is not a day like 2026-11-21") from None
    last = as_of or today
    if last > today:
        raise UsageError(f"--as-of: {last} is still to come")
    if first_day(last) < FOUNDED:
        raise UsageError(f"--as-of: {last} is too early; a year of history goes before it, under rules from {FOUNDED}")
    return last


async def _live(county: County, as_of: date, progress: Progress) -> tuple[dict[str, Any], dict[str, int]]:
    world, clock = county.world, county.clock
    start = first_day(as_of)
    batches = _by_home(invent(county, start))
    total = len(batches) + len(sessions(as_of, open_days(county.scale.people))) + 5

    def tick(what: str, done: int = 1) -> None:
        progress(done, total=total, what=what)

    await mark(world)
    await asyncio.gather(*(hire(county, *post) for post in posts(county.scale.people)))
    actor = county.staff["staff"].id
    await settle(county, actor)
    await assess(county, start)
    tick("places")
    clock.set(start, "08:00")
    for batch in batches:
        await register(county, batch, actor)
        tick("people")
    county.resident = county.people[batches[0][0][1].home][0]
    await charter(county, actor)
    tick("bodies")
    await stock(county, tuple(range(start.year, as_of.year + 1)), lambda: None)
    tick("shops")
    clock.set(start, "08:30")
    for code in COMMUNITIES:
        if code.startswith(CLOSED_STREET):
            await journal_close_takeover(world, code)
    tick("journals")
    history = History(county, as_of)
    await history.run(lambda: tick("history"))
    await hand_out(county, as_of)
    clock.set(as_of, "08:00")
    if as_of == clock.today():
        clock.catch_up()
    said = await logins.issue(county, as_of)
    tick("logins")
    return said, dict(sorted(history.counts.items()))


def _by_home(made: list[Any]) -> list[list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in made:
        found.setdefault(one[1].home, []).append(one)
    return list(found.values())


def _quiet(done: int, total: int | None = None, what: str | None = None) -> None:
    pass


def _lines(path: str, said: dict[str, Any], counts: dict[str, int]) -> list[str]:
    scale = said["scale"]
    awards = sum(counts.get(state, 0) for state in ("posted", "reduced", "zero"))
    return [
        f"桓台县（演示）: 2 个街道、15 个社区、140 个网格，{scale['people']} 人，{scale['teams']} 支志愿服务队，"
        f"截至 {said['as_of']} 的 13 个月里 {awards} 次加分、{counts.get('redemptions', 0)} 次兑换。",
        f"logins: {path}",
    ]
