# SPDX-License-Identifier: Apache-2.0
"""What the pages of lists say, in both languages; periods, numbers and free text as they are written there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from api.messages import Lang
from rules.lists.texts import seen

Say = Callable[..., str]
"""`say(key, **facts)`: the words of a key in one language."""

WORDS: Mapping[str, tuple[str, str]] = {
    # kinds and states
    "ranking": ("网格排名", "Ranking of grids"),
    "honour": ("红榜", "Red list"),
    "reminder": ("灰榜（提醒榜）", "Grey list (reminders)"),
    "notice": ("一月一公示", "Monthly notice"),
    "preview": ("试算，未公示", "Preview, not published"),
    "draft": ("草稿，未公示", "Draft, not published"),
    "frozen": ("已封存数据，未公示", "Frozen, not published"),
    "notified": ("已告知当事单位，未公示", "Told in advance, not published"),
    "decided": ("已逐条决定，未公示", "Decided, not published"),
    "discarded": ("已作废", "Discarded"),
    "published": ("已公示", "Published"),
    "corrected": ("已被更正版替代", "Replaced by a correction"),
    # heads
    "period": ("期间", "Period"),
    "published_on": ("公示日期", "Published"),
    "version": ("第 {n} 版", "version {n}"),
    "corrects": ("本版更正第 {n} 版。", "Corrects version {n}. "),
    "corrected_by": ("这一版已被更正，请看新的一版", "This version has been corrected; see the new one"),
    "because": ("理由：{reason}", "Reason: {reason}"),
    "changes": ("更正内容", "What was corrected"),
    "item": ("项目", "Item"),
    "was": ("原来", "Was"),
    "is": ("现在", "Is"),
    "rows_added": ("新增 {n} 条。", "Rows added: {n}. "),
    "rows_changed": ("更改 {n} 条。", "Rows changed: {n}. "),
    "rows_removed": ("移出 {n} 条。", "Rows removed: {n}. "),
    "days": ("{start} 至 {end}", "{start} to {end}"),
    "other_language": ("English", "中文"),
    "print_a3": ("A3 打印", "A3"),
    "screen": ("大屏", "Screen"),
    # columns
    "no": ("序号", "No."),
    "name": ("名称", "Name"),
    "who": ("姓名", "Name"),
    "kind": ("种类", "Kind"),
    "body": ("单位", "Body"),
    "person": ("居民", "Resident"),
    "state": ("情况", "State"),
    "ranked": ("参加排名", "Ranked"),
    "ties": ("同名次网格数", "Grids at this rank"),
    "low": ("名次区间起", "Rank from"),
    "high": ("名次区间止", "Rank to"),
    "per_head_low": ("人均区间下限", "Per head from"),
    "per_head_high": ("人均区间上限", "Per head to"),
    "grid": ("网格", "Grid"),
    "place": ("所在社区", "Community"),
    "people": ("登记居民", "Residents on record"),
    "active": ("参与人数", "Took part"),
    "participation": ("参与率", "Participation"),
    "community": ("社区", "Community"),
    "budget": ("经费来源", "Budget line"),
    "fund": ("奖励资金（元）", "Fund (yuan)"),
    "flags": ("得旗网格", "Grids with a flag"),
    "counted": ("排名网格居民", "Residents in ranked grids"),
    "grids_ranked": ("排名网格", "Grids ranked"),
    "grids_too_few": ("人少未排名", "Too few to rank"),
    "grids_empty": ("无居民网格", "Empty grids"),
    "sums": ("合计", "All together"),
    "conditions": ("条件", "The conditions"),
    "awards": ("记录笔数", "Entries"),
    "gained": ("本期新增信用分", "Standing gained"),
    "gained_short": ("本期新增", "Gained"),
    "points": ("兑换积分", "Points"),
    "standing": ("信用分", "Standing"),
    "total": ("合计信用分", "Total"),
    "per_head": ("人均信用分", "Standing per head"),
    "gained_per_head": ("人均新增", "Gained per head"),
    "shrunken": ("收缩估计", "Shrunken"),
    "rank": ("名次", "Rank"),
    "interval": ("名次区间", "Rank interval"),
    "late": ("补记往期", "Late, of before"),
    "taken_back": ("撤回往期", "Taken back, of before"),
    "flag": ("旗", "Flag"),
    "matter": ("事项", "Matter"),
    "occurred_on": ("发生日期", "Day"),
    "until": ("最迟到期", "Until at the latest"),
    "reply": ("单位回应", "The body's reply"),
    "replied": ("单位回应：{text}", "The body's reply: {text}"),
    "no_reply": ("未作回应", "No reply"),
    "reason": ("决定理由", "Why it was decided"),
    "removed": ("已移出", "Since removed"),
    "removed_on": ("{day} 移出，不再显示名称", "Removed on {day}; its name is no longer shown"),
    # values
    "untold": ("不公布", "not told"),
    "unranked_too_few": ("不排名", "unranked"),
    "unranked_empty": ("无居民", "empty"),
    "too_few": ("人数太少，不参加排名", "Too few to be ranked"),
    "empty": ("没有登记居民", "Nobody on record"),
    "tied": ("{n} 并列", "{n}="),
    "and_points": ("积分 {n}", "points {n}"),
    "withheld": (
        "另有 {n} 人撤回了公示同意，不再显示。",
        "{n} more have withdrawn their consent to be named and are no longer shown.",
    ),
    # sections
    "summary": ("本期概况", "This period"),
    "grids": ("各网格", "Grids"),
    "bodies": ("单位", "Bodies"),
    "persons": ("居民（自愿公示，只列加分）", "Residents (by their own wish; gains only)"),
    "chart_gained": ("各网格本期新增信用分", "Standing gained by grid"),
    "chart_rank": ("各网格人均信用分与区间", "Standing per head by grid, with its interval"),
    "history": ("流动红旗记录", "Where the red flag has been"),
    "comments": ("社会监督意见", "What the public said"),
    "proof": ("怎样核对", "How to check this"),
    "objecting": ("怎样提异议", "How to object"),
    "method": ("怎样算的", "How it is worked out"),
    "no_grids": ("本社区还没有网格数据。", "No grid has anything to show yet."),
    "no_bodies": ("本期没有单位加分。", "No body gained anything in this period."),
    "persons_note": (
        "名字后面是本期新增的信用分；兑换积分另外注明。",
        "After each name: the standing gained; points are marked as such.",
    ),
    "no_persons": ("本期没有居民自愿公示。", "No resident asked to be named in this period."),
    "no_rows": ("本期没有上榜的{what}。", "There are no {what} on this list in this period."),
    "of_bodies": ("单位", "bodies"),
    "of_persons": ("居民", "residents"),
    "of_grids": ("网格", "grids"),
    "no_flags": ("还没有网格得过流动红旗。", "No grid has earned the flag yet."),
    "minor": (
        "另有 {n} 件轻微事项，只提醒、不上榜。",
        "{n} minor matters besides: a reminder was sent, nothing is posted.",
    ),
    "rest_on_paper": ("其余见纸质公示和网站。", "The rest is on paper and on the website."),
    # several communities together
    "roll_up": ("各社区网格排名汇总", "Rankings of all communities"),
    "together": ("各社区", "Communities"),
    "chart_participation": ("各社区参与率", "Participation by community"),
    "flags_and_funds": ("得旗网格与奖励资金", "Flags and funds"),
    "no_flags_now": ("本期没有网格得旗。", "No grid earned a flag in this period."),
    "waiting": ("尚未公示：{names}。", "Not yet published: {names}."),
    "comma": ("、", ", "),
    "no_rankings": ("这个期间还没有社区公示网格排名。", "No community has published a ranking for this period yet."),
    "together_note": (
        "把各社区已公示的网格排名放在一起，按社区代码排列。社区之间不排名：各社区人口、行业和起步时间不同，"
        "不宜比高低；排名只在同一个社区的网格之间进行。",
        "The published rankings of the communities side by side, in the order of their codes. Communities are not "
        "ranked against each other: they differ in people, trades and when they began. Ranks are among the grids of "
        "one community.",
    ),
    "ranked_only_note": (
        "参与率和信用分只算参加排名的网格；有社区不公布的数字，合计也不公布。",
        "Participation and standing are of ranked grids only; what one community does not tell is in no sum either.",
    ),
    "each_frozen_note": (
        "每个社区的排名各自封存、签名；点社区名看全部数字和核对办法。",
        "Each community's ranking is frozen and signed by itself; its name leads to all figures and how to check them.",
    ),
    # sentences
    "late_note": (
        "“补记往期”是上期公示以后才入账的往期记录，“撤回往期”是上期公示以后被撤回的往期记录；"
        "往期公示不改，在本期列明。",
        "Late: entries of earlier periods that came in after the last edition. Taken back: those reversed since. "
        "Earlier editions stay as they are; the difference is told here.",
    ),
    "privacy_note": (
        "居民只在自愿、隐名的前提下列出，只列加分；不想再公示的，到社区说一声，当天就从网页上撤下。",
        "Residents are named only masked, by their own wish and for gains; whoever changes their mind says so at the "
        "desk and is gone from the web page the same day.",
    ),
    "few_note": (
        "不足 {n} 人的数字不公布；为了不让人从合计倒推，有时多隐去一个。",
        "Numbers about fewer than {n} people are not told; sometimes one more is left out, so that no sum tells it.",
    ),
    "rank_note_standing": (
        "按{end}登记居民的人均信用分排名，分母是全体登记且同意参加排名的居民，不是只算有记录的人。"
        "同分同名次，后面的名次顺延。",
        "Ranked by standing per head of all residents on record on {end} who agree to be counted, not only of those "
        "with entries. Equal figures share a rank, and the next ranks are skipped.",
    ),
    "rank_note_gained": (
        "按本期人均新增信用分排名（含补记、减撤回），分母是全体登记且同意参加排名的居民。同分同名次，后面的名次顺延。",
        "Ranked by standing gained per head of all residents on record who agree to be counted (late entries in, "
        "reversed ones out). Equal figures share a rank, and the next ranks are skipped.",
    ),
    "interval_note": (
        "横线是 {percent}% 的区间：假如参与的居民略有不同，这个网格大致会落在哪里。区间重叠的网格，差别不宜看重。",
        "The line is the {percent} % interval: where the grid would come out had slightly different residents taken "
        "part. Where intervals overlap, little should be made of the difference.",
    ),
    "minimum_note": (
        "居民不足 {people} 人或参与不足 {active} 人的网格只列出，不排名。",
        "Grids with fewer than {people} residents or {active} who took part are listed and not ranked.",
    ),
    "flag_note": ("{name}：{conditions}；达到就得，没有名额限制。", "{name}: {conditions}; no quota."),
    "flag_per_head": ("人均不低于 {n} 分", "at least {n} per head"),
    "flag_participation": ("参与率不低于 {n}%", "at least {n} % took part"),
    "flag_fund": ("奖励资金 {yuan} 元", "fund {yuan} yuan"),
    "reminder_note": (
        "本榜只列单位的一般事项，用来提醒，不是处罚，也不影响任何基本公共服务。上榜前已送达告知书，"
        "单位有至少 {days} 个工作日说明情况，由两人核准。整改好了可以随时申请提前移出；到期自动移出。",
        "A reminder, not a penalty; it touches no basic public service. Each body was told beforehand, had at least "
        "{days} working days to answer, and two people approved. Once put right it may leave early at any time; at its "
        "term it leaves by itself.",
    ),
    "honour_note_person": (
        "达到条件后由评议人员逐个决定，并写明理由。",
        "Those who reach the thresholds are decided one by one by people, with reasons.",
    ),
    "honour_note_threshold": ("达到条件的全部列出，没有名额限制。", "All who reach the thresholds; no quota."),
    "objecting_note": (
        "对自己名下的任何一条都可以提异议：到社区服务窗口，或用自己的登录提出，写明理由即可。"
        "三个工作日内答复（要向他人核实的七个工作日），由没有经手的人决定。提出后马上标注“异议中”，办结前不进任何榜单和排名。",
        "Anybody may object to any line about them, at the desk of their community or with their own login, with a "
        "reason. The answer comes in three working days (seven where others must be asked), from somebody who had no "
        "part in it. Until then the entry is marked and counts for no list.",
    ),
    "objecting_short": (
        "有异议请到社区服务窗口提出，三个工作日内答复。",
        "To object, come to the desk: answered in three working days.",
    ),
    "proof_note": (
        "二维码是运营方签名的账簿检查点。请拍下留存：以后谁改动了这之前的任何一笔，用它一核对就会发现。"
        "把二维码里的文字存成文件 pin.txt，再运行 python verify.py 导出目录 --pin pin.txt。",
        "The QR code is the signed checkpoint of the books. Keep a photo: whoever changes anything before it is found "
        "out. Save its text as pin.txt and run python verify.py EXPORT --pin pin.txt.",
    ),
    "no_proof": ("检查点还没有签发，稍后再看。", "No checkpoint covers this yet; look again later."),
    "root": ("账簿根值", "Closing root"),
    "entries": ("{n} 笔", "{n} entries"),
    "epochs": ("总账，共汇总 {n} 次", "epoch log, {n}"),
    "digest": ("本期指纹（SHA-256）", "Digest of this edition (SHA-256)"),
    "rules": ("规则包", "Rules"),
    "frozen_at": ("数据截止", "Data as of"),
    # index
    "index": ("公示与榜单", "Notices and lists"),
    "index_note": (
        "每一期都封存、签名，可以下载核对；发现错误另出更正版，原版仍在。",
        "Every edition is frozen and signed and can be checked; a mistake is corrected by a new version, and the first "
        "one stays.",
    ),
    "no_editions": (
        "这里还没有公示过。每月公示在一个月结束以后贴出，排名和评选在一季或一年结束以后。",
        "Nothing has been published here yet. A month's notice is posted once the month is over, rankings and honours "
        "after a quarter or a year.",
    ),
    "all_places": ("全部社区", "All communities"),
    "pick_place": (
        "点社区或街道的名字，看它历次的公示；点月份或季度，看最近一期。",
        "The name of a community or street leads to all it has published; the month or quarter to the newest.",
    ),
}


AMOUNTS = frozenset(
    ("gained", "points", "late", "taken_back", "standing", "total", "per_head", "gained_per_head", "shrunken",
     "per_head_low", "per_head_high", "fund"),
)  # fmt: skip
"""Figures that are hundredths, of a 分 or of a yuan; the others are counts."""


def speaker(lang: Lang) -> Say:
    """The words of one language, facts filled in."""
    which = 0 if lang == "zh" else 1

    def say(key: str, **facts: Any) -> str:
        return WORDS[key][which].format(**facts)

    return say


_QUARTERS = ("一", "二", "三", "四")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def period(name: str, lang: Lang) -> str:
    """2026-11, 2026Q3 and 2026 in words."""
    year, part = name[:4], name[4:]
    if not part:
        return f"{year}年" if lang == "zh" else year
    number = int(part[1:])
    if part[0] == "Q":
        return f"{year}年第{_QUARTERS[number - 1]}季度" if lang == "zh" else f"{year}, quarter {number}"
    return f"{year}年{number}月" if lang == "zh" else f"{_MONTHS[number - 1]} {year}"


_GRID = re.compile(r"(?<=[^第])第?[0-9一二三四五六七八九十]+网格$")


def short(name: str, community: str) -> str:
    """A grid's name on its own community's wall: 兴旺花园第4网格 in 兴旺花园社区 is 第4网格."""
    found = _GRID.search(name)
    return found[0] if found is not None and community.startswith(name[: found.start()]) else name


_DAY = re.compile(r"(?<!\d)((?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9])(?!\d)")
_DIGIT = r"[\d零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖]"
_NUMBER = re.compile(rf"{_DIGIT}(?:[\s\-–—.·_/()（）*]{{0,2}}{_DIGIT}){{6,}}[xXｘＸ]?")


def hushed(text: str) -> str:
    """What people wrote, as far as it can be seen, with every number long enough to be a telephone's or an identity
    card's blotted out, however it is spaced and in whatever digits. Dates stay."""
    parts = _DAY.split(seen(text))
    parts[::2] = [_NUMBER.sub("＊＊＊", part) for part in parts[::2]]
    return "".join(parts)
