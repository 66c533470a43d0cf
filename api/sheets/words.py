# SPDX-License-Identifier: Apache-2.0
"""The header words that communities write, and the lines of a sheet that are not rows of the table.

A field is recognised by its word alone, in any order and with any brackets, spaces or line breaks around it;
a word that could mean two fields of one kind of sheet is not in here.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Kind = Literal["awards", "people", "bodies", "places"]

_NAME = (
    "姓名",
    "志愿者姓名",
    "居民姓名",
    "人员姓名",
    "名字",
    "志愿者",
    "参加人员",
    "服务人员",
    "服务人员姓名",
    "name",
)
_PHONE = (
    "手机号", "手机号码", "手机", "联系电话", "电话", "电话号码", "联系方式", "联系手机", "志愿者电话",
    "phone", "mobile",
)  # fmt: skip
_COMMUNITY = (
    "所属社区",
    "社区",
    "社区名称",
    "所在社区",
    "居住社区",
    "所属村居",
    "村居",
    "所属社区(村)",
    "community",
)
_GRID = ("所属网格", "网格", "网格名称", "所在网格", "网格编码", "网格号", "grid")
_GROUPS = ("群体", "所属群体", "人员类别", "人员类型", "群体类别", "groups", "group")

FIELDS: dict[Kind, dict[str, tuple[str, ...]]] = {
    "awards": {
        "name": _NAME,
        "phone": _PHONE,
        "community": _COMMUNITY,
        "grid": _GRID,
        "indicator": ("指标编码", "指标", "指标代码", "指标编号", "积分指标", "指标名称", "indicator"),
        "activity": (
            "活动", "活动名称", "活动项目", "活动内容", "服务项目", "服务内容", "志愿活动", "志愿服务项目",
            "项目名称", "activity",
        ),
        "day": (
            "服务日期", "日期", "活动日期", "志愿服务日期", "签到日期", "参加日期", "服务日", "occurred_on",
            "date",
        ),
        "when": ("服务时间", "活动时间", "时间", "服务时段", "服务时间段", "时间段", "起止时间"),
        "start": (
            "签到时间", "签到", "开始时间", "起始时间", "到岗时间", "上岗时间", "服务开始时间",
            "活动开始时间", "start",
        ),
        "end": (
            "签退时间", "签退", "结束时间", "终止时间", "离岗时间", "下岗时间", "服务结束时间",
            "活动结束时间", "end",
        ),
        "hours": (
            "服务时长", "时长", "小时数", "服务小时数", "服务小时", "小时", "志愿服务时长", "志愿时长",
            "活动时长", "服务时数",
            "时数", "工时", "hours",
        ),
        "minutes": ("服务分钟数", "分钟数", "分钟", "minutes"),
        "service_community": ("服务社区", "活动社区", "服务所在社区", "服务地社区", "service_community"),
        "note": ("备注", "说明", "附注", "note"),
    },
    "people": {
        "name": _NAME,
        "phone": _PHONE,
        "community": _COMMUNITY,
        "grid": _GRID,
        "groups": _GROUPS,
        "birth": ("出生日期", "出生年月日", "生日", "出生年月", "birth"),
        "publication": ("是否同意公示", "同意公示", "公示", "是否公示", "公示意愿", "publication"),
    },
    "bodies": {
        "name": (
            "名称", "单位名称", "机构名称", "组织名称", "主体名称", "企业名称", "商户名称", "商家名称",
            "单位", "name",
        ),
        "type": ("类型", "单位类型", "机构类型", "主体类型", "组织类型", "类别", "type"),
        "uscc": ("统一社会信用代码", "社会信用代码", "统一信用代码", "信用代码", "统一代码", "uscc"),
        "group": _GROUPS,
        "community": _COMMUNITY,
        "contact": ("联系人", "联系人姓名", "负责人", "负责人姓名", "经办人", "contact"),
        "phone": (*_PHONE, "联系人电话", "负责人电话"),
    },
    "places": {
        "code": ("编码", "区划编码", "地点编码", "区划代码", "代码", "网格编码", "code"),
        "name": ("名称", "区划名称", "地点名称", "name"),
        "level": ("层级", "级别", "类型", "level"),
        "parent": ("上级编码", "上级", "上级代码", "上级区划编码", "所属上级", "parent"),
    },
}  # fmt: skip

REQUIRED: dict[Kind, tuple[str, ...]] = {
    "awards": ("name", "day"),
    "people": ("name", "community", "grid"),
    "bodies": ("name", "type"),
    "places": ("code", "name", "level"),
}

RETURNED = ("原行号", "原因", "怎么改", "Row", "Reason", "How to mend")
"""The columns that a sheet of refused rows carries beside its own; nobody reads them back."""

_DASHES = str.maketrans("[]【】〔〕{}", "()()()()")
_BRACKET = re.compile(r"\(([^()]*)\)")
_NO_UNIT = re.compile(r"必填|选填|可选|可不填|非必填|请|格式|如|例|年|yyyy|11位|24小时制|hh")


def header_word(text: str) -> str:
    """A header as compared: half-width, lower case, no spaces, line breaks, stars or colons."""
    plain = unicodedata.normalize("NFKC", text).translate(_DASHES).lower()
    return re.sub(r"[\s*※★:\u200b\ufeff]", "", plain)


def _index(kind: Kind) -> dict[str, str]:
    return {header_word(word): name for name, words in FIELDS[kind].items() for word in words}


INDEX: dict[Kind, dict[str, str]] = {kind: _index(kind) for kind in FIELDS}


def field_of(kind: Kind, text: str) -> str | None:
    """Which field a header word names; brackets give a duration its unit, an unknown unit no match."""
    word = header_word(text) if len(text) <= 120 else ""
    if not word:
        return None
    found = INDEX[kind].get(word)
    if found is not None:
        return found
    bare = _BRACKET.sub("", word)
    found = INDEX[kind].get(bare) or INDEX[kind].get(re.sub(r"(必填|选填)$", "", bare))
    if found in ("hours", "when"):
        for inside in _BRACKET.findall(word):
            if inside in ("分钟", "分", "min", "minutes"):
                found = "minutes"
            elif inside in ("小时", "时", "h", "hour", "hours", "个小时", "单位小时"):
                found = "hours"
            elif not _NO_UNIT.search(inside):
                return None
    return found


def understood(kind: Kind | None = None) -> str:
    """The first word of every field, for saying what would have been recognised."""
    kinds = FIELDS if kind is None else (kind,)
    return "、".join(dict.fromkeys(words[0] for k in kinds for words in FIELDS[k].values()))


_TOTALS = re.compile(r"(本页|全部|本月)?(合计|总计|小计|共计|总人数|总时长)($|[:\d(共]|人)|共?\d+人次?$")
_SIGNATURE = re.compile(
    r"^(社区|村|单位|街道|网格)?"
    r"(制表|填表|填报|审核|审批|复核|经办|负责|统计|记录|签字|签名|盖章|书记|主任|网格长)"
    r"(人|单位|时间|日期|员|处|栏)?(签字|签名|盖章|\((签字|签名|盖章|签章|公章)\))?($|[:_])"
    r"|\((盖章|公章|签字|签名|签章)\)|^日期:"
)
_NOTE = re.compile(r"(备注|说明|注意|注意事项|注|note)[:\d、.]|(填写|填表|填报)(说明|要求|须知)")
_HINT = re.compile(
    r"必填|选填|可不填|可空|填写|格式[:为]|示例|样例|例如|^例[:如]|^如[:\d]|^请[填写选输按勿]|下拉|11位|真实姓名|年-月-日"
)
_SUSPECT = re.compile(r"[计总制填审复经负统记签盖单书主格备说注日共\dnN０-９ｎＮ:：(（_]")
"""Characters without which a name is never an aside: nearly every name is let through on this alone."""


def plain(text: str) -> str:
    """A cell's text as the patterns above know it."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text[:200])).lower()


def is_aside(named: str, texts: list[str]) -> bool:
    """Whether a line is a total, a signature or a note, and so nobody's row.

    `named` is its name cell, `texts` all its texts from the left: 合计 may stand under 序号.
    """
    if not named:
        words = [plain(text) for text in texts]
        return any(_TOTALS.match(word) or _SIGNATURE.search(word) or _NOTE.match(word) for word in words)
    if texts[0] is not named and _TOTALS.match(plain(texts[0])):
        return True
    if not _SUSPECT.search(named):
        return False
    word = plain(named)
    return bool(_TOTALS.match(word) or _SIGNATURE.search(word) or _NOTE.match(word))


def is_hint(named: str, texts: list[str]) -> bool:
    """Whether a line right below the header tells how to fill the columns in."""
    return any(_HINT.search(plain(text)) for text in ([named] if named else texts))
