# SPDX-License-Identifier: Apache-2.0
"""`jifen anomalies`: where somebody should look among the awards, or the spending, of a place."""

from __future__ import annotations

from api import messages
from api.anomalies import look, look_at_spending
from api.auth import Caller
from api.commands import DONE, Result
from api.http.anomalies import finding_body, spending_body
from api.world import World
from rules.ports import Actor


async def anomalies(
    world: World, place: str, from_day: str, to_day: str, lang: messages.Lang, about: str = "awards"
) -> Result:
    """Deeds, or orders, from one day to another at a place and below it."""
    world.register.place(place)
    operator = Caller("staff", "operator", Actor("operator", None), frozenset())
    if about == "spending":
        items = [spending_body(*one, lang) for one in await look_at_spending(world, operator, place, from_day, to_day)]
    else:
        items = [finding_body(one, lang) for one in await look(world, operator, place, from_day, to_day)]
    which = "redemptions" if about == "spending" else "awards"
    lines = [f"{one['day']} {one['detail']} {' '.join(one[which][:3])}" for one in items]
    return Result(DONE, lines or [messages.sentence("anomaly_none", "detail", lang, {})], {"items": items})
