# SPDX-License-Identifier: Apache-2.0
"""Batches, the main write path: 5,000 rows in one decision, and a month's sign-in sheet from bytes to entries."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import date, timedelta

import xlsxwriter

from api.sheet_awards import sheet_requests
from benchmarks.figures import header, table
from benchmarks.town import APPROVER, STAFF, Town, town

ROWS = 5_000
HEADERS = ("姓名", "手机号", "所属社区", "所属网格", "指标编码", "服务日期", "签到时间", "签退时间", "服务时长(小时)")
SHEET_ROWS = 4_572  # a street's volunteers in one month of the public record


async def run(databases: dict[str, Callable[[], str]]) -> None:
    """Rows per second of a batch, and where the time of a sheet goes."""
    header("Batches and sheets")
    rows: list[tuple[str, ...]] = []
    for name, fresh in databases.items():
        async with town(fresh(), ROWS, communities=8) as place:
            took = await _batch(place)
            rows.append((name, f"API batch, {ROWS} rows", f"{took:.2f} s", f"{ROWS / took:,.0f} rows/s"))
        async with town(fresh(), SHEET_ROWS, communities=8) as place:
            for step, took in (await _sheet(place)).items():
                rows.append((name, f"sheet of {SHEET_ROWS}: {step}", f"{took:.2f} s", ""))
    table(("database", "what", "time", "rate"), rows)


async def _batch(place: Town) -> float:
    desk = place.world.desk
    began = time.perf_counter()
    done = await desk.commit(STAFF, [(row, place.report(row)) for row in range(1, ROWS + 1)])
    await _approve(place, done.record.id)
    return time.perf_counter() - began


async def _approve(place: Town, batch: str) -> None:
    waiting = await place.world.ledger.fetch("SELECT id FROM approval WHERE target = ?", batch)
    await place.world.desk.approve(APPROVER, waiting[0][0])


async def _sheet(place: Town) -> dict[str, float]:
    data = await _made(place)
    steps: dict[str, float] = {}
    began = time.perf_counter()
    sheet = await sheet_requests(place.world, data, "signin.xlsx")
    steps["read, parse, match people and places"] = time.perf_counter() - began
    began = time.perf_counter()
    done = await place.world.desk.commit(STAFF, sheet.rows, source="sheet")
    steps["check and store for approval"] = time.perf_counter() - began
    began = time.perf_counter()
    await _approve(place, done.record.id)
    steps["approve: decide again and commit"] = time.perf_counter() - began
    steps["in all"] = sum(steps.values())
    return steps


async def _made(place: Town) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        page = book.add_worksheet()
        page.write_row(
            0,
            0,
            (
                "姓名",
                "手机号",
                "所属社区",
                "所属网格",
                "指标编码",
                "服务日期",
                "签到时间",
                "签退时间",
                "服务时长(小时)",
            ),
        )
        for number, subject in enumerate(place.subjects):
            record = await place.world.people.record(subject)
            day = (date.today() - timedelta(days=number % 20)).isoformat()
            home = number % len(place.journals) + 1
            hours = number % 4 + 1
            who = (record.name, record.phone, f"第{home}社区", "第1网格")
            page.write_row(number + 1, 0, (*who, "RE-01", day, "08:00", f"{8 + hours:02d}:00", hours))
    return buffer.getvalue()
