# SPDX-License-Identifier: Apache-2.0
"""`jifen export` and `jifen verify-export`: docs/spec/export.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from api.commands import DONE, FAILED, Result, UsageError
from api.settings import software_version
from api.world import World
from ledger import verifier
from ledger.export import ExportRefused, Progress
from ledger.export import export as write
from ledger.publish import Forked
from rules import workdays
from rules.engine.model import Pack
from rules.engine.pack import PACKS, load_files
from rules.lists.model import NOTE, PUBLIC
from rules.shelf import ShelfDamaged

EDITIONS_MAX = 1_000_000


async def export(world: World, folder: Path, journals: Sequence[str], progress: Progress | None = None) -> Result:
    """Everything an outsider needs to check this deployment, in a new folder."""
    keys: Any = await world.public_keys()
    try:
        done = await write(
            world.ledger,
            world.publisher,
            await world.signing.current(),
            folder,
            recovery=keys["recovery"],
            witnesses=keys["witnesses"],
            packs={pack.hash: _published(pack, await world.packs.files(pack)) for pack in world.packs.packs},
            editions=await _editions(world),
            software=f"jifen {software_version()}",
            others={workdays.FILE: world.workdays.text},
            journals=journals or None,
            progress=progress,
        )
    except (ExportRefused, ShelfDamaged) as refused:
        raise UsageError(str(refused)) from refused
    except Forked as fork:
        return Result(FAILED, [f"nothing was exported: {fork}"], {"fork": str(fork)})
    lines = [f"{journal}: {size} entries" for journal, size in done.journals.items()]
    lines.append(f"{folder}: {done.entry_bytes} bytes of entries, {done.epochs} epochs")
    lines.append(f"to check it: python3 {folder / 'verify.py'} --pin CHECKPOINT_FROM_ELSEWHERE")
    data: dict[str, Any] = {"folder": str(folder), "journals": done.journals, "epochs": done.epochs}
    return Result(DONE, lines, data)


async def _editions(world: World) -> dict[str, dict[str, bytes]]:
    """The files of every edition that was published, corrected ones included, with the note that signs it."""
    found = await world.editions.find(states=PUBLIC, limit=EDITIONS_MAX)
    return {one.id: {**await world.editions.files(one.id), NOTE: one.note.encode()} for one in found}


def pack_files(pack: Pack) -> dict[str, bytes]:
    """A pack that ships with the product, as published."""
    return _published(pack, load_files(PACKS / pack.id))


def _published(pack: Pack, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Its files, and the bytes that its hash is taken over."""
    content: bytes | None = verifier.pack_json({name: data for name, data in files.items() if name.endswith(".toml")})
    if content is None or verifier.sha256(content).hex() != pack.hash:
        raise UsageError(f"the files of pack {pack.id} {pack.version} are not those that were published")
    return {**files, "pack.json": content}


def verify_export(folder: Path, pins: Sequence[Path], quick: bool, jobs: int) -> Result:
    """The same as `verify.py` in the folder, by our own copy of it."""
    try:
        answer: dict[str, Any] = verifier.verify(str(folder), [str(pin) for pin in pins], quick, jobs)
    except verifier.Unusable as error:
        raise UsageError(str(error)) from error
    lines: list[str] = answer.pop("lines")
    return Result(DONE if answer["ok"] else FAILED, lines, answer)
