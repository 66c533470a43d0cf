# SPDX-License-Identifier: Apache-2.0
"""The register: the tree of places, how sheets name them, and who is at home where."""

from __future__ import annotations

from pathlib import Path

import pytest

import rules
from ledger.engine import MIGRATIONS, Ledger
from ledger.errors import Refusal
from ledger.port import PutRows
from rules.register import PLACE, SUBJECT, Place, Register, Tree, subject_row

pytestmark = pytest.mark.schema("ledger", "rules")

PLACES = [
    Place("370321", "桓台县", "county"),
    Place("370321001", "索镇街道", "street", "370321"),
    Place("370321002", "少海街道", "street", "370321"),
    Place("370321001005", "建设社区", "community", "370321001"),
    Place("370321002002", "兴旺花园社区", "community", "370321002"),
    Place("370321002003", "中心社区", "community", "370321002"),
    Place("370321001003", "中心", "community", "370321001"),
    Place("370321002002-01", "兴旺花园第1网格", "grid", "370321002002"),
    Place("370321002002-04", "兴旺花园第4网格", "grid", "370321002002"),
    Place("370321002002-14", "兴旺花园社区第十四网格", "grid", "370321002002"),
    Place("370321002002-05", "东区", "grid", "370321002002"),
    Place("370321002002-06", "东 区", "grid", "370321002002"),
    Place("370321002002-04-2", "2号楼", "building", "370321002002-04"),
]


@pytest.fixture
def tree() -> Tree:
    return Tree.of(PLACES)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("兴旺花园社区", "370321002002"),
        ("兴旺花园", "370321002002"),
        (" 兴旺 花园社区 ", "370321002002"),
        ("370321002002", "370321002002"),
        ("建设", "370321001005"),
        ("中心", None),
        ("中心社区", "370321002003"),
        ("少海街道", None),
        ("花园社区", None),
        ("", None),
    ],
)
def test_a_community_matches_by_code_or_name(tree: Tree, text: str, code: str | None) -> None:
    """With or without 社区; a word that two communities answer to matches neither."""
    found = tree.match_community(text)
    assert code == (found.code if found else None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("第4网格", "370321002002-04"),
        ("兴旺花园第4网格", "370321002002-04"),
        ("兴旺花园社区第4网格", "370321002002-04"),
        ("370321002002-04", "370321002002-04"),
        ("第四网格", "370321002002-04"),
        ("04网格", "370321002002-04"),
        ("第14网格", "370321002002-14"),
        ("第２网格", None),
        ("东区", None),
        ("370321002002-05", "370321002002-05"),
        ("370321001005-01", None),
        ("网格", None),
    ],
)
def test_a_grid_matches_inside_its_community(tree: Tree, text: str, code: str | None) -> None:
    """By code, full name, or the name less the community's; two grids of one name match neither."""
    found = tree.match_grid(text, "370321002002")
    assert code == (found.code if found else None)
    assert tree.match_grid(text, "370321002003") is None


async def test_the_tree_is_read_again_when_it_changed(database_url: str) -> None:
    """What covers what, whose journal a grid belongs to, and a change by another process."""
    ledger = Ledger(database_url, bytes(32))
    await ledger.open()
    try:
        await ledger.store.migrate({"ledger": MIGRATIONS, "rules": Path(rules.__file__).parent / "migrations"})
        register, other = Register(ledger), Register(ledger)
        await other.reload()
        await ledger.submit(PutRows(puts=tuple((PLACE, place.row(1)) for place in PLACES)))
        await register.reload()
        await other.refresh()
        for each in (register, other):
            assert "370321002002" == each.community_of("370321002002-04-2")
            assert each.covers("370321", "370321002002-04-2")
            assert each.covers("370321002002-04", "370321002002-04")
            assert not each.covers("370321001", "370321002002-04")
            assert not each.covers("370321002002-04", "370321002002")
        assert ["370321001", "370321002"] == [place.code for place in register.children("370321")]
        assert 5 == len(register.grids_under("370321002"))
        with pytest.raises(Refusal, match="not_found"):
            register.community_of("370321002")
        with pytest.raises(Refusal, match="not_found"):
            register.place("999")
        await ledger.submit(PutRows(puts=((PLACE, Place("370321", "桓台", "county").row(2)),)))
        await other.refresh()
        assert "桓台" == other.place("370321").name
    finally:
        await ledger.close()


async def test_subjects_have_hats(database_url: str) -> None:
    """Every person is a resident beside other hats, a body is not; unknown and erased ones are refused by name."""
    ledger = Ledger(database_url, bytes(32))
    await ledger.open()
    try:
        await ledger.store.migrate({"ledger": MIGRATIONS, "rules": Path(rules.__file__).parent / "migrations"})
        home, grid = "370321002002", "370321002002-04"
        rows = [
            subject_row("sub_a", "person", home, grid, ["G4", "G2"], 1),
            subject_row("sub_b", "body", home, home, ["G5"], 1),
            subject_row("sub_c", "person", home, grid, [], 1, state="erased"),
        ]
        await ledger.submit(PutRows(inserts=tuple((SUBJECT, row) for row in rows)))
        register = Register(ledger)
        assert ("G2", "G3", "G4") == (await register.subject("sub_a")).groups
        assert ("G5",) == (await register.subject("sub_b")).groups
        with pytest.raises(Refusal, match="subject_erased"):
            await register.subject("sub_c")
        with pytest.raises(Refusal, match="subject_unknown"):
            await register.subject("sub_d")
    finally:
        await ledger.close()
