# SPDX-License-Identifier: Apache-2.0
"""What only all journals together can show: one award per deed, moves with both sides, reversals, the tables that span
journals, and rows that belong to none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import ge
from typing import Any, NamedTuple

import orjson

from ledger.verify.book import Counts, Departure, Place, deeds_sum
from ledger.verify.kinds import tallies
from ledger.verify.replay import Outcome
from ledger.verify.source import Source

Finding = tuple[str, int, str]

_OF_JOURNALS = ("entry", "balance", "member", "tally", "hold", "seal", "account_state", "tree", "checkpoint")


class Deeds(NamedTuple):
    """The table of deeds: the sum of the hashes of its rows, how many there are, whether each digest is there once,
    and the rows of deeds that were reversed or replaced."""

    total: int
    rows: int
    ascending: bool
    marked: dict[str, tuple[str, int, int, int]]


def read_deeds(source: Source) -> Deeds:
    """Read all of the table, some at a time. In the same process, or with the same hash key, as the replays."""
    total = count = 0
    ascending, last = True, b""
    for rows in source.chunks("SELECT digest, journal, seq FROM cause ORDER BY digest"):
        digests = [row[0] for row in rows]
        ascending = ascending and last < digests[0] and not any(map(ge, digests, digests[1:]))
        last = digests[-1]
        total += deeds_sum(map(bytes.hex, digests), *zip(*(row[1:] for row in rows), strict=True))
        count += len(rows)
    marked = source.rows(
        "SELECT digest, journal, seq, reversed, replaced FROM cause WHERE reversed <> 0 OR replaced <> 0"
    )
    return Deeds(total, count, ascending, {row[0].hex(): row[1:] for row in marked})


def compare(source: Source, outcomes: dict[str, Outcome], deeds: Deeds) -> list[Finding]:
    """Everything, when every journal holds for itself."""
    findings = [*_moved(outcomes), *_received(outcomes), *_lapsed(outcomes)]
    findings += _carried(outcomes)
    findings += _reversed(source, outcomes)
    findings += _deeds(source, outcomes, deeds)
    return findings


# moves -------------------------------------------------------------------------------------------------------------


def _moved(outcomes: dict[str, Outcome]) -> Iterable[Finding]:
    """Every departure has one arrival."""
    came: dict[Place, tuple[str, int]] = {}
    for journal, outcome in outcomes.items():
        for seq, (_, _, place) in outcome.abroad.arrivals.items():
            if place in came:
                yield journal, seq, f"it arrives from {place[0]}/{place[1]}, which has arrived already"
            came[place] = (journal, seq)
            there = outcomes[place[0]].abroad.departures.get(place[1]) if place[0] in outcomes else None
            if there is None or there.kind != outcome.abroad.arrivals[seq][1]:
                yield journal, seq, "it arrives as another than it left"
    for journal, outcome in outcomes.items():
        for seq, departure in outcome.abroad.departures.items():
            if (journal, seq) not in came:
                yield journal, seq, f"{departure.subject} left for {departure.to} and did not arrive"


def _received(outcomes: dict[str, Outcome]) -> Iterable[Finding]:
    """Points released to another journal arrive there, once."""
    came: set[Place] = set()
    for journal, outcome in outcomes.items():
        for seq, place in outcome.abroad.received.items():
            if place in came:
                yield journal, seq, f"points from {place[0]}/{place[1]} arrived already"
            came.add(place)
    for journal, outcome in outcomes.items():
        for seq, (subject, to) in outcome.abroad.sent.items():
            if (journal, seq) not in came:
                yield journal, seq, f"points released to {subject} in {to} did not arrive"


def _lapsed(outcomes: dict[str, Outcome]) -> Iterable[Finding]:
    erased = {subject for outcome in outcomes.values() for subject in outcome.abroad.erased}
    for journal, outcome in outcomes.items():
        for seq, subject in outcome.abroad.lapsed:
            if subject not in erased:
                yield journal, seq, f"points of {subject}, who is not gone, were let lapse"


def _carried(outcomes: dict[str, Outcome]) -> Iterable[Finding]:
    """What caps had counted goes along in a move, and the new journal goes on from it."""
    departures: dict[Place, Departure] = {
        (journal, seq): departure
        for journal, outcome in outcomes.items()
        for seq, departure in outcome.abroad.departures.items()
    }

    def counted(place: Place | None) -> Counts:
        found: Counts = {}
        while place is not None and place in departures:  # the latest stands over what was before
            departure = departures[place]
            found = {**departure.counts, **found}
            place = departure.came
        return found

    for journal, outcome in outcomes.items():
        for seq, _, key, used, place in outcome.abroad.assumed:
            if counted(place).get(key, 0) != used:
                yield (
                    journal,
                    seq,
                    f"cap {key[0]} counted {used} before, {counted(place).get(key, 0)} was brought along",
                )
    for (journal, seq), departure in departures.items():
        if tallies(counted((journal, seq))) != departure.tallies:
            yield journal, seq, "tallies: what its caps had counted is not what goes along"
    for journal, outcome in outcomes.items():
        last: dict[str, Place] = {}
        for _, (subject, _, place) in sorted(outcome.abroad.arrivals.items()):
            last[subject] = place
        for subject, place in last.items():
            own = outcome.own.get(subject, set())
            expected = {key: used for key, used in counted(place).items() if key not in own}
            if outcome.brought.get(subject, {}) != expected:
                yield journal, -1, f"tally of {subject} differs from what it brought"


# reversals and deeds -----------------------------------------------------------------------------------------------


def _reversed(source: Source, outcomes: dict[str, Outcome]) -> Iterable[Finding]:
    expected: dict[Place, tuple[int, int]] = {}
    for journal, outcome in outcomes.items():
        for place, (seq, shortfall, _) in outcome.abroad.reversals.items():
            if place in expected:
                yield journal, seq, "reversed twice"
            expected[place] = (seq, shortfall)
    rows = source.rows("SELECT journal, seq, by_seq, shortfall FROM reversed")
    stored = {(journal, seq): (by, shortfall) for journal, seq, by, shortfall in rows}
    for place in sorted(stored.keys() | expected.keys()):
        if stored.get(place) != expected.get(place):
            said = f"the table of reversals says {stored.get(place)} of it, the entries {expected.get(place)}"
            yield place[0], place[1], said
            return
    if len(rows) != len(stored):
        yield "", -1, "the table of reversals has a row twice"


def _deeds(source: Source, outcomes: dict[str, Outcome], deeds: Deeds) -> Iterable[Finding]:
    """One deed, one award: the rows of the table are the first awards, and each digest is there once."""
    firsts: dict[str, Place] = {}
    reversals: dict[Place, int] = {}
    for outcome in outcomes.values():
        for place, (_, _, first) in outcome.abroad.reversals.items():
            reversals[place] = 1
            if first:
                firsts[first] = place
    marked: dict[str, tuple[str, int, int, int]] = {cause: (*place, 1, 0) for cause, place in firsts.items()}
    for journal, outcome in outcomes.items():
        for seq, _, cause, place in outcome.abroad.replaced:
            if firsts.get(cause) != place:
                yield journal, seq, f"it replaces {place[0]}/{place[1]}, which was not reversed"
            elif marked[cause][3]:
                yield journal, seq, f"this deed was awarded before, at {place[0]}/{place[1]}"
            else:
                marked[cause] = (*place, 1, 1)
    same = deeds.total == sum(outcome.deeds for outcome in outcomes.values())
    if not (same and deeds.ascending and deeds.rows == sum(outcome.deed_count for outcome in outcomes.values())):
        yield _unmatched(source, sorted(outcomes))
    elif marked != deeds.marked:
        cause = min(one for one in marked.keys() | deeds.marked.keys() if marked.get(one) != deeds.marked.get(one))
        where = (marked.get(cause) or deeds.marked[cause])[:2]
        said = f"the table of deeds says {deeds.marked.get(cause)}, the entries {marked.get(cause)}"
        yield where[0], where[1], said


def _unmatched(source: Source, journals: Sequence[str]) -> Finding:
    """The first award and the table of deeds disagree somewhere: where."""
    for journal in journals:
        sql = "SELECT seq, body FROM entry WHERE journal = ? AND kind IN ('award', 'deduct') ORDER BY seq"
        for rows in source.chunks(sql, journal):
            firsts: list[tuple[int, str]] = []
            for seq, body in rows:
                entry = orjson.loads(body)
                if not any(link["rel"] == "replaces" for link in entry["links"]):
                    firsts.append((seq, entry["cause"]))
            found = _owners(source, [cause for _, cause in firsts])
            for seq, cause in firsts:
                owner = found.get(cause)
                if owner is None:
                    return journal, seq, "the table of deeds does not know its deed"
                if owner != (journal, seq):
                    return _double(source, (journal, seq), owner, cause)
    return "", -1, "the table of deeds has a deed that nobody was awarded for"


def _owners(source: Source, causes: Sequence[str]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for start in range(0, len(causes), 200):
        some = [bytes.fromhex(cause) for cause in causes[start : start + 200]]
        marks = ", ".join("?" * len(some))
        rows = source.rows(f"SELECT digest, journal, seq FROM cause WHERE digest IN ({marks})", *some)
        found.update((digest.hex(), (journal, seq)) for digest, journal, seq in rows)
    return found


def _double(source: Source, place: Place, owner: Place, cause: str) -> Finding:
    """The table names another entry: an award of the same deed, or one that has nothing to do with it."""
    rows = source.rows("SELECT body, recorded_at FROM entry WHERE journal = ? AND seq = ?", *owner)
    if rows and orjson.loads(rows[0][0]).get("cause") == cause:
        own = source.rows("SELECT recorded_at FROM entry WHERE journal = ? AND seq = ?", *place)
        first, second = sorted([(rows[0][1], owner), (own[0][0], place)])
        return *second[1], f"this deed was awarded before, at {first[1][0]}/{first[1][1]}"
    return *place, f"the table of deeds says that its deed is {owner[0]}/{owner[1]}"


# rows of nobody ----------------------------------------------------------------------------------------------------


def strays(source: Source) -> Iterable[Finding]:
    """Rows of journals that have no head; '' is the epoch log."""
    known = {row[0] for row in source.rows("SELECT journal FROM head")}
    for table in _OF_JOURNALS:
        journal, beyond = "", ">" if table in ("tree", "checkpoint") else ">="
        # From one journal to the next along the key, instead of through all rows.
        while journal is not None:
            journal = source.rows(f"SELECT MIN(journal) FROM {table} WHERE journal {beyond} ?", journal)[0][0]
            beyond = ">"
            if journal is not None and journal not in known:
                yield journal, -1, f"table {table} has rows of a journal without a head"


def requests(source: Source) -> Iterable[Finding]:
    """Rows of retry keys: what they stand for is digested under a key, but they have a shape."""
    sql = (
        "SELECT caller, key, status, refusal FROM request WHERE length(digest) <> 32 OR "
        "NOT (refusal = '' AND status > 0 OR refusal <> '' AND status = 0 AND ref = '') LIMIT 1"
    )
    for caller, key, status, _ in source.rows(sql):
        yield "", -1, f"request {caller}/{key}: neither an answer nor a refusal (status {status})"
    for rows in source.chunks("SELECT caller, key, refusal FROM request WHERE refusal <> ''"):
        for caller, key, refusal in rows:
            if not _is_refusal(refusal):
                yield "", -1, f"request {caller}/{key}: not a refusal that could be told again"
                return


def _is_refusal(text: str) -> bool:
    try:
        said: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return type(said) is dict and said.keys() == {"code", "facts"} and type(said["facts"]) is dict  # type: ignore[index]
