# SPDX-License-Identifier: Apache-2.0
"""What is done on the failing disk, and how one sees afterwards that nothing promised was lost.

Each history is a coroutine of (folder, say): it behaves as patient callers do, who send the same request again after
"unavailable", and says what it was answered. Each has a check, run on a healthy disk afterwards.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import isawaitable
from pathlib import Path
from typing import Any

from api.people.keystore import Keystore
from api.settings import Settings
from api.world import World
from ledger.book import accounts, awards, holds
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.guard import ForkGuard
from ledger.keys import Signer
from ledger.model import Sealed
from ledger.port import Answer
from ledger.publish import Publisher, check_guard, newest_checkpoints
from ledger.store import StoreLost
from ledger.tree import Trees
from ledger.view import View
from tests import ledgers
from tests.ledgers import HOUR, SECRET, FixedClock, OneKey, Step

Say = Callable[..., None]
TRIES = 60
PEOPLE = ("sub_ann", "sub_bo", "sub_cy")
MASTER = bytes(range(32))
SIGNER = Signer("town.example", MASTER)
RECOVERY = Signer("town.example/recovery", bytes(32))
# what stands in the chain after `life`: a refund is two entries, a move one in each journal
ENTRIES = Counter({"award": 30, "open": 5, "move": 2, "hold": 1, "capture": 1, "refund": 1, "release": 1})


async def patiently(do: Callable[[], Any], *lost: type[BaseException]) -> Any:
    """Again and again while the disk is ill."""
    for _ in range(TRIES - 1):
        with suppress(*lost):
            return await _done(do())
        await asyncio.sleep(0.001)
    return await _done(do())


async def _done(result: Any) -> Any:
    return await result if isawaitable(result) else result


# birth: keys and schema ----------------------------------------------------------------------------------------


def _settings(folder: Path) -> Settings:
    return Settings(f"sqlite:///{folder / 'jifen.db'}", folder)


async def birth(folder: Path, say: Say) -> None:
    """`jifen init`, again until it succeeds."""
    await patiently(World(_settings(folder)).init, StoreLost, OSError)
    say(born=True)


async def check_birth(folder: Path, said: Sequence[dict[str, Any]]) -> None:
    """What said it was done is done; else it can be done now. The keys of a deployment that was born stay."""
    if said:
        kept = {path.name: path.read_bytes() for path in folder.glob("*.key")}
        assert [] == await World(_settings(folder)).init()
        assert kept == {path.name: path.read_bytes() for path in folder.glob("*.key")}
    else:
        await World(_settings(folder)).init()
    world = World(_settings(folder))
    await world.open()
    await world.close()


# life: entries -------------------------------------------------------------------------------------------------


def _ledger(folder: Path, seed: int) -> Ledger:
    return Ledger(
        f"sqlite:///{folder / 'jifen.db'}", SECRET, clock=FixedClock(), random=random.Random(seed).randbytes
    )  # fmt: skip


Decision = Callable[[View], Sealed | Sequence[Sealed]]


def _steps(ledger: Ledger) -> list[dict[str, Decision]]:
    """Retry key → decision; what stands together is sent at the same moment."""

    def act() -> Any:
        return ledgers.act(ledger)

    def opening(journal: str) -> Decision:
        return lambda view: accounts.open_journal(
            view,
            journal,
            act(),
            origin=f"{SIGNER.name}/{journal}",
            vkey=SIGNER.vkey,
            recovery=RECOVERY.vkey,
            zone=ledgers.ZONE,
            policy=ledgers.POLICY,
        )

    def account(subject: str) -> Decision:
        return lambda view: accounts.open_account(view, "east", act(), subject=subject, kind="person", base=100_000)

    def award(subject: str, deed: str, points: int) -> Decision:
        return lambda view: awards.award(
            view, ledgers.award_draft(ledger, "east", subject, deed), standing=0, points=points
        )  # fmt: skip

    def hold(name: str, amount: int) -> Decision:
        return lambda view: holds.hold(
            view, "east", act(), subject="sub_ann", hold=name, amount=amount, expires_at=view.now_us + HOUR
        )

    return [
        {"open east": opening("east"), "open west": opening("west")},
        {f"account {subject}": account(subject) for subject in PEOPLE},
        {f"award {n}": award(PEOPLE[n % 3], f"deed {n}", 100) for n in range(24)},
        {"hold": hold("h1", 500)},
        {"hold too much": hold("h2", 10_000), "award 24": award("sub_bo", "deed 24", 7)},
        {
            "capture": lambda view: holds.capture(view, "east", act(), hold="h1", merchant="mer_1", amount=500),
            "award 25": award("sub_cy", "deed 25", 7),
        },
        {"refund": lambda view: holds.refund(view, "east", act(), hold="h1", merchant="mer_1", amount=200)},
        {"move": lambda view: accounts.move(view, "east", "west", act(), subject="sub_bo")},
        *({f"award {n}": award("sub_ann", f"deed {n}", 1)} for n in range(26, 30)),
    ]


def _answering(decision: Decision) -> Callable[[View], Answer]:
    def decide(view: View) -> Answer:
        sealed = decision(view)
        entries = [sealed] if isinstance(sealed, Sealed) else sealed
        return Answer(201, " ".join(f"{one.journal}/{one.seq}/{one.leaf.hex()}" for one in entries))

    return decide


async def _ask(ledger: Ledger, key: str, decision: Decision) -> dict[str, Any]:
    """The answer under a retry key, asked for until there is one."""
    step = Step(_answering(decision), ("east",), ledger.retry("caller", key, key.encode()))
    try:
        answer = await patiently(lambda: ledger.submit(step), Unavailable)
    except Refusal as refusal:
        if isinstance(refusal, Unavailable):
            raise
        return {"key": key, "refused": refusal.code, "replayed": refusal.replayed}
    return {"key": key, "ref": answer.ref, "replayed": answer.replayed}


async def life(folder: Path, say: Say) -> None:
    """Journals, accounts, a batch of awards, a purchase, a move; log checkpoints in between and one at the end."""
    ledger = _ledger(folder, 1)
    await patiently(ledger.open, StoreLost)

    async def step(key: str, decision: Decision) -> None:
        say(**await _ask(ledger, key, decision))

    for together in _steps(ledger):
        await asyncio.gather(*(step(key, decision) for key, decision in together.items()))
    await patiently(lambda: _memory_is_true(ledger), Unavailable, StoreLost)
    await patiently(lambda: ledgers.assert_whole(ledger), StoreLost)
    await ledger.close()


async def _memory_is_true(ledger: Ledger) -> None:
    """What the next decision would see is what the database has."""
    for journal, subject in (("east", "sub_ann"), ("west", "sub_bo"), ("east", "sub_cy")):
        account = f"subject:{subject}"
        step = Step(lambda view, j=journal, a=account: Answer(value=view.balances(j, a, "points")), (journal,))
        seen = (await ledger.submit(step)).value
        assert seen == await ledgers.lots(ledger, journal, account), (journal, subject)


async def check_life(folder: Path, said: Sequence[dict[str, Any]]) -> None:
    """Every answer given is in the chain and is given again; what had no answer is answered now; nothing is twice."""
    ledger = _ledger(folder, 2)
    await ledger.open()
    try:
        await ledgers.assert_whole(ledger)
        answered = {one["key"]: one for one in said}
        for one in said:
            for entry in one.get("ref", "").split():
                journal, seq, leaf = entry.split("/")
                assert leaf == (await ledger.entry(journal, int(seq))).leaf
        for together in _steps(ledger):
            for key, decision in together.items():
                again = await _ask(ledger, key, decision)
                if key in answered:
                    assert {**answered[key], "replayed": True} == again
                else:
                    assert ("refused" in again) == (key == "hold too much"), again
        kinds = Counter(kind for (kind,) in await ledger.fetch("SELECT kind FROM entry"))
        assert ENTRIES == kinds
        assert 300 == sum((await ledgers.lots(ledger, "east", "merchant:mer_1")).values())
        await _memory_is_true(ledger)
        await ledgers.assert_whole(ledger)
    finally:
        await ledger.close()
    assert ["ok"] == _integrity(folder / "jifen.db")


def _integrity(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    try:
        return [row[0] for row in connection.execute("PRAGMA integrity_check")]
    finally:
        connection.close()


async def impatient(folder: Path, say: Say) -> None:
    """The same, but whoever is told "unavailable" gives up, and then the process is killed."""
    ledger = _ledger(folder, 1)
    await patiently(ledger.open, StoreLost)
    for together in _steps(ledger):
        for key, decision in together.items():
            step = Step(_answering(decision), ("east",), ledger.retry("caller", key, key.encode()))
            try:
                await ledger.submit(step)
            except Unavailable:
                say(unavailable=key)
                os.kill(os.getpid(), signal.SIGKILL)
            except Refusal:
                pass
    await ledger.close()


async def check_impatient(folder: Path, said: Sequence[dict[str, Any]]) -> None:
    """What was called off has not happened, although the log had it."""
    ledger = _ledger(folder, 2)
    await ledger.open()
    try:
        for one in said:
            assert [] == await ledger.fetch("SELECT key FROM request WHERE key = ?", one["unavailable"]), one
        await ledgers.assert_whole(ledger)
    finally:
        await ledger.close()


# publishing: the fork guard, trees and checkpoints -----------------------------------------------------------------


async def publishing(folder: Path, say: Say) -> None:
    """Every commit is followed by a round of publishing; what is published is said to the world."""
    ledger = _ledger(folder, 1)
    await patiently(ledger.open, StoreLost)
    publisher = _publisher(ledger, folder)
    for together in _steps(ledger):
        await asyncio.gather(*(_ask(ledger, key, decision) for key, decision in together.items()))
        await patiently(lambda: publisher.publish(epoch=True), *_PUBLISHING_LOST)
        for log, point in (await patiently(lambda: newest_checkpoints(ledger), StoreLost)).items():
            say(log=log, size=point.size, root=point.root.hex())
    await ledger.close()


_PUBLISHING_LOST = (Unavailable, StoreLost, sqlite3.Error, OSError)


def _publisher(ledger: Ledger, folder: Path) -> Publisher:
    return Publisher(ledger, ForkGuard(folder / "guard.db"), OneKey(SIGNER))


async def check_publishing(folder: Path, said: Sequence[dict[str, Any]]) -> None:
    """The guard knows its ledger, what was published is a state of it, nothing was published twice, and it goes on."""
    ledger = _ledger(folder, 2)
    await ledger.open()
    try:
        publisher = _publisher(ledger, folder)
        assert await check_guard(ledger, publisher.guard) is None
        for key, decision in ((key, decision) for together in _steps(ledger) for key, decision in together.items()):
            await _ask(ledger, key, decision)
        await publisher.publish(epoch=True)
        assert await check_guard(ledger, publisher.guard) is None
        newest = await newest_checkpoints(ledger)
        trees = Trees(ledger.fetch)
        for one in said:
            assert one["size"] <= newest[one["log"]].size
            assert one["root"] == (await trees.root(one["log"], one["size"])).hex()
        assert ENTRIES.total() == sum(point.size for log, point in newest.items() if log)
        await ledgers.assert_whole(ledger)
    finally:
        await ledger.close()
    assert ["ok"] == _integrity(folder / "jifen.db") == _integrity(folder / "guard.db")


# vault: data keys ----------------------------------------------------------------------------------------------


async def vault(folder: Path, say: Say) -> None:
    """Keys made, taken back and destroyed; the copy of the file made anew."""
    store: Keystore = await patiently(lambda: Keystore(folder / "keys.db", MASTER), sqlite3.Error)

    def make(name: str) -> dict[str, bytes]:
        fresh = os.urandom(4).hex()  # a caller who asks again comes with another subject
        return store.create([f"sub_{name}_{n}_{fresh}" for n in range(3)])

    for name in ("first", "second"):
        made: dict[str, bytes] = await patiently(lambda n=name: make(n), sqlite3.Error)
        for subject, key in made.items():
            say(subject=subject, key=key.hex())
        kept, back, burnt = made
        await patiently(lambda s=back: store.discard([s]), sqlite3.Error)
        say(subject=back, key="discarded")
        await patiently(lambda s=burnt: store.destroy(s, 1), sqlite3.Error)
        say(subject=burnt, key="destroyed")
        await patiently(store.roll, sqlite3.Error, OSError)
        assert store.key(kept) == made[kept]
        assert _is(store, back, "subject_unknown") and _is(store, burnt, "subject_erased")
    store.close()


def _is(store: Keystore, subject: str, code: str) -> bool:
    try:
        store.key(subject)
    except Refusal as refusal:
        return refusal.code == code
    return False


async def check_vault(folder: Path, said: Sequence[dict[str, Any]]) -> None:
    """A key that was handed out opens; one that was destroyed is gone for good."""
    store = Keystore(folder / "keys.db", MASTER)
    last = {one["subject"]: one["key"] for one in said}
    try:
        for subject, key in last.items():
            if key == "destroyed":
                assert _is(store, subject, "subject_erased"), subject
            elif key == "discarded":
                assert _is(store, subject, "subject_unknown"), subject
            elif subject.startswith(("sub_first_0", "sub_second_0")):
                assert key == store.key(subject).hex(), subject
        store.create(["sub_after"])
        store.roll()
    finally:
        store.close()
    assert ["ok"] == _integrity(folder / "keys.db") == _integrity(store.copy)
