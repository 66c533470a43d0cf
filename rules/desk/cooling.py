# SPDX-License-Identifier: Apache-2.0
"""Cooling-off: awards of some indicators wait some days before they are posted, while nothing has to be taken back yet.

They stand in the queue of what waits for a second person, with the day from which they may be posted. Where no other
reason holds them back the job `cooling` posts them on that day; until then whoever may approve them may send them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from ledger.view import View
from rules.desk.prepare import Prepared
from rules.engine.calendar import iso

CODE = "cooling_off"


def reason(view: View, waiting: Iterable[tuple[Prepared, str]]) -> list[dict[str, Any]]:
    """Why these (report, home journal) are not posted today, if a cooling-off says so; none in a take-over window,
    whose deeds are long past."""
    ends: dict[str, str] = {}
    for prepared, home in waiting:
        if prepared.indicator.cooling and not view.head(home).takeover:
            day = date.fromisoformat(view.today(home)) + timedelta(days=prepared.indicator.cooling)
            ends[prepared.indicator.code] = max(iso(day), ends.get(prepared.indicator.code, ""))
    return [{"code": CODE, "indicators": sorted(ends), "until": max(ends.values())}] if ends else []


def until(why: Sequence[Mapping[str, Any]]) -> str:
    """The first day on which what waits for these reasons may be posted; empty where none says so."""
    return next((str(one["until"]) for one in why if one["code"] == CODE), "")


def only(why: Sequence[Mapping[str, Any]]) -> bool:
    """Is there nothing but the time to wait for?"""
    return bool(why) and all(one["code"] == CODE for one in why)
