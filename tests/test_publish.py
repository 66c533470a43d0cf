# SPDX-License-Identifier: Apache-2.0
"""Publishing: trees that grow beside the commits, checkpoints, epochs, and the guard that refuses a second history."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger import codec, epochs, merkle, note
from ledger.book import accounts
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.guard import EPOCHS, ForkGuard, GuardBusy, Guarded
from ledger.keys import Signer
from ledger.loss import accept_loss, adopt, statement
from ledger.publish import Forked, Publisher, check_guard, newest_checkpoints
from ledger.published import Published
from ledger.receipt import check
from ledger.tree import Trees
from tests.ledgers import POLICY, ZONE, FixedClock, OneKey, act, award, open_account, opened, run

pytestmark = pytest.mark.schema("ledger")

SIGNER = Signer("town.example", b"s" * 32)
RECOVERY = Signer("town.example/recovery", b"r" * 32)


class Town:
    """A ledger with its publisher; `guard` may be carried from one ledger to the next."""

    def __init__(self, ledger: Ledger, guard: ForkGuard) -> None:
        self.ledger = ledger
        self.guard = guard
        self.publisher = Publisher(ledger, guard, OneKey(SIGNER))
        self.published = Published(ledger)

    async def open(self, journal: str) -> None:
        await run(
            self.ledger,
            lambda view: accounts.open_journal(
                view, journal, act(self.ledger), origin=f"{SIGNER.name}/{journal}", vkey=SIGNER.vkey,
                recovery=RECOVERY.vkey, zone=ZONE, policy=POLICY,
            ),
            journal,
        )  # fmt: skip
        await open_account(self.ledger, journal, f"sub_{journal}")

    async def post(self, journal: str, count: int, name: str = "deed") -> None:
        await asyncio.gather(
            *(award(self.ledger, journal, f"sub_{journal}", f"{name} {i}", points=100) for i in range(count))
        )

    async def leaves(self, journal: str) -> list[bytes]:
        rows = await self.ledger.fetch("SELECT leaf FROM entry WHERE journal = ? ORDER BY seq", journal)
        return [bytes(row[0]) for row in rows]

    async def checkpoint(self, log: str) -> note.Checkpoint:
        """The newest checkpoint, its signature checked."""
        signed, point = await self.published.checkpoint(log)
        assert [SIGNER.verifier] == note.verify(signed, [SIGNER.verifier])
        return point


@asynccontextmanager
async def town(url: str, home: Path, *journals: str, whole: bool = True) -> AsyncIterator[Town]:
    async with opened(url, FixedClock(), whole=whole) as ledger:
        made = Town(ledger, ForkGuard(home / "guard.db"))
        for journal in journals:
            await made.open(journal)
        yield made


async def test_checkpoints_follow_the_entries_through_every_size(database_url: str, tmp_path: Path) -> None:
    """The stored tree gives the same roots and proofs as one computed whole from the leaves, across tile borders."""
    draw = random.Random(5)
    async with town(database_url, tmp_path, "east") as at:
        sizes: list[int] = []
        for step in (1, 3, 250, 1, 1, 5, 300, 260):
            await at.post("east", step, f"round {len(sizes)}")
            assert 1 == await at.publisher.publish()
            point = await at.checkpoint("east")
            leaves = await at.leaves("east")
            assert (len(leaves), merkle.root(leaves), "town.example/east") == (point.size, point.root, point.origin)
            sizes.append(point.size)
        assert 0 == await at.publisher.publish()
        leaves, last = await at.leaves("east"), sizes[-1]
        tiles = await at.ledger.fetch("SELECT level, idx, hash FROM tree ORDER BY level, idx")
        assert [(8, i) for i in range(last // 256)] == [row[:2] for row in tiles]
        for index in [0, 1, 254, 255, 256, 257, last - 1, *draw.sample(range(last), 20)]:
            size = draw.randint(index + 1, last)
            _, proof = await at.published.inclusion("east", index, size)
            assert merkle.inclusion(leaves, index, size) == proof
        for before in [0, 1, *sizes, 256, 512]:
            _, proof = await at.published.consistency("east", before)
            merkle.check_consistency(before, last, merkle.root(leaves[:before]), merkle.root(leaves), proof)


async def test_a_tree_of_more_than_two_levels(tmp_path: Path) -> None:
    """65,536 leaves and more: tiles of tiles are stored, and proofs through them hold."""
    count = 66_000
    async with town(f"sqlite:///{tmp_path / 'jifen.db'}", tmp_path, whole=False) as at:
        rows = [(0, epochs_leaf(i)) for i in range(count)]
        with sqlite3.connect(tmp_path / "jifen.db") as db:  # leaves of the epoch log are the quickest to lay down
            db.executemany(
                "INSERT INTO epoch (epoch, journals_root, count, members, leaf) VALUES (?, ?, 0, '[]', ?)",
                [(i, bytes(32), leaf) for i, (_, leaf) in enumerate(rows)],
            )
        assert 1 == await at.publisher.publish()
        leaves = [leaf for _, leaf in rows]
        assert merkle.root(leaves) == (await at.checkpoint(EPOCHS)).root
        assert [(8, 257), (16, 1)] == await at.ledger.fetch(
            "SELECT level, COUNT(*) FROM tree GROUP BY level ORDER BY level"
        )
        for index, size in ((3, count), (65_535, 65_536), (65_536, count), (40_000, 65_793)):
            _, proof = await at.published.inclusion(EPOCHS, index, size)
            merkle.check_inclusion(leaves[index], index, size, proof, merkle.root(leaves[:size]))


def epochs_leaf(number: int) -> bytes:
    return codec.leaf_hash(b"%d" % number)


async def test_epochs_hold_every_journal(database_url: str, tmp_path: Path) -> None:
    """An epoch states where all journals stand; the next one only what changed, and together they are all."""
    async with town(database_url, tmp_path, "east", "west") as at:
        assert 3 == await at.publisher.publish(epoch=True)
        assert 0 == await at.publisher.publish(epoch=True)  # nothing has changed
        await at.post("west", 2)
        assert 2 == await at.publisher.publish(epoch=True)
        points = await newest_checkpoints(at.ledger)
        number, members = await at.publisher.epochs.at()
        assert 1 == number
        assert {log: (point.size, point.root.hex()) for log, point in points.items() if log} == {
            member.journal: (member.size, member.root) for member in members.values()
        }
        assert {"east", "west"} == set((await at.publisher.epochs.at(0))[1])
        rows = await at.ledger.fetch("SELECT members FROM epoch WHERE epoch = 1")
        assert ["west"] == [member.journal for member in epochs.read(rows[0][0])]
        leaves = [
            codec.leaf_hash(epochs.body(n, epochs.journals_root(found.values()), 2))
            for n, found in [await at.publisher.epochs.at(n) for n in (0, 1)]
        ]
        assert (2, merkle.root(leaves)) == (await at.checkpoint(EPOCHS))[1:]


async def test_an_idle_journal_does_not_make_epochs_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members at any epoch, in any order of asking, without reading the log from its start each time."""
    monkeypatch.setattr(epochs, "_STEP", 4)
    monkeypatch.setattr(epochs, "_KEPT_MAX", 60)
    now = {"idle": epochs.Member("idle", 1, "00")}
    table: list[tuple[int, bytes, str]] = []
    whole: list[dict[str, epochs.Member]] = []
    for number in range(300):
        changed = [epochs.Member(f"j{number % 3}", number + 1, f"{number:02x}")]
        now.update((one.journal, one) for one in changed)
        listed = list(now.values()) if number == 0 else changed
        table.append((number, b"leaf %d" % number, epochs.listed(listed)))
        whole.append(dict(now))
    read = 0

    async def fetch(sql: str, *params: Any) -> list[tuple[Any, ...]]:
        nonlocal read
        if "MAX" in sql:
            return [(min(params[0], len(table) - 1) if table else None,)]
        if sql.startswith("SELECT leaf"):
            return [row[1:2] for row in table if row[0] == params[0]]
        found = [row for row in table if params[0] < row[0] <= params[1]][: params[2]]
        read += len(found)
        return found

    known = epochs.Epochs(fetch)
    order = [None, *random.Random(1).sample(range(300), 100)]
    for number in order:
        assert (299 if number is None else number, whole[-1 if number is None else number]) == await known.at(number)
    assert read < 300 + 100 * 64
    read = 0
    assert 299 == (await known.at())[0] and read <= 64
    table[:] = [(n, leaf + b"!", text.replace("j1", "k1")) for n, leaf, text in table]  # another database
    assert "k1" in (await known.at())[1] and "j1" not in (await known.at())[1]
    table.clear()
    assert (-1, {}) == await known.at()


async def test_receipts_are_given_once_published(database_url: str, tmp_path: Path) -> None:
    """Before a checkpoint covers it an entry has no receipt; afterwards the receipt checks by the key alone."""
    async with town(database_url, tmp_path, "east") as at:
        await at.publisher.publish()
        await at.post("east", 3)
        with pytest.raises(Unavailable, match="not_published"):
            await at.published.receipt("east", 4)
        with pytest.raises(Refusal, match="not_found"):
            await at.published.receipt("east", 5)
        await at.publisher.publish()
        checked = check(await at.published.receipt("east", 4), [SIGNER.verifier])
        assert (4, 5) == (checked.entry["seq"], checked.checkpoint.size)


async def test_what_is_not_published_is_not_proved(database_url: str, tmp_path: Path) -> None:
    """No proof reaches beyond the newest checkpoint, and impossible ones are refused by name."""
    async with town(database_url, tmp_path, "east") as at:
        await at.publisher.publish()
        await at.post("east", 3)
        for ask in (
            at.published.inclusion("east", 3),
            at.published.inclusion("east", 0, 4),
            at.published.consistency("east", 1, 5),
            at.published.note(EPOCHS),
        ):
            with pytest.raises(Unavailable, match="not_published"):
                await ask
        for ask in (
            at.published.inclusion("east", 1, 1),
            at.published.inclusion("east", 99),
            at.published.consistency("east", 2, 1),
            at.published.note("north"),
        ):
            with pytest.raises(Refusal, match="not_found"):
                await ask


@pytest.mark.parametrize("step", ["advance", "sign", "epoch"])
async def test_a_crash_inside_a_round_is_made_good(database_url: str, tmp_path: Path, step: str) -> None:
    """Wherever a round breaks off, the next one finishes it, and nothing contradicts what was signed."""
    async with town(database_url, tmp_path, "east", "west") as at:
        await at.publisher.publish(epoch=True)
        await at.post("east", 300)
        before = at.guard.read()
        broken: Any = Publisher(at.ledger, at.guard, OneKey(SIGNER))

        async def fail(*_: object) -> None:
            raise OSError("gone")

        def fails(_: object) -> None:
            raise OSError("gone")

        if step == "advance":
            guard: Any = ForkGuard(at.guard.path)
            guard.advance = fails
            broken.guard = guard
        elif step == "sign":
            broken._sign = fail
        else:
            written = broken._write_epoch

            async def half() -> None:
                await written()
                await fail()

            broken._write_epoch = half
        with pytest.raises(OSError, match="gone"):
            await broken.publish(epoch=True)
        assert (step == "advance") == (at.guard.read() == before)
        assert await check_guard(at.ledger, at.guard) is None
        await at.publisher.publish(epoch=True)
        leaves = await at.leaves("east")
        assert (302, merkle.root(leaves)) == (await at.checkpoint("east"))[1:]
        assert 2 == (await at.checkpoint(EPOCHS)).size


async def test_two_publishers_take_turns(database_url: str, tmp_path: Path) -> None:
    """A second publisher is told that one is at work, and later goes on from what that one signed."""
    async with town(database_url, tmp_path, "east") as at:
        other = Publisher(at.ledger, ForkGuard(at.guard.path), OneKey(SIGNER))
        outcomes = await asyncio.gather(at.publisher.publish(), other.publish(), return_exceptions=True)
        assert [1] == [one for one in outcomes if not isinstance(one, GuardBusy)]
        await at.post("east", 5)
        assert 1 == await other.publish()
        assert 0 == await at.publisher.publish()


async def test_witness_lines_are_kept_with_the_newest_checkpoint(database_url: str, tmp_path: Path) -> None:
    """Cosignatures are added once each; for a checkpoint that has been followed by another they come too late."""
    witness = Signer("witness.example", b"w" * 32)
    async with town(database_url, tmp_path, "east") as at:
        await at.publisher.publish(epoch=True)
        signed, point = await at.published.checkpoint(EPOCHS)
        line = note.cosign(signed.text, witness, 1_700_000_000)
        assert await at.publisher.add_cosignatures(point.size, [line])
        assert await at.publisher.add_cosignatures(point.size, [line])
        kept = (await at.published.checkpoint(EPOCHS))[0]
        assert [SIGNER.verifier, witness.cosigner] == note.verify(kept, [SIGNER.verifier, witness.cosigner])
        assert 2 == len(kept.signatures)
        await at.post("east", 1)
        await at.publisher.publish(epoch=True)
        assert not await at.publisher.add_cosignatures(point.size, [line])


# the fork guard ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def stale(tmp_path: Path, lost: int = 5) -> AsyncIterator[Town]:
    """A town whose database was put back to a copy from before its last `lost` published entries."""
    path = tmp_path / "jifen.db"
    async with town(f"sqlite:///{path}", tmp_path, "east", "west") as at:
        await at.post("east", 3)
        await at.publisher.publish(epoch=True)
    shutil.copy(path, tmp_path / "copy.db")
    async with opened(f"sqlite:///{path}") as ledger:
        ahead = Town(ledger, ForkGuard(tmp_path / "guard.db"))
        await ahead.post("east", lost, "lost")
        await ahead.publisher.publish(epoch=True)
    shutil.copy(tmp_path / "copy.db", path)
    async with opened(f"sqlite:///{path}", seed=2) as ledger:
        yield Town(ledger, ForkGuard(tmp_path / "guard.db"))


async def test_a_stale_restore_signs_nothing_and_takes_nothing(tmp_path: Path) -> None:
    """A ledger older than what was signed is found when it is opened, and refuses to publish and to post."""
    async with stale(tmp_path) as at:
        fork = await check_guard(at.ledger, at.guard)
        assert fork is not None and fork.guarded is not None
        with pytest.raises(Forked):
            await at.publisher.publish()
        at.ledger.frozen = fork
        with pytest.raises(Unavailable, match="read_only"):
            await at.post("east", 1)


async def test_a_restored_ledger_that_has_outgrown_the_guard_is_found(tmp_path: Path) -> None:
    """Other entries in the place of those that were signed, and more of them: still another history."""
    async with stale(tmp_path) as at:
        await at.post("east", 9, "instead")
        fork = await check_guard(at.ledger, at.guard)
        assert fork is not None and "east" == fork.log and "these are other entries" in str(fork)
        with pytest.raises(Forked, match="east: 10 entries were published, and these are other entries"):
            await at.publisher.publish()
        assert 5 == (await at.checkpoint("east")).size  # as it was in the copy


async def test_entries_changed_below_a_checkpoint_are_found(tmp_path: Path) -> None:
    """Somebody with rights on the database re-chains a journal from the middle: the next round signs nothing."""
    path = tmp_path / "jifen.db"
    async with town(f"sqlite:///{path}", tmp_path, "east", whole=False) as at:
        await at.post("east", 6)
        await at.publisher.publish()
        await at.post("east", 1, "more")
        rechain(path, "east", 4)
        with pytest.raises(Forked):
            await at.publisher.publish()


def rechain(path: Path, journal: str, start: int) -> None:
    """Change entry `start` and hash everything after it anew, as its own rules want it."""
    with sqlite3.connect(path) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        rows = db.execute("SELECT seq, body FROM entry WHERE journal = ? AND seq >= ? ORDER BY seq", (journal, start))
        prev = None
        for seq, body in rows.fetchall():
            entry = codec.decode(bytes(body))
            if prev is None:
                entry["occurred_on"] = "2021-01-01"
            else:
                entry["prev"] = prev
            changed = codec.encode(entry)
            leaf = codec.leaf_hash(changed)
            db.execute(
                "UPDATE entry SET body = ?, leaf = ?, prev = ? WHERE journal = ? AND seq = ?",
                (changed, leaf, bytes.fromhex(entry["prev"]), journal, seq),
            )
            prev = leaf.hex()


async def test_an_accepted_loss_stands_in_the_chain(tmp_path: Path) -> None:
    """The recovery key, and no other, lets a shortened ledger go on; what was lost is written down for good."""
    async with stale(tmp_path) as at:
        at.ledger.frozen = await check_guard(at.ledger, at.guard)
        lost = at.guard.read()
        with pytest.raises(Refusal, match="wrong_recovery_key"):
            await accept_loss(at.ledger, at.guard, SIGNER, "flood")
        assert [EPOCHS, "east"] == await accept_loss(at.ledger, at.guard, RECOVERY, "flood")
        assert 2 == await at.publisher.publish(epoch=True)  # east and the epoch log
        rows = await at.ledger.fetch("SELECT body FROM entry WHERE journal = 'east' AND kind = 'policy' ORDER BY seq")
        losses = [codec.decode(bytes(body))["data"]["loss"] for (body,) in rows]
        assert [(log, lost[log].size, lost[log].root.hex(), "flood") for log in (EPOCHS, "east")] == [
            (one["log"], one["size"], one["root"], one["reason"]) for one in losses
        ]
        signature = note.b64(losses[1]["signature"])
        assert RECOVERY.verifier.verify(signature, statement("east", lost["east"], "flood"))
        with pytest.raises(Refusal, match="nothing_lost"):
            await accept_loss(at.ledger, at.guard, RECOVERY, "again")


async def test_a_lost_guard_is_taken_up_from_what_was_signed(database_url: str, tmp_path: Path) -> None:
    """Without its guard a ledger with checkpoints is not trusted; adopting compares every root first."""
    async with town(database_url, tmp_path, "east") as at:
        await at.post("east", 3)
        await at.publisher.publish(epoch=True)
        before = at.guard.read()
        with pytest.raises(Refusal, match="guard_present"):
            await adopt(at.ledger, at.guard)
        at.guard.path.unlink()
        assert await check_guard(at.ledger, at.guard) is not None
        with pytest.raises(Forked):
            await at.publisher.publish()
        assert before == await adopt(at.ledger, at.guard) == at.guard.read()
        assert await check_guard(at.ledger, at.guard) is None


def test_the_guard_never_goes_back(tmp_path: Path) -> None:
    """All of an advance or nothing of it; never to a smaller size, never from a state that is not the guard's."""
    guard = ForkGuard(tmp_path / "guard.db")
    five, nine = Guarded(5, b"5" * 32, b"l" * 32), Guarded(9, b"9" * 32, b"m" * 32)
    moves: Sequence[Any] = [
        [("b", None, five), ("a", nine, five)],
        [("b", None, five), ("a", None, nine)],
        [("b", None, five), ("a", Guarded(5, b"x" * 32, b"l" * 32), nine)],
    ]
    guard.advance([("a", None, five)])
    for move in moves:
        with pytest.raises(Exception, match="a: "):
            guard.advance(move)
        assert {"a": five} == guard.read()
    guard.advance([("a", five, nine)])
    assert {"a": nine} == guard.read()


async def test_the_trees_refuse_what_is_not_there(database_url: str, tmp_path: Path) -> None:
    """A root over missing leaves is an error, never a root of fewer."""
    async with town(database_url, tmp_path, "east") as at:
        with pytest.raises(LookupError):
            await Trees(at.ledger.fetch).root("east", 3)
