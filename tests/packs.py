# SPDX-License-Identifier: Apache-2.0
"""Small packs for tests: a head, the groups and grades of the founding pack, and indicators written for one test."""

from __future__ import annotations

import shutil
from pathlib import Path

from rules.engine.model import Pack
from rules.engine.pack import PACKS, load_pack

HEAD = """
id = "trial"
version = "1.0.0"
name = { zh = "试验规则", en = "Trial rules" }
effective_from = 2022-01-01

[adoption]
status = "draft"
body = "居民会议"

[sources]
proposal = { title = "试验" }

[categories]
service = { zh = "为民服务", en = "Service" }
"""
SETS = """
[exclusion_sets.hats]
name = { zh = "按时长或按件", en = "By hours or by piece" }
by = "day"

[exclusion_sets.cases]
name = { zh = "同一事项", en = "The same matter" }
by = "case"

[highest_sets.best]
name = { zh = "年度表彰", en = "Commendations" }
window = "year"
"""
LEVELS = (
    'fields = [{ name = "level", type = "enum", label = { zh = "级别", en = "Level" }, values = { '
    'county = { zh = "县级", en = "county" }, city = { zh = "市级", en = "city" }, '
    'nation = { zh = "国家级", en = "national" } } }]\n'
    'standing = { kind = "tier", field = "level", amounts = { county = 2000, city = 3000, nation = 10000 } }\n'
)
MINUTES = (
    '{ name = "minutes", type = "int", unit = "minute", min = 30, max = 600, '
    'label = { zh = "时长", en = "Time served" } }'
)
HOURS = (
    f"fields = [{MINUTES}]\n"
    'standing = { kind = "per_unit", field = "minutes", unit = 60, amount = 100, rounding = "unit" }\n'
    'points = { kind = "per_unit", field = "minutes", unit = 60, amount = 100, rounding = "hundredth" }\n'
)
FIXED = 'standing = { kind = "fixed", amount = 200 }\npoints = { kind = "fixed", amount = 200 }\n'
CONDITIONED = (
    f"fields = [{MINUTES},\n"
    '  { name = "team", type = "int", unit = "person", min = 0, max = 120, label = { zh = "人数", en = "Team" } },\n'
    '  { name = "trained", type = "day", label = { zh = "培训日", en = "Day of training" } },\n'
    '  { name = "insured", type = "enum", label = { zh = "保险", en = "Insurance" }, '
    'values = { yes = { zh = "已投保", en = "insured" }, no = { zh = "未投保", en = "not insured" } } }]\n'
    "when = \"team >= 2 && insured == 'yes' && days_between(trained, occurred_on) <= 365\"\n"
    'standing = { kind = "formula", expr = "min(div_floor(minutes, 30) * 50, team < 60 ? 300 : 600)" }\n'
    'points = { kind = "formula", expr = "minutes >= 120 ? 200 : 0" }\n'
    'caps = [{ id = "day", on = "minutes", window = "day", max = 240 }]\n'
)


def indicator(code: str, body: str, more: str = "") -> str:
    """One indicator of group G3 with what every indicator must have."""
    return (
        f'[[indicator]]\ncode = "{code}"\nname = {{ zh = "试验{code}", en = "Trial {code}" }}\n'
        f'category = "service"\ncitation = {{ source = "proposal" }}\n{body}{more}\n'
    )


def sets_of_hats() -> str:
    """Indicators for every kind of set, and one with conditions and formulas."""
    day = 'caps = [{ id = "day", on = "minutes", window = "day", max = 240 }]\n'
    return "\n".join(
        (
            indicator("TT-01", HOURS + day, 'exclusion = "hats"'),
            indicator("TT-02", FIXED, 'exclusion = "hats"'),
            indicator("TT-03", FIXED, 'exclusion = "cases"'),
            indicator("TT-04", HOURS, 'exclusion = "cases"\ncause = ["subject", "indicator", "case", "minutes"]'),
            indicator("TT-05", LEVELS, 'highest_only = "best"\nevidence = { standing = "E3" }'),
            indicator(
                "TT-06",
                LEVELS,
                'highest_only = "best"\ncaps = [{ id = "year", on = "standing", window = "year", max = 6000 }]',
            ),
            indicator("TT-07", CONDITIONED),
        )
    )


def made(folder: Path, indicators: str, head: str = SETS) -> Pack:
    """A pack with these indicators of G3."""
    for name in ("groups.toml", "bands.toml"):
        shutil.copy(PACKS / "huantai" / name, folder / name)
    (folder / "pack.toml").write_text(HEAD + head, "utf-8")
    (folder / "indicators.toml").write_text(f'group = "G3"\n{indicators}', "utf-8")
    return load_pack(folder)
