# SPDX-License-Identifier: Apache-2.0
"""The lists of docs/scenarios.md, made from the scenario files. Run as a module it writes them into the page."""

from __future__ import annotations

import re

from merchants.catalogue import Limit, Scenario, load_scenarios
from tests.tree import ROOT

PAGE = ROOT / "docs" / "scenarios.md"
HEAD = "| code | 场景 | scenario | gives | to whom | asks | how often | from whom | paid | comes from |"
_ORIGIN = {
    "record": "the record",
    "field": "the record, by field",
    "local": "local press",
    "practice": "practice elsewhere",
    "ours": "our proposal",
}
_PAID = {"none": "nobody", "reimburse": "by budget", "provider_bears": "provider bears it"}


def table() -> str:
    """The table, without a line end after it."""
    rows = [_row(one) for one in load_scenarios().values()]
    return "\n".join([HEAD, "|---" * 10 + "|", *rows])


def beside() -> str:
    """The ordinary routes and notes, as a list."""
    return "\n".join(
        f"- **{one.code}** {'. '.join(part.en for part in parts)}."
        for one in load_scenarios().values()
        if (parts := [part for part in (one.ordinary_route, one.note) if part is not None])
    )


def _row(one: Scenario) -> str:
    cells = (
        one.code,
        one.title.zh,
        one.title.en,
        one.benefit,
        _whom(one),
        _asks(one),
        _often(one),
        one.provider.en + (", by agreement" if one.agreement == "required" else ""),
        _PAID[one.settlement],
        _ORIGIN[one.origin],
    )
    return f"| {' | '.join(cells)} |"


def _whom(one: Scenario) -> str:
    who = " and ".join({"person": "persons", "body": "bodies"}[kind] for kind in one.eligible.kinds)
    age = f" from {one.eligible.age_min}" if one.eligible.age_min else ""
    groups = f" of {', '.join(one.eligible.groups)}" if one.eligible.groups else ""
    return who + age + groups + (", or a relative pays" if one.gift else "")


def _asks(one: Scenario) -> str:
    gate, asked = one.gate, []
    if gate.grade:
        asked.append(gate.grade if gate.grade == "AAA" else f"{gate.grade} or better")
    if gate.points:
        least, most = _points(gate.points.least), _points(gate.points.most)
        asked.append(f"{least if least == most else f'{least} to {most}'} points")
    if gate.attested:
        asked.append(f"staff look up: {gate.attested.en}")
    told = (" and " if gate.needs == "all" else ", or ").join(asked)
    return told + (", agreed to in person" if one.own_consent else "")


def _often(one: Scenario) -> str:
    said = [part.en for part in (one.terms, one.waits_for) if part is not None]
    return "; ".join([*map(_limit, one.limits), *said])


def _limit(limit: Limit) -> str:
    much = str(limit.count) if limit.count else f"{_points(limit.points or 0)} points"
    by = {"person": "", "site": " at each shop", "reference": f" for each {limit.reference and limit.reference.en}"}
    return much + (f" a {limit.per}" if limit.per else "") + by[limit.by]


def _points(amount: int) -> str:
    return f"{amount / 100:g}"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    for begins, made in ((r"\| code \| 场景", table()), (r"- \*\*S", beside())):
        text = re.sub(rf"(?ms)^{begins}.*?\n(?=\n)", lambda _, made=made: made + "\n", text, count=1)
    PAGE.write_text(text, encoding="utf-8")
