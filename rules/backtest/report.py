# SPDX-License-Identifier: Apache-2.0
"""A draft pack against a deployment's history: read, judge, compare. What the publish gate keeps with a proposal."""

from __future__ import annotations

import asyncio
from datetime import date

from ledger.engine import Ledger
from rules.backtest.compare import Report, compare
from rules.backtest.history import Keys, Progress, read_history
from rules.backtest.simulate import simulate
from rules.engine.model import Indicator, Pack
from rules.shelf import Shelf


async def report(
    ledger: Ledger,
    keys: Keys,
    shelf: Shelf,
    pack: Pack,
    first: date,
    last: date,
    *,
    progress: Progress | None = None,
) -> Report:
    """What `pack` would have made of the deeds from `first` to `last` (both included) beside what they earned.

    The draft is taken as if it had held all along, and so is the pack in force, from which only the caps' hit-rates
    are taken. Deeds before `first` are judged too, as far as they count in a cap's window that reaches into the range.
    """
    current = shelf.pack(last)
    since = date.min if _for_ever(pack) or _for_ever(current) else date(first.year, 1, 1)
    history = await read_history(ledger, keys, first=since, last=last, progress=progress)

    def judged() -> Report:
        packs = [as_if_in_force(one, since) for one in (pack, current)]
        draft, held = (simulate(history, one, since=first) for one in packs)
        return compare(history, packs[0], draft, packs[1], held, first, last)

    return await asyncio.to_thread(judged)  # seconds of work that a server must not wait for


def as_if_in_force(pack: Pack, since: date) -> Pack:
    """The pack with the indicators that begin with it, or later, beginning on `since` at the latest; ends stand."""
    return pack.model_copy(
        update={"indicators": {code: _earlier(rule, pack, since) for code, rule in pack.indicators.items()}}
    )


def _earlier(rule: Indicator, pack: Pack, since: date) -> Indicator:
    if rule.effective.from_ < pack.effective_from or rule.effective.from_ <= since:
        return rule
    return rule.model_copy(update={"effective": rule.effective.model_copy(update={"from_": since})})


def _for_ever(pack: Pack) -> bool:
    windows = {cap.window for rule in pack.indicators.values() for cap in rule.caps}
    return "ever" in windows | {one.window for one in pack.highest_sets.values()}
