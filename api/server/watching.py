# SPDX-License-Identifier: Apache-2.0
"""What a server process watches itself with, put together by its settings: lines, counts, spans. In the command line
and in tests there is none of it, and nothing is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.server.observed import Observed
from api.settings import Settings
from api.world import World


class Watching:
    """`settings` of a server process; None where nobody looks on."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._log = self._meter = self._tracing = None
        if settings is None:
            return
        # Each is imported where it is used: together they take longer to load than the rest of a request's way.
        from api.server.logs import request_log

        self._log = request_log()
        if settings.metrics is not None:
            from api.server.metrics import metrics

            self._meter = metrics()
        if settings.tracing:
            from api.server.tracing import Tracing

            self._tracing = Tracing()

    def around(self, app: Any) -> Any:
        """An ASGI application, watched."""
        return Observed(app, log=self._log, meter=self._meter, tracing=self._tracing)

    def follow(self, world: World) -> None:
        """Watch the commits and jobs of an open world, too."""
        world.meter = self._meter
        watches: list[Any] = [one for one in (self._meter, self._tracing) if one is not None]
        if watches:
            world.ledger.sequencer.watch = watches[0] if len(watches) == 1 else _Both(watches)

    def close(self) -> None:
        """Send what is still to be sent."""
        if self._tracing is not None:
            self._tracing.close()


class _Both:
    """Two watches as one."""

    def __init__(self, watches: Sequence[Any]) -> None:
        self._watches = watches

    def queued(self) -> object:
        return [watch.queued() for watch in self._watches]

    def committed(self, callers: Sequence[Any], started_ns: int, failure: str) -> None:
        for index, watch in enumerate(self._watches):
            watch.committed([caller and caller[index] for caller in callers], started_ns, failure)
