# SPDX-License-Identifier: Apache-2.0
"""The search for anomalies, with what only this room knows: who works here, where they live, and who acts for whom."""

from __future__ import annotations

from api.auth import Caller
from api.world import World
from merchants import watch
from rules.watch.anomalies import Finding, findings
from rules.watch.deeds import deeds


async def look(world: World, caller: Caller, place: str, from_day: str, to_day: str) -> list[Finding]:
    """Everything that should be looked at; whose records turn up is written into the access log."""
    staff = await world.ledger.fetch(
        "SELECT s.id, m.grid FROM staff s JOIN subject m ON m.subject = s.subject WHERE s.subject <> ''"
    )
    capacity = await world.ledger.fetch("SELECT id, daily_people FROM confirmer WHERE daily_people IS NOT NULL")
    there = await deeds(world.ledger, world.people, place, from_day, to_day)
    found = findings(there, dict(staff), dict(capacity))
    subjects = sorted({subject for one in found for subject in one.subjects})
    await world.saw_all(caller, subjects, f"anomalies {from_day}..{to_day}")
    return found


async def look_at_spending(
    world: World, caller: Caller, place: str, from_day: str, to_day: str
) -> list[tuple[watch.Finding, str]]:
    """The same among the orders at the shops of a place, each with the shop's name."""
    ties = await world.ledger.fetch("SELECT subject, agent FROM proxy")
    there = await watch.sales(world.ledger, place, from_day, to_day)
    shops = await watch.shops(world.ledger, place)
    found = watch.findings(there, shops, [(one, other) for one, other in ties], world.settings.timezone)
    subjects = sorted({subject for one in found for subject in one.subjects})
    await world.saw_all(caller, subjects, f"anomalies of spending {from_day}..{to_day}")
    return [(one, shops[one.merchant].name) for one in found]
