# SPDX-License-Identifier: Apache-2.0
"""Statements through the door: who gets whose, and that a stranger can check what they get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from api import jobs
from api.commands import UsageError
from api.commands.statement import statement
from api.http import account_statements
from ledger.book import holds
from ledger.model import Act
from tests.statement_check import check
from tests.test_api_cli import at as at
from tests.test_api_cli import run
from tests.test_api_statement import ELSEWHERE, HERE, Door
from tests.test_api_statement import door as door

pytestmark = pytest.mark.schema()

HOUR_US = 3_600_000_000


async def pay(door: Door, hold: str) -> None:
    """A redemption of 1 分 at mer_1."""
    act, ends = await door.doing(), door.now[0] + HOUR_US
    await door.act(
        lambda view: holds.hold(view, HERE, act, hold=hold, subject=door.subject, amount=100, expires_at=ends)
    )
    bare = Act("key_x", "2022-06-15", b"{}", "txn_2")
    await door.act(lambda view: holds.capture(view, HERE, bare, hold=hold, merchant="mer_1", amount=100))


async def publish(door: Door) -> None:
    assert await jobs.seals(door.world)
    await jobs.checkpoints(door.world)


async def test_a_resident_takes_home_what_proves_itself(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the beginning, or between two seals that the list names; nobody of ours is needed to check it. Without a
    seal there is none, without a checkpoint it is for later, and a very long one is for the command line."""
    assert 404 == (await door.see("self", "/me/statement")).status_code
    await jobs.seals(door.world)
    assert "not_published" == (await door.see("self", "/me/statement")).json()["code"]
    await jobs.checkpoints(door.world)
    await pay(door, "red_1")
    await publish(door)
    listed = (await door.get(f"/v1/journals/{HERE}/seals")).json()["items"]
    newest, first = [one["as_of_size"] for one in listed]
    whole = await door.see("self", "/me/statement")
    vkey = door.world.keys.vkey
    lots = {"2022-06-30": 200, "2022-12-31": 500}
    expected = {("standing", "9999-12-31"): 100_400} | {("points", lot): amount for lot, amount in lots.items()}
    assert expected == check(whole.json(), vkey)
    assert "张" not in whole.text and "no-store" == whole.headers["cache-control"]
    between = (await door.see("self", f"/me/statement?from={first}&to={newest}")).json()
    assert ["hold"] == [orjson.loads(entry)["kind"] for entry in between["entries"]]
    assert expected == check(between, vkey)
    entry = orjson.loads((await door.get(f"/v1/journals/{HERE}/seals?limit=1")).content)
    assert [listed[0]] == entry["items"]
    assert [listed[1]] == (await door.get(f"/v1/journals/{HERE}/seals?cursor={entry['next']}")).json()["items"]
    monkeypatch.setattr(account_statements, "ENTRIES_MAX", 3)
    answer = await door.see("self", "/me/statement")
    assert (422, "statement_too_long") == (answer.status_code, answer.json()["code"])


async def test_who_gets_a_statement(door: Door) -> None:
    """The subject, and auditors of the place, which is written down; the shop gets its own account and no other."""
    await pay(door, "red_1")
    await publish(door)
    path = f"/subjects/{door.subject}/statement"
    mine = await door.see("self", "/me/statement")
    assert [200, mine.content] == [(seen := await door.see("auditor", path)).status_code, seen.content]
    assert [200, mine.content] == [(seen := await door.see("self", path)).status_code, seen.content]
    for who in ("here", "there", "other", "far_auditor", "mer_1"):
        assert 403 == (await door.see(who, path)).status_code, who
    assert 403 == (await door.see("here", "/me/statement")).status_code
    read = await door.world.ledger.fetch("SELECT subject, what FROM access_log WHERE what = 'statement'")
    assert [(door.subject, "statement")] == read
    shop = await door.see("mer_1", f"/me/statement?journal={HERE}")
    assert {("points", "9999-12-31"): 100} == check(shop.json(), door.world.keys.vkey)
    assert door.subject not in shop.text
    for who, asked in (
        ("mer_2", f"/me/statement?journal={HERE}"),
        ("self", f"/me/statement?journal={ELSEWHERE}"),
        ("self", "/me/statement?journal=nowhere"),
        ("self", "/me/statement?account=debt"),
        ("self", "/me/statement?to=1"),
        ("self", "/journals/nowhere/seals"),
    ):
        assert 404 == (await door.see(who, asked)).status_code, asked
    for wrong in ("to=0", "to=x", "from=-1", f"from={2**60}", "account=issuer", "to=007x"):
        assert 400 == (await door.see("self", f"/me/statement?{wrong}")).status_code, wrong


async def test_journals_are_sealed_once_a_day_at_night(door: Door) -> None:
    """At once where there is no seal; then not before three in the morning, and only what has moved."""
    assert 2 == await jobs.daily_seals(door.world)
    await pay(door, "red_1")
    for hours, made in ((10, 0), (4, 0), (2, 1), (1, 0), (24, 0)):  # 22:00, 02:00, 04:00, 05:00 and the next night
        door.now[0] += hours * HOUR_US
        assert made == await jobs.daily_seals(door.world), hours
    await pay(door, "red_2")
    assert 1 == await jobs.seals(door.world)


async def test_a_statement_as_a_file(door: Door, tmp_path: Path) -> None:
    """What the operator makes for a person, a shop, and for somebody who never was there; reading is written down."""
    await pay(door, "red_1")
    await publish(door)
    vkey = door.world.keys.vkey
    made: list[dict[str, Any]] = []
    for number, (who, journal) in enumerate(((door.subject, None), ("merchant:mer_1", HERE), ("sub_nobody", HERE))):
        out = tmp_path / f"{number}.json"
        done = await statement(door.world, who, journal, None, None, out)
        made.append(done.data)
        held = check(orjson.loads(out.read_bytes()), vkey)
        assert done.data["there"] == (held is not None)
    assert [4, 1, 0] == [one["entries"] for one in made]
    read = await door.world.ledger.fetch("SELECT reader, subject FROM access_log ")
    assert {("operator", door.subject), ("operator", "sub_nobody")} == set(read)
    with pytest.raises(UsageError, match="there already"):
        await statement(door.world, door.subject, None, None, None, tmp_path / "0.json")


def test_the_command(at: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`jifen statement` takes an account, a file, a journal and sizes, and refuses where there is nothing sealed."""
    run(capfd, monkeypatch, "init")
    words = ("statement", "merchant:mer_1", at / "out.json", "--journal", HERE, "--from", "1", "--to", "2")
    status, _, err = run(capfd, monkeypatch, *words)
    assert (2, True) == (status, "[not_found]" in err)
    assert not (at / "out.json").exists()
