# SPDX-License-Identifier: Apache-2.0
"""Editions that somebody has put their hand to, in an export or in the database: the check fails, and names the edition
and what is wrong with it."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from api.commands import edition_checks
from api.commands.export import export
from ledger import codec
from rules.engine.pack import load_pack
from rules.lists import columns, population
from rules.lists.compute import compute
from rules.lists.model import HEADER, NOTE, PUBLICATION, deflated
from tests.conftest import Built
from tests.list_town import EAST, WEST, Town, opened
from tests.test_editions import frozen, months, notice
from tests.test_ledger_audit import tamper

pytestmark = [
    pytest.mark.schema(town=months),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),  # what is checked is files
]

Files = dict[str, bytes]


@pytest.fixture
async def town(town_copy: Built) -> AsyncIterator[Town]:
    """August's and September's notices of the east, and one of the west that nobody has published."""
    async with opened(town_copy.url, town_copy.home, town_copy.known) as made:
        made.built["august"] = await notice(made)
        made.built["west"] = await frozen(made, "notice", "2026-08", WEST)
        made.set(date(2026, 10, 9))
        made.built["september"] = await notice(made, "2026-09")
        yield made


class Copy:
    """An export in a folder, to forge it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, id: str) -> Files:
        return {path.name: path.read_bytes() for path in (self.folder / "editions" / id).iterdir()}

    def seal(self, id: str, files: Files, **header: Any) -> None:
        """Write the files, and all above them so that each names what is below; the result made again."""
        said = codec.decode(files[HEADER]) | header
        packs = {pack.hash: pack for pack in map(load_pack, (self.folder / "packs").glob("*/"))}
        lines = columns.from_export(self.folder).lines({journal: at["size"] for journal, at in said["seen"].items()})
        if said["pack"] in packs:
            pack = packs[said["pack"]]
            members = population.read(files["population.csv"])
            files["result.json"] = codec.canonical(compute(pack.lists[said["list"]], said, members, lines, pack))
        said["files"] = {name: sha256(files[name]).hexdigest() for name in said["files"]}
        files[HEADER] = codec.canonical(said)
        published = codec.decode(files[PUBLICATION]) | {"frozen": sha256(files[HEADER]).hexdigest()}
        files[PUBLICATION] = codec.canonical(published)
        (self.folder / "editions" / id / NOTE).unlink()
        for name in files.keys() - {NOTE}:
            (self.folder / "editions" / id / name).write_bytes(files[name])

    def entries(self, change: Callable[[list[bytes]], None]) -> None:
        path = self.folder / EAST / "entries.jsonl"
        lines = path.read_bytes().splitlines()
        change(lines)
        path.write_bytes(b"".join(line + b"\n" for line in lines))


def swap(copy: Copy, one: str, other: str) -> None:
    folder = copy.folder / "editions"
    for name, new in ((one, "aside"), (other, one), ("aside", other)):
        (folder / name).rename(folder / new)


def less_one(copy: Copy, id: str, _: str) -> None:
    files = copy.files(id)
    lines = files["population.csv"].splitlines(keepends=True)
    copy.seal(id, files | {"population.csv": b"".join(lines[:-1])})


def one_more(copy: Copy, id: str, _: str) -> None:
    files = copy.files(id)
    copy.seal(id, files | {"population.csv": files["population.csv"] + f"sub_zz,{EAST}-01,G3,1\n".encode()})


def other_sizes(copy: Copy, _: str, id: str) -> None:
    files = copy.files(id)
    before = codec.decode(files[HEADER])["previous"]
    copy.seal(id, files, previous=before | {"as_of": {EAST: 3}})


def lower_limit(copy: Copy, id: str, _: str) -> None:
    """In the definition and in the pack; the folder's name stays the old hash."""
    files = copy.files(id)
    (path,) = (copy.folder / "packs").glob("*/lists.toml")
    text = path.read_text("utf-8")
    assert 'period = "month"' in text
    path.write_text(text.replace('period = "month"', 'period = "month"\nsuppress_below = 6', 1), "utf-8")
    files["definition.json"] = files["definition.json"].replace(b'"suppress_below":5', b'"suppress_below":6')
    copy.seal(id, files)


def repaired(copy: Copy, _: str, __: str) -> None:
    """An award is worth more, and every entry after it names the one before it as it is now."""

    def change(lines: list[bytes]) -> None:
        seq = next(n for n, line in enumerate(lines) if b'"kind":"award"' in line and b'"unit":"standing"' in line)
        lines[seq] = re.sub(rb'"amount":(-?)(\d)', rb'"amount":\g<1>9\2', lines[seq])
        for n in range(seq + 1, len(lines)):
            prev = codec.decode(lines[n])["prev"].encode()
            lines[n] = lines[n].replace(prev, sha256(b"\0" + lines[n - 1]).hexdigest().encode())

    copy.entries(change)


def unpublished(copy: Copy, id: str, _: str) -> None:
    (copy.folder / "editions" / id / PUBLICATION).unlink()


def gone(copy: Copy, id: str, _: str) -> None:
    shutil.rmtree(copy.folder / "editions" / id)


FORGED: list[tuple[Callable[[Copy, str, str], None], dict[str, str]]] = [
    (swap, {"august": "is that of edn_"}),
    (less_one, {"august": f"{EAST}/[0-9]+ holds digest"}),
    (one_more, {"august": "sub_zz had no open account"}),
    (other_sizes, {"september": "counts on from"}),
    (lower_limit, {"august": "no rule pack"}),
    (repaired, dict.fromkeys(("august", "september"), f"{EAST}/[0-9]+ .*it, or an entry before it, is another")),
    (unpublished, {"august": "is missing"}),
    (gone, {"august": "is missing", "september": "which it follows, is not here"}),
]


async def test_a_forged_export_is_told_with_its_edition(town: Town, tmp_path: Path) -> None:
    """Each as thorough as an outsider can be: all that hangs on it made to agree, but for the entry in the journal."""
    known = (town.built["august"], town.built["september"])
    await export(town.world, tmp_path / "out", [])

    def check() -> None:
        for forge, expected in FORGED:
            copy = tmp_path / forge.__name__
            shutil.copytree(tmp_path / "out", copy)
            forge(Copy(copy), *known)
            found = edition_checks.verify_folder(copy, [], "en")
            for edition, words in expected.items():
                told = [one for one in found.data["faults"] if one["edition"] == town.built[edition]]
                assert any(re.search(words, f"{one['where']} {one['what']}") for one in told), (copy, found.lines)
        assert edition_checks.verify_folder(tmp_path / "out", [], "en").status == 0

    await asyncio.to_thread(check)


async def test_no_byte_of_an_edition_can_be_another(town: Town, tmp_path: Path) -> None:
    """One of each file, chosen anew each time; nothing is raised. Who signed the note is the export's verifier's."""
    await export(town.world, tmp_path / "out", [])
    chance = random.Random()
    for path in sorted((tmp_path / "out" / "editions" / town.built["august"]).iterdir()):
        data = path.read_bytes()
        end = data.index(b"\n\n") if path.name == NOTE else len(data)
        at = chance.randrange(end)
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :])
        found = await asyncio.to_thread(edition_checks.verify_folder, tmp_path / "out", [], "en")
        assert path.parent.name in {one["edition"] for one in found.data["faults"]}, (path.name, at)
        path.write_bytes(data)


async def test_one_community_s_export_says_what_it_cannot_redo(town: Town, tmp_path: Path) -> None:
    """The east's lists hold by the east's journal alone; those of the street count others, and are named."""
    street = await frozen(town, "red", "2026-08", EAST[:9])
    await town.world.editions.publish(town.actors["first"], street)
    await export(town.world, tmp_path / "out", [EAST])
    found = await asyncio.to_thread(edition_checks.verify_folder, tmp_path / "out", [], "en")
    assert (found.status, found.data["editions"], found.data["elsewhere"]) == (0, 2, [street])


async def test_forged_rows_are_told_with_their_edition(town: Town) -> None:
    """Another edition's files under its id, bytes that cannot be unpacked, and a published edition without a row."""
    url, west, august = town.world.settings.database_url, town.built["west"], town.built["august"]

    async def told() -> set[tuple[str, str]]:
        found = await edition_checks.verify(town.world, [], "en", None)
        return {(one["edition"], one["what"]) for one in found.data["faults"]}

    assert await told() == set()
    files = await town.world.editions.files(west)
    other = files[HEADER].replace(west.encode(), town.built["september"].encode())
    await tamper(
        url, ("UPDATE edition_file SET data = ? WHERE edition = ? AND name = ?", (deflated(other), west, HEADER))
    )
    assert (west, f"is that of {town.built['september']}") in await told()
    await tamper(
        url,
        ("UPDATE edition_file SET data = ? WHERE edition = ? AND name = ?", (deflated(files[HEADER]), west, HEADER)),
        ("UPDATE edition SET period = '2026-07' WHERE id = ?", (west,)),
    )
    assert {(west, "period is not the 2026-07 of the edition's row")} == await told()
    await tamper(
        url,
        ("UPDATE edition SET period = '2026-08' WHERE id = ?", (west,)),
        ("UPDATE edition_file SET data = ? WHERE edition = ? AND name = 'result.json'", (b"\1\2", august)),
    )
    assert (august, "is missing, or is no header") in await told()
    await tamper(url, ("DELETE FROM edition_file WHERE edition = ?", (august,)))
    await tamper(url, ("DELETE FROM edition WHERE id = ?", (august,)))
    assert (august, "is missing") in await told()
