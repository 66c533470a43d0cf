# SPDX-License-Identifier: Apache-2.0
"""The guardrails of the loader, by rules that must never run: real ones of 2020 and one or more for each guardrail."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from rules.engine.pack import PACKS, PackError, load_files, read_pack
from rules.engine.problem import Problem
from rules.engine.topics import EVERYWHERE, TOPICS, odd_character, topic_of

FORBIDDEN: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "fixtures" / "forbidden_rules.toml").read_text("utf-8")
)["forbidden"]
KEPT = {f"GR-{number}" for number in ["01", "02", "03", "04", "05", "07", "08", "11", "12", "18", "20", "25"]}


@lru_cache(maxsize=1)
def founding() -> dict[str, bytes]:
    """The frame of the founding pack: all but its rules, and but the sets that need them."""
    files = load_files(PACKS / "huantai")
    header = re.sub(r"(?m)^\[(?:highest|exclusion)_sets\.\w+\]\n(?:(?!\[).*\n?)*", "", files["pack.toml"].decode())
    texts = {name: data for name, data in files.items() if name.endswith(".txt")}
    return {
        **texts,
        "pack.toml": header.encode(),
        "groups.toml": files["groups.toml"],
        "bands.toml": files["bands.toml"],
    }


def with_rule(rule: str, group: str = "G3") -> dict[str, bytes]:
    """The founding pack with one rule."""
    header = tomllib.loads(founding()["pack.toml"].decode())
    source, category = next(iter(header["sources"])), next(iter(header["categories"]))
    head = f'group = "{group}"\n[[indicator]]\ncode = "XX-99"\ncategory = "{category}"\n'
    return {**founding(), "xx.toml": f'{head}citation = {{ source = "{source}" }}\n{rule}'.encode()}


def with_list(text: str) -> dict[str, bytes]:
    """The frame of the founding pack with a few rules of persons and bodies, and this list."""
    source = 'citation = { source = "record" }\n'
    grey = 'direction = "minus"\napproval = "second_person"\ngrey = "yes"\n'
    rules = {"G3": (("RE-01", ""),), "G5": (("MK-01", ""), ("MK-08", grey)), "G6": (("PR-01", ""),)}
    files = {**founding(), "lists.toml": f'[[list]]\ncode = "xx_list"\n{source}{text}'.encode()}
    for group, several in rules.items():
        tables = (
            f'[[indicator]]\ncode = "{code}"\nname = {{ zh = "规则{code}", en = "Rule {code}" }}\n{source}{more}'
            'category = "service"\nstanding = { kind = "fixed", amount = 1000 }\n'
            for code, more in several
        )
        files[f"{group.lower()}.toml"] = f'group = "{group}"\n{"".join(tables)}'.encode()
    return files


def with_edit(edit: dict[str, str]) -> dict[str, bytes]:
    """The founding pack with a change in one of its other files."""
    text = founding()[edit["file"]].decode()
    assert edit["find"] in text
    return {**founding(), edit["file"]: text.replace(edit["find"], edit["put"], 1).encode()}


def problems(files: dict[str, bytes]) -> tuple[Problem, ...]:
    """Why these files are refused; nothing when they are not."""
    try:
        read_pack(files)
    except PackError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("forbidden", FORBIDDEN, ids=lambda one: one["name"])
def test_what_the_product_refuses(forbidden: dict[str, Any]) -> None:
    """Refused under exactly its codes, at a line, in a zh and en sentence that names rule, guardrail and way out."""
    if "edit" in forbidden:
        files = with_edit(forbidden["edit"])
    elif "list" in forbidden:
        files = with_list(forbidden["list"])
    else:
        files = with_rule(forbidden["rule"], forbidden.get("group", "G3"))
    found = problems(files)
    assert set(forbidden["refused"]) == {problem.code for problem in found}
    for problem in found:
        zh, en = problem.says("zh"), problem.says("en")
        assert problem.line > 0 and str(problem.line) in zh and str(problem.line) in en
        if problem.code.startswith("GR-"):
            assert problem.code in zh and problem.code in en
            named = "xx_list" if "list" in forbidden else "XX-99"
            assert "edit" in forbidden or (named in zh and named in en)


def test_every_guardrail_of_the_loader_has_a_fixture() -> None:
    """None is kept by good will alone."""
    assert {code for one in FORBIDDEN for code in one["refused"] if code.startswith("GR-")} == KEPT
    assert set(TOPICS) <= KEPT


def test_the_frame_of_the_fixtures_is_sound() -> None:
    """A harmless rule in the same frame loads, so it is the rules that are refused and not the frame."""
    assert () == problems(
        with_rule('name = { zh = "参加清扫", en = "Cleaning" }\nstanding = { kind = "fixed", amount = 100 }\n')
    )


@pytest.mark.parametrize(
    ("text", "guardrail"),
    [
        ("信訪", "GR-07"),
        ("上 访", "GR-07"),
        ("上.访/登记", "GR-07"),
        ("信\u200b访", "GR-07"),
        ("ｐｅｔｉｔｉｏｎ", "GR-07"),
        ("p-e-t-i-t-i-o-n", "GR-07"),
        ("pеtitions", "GR-07"),  # a Cyrillic letter
        ("拖欠物業費", "GR-07"),
        ("計劃生育", "GR-07"),
        ("黨紀處分", "GR-07"),
        ("參軍光榮", "GR-12"),
        ("未 成 年 人 賬 戶", "GR-12"),
        ("限制乘坐高鐵", "GR-08"),
        ("Black-List", "GR-05"),
    ],
)
def test_disguises_do_not_help(text: str, guardrail: str) -> None:
    """Width, case, spaces, dots, invisible and traditional characters, letters of other scripts."""
    found = topic_of(text, EVERYWHERE)
    assert found is not None and guardrail == found[0]


@pytest.mark.parametrize(
    "text",
    [
        "无偿献血",
        "收支公示",
        "投诉答复",
        "居民提单",
        "民主议事",
        "sports competition",
        "minor street repair",
        "part of the sewage works",
        "部分志愿者",
        "incoming call answered",
    ],
)
def test_ordinary_words_pass(text: str) -> None:
    """Blood donation, accounts and competitions are no topics."""
    assert topic_of(text, tuple(TOPICS)) is None
    assert odd_character(text) is None


def test_points_for_paid_work_only_are_refused() -> None:
    """GR-25 is about what can be spent: the same words feed standing, as a duty well done."""
    rule = 'name = { zh = "节假日加班", en = "Shift" }\nstanding = { kind = "fixed", amount = 100 }\n'
    assert () == problems(with_rule(rule + 'work = "duty"\n'))


def test_insured_risky_work_is_welcome() -> None:
    """GR-25: with the field, its two words and the condition, the rule loads."""
    rule = """
name = { zh = "高处修剪树枝", en = "Pruning trees from a ladder" }
when = "insured == 'yes' && month(occurred_on) != 8"
standing = { kind = "fixed", amount = 100 }
points = { kind = "fixed", amount = 100 }
risk = "insured"
[[indicator.fields]]
name = "insured"
type = "enum"
label = { zh = "已投保", en = "Insured" }
values = { yes = { zh = "是", en = "yes" }, no = { zh = "否", en = "no" } }
"""
    assert () == problems(with_rule(rule))
