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


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FEES = _words("物业费 水费 电费 水电费 燃气费 煤气费 暖气费 取暖费 供暖费 采暖费 停车费 卫生费")
_PAID = _words("欠 欠交 不交 不缴 未交 按时交 按时缴 按期交 及时交 及时缴 主动交 主动缴纳 缴清")
_UNPAID = _words("未交 已交 已缴 缴清 交清 逾期")

TOPICS: dict[str, tuple[str, ...]] = {
    "GR-07": (
        # petitions and speech
        *("信访", "上访", "缠访", "闹访", "举报他人", "网络言论", "网上言论", "不实言论", "不当言论", "发表言论"),
        *_words("越级反映 越级走访 越级访 非访人员 进京访 进京非访 赴京访 进京反映 赴省反映 向上级反映 到上级部门反映"),
        *_words("到北京告状 进京告状 告状人 投诉政府 投诉社区 拨打热线投诉 向媒体反映 向媒体爆料 向记者爆料"),
        *_words("微博言论 发言不当 群发表不满 群内散布 负面信息 负面视频 负面评论 不实信息 不当发帖"),
        *_words("聊天记录 通话记录 浏览记录 上网时长"),
        *("网络发帖", "网上发帖", "负面帖", "转发谣言", "散布谣言", "造谣传谣"),
        # belief, ethnicity, family planning
        *_words("教会活动 教会成员 教堂 清真寺 信佛 做礼拜 信仰状况 民族为 族别 汉族 回族 维吾尔 藏族 满族 蒙古族"),
        *_words("生育政策 生育二 生育三 生育子 二胎 三胎 结扎手术 做结扎 已结扎 婚前同居 离异家庭 离异人员 再婚 丧偶"),
        *("宗教", "信教", "教徒", "民族成份", "民族成分", "少数民族", "民族身份", "婚育", "计划生育", "计生", "超生"),
        *("生育状况", "生育情况", "二孩", "三孩", "未婚", "离婚", "婚姻状况"),
        # health and body
        *_words("病情 慢性病 精神病 精神障碍 艾滋 残疾等级 残疾情况 残疾证 体检异常 核酸检测 抗原检测 健康码"),
        *_words("确诊 感染者 献血毫升 献血200 献血300 献血400 a型血 b型血 o型血 性取向 同性恋"),
        *("疾病", "病史", "病历", "患病", "健康状况", "体检结果", "献血量", "血型", "基因", "指纹"),
        # money and debts
        *_words("月薪 年薪 资产状况 家庭资产 家庭财产 房屋产权 房屋数量 名下房 名下车 名下资产 名下存款 个人所得税"),
        *_words("贷款逾期 信用卡逾期 征信记录 征信报告 征信逾期 个人征信 借钱不还 强制执行"),
        *(how + fee for how in _PAID for fee in _FEES),
        *(fee + how for fee in _FEES for how in _UNPAID),
        *("收入", "存款", "房产", "不动产", "纳税", "缴税", "个税", "保险金额", "有价证券", "债务", "负债", "欠债"),
        *("欠款", "网贷", "失信被执行", "欠费", "欠缴", "未缴", "未交费", "不交费", "不缴费", "拖欠", "缴费记录"),
        *("按时缴费", "缴费及时", "按时缴纳", "及时缴纳", "催缴", "滞纳"),
        # discipline, minor penalties, neighbours' morals, weddings and funerals
        *_words("党内警告 严重警告 开除党籍 留党察看 拘留 酒驾 醉驾 违停 罚单 刑满 有前科 前科人员 犯罪记录 吸毒 涉黑"),
        *_words("与邻居吵架 邻里吵架 邻里关系不 婆媳不和 不孝 品行不 品行恶劣 品行评 道德败坏 生活作风"),
        *_words("婚礼 丧事 喜事新办 喜事简办 厚葬 摆酒 酒席 人情随礼 随礼金 份子钱"),
        *("党纪", "政纪", "处分", "行政处罚", "治安处罚", "交通违法", "交通违章", "违章停车", "闯红灯", "罚款"),
        *("邻里道德", "道德评价", "邻里不和", "邻里纠葛", "红白喜事", "婚丧", "大操大办", "彩礼", "喜宴", "广场舞"),
        *("shangfang", "xinfang", "complaining to beijing", "appeal to upper", "appeal to higher", "negative post*"),
        *("criticising the government", "criticizing the government", "church*", "mosque*", "uyghur*", "second child"),
        *(
            "third child",
            "abortion*",
            "hiv",
            "mental illness*",
            "chronic disease*",
            "home ownership",
            "house ownership",
        ),
        *(
            "taxes paid",
            "overdue loan*",
            "loan overdue",
            "pays the property fee",
            "property fee paid",
            "unpaid property",
        ),
        *("unpaid utilit*", "late payment*", "disciplinary", "drunk driv*", "jaywalk*", "quarrel with neighbo*"),
        *("neighbors at odds",),
        *("petition*", "religio*", "ethnic*", "family planning", "birth control", "blood type*", "medical histor*"),
        *("income*", "bank deposit*", "real estate", "tax payment*", "arrears", "unpaid fee*", "unpaid bill*", "debt*"),
        *("online speech", "online opinion*", "untrue remark*", "party discipline", "traffic offence*", "fines"),
        *("traffic violation*", "administrative penalt*", "neighbours at odds", "square danc*", "wedding*", "funeral*"),
    ),
    "GR-12": (
        *_words("儿子 女儿 丈夫 妻子 爱人是 父母为 父母是 当兵 周岁以下 十六岁以下 十八岁以下 16岁以下 18岁以下"),
        *_words("不满18 不满十八 初中学生 高中学生"),
        *("未成年", "小学生", "中学生", "初中生", "高中生", "少先队", "小志愿者", "学生账户", "儿童账户"),
        *("子女", "儿女", "自家孩子", "孩子考", "配偶", "亲属", "军属", "参军", "应征入伍", "家庭成员"),
        *("under 16", "high school student*", "son joined", "daughter joined", "child in university"),
        *("minors", "underage", "under 18", "under 14", "pupil*", "schoolchild*", "teenage*", "child join*"),
        *("son or daughter", "spouse*", "family member*", "joining the army", "joins the army"),
    ),
    "GR-08": (
        *_words("不予开具 不予出具 不予发放 拒绝开具 不给开证 不给办 暂缓办理 停办业务 停办手续 剥夺 停止供"),
        *_words("不发放补 不发放福利 不能领取 不得领取 限制进入小区 禁止进入小区 不得进入小区 关闭门禁 不让孩子"),
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
            "deny subsid*",
            "denied entry",
            "banned from",
            "deny service*",
            "denied service*",
            "refuse service*",
            "no access to",
            "cut off",
            "barred from",
            "loses access",
        ),
    ),
    "GR-05": (
        *_words("黑名单 失信名单 老赖 黑榜 失信榜 失信人 失信级 失信户 失信居民 失信商户 曝光台 曝光榜 耻辱榜"),
        *("heimingdan", "blacklist*", "black list*", "shame list*", "wall of shame"),
    ),
    # only in rules about persons
    "GR-01": (
        *_words("一票否决 直接降 直接定为 直接定级 直接评为 降级 降为a 降为b 降为c 降为d 积分清零 分数清零"),
        *_words("扣分 扣除积分 扣除信用分 倒扣 减分项 计负分"),
        *(f"扣{amount}分" for amount in (1, 2, 3, 5, 10, 20, 30, 40, 50, 100)),
        *("downgrad*", "demot*", "penalt*", "deduct*", "minus points"),
    ),
    # only in rules that give redeemable points: work that is paid or ordered is no voluntary service
    "GR-25": (
        *("加班", "值班费", "值班补贴", "有偿服务", "有偿劳动", "有偿志愿", "报酬", "劳务费", "工资", "薪酬", "计酬"),
        *(
            "领取补贴",
            "发放补贴",
            "发放补助",
            "误工补贴",
            "强制",
            "必须参加",
            "指派任务",
            "摊派",
            "社区矫正",
            "上班时间",
            "工作时间内",
        ),
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
HARMLESS = (
    *_words("停水停电通知 停水通知 停电通知 停水停电信息 停水停电公告 停电应急 停水应急 未成年人保护 未成年人关爱"),
    *_words("关爱未成年人 反邪教 禁毒 拒绝酒驾 女儿墙 劝导违停 违停劝导 违停车辆劝导 公共收入 收入公示 收入公开"),
    *_words("不扣分 不倒扣 不降级 折扣"),
    *("no deductions", "time deducted", "breaks deducted"),
)
"""Expressions of good rules that hold a topic's word: passed over, and what stands beside them is not."""
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
    said = _judged(text)
    if not _anything(guardrails).search(said[0]):
        return None
    return next(((code, topic) for code in guardrails for topic in TOPICS[code] if _names(said, topic)), None)


def _judged(text: str) -> tuple[str, frozenset[int]]:
    """A text folded, with blanks where it is harmless."""
    said, starts = _folded(text)
    for one in HARMLESS:
        needle = _needle(one)
        said = said.replace(needle, " " * len(needle))
    return said, starts


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
