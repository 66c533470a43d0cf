# SPDX-License-Identifier: Apache-2.0
"""A town to be asked over HTTP: who asks, with which tokens, and the bytes of what they ask; and servers for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import orjson

from api.auth import KIND_SCOPES
from benchmarks.load import Link, request
from benchmarks.till import Shelf, shelf
from benchmarks.town import COUNTY, Town
from ledger.clock import system_clock
from merchants.passes import Pass, Passes

RATES = "staff=10000000 merchant=10000000 resident=10000000 public=10000000"  # counted, and never reached
START_S = 60
RESIDENTS = 256  # of whom each has a session of their own, and polls a balance


@dataclass(frozen=True, slots=True)
class Front:
    """Tokens of a member of staff, of a till and of residents, beside what they need to ask."""

    place: Town
    staff: str
    till: str
    residents: list[str]
    shelf: Shelf
    passes: Passes

    def award(self, number: int, path: str = "/v1/awards") -> bytes:
        """The number-th deed: an hour of everybody in turn, on one of twenty days."""
        return request("POST", path, self.staff, orjson.dumps(self._deed(number)), f"k{number:012d}")

    def batch(self, numbers: Iterable[int]) -> bytes:
        some = list(numbers)
        body = orjson.dumps({"items": [self._deed(number) for number in some]})
        return request("POST", "/v1/award-batches", self.staff, body, f"b{some[0]:012d}")

    def balance(self, number: int) -> bytes:
        return request("GET", "/v1/me/balance", self.residents[number % len(self.residents)])

    def redemption(self, number: int) -> bytes:
        """The number-th order: a fresh code from the phone of everybody in turn, held and captured in one step."""
        token, _ = self.passes.make("token", Pass(self.subject(number)), system_clock())
        body = orjson.dumps({"offer": self.shelf.offer, "by": {"token": token}})
        return request("POST", "/v1/redemptions?capture=true", self.till, body, f"r{number:012d}")

    def subject(self, number: int) -> str:
        return self.place.subjects[number % len(self.place.subjects)]

    def _deed(self, number: int) -> dict[str, object]:
        return {
            "subject": self.subject(number),
            "indicator": "RE-01",
            "occurred_on": (date.today() - timedelta(days=number // len(self.place.subjects) % 20)).isoformat(),
            "facts": {"minutes": 60},
            "evidence": [{"kind": "sign_in", "level": "E2"}],
            "cause": {"source": "bench", "case": str(number)},
        }


async def front(place: Town) -> Front:
    """Signs everybody in and opens the shop."""
    world = place.world
    role: dict[str, str | None] = {"role": "community_staff", "place": COUNTY, "from": "2020-01-01", "to": None}
    await world.staff.create(None, "bench", "a long enough password", [role])
    staff = (await world.staff.sign_in("bench", "a long enough password")).token
    signed_in = [
        (await world.staff.sign_in_subject("resident", subject, KIND_SCOPES["resident"])).token
        for subject in place.subjects[:RESIDENTS]
    ]
    stands = await shelf(place)
    till = (await world.staff.issue_key(None, "merchant", "bench", merchant=stands.merchant)).key
    return Front(place, staff, till, signed_in, stands, Passes(world.keys.secret, world.keys.origin))


def environment(place: Town) -> dict[str, str]:
    home = str(place.world.settings.home)
    return {"JIFEN_DATABASE_URL": place.url, "JIFEN_HOME": home, "JIFEN_RATE_LIMITS": RATES}


@contextlib.asynccontextmanager
async def serving(application: str, workers: int, environment: Mapping[str, str]) -> AsyncIterator[int]:
    """The port of a server: `jifen serve`, or any other application under uvicorn as `jifen serve` sets it up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "api", "serve"]
    if application != "jifen":
        command = ["-m", "uvicorn", application, "--loop", "uvloop", "--http", "api.server.bounds:BoundedHttp"]
        command += ["--no-access-log", "--log-level", "warning"]
    command += ["--port", str(port), "--workers", str(workers)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,  # its workers end with it
        )
        try:
            if not await _answers(process, port):
                log.seek(0)
                raise RuntimeError(f"{application} does not answer\n{log.read()[-2000:].decode(errors='replace')}")
            yield port
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


async def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Waits until the server answers anything at all; False where it ends instead, or takes a minute."""
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            link = await Link.to(port)
            await link.ask(request("GET", "/health", "none"))
            link.close()
            return True
        await asyncio.sleep(0.05)
    return False
