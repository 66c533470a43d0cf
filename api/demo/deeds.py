# SPDX-License-Identifier: Apache-2.0
"""What people and bodies of the county do in a month, apart from volunteer hours: how often, with what facts, on what
evidence. Numbers are for the whole county (`scale.WHOLE` people); some follow the public record, others are plausible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Facts = dict[str, "int | str"]

QUARTER = frozenset({3, 6, 9, 12})
WINTER = frozenset({12, 1, 2})
COMPANY, COMMITTEE = "物业公司", "业主委员会"


def nothing(rng: Random) -> Facts:
    return {}


def one_of(name: str, *values: int | str) -> Callable[[Random], Facts]:
    return lambda rng: {name: rng.choice(values)}


@dataclass(frozen=True, slots=True)
class Deed:
    """An indicator, how many a month, and what is said with each. `months`: only then; `case`: a workflow's number."""

    code: str
    group: str
    monthly: float
    level: str
    evidence: str
    facts: Callable[[Random], Facts] = nothing
    case: str | None = None
    months: frozenset[int] | None = None
    once: bool = False  # at most one a month for each, which the caps would say too
    types: str = ""  # only bodies of this type
    first: bool = False  # in the first month of the history only

    def happens(self, month: int, first: bool) -> bool:
        return (first or not self.first) and (self.months is None or month in self.months)


def owners(rng: Random) -> Facts:
    return {"grade": rng.choice(("from_90", "from_80")), "answered": rng.randrange(20, 90)}


def rating(rng: Random) -> Facts:
    return {"rating": rng.choice((4, 5, 5))}


DEEDS = (
    # G1: 1,400 orders a year went through the five steps; 509 errands.
    Deed("CW-01", "G1", 117, "E2", "workflow", case="五单"),
    Deed("CW-02", "G1", 90, "E2", "workflow", rating, case="五单"),
    Deed("CW-03", "G1", 43, "E2", "confirmation", case="代办"),
    Deed("CW-04", "G1", 60, "E2", "photo"),
    Deed("CW-05", "G1", 14, "E4", "minutes", one_of("difficulty", "simple", "ordinary", "hard"), case="调解"),
    Deed("CW-06", "G1", 15, "E2", "system", once=True),
    Deed("CW-07", "G1", 15, "E4", "minutes", months=QUARTER, once=True),
    Deed("CW-08", "G1", 1, "E3", "certificate", one_of("level", "county_department", "city_department", "county")),
    # G2
    Deed("PM-01", "G2", 1140, "E1", "sign_in_sheet", once=True),
    Deed("PM-02", "G2", 800, "E1", "register", once=True, first=True),
    Deed("PM-03", "G2", 60, "E2", "workflow", rating, case="认领"),
    Deed("PM-04", "G2", 40, "E2", "confirmation", case="微心愿"),
    Deed("PM-05", "G2", 30, "E2", "photo", one_of("place_kind", "inside", "outside")),
    Deed("PM-06", "G2", 120, "E4", "minutes", months=QUARTER, once=True),
    # G3
    Deed("RE-02", "G3", 117, "E2", "workflow", case="五单"),
    Deed("RE-03", "G3", 300, "E2", "photo", case="随手拍"),
    Deed("RE-04", "G3", 260, "E2", "sign_in_sheet"),
    Deed("RE-05", "G3", 800, "E2", "inspection", once=True),
    Deed("RE-06", "G3", 15, "E4", "minutes", one_of("difficulty", "simple", "ordinary", "hard"), case="调解"),
    Deed("RE-07", "G3", 250, "E2", "photo", one_of("work", "snow", "snow", "repair"), months=WINTER),
    Deed("RE-07", "G3", 90, "E2", "photo", one_of("work", "greenery", "repair", "drive_small", "drive_medium")),
    Deed("RE-08", "G3", 40, "E2", "workflow"),
    Deed("RE-09", "G3", 12, "E3", "receipt", one_of("value", "to_1000", "to_1000", "to_5000")),
    Deed("RE-10", "G3", 0.5, "E3", "certificate", one_of("degree", "recognised")),
    Deed("RE-11", "G3", 40, "E3", "receipt", one_of("amount_fen", 10_000, 20_000, 50_000, 100_000)),
    Deed("RE-12", "G3", 30, "E3", "certificate"),
    Deed("RE-13", "G3", 10, "E3", "certificate", one_of("level", "model_family", "model_family", "county_department")),
    # G4: a duty record each month from a fifth of the heads
    Deed("BL-01", "G4", 1180, "E2", "duty_record", once=True),
    Deed("BL-02", "G4", 120, "E2", "minutes"),
    Deed("BL-03", "G4", 150, "E2", "workflow", case="上报"),
    Deed("BL-04", "G4", 400, "E2", "visit_record"),
    Deed("BL-05", "G4", 600, "E4", "minutes", one_of("result", "excellent", "pass"), months=frozenset({12}), once=True),
    # G5
    Deed("MK-01", "G5", 240, "E2", "inspection", once=True),
    Deed("MK-02", "G5", 200, "E3", "pledge", once=True, first=True),
    Deed("MK-03", "G5", 30, "E2", "system", months=QUARTER, once=True),
    Deed("MK-04", "G5", 40, "E2", "photo"),
    Deed("MK-05", "G5", 30, "E2", "workflow", case="投诉"),
    Deed("MK-06", "G5", 10, "E4", "minutes", months=QUARTER, once=True),
    Deed("MK-07", "G5", 0.5, "E3", "certificate", one_of("level", "city")),
    Deed("MK-08", "G5", 3, "E3", "decision", case="投诉"),
    # G6
    Deed("PR-01", "G6", 18, "E2", "survey", owners,
         months=QUARTER, once=True, types=COMPANY),
    Deed("PR-02", "G6", 21, "E4", "minutes", one_of("grade", 3, 4, 5), months=QUARTER, once=True, types=COMPANY),
    Deed("PR-03", "G6", 21, "E4", "minutes", one_of("grade", 3, 4, 5), months=QUARTER, once=True, types=COMPANY),
    Deed("PR-04", "G6", 16, "E3", "photo", one_of("publication", "accounts", "ratings"), months=QUARTER, types=COMPANY),
    Deed("PR-05", "G6", 12, "E2", "system", one_of("closed", 95, 97, 99), months=QUARTER, once=True, types=COMPANY),
    Deed("PR-06", "G6", 20, "E2", "workflow", case="约请", types=COMPANY),
    Deed("PR-07", "G6", 10, "E3", "decision", once=True, first=True, types=COMPANY),
    Deed("PR-08", "G6", 1.5, "E3", "decision", one_of("severity", "minor", "ordinary"), case="投诉", types=COMPANY),
    Deed("OC-01", "G6", 15, "E3", "web_page", months=QUARTER, once=True, types=COMMITTEE),
    # G7
    Deed("CB-01", "G7", 80, "E3", "register", once=True, first=True),
    Deed("CB-02", "G7", 25, "E2", "workflow", case="认领"),
    Deed("CB-03", "G7", 30, "E2", "workflow", one_of("result", "on_site", "same_day"), case="约请"),
    Deed("CB-04", "G7", 40, "E2", "photo", one_of("venues", 1, 1, 2)),
    Deed("CB-05", "G7", 5, "E3", "receipt", one_of("amount_fen", 100_000, 200_000, 500_000)),
    Deed("CB-06", "G7", 40, "E2", "sign_in_sheet", one_of("part", "attended", "attended", "chaired"), once=True),
    # G8
    Deed("SO-01", "G8", 150, "E3", "register", one_of("form", "filed", "filed", "registered"), once=True, first=True),
    Deed("SO-02", "G8", 6, "E4", "minutes", one_of("size", "small", "small", "medium"), case="项目"),
    Deed("SO-03", "G8", 20, "E2", "system", one_of("minutes", 6_000, 9_000, 12_000), once=True),
    Deed("SO-04", "G8", 10, "E2", "survey", one_of("rating_tenths", 45, 47, 49)),
    Deed("SO-05", "G8", 60, "E3", "web_page", months=QUARTER, once=True),
)  # fmt: skip

# How busy volunteers are by month, the peak apart: less in the heat, more before the spring festival.
SEASON = (0.36, 0.3, 0.42, 0.34, 0.36, 0.32, 0.22, 0.24, 0.34, 0.38, 0.3, 0.4)
MINUTES = (60, 90, 90, 120, 120, 120, 150, 180, 240, 300)
STARTS = ("08:00", "08:30", "09:00", "13:30", "14:00", "18:30")
PEAK_MONTH = 3
