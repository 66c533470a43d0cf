# SPDX-License-Identifier: Apache-2.0
"""`jifen erase`: forget a person, as a member of staff who may."""

from __future__ import annotations

from api import erasure, messages
from api.commands import Result, acting
from api.permissions import rules
from api.world import World

_SAID = {
    ("zh", True): "{}：已注销，资料已销毁，数据库文件中没有残留",
    ("zh", False): "{}：已注销，资料已销毁；文件里的残留正被占用，稍后自动清除（jifen jobs run erasures）",
    ("en", True): "{}: erased, and nothing is left in the database's files",
    ("en", False): "{}: erased; traces in the files are in use and will be cleared later (jifen jobs run erasures)",
}


async def erase(world: World, subject: str, user: str, reason: str, lang: messages.Lang) -> Result:
    """Raises `forbidden`, `subject_unknown`, `subject_erased`."""
    caller = await acting(world, user, rules()["erasePerson"])
    await erasure.check_may(world, caller, subject)
    gone = await erasure.erase(world, subject, actor=caller.id, reason=reason)
    return Result(
        lines=[_SAID[lang, gone].format(subject)],
        data={"subject": subject, "state": "erased", "traces": "none" if gone else "pending"},
    )
