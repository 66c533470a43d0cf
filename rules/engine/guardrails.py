# SPDX-License-Identifier: Apache-2.0
"""What a pack must not say: the guardrails that protect people, and the names that must not collide.

Persons are plus-only, some topics are no matter for points, minors hold no accounts, nothing takes a service away,
and nothing is held against a body without a document, a second person and an end. Each finding refuses the pack under
the guardrail's own code; `coherence.py` sees whether a rule hangs together, `topics.py` has the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

from rules.engine.calendar import WINDOWS
from rules.engine.coherence import (
    check_caps,
    check_cause,
    check_fields,
    check_validity,
    check_values,
    listed,
    repeated,
)
from rules.engine.expressions import check_expressions, length, needs_insurance
from rules.engine.model import LEVELS, Band, Group, Indicator, Lifetime, PackHeader, plain, words_of
from rules.engine.problem import Problem, shown
from rules.engine.topics import DOWNGRADING, WORK, topic_of
from rules.engine.values import Ladder

GRADING_KEYS = frozenset({"grade", "grades", "level", "band", "downgrade", "upgrade", "set_grade", "direct_grade"})
"""GR-01: grades follow from standing; nothing grades a person directly."""
DENYING_KEYS = frozenset(
    {"deny", "denies", "denied", "ban", "bans", "bar", "bars", "block", "blocks", "restrict", "restricts", "suspend"}
    | {"suspends", "withhold", "withholds", "exclude_from", "penalty", "punishment", "consequence"}
)
"""GR-08: a grade or a rule has no key by which it could take a service away."""
PERSONS = frozenset({"G1", "G2", "G3", "G4"})
"""GR-01: community workers, Party members, residents and building heads are persons, whatever a pack calls them."""
CLOSED_KEYS = frozenset({"code", "group", "direction", "status", "approval", "reversal", "window", "kind", "rounding"})
ADULT_AGE = 18
EXPRESSIONS_MAX = 100_000
"""Characters of all conditions and formulas of a pack; proving them takes half a second."""

HATS_MAX = 40
"""Indicators in one exclusion set: an award under any of them looks at the marks of all the others."""


class Placed(NamedTuple):
    """An indicator with its file, its place there (`indicator[3]`) and the table as the file states it."""

    file: str
    at: str
    indicator: Indicator
    raw: Mapping[str, Any]


def check_header(header: PackHeader, bands: Sequence[Band], groups: Sequence[Group]) -> Iterator[Problem]:
    """Grades fall strictly; categories, sets, grades and groups have decent and distinct names."""
    for above, (index, band) in pairwise(enumerate(bands)):
        if band.min >= above[1].min:
            at = f"band[{index}].min"
            yield Problem("bands.toml", at, "bands_not_falling", str(band.min), f"< {above[1].min}")
    if not bands:
        yield Problem("bands.toml", "band", "missing", "", "[[band]]")
    yield from topic_problems("pack.toml", "name", ((".zh", header.name.zh), (".en", header.name.en)))
    for part in ("categories", "exclusion_sets", "highest_sets"):
        for code, thing in cast("Mapping[str, Any]", getattr(header, part)).items():
            name = thing if part == "categories" else thing.name
            yield from topic_problems("pack.toml", f"{part}.{code}", ((".zh", name.zh), (".en", name.en), ("", code)))
    named = [("groups.toml", group.code, f"group[{index}]", words_of(group)) for index, group in enumerate(groups)]
    yield from shared_names(named)
    for index, group in enumerate(groups):
        if group.code in PERSONS and group.kind != "person":
            found = f"{group.code} {group.name.zh} {group.kind}"
            yield Problem("groups.toml", f"group[{index}].kind", "GR-01", shown(found), 'kind = "person"')
    yield from repeated((group.code, "groups.toml", f"group[{index}].code") for index, group in enumerate(groups))
    yield from repeated((band.code, "bands.toml", f"band[{index}].code") for index, band in enumerate(bands))
    for file, _code, at, words in named:
        yield from topic_problems(file, at, (("", word) for word in words))
    for index, band in enumerate(bands):
        yield from topic_problems(
            "bands.toml", f"band[{index}]", ((".name.zh", band.name.zh), (".name.en", band.name.en))
        )


def check_catalogue(header: PackHeader, groups: Mapping[str, Group], indicators: Sequence[Placed]) -> Iterator[Problem]:
    """Everything that one indicator, or two together, can get wrong."""
    yield from repeated((one.indicator.code, one.file, f"{one.at}.code") for one in indicators)
    yield from shared_names((one.file, one.indicator.code, one.at, words_of(one.indicator)) for one in indicators)
    expressions = sum(length(one.indicator) for one in indicators)
    if expressions > EXPRESSIONS_MAX:
        yield Problem("pack.toml", "", "too_large", str(expressions), str(EXPRESSIONS_MAX))
        return
    for one in indicators:
        yield from _check_indicator(header, groups, one)
    for name in header.exclusion_sets:
        members = sum(one.indicator.exclusion == name for one in indicators)
        if members < 2:
            yield Problem("pack.toml", f"exclusion_sets.{name}", "lonely_set", name, "2")
        elif members > HATS_MAX:
            yield Problem("pack.toml", f"exclusion_sets.{name}", "too_many", f"{members} exclusion", f"≤ {HATS_MAX}")
    for name in header.highest_sets:
        # one member is enough: of two awards under one indicator, too, only the higher counts
        if not any(one.indicator.highest_only == name for one in indicators):
            yield Problem("pack.toml", f"highest_sets.{name}", "lonely_set", name, "1")


def _check_indicator(header: PackHeader, groups: Mapping[str, Group], one: Placed) -> Iterator[Problem]:
    file, at, indicator = one.file, one.at, one.indicator
    group = groups.get(indicator.group)
    person = group is not None and group.kind == "person"
    if group is None:
        yield Problem(file, "group", "unknown_group", shown(indicator.group), listed(groups))
    if indicator.category not in header.categories:
        yield Problem(file, f"{at}.category", "unknown_category", indicator.category, listed(header.categories))
    if indicator.citation.source not in header.sources:
        here = f"{at}.citation.source"
        yield Problem(file, here, "unknown_source", indicator.citation.source, listed(header.sources))
    yield from _check_days(header, one)
    yield from _check_sets(header, one)
    yield from check_fields(file, at, indicator)
    yield from check_values(file, at, indicator)
    yield from check_caps(file, at, indicator)
    yield from check_validity(file, at, indicator)
    yield from check_cause(file, at, indicator)
    yield from check_expressions(file, at, indicator, person)
    yield from _check_evidence(file, at, indicator)
    texts = tuple(texts_of(one.raw))
    yield from _check_people(one, person, texts)
    yield from _check_work(one, texts)
    if indicator.direction == "minus":
        yield from _check_minus(file, at, indicator, person)


def _check_days(header: PackHeader, one: Placed) -> Iterator[Problem]:
    effective = one.indicator.effective
    if effective.from_ < header.effective_from:
        here = f"{one.at}.effective.from"
        yield Problem(one.file, here, "GR-20", str(effective.from_), f"≥ {header.effective_from}")
    if effective.to is not None and effective.to < effective.from_:
        here = f"{one.at}.effective.to"
        yield Problem(one.file, here, "ends_before_it_starts", str(effective.to), f"≥ {effective.from_}")


def _check_sets(header: PackHeader, one: Placed) -> Iterator[Problem]:
    file, at, indicator = one.file, one.at, one.indicator
    if indicator.exclusion is not None and indicator.exclusion not in header.exclusion_sets:
        known = listed(header.exclusion_sets) or "[exclusion_sets.…]"
        yield Problem(file, f"{at}.exclusion", "unknown_set", indicator.exclusion, known)
    if indicator.highest_only is None:
        return
    here = f"{at}.highest_only"
    highest = header.highest_sets.get(indicator.highest_only)
    if highest is None:
        known = listed(header.highest_sets) or "[highest_sets.…]"
        yield Problem(file, here, "unknown_set", indicator.highest_only, known)
        return
    if indicator.standing is None or indicator.points is not None:
        yield Problem(file, here, "standing_only", "highest_only", "standing")
    if isinstance(indicator.standing, Ladder):
        yield Problem(file, here, "ladder_is_its_own_cap", "highest_only", "points")
    for index, cap in enumerate(indicator.caps):
        # the set's tally cuts before the caps on the result, so it is the innermost of them
        if cap.on == "standing" and WINDOWS.index(cap.window) < WINDOWS.index(highest.window):
            window = f"{at}.caps[{index}].window"
            yield Problem(file, window, "windows_not_nested", f"{highest.window}, {cap.window}", f"≥ {highest.window}")


def _check_evidence(file: str, at: str, indicator: Indicator) -> Iterator[Problem]:
    lowest = LEVELS.index(indicator.evidence.standing)
    if lowest < 1:
        yield Problem(
            file, f"{at}.evidence.standing", "evidence_too_low", indicator.evidence.standing, "E1, E2, E3, E4"
        )
    lowest = max(2, lowest)
    if indicator.points is not None and LEVELS.index(indicator.evidence.points) < lowest:
        allowed = listed(LEVELS[lowest:])
        yield Problem(file, f"{at}.evidence.points", "evidence_too_low", indicator.evidence.points, allowed)


def _check_people(one: Placed, person: bool, texts: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    """GR-01, 02, 05, 07, 08 and 12: what no rule says of anybody, and what none says of a person."""
    file, at, indicator = one.file, one.at, one.indicator
    yield from topic_problems(file, at, texts)
    for field in indicator.fields:
        aged = field.name == "age" or "年龄" in field.label.zh
        if aged and field.type == "int" and field.min is not None and field.min < ADULT_AGE:
            found = f"{field.label.zh} {field.min}..{field.max}"
            yield Problem(file, f"{at}.fields.{field.name}", "GR-12", found, f"min = {ADULT_AGE}")
    if person and indicator.reversal != "only_available":
        yield Problem(file, f"{at}.reversal", "GR-01", indicator.reversal, "only_available")
    if person:
        for path, text in texts:
            if topic_of(text, DOWNGRADING) is not None:
                yield Problem(file, at + path, "GR-01", shown(text), 'direction = "plus"')
                break
    if indicator.grey is not None and person:
        yield Problem(file, f"{at}.grey", "GR-02", f"{indicator.group}, grey", 'kind = "body"')
    elif indicator.grey is not None and indicator.direction != "minus":
        yield Problem(file, f"{at}.grey", "GR-02", indicator.direction, 'direction = "minus"')


def _check_work(one: Placed, texts: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    """GR-25: redeemable points are for voluntary work; risky work is insured."""
    file, at, indicator = one.file, one.at, one.indicator
    if indicator.risk == "insured" and not needs_insurance(indicator):
        allowed = "when = \"insured == 'yes'\", fields: insured (yes, no)"
        yield Problem(file, f"{at}.risk", "GR-25", 'risk = "insured"', allowed)
    if indicator.points is None:
        return
    if indicator.work == "duty":
        yield Problem(file, f"{at}.work", "GR-25", 'work = "duty", points', "standing")
        return
    for path, text in texts:
        if topic_of(text, WORK) is not None:
            yield Problem(file, at + path, "GR-25", shown(text), 'work = "duty", standing')
            break


def _check_minus(file: str, at: str, indicator: Indicator, person: bool) -> Iterator[Problem]:
    if person:
        yield Problem(file, f"{at}.direction", "GR-01", "minus", 'direction = "plus"')
        return
    if indicator.points is not None:
        yield Problem(file, f"{at}.points", "minus_points", "points", "standing")
    if LEVELS.index(indicator.evidence.standing) < LEVELS.index("E3"):
        yield Problem(file, f"{at}.evidence.standing", "GR-03", indicator.evidence.standing, "E3, E4")
    if indicator.approval != "second_person":
        yield Problem(file, f"{at}.approval", "GR-03", indicator.approval, "second_person")
    if not _within_a_year(indicator.validity.standing):
        lifetime = indicator.validity.standing
        years = lifetime.years if isinstance(lifetime.years, int) else "{…}"
        found = f"years = {years}, end = {lifetime.end}"
        yield Problem(file, f"{at}.validity.standing", "GR-04", found, 'years = 1, end = "day"')


def _within_a_year(lifetime: Lifetime) -> bool:
    return isinstance(lifetime.years, int) and (lifetime.years, lifetime.end) in {
        (1, "day"),
        (0, "month"),
        (0, "quarter"),
    }


def texts_of(raw: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a rule with its place: names, aliases, labels, fields, words, conditions, notes, examples.

    Left out are the words of closed lists, and what is quoted: that is a document's text, and checked against it.
    """
    if isinstance(raw, dict):
        for key, value in cast("dict[str, object]", raw).items():
            here = f"{path}.{key}"
            if (key in CLOSED_KEYS and isinstance(value, str)) or here == ".citation.quote":
                continue
            if path.endswith(".values"):
                yield here, key
            yield from texts_of(value, here)
    elif isinstance(raw, list):
        for index, value in enumerate(cast("list[object]", raw)):
            yield from texts_of(value, f"{path}[{index}]")
    elif isinstance(raw, str):
        yield path, raw


def topic_problems(file: str, at: str, texts: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """The first text under each guardrail: one is enough to see what the rule is about."""
    told: set[str] = set()
    for path, text in texts:
        found = topic_of(text)
        if found is not None and found[0] not in told:
            told.add(found[0])
            yield Problem(file, at + path, found[0], shown(text), found[1].rstrip("*"))


def shared_names(named: Iterable[tuple[str, str, str, Sequence[str]]]) -> Iterator[Problem]:
    """No text names two things; each comes as file, code, place, texts."""
    owners: dict[str, str] = {}
    for file, code, at, words in named:
        for word in words:
            owner = owners.setdefault(plain(word), code)
            if owner != code:
                yield Problem(file, at, "duplicate_alias", f"{shown(word)} ({owner})", f"≠ {owner}")
