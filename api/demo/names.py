# SPDX-License-Identifier: Apache-2.0
"""Invented people and bodies: surnames as frequent as in life, given names from a stock of characters, phones of a
range that rings nowhere. Sheets made for trying imports use other characters and numbers: their people are new here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from api.demo.places import COMMUNITIES, grids
from api.sheets.values import uscc_check

_SURNAMES = (
    "王王王王王王王张张张张张张李李李李李李刘刘刘刘刘陈陈陈杨杨杨赵赵赵孙孙孙孙于于徐徐徐周周吴吴马马朱朱胡胡郭郭高高高宋宋宋"
    "郑郑何何林林罗梁谢韩韩唐冯董董萧程曹袁邓许许傅沈曾彭吕吕苏卢蒋蔡贾丁丁魏薛薛叶阎余潘杜戴夏钟汪田田任任姜姜范方石石姚谭廖邹熊"
    "金陆郝孔孔白崔崔康毛邱秦江史顾侯邵孟孟龙万段荆荆耿毕毕巩伊宗逄盖单仇区解"
)
_COMPOUND = ("欧阳", "司马", "上官", "诸葛")
_GIVEN = (
    "安彬斌波博诚川德栋峰锋福富光广贵恒洪鸿厚吉继家坚健江金锦晶景俊凯康克奎坤乐亮林龙民铭楠庆权荣瑞森尚升胜树松泰天田通彤旺威"
    "巍维炜武希喜祥向小新信兴秀旭学勋亚延岩彦业义益毅永友有宇雨元远月岳运泽展昭哲振震正政直智忠仲洲柱卓宗祖爱碧彩婵纯翠黛菲芬凤"
    "馥花慧惠佩琴青清秋蓉茹珊淑舒婷薇雯欣雅瑶银莹颖媛珍芝竹"
)
_SHOPS = (
    "便民超市",
    "理发店",
    "五金店",
    "面馆",
    "药房",
    "鲜果店",
    "干洗店",
    "文具店",
    "早餐店",
    "家电维修部",
    "花店",
    "书店",
)
_UNITS = (
    "城建服务中心", "供电所", "供水所", "中心小学", "实验中学", "社区卫生服务中心", "税务所", "司法所", "市场监管所",
    "邮政支局", "银行营业部", "交警中队", "图书馆", "消防救援站", "环卫所", "园林所",
)  # fmt: skip
_ODD = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def person_name(rng: Random) -> str:
    """Two characters for one in six, three for the others, four for the compound surnames."""
    surname = rng.choice(_COMPOUND) if rng.random() < 0.008 else rng.choice(_SURNAMES)
    length = 1 if rng.random() < 0.17 else 2
    return surname + "".join(rng.choice(_GIVEN) for _ in range(length))


def phones(rng: Random, count: int) -> list[str]:
    """Different numbers from 1991 to 1998."""
    return [f"199{10_000_000 + number:08d}" for number in rng.sample(range(80_000_000), count)]


def birthday(rng: Random, today: date) -> date:
    """Of age by some years and up to ninety; those who take part are older than the average."""
    years = min(90.0, max(19.0, rng.gauss(52, 16)))
    return today - timedelta(days=round(years * 365.25) + rng.randrange(365))


def credit_code(rng: Random) -> str:
    """A well-formed code of a district that does not exist."""
    first = "91370399MA" + "".join(rng.choice(_ODD) for _ in range(7))
    return first + uscc_check(first)


def teams() -> Iterator[tuple[str, str, str]]:
    """(name, type, community): one for each grid, then a second for elders, and so on; communities take turns."""
    yield from _rounds("居民志愿服务队", "志愿服务队", per_grid=True)
    yield from _rounds("夕阳红志愿服务队", "志愿服务队", per_grid=True)


def shops() -> Iterator[tuple[str, str, str]]:
    for number in range(1, 100):
        for kind in _SHOPS:
            for code, name in COMMUNITIES.items():
                yield f"{name}{kind}" if number == 1 else f"{name}{kind}（{number}店）", "商户", code


def property_bodies() -> Iterator[tuple[str, str, str]]:
    """A property company and an owners' committee in turn."""
    for number in range(1, 100):
        for code, name in COMMUNITIES.items():
            yield f"{name}物业服务有限公司第{number}项目部", "物业公司", code
            yield f"{name}第{number}小区业主委员会", "业主委员会", code


def units() -> Iterator[tuple[str, str, str]]:
    for number in range(1, 100):
        for kind in _UNITS:
            for code, name in COMMUNITIES.items():
                yield f"{name}{kind}" if number == 1 else f"{name}{kind}第{number}分部", "共建单位", code


def _rounds(tail: str, kind: str, *, per_grid: bool) -> Iterator[tuple[str, str, str]]:
    for number in range(10):
        for code, name in COMMUNITIES.items():
            if number < len(grids(code)):
                yield f"{name}第{number + 1}网格{tail}", kind, code
