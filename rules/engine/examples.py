# SPDX-License-Identifier: Apache-2.0
"""The worked examples of a pack, run: a rule that does not give its own example's number is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from rules.engine.caps import MARK, counter_id
from rules.engine.evaluate import Refused, counters, evaluate
from rules.engine.model import Example, Indicator, Pack


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that does not come out as it says; what it says and what was found, where they differ."""

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
                wrong = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
                said, gave = ({key: one[key] for key in wrong if key in one} for one in (expected, found))
                yield Failure(indicator.code, example.says, str(said), str(gave))


def run(pack: Pack, indicator: Indicator, example: Example) -> dict[str, object]:
    """What an example really gives, in the words in which an example states it.

    An example may be older than the version of the pack that it stands in, unless that is its very point.
    """
    began = indicator.effective.from_
    if example.occurred_on < began == pack.effective_from and example.code != "indicator_not_in_force":
        pack, indicator = _always_in_force(pack, indicator)
    day = example.used_on or example.occurred_on
    starts = {counter.id: counter.start.isoformat() for counter in counters(pack, indicator, day)}
    used: dict[tuple[str, str], int] = {}
    for cap, amount in example.used.items():
        other = pack.indicators.get(cap)
        name = counter_id(indicator, cap) if other is None else counter_id(other, MARK)
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
    if example.worth is not None:
        found["worth"] = result.trace["standing"]["worth"]
    if example.standing_lot is not None:
        found["standing_lot"] = _lot(result.standing, result.standing_lot)
    if example.points_lot is not None:
        found["points_lot"] = _lot(result.points, result.points_lot)
    return found


@lru_cache(maxsize=1024)
def _always_in_force(pack: Pack, indicator: Indicator) -> tuple[Pack, Indicator]:
    effective = indicator.effective.model_copy(update={"from_": date.min})
    always = indicator.model_copy(update={"effective": effective})
    return pack.model_copy(update={"indicators": {**pack.indicators, indicator.code: always}}), always


def _lot(amount: int, lot: date | None) -> str:
    return "never" if amount and lot is None else str(lot)


def _expected(example: Example) -> dict[str, object]:
    if example.state == "refused":
        return {"state": "refused", "code": example.code}
    expected: dict[str, object] = {"state": example.state, "standing": example.standing, "points": example.points}
    if example.worth is not None:
        expected["worth"] = example.worth
    for name in ("standing_lot", "points_lot"):
        if (stated := getattr(example, name)) is not None:
            expected[name] = str(stated)
    return expected
