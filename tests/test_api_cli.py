# SPDX-License-Identifier: Apache-2.0
"""`jifen` as an operator meets it: exit statuses, one JSON document, a server that comes and goes."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from api import cli, jobs
from api.commands import UsageError
from api.commands.statement import write_private
from api.tables import StaffRow
from tests.tree import ROOT

PASSWORD = "correct horse battery"
PLACES = """编码,名称,层级,上级编码
370321,桓台县,county,
370321002,少海街道,street,370321
370321002003,中心社区,community,370321002
"""


@pytest.fixture
def at(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JIFEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JIFEN_DATABASE_URL", database_url)
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    return tmp_path


def run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *argv: str | Path, typed: str = ""
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    try:
        status = cli.main([str(word) for word in argv])
    except SystemExit as stopped:  # argparse's own
        status = int(stopped.code or 0)
    out, err = capfd.readouterr()
    return status, out, err


def test_a_deployment_from_nothing(
    at: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """init twice, the first account, places, a journal's window, verify; each says what it did."""

    def do(*argv: str | Path, typed: str = "", expect: int = 0) -> dict[str, Any]:
        status, out, err = run(capfd, monkeypatch, *argv, "--json", typed=typed)
        assert expect == status, (argv, out, err)
        return orjson.loads(out) if out else {"err": err}

    assert "jifen init" in do("verify", expect=2)["err"]
    assert do("init")["steps"]
    assert [] == do("init")["steps"]
    assert 0o700 == (at / "home").stat().st_mode & 0o777
    do("staff", "add", "admin", "--role", "county_admin", "--place", "370321", typed=PASSWORD + "\n")
    assert "king" not in do("staff", "add", "x", "--role", "king", "--place", "370321", typed=PASSWORD, expect=2)["err"]
    sheet = at / "places.csv"
    sheet.write_text(PLACES, encoding="utf-8")
    assert not do("import", "places", sheet)["committed"]
    assert "--as" in do("import", "places", sheet, "--commit", expect=2)["err"]
    wrong = do("import", "places", sheet, "--commit", "--as", "admin", typed="guess\n", expect=2)
    assert "[unauthenticated]" in wrong["err"]
    done = do("import", "places", sheet, "--commit", "--as", "admin", typed=PASSWORD + "\n")
    assert (True, 3) == (done["committed"], done["counts"]["new"])
    assert 3 == do("import", "places", sheet)["counts"]["duplicate"]
    assert not do("journal", "open", "370321002003")["opened"]
    assert 2 == do("journal", "close-takeover", "370321002003")["seq"]  # after entry 0 and the founding pack
    assert "[takeover_closed]" in do("journal", "close-takeover", "370321002003", expect=2)["err"]
    assert "[not_found]" in do("journal", "open", "370321", expect=2)["err"]
    assert do("verify")["ok"]
    assert set(jobs.JOBS) == do("jobs", "run")["jobs"].keys()
    assert {"holds": 0} == do("jobs", "run", "holds")["jobs"]
    assert "no such job" in do("jobs", "run", "nothing", expect=2)["err"]
    assert {"items": []} == do("approvals")
    assert do("template", "places", at / "places.xlsx")["bytes"] > 1000
    assert (at / "places.xlsx").read_bytes().startswith(b"PK")


def test_a_bad_sheet_is_one_and_a_bad_command_is_two(
    at: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that does not hold is 1 with its number; a file that is not there or not a sheet is 2; nothing changes."""
    run(capfd, monkeypatch, "init")
    sheet = at / "places.csv"
    sheet.write_text(PLACES + "370321009,孤街道,street,370999\n", encoding="utf-8")
    status, out, _ = run(capfd, monkeypatch, "import", "places", sheet)
    assert (1, True) == (status, "row 5 [parent_unknown]" in out)
    for argv in (
        ("import", "places", at / "missing.csv"),
        ("import", "places", at),
        ("import", "shoes", sheet),
        ("packs", "check", at / "missing"),
        ("serve", "--port", "x"),
        ("import", "people", sheet, "--indicator", "RE-01"),
        (),
    ):
        status, out, err = run(capfd, monkeypatch, *argv)
        assert (2, "") == (status, out) and err, argv
    (at / "photo.csv").write_bytes(b"\x89PNG\r\n\x1a\n")
    status, out, err = run(capfd, monkeypatch, "import", "people", at / "photo.csv")
    assert (2, "") == (status, out) and "sheet_unreadable" in err


def test_packs_are_checked_and_tested(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The founding pack holds; a broken one is 1 with file and way out."""
    pack = ROOT / "rules/packs/huantai"
    status, out, _ = run(capfd, monkeypatch, "packs", "test", pack, "--json")
    assert (0, True) == (status, orjson.loads(out)["ok"])
    broken = tmp_path / "pack"
    broken.mkdir()
    for path in pack.glob("*.toml"):
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "bands.toml").write_text('[[band]]\ncode = "A"\n', encoding="utf-8")
    status, out, _ = run(capfd, monkeypatch, "packs", "check", broken, "--json")
    assert (1, False) == (status, orjson.loads(out)["ok"])
    assert "bands.toml" in {problem["file"] for problem in orjson.loads(out)["problems"]}


async def test_lists_are_read_through_a_connection_that_cannot_write(at: Path, database_url: str) -> None:
    """Piccolo reads; the sequencer writes."""
    from api.settings import Settings
    from api.world import World

    world = World(Settings(database_url, at / "home"))
    await world.init()
    await world.open()
    try:
        assert [] == await StaffRow.select()
        await world.staff.create(None, "li", PASSWORD, [])
        assert ["li"] == await StaffRow.select(StaffRow.username).output(as_list=True)
        with pytest.raises(Exception, match=r"readonly|read-only"):
            await StaffRow.delete(force=True)
    finally:
        await world.close()


@contextmanager
def serving(*argv: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real server on a free port, and its address."""
    command = [sys.executable, "-m", "api", "serve", "--port", "0", *argv]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, process.communicate()
        for _ in range(200):
            try:
                httpx.get(f"{found[0]}/health")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_server_comes_up_answers_and_goes_down(
    at: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own event loop and parser; SIGTERM ends it with 0 within seconds, and of requests it says
    nothing that somebody sent."""
    run(capfd, monkeypatch, "init")
    workers = ("--workers", "2") if "postgresql" in os.environ["JIFEN_DATABASE_URL"] else ()
    with serving(*workers) as (process, url):
        assert {"status": "ok"} == httpx.get(f"{url}/health").json()
        answer = httpx.post(f"{url}/v1/sessions", json={"username": "li-xiuying", "password": "guess"})
        assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"])
        assert 400 == httpx.post(f"{url}/v1/sessions", content=b"{").status_code
        assert "server" not in answer.headers
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert 0 == process.returncode
    told = [orjson.loads(line) for line in err.splitlines()]
    assert ["signIn", "signIn"] == [one["operation"] for one in told if one["logger"] == "jifen.request"]
    assert "li-xiuying" not in err and "guess" not in err


def test_a_server_that_cannot_start_says_why(
    at: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No schema, a port in use, more processes than SQLite can serve: 2, with the way out."""
    status, _, err = run(capfd, monkeypatch, "serve", "--port", "0")
    assert (2, True) == (status, "jifen init" in err)
    run(capfd, monkeypatch, "init")
    status, _, err = run(capfd, monkeypatch, "serve", "--port", "70000")
    assert (2, True) == (status, "cannot listen" in err)
    if os.environ["JIFEN_DATABASE_URL"].startswith("sqlite"):
        status, _, err = run(capfd, monkeypatch, "serve", "--workers", "2")
        assert (2, True) == (status, "postgresql://" in err)


def test_what_says_what_one_person_did_is_its_owners_to_read(tmp_path: Path) -> None:
    """Receipts and statements that are written to files; one that is there is never written over."""
    write_private(tmp_path / "slip", b"x")
    assert 0o600 == (tmp_path / "slip").stat().st_mode & 0o777
    with pytest.raises(UsageError, match="File exists"):
        write_private(tmp_path / "slip", b"y")
