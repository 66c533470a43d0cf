# SPDX-License-Identifier: Apache-2.0
"""What a rule says, in words, as it can be put on a wall: worth, conditions, caps, evidence, terms and source.

Read from the same pack that runs, so that the notice cannot say anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from rules.engine.conditions import labels, scope
from rules.engine.explain import BOOKS, UNITS, WINDOWS, amount
from rules.engine.language import check, parse, prose
from rules.engine.model import Cap, Field, Indicator, Lifetime, Name, Pack
from rules.engine.values import Brackets, Fixed, Formula, Ladder, PerUnit, Tier

Lang = Literal["zh", "en"]
LANGS: tuple[Lang, ...] = ("zh", "en")
Worth = Fixed | PerUnit | Tier | Brackets | Ladder | Formula

_ENDINGS = {
    "zh": {"day": "", "month": "，至当月末", "quarter": "，至当季末", "year": "，至当年末"},
    "en": {
        "day": "", "month": ", to the end of that month", "quarter": ", to the end of that quarter",
        "year": ", to the end of that year",
    },
}  # fmt: skip
_EVIDENCE = {
    "zh": {"E1": "组织方确认的签到表", "E2": "本人签到并经他人确认", "E3": "有文号的正式文书", "E4": "会议纪要"},
    "en": {
        "E1": "the organiser's sign-in list", "E2": "own check-in that somebody else confirms",
        "E3": "an official document", "E4": "minutes of a meeting",
    },
}  # fmt: skip


def statement(pack: Pack, indicator: Indicator, lang: Lang) -> list[str]:
    """The rule in sentences: what it gives first, where it comes from last."""
    zh = lang == "zh"
    said: list[str] = []
    minus = indicator.direction == "minus"
    for name, value in (("standing", indicator.standing), ("points", indicator.points)):
        if value is not None:
            book = BOOKS[lang][name]
            given = worth(value, indicator, lang)
            said.append((f"{book}扣减：{given}" if minus else f"{book}：{given}") if zh else f"{book}: {given}")
    if indicator.when is not None:
        held = condition(indicator, lang)
        said.append(f"条件：{held}" if zh else f"Only where {held}")
    said += [cap(one, indicator, lang) for one in indicator.caps]
    said += _sets(pack, indicator, zh)
    said.append(_proof(indicator, lang))
    if indicator.approval == "second_person":
        said.append("须两个人经手" if zh else "Two people have to agree")
    if indicator.cooling:
        said.append(f"{indicator.cooling} 天冷静期后记入" if zh else f"Posted after {indicator.cooling} days")
    said.append(f"{indicator.deadline} 个月内登记" if zh else f"To be entered within {indicator.deadline} month(s)")
    said += _validity(indicator, lang)
    source = pack.sources[indicator.citation.source].title
    part = f" {indicator.citation.part}" if indicator.citation.part else ""
    quote = f"：“{indicator.citation.quote}”" if indicator.citation.quote else ""
    said.append(f"依据：{source}{part}{quote}" if zh else f"Source: {source}{part}{quote}")
    return said


def worth(value: Worth, indicator: Indicator, lang: Lang) -> str:
    """What one deed is worth, in words."""
    zh = lang == "zh"
    if isinstance(value, Fixed):
        return f"每次 {points(value.amount, lang)}" if zh else f"{amount(value.amount)} each time"
    if isinstance(value, Formula):
        said = prose(check(parse(value.expr), scope(indicator, counted=True)), labels(indicator), lang)
        return f"{said}（百分之一分）" if zh else f"{said} (hundredths)"
    label = _label(indicator, value.field, lang)
    comma = "，" if zh else ", "
    if isinstance(value, PerUnit):
        unit = quantity(indicator, value.field, value.unit, lang)
        told = f"每 {unit}计 {amount(value.amount)} 分" if zh else f"{amount(value.amount)} for every {unit}"
        whole = ("，不满的不计" if zh else ", parts do not count") if value.rounding == "unit" else ""
        return f"{label}{told}{whole}" if zh else f"{label}: {told}{whole}"
    if isinstance(value, Tier):
        words = _words(indicator.field(value.field), lang)
        return comma.join(f"{words.get(word, word)} {points(one, lang)}" for word, one in value.amounts.items())
    if isinstance(value, Ladder):
        rungs = (
            f"满 {quantity(indicator, value.field, rung.at, lang)}共 {points(rung.level, lang)}"
            if zh
            else f"{quantity(indicator, value.field, rung.at, lang)} {amount(rung.level)}"
            for rung in value.steps
        )
        return (f"{label}累计" if zh else f"{label} in all: ") + comma.join(rungs)
    return (f"{label}分段：" if zh else f"{label} in brackets: ") + comma.join(_brackets(value, indicator, lang))


def _brackets(value: Brackets, indicator: Indicator, lang: Lang) -> Iterator[str]:
    lows = [0, *(one.up_to or 0 for one in value.brackets)]
    for (low, _), one in zip(pairwise(lows), value.brackets, strict=True):
        unit, start = (quantity(indicator, value.field, n, lang) for n in (one.unit, low))
        if lang == "zh":
            yield f"{'超过 ' + start + '的部分' if low else '起初'}每 {unit}计 {amount(one.amount)} 分"
        else:
            yield f"{amount(one.amount)} for every {unit}{' above ' + start if low else ' at first'}"


def condition(indicator: Indicator, lang: Lang) -> str:
    """The indicator's `when` in words."""
    assert indicator.when is not None
    return prose(check(parse(indicator.when), scope(indicator)), labels(indicator), lang)


def fact(field: Field, lang: Lang) -> str:
    """A fact to state, with what it may be."""
    label = _called(field.label, lang)
    if field.type == "enum":
        words = _words(field, lang).values()
        return f"{label}（{'、'.join(words)}）" if lang == "zh" else f"{label} ({', '.join(words)})"
    if field.type == "day":
        return f"{label}（日期）" if lang == "zh" else f"{label} (a day)"
    unit = UNITS[lang].get(field.unit or "", field.unit or "")
    write = amount if field.unit == "fen" else str
    span = f"{write(field.min or 0)}–{write(field.max or 0)} {unit}".rstrip()
    return f"{label}（{span}）" if lang == "zh" else f"{label} ({span})"


def cap(one: Cap, indicator: Indicator, lang: Lang) -> str:
    """A cap in words."""
    what = BOOKS[lang].get(one.on) or _label(indicator, one.on, lang)
    most = quantity(indicator, one.on, one.max, lang)
    window = WINDOWS[lang][one.window]
    return f"{what}{window}最多 {most}" if lang == "zh" else f"{what} at most {most} {window}"


def quantity(indicator: Indicator, on: str, number: int, lang: Lang) -> str:
    """A number of a field, a book or awards, with its unit."""
    zh = lang == "zh"
    if on == "count":
        return f"{number} 次" if zh else str(number)
    if on in ("standing", "points"):
        return points(number, lang)
    field = indicator.field(on)
    unit = (field.unit or "") if field is not None else ""
    if unit == "minute" and number % 60 == 0:
        return f"{number // 60} 小时" if zh else f"{number // 60} hour{'s' if number > 60 else ''}"
    word = UNITS[lang].get(unit, unit)
    told = amount(number) if unit == "fen" else str(number)
    return f"{told} {word}".rstrip() if word != "%" else f"{told}%"


def points(hundredths: int, lang: Lang) -> str:
    """An amount of either book."""
    return f"{amount(hundredths)} 分" if lang == "zh" else amount(hundredths)


def _sets(pack: Pack, indicator: Indicator, zh: bool) -> Iterator[str]:
    if indicator.exclusion is not None:
        others = "、".join(
            code for code, one in pack.indicators.items() if one.exclusion == indicator.exclusion and one != indicator
        )
        by_day = pack.exclusion_sets[indicator.exclusion].by == "day"
        if zh:
            yield f"{'同一天' if by_day else '同一件事'}只计一项：与 {others} 不重复计"
        else:
            yield f"Counted once for one {'day' if by_day else 'case'} with {others.replace('、', ', ')}"
    if indicator.highest_only is not None:
        window = WINDOWS["zh" if zh else "en"][pack.highest_sets[indicator.highest_only].window]
        yield f"{window}只取最高一项" if zh else f"Only the highest counts {window}"


def _proof(indicator: Indicator, lang: Lang) -> str:
    needed = indicator.evidence.points if indicator.standing is None else indicator.evidence.standing
    said = f"{needed} {_EVIDENCE[lang].get(needed, '')}".rstrip()
    level = indicator.evidence.points
    more = indicator.points is not None and level > needed
    if lang == "zh":
        return f"证据：{said}" + (f"；兑换积分须 {level} {_EVIDENCE[lang][level]}" if more else "")
    return f"Evidence: {said}" + (f"; for points {level}, {_EVIDENCE[lang][level]}" if more else "")


def _validity(indicator: Indicator, lang: Lang) -> Iterator[str]:
    for name, value, lifetime in (
        ("standing", indicator.standing, indicator.validity.standing),
        ("points", indicator.points, indicator.validity.points),
    ):
        if value is not None:
            book, term = BOOKS[lang][name], _term(indicator, lifetime, lang)
            yield f"{book}有效期：{term}" if lang == "zh" else f"{book} valid: {term}"


def _term(indicator: Indicator, lifetime: Lifetime, lang: Lang) -> str:
    zh = lang == "zh"
    if lifetime.end == "never":
        return "长期" if zh else "for good"
    if isinstance(lifetime.years, int):
        told = f"{lifetime.years} 年" if zh else f"{lifetime.years} year(s)"
    else:
        words = _words(indicator.field(lifetime.by or ""), lang)
        told = ("、" if zh else ", ").join(
            f"{words.get(word, word)} {years}{' 年' if zh else ''}" for word, years in lifetime.years.items()
        )
    return told + _ENDINGS[lang][lifetime.end]


def _label(indicator: Indicator, name: str, lang: Lang) -> str:
    field = indicator.field(name)
    return name if field is None else _called(field.label, lang)


def _words(field: Field | None, lang: Lang) -> dict[str, str]:
    """What the words of a list field are called."""
    return {} if field is None else {word: _called(name, lang) for word, name in field.values.items()}


def _called(name: Name, lang: Lang) -> str:
    return name.zh if lang == "zh" else name.en
