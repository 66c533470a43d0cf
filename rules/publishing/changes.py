# SPDX-License-Identifier: Apache-2.0
"""What a new pack changes, in plain words: for the notice that residents read a week before it takes effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from rules.engine.explain import amount
from rules.engine.list_wording import PARTS, list_statement, part
from rules.engine.lists import ListRule
from rules.engine.model import Indicator, Pack
from rules.engine.wording import LANGS, Lang, cap, condition, fact, worth

Words = dict[Lang, str]
Raw = Mapping[str, Any]

# What an attribute of an indicator, or of the pack, is called. Worked examples are tests and change nothing for anyone.
_ATTRIBUTES: dict[str, tuple[str, str]] = {
    "name": ("名称", "name"),
    "aliases": ("别名", "other names"),
    "group": ("群体", "group"),
    "category": ("类别", "category"),
    "direction": ("方向", "direction"),
    "effective": ("适用日期", "days in force"),
    "fields": ("填报项", "facts to state"),
    "when": ("条件", "condition"),
    "standing": ("信用分", "standing"),
    "points": ("兑换积分", "points"),
    "caps": ("上限", "caps"),
    "evidence": ("证据要求", "evidence"),
    "approval": ("审批", "approval"),
    "deadline": ("登记期限（月）", "months to enter it in"),
    "cooling": ("冷静期（天）", "cooling-off, days"),
    "validity": ("有效期", "validity"),
    "cause": ("同一件事的认定", "what makes one deed"),
    "reversal": ("撤销时", "when reversed"),
    "highest_only": ("只取最高", "highest only"),
    "exclusion": ("不重复计", "counted under one hat"),
    "work": ("性质", "kind of work"),
    "risk": ("风险", "risk"),
    "grey": ("灰榜", "grey list"),
    "citation": ("依据", "source"),
    "status": ("来历", "standing of the rule"),
    "note": ("说明", "note"),
    "kind": ("种类", "kind"),
    "about": ("对象", "about"),
    "base_standing": ("起始信用分", "standing at the start"),
    "bands": ("等级", "grades"),
    "groups": ("群体", "groups"),
    "categories": ("类别", "categories"),
    "sources": ("依据文件", "sources"),
    "exclusion_sets": ("不重复计的组合", "sets counted under one hat"),
    "highest_sets": ("只取最高的组合", "sets of which the highest counts"),
}
_PACK = {"name", "base_standing", "bands", "groups", "categories", "approval", "sources"}
_SETS = {"exclusion_sets", "highest_sets"}
_NOTHING: Words = {"zh": "无", "en": "none"}


@dataclass(frozen=True, slots=True)
class Change:
    """One indicator or list, or the pack itself (no code), that is new, gone or other than before."""

    kind: Literal["added", "removed", "changed"]
    code: str | None
    name: Mapping[Lang, str]
    details: tuple[Words, ...] = ()

    def data(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "code": self.code,
            "name": dict(self.name),
            "details": {lang: [detail[lang] for detail in self.details] for lang in LANGS},
        }


def changes(old: Pack, new: Pack) -> Iterator[Change]:
    """What differs: the pack itself first, then the indicators by code, then the lists by code."""
    own = tuple(_differences(_pack(old), _pack(new), old, new))
    if own:
        yield Change("changed", None, _name(new), own)
    for code in sorted(old.indicators.keys() | new.indicators.keys()):
        before, after = old.indicators.get(code), new.indicators.get(code)
        if after is None:
            assert before is not None
            yield Change("removed", code, _name(before))
        elif before is None:
            yield Change("added", code, _name(after), tuple(_worth(after)))
        else:
            differences = tuple(_differences(_indicator(before, old), _indicator(after, new), before, after))
            if differences:
                yield Change("changed", code, _name(after), differences)
    for code in sorted(old.lists.keys() | new.lists.keys()):
        yield from _list_change(old, new, code)


def _list_change(old: Pack, new: Pack, code: str) -> Iterator[Change]:
    before, after = old.lists.get(code), new.lists.get(code)
    if after is None:
        assert before is not None
        yield Change("removed", code, _name(before))
    elif before is None:
        told = zip(list_statement(new, after, "zh"), list_statement(new, after, "en"), strict=True)
        yield Change("added", code, _name(after), tuple({"zh": zh, "en": en} for zh, en in told))
    elif before.definition() != (said := after.definition()):
        keys = [key for key in {**before.definition(), **said} if before.definition().get(key) != said.get(key)]
        yield Change("changed", code, _name(after), tuple(_list_words(old, before, new, after, key) for key in keys))


def _list_words(old: Pack, before: ListRule, new: Pack, after: ListRule, key: str) -> Words:
    """A changed key of a list: what it said and says, as a notice says it where it does."""
    was, now = _list_part(old, before, key), _list_part(new, after, key)
    label = _ATTRIBUTES.get(key, (key, key))
    if key in PARTS:  # its words say what they are about
        return {lang: f"{was[lang]} → {now[lang]}" for lang in LANGS}
    return {"zh": f"{label[0]}：{was['zh']} → {now['zh']}", "en": f"{label[1]}: {was['en']} → {now['en']}"}


def _list_part(pack: Pack, rule: ListRule, key: str) -> Words:
    if key in PARTS:
        return _each(lambda at: part(pack, rule, key, LANGS[at]) or _NOTHING[LANGS[at]])
    return _each(lambda at: _plain(rule.definition()[key], at))


def _indicator(indicator: Indicator, pack: Pack) -> dict[str, Any]:
    """Its attributes. A rule that has no day of its own begins with its pack, and that is no change of the rule."""
    said = indicator.model_dump(mode="json", by_alias=True, exclude={"code", "examples"})
    if indicator.effective.from_ == pack.effective_from:
        said["effective"].pop("from")
    return said


def _pack(pack: Pack) -> dict[str, Any]:
    return pack.model_dump(mode="json", include=_PACK | _SETS)


def _differences(old: Raw, new: Raw, before: Indicator | Pack, after: Indicator | Pack) -> Iterator[Words]:
    for attribute in new:
        if old.get(attribute) == new[attribute]:
            continue
        label = _ATTRIBUTES.get(attribute, (attribute, attribute))
        was = _words(attribute, old.get(attribute), before)
        now = _words(attribute, new[attribute], after)
        yield {"zh": f"{label[0]}：{was['zh']} → {now['zh']}", "en": f"{label[1]}: {was['en']} → {now['en']}"}


def _worth(indicator: Indicator) -> Iterator[Words]:
    """What a new indicator gives, and up to what."""
    said = indicator.model_dump(mode="json")
    for attribute in ("standing", "points", "caps"):
        if said[attribute]:
            label, words = _ATTRIBUTES[attribute], _words(attribute, said[attribute], indicator)
            yield {"zh": f"{label[0]}：{words['zh']}", "en": f"{label[1]}: {words['en']}"}


def _words(attribute: str, value: Any, owner: Indicator | Pack) -> Words:
    if value in (None, [], {}, ""):
        return _NOTHING
    if isinstance(owner, Indicator) and attribute in ("standing", "points"):
        form = owner.standing if attribute == "standing" else owner.points
        return _NOTHING if form is None else _each(lambda at: worth(form, owner, LANGS[at]))
    if isinstance(owner, Indicator) and attribute == "when":
        return _each(lambda at: condition(owner, LANGS[at]))
    if isinstance(owner, Indicator) and attribute == "fields":
        return _each(lambda at: ("；", "; ")[at].join(fact(one, LANGS[at]) for one in owner.fields))
    if isinstance(owner, Indicator) and attribute == "caps":
        return _each(lambda at: ("；", "; ")[at].join(cap(one, owner, LANGS[at]) for one in owner.caps))
    if attribute == "base_standing":
        return _each(lambda at: amount(value))
    if attribute == "bands":
        return _each(lambda at: "，".join(f"{band['code']} ≥ {amount(band['min'])}" for band in value))
    return _each(lambda at: _plain(value, at))


def _each(says: Callable[[int], str]) -> Words:
    return {"zh": says(0), "en": says(1)}


def _plain(value: object, at: int) -> str:
    """Anything else as it stands in the pack; of a name in two languages, the reader's."""
    if isinstance(value, Mapping):
        table = cast("Mapping[str, object]", value)
        if set(table) == {"zh", "en"}:
            return str(table[LANGS[at]])
        return ", ".join(f"{key} {_plain(inner, at)}" for key, inner in table.items() if inner not in (None, [], {}))
    if isinstance(value, list | tuple):
        return ", ".join(_plain(inner, at) for inner in cast("Sequence[object]", value))
    return str(value)


def _name(thing: Indicator | ListRule | Pack) -> Mapping[Lang, str]:
    return {"zh": thing.name.zh, "en": thing.name.en}
