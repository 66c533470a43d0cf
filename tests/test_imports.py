# SPDX-License-Identifier: Apache-2.0
"""Imports of places, people and bodies: previewed row by row, committed whole or not at all, safe to repeat."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import argon2
import pytest

import api
import rules
from api import imports
from api.bodies import contact_of
from api.people.keystore import Keystore
from api.people.vault import People, Who
from api.sheets.bodies import parse_bodies
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.sheets.values import uscc_check
from ledger import keys
from ledger.engine import MIGRATIONS, Ledger
from ledger.errors import Refusal
from ledger.rotation import SigningKeys
from rules.register import Register
from rules.shelf import Shelf

pytestmark = pytest.mark.schema("ledger", "rules", "people")

NOW = 1_669_075_200_000_000  # 2022-11-22 08:00 in Shanghai
ROOMS = {
    "ledger": MIGRATIONS,
    "rules": Path(rules.__file__).parent / "migrations",
    "people": Path(api.__file__).parent / "people" / "migrations",
}
PLACES = """编码,名称,层级,上级编码
370321,桓台县,county,
370321002,少海街道,street,370321
370321002002,兴旺花园社区,community,370321002
370321002003,中心社区,community,370321002
370321002002-01,兴旺花园第1网格,grid,370321002002
370321002002-04,兴旺花园第4网格,grid,370321002002
370321002003-01,中心第1网格,grid,370321002003
"""


@dataclass
class Town:
    """Just what importing needs."""

    ledger: Ledger
    people: People
    register: Register
    packs: Shelf
    keys: keys.Keys
    signing: SigningKeys


@pytest.fixture
async def town(database_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    kept = keys.make_keys(tmp_path / "home", origin="test.example/370321")
    ledger = Ledger(database_url, kept.secret, clock=lambda: NOW)
    await ledger.open()
    await ledger.store.migrate(ROOMS)
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    people = People(ledger, Keystore(tmp_path / "home" / "keys.db", kept.master), kept.secret, hasher=hasher)
    signing = SigningKeys(ledger, tmp_path / "home", kept)
    yield Town(ledger, people, Register(ledger), Shelf.founding(), kept, signing)
    await ledger.close()
    people.close()


def sheet(text: str) -> bytes:
    return text.encode("utf-8")


async def settle(town: Town, text: str = PLACES) -> imports.Imported:
    plan = await imports.plan_places(town, parse_places(read_sheet(sheet(text))))
    return await imports.commit_places(town, plan, "stf_1")


async def test_places_open_their_communities_journals(town: Town) -> None:
    """A community's journal starts with its place, under the newest pack, with the take-over window open."""
    done = await settle(town)
    assert {"rows": 7, "new": 7, "changed": 0, "duplicate": 0, "refused": 0, "ignored": 0} == done.counts
    journals = await town.ledger.journals()
    assert ["370321002002", "370321002003"] == [journal["journal"] for journal in journals]
    assert [1, 1] == [journal["takeover"] for journal in journals]
    first = (await town.ledger.entry("370321002002", 0)).fields["data"]
    assert "test.example/370321/370321002002" == first["origin"]
    assert town.keys.vkey == first["vkey"]
    assert town.packs.newest().hash == first["policy"]["pack"]
    assert 100_000 == first["policy"]["base"]
    again = await settle(town, PLACES.replace("中心社区", "少海中心社区"))
    assert (0, 1, 6) == (again.counts["new"], again.counts["changed"], again.counts["duplicate"])
    assert "少海中心社区" == town.register.place("370321002003").name
    assert [] == await imports.open_journals(town, ["370321002003"], "stf_1")
    with pytest.raises(Refusal, match="not_found"):
        await imports.open_journals(town, ["370321002"], "stf_1")


async def test_places_without_a_parent_are_refused_row_by_row(town: Town) -> None:
    """A hanging place, everything below it, a second meaning of one code: each with its row; nothing is written."""
    text = PLACES + "370321003001,孤社区,community,370321003\n370321003001-01,孤第1网格,grid,370321003001\n"
    text += "370321002003,别的社区,community,370321002\n370321002003-02,中心第2网格,community,370321002\n"
    plan = await imports.plan_places(town, parse_places(read_sheet(sheet(text))))
    found = [(problem.row, problem.code) for problem in sorted(plan.problems, key=lambda p: p.row)]
    assert [(9, "parent_unknown"), (10, "parent_unknown"), (11, "rows_disagree")] == found[:3]
    with pytest.raises(Refusal, match="batch_has_errors"):
        await imports.commit_places(town, plan, "stf_1")
    assert [] == await town.ledger.journals()
    await settle(town)
    moved = PLACES.replace(
        "370321002003-01,中心第1网格,grid,370321002003", "370321002003-01,中心第1网格,grid,370321002002"
    )
    plan = await imports.plan_places(town, parse_places(read_sheet(sheet(moved))))
    assert ["place_moved"] == [problem.code for problem in plan.problems]


PEOPLE = """姓名,手机号,所属社区,所属网格,群体,出生日期,是否同意公示
张建国,13900000001,兴旺花园社区,第4网格,党员、楼长,1950-03-01,是
王秀英,13900000001,兴旺花园社区,第4网格,,1952-03-01,
李桂兰,,中心社区,中心第1网格,居民,,否
"""


async def test_people_join_with_their_hats(town: Town) -> None:
    """A sheet becomes accounts with base standing, everybody a resident; the same sheet again changes nothing."""
    await settle(town)
    for turn, expected in enumerate([(3, 0), (0, 3)]):
        plan = await imports.plan_people(town, parse_people(read_sheet(sheet(PEOPLE))))
        assert (*expected, 0) == (plan.counts["new"], plan.counts["duplicate"], plan.counts["refused"]), turn
        done = await imports.commit_people(town, plan, "stf_1")
        assert expected[0] == len(done.ids)
        if turn == 0:
            zhang = done.ids[2]
    subject = await town.register.subject(zhang)
    assert ("370321002002", "370321002002-04", ("G2", "G3", "G4")) == (subject.home, subject.grid, subject.groups)
    assert (1, 1, 1, 1) == (await town.people.consents(zhang)).row
    assert "370321002002" == await town.ledger.home(zhang)
    balance = await town.ledger.fetch("SELECT sum(amount) FROM balance WHERE account = ?", f"subject:{zhang}")
    assert 100_000 == balance[0][0]
    entries = await town.ledger.fetch("SELECT body FROM entry")
    assert not any("张".encode() in bytes(body) or b"13900000001" in bytes(body) for (body,) in entries)


async def test_people_who_cannot_join_are_refused_by_row(town: Town) -> None:
    """Children, unknown places and groups, a body's group, rows that disagree, a possible namesake."""
    await settle(town)
    plan = await imports.plan_people(town, parse_people(read_sheet(sheet(PEOPLE))))
    await imports.commit_people(town, plan, "stf_1")
    text = """姓名,手机号,所属社区,所属网格,群体,出生日期
赵小小,13900000011,中心社区,第1网格,,2004-11-23
赵大大,13900000012,中心社区,第1网格,,2004-11-22
钱一,13900000013,东方社区,第1网格,,
钱二,13900000014,中心社区,第9网格,,
孙一,13900000015,中心社区,第1网格,舞蹈队,
孙二,13900000016,中心社区,第1网格,商户,
周一,13900000017,中心社区,第1网格,,
周一,13900000017,兴旺花园社区,第1网格,,
李桂兰,,中心社区,第1网格,党员,
张建国,,兴旺花园社区,第4网格,,
张建国,,兴旺花园社区,第4网格,,1980-01-01
周一,13900000017,中心社区,第1网格,,
吴老,,中心社区,第1网格,,1822-01-01
"""
    plan = await imports.plan_people(town, parse_people(read_sheet(sheet(text))))
    problems = {problem.row: problem.code for problem in plan.problems}
    assert {
        2: "minor",
        4: "place_unknown",
        5: "grid_unknown",
        6: "group_unknown",
        7: "group_mismatch",
        9: "rows_disagree",
        11: "ambiguous",
    }.items() <= problems.items()
    assert {3: "new", 8: "new", 10: "duplicate", 12: "new", 13: "duplicate"}.items() <= plan.states.items()
    assert "refused" == plan.states[14]
    before = await town.ledger.journals()
    with pytest.raises(Refusal) as refused:
        await imports.commit_people(town, plan, "stf_1")
    assert ("batch_has_errors", {"refused": 8}) == (refused.value.code, refused.value.facts)
    assert before == await town.ledger.journals()
    done = await imports.commit_people(town, plan, "stf_1", skip=True)
    assert (3, 8) == (done.counts["new"], done.counts["refused"])


async def test_a_community_whose_journal_is_not_open_takes_nobody(town: Town) -> None:
    """The refusal names the journal to open."""
    await settle(town)
    await town.ledger.submit(imports._Settling(  # a place without its journal
        [imports.Place("370321002004", "新建社区", "community", "370321002"),
         imports.Place("370321002004-01", "新建第1网格", "grid", "370321002004")],
        (), town.keys, town.keys.vkey, town.packs, imports.Founding(town.packs.first, b"{}"),
        "stf_1", "txn_1"))  # fmt: skip
    text = "姓名,手机号,所属社区,所属网格\n张三,13900000001,新建社区,第1网格\n"
    plan = await imports.plan_people(town, parse_people(read_sheet(sheet(text))))
    assert [("journal_not_open", "370321002004")] == [(p.code, p.facts["journal"]) for p in plan.problems]
    assert ["370321002004"] == await imports.open_journals(town, ["370321002004"], "stf_1")
    plan = await imports.plan_people(town, parse_people(read_sheet(sheet(text))))
    assert 1 == plan.counts["new"]


BODIES = """名称,类型,统一社会信用代码,群体,所属社区,联系人,电话
红星超市,商户,91370321MA3C000028,市场主体,中心社区,王经理,0533-8180001
邻里志愿队,志愿服务队,,,中心社区,李队长,13900000021
邻里志愿队,志愿服务队,,,兴旺花园社区,,
"""


async def test_bodies_join_by_code_or_name(town: Town) -> None:
    """A credit code is one body; without it the name within a community is. Who answers the phone is sealed."""
    await settle(town)
    code = "91370321MA3C00002"
    text = BODIES.replace("91370321MA3C000028", code + uscc_check(code))
    plan = await imports.plan_bodies(town, parse_bodies(read_sheet(sheet(text))))
    assert [] == plan.problems
    done = await imports.commit_bodies(town, plan, "stf_1")
    assert 3 == done.counts["new"]
    assert ("G5",) == (await town.register.subject(done.ids[2])).groups
    assert ("G8",) == (await town.register.subject(done.ids[3])).groups
    kept = bytes((await town.ledger.fetch("SELECT contact FROM body WHERE subject = ?", done.ids[2]))[0][0])
    assert "王经理".encode() not in kept
    key = await town.people.data_key(done.ids[2])
    assert {"contact": "王经理", "phone": "05338180001"} == contact_of(done.ids[2], key, kept)
    renamed = text.replace("红星超市", "红星生活超市").replace(
        "邻里志愿队,志愿服务队,,,中心社区", "晨光队,舞蹈队,,,中心社区"
    )
    plan = await imports.plan_bodies(town, parse_bodies(read_sheet(sheet(renamed))))
    assert {2: "duplicate", 3: "refused", 4: "duplicate"} == plan.states
    assert ["group_unknown"] == [problem.code for problem in plan.problems]


def sample(count: int) -> str:
    """A sheet as long as the real one."""
    lines = ["姓名,手机号,所属社区,所属网格,群体,出生日期,是否同意公示"]
    for i in range(count):
        place = ("兴旺花园社区,第4网格", "中心社区,第1网格")[i % 2]
        name = "张王李赵"[i % 4] + chr(0x4E00 + i) + chr(0x5000 + i % 3000)
        lines.append(f"{name},{13900000000 + i},{place},居民,1970-01-01,否")
    return "\n".join(lines)


async def test_a_town_of_4572_is_in_within_seconds(town: Town) -> None:
    """Preview and commit of a month's sheet; then finding everybody again in well under a second."""
    await settle(town)
    data = sheet(sample(4572))
    start = time.perf_counter()
    plan = await imports.plan_people(town, parse_people(read_sheet(data)))
    planned = time.perf_counter()
    done = await imports.commit_people(town, plan, "stf_1")
    committed = time.perf_counter()
    assert 4572 == done.counts["new"] == len(set(done.ids.values()))
    rows = [Who(person.name, person.phone, person.grid) for _, person in plan.ready]
    found = await town.people.identify_rows(rows)
    matched = time.perf_counter()
    assert list(done.ids.values()) == found
    print(f"plan {planned - start:.2f} s, commit {committed - planned:.2f} s, match {matched - committed:.2f} s")
    assert committed - start < 6, "3 s on an idle machine"
    assert matched - committed < 1.5
