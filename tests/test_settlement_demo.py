# SPDX-License-Identifier: Apache-2.0
"""The demo county's shops: every statement of every month says what the exported entries add up to."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.commands.export import export
from api.commands.settlements import check, run
from tests.settling import worked_out
from tests.test_demo import build, opened


@pytest.mark.parametrize("people", [60, pytest.param(2_000, marks=pytest.mark.long)])
async def test_every_shop_and_every_month(people: int, tmp_path: Path) -> None:
    """Points to the hundredth, money to the fen, and nothing that the entries do not have."""
    built = await build(tmp_path / "home", people=people)
    async with opened(built) as world:
        await export(world, tmp_path / "out", [])
        expected = worked_out(tmp_path / "out")
        months = sorted({month for _, month in expected if month < "2026-03"})
        assert months and expected
        for month in months:
            assert 0 == (await run(world, month)).status
            assert (await check(world, month)).data["ok"]
        rows = await world.ledger.fetch("SELECT merchant, period FROM settlement WHERE lines > 0")
        assert {key for key in expected if key[1] < "2026-03"} == {tuple(row) for row in rows}
        for (shop, month), row in expected.items():
            if month < "2026-03":
                fields = (await world.settlements.shown(shop, month)).fields
                said = {**fields["totals"], **fields["closing"]}
                assert {name: row.get(name, 0) for name in said} == said, (shop, month)
