# SPDX-License-Identifier: Apache-2.0
"""An edition redone: its files, its header, where the journals stood, who was in it, and every figure.

What it is redone from may be the database or an export. docs/spec/edition.md has the checks in words.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple, cast

import polars as pl

from ledger import codec, note
from ledger.engine import Ledger
from rules.engine.model import Pack
from rules.lists import population
from rules.lists.columns import Columns, NotThere, leaves
from rules.lists.compute import compute
from rules.lists.deeds import disputed, lived_in, open_subjects
from rules.lists.freezing import METHOD, SEED, changes
from rules.lists.model import CHANGES, FROZEN_FILES, HEADER, NOTE, NOTE_HEADER, PUBLICATION
from rules.lists.periods import days_of

Heads = Mapping[tuple[str, int], str]
"""(journal, size) → leaf of the last of its first `size` entries, in hex."""

_KEPT = ("about", "as_of", "from", "kind", "list", "pack", "period", "place", "previous", "to", "units", "zone")
_MOST = 20  # differences named; who needs more has the file


class Fault(NamedTuple):
    """One thing that does not hold: in which file of the edition, or at which entry (`<journal>/<seq>`)."""

    edition: str
    where: str
    what: str


def verify_edition(
    files: Mapping[str, bytes],
    columns: Columns,
    packs: Mapping[str, Pack],
    heads: Heads | None = None,
    others: Mapping[str, Mapping[str, bytes]] | None = None,
) -> list[Fault]:
    """Everything that does not hold; empty where the edition is what its inputs give.

    `packs` by their hash; `heads` as `heads_in` reads them from the database, by default those of the export that
    `columns` were read from; `others` are the files of the other editions by id, where they are at hand: of the one
    before and of the version that this one corrects.
    """
    header = header_of(files)
    if header is None:
        return [Fault("", HEADER, "is missing, or is no header")]
    try:
        found = [*_stated(files, header, packs), *_published(files, header)]
        if not found:
            found = [*_beside(files, header, others), *_histories(header, columns, heads)]
            found += _redone(files, header, columns, packs, (others or {}).get(header.get("corrects", "")))
    except _NO_HEADER as error:
        found = [(HEADER, f"is not a header of this version: {error!r}"[:300])]
    return [Fault(header["id"], where, what) for where, what in found]


_Found = Iterator[tuple[str, str]]
_NO_HEADER = (AttributeError, LookupError, OverflowError, TypeError, ValueError, pl.exceptions.PolarsError)


def header_of(files: Mapping[str, bytes]) -> dict[str, Any] | None:
    """The header in these files, of which nothing is known but that it has an id; None where there is none."""
    try:
        header = codec.decode(files[HEADER])
        return header if isinstance(header["id"], str) else None
    except _NO_HEADER:
        return None


def reaches(header: Mapping[str, Any]) -> set[tuple[str, int]]:
    """(journal, size) of every place that a header names. Raises where it is no header."""
    return {(journal, int(at["size"])) for name in ("as_of", "seen") for journal, at in header[name].items()}


def _stated(files: Mapping[str, bytes], header: Mapping[str, Any], packs: Mapping[str, Pack]) -> _Found:
    """The header against the files beside it, and against what follows from itself."""
    wanted = {*FROZEN_FILES, *([CHANGES] if "corrects" in header else [])}
    for name in sorted({*wanted, *files, *header["files"]} - {HEADER, PUBLICATION, NOTE}):
        if name not in files:
            yield name, "is missing"
        elif sha256(files[name]).hexdigest() != header["files"].get(name):
            yield name, "is not the file that the header digests"
    as_of, seen = header["as_of"], header["seen"]
    for journal, size in sorted(reaches(header)):
        if not 0 < size <= seen[journal]["size"]:
            yield HEADER, f"counts {size} entries of {journal}"
    if "corrects" not in header and as_of != seen:
        yield HEADER, "seen is not as_of, and it is no correction"
    if header["units"] != sorted(set(header["units"])):
        yield HEADER, "units are not in order, or one is there twice"
    if header["v"] != 1 or header["method"] != METHOD:
        yield HEADER, f"version {header['v']}, method {header['method']}: this program knows 1 and {METHOD}"
    if [day.isoformat() for day in days_of(header["period"])] != [header["from"], header["to"]]:
        yield HEADER, f"{header['from']} to {header['to']} is not {header['period']}"
    chosen = {name: header[name] for name in ("as_of", "list", "period", "place")}
    if sha256(SEED + codec.canonical(chosen)).hexdigest() != header["seed"]:
        yield HEADER, "the seed is not the one that follows from list, period, place and journals"
    pack = packs.get(header["pack"])
    if pack is not None and pack.zone != header["zone"]:
        yield HEADER, f"its days are those of {header['zone']}, those of its rule pack of {pack.zone}"
    rule = pack.lists.get(header["list"]) if pack is not None else None
    if rule is None:
        yield HEADER, f"no rule pack {header['pack']} with a list {header['list']} is here"
    elif codec.canonical(rule.definition()) != files.get("definition.json"):
        yield "definition.json", f"is not the list {header['list']} of rule pack {header['pack']}"
    elif (rule.kind, rule.about) != (header["kind"], header["about"]):
        yield HEADER, f"is about {header['kind']}/{header['about']}, its list about {rule.kind}/{rule.about}"


def _published(files: Mapping[str, bytes], header: Mapping[str, Any]) -> _Found:
    """What was published against what was frozen. Its digest is checked with the journals."""
    if PUBLICATION not in files:
        return
    said = codec.decode(files[PUBLICATION])
    if said["edition"] != header["id"] or said["frozen"] != sha256(files[HEADER]).hexdigest():
        yield PUBLICATION, "was published over another header"
    known = {str(row.get("line")) for row in codec.decode(files["result.json"]).get("rows", ())}
    for line in said["lines"]:
        if line["line"] not in known:
            yield PUBLICATION, f"line {line['line']} is in no row of the result"
    if NOTE in files:
        text = f"{NOTE_HEADER}\n{files[PUBLICATION].decode()}\n"
        if note.parse_note(files[NOTE]).text != text:
            yield NOTE, f"signs something else than {PUBLICATION}"


def _beside(
    files: Mapping[str, bytes], header: Mapping[str, Any], others: Mapping[str, Mapping[str, bytes]] | None
) -> _Found:
    """The header against that of the version that it corrects, or of the edition before it."""
    id = header.get("corrects") or header.get("previous", {}).get("edition")
    if others is None or id is None:
        return
    old = header_of(others.get(id, {}))
    if old is None:
        yield HEADER, f"{id}, which it follows, is not here"
    elif "corrects" in header:
        for name in _KEPT:
            if header.get(name) != old.get(name):
                yield HEADER, f"{name} is another than in {id}, which it corrects"
        for name in ("definition.json", "population.csv"):
            if files[name] != others[id].get(name):
                yield name, f"is another than in {id}, which is corrected"
        seen = {journal: at["size"] for journal, at in header["seen"].items()}
        shorter = [journal for journal, at in old["seen"].items() if seen.get(journal, 0) < at["size"]]
        if shorter or header["version"] <= old["version"]:
            yield HEADER, f"is no later version of {id}"
    else:
        sizes = {name: {journal: at["size"] for journal, at in old[name].items()} for name in ("as_of", "seen")}
        same = all(header[name] == old[name] for name in ("list", "place"))
        if header["previous"] != {"edition": id, **sizes} or not same or header["from"] <= old["to"]:
            yield HEADER, f"counts on from {id} in another way than that one ended"


def _histories(header: Mapping[str, Any], columns: Columns, heads: Heads | None) -> _Found:
    """Are the journals those that the edition was frozen over?"""
    named = {(journal, at["size"], at["leaf"]) for name in ("as_of", "seen") for journal, at in header[name].items()}
    for journal, size, wanted in sorted(named):
        broken = columns.broken.get(journal)
        if broken is not None and broken < size:
            yield f"{journal}/{broken}", "is not the entry that was there: the one after it names another"
            continue
        leaf = columns.leaf(journal, size) if heads is None else heads.get((journal, size))
        if leaf is None:
            yield f"{journal}/{size - 1}", "is not here, and the edition reaches as far"
        elif leaf != wanted:
            yield f"{journal}/{size - 1}", f"has leaf {leaf}, not {wanted}: it, or an entry before it, is another"


def _redone(
    files: Mapping[str, bytes],
    header: Mapping[str, Any],
    columns: Columns,
    packs: Mapping[str, Pack],
    corrected: Mapping[str, bytes] | None,
) -> _Found:
    """Exclusions, population and result, made again."""
    pack = packs[header["pack"]]
    as_of, seen = ({journal: at["size"] for journal, at in header[name].items()} for name in ("as_of", "seen"))
    try:
        lines = columns.lines(seen)
    except NotThere as missing:
        yield f"{missing.journal}/{missing.have}", f"{missing}"
        return
    excluded = codec.canonical({"disputed": disputed(lines, seen).collect().to_dicts()})
    if excluded != files["exclusions.json"]:
        yield from _different("exclusions.json", files["exclusions.json"], excluded)
    try:
        members = population.read(files["population.csv"])
    except ValueError as error:
        yield "population.csv", f"{error}"
        return
    if "corrects" not in header:  # a correction keeps the members of the version before
        present = open_subjects(lines, as_of).select("subject").collect()
        for subject in members.join(present, on="subject", how="anti")["subject"].head(_MOST):
            yield "population.csv", f"{subject} had no open account"
    for journal in sorted(set(lived_in(lines, members)) - seen.keys()):
        yield HEADER, f"leaves out {journal}, where members have lived"
    result = codec.canonical(compute(pack.lists[header["list"]], header, members, lines, pack))
    if result != files["result.json"]:
        yield from _different("result.json", files["result.json"], result)
    if corrected is not None:
        redone = codec.canonical(changes(codec.decode(corrected["result.json"]), codec.decode(files["result.json"])))
        if redone != files[CHANGES]:
            yield from _different(CHANGES, files[CHANGES], redone)


def _different(name: str, stated: bytes, redone: bytes) -> _Found:
    """Each row and figure that is another, at most so many of them."""
    told = list(_figures("", codec.decode(stated), codec.decode(redone)))
    for where, was, now in told[:_MOST]:
        yield name, f"{where} is {was}, and what is here gives {now}"
    if len(told) > _MOST:
        yield name, f"and {len(told) - _MOST} more figures are different"


def _figures(where: str, stated: Any, redone: Any) -> Iterator[tuple[str, str, str]]:
    """(place, was, is) of every figure that is another."""
    was, now = _parts(stated), _parts(redone)
    if stated == redone:
        return
    if was is None or now is None or ([*was] != [*now] and was.keys() == now.keys()):  # of the same rows, the order
        yield where, _short(stated), _short(redone)
        return
    for key in sorted({*was, *now}):
        yield from _figures(f"{where} {key}".strip(), was.get(key), now.get(key))


def _parts(value: Any) -> dict[str, Any] | None:
    """What a value consists of by name: fields of an object, rows of a table; None where it is one figure."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    return {str(row.get("line") or row.get("grid") or f"{row.get('journal')}/{row.get('seq')}"): row for row in rows}


def _short(value: Any) -> str:
    return "nothing" if value is None else codec.encode(value).decode()[:160]


async def heads_in(ledger: Ledger, editions: Iterable[Mapping[str, bytes]]) -> dict[tuple[str, int], str]:
    """From the database, the leaves at the places that the headers of these editions name."""
    asked: set[tuple[str, int]] = set()
    for files in editions:
        with contextlib.suppress(*_NO_HEADER):  # what is wrong with it is said when it is verified
            asked |= reaches(header_of(files) or {})
    return {(j, size): leaf for j, size in sorted(asked) for leaf in (await leaves(ledger, {j: size})).values()}
