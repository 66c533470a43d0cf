# SPDX-License-Identifier: Apache-2.0
"""Packs that mean harm, or would be slow, or were typed in a hurry: what each of them is told, and how soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import perf_counter

import pytest

from rules.engine.evaluate import Outcome, Refused, evaluate
from rules.engine.explain import render
from rules.engine.guardrails import HATS_MAX
from rules.engine.model import Pack
from rules.engine.mutation import BURDEN_MAX, burden
from rules.engine.pack import PACKS, PROBLEMS_MAX, PackError, builtin_pack, load_files, read_pack
from rules.engine.problem import Problem
from rules.engine.recount import recount
from rules.engine.topics import DOWNGRADING, EVERYWHERE, topic_of
from rules.publishing.gate import Finding, examples, gate, read
from tests.packs import FIXED, indicator, made

DAY = date(2024, 6, 1)
NUMBER = (
    '{{ name = "{name}", type = "int", unit = "{unit}", min = 0, max = {most}, label = {{ zh = "数", en = "N" }} }}'
)
PEOPLE_FILE = "g3-residents.toml"


def number(name: str, most: int, unit: str = "count") -> str:
    return NUMBER.format(name=name, most=most, unit=unit)


def judged(pack: Pack, facts: dict[str, int | str], used: dict[tuple[str, str], int] | None = None) -> Outcome:
    rule = next(iter(pack.indicators.values()))
    outcome = evaluate(
        pack, rule, facts=facts, evidence_level="E2", occurred_on=DAY, posted_on=DAY, used=used or {}
    )  # fmt: skip
    assert not isinstance(outcome, Refused)
    return outcome


def refused(files: dict[str, bytes]) -> tuple[Problem, ...]:
    with pytest.raises(PackError) as caught:
        read_pack(files)
    return caught.value.problems


def edited(file: str, find: str, put: str) -> dict[str, bytes]:
    """The founding pack with one slip in it."""
    files = load_files(PACKS / "huantai")
    assert find.encode() in files[file]
    return {**files, file: files[file].replace(find.encode(), put.encode(), 1)}


# --- numbers ---


def test_nothing_asked_of_a_cap_is_nothing_taken_away(tmp_path: Path) -> None:
    """A quantity of 0 under a cap with room earns what the rule gives for it, also when counted again."""
    caps = 'caps = [{ id = "day", on = "times", window = "day", max = 5 }]\n'
    pack = made(tmp_path, indicator("TT-01", f"fields = [{number('times', 9)}]\n{FIXED}{caps}"), head="")
    outcome = judged(pack, {"times": 0})
    assert (200, 200) == (outcome.standing, outcome.points) == recount(outcome.trace)
    outcome = judged(pack, {"times": 2}, {("TT-01/day", DAY.isoformat()): 5})
    assert (0, 0) == (outcome.standing, outcome.points) == recount(outcome.trace)


@pytest.mark.parametrize(
    "body",
    [
        'standing = { kind = "formula", expr = "min(big * 1024, 100)" }\n',
        f'when = "big * 1024 > 5"\n{FIXED}',
    ],
)
def test_no_number_on_the_way_is_too_large_for_a_trace(tmp_path: Path, body: str) -> None:
    """Within int64 and still more than JSON holds: refused at load, since every step is stored."""
    with pytest.raises(PackError) as no:
        made(tmp_path, indicator("TT-01", f"fields = [{number('big', 2**53 - 1)}]\n{body}"), head="")
    assert ["expression.out_of_range"] == [problem.code for problem in no.value.problems]


def test_money_beside_a_formula_is_told_in_what_the_formula_sees(tmp_path: Path) -> None:
    """3,000 yuan and 300,000 fen: the reader can follow the numbers of the condition; a count has its word."""
    body = (
        f'fields = [{number("gift", 10**7, "fen")}]\nwhen = "gift >= 10000"\n{FIXED}'
        'caps = [{ id = "times", on = "count", window = "year", max = 2 }]\n'
    )
    trace = judged(made(tmp_path, indicator("TT-01", body), head=""), {"gift": 300_000}).trace
    zh, en = render(trace, "zh"), render(trace, "en")
    assert "条件：数不少于10000，符合（数：3000元＝300000分钱）。" in zh and "次数每年最多2次" in zh
    assert "N is at least 10000; it holds (N: 3000 yuan = 300000 fen)." in en


# --- what would be slow ---


def test_more_changes_than_can_be_tried_are_not_begun(tmp_path: Path) -> None:
    """A condition of a hundred terms in each of many rules: refused by the reckoning, in a moment, by name."""
    terms = [f"times == {value}" for value in range(100, 200)]

    def tree(some: list[str]) -> str:
        half = len(some) // 2
        return some[0] if not half else f"({tree(some[:half])} || {tree(some[half:])})"

    shown = 'examples = [{ says = "x", on = 2024-06-01, facts = { times = 100 }, standing = 200, points = 200 }]\n'
    rule = f'fields = [{number("times", 600)}]\n{FIXED}when = "{tree(terms)}"\n{shown}'
    made(tmp_path, "\n".join(indicator(f"TT-{index:02d}", rule) for index in range(12)), head="")
    started = perf_counter()
    report = asyncio.run(gate(load_files(tmp_path), None))
    assert perf_counter() - started < 10
    (told,) = [finding for name, finding in report.findings() if name == "mutation"]
    assert ("mutation", "too_many_changes") == (report.failed, told.code)
    assert "TT-0" in told.zh and "TT-0" in told.en
    assert sum(burden(builtin_pack("huantai")).values()) < BURDEN_MAX / 5


def test_findings_stop_where_nobody_reads_on(tmp_path: Path) -> None:
    """A hundred wrong examples are listed, and the rest is counted."""
    wrong = "examples = [" + '{ says = "x", on = 2024-06-01, standing = 1 },' * (PROBLEMS_MAX + 30) + "]\n"
    stage = examples(made(tmp_path, indicator("TT-01", FIXED, wrong), head=""))
    assert PROBLEMS_MAX + 1 == len(stage.findings)
    assert "more_problems" == stage.findings[-1].code and "30" in stage.findings[-1].zh


def test_a_hat_has_a_limited_wardrobe(tmp_path: Path) -> None:
    """An award looks at the marks of the whole set, so a set is no way to make every award slow."""
    sets = '[exclusion_sets.hats]\nname = { zh = "组", en = "Set" }\nby = "day"\n'
    rules = (indicator(f"TT-{index:02d}", FIXED, 'exclusion = "hats"') for index in range(HATS_MAX + 1))
    with pytest.raises(PackError) as no:
        made(tmp_path, "\n".join(rules), head=sets)
    assert ["too_many"] == [problem.code for problem in no.value.problems]


# --- what is meant ill ---


def test_residents_are_persons_whatever_a_pack_calls_them() -> None:
    """Calling the residents' group a body would open the door to deductions."""
    residents = 'code = "G3"\nkind = "person"'
    problems = refused(edited("groups.toml", residents, residents.replace("person", "body")))
    assert ("GR-01", "groups.toml") in {(problem.code, problem.file) for problem in problems}


@pytest.mark.parametrize(
    ("guardrail", "texts"),
    [
        ("GR-07", "到北京告状 进京反映诉求 越级走访 向媒体爆料 微信群发言不当 群内散布负面信息 微博言论"),
        ("GR-07", "去教堂 清真寺 民族为汉族 维吾尔族 生育二胎 违反生育政策 离异家庭 精神病 残疾等级 A型血"),
        ("GR-07", "月薪 名下房屋 个人征信 欠物业费 按时交物業費 暖气费未交 党内警告 酒驾 行政拘留 违停 品行不端"),
        ("GR-07", "婚礼简办 丧事简办 邻里吵架 shang-fang"),
        ("GR-12", "儿子当兵 妻子 父母为党员 十六岁以下 16-岁以下"),
        ("GR-08", "不给开证明 不予发放 停止供水 不得进入小区 剥夺 拒绝开具证明"),
        ("GR-05", "红黑榜 失信人 曝光台 heimingdan"),
        ("GR-01", "扣分 每次扣5分 倒扣 降为D级 积分清零"),
    ],
)
def test_other_words_for_the_same_thing(guardrail: str, texts: str) -> None:
    """Synonyms, traditional characters and pinyin are refused like the words of the list."""
    for text in texts.split():
        found = topic_of(text, (*EVERYWHERE, *DOWNGRADING))
        assert found is not None and guardrail == found[0], text


@pytest.mark.parametrize(
    "text",
    [
        "appeal to higher authorities", "negative posts online", "church attendance", "second child",
        "unpaid property fee", "drunk driving", "quarrel with neighbours", "high school student",
        "banned from the market", "shame list", "deduct 10 points", "penalty",
    ],
)  # fmt: skip
def test_the_same_in_english(text: str) -> None:
    assert topic_of(text, (*EVERYWHERE, *DOWNGRADING)) is not None


def test_words_of_good_rules_pass() -> None:
    """Among them many in which a topic's characters stand side by side by chance."""
    good = (
        "停水停电通知张贴 停电应急 未成年人保护宣传 反邪教宣传 违停车辆劝导 公共收入公示 本条不扣分 商户折扣分享 "
        "目前科普讲座 产品行业规范 公告状况 方言论坛 面向媒体宣传 团结扎根社区 招引产业 报名下月活动 特征信息采集 "
        "集体访谈 重复访问 跟随礼仪队 暂停办公 扣除休息时间 递减，分段 抱负分享会 小型血压计义诊 电梯检测结果公示 "
        "诚信众筹 家属院清扫 教会老人用手机 扣好第一粒扣子 助残服务 护学岗 孝老爱亲先进 入户走访 投诉按时答复"
    )
    alarms = {text: found for text in good.split() if (found := topic_of(text, (*EVERYWHERE, *DOWNGRADING)))}
    assert {} == alarms
    assert topic_of("停水停电通知，欠水费") is not None  # what stands beside a harmless expression is looked at


# --- what was typed in a hurry ---

SLIPS: dict[str, tuple[str, str, str, str]] = {
    "no closing quote": (PEOPLE_FILE, 'category = "volunteering"', 'category = "volunteering', "14:12"),
    "Chinese quotes": (PEOPLE_FILE, 'category = "volunteering"', "category = “volunteering”", "14:12"),
    "a Chinese comma": (PEOPLE_FILE, 'on = "minutes", window', 'on = "minutes"， window', "19:31"),
    "a Chinese bracket": (PEOPLE_FILE, "caps = [", "caps = 【", "18:8"),
    "a unit behind a number": (PEOPLE_FILE, "amount = 100", "amount = 1分", "17:70"),
    "a leading zero": (PEOPLE_FILE, "amount = 100", "amount = 0100", "17:70"),
    "a fraction": (PEOPLE_FILE, "amount = 100", "amount = 0.5", "17:61"),
    "a number in quotes": (PEOPLE_FILE, "amount = 100", 'amount = "100"', "17:61"),
    "a small code": (PEOPLE_FILE, 'code = "RE-02"', 'code = "re-2"', "79:1"),
    "a code twice": (PEOPLE_FILE, 'code = "RE-02"', 'code = "RE-01"', "79:1"),
    "another group": (PEOPLE_FILE, 'group = "G3"', 'group = "居民"', "2:1"),
    "a mistyped field": (PEOPLE_FILE, 'field = "minutes"', 'field = "minute"', "17:31"),
    "a Chinese word": (PEOPLE_FILE, 'window = "day"', 'window = "每日"', "19:33"),
    "a day that is none": ("pack.toml", "effective_from = 2022-01-01", "effective_from = 2022-13-01", "20:18"),
    "a day with slashes": ("pack.toml", "effective_from = 2022-01-01", "effective_from = 2022/1/1", "20:18"),
    "a percentage": ("pack.toml", "share_percent = 2", "share_percent = 2%", "31:17"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told_once_and_where_it_is(slip: str) -> None:
    """One finding, with its place beside the sentence and not in it; no word of TOML, no pattern, no key of ours."""
    file, find, put, place = SLIPS[slip]
    found: list[Finding] = [
        finding for _, finding in read(edited(file, find, put)).findings() if finding.code != "overlap"
    ]
    assert [f"{file}:{place}"] == [finding.where for finding in found]
    for said in (found[0].zh, found[0].en):
        assert "TOML" not in said and "^[" not in said and "indicator[" not in said
        assert not said.startswith(file)


@pytest.mark.parametrize(
    "change", [lambda data: data.replace(b"\n", b"\r\n"), lambda data: data.replace(b"  {", b"\t{")]
)
def test_what_editors_do_to_a_file_is_no_slip(change: Callable[[bytes], bytes]) -> None:
    """Windows line ends and tabs load, and mean the same pack."""
    files = load_files(PACKS / "huantai")
    files[PEOPLE_FILE] = change(files[PEOPLE_FILE])
    assert builtin_pack("huantai").hash == read_pack(files).hash


def test_overlap_is_one_remark() -> None:
    """What may be meant is said once, with all the rules that it is about."""
    stages = {stage.name: stage for stage in read(load_files(PACKS / "huantai")).stages}
    (remark,) = stages["overlap"].findings
    assert "warned" == stages["overlap"].state
    assert "RE-05, RE-07" in remark.zh and "MK-08, MK-09" in remark.en and "exclusion" in remark.zh
