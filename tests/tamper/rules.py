# SPDX-License-Identifier: Apache-2.0
"""An office that breaks its own rules: chained, sealed and signed with the right keys, and no pin contradicts. `jifen
verify` on the database and verify.py on the export must name the same entry, the one that breaks the rule."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.tamper import folder, tables
from tests.tamper.past import Entry, Past
from tests.tamper.stage import Class, Miss, Stage, other_value, paths, with_value

Breaking = Callable[[Stage, Past, Entry], Entry | None]
"""Breaks a rule in a copy, at or because of an entry: the entry to be named, or None where it is not possible here."""


def verdicts(stage: Stage, past: Past) -> tuple[list[str], list[str], str]:
    """The places that each of the two names; the database's findings in words."""
    with tables.undone(stage.connection):
        tables.write(past, stage.connection)
        found = tables.judge(stage.connection, []).findings
    where = stage.folder / "export"
    folder.write(past, where)
    try:
        told = folder.judge(where)
    except Exception as error:
        return [], [], f"verify.py crashed: {error!r}"
    here = [f"{one.journal}/{one.seq}" for one in found]
    there = [one for one in told.places if not one.startswith("editions/")]  # the database has no files
    return here, there, f"database {[tuple(one) for one in found[:2]]}; verify.py {told.said}"


def breaks(
    kinds: tuple[str, ...],
    change: Breaking,
    *,
    stated: bool = False,
    fits: Callable[[Past, Entry], bool] = lambda past, entry: True,
) -> Class:
    """Each entry of these kinds in turn, drawn. `stated`: what it says of a seal stays as it was put."""

    def mutate(stage: Stage) -> Iterator[Miss]:
        part, parts = stage.share
        places = [(j, e["seq"]) for j, rows in stage.past.entries.items() for e in rows if e["kind"] in kinds]
        stage.draw.shuffle(places)
        for journal, seq in places[part::parts]:
            if not fits(stage.past, stage.past.entries[journal][seq]):
                continue
            past = stage.past.copy()
            entry = past.entries[journal][seq]
            blamed = change(stage, past, entry)
            if blamed is None:
                continue
            if stated:
                entry["_stated"] = 1
            past.mend()
            place = f"{blamed['journal']}/{past.entries[blamed['journal']].index(blamed)}"
            here, there, said = verdicts(stage, past)
            if "crash" in said.lower() or not _names(here, place) or not _names(there, place):
                yield f"{entry['kind']} {journal}/{seq}: expected {place}; {said}"
            else:
                yield None

    return mutate


def _names(places: list[str], place: str) -> bool:
    """Is it the first bad entry of its journal?"""
    top = place.partition("/")[0] + "/"
    return [one for one in places if one.startswith(top)][:1] == [place]


def _first(places: list[str], journal: str) -> list[str]:
    """The first bad entry of a journal, or of the others where it has none."""
    return [one for one in places if one.startswith(journal + "/")][:1] or places[:1]


def scaled(by: int, *, first: int = 0) -> Breaking:
    """All amounts times so many."""

    def change(stage: Stage, past: Past, entry: Entry) -> Entry | None:
        for line in entry["postings"][first:]:
            line["amount"] *= by
        return entry if entry["postings"] else None

    return change


def field(name: str, value: Any, *, data: bool = True, needed: bool = True) -> Breaking:
    """A field of `data` (or of the entry) is another."""

    def change(stage: Stage, past: Past, entry: Entry) -> Entry | None:
        inner = entry.get("data", {}) if data else entry
        if (needed and name not in inner) or inner.get(name) == value:
            return None
        inner[name] = value(inner[name]) if callable(value) else value
        if data:
            entry["data"] = inner
        return entry

    return change


def insert(past: Past, after: Entry, made: Entry) -> Entry | None:
    """A new entry right after another, at the next microsecond."""
    rows = past.entries[after["journal"]]
    at = rows.index(after)
    made = json.loads(json.dumps(made))
    made.update(journal=after["journal"], _was=None, nonce="ab" * 16)
    for link in made["links"]:
        link["_to"] = tuple(link["_to"])
    made["recorded_at"] = _later(after["recorded_at"])
    rows.insert(at + 1, made)
    following = rows[at + 2] if at + 2 < len(rows) else None
    return made if following is None or following["recorded_at"] > made["recorded_at"] else None


def _later(at: str) -> str:
    return f"{at[:20]}{int(at[20:26]) + 1:06d}Z"


def again(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """The same a second time."""
    return insert(past, entry, entry)


# awards and caps ------------------------------------------------------------------------------------------------------


def one_side(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    if not entry["postings"]:
        return None
    stage.draw.choice(entry["postings"])["amount"] += 100
    return entry


def cap(change: Callable[[Any], Any], when: Callable[[Any], bool] = lambda cap: True) -> Breaking:
    def broken(stage: Stage, past: Past, entry: Entry) -> Entry | None:
        fitting = [one for one in entry["caps"] if when(one)]
        before = past.entries[entry["journal"]][: entry["seq"]]
        moved = any(e["kind"] == "move" and e["subject"] == entry["subject"] for e in before)
        if not fitting or moved:  # what came along with a move is compared last, when every journal holds by itself
            return None
        change(stage.draw.choice(fitting))
        return entry

    return broken


def double(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """A later award, of another deed, takes the cause of this one."""
    later = [
        e
        for rows in past.entries.values()
        for e in rows
        if e["kind"] == entry["kind"] and e["occurred_on"] == entry["occurred_on"] and not e["links"]
        and e["recorded_at"] > entry["recorded_at"] and (e["cause"][:4] == "ffff") == (entry["cause"][:4] == "ffff")
        and e["cause"] != entry["cause"]
    ]  # fmt: skip
    if not later or entry["links"] or _is_replaced(past, entry):
        return None
    chosen = stage.draw.choice(later)
    if _is_replaced(past, chosen):
        return None
    chosen["cause"] = entry["cause"]
    return chosen


def _is_replaced(past: Past, entry: Entry) -> bool:
    place = (entry["journal"], entry["_was"])
    return any(
        link["_to"] == place and link["rel"] in ("replaces", "reverses")
        for rows in past.entries.values()
        for e in rows
        for link in e["links"]
    )


def from_person(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """A deduction from a person."""
    subject = entry["subject"]
    entry["kind"] = "deduct"
    entry["postings"] = [
        {"account": "issuer", "amount": 100, "unit": "standing"},
        {"account": f"minus:{subject}", "amount": -100, "lot": "2022-12-31", "unit": "standing"},
    ]
    return entry


def could_be_deducted(past: Past, entry: Entry) -> bool:
    bodies = {e["subject"] for rows in past.entries.values() for e in rows if e.get("data", {}).get("kind") == "body"}
    return not (entry["subject"] in bodies or _is_replaced(past, entry) or entry["links"] or entry["caps"])


def to_who_left(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """An award right after its subject moved away, or was erased."""
    if entry["kind"] == "move" and "to" not in entry["data"]:
        return None
    pattern = next(e for e in past.entries[entry["journal"]] if e["kind"] == "award" and not e["links"])
    made = copy.deepcopy(pattern)
    made.update(subject=entry["subject"], caps=[], occurred_on=entry["occurred_on"], cause="ffff" + "7" * 60)
    made.pop("data", None)
    if _open_window(past, entry):
        made["data"] = {"takeover": 1}
    for line in made["postings"]:
        if line["account"] != "issuer":
            line["account"] = f"subject:{entry['subject']}"
    return insert(past, entry, made)


def _open_window(past: Past, entry: Entry) -> bool:
    rows = past.entries[entry["journal"]]
    return not any(e["kind"] == "policy" for e in rows[: rows.index(entry) + 1])


def window(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """The take-over window is open and not said, or said and not open."""
    if "data" in entry:
        del entry["data"]
    else:
        entry["data"] = {"takeover": 1}
    return entry


# holds ----------------------------------------------------------------------------------------------------------------


def lots(day: str) -> Breaking:
    """Out of another lot."""

    def change(stage: Stage, past: Past, entry: Entry) -> Entry | None:
        for line in entry["postings"]:
            if not line["account"].startswith(("issuer", "merchant", "expired")):
                if line.get("lot") == day:
                    return None
                line["lot"] = day
        return entry

    return change


def not_passed_on(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """The release that must follow is left out; the next entry shows it."""
    rows = past.entries[entry["journal"]]
    at = rows.index(entry)
    if any(
        link["_to"] == (entry["journal"], rows[at + 1]["_was"])
        for r in past.entries.values()
        for e in r
        for link in e["links"]
    ):
        return None
    del rows[at + 1]
    return rows[at + 1] if at + 1 < len(rows) else None


def released_again(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """Right after a refund was passed on, a second release would be that of the rest."""
    before = past.entries[entry["journal"]][entry["seq"] - 1]
    return None if before["kind"] in ("refund", "void") else again(stage, past, entry)


def to_another(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """To somebody else."""
    old, new = entry["subject"], "sub_e1" if entry["subject"] != "sub_e1" else "sub_e2"
    entry["subject"] = new
    for line in entry["postings"]:
        line["account"] = line["account"].replace(old, new)
    return entry


def by_another(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """Another merchant than the one who has captured from this hold."""
    hold = entry["links"][0]["_to"]
    before = past.entries[entry["journal"]][: entry["seq"]]
    if not any(e["kind"] == "capture" and e["links"][0]["_to"] == hold for e in before):
        return None
    for line in entry["postings"]:
        if line["account"].startswith("merchant:"):
            line["account"] = "merchant:mer_9"
    return entry


def posts(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """Points change hands in an entry that moves none."""
    entry["postings"] = [
        {"account": "issuer", "amount": -5, "unit": "points"},
        {"account": "merchant:mer_1", "amount": 5, "unit": "points"},
    ]
    return entry


def undoes(past: Past, entry: Entry) -> bool:
    return bool(entry["links"])


def names_merchant(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """The merchant stands in `data` where it is in the postings, or in neither."""
    if entry["data"].pop("merchant", None) is None:
        entry["data"]["merchant"] = "mer_1"
    return entry


# moves, seals, the rest -----------------------------------------------------------------------------------------------


def loses_a_lot(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """One lot is left behind."""
    if len(entry["postings"]) < 4 or (entry["kind"] == "move" and "to" not in entry["data"]):
        return None
    del entry["postings"][-2:]
    return entry


def brings_more(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    if "from" not in entry["data"] or not entry["postings"]:
        return None
    for line in entry["postings"][-2:]:
        line["amount"] *= 2
    return entry


def empties_caps(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """What the caps had counted is said to be something else, on both sides."""
    if "to" not in entry["data"]:
        return None
    place = (entry["journal"], entry["_was"])
    for rows in past.entries.values():
        for e in rows:
            if any(link["rel"] == "moved_from" and link["_to"] == place for link in e["links"]):
                e["data"]["tallies"] = "00" * 32
    entry["data"]["tallies"] = "00" * 32
    return entry


def back_in_time(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    if entry["seq"] < 2:
        return None
    before = past.entries[entry["journal"]][entry["seq"] - 1]["recorded_at"]
    entry["recorded_at"] = before if stage.draw.random() < 0.5 else "2022-02-01T00:00:00.000000Z"
    return entry


def lapses_early(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """An award's lot is swept right after it was given."""
    given = next((line for line in entry["postings"] if line["account"].startswith("subject:") and "lot" in line), None)
    if given is None or given["lot"] < "2022-06-30":
        return None
    lines = [
        {**given, "amount": -given["amount"]},
        {"account": "expired", "amount": given["amount"], "unit": given["unit"]},
    ]
    made = {name: entry[name] for name in ("actor", "request", "v", "txn", "subject", "occurred_on", "prev")}
    made |= {"kind": "expire", "caps": [], "evidence": [], "links": [], "postings": lines}
    return insert(past, entry, made)


def window_closed_twice(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    return again(stage, past, entry) if "takeover" in entry["data"] else None


def opened_again(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    return again(stage, past, entry) if "subject" in entry else None


def another_size(stage: Stage, past: Past, entry: Entry) -> Entry | None:
    """The root is that of one entry more, and that entry posts something."""
    data = entry["data"]
    data["as_of_size"] -= 1
    return entry if past.entries[entry["journal"]][data["as_of_size"]]["postings"] else None


def agree(stage: Stage) -> Iterator[Miss]:
    """Any field of any entry, chained and signed again: what one of the two objects to, the other does, there."""
    while True:
        past = stage.past.copy()
        journal = stage.draw.choice(sorted(past.entries))
        seq = stage.draw.randrange(len(past.entries[journal]))
        entry = past.entries[journal][seq]
        said = {name: value for name, value in entry.items() if name[0] != "_" and name not in ("prev", "seq", "links")}
        path = stage.draw.choice(list(paths(said)))
        inner = said
        for key in path:
            inner = inner[key]
        value = stage.draw.choice([*other_value(inner, stage.draw), ...])
        made = with_value(said, path, lambda _, value=value: value)
        past.entries[journal][seq] = {**{k: v for k, v in entry.items() if k not in said}, **made, "_keep": 1}
        try:
            _mend_kept(past, journal, seq)
            here, there, why = verdicts(stage, past)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # so far from an entry that it cannot even be put in place
        if here and not there and path[0] == "postings":
            continue  # the database also looks at the order of postings, of which the specification says nothing
        same = _first(here, journal) == _first(there, journal) or _both_of_keys(here, there)
        if "crash" in why.lower() or not same:
            yield f"{journal}/{seq} {path} {value!r:.60}: {why}"
        elif here:
            yield None


def _mend_kept(past: Past, journal: str, seq: int) -> None:
    entry = past.entries[journal][seq]
    if (
        all(name in entry for name in ("journal", "links", "kind", "data" if not seq else "links"))
        and entry["journal"] == journal
    ):
        entry.pop("_keep")
    past.mend()


def _both_of_keys(here: list[str], there: list[str]) -> bool:
    """Keys and seals of whole journals: named by the journal, not by an entry."""
    return bool(here and there) and here[0].endswith("/-1") and here[0].partition("/")[0] == there[0].partition("/")[0]


ANY = ("award", "hold", "capture", "release", "open", "move", "deduct", "reverse", "relot", "seal", "refund", "settle")
CLASSES: dict[str, Class] = {
    "rule: sums": breaks(ANY, one_side),
    "rule: cap exceeded": breaks(("award",), cap(lambda c: c.update(let=c["limit"] - c["used_before"] + 1))),
    "rule: cap counted on from elsewhere": breaks(
        ("award", "reverse"), cap(lambda c: c.update(used_before=c["used_before"] + 7))
    ),
    "rule: cap forgets": breaks(("award",), cap(lambda c: c.update(used_before=0), lambda c: c["used_before"] > 0)),
    "rule: cap of another window": breaks(
        ("award",), cap(lambda c: c.update({"from": "2022-12-01", "to": "2022-11-01"}))
    ),
    "rule: one deed twice": breaks(("award", "deduct"), double),
    "rule: the same entry twice": breaks(
        ("award", "deduct", "capture", "reverse", "hold", "erase", "benefit", "edition", "fund"), again
    ),
    "rule: a person loses standing": breaks(("award",), from_person, fits=could_be_deducted),
    "rule: awarded to who left": breaks(("move", "erase"), to_who_left),
    "rule: take-over window": breaks(("award", "deduct"), window),
    "rule: take-over closed twice": breaks(("policy",), window_closed_twice),
    "rule: opened twice": breaks(("open",), opened_again),
    "rule: overdrawn": breaks(("hold", "settle", "relot"), scaled(10_000)),
    "rule: lapsed lot spent": breaks(("hold", "relot"), lots("2022-03-05")),
    "rule: lots out of order": breaks(("hold",), lots("2023-12-31")),
    "rule: over-captured": breaks(("capture",), scaled(50)),
    "rule: over-refunded": breaks(("refund", "void"), scaled(50)),
    "rule: refund kept": breaks(("refund", "void"), not_passed_on),
    "rule: released twice": breaks(("release",), released_again),
    "rule: released to another": breaks(("release",), to_another),
    "rule: reversed by less": breaks(("reverse",), field("shortfall", lambda n: n + 1)),
    "rule: lapsed and said so": breaks(("reverse",), field("lapsed", lambda n: n + 100)),
    "rule: lapses early": breaks(("award",), lapses_early),
    "rule: a move loses a lot": breaks(("move",), loses_a_lot),
    "rule: a move brings more": breaks(("move",), brings_more),
    "rule: a move empties caps": breaks(("move",), empties_caps),
    "rule: an erasure keeps points": breaks(("erase",), loses_a_lot),
    "rule: time goes back": breaks(ANY, back_in_time),
    "rule: another state sealed": breaks(("seal",), field("state_root", "11" * 32), stated=True),
    "rule: other accounts sealed": breaks(("seal",), field("accounts", lambda n: n + 1), stated=True),
    "rule: another size sealed": breaks(("seal",), another_size, stated=True),
    "rule: somebody else objects": breaks(("objection",), field("subject", "sub_n1", data=False)),
    "rule: another objection decided": breaks(("decision",), field("id", "obj_other")),
    "rule: objected or decided twice": breaks(("objection", "decision"), again),
    "rule: captured or refunded by another": breaks(("capture", "refund", "void"), by_another),
    "rule: paid by no budget line": breaks(("capture", "void", "benefit"), field("budget", "")),
    "rule: it posts and must not": breaks(("benefit", "edition", "fund"), posts),
    "rule: a benefit owed more when undone": breaks(("benefit",), field("fen", lambda n: min(n, 0) - 1)),
    "rule: a benefit undone in part": breaks(("benefit",), field("quantity", -2)),
    "rule: another benefit undone": breaks(("benefit",), field("redemption", "rdm_other"), fits=undoes),
    "rule: settled for no month": breaks(("settle",), field("period", "2022-13")),
    "rule: settled and named where it posts, or not where it does not": breaks(("settle",), names_merchant),
    "rule: a list of no version": breaks(("edition",), field("version", 0)),
    "rule: a list of no period": breaks(("edition",), field("period", "2022Q5")),
    "rule: a list under no digest": breaks(("edition",), field("digest", "11" * 31)),
    "rule: money for another list": breaks(("fund",), field("edition", "edn_other")),
    "rule: no money": breaks(("fund",), field("fen", lambda n: -n)),
    "rule: both verifiers agree": agree,
}
