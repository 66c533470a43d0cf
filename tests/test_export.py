# SPDX-License-Identifier: Apache-2.0
"""The audit export: whole, atomic, and checked by the verifier that it carries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from api import cli
from ledger import note, verifier
from ledger.export import ExportRefused
from ledger.keys import parse_vkey
from tests.export_maker import PACK, PACKS, SECOND, Office, rich_history
from tests.ledgers import FixedClock, opened

pytestmark = pytest.mark.schema("ledger")


async def test_a_rich_history_is_exported_and_holds(database_url: str, tmp_path: Path) -> None:
    """Everything that entries can say passes the verifier, from both databases; the bytes are those stored."""
    clock = FixedClock()
    told: list[int] = []
    async with opened(database_url, clock, whole=False) as ledger:
        office = Office(ledger, clock, tmp_path)
        await rich_history(office)
        done = await office.export(tmp_path / "out", progress=told.append)
        assert 0o700 == (tmp_path / "out").stat().st_mode & 0o777
        rows = await ledger.fetch("SELECT body FROM entry WHERE journal = 'east' ORDER BY seq")
    answer = verifier.verify(str(tmp_path / "out"), jobs=1)
    assert answer["ok"], answer["lines"]
    assert (tmp_path / "out/east/entries.jsonl").read_bytes() == b"".join(bytes(row[0]) + b"\n" for row in rows)
    assert sum(told) == sum(done.journals.values()) and done.journals["east"] == len(rows)
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"manifest", "keys.json", "verify.py", "epoch/leaves.jsonl", f"packs/{PACK}/pack.json"} <= names
    assert {f"editions/edn_1/{name}" for name in ("published.json", "edition.json", "result.json", "note")} <= names
    assert {"east/checkpoint", "east/rotations", "west/entries.jsonl"} <= names


async def test_an_export_is_whole_or_not_there(tmp_path: Path) -> None:
    """Nothing is overwritten, and what fails half-way leaves no folder that looks like an export."""
    clock = FixedClock()
    async with opened(f"sqlite:///{tmp_path}/jifen.db", clock, whole=False) as ledger:
        office = Office(ledger, clock, tmp_path)
        with pytest.raises(ExportRefused, match="nothing has been recorded"):
            await office.export(tmp_path / "out")
        await office.open("east")
        await office.member("east", "sub_a")
        await office.award("east", "sub_a", "snow", points=100)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letter").write_text("x")
        with pytest.raises(ExportRefused, match="not empty"):
            await office.export(tmp_path / "mine")
        with pytest.raises(ExportRefused, match="no journal north"):
            await office.export(tmp_path / "out", journals=["north"])
        with pytest.raises(ExportRefused, match="rule pack"):
            await office.export(tmp_path / "out", packs={})
        assert not (tmp_path / "out").exists()
        with pytest.raises(ExportRefused, match="broken off"):
            await office.export(tmp_path / "out")
        (tmp_path / "empty").mkdir()
        await office.export(tmp_path / "empty", packs=PACKS)
        await office.publish_list("edn_1", "east")
        with pytest.raises(ExportRefused, match="list edn_1"):
            await office.export(tmp_path / "list", editions={})
    assert verifier.verify(str(tmp_path / "empty"), jobs=1)["ok"]


async def test_only_published_lists_are_exported(tmp_path: Path) -> None:
    """Those that an entry of the exported journals names, and none besides."""
    clock = FixedClock()
    async with opened(f"sqlite:///{tmp_path}/jifen.db", clock, whole=False) as ledger:
        office = Office(ledger, clock, tmp_path)
        for journal in ("east", "west"):
            await office.open(journal)
            await office.publish_list(f"edn_{journal}", journal)
        await office.publish_list("edn_both", "east", "west")
        drafts = {**office.editions, "edn_draft": office.editions["edn_both"]}
        for folder, journals in (("out", None), ("half", ["west"])):
            await office.export(tmp_path / folder, editions=drafts, journals=journals)
            answer = verifier.verify(str(tmp_path / folder), jobs=1)
            assert answer["ok"] and any("lists verify" in line for line in answer["cannot"]), answer["lines"]
    found = {folder: {path.name for path in tmp_path.glob(f"{folder}/editions/*")} for folder in ("out", "half")}
    assert {"out": {"edn_east", "edn_west", "edn_both"}, "half": {"edn_west", "edn_both"}} == found


async def test_what_is_recorded_meanwhile_waits_for_the_next_export(tmp_path: Path) -> None:
    """An export ends at its checkpoints; the key in force signs its manifest."""
    clock = FixedClock()
    async with opened(f"sqlite:///{tmp_path}/jifen.db", clock, whole=False) as ledger:
        office = Office(ledger, clock, tmp_path)
        await office.open("east")
        await office.change_key(SECOND)
        ahead: list[Any] = []

        def progress(_: int) -> None:
            ahead.append(office.member("east", f"sub_{len(ahead)}"))

        done = await office.export(tmp_path / "out", progress=progress)
        for step in ahead:
            await step
        assert {"east": 2} == done.journals
        again = await office.export(tmp_path / "again")
        assert again.journals["east"] == 2 + len(ahead)
    signed = note.parse_note((tmp_path / "out" / "manifest").read_bytes())
    assert note.verify(signed, [parse_vkey(SECOND.vkey)])
    pin = str(tmp_path / "out" / "epoch" / "checkpoint")
    assert verifier.verify(str(tmp_path / "again"), [pin], jobs=1)["anchored"]


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`jifen export` of a small town with its real rules; `verify-export` finds it good, and then a changed byte."""
    monkeypatch.setenv("JIFEN_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("JIFEN_DATABASE_URL", f"sqlite:///{tmp_path}/jifen.db")
    assert 0 == cli.main(["demo", "--people", "40", "--as-of", "2026-03-01", "--json"])
    assert 0 == cli.main(["export", str(tmp_path / "out")])
    assert 2 == cli.main(["export", str(tmp_path / "out")])
    capsys.readouterr()
    assert 0 == cli.main(["verify-export", str(tmp_path / "out"), "--jobs", "1"])
    assert capsys.readouterr().out.startswith("NOT ANCHORED")
    file = next(tmp_path.glob("out/37*/entries.jsonl"))
    file.write_bytes(file.read_bytes().replace(b'"seq":3', b'"seq":4', 1))
    assert 1 == cli.main(["verify-export", str(tmp_path / "out"), "--jobs", "1", "--json"])
    assert f"{file.parent.name}/3" == json.loads(capsys.readouterr().out)["findings"][0]["place"]
    assert 2 == cli.main(["verify-export", str(tmp_path / "nowhere")])
