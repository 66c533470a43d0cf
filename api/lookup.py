# SPDX-License-Identifier: Apache-2.0
"""Looking people up at a counter: who may find whom, how often, and what is written down of it.

Whoever knows name and whole phone of somebody finds them anywhere, because a volunteer is scored by the community
served, not by the one they live in. With less to go by, only the caller's own part of the town is searched.
"""

from __future__ import annotations

from typing import Any

from api.auth import Caller
from api.counting import MINUTE_US, Counting
from api.world import World
from ledger.errors import Refusal

PER_MINUTE = 60


async def count(world: World, what: str, *, most: int = PER_MINUTE, minutes: int = 1) -> None:
    """Count something that a caller may do so often. Raises `rate_limited`."""
    await world.ledger.submit(Counting(what, most, minutes * MINUTE_US))


async def look_up(
    world: World, caller: Caller, *, name: str, phone: str | None, phone_tail: str | None, place: str | None
) -> list[dict[str, Any]]:
    """Whom the caller may mean, masked. Raises `forbidden`, `rate_limited`, `not_found` for the place."""
    grids: list[str] = []
    if place is not None:
        world.register.place(place)
        if not caller.serves(place, world.covers):
            raise Refusal("forbidden", scope="people:read", place=place)
        grids = world.register.grids_under(place)
    await count(world, f"lookup:{caller.id}")
    found = await world.people.identify(name=name, phone=phone, phone_tail=phone_tail, grid=grids)
    known = await world.register.subjects([one.subject for one in found])
    items: list[dict[str, Any]] = []
    for one in found:
        subject = known.get(one.subject)
        if subject is None or (place is not None and not world.covers(place, subject.grid)):
            continue
        near = caller.serves(subject.grid, world.covers)
        if not near and phone is None:
            continue
        await world.saw(caller, one.subject, "lookup")
        items.append(
            {
                "subject": one.subject,
                "masked_name": one.masked_name,
                "place": subject.grid if near else subject.home,
                "groups": list(subject.groups),
            }
        )
    return items
