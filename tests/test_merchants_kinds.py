# SPDX-License-Identifier: Apache-2.0
"""All seven kinds of benefit, each from hold to capture to void, on both databases: what it counts, draws and says."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from ledger.port import PutRows
from merchants.catalogue import Example, load_scenarios
from merchants.model import Budget
from merchants.tables import BUDGET
from tests.test_merchants_examples import Stage
from tests.test_merchants_shop import HERE, STAFF

pytestmark = pytest.mark.schema("ledger", "merchants")

SCENARIOS = load_scenarios()


class Kind(NamedTuple):
    """A scenario of the kind, the example that describes who comes and what for, and what its payer owes."""

    code: str
    example: Example
    fen: int = 0


KINDS = {
    "goods": Kind("S13", Example(says="两瓶", has=1_000, price=500, quantity=2), 1_000),
    "discount": Kind("S21", Example(says="水费", grade="AA", value_fen=3_000, reference="SH-1"), 3_000),
    "waiver": Kind("S08", Example(says="挂号", grade="AAA", value_fen=1_000), 1_000),
    "threshold": Kind("S10", Example(says="轮椅", reference="ZY-1")),
    "priority": Kind("S33", Example(says="帮忙")),
    "subsidy": Kind("S35", Example(says="当选", grade="AAA", value_fen=100_000), 100_000),
    "display": Kind("S36", Example(says="大屏", kind="body", groups=["G5"], has=500, price=100, quantity=5)),
}


def test_there_is_one_for_every_kind() -> None:
    """The seven kinds of the catalogue, and no other."""
    assert {one.benefit for one in SCENARIOS.values()} == set(KINDS)
    assert all(SCENARIOS[kind.code].benefit == benefit for benefit, kind in KINDS.items())


@pytest.mark.parametrize("benefit", list(KINDS))
async def test_from_hold_to_capture_to_void(database_url: str, benefit: str) -> None:
    """Held it counts and draws on the budget; captured the ledger says what is owed; voided everything is as before."""
    code, example, fen = KINDS[benefit]
    stage = Stage(database_url, SCENARIOS, SCENARIOS[code])
    await stage.open()
    line = Budget("bud_1", code, HERE[:6], "2021", "预算", fen, 0, "open", 1, 0)
    await stage.ledger.submit(PutRows(inserts=((BUDGET, line.row()),)))
    person = await stage.comes(example, example.has)
    offer = await stage.offers(await stage.opens(example), example, 5)

    async def standing() -> tuple[Any, ...]:
        ledger = stage.ledger
        [(spent,)] = await ledger.fetch("SELECT spent FROM budget")
        windows = await ledger.fetch('SELECT scope, subject, start, used FROM "usage" ORDER BY 1, 2, 3')
        return await stage.points(person), await stage.stock(offer), spent, windows

    by = {"card": person, "pin": "2468"}
    assert (await stage.shop.eligible(STAFF, offer=offer, by=by)).eligible  # who only asks need not name a meter
    before = await standing()
    [(size,)] = await stage.ledger.fetch("SELECT COUNT(*) FROM entry WHERE journal = ?", HERE)
    held = await stage.shop.redeem(STAFF, offer=offer, by=by, quantity=example.quantity, reference=example.reference)
    points, stock, spent, windows = await standing()
    assert ("held", example.price * example.quantity) == (held.state, held.points)
    assert (example.has - held.points, 5 - example.quantity, fen * 100) == (points, stock, spent)
    scopes = {scope for scope, *_ in windows} - {offer}
    assert {f"{code}.{limit.per or 'ever'}" for limit in SCENARIOS[code].limits} == {
        scope.removesuffix(".points") for scope in scopes
    }
    assert "captured" == (await stage.shop.capture(STAFF, held.id)).state
    assert "voided" == (await stage.shop.void(STAFF, held.id, reason="做错了")).state
    assert before == await standing()
    rows = await stage.ledger.fetch(
        "SELECT kind, seq FROM entry WHERE journal = ? AND seq >= ? ORDER BY seq", HERE, size
    )
    kinds = [kind for kind, _ in rows]
    if held.points:
        assert ["hold", "capture", "void", "release"] == kinds
    else:
        first, undone = [(await stage.ledger.entry(HERE, seq)).fields for _, seq in rows]
        assert ["benefit", "benefit"] == kinds
        assert (fen, example.quantity) == (first["data"]["fen"], first["data"]["quantity"])
        assert (-fen, -example.quantity) == (undone["data"]["fen"], undone["data"]["quantity"])
    await stage.ledger.close()
