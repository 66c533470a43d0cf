# SPDX-License-Identifier: Apache-2.0
"""A few entries and members written down for tests of lists, as the frames that lists are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import polars as pl

from rules.lists.lines import LINES
from rules.lists.population import POPULATION

Entry = dict[str, Any]


class Book:
    """Entries by journal in the order in which they are written. Days are ISO text; amounts hundredths."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.sizes: dict[str, int] = {}
        self.people: dict[str, tuple[str, str, list[str], bool]] = {}

    def write(self, journal: str, kind: str, subject: str, day: str, **said: Any) -> Entry:
        entry: Entry = dict.fromkeys(LINES) | {"standing": 0, "points": 0} | said
        entry |= {"journal": journal, "seq": self.sizes.get(journal, 0), "kind": kind, "subject": subject}
        entry["occurred_on"] = date.fromisoformat(day)
        if entry["lot"] is not None:
            entry["lot"] = date.fromisoformat(entry["lot"])
        self.sizes[journal] = entry["seq"] + 1
        self.entries.append(entry)
        return entry

    def join(
        self, subject: str, grid: str, groups: Iterable[str] = ("G3",), listed: bool = True, base: int = 100_000
    ) -> str:
        """An account that opens, and is in the population."""
        kind = "person" if "G3" in groups else "body"
        self.write(grid.rsplit("-", 1)[0], "open", subject, "2025-01-01", standing=base, said=kind)
        self.people[subject] = (subject, grid, sorted(groups), listed or kind == "body")
        return subject

    def award(
        self, subject: str, day: str, standing: int, points: int = 0, *, rule: str = "RE-01", lot: str | None = None,
        journal: str | None = None,
    ) -> Entry:  # fmt: skip
        """A deed that counts until `lot`; a negative one is a deduction."""
        home = journal or self.people[subject][1].rsplit("-", 1)[0]
        kind = "award" if standing >= 0 else "deduct"
        return self.write(home, kind, subject, day, standing=standing, points=points, rule=rule, lot=lot)

    def reverse(self, entry: Entry, *, journal: str | None = None) -> Entry:
        return self._about("reverse", entry, journal)

    def dispute(self, entry: Entry, id: str = "obj_1") -> Entry:
        return self._about("objection", entry, None, said=id)

    def decide(self, objection: Entry, outcome: str = "rejected") -> Entry:
        return self._about("decision", objection, None, said=objection["said"], outcome=outcome)

    def _about(self, kind: str, entry: Entry, journal: str | None, **said: Any) -> Entry:
        target = {"target_journal": entry["journal"], "target_seq": entry["seq"]}
        day = entry["occurred_on"].isoformat()
        return self.write(journal or entry["journal"], kind, entry["subject"], day, **target, **said)

    def reach(self) -> dict[str, int]:
        """How far every journal is."""
        return dict(self.sizes)

    def lines(self) -> pl.DataFrame:
        return pl.DataFrame({name: [entry[name] for entry in self.entries] for name in LINES}, schema=dict(LINES))

    def population(self) -> pl.DataFrame:
        return pl.DataFrame(sorted(self.people.values()), schema=dict(POPULATION), orient="row")


def header(
    first: str,
    last: str,
    units: Iterable[str],
    as_of: Mapping[str, int],
    seen: Mapping[str, int] | None = None,
    previous: tuple[Mapping[str, int], Mapping[str, int]] | None = None,
    seed: str = "5e" * 32,
) -> dict[str, Any]:
    """As much of an edition's header as a result follows from."""
    made: dict[str, Any] = {"from": first, "to": last, "units": sorted(units), "seed": seed}
    for name, sizes in (("as_of", as_of), ("seen", seen or as_of)):
        made[name] = {journal: {"leaf": "00" * 32, "size": size} for journal, size in sizes.items()}
    if previous is not None:
        made["previous"] = {"edition": "edn_before", "as_of": dict(previous[0]), "seen": dict(previous[1])}
    return made
