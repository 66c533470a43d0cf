# SPDX-License-Identifier: Apache-2.0
"""The report: few people are never told apart, and the page and the workbook say what the figures say."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from api.backtests.html import render
from api.backtests.xlsx import workbook
from rules.backtest.compare import FEW, compare
from rules.backtest.history import EVENTS, PEOPLE, History
from rules.backtest.report import as_if_in_force
from rules.backtest.simulate import simulate
from tests.histories import FIRST, indicator, pack_of
from tests.test_api_cli import at, run  # noqa: F401  # pyright: ignore[reportUnusedImport]
from tests.tree import ROOT

LAST = FIRST + timedelta(days=30)


def fixed(code: str, amount: int) -> Any:
    return indicator(
        code, fields=(), standing={"kind": "fixed", "amount": amount}, points={"kind": "fixed", "amount": amount}
    )


CURRENT = pack_of(fixed("XX-01", 100), fixed("XX-02", 100), fixed("XX-03", 100), fixed("XX-04", 100))
DRAFT = pack_of(fixed("XX-01", 150), fixed("XX-03", 0), fixed("XX-04", 100), version="2.0.0")


def history(deeds: list[tuple[int, str, int | None]], people: int = 20) -> History:
    """Deeds (person, indicator, order of the reversal), 100 of each book posted for each; ten people to a grid."""
    events = [
        {
            "order": order * 2, "journal": "east", "seq": order, "subject": who, "indicator": code, "group": "G3",
            "occurred_on": FIRST + timedelta(days=order % 30), "posted_on": LAST, "takeover": False, "level": "E2",
            "facts": 0, "standing": 100, "points": 100, "outcome": "posted", "back": back, "pack": None,
        }
        for order, (who, code, back) in enumerate(deeds)
    ]  # fmt: skip
    rows = [(f"sub_{n:03d}", "person", "east", f"east-{n // 10}") for n in range(people)]
    rows += [("sub_lone", "person", "east", "east-9")]
    return History(
        pl.DataFrame(events, schema=dict(EVENTS)), pl.DataFrame(rows, schema=dict(PEOPLE), orient="row"), [{}]
    )


DEEDS: list[tuple[int, str, int | None]] = [
    *((n, "XX-01", None) for n in range(12)),
    *((n, "XX-02", None) for n in range(2)),
    *((n, "XX-03", None) for n in range(12, 18)),
    *((n, "XX-04", None) for n in range(6)),
    (19, "XX-01", 1),
    (19, "XX-01", None),
]


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    found = history(DEEDS)
    return compare(found, DRAFT, simulate(found, DRAFT), CURRENT, simulate(found, CURRENT), FIRST, LAST)


def test_old_is_the_ledger_and_new_is_the_draft(said: dict[str, Any]) -> None:
    """12 + 1 deeds at half as much again, six at nothing, two without a rule, six as before."""
    assert {"standing": 2700, "points": 2700} == said["totals"]["old"]
    assert {"standing": 2550, "points": 2550} == said["totals"]["new"]
    assert (27, 1, {"not_in_pack": 2}) == tuple(said["deeds"][name] for name in ("judged", "taken_back", "refused"))
    rules = {row["code"]: row for row in said["rules"]}
    assert (1300, 1950, 13) == (
        rules["XX-01"]["old"]["points"],
        rules["XX-01"]["new"]["points"],
        rules["XX-01"]["people"],
    )


def test_few_people_are_never_told_apart(said: dict[str, Any]) -> None:
    """A rule with two people goes together with the next smallest; a grid of one is not shown; small counts neither."""
    rules = {row["code"]: row for row in said["rules"]}
    assert {"XX-01", "XX-04", ""} == rules.keys() and rules[""]["people"] >= FEW
    assert all(row["people"] >= FEW for row in (*said["rules"], *said["grids"], *said["groups"], *said["deciles"]))
    assert "east-9" not in orjson.dumps(said).decode()
    assert [6] == [row["newly_out"] for row in said["people"] if row["kind"] == "person"]
    assert all(row["people"] is None or row["people"] >= FEW for row in said["grades"] if row["kind"] == "person")


def test_grids_have_their_places(said: dict[str, Any]) -> None:
    """By standing a head of everybody registered, old and new."""
    assert [("east-0", 1, 1), ("east-1", 2, 2)] == [
        (row["grid"], row["rank"]["old"], row["rank"]["new"]) for row in said["grids"] if row["rank"]
    ]


def test_a_draft_is_taken_as_if_it_had_held_all_along() -> None:
    """What begins with the draft is judged from the start of the range; an end stands, and so does an earlier start."""
    later = FIRST + timedelta(days=400)
    rules = (
        indicator("XX-01", effective={"from": later}),
        indicator("XX-02", effective={"from": FIRST, "to": LAST}),
        indicator("XX-03", effective={"from": FIRST + timedelta(days=9)}),
    )
    made = as_if_in_force(pack_of(*rules, effective_from=later), date(2020, 1, 1))
    days = {code: (rule.effective.from_, rule.effective.to) for code, rule in made.indicators.items()}
    assert {
        "XX-01": (date(2020, 1, 1), None),
        "XX-02": (FIRST, LAST),
        "XX-03": (FIRST + timedelta(days=9), None),
    } == days


class Page(HTMLParser):
    """Open elements, what is loaded, and the text of one language."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: Counter[str] = Counter()
        self.loaded: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] += 1
        self.loaded += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in ("meta", "input", "rect", "line"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page_stands_alone(said: dict[str, Any]) -> None:
    """Well formed, both languages, charts inside, nothing fetched, and markup in a name is text."""
    rules = [{**row, "name": {"zh": "<b>名</b>", "en": "A & B"}} for row in said["rules"]]
    text = render({**said, "rules": rules}, lambda code: f"网格{code}")
    page = Page(text)
    assert [] == page.open and [] == page.loaded and page.count["svg"] >= 3
    assert "<script" not in text and "url(" not in text and "@import" not in text
    assert "规则回测报告" in text and "Back-test of a rule pack" in text and "网格east-0" in text
    assert "<b>名" not in text and "&lt;b&gt;名" in text and "A &amp; B" in text
    assert "27.00" in text and "25.50" in text and "−1.50" in text


def test_the_workbook_has_figures_and_charts(said: dict[str, Any]) -> None:
    """A sheet a table, numbers as numbers, and charts that point at them."""
    with zipfile.ZipFile(io.BytesIO(workbook(said, str))) as book:
        names = book.namelist()
        assert 8 == sum(name.startswith("xl/worksheets/sheet") for name in names)
        charts = [book.read(name).decode() for name in names if name.startswith("xl/charts/chart")]
        assert len(charts) == 4 and all(chart.count("<c:ser>") == 2 for chart in charts)
        summary = book.read("xl/worksheets/sheet1.xml").decode()
        assert re.search(r"<v>27</v>", summary) and re.search(r"<v>25\.5</v>", summary)


def test_the_commands(
    at: Path,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new deployment: a back-test of nothing, its two files, a replay of nothing; a file is never written over."""
    assert run(capfd, monkeypatch, "init")[0] == 0
    page, book = at / "r.html", at / "r.xlsx"
    pack = ROOT / "rules/packs/huantai"
    asked = ("packs", "backtest", pack, "--from", "2022-01-01", "--to", "2022-12-31")
    status, out, _ = run(capfd, monkeypatch, *asked, "--out", page, "--xlsx", book, "--json")
    assert status == 0 and orjson.loads(out)["deeds"]["judged"] == 0
    assert page.read_text("utf-8").startswith("<!doctype html>") and zipfile.is_zipfile(book)
    status, out, err = run(capfd, monkeypatch, *asked, "--out", page)
    assert (2, "") == (status, out) and "is there already" in err
    status, out, _ = run(capfd, monkeypatch, "packs", "replay")
    assert status == 0 and "to the unit" in out
    status, out, err = run(capfd, monkeypatch, "packs", "replay", "--from", "tomorrow")
    assert (2, "") == (status, out) and "YYYY-MM-DD" in err
