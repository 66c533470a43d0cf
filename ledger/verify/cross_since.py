# SPDX-License-Identifier: Apache-2.0
"""What all journals together show, after a check that did not begin at the first entry: moves, reversals and
replacements from the starts on. Their other side may lie before a start: then it is read there, entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from ledger.verify import touched
from ledger.verify.book import Counts, Departure, Place
from ledger.verify.kinds import tallies
from ledger.verify.replay import Outcome
from ledger.verify.resume import Doubt, Starts, links_before, looked_up
from ledger.verify.source import Row, Source

Finding = tuple[str, int, str]
_RELS = ("moved_from", "released_from", "reverses", "replaces")


class _Both:
    """The new entries of all journals, and the links that older ones have."""

    def __init__(self, source: Source, outcomes: dict[str, Outcome], starts: Starts) -> None:
        self.source = source
        self.outcomes = outcomes
        self.starts = starts
        self.departures: dict[Place, Departure] = {
            (journal, seq): departure
            for journal, outcome in outcomes.items()
            for seq, departure in outcome.abroad.departures.items()
        }
        self._before: dict[str, set[tuple[str, str, Place]]] = {}

    def subject(self, place: Place) -> str:
        rows = self.source.rows("SELECT subject FROM entry WHERE journal = ? AND seq = ?", *place)
        return rows[0][0] or ""

    def is_old(self, place: Place) -> bool:
        return place[0] in self.starts and place[1] < self.starts[place[0]].size

    def linked_before(self, subject: str, rel: str, to: Place, journal: str | None = None) -> bool:
        """Does an entry from before the starts about this subject (of that journal) link that one?"""
        found = self._before.get(subject)
        if found is None:
            links = links_before(self.source, self.starts, subject, _RELS)
            found = self._before[subject] = {(place[0], rel, to) for place, rel, to in links}
        return any((one, rel, to) in found for one in ([journal] if journal is not None else self.outcomes))

    def taken_back_before(self, place: Place) -> bool:
        """Was this entry reversed or undone by one from before the starts? A benefit names nobody: those that follow it
        are looked through, in practice of the same day."""
        if subject := self.subject(place):
            return self.linked_before(subject, "reverses", place)
        sql = "SELECT body FROM entry WHERE journal = ? AND seq > ? AND seq < ? AND kind = 'benefit'"
        start = self.starts.get(place[0])
        rows: Sequence[Row] = self.source.rows(sql, *place, start.size) if start is not None else []
        return any(link["seq"] == place[1] for (body,) in rows for link in orjson.loads(body)["links"])

    def counted(self, place: Place) -> Counts:
        """What caps had counted when a subject left. Of a departure that began before a start the rows must give the
        hash that it states."""
        departure = self.departures.get(place)
        if departure is not None and not departure.stated:
            before = self.counted(departure.came) if departure.came is not None else {}
            return {**before, **departure.counts}
        if departure is not None:
            subject, stated = departure.subject, departure.tallies
        else:
            if not self.is_old(place):
                return {}
            entry = self.starts[place[0]].log.entry(place[1])
            subject, stated = entry["subject"], entry["data"]["tallies"]
        found = touched.counts(self.source, place[0], subject)
        if tallies(found) != stated:
            raise Doubt(place[0], f"what the caps of {subject} had counted when it left is not in its rows any more")
        return found


def compare(source: Source, outcomes: dict[str, Outcome], starts: Starts) -> list[Finding]:
    """Everything that needs more than one journal. Raises `Doubt`."""
    both = _Both(source, outcomes, starts)
    findings = [*_moved(both), *_received(both), *_lapsed(both), *_carried(both), *_reversed(both), *_deeds(both)]
    return findings


def _moved(both: _Both) -> Iterable[Finding]:
    came: set[Place] = set()
    for journal, outcome in both.outcomes.items():
        for seq, (subject, kind, place) in outcome.abroad.arrivals.items():
            if place in came or both.linked_before(subject, "moved_from", place):
                yield journal, seq, f"it arrives from {place[0]}/{place[1]}, which has arrived already"
            came.add(place)
            there = both.departures.get(place)
            left = there.kind if there is not None else None
            if left is None and both.is_old(place):
                sql = "SELECT kind FROM member WHERE journal = ? AND subject = ?"
                left = next(iter(both.source.rows(sql, place[0], subject)), (None,))[0]
            if left != kind:
                yield journal, seq, "it arrives as another than it left"
    for place, departure in both.departures.items():
        if place not in came and not both.linked_before(departure.subject, "moved_from", place, departure.to):
            yield *place, f"{departure.subject} left for {departure.to} and did not arrive"


def _received(both: _Both) -> Iterable[Finding]:
    came: set[Place] = set()
    for journal, outcome in both.outcomes.items():
        for seq, place in outcome.abroad.received.items():
            if place in came or both.linked_before(both.subject((journal, seq)), "released_from", place):
                yield journal, seq, f"points from {place[0]}/{place[1]} arrived already"
            came.add(place)
    for journal, outcome in both.outcomes.items():
        for seq, (subject, to) in outcome.abroad.sent.items():
            if (journal, seq) not in came and not both.linked_before(subject, "released_from", (journal, seq), to):
                yield journal, seq, f"points released to {subject} in {to} did not arrive"


def _lapsed(both: _Both) -> Iterable[Finding]:
    erased = {subject for outcome in both.outcomes.values() for subject in outcome.abroad.erased}
    for journal, outcome in both.outcomes.items():
        for seq, subject in outcome.abroad.lapsed:
            sql = "SELECT 1 FROM member WHERE subject = ? AND state = 'erased'"
            if subject not in erased and not both.source.rows(sql, subject):
                yield journal, seq, f"points of {subject}, who is not gone, were let lapse"


def _carried(both: _Both) -> Iterable[Finding]:
    for place, departure in both.departures.items():
        if tallies(both.counted(place)) != departure.tallies:
            yield *place, "tallies: what its caps had counted is not what goes along"
    for journal, outcome in both.outcomes.items():
        for seq, _, key, used, place in outcome.abroad.assumed:
            if both.counted(place).get(key, 0) != used:
                yield journal, seq, f"cap {key[0]} counted {used} before, another count was brought along"
        last = {subject: place for _, (subject, _, place) in sorted(outcome.abroad.arrivals.items())}
        for subject, place in last.items():
            own = outcome.own.get(subject, set())
            expected = {key: used for key, used in both.counted(place).items() if key not in own}
            if outcome.brought.get(subject, {}) != expected:
                yield journal, -1, f"tally of {subject} differs from what it brought"


def _reversed(both: _Both) -> Iterable[Finding]:
    expected: dict[Place, tuple[int, int]] = {}
    for journal, outcome in both.outcomes.items():
        for place, (seq, shortfall, _) in outcome.abroad.reversals.items():
            if place in expected or (both.is_old(place) and both.taken_back_before(place)):
                yield journal, seq, "reversed twice"
            expected[place] = (seq, shortfall)
    for journal, outcome in both.outcomes.items():
        start = outcome.start
        seqs = [seq for one, seq in expected if one == journal and seq < start]
        sql = "SELECT seq, by_seq, shortfall FROM reversed WHERE journal = ? AND seq "
        rows = [
            *looked_up(both.source, sql + "IN ({})", seqs, journal),
            *both.source.rows(sql + ">= ?", journal, start),
        ]
        stored = {(journal, seq): (by, shortfall) for seq, by, shortfall in rows}
        own = {place: row for place, row in expected.items() if place[0] == journal}
        for place in sorted(stored.keys() | own.keys()):
            if stored.get(place) == own.get(place):
                continue
            # An award after its journal's start may be reversed by an entry before another's.
            if place in own or not both.taken_back_before(place):
                yield place[0], place[1], "the table of reversals says something else of it"


def _deeds(both: _Both) -> Iterable[Finding]:
    """The rows of deeds that were reversed or replaced; those of first awards were looked up by the replays."""
    marked: dict[str, tuple[str, int, int, int]] = {}
    for outcome in both.outcomes.values():
        for place, (_, _, first) in outcome.abroad.reversals.items():
            if first:
                marked[first] = (*place, 1, 0)
    for journal, outcome in both.outcomes.items():
        for seq, _, cause, place in outcome.abroad.replaced:
            there = marked.get(cause)
            if there is None:
                subject = both.subject((journal, seq))
                if not both.linked_before(subject, "reverses", place):
                    yield journal, seq, f"it replaces {place[0]}/{place[1]}, which was not reversed"
                if both.linked_before(subject, "replaces", place):
                    yield journal, seq, f"this deed was awarded before, at {place[0]}/{place[1]}"
            elif there[:2] != place:
                yield journal, seq, f"it replaces {place[0]}/{place[1]}, which was not reversed"
            elif there[3]:
                yield journal, seq, f"this deed was awarded before, at {place[0]}/{place[1]}"
            marked[cause] = (*place, 1, 1)
    sql = "SELECT digest, journal, seq, reversed, replaced FROM cause WHERE digest IN ({})"
    stored: dict[str, tuple[str, int, int, int]] = {
        row[0].hex(): (row[1], row[2], row[3], row[4])
        for row in looked_up(both.source, sql, map(bytes.fromhex, marked))
    }
    for outcome in both.outcomes.values():
        stored |= outcome.seen.marked if outcome.seen is not None else {}
    for cause in sorted(stored.keys() | marked.keys()):
        if stored.get(cause) == marked.get(cause):
            continue
        journal, seq, was_reversed, was_replaced = marked.get(cause) or (*stored[cause][:2], 0, 0)
        place = journal, seq
        subject = both.subject(place)
        was_reversed |= both.linked_before(subject, "reverses", place)
        was_replaced |= both.linked_before(subject, "replaces", place)
        if stored.get(cause) != (*place, was_reversed, was_replaced):
            yield journal, seq, "the table of deeds says something else of it"
