# SPDX-License-Identifier: Apache-2.0
"""The wall notice says what runs: every number of a rule stands in its sentences, in both languages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rules.engine.explain import amount
from rules.engine.model import Pack
from rules.engine.pack import builtin_pack, load_pack
from rules.engine.wording import LANGS, Lang, statement
from tests.tree import ROOT

PACKS = [builtin_pack("huantai"), load_pack(ROOT / "examples/packs/volunteer-hours")]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.id)
def test_every_amount_and_cap_is_said(pack: Pack, lang: Lang) -> None:
    """What a rule gives, up to what, on what evidence, for how long and from where."""
    for one in pack.indicators.values():
        said = "\n".join(statement(pack, one, lang))
        for value in filter(None, (one.standing, one.points)):
            for number in _amounts(value.model_dump()):
                assert re.search(rf"(?<![0-9.]){re.escape(amount(number))}(?![0-9])", said), (one.code, number, said)
        assert len(one.caps) == len([line for line in said.splitlines() if "最多" in line or "at most" in line])
        assert one.evidence.standing in said or one.evidence.points in said
        assert pack.sources[one.citation.source].title in said and not re.search(r"[{}]|None", said), said
        assert (one.when is None) == (not any(line.startswith(("条件", "Only where")) for line in said.splitlines()))


def _amounts(value: dict[str, Any]) -> list[int]:
    found = [value["amount"]] if "amount" in value else []
    found += list(value.get("amounts", {}).values())
    found += [rung["level"] for rung in value.get("steps", ())]
    return found + [part["amount"] for part in value.get("brackets", ())]


def test_a_rule_as_it_hangs_on_the_wall() -> None:
    """Hours in hours, money in yuan, words for words, the other hat by its code."""
    pack = PACKS[0]
    hours = statement(pack, pack.indicators["RE-01"], "zh")
    assert "信用分：服务时长累计满 10 小时共 2 分，满 20 小时共 5 分" in hours[0]
    assert "兑换积分：服务时长每 1 小时计 1 分" == hours[1]
    assert "服务时长每日最多 4 小时" in hours and "同一天只计一项：与 RE-07 不重复计" in hours
    gift = statement(pack, pack.indicators["RE-11"], "zh")[0]
    assert "起初每 100 元计 1 分，超过 1000 元的部分每 400 元计 1 分" in gift
    assert statement(pack, pack.indicators["MK-08"], "zh")[0].startswith("信用分扣减")
    assert "条件：评单分不少于4" in statement(pack, pack.indicators["CW-02"], "zh")
    assert "Time served at most 4 hours a day" in statement(pack, pack.indicators["RE-01"], "en")
