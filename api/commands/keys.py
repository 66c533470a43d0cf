# SPDX-License-Identifier: Apache-2.0
"""`jifen keys show`, `rotate` and `recover`: docs/operations.md."""

from __future__ import annotations

from pathlib import Path

from api.commands import Result
from api.settings import Settings
from api.world import World
from ledger import keys
from ledger.errors import Refusal
from ledger.rotation import rotate as change_keys


def show(settings: Settings) -> Result:
    """Public halves, and what is left to do. Reads no database."""
    opened = keys.open_keys(settings.home, settings.master_key_file)
    coming = keys.next_key(settings.home, opened.master, opened.origin)
    data = {
        "origin": opened.origin,
        "signing": opened.vkey,
        "recovery": opened.recovery,
        "next": None if coming is None else {"vkey": coming.signer.vkey, "authority": coming.authority},
        "recovery_key_here": (settings.home / "recovery.key").exists(),
    }
    lines = [f"origin    {opened.origin}", f"signing   {opened.vkey}", f"recovery  {opened.recovery}"]
    if coming is not None:
        again = "rotate" if coming.authority == keys.SIGNING else "recover --recovery-key FILE"
        lines.append(f"a change to {coming.signer.vkey} was begun and is not finished: jifen keys {again}")
    if data["recovery_key_here"]:
        lines.append(f"{settings.home / 'recovery.key'} is still on this machine: move it away")
    return Result(lines=lines, data=data)


async def rotate(settings: Settings, recovery_file: Path | None) -> Result:
    """A new signing key; with a recovery key, without asking the one before, which may be stolen or lost."""
    recovery = None if recovery_file is None else _recovery(settings, recovery_file)
    world = World(settings)
    await world.open()
    try:
        vkey = await change_keys(world.ledger, world.publisher, world.signing, recovery)
        journals = [one["journal"] for one in await world.ledger.journals()]
    finally:
        await world.close()
    lines = [f"signing   {vkey}", f"in force in {len(journals)} journals; what was signed before stays valid"]
    return Result(lines=lines, data={"signing": vkey, "journals": journals})


def _recovery(settings: Settings, file: Path) -> keys.Signer:
    """The recovery key, held against its public half. A lost signing key gets its successor here, because without any
    nothing else can be opened."""
    home = settings.home
    master = keys.master_key(home, settings.master_key_file)
    named = keys.parse_vkey((home / "recovery.vkey").read_text(encoding="ascii").strip())
    origin = named.name.removesuffix("/recovery")
    recovery = keys.read_recovery_key(file, origin)
    if recovery.verifier != named:
        raise Refusal("wrong_recovery_file", file=str(file))
    if not (home / "signing.key").exists() and keys.next_key(home, master, origin) is None:
        keys.make_next_key(home, master, origin, keys.RECOVERY)
    return recovery
