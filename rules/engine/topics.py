# SPDX-License-Identifier: Apache-2.0
"""What no rule may be about, as words: guardrails GR-05, 07, 08, 12 and 25, and texts that only look harmless.

Words are compared after folding: one width, one case, simplified characters, nothing but letters and digits. So
neither spaces, dots and invisible characters nor 信訪 for 信访 hide anything. The lists hold whole expressions rather
than single words, because 处分 is a topic and 部分 is not. An English one stands for whole words, or with `*` for every
word that begins so: a competition is no petition.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

TOPICS: dict[str, tuple[str, ...]] = {
    "GR-07": (
        # petitions and speech
        *("信访", "上访", "缠访", "闹访", "举报他人", "网络言论", "网上言论", "不实言论", "不当言论", "发表言论"),
        *("网络发帖", "网上发帖", "负面帖", "转发谣言", "散布谣言", "造谣传谣"),
        # belief, ethnicity, family planning
        *("宗教", "信教", "教徒", "民族成份", "民族成分", "少数民族", "民族身份", "婚育", "计划生育", "计生", "超生"),
        *("生育状况", "生育情况", "二孩", "三孩", "未婚", "离婚", "婚姻状况"),
        # health and body
        *("疾病", "病史", "病历", "患病", "健康状况", "体检结果", "献血量", "血型", "基因", "指纹"),
        # money and debts
        *("收入", "存款", "房产", "不动产", "纳税", "缴税", "个税", "保险金额", "有价证券", "债务", "负债", "欠债"),
        *("欠款", "网贷", "失信被执行", "欠费", "欠缴", "未缴", "未交费", "不交费", "不缴费", "拖欠", "缴费记录"),
        *("按时缴费", "缴费及时", "按时缴纳", "及时缴纳", "催缴", "滞纳"),
        # discipline, minor penalties, neighbours' morals, weddings and funerals
        *("党纪", "政纪", "处分", "行政处罚", "治安处罚", "交通违法", "交通违章", "违章停车", "闯红灯", "罚款"),
        *("邻里道德", "道德评价", "邻里不和", "邻里纠葛", "红白喜事", "婚丧", "大操大办", "彩礼", "喜宴", "广场舞"),
        *("petition*", "religio*", "ethnic*", "family planning", "birth control", "blood type*", "medical histor*"),
        *("income*", "bank deposit*", "real estate", "tax payment*", "arrears", "unpaid fee*", "unpaid bill*", "debt*"),
        *("online speech", "online opinion*", "untrue remark*", "party discipline", "traffic offence*", "fines"),
        *("traffic violation*", "administrative penalt*", "neighbours at odds", "square danc*", "wedding*", "funeral*"),
    ),
    "GR-12": (
        *("未成年", "小学生", "中学生", "初中生", "高中生", "少先队", "小志愿者", "学生账户", "儿童账户"),
        *("子女", "儿女", "自家孩子", "孩子考", "配偶", "亲属", "军属", "参军", "应征入伍", "家庭成员"),
        *("minors", "underage", "under 18", "under 14", "pupil*", "schoolchild*", "teenage*", "child join*"),
        *("son or daughter", "spouse*", "family member*", "joining the army", "joins the army"),
    ),
    "GR-08": (
        *("不予办理", "不予受理", "暂停办理", "停止办理", "拒绝办理", "限制办理", "拒绝服务", "停止服务"),
        *("限制乘坐", "限制出行", "限制高消费", "限制就医", "限制入学", "影响入学", "影响就业", "影响贷款"),
        *(
            "取消低保",
            "取消补贴",
            "取消福利",
            "取消待遇",
            "停发",
            "扣发",
            "停水",
            "停电",
            "停气",
            "停暖",
            "断水",
            "断电",
        ),
        *("不得享受", "不能享受", "不得入学", "不得就医"),
        *(
            "deny service*",
            "denied service*",
            "refuse service*",
            "no access to",
            "cut off",
            "barred from",
            "loses access",
        ),
    ),
    "GR-05": ("黑名单", "失信名单", "老赖", "blacklist*", "black list*"),
    # only in rules about persons
    "GR-01": ("一票否决", "直接降", "直接定为", "直接定级", "降级处理", "downgrad*"),
    # only in rules that give redeemable points: work that is paid or ordered is no voluntary service
    "GR-25": (
        *("加班", "值班费", "值班补贴", "有偿服务", "有偿劳动", "有偿志愿", "报酬", "劳务费", "工资", "薪酬", "计酬"),
        *("误工补贴", "强制", "必须参加", "指派任务", "摊派", "社区矫正", "上班时间", "工作时间内"),
        *(
            "overtime",
            "paid work",
            "paid shift*",
            "wage*",
            "salar*",
            "compulsory",
            "mandatory",
            "forced",
            "court ordered",
        ),
    ),
}
"""By guardrail."""
EVERYWHERE = ("GR-07", "GR-12", "GR-08", "GR-05")
"""The guardrails whose topics are refused for persons and bodies, in the order in which a text is judged."""
DOWNGRADING = ("GR-01",)
WORK = ("GR-25",)

_TRADITIONAL = str.maketrans(
    "訪纏鬧舉報網絡論實發轉謠負帖貼傳佈數計劃離況狀病歷獻體檢結產動納稅個險額價證債務貸執費繳記錄時滯"
    "黨紀處罰違紅燈評鄰裡裏葛喪辦禮廣場參軍應徵隊願賬帳戶兒屬員學響業補貼發氣電斷這權單賴絕強"
    "償勞資計酬誤攤區間與認無係參諾執續業務動進縱橫財檔麼隨們號對舊質願據運遠還邊",
    "访缠闹举报网络论实发转谣负帖贴传布数计划离况状病历献体检结产动纳税个险额价证债务贷执费缴记录时滞"
    "党纪处罚违红灯评邻里里葛丧办礼广场参军应征队愿账账户儿属员学响业补贴发气电断这权单赖绝强"
    "偿劳资计酬误摊区间与认无系参诺执续业务动进纵横财档么随们号对旧质愿据运远还边",
)
_VARIANTS = str.maketrans({"囯": "国", "仩": "上", "钭": "斜", "訫": "信", "㐰": "信", "彔": "录", "敎": "教"})
_ALIKE = str.maketrans("асеорхуіјѕԁһԛԝ" + "αεικνορτυχ", "aceopxyijsdhqw" + "aeiknoptux")
_FOLD = _TRADITIONAL | _VARIANTS | _ALIKE
_EMPTY = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # letters and marks that print nothing
_FOREIGN = (("\u0370", "\u058f"), ("\u13a0", "\u13ff"), ("\u1c80", "\u1c8f"), ("\u2e80", "\u2fdf"))
"""Greek, Cyrillic, Armenian, Cherokee and the radicals: in a Chinese and English text they only imitate others."""


@lru_cache(maxsize=8192)
def topic_of(text: str, guardrails: tuple[str, ...] = EVERYWHERE) -> tuple[str, str] | None:
    """The guardrail that a text breaks and the topic that it names."""
    said = _folded(text)
    if not _anything(guardrails).search(said[0]):
        return None
    return next(((code, topic) for code in guardrails for topic in TOPICS[code] if _names(said, topic)), None)


@lru_cache(maxsize=8)
def _anything(guardrails: tuple[str, ...]) -> re.Pattern[str]:
    """All topics at once, word boundaries aside: most texts are done with this one look."""
    return re.compile("|".join(re.escape(_needle(topic)) for code in guardrails for topic in TOPICS[code]))


@lru_cache(maxsize=1024)
def _needle(topic: str) -> str:
    return _folded(topic.rstrip("*"))[0]


def _names(said: tuple[str, frozenset[int]], topic: str) -> bool:
    text, starts = said
    needle = _needle(topic)
    at = text.find(needle)
    while at >= 0:
        end = at + len(needle)
        whole = topic.endswith("*") or end in starts or end == len(text) or not text[end].isascii()
        if not needle.isascii() or (at in starts and whole):
            return True
        at = text.find(needle, at + 1)
    return False


def _folded(text: str) -> tuple[str, frozenset[int]]:
    """A text as it is searched: one width, one case, simplified, look-alikes undone, only letters and digits.

    With it the places where a Latin word begins.
    """
    said = unicodedata.normalize("NFKC", text).casefold().translate(_FOLD)
    kept: list[str] = []
    starts: set[int] = set()
    inside = False
    for char in said:
        if char.isalnum() and char not in _EMPTY:
            if char.isascii() and not inside:
                starts.add(len(kept))
            kept.append(char)
            inside = char.isascii()
        elif unicodedata.category(char) != "Cf":
            inside = False
    return "".join(kept), frozenset(starts)


def odd_character(text: str) -> str | None:
    """The first character that cannot be seen, or that imitates another script, as U+XXXX; None in a plain text."""
    if text.isascii() and text.isprintable():
        return None
    for char in text:
        if _is_odd(char):
            return f"U+{ord(char):04X}"
    return None


def _is_odd(char: str) -> bool:
    if char in "\n\t":
        return False
    if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") or char in _EMPTY:
        return True
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        return True
    return any(first <= char <= last for first, last in _FOREIGN)
