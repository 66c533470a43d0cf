# SPDX-License-Identifier: Apache-2.0
"""Every call that changes a file fails in turn, in every way a disk, a process and a machine fail: what was answered
is kept, what was not can be asked again, and nothing is left half done. docs/adr/0013-failing-disks.md."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import faults
from tests.faults import DEADLY, KINDS, FailingDisk, Nursery, Run, histories
from tests.serving import Served
from tests.test_crashes import check_acknowledged, under_load

FAULTS = KINDS[1:]
# history → the one whose disk it begins on
BEGINS = {"birth": None, "life": "birth", "impatient": "birth", "publishing": "birth", "vault": None}


class Campaign:
    """One history after another on the same failing disk, each from where it begins."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self.nursery = nursery
        self._folder = folder

    def template(self, history: str) -> Path | None:
        before = BEGINS[history]
        if before is None:
            return None
        made = self._folder / before
        if not made.exists():
            assert 0 == self.nursery.run(before).status
            shutil.copytree(self.nursery.disk.disk, made)
        return made

    async def run(self, history: str, kind: str = "none", at: int = 0) -> Run:
        """One run, and its check on a disk that is well again."""
        run = self.nursery.run(history, kind, at, self.template(history))
        dead = kind == "gate" or (kind in DEADLY and run.hit) or any("unavailable" in one for one in run.said)
        assert (-9 if dead else 0) == run.status, f"{history}, {kind} at {run.calls[at - 1 : at + 1]}"
        try:
            await getattr(histories, f"check_{history}")(self.nursery.disk.disk, run.said)
        except Exception as error:
            raise AssertionError(f"{history}, {kind} at call {at}, {run.calls[at - 1]}") from error
        return run

    async def sweep(self, history: str, part: int, *, sample: bool) -> int:
        """Each kind of fault on one in `part` of the calls, in turn; of all, or of a sample that has every call on
        every file. How many faults came to pass."""
        calls = (await self.run(history)).calls
        hits = runs = 0
        for number, kind in enumerate(FAULTS):
            places = [at for at, (call, _) in enumerate(calls, 1) if _bears(call, kind)]
            if sample:
                places = _sample(calls, places, number)
            for at in places[number % part :: part]:
                hits += (await self.run(history, kind, at)).hit
                runs += 1
        assert hits >= 0.95 * runs  # a history that took a shorter way may end before the fault
        return hits


def _bears(call: str, kind: str) -> bool:
    """Does this fault mean anything to this call?"""
    if kind in ("short", "torn"):
        return call in ("write", "pwrite")
    return kind != "gate" or call in ("fsync", "fdatasync")


def _sample(calls: list[tuple[str, str]], places: list[int], turn: int) -> list[int]:
    """One place for each call on each file, another one for each kind of fault."""
    found: dict[tuple[str, str], list[int]] = {}
    for at in places:
        found.setdefault(calls[at - 1], []).append(at)
    return [group[(2 * turn + 1) * len(group) // (2 * len(FAULTS))] for group in found.values()]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp("faults")
    with faults.nursery(folder) as nursery:
        if not nursery.run("birth").calls:
            pytest.skip("this Python's file calls cannot be intercepted (LD_PRELOAD)")
        yield Campaign(nursery, folder)


@pytest.mark.parametrize(
    ("history", "part", "faults_min"), [("life", 2, 25), ("vault", 2, 15), ("birth", 8, 20), ("publishing", 8, 8)]
)
async def test_a_fault_of_every_kind(campaign: Campaign, history: str, part: int, faults_min: int) -> None:
    """Each kind of fault, each call on each file, somewhere in the history."""
    assert await campaign.sweep(history, part, sample=True) >= faults_min


@pytest.mark.long
@pytest.mark.parametrize(
    ("history", "part", "faults_min"),
    [("life", 1, 1800), ("vault", 1, 900), ("birth", 1, 2000), ("publishing", 3, 1500)],
)
async def test_every_fault(campaign: Campaign, history: str, part: int, faults_min: int) -> None:
    """Every call fails in every way, while publishing in one of three: some 7,200 faults, a quarter of an hour."""
    assert await campaign.sweep(history, part, sample=False) >= faults_min


async def test_what_was_called_off_stays_so(campaign: Campaign) -> None:
    """The log could not be synced, the caller was told so, and the process dies: a recovery does not find the entry,
    although its pages were in the log."""
    calls = (await campaign.run("impatient")).calls
    syncs = [at for at, call in enumerate(calls, 1) if call == ("fdatasync", "jifen.db-wal")]
    told = 0
    for at in syncs[:: len(syncs) // 12]:
        told += len((await campaign.run("impatient", "eio", at)).said)
    assert told >= 6


async def test_a_log_that_was_left_is_synced_before_it_is_read(campaign: Campaign) -> None:
    """A killed server's last pages may be in the cache alone: whoever comes next makes them safe before answering."""
    calls = (await campaign.run("life")).calls
    left = campaign.nursery.run("life", "kill", len(calls) // 2, campaign.template("life"))
    assert -9 == left.status
    disk = campaign.nursery.disk.folder / "left"
    shutil.copytree(campaign.nursery.disk.disk, disk)
    assert ("fsync", "jifen.db-wal") == campaign.nursery.run("life", template=disk).calls[0]


class _ServedOnIt(Served):
    """A server whose home is the failing disk."""

    def __init__(self, disk: FailingDisk) -> None:
        super().__init__(f"sqlite:///{disk.disk / 'jifen.db'}", disk.disk)
        self.build()
        self.failing = disk.environment

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **getattr(self, "failing", {})}


@pytest.mark.long
async def test_a_server_outlives_its_disk(tmp_path: Path) -> None:
    """Under load the disk fails in every way that leaves the server alive: 500 or 503, never a false 201, and it goes
    on by itself; what it acknowledged is there."""
    disk = FailingDisk(tmp_path)
    server = _ServedOnIt(disk)
    disk.arm()
    server.start()
    try:
        acknowledged: dict[str, dict[str, Any]] = {}
        token, stop = server.sign_in(), asyncio.Event()
        running = asyncio.create_task(under_load(server, token, acknowledged, itertools.count(), stop))
        for kind, at in (("eio", 11), ("enospc", 60), ("short", 11), ("full", 60)):
            await _more(server, acknowledged)
            disk.arm(kind, at)
            while not disk.hit:
                await asyncio.sleep(0.01)
            await _more(server, acknowledged)
        stop.set()
        await running
        await check_acknowledged(server, token, acknowledged, 30)
        server.jifen("verify")
    finally:
        server.stop()


async def _more(server: Served, acknowledged: dict[str, Any], count: int = 30) -> None:
    """Wait until so many more are acknowledged."""
    before = len(acknowledged)
    async with asyncio.timeout(30):
        while len(acknowledged) < before + count:
            await asyncio.sleep(0.01)
