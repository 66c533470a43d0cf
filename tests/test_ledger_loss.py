# SPDX-License-Identifier: Apache-2.0
"""The corners of accepting a loss: a journal that is gone altogether, nothing left at all, a guard that is empty."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ledger import codec, note
from ledger.errors import Refusal
from ledger.guard import EPOCHS, ForkGuard, GuardDamaged, Guarded
from ledger.loss import accept_loss, adopt, statement
from ledger.publish import Forked, check_guard
from tests.ledgers import opened
from tests.test_publish import RECOVERY, Town, town


def copied(path: Path, where: Path) -> str:
    """The database as it is now, as another."""
    with sqlite3.connect(path) as source, sqlite3.connect(where) as target:
        source.backup(target)
    return f"sqlite:///{where}"


async def losses(at: Town, journal: str) -> list[dict[str, Any]]:
    rows = await at.ledger.fetch("SELECT body FROM entry WHERE journal = ? AND kind = 'policy' ORDER BY seq", journal)
    return [codec.decode(bytes(body))["data"]["loss"] for (body,) in rows]


async def test_the_loss_of_a_whole_journal_is_written_down(tmp_path: Path) -> None:
    """A copy from before a journal was opened: that it was ever signed stands in the first journal there is."""
    path = tmp_path / "jifen.db"
    async with town(f"sqlite:///{path}", tmp_path, "east", whole=False) as at:
        await at.post("east", 2)
        await at.publisher.publish()
        older = copied(path, tmp_path / "older.db")
        await at.open("west")
        await at.publisher.publish()
        guarded = at.guard.read()
    async with opened(older, whole=False) as ledger:
        at = Town(ledger, ForkGuard(tmp_path / "guard.db"))
        ledger.frozen = await check_guard(ledger, at.guard)
        assert ledger.frozen is not None
        assert ["west"] == await accept_loss(ledger, at.guard, RECOVERY, "flood")
        (told,) = await losses(at, "east")
        lost = guarded["west"]
        assert ("west", lost.size, lost.root.hex()) == (told["log"], told["size"], told["root"])
        assert RECOVERY.verifier.verify(note.b64(told["signature"]), statement("west", lost, "flood"))
        assert await check_guard(ledger, at.guard) is None
        await at.open("west")
        assert 2 == await at.publisher.publish()


async def test_a_loss_with_no_journal_left_to_tell_it_is_refused(tmp_path: Path) -> None:
    """An empty database beside a guard that knows of entries: nowhere to write it, so nothing is given up."""
    guard = ForkGuard(tmp_path / "guard.db")
    guard.advance([("east", None, Guarded(5, b"5" * 32, b"l" * 32))])
    async with opened(f"sqlite:///{tmp_path / 'empty.db'}") as ledger:
        ledger.frozen = await check_guard(ledger, guard)
        with pytest.raises(Refusal, match="no_journal_left"):
            await accept_loss(ledger, guard, RECOVERY, "fire")
        assert guard.read() and ledger.frozen is not None


async def test_a_change_below_a_full_tile_can_be_accepted(tmp_path: Path) -> None:
    """Where stored tiles cover all that was signed, they say nothing of the entries: the last leaf does."""
    path = tmp_path / "jifen.db"
    async with town(f"sqlite:///{path}", tmp_path, "east", whole=False) as at:
        await at.post("east", 254)
        await at.publisher.publish()
        assert 256 == at.guard.read()["east"].size
        with sqlite3.connect(path) as db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {name}")
            db.execute("UPDATE entry SET leaf = zeroblob(32) WHERE journal = 'east' AND seq = 255")
        assert isinstance(await check_guard(at.ledger, at.guard), Forked)
        assert ["east"] == await accept_loss(at.ledger, at.guard, RECOVERY, "edited")


def test_a_damaged_guard_says_what_to_do(tmp_path: Path) -> None:
    """Neither a traceback nor an empty guard."""
    guard = ForkGuard(tmp_path / "guard.db")
    guard.path.write_bytes(b"not a database" * 100)
    with pytest.raises(GuardDamaged, match="jifen guard adopt"):
        guard.read()
    guard.path.unlink()
    guard.advance([("east", None, Guarded(5, b"5" * 32, b"l" * 32))])
    with guard.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(GuardDamaged):
        guard.read()


@pytest.mark.parametrize("content", [b"", None])
async def test_a_guard_that_holds_nothing_is_taken_up_like_one_that_is_gone(
    tmp_path: Path, content: bytes | None
) -> None:
    """An empty file, or one with an empty table, is no guard; nor a way round it."""
    async with town(f"sqlite:///{tmp_path / 'jifen.db'}", tmp_path, "east") as at:
        await at.publisher.publish(epoch=True)
        before = at.guard.read()
        if content is None:
            at.guard.replace({})
        else:
            at.guard.path.write_bytes(content)
        assert await check_guard(at.ledger, at.guard) is not None
        with pytest.raises(Forked):
            await at.publisher.publish()
        assert before == await adopt(at.ledger, at.guard)
        assert {EPOCHS, "east"} == set(at.guard.read())
