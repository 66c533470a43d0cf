# SPDX-License-Identifier: Apache-2.0
"""`jifen objections`: what is disputed and by when it is decided, and a decision from the command line."""

from __future__ import annotations

from typing import Any, cast

from api.commands import Result, acting
from api.disputes import objection_body
from api.messages import Lang
from api.permissions import rules
from api.world import World
from rules.objections import Outcome, lists

_SAID: dict[Lang, dict[str, str]] = {
    "zh": {
        "open": "处理中", "upheld": "成立", "partly": "部分成立", "rejected": "不成立",
        "due": "{due} 前作出决定", "late": "已过期限（{due}）", "none": "没有未办结的异议", "count": "其中过期 {n} 件",
    },
    "en": {
        "due": "to be decided by {due}", "late": "LATE, was due on {due}", "none": "nothing is disputed",
        "count": "late: {n}",
    },
}  # fmt: skip


async def listing(world: World, late: bool, lang: Lang) -> Result:
    """What is open, everywhere, the oldest last."""
    said, today = _SAID[lang], world.objections.today
    roots = [place.code for place in world.register.children(None)]
    found = await lists.objections(places=roots, state="open", due_before=today if late else None, limit=200)
    lines = [
        f"{one.id}  {one.kind}  {world.place_name(one.place)}  "
        + said["late" if one.overdue(today) else "due"].format(due=one.due)
        for one in found
    ]
    count = await lists.overdue(today, places=roots)
    if count:
        lines.append(said["count"].format(n=count))
    data: dict[str, Any] = {"items": [objection_body(one, today) for one in found], "overdue": count}
    return Result(lines=lines or [said["none"]], data=data)


async def decide(
    world: World, id_: str, user: str, outcome: str, reason: str, facts: list[tuple[str, int | str]] | None, lang: Lang
) -> Result:
    caller = await acting(world, user, rules()["decideObjection"])
    done, _ = await world.objections.decide(
        caller.actor, id_, cast(Outcome, outcome), reason, None if facts is None else dict(facts)
    )
    state = _SAID[lang].get(done.state, done.state)
    return Result(lines=[f"{id_}: {state}"], data=objection_body(done, world.objections.today))
