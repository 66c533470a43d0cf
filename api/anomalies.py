# SPDX-License-Identifier: Apache-2.0
"""The search for anomalies, with what only this room knows: who works here and where they live."""

from __future__ import annotations

from api.auth import Caller
from api.world import World
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
