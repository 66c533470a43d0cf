# SPDX-License-Identifier: Apache-2.0
"""The demo county's lists: nobody is on them who does not want to be, wherever one looks; and an outsider makes them
again from an export, to the byte, and sees what was altered."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

from api import demo
from api.commands import export as exporting
from api.erasure import erase
from api.people.names import masked
from api.settings import Settings
from api.world import World
from rules.lists.columns import from_export
from rules.lists.verify import verify_edition
from tests.application import application
from tests.tree import ROOT

AS_OF = date(2026, 3, 20)
MORNING = int(datetime(2026, 3, 20, 2, tzinfo=UTC).timestamp()) * 1_000_000
HOME = "370321001001"
MASKED = r"[\u4e00-\u9fff]{1,2}\*+[\u4e00-\u9fff]?"


@dataclass
class Built:
    settings: Settings
    said: demo.Demo


def build(home: Path, people: int) -> Built:
    settings = Settings(f"sqlite:///{home / 'jifen.db'}", home)
    return Built(settings, asyncio.run(demo.build(settings, people=people, as_of=AS_OF)))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("town"), 150)


@pytest.fixture
def own(town: Built, tmp_path: Path) -> Built:
    """The same town in a copy, for a test in which something happens."""
    shutil.copytree(town.settings.home, tmp_path / "own")
    return Built(Settings(f"sqlite:///{tmp_path / 'own' / 'jifen.db'}", tmp_path / "own"), town.said)


@asynccontextmanager
async def opened(built: Built) -> AsyncIterator[World]:
    world = World(built.settings, clock=lambda: MORNING)
    await world.open()
    try:
        yield world
    finally:
        await world.close()


# the walk ----------------------------------------------------------------------------------------------------------


@dataclass
class Secrets:
    """What nobody may find: full names of people, and of those who answer the phone for bodies; phones; ids."""

    names: set[str]
    phones: set[str]
    subjects: set[str]
    masked: set[str]  # how those may be shown who agreed to it

    @classmethod
    async def of(cls, world: World) -> Secrets:
        rows = await world.ledger.fetch("SELECT subject, publication FROM person")
        records = await world.people.records([subject for subject, _ in rows])
        every = await world.ledger.fetch("SELECT subject FROM subject WHERE kind = 'person'")  # the erased, too
        agreed = {records[subject].name for subject, publication in rows if publication}
        return cls(
            {one.name for one in records.values()},
            {one.phone for one in records.values() if one.phone},
            {subject for (subject,) in every},
            {masked(name) for name in agreed},
        )

    def without(self, text: str) -> Secrets:
        """Less the names that are words of a text which names nobody."""
        return Secrets({name for name in self.names if name not in text}, self.phones, self.subjects, self.masked)

    def found_in(self, text: str, *, ids: bool = True) -> list[str]:
        chinese = "\n".join(re.findall(r"[\u4e00-\u9fff·]{2,}", text))
        told = [name for name in self.names if name in chinese]
        told += [phone for run in re.findall(r"\d{11,}", text) for phone in self.phones if phone in run]
        told += self.subjects & set(re.findall(r"sub_[0-9a-z]{16}", text)) if ids else ()
        return told + [one for one in re.findall(MASKED, text) if one not in self.masked]


async def paths(world: World, app: Any, said: demo.Demo) -> AsyncIterator[str]:
    """Every way to get something, with everything that there is in the place of its parameters."""

    async def column(sql: str) -> list[str]:
        return [str(row[0]) for row in await world.ledger.fetch(sql)]

    editions = await column("SELECT id FROM edition")
    periods = [*await column("SELECT DISTINCT period FROM edition"), "2026-01", "2025Q4", "2025"]
    values = {
        "edition": editions,
        "period": periods,
        "journal": said["journals"],
        "seq": ["0", "1", "5", "9"],
        "subject": [said["resident"]["subject"], *(await column("SELECT subject FROM subject LIMIT 3"))],
        "award": await column("SELECT id FROM award LIMIT 2"),
        "redemption": await column("SELECT redemption FROM redemption LIMIT 2"),
        "merchant": [said["merchant"]["id"]],
        "offer": [one["id"] for one in said["offers"]],
        "epoch": ["0", "1"],
    }
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or "GET" not in route.methods:
            continue
        shape = re.sub(r":\w+}", "}", route.path)
        every = [shape]
        for name in re.findall(r"{(\w+)}", shape):
            every = [one.replace("{" + name + "}", value) for one in every for value in values.get(name, ["x"])]
        for path in every:
            if re.search(r"/(lists|editions|rankings|notices|places)$", path):
                for query in (f"community={HOME}", f"place={HOME}", "community=370321001", "list=red", "state=draft"):
                    yield f"{path}?{query}"
            elif re.search(r"/(editions|rankings|notices)/[^/]+$", path):
                place = "" if "/editions/" in path else f"community={HOME}&"
                for form in (f"?{place}", f".html?{place}lang=en&form=screen", f".csv?{place}"):
                    yield f"{path}{form}"
            if not re.search(r"/(static|docs|openapi)", path):  # the program's own, the same in every town
                yield path


async def walk(world: World, said: demo.Demo, secrets: Secrets, only: str = "") -> dict[str, str]:
    """Everything that anybody can see without signing in, by its path; what was answered with a page leads on."""
    app = application(world)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    seen: dict[str, str] = {}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        waiting = [path async for path in paths(world, app, said) if re.search(only, path)]
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            answer = await client.get(path)
            assert answer.status_code < 500, (path, answer.text)
            text = answer.text if answer.status_code < 400 else re.sub(r'"instance":"[^"]*"', "", answer.text)
            seen[path] = f"{answer.headers}\n{text}" if answer.status_code < 400 else ""
            # Who asks for an id hears it again in the refusal; of anything else nothing is told.
            found = secrets.found_in(f"{answer.headers}\n{text}")
            assert [] == [one for one in found if one not in path], path
            if "html" in answer.headers.get("content-type", ""):
                links = re.findall(r'href="(/(?!static|docs|openapi)[^"#]*)"', text.replace("&amp;", "&"))
                waiting += [link for link in links if not re.search("(form|lang)=", link)]
    return {path: text for path, text in seen.items() if text}


def words(world: World) -> str:
    """Texts that name nobody: the program's own, and the names of places, bodies and shops."""
    program = [
        path.read_text("utf-8") for path in (ROOT / "api").rglob("*") if path.suffix in (".toml", ".html", ".py")
    ]
    packs = [path.read_text("utf-8") for path in (ROOT / "rules" / "packs").rglob("*.toml")]
    places = [place.name for place in world.register.tree.places.values()]
    return "\n".join([*program, *packs, *places])


async def test_nobody_is_found_who_does_not_want_to_be(own: Built, tmp_path: Path) -> None:
    """Every page, every answer and every file of the public: no name, no phone, no id; masked only who agreed, and not
    any more who withdrew it or was erased."""
    async with opened(own) as world:
        secrets = (await Secrets.of(world)).without(words(world))
        assert len(secrets.names) > 100 and len(secrets.masked) > 20
        seen = await walk(world, own.said, secrets)
        notices = {path: text for path, text in seen.items() if "/notices/" in path}
        shown = set(re.findall(MASKED, "".join(notices.values())))
        assert len(shown) > 3 and len(seen) > 80, (shown, len(seen))
        assert any(".csv?" in path for path in notices)
        # One of those shown withdraws, another is erased.
        rows = await world.ledger.fetch("SELECT subject FROM person WHERE publication = 1 ORDER BY subject")
        people = await world.people.records([subject for (subject,) in rows])
        alone = [s for s, one in people.items() if masked(one.name) in shown]
        gone = [s for s in alone if sum(masked(people[s].name) == masked(one.name) for one in people.values()) == 1][:2]
        await world.people.consent(gone[0], {"publication": 0}, actor="stf_1")
        await erase(world, gone[1], actor="stf_1", reason="本人要求")
        after = await Secrets.of(world)
        left = Secrets(secrets.names, secrets.phones, secrets.subjects, after.masked)
        assert {masked(people[s].name) for s in gone} & shown and not {
            masked(people[s].name) for s in gone
        } & left.masked
        await walk(world, own.said, left, "/(lists|editions|notices)")


async def test_files_name_nobody(town: Built, tmp_path: Path) -> None:
    """What is kept of an edition, and what is exported, has random ids and numbers."""
    async with opened(town) as world:
        secrets = (await Secrets.of(world)).without(words(world))
        for (edition,) in await world.ledger.fetch("SELECT id FROM edition"):
            for name, data in (await world.editions.files(edition)).items():
                assert [] == secrets.found_in(data.decode(), ids=False), (edition, name)
        await exporting.export(world, tmp_path / "out", [])
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert [] == secrets.found_in(path.read_text("utf-8", errors="replace"), ids=False), path


# made again --------------------------------------------------------------------------------------------------------


def folders(export: Path) -> Iterator[dict[str, bytes]]:
    for folder in sorted((export / "editions").iterdir()):
        yield {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_an_outsider_makes_them_again(town: Built, tmp_path: Path) -> None:
    """From the export alone every published edition comes out as it is; one altered award, and every edition that
    counted it says which and what is different."""
    out = tmp_path / "out"
    async with opened(town) as world:
        packs = {pack.hash: pack for pack in world.packs.packs}
        await exporting.export(world, out, [])
        published = await world.editions.find(states=("published", "corrected"))
    found = list(folders(out))
    assert len(published) == len(found) > 8
    columns = from_export(out)
    assert [] == [fault for files in found for fault in verify_edition(files, columns, packs)]

    entries = out / HOME / "entries.jsonl"
    lines = entries.read_bytes().splitlines(keepends=True)
    counted = {json.loads(files["edition.json"])["list"]: files for files in found}["notice"]
    size = json.loads(counted["edition.json"])["as_of"][HOME]["size"]
    seq = max(n for n in range(size - 1) if b'"kind":"award"' in lines[n] and b'"unit":"standing"' in lines[n])
    lines[seq] = re.sub(rb'"amount":(-?)(\d)', rb'"amount":\g<1>9\2', lines[seq])
    entries.write_bytes(b"".join(lines))
    faults = verify_edition(counted, from_export(out), packs)
    assert any(f"{HOME}/{seq}" == fault.where for fault in faults), faults
    assert any(fault.where == "result.json" for fault in faults), faults


# what happened -----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_shops_of_the_story(tmp_path: Path) -> None:
    """In a whole county: a line that lapsed, one that was put right, one that came with a correction, one that stands;
    four quarters of every community, twelve months of notices, red flags with their money."""
    built = build(tmp_path / "county", 2_000)

    async def look() -> None:
        async with opened(built) as world:
            fetch = world.ledger.fetch
            lines = {tuple(row) for row in await fetch("SELECT state, ended_why FROM edition_line WHERE months > 0")}
            assert {("ended", "expired"), ("ended", "repaired"), ("posted", "")} <= lines
            rows = await fetch("SELECT list, COUNT(*) FROM edition WHERE state = 'published' GROUP BY list")
            assert {"notice": 180, "grids": 60, "red": 24, "grey": 24}.items() <= {a: b for a, b in rows}.items()
            assert [(1,)] == [tuple(r) for r in await fetch("SELECT COUNT(*) FROM edition WHERE state = 'corrected'")]
            assert (await fetch("SELECT COUNT(*) FROM entry WHERE kind = 'fund'"))[0][0] > 0
            secrets = (await Secrets.of(world)).without(words(world))
            await walk(world, built.said, secrets)

    asyncio.run(look())
