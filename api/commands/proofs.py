# SPDX-License-Identifier: Apache-2.0
"""`jifen checkpoint`, `proof`, `receipt`, `guard`: what has been signed, and the proofs that follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api import slips
from api.commands import DONE, FAILED, Result, UsageError
from api.commands.statement import write_private
from api.erasure import reapply
from api.world import World
from ledger.guard import EPOCHS, GuardBusy
from ledger.keys import read_recovery_key
from ledger.loss import accept_loss, adopt
from ledger.publish import Forked, newest_checkpoints

_BUSY = "another process is publishing just now (the server does so twice a second); try again"


async def checkpoint(world: World) -> Result:
    """Sign and publish now, with an epoch over all journals."""
    try:
        done = await world.publisher.publish(epoch=True)
    except GuardBusy as error:
        raise UsageError(_BUSY) from error
    except Forked as fork:
        return Result(FAILED, [f"nothing was signed: {fork}"], {"signed": 0, "fork": str(fork)})
    newest = await newest_checkpoints(world.ledger)
    lines = [f"{log or 'epochs'}: {point.size}  {point.root.hex()[:16]}" for log, point in sorted(newest.items())]
    data = {log or "epochs": {"size": point.size, "root": point.root.hex()} for log, point in newest.items()}
    return Result(DONE, [f"{done} checkpoints signed", *lines], {"signed": done, "checkpoints": data})


async def proof(world: World, action: str, journal: str, numbers: list[int]) -> Result:
    """`inclusion SEQ [SIZE]` or `consistency FROM [TO]`: the hashes in hex, one a line."""
    first, second = numbers[0], numbers[1] if len(numbers) > 1 else None
    log = EPOCHS if journal == "epochs" else journal
    prove = world.published.inclusion if action == "inclusion" else world.published.consistency
    size, hashes = await prove(log, first, second)
    names = ("seq", "size") if action == "inclusion" else ("from", "to")
    data: dict[str, Any] = {"journal": journal, names[0]: first, names[1]: size}
    data["hashes"] = [one.hex() for one in hashes]
    return Result(DONE, data["hashes"], data)


async def receipt(world: World, journal: str, seq: int, form: str, out: Path | None) -> Result:
    """The receipt of one entry, to a file or to stdout."""
    _, body = slips.render(world, await slips.receipt(world, journal, seq), form)
    if out is None:
        return Result(DONE, body.decode().split("\n")[:-1], {"receipt": body.decode()})
    if out.exists():
        raise UsageError(f"{out} is there already")
    write_private(out, body)
    return Result(DONE, [str(out)], {"file": str(out)})


async def guard_show(world: World) -> Result:
    """What was signed last, and whether the ledger still agrees."""
    guarded = world.guard.read()
    lines = [f"{log or 'epochs'}: {one.size}  {one.root.hex()[:16]}" for log, one in sorted(guarded.items())]
    fork = world.ledger.frozen
    data = {log or "epochs": {"size": one.size, "root": one.root.hex()} for log, one in guarded.items()}
    said = f"READ-ONLY: {fork}" if fork else "the ledger agrees with what was signed"
    return Result(FAILED if fork else DONE, [*lines, said], {"guarded": data, "fork": str(fork) if fork else None})


async def guard_adopt(world: World) -> Result:
    """Make a lost guard anew from the stored checkpoints."""
    try:
        found = await adopt(world.ledger, world.guard)
    except Forked as fork:
        return Result(FAILED, [f"not adopted: {fork}"], {"fork": str(fork)})
    return Result(DONE, [f"guarding {len(found)} logs from here on"], {"logs": sorted(found)})


async def guard_accept_loss(world: World, key: Path, reason: str) -> Result:
    """Write down that published entries are lost, signed by the recovery key, and go on from what is left."""
    signer = read_recovery_key(key, world.keys.origin)
    try:
        lost = await accept_loss(world.ledger, world.guard, signer, reason)
    except GuardBusy as error:
        raise UsageError(_BUSY) from error
    await reapply(world)  # whoever was erased since the copy was made: not while the ledger was frozen
    await world.publisher.publish(epoch=True)
    names = [log or "epochs" for log in lost]
    return Result(DONE, [f"the loss is written down in: {', '.join(names)}"], {"lost": names})
