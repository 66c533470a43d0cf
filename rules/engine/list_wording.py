# SPDX-License-Identifier: Apache-2.0
"""What a list says, in words, as it can be put on a wall beside the list: who, by what, when, and who agrees.

Each key of a list is one sentence, so that a change of a key is told in the words that it had and has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rules.engine.explain import amount
from rules.engine.lists import Flag, Item, ListRule
from rules.engine.model import Name, Pack
from rules.engine.wording import Lang, points

_EVERY = {
    "zh": {"month": "每月一次", "quarter": "每季度一次", "year": "每年一次"},
    "en": {"month": "Every month", "quarter": "Every quarter", "year": "Every year"},
}
_ALL = {
    "zh": {"grids": "各网格，按同意参加排名的居民", "bodies": "全部单位和商户", "persons": "参加积分的居民"},
    "en": {"grids": "grids, by residents who agreed to it", "bodies": "all bodies and shops", "persons": "residents"},
}


def list_statement(pack: Pack, rule: ListRule, lang: Lang) -> list[str]:
    """The list in sentences: whom it is about first, where it comes from last."""
    return [said for key in PARTS if (said := part(pack, rule, key, lang))]


def part(pack: Pack, rule: ListRule, key: str, lang: Lang) -> str:
    """What one key of a list says; nothing where it says nothing of such a list."""
    return PARTS[key](pack, rule, lang == "zh")


def _about(pack: Pack, rule: ListRule, zh: bool) -> str:
    lang = "zh" if zh else "en"
    if rule.kind == "notice":
        return (
            "各网格合计、各单位的增减，以及同意公示的个人的加分；个人姓名隐去一部分"
            if zh
            else "Totals of every grid, what bodies gained and lost, and what persons gained who agreed to be named, "
            "part of the name hidden"
        )
    if not rule.groups:
        who = _ALL[lang][rule.about]
    else:
        named = ("、" if zh else ", ").join(_called(pack.groups[code].name, zh) for code in rule.groups)
        who = (f"各网格，按其{named}" if zh else f"grids, by their {named}") if rule.about == "grids" else named
    return f"范围：{who}" if zh else f"About {who}"


def _period(pack: Pack, rule: ListRule, zh: bool) -> str:
    return _EVERY["zh" if zh else "en"][rule.period]


def _metric(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.kind != "ranking":
        return ""
    if rule.metric == "standing":
        return (
            "按期末人均信用分排名，同分同名次"
            if zh
            else "Ranked by standing per head on the last day; ties share a rank"
        )
    return "按当期人均所得信用分排名，同分同名次" if zh else "Ranked by standing gained per head; ties share a rank"


def _min_standing(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.min_standing is None:
        return ""
    least = points(rule.min_standing, "zh" if zh else "en")
    return f"期末信用分满 {least}" if zh else f"Standing of {least} at least on the last day"


def _min_gained(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.min_gained is None:
        return ""
    least = points(rule.min_gained, "zh" if zh else "en")
    return f"当期所得信用分满 {least}" if zh else f"Standing gained in the period: {least} at least"


def _indicators(pack: Pack, rule: ListRule, zh: bool) -> str:
    if not rule.indicators:
        return ""
    named = (f"{code} {_called(pack.indicators[code].name, zh)}" for code in rule.indicators)
    return f"当期有记入：{'、'.join(named)}" if zh else f"With an award of the period under {', '.join(named)}"


def _level(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.level in ("E0", "E1"):
        return ""
    return f"只计证据要求在 {rule.level} 以上的项目" if zh else f"Only rules that ask {rule.level} or better count"


def _clean_months(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.clean_months is None:
        return ""
    months = rule.clean_months
    return f"到期末为止 {months} 个月内没有灰榜扣分" if zh else f"No grey-list deduction in the last {months} month(s)"


def _minimum(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.kind != "ranking":
        return ""
    people, active = rule.minimum.people, rule.minimum.active
    return (
        f"计入的人不足 {people} 人，或当期有记录的不足 {active} 人的网格，只列出、不排名"
        if zh
        else f"Grids with fewer than {people} people, or fewer than {active} with an award, are shown and not ranked"
    )


def _suppress(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.kind not in ("ranking", "notice"):
        return ""
    below = rule.suppress_below
    return f"少于 {below} 人的数字不公布" if zh else f"Numbers of fewer than {below} people are not told"


def _interval(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.interval is None:
        return ""
    percent, times = rule.interval.percent, rule.interval.replicates
    return (
        f"名次旁附 {percent}% 区间（重复抽样 {times} 次），区间重叠的网格差别不大"
        if zh
        else f"Beside each rank a {percent}% interval ({times} resamplings); where two overlap they differ little"
    )


def _shrink(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.shrink is None:
        return ""
    return "另附按网格大小校正的数" if zh else "With a second figure that allows for the size of the grid"


def _flags(pack: Pack, rule: ListRule, zh: bool) -> str:
    return ("；" if zh else "; ").join(_flag(flag, zh) for flag in rule.flags)


def _flag(flag: Flag, zh: bool) -> str:
    needs: list[str] = []
    if flag.min_per_head is not None:
        least = amount(flag.min_per_head)
        needs.append(f"人均满 {least} 分" if zh else f"{least} per head")
    if flag.min_participation is not None:
        needs.append(f"参与率满 {flag.min_participation}%" if zh else f"{flag.min_participation}% taking part")
    said = f"{_called(flag.name, zh)}：{'、'.join(needs)}" if zh else f"{flag.name.en}: {' and '.join(needs)}"
    if flag.fund_fen is None:
        return said
    fund = amount(flag.fund_fen)
    return f"{said}；奖励 {fund} 元（{flag.budget}）" if zh else f"{said}; {fund} yuan from {flag.budget}"


def _items(pack: Pack, rule: ListRule, zh: bool) -> str:
    return ("；" if zh else "; ").join(_item(pack, item, zh) for item in rule.items)


def _item(pack: Pack, item: Item, zh: bool) -> str:
    name = f"{item.indicator} {_called(pack.indicators[item.indicator].name, zh)}"
    if item.class_ == "minor":
        return f"{name}：轻微，不公示" if zh else f"{name}: minor, not posted"
    said = f"{name}：最多公示 {item.months} 个月" if zh else f"{name}: posted for {item.months} month(s) at most"
    if item.least is None:
        return said
    least = amount(item.least)
    return f"{said}，扣分不到 {least} 分的算轻微、不公示" if zh else f"{said}, and not at all where less than {least}"


def _decision(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.kind == "reminder":
        return (
            "逐条由人确认；有异议的，处理完之前不公示；整改好的当即移出"
            if zh
            else "A person confirms each; what is disputed is not posted before it is decided; what is put right comes "
            "off at once"
        )
    if rule.kind != "honour":
        return ""
    if rule.decision == "threshold":
        return "达到条件即列入" if zh else "Whoever reaches this is on it"
    own = "；只列同意公示的人，姓名隐去一部分" if rule.about == "persons" else ""
    own_en = "; only who agreed is named, part of the name hidden" if rule.about == "persons" else ""
    return f"逐个由人决定并写明理由{own}" if zh else f"A person decides of each, with a reason{own_en}"


def _notice_workdays(pack: Pack, rule: ListRule, zh: bool) -> str:
    days = rule.notice_workdays
    if not days:
        return ""
    return (
        f"公布前先告知本人或本单位，留 {days} 个工作日答复"
        if zh
        else f"Whoever is on it is told first and has {days} working days to answer"
    )


def _approvers(pack: Pack, rule: ListRule, zh: bool) -> str:
    if rule.approvers == 1:
        return "由另一人批准后公布" if zh else "Published when another person has approved it"
    return "由另外两人批准后公布" if zh else "Published when two other people have approved it"


def _citation(pack: Pack, rule: ListRule, zh: bool) -> str:
    title = pack.sources[rule.citation.source].title
    cited = f" {rule.citation.part}" if rule.citation.part else ""
    quote = f"：“{rule.citation.quote}”" if rule.citation.quote else ""
    return f"依据：{title}{cited}{quote}" if zh else f"Source: {title}{cited}{quote}"


def _note(pack: Pack, rule: ListRule, zh: bool) -> str:
    return rule.note or ""


def _called(name: Name, zh: bool) -> str:
    return name.zh if zh else name.en


PARTS: Mapping[str, Callable[[Pack, ListRule, bool], str]] = {
    "groups": _about,
    "period": _period,
    "metric": _metric,
    "min_standing": _min_standing,
    "min_gained": _min_gained,
    "indicators": _indicators,
    "clean_months": _clean_months,
    "items": _items,
    "level": _level,
    "minimum": _minimum,
    "suppress_below": _suppress,
    "interval": _interval,
    "shrink": _shrink,
    "flags": _flags,
    "decision": _decision,
    "notice_workdays": _notice_workdays,
    "approvers": _approvers,
    "note": _note,
    "citation": _citation,
}
"""By key of a list, in the order in which they are said."""
