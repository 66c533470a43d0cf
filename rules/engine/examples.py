# SPDX-License-Identifier: Apache-2.0
"""The worked examples of a pack, run: a rule that does not give its own example's number is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rules.engine.caps import counter_id
from rules.engine.evaluate import Refused, counters, evaluate
from rules.engine.model import Example, Indicator, Pack


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that does not come out as it says."""

    indicator: str
    example: str
    expected: str
    found: str


def failures(pack: Pack) -> Iterator[Failure]:
    """Every example of every indicator that does not hold; none for a pack that means what it says."""
    for indicator in pack.indicators.values():
        for example in indicator.examples:
            expected, found = _expected(example), run(pack, indicator, example)
            if expected != found:
                yield Failure(indicator.code, example.says, str(expected), str(found))


def run(pack: Pack, indicator: Indicator, example: Example) -> dict[str, object]:
    """What an example really gives, in the words in which an example states it."""
    starts = {counter.id: counter.start.isoformat() for counter in counters(indicator, example.occurred_on)}
    used: dict[tuple[str, str], int] = {}
    for cap, amount in example.used.items():
        name = counter_id(indicator, cap)
        if name not in starts:
            return {"state": "unknown_counter", "code": name}
        used[name, starts[name]] = amount
    strongest = indicator.evidence.standing if indicator.points is None else indicator.evidence.points
    result = evaluate(
        pack,
        indicator,
        facts=example.facts,
        evidence_level=example.evidence or strongest,
        occurred_on=example.occurred_on,
        posted_on=example.posted_on or example.occurred_on,
        used=used,
        takeover=example.takeover == "yes",
    )
    if isinstance(result, Refused):
        return {"state": "refused", "code": result.code}
    found: dict[str, object] = {"state": result.state, "standing": result.standing, "points": result.points}
    if example.standing_lot is not None:
        found["standing_lot"] = result.standing_lot
    if example.points_lot is not None:
        found["points_lot"] = result.points_lot
    return found


def _expected(example: Example) -> dict[str, object]:
    if example.state == "refused":
        return {"state": "refused", "code": example.code}
    expected: dict[str, object] = {
        "state": example.state,
        "standing": example.standing,
        "points": example.points,
    }
    if example.standing_lot is not None:
        expected["standing_lot"] = example.standing_lot
    if example.points_lot is not None:
        expected["points_lot"] = example.points_lot
    return expected
