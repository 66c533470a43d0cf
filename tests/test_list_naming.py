# SPDX-License-Identifier: Apache-2.0
"""Names are put to ids last: who agreed is named masked, who did not or no longer does is not, and no id gets out."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from api.erasure import erase
from api.lists import index_page, list_page, naming, notice_page, ranking_page, tables
from ledger import codec
from ledger.errors import Refusal
from ledger.note import parse_checkpoint, parse_note
from rules.lists import making
from tests.conftest import Built
from tests.list_town import BODIES, EAST, PEOPLE, STREET, Town, opened
from tests.test_editions import SHOP, frozen, grey, months, notice

pytestmark = pytest.mark.schema(town=months)

WANG, LI, ZHAO = 0, 1, 2  # of the town's people: the first and the last agree to be named


@pytest.fixture
async def town(town_copy: Built) -> AsyncIterator[Town]:
    async with opened(town_copy.url, town_copy.home, town_copy.known) as made:
        yield made


def everything(data: dict[str, Any]) -> str:
    """All that can be seen of an edition in any form and language."""
    told = [json.dumps(data, ensure_ascii=False)]
    page, table = {
        "notice": (notice_page.notice_page, tables.notice_csv),
        "ranking": (ranking_page.ranking_page, tables.ranking_csv),
    }.get(data["kind"], (list_page.list_page, tables.list_csv))
    for lang in ("zh", "en"):
        told += [page(data, lang), table(data, lang).decode()]
    return "\n".join(told)


def nobody_told(text: str) -> None:
    """No id of a subject or of a member of staff, no full name of a person, no phone, no birthday."""
    assert not re.search(r"(sub|stf|cmt)_\w", text)
    for number, (name, *_) in enumerate(PEOPLE):
        assert name not in text
        assert f"1380000000{number}" not in text
        assert str(date(1960 + number, 1, 1)) not in text


async def test_a_notice_names_who_agreed(town: Town) -> None:
    """Both did the same; the one who wants to be seen is named, masked. A body that only lost is on no notice."""
    data = await naming.named(town.world, await notice(town))
    text = everything(data)
    nobody_told(text)
    assert ["王*红", "赵*"] == sorted((one["name"] for one in data["persons"]), reverse=False)
    assert "李*芳" not in text
    assert data["bodies"] == [] and BODIES[SHOP][0] not in text
    assert "published" == data["state"] and data["withheld"] == 0


async def test_consent_is_looked_at_today(town: Town) -> None:
    """Withdrawn or erased after publication, a name is gone from every form; that some are missing is told as a
    number, and the frozen files are what they were."""
    world, id = town.world, await notice(town)
    before = await world.editions.files(id)
    await world.people.consent(town.people[WANG], {"publication": 0}, actor="system")
    data = await naming.named(world, id)
    assert (["赵*"], 1) == ([one["name"] for one in data["persons"]], data["withheld"])
    await erase(world, town.people[ZHAO], actor="system", reason="request")
    data = await naming.named(world, id)
    assert ([], 2) == (data["persons"], data["withheld"])
    nobody_told(everything(data))
    assert before == await world.editions.files(id)
    await world.people.consent(town.people[WANG], {"publication": 1}, actor="system")
    assert ["王*红"] == [one["name"] for one in (await naming.named(world, id))["persons"]]


async def test_a_reminder_is_seen_as_long_as_it_is_posted(town: Town) -> None:
    """Not before it is published, without a name once it was put right, and not at all while it is disputed."""
    world, editions = town.world, town.world.editions
    id, line = await grey(town, decided=False)
    assert [] == (await naming.named(world, id))["rows"]
    staff = (await naming.named(world, id, staff=True))["rows"]
    assert [("notified", town.bodies[SHOP])] == [(row["state"], row["subject"]) for row in staff]
    await editions.answer(town.bodies[SHOP], id, line, "已经整改，欢迎监督")
    await editions.decide(town.actors["first"], id, line, "confirmed", "投诉已核实")
    await editions.publish(town.actors["first"], id)
    await editions.publish(town.actors["second"], id)
    data = await naming.named(world, id)
    text = everything(data)
    nobody_told(text)
    (row,) = data["rows"]
    assert (BODIES[SHOP][0], "已经整改，欢迎监督", "投诉已核实") == (row["name"], row["reply"], row["reason"])
    assert row["until"] and row["indicator_name"]["zh"] and line not in text

    await world.objections.file(town.body(SHOP), town.bodies[SHOP], "edition_entry", f"{id}:{line}", "事实不符")
    assert [] == (await naming.named(world, id))["rows"]


async def test_what_was_put_right_leaves_a_number(town: Town) -> None:
    """The day it was removed and nothing of the body, in the edition and in its correction."""
    world, editions = town.world, town.world.editions
    id, line = await grey(town)
    for who in ("first", "second"):
        await editions.publish(town.actors[who], id)
    await editions.repair(town.actors["first"], id, line, "已复查")
    data = await naming.named(world, id)
    assert [{"no": 1, "removed": True, "on": "2026-09-09"}] == data["rows"]
    assert BODIES[SHOP][0] not in everything(data)
    assert "2026-09-09 移出" in everything(data)


async def test_what_has_left_the_newest_version_is_in_no_older_one(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an honour that was corrected: a line that was removed, one that was objected to with success. Rows without a
    name stand last, so that their place tells nothing."""
    world, editions = town.world, town.world.editions
    rows = [
        {"line": one, "subject": one, "grid": EAST, "standing": 120_000 - at, "gained": 1, "awards": 1}
        for at, one in enumerate(town.bodies)
    ]
    monkeypatch.setattr(making, "compute", lambda *_: {"rows": rows, "totals": {"considered": 3}})
    id = await frozen(town, "red", "2026-08", STREET)
    first, street = town.actors["first"], town.actors["street"]
    with pytest.raises(Refusal):  # it is by figures: nobody is passed over
        await editions.decide(first, id, town.bodies[0], "passed", "不合适")
    town.set(date(2026, 9, 20))
    await editions.publish(first, id)
    again = await editions.correct(street, id, "复核后更正")
    await editions.freeze(street, again.id)
    await editions.publish(first, again.id)
    await editions.remove(first, again.id, town.bodies[0], "登记有误")
    names = [name for name, _ in BODIES]
    assert names[1:] == [row["name"] for row in (await naming.named(world, id))["rows"]]
    shown = (await naming.named(world, again.id))["rows"]
    assert [*names[1:], None] == [row.get("name") for row in shown]
    assert {"no": 3, "removed": True, "on": "2026-09-20"} == shown[-1]

    body, line = town.bodies[1], f"{again.id}:{town.bodies[1]}"
    said, _ = await world.objections.file(town.body(1), body, "edition_entry", line, "不是本店")
    await world.objections.decide(town.actors["council"], said.id, "upheld", "属实")
    for _ in range(2):  # at once, and once the job has written it down
        for one in (id, again.id):
            named = [row["name"] for row in (await naming.named(world, one))["rows"] if "name" in row]
            assert names[2:] == named
        await editions.sweep()
    assert "removed" in {one.ended_why for one in await editions.lines(again.id) if one.line == body}


async def test_the_closing_root_is_of_a_checkpoint(town: Town) -> None:
    """None until one covers what the edition was made from; then the newest: paper anchors all that came before."""
    world, id = town.world, await notice(town)
    assert (await naming.named(world, id))["closing"] is None
    await world.publisher.publish()
    data = await naming.named(world, id)
    closing = data["closing"]
    point = parse_checkpoint(parse_note(closing["note"].encode()).text)
    assert (point.origin, point.size, point.root.hex()) == (closing["origin"], closing["size"], closing["root"])
    header = codec.decode((await world.editions.files(id))["edition.json"])
    assert closing["size"] >= header["as_of"][EAST]["size"]
    assert closing["root"][:16] in notice_page.notice_page(data, "zh").replace(" ", "")
    assert "pin.txt" in notice_page.notice_page(data, "zh")


async def test_a_street_is_closed_by_the_epoch_log(town: Town) -> None:
    """Its list was made from the books of several communities, so a root over all of them stands on it."""
    world, id = town.world, await frozen(town, "red", "2026-08", STREET)
    await world.publisher.publish()
    assert (await naming.named(world, id))["closing"] is None
    await world.publisher.publish(epoch=True)
    closing = (await naming.named(world, id))["closing"]
    assert closing["origin"] == world.keys.origin


async def test_a_ranking_knows_where_the_flag_was(town: Town) -> None:
    """Grids by name, too few people to be ranked said so; a try is dressed like the real thing."""
    town.set(date(2026, 10, 8))
    id = await frozen(town, "grids", "2026Q3", EAST)
    await town.world.editions.publish(town.actors["first"], id)
    data = await naming.named(town.world, id)
    assert {"too_few", "empty"} >= {row["state"] for row in data["rows"]}
    assert [] == data["history"]
    nobody_told(everything(data))
    tried = await town.world.editions.preview("grids", "2026Q3", EAST)
    again = await naming.dressed(town.world, tried.header, codec.decode(tried.files["definition.json"]), tried.result)
    assert ("preview", data["rows"]) == (again["state"], again["rows"])
    nobody_told(everything(again))


async def test_the_index_has_what_is_published(town: Town) -> None:
    """Newest first, by place and list; a draft is in none of it, nor is a version that was replaced."""
    world, id = town.world, await notice(town)
    await frozen(town, "red", "2026-08", STREET)
    (place,) = (await naming.index(world))["places"]
    assert (EAST, [("notice", [id])]) == (
        place["code"],
        [(one["list"], [edition["id"] for edition in one["editions"]]) for one in place["lists"]],
    )
    assert id in index_page.index_page(await naming.index(world, EAST), "zh")
    assert [] == (await naming.index(world, STREET))["places"]
    again = await world.editions.correct(town.actors["street"], id, "复核后更正")
    await world.editions.freeze(town.actors["street"], again.id)
    await world.editions.publish(town.actors["first"], again.id)
    new, old = await naming.named(world, again.id), await naming.named(world, id)
    assert (id, 1, "复核后更正", []) == tuple(new[key] for key in ("corrects", "corrects_version", "reason", "changes"))
    assert again.id == old["corrected_by"]
    assert again.id in everything(old)
    (place,) = (await naming.index(world))["places"]
    assert [again.id] == [edition["id"] for edition in place["lists"][0]["editions"]]


async def test_a_correction_tells_the_difference(town: Town) -> None:
    """A deed taken back after publication: of persons only how many rows are others now, never whose."""
    world, street = town.world, town.actors["street"]
    extra = await town.help(WANG, date(2026, 8, 30))
    id = await notice(town)
    town.set(date(2026, 9, 3))
    await world.desk.reverse(town.actors["clerk"], extra, reason="签到有误", occurred_on="2026-09-03")
    again = await world.editions.correct(street, id, "签到有误")
    await world.editions.freeze(street, again.id)
    await world.editions.publish(town.actors["first"], again.id)
    data = await naming.named(world, again.id)
    assert [1] == [one["changed"] for one in data["changes"] if one["part"] == "persons"]
    assert "王*红" not in str(data["changes"]) and "更改 1 条" in everything(data)
    text = everything(data)
    nobody_told(text)
    assert "更正第 1 版。理由：签到有误" in text


async def test_a_draft_has_nothing_to_name(town: Town) -> None:
    """It has no figures yet."""
    made = await town.world.editions.draft(town.actors["street"], "notice", "2026-08", EAST)
    with pytest.raises(Refusal) as caught:
        await naming.named(town.world, made.id)
    assert "not_found" == caught.value.code


async def test_where_the_flag_has_been() -> None:
    """Every published period in which a grid earned one, newest first, with its money."""
    flag = {"code": "red_flag", "name": {"zh": "红旗网格", "en": "Red flag grid"}, "fund_fen": 200000}
    files = {
        f"edn_{name}": {
            "definition.json": codec.canonical({"flags": [flag]}),
            "result.json": codec.canonical(
                {
                    "rows": [
                        {"grid": "g1", "per_head": 1, "flags": ["red_flag"] * held},
                        {"grid": "g2", "state": "empty"},
                    ]
                }
            ),
        }
        for name, held in (("2026Q1", 1), ("2026Q2", 0), ("2026Q3", 1))
    }

    class Office:
        async def find(self, **_: Any) -> list[Any]:
            return [SimpleNamespace(id=id, period=id[4:], version=1) for id in files]

        async def files(self, id: str, *names: str) -> dict[str, bytes]:
            return {name: files[id][name] for name in names if name in files[id]}

    world: Any = SimpleNamespace(editions=Office(), place_name={"g1": "第1网格"}.get)
    held = await naming.history(world, "grids", EAST)
    assert [("2026Q3", "第1网格", 200000), ("2026Q1", "第1网格", 200000)] == [
        (one["period"], one["name"], one["fund_fen"]) for one in held
    ]
