# SPDX-License-Identifier: Apache-2.0
"""How much a caller may ask for: over processes and restarts, and what is said to those who asked for too much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.auth import Caller
from api.server.rates import PURSES_MAX, Rates, headers
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from rules.ports import Actor
from tests.ledgers import SECRET, FixedClock
from tests.serving import served

pytestmark = pytest.mark.schema()

QUOTA = 160
TILL = Caller("merchant", "key_till", Actor("key_till", None), frozenset())


class Processes:
    """Processes of one deployment on one database, under one clock. `spend` counts what goes through."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url = url
        self.clock = FixedClock()
        self._stack = stack

    async def start(self, workers: int = 1, **quotas: int) -> Rates:
        ledger = Ledger(self.url, SECRET, clock=self.clock)
        await ledger.open()
        self._stack.push_async_callback(ledger.close)
        return Rates(ledger, quotas or {"merchant": QUOTA, "public": QUOTA}, workers, SECRET)

    async def settled(self, workers: int = 1) -> Rates:
        """One that has been running for more than a minute."""
        rates = await self.start(workers)
        self.clock.advance(seconds=61)
        return rates


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield Processes(database_url, stack)


def asked_from(address: str) -> dict[str, Any]:
    """The scope of a request that comes from there."""
    world = SimpleNamespace(settings=SimpleNamespace(trusted_proxies=()))
    app = SimpleNamespace(state=SimpleNamespace(world=world))
    return {"client": (address, 1), "headers": [], "litestar_app": app}


async def spend(rates: Rates, times: int, cost: int = 1, caller: Caller | None = TILL, address: str = "") -> int:
    """How many of so many requests went through before one did not."""
    for done in range(times):
        try:
            await rates.charge(asked_from(address), caller, cost)
        except Refusal as refusal:
            assert "rate_limited" == refusal.code
            return done
    return times


async def test_a_quota_is_what_it_says(processes: Processes) -> None:
    """A process alone gives all of the quota, and no more."""
    rates = await processes.settled()
    assert QUOTA == await spend(rates, QUOTA * 2)


async def test_processes_share_one_quota(processes: Processes) -> None:
    """Two processes give together what one gives, though neither knows of the other."""
    one, two = await processes.settled(2), await processes.settled(2)
    given = 0
    for _ in range(QUOTA):
        given += await spend(one, 1) + await spend(two, 1)
    assert QUOTA - QUOTA // 16 <= given <= QUOTA


async def test_processes_that_ask_at_the_same_moment_share_one_quota(processes: Processes) -> None:
    """The first row of a caller, and every chunk after it, asked for by two processes at once."""
    one, two = await processes.settled(2), await processes.settled(2)
    done = await asyncio.gather(*(spend(rates, 1) for _ in range(QUOTA) for rates in (one, two)))
    assert QUOTA - QUOTA // 16 <= sum(done) <= QUOTA


async def test_a_restart_gives_nothing_anew(processes: Processes) -> None:
    """What was spent before a restart stays spent: five processes one after the other give one quota."""
    given = await spend(await processes.settled(), QUOTA * 3 // 4)
    for _ in range(4):
        given += await spend(await processes.start(), QUOTA)
    assert QUOTA * 3 // 4 <= given <= QUOTA


async def test_after_the_wait_that_was_said_there_is_more(processes: Processes) -> None:
    """One second before Retry-After there is nothing; then there is; in a minute there is all."""
    rates = await processes.settled()
    await spend(rates, QUOTA)
    with pytest.raises(Refusal) as said:
        await rates.charge({}, TILL, 1)
    wait = said.value.facts["retry_after"]
    assert 1 <= wait <= 5
    processes.clock.advance(seconds=wait - 1)
    assert 0 == await spend(rates, 1)
    processes.clock.advance(seconds=1)
    assert QUOTA // 16 == await spend(rates, QUOTA)
    processes.clock.advance(seconds=60)
    assert QUOTA == await spend(rates, QUOTA * 2)


async def test_what_costs_more_takes_more(processes: Processes) -> None:
    """A call of fifty units leaves the rest for calls of one; one dearer than any quota can be made all the same."""
    rates = await processes.settled()
    assert 2 == await spend(rates, 2, cost=50)
    assert QUOTA - 100 == await spend(rates, QUOTA)
    processes.clock.advance(seconds=121)
    assert 1 == await spend(rates, 1, cost=QUOTA * 3)
    assert QUOTA * 3 == await spend(rates, QUOTA * 3, cost=0)


async def test_a_dear_call_that_is_refused_shuts_no_cheap_one_out(processes: Processes) -> None:
    """A batch does not fit into what is left; reading goes on, down to the last chunk."""
    rates = await processes.settled()
    assert 2 == await spend(rates, 3, cost=50)
    assert QUOTA - 100 == await spend(rates, QUOTA)


async def test_most_requests_cost_no_commit(processes: Processes) -> None:
    """A quarter of the quota is given unasked, the rest in twelve commits; who is refused costs none."""
    rates = await processes.settled()
    ledger = rates._ledger
    assert QUOTA // 4 == await spend(rates, QUOTA // 4)
    assert 0 == ledger.sequencer.batches
    await spend(rates, QUOTA)
    assert 12 <= ledger.sequencer.batches <= 13
    for _ in range(50):
        await spend(rates, 1)
    assert ledger.sequencer.batches <= 13


async def test_requests_that_wait_ask_once(processes: Processes) -> None:
    """A hundred requests at the same moment are paid for with one chunk at a time and get no more than the quota."""
    rates = await processes.settled()
    done = await asyncio.gather(*(spend(rates, 1) for _ in range(QUOTA * 2)))
    assert QUOTA == sum(done)
    assert rates._ledger.sequencer.batches <= 13


async def test_a_clock_that_goes_back_shuts_nobody_out(processes: Processes) -> None:
    """An hour back: whoever had spent it all waits a minute at most, not an hour."""
    rates = await processes.settled()
    await spend(rates, QUOTA)
    processes.clock.us -= 3_600_000_000
    await spend(rates, QUOTA)
    processes.clock.advance(seconds=61)
    assert QUOTA // 2 <= await spend(rates, QUOTA * 2) <= QUOTA


@pytest.mark.parametrize("lost", [Unavailable("database_unavailable"), Unavailable("queue_full")])
async def test_without_the_database_a_process_keeps_the_pace(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, lost: Refusal
) -> None:
    """A database out of reach stops no reader who could be answered, and opens no gate either."""
    rates = await processes.settled()

    async def submit(_command: Any) -> Any:
        raise lost

    monkeypatch.setattr(rates._ledger, "submit", submit)
    given = 0
    for _ in range(60):
        given += await spend(rates, QUOTA)
        processes.clock.advance(seconds=1)
    assert QUOTA // 2 <= given <= QUOTA * 3 // 2


async def test_an_address_is_counted_and_not_kept(processes: Processes) -> None:
    """Who has not signed in is counted by address, an IPv6 line as one; the database learns none of them."""
    rates = await processes.settled()
    assert QUOTA == await spend(rates, QUOTA * 2, caller=None, address="203.0.113.9")
    assert 0 == await spend(rates, 1, caller=None, address="::ffff:203.0.113.9")
    assert 1 == await spend(rates, 1, caller=None, address="203.0.113.10")
    half = QUOTA // 2
    assert half == await spend(rates, half, caller=None, address="2001:db8:1:2::1")
    assert half == await spend(rates, QUOTA, caller=None, address="2001:db8:1:2:ffff::9")
    assert 1 == await spend(rates, 1, caller=None, address="2001:db8:1:3::1")
    rows = await rates._ledger.fetch("SELECT who FROM rate")
    assert rows
    assert not [who for (who,) in rows if not who.startswith("at:") or "203" in who[:6] or "2001" in who[:8]]


async def test_kinds_without_a_quota_are_not_counted(processes: Processes) -> None:
    """A quota that the operator took away is none, and says nothing in the headers."""
    rates = await processes.start(merchant=QUOTA)
    scope = asked_from("203.0.113.9")
    for _ in range(QUOTA * 2):
        await rates.charge(scope, None, 10)
    assert "rate" not in scope


async def test_what_the_headers_say(processes: Processes) -> None:
    """The policy, what is left, and in how many seconds all of it is back."""
    rates = await processes.settled()
    scope: dict[str, Any] = {}
    await rates.charge(scope, TILL, 40)
    assert [
        (b"ratelimit-policy", b'"merchant";q=160;w=60'),
        (b"ratelimit", b'"merchant";r=120;t=15'),
    ] == headers(scope["rate"])
    await spend(rates, QUOTA)
    with pytest.raises(Refusal):
        await rates.charge(scope, TILL, 1)
    assert b'"merchant";r=0;t=60' == dict(headers(scope["rate"]))[b"ratelimit"]


async def test_purses_do_not_pile_up(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses come by, a process remembers so many and no more."""
    monkeypatch.setattr("api.server.rates.PURSES_MAX", 100)
    rates = await processes.settled()
    for n in range(300):
        await spend(rates, 1, caller=None, address=f"198.51.{n // 256}.{n % 256}")
    assert 100 == len(rates._purses)
    assert PURSES_MAX >= 10_000


@pytest.mark.long
async def test_two_workers_and_a_restart_give_one_quota(postgres_url: str, tmp_path: Path) -> None:
    """A real server of two processes, asked as fast as it answers over many connections, killed and started again:
    one quota, and what has come back in the seconds that it took."""
    with served(postgres_url, tmp_path / "home", workers=2, rates=f"staff={QUOTA}") as server:
        token = server.sign_in()
        given, since = 0, time.monotonic()

        async def ask(times: int) -> int:
            async with server.client(token) as client:
                answers = await asyncio.gather(*(client.get("/v1/places?limit=1") for _ in range(times)))
            assert {one.status_code for one in answers} <= {200, 429}
            assert all("retry-after" in one.headers for one in answers if one.status_code == 429)
            return sum(one.status_code == 200 for one in answers)

        for _ in range(4):
            given += await ask(QUOTA // 2)
        server.kill9()
        server.start()
        for _ in range(3):
            given += await ask(QUOTA // 2)
        back = QUOTA * (time.monotonic() - since) / 60
        assert QUOTA // 2 <= given <= QUOTA + back + 1
