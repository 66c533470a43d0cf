# SPDX-License-Identifier: Apache-2.0
"""The tamper campaign: whatever somebody changes in the ledger's tables or in an export, a check with a pin finds it
and names the first bad entry; untouched data is never blamed. A sample of each class here; `make test-long` runs it
all."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ledger.audit import audit
from ledger.engine import Ledger
from tests.export_maker import Office
from tests.ledgers import SECRET, FixedClock, opened
from tests.tamper import campaign, folder, history, tables
from tests.tamper.history import Deployment
from tests.tamper.stage import Stage, other_bytes, other_number, other_text

# Tables that no entry says anything about, with the reason. `jifen verify` says so too.
NOT_DERIVED = {
    "request": "answers to retries, by digests under a key that the ledger does not hold; only their shape is checked",
    "migration": "which migrations have been applied",
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A short one: what a check costs grows with the entries."""
    return history.build(tmp_path_factory.mktemp("tamper"), days=8)


@pytest.fixture(scope="module")
def long_deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Long enough for stored tree nodes."""
    return history.build(tmp_path_factory.mktemp("long"))


@pytest.fixture
def stage(deployment: Deployment, tmp_path: Path) -> Iterator[Stage]:
    found = Stage(deployment, tmp_path / "stage")
    yield found
    found.connection.close()


def test_every_table_is_campaigned_against_or_listed(deployment: Deployment) -> None:
    """A table of the ledger is derived from entries and in the campaign, or it is listed with a reason."""
    connection = sqlite3.connect(deployment.database)
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert found == {*tables.KEYS, *NOT_DERIVED}
    assert any("retry keys" in line for line in _said(deployment)), "jifen verify says that it cannot look behind those"


def _said(deployment: Deployment) -> list[str]:
    return tables.judge(tables.load(deployment.database), [deployment.pin.read_bytes()]).lines


def test_the_untouched_passes(stage: Stage) -> None:
    """Nothing is found in what nobody touched, with the newest pin, an older one, and none; the guard agrees."""
    old = stage.deployment.old_pin
    for pins in ([], stage.pins, [*stage.pins, old.read_bytes()]):
        assert [] == tables.judge(stage.connection, pins).findings
    assert tables.guard_refuses(stage.connection, stage.deployment.guard) is None
    for pin in ((), (stage.deployment.pin,), (stage.deployment.pin, old)):
        assert not folder.judge(stage.deployment.export, *pin).found
    assert not folder.judge_outside(stage.deployment.export, stage.deployment.pin).found
    assert not folder.judge(stage.deployment.old_export, old).found


def test_what_is_made_good_again_is_good(stage: Stage) -> None:
    """Chained, sealed and derived anew without a change, everything is as it was, row for row and byte for byte; with a
    change that breaks no rule, and signed with the right keys, only a pin can tell."""
    past = stage.past.copy().mend()
    before = {table: sorted(stage.connection.execute(f"SELECT * FROM {table}")) for table in tables.KEYS}
    with tables.undone(stage.connection):
        tables.write(past, stage.connection)
        assert before == {table: sorted(stage.connection.execute(f"SELECT * FROM {table}")) for table in tables.KEYS}
    past.entries["north"][7]["actor"] = "stf_9"
    past.mend()
    with tables.undone(stage.connection):
        tables.write(past, stage.connection)
        assert [] == tables.judge(stage.connection, []).findings
        assert tables.judge(stage.connection, stage.pins).findings
        assert tables.guard_refuses(stage.connection, stage.deployment.guard)
    folder.write(past, stage.folder / "export")
    assert not folder.judge(stage.folder / "export").found
    assert folder.judge(stage.folder / "export", stage.deployment.pin).found


SAMPLE = {name: 15 if campaign.cheap(name) else 1 for name in campaign.CLASSES}


@pytest.mark.parametrize("half", range(2))
def test_a_sample_of_every_class(deployment: Deployment, half: int) -> None:
    """A few mutations of each class; none is missed."""
    names = sorted(SAMPLE)[half::2]
    tally = campaign.run(deployment, {name: SAMPLE[name] for name in names}, seed=os.getpid())
    assert [] == tally.missed[:20]
    assert set(names) == set(tally.tried)
    assert {"database: table tree"} >= {name for name in names if not tally.tried[name]}


def test_stored_tree_nodes(long_deployment: Deployment) -> None:
    """The class that a short history has nothing for."""
    tally = campaign.run(
        long_deployment, {"database: table tree": 60, "database: derived rows deleted": 60}, seed=os.getpid()
    )
    assert [] == tally.missed


def test_no_false_alarm_while_a_writer_appends(tmp_path: Path) -> None:
    """Checks that run beside a writer and a publisher find nothing, each at its own moment, with a pin from before."""
    clock = FixedClock()

    async def run() -> int:
        async with opened(f"sqlite:///{tmp_path}/jifen.db", clock, whole=False) as ledger:
            office = Office(ledger, clock, tmp_path)
            for journal in history.JOURNALS:
                await office.open(journal)
            town = history.Town(office)
            await town.settle_in()
            await office.publisher.publish(epoch=True)
            pin, checks, busy = await office.published.note(""), 0, True

            async def write() -> None:
                nonlocal busy
                for _ in range(6):
                    await town.day()
                    await office.publisher.publish(epoch=True)
                busy = False

            writing = asyncio.create_task(write())
            while busy:
                report = await audit(ledger, pins=[pin])
                assert [] == report.findings
                checks += 1
            await writing
            return checks

    assert asyncio.run(run()) > 1


# the other database ---------------------------------------------------------------------------------------------------


@pytest.mark.schema("ledger")
async def test_postgresql_says_the_same(postgres_url: str, tmp_path: Path) -> None:
    """Rows of each table on PostgreSQL, with the owner's rights: found, and nothing is once it has been undone."""
    found = await asyncio.to_thread(history.build, tmp_path, days=4, url=postgres_url)
    draw = Stage(found, tmp_path / "stage", seed=os.getpid()).draw
    pins = [found.pin.read_bytes()]
    session = await asyncpg.connect(postgres_url)
    for table in ("entry", "head", "seal", "account_state"):
        await session.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    checks = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid > 16384"
    for table, name in await session.fetch(checks):
        await session.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    ledger = Ledger(postgres_url, SECRET, clock=FixedClock())
    await ledger.open()
    try:
        for table in tables.KEYS:
            row: Any = dict(draw.choice(await session.fetch(f"SELECT * FROM {table}") or [{}]))
            for column in draw.sample(sorted(row), min(2, len(row))):
                made = other_value_of(row[column], draw)
                if made is None or (column == "lots" and tables.read_json(made) == tables.read_json(row[column])):
                    continue
                changed = {**row, column: made}
                sql = f"UPDATE {table} SET {column} = $1 WHERE " + " AND ".join(
                    f"{key} = ${number}" for number, key in enumerate(tables.KEYS[table], 2)
                )
                try:
                    await session.execute(sql, made, *(row[key] for key in tables.KEYS[table]))
                except asyncpg.UniqueViolationError:
                    continue  # another row has that key already, and the database does not take a second
                assert (await audit(ledger, pins=pins)).findings, f"{table}.{column}: {row[column]!r} → {made!r}"
                await session.execute(sql, row[column], *(changed[key] for key in tables.KEYS[table]))
        assert [] == (await audit(ledger, pins=pins)).findings
    finally:
        await session.close()
        await ledger.close()


def other_value_of(value: Any, draw: Any) -> Any:
    """Another value that PostgreSQL can hold."""
    if isinstance(value, str):
        return draw.choice([one for one in other_text(value, draw) if "\0" not in one])
    if isinstance(value, int):
        return draw.choice([one for one in other_number(value, draw) if abs(one) < 2**62])
    return draw.choice(other_bytes(value, draw)) if isinstance(value, bytes) else None


@pytest.mark.long
def test_the_whole_campaign(long_deployment: Deployment) -> None:
    """200,000 mutations and more: none missed, and the untouched passes all the while."""
    alarms: list[Any] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(5):
            alarms.extend(
                tables.judge(tables.load(long_deployment.database), [long_deployment.pin.read_bytes()]).findings
            )

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        tally = campaign.run(long_deployment, campaign.long_counts(), jobs=os.cpu_count() or 1, progress=True)
    finally:
        over.set()
        watching.join()
    print(*tally.lines(), *tally.missed, sep="\n")
    print(*(f"not in the campaign: table {name} ({why})" for name, why in NOT_DERIVED.items()), sep="\n")
    assert [] == tally.missed[:20]
    assert [] == alarms
    assert sum(tally.tried.values()) >= 200_000
    assert len(tally.tried) >= 30
