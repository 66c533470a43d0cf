# SPDX-License-Identifier: Apache-2.0
"""Editions over HTTP and the command line: who sees and does what, from the draft to the page that everybody reads;
told, answered, disputed, corrected, exported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.auth import KIND_SCOPES, ROLE_SCOPES, Caller
from api.commands import UsageError, edition_checks
from api.commands import editions as command
from api.commands.export import export
from api.jobs import JOBS
from api.settings import TOKEN
from ledger import verifier
from rules.desk import AwardRequest, Evidence
from rules.lists import making
from rules.ports import Actor
from tests.application import application
from tests.conftest import Built
from tests.list_town import COUNTY, EAST, FAR, OTHER, STREET, WEST, Town, opened
from tests.test_ledger_audit import tamper

BEGIN, NOW = date(2026, 1, 5), date(2026, 4, 2)
MONTH, QUARTER = "2026-03", "2026Q1"


async def build(url: str, home: Path) -> dict[str, Any]:
    """A quarter of the town: hours of residents every month, and a complaint upheld against two shops in March."""
    async with opened(url, home) as town:
        town.set(BEGIN, "08:00")
        await town.furnish(BEGIN)
        for month in (1, 2, 3):
            day = date(2026, month, 20)
            town.set(day)
            for person in range(5):
                await town.help(person, day)
            idea = AwardRequest(town.people[0], "RE-02", day, evidence=(Evidence("case_record", "E2"),))
            await town.world.desk.award(town.actors["clerk"], idea)
        day = date(2026, 3, 25)
        town.set(day)
        deeds = [await town.deduct(number, day, f"case-{number}") for number in (0, 1)]
        town.set(NOW, "08:00")
        for purpose in ("publication", "ranking"):
            await town.world.assessments.record(
                town.actors["admin"], purpose=purpose, place=COUNTY, title="影响评估", summary="只有同意公示的人",
                conclusion="acceptable", made_by="县社会信用中心", valid_until=date(2028, 1, 1),
            )  # fmt: skip
        return {**town.known(), "deeds": [f"{journal}/{seq}" for journal, seq in deeds]}


pytestmark = pytest.mark.schema(town=build)
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # asks the database nothing of its own


class Door:
    """Requests as somebody: staff by their name in the town, `body 0`, `person 1`, or None for nobody."""

    def __init__(self, town: Town, client: httpx.AsyncClient, deeds: list[str]) -> None:
        self.town, self.world, self.client, self.deeds, self._keys = town, town.world, client, deeds, 0

    async def call(self, who: str | None, method: str, path: str, body: Any = None) -> httpx.Response:
        self._keys += 1
        headers = {"Idempotency-Key": f"k{self._keys}", "Accept-Language": "zh"}
        headers |= {} if who is None else {"Authorization": f"Bearer token-{who.replace(' ', '-')}"}
        return await self.client.request(method, f"/v1{path}", json=body, headers=headers)

    async def done(self, who: str | None, method: str, path: str, body: Any = None) -> Any:
        answer = await self.call(who, method, path, body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def refused(self, who: str | None, method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = await self.call(who, method, path, body)
        return answer.status_code, answer.json()["code"]

    def later(self, days: int) -> None:
        self.town.set(self.town.today + timedelta(days=days))

    async def edition(self, list_: str, period: str, place: str = STREET, who: str = "street") -> str:
        """A frozen edition."""
        made = await self.done(who, "POST", "/editions", {"list": list_, "period": period, "place": place})
        assert "draft" == made["state"]
        assert "frozen" == (await self.done(who, "POST", f"/editions/{made['id']}/freeze"))["state"]
        return made["id"]

    async def grey(self) -> str:
        """The street's grey list of March, told of and past its days, of two shops; the first was told by itself."""
        id_ = await self.edition("grey", MONTH)
        assert "notified" == (await self.done("street", "POST", f"/editions/{id_}/notify"))["state"]
        (mine,) = (await self.done("body 0", "GET", "/me/editions"))["items"]
        assert ("notified", "read", self.deeds[0]) == (mine["state"], mine["channel"], mine["line"])
        told = {"line": self.deeds[1], "channel": "hand"}
        assert "hand" == (await self.done("street", "POST", f"/editions/{id_}/lines/deliver", told))["channel"]
        return id_

    async def posted(self) -> str:
        """The same, published with both."""
        id_ = await self.grey()
        self.later(20)
        for line in self.deeds:
            await self.done("first", "POST", f"/editions/{id_}/lines/decide", confirmed(line))
        for who in ("first", "second"):
            await self.done(who, "POST", f"/editions/{id_}/publish", {"reason": "核对无误"})
        return id_


def confirmed(line: str, outcome: str = "confirmed") -> dict[str, str]:
    return {"line": line, "outcome": outcome, "reason": "投诉属实，逾期未整改"}


@pytest.fixture
async def door(town_copy: Built, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    async with opened(town_copy.url, town_copy.home, town_copy.known) as town:

        async def caller(token: str) -> Caller | None:
            name, _, number = token.removeprefix("token-").partition("-")
            if name in ("body", "person"):
                kind: Any = "body" if name == "body" else "resident"
                subject = (town.bodies if name == "body" else town.people)[int(number)]
                return Caller(kind, subject, Actor(subject, subject), KIND_SCOPES[kind], subject)
            actor = town.actors[name]
            scopes = frozenset[str]().union(*(ROLE_SCOPES[role] for role, _ in actor.roles))
            return Caller("staff", actor.id, actor, scopes, actor.subject, proved_at=town.world.clock())

        monkeypatch.setattr(town.world.gate, "caller", caller)
        transport = httpx.ASGITransport(app=application(town.world))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Door(town, client, town_copy.known["deeds"])


def ids(town: Town) -> list[str]:
    return [*town.people, *town.bodies]


# the notice --------------------------------------------------------------------------------------------------------


async def test_a_notice_is_drawn_up_agreed_to_and_read_by_everybody(door: Door) -> None:
    """Staff draw it up, somebody else agrees, and it is there as page, table and JSON: no id and no name in full."""
    new = {"period": MONTH, "community": EAST}
    made = await door.done("street", "POST", "/notices", new)
    assert ("frozen", "notice", 1) == (made["state"], made["kind"], made["approvers"])
    path = f"/notices/{MONTH}?community={EAST}"
    assert (404, "not_found") == await door.refused(None, "GET", path)
    preview = await door.call("first", "GET", f"/editions/{made['id']}.html")
    assert 200 == preview.status_code and "东岳社区" in preview.text
    assert (409, "edition_exists") == await door.refused("clerk", "POST", "/notices", new)
    assert (403, "forbidden") == await door.refused("clerk", "POST", f"/notices/{made['id']}/approve")
    assert (403, "same_person") == await door.refused("street", "POST", f"/notices/{made['id']}/approve")
    assert (404, "not_found") == await door.refused("elsewhere", "POST", f"/notices/{made['id']}/approve")
    assert "published" == (await door.done("first", "POST", f"/notices/{made['id']}/approve", {}))["state"]
    assert "published" == (await door.done("second", "POST", f"/notices/{made['id']}/publish"))["state"]

    shown = await door.call(None, "GET", path)
    data = shown.json()
    assert data["bodies"] == [] and "东岳便民超市" not in shown.text  # it only lost: that is the grey list's to say
    assert {"王*红", "赵*"} == {one["name"] for one in data["persons"]}
    assert not [one for one in ids(door.town) if one in shown.text] and "王小红" not in shown.text
    for form in ("a4", "a3", "screen"):
        page = await door.call(None, "GET", f"/notices/{MONTH}.html?community={EAST}&form={form}")
        assert (200, True) == (page.status_code, "东岳社区" in page.text), page.text[:300]
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "王小红" not in page.text and not [one for one in ids(door.town) if one in page.text]
    table = await door.call(None, "GET", f"/notices/{MONTH}.csv?community={EAST}")
    assert f"notice-{EAST}-{MONTH}.csv" in table.headers["content-disposition"] and "王*红" in table.text
    note = await door.call(None, "GET", f"/editions/{made['id']}.note")
    assert note.text.startswith("jifen-edition/v1\n") and not [one for one in ids(door.town) if one in note.text]
    assert [made["id"]] == [one["id"] for one in (await door.done(None, "GET", f"/notices?community={EAST}"))["items"]]
    assert (404, "not_found") == await door.refused(None, "GET", f"/notices/{MONTH}.pdf?community={EAST}")


@once
async def test_a_month_that_is_not_over_is_not_noticed(door: Door) -> None:
    """Nothing is kept of it, unless it was drafted: then it can be looked at, and the same call goes on with the draft
    when the month is over."""
    new = {"period": "2026-04", "community": EAST}
    assert (409, "period_not_over") == await door.refused("clerk", "POST", "/notices", new)
    assert [] == await door.world.ledger.fetch("SELECT id FROM edition")
    drafted = {"list": "notice", "period": "2026-04", "place": EAST}
    id_ = (await door.done("clerk", "POST", "/editions", drafted))["id"]
    assert (409, "period_not_over") == await door.refused("clerk", "POST", "/notices", new)
    page = await door.call("first", "GET", f"/editions/{id_}.html")
    assert 200 == page.status_code and "东岳社区" in page.text
    assert (404, "not_found") == await door.refused(None, "GET", f"/editions/{id_}.html")
    door.town.set(date(2026, 5, 1))
    assert "frozen" == (await door.done("clerk", "POST", "/notices", new))["state"]


@once
async def test_nothing_is_published_before_its_impact_was_assessed(door: Door) -> None:
    """A conclusion that it is not acceptable stops notices and lists, and one about rankings those."""
    notice = await door.done("clerk", "POST", "/notices", {"period": MONTH, "community": EAST})
    ranking = await door.edition("grids", QUARTER, EAST, "clerk")
    for purpose in ("publication", "ranking"):
        await door.world.assessments.record(
            door.town.actors["admin"], purpose=purpose, place=EAST, title="影响评估", summary="暂停",
            conclusion="not_acceptable", made_by="县社会信用中心", valid_until=date(2028, 1, 1),
        )  # fmt: skip
    assert (409, "assessment_missing") == await door.refused("first", "POST", f"/notices/{notice['id']}/approve")
    assert (409, "assessment_missing") == await door.refused("first", "POST", f"/editions/{ranking}/publish")


@once
async def test_a_retry_key_stands_for_one_approval(door: Door) -> None:
    """The same request again is answered as before, with the header that says so."""
    made = await door.done("clerk", "POST", "/notices", {"period": MONTH, "community": EAST})
    path, headers = f"/v1/notices/{made['id']}/approve", {"Authorization": "Bearer token-first", "Idempotency-Key": "k"}
    one, two = [await door.client.post(path, json={}, headers=headers) for _ in range(2)]
    assert (200, 200, one.content) == (one.status_code, two.status_code, two.content)
    assert "true" == two.headers["idempotency-replayed"] and "idempotency-replayed" not in one.headers


# rankings ----------------------------------------------------------------------------------------------------------


async def test_rankings_of_a_community_and_of_those_below_a_street(door: Door) -> None:
    """Published for each community; a street has their totals beside each other; flags have a history."""
    for place, who in ((EAST, "clerk"), (WEST, "street")):
        id_ = await door.edition("grids", QUARTER, place, who)
        assert "published" == (await door.done("first", "POST", f"/editions/{id_}/publish"))["state"]
    path = f"/rankings/{QUARTER}"
    own = await door.done(None, "GET", f"{path}?community={EAST}")
    assert {"第1网格", "第2网格"} == {one["name"] for one in own["rows"]}
    page = await door.call(None, "GET", f"{path}.html?community={EAST}")
    assert 200 == page.status_code and "第1网格" in page.text
    assert "第1网格" in (await door.call(None, "GET", f"{path}.csv?community={EAST}")).text
    together = await door.done(None, "GET", f"{path}?community={STREET}")
    assert [EAST, WEST] == [one["place"] for one in together["communities"]]
    assert [] == together["waiting"]
    assert together["totals"]["ranked"] == sum(one["totals"]["ranked"] for one in together["communities"])
    page = await door.call(None, "GET", f"{path}.html?community={COUNTY}&lang=zh")
    assert 200 == page.status_code
    assert "社区之间不排名" in page.text
    assert f"community={EAST}" in page.text
    assert "合计" in (await door.call(None, "GET", f"{path}.csv?community={STREET}")).text
    nothing = await door.done(None, "GET", f"{path}?community={OTHER}")
    assert ([], [FAR]) == (nothing["communities"], [one["place"] for one in nothing["waiting"]])
    assert "还没有社区公示网格排名" in (await door.call(None, "GET", f"{path}.html?community={OTHER}&lang=zh")).text
    screen = await door.call(None, "GET", f"{path}.html?community={EAST}&form=screen")
    assert '<body class="a3">' in screen.text
    assert f"/rankings/{QUARTER}.html?community={STREET}" in (await door.client.get(f"/lists?community={STREET}")).text
    assert [] == (await door.done(None, "GET", f"/rankings?community={EAST}"))["items"]
    for missing in (
        f"{path}?community={FAR}",
        f"/rankings/2020Q1?community={EAST}",
        f"{path}.pdf?community={STREET}",
        f"/rankings/{MONTH}?community={STREET}",
        f"/rankings/x?community={STREET}",
    ):
        assert (404, "not_found") == await door.refused(None, "GET", missing)


# the grey list -----------------------------------------------------------------------------------------------------


async def test_a_grey_line_from_notice_to_its_early_end(door: Door) -> None:
    """Told, answered, confirmed after its days, agreed to by two; the answer stands beside it; repaired, it is gone."""
    id_ = await door.grey()
    path, line = f"/editions/{id_}", door.deeds[0]
    assert (404, "not_found") == await door.refused(None, "GET", path)
    assert (409, "notice_running") == await door.refused("first", "POST", f"{path}/lines/decide", confirmed(line))
    said = {"edition": id_, "line": line, "text": "货架已经整改", "repaired": True}
    assert (404, "not_found") == await door.refused("body 1", "POST", "/me/editions/answer", said)
    number = {**said, "text": "联系 138 0000 0001"}
    assert (422, "personal_data_in_text") == await door.refused("body 0", "POST", "/me/editions/answer", number)
    answered = await door.done("body 0", "POST", "/me/editions/answer", said)
    assert ("货架已经整改", NOW.isoformat()) == (answered["reply"], answered["repaired_on"])
    door.later(20)
    for each in door.deeds:
        await door.done("first", "POST", f"{path}/lines/decide", confirmed(each))
    assert (403, "same_person") == await door.refused("street", "POST", f"{path}/publish")
    assert "decided" == (await door.done("first", "POST", f"{path}/publish"))["state"]
    assert (409, "already_approved") == await door.refused("first", "POST", f"{path}/publish")
    assert (404, "not_found") == await door.refused(None, "GET", path)
    published = await door.done("second", "POST", f"{path}/publish")
    assert ("published", 2) == (published["state"], len(published["approvals"]))

    public = await door.call(None, "GET", path)
    rows = {one["name"]: one for one in public.json()["rows"]}
    assert "货架已经整改" == rows["东岳便民超市"]["reply"] and {"东岳便民超市", "西苑面馆"} == rows.keys()
    assert not [one for one in ids(door.town) if one in public.text]
    assert not {"drafted_by", "approvals"} & public.json().keys()
    page = await door.call(None, "GET", f"{path}.html")
    assert "货架已经整改" in page.text and "noindex" in page.headers["x-robots-tag"]
    staff = await door.done("auditor", "GET", path)
    assert set(door.town.bodies[:2]) == {one["subject"] for one in staff["rows"]}
    (read,) = await door.world.ledger.fetch(
        "SELECT COUNT(*) FROM access_log WHERE reader = ? AND what = ?",
        door.town.actors["auditor"].id,
        f"edition {id_}",
    )
    assert 2 == read[0]

    assert (403, "forbidden") == await door.refused(
        "body 0", "POST", f"{path}/lines/repair", {"line": line, "reason": "x"}
    )
    mended = await door.done("first", "POST", f"{path}/lines/repair", {"line": line, "reason": "现场核实已整改"})
    assert ("ended", "repaired") == (mended["state"], mended["ended_why"])
    gone = await door.call(None, "GET", path)
    assert "东岳便民超市" not in gone.text and {"西苑面馆"} == {
        one["name"] for one in gone.json()["rows"] if "name" in one
    }
    assert [{"removed": True, "on": door.town.today.isoformat()}] == [
        {name: one[name] for name in ("removed", "on")} for one in gone.json()["rows"] if "name" not in one
    ]
    for form in ("html", "csv"):
        assert "东岳便民超市" not in (await door.call(None, "GET", f"{path}.{form}")).text


async def test_an_objection_holds_back_its_own_line_alone(door: Door) -> None:
    """Made by the body against the line; not confirmed and not shown meanwhile; nobody with a hand in it decides."""
    id_ = await door.grey()
    one, other = door.deeds
    filed = {"edition_entry": f"{id_}:{one}", "reason": "当天已经整改，有照片"}
    assert (404, "not_found") == await door.refused("body 1", "POST", "/objections", filed)
    made = await door.done("body 0", "POST", "/objections", filed)
    assert ("open", "edition_entry", f"{id_}:{one}") == (made["state"], made["kind"], made["edition_entry"])
    assert (409, "objection_open") == await door.refused("body 0", "POST", "/objections", filed)
    (mine,) = (await door.done("body 0", "GET", "/me/editions"))["items"]
    assert made["id"] == mine["objection"]["id"]
    door.later(20)
    path = f"/editions/{id_}"
    assert (409, "line_disputed") == await door.refused("first", "POST", f"{path}/lines/decide", confirmed(one))
    await door.done("first", "POST", f"{path}/lines/decide", confirmed(other))
    for who in ("first", "second"):
        await door.done(who, "POST", f"{path}/publish")
    assert ["西苑面馆"] == [row["name"] for row in (await door.done(None, "GET", path))["rows"]]
    decision = f"/objections/{made['id']}/decision"
    said = {"outcome": "upheld", "reason": "照片属实"}
    assert (403, "same_person") == await door.refused("first", "POST", decision, said)  # agreed to the list
    assert (403, "same_person") == await door.refused("again", "POST", decision, said)  # agreed to the deduction
    decided = await door.done("council", "POST", decision, said)
    assert ("upheld", "reversal") == (decided["state"], *decided["correction"])  # the deduction itself is gone
    assert "东岳便民超市" not in (await door.call(None, "GET", path)).text
    (mine,) = (await door.done("body 0", "GET", "/me/editions"))["items"]
    assert mine["objection"] is None and "posted" != mine["state"]


async def test_a_shop_is_told_on_paper_by_its_own_community(door: Door) -> None:
    """Prior notice is among what staff have to tell; saying that it was delivered starts the days."""
    id_ = await door.edition("grey", MONTH)
    await door.done("street", "POST", f"/editions/{id_}/notify")
    listed = await door.done("clerk", "GET", f"/notices-out?channel=print&place={EAST}")
    (item,) = [one for one in listed["items"] if one["prior"]]
    assert (door.town.bodies[0], [{"edition": id_, "line": door.deeds[0]}]) == (item["subject"], item["prior"])
    assert "灰榜" in item["text"] and "5 个工作日" in item["text"]
    slips = await door.call("clerk", "GET", f"/notices-out?channel=print&place={EAST}&form=slips")
    assert "拟列入" in slips.text
    back = {"channel": "print", "delivered": [{"subject": item["subject"], **item["mark"], "prior": item["prior"]}]}
    wrong = {
        "channel": "print",
        "delivered": [{**back["delivered"][0], "prior": [{"edition": id_, "line": door.deeds[1]}]}],
    }
    assert (404, "not_found") == await door.refused("clerk", "POST", "/notices-out/deliveries", wrong)
    assert 1 == (await door.done("clerk", "POST", "/notices-out/deliveries", back))["delivered"]
    again = await door.done("clerk", "GET", f"/notices-out?channel=print&place={EAST}")
    assert [] == [one for one in again["items"] if one["prior"]]
    line = next(one for one in await door.world.editions.lines(id_) if one.line == door.deeds[0])
    assert ("print", NOW.isoformat()) == (line.channel, line.delivered_on)


@once
async def test_a_line_ends_by_itself(door: Door) -> None:
    """On the day after its last it is on no page; the job then writes it down."""
    id_ = await door.posted()
    door.town.set(date(2027, 3, 1))
    assert [] == [one for one in (await door.done(None, "GET", f"/editions/{id_}"))["rows"] if "name" in one]
    assert 2 == await JOBS["editions"](door.world)
    assert {"expired"} == {one.ended_why for one in await door.world.editions.lines(id_)}
    assert 0 == await JOBS["editions"](door.world)


# who may -----------------------------------------------------------------------------------------------------------


async def test_what_is_not_published_is_there_for_staff_of_the_place_alone(door: Door) -> None:
    """Others cannot tell it from one that never was, whatever they call."""
    id_ = await door.edition("grey", MONTH)
    calls = [("GET", "", None), ("GET", "/comments", None), ("POST", "/freeze", None), ("POST", "/notify", None)]
    calls += [
        ("POST", "/publish", {}),
        ("POST", "/corrections", {"reason": "x"}),
        ("POST", "/discard", {"reason": "x"}),
    ]
    calls += [("POST", "/lines/decide", confirmed(door.deeds[0])), ("POST", "/comments/cmt_1/show", None)]
    calls += [("POST", f"/lines/{what}", {"line": door.deeds[0], "reason": "x"}) for what in ("repair", "remove")]
    for who in (None, "outsider", "elsewhere", "body 0", "person 0"):
        for method, what, body in calls:
            there, nowhere = [
                await door.call(who, method, f"/editions/{one}{what}", body) for one in (id_, "edn_0000000000000000")
            ]
            assert there.status_code in (401, 403, 404), (who, what, there.text)
            assert there.status_code == nowhere.status_code
            assert there.text.replace(id_, "") == nowhere.text.replace("edn_0000000000000000", ""), (who, what)
    for who, states in (("street", ["frozen"]), ("auditor", ["frozen"]), ("outsider", [])):
        found = await door.done(who, "GET", "/editions?state=frozen")
        assert states == [one["state"] for one in found["items"]], who
    assert [] == (await door.done(None, "GET", "/editions"))["items"]
    assert (401, "unauthenticated") == await door.refused(None, "GET", "/editions?state=frozen")
    assert (403, "forbidden") == await door.refused("person 0", "GET", "/editions?state=frozen")
    assert (403, "forbidden") == await door.refused("auditor", "POST", f"/editions/{id_}/publish")
    new = {"list": "grey", "period": "2026-02", "place": OTHER}
    assert (403, "forbidden") == await door.refused("street", "POST", "/editions", new)
    assert (404, "not_found") == await door.refused(
        "street", "POST", "/editions", {**new, "list": "black", "place": STREET}
    )


@once
async def test_nobody_learns_before_it_is_published_whether_they_were_chosen(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from their lines and not from what an answer is answered with; and the reason has not their name."""
    person = door.town.people[0]
    row = {"line": person, "subject": person, "grid": f"{EAST}-01", "standing": 106_000, "gained": 900, "awards": 3}
    monkeypatch.setattr(making, "compute", lambda *_: {"rows": [row], "totals": {"considered": 1}})
    id_ = await door.edition("workers", QUARTER)
    await door.done("street", "POST", f"/editions/{id_}/notify")
    decide, named = f"/editions/{id_}/lines/decide", {**confirmed(person, "passed"), "reason": "王小 红已搬走"}
    assert (422, "name_in_text") == await door.refused("first", "POST", decide, named)
    await door.done("first", "POST", decide, confirmed(person, "passed"))
    said = {"edition": id_, "line": person, "text": "谢谢"}
    mine = [
        (await door.done("person 0", "GET", "/me/editions"))["items"][0],
        await door.done("person 0", "POST", "/me/editions/answer", said),
    ]
    assert [("notified", None, None)] * 2 == [(one["state"], one["decided_on"], one["reason"]) for one in mine]


@once
async def test_comments_are_shown_when_staff_have_read_them(door: Door) -> None:
    """By residents and bodies, of what is published, without a name; hidden ones are nobody's to read."""
    id_ = await door.posted()
    path = f"/editions/{id_}/comments"
    assert (401, "unauthenticated") == await door.refused(None, "POST", path, {"text": "应当公布整改结果"})
    assert (403, "forbidden") == await door.refused("first", "POST", path, {"text": "应当公布整改结果"})
    assert (422, "personal_data_in_text") == await door.refused("person 1", "POST", path, {"text": "打13800000001"})
    said = [await door.done("person 1", "POST", path, {"text": text}) for text in ("应当公布整改结果", "老板是坏人")]
    assert [] == (await door.done(None, "GET", path))["items"]
    assert ["waiting", "waiting"] == [one["state"] for one in (await door.done("first", "GET", path))["items"]]
    assert (404, "not_found") == await door.refused("elsewhere", "POST", f"{path}/{said[0]['id']}/show")
    assert (404, "not_found") == await door.refused("first", "POST", f"{path}/cmt_nothing/show")
    assert "shown" == (await door.done("first", "POST", f"{path}/{said[0]['id']}/show"))["state"]
    assert "hidden" == (await door.done("first", "POST", f"{path}/{said[1]['id']}/hide"))["state"]
    shown = await door.call(None, "GET", path)
    assert ["应当公布整改结果"] == [one["text"] for one in shown.json()["items"]]
    assert door.town.people[1] not in shown.text
    assert "应当公布整改结果" in (await door.call(None, "GET", f"/editions/{id_}.html")).text


@once
async def test_a_correction_is_a_new_version_beside_the_old(door: Door) -> None:
    """The old one stays and says so; both are found; what changed is told."""
    first = await door.done("clerk", "POST", "/notices", {"period": MONTH, "community": EAST})
    why = {"reason": "漏了一笔"}
    assert (409, "edition_state") == await door.refused("clerk", "POST", f"/editions/{first['id']}/corrections", why)
    await door.done("first", "POST", f"/notices/{first['id']}/approve")
    door.later(1)
    made = await door.done("clerk", "POST", f"/editions/{first['id']}/corrections", why)
    assert (2, first["id"], "draft") == (made["version"], made["corrects"], made["state"])
    await door.done("clerk", "POST", f"/editions/{made['id']}/freeze")
    await door.done("first", "POST", f"/editions/{made['id']}/publish")
    found = (await door.done(None, "GET", f"/editions?kind=notice&place={EAST}"))["items"]
    assert [(made["id"], "published"), (first["id"], "corrected")] == [(one["id"], one["state"]) for one in found]
    assert made["id"] == (await door.done(None, "GET", f"/notices/{MONTH}?community={EAST}"))["id"]
    assert "漏了一笔" == (await door.done(None, "GET", f"/editions/{made['id']}"))["reason"]
    old = await door.done(None, "GET", f"/editions/{first['id']}")
    assert ("corrected", made["id"]) == (old["state"], old["corrected_by"])


# outside -----------------------------------------------------------------------------------------------------------


@once
async def test_an_export_has_every_published_edition_and_is_enough_to_redo_them(door: Door, tmp_path: Path) -> None:
    """Its verifier and `jifen lists verify` hold; one byte of a file, or of the ledger, and they say which edition."""
    id_ = await door.posted()
    notice = await door.done("clerk", "POST", "/notices", {"period": MONTH, "community": EAST})
    await door.done("first", "POST", f"/notices/{notice['id']}/approve")
    waiting = await door.edition("red", MONTH)
    result = await export(door.world, tmp_path / "out", [])
    assert not result.status, result.lines
    folder = tmp_path / "out" / "editions"
    assert {id_, notice["id"]} == {one.name for one in folder.iterdir()}
    answer = await asyncio.to_thread(verifier.verify, str(tmp_path / "out"), jobs=1)
    assert answer["ok"], answer["lines"]
    held = await asyncio.to_thread(edition_checks.verify_folder, tmp_path / "out", [], "zh")
    assert (0, {"ok": True, "editions": 2, "faults": [], "elsewhere": []}) == (held.status, held.data)
    held = await edition_checks.verify(door.world, [], "zh", None)
    assert (0, 3) == (held.status, held.data["editions"]), held.lines
    path = folder / notice["id"] / "result.json"
    path.write_bytes(path.read_bytes().replace(b'"points":', b'"points" :', 1))
    broken = await asyncio.to_thread(edition_checks.verify_folder, tmp_path / "out", [], "en")
    assert 1 == broken.status and {notice["id"]} == {one["edition"] for one in broken.data["faults"]}
    assert not verifier.verify(str(tmp_path / "out"), jobs=1)["ok"]
    assert waiting in {one.id for one in await door.world.editions.find()}


@once
async def test_a_changed_award_is_found_by_the_lists_that_it_stands_in(door: Door) -> None:
    """Not by others; what was kept for speed does not hide it."""
    kept = [await door.edition("notice", MONTH, place) for place in (EAST, WEST)]
    journal, seq = (await door.world.ledger.fetch(
        "SELECT journal, seq FROM award WHERE indicator = 'RE-02' AND journal = ? ORDER BY seq DESC LIMIT 1", EAST
    ))[0]  # fmt: skip
    entry = await door.world.ledger.entry(journal, seq)
    body = entry.body.replace(b'"amount":-100,', b'"amount":-900,').replace(b'"amount":100,', b'"amount":900,')
    assert body != entry.body
    await tamper(door.world.settings.database_url, (
        "UPDATE entry SET body = ? WHERE journal = ? AND seq = ?", (body, journal, seq)
    ))  # fmt: skip
    found = await edition_checks.verify(door.world, [], "en", None)
    assert 1 == found.status and {kept[0]} == {one["edition"] for one in found.data["faults"]}, found.lines


# the command line --------------------------------------------------------------------------------------------------


@once
async def test_the_same_from_the_command_line(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drafted, frozen, agreed to and shown by whoever has the token; the notice as a preview first, then as it is."""
    out = tmp_path / "notice.html"
    before = await command.notice(door.world, MONTH, EAST, out, "a4", "zh")
    assert "preview" == before.data["state"] and "东岳社区" in out.read_text("utf-8")
    monkeypatch.setenv(TOKEN, "token-clerk")
    made = await command.draft(door.world, "notice", MONTH, EAST, "clerk", "zh")
    id_ = made.data["id"]
    assert "frozen" == (await command.step(door.world, "freeze", id_, "clerk", "zh")).data["state"]
    with pytest.raises(UsageError):
        await command.publish(door.world, id_, "first", "", "zh")
    monkeypatch.setenv(TOKEN, "token-first")
    done = await command.publish(door.world, id_, "first", "核对无误", "zh")
    assert "published" == done.data["state"] and done.data["digest"] in done.lines[-1]
    assert "第 1 版" in (await command.show(door.world, id_, None, None, "zh")).lines[0]
    found = await command.show(door.world, None, EAST, MONTH, "en")
    assert [id_] == [one["id"] for one in found.data["items"]] and "published" in found.lines[0]
    after = await command.notice(door.world, MONTH, EAST, out, "screen", "zh")
    assert ("published", id_) == (after.data["state"], after.data["edition"])
    assert "王*红" in out.read_text("utf-8")
