# SPDX-License-Identifier: Apache-2.0
"""Editions from draft to correction on a small town: what a second version may change, what an approval is worth, and
what is left of a line that has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from api.commands import edition_checks
from ledger import codec
from ledger.errors import Refusal
from ledger.port import PutRows
from rules.desk import AwardRequest, Evidence
from rules.lists import making
from rules.lists.columns import refresh
from rules.lists.verify import heads_in, verify_edition
from rules.register import Place
from rules.tables import PLACE, SUBJECT
from tests.conftest import Built
from tests.list_town import EAST, GRIDS, STREET, WEST, Town, opened

SHOP = 0  # of the town's bodies
ONE = timedelta(days=1)


async def sorted_well(town: Town, person: int, day: date) -> str:
    """A month's waste sorting, passed: one point of standing, two points to spend."""
    proof = (Evidence("inspection", "E2"),)
    deed = AwardRequest(town.people[person], "RE-05", day, evidence=proof)
    return (await town.world.desk.award(town.actors["clerk"], deed)).record.id


async def months(url: str, home: Path) -> dict[str, Any]:
    """August 2026 at its end: two residents passed, and a deduction."""
    async with opened(url, home) as town:
        await town.furnish(date(2026, 7, 1))
        town.set(date(2026, 8, 20))
        deeds = [await sorted_well(town, person, date(2026, 8, 18)) for person in (0, 2)]
        line = await town.deduct(SHOP, date(2026, 8, 20), "case-1")
        town.set(date(2026, 9, 1), "00:00")
        return {**town.known(), "deeds": deeds, "line": f"{line[0]}/{line[1]}"}


pytestmark = pytest.mark.schema(town=months)


@pytest.fixture
async def town(town_copy: Built) -> AsyncIterator[Town]:
    async with opened(town_copy.url, town_copy.home, town_copy.known) as made:
        yield made


async def frozen(town: Town, list: str, period: str, place: str, who: str = "street") -> str:
    editions = town.world.editions
    made = await editions.draft(town.actors[who], list, period, place)
    await editions.freeze(town.actors[who], made.id)
    return made.id


async def notice(town: Town, period: str = "2026-08", place: str = EAST) -> str:
    id = await frozen(town, "notice", period, place)
    await town.world.editions.publish(town.actors["first"], id)
    return id


async def result(town: Town, id: str) -> dict[str, Any]:
    return codec.decode((await town.world.editions.files(id))["result.json"])


async def grey(
    town: Town, *, decided: bool = True, place: str = STREET, on: date = date(2026, 9, 9)
) -> tuple[str, str]:
    """August's grey list of the street, its one line heard and, where asked, confirmed on a day."""
    editions, line = town.world.editions, town.built["line"]
    id = await frozen(town, "grey", "2026-08", place)
    await editions.notify(town.actors["street"], id)
    await editions.deliver(town.body(SHOP), id, line, "read")
    town.set(on)
    if decided:
        await editions.decide(town.actors["first"], id, line, "confirmed", "投诉已核实，逾期未整改")
    return id, line


async def refused(code: str, doing: Any) -> dict[str, Any]:
    with pytest.raises(Refusal) as caught:
        await doing
    assert caught.value.code == code, caught.value
    return caught.value.facts


async def test_a_month_is_frozen_when_it_is_over_here(town: Town) -> None:
    """One microsecond before midnight in Shanghai August is not over; at midnight it is."""
    editions, street = town.world.editions, town.actors["street"]
    made = await editions.draft(street, "notice", "2026-08", EAST)
    midnight = town.clock.now
    town.clock.now = midnight - 2
    await refused("period_not_over", editions.freeze(street, made.id))
    town.clock.now = midnight
    assert (await editions.freeze(street, made.id)).state == "frozen"


async def test_what_is_published_is_in_the_journal(town: Town) -> None:
    """The journal's entry has the digest of published.json, which names the header, which has the digests of the rest;
    the signed note is over the same bytes."""
    id = await notice(town)
    edition, files = await town.world.editions.get(id), await town.world.editions.files(id)
    (row,) = await town.world.ledger.fetch("SELECT body FROM entry WHERE kind = 'edition' AND journal = ?", EAST)
    said = codec.decode(bytes(row[0]))["data"]
    assert said == {"digest": edition.digest, "id": id, "list": "notice", "period": "2026-08", "version": 1}
    assert sha256(files["published.json"]).hexdigest() == edition.digest
    assert codec.decode(files["published.json"])["frozen"] == sha256(files["edition.json"]).hexdigest()
    header = codec.decode(files["edition.json"])
    assert header["files"] == {
        name: sha256(data).hexdigest() for name, data in files.items() if name not in ("edition.json", "published.json")
    }
    assert edition.note.startswith(f"jifen-edition/v1\n{files['published.json'].decode()}\n")
    assert edition.note.split("\n\n")[1].startswith("— ")


async def test_one_edition_at_a_time(town: Town) -> None:
    """A second draft is refused, naming the first; one that was discarded makes room, and keeps its number."""
    editions, street = town.world.editions, town.actors["street"]
    first = await editions.draft(street, "notice", "2026-08", EAST)
    facts = await refused("edition_exists", editions.draft(street, "notice", "2026-08", EAST))
    assert facts["edition"] == first.id
    await editions.discard(street, first.id, "选错了社区")
    assert (await editions.draft(street, "notice", "2026-08", EAST)).version == 2
    assert (await editions.get(first.id)).reason == "选错了社区"


async def test_periods_come_in_their_order(town: Town) -> None:
    """While August is not published September cannot count on from it; once September is frozen, July would tell
    again what stands there as late. One that was discarded is in nobody's way."""
    editions, street = town.world.editions, town.actors["street"]
    august = await frozen(town, "notice", "2026-08", EAST)
    town.set(date(2026, 10, 9))
    september = await editions.draft(street, "notice", "2026-09", EAST)
    facts = await refused("edition_order", editions.freeze(street, september.id))
    assert (facts["edition"], facts["period"]) == (august, "2026-08")
    await editions.discard(street, august, "重新来过")
    await editions.freeze(street, september.id)
    july = await editions.draft(street, "notice", "2026-07", EAST)
    assert september.id == (await refused("edition_order", editions.freeze(street, july.id)))["edition"]
    await frozen(town, "notice", "2026-07", WEST)


async def test_a_place_without_a_journal_has_no_lists(town: Town) -> None:
    """Nothing could hold the digest of what is published."""
    new = Place(f"{STREET}009", "新村", "community", STREET)
    await town.world.ledger.submit(PutRows(puts=((PLACE, new.row(town.clock.now)),)))
    await town.world.register.reload()
    await refused("journal_not_open", frozen(town, "notice", "2026-08", new.code))


async def test_late_deeds_wait_for_the_next_edition(town: Town) -> None:
    """What is reported after the freeze is in no correction of that month; the next month has it, marked as late."""
    editions, street = town.world.editions, town.actors["street"]
    id, _ = await grey(town)
    for who in ("first", "council"):
        await editions.publish(town.actors[who], id)
    journal, seq = await town.deduct(1, date(2026, 8, 25), "case-late")
    again = await editions.correct(street, id, "复核后更正")
    await editions.freeze(street, again.id)
    assert (await result(town, again.id))["rows"] == (await result(town, id))["rows"]
    header = codec.decode((await editions.files(again.id))["edition.json"])
    assert header["seen"][WEST]["size"] > header["as_of"][WEST]["size"]
    town.set(date(2026, 10, 9))
    preview = await editions.preview("grey", "2026-09", STREET)
    assert preview.header["previous"]["edition"] == id
    assert [(row["line"], row["late"]) for row in preview.result["rows"]] == [(f"{journal}/{seq}", 1)]


async def test_a_correction_takes_out_what_was_taken_back(town: Town) -> None:
    """An award that is reversed after the freeze stands in the first version, not in the second; the difference is
    said, and the second takes the first one's place only when it is published."""
    editions, street, deed = town.world.editions, town.actors["street"], town.built["deeds"][0]
    id = await notice(town)
    assert [row["gained"] for row in (await result(town, id))["persons"]] == [100, 100]
    town.set(date(2026, 9, 3))
    await town.world.desk.reverse(town.actors["clerk"], deed, reason="检查记录有误", occurred_on="2026-09-03")
    again = await editions.correct(street, id, "检查记录有误")
    assert (again.version, again.corrects) == (2, id)
    await editions.freeze(street, again.id)
    files = await editions.files(again.id)
    assert [row["gained"] for row in codec.decode(files["result.json"])["persons"]] == [100]
    changed = codec.decode(files["changes.json"])
    assert changed["persons"]["removed"] == [town.people[0]]
    assert (await editions.get(id)).state == "published"
    await editions.publish(town.actors["first"], again.id)
    assert [(await editions.get(one)).state for one in (id, again.id)] == ["corrected", "published"]
    await refused("edition_exists", editions.correct(street, id, "再更正"))


async def moved(town: Town, person: int, grid: str, home: str) -> None:
    """From the east to another grid, and with it the account where the community is another."""
    subject = town.people[person]

    def amend(view: Any) -> None:
        row = view.get(SUBJECT, subject)
        view.put(SUBJECT, (*row[:2], home, grid, *row[4:]))

    await town.world.people.change(subject, home=EAST, grid=grid, new_home=home, actor="system", amend=amend)


async def test_a_correction_looks_where_people_have_moved_to(town: Town) -> None:
    """What somebody did in the east is taken back in the west, where they live by then: the east's second version sees
    it, and says in its header how far it looked there. Left out of the header, it is found."""
    editions, street = town.world.editions, town.actors["street"]
    id = await notice(town)
    town.set(date(2026, 9, 3))
    await moved(town, 0, GRIDS[2], WEST)
    town.set(date(2026, 9, 5))
    await town.world.desk.reverse(street, town.built["deeds"][0], reason="检查记录有误", occurred_on="2026-09-05")
    again = await editions.correct(street, id, "检查记录有误")
    await editions.freeze(street, again.id)
    files = await editions.files(again.id)
    header = codec.decode(files["edition.json"])
    assert {EAST, WEST} == header["seen"].keys() and [EAST] == [*header["as_of"]]
    assert [100] == [row["gained"] for row in codec.decode(files["result.json"])["persons"]]
    assert [] == (await edition_checks.verify(town.world, [], "zh", None)).data["faults"]

    header["seen"].pop(WEST)
    lies = files | {"edition.json": codec.canonical(header)}
    columns = await refresh(town.world.ledger, town.world.settings.home)
    heads = await heads_in(town.world.ledger, [lies])
    found = verify_edition(lies, columns, {pack.hash: pack for pack in town.world.packs.packs}, heads)
    assert f"leaves out {WEST}, where members have lived" in {fault.what for fault in found}


async def test_who_lives_in_a_building_counts_in_its_grid(town: Town) -> None:
    """People are registered in a building or a unit, too; the notice and the ranking know grids."""
    house = Place(f"{GRIDS[0]}-03", "3号楼", "building", GRIDS[0])
    await town.world.ledger.submit(PutRows(puts=((PLACE, house.row(town.clock.now)),)))
    await town.world.register.reload()
    before = await town.world.editions.preview("notice", "2026-08", EAST)
    await moved(town, 0, house.code, EAST)
    after = await town.world.editions.preview("notice", "2026-08", EAST)
    assert after.files["population.csv"] == before.files["population.csv"]
    assert [GRIDS[0], GRIDS[1]] == sorted(one["grid"] for one in after.result["persons"])


async def test_an_approval_is_of_what_was_shown(town: Town) -> None:
    """The first approval does not stand for less than it was given to: after the line is let off, it is void."""
    editions = town.world.editions
    id, line = await grey(town)
    assert (await editions.publish(town.actors["first"], id)).state == "decided"
    await refused("already_approved", editions.publish(town.actors["first"], id))
    await editions.decide(town.actors["council"], id, line, "dropped", "已整改")
    assert (await editions.publish(town.actors["council"], id)).state == "decided"
    assert (await editions.publish(town.actors["first"], id)).state == "published"
    assert [one.state for one in await editions.lines(id)] == ["dropped"]


async def test_one_person_is_one_approver(town: Town) -> None:
    """Whoever has two logins approves once, and nobody approves what they drafted."""
    editions = town.world.editions
    id, _ = await grey(town)
    await editions.publish(town.actors["second"], id)
    await refused("same_person", editions.publish(town.actors["again"], id))
    await refused("same_person", editions.publish(town.actors["street"], id))
    assert (await editions.publish(town.actors["first"], id)).state == "published"


async def test_a_grey_line_ends_by_itself_and_by_repair(town: Town) -> None:
    """Six months and not a day more, whether or not the job has run; put right, it is off at once; a correction does
    not bring it back or give it a new term."""
    editions = town.world.editions
    id, line = await grey(town)
    for who in ("first", "council"):
        await editions.publish(town.actors[who], id)
    (posted,) = await editions.lines(id)
    assert (posted.state, posted.until) == ("posted", "2027-03-08")
    assert posted.on_show("2027-03-08")
    assert not posted.on_show("2027-03-09")
    town.set(date(2026, 10, 12))
    again = await editions.correct(town.actors["street"], id, "文字更正")
    await editions.freeze(town.actors["street"], again.id)
    (carried,) = await editions.lines(again.id)
    assert (carried.state, carried.until, carried.delivered_on) == ("confirmed", "2027-03-08", posted.delivered_on)
    await editions.discard(town.actors["street"], again.id, "不再需要")
    await refused("forbidden", editions.repair(town.actors["clerk"], id, line, "已整改"))
    ended = await editions.repair(town.actors["first"], id, line, "已退款并道歉")
    assert (ended.state, ended.ended_why, ended.ended_on) == ("ended", "repaired", "2026-10-12")
    third = await editions.correct(town.actors["street"], id, "文字更正")
    await editions.freeze(town.actors["street"], third.id)
    assert [one.state for one in await editions.lines(third.id)] == ["ended"]
    assert third.version == 3, "the number of the one that was discarded is used up"
    town.set(date(2027, 3, 9))
    assert await editions.sweep() == 0


async def test_what_ends_while_a_correction_is_made_does_not_come_back(town: Town) -> None:
    """Repaired in the version that is public, with an answer given there: the next has the end and the answer."""
    editions, first = town.world.editions, town.actors["first"]
    id, line = await grey(town)
    for who in ("first", "council"):
        await editions.publish(town.actors[who], id)
    again = await editions.correct(town.actors["street"], id, "文字更正")
    await editions.freeze(town.actors["street"], again.id)
    await editions.notify(town.actors["street"], again.id)
    await editions.answer(town.bodies[SHOP], id, line, "已经退款")
    await editions.repair(first, id, line, "已退款并道歉")
    town.set(date(2026, 9, 20))
    for who in ("first", "council"):
        await editions.publish(town.actors[who], again.id)
    (ended,) = await editions.lines(again.id)
    assert (ended.state, ended.ended_why, (await editions.said(ended)).reply) == ("ended", "repaired", "已经退款")
    assert codec.decode((await editions.files(again.id))["published.json"])["lines"] == []


async def test_a_line_that_one_version_left_out_has_its_old_term_in_the_next(town: Town) -> None:
    """Disputed when the second version was made, so in the first and the third: no new notice, no new six months."""
    editions, street = town.world.editions, town.actors["street"]
    id, line = await grey(town)
    for who in ("first", "council"):
        await editions.publish(town.actors[who], id)
    (posted,) = await editions.lines(id)
    said = await town.world.objections.file(town.body(SHOP), town.bodies[SHOP], "entry", _entry(line), "事实不符")
    for day in (date(2026, 9, 20), date(2026, 10, 30)):
        made = await editions.correct(street, id, "复核后更正")
        await editions.freeze(street, made.id)
        await editions.notify(street, made.id)
        town.set(day)
        for who in ("first", "council"):
            await editions.publish(town.actors[who], made.id)
        if not await editions.lines(made.id):
            await town.world.objections.decide(town.actors["street2"], said[0].id, "rejected", "事实清楚")
        id = made.id
    (again,) = await editions.lines(id)
    assert (again.state, again.until, again.delivered_on) == ("posted", posted.until, posted.delivered_on)


async def test_for_one_deduction_a_body_is_posted_once(town: Town) -> None:
    """The community's list has it: the street's does not show it again, whatever was decided there."""
    editions = town.world.editions
    id, _ = await grey(town)
    for who in ("first", "council"):
        await editions.publish(town.actors[who], id)
    other, _ = await grey(town, place=EAST, on=date(2026, 9, 20))
    for who in ("first", "council"):
        await editions.publish(town.actors[who], other)
    assert [one.state for one in await editions.lines(other)] == ["confirmed"]
    assert codec.decode((await editions.files(other))["published.json"])["lines"] == []


async def test_an_edition_is_under_the_rule_that_it_is_frozen_by(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drafted when the pack had an honour of this code, with one approver and no notice: the grey list it is by now."""
    editions, street = town.world.editions, town.actors["street"]
    rule, pack = editions.rule("grey", "2026-08")
    other = rule.model_copy(update={"kind": "honour", "decision": "threshold", "approvers": 1, "notice_workdays": 0})
    with monkeypatch.context() as patched:
        patched.setattr(editions, "rule", lambda *_: (other, pack))
        made = await editions.draft(street, "grey", "2026-08", STREET)
    done = await editions.freeze(street, made.id)
    assert (done.kind, done.approvers, done.workdays) == ("reminder", 2, 5)
    await refused("edition_state", editions.publish(town.actors["first"], made.id))


async def test_a_correction_grants_no_money_twice(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag that was paid with the first version is not paid again; one that comes with the second is."""
    editions, flagged = town.world.editions, [f"{EAST}-01"]

    def compute(*_: Any) -> dict[str, Any]:
        return {"rows": [{"grid": grid, "flags": ["red_flag"]} for grid in flagged], "totals": {}}

    monkeypatch.setattr(making, "compute", compute)
    town.set(date(2026, 10, 8))
    id = await frozen(town, "grids", "2026Q3", EAST)
    await editions.publish(town.actors["first"], id)
    flagged.append(f"{EAST}-02")
    again = await editions.correct(town.actors["street"], id, "漏了一个网格")
    await editions.freeze(town.actors["street"], again.id)
    await editions.publish(town.actors["first"], again.id)
    rows = await town.world.ledger.fetch("SELECT body FROM entry WHERE kind = 'fund' ORDER BY seq")
    said = [codec.decode(bytes(body))["data"] for (body,) in rows]
    assert [(one["edition"], one["place"]) for one in said] == [(id, f"{EAST}-01"), (again.id, f"{EAST}-02")]


async def test_the_job_ends_what_is_over_and_what_was_taken_back(town: Town) -> None:
    """A line whose day is over, and one whose deduction was reversed: until then it is not shown all the same."""
    editions = town.world.editions
    id, line = await grey(town)
    for who in ("first", "council"):
        await editions.publish(town.actors[who], id)
    rows = await town.world.ledger.fetch("SELECT id FROM award WHERE journal = ? AND seq = ?", *_entry(line))
    town.set(date(2026, 9, 20))
    await town.world.desk.reverse(town.actors["street"], rows[0][0], reason="登记有误", occurred_on="2026-09-20")
    assert await editions.suspended(await editions.lines(id)) == {line}
    assert await editions.sweep() == 1
    (ended,) = await editions.lines(id)
    assert (ended.state, ended.ended_why) == ("ended", "removed")
    assert await editions.sweep() == 0


async def test_words_in_public_carry_no_numbers_of_people(town: Town) -> None:
    """A phone or an identity number is refused in a reply, a reason and a comment, however it is written."""
    editions = town.world.editions
    id, line = await grey(town, decided=False)
    body, first = town.bodies[SHOP], town.actors["first"]
    hidden = ("138\u200b1234\u200b5678", "138、1234,5678", "\u202e87654321831", "幺三八一二三四五六七八")
    spaced = ("请电 13812345678", "１３８ １２３４ ５６７８", "37032119600101123X", "138-1234-5678", "0533 8212345")
    for text in (*spaced, *hidden):
        await refused("personal_data_in_text", editions.answer(body, id, line, text))
        await refused("personal_data_in_text", editions.decide(first, id, line, "dropped", text))
    await editions.answer(body, id, line, "第1、2、3、4、5、6、7网格，共1,234,567.00元")
    await editions.answer(body, id, line, "已于2026-09-03退款1,280.50元，共3户", repaired=True)
    (replied,) = await editions.lines(id)
    assert (await editions.said(replied)).reply.startswith("已于")
    assert replied.asked_on == "2026-09-09"
    await refused("not_found", editions.answer(town.bodies[1], id, line, "不是我"))


async def test_comments_wait_until_staff_have_read_them(town: Town) -> None:
    """A resident's comment on a published edition is shown after somebody has looked at it; ten may wait, not more."""
    editions, wang = town.world.editions, town.people[0]
    draft = await frozen(town, "notice", "2026-08", WEST)
    await refused("not_found", editions.comments.add(wang, draft, "还没公布"))
    id = await notice(town)
    made = await editions.comments.add(wang, id, "第2网格的志愿活动值得学习")
    assert await editions.comments.of(id) == []
    await refused("forbidden", editions.comments.show(town.actors["elsewhere"], made.id, True))
    await editions.comments.show(town.actors["street"], made.id, True)
    assert [text for _, text in await editions.comments.of(id)] == ["第2网格的志愿活动值得学习"]
    for number in range(10):
        await editions.comments.add(wang, id, f"意见{number}")
    await refused("too_many_comments", editions.comments.add(wang, id, "第十一条"))


def _entry(line: str) -> tuple[str, int]:
    journal, _, seq = line.partition("/")
    return journal, int(seq)
