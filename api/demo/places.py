# SPDX-License-Identifier: Apache-2.0
"""The county's places: 桓台县 with 2 streets, 15 communities and 140 grids.

The names of county, streets and some communities are on public record; codes and the other names are invented, and the
grids are spread evenly.
"""

from __future__ import annotations

from rules.register import Place

COUNTY = "370321"
ZONE = "Asia/Shanghai"
STREETS = {"370321001": "索镇街道", "370321002": "少海街道"}
COMMUNITIES = {
    "370321001001": "东岳国际",
    "370321001002": "宝发",
    "370321001003": "紫悦城",
    "370321001004": "柳泉",
    "370321001005": "建设",
    "370321001006": "渔洋",
    "370321001007": "张北",
    "370321002001": "橡树玫瑰城",
    "370321002002": "兴旺花园",
    "370321002003": "少海",
    "370321002004": "中心",
    "370321002005": "红莲湖",
    "370321002006": "田家",
    "370321002007": "鲁桥",
    "370321002008": "信誉",
}
GRIDS = 140
# Where it began: two in three of those who have joined live there, in the first grids of each community, so that also
# a small county has grids with enough people to be ranked.
PILOTS = ("370321001001", "370321002001", "370321002003")
HOMES = (*COMMUNITIES, *PILOTS * 5)
EARLY_GRIDS = 5
# This street is done with its paper records; the other still brings them in, so its take-over window is open.
CLOSED_STREET = "370321001"


def grids(community: str) -> list[str]:
    """Codes of a community's grids: nine each, and a tenth in the first five."""
    codes = list(COMMUNITIES)
    each, more = divmod(GRIDS, len(codes))
    return [f"{community}-{n:02d}" for n in range(1, each + 1 + (codes.index(community) < more))]


def lived_in(community: str) -> list[str]:
    """Its grids, each as often as people live there: ten in an early grid for one elsewhere."""
    return [grid for n, grid in enumerate(grids(community)) for _ in range(10 if n < EARLY_GRIDS else 1)]


def places() -> list[Place]:
    """Every place, parents before children."""
    found = [Place(COUNTY, "桓台县", "county")]
    found += [Place(code, name, "street", COUNTY) for code, name in STREETS.items()]
    found += [Place(code, f"{name}社区", "community", code[:9]) for code, name in COMMUNITIES.items()]
    for code, name in COMMUNITIES.items():
        found += [Place(grid, f"{name}第{int(grid[-2:])}网格", "grid", code) for grid in grids(code)]
    return found
