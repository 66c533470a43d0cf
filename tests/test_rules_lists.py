# SPDX-License-Identifier: Apache-2.0
"""Lists in a pack: what they may not say is in the forbidden rules; here slips, words, changes, examples, the hash."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from ledger import codec
from ledger.verifier import pack_json
from rules.engine.explain import amount
from rules.engine.list_wording import PARTS, list_statement
from rules.engine.lists import ListRule
from rules.engine.model import Pack
from rules.engine.pack import PACKS, builtin_pack, load_files, load_pack, read_pack
from rules.engine.wording import LANGS, Lang
from rules.lists.examples import failures
from rules.lists.mutation import burden, survivors
from rules.publishing.changes import changes
from rules.publishing.gate import BURDEN_MAX, examples, mutation, read
from tests.test_rules_forbidden import problems, with_list
from tests.tree import ROOT

RED = """
kind = "honour"
name = { zh = "红榜", en = "Red list" }
about = "bodies"
period = "month"
min_standing = 103000
"""
RANKING = """
kind = "ranking"
name = { zh = "网格排名", en = "Ranking" }
about = "grids"
period = "quarter"
"""
GREY = """
kind = "reminder"
name = { zh = "提醒榜", en = "Reminders" }
about = "bodies"
period = "month"
level = "E3"
decision = "person"
approvers = 2
notice_workdays = 5
"""
NOTICE = """
kind = "notice"
name = { zh = "每月公示", en = "Notice" }
about = "grids"
period = "month"
"""
FLAG = 'code = "red_flag", name = { zh = "红旗网格", en = "Red flag grid" }'
PAID = 'min_per_head = 1, fund_fen = 5, budget = "a"'
MEMBER = '{ name = "a", grid = "g", deeds = [{ indicator = "MK-01", on = 2022-05-01, standing = 3000 }] }'


def items(code: str, rest: str, times: int = 1) -> str:
    """What a reminder list does with a rule."""
    one = f'{{ indicator = "{code}", {rest} }}'
    return f"items = [{', '.join([one] * times)}]\n"


def second(text: str, code: str = "two") -> str:
    """Another list behind the first."""
    return f'[[list]]\ncode = "{code}"\ncitation = {{ source = "record" }}\n{text}'


def case(members: str, period: str = "2022-05", rows: str = "", times: int = 1) -> str:
    """Examples of these members."""
    one = f'{{ says = "例", period = "{period}", members = [{members}], rows = [{rows}] }}'
    return f"examples = [{', '.join([one] * times)}]\n"


def edited(*edits: tuple[str, str]) -> Pack:
    """The founding pack with its lists changed."""
    files = load_files(PACKS / "huantai")
    text = files["lists.toml"].decode()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return read_pack({**files, "lists.toml": text.encode()})


# what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "key", "allowed"),
    [
        (RED + 'colour = "red"\n', "unknown_key", "colour", "code, kind"),
        (RED.replace('"honour"', '"honor"'), "unknown_word", "kind", "ranking, honour"),
        (RED.replace('"bodies"', '"grids"'), "unknown_word", "about", "bodies, persons"),
        (RED.replace("min_standing = 103000\n", ""), "missing", "min_standing", "min_gained"),
        (RED.replace("103000", "100000"), "out_of_range", "min_standing", "> 100000"),
        (RED + "min_gained = 0\n", "out_of_range", "min_gained", "≥ 1"),
        (RED + 'metric = "gained"\n', "key_of_other_kind", "metric", "clean_months"),
        (RED + 'groups = ["G9"]\n', "unknown_group", "groups[0]", "G5"),
        (RED + 'groups = ["G3"]\n', "unknown_group", "groups[0]", "G5"),
        (RED + 'groups = ["G5", "G5"]\n', "duplicate_code", "groups[1]", "lists.toml"),
        (RED + 'indicators = ["MK-99"]\n', "unknown_indicator", "indicators[0]", "MK-01"),
        (RED + 'indicators = ["RE-01"]\n', "unknown_indicator", "indicators[0]", "MK-01"),
        (RED + 'indicators = ["MK-08"]\n', "unknown_indicator", "indicators[0]", "MK-01"),
        (RED + 'groups = ["G6"]\nindicators = ["MK-01"]\n', "unknown_indicator", "indicators[0]", "PR-01"),
        (RED + 'indicators = ["MK-01"]\nlevel = "E3"\n', "evidence_too_low", "indicators[0]", "≥ E3"),
        (RED + "clean_months = 13\n", "out_of_range", "clean_months", "≤ 12"),
        (RED + "approvers = 3\n", "unknown_word", "approvers", ""),
        (RED + "notice_workdays = 31\n", "out_of_range", "notice_workdays", "≤ 30"),
        (RANKING + "min_standing = 1\n", "key_of_other_kind", "min_standing", "flags"),
        (RANKING + "suppress_below = 4\n", "out_of_range", "suppress_below", "≥ 5"),
        (RANKING + "minimum = { people = 4 }\n", "out_of_range", "people", "≥ 5"),
        (RANKING + "minimum = { people = 9 }\nsuppress_below = 10\n", "out_of_range", "people", "≥ 10"),
        (RANKING + f"flags = [{{ {FLAG} }}]\n", "missing", "min_per_head", "min_participation"),
        (RANKING + f"flags = [{{ {FLAG}, min_participation = 101 }}]\n", "out_of_range", "min_participation", "≤ 100"),
        (RANKING + f"flags = [{{ {FLAG}, min_per_head = 1, fund_fen = 5 }}]\n", "missing", "budget", "budget"),
        (RANKING + f'flags = [{{ {FLAG}, min_per_head = 1, budget = "a" }}]\n', "missing", "fund_fen", "fund_fen"),
        (RANKING + f"flags = [{{ {FLAG}, {PAID} }}, {{ {FLAG.replace('red', 'blue')}, {PAID} }}]\n",
         "too_many", "flags[1].fund_fen", "≤ 1"),
        (RANKING + f"flags = [{{ {FLAG}, min_per_head = 1 }}, {{ {FLAG}, min_per_head = 1 }}]\n",
         "duplicate_code", "flags[1].code", "lists.toml"),
        (GREY, "missing", "items", "MK-08"),
        (GREY + items("MK-08", 'class = "ordinary"'), "missing", "months", "months = 12"),
        (GREY + items("MK-08", 'class = "minor", least = 5'), "key_of_other_kind", "least", "class"),
        (GREY + items("MK-08", 'class = "minor"', times=2), "duplicate_code", "items[1].indicator", "lists.toml"),
        (GREY + items("MK-01", 'class = "minor"'), "GR-02", "items[0].indicator", "grey"),
        (NOTICE.replace("month", "year"), "unknown_word", "period", "month"),
        (NOTICE + 'groups = ["G3"]\n', "key_of_other_kind", "groups", "suppress_below"),
        (NOTICE + second(NOTICE.replace("每月", "月月").replace("N", "M")), "second_notice", "kind", "xx_list"),
        (RED + second(RED.replace("Red", "Scarlet")), "duplicate_alias", "name", "xx_list"),
        (RED + second(RED.replace("红", "赤").replace("Red", "Scarlet"), "xx_list"), "duplicate_code", "code", "lists"),
        (RED + case(MEMBER, "2022Q1"), "wrong_form", "period", "2022-01"),
        (RED + case(MEMBER, "2022-5"), "wrong_form", "period", "2022"),
        (RED + case(f"{MEMBER}, {MEMBER}"), "duplicate_code", "name", "lists.toml"),
        (RED + case(MEMBER, rows='{ unit = "b" }'), "unknown_unit", "unit", "a"),
        (RED + case(MEMBER.replace("MK-01", "ZZ-01")), "unknown_indicator", "indicator", "RE-01"),
        (RED + case(MEMBER.replace('grid = "g"', 'grid = "g", groups = ["G9"]')), "unknown_group", "groups", "G5"),
    ],
)  # fmt: skip
def test_slips_are_told_where_they_are(text: str, code: str, key: str, allowed: str) -> None:
    """One slip, one problem, at its line, with what may stand there and what the list is called."""
    found = problems(with_list(text))
    assert code.split() == [problem.code for problem in found]
    problem = found[0]
    assert key in problem.path and allowed in problem.allowed
    assert problem.line > 0 and "lists.toml" in problem.says("zh") and "rule" in problem.says("en")


def test_a_list_is_one_of_a_few_with_few_examples() -> None:
    """Neither a flood of lists nor one of cases is computed."""
    several = "".join(
        second(RED.replace("红榜", f"榜{number}").replace("Red list", f"List {number}"), f"l{number}")
        for number in range(40)
    )
    crowd = ", ".join(f'{{ name = "m{number}", grid = "g", times = 1000 }}' for number in range(6))
    for text in (RED + several, RED + case(MEMBER, times=21), RED + case(crowd)):
        assert ["too_many"] == [problem.code for problem in problems(with_list(text))]


def test_a_slip_in_a_rule_is_no_slip_of_the_list_that_names_it() -> None:
    """A rule that could not be read is told of once, where it stands."""
    files = with_list(GREY + items("MK-08", 'class = "minor"'))
    files["g5.toml"] = files["g5.toml"].replace(b'grey = "yes"', b'grey = "no"')
    assert [("g5.toml", "unknown_word")] == [(problem.file, problem.code) for problem in problems(files)]


# the hash and the definition -----------------------------------------------------------------------------------------


def test_a_pack_without_lists_keeps_its_hash() -> None:
    """Packs that were published before there were lists are the same packs."""
    pack = load_pack(ROOT / "examples/packs/volunteer-hours")
    assert "522dca771b825ede40e51b28c03026b06b7f1694a930641889e761a21d02833c" == pack.hash and {} == pack.lists


def test_lists_are_hashed_as_they_are_stated() -> None:
    """Order and comments aside; a changed number is another pack, and the independent verifier says the same."""
    files = load_files(PACKS / "huantai")
    head, *tables = files["lists.toml"].decode().split("[[list]]\n")
    turned = "[[list]]\n".join([head + "# a remark\n", *(table.rstrip() + "\n\n" for table in reversed(tables))])
    founding = builtin_pack("huantai")
    assert founding.hash == read_pack({**files, "lists.toml": turned.encode()}).hash
    assert founding.hash != edited(("min_standing = 103000", "min_standing = 103001")).hash
    toml = {name: data for name, data in files.items() if name.endswith(".toml")}
    said = pack_json(toml)
    assert said is not None and founding.hash == hashlib.sha256(said).hexdigest()
    bare = {name: data for name, data in toml.items() if name != "lists.toml"}
    assert pack_json(bare) != said


def test_a_definition_says_every_default_and_no_example() -> None:
    """What an edition keeps can be read without this version of the software, and is canonical JSON."""
    said = builtin_pack("huantai").lists["grey"].definition()
    assert {"suppress_below": 5, "minimum": {"people": 50, "active": 10}, "metric": "standing"}.items() <= said.items()
    assert {"indicator": "PR-08", "class": "ordinary", "months": 6, "least": 1500} in said["items"]
    assert "examples" not in said and None not in said.values()
    assert said == codec.decode(codec.encode(said))


def test_minor_is_also_what_takes_little() -> None:
    """A slight matter under an ordinary rule is minor; the sign of the amount does not matter."""
    grey = builtin_pack("huantai").lists["grey"]
    estate, shop = grey.item("PR-08"), grey.item("MK-08")
    assert estate is not None and shop is not None and grey.item("MK-01") is None
    assert ["minor", "ordinary", "ordinary"] == [estate.class_of(amount) for amount in (-1499, -1500, 3000)]
    assert "ordinary" == shop.class_of(-1)


# words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
def test_every_threshold_is_said(lang: Lang) -> None:
    """Every number of a list stands in its sentences, in both languages, and where it comes from."""
    pack = builtin_pack("huantai")
    for rule in pack.lists.values():
        said = "\n".join(list_statement(pack, rule, lang))
        for number in _numbers(rule):
            assert re.search(rf"(?<![0-9.]){re.escape(number)}(?![0-9])", said), (rule.code, number, said)
        assert pack.sources[rule.citation.source].title in said
        assert not re.search(r"[{}]|None", said) and (lang == "zh") == ("依据：" in said)


def _numbers(rule: ListRule) -> set[str]:
    """As they are written: amounts in points and yuan, the others as they are."""
    amounts = [rule.min_standing, rule.min_gained, *(item.least for item in rule.items)]
    amounts += [number for flag in rule.flags for number in (flag.min_per_head, flag.fund_fen)]
    plain: list[Any] = [rule.clean_months, *(item.months for item in rule.items)]
    plain += [flag.min_participation for flag in rule.flags]
    if rule.kind == "ranking":
        plain += [rule.minimum.people, rule.minimum.active, rule.suppress_below]
    if rule.interval is not None:
        plain += [rule.interval.percent, rule.interval.replicates]
    if rule.notice_workdays:
        plain.append(rule.notice_workdays)
    return {amount(one) for one in amounts if one} | {str(one) for one in plain if one}


def test_a_list_as_it_hangs_on_the_wall() -> None:
    """In the words of somebody at the counter."""
    pack = builtin_pack("huantai")
    said = list_statement(pack, pack.lists["grids"], "zh")
    assert "红旗网格：人均满 1004 分、参与率满 20%；奖励 2000 元（党组织服务群众经费）" in said
    grey = list_statement(pack, pack.lists["grey"], "zh")
    assert "公布前先告知本人或本单位，留 5 个工作日答复" in grey and "由另外两人批准后公布" in grey
    models = list_statement(pack, pack.lists["models"], "en")
    assert "A person decides of each, with a reason; only who agreed is named, part of the name hidden" in models
    gained = edited(('metric = "standing"', 'metric = "gained"')).lists["grids"]
    assert "按当期人均所得信用分排名，同分同名次" in list_statement(pack, gained, "zh")


def test_every_key_has_its_sentence() -> None:
    """A key that is added to lists is said, or said to be said by another."""
    silent = {"code", "name", "kind", "about", "examples"}
    assert PARTS.keys() == ListRule.model_fields.keys() - silent


# changes -----------------------------------------------------------------------------------------------------------


def test_a_changed_list_is_told() -> None:
    """What it said and says, list by list; one that is new in all its words; examples change nothing for anyone."""
    founding = builtin_pack("huantai")
    told = {
        change.code: change.data()
        for change in changes(
            founding,
            edited(
                ("notice_workdays = 5", "notice_workdays = 7"),
                ("min_standing = 105000", "min_standing = 106000"),
                ('groups = ["G1"]\n', ""),
                ('zh = "网格考核排名"', 'zh = "网格排名"'),
                ('says = "年末', 'says = "到年末'),
            ),
        )
    }
    assert {"grey", "models", "workers", "grids"} == told.keys()
    assert ["公布前先告知本人或本单位，留 5 个工作日答复 → 公布前先告知本人或本单位，留 7 个工作日答复"] == told[
        "grey"
    ]["details"]["zh"]
    assert ["Standing of 1050 at least on the last day → Standing of 1060 at least on the last day"] == told["models"][
        "details"
    ]["en"]
    assert ["范围：社区工作者 → 范围：参加积分的居民"] == told["workers"]["details"]["zh"]
    assert ["名称：网格考核排名 → 网格排名"] == told["grids"]["details"]["zh"]
    files = {name: data for name, data in load_files(PACKS / "huantai").items() if name != "lists.toml"}
    bare = read_pack(files)
    new, gone = list(changes(bare, founding)), list(changes(founding, bare))
    assert [("added", code) for code in sorted(founding.lists)] == [(one.kind, one.code) for one in new]
    assert [("removed", code) for code in sorted(founding.lists)] == [(one.kind, one.code) for one in gone]
    assert {"期末信用分满 1050 分"} < {detail["zh"] for one in new if one.code == "models" for detail in one.details}


# examples ------------------------------------------------------------------------------------------------------------


def test_the_founding_lists_mean_what_they_say() -> None:
    """Every example comes out, and a change of any number or word of a list is noticed by one of them."""
    pack = builtin_pack("huantai")
    assert [] == list(failures(pack)) and all(rule.examples for rule in pack.lists.values())
    assert [] == survivors(pack)
    assert 0 < sum(burden(pack).values()) < 250


WRONG = (
    ("grids", 'flags = ["red_flag"]', "flags = []", "red_flag"),
    ("grids", '"grid_f", state = "too_few", people = 49 }', '"grid_f", state = "ranked" }', "too_few"),
    ("grey", "], minor = 1 }", "], minor = 2 }", "{'minor': 1}"),
    ("notice", "gained = 1100 }", "gained = 1400 }", "1100"),
    ("red", "standing = 104000 }, {", "standing = 105000 }, {", "104000"),
    ("shops", 'rows = [{ unit = "chosen" }, ', 'rows = [{ unit = "before" }, ', "chosen"),
)


def test_an_example_that_does_not_come_out_is_named() -> None:
    """With what it says and what was found; the gate stops there."""
    pack = edited(*((old, new) for _, old, new, _ in WRONG))
    found = {(one.indicator, said) for one in failures(pack) for *_, said in WRONG if said in one.found}
    assert {(code, said) for code, *_, said in WRONG} == found
    stage = examples(pack)
    assert ("failed", ["example_failed"] * len(WRONG)) == (stage.state, [one.code for one in stage.findings])
    assert {code for code, *_ in WRONG} == {one.path for one in stage.findings}


def test_what_no_example_holds_is_named() -> None:
    """A threshold without a case at its edge is told with the list and its key."""
    pack = edited(('{ name = "nearly", grid = "grid_a", base = 102999 },\n', ""))
    assert [("red", "min_standing", "103000 → 102999")] == [
        (one.indicator, one.path, one.change) for one in survivors(pack)
    ]
    unproven = read_pack(with_list(RANKING + f"flags = [{{ {FLAG}, min_per_head = 100100 }}]\n"))
    assert {"flags[0]", "flags[0].min_per_head"} == {one.path for one in survivors(unproven)}


def test_more_than_can_be_tried_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate says which list it is."""
    monkeypatch.setattr("rules.lists.mutation.BURDEN_MAX", 10)
    stage = mutation(builtin_pack("huantai"))
    assert ("failed", "too_many_changes", "grids") == (stage.state, stage.findings[0].code, stage.findings[0].path)
    assert "上限 10，" in stage.findings[0].zh and BURDEN_MAX > 10


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        (RED + 'metric = "gained"\n', "types"),
        (RED + "clean_months = 13\n", "ranges"),
        (GREY + items("MK-08", 'class = "minor", months = 1'), "guardrails"),
        (NOTICE + second(NOTICE), "overlap"),
        (NOTICE + second(RED), None),
    ],
)
def test_a_list_is_stopped_at_its_stage(text: str, stage: str | None) -> None:
    """Like a rule: form, types, ranges, guardrails, and what is in order goes on."""
    assert stage == read(with_list(text)).failed
