# SPDX-License-Identifier: Apache-2.0
"""What a back-test's report calls things, in both languages, and how it writes amounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

PlaceName: TypeAlias = Callable[[str], str]
"""A place's public name, by its code; the code itself where the place is unknown."""


class Word(NamedTuple):
    """One thing, said twice."""

    zh: str
    en: str


WORDS = {
    "title": Word("规则回测报告", "Back-test of a rule pack"),
    "range": Word("行为日期", "Deeds from"),
    "draft": Word("待回测规则包", "Pack under test"),
    "current": Word("现行规则包", "Pack in force"),
    "totals": Word("总计", "Totals"),
    "old": Word("实际（台账）", "Actual (ledger)"),
    "held": Word("按现行规则", "Under the pack in force"),
    "new": Word("按新规则", "Under the new pack"),
    "change": Word("变化", "Change"),
    "standing": Word("信用分", "Standing"),
    "points": Word("兑换积分", "Points"),
    "budget": Word("预算（元）", "Budget (yuan)"),
    "budget_note": Word("1分兑换积分按1元计", "one redeemable point settles at one yuan"),
    "months": Word("各月兑换积分", "Points by month"),
    "month": Word("月份", "Month"),
    "rules": Word("各指标", "By indicator"),
    "rules_chart": Word("兑换积分变化最大的指标", "Indicators whose points change most"),
    "code": Word("编码", "Code"),
    "name": Word("名称", "Name"),
    "awards": Word("记录", "Awards"),
    "people": Word("人数", "People"),
    "refused": Word("不予计分", "Refused"),
    "cut": Word("被上限削减", "Cut by a cap"),
    "groups": Word("各群体", "By group"),
    "grids": Word("各网格（人均信用分名次）", "By grid, with its place by standing a head"),
    "community": Word("社区", "Community"),
    "grid": Word("网格", "Grid"),
    "rank": Word("名次", "Place"),
    "deciles": Word("按原积分由少到多分组的居民", "Residents, from the fewest points to the most"),
    "part": Word("组", "Part"),
    "moved": Word("谁受影响", "Who is affected"),
    "kind": Word("类别", "Kind"),
    "person": Word("个人", "Persons"),
    "body": Word("单位", "Bodies"),
    "with_awards": Word("有记录", "With awards"),
    "newly_in": Word("新获得", "Newly in"),
    "newly_out": Word("不再获得", "No longer in"),
    "more_points": Word("积分增加", "More points"),
    "fewer_points": Word("积分减少", "Fewer points"),
    "more_standing": Word("信用分增加", "More standing"),
    "less_standing": Word("信用分减少", "Less standing"),
    "grades": Word("等级变动", "Grades"),
    "from_grade": Word("原等级", "From"),
    "to_grade": Word("新等级", "To"),
    "grades_note": Word(
        "只算本期行为在起始信用分之上的得分，用来比较，不是任何人的实际等级。",
        "Opening standing plus what these deeds earn: for comparison, nobody's actual grade.",
    ),
    "caps": Word("上限命中率", "How often caps cut"),
    "cap": Word("上限", "Cap"),
    "limit": Word("限额", "Limit"),
    "hit_rate": Word("命中率", "Hit rate"),
    "reasons": Word("按新规则不予计分的原因", "Why deeds are refused under the new pack"),
    "others": Word("其余（不足5人，合并）", "Others (under five people, put together)"),
    "none": Word("没有", "None"),
    "method": Word("口径", "How this was computed"),
    "judged": Word("重新评定", "Judged again"),
    "carried": Word("只保留原数（当事人已注销，事由已删除）", "Carried as they were (erased people, facts gone)"),
    "taken_back": Word("已撤销，不计", "Taken back, left out"),
    "unreadable": Word("无法读取", "Unreadable"),
    "method_note": Word(
        "把本期每条记录按原有事实、证据等级和入账顺序重新评定一遍，视同新规则一直有效；重复项和审批结果沿用原样。"
        "不含姓名；不足5人的合并或不显示。",
        "Every award of the range judged again with its facts, evidence and order, as if the new pack had always held; "
        "duplicates and approvals stay as they were. No names; fewer than five people are put together or not shown.",
    ),
    "few": Word("不足5", "under 5"),
}  # fmt: skip

REASONS: Mapping[str, Word] = {
    "not_in_pack": Word("新规则中没有该指标", "no such indicator in the new pack"),
    "indicator_not_in_force": Word("当日指标未生效", "indicator not in force that day"),
    "entry_deadline_passed": Word("超过申报期限", "entered after the deadline"),
    "facts_invalid": Word("事实不全或超出范围", "facts missing or out of range"),
    "evidence_too_weak": Word("证据等级不足", "evidence too weak"),
    "condition_not_met": Word("不满足条件", "condition not met"),
    "other_hat": Word("当天已按另一身份计分", "another hat was worn that day"),
}
WINDOWS: Mapping[str, Word] = {
    "day": Word("日", "day"),
    "month": Word("月", "month"),
    "quarter": Word("季", "quarter"),
    "year": Word("年", "year"),
    "ever": Word("累计", "ever"),
}


def named(name: Mapping[str, str] | None, code: str) -> Word:
    """The name of an indicator or a group as the pack says it."""
    return Word(code, code) if name is None else Word(name["zh"], name["en"])


def amount(hundredths: int) -> str:
    """An amount in 分, with its two places."""
    return f"{Decimal(hundredths) / 100:,.2f}"


def signed(hundredths: int) -> str:
    """A change in 分, with its sign; a true minus, so that it lines up."""
    return "0.00" if not hundredths else f"{Decimal(hundredths) / 100:+,.2f}".replace("-", "−")


def rate(cap: Mapping[str, Any] | None) -> float | None:
    """The share of awards that a cap cut; None where it is no cap or nobody asked."""
    return cap["cut"] / cap["awards"] if cap is not None and cap["awards"] else None
