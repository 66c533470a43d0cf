# SPDX-License-Identifier: Apache-2.0
"""Impact assessments for tests of what waits for one."""

from __future__ import annotations

from datetime import date
from typing import Any

from api.assessments import Assessment, Purpose
from api.world import World
from rules.ports import Actor

COUNTY = "370321"


async def assess(world: World, *purposes: Purpose, place: str = COUNTY, **said: Any) -> list[Assessment]:
    """Record one each, in force for a year from the world's today."""
    today = date.fromisoformat(world.gate.today())
    told: dict[str, Any] = {
        "title": "影响评估",
        "summary": "已评估。",
        "conclusion": "acceptable",
        "made_by": "县信用办",
    }
    told |= {"valid_until": today.replace(year=today.year + 1, day=1), **said}
    admin = Actor("stf_admin", None, (("county_admin", COUNTY),))
    return [await world.assessments.record(admin, purpose=one, place=place, **told) for one in purposes]
