# SPDX-License-Identifier: Apache-2.0
"""`jifen backup` and `jifen restore`: docs/operations.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.commands import FAILED, Result, UsageError
from api.people.keystore import Keystore
from api.people.veil import Veil
from api.settings import Settings, software_version
from api.world import ROOMS, World
from ledger import backup as files
from ledger import restore as restoring
from ledger.audit import audit
from ledger.errors import Refusal
from ledger.keys import derive, open_keys
from ledger.publish import Forked


def _key(secret: bytes) -> bytes:
    return derive(secret, "jifen/backup/1")


async def backup(world: World, path: Path, progress: files.Progress | None = None) -> Result:
    """Everything in the database as it is now, while the server goes on. Raises `backup_exists`, `keys_missing`."""
    try:
        manifest = await files.backup(
            world.settings.database_url,
            path,
            key=_key(world.keys.secret),
            origin=world.keys.origin,
            software=software_version(),
            now_us=world.clock(),
            veil=Veil(world.people.keystore),
            progress=progress,
        )
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    lines = [f"{one.journal}: {one.size} entries" for one in manifest.journals]
    lines.append(f"{path}: {len(manifest.tables)} tables, {manifest.rows} rows, {path.stat().st_size} bytes")
    apart = "without guard.db, witness.db and evidence/"
    lines.append(f"the keys are not in it: keep a copy of {world.home} apart from it, {apart}")
    data = {"file": str(path), "bytes": path.stat().st_size, **_told(manifest)}
    return Result(lines=lines, data=data)


def _told(manifest: files.Manifest) -> dict[str, Any]:
    return {
        "made_at": manifest.made_at,
        "journals": [{"journal": one.journal, "size": one.size, "leaf": one.leaf} for one in manifest.journals],
        "tables": {name: table.rows for name, table in manifest.tables.items()},
    }


async def restore(
    settings: Settings, path: Path, *, check: bool, keyless: bool, progress: files.Progress | None = None
) -> Result:
    """Put a backup into an empty database and hold it against itself and against the fork guard; with `check` only
    read it. Raises what `open_backup` and `load` raise, `keys_missing`, and `restore_unsound`."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    keys = open_keys(settings.home, settings.master_key_file)
    archive = files.open_backup(path, key=_key(keys.secret), origin=keys.origin)
    keystore = Keystore(settings.home / "keys.db", keys.master)
    try:
        if progress is not None:
            progress(0, total=archive.manifest.rows * (1 if check else 2))
        archive.check(progress)
        data = {"file": str(path), **_told(archive.manifest)}
        if check:
            said = f"{path}: whole and unchanged, {archive.manifest.rows} rows, made {archive.manifest.made_at}"
            return Result(lines=[said], data={**data, "restored": False})
        veil = Veil(keystore, keyless=keyless)
        loaded = await restoring.load(settings.database_url, ROOMS, archive, path.name, veil, progress)
    finally:
        keystore.close()
        archive.close()
    world = World(settings, restoring=True)
    await world.open()
    try:
        forked = await _settled(world, progress)
    finally:
        await world.close()
    await restoring.finish(settings.database_url)
    lines = [f"{one.journal}: {one.size} entries" for one in archive.manifest.journals]
    lines.append(f"{path}: restored, as of {archive.manifest.made_at}")
    lines += [f"table {name} is none of ours and was left out" for name in loaded.foreign]
    data |= {
        "restored": True,
        "rows": loaded.rows,
        "foreign": loaded.foreign,
        "left_out": veil.left_out,
        "read_only": None,
    }
    if forked is None:
        return Result(lines=lines, data=data)
    guarded = forked.guarded.size if forked.guarded is not None else None
    data["read_only"] = {"journal": forked.log, "guarded": guarded, "size": forked.size, "what": str(forked)}
    lines += [
        f"READ-ONLY: {forked}",
        "nothing is signed and no entry is taken, so that no second history comes to be. Either restore a newer",
        "backup, or accept the loss: jifen guard accept-loss --recovery-key FILE --reason TEXT (docs/operations.md)",
    ]
    return Result(FAILED, lines, data)


async def _settled(world: World, progress: files.Progress | None) -> Forked | None:
    """What has to be true before anybody opens it: everything agrees, and it is known whether this is the ledger that
    was signed last. Opening the world has erased the erased again. May be done again after a crash."""
    report = await audit(world.ledger, None, progress)
    if not report.ok:
        journal, seq, what = report.findings[0]
        raise Refusal("restore_unsound", journal=journal, seq=seq, what=what)
    frozen = world.ledger.frozen
    return frozen if isinstance(frozen, Forked) else None
