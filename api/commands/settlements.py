# SPDX-License-Identifier: Apache-2.0
"""`jifen statements run|check`: every shop's statement of a month, made, and held against the entries."""

from __future__ import annotations

from api.commands import DONE, FAILED, Result
from api.settlements.paper import yuan
from api.world import World
from merchants.settlement.check import check as check_all

_SHOWN = 20  # findings that are said one by one


async def run(world: World, period: str) -> Result:
    """Make the statements of a month that is over, and of months before it that were passed over; safe to repeat."""
    made = await world.settlements.run(period)
    lines = [f"{period}: {made.made} statements made, {made.there} there; open at the end: {yuan(made.fen)} yuan"]
    return Result(DONE, lines, {"period": period, "made": made.made, "statements": made.there, "fen": made.fen})


async def check(world: World, period: str) -> Result:
    """Read every entry that a statement is made of, and say what does not agree with it."""
    await world.settlements.check_over(period)
    found = await check_all(world.ledger, world.keys.origin, period)
    lines = [f"{period}: {found.entries} entries read, {found.statements} statements, {yuan(found.fen)} yuan owed"]
    if found.missing:
        lines.append(f"not made yet: {len(found.missing)}; make them with: jifen statements run {period}")
    lines += [f"does not hold: {one}" for one in found.findings[:_SHOWN]]
    if more := len(found.findings) - _SHOWN:
        lines += [f"and {more} more"] if more > 0 else []
    if not found.findings:
        lines.append("every statement follows from the entries, and every balance of a shop does")
    data = {
        "period": period,
        "ok": not found.findings,
        "entries": found.entries,
        "statements": found.statements,
        "missing": found.missing,
        "fen": found.fen,
        "findings": found.findings,
    }
    return Result(FAILED if found.findings else DONE, lines, data)
