# SPDX-License-Identifier: Apache-2.0
"""`jifen export` and `jifen verify-export`: docs/spec/export.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.app import software_version
from api.commands import DONE, FAILED, Result, UsageError
from api.world import World
from ledger import verifier
from ledger.export import ExportRefused, Progress
from ledger.export import export as write
from ledger.publish import Forked
from rules.engine.model import Pack
from rules.engine.pack import PACKS


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
            packs={pack.hash: pack_files(pack) for pack in world.packs.packs},
            software=f"jifen {software_version()}",
            journals=journals or None,
            progress=progress,
        )
    except ExportRefused as refused:
        raise UsageError(str(refused)) from refused
    except Forked as fork:
        return Result(FAILED, [f"nothing was exported: {fork}"], {"fork": str(fork)})
    lines = [f"{journal}: {size} entries" for journal, size in done.journals.items()]
    lines.append(f"{folder}: {done.entry_bytes} bytes of entries, {done.epochs} epochs")
    lines.append(f"to check it: python3 {folder / 'verify.py'} --pin CHECKPOINT_FROM_ELSEWHERE")
    data: dict[str, Any] = {"folder": str(folder), "journals": done.journals, "epochs": done.epochs}
    return Result(DONE, lines, data)


def pack_files(pack: Pack) -> dict[str, bytes]:
    """A pack as published: its TOML files, and the bytes that its hash is taken over."""
    files = {path.name: path.read_bytes() for path in sorted((PACKS / pack.id).glob("*.toml"))}
    content: bytes | None = verifier.pack_json(files)
    if content is None or verifier.sha256(content).hex() != pack.hash:
        raise UsageError(f"the files of pack {pack.id} in {PACKS} are no longer those that are in force; restart")
    return {**files, "pack.json": content}


def verify_export(folder: Path, pins: Sequence[Path], quick: bool, jobs: int) -> Result:
    """The same as `verify.py` in the folder, by our own copy of it."""
    try:
        answer: dict[str, Any] = verifier.verify(str(folder), [str(pin) for pin in pins], quick, jobs)
    except verifier.Unusable as error:
        raise UsageError(str(error)) from error
    lines: list[str] = answer.pop("lines")
    return Result(DONE if answer["ok"] else FAILED, lines, answer)
