# SPDX-License-Identifier: Apache-2.0
"""Everything that a report is judged by, one check after the other, whether it holds or not: the answer to "why not".

`evaluate` stops at the first reason; whoever has to correct a report wants them all, and the room that is left. Off the
fast path: only evaluations that were refused come here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from rules.engine.calendar import iso
from rules.engine.caps import Slot
from rules.engine.conditions import given, look
from rules.engine.evaluate import facts_in_range
from rules.engine.explain import looked, window_words, written
from rules.engine.language import OCCURRED_ON
from rules.engine.model import LEVELS, Indicator, Pack
from rules.engine.plan import RANK, Plan, prepared
from rules.engine.refusals import invalid

Check = dict[str, Any]


def review(
    pack: Pack,
    indicator: Indicator,
    *,
    facts: Mapping[str, int | str],
    evidence_level: str,
    occurred_on: date,
    posted_on: date,
    used: Mapping[tuple[str, str], int],
    takeover: bool = False,
) -> list[Check]:
    """Each check with its data, `holds` ("yes" or "no") and `says` (zh and en); takes what `evaluate` takes."""
    plan, tallies, deadline = prepared(pack, indicator, occurred_on)
    checks = [
        *_days(plan, occurred_on, posted_on, deadline, takeover),
        *_evidence(plan, indicator, evidence_level),
        *_facts(plan, indicator, facts, evidence_level, occurred_on, posted_on),
    ]
    for other, key in tallies.others:
        name = pack.indicators[other].name
        worn = used.get(key, 0) > 0
        checks.append(
            _check(
                "other_hat",
                not worn,
                f"{iso(occurred_on)} {'已按' if worn else '没有按'}{name.zh}（{other}）计过分，这两项同一天只计一项。",
                f"{iso(occurred_on)} {'was' if worn else 'was not'} scored under {name.en} ({other}); "
                "only one of the two counts on a day.",
                other=other,
                day=iso(occurred_on),
            )
        )
    slots = (*tallies.on_facts, *tallies.on_result, *((tallies.highest,) if tallies.highest else ()))
    checks += [_room(plan.rule, slot, used.get(slot.key, 0)) for slot in slots]
    return checks


def _days(plan: Plan, occurred_on: date, posted_on: date, deadline: date, takeover: bool) -> Iterator[Check]:
    first, last, day = iso(plan.first), iso(plan.last), iso(occurred_on)
    ends = plan.last < date.max
    yield _check(
        "in_force",
        plan.first <= occurred_on <= plan.last,
        f"本项对 {first} 起{f'至 {last} ' if ends else ''}发生的事项有效，本次是 {day}。",
        f"In force for deeds from {first} {f'to {last}' if ends else 'on'}; this is {day}.",
        **{"occurred_on": day, "from": first, **({"to": last} if ends else {})},
    )
    yield _check(
        "deadline",
        occurred_on <= posted_on and (takeover or posted_on <= deadline),
        f"{day} 的事项最晚 {iso(deadline)} 登记{'（接管期内不限）' if takeover else ''}，现在是 {iso(posted_on)}。",
        f"A deed of {day} is entered by {iso(deadline)}{' (waived in the take-over window)' if takeover else ''}; "
        f"it is {iso(posted_on)}.",
        occurred_on=day,
        posted_on=iso(posted_on),
        deadline=iso(deadline),
    )


def _evidence(plan: Plan, indicator: Indicator, level: str) -> Iterator[Check]:
    required = LEVELS[plan.needed_rank]
    points = None if indicator.points is None else indicator.evidence.points
    yield _check(
        "evidence",
        RANK.get(level, -1) >= plan.needed_rank,
        f"证据至少 {required} 级{f'，兑换积分要 {points} 级' if points else ''}，现在是 {level} 级。",
        f"Evidence {required} at least{f', {points} for points' if points else ''}; this is {level}.",
        given=level,
        required=required,
        **({"points": points} if points else {}),
    )


def _facts(
    plan: Plan,
    indicator: Indicator,
    facts: Mapping[str, int | str],
    level: str,
    occurred_on: date,
    posted_on: date,
) -> Iterator[Check]:
    """The facts, and the conditions upon them where the facts can be read."""
    known = facts_in_range(plan.fields, facts)
    errors = [
        error
        for error in invalid(indicator, facts, level, occurred_on, posted_on).facts["errors"]
        if error["pointer"].startswith("/facts")
    ]
    wrong = "; ".join(f"{error['pointer'][7:]} = {error['allowed'] or '…'}" for error in errors)
    yield _check(
        "facts",
        known is not None,
        "填报的内容齐全、在范围内。" if known is not None else f"填报的内容有缺漏或超出范围（可填 {wrong}）。",
        "The facts are complete and in range."
        if known is not None
        else f"Facts are missing or out of range (allowed: {wrong}).",
        errors=errors,
    )
    if known is None:
        return
    rule_facts = given({**known, OCCURRED_ON: iso(occurred_on)}, plan.days)
    for condition in plan.when:
        holds = bool(condition.holds(rule_facts))
        seen = look(condition, known, rule_facts)
        says = seen.pop("says")
        zh, en = (looked(plan.rule, seen, lang) for lang in ("zh", "en"))
        yield _check(
            "condition",
            holds,
            f"条件：{says['zh']}，{'符合' if holds else '不符合'}{zh}。",
            f"Condition: {says['en']}; it {'holds' if holds else 'does not hold'}{en}.",
            **seen,
        )


def _room(rule: Mapping[str, Any], slot: Slot, used: int) -> Check:
    """What a tally has left. A full one refuses nothing: the award would be posted with less, or with 0."""
    stated = slot.stated
    name = stated.get("name")
    room = max(slot.limit - used, 0)
    if name is not None:
        return _check(
            "highest",
            True,
            f"“{name['zh']}”只取最高一项，{window_words(stated['window'], 'zh', this=True)}此前已记"
            f"{written(rule, 'standing', used, 'zh')}，本项超出的部分才加分。",
            f"{name['en']}: only the highest counts, {written(rule, 'standing', used, 'en')} was given "
            f"{window_words(stated['window'], 'en', this=True)} before; only what is above that is added.",
            **{**stated, "used": used},
        )
    what = {
        lang: rule["fields"][slot.on]["label"][lang] if slot.on in rule["fields"] else _RESULT[slot.on][lang]
        for lang in ("zh", "en")
    }
    numbers = {
        lang: [written(rule, slot.on, value, lang) for value in (slot.limit, used, room)] for lang in ("zh", "en")
    }
    limit, before, left = numbers["zh"]
    limit_en, before_en, left_en = numbers["en"]
    return _check(
        "room",
        room > 0,
        f"{what['zh']}{window_words(stated['window'], 'zh')}最多{limit}，已计{before}，还可计{left}。",
        f"{what['en']}: at most {limit_en} {window_words(stated['window'], 'en')}, {before_en} counted, "
        f"{left_en} left.",
        **{**stated, "used": used, "room": room},
    )


_RESULT = {
    "standing": {"zh": "信用分", "en": "Standing"},
    "points": {"zh": "兑换积分", "en": "Points"},
    "count": {"zh": "次数", "en": "Number of awards"},
}


def _check(check: str, holds: bool, zh: str, en: str, /, **data: Any) -> Check:
    return {"check": check, "holds": "yes" if holds else "no", **data, "says": {"zh": zh, "en": en}}
