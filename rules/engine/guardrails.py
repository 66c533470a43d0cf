# SPDX-License-Identifier: Apache-2.0
"""What a pack must not say: the guardrails that protect people, and the names that must not collide.

Persons are plus-only, some topics are no matter for points, and nothing is held against a body without a
document, a second person and an end. Each finding refuses the pack; `coherence.py` sees whether a rule hangs
together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from rules.engine.coherence import (
    Problem,
    check_caps,
    check_fields,
    check_validity,
    check_values,
    names,
    repeated,
)
from rules.engine.model import (
    CAUSE_WORDS,
    LEVELS,
    Band,
    Group,
    Indicator,
    Lifetime,
    PackHeader,
    plain,
    words_of,
)

FORBIDDEN_TOPICS: tuple[str, ...] = (
    *[
        "信访",
        "上访",
        "举报他人",
        "网络言论",
        "不实言论",
        "发表言论",
        "转发谣言",
        "宗教",
        "信教",
        "民族成份",
        "少数民族",
    ],
    *["婚育", "计划生育", "超生", "生育状况", "疾病", "病史", "病历", "献血量", "血型", "基因", "指纹"],
    *[
        "收入",
        "存款",
        "房产",
        "不动产",
        "纳税",
        "个税",
        "保险金额",
        "有价证券",
        "债务",
        "负债",
        "欠债",
        "网贷",
        "失信被执行",
    ],
    *["欠费", "欠缴", "拖欠", "缴费记录", "党纪", "政纪", "处分", "邻里道德", "道德评价", "邻里不和"],
    *["红白喜事", "婚丧", "大操大办", "彩礼", "广场舞", "参军", "应征入伍"],
    *("petition", "religio", "ethnic", "family planning", "birth control", "blood type", "medical history"),
    *("income", "bank deposit", "real estate", "tax payment", "arrears", "online speech", "party discipline"),
)
"""GR-07: a name, alias, label or category with one of these refuses the pack; spaces do not hide them."""

_TOPICS = tuple((plain(topic), topic) for topic in FORBIDDEN_TOPICS)


def forbidden_topic(text: str) -> str | None:
    """The first forbidden topic that a text names, if any; width, case and spaces do not hide it."""
    squeezed = "".join(char for char in plain(text) if char.isalnum())
    return next((topic for needle, topic in _TOPICS if "".join(needle.split()) in squeezed), None)


def check_header(header: PackHeader, bands: Sequence[Band], groups: Sequence[Group]) -> Iterator[Problem]:
    """Grades fall strictly; categories and groups have decent and distinct names."""
    for above, band in pairwise(bands):
        if band.min >= above.min:
            yield Problem(
                "bands.toml",
                f"band {band.code}.min",
                "bands_not_falling",
                str(band.min),
                f"less than {above.min}",
            )
    if not bands:
        yield Problem("bands.toml", "band", "missing", "no grade", "at least one grade")
    for code, name in header.categories.items():
        yield from _topics("pack.toml", f"categories.{code}", (name.zh, name.en))
    yield from _duplicates("groups.toml", ((group.code, words_of(group)) for group in groups))
    yield from repeated("bands.toml", (band.code for band in bands))
    for group in groups:
        yield from _topics("groups.toml", group.code, words_of(group))


def check_catalogue(
    header: PackHeader, groups: Mapping[str, Group], indicators: Sequence[tuple[str, Indicator]]
) -> Iterator[Problem]:
    """Everything that one indicator, or two together, can get wrong; each comes with its file."""
    yield from repeated("", ((indicator.code, file) for file, indicator in indicators))
    texts: dict[str, str] = {}
    for file, indicator in indicators:
        yield from _check_indicator(header, groups, file, indicator)
        for word in words_of(indicator):
            owner = texts.setdefault(plain(word), indicator.code)
            if owner != indicator.code:
                yield Problem(
                    file,
                    f"{indicator.code}.aliases",
                    "duplicate_alias",
                    f"{word} (also {owner})",
                    "a name of one indicator",
                )


def _check_indicator(
    header: PackHeader, groups: Mapping[str, Group], file: str, indicator: Indicator
) -> Iterator[Problem]:
    at = indicator.code
    group = groups.get(indicator.group)
    if group is None:
        yield Problem(file, f"{at}.group", "unknown_group", indicator.group, ", ".join(groups))
    if indicator.category not in header.categories:
        yield Problem(file, f"{at}.category", "unknown_category", indicator.category, ", ".join(header.categories))
    if indicator.citation.source not in header.sources:
        yield Problem(
            file,
            f"{at}.citation.source",
            "unknown_source",
            indicator.citation.source,
            ", ".join(header.sources),
        )
    if indicator.effective.from_ < header.effective_from:
        yield Problem(
            file,
            f"{at}.effective.from",
            "before_pack",
            str(indicator.effective.from_),
            f"{header.effective_from} or later",
        )
    if indicator.effective.to is not None and indicator.effective.to < indicator.effective.from_:
        yield Problem(file, f"{at}.effective.to", "ends_before_it_starts", str(indicator.effective.to), "a later day")
    labels = [field.label for field in indicator.fields]
    labels += [name for field in indicator.fields for name in field.values.values()]
    yield from _topics(file, at, (*words_of(indicator), *(text for name in labels for text in (name.zh, name.en))))
    yield from check_fields(file, indicator)
    yield from check_values(file, indicator)
    yield from check_caps(file, indicator)
    yield from check_validity(file, indicator)
    if indicator.direction == "minus":
        yield from _check_minus(file, indicator, group)
    if LEVELS.index(indicator.evidence.standing) < 1:
        yield Problem(file, f"{at}.evidence.standing", "evidence_too_low", indicator.evidence.standing, "E1 to E4")
    lowest_points = max(2, LEVELS.index(indicator.evidence.standing))
    if indicator.points is not None and LEVELS.index(indicator.evidence.points) < lowest_points:
        yield Problem(
            file,
            f"{at}.evidence.points",
            "evidence_too_low",
            indicator.evidence.points,
            f"{LEVELS[lowest_points]} to E4",
        )
    if group is not None and group.kind == "person" and indicator.reversal != "only_available":
        yield Problem(
            file,
            f"{at}.reversal",
            "GR-01",
            indicator.reversal,
            "only_available: a person is never put in debt",
        )
    for part in indicator.cause:
        if part not in CAUSE_WORDS and indicator.field(part) is None:
            yield Problem(
                file,
                f"{at}.cause",
                "unknown_field",
                part,
                ", ".join((*sorted(CAUSE_WORDS), *names(indicator.fields))),
            )
    if not {"subject", "indicator"} <= set(indicator.cause):
        yield Problem(
            file,
            f"{at}.cause",
            "cause_too_wide",
            ", ".join(indicator.cause),
            "subject and indicator among them",
        )


def _check_minus(file: str, indicator: Indicator, group: Group | None) -> Iterator[Problem]:
    at = indicator.code
    if group is not None and group.kind == "person":
        yield Problem(
            file, f"{at}.direction", "GR-01", "minus", "plus: persons are never deducted, errors are reversed"
        )
    if indicator.points is not None:
        yield Problem(file, f"{at}.points", "minus_points", "points", "a deduction touches standing only")
    if LEVELS.index(indicator.evidence.standing) < LEVELS.index("E3"):
        yield Problem(file, f"{at}.evidence.standing", "GR-03", indicator.evidence.standing, "E3 or E4 for a deduction")
    if indicator.approval != "second_person":
        yield Problem(file, f"{at}.approval", "GR-03", indicator.approval, "second_person for a deduction")
    if not _within_a_year(indicator.validity.standing):
        yield Problem(
            file,
            f"{at}.validity.standing",
            "GR-04",
            _says(indicator.validity.standing),
            "at most 1 year, end = day",
        )


def _within_a_year(lifetime: Lifetime) -> bool:
    return isinstance(lifetime.years, int) and (lifetime.years, lifetime.end) in {
        (1, "day"),
        (0, "month"),
        (0, "quarter"),
    }


def _says(lifetime: Lifetime) -> str:
    return f"{lifetime.years} years, end = {lifetime.end}"


def _topics(file: str, at: str, texts: Iterable[str]) -> Iterator[Problem]:
    for text in texts:
        topic = forbidden_topic(text)
        if topic is not None:
            yield Problem(file, at, "GR-07", text, f"no rule about {topic}: this is not a matter for points")


def _duplicates(file: str, named: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for code, words in named:
        for word in words:
            owner = owners.setdefault(plain(word), code)
            if owner != code:
                yield Problem(file, code, "duplicate_alias", f"{word} (also {owner})", "a name of one thing only")
