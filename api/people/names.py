# SPDX-License-Identifier: Apache-2.0
"""Names of people: one written form to compare, the surname, and the masked form that others may see."""

from __future__ import annotations

import re
import unicodedata

_COMPOUND = frozenset(
    re.findall(
        "..",
        "欧阳上官司马司徒诸葛慕容令狐皇甫尉迟公孙长孙宇文夏侯东方端木独孤南宫轩辕西门东郭申屠呼延百里"
        "澹台公冶宗政濮阳淳于单于太叔钟离闻人赫连万俟拓跋左丘闾丘第五司空鲜于完颜纳兰叶赫歐陽司馬諸葛",
    )
)
_DOTS = str.maketrans(dict.fromkeys("・•‧∙⋅･.", "·"))
_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_GAP = re.compile(f"(?<=[{_HAN}·]) | (?=[{_HAN}·])")
_CHINESE = re.compile(f"[{_HAN}]+")
_PLAIN = re.compile("[\u4e00-\u9fff]+")  # characters that no normalisation touches: nearly every name


def normal(name: str) -> str:
    """A name as compared: NFKC, one kind of dot, no spaces between Chinese characters, Latin letters folded."""
    if _PLAIN.fullmatch(name):
        return name
    text = unicodedata.normalize("NFKC", name)
    if re.search(f"[{_HAN}]", text):
        text = text.translate(_DOTS)
    return _GAP.sub("", " ".join(text.split())).casefold()


def surname(name: str) -> str:
    """The surname of a name, or of a surname alone; for names with a dot or spaces the first part."""
    text = normal(name)
    first = re.split(r"[· ]", text, maxsplit=1)[0]
    if first != text or not _CHINESE.fullmatch(text):
        return first
    return text[:2] if text[:2] in _COMPOUND else text[:1]


def masked(name: str) -> str:
    """张三 as 张*, 张小华 as 张*华, 欧阳小华 as 欧阳**, 阿卜杜拉·买买提 as 阿***·***."""
    text = _GAP.sub("", " ".join(unicodedata.normalize("NFKC", name).split()))
    if not text:
        return "*"
    if not _CHINESE.fullmatch(text):
        stars = re.sub(r"[^·・•\s]", "*", text)
        return text[0] + stars[1:] if len(text) > 1 else "*"
    if len(text) == 1:
        return "*"
    if len(text) > 2 and text[:2] in _COMPOUND:
        return text[:2] + "*" * (len(text) - 2)
    if len(text) == 2:
        return text[0] + "*"
    return text[0] + "*" * (len(text) - 2) + text[-1]
