# SPDX-License-Identifier: Apache-2.0
"""The application in this process, put together once: that takes longer than most of what is asked of it."""

from __future__ import annotations

from functools import cache
from typing import Any

from api import app
from api.settings import Settings
from api.world import World


def application(world: World) -> Any:
    """The one application of this process, now serving this world and no other."""
    made = _put_together()
    made.state.world = world
    return made


@cache
def _put_together() -> Any:
    nowhere: Any = object()
    return app.create_app(Settings(), nowhere)
