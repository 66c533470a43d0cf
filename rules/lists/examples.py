# SPDX-License-Identifier: Apache-2.0
"""The worked examples of a pack's lists, run by what computes editions: a list that does not give them is wrong."""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl

from rules.engine.examples import Failure
from rules.engine.lists import ListExample, ListRule, Member
from rules.engine.model import Pack
from rules.lists.compute import compute
from rules.lists.lines import LINES
from rules.lists.periods import days_of
from rules.lists.population import POPULATION

_JOURNAL = "-"  # with which no grid begins: they are one community
_SEED = "0" * 64
Rows = list[dict[str, Any]]


def failures(pack: Pack) -> Iterator[Failure]:
    """Every example of every list that does not come out; none for a pack that means what it says."""
    for rule in pack.lists.values():
        for example in rule.examples:
            expected, found = _expected(example), run(pack, rule, example)
            if expected != found:
                yield Failure(rule.code, example.says, str(expected), str(found))


def run(pack: Pack, rule: ListRule, example: ListExample) -> Rows:
    """The rows that an example really gives, in the words in which it states them, members alike told once."""
    first, last = days_of(example.period)
    town = _Town(pack, rule)
    for member in example.members:
        for number in range(member.times):
            town.add(member, number, first)
    end = {_JOURNAL: {"size": len(town.lines), "leaf": _SEED}}
    header = {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "units": sorted({member.grid for member in example.members}),
        "as_of": end,
        "seen": end,
        "seed": _SEED,
    }
    population = pl.DataFrame(town.population, POPULATION, orient="row").sort("subject")
    result = compute(rule, header, population, pl.DataFrame(town.lines, LINES), pack)
    stated: dict[str, set[str]] = {}
    for row in example.rows:
        stated.setdefault(row.unit, set()).update(row.model_dump(exclude_none=True))
    found: Rows = []
    for row in (row for part in ("rows", "grids", "bodies", "persons") for row in result.get(part, ())):
        unit = str(row.get("subject") or row["grid"]).partition("-")[0]
        told = {"unit": unit, **{key: row[key] for key in row.keys() & stated.get(unit, set())}}
        if told not in found:
            found.append(told)
    if example.minor is not None:
        found.append({"minor": result["totals"].get("minor")})
    return _sorted(found)


class _Town:
    """A journal in which members open their accounts and do what an example says of them."""

    def __init__(self, pack: Pack, rule: ListRule) -> None:
        self.population: list[tuple[str, str, list[str], bool]] = []
        self.lines: Rows = []
        self._base = pack.base_standing
        kind = "body" if rule.about == "bodies" else "person"
        self._groups = [*rule.groups] or [code for code, group in pack.groups.items() if group.kind == kind][:1]
        self._kinds = {code: group.kind for code, group in pack.groups.items()}

    def add(self, member: Member, number: int, first: date) -> None:
        """One of those who are alike, opened on the period's first day."""
        subject = f"{member.name}-{number:04d}"
        groups = sorted(member.groups or self._groups)
        self.population.append((subject, member.grid, groups, member.listed == "yes"))
        base = self._base if member.base is None else member.base
        self._line("open", subject, first, standing=base, said=self._kinds.get(groups[0]) if groups else "person")
        for deed in member.deeds:
            kind = "deduct" if deed.standing < 0 else "award"
            at = self._line(
                kind,
                subject,
                deed.occurred_on,
                rule=deed.indicator,
                lot=deed.lot,
                standing=deed.standing,
                points=deed.points,
            )
            if deed.state == "reversed":
                self._line("reverse", subject, deed.occurred_on, standing=-deed.standing, target_seq=at)
            elif deed.state == "objected":
                self._line("objection", subject, deed.occurred_on, said=f"objection-{at}", target_seq=at)

    def _line(self, kind: str, subject: str, day: date, **values: Any) -> int:
        seq = len(self.lines)
        line: dict[str, Any] = dict.fromkeys(LINES)
        line |= {"journal": _JOURNAL, "seq": seq, "kind": kind, "subject": subject, "occurred_on": day}
        line |= {"standing": 0, "points": 0, "place": _JOURNAL, **values}
        if values.get("target_seq") is not None:
            line["target_journal"] = _JOURNAL
        self.lines.append(line)
        return seq


def _expected(example: ListExample) -> Rows:
    rows = [row.model_dump(mode="json", exclude_none=True) for row in example.rows]
    if example.minor is not None:
        rows.append({"minor": example.minor})
    return _sorted(rows)


def _sorted(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: [f"{key}={row[key]}" for key in sorted(row)])
