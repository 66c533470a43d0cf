# SPDX-License-Identifier: Apache-2.0
"""Backups: one instant, both databases, nothing readable of the erased, and no way to restore half of one."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from api import cli, demo
from api.commands import UsageError
from api.commands import backup as commands
from api.commands import keys as key_commands
from api.commands.proofs import guard_accept_loss
from api.people.veil import HIDDEN
from api.settings import Settings
from api.world import NotReady, World
from ledger import backup, restore, snapshot
from ledger.audit import audit
from ledger.engine import MIGRATIONS
from ledger.errors import Refusal
from ledger.keys import derive, open_keys
from ledger.migrate import SchemaError
from ledger.snapshot import Layout
from ledger.tables import Row
from tests import ledgers

ANY_KEY, ORIGIN = bytes(32), "jifen.example"


class Open:
    """A veil that hides nothing."""

    def hide(self, layout: Layout, rows: list[Row]) -> list[Row]:
        return rows

    show = hide


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with keys, a small published county in SQLite, and a backup of it."""
    home = tmp_path_factory.mktemp("county")
    settings = at(home)

    async def build() -> None:
        await demo.build(settings, people=8, seed=7)
        await in_world(settings, lambda world: world.publisher.publish(epoch=True))
        await in_world(settings, lambda world: commands.backup(world, home / "first.backup"))

    asyncio.run(build())
    return home


@pytest.fixture
def home(county: Path, tmp_path: Path) -> Path:
    """A copy of the county that a test may spoil."""
    return Path(shutil.copytree(county, tmp_path / "home"))


def at(home: Path, url: str | None = None) -> Settings:
    return Settings(url or f"sqlite:///{home / 'jifen.db'}", home)


async def in_world(settings: Settings, work: Callable[[World], Any]) -> Any:
    world = World(settings)
    await world.open()
    try:
        return await work(world)
    finally:
        await world.close()


async def restored(settings: Settings, file: Path, **more: Any) -> Any:
    return await commands.restore(settings, file, **{"check": False, "keyless": False, **more})


async def contents(url: str) -> dict[str, list[Row]]:
    async with snapshot.snapshot(url) as source:
        found = {name: [row async for rows in source.rows(layout) for row in rows] for name, layout in
                 (await source.layouts()).items() if name != "migration"}  # fmt: skip
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


async def test_what_goes_in_comes_out_on_either_database(home: Path, tmp_path: Path, database_url: str) -> None:
    """Every table of the database, SQLite into each kind and back again; people are found and the books agree."""
    url = database_url.replace("jifen.db", "second.db")
    before = await contents(at(home).database_url)

    told = (await restored(at(home, url), home / "first.backup")).data

    assert told["restored"] and told["read_only"] is None and not told["left_out"]
    assert {name: len(rows) for name, rows in before.items()} == told["tables"]
    assert await contents(url) == before
    await in_world(at(home, url), lambda world: commands.backup(world, tmp_path / "second.backup"))
    third = at(home, f"sqlite:///{tmp_path / 'third.db'}")
    await restored(third, tmp_path / "second.backup")
    assert await contents(third.database_url) == before

    async def look(world: World) -> bool:
        subjects = [subject for (subject,) in await world.ledger.fetch("SELECT subject FROM person")]
        people = await world.people.records(subjects)
        subject, person = next((subject, person) for subject, person in people.items() if person.phone)
        found = await world.people.identify(name=person.name, phone=person.phone)
        return [subject] == [one.subject for one in found]

    assert await in_world(third, look)


async def test_it_is_one_instant_and_nobody_waits(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits go on while the backup reads, and what it has read agrees with itself to the last tally."""
    monkeypatch.setattr(snapshot, "CHUNK", 5)
    rooms = {"ledger": MIGRATIONS}
    async with ledgers.opened(database_url) as ledger:
        await ledgers.open_journal(ledger, "east")
        await asyncio.gather(*(ledgers.open_account(ledger, "east", f"sub_{i}") for i in range(240)))
        file = tmp_path / "a.backup"
        stated = {"key": ANY_KEY, "origin": ORIGIN, "software": "1", "now_us": ledger.clock(), "veil": Open()}
        work = asyncio.create_task(backup.backup(database_url, file, **stated))
        during = 0
        while not work.done():
            await ledgers.open_account(ledger, "east", f"sub_late_{during}")
            during += 1
            await asyncio.sleep(0)
        manifest = await work
    assert during > 2
    assert 241 <= manifest.journals[0].size == manifest.tables["entry"].rows < 241 + during
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    archive = backup.open_backup(file, key=ANY_KEY, origin=ORIGIN)
    await restore.load(copy, rooms, archive, "a.backup", Open())
    await restore.finish(copy)
    archive.close()
    async with ledgers.opened(copy) as again:
        assert manifest.journals[0].size == (await again.journals())[0]["size"]


async def test_a_backup_never_writes_over_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a failed one leave anything, and its reader is its owner alone."""
    made = home / "first.backup"
    was = made.read_bytes()
    with pytest.raises(Refusal, match="backup_exists"):
        await in_world(at(home), lambda world: commands.backup(world, made))
    assert was == made.read_bytes()
    assert 0o600 == made.stat().st_mode & 0o777

    async def fails(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backup, "_write_table", fails)
    with pytest.raises(UsageError, match="No space"):
        await in_world(at(home), lambda world: commands.backup(world, home / "other.backup"))
    assert [] == list(home.glob("other*"))


# files that are not what they should be --------------------------------------------------------------------------


def rezipped(file: Path, change: Callable[[dict[str, bytes]], None], *, seal: bytes | None = None) -> Path:
    """The same archive with other contents; `seal` is the key under which its list is sealed again."""
    with zipfile.ZipFile(file) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    change(parts)
    if seal is not None:
        parts[backup.MAC] = backup.hmac_sha256(seal, parts[backup.MANIFEST]).hex().encode()
    out = file.with_name("changed.backup")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return out


def stated(**more: Any) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        parts[backup.MANIFEST] = json.dumps({**json.loads(parts[backup.MANIFEST]), **more}).encode()

    return change


async def refusal(settings: Settings, file: Path) -> str:
    with pytest.raises(Refusal) as refused:
        await restored(settings, file)
    assert not Path(settings.database_url.removeprefix("sqlite:///")).exists(), "nothing may be made of a bad backup"
    return refused.value.code


async def test_a_changed_backup_is_refused_by_name(home: Path) -> None:
    """Cut, edited, from elsewhere, of another version, with more or less in it: each says what it is."""
    file, empty = home / "first.backup", at(home, f"sqlite:///{home / 'new.db'}")
    key = derive(open_keys(home).secret, "jifen/backup/1")
    whole = file.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        (home / "cut.backup").write_bytes(whole[:cut])
        assert "backup_incomplete" == await refusal(empty, home / "cut.backup")
    with pytest.raises(UsageError, match="no such file"):
        await restored(empty, home / "absent.backup")

    def edit(parts: dict[str, bytes]) -> None:
        parts["tables/balance"] = parts["tables/balance"].replace(b"standing", b"sTanding", 1)

    assert "backup_edited" == await refusal(empty, rezipped(file, edit))
    assert "backup_edited" == await refusal(empty, rezipped(file, lambda parts: parts.update({"tables/staff": b""})))
    assert "backup_edited" == await refusal(empty, rezipped(file, lambda parts: parts.update({"tables/x": b""})))
    assert "backup_edited" == await refusal(empty, rezipped(file, stated(made_at="2020-01-01")))
    assert "backup_version" == await refusal(empty, rezipped(file, stated(v=2), seal=key))
    assert "backup_foreign" == await refusal(empty, rezipped(file, stated(origin="elsewhere")))
    newer = [*json.loads(zipfile.ZipFile(file).read(backup.MANIFEST))["schema"], ["ledger", "9999_later", "00"]]
    with pytest.raises(SchemaError, match="newer"):
        await restored(empty, rezipped(file, stated(schema=newer), seal=key))


async def test_a_backup_that_unpacks_without_end_is_refused(home: Path) -> None:
    """A list of gigabytes is not read, and a table that gives more than its list says is not loaded."""
    file, empty = home / "first.backup", at(home, f"sqlite:///{home / 'new.db'}")

    def more(parts: dict[str, bytes]) -> None:
        parts["tables/head"] += bytes(50_000_000)

    assert "backup_inflated" == await refusal(empty, rezipped(file, more))
    assert "backup_inflated" == await refusal(
        empty, rezipped(file, lambda p: p.update({backup.MANIFEST: bytes(2**25)}))
    )


async def test_no_flipped_byte_changes_what_is_read(home: Path) -> None:
    """Wherever a bit turns, the file is refused by name or gives exactly the same rows."""
    file = home / "first.backup"
    keys = open_keys(home)
    key = derive(keys.secret, "jifen/backup/1")
    whole = file.read_bytes()

    def rows(path: Path) -> dict[str, list[Any]]:
        archive = backup.open_backup(path, key=key, origin=keys.origin)
        with_all = {name: [row for rows in archive.blocks(name) for row in rows] for name in archive.manifest.tables}
        archive.close()
        return with_all

    right = rows(file)
    refused = 0
    for place in range(7, len(whole), len(whole) // 60):
        (home / "flipped").write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            assert right == rows(home / "flipped"), place
        except Refusal as refusal:
            assert refusal.code.startswith("backup_"), place
            refused += 1
    assert refused > 40


# where it goes ---------------------------------------------------------------------------------------------------


async def test_only_an_empty_database_is_restored_into(home: Path) -> None:
    """One with a schema, though without rows, is somebody's; it is left as it was."""
    url = f"sqlite:///{home / 'second.db'}"
    world = World(at(home, url))
    await world.init()
    before = await contents(url)
    with pytest.raises(Refusal, match="database_not_empty"):
        await restored(at(home, url), home / "first.backup")
    assert before == await contents(url)


async def test_a_restore_that_was_stopped_can_be_repeated(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while rows are written it leaves nothing; stopped later the database says so and stays shut."""
    url = database_url.replace("jifen.db", "second.db")
    settings, file = at(home, url), home / "first.backup"
    with monkeypatch.context() as patch:
        patch.setattr(backup.Archive, "blocks", _stopping(backup.Archive.blocks, "person"))
        patch.setattr(backup.Archive, "check", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            await restored(settings, file)
    assert {} == await contents(url)
    with monkeypatch.context() as patch:
        patch.setattr(commands, "audit", _killed)
        with pytest.raises(KeyboardInterrupt):
            await restored(settings, file)
    with pytest.raises(NotReady, match=r"first\.backup has not come to its end"):
        await in_world(settings, lambda world: world.ledger.journals())
    with pytest.raises(SchemaError, match="jifen restore"):
        await World(settings).init()
    await in_world(at(home), lambda world: commands.backup(world, home / "later.backup"))
    with pytest.raises(Refusal, match="restore_unfinished"):
        await restored(settings, home / "later.backup")

    assert (await restored(settings, file)).data["restored"]

    assert (await contents(at(home).database_url)) == (await contents(url))
    assert (await in_world(settings, lambda world: audit(world.ledger))).ok


def _stopping(blocks: Callable[..., Any], at_table: str) -> Callable[..., Any]:
    def some(archive: backup.Archive, name: str) -> Any:
        if name == at_table:
            raise KeyboardInterrupt
        yield from blocks(archive, name)

    return some


async def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


async def test_what_does_not_hold_stays_shut(home: Path, tmp_path: Path) -> None:
    """A backup of a database that somebody had changed is restored and not opened; the first bad entry is named."""

    async def spoil(world: World) -> None:
        writer: Any = world.ledger.store
        writer._write.execute("UPDATE balance SET amount = amount + 1 WHERE account = 'issuer'")
        await commands.backup(world, home / "spoilt.backup")

    await in_world(at(home), spoil)
    other = at(home, f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(Refusal, match="restore_unsound"):
        await restored(other, home / "spoilt.backup")
    with pytest.raises(NotReady):
        await in_world(other, lambda world: world.ledger.journals())


async def test_a_backup_of_an_older_schema_is_brought_up_to_date(tmp_path: Path, database_url: str) -> None:
    """Its rows go into the schema of their time, and the steps since then run over them."""
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "0001_old.sql").write_text("CREATE TABLE extra (a TEXT NOT NULL PRIMARY KEY, b {int}) {rows};\n")
    rooms = {"ledger": MIGRATIONS, "extra": extra}
    async with ledgers.opened(database_url) as ledger:
        await ledger.store.migrate(rooms)
        await ledgers.open_journal(ledger, "east")
        await by_hand(database_url, "INSERT INTO extra (a, b) VALUES ('x', 7)")
        await by_hand(database_url, "CREATE TABLE somebody_elses (a TEXT)")
        given = {"key": ANY_KEY, "origin": ORIGIN, "software": "1", "now_us": 0, "veil": Open()}
        await backup.backup(database_url, tmp_path / "old.backup", **given)
    (extra / "0002_new.sql").write_text("ALTER TABLE extra ADD COLUMN c TEXT;\n\nUPDATE extra SET c = a || '!';\n")
    archive = backup.open_backup(tmp_path / "old.backup", key=ANY_KEY, origin=ORIGIN)
    copy = f"sqlite:///{tmp_path / 'copy.db'}"

    loaded = await restore.load(copy, rooms, archive, "old.backup", Open())

    assert ["somebody_elses"] == loaded.foreign
    assert [("x", 7, "x!")] == (await contents(copy))["extra"]
    with pytest.raises(SchemaError, match="newer"):
        await restore.load(f"sqlite:///{tmp_path / 'b.db'}", {"ledger": MIGRATIONS}, archive, "old.backup", Open())
    archive.close()


async def by_hand(url: str, sql: str) -> None:
    """What no command of ours does."""
    async with restore._opened(url) as target:
        await target.run(sql)


# people and keys -------------------------------------------------------------------------------------------------


def unpacked(file: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


async def test_no_index_value_and_no_key_lies_open_in_a_backup(home: Path) -> None:
    """Every column of bytes in the vault but the sealed records goes in sealed; keys are not in it at all."""
    found = unpacked(home / "first.backup")
    rows = await contents(at(home).database_url)
    async with snapshot.snapshot(at(home).database_url) as source:
        layouts = await source.layouts()
    values = [
        bytes(value)
        for table, columns in HIDDEN.items()
        for row in rows[table]
        for (name, _), value in zip(layouts[table].columns, row, strict=True)
        if name in columns and value is not None
    ]
    assert len(values) > 20
    assert {"person", "identity", "activation"} <= HIDDEN.keys()
    assert [] == [value for value in values if value in found]
    keystore = (home / "keys.db").read_bytes()
    sealed = [row[1] for row in rows["person"]]
    assert all(bytes(one) in found for one in sealed)
    assert not any(found[i : i + 60] in keystore for i in range(0, len(found) - 60, 60))
    assert not any(key.read_bytes() in found for key in home.glob("*.key"))


async def test_an_older_backup_cannot_show_the_erased(home: Path) -> None:
    """Once the data key is gone, a restore brings back neither the record nor any row it could be found by."""
    url = f"sqlite:///{home / 'second.db'}"

    async def forget(world: World) -> str:
        subject = (await world.ledger.fetch("SELECT subject FROM person ORDER BY subject"))[0][0]
        world.people.keystore.destroy(subject, world.clock())
        return subject

    subject = await in_world(at(home), forget)
    told = await restored(at(home, url), home / "first.backup")

    assert told.data["left_out"] >= 2
    after = await contents(url)
    before = await contents(at(home).database_url)
    assert len(before["person"]) - 1 == len(after["person"])
    for table in (*HIDDEN, "card", "pin", "consent"):
        assert not [row for row in after[table] if subject in row], table
    assert (await in_world(at(home, url), lambda world: audit(world.ledger))).ok


async def test_lost_data_keys_are_noticed(home: Path, tmp_path: Path) -> None:
    """Without keys.db a restore does not quietly drop everybody; somebody has to say so."""
    for name in ("keys.db", "keys.copy.db"):
        with suppress(FileNotFoundError):
            os.remove(home / name)
    other = at(home, f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(Refusal, match="keys_missing"):
        await restored(other, home / "first.backup")
    told = await restored(other, home / "first.backup", keyless=True)
    assert told.data["left_out"] > 8
    assert [] == (await contents(other.database_url))["person"]


# older than what was published -----------------------------------------------------------------------------------


async def test_a_stale_restore_is_read_only_until_the_loss_is_told(home: Path, tmp_path: Path) -> None:
    """It says which journal lacks what, takes no entry, and opens again once the recovery key has signed the loss."""

    async def more(world: World) -> str:
        journal = (await world.ledger.journals())[0]["journal"]
        await ledgers.open_account(world.ledger, journal, "sub_after_the_backup")
        await world.publisher.publish(epoch=True)
        return journal

    journal = await in_world(at(home), more)
    other = at(home, f"sqlite:///{tmp_path / 'other.db'}")

    told = await restored(other, home / "first.backup")

    assert 1 == told.status
    stale = told.data["read_only"]
    assert (journal, stale["guarded"] - 1) == (stale["journal"], stale["size"])
    assert any(journal in line and str(stale["guarded"]) in line and "READ-ONLY" in line for line in told.lines)

    async def closed(world: World) -> None:
        with pytest.raises(Refusal, match="read_only"):
            await ledgers.open_account(world.ledger, journal, "sub_new")

    await in_world(other, closed)

    async def accept(world: World) -> None:
        await guard_accept_loss(world, home / "recovery.key", "the disk burnt")
        await ledgers.open_account(world.ledger, journal, "sub_new")
        await world.publisher.publish(epoch=True)

    await in_world(other, accept)
    assert (await in_world(other, lambda world: audit(world.ledger))).ok
    loss = (await contents(other.database_url))["entry"]
    assert any(b'"loss"' in bytes(row[-1]) and b"the disk burnt" in bytes(row[-1]) for row in loss)


async def test_a_stale_restore_from_before_a_change_of_keys_needs_a_recovery(home: Path, tmp_path: Path) -> None:
    """What was restored names a key that is gone: nothing is signed by another, until the recovery key says which."""
    gone = open_keys(home).vkey
    await key_commands.rotate(at(home), None)
    other = at(home, f"sqlite:///{tmp_path / 'other.db'}")
    assert (await restored(other, home / "first.backup")).data["read_only"]

    async def accept(world: World) -> None:
        with pytest.raises(Refusal, match="signing_key_unavailable") as refused:
            await guard_accept_loss(world, home / "recovery.key", "the disk burnt")
        assert gone == refused.value.facts["vkey"]

    await in_world(other, accept)
    await key_commands.rotate(other, home / "recovery.key")
    await in_world(other, lambda world: ledgers.open_account(world.ledger, told_of(world), "sub_new"))
    assert 0 < await in_world(other, lambda world: world.publisher.publish(epoch=True))
    assert (await in_world(other, lambda world: audit(world.ledger))).ok


def told_of(world: World) -> str:
    """Any journal."""
    return min(place for place in world.register.tree.places if len(place) == 12)


async def test_a_backup_as_new_as_the_guard_opens(home: Path, tmp_path: Path) -> None:
    """What was committed but never published may be missing: nobody has been shown it."""
    other = at(home, f"sqlite:///{tmp_path / 'other.db'}")

    async def more(world: World) -> None:
        await ledgers.open_account(world.ledger, (await world.ledger.journals())[0]["journal"], "sub_unpublished")

    await in_world(at(home), more)
    told = await restored(other, home / "first.backup")
    assert (0, None) == (told.status, told.data["read_only"])


def test_the_command_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What each command exits with and prints, and that a refusal says what to do."""
    monkeypatch.setenv("JIFEN_HOME", str(home))
    monkeypatch.setenv("LANG", "en")

    def jifen(*words: str) -> tuple[int, Any]:
        status = cli.main([*words, "--json"])
        out, err = capsysbinary.readouterr()
        return status, json.loads(out) if out else err.decode()

    status, made = jifen("backup", str(home / "a.backup"))
    assert 0 == status and made["tables"]["person"] == 8 and made["bytes"] == (home / "a.backup").stat().st_size
    status, said = jifen("backup", str(home / "a.backup"))
    assert 2 == status and "backup_exists" in said and "new name" in said
    status, shown = jifen("keys", "show")
    assert 0 == status and shown["recovery_key_here"] and shown["next"] is None
    status, changed = jifen("keys", "rotate")
    assert 0 == status and changed["signing"] != shown["signing"]
    assert changed["signing"] == jifen("keys", "show")[1]["signing"]
    status, said = jifen("keys", "recover", "--recovery-key", str(home / "master.key"))
    assert 2 == status and "wrong_recovery_file" in said
    assert 0 == jifen("keys", "recover", "--recovery-key", str(home / "recovery.key"))[0]
    status, told = jifen("restore", "--check", made["file"])
    assert (0, False) == (status, told["restored"])
    (home / "a.backup").write_bytes((home / "a.backup").read_bytes()[:-9])
    status, said = jifen("restore", str(home / "a.backup"))
    assert 1 == status and "backup_incomplete" in said
    status, said = jifen("restore", str(home / "first.backup"))
    assert 2 == status and "database_not_empty" in said
