# SPDX-License-Identifier: Apache-2.0
"""A change of keys: both signatures, no harm from a leaked old key, and a way on after any crash."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger import codec, keys, merkle, note, rotation, verifier
from ledger.audit import audit
from ledger.book import accounts
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.export import export
from ledger.guard import ForkGuard
from ledger.keys import BadKey, Keys, Signer, parse_vkey
from ledger.publish import Publisher
from ledger.published import Published, public_keys
from ledger.receipt import Receipt, check, format_receipt, parse_receipt
from ledger.rotation import SigningKeys, rotate
from tests import ledgers
from tests.serving import served

pytestmark = pytest.mark.schema("ledger")

EAST, WEST = "east", "west"


@dataclass
class Office:
    """A ledger with its keys and whatever signs."""

    home: Path
    ledger: Ledger
    keys: Keys
    signing: SigningKeys
    publisher: Publisher
    published: Published

    async def open(self, journal: str) -> None:
        async with self.signing.steady() as signer:
            stated = {"origin": self.keys.journal_origin(journal), "vkey": signer.vkey, "recovery": self.keys.recovery}
            await ledgers.run(
                self.ledger,
                lambda view: accounts.open_journal(
                    view, journal, ledgers.act(self.ledger), **stated, zone=ledgers.ZONE, policy={}
                ),
                journal,
            )

    async def grow(self, subject: str) -> None:
        """An entry in each journal, and the checkpoints over them."""
        for journal in (EAST, WEST):
            await ledgers.open_account(self.ledger, journal, subject)
        await self.publisher.publish(epoch=True)

    async def rotate(self, recovery: Signer | None = None) -> str:
        return await rotate(self.ledger, self.publisher, self.signing, recovery)

    @property
    def recovery(self) -> Signer:
        return keys.read_recovery_key(self.home / "recovery.key", self.keys.origin)

    async def signed(self, log: str) -> list[tuple[int, list[str]]]:
        """The stored checkpoints of a log by size, with the key ids that signed, which all verify."""
        known = [parse_vkey(key["vkey"]) for key in (await self.keys_json())["keys"]]
        known.append(parse_vkey(self.keys.recovery))
        rows = await self.ledger.fetch("SELECT size, note FROM checkpoint WHERE journal = ? ORDER BY size", log)
        return [(size, [key.text for key in note.verify(note.parse_note(text.encode()), known)]) for size, text in rows]

    async def keys_json(self) -> Any:
        return await public_keys(self.ledger, self.keys.origin, self.keys.vkey, self.keys.recovery)


@asynccontextmanager
async def office(url: str, home: Path, *, whole: bool = True) -> AsyncIterator[Office]:
    opened = keys.make_keys(home, origin="jifen.example")
    async with ledgers.opened(url, whole=whole) as ledger:
        signing = SigningKeys(ledger, home, opened)
        publisher = Publisher(ledger, ForkGuard(home / "guard.db"), signing)
        made = Office(home, ledger, opened, signing, publisher, Published(ledger))
        for journal in (EAST, WEST):
            await made.open(journal)
        await made.grow("sub_1")
        yield made


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with office(database_url, tmp_path / "home") as made:
        yield made


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Office]:
    """On SQLite, for what is about files and signatures."""
    async with office(f"sqlite:///{tmp_path / 'jifen.db'}", tmp_path / "home") as made:
        yield made


async def test_the_first_checkpoints_carry_both_signatures(at: Office) -> None:
    """One entry in each journal, two signatures over the first size with it, the new key alone from then on."""
    old, before = at.keys.vkey, await at.signed(EAST)

    new = await at.rotate()

    assert new != old == before[0][1][0]
    for journal in (EAST, WEST):
        (key,) = await at.ledger.fetch("SELECT seq, body FROM entry WHERE journal = ? AND kind = 'key'", journal)
        entry = codec.decode(bytes(key[1]))
        assert {"vkey": new, "authority": "signing"} == entry["data"]
        assert [(key[0] + 1, [new, old])] == await at.signed(journal)
    assert [new] == (await at.signed(""))[-1][1]
    await at.grow("sub_2")
    assert [[new, old], [new]] == [who for _, who in await at.signed(EAST)]
    listed = (await at.keys_json())["keys"]
    assert [(old, {EAST: 0, WEST: 0}), (new, {EAST: 3, WEST: 3})] == [(key["vkey"], key["from"]) for key in listed]


async def test_the_old_seed_is_gone_and_the_new_key_opens(alone: Office) -> None:
    """From the files, and from the bytes that the old file had; other processes see the change without being told."""
    beside = SigningKeys(alone.ledger, alone.home, alone.keys)
    assert alone.keys.vkey == (await beside.current()).vkey
    with (alone.home / "signing.key").open("rb") as held:
        new = await alone.rotate()
        assert bytes(60) == held.read()
    assert new == (await beside.current()).vkey == keys.open_keys(alone.home).vkey
    assert {"signing.key", "recovery.key", "master.key", "secret.key"} == {f.name for f in alone.home.glob("*.key")}


async def test_a_journal_opened_later_names_the_new_key(at: Office) -> None:
    """And needs no second signature."""
    new = await at.rotate()
    await at.open("north")
    await at.publisher.publish()
    assert [(1, [new])] == await at.signed("north")


async def test_nobody_names_a_key_while_it_changes(alone: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal opened under the old key while the new one takes over could never be signed."""
    async with alone.signing.steady():
        with pytest.raises(Refusal, match="rotation_running"):
            await alone.rotate()

    async def meanwhile(*_: Any) -> None:
        with pytest.raises(Refusal, match="rotation_running"):
            await alone.open("north")
        raise KeyboardInterrupt

    monkeypatch.setattr(rotation, "_carry_out", meanwhile)
    with pytest.raises(KeyboardInterrupt):
        await alone.rotate()
    assert await alone.signing.current() == alone.keys.signer


STEPS = {
    "the key is made": ("ledger.rotation._carry_out", False),
    "the entries are committed": ("ledger.rotation._publish", False),
    "the checkpoints are out": ("ledger.keys.install_next_key", False),
    "the file has been replaced": ("pathlib.Path.unlink", True),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("authority", ["signing", "recovery"])
async def test_after_a_crash_doing_it_again_finishes_it(
    alone: Office, step: str, authority: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stops: whatever is signed meanwhile holds, and in the end there is one change and one key."""
    where, only_next = STEPS[step]
    recovery = alone.recovery if authority == "recovery" else None

    def dies(*args: Any, **_: Any) -> Any:
        if not only_next or args[0].name == "next.key":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, dies)
        with pytest.raises(KeyboardInterrupt):
            await alone.rotate(recovery)
    committed = await alone.ledger.fetch("SELECT COUNT(*) FROM entry WHERE kind = 'key'")
    published = "committed" not in step
    if authority == "signing" or not committed[0][0] or published:
        await alone.grow("sub_2")  # the server goes on publishing
    else:
        with pytest.raises(Refusal, match="signing_key_unavailable"):
            await alone.grow("sub_2")
    again = SigningKeys(alone.ledger, alone.home, keys.open_keys(alone.home))
    publisher = Publisher(alone.ledger, alone.publisher.guard, again)

    new = await rotate(alone.ledger, publisher, again, recovery)

    assert [2] == [row[0] for row in await alone.ledger.fetch("SELECT COUNT(*) FROM entry WHERE kind = 'key'")]
    voucher = alone.keys.recovery if recovery else alone.keys.vkey
    for journal in (EAST, WEST):
        doubles = [who for _, who in await alone.signed(journal) if len(who) > 1]
        assert [[new, voucher]] == doubles
    assert new == keys.open_keys(alone.home).vkey
    assert not (alone.home / "next.key").exists()


# the recovery key ------------------------------------------------------------------------------------------------


async def test_the_recovery_key_replaces_a_stolen_key(at: Office) -> None:
    """Without the old key's word: its signature is not on the first checkpoint, the recovery key's is."""
    old = at.keys.vkey
    new = await at.rotate(at.recovery)
    assert [new, at.keys.recovery] == (await at.signed(EAST))[-1][1]
    assert old not in {who for journal in (EAST, WEST) for _, signed in await at.signed(journal) for who in signed}
    later = await at.rotate()
    assert [later, new] == (await at.signed(EAST))[-1][1]


async def test_the_recovery_key_replaces_a_lost_key(alone: Office) -> None:
    """The signing key's file is gone: nothing opens but recovering, and `init` does not make a second deployment."""
    (alone.home / "signing.key").unlink()
    (alone.home / "keys.db").touch()
    for opening in (keys.open_keys, keys.make_keys):
        with pytest.raises(BadKey, match=r"signing\.key is missing"):
            opening(alone.home)
    keys.make_next_key(alone.home, alone.keys.master, alone.keys.origin, keys.RECOVERY)
    opened = keys.open_keys(alone.home)
    signing = SigningKeys(alone.ledger, alone.home, opened)
    new = await rotate(alone.ledger, Publisher(alone.ledger, alone.publisher.guard, signing), signing, alone.recovery)
    assert opened.vkey == new == keys.open_keys(alone.home).vkey
    assert [new, alone.keys.recovery] == (await alone.signed(WEST))[-1][1]


async def test_another_recovery_key_is_refused(alone: Office) -> None:
    """Whatever the files say: entry 0 names the one that counts. Nothing has changed."""
    stranger = Signer(alone.recovery.name, bytes(range(32)))
    with pytest.raises(Refusal, match="wrong_recovery_key"):
        await alone.rotate(stranger)
    assert await alone.ledger.fetch("SELECT 1 FROM entry WHERE kind = 'key'") == []
    assert alone.keys.vkey == (await alone.signing.current()).vkey
    (alone.home / "short.key").write_text("AAAA")
    with pytest.raises(BadKey, match="not 32 bytes"):
        keys.read_recovery_key(alone.home / "short.key", alone.keys.origin)


async def test_a_begun_recovery_is_not_finished_by_the_stolen_key(
    alone: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rotate` does not finish what the recovery key began."""
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_publish", _dies)
        with pytest.raises(KeyboardInterrupt):
            await alone.rotate(alone.recovery)
    with pytest.raises(Refusal, match="recovery_begun"):
        await alone.rotate()
    await alone.rotate(alone.recovery)


async def test_a_begun_rotation_is_finished_before_a_recovery(alone: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change gets its own two signatures."""
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_publish", _dies)
        with pytest.raises(KeyboardInterrupt):
            await alone.rotate()
    last = await alone.rotate(alone.recovery)
    signed = [who for _, who in await alone.signed(EAST)]
    assert [alone.keys.vkey, alone.keys.recovery] == [who[1] for who in signed if len(who) > 1]
    assert last == signed[-1][0]


async def _dies(*_: Any) -> None:
    raise KeyboardInterrupt


async def test_a_ledger_that_names_a_lost_key_is_not_signed(alone: Office, tmp_path: Path) -> None:
    """A history from before the last change names a key that no longer exists: no other key signs in its place."""
    forgotten = Signer(alone.keys.origin, bytes(range(32)))
    path = alone.home / "signing.key"
    path.write_bytes(keys.seal(alone.keys.master, forgotten.seed, b"jifen/signing-key/1" + alone.keys.origin.encode()))
    with pytest.raises(Refusal, match="signing_key_unavailable"):
        await alone.grow("sub_2")
    new = await alone.rotate(alone.recovery)
    assert [new, alone.keys.recovery] == (await alone.signed(EAST))[-1][1]


# receipts and forgeries ------------------------------------------------------------------------------------------


async def test_an_old_receipt_stays_valid(alone: Office) -> None:
    """Its signature is the old key's, and the history signed by the new one contains what it says."""
    receipt = parse_receipt(format_receipt(await alone.published.receipt(EAST, 1)))
    await alone.rotate()
    await alone.grow("sub_2")
    first = parse_vkey((await alone.keys_json())["keys"][0]["vkey"])
    check(receipt, [first])
    then = note.parse_checkpoint(receipt.checkpoint_note.text)
    size, proof = await alone.published.consistency(EAST, then.size)
    now = (await alone.published.checkpoint(EAST))[1]
    assert size == now.size
    merkle.check_consistency(then.size, now.size, then.root, now.root, proof)


async def exported(alone: Office, folder: Path, signer: Signer, publisher: Publisher | None = None) -> Path:
    await export(
        alone.ledger,
        publisher or alone.publisher,
        signer,
        folder,
        recovery=alone.keys.recovery,
        witnesses=(),
        packs={},
        software="1",
    )
    return folder


def holds(folder: Path, pin: bytes, name: str = "pin") -> bool:
    file = folder.with_name(name)
    file.write_bytes(pin)
    return bool(verifier.verify(str(folder), [str(file)], jobs=1)["ok"])


def checkpoint(alone: Office, size: int, root: bytes, *signers: Signer) -> bytes:
    text = note.checkpoint_text(note.Checkpoint(alone.keys.journal_origin(EAST), size, root))
    return note.format_note(text, [note.sign(text, signer) for signer in signers])


async def test_what_was_signed_before_is_pinned_to_what_came_after(alone: Office, tmp_path: Path) -> None:
    """Old checkpoints and old receipts hold against the exported history, through two changes of key."""
    receipt = format_receipt(await alone.published.receipt(EAST, 1))
    old = await alone.published.note(EAST)
    await alone.rotate()
    between = format_receipt(await alone.published.receipt(EAST, 2))
    await alone.rotate(alone.recovery)
    recovered = format_receipt(await alone.published.receipt(EAST, 0))
    await alone.grow("sub_2")
    folder = await exported(alone, tmp_path / "out", await alone.signing.current())
    assert all(holds(folder, pin) for pin in (receipt, old, between, recovered))
    for number, data in enumerate((receipt, between, recovered)):
        (tmp_path / f"{number}.receipt").write_bytes(data)
        assert 0 == verifier.main([str(folder), "--jobs=1", "--receipt", str(tmp_path / f"{number}.receipt")]), number


async def test_a_leaked_old_key_signs_nothing_that_holds(alone: Office, tmp_path: Path) -> None:
    """Neither a checkpoint nor a receipt, neither below the size at which it was retired nor above."""
    await alone.rotate()
    await alone.grow("sub_2")
    stolen = alone.keys.signer
    folder = await exported(alone, tmp_path / "out", await alone.signing.current())
    bodies = [
        bytes(row[0]) for row in await alone.ledger.fetch("SELECT body FROM entry WHERE journal = 'east' ORDER BY seq")
    ]
    assert holds(folder, checkpoint(alone, 2, merkle.root([codec.leaf_hash(body) for body in bodies[:2]]), stolen))
    invented = [*bodies[:1], codec.encode({**codec.decode(bodies[1]), "actor": "stf_bribed"}), *bodies[2:]]
    leaves = [codec.leaf_hash(body) for body in invented]
    for size in (2, 3, 4):
        pin = checkpoint(alone, size, merkle.root(leaves[:size]), stolen)
        assert not holds(folder, pin), size
        forged = Receipt(invented[1], 1, merkle.inclusion(leaves[:size], 1, size), note.parse_note(pin))
        (tmp_path / "forged").write_bytes(format_receipt(forged))
        assert 1 == verifier.main([str(folder), "--jobs=1", "--receipt", str(tmp_path / "forged")]), size


class Only:
    """A keyring that signs with what it is given, whatever the entries say."""

    def __init__(self, *signers: Signer) -> None:
        self.given = signers

    @property
    def origin(self) -> str:
        return self.given[0].name

    async def signers(self, log: str, before: int, size: int) -> list[Signer]:
        return list(self.given)


@pytest.fixture
async def invaded(tmp_path: Path) -> AsyncIterator[Office]:
    """On SQLite, and left in a state that does not hold."""
    async with office(f"sqlite:///{tmp_path / 'jifen.db'}", tmp_path / "home", whole=False) as made:
        yield made


async def test_a_stranger_cannot_sign_himself_in(invaded: Office, tmp_path: Path) -> None:
    """Somebody with the database and a key of his own: without the old key's or the recovery key's word his history
    is refused, pinned or not, whatever authority his entry claims."""
    old = await invaded.published.note(EAST)
    stranger = Signer(invaded.keys.origin, bytes(range(32)))
    other = Signer(f"{invaded.keys.origin}/recovery", bytes(range(32)))
    for number, (authority, signers) in enumerate(
        [("signing", (stranger,)), ("recovery", (stranger, other)), ("signing", (stranger, other))]
    ):
        naming = rotation._Naming((EAST, WEST), stranger.vkey, authority, f"txn_{number}")
        await invaded.ledger.submit(naming)
        publisher = Publisher(invaded.ledger, invaded.publisher.guard, Only(*signers))
        folder = await exported(invaded, tmp_path / f"out{number}", stranger, publisher)
        assert not verifier.verify(str(folder), [], jobs=1)["ok"], authority
        assert not holds(folder, old), authority
    assert not (await audit(invaded.ledger)).ok


@pytest.mark.long
@pytest.mark.schema()
def test_keys_change_and_a_backup_is_taken_while_a_server_works(database_url: str, tmp_path: Path) -> None:
    """Awards go on without one failure; the server signs with each new key, and the whole history holds afterwards."""
    with served(database_url, tmp_path / "home") as server:
        token = server.sign_in()
        server.jifen("checkpoint")
        wanted = server.demo["indicators"][0]
        statuses: list[int] = []
        done = threading.Event()

        def award() -> None:
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}/v1", headers=headers, timeout=30) as client:
                while not done.is_set():
                    body = {
                        "subject": server.demo["resident"]["subject"],
                        "indicator": wanted["code"],
                        "occurred_on": date.today().isoformat(),
                        "facts": wanted["facts"],
                        "evidence": wanted["evidence"],
                        "cause": {"source": "test", "case": f"c{len(statuses)}"},
                    }
                    key = {"Idempotency-Key": f"k{len(statuses)}"}
                    statuses.append(client.post("/awards", json=body, headers=key).status_code)

        worker = threading.Thread(target=award)
        worker.start()
        try:
            server.jifen("keys", "rotate")
            server.jifen("backup", str(tmp_path / "a.backup"))
            server.jifen("keys", "recover", "--recovery-key", str(server.home / "recovery.key"))
            server.jifen("keys", "rotate")
        finally:
            done.set()
            worker.join()
        assert len(statuses) > 50
        assert {201} == set(statuses)
        server.jifen("verify")
        server.jifen("export", str(tmp_path / "out"))
        assert verifier.verify(str(tmp_path / "out"), [])["ok"]
        server.jifen("restore", "--check", str(tmp_path / "a.backup"))
