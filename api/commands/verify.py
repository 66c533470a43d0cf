# SPDX-License-Identifier: Apache-2.0
"""`jifen verify`: the whole database against its entries, and against what others hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from api.commands import DONE, FAILED, Result, UsageError, read_file
from api.world import World
from ledger.audit import audit
from ledger.errors import Refusal
from ledger.verify.anchor import BadPin


async def verify(
    world: World,
    journal: str | None,
    progress: Callable[[int], None] | None,
    *,
    pins: Sequence[Path] = (),
    full: bool = False,
    quick: bool = False,
    jobs: int | None = None,
) -> Result:
    """Check one journal or all. `pins` are checkpoints or receipts from elsewhere: what they cover is trusted, unless
    `full`."""
    # A name that is mistyped must not look like a journal in which nothing is wrong.
    if journal is not None and journal not in {one["journal"] for one in await world.ledger.journals()}:
        raise Refusal("not_found", what="journal", id=journal[:40])
    if jobs == 0:
        raise UsageError("--jobs needs at least one")
    try:
        report = await audit(
            world.ledger,
            journal,
            progress,
            pins=[read_file(pin) for pin in pins],
            resume=bool(pins) and not full,
            quick=quick,
            jobs=jobs or os.cpu_count() or 1,
        )
    except BadPin as error:
        raise UsageError(f"not a checkpoint or receipt: {error}") from error
    findings = [dict(zip(("journal", "seq", "what"), one, strict=True)) for one in report.findings]
    data = {"ok": report.ok, "lines": report.lines, "findings": findings}
    return Result(DONE if report.ok else FAILED, list(report.lines), data)
