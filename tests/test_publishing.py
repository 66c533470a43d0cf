# SPDX-License-Identifier: Apache-2.0
"""From a folder of rules to the rule on the wall: the gate, the two people, the week of notice, and what follows."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from api import app, imports
from api.auth import ROLE_SCOPES, Caller
from api.commands import CloseTakeover
from api.commands.export import export, verify_export
from api.commands.verify import verify
from api.settings import Settings
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.world import ROOMS, NotReady, World
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import Act
from ledger.port import PutRows
from rules.desk import AwardRequest, Evidence
from rules.engine.pack import PACKS, builtin_pack, load_files, read_pack
from rules.ports import Actor
from rules.publishing.changes import changes
from rules.publishing.gate import gate
from rules.publishing.publishing import PackRefused
from rules.tables import APPROVAL
from tests.test_desk_http import HERE, PEOPLE, PLACES, STREET, THERE
from tests.test_layouts import COUNTY, Office, office  # noqa: F401 (a fixture)

pytestmark = pytest.mark.schema()

APRIL_2 = int(datetime(2022, 4, 2, 2, tzinfo=UTC).timestamp()) * 1_000_000
DAY_US = 86_400_000_000
NEW, LAST_OLD_DAY, FIRST_NEW_DAY = "1.2.0", date(2022, 4, 11), date(2022, 4, 12)

THIRD = f"{STREET}004"

LEADER = Actor("stf_leader", None, (("county_admin", COUNTY),))
COUNCIL = Actor("stf_council", None, (("council", COUNTY),))
APPROVER = Actor("stf_approver", "sub_of_the_approver", (("approver", COUNTY),))
CLERK = Actor("stf_clerk", None, (("community_staff", COUNTY),))

HEADER = """
id = "huantai"
version = "{version}"
name = {{ zh = "桓台<b>规则</b>", en = "Huantai rules" }}
zone = "Asia/Shanghai"
effective_from = {day}

[adoption]
status = "adopted"
body = "县社区信用议事会"
adopted_on = 2022-03-30

[sources]
record = {{ title = "公开报道" }}

[categories]
volunteering = {{ zh = "志愿服务", en = "Volunteering" }}
"""
HOURS = """
group = "G3"

[[indicator]]
code = "RE-01"
name = { zh = "志愿服务时长", en = "Volunteer hours" }
category = "volunteering"
fields = [{ name = "minutes", type = "int", unit = "minute", min = 1, max = 1440, label = { zh = "时长", en = "Time" }}]
standing = { kind = "fixed", amount = 50 }
points = { kind = "per_unit", field = "minutes", unit = 60, amount = 200, rounding = "unit" }
caps = [{ id = "day", on = "minutes", window = "day", max = 240 }]
citation = { source = "record" }
examples = [
  { says = "一小时两分", on = 2022-06-05, evidence = "E2", facts = { minutes = 60 }, standing = 50, points = 200 },
  { says = "不满一小时不计", on = 2022-06-05, evidence = "E2", facts = { minutes = 119 }, standing = 50, points = 200 },
  { says = "满四小时", on = 2022-06-05, facts = { minutes = 240 }, standing = 50, points = 800 },
  { says = "超过四小时", on = 2022-06-05, facts = { minutes = 300 }, state = "reduced", standing = 50, points = 800 },
  { says = "当天已满", on = 2022-06-05, facts = { minutes = 60 }, used = { day = 240 }, state = "zero" },
  { says = "昨天满四小时", on = 2022-06-05, facts = { minutes = 60 }, used = { day = 240 }, used_on = 2022-06-04, \
standing = 50, points = 200 },
  { says = "只有签到表", on = 2022-06-05, evidence = "E1", facts = { minutes = 60 }, standing = 50 },
  { says = "自己报的", on = 2022-06-05, evidence = "E0", facts = { minutes = 60 }, \
state = "refused", code = "evidence_too_weak" },
]
"""  # fmt: skip


def pack_files(version: str = NEW, day: date = FIRST_NEW_DAY, **edits: tuple[str, str]) -> dict[str, bytes]:
    """A small next version: volunteer hours alone, worth twice as much. `edits` replace a text in one file."""
    files = {name: (PACKS / "huantai" / name).read_bytes() for name in ("groups.toml", "bands.toml")}
    files["pack.toml"] = HEADER.format(version=version, day=day).encode()
    files["g3.toml"] = HOURS.encode()
    for name, (old, new) in edits.items():
        before = files[f"{name}.toml"].decode()
        assert old in before, old
        files[f"{name}.toml"] = before.replace(old, new).encode()
    return files


class House:
    """A county of two communities at work; `now` stands still until a test moves it."""

    def __init__(self, url: str, home: Path) -> None:
        self.now = APRIL_2
        self.settings = Settings(database_url=url, home=home)
        self.world = self.another()

    def another(self) -> World:
        """The same deployment as another process sees it."""
        return World(self.settings, clock=lambda: self.now)

    async def open(self) -> House:
        await self.world.init()
        await self.world.open()
        plan = await imports.plan_places(self.world, parse_places(read_sheet(PLACES.encode())))
        await imports.commit_places(self.world, plan, "system")
        people = await imports.plan_people(self.world, parse_people(read_sheet(PEOPLE.encode())))
        await imports.commit_people(self.world, people, "system")
        return self

    async def close_takeover(self) -> None:
        for journal in (HERE, THERE):
            await self.world.ledger.submit(CloseTakeover(journal, Act("system", "2022-04-02", b"{}", "txn_close")))

    async def propose(self, files: dict[str, bytes] | None = None, actor: Actor = LEADER) -> str:
        """The approval that waits for a second person."""
        return (await self.world.publishing.propose(actor, files or pack_files())).approval

    async def adopt(self, approval: str, actor: Actor = COUNCIL) -> str:
        return (await self.world.desk.approve(actor, approval))[0].state

    async def policies(self, journal: str) -> list[tuple[int, str]]:
        """(seq, version) of the packs that a journal says it goes by."""
        rows = await self.world.ledger.fetch(
            "SELECT seq, body FROM entry WHERE journal = ? AND kind = 'policy' ORDER BY seq", journal
        )
        told = [(seq, orjson.loads(bytes(body))["data"]) for seq, body in rows]
        return [(seq, data["pack"]["version"]) for seq, data in told if "pack" in data]

    async def open_third(self) -> str:
        """Another community joins; its journal."""
        sheet = f"编码,名称,层级,上级编码\n{THIRD},东岳社区,community,{STREET}\n"
        plan = await imports.plan_places(self.world, parse_places(read_sheet(sheet.encode())))
        await imports.commit_places(self.world, plan, "system")
        return THIRD

    async def hour(self, day: date, start: str) -> tuple[int, str]:
        """Points for an hour on that day, and the hash of the pack that the entry names."""
        (found,) = await self.world.people.identify(name="王丽", phone="13900000001")
        proof = (Evidence("confirmed_list", "E2"),)
        asked = AwardRequest(found.subject, "RE-01", day, {"minutes": 60}, evidence=proof, start=start)
        record = (await self.world.desk.award(CLERK, asked)).record
        assert record.journal is not None and record.seq is not None
        entry = await self.world.ledger.entry(record.journal, record.seq)
        return record.points, entry.fields["pack"]


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    house = await House(database_url, tmp_path / "home").open()
    await house.close_takeover()
    yield house
    await house.world.close()


async def refused(work: Any) -> tuple[str, dict[str, Any]]:
    with pytest.raises(Refusal) as no:
        await work
    return no.value.code, no.value.facts


async def test_a_pack_becomes_the_rule_on_its_day(house: House, tmp_path: Path) -> None:
    """Adopted: in every journal, verified, exported; the day before is judged by the old pack, the day itself by it."""
    old, new = builtin_pack("huantai"), read_pack(pack_files())
    assert [(1, "1.1.0")] == await house.policies(HERE) == await house.policies(THERE)
    assert "approved" == await house.adopt(await house.propose())
    for journal in (HERE, THERE):
        assert ["1.1.0", NEW] == [version for _, version in await house.policies(journal)]
    assert (old, new.hash) == (house.world.pack, house.world.packs.newest().hash)  # a week to go
    house.now += 10 * DAY_US
    assert house.world.pack.hash == new.hash
    assert (100, old.hash) == await house.hour(LAST_OLD_DAY, "09:00")
    assert (200, new.hash) == await house.hour(FIRST_NEW_DAY, "09:00")
    assert [(1, "1.1.0"), (2, NEW)] == await house.policies(await house.open_third())
    assert (await verify(house.world, None, None)).data["ok"]
    await export(house.world, tmp_path / "out", [])
    assert {old.hash, new.hash} == {path.name for path in (tmp_path / "out" / "packs").iterdir()}
    assert (tmp_path / "out" / "packs" / new.hash / "g3.toml").read_bytes() == HOURS.encode()
    done = verify_export(tmp_path / "out", [], False, 1)
    assert done.data["ok"], done.lines


async def test_it_takes_two_people_over_the_whole_county(house: House) -> None:
    """Not the proposer, not an administrator, not somebody of one street; a no publishes nothing, and neither does a
    proposal that was taken back."""
    below = Actor("stf_below", None, (("street_staff", STREET), ("council", STREET)))
    assert "forbidden" == (await refused(house.propose(actor=below)))[0]
    assert "forbidden" == (await refused(house.propose(actor=CLERK)))[0]
    both = Actor("stf_both", "sub_both", (("council", COUNTY),))
    approval = await house.propose(actor=both)
    twin = Actor("stf_other_login", "sub_both", (("approver", COUNTY),))
    for actor, code in ((both, "same_person"), (twin, "same_person"), (below, "forbidden"), (LEADER, "forbidden")):
        assert code == (await refused(house.adopt(approval, actor)))[0]
    assert "forbidden" == (await refused(house.world.desk.reject(LEADER, approval, reason="不行")))[0]
    assert "rejected" == (await house.world.desk.reject(both, approval, reason="再想想"))[0].state
    assert "precondition_failed" == (await refused(house.adopt(approval)))[0]
    approval = await house.propose()
    assert "rejected" == (await house.world.desk.reject(APPROVER, approval, reason="不同意"))[0].state
    assert 1 == len(house.world.packs.packs) and {} == await house.world.publishing.published()
    assert [(1, "1.1.0")] == await house.policies(HERE)


async def test_a_week_of_notice(house: House) -> None:
    """Counted from the day of adoption: too late to propose, too late to adopt, and just in time."""
    house.now += 4 * DAY_US  # six days before
    code, facts = await refused(house.propose())
    assert ("pack_notice_too_short", "2022-04-13") == (code, facts["earliest"])
    house.now -= 2 * DAY_US
    approval = await house.propose()
    house.now += 2 * DAY_US
    assert "pack_notice_too_short" == (await refused(house.adopt(approval)))[0]
    house.now -= DAY_US  # the seventh day
    assert "approved" == await house.adopt(approval, APPROVER)


async def test_a_take_over_is_spared_the_notice(database_url: str, tmp_path: Path) -> None:
    """While every journal is still taking in its past; one journal at work is enough to ask for the week."""
    house = await House(database_url, tmp_path / "home").open()
    try:
        soon = pack_files(day=date(2022, 4, 3))
        assert "approved" == await house.adopt(await house.propose(soon))
        act = Act("system", "2022-04-02", b"{}", "txn_close")
        await house.world.ledger.submit(CloseTakeover(HERE, act))
        again = pack_files("1.3.0", date(2022, 4, 4))
        assert "pack_notice_too_short" == (await refused(house.propose(again)))[0]
    finally:
        await house.world.close()


async def test_packs_only_change_forward(house: House) -> None:
    """The same id, a higher version, a later first day; what is published already decides."""
    may = date(2022, 5, 1)
    for edit, code in (
        (pack_files(pack=('"huantai"', '"other"')), "pack_other_line"),
        (pack_files(pack=("Asia/Shanghai", "Asia/Urumqi")), "pack_other_line"),
        (pack_files("1.1.0"), "pack_version_not_higher"),
        (pack_files("0.9.9"), "pack_version_not_higher"),
        (pack_files(day=date(2022, 1, 1)), "pack_not_forward"),
    ):
        assert code == (await refused(house.propose(edit)))[0]
    await house.adopt(await house.propose(pack_files("1.10.0", may)))
    assert "pack_version_not_higher" == (await refused(house.propose(pack_files("1.9.0", date(2022, 5, 2)))))[0]
    assert "pack_not_forward" == (await refused(house.propose(pack_files("1.11.0", may))))[0]
    assert "approved" == await house.adopt(await house.propose(pack_files("1.11.0", date(2022, 5, 2))))


async def test_of_two_proposals_at_once_one_wins(house: House) -> None:
    """Adopted in the same moment by two people: one pack is published, the other is refused for it."""
    files = [pack_files("1.2.0", date(2022, 5, 1)), pack_files("1.3.0", date(2022, 5, 1))]
    approvals = [await house.propose(one) for one in files]
    answers = await asyncio.gather(
        house.adopt(approvals[0], COUNCIL), house.adopt(approvals[1], APPROVER), return_exceptions=True
    )
    assert 1 == answers.count("approved"), answers
    (no,) = [one for one in answers if isinstance(one, Refusal)]
    assert no.code in ("pack_not_forward", "pack_version_not_higher")
    assert 2 == len(house.world.packs.packs) and 2 == len(await house.policies(HERE))


async def test_a_journal_that_opens_meanwhile_is_not_missed(house: House) -> None:
    """Between the list of journals and the commit: nothing is adopted, and the next try writes in the new one too."""
    approval = await house.propose()
    found = await house.world.desk.records.approval(approval)
    command = await house.world.publishing.approval(COUNCIL, found, None, None, None)
    journal = await house.open_third()
    code, facts = await refused(house.world.ledger.submit(command))
    assert ("queue_full", 1) == (code, facts["retry_after"])
    assert "approved" == await house.adopt(approval)
    assert ["1.1.0", NEW] == [version for _, version in await house.policies(journal)]


@pytest.mark.schema("ledger")
async def test_what_waited_before_still_waits(database_url: str, tmp_path: Path) -> None:
    """The queue is made anew for packs, and every approval that was in it is there afterwards, unchanged."""
    before = tmp_path / "migrations"
    before.mkdir()
    for path in ROOMS["rules"].glob("000[12]_*.sql"):
        shutil.copy(path, before)
    ledger = Ledger(database_url, bytes(32))
    await ledger.open()
    try:
        await ledger.store.migrate({"ledger": ROOMS["ledger"], "rules": before})
        row = (
            "apr_1",
            "award",
            "awd_1",
            "stf_1",
            None,
            HERE,
            "[]",
            "[]",
            1,
            0,
            100,
            "open",
            3,
            7,
            None,
            None,
            None,
            "[]",
        )
        await ledger.submit(PutRows(inserts=((APPROVAL, row),)))
        await ledger.store.migrate({"ledger": ROOMS["ledger"], "rules": ROOMS["rules"]})
        assert [row] == await ledger.fetch(f"SELECT {', '.join(APPROVAL.names)} FROM approval")
        await ledger.submit(PutRows(inserts=((APPROVAL, ("apr_2", "pack", *row[2:])),)))
        with pytest.raises(Exception, match=r"(?i)check"):
            await ledger.submit(PutRows(inserts=((APPROVAL, ("apr_3", "other", *row[2:])),)))
    finally:
        await ledger.close()


BROKEN: dict[str, Callable[[], dict[str, bytes]]] = {
    "schema": lambda: pack_files(g3=("caps = [", "kaps = [")),
    "types": lambda: pack_files(g3=("amount = 200", "amount = 2.5")),
    "ranges": lambda: pack_files(g3=("min = 1,", "min = 2000,")),
    "windows": lambda: pack_files(
        g3=("max = 240 }]", 'max = 240 }, { id = "again", on = "minutes", window = "day", max = 300 }]')
    ),
    "guardrails": lambda: pack_files(g3=("志愿服务时长", "劝返上访人员")),
    "overlap": lambda: {**pack_files(), "g4.toml": HOURS.replace("RE-01", "RE-02").encode()},
    "examples": lambda: pack_files(
        g3=("minutes = 119 }, standing = 50, points = 200", "minutes = 119 }, points = 396")
    ),
    "mutation": lambda: pack_files(g3=("minutes = 300 }", "minutes = 260 }")),
    "quotes": lambda: pack_files(g3=('source = "record" }', 'source = "record", quote = "每小时两分" }')),
}


@pytest.mark.parametrize("stage", [name for name in BROKEN if name != "mutation"])
async def test_a_broken_pack_is_stopped_at_its_stage(stage: str) -> None:
    """With a sentence in both languages, and nothing after that stage was passed."""
    report = await gate(BROKEN[stage](), None)
    assert (stage, False) == (report.failed, report.ok), report.data()
    found = [finding for name, finding in report.findings() if name == stage]
    assert found and all(finding.zh and finding.en for finding in found)


async def test_what_no_example_holds_is_found(house: House) -> None:
    """Without the example of a whole day the cap could be anything: the mutation stage, and nothing is stored."""
    loose = pack_files(
        g3=("minutes = 60 }, used = { day = 240 }, state", "minutes = 1440 }, used = { day = 240 }, state")
    )
    loose["g3.toml"] = b"\n".join(line for line in loose["g3.toml"].split(b"\n") if "四小时".encode() not in line)
    with pytest.raises(PackRefused) as no:
        await house.propose(loose)
    assert ("pack_refused", "mutation") == (no.value.code, no.value.report.failed)
    assert any("max" in finding.path for _, finding in no.value.report.findings())
    assert [] == await house.world.ledger.fetch("SELECT id FROM pack_proposal")


async def test_the_gate_takes_a_good_pack_to_the_second_person() -> None:
    """Every stage but the last is passed; the back-test is asked, and its summary is kept."""

    async def backtest(pack: Any) -> dict[str, Any]:
        return {"awards": 3, "pack": pack.version}

    report = await gate(pack_files(), backtest)
    assert report.ok and report.failed is None
    states = [(stage.name, stage.state) for stage in report.stages if stage.state != "passed"]
    assert [("people", "waiting")] == states
    assert {"awards": 3, "pack": NEW} == next(one["report"] for one in report.data() if one["stage"] == "backtest")


async def test_another_process_notices(house: House, tmp_path: Path) -> None:
    """By asking again; and a pack that is not what was published is not taken for it."""
    other = house.another()
    await other.open()
    try:
        await house.adopt(await house.propose())
        assert 1 == len(other.packs.packs)
        await other.packs.refresh()
        assert [NEW] == [pack.version for pack in other.packs.packs[1:]]
    finally:
        await other.close()
    if not house.settings.database_url.startswith("sqlite"):
        return
    with sqlite3.connect(house.settings.database_url.removeprefix("sqlite:///")) as connection:
        cheaper = "replace(CAST(files AS TEXT), 'amount = 200', 'amount = 100')"
        connection.execute(f"UPDATE pack SET files = CAST({cheaper} AS BLOB)")
    late = house.another()
    with pytest.raises(NotReady, match="was published"):
        await late.open()


async def test_new_software_changes_nobodys_rules(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The founding pack is kept as it was when the first journal was opened; another that ships is only a proposal."""
    founded = house.world.pack.hash
    shipped = read_pack(pack_files("1.1.0", date(2022, 1, 1)))
    monkeypatch.setattr("rules.shelf.builtin_pack", lambda name: shipped)
    later = house.another()
    await later.open()
    try:
        assert [founded] == [pack.hash for pack in later.packs.packs] and founded == later.packs.first.hash
        assert {"g3-residents.toml", "proposal.txt"} <= (await later.packs.files(later.packs.first)).keys()
        with pytest.raises(Refusal) as refused:
            await later.publishing.propose(LEADER, pack_files("1.1.0", date(2022, 1, 1)))
        assert "pack_version_not_higher" == refused.value.code
    finally:
        await later.close()


def test_what_changes_is_said_in_words() -> None:
    """Old and new value in both languages; what is gone and what is new; a new date for the whole pack is no change."""
    first, second = read_pack(pack_files()), read_pack(pack_files("1.3.0", date(2022, 6, 1)))
    assert [] == list(changes(first, second))
    told = {change.code: change for change in changes(builtin_pack("huantai"), first)}
    assert ("changed", "removed") == (told["RE-01"].kind, told["RE-02"].kind)
    said = told["RE-01"].details
    assert {
        "zh": "兑换积分：服务时长每 1 小时计 1 分 → 时长每 1 小时计 2 分，不满的不计",
        "en": "points: Time served: 1 for every 1 hour → Time: 2 for every 1 hour, parts do not count",
    } in said
    assert "填报项：服务时长（1–1440 分钟） → 时长（1–1440 分钟）" in [one["zh"] for one in said]


ROLES = {"leader": LEADER, "council": COUNCIL, "approver": APPROVER}


async def test_the_notice_over_http(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody reads what is in force, what is coming and in how many days; the queue says what waits."""

    async def caller(token: str) -> Caller | None:
        actor = ROLES[token.removeprefix("token-")]
        now = house.world.ledger.clock()
        return Caller("staff", actor.id, actor, ROLE_SCOPES[actor.roles[0][0]], proved_at=now)

    monkeypatch.setattr(house.world.gate, "caller", caller)
    server: Any = app.create_app(house.settings, house.world)
    approval = await house.propose()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=server), base_url="http://test") as client:

        async def call(who: str, method: str, path: str, **headers: str) -> httpx.Response:
            said = {"Authorization": f"Bearer token-{who}", "Idempotency-Key": f"k-{who}", **headers}
            return await client.request(method, f"/v1{path}", headers={k.replace("_", "-"): v for k, v in said.items()})

        before = (await client.get("/v1/packs")).json()
        assert ([], 1) == (before["coming"], len(before["items"]))
        red = next(one for one in before["items"][0]["lists"] if one["code"] == "red")
        assert ("honour", "bodies", "month") == (red["kind"], red["about"], red["period"])
        assert "期末信用分满 1030 分" in red["says"]["zh"] and "Every month" in red["says"]["en"]
        (waiting,) = (await call("council", "GET", "/approvals")).json()["items"]
        assert ("pack", approval, 1) == (waiting["kind"], waiting["id"], waiting["rows"])
        assert NEW in waiting["why"][0]["detail"]
        seen = (await call("council", "GET", f"/approvals/{approval}")).json()["proposal"]
        assert NEW == seen["version"] and {"changed", "removed"} <= {change["kind"] for change in seen["changes"]}
        judged = next(stage["report"] for stage in seen["stages"] if stage["stage"] == "backtest")
        assert ("2021-04-03", "2022-04-02", NEW) == (judged["from"], judged["to"], judged["pack"]["version"])
        yes = f"/approvals/{approval}/approve"
        assert 403 == (await call("leader", "POST", yes, If_Match=waiting["etag"])).status_code
        done = await call("council", "POST", yes, If_Match=waiting["etag"])
        assert (200, "approved", "pack") == (done.status_code, done.json()["state"], done.json()["kind"])
        again = await call("council", "POST", yes, If_Match=waiting["etag"])
        assert ("true", done.json()) == (again.headers["Idempotency-Replayed"], again.json())
        after = (await client.get("/v1/packs")).json()
        new = after["items"][1]
        assert (before["in_force"], [new["hash"]]) == (after["in_force"], after["coming"])
        assert ("coming", 10, "2022-04-12") == (new["state"], new["days_left"], new["effective_from"])
        assert "县社区信用议事会" == new["adoption"]["body"] and new["published_at"]
        assert {"changed", "removed"} <= {change["kind"] for change in new["changes"]}
        listed = (await call("leader", "GET", "/indicators")).json()["items"]
        assert 60 < len(listed)  # the pack in force, not the one that is coming
        one = await client.get(f"/v1/packs/{new['hash']}")
        assert HOURS == one.json()["files"]["g3.toml"]
        assert 404 == (await client.get("/v1/packs/nothing")).status_code
        page = await client.get("/packs")
        assert 200 == page.status_code and "还有 10 天" in page.text
        assert "红旗网格：人均满 1004 分" in page.text  # the lists in force
        assert "<b>" not in page.text and "&lt;b&gt;" in page.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a process for each command: once is enough
def test_the_command_line(office: Office, tmp_path: Path) -> None:  # noqa: F811
    """A folder is tested, proposed, adopted by a second login, listed and shown; findings name file, line and stage."""
    day = date.today() + timedelta(days=30)
    folder = tmp_path / "rules"
    folder.mkdir()
    for name, data in pack_files(day=day).items():
        (folder / name).write_bytes(data.replace(b"2022-06-0", f"{day.year + 1}-06-0".encode()))
    office.do("staff", "add", "council", "--role", "council", "--place", COUNTY)
    assert office.do("packs", "test", folder)["held"] == 8
    assert "[forbidden]" in office.do("packs", "publish", folder, "--as", "wang", status=2)["err"]
    made = office.do("packs", "publish", folder, "--as", "admin")
    assert [("people", "waiting")] == [(s["stage"], s["state"]) for s in made["stages"] if s["state"] != "passed"]
    (waiting,) = office.do("approvals")["items"]
    assert (made["approval"], "pack") == (waiting["id"], waiting["kind"])
    assert made["hash"] == office.do("packs", "show", made["approval"])["hash"]
    assert "[forbidden]" in office.do("approve", made["approval"], "--as", "admin", status=2)["err"]
    assert "approved" == office.do("approve", made["approval"], "--as", "council")["state"]
    states = [(one["version"], one["state"]) for one in office.do("packs", "list")["items"]]
    assert [("1.1.0", "in_force"), (NEW, "coming")] == states
    assert "期末信用分满 1030 分" in office.do("packs", "show", "1.1.0")["lists"][4]["says"]["zh"]
    office.do("packs", "show", NEW, "--out", tmp_path / "copy")
    assert load_files(folder) == load_files(tmp_path / "copy")
    assert office.do("verify")["ok"]
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    text = (broken / "g3.toml").read_text(encoding="utf-8")
    (broken / "g3.toml").write_text(text.replace("amount = 200", "amount = 2.5"), encoding="utf-8")
    for words in (("check", broken), ("publish", broken, "--as", "admin")):
        (problem,) = office.do("packs", *words, status=1)["problems"]
        line = 1 + text[: text.index("amount = 200")].count("\n")
        assert ("types", "g3.toml", line) == (problem["stage"], problem["file"], problem["line"])
    assert f"g3.toml:{line}:" in office.run("packs", "check", broken)[1]
