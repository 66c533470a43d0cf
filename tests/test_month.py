# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end and with real processes: a month of sign-in sheets into an empty county, to the unit."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.people.vault import Who
from api.settings import Settings
from api.world import World
from tests import month
from tests.serving import Served
from tests.tree import ROOT

PASSWORD = "a password of some length"
STAFF = {"wang": "street_staff", "zhao": "approver"}


class County(Served):
    """A deployment worked on through the command line, while its server runs."""

    def do(self, *words: str | Path, status: int = 0, token: str = "", typed: str = "") -> dict[str, Any]:
        """Run a command with `--json`; its one document, or what it said on stderr."""
        done = subprocess.run(
            [sys.executable, "-m", "api", *map(str, words), "--json"],
            cwd=ROOT,
            env={**self.environment, **({"JIFEN_TOKEN": token} if token else {})},
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert status == done.returncode, (words, done.stdout[-2000:], done.stderr)
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}

    def hire(self, username: str, role: str) -> str:
        """A colleague in the street, made by the administrator; their token."""
        roles = [{"role": role, "place": month.STREET}]
        made = {"username": username, "password": PASSWORD, "roles": roles}
        admin = {"Authorization": f"Bearer {self.token('admin')}"}
        assert 201 == httpx.post(self.at("/v1/staff"), json=made, headers=admin, timeout=30).status_code
        return self.token(username)

    def token(self, username: str) -> str:
        answer = httpx.post(self.at("/v1/sessions"), json={"username": username, "password": PASSWORD}, timeout=30)
        return answer.json()["token"]

    def at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def balances(self, named: list[dict[str, str]]) -> dict[month.Who, tuple[int, int]]:
        """(standing, points) of these people, found as a sheet's rows are."""
        return asyncio.run(self._balances(named))

    async def _balances(self, named: list[dict[str, str]]) -> dict[month.Who, tuple[int, int]]:
        world = World(Settings(self.url, self.home))
        await world.open()
        try:
            whom: dict[month.Who, Who] = {}
            for row in named:
                place = world.register.match_community(row["所属社区"])
                grid = world.register.match_grid(row["所属网格"], place.code) if place else None
                assert grid is not None
                phone = row.get("手机号") or None
                whom[month.who(row)] = Who(row["姓名"], phone, None if phone else grid.code)
            subjects = await world.people.identify_rows(list(whom.values()))
            rows = await world.ledger.fetch("SELECT account, unit, SUM(amount) FROM balance GROUP BY account, unit")
            sums = {(account, unit): int(amount) for account, unit, amount in rows}
            return {
                one: (sums[f"subject:{subject}", "standing"], sums.get((f"subject:{subject}", "points"), 0))
                for one, subject in zip(whom, subjects, strict=True)
            }
        finally:
            await world.close()


@pytest.mark.parametrize("which", month.months())
def test_a_month_of_sheets_reconciles_to_the_unit(which: str, database_url: str, tmp_path: Path) -> None:
    """Imported, approved by a second person, worth exactly what the sheet says, worth it once, and taken back whole."""
    sheets = month.month(which, tmp_path)
    county = County(database_url, tmp_path / "home")
    county.do("init")
    county.do("staff", "add", "admin", "--role", "county_admin", "--place", "370321", typed=PASSWORD + "\n")
    county.do("import", "places", sheets.places, "--commit", "--as", "admin", typed=PASSWORD + "\n")
    county.start()
    try:
        _month(county, sheets, tmp_path)
    finally:
        county.stop()


def _month(county: County, sheets: month.Month, tmp: Path) -> None:
    wang, zhao = (county.hire(name, role) for name, role in STAFF.items())
    refused = county.do("import", "people", sheets.people, "--commit", "--as", "zhao", token=wang, status=2)
    assert "JIFEN_TOKEN is not a token of zhao" in refused["stderr"]
    people = month.cells(sheets.people)
    done = county.do("import", "people", sheets.people, "--commit", "--as", "wang", token=wang)
    assert (True, len(people)) == (done["committed"], done["counts"]["new"])
    nothing = {month.who(row): (month.BASE, 0) for row in people}
    assert nothing == county.balances(people)

    # one person brings it in: nothing is worth anything yet
    rows = month.cells(sheets.signin)
    batch = county.do("import", "awards", sheets.signin, "--commit", "--as", "wang", token=wang)
    assert ("awaiting_approval", len(rows)) == (batch["state"], len(batch["rows"]))
    assert not [one for one in batch["rows"] if one["state"] not in ("posted", "reduced", "zero")]
    assert nothing == county.balances(people)
    (waiting,) = county.do("approvals")["items"]

    # another one decides
    assert "[same_person]" in county.do("approve", waiting["id"], "--as", "wang", token=wang, status=2)["stderr"]
    decided = county.do("approve", waiting["id"], "--as", "zhao", token=zhao)
    expected = month.earned(sheets.signin)
    sums = tuple(sum(part) for part in zip(*expected.values(), strict=True))
    assert sums == (decided["standing"], decided["points"]) == (waiting["standing"], waiting["points"])
    assert {who: (month.BASE + expected.get(who, (0, 0))[0], expected.get(who, (0, 0))[1]) for who in nothing} == (
        county.balances(people)
    )
    # the same sheet again, not one point
    again = county.do("import", "awards", sheets.signin, "--commit", "--as", "wang", token=wang)
    assert (len(rows), 0, 0) == (again["counts"]["duplicate"], again["standing"], again["points"])

    # and all of it back
    answer = httpx.post(
        county.at(f"/v1/award-batches/{batch['id']}/reverse"),
        json={"reason": "上个月的表传错了", "occurred_on": "2022-04-01"},
        headers={"Authorization": f"Bearer {wang}", "Idempotency-Key": "take-it-back"},
        timeout=60,
    )
    assert (201, len(rows)) == (answer.status_code, answer.json()["reversed"]), answer.text[:2000]
    assert nothing == county.balances(people)
    checked = county.do("verify")
    assert checked["ok"] and len(sheets.communities) < len(checked["lines"])

    # so that it can come in again, mended
    mended = county.do("import", "awards", sheets.signin, "--replaces", batch["id"])
    assert (0, *sums) == (mended["counts"]["duplicate"], mended["standing"], mended["points"])

    # the window closes for ever: the past no longer comes in
    code = sheets.communities[0]
    named = next(row for row in sheets.places.read_text("utf-8").splitlines() if row.startswith(f"{code},")).split(",")[
        1
    ]
    county.do("journal", "close-takeover", code)
    person = next(row for row in people if row["所属社区"] == named and row.get("手机号"))
    late = tmp / "late.csv"
    late.write_text(
        f"姓名,手机号,活动,服务日期,时长\n{person['姓名']},{person['手机号']},志愿服务,2022-03-31,1\n", "utf-8"
    )
    (row,) = county.do("import", "awards", late, status=1)["rows"]
    assert (2, "entry_deadline_passed", "服务日期", "2022-03-31") == (
        row["row"],
        row["code"],
        row["column"],
        row["value"],
    )
