# SPDX-License-Identifier: Apache-2.0
"""An edition whose files, header, journals or figures were touched is not taken for what it was."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, cast

import polars as pl
import pytest

from ledger import codec
from rules.engine.pack import builtin_pack
from rules.lists.bootstrap import AT_LEAST
from rules.lists.columns import Columns
from rules.lists.freezing import METHOD, SEED, Frozen, Member
from rules.lists.making import made
from rules.lists.verify import Fault, verify_edition
from tests.list_lines import Book
from tests.test_lists_compute import WORDS
from tests.tree import ROOT

PACK = builtin_pack("huantai")
GRID = "east-01"
Files = dict[str, bytes]


class Held:
    """The columns of a book; every leaf is made up."""

    def __init__(self, book: Book) -> None:
        self.frame = book.lines()
        self.broken: dict[str, int] = {}

    def lines(self, _sizes: Mapping[str, int]) -> pl.LazyFrame:
        return self.frame.lazy()

    def leaf(self, journal: str, size: int) -> str | None:
        return sha256(f"{journal}/{size}".encode()).hexdigest()


def columns(held: Held) -> Columns:
    return cast(Columns, held)


@pytest.fixture(scope="module")
def book() -> Book:
    book = Book()
    for number in range(60):
        book.join(f"sub_{number:02}", GRID)
        book.award(f"sub_{number:02}", "2026-08-01", 10 * number)
    book.dispute(book.award("sub_00", "2026-08-02", 900))
    return book


def header_of(held: Held, sizes: Mapping[str, int], **more: Any) -> dict[str, Any]:
    at = {journal: {"leaf": held.leaf(journal, size), "size": size} for journal, size in sizes.items()}
    header: dict[str, Any] = {
        "about": "grids", "as_of": at, "from": "2026-07-01", "frozen_at": "2026-10-01T01:00:00.000000Z", "id": "edn_1",
        "kind": "ranking", "list": "grids", "method": METHOD, "pack": PACK.hash, "period": "2026Q3", "place": "east",
        "seen": at, "software": "0", "to": "2026-09-30", "units": [GRID], "v": 1, "version": 1, "zone": "Asia/Shanghai",
    }  # fmt: skip
    header |= more
    chosen = {name: header[name] for name in ("as_of", "list", "period", "place")}
    return header | {"seed": sha256(SEED + codec.canonical(chosen)).hexdigest()}


def edition(book: Book, held: Held, corrected: Frozen | None = None, **more: Any) -> Frozen:
    members = [Member(subject, grid, tuple(groups), listed) for subject, grid, groups, listed in book.people.values()]
    header = header_of(held, book.sizes, **more)
    return made(header, PACK.lists["grids"], PACK, None if corrected else members, columns(held), corrected)


def faults(files: Files, held: Held, *others: Files) -> list[Fault]:
    by_id = {codec.decode(one["edition.json"])["id"]: one for one in others}
    return verify_edition(files, columns(held), {PACK.hash: PACK}, others=by_id if others else None)


def resealed(files: Files, change: Callable[[dict[str, Any]], object]) -> Files:
    """With another header, as somebody would write it who can."""
    header = codec.decode(files["edition.json"])
    change(header)
    return files | {"edition.json": codec.canonical(header)}


def swapped(files: Files, name: str, data: bytes) -> Files:
    """Another file, and the header made to agree with it."""
    return resealed(files | {name: data}, lambda header: header["files"].update({name: sha256(data).hexdigest()}))


def test_an_untouched_edition_holds(book: Book) -> None:
    """Also a correction beside the version that it corrects."""
    held = Held(book)
    first = edition(book, held)
    assert faults(first.files, held) == []
    again = copy.deepcopy(book)
    again.reverse(again.entries[1])
    later = Held(again)
    sizes = {"east": book.sizes["east"] + 1}
    second = edition(book, later, first, id="edn_2", corrects="edn_1", version=2, seen=header_of(later, sizes)["as_of"])
    assert faults(second.files, later, first.files) == []
    assert codec.decode(second.files["changes.json"]) == {}  # it was an award of nothing
    forged = swapped(
        second.files, "changes.json", codec.canonical({"rows": {"added": [], "changed": [], "removed": []}})
    )
    assert [fault.where for fault in faults(forged, later, first.files)] == ["changes.json"]
    forged = resealed(second.files, lambda header: header.update({"units": [GRID, "east-02"], "version": 1}))
    told = " ".join(fault.what for fault in faults(forged, later, first.files))
    assert "units is another than in edn_1" in told and "no later version of edn_1" in told
    assert "edn_1, which it follows, is not here" in faults(second.files, later, second.files)[0].what


@pytest.mark.parametrize("name", ["definition.json", "exclusions.json", "population.csv", "result.json"])
def test_a_file_that_is_touched_or_gone_is_named(book: Book, name: str) -> None:
    """By the digest in the header."""
    held = Held(book)
    files = edition(book, held).files
    found = faults(files | {name: files[name] + b" "}, held)[0]
    assert (found.edition, found.where) == ("edn_1", name)
    del files[name]
    assert (name, "is missing") in [fault[1:] for fault in faults(files, held)]


def test_a_figure_that_is_another_is_named_with_what_it_should_be(book: Book) -> None:
    """Even where the header was made to agree."""
    held = Held(book)
    files = edition(book, held).files
    result = codec.decode(files["result.json"])
    right = result["rows"][0]["total"]
    result["rows"][0]["total"] += 100
    found = faults(swapped(files, "result.json", codec.canonical(result)), held)
    assert found == [
        Fault("edn_1", "result.json", f"rows {GRID} total is {right + 100}, and what is here gives {right}")
    ]


def test_an_altered_award_is_named_with_the_figures_it_changes(book: Book) -> None:
    """The chain says which entry it was; the redone ranking says what came of it."""
    held = Held(book)
    files = edition(book, held).files
    altered = copy.deepcopy(book)
    altered.entries[3]["standing"] += 5000
    other = Held(altered)
    other.broken["east"] = 3
    found = faults(files, other)
    assert found[0].where == "east/3"
    assert f"rows {GRID} total" in " ".join(fault.what for fault in found)


def test_another_history_is_found_by_its_leaf(book: Book) -> None:
    """At the place where the header says how far it looked; and where the journal is shorter, that is said."""
    held = Held(book)
    files = edition(book, held).files
    last = f"east/{book.sizes['east'] - 1}"
    heads = {("east", book.sizes["east"]): "00" * 32}
    found = verify_edition(files, columns(held), {PACK.hash: PACK}, heads)
    assert {fault.where for fault in found} == {last}
    assert {fault.where for fault in verify_edition(files, columns(held), {PACK.hash: PACK}, {})} == {last}


def test_who_had_no_account_and_who_was_left_out_is_seen(book: Book) -> None:
    """An invented resident, and an objection that was made to disappear."""
    held = Held(book)
    files = edition(book, held).files
    lines = files["population.csv"].decode().splitlines()
    invented = "\n".join([*lines, f"sub_99,{GRID},G3,0", ""]).encode()
    found = faults(swapped(files, "population.csv", invented), held)
    assert ("population.csv", "sub_99 had no open account") in [fault[1:] for fault in found]
    hidden = codec.canonical({"disputed": []})
    assert faults(swapped(files, "exclusions.json", hidden), held)[0].where == "exclusions.json"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": "00" * 32}, "seed"),
        ({"to": "2026-09-29"}, "2026Q3"),
        ({"pack": "00" * 32}, "rule pack"),
        ({"kind": "honour"}, "honour"),
        ({"method": "2"}, "method 2"),
        ({"period": 3}, "not a header"),
        ({"seen": {"east": {"leaf": "00" * 32, "size": 3}}}, "entries of east"),
        ({"seen": {}}, "not a header"),
        ({"files": ["result.json"]}, "not a header"),
        ({"units": [GRID, GRID]}, "twice"),
        ({"zone": "Asia/Tokyo"}, "Asia/Shanghai"),
    ],
)
def test_a_header_that_does_not_follow_from_itself_is_refused(book: Book, change: dict[str, Any], word: str) -> None:
    """The seed, the days, the list: whoever freezes has no choice in them."""
    held = Held(book)
    found = faults(resealed(edition(book, held).files, lambda header: header.update(change)), held)
    assert word in found[0].what


def test_what_was_published_belongs_to_what_was_frozen(book: Book) -> None:
    """Over the same header, lines that the result has, and a note about the same bytes."""
    held = Held(book)
    files = edition(book, held).files
    said: dict[str, Any] = {"approved_by": [], "day": "2026-10-01", "edition": "edn_1", "lines": [], "v": 1}
    said["frozen"] = sha256(files["edition.json"]).hexdigest()
    assert faults(files | {"published.json": codec.canonical(said)}, held) == []
    other = said | {"frozen": "00" * 32, "lines": [{"line": "sub_01"}]}
    assert len(faults(files | {"published.json": codec.canonical(other)}, held)) == 2


def test_the_page_says_what_the_program_does() -> None:
    """The seed of docs/spec/edition.md is the one that follows; its words are those of the draws' own test."""
    page = (ROOT / "docs" / "spec" / "edition.md").read_text(encoding="utf-8")
    chosen = re.search(r"```json\n(.*)\n```\n\n`seed ([0-9a-f]{64})`", page)
    assert chosen is not None
    assert sha256(SEED + codec.canonical(json.loads(chosen[1]))).hexdigest() == chosen[2]
    for word in WORDS[:4]:
        assert f"{word:016x}" in page
    weights = [sum(WORDS[0] >> (8 * byte) & 255 >= least for least in AT_LEAST) for byte in range(8)]
    assert f"weights {' '.join(map(str, weights))}." in page


def test_files_that_are_no_edition_are_said_to_be_none(book: Book) -> None:
    """Nothing is raised for what an outsider hands in."""
    held = Held(book)
    assert faults({}, held)[0].where == "edition.json"
    assert faults({"edition.json": b"[]"}, held)[0].where == "edition.json"
    assert faults({"edition.json": codec.canonical({"id": "edn_1"})}, held)[0].edition == "edn_1"
