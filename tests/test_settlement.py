# SPDX-License-Identifier: Apache-2.0
"""Statements of shops: they follow from entries alone, any change shows, and what is owed is paid once."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from api import jobs
from api.commands.export import export
from api.commands.settlements import check, run
from api.people.tables import PROXY
from api.settlements.paper import exact_yuan, in_words
from api.sheets.xlsx import read_sheets
from ledger import codec, note
from ledger.audit import audit
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import parse_vkey
from ledger.port import PutRows
from merchants.settlement.check import check as check_all
from merchants.settlement.derive import lines_of
from merchants.settlement.lines import Account, Line
from merchants.settlement.statement import make
from merchants.tables import BUDGET, SETTLEMENT, TURNOVER, VOUCHER_LINE
from tests.conftest import Built
from tests.settling import BODY, HERE, OTHER, SHOP, STREET, THERE, Town, built, worked_out

pytestmark = pytest.mark.schema(town=built)


@pytest.fixture
async def town(town_copy: Built) -> AsyncIterator[Town]:
    made = await Town(town_copy.url, town_copy.home).open()
    made.asked = town_copy.known
    yield made
    await made.close()


async def refused(work: Any) -> str:
    with pytest.raises(Refusal) as raised:
        await work
    return raised.value.code


async def _pay(town: Town, period: str, actor: str = "stf_x", persons: tuple[str, ...] = (), shop: str = SHOP) -> Any:
    return (await town.world.settlements.settle(actor, shop, period, persons=persons, reference="转账 1"))[0]


async def test_totals_are_those_of_the_exported_entries(town: Town, tmp_path: Path) -> None:
    """Three busy months, the second month's payment among them: every shop's sums to the hundredth and the fen."""
    office = town.world.settlements
    for seed, period in enumerate(("2026-08", "2026-09", "2026-10")):
        await town.month(period, seed)
        if seed == 1:
            town.to("2026-09-28")
            assert 2 == (await office.run("2026-08")).made
            await office.accept("key_1", SHOP, "2026-08")
            await _pay(town, "2026-08")
    town.to("2026-11-02")
    assert 4 == (await office.run("2026-10")).made  # September was passed over and is made good
    assert 0 == (await office.run("2026-10")).made
    await export(town.world, tmp_path / "out", [])

    expected = worked_out(tmp_path / "out")
    assert {(shop, f"2026-{month}") for shop in (SHOP, OTHER) for month in ("08", "09", "10")} == set(expected)
    for (shop, period), row in expected.items():
        fields = (await office.shown(shop, period)).fields
        said = {**fields["totals"], **fields["closing"]}
        assert {name: row.get(name, 0) for name in said} == said, (shop, period)
        for unit in ("points", "fen"):
            assert fields["closing"][unit] == sum(one["closing"][unit] for one in fields["journals"])
        assert fields["totals"]["owed_fen"] == sum(one["fen"] for one in fields["budgets"])
    for period in ("2026-08", "2026-09", "2026-10"):
        assert 0 == (await check(town.world, period)).status
    months = [(await office.shown(SHOP, f"2026-{month}")).fields for month in ("08", "09", "10")]
    assert months[0]["closing"] == months[1]["opening"] and months[1]["closing"] == months[2]["opening"]
    assert [] == (await audit(town.world.ledger)).findings


async def test_the_job_runs_when_the_month_is_over(town: Town) -> None:
    """From three in the morning of the first day on, once, and entries older than the table of pointers are found; a
    shop without anything has no statement."""
    await town.sell(700)
    await town.benefit(1_234, journal=THERE, undone=True)
    await town.forget_pointers()
    town.to("2026-09-01", 2)
    assert 0 == await jobs.statements(town.world)  # July
    town.to("2026-09-01", 3)
    assert [1, 0] == [await jobs.statements(town.world) for _ in range(2)]
    assert (await check(town.world, "2026-08")).data["ok"]
    assert [] == await town.world.settlements.listing(OTHER)
    assert "not_found" == await refused(town.world.settlements.shown(OTHER, "2026-08"))


def test_a_shop_of_many_communities() -> None:
    """Customers of 300 communities make a statement of 2,100 rows; each line is looked at once, not once a row."""
    lines = [
        Line(
            f"37{n % 300:03d}", n, f"{n:064x}", "2026-08-01", f"2026-08-01T00:00:00.{n:06d}Z", "capture", points=100,
            scenario=f"S{1 + n % 7:02d}", fen_per_point=33, owed=3_300,
        )
        for n in range(20_000)
    ]  # fmt: skip
    began = time.process_time()
    fields = make("town.example", SHOP, "2026-08", Account(), lines).fields
    assert time.process_time() - began < 8  # a second here; a minute where it is looked at once a row
    assert 20_000 == fields["totals"]["lines"] == sum(row["lines"] for row in fields["budgets"])
    assert 660_000 == fields["totals"]["owed_fen"] + sum(row["after"] % 100 for row in fields["budgets"]) // 100


async def test_a_month_is_over_when_it_is_over_in_every_journal(town: Town) -> None:
    """An office further east than its journals does not close their month hours too early."""
    office = town.world.settlements
    office.zone = "Pacific/Auckland"
    await town.sell(700)
    town.to("2026-08-31", 23)
    assert "period_not_over" == await refused(office.run("2026-08"))
    await town.sell(500)
    town.to("2026-09-01", 1)
    await office.run("2026-08")
    assert 1_200 == (await office.listing(SHOP))[0].fen


_BODY = "CAST(replace(CAST(body AS TEXT), '{}', '{}') AS BLOB)"
FORGERIES: dict[str, str] = {
    "an entry's byte": "UPDATE entry SET body = " + _BODY.format('"amount":700', '"amount":701'),
    "a pointer's month": "UPDATE turnover SET month = '2026-07' WHERE seq = (SELECT MAX(seq) FROM turnover)",
    "a pointer to nothing": f"INSERT INTO turnover VALUES ('{SHOP}', '2026-08', '{HERE}', 0)",
    "a balance": "UPDATE balance SET amount = amount + 1 WHERE account LIKE 'merchant:%'",
    "a statement": "UPDATE settlement_text SET body = " + _BODY.format('"fen":700', '"fen":900'),
    "the list": "UPDATE settlement SET fen = fen + 1",
    "what is open by journal": "UPDATE settlement SET closing = replace(closing, '700]', '900]')",
    "what was paid": f"UPDATE settlement SET paid = '{{\"{HERE}\":[700,700]}}'",
    "a note": "UPDATE settlement_text SET note = replace(note, '\"owed_fen\":700', '\"owed_fen\":900')",
    "a statement out of the air": "UPDATE settlement SET merchant = 'mer_x'",
}


async def test_any_change_shows(tmp_path: Path) -> None:
    """Whatever is changed in the database behind our back, the check says so; and a changed entry is paid to nobody."""
    file = tmp_path / "jifen.db"
    town = await Town(f"sqlite:///{file}", tmp_path / "home").build()
    await town.sell(700)
    town.to("2026-09-01")
    await run(town.world, "2026-08")
    assert 0 == (await check(town.world, "2026-08")).status
    origin = town.world.keys.origin
    await town.close()
    for what, sql in FORGERIES.items():
        copy = tmp_path / "copy.db"
        shutil.copyfile(file, copy)
        with sqlite3.connect(copy) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            assert connection.execute(sql).rowcount, what
        connection.close()
        ledger = Ledger(f"sqlite:///{copy}", bytes(32))
        await ledger.open()
        found = await check_all(ledger, origin, "2026-08")
        assert found.findings, what
        if what == "an entry's byte":
            with pytest.raises(Refusal, match="statement_unsound"):
                await lines_of(ledger, SHOP, "2026-08")
        await ledger.close()


async def test_one_shops_unsound_entries_keep_nobody_else_waiting(town: Town) -> None:
    """The others have their statements; the run says what is wrong, and is not noted as done."""
    await town.sell(700)
    await town.sell(500, shop=OTHER)
    nothing = (OTHER, "2026-08", HERE, 0)
    await town.world.ledger.submit(PutRows(puts=((TURNOVER, nothing),)))
    town.to("2026-09-01")
    office = town.world.settlements
    assert "statement_unsound" == await refused(office.run("2026-08"))
    assert ["2026-08"] == [one.period for one in await office.listing(SHOP)]
    assert [] == await office.listing(OTHER) and not await office.ran("2026-08")
    await town.world.ledger.submit(PutRows(removes=((TURNOVER, nothing),)))
    assert (1, 2) == (await office.run("2026-08"))[:2]


async def test_a_payment_of_more_than_was_owed_shows(town: Town) -> None:
    """Who can write to the database can have too much paid; the check holds every payment against its statement."""
    office = town.world.settlements
    await town.sell(700)
    town.to("2026-09-01")
    await office.run("2026-08")
    await office.accept("key_1", SHOP, "2026-08")
    one = (await office.listing(SHOP))[0]
    more = one.but(closing=one.closing.replace("700]", "900]")).row()
    await town.world.ledger.submit(PutRows(puts=((SETTLEMENT, more),)))
    paid = await _pay(town, "2026-08")
    await town.world.ledger.submit(PutRows(puts=((SETTLEMENT, paid.but(closing=one.closing).row()),)))
    (finding,) = (await check(town.world, "2026-08")).data["findings"]
    assert "pays what the statement does not owe" in finding


async def test_disputed_answered_agreed_and_paid(town: Town) -> None:
    """Nothing is paid while somebody may still object; who answered does not pay, nor does the shop's own body."""
    office = town.world.settlements
    await town.sell(700)
    assert "period_not_over" == await refused(office.run("2026-08"))
    town.to("2026-09-01")
    await office.run("2026-08")
    assert "statement_open" == await refused(_pay(town, "2026-08"))
    assert "not_found" == await refused(office.dispute("key_1", SHOP, "2026-08", lines=[2], reason="少一笔"))
    assert "nothing_disputed" == await refused(
        office.answer("stf_a", SHOP, "2026-08", lines=[], outcome="rejected", reason="无")
    )
    done = await office.dispute("key_1", SHOP, "2026-08", lines=[1], reason="应是八分")
    assert "disputed" == done.state
    assert "already_disputed" == await refused(office.dispute("key_1", SHOP, "2026-08", lines=[1], reason="再说"))
    await office.dispute("key_1", SHOP, "2026-08", lines=[], reason="还少一笔")
    for work in (_pay(town, "2026-08"), office.accept("key_1", SHOP, "2026-08")):
        assert "statement_disputed" == await refused(work)
    town.to("2026-09-10")
    await office.answer("stf_a", SHOP, "2026-08", lines=[1], outcome="rejected", reason="小票是七分")
    done = await office.answer("stf_a", SHOP, "2026-08", lines=[], outcome="upheld", reason="记入下月")
    assert ("open", "2026-09-13") == (done.state, done.until_day)
    assert [(0, "还少一笔", "记入下月"), (1, "应是八分", "小票是七分")] == [
        (one.row.line, one.reason, one.answer) for one in await office.disputes(SHOP, "2026-08")
    ]
    stored = await town.world.ledger.fetch("SELECT reason, answer FROM settlement_dispute")
    assert not any("分".encode() in bytes(cell) for row in stored for cell in row)
    assert "agreed" == (await office.accept("key_1", SHOP, "2026-08")).state
    assert "dispute_closed" == await refused(office.dispute("key_1", SHOP, "2026-08", lines=[], reason="又"))
    assert "same_person" == await refused(_pay(town, "2026-08", actor="stf_a"))
    assert "same_person" == await refused(_pay(town, "2026-08", persons=(f"sub_{HERE}", BODY)))
    paid = await _pay(town, "2026-08")
    assert ("settled", f'{{"{HERE}":[700,700]}}') == (paid.state, paid.paid)
    assert "already_settled" == await refused(_pay(town, "2026-08"))

    town.to("2026-10-01")
    await office.run("2026-09")
    fields = (await office.shown(SHOP, "2026-09")).fields
    (line,) = fields["lines"]
    assert ("settle", -700, 700, "2026-08") == (line["kind"], line["points"], line["fen"], line["period"])
    assert ({"points": 700, "fen": 700}, {"points": 0, "fen": 0}) == (fields["opening"], fields["closing"])
    entry = (await town.world.ledger.entry(HERE, line["seq"])).fields
    assert paid.sha256 == entry["data"]["statement"]
    assert (await check(town.world, "2026-09")).data["ok"]
    assert [] == (await audit(town.world.ledger)).findings


async def test_silence_is_agreement_after_ten_days(town: Town) -> None:
    """The window ends by itself, and a later payment covers months that were passed over."""
    office = town.world.settlements
    for period in ("2026-08", "2026-09"):
        town.to(f"{period}-15")
        await town.sell(500)
        await town.benefit(250, journal=THERE)
    town.to("2026-10-01")
    await office.run("2026-09")
    assert "2026-10-11" == (await office.shown(SHOP, "2026-09")).row.until_day  # type: ignore[union-attr]
    town.to("2026-10-11")
    assert "statement_open" == await refused(_pay(town, "2026-09"))
    town.to("2026-10-12")
    assert "dispute_closed" == await refused(office.dispute("key_1", SHOP, "2026-09", lines=[], reason="晚了"))
    paid = await _pay(town, "2026-09")
    assert f'{{"{HERE}":[1000,1000],"{THERE}":[0,500]}}' == paid.paid  # benefits alone have an entry too
    assert ["settled", "settled"] == [one.state for one in await office.listing(SHOP)]
    assert "2026-09" == (await office.listing(SHOP))[1].settled_with
    assert "already_settled" == await refused(_pay(town, "2026-08"))
    town.to("2026-11-01")
    await office.run("2026-10")
    assert {"points": 0, "fen": 0} == (await office.shown(SHOP, "2026-10")).fields["closing"]
    await town.sell(1)
    town.to("2026-12-01")
    await office.run("2026-11")
    assert (await check(town.world, "2026-11")).data["ok"]
    assert [] == (await audit(town.world.ledger)).findings


async def test_months_that_were_passed_over_are_not_made_after_later_ones(town: Town) -> None:
    """A month without entries has its statement too while something is open, before later ones have theirs; what a
    later one has paid is not paid again under an earlier one."""
    office = town.world.settlements
    await town.sell(700)
    town.to("2026-11-02")
    await office.run("2026-10")
    assert ["2026-10", "2026-09", "2026-08"] == [one.period for one in await office.listing(SHOP)]
    assert [] == (await check(town.world, "2026-09")).data["missing"]
    assert 0 == (await office.run("2026-09")).made
    for period in ("2026-08", "2026-09", "2026-10"):
        await office.accept("key_1", SHOP, period)
    assert f'{{"{HERE}":[700,700]}}' == (await _pay(town, "2026-10")).paid
    await town.sell(900)
    for period in ("2026-08", "2026-09"):
        assert "already_settled" == await refused(_pay(town, period))


async def test_a_refund_after_the_month_goes_into_the_next_one(town: Town) -> None:
    """What the shop has given back since cannot be paid to it; the next statement pays the rest."""
    office = town.world.settlements
    order = await town.sell(1_000)
    town.to("2026-09-01")
    await office.run("2026-08")
    await office.accept("key_1", SHOP, "2026-08")
    await town.give_back(order, 300)
    assert "returned_since" == await refused(_pay(town, "2026-08"))
    town.to("2026-10-01")
    await office.run("2026-09")
    await office.accept("key_1", SHOP, "2026-09")
    assert f'{{"{HERE}":[700,700]}}' == (await _pay(town, "2026-09")).paid
    assert "merchant_overdrawn" == await refused(town.give_back(order, 100))


async def test_nothing_due_is_carried_on(town: Town) -> None:
    """Paid from what came in later, a refund leaves the next statement with less than was paid."""
    office = town.world.settlements
    order = await town.sell(1_000)
    town.to("2026-09-02")
    await town.give_back(order, 300)
    await office.run("2026-08")
    town.to("2026-10-02")
    await office.run("2026-09")  # closes with 700
    await town.sell(500)
    for period in ("2026-08", "2026-09"):
        await office.accept("key_1", SHOP, period)
    assert f'{{"{HERE}":[1000,1000]}}' == (await _pay(town, "2026-08")).paid
    assert "nothing_due" == await refused(_pay(town, "2026-09"))
    town.to("2026-11-12")
    await office.run("2026-10")
    assert {"points": 200, "fen": 200} == (await office.shown(SHOP, "2026-10")).fields["closing"]
    await office.accept("key_1", SHOP, "2026-10")
    assert f'{{"{HERE}":[200,200]}}' == (await _pay(town, "2026-10")).paid


async def test_payment_and_refund_at_one_instant(town: Town) -> None:
    """One of the two is refused by name; never are points both paid for and given back."""
    office = town.world.settlements
    orders = [await town.sell(1_000) for _ in range(4)]
    town.to("2026-09-01")
    await office.run("2026-08")
    await office.accept("key_1", SHOP, "2026-08")
    outcomes = await asyncio.gather(
        *(town.give_back(order, 1_000) for order in orders[:2]),
        _pay(town, "2026-08"),
        _pay(town, "2026-08", actor="stf_y"),
        town.give_back(orders[2], 1_000),
        return_exceptions=True,
    )
    codes = [one.code if isinstance(one, Refusal) else "" for one in outcomes]
    paid = codes[2:4].count("")
    assert paid + ("" in (codes[0], codes[1], codes[4])) == 1, codes
    assert set(codes) <= {"", "returned_since", "already_settled", "merchant_overdrawn"}
    rows = await town.world.ledger.fetch("SELECT COUNT(*) FROM entry WHERE kind = 'settle'")
    assert paid == rows[0][0]
    assert [] == (await audit(town.world.ledger)).findings


async def test_through_the_door(town: Town) -> None:
    """The shop sees its own and agrees; staff of the place answer; others do not know; a repeat is answered again."""
    await town.sell(1_050, rate=33, budget="bud_1")
    await town.sell(700)
    await town.benefit(1_234)
    at = f"{SHOP}/statements/2026-08"
    town.to("2026-08-31", 20)
    await town.sign_in()
    preview = await town.call("shop", "GET", at)
    assert ("preview", 3) == (preview.json()["state"], len(preview.json()["statement"]["lines"]))
    assert 409 == (await town.call("shop", "GET", f"{at}.json")).status_code
    town.to("2026-09-01", 1)
    await town.sign_in()
    await town.world.settlements.run("2026-08")
    for who in ("shop", "till", "clerk", "street", "approver", "auditor"):
        assert 200 == (await town.call(who, "GET", at)).status_code, who
        assert 1 == len((await town.call(who, "GET", f"{SHOP}/statements")).json()["items"])
    for who in ("other", "far", "gridder"):
        assert 403 == (await town.call(who, "GET", at)).status_code, who
        assert 403 == (await town.call(who, "GET", f"{at}.csv")).status_code, who
    assert 401 == (await town.call("", "GET", at)).status_code
    reason = {"reason": "第一笔不对", "lines": [1]}
    for who in ("till", "clerk", "other", "auditor"):
        assert 403 == (await town.call(who, "POST", f"{at}/dispute", reason)).status_code, who
        assert 403 == (await town.call(who, "POST", f"{at}/accept")).status_code, who
    assert 200 == (await town.call("shop", "POST", f"{at}/dispute", reason)).status_code
    said = {"outcome": "rejected", "reason": "小票无误"}
    for who in ("shop", "far", "approver", "auditor"):
        assert 403 == (await town.call(who, "POST", f"{at}/answer", said)).status_code, who
    assert 200 == (await town.call("street", "POST", f"{at}/answer", said)).status_code
    assert 200 == (await town.call("shop", "POST", f"{at}/accept")).status_code
    paid = {"paid_reference": "2026-09-0001"}
    for who in ("shop", "clerk", "far", "auditor"):
        assert 403 == (await town.call(who, "POST", f"{at}/settle", paid)).status_code, who
    refused = await town.call("street", "POST", f"{at}/settle", paid)
    assert "same_person" == refused.json()["code"]
    row = (BODY, f"sub_{HERE}", "acts", "2099-12-31", b"", "stf_a", town.now, 0)  # acts for the body behind the shop
    await town.world.ledger.submit(PutRows(puts=((PROXY, row),)))
    await town.hire("keeper", "approver", STREET, f"sub_{HERE}")
    refused = await town.call("keeper", "POST", f"{at}/settle", paid)
    assert (403, "same_person") == (refused.status_code, refused.json()["code"])
    one, two = [await town.call("approver", "POST", f"{at}/settle", paid, key="once") for _ in range(2)]
    assert one.status_code == 200 and one.json() == two.json()
    assert "true" == two.headers["idempotency-replayed"]
    assert [{"journal": HERE, "points": 1_750, "fen": 2_280}] == one.json()["paid"]


async def test_the_forms_say_the_same(town: Town) -> None:
    """Bytes and note check out; the table, the workbook and the page have every line and the sum."""
    await town.sell(1_050, rate=33, budget="bud_1")
    await town.give_back(await town.sell(700), 200)
    await town.benefit(1_234)
    line = ("bud_1", "S34", HERE, "2026", "=1+1|<i>", 1_000_000, 0, "open", 1, 0, 0)
    await town.world.ledger.submit(PutRows(puts=((BUDGET, line),)))
    town.to("2026-09-01")
    await town.world.settlements.run("2026-08")
    await town.world.settlements.dispute("key_1", SHOP, "2026-08", lines=[1], reason="<b>不对</b>")
    line = ("ter_1", 7, b"d" * 32, SHOP, "b1", "red_voucher", 900, 0, "dispute", "used", 0, "2026-08-09", 0)
    await town.world.ledger.submit(PutRows(puts=((VOUCHER_LINE, line),)))
    await town.sign_in()
    at = f"{SHOP}/statements/2026-08"
    whole, raw, signed, csv, book, page = [
        await town.call("clerk", "GET", f"{at}{form}") for form in ("", ".json", ".note", ".csv", ".xlsx", ".html")
    ]
    said = whole.json()
    assert hashlib.sha256(raw.content).hexdigest() == said["sha256"]
    assert codec.decode(raw.content) == said["statement"]
    parsed = note.parse_note(signed.content)
    assert note.verify(parsed, [parse_vkey(town.world.keys.vkey)])
    assert said["sha256"] in parsed.text and signed.text == said["note"]
    assert 346 + 500 + 1_234 == said["fen"]
    assert [("red_voucher", 900, "used")] == [
        (one["redemption"], one["points"], one["reason"]) for one in said["voucher_disputes"]
    ]
    lines = csv.content.decode("utf-8-sig").split("\r\n")
    assert (4, "序号") == (len(lines) - 2, lines[0].split(",")[0])
    assert ["3.465", "7.00", "-2.00", "12.34"] == [line.split(",")[9] for line in lines[1:5]]
    assert "'=1+1|<i>" == lines[1].split(",")[5]  # a name that a spreadsheet would reckon
    sheets = {sheet.name: sheet.rows for sheet in read_sheets(book.content)}
    assert ["汇总", "预算科目", "明细", "异议"] == list(sheets)
    assert [str(row[9]) for row in sheets["明细"][1:]] == ["3.465", "7", "-2", "12.34"]
    assert "20.8" == str(sheets["汇总"][8][2]) == str(sheets["预算科目"][-1][-1])
    for text in (
        "便民超市",
        "20.80",
        "（大写：贰拾元捌角）",
        "&lt;b&gt;不对",
        "=1+1|&lt;i&gt;",
        "商户签章",
        "社区签章",
        "街道签章",
        "已被别处先用",
        said["sha256"],
        "<svg",
    ):
        assert text in page.text, text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for form in (".pdf", ".", ".json.json"):
        assert 404 == (await town.call("clerk", "GET", f"{at}{form}")).status_code, form
    for period in ("2026-13", "2099-01", "x"):
        assert 404 == (await town.call("clerk", "GET", f"{SHOP}/statements/{period}")).status_code, period


async def test_budget_lines_of_one_name_are_two(town: Town) -> None:
    """Last year's line and this year's are not added up on paper."""
    for number, year in enumerate(("2025", "2026")):
        line = (f"bud_{number}", "S34", HERE, year, "便民服务", 1_000_000, 0, "open", 1, 0, 0)
        await town.world.ledger.submit(PutRows(puts=((BUDGET, line),)))
        await town.sell(1_000, rate=33, budget=line[0])
    await town.sign_in()
    csv, book = [await town.call("shop", "GET", f"{SHOP}/statements/2026-08{form}") for form in (".csv", ".xlsx")]
    assert ["便民服务（bud_0）", "便民服务（bud_1）"] == [line.split(",")[5] for line in csv.text.split("\r\n")[1:3]]
    rows = {sheet.name: sheet.rows for sheet in read_sheets(book.content)}["预算科目"]
    assert ["3.3", "3.3", "6.6"] == [str(row[-1]) for row in rows[1:]]


@pytest.mark.parametrize(
    ("fen", "said"),
    [
        (0, "零元整"),
        (5, "伍分"),
        (105, "壹元零伍分"),
        (110, "壹元壹角"),
        (2_080, "贰拾元捌角"),
        (1_000_001, "壹万元零壹分"),
        (1_050_000_000, "壹仟零伍拾万元整"),
        (100_010_001_000, "壹拾亿零壹拾万零壹拾元整"),
        (-250, "负贰元伍角"),
    ],
)
def test_money_in_words(fen: int, said: str) -> None:
    """As a bill writes it."""
    assert said == in_words(fen)


def test_exact_money() -> None:
    """Two places at least, four at most, nothing rounded."""
    said: Callable[[int], str] = exact_yuan
    assert ["0.00", "0.0001", "3.465", "-1,234.56"] == [said(n) for n in (0, 1, 34_650, -12_345_600)]
