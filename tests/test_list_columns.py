# SPDX-License-Identifier: Apache-2.0
"""Entries as columns: grown or made at once, from the ledger or an export, after a crash or a restore, the lines are
the same; and which of their deeds count."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ledger.engine import Ledger
from ledger.model import Link
from rules.lists import columns, deeds, population
from rules.lists.columns import LINES, Columns, NotThere, from_export, leaves, refresh
from rules.lists.periods import before, containing, days_of, is_period, kind_of
from tests.export_maker import Office, rich_history
from tests.ledgers import FixedClock, move, opened

pytestmark = pytest.mark.schema("ledger")

CUTS = (1, 2, 5, 6, 13, 14, 15, 40, 41, 999)


class Earlier:
    """The ledger as it was when no journal had more than so many entries."""

    def __init__(self, ledger: Ledger, size: int) -> None:
        self._ledger, self._size = ledger, size

    async def fetch(self, sql: str, journal: str, seq: int, *more: Any) -> list[tuple[Any, ...]]:
        return await self._ledger.fetch(sql, journal, seq, *more) if seq < self._size else []

    async def journals(self) -> list[dict[str, Any]]:
        heads = await self._ledger.journals()
        sizes = {one["journal"]: min(one["size"], self._size) for one in heads}
        found = await leaves(self._ledger, sizes)
        return [{**one, "size": sizes[one["journal"]], "leaf": found[one["journal"]]} for one in heads]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A town's history takes several parts."""
    monkeypatch.setattr(columns, "PART", 8)
    monkeypatch.setattr(columns, "_WRITTEN", 3)


def rows(held: Columns, sizes: Mapping[str, int] | None = None) -> list[dict[str, Any]]:
    return held.lines(sizes or held.sizes).collect().sort("journal", "seq").to_dicts()


def files(home: Path) -> list[Path]:
    return sorted(path for path in (home / "columns").rglob("*") if path.is_file())


async def lived(ledger: Ledger, clock: FixedClock, home: Path) -> Office:
    office = Office(ledger, clock, home)
    await rich_history(office)
    return office


async def test_grown_at_once_and_from_an_export_they_are_the_same(database_url: str, tmp_path: Path) -> None:
    """However the files came to be; and at any earlier moment they give the lines of that moment."""
    clock = FixedClock()
    async with opened(database_url, clock) as ledger:
        office = await lived(ledger, clock, tmp_path)
        grown: Columns | None = None
        for cut in CUTS:
            earlier: Any = Earlier(ledger, cut)
            grown = await refresh(earlier, tmp_path / "one process", grown)
            again = await refresh(earlier, tmp_path / "many")
            assert rows(grown) == rows(again) == rows(await refresh(earlier, tmp_path / f"new {cut}"))
            assert grown.sizes == {one["journal"]: one["size"] for one in await earlier.journals()}
        assert grown is not None and rows(grown) == rows(await refresh(ledger, tmp_path / "many", grown))
        await office.export(tmp_path / "out")
        exported = from_export(tmp_path / "out")
        sizes = exported.sizes
        assert rows(exported) == rows(grown, sizes) and len(rows(grown)) > 30 and not exported.broken
        assert dict(LINES) == exported.lines(sizes).collect_schema() == grown.lines(sizes).collect_schema()
        assert await leaves(ledger, sizes) == {journal: exported.leaf(journal, size) for journal, size in sizes.items()}
        early = {"east": 15}
        assert rows(grown, early) == [row for row in rows(grown) if row["journal"] == "east" and row["seq"] < 15]
        with pytest.raises(NotThere, match=r"east has \d+ entries here, and 5000"):
            grown.lines({"east": 5000})


async def test_what_a_line_says(database_url: str, tmp_path: Path) -> None:
    """Each kind against the entry's own words; amounts as the subject sees them."""
    clock = FixedClock()
    async with opened(database_url, clock) as ledger:
        await lived(ledger, clock, tmp_path)
        found = {(row["journal"], row["seq"]): row for row in rows(await refresh(ledger, tmp_path))}
        entries: dict[tuple[str, int], dict[str, Any]] = {}
        for (body,) in await ledger.fetch("SELECT body FROM entry"):
            said = json.loads(bytes(body))
            entries[said["journal"], said["seq"]] = said
    assert set(found) == {at for at, said in entries.items() if _has_line(said)}
    for at, row in found.items():
        said = entries[at]
        same = {name: row[name] for name in ("journal", "seq", "kind", "subject", "group", "rule", "place")}
        assert same == {name: said.get(name) for name in same}
        assert row["occurred_on"] == date.fromisoformat(said["occurred_on"])
        moved = said["kind"] not in ("move", "erase")
        for unit in ("standing", "points"):
            own = [one for one in said["postings"] if one["unit"] == unit and one["account"] != "issuer"]
            assert row[unit] == (sum(one["amount"] for one in own) if moved else 0)
    of = {kind: [row for row in found.values() if row["kind"] == kind] for kind in LINES["kind"].categories}
    litter = next(row for row in of["deduct"])
    assert (litter["standing"], litter["lot"]) == (-500, date(2022, 3, 31))
    snow = next(row for row in of["award"] if row["standing"] == 200)
    assert (snow["points"], snow["lot"], snow["said"]) == (1000, None, None)
    assert {"person": 6, "body": 1} == {
        who: [row["said"] for row in of["open"]].count(who) for who in ("person", "body")
    }
    assert all(row["standing"] == 100_000 for row in of["open"])
    assert ("obj_1", "east", snow["seq"]) == _aim(next(row for row in of["objection"] if row["said"] == "obj_1"))
    assert (None, None) == _aim(next(row for row in of["objection"] if row["said"] == "obj_2"))[1:]
    decided = {row["said"]: row["outcome"] for row in of["decision"]}
    assert decided == {"obj_1": "rejected", "obj_2": "upheld", "obj_3": "withdrawn"}
    assert {(row["said"], row["target_journal"]) for row in of["move"] if row["journal"] == "west"} == {
        ("in", "east"), ("out", "east"),
    }  # fmt: skip
    assert all(
        entries[row["target_journal"], row["target_seq"]]["kind"] in ("award", "deduct") for row in of["reverse"]
    )


def _has_line(said: dict[str, Any]) -> bool:
    released = said["kind"] == "move" and any(link["rel"] == "released_from" for link in said["links"])
    return said["kind"] in LINES["kind"].categories and "subject" in said and not released


def _aim(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["said"], row["target_journal"], row["target_seq"]


async def test_another_history_is_noticed(tmp_path: Path) -> None:
    """A restored backup, and a ledger that went another way: only the parts that still belong are kept."""
    home = tmp_path / "home"
    clock = FixedClock()
    async with opened(f"sqlite:///{tmp_path}/a.db", clock) as ledger:
        await lived(ledger, clock, tmp_path)
        whole = await refresh(ledger, home)
        older: Any = Earlier(ledger, 20)
        restored = await refresh(older, home, whole)
        assert rows(restored) == rows(await refresh(older, tmp_path / "new")) == rows(await refresh(older, home))
        assert rows(whole) == rows(await refresh(ledger, home, restored)) == rows(await refresh(ledger, home))
    other = FixedClock()
    async with opened(f"sqlite:///{tmp_path}/b.db", other, seed=2) as ledger:
        await lived(ledger, other, tmp_path / "b")
        fresh = rows(await refresh(ledger, tmp_path / "new b"))
        assert fresh == rows(await refresh(ledger, home, whole)) == rows(await refresh(ledger, home))
        assert [path.name for path in files(home)] == [path.name for path in files(tmp_path / "new b")]


async def test_killed_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part was under way: the next process has all the lines and no file is half."""
    clock = FixedClock()
    really = os.fsync
    async with opened(f"sqlite:///{tmp_path}/a.db", clock) as ledger:
        await lived(ledger, clock, tmp_path)
        right = rows(await refresh(ledger, tmp_path / "right"))
        for done in (0, 1, 2, 5, 9):
            home, left = tmp_path / f"{done}", iter(range(done, -1, -1))

            def power(number: int, left: Iterator[int] = left) -> None:
                if not next(left):
                    raise KeyboardInterrupt
                really(number)

            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(os, "fsync", power)
                await refresh(ledger, home)
            assert done == len([pl.read_parquet(path) for path in files(home)])
            assert right == rows(await refresh(ledger, home))


async def test_torn_lost_and_forgotten_files(tmp_path: Path) -> None:
    """A part that a crash of the machine tore, one that somebody deleted, one broken off an hour ago: made again, or
    removed."""
    clock = FixedClock()
    async with opened(f"sqlite:///{tmp_path}/a.db", clock) as ledger:
        await lived(ledger, clock, tmp_path)
        held = await refresh(ledger, tmp_path)
        right = rows(held)
        assert not [
            path for path in files(tmp_path) if path.stat().st_mode & 0o077 and path.parent.stat().st_mode & 0o077
        ]
        whole, last = files(tmp_path)[0], files(tmp_path)[-1]
        old = whole.with_name(".0000000000-0000000008-aa.v1.parquet.1")
        old.write_bytes(b"PAR1")
        os.utime(old, (1, 1))
        for spoil in (lambda: whole.write_bytes(whole.read_bytes()[:-9]), lambda: last.write_bytes(b""), whole.unlink):
            spoil()
            assert right == rows(await refresh(ledger, tmp_path))
        whole.unlink()
        assert right == rows(await refresh(ledger, tmp_path, held))
        assert not old.exists()


async def test_an_export_that_was_changed(tmp_path: Path) -> None:
    """The first entry whose bytes are not those that were hashed is named, and its lines are as changed."""
    clock = FixedClock()
    async with opened(f"sqlite:///{tmp_path}/a.db", clock) as ledger:
        office = await lived(ledger, clock, tmp_path)
        await office.export(tmp_path / "out")
    file = tmp_path / "out/east/entries.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    right = rows(from_export(tmp_path / "out"))
    at = next(n for n, line in enumerate(lines) if b'"kind":"award"' in line and b":200," in line)

    def told(changed: bytes) -> Columns:
        file.write_bytes(b"".join([*lines[:at], changed, *lines[at + 1 :]]))
        return from_export(tmp_path / "out")

    more = told(lines[at].replace(b":200,", b":900,").replace(b":-200,", b":-900,"))
    assert {"east": at} == dict(more.broken)
    changed = [(row["seq"], row["standing"]) for row, was in zip(rows(more), right, strict=True) if row != was]
    assert changed == [(at, 900)]
    for unreadable in (b"{}\n", b"\n", b"", lines[at + 1], lines[at].replace(b'"seq":', b'"seq":9')):
        broken = told(unreadable)
        assert {"east": at} == dict(broken.broken) and broken.sizes["east"] == at
    strange = told(lines[at].replace(b'"occurred_on":"2022-03-01"', b'"occurred_on":"2022-02-31"'))
    assert [None] == [row["occurred_on"] for row in rows(strange) if row["seq"] == at and row["journal"] == "east"]


async def test_which_deeds_count(database_url: str, tmp_path: Path) -> None:
    """Not the reversed, nor the disputed until it is decided; these are looked at as far as `seen`."""
    clock = FixedClock()
    async with opened(database_url, clock) as ledger:
        office = Office(ledger, clock, tmp_path)
        for journal in ("east", "west"):
            await office.open(journal)
        for subject in ("sub_a", "sub_b"):
            await office.member("east", subject)
        one = await office.award("east", "sub_a", "one", standing=100)
        two = await office.award("east", "sub_a", "two", standing=200)
        three = await office.award("east", "sub_b", "three", standing=300)
        as_of = (await refresh(ledger, tmp_path)).sizes
        assert [one.seq, two.seq, three.seq] == await counted(ledger, tmp_path, as_of, as_of)
        await office.reverse(one)
        moved, arrived = await move(ledger, "east", "west", "sub_b")
        objection = await office.object(
            "west", "sub_b", "obj_b", [Link("disputes", "east", three.seq, three.leaf.hex())]
        )
        missing = await office.object("east", "sub_a", "obj_a")
        seen = (await refresh(ledger, tmp_path)).sizes
        assert [two.seq] == await counted(ledger, tmp_path, as_of, seen)
        assert [one.seq, two.seq, three.seq] == await counted(ledger, tmp_path, as_of, as_of)
        assert [] == await counted(ledger, tmp_path, {"west": seen["west"]}, seen)
        assert [one.seq] == await counted(ledger, tmp_path, {"east": one.seq + 1}, {"east": one.seq + 1})
        open_ones = deeds.disputed((await refresh(ledger, tmp_path)).lines(seen), seen).collect()
        assert [("east", three.seq, "obj_b")] == open_ones.rows()
        await office.decide("east", missing, "rejected")
        await office.decide("west", objection, "upheld")
        later = (await refresh(ledger, tmp_path)).sizes
        assert [two.seq, three.seq] == await counted(ledger, tmp_path, as_of, later)
        lines = (await refresh(ledger, tmp_path)).lines(later)
        here = [("sub_a", "east", "person"), ("sub_b", "east", "person")]
        assert here == deeds.open_subjects(lines, as_of).collect().rows()
        assert arrived.journal == "west" and moved.seq < later["east"]
        away = [("sub_a", "east", "person"), ("sub_b", "west", "person")]
        assert away == deeds.open_subjects(lines, later).collect().rows()
        assert [("sub_b", "west", None)] == deeds.open_subjects(lines, {"west": later["west"]}).collect().rows()
        await office.erase("east", "sub_a")
        held = await refresh(ledger, tmp_path)
        assert away[1:] == deeds.open_subjects(held.lines(held.sizes), held.sizes).collect().rows()


async def counted(ledger: Ledger, home: Path, as_of: dict[str, int], seen: dict[str, int]) -> list[int]:
    lines = (await refresh(ledger, home)).lines(seen)
    return sorted(deeds.counted(lines, as_of, seen).collect()["seq"])


def test_a_population_has_one_spelling() -> None:
    """Written, read and written again it is the same bytes; any other spelling is refused."""
    members = pl.DataFrame(
        {
            "subject": ["sub_b", "sub_a", "sub_Z"],
            "grid": ["370321002001-02", "370321002001-01", "370321002001-01"],
            "groups": [["G3", "G1"], ["G3"], []],
            "listed": [True, False, True],
        },
        schema=dict(population.POPULATION),
    )
    data = population.write(members)
    assert data == (
        b"subject,grid,groups,listed\n"
        b"sub_Z,370321002001-01,,1\n"
        b"sub_a,370321002001-01,G3,0\n"
        b"sub_b,370321002001-02,G1|G3,1\n"
    )
    back = population.read(data)
    assert (back.schema, data) == (members.schema, population.write(back))
    assert [[], ["G3"], ["G1", "G3"]] == back["groups"].to_list() and [True, False, True] == back["listed"].to_list()
    empty = population.write(members.clear())
    assert b"subject,grid,groups,listed\n" == empty and 0 == population.read(empty).height
    for other in (
        b"",
        data[:-1],
        data.replace(b"\n", b"\r\n"),
        data.replace(b"G1|G3", b"G3|G1"),
        data.replace(b",0\n", b",no\n"),
        data.replace(b",0\n", b"\n"),
        data.replace(b",0\n", b",0,1\n"),
        data.replace(b"sub_a", b'"sub_a"'),
        data.replace(b"sub_a", b"sub_c"),
        data.replace(b"sub_a", b"sub_b"),
        data.replace(b"sub_a", b"\xff"),
        data.replace(b"subject,", b"grid,", 1),
        data + b"\n",
    ):
        with pytest.raises(ValueError, match="population"):
            population.read(other)
    for bad in ({"subject": "a,b"}, {"grid": ""}, {"grid": None}, {"groups": ["G1|G2"]}):
        with pytest.raises(ValueError, match="population"):
            population.write(
                members.with_columns(
                    **{name: pl.lit(value, population.POPULATION[name]) for name, value in bad.items()}
                )
            )


@pytest.mark.parametrize(
    ("period", "kind", "first", "last", "earlier"),
    [
        ("2024-02", "month", "2024-02-01", "2024-02-29", "2024-01"),
        ("2026-01", "month", "2026-01-01", "2026-01-31", "2025-12"),
        ("2026Q1", "quarter", "2026-01-01", "2026-03-31", "2025Q4"),
        ("2026Q4", "quarter", "2026-10-01", "2026-12-31", "2026Q3"),
        ("2026", "year", "2026-01-01", "2026-12-31", "2025"),
    ],
)
def test_periods(period: str, kind: Any, first: str, last: str, earlier: str) -> None:
    """Their days, the one before, and the one that holds a day; nothing else is a period."""
    days = (date.fromisoformat(first), date.fromisoformat(last))
    assert (kind, days, earlier) == (kind_of(period), days_of(period), before(period))
    assert {period} == {containing(day, kind) for day in days} and is_period(period, kind)
    for other in (
        "2026-13",
        "2026-00",
        "2026Q0",
        "2026Q5",
        "26",
        "2026-1",
        "2026-01-01",
        period + "\n",
        "２０２６",
        "",
    ):
        assert not is_period(other, kind)
        with pytest.raises(ValueError, match="not a period"):
            days_of(other)
