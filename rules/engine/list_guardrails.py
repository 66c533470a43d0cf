# SPDX-License-Identifier: Apache-2.0
"""What a list must not say: the guardrails for those who are named on it, and what belongs together in it.

Nobody is held up by a machine alone: a person decides of every person honoured and of every body reminded. A reminder
is for bodies only, rests on formal evidence, is told beforehand, needs two approvers and ends within a year. Each
finding refuses the pack, as in `guardrails.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rules.engine.coherence import listed, repeated
from rules.engine.guardrails import shared_names, texts_of, topic_problems
from rules.engine.lists import Flag, ListExample, ListRule
from rules.engine.model import LEVELS, Group, Indicator, PackHeader
from rules.engine.problem import Problem, shown
from rules.engine.topics import DOWNGRADING, topic_of

FILE = "lists.toml"
LISTS_MAX = 40
EXAMPLES_MAX = 20
PEOPLE_MAX = 5_000
"""Members of one example, `times` counted in."""
ANSWER_DAYS = 5
"""GR-03: working days that a body has to answer before it may be named."""

_ABOUT = {
    "ranking": ("grids",),
    "notice": ("grids",),
    "reminder": ("bodies",),
    "honour": ("bodies", "persons"),
}
_KINDS = {"grids": "person", "persons": "person", "bodies": "body"}
"""The kind of group whose members a list counts."""
_COMMON = {"code", "kind", "name", "about", "period", "approvers", "notice_workdays", "citation", "note", "examples"}
_KEYS = {
    "ranking": {"groups", "metric", "minimum", "suppress_below", "interval", "shrink", "flags"},
    "honour": {"groups", "min_standing", "min_gained", "indicators", "level", "clean_months", "decision"},
    "reminder": {"groups", "level", "decision", "items"},
    "notice": {"suppress_below"},
}
_FORMS = {"year": "2022", "quarter": "2022Q1", "month": "2022-01"}


class PlacedList(NamedTuple):
    """A list with its place in the file (`list[3]`) and the table as the file states it."""

    at: str
    rule: ListRule
    raw: Mapping[str, Any]


def check_lists(
    header: PackHeader,
    groups: Mapping[str, Group],
    indicators: Mapping[str, Indicator],
    lists: Sequence[PlacedList],
) -> Iterator[Problem]:
    """Everything that one list, or two together, can get wrong; `indicators`: those of the pack that could be read."""
    if len(lists) > LISTS_MAX:
        yield Problem(FILE, "list", "too_many", f"{len(lists)} [[list]]", f"≤ {LISTS_MAX}")
    yield from repeated((one.rule.code, FILE, f"{one.at}.code") for one in lists)
    yield from shared_names(
        (FILE, one.rule.code, f"{one.at}.name", (one.rule.name.zh, one.rule.name.en)) for one in lists
    )
    notices = [one for one in lists if one.rule.kind == "notice"]
    for one in notices[1:]:
        yield Problem(FILE, f"{one.at}.kind", "second_notice", one.rule.code, notices[0].rule.code)
    for one in lists:
        yield from _check_list(header, groups, indicators, one)


def _check_list(
    header: PackHeader, groups: Mapping[str, Group], indicators: Mapping[str, Indicator], one: PlacedList
) -> Iterator[Problem]:
    rule, at = one.rule, one.at
    yield from _check_words(header, one)
    if rule.about not in (allowed := _ABOUT[rule.kind]):
        if rule.kind == "reminder":
            yield Problem(FILE, f"{at}.about", "GR-02", f"reminder, {rule.about}", 'about = "bodies"')
        else:
            yield Problem(FILE, f"{at}.about", "unknown_word", rule.about, listed(allowed))
        return
    yield from _check_keys(one)
    yield from _check_groups(groups, one)
    yield from _check_indicators(groups, indicators, one)
    if rule.kind == "reminder":
        yield from _check_reminder(indicators, one)
    elif rule.kind == "honour":
        yield from _check_honour(header, one)
    elif rule.kind == "ranking":
        yield from _check_ranking(one)
    elif rule.period != "month":
        yield Problem(FILE, f"{at}.period", "unknown_word", rule.period, "month")
    if (many := len(rule.examples)) > EXAMPLES_MAX:
        yield Problem(FILE, f"{at}.examples", "too_many", str(many), f"≤ {EXAMPLES_MAX}")
    for index, example in enumerate(rule.examples):
        yield from _check_example(groups, indicators, rule, f"{at}.examples[{index}]", example)


def _check_words(header: PackHeader, one: PlacedList) -> Iterator[Problem]:
    """GR-01, 05, 07, 08 and 12: what a list is called and what it says of itself; and its source."""
    texts = tuple(texts_of(one.raw))
    yield from topic_problems(FILE, one.at, texts)
    if one.rule.about != "bodies":
        for path, text in texts:
            if topic_of(text, DOWNGRADING) is not None:
                yield Problem(FILE, one.at + path, "GR-01", shown(text), 'direction = "plus"')
                break
    if one.rule.citation.source not in header.sources:
        here = f"{one.at}.citation.source"
        yield Problem(FILE, here, "unknown_source", one.rule.citation.source, listed(header.sources))


def _check_keys(one: PlacedList) -> Iterator[Problem]:
    """A key that such a list does nothing with would only look as if it meant something."""
    kind = one.rule.kind
    keys = {key for key in _KEYS[kind] if key != "clean_months" or one.rule.about == "bodies"}
    for key in one.raw:
        if key not in keys | _COMMON:
            yield Problem(FILE, f"{one.at}.{key}", "key_of_other_kind", kind, listed(sorted(keys)))


def _check_groups(groups: Mapping[str, Group], one: PlacedList) -> Iterator[Problem]:
    kind = _KINDS[one.rule.about]
    fitting = [code for code, group in groups.items() if group.kind == kind]
    for index, code in enumerate(one.rule.groups):
        if code not in fitting:
            known = code in groups
            found = f"{code} {groups[code].name.zh}" if known else code
            refused = "GR-02" if known and one.rule.kind == "reminder" else "unknown_group"
            yield Problem(FILE, f"{one.at}.groups[{index}]", refused, found, listed(fitting))
    yield from repeated((code, FILE, f"{one.at}.groups[{index}]") for index, code in enumerate(one.rule.groups))


def _check_indicators(
    groups: Mapping[str, Group], indicators: Mapping[str, Indicator], one: PlacedList
) -> Iterator[Problem]:
    """The rules that a list names are there, are about those whom it lists, and ask the evidence that it asks."""
    rule = one.rule
    named = [(f"indicators[{index}]", code, "plus") for index, code in enumerate(rule.indicators)]
    named += [(f"items[{index}].indicator", item.indicator, "minus") for index, item in enumerate(rule.items)]
    of_kind = {code for code, group in groups.items() if group.kind == _KINDS[rule.about]}
    for path, code, direction in named:
        here = f"{one.at}.{path}"
        indicator = indicators.get(code)
        fitting = (
            other.code
            for other in indicators.values()
            if other.direction == direction and other.group in (rule.groups or of_kind)
        )
        if indicator is None:
            yield Problem(FILE, here, "unknown_indicator", code, listed(fitting))
        elif rule.kind == "reminder" and indicator.grey is None:
            yield Problem(FILE, here, "GR-02", f"{code} {indicator.name.zh}", 'grey = "yes"')
        elif indicator.direction != direction or indicator.group not in (rule.groups or of_kind):
            yield Problem(FILE, here, "unknown_indicator", f"{code} {indicator.name.zh}", listed(fitting))
        elif LEVELS.index(indicator.evidence.standing) < LEVELS.index(rule.level):
            yield Problem(FILE, here, "evidence_too_low", f"{code} {indicator.evidence.standing}", f"≥ {rule.level}")
    yield from repeated((code, FILE, f"{one.at}.{path}") for path, code, _ in named)


def _check_reminder(indicators: Mapping[str, Indicator], one: PlacedList) -> Iterator[Problem]:
    rule, at = one.rule, one.at
    if rule.decision != "person":
        yield Problem(FILE, f"{at}.decision", "GR-11", rule.decision, 'decision = "person"')
    if rule.approvers < 2:
        yield Problem(FILE, f"{at}.approvers", "GR-03", f"approvers = {rule.approvers}", "approvers = 2")
    if rule.notice_workdays < ANSWER_DAYS:
        found = f"notice_workdays = {rule.notice_workdays}"
        yield Problem(FILE, f"{at}.notice_workdays", "GR-03", found, f"notice_workdays ≥ {ANSWER_DAYS}")
    if LEVELS.index(rule.level) < LEVELS.index("E3"):
        yield Problem(FILE, f"{at}.level", "GR-03", f"level = {rule.level}", "E3, E4")
    if not rule.items:
        grey = (code for code, indicator in indicators.items() if indicator.grey is not None)
        yield Problem(FILE, f"{at}.items", "missing", "", listed(grey) or "[[list.items]]")
    for index, item in enumerate(rule.items):
        here = f"{at}.items[{index}].months"
        if item.class_ == "minor" and item.months is not None:
            yield Problem(FILE, here, "GR-04", f"minor, months = {item.months}", 'class = "minor"')
        elif item.class_ == "ordinary" and item.months is None:
            yield Problem(FILE, here, "missing", "", "months = 12")
        if item.class_ == "minor" and item.least is not None:
            yield Problem(FILE, f"{at}.items[{index}].least", "key_of_other_kind", "minor", "indicator, class")


def _check_honour(header: PackHeader, one: PlacedList) -> Iterator[Problem]:
    rule, at = one.rule, one.at
    if rule.about == "persons" and rule.decision != "person":
        yield Problem(FILE, f"{at}.decision", "GR-11", rule.decision, 'decision = "person"')
    # a list that everybody is on honours nobody
    if rule.min_standing is not None and rule.min_standing <= header.base_standing:
        yield Problem(FILE, f"{at}.min_standing", "out_of_range", str(rule.min_standing), f"> {header.base_standing}")
    elif rule.min_standing is None and rule.min_gained is None and not rule.indicators:
        yield Problem(FILE, f"{at}.min_standing", "missing", "", "min_standing, min_gained, indicators")


def _check_ranking(one: PlacedList) -> Iterator[Problem]:
    rule, at = one.rule, one.at
    if rule.minimum.people < rule.suppress_below:
        found = str(rule.minimum.people)
        yield Problem(FILE, f"{at}.minimum.people", "out_of_range", found, f"≥ {rule.suppress_below}")
    yield from repeated((flag.code, FILE, f"{at}.flags[{index}].code") for index, flag in enumerate(rule.flags))
    for index, flag in enumerate(rule.flags):
        yield from _check_flag(f"{at}.flags[{index}]", flag)
    paid = [index for index, flag in enumerate(rule.flags) if flag.fund_fen is not None]
    for index in paid[1:]:  # a place is granted money once for an edition
        yield Problem(FILE, f"{at}.flags[{index}].fund_fen", "too_many", f"{len(paid)} fund_fen", "≤ 1")


def _check_flag(here: str, flag: Flag) -> Iterator[Problem]:
    if flag.min_per_head is None and flag.min_participation is None:
        yield Problem(FILE, f"{here}.min_per_head", "missing", "", "min_per_head, min_participation")
    if flag.fund_fen is not None and flag.budget is None:
        yield Problem(FILE, f"{here}.budget", "missing", "", 'budget = "…"')
    elif flag.budget is not None and flag.fund_fen is None:
        yield Problem(FILE, f"{here}.fund_fen", "missing", "", "fund_fen = 100000")


def _check_example(
    groups: Mapping[str, Group], indicators: Mapping[str, Indicator], rule: ListRule, at: str, example: ListExample
) -> Iterator[Problem]:
    if len(example.period) != len(_FORMS[rule.period]):
        yield Problem(FILE, f"{at}.period", "wrong_form", example.period, _FORMS[rule.period])
    people = sum(member.times for member in example.members)
    if people > PEOPLE_MAX:
        yield Problem(FILE, f"{at}.members", "too_many", str(people), f"≤ {PEOPLE_MAX}")
    names = [(member.name, FILE, f"{at}.members[{index}].name") for index, member in enumerate(example.members)]
    yield from repeated(names)
    for index, member in enumerate(example.members):
        here = f"{at}.members[{index}]"
        for number, group in enumerate(member.groups):
            if group not in groups:
                yield Problem(FILE, f"{here}.groups[{number}]", "unknown_group", group, listed(groups))
        for number, deed in enumerate(member.deeds):
            if deed.indicator not in indicators:
                where = f"{here}.deeds[{number}].indicator"
                yield Problem(FILE, where, "unknown_indicator", deed.indicator, listed(indicators))
    grids = {member.grid for member in example.members}
    known = {
        "ranking": grids,
        "notice": {*grids, *(name for name, _, _ in names)},
    }.get(rule.kind, {name for name, _, _ in names})
    for index, row in enumerate(example.rows):
        if row.unit not in known:
            yield Problem(FILE, f"{at}.rows[{index}].unit", "unknown_unit", row.unit, listed(sorted(known)))
