# SPDX-License-Identifier: Apache-2.0
"""What somebody still has, or has spent, of an award that was taken back: it counts for the award in its place.

A reversal takes what is there. Points that were spent or on hold, or whose lot was given a later day, stay with the
subject; paying the corrected award in full on top of them would pay for one deed twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ledger import codec
from ledger.engine import Ledger
from ledger.model import FOREVER, POINTS, STANDING, UNITS
from ledger.view import View
from rules.desk.prepare import Prepared
from rules.desk.records import opened
from rules.engine.evaluate import Outcome
from rules.tables import AWARD

Lot = tuple[str, str]  # unit and day
_PAGE = 200


def kept(
    original: Mapping[str, Any], reversal: Mapping[str, Any], today: str, relotted: Collection[Lot]
) -> dict[str, int]:
    """Per unit, in hundredths, what of an award was neither taken back nor lapsed; units without any are left out.

    `today` is the day of the reversal; a lot of `relotted` did not lapse on its day but went on under a later one.
    """
    left = dict.fromkeys(UNITS, 0)
    for line in original["postings"]:
        lot = line.get("lot", FOREVER)
        held = line["account"].startswith("subject:") and (lot >= today or (line["unit"], lot) in relotted)
        left[line["unit"]] += line["amount"] if held else 0
    for line in reversal["postings"]:
        if line["amount"] < 0 and line["account"].startswith(("subject:", "debt:")):
            left[line["unit"]] += line["amount"]
    return {unit: amount for unit, amount in left.items() if amount > 0}


async def relotted(ledger: Ledger, subject: str) -> frozenset[Lot]:
    """The lots of which something was given a later day."""
    found: set[Lot] = set()
    after: tuple[int, str, int] | None = None
    while True:
        page = await ledger.entries_of(subject, _PAGE, after)
        for *_, body in page:
            entry = codec.decode(body)
            if entry["kind"] == "relot":
                found |= {(line["unit"], line.get("lot", FOREVER)) for line in entry["postings"] if line["amount"] < 0}
        if len(page) < _PAGE:
            return frozenset(found)
        after = page[-1][:3]


def less_kept(view: View, prepared: Prepared, outcome: Outcome) -> Outcome:
    """The outcome of a replacement without what its subject kept of the award before it."""
    replaced = prepared.request.replaces
    row = None if replaced is None else view.get(AWARD, replaced)
    if row is None:
        return outcome
    there: Mapping[str, int] = opened(row, prepared.key).get("reversal", {}).get("kept", {})
    standing = min(there.get(STANDING, 0), max(outcome.standing, 0))
    points = min(there.get(POINTS, 0), outcome.points)
    if not standing and not points:
        return outcome
    trace = {
        **outcome.trace,
        STANDING: _book(outcome.trace[STANDING], standing),
        POINTS: _book(outcome.trace[POINTS], points),
    }
    left = outcome._replace(standing=outcome.standing - standing, points=outcome.points - points, trace=trace)
    return left._replace(
        standing_lot=left.standing_lot if left.standing else None, points_lot=left.points_lot if left.points else None
    )


def _book(book: Mapping[str, Any], less: int) -> dict[str, Any]:
    if not less:
        return dict(book)
    result = book["result"] - less
    return {**{name: book[name] for name in book if name != "lot" or result}, "result": result, "kept": less}
