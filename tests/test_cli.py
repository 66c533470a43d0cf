# SPDX-License-Identifier: Apache-2.0
"""Every command of `jifen`: help, one JSON document, 0/1/2, errors on stderr, and templates that import when filled."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import xlsxwriter

from api import cli
from api.sheets.grid import shown
from api.sheets.read import read_sheet
from tests.test_layouts import GARDEN, PASSWORD, Office, office  # noqa: F401 (a fixture)
from tests.tree import ROOT

pytestmark = pytest.mark.schema()


def commands(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and sub-command."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield path
    for action in nested:
        for name, one in action.choices.items():
            yield from commands(one, (*path, name))


ALL = list(commands(cli.parser()))
# What each command is given to succeed, and what makes it end with 2; the office of the fixture is there.
GOOD: dict[tuple[str, ...], tuple[str, ...]] = {
    ("init",): (),
    ("guard", "adopt"): (),  # before anything is signed there is nothing to lose
    ("backup",): ("{folder}/a.backup",),
    ("keys", "show"): (),
    ("keys", "rotate"): (),
    ("verify",): (),
    ("journal", "open"): (GARDEN,),
    ("journal", "close-takeover"): (GARDEN,),
    ("packs", "check"): (str(ROOT / "rules/packs/huantai"),),
    ("packs", "test"): (str(ROOT / "rules/packs/huantai"),),
    ("packs", "backtest"): (str(ROOT / "rules/packs/huantai"), "--from", "2022-03-01", "--to", "2022-03-31"),
    ("packs", "replay"): (),
    ("packs", "list"): (),
    ("packs", "show"): ("1.1.0",),
    ("import",): ("people", "{folder}/people.csv"),
    ("template",): ("awards", "{folder}/t.xlsx"),
    ("approvals",): (),
    ("objections", "list"): (),
    ("anomalies",): ("--place", GARDEN, "--from", "2022-03-01", "--to", "2022-03-31", "--about", "spending"),
    ("liability",): ("--place", GARDEN, "--out", "{folder}/owed.csv"),
    ("fairness",): ("2022Q1", "--place", GARDEN, "--out", "{folder}/fair.html"),
    ("lists", "show"): ("--place", GARDEN),
    ("lists", "verify"): (),
    ("notice",): ("2022-03", "--community", GARDEN, "--out", "{folder}/notice.html"),
    ("staff", "add"): ("zhao", "--role", "approver", "--place", GARDEN),
    ("checkpoint",): (),
    ("proof", "inclusion"): (GARDEN, "0"),
    ("proof", "consistency"): ("epochs", "1"),
    ("receipt",): (GARDEN, "0"),
    ("guard", "show"): (),
    ("export",): ("{folder}/export",),
    ("verify-export",): ("{folder}/export",),
    ("witness", "show"): (),
    ("statements", "run"): ("2022-03",),
    ("statements", "check"): ("2022-03",),
    ("jobs", "run"): (),
}
BAD: dict[tuple[str, ...], tuple[str, ...]] = {
    ("backup",): ("{folder}/nowhere/a.backup",),
    ("restore",): ("{folder}/nothing",),
    ("keys", "recover"): ("--recovery-key", "{folder}/nothing"),
    ("verify",): ("--journal", "370321009"),
    ("journal", "open"): ("370321009001",),
    ("journal", "close-takeover"): ("370321009001",),
    ("packs", "check"): ("{folder}/nothing",),
    ("packs", "test"): ("{folder}/nothing",),
    ("packs", "backtest"): ("{folder}/nothing", "--from", "2022-03-01", "--to", "2022-03-31"),
    ("packs", "replay"): ("--from", "2022-03-31", "--to", "2022-03-01"),
    ("packs", "publish"): ("{folder}/nothing", "--as", "admin"),
    ("packs", "show"): ("9.9.9",),
    ("import",): ("awards", "{folder}/nothing.xlsx"),
    ("template",): ("awards", "{folder}/nowhere/t.xlsx"),
    ("anomalies",): ("--place", "370321009001", "--from", "2022-03-01", "--to", "2022-03-31"),
    ("liability",): ("--place", "370321009001"),
    ("fairness",): ("2022-03", "--place", GARDEN),
    ("lists", "draft"): ("grey", "2022-03", "--place", "370321009001", "--as", "admin"),
    ("lists", "freeze"): ("edn_nothing", "--as", "admin"),
    ("lists", "notify"): ("edn_nothing", "--as", "admin"),
    ("lists", "publish"): ("edn_nothing", "--as", "admin"),
    ("lists", "show"): ("edn_nothing",),
    ("lists", "verify"): ("--export", "{folder}/nothing"),
    ("notice",): ("2022-03", "--community", "370321009001", "--out", "{folder}/notice.html"),
    ("approve",): ("apr_nothing", "--as", "wang"),
    ("objections", "decide"): ("obj_nothing", "rejected", "--as", "wang", "--reason", "没有这件事"),
    ("reject",): ("apr_nothing", "--as", "wang", "--reason", "没有这件事"),
    ("staff", "add"): ("wang", "--role", "approver", "--place", GARDEN),
    ("jobs", "run"): ("everything",),
    ("demo",): ("--as-of", "tomorrow"),
    ("serve",): ("--port", "99999"),
    ("proof", "inclusion"): ("370321009001", "0"),
    ("proof", "consistency"): ("370321009001", "0", "1"),
    ("receipt",): ("370321009001", "0"),
    ("statement",): ("sub_nothing", "{folder}/s.json"),
    ("statements", "run"): ("2099-12",),
    ("statements", "check"): ("2099-12",),
    ("guard", "accept-loss"): ("--recovery-key", "{folder}/nothing", "--reason", "flood"),
    ("verify-export",): ("{folder}/nothing",),
    ("export",): ("{folder}",),
    ("erase",): ("sub_nothing", "--as", "wang"),
    ("witness", "add-log"): ("nothing",),
    ("witness", "add-witness"): ("nothing", "http://127.0.0.1:1"),
}


def test_every_command_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names the command, describes it and offers --json."""
    for words in ALL:
        with pytest.raises(SystemExit) as stopped:
            cli.main([*words, "--help"])
        out, err = capsys.readouterr()
        assert (0, "") == (stopped.value.code, err)
        assert out.startswith(f"usage: jifen {' '.join(words)}") and "--json" in out, words
        assert len(out.split("\n\n")[1].strip()) > 10, words


def test_every_command_answers_in_json_or_says_what_is_wrong(office: Office) -> None:  # noqa: F811
    """Done: 0 and one JSON document. Not to be done: 2, nothing on stdout, one message on stderr, no traceback."""
    assert set(ALL) == GOOD.keys() | BAD.keys()

    def fill(words: tuple[str, ...]) -> list[str]:
        return [word.replace("{folder}", str(office.folder)) for word in words]

    for words, rest in BAD.items():
        status, out, err = office.run(*words, *fill(rest), "--json")
        assert (2, "") == (status, out), (words, out, err)
        assert err.startswith(("jifen: ", "usage: ")) and "Traceback" not in err, (words, err)
        if "[" in err:
            assert "{" not in err, (words, err)
    for words, rest in GOOD.items():
        status, out, err = office.run(*words, *fill(rest), "--json")
        assert (0, "") == (status, err), (words, out, err)
        assert isinstance(orjson.loads(out), dict), words


def fill(office: Office, kind: str, *rows: dict[str, Any]) -> Path:  # noqa: F811
    """A template as somebody fills it in: below whatever it brings, under its own headers."""
    blank = office.folder / f"{kind}-blank.xlsx"
    office.do("template", kind, blank)
    grid = read_sheet(blank.read_bytes())
    path = office.folder / f"{kind}-filled.xlsx"
    book = xlsxwriter.Workbook(path)
    page = book.add_worksheet()
    for number, cells in zip(grid.numbers, grid.rows, strict=True):
        page.write_row(number - 1, 0, [shown(cell) for cell in cells])
    for at, row in enumerate(rows, start=max(grid.numbers)):
        assert row.keys() <= set(grid.headers), (row, grid.headers)
        for header, cell in row.items():
            page.write(at, grid.headers.index(header), cell)
    book.close()
    return path


def test_templates_import_when_they_are_filled_in(office: Office) -> None:  # noqa: F811
    """What `jifen template` writes, its notes row included, comes back in without a complaint."""

    def bring(kind: str, user: str, *rows: dict[str, Any]) -> dict[str, int]:
        done = office.do("import", kind, fill(office, kind, *rows), "--commit", "--as", user)
        assert done["committed"]
        return done["counts"]

    grid = {"编码": f"{GARDEN}-05", "名称": "兴旺花园第5网格", "层级": "网格", "上级编码": GARDEN}
    assert 1 == bring("places", "admin", grid)["new"]
    home = {"所属社区": "兴旺花园社区", "所属网格": "第5网格"}
    person = {
        "姓名": "孙丽华",
        "手机号": "19900000009",
        **home,
        "群体": "居民",
        "出生日期": "1960-05-06",
        "是否同意公示": "是",
    }
    assert 1 == bring("people", "wang", person)["new"]
    shop = {
        "名称": "兴旺便民超市",
        "类型": "市场主体",
        "所属社区": "兴旺花园社区",
        "联系人": "孙丽华",
        "电话": "19900000009",
    }
    assert 1 == bring("bodies", "wang", shop)["new"]
    deed = {
        "姓名": "孙丽华",
        "手机号": "19900000009",
        "服务日期": "2022-03-05",
        "签到时间": "09:00",
        "签退时间": "10:30",
    }
    blank = office.folder / "look.xlsx"
    office.do("template", "awards", blank)
    what = "指标编码" if "指标编码" in read_sheet(blank.read_bytes()).headers else "活动"
    assert 1 == bring("awards", "wang", deed | {what: "RE-01"})["posted"]


def test_an_unknown_setting_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    """Before anything is made, and as a process of its own would be."""
    env = {**os.environ, "JIFEN_HOME": str(tmp_path / "home"), "JIFEN_DATABASE": "sqlite:///x.db"}
    done = subprocess.run(
        [sys.executable, "-m", "api", "init", "--json"],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (2, "", "jifen: JIFEN_DATABASE: no such setting; did you mean JIFEN_DATABASE_URL?\n") == (
        done.returncode, done.stdout, done.stderr,
    )  # fmt: skip
    assert not (tmp_path / "home").exists()


def test_a_password_is_never_taken_from_the_command_line(office: Office) -> None:  # noqa: F811
    """No option carries one; a token that is not good is refused like a wrong password."""
    for words in ALL:
        out = office.run(*words, "--help")[1]
        assert "--password" not in out and "--token" not in out, words
    office.patch.setenv("JIFEN_TOKEN", "js_guessed_and_wrong")
    people = office.folder / "people.csv"
    status, out, err = office.run("import", "people", people, "--commit", "--as", "wang", typed=PASSWORD + "\n")
    assert (2, "") == (status, out) and "[unauthenticated]" in err
