# SPDX-License-Identifier: Apache-2.0
"""A trace in plain words, Chinese or English: why these points, why not more, and what comes next.

Reads the trace alone and recomputes nothing: what it says is what was stored when the award was decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_UNITS = {
    "zh": {
        "minute": "分钟",
        "fen": "元",
        "percent": "%",
        "grade": "级",
        "month": "个月",
        "person": "人",
        "count": "处",
        "tenth": "",
    },
    "en": {
        "minute": "minutes",
        "fen": "yuan",
        "percent": "%",
        "grade": "grades",
        "month": "months",
        "person": "people",
        "count": "",
        "tenth": "",
    },
}
_WINDOWS = {
    "zh": {"day": "每日", "month": "每月", "quarter": "每季度", "year": "每年", "ever": "累计"},
    "en": {
        "day": "a day",
        "month": "a month",
        "quarter": "a quarter",
        "year": "a year",
        "ever": "altogether",
    },
}
_THIS_WINDOW = {
    "zh": {"day": "当日", "month": "当月", "quarter": "当季", "year": "当年", "ever": "至今"},
    "en": {
        "day": "that day",
        "month": "that month",
        "quarter": "that quarter",
        "year": "that year",
        "ever": "so far",
    },
}
_BOOKS = {
    "zh": {"standing": "信用分", "points": "兑换积分", "count": "次数"},
    "en": {"standing": "Standing", "points": "Points", "count": "Number of awards"},
}
_SENTENCES = {
    "zh": {
        "head": "{name}（{code}），{day} 的服务或事项，{posted} 登记。",
        "fact": "{label}：{value}。",
        "evidence": "证据等级 {level}。",
        "takeover": "接管期内补录：不受登记期限限制，有效期从登记之日算起。",
        "cap_open": "上限：{what}{window}最多{limit}，{this}此前已计{used}；本次{asked}全部计入。",
        "cap_cut": "上限：{what}{window}最多{limit}，{this}此前已计{used}；"
        "本次{asked}，计入{let}，超出的{lost}不计。",
        "fixed": "{book}：每次{amount}分。",
        "per_unit_unit": "{book}：每满{unit}计{amount}分，不满的部分不计；{quantity}得{worth}分。",
        "per_unit_hundredth": "{book}：每{unit}计{amount}分，按比例计到百分之一分，余下舍去；"
        "{quantity}得{worth}分。",
        "tier": "{book}：“{choice}”计{amount}分。",
        "brackets": "{book}：分段计算，{parts}；合计{worth}分。",
        "bracket": "超过{above}的{part}每{unit}计{amount}分，得{worth}分",
        "bracket_first": "前{part}每{unit}计{amount}分，得{worth}分",
        "ladder": "信用分按{this}累计分档：累计由{before}到{after}，所到档位共{level}分，"
        "此前已记{posted}分，本次加{worth}分。",
        "next": "距下一档（{at}，共{level}分）还差{missing}。",
        "top": "已到最高一档。",
        "withheld": "兑换积分：需要证据等级 {needs}，现为 {given}，本次不计；"
        "由上传人以外的人确认后方可计入。",
        "none": "{book}：本指标不计。",
        "emptied": "{book}：已达上限，本次为 0。",
        "result": "结果（{state}）：信用分{standing}分，兑换积分{points}分。",
        "lot": "{book}有效至 {day}。",
        "rule": "依据：{pack} {version}，规则包指纹 {hash}。",
    },
    "en": {
        "head": "{name} ({code}), deed of {day}, entered {posted}.",
        "fact": "{label}: {value}.",
        "evidence": "Evidence level {level}.",
        "takeover": "Entered in the take-over window: no deadline; validity runs from the day of entry.",
        "cap_open": "Cap: {what} at most {limit} {window}, {used} counted {this} before; "
        "all {asked} counted.",
        "cap_cut": "Cap: {what} at most {limit} {window}, {used} counted {this} before; "
        "of {asked}, {let} counted and {lost} not.",
        "fixed": "{book}: {amount} each time.",
        "per_unit_unit": "{book}: {amount} for each full {unit}, parts do not count; "
        "{quantity} give {worth}.",
        "per_unit_hundredth": "{book}: {amount} for each {unit}, in proportion, rounded down to a hundredth; "
        "{quantity} give {worth}.",
        "tier": "{book}: {amount} for “{choice}”.",
        "brackets": "{book}: in brackets, {parts}; together {worth}.",
        "bracket": "{part} above {above} at {amount} for each {unit} give {worth}",
        "bracket_first": "the first {part} at {amount} for each {unit} give {worth}",
        "ladder": "Standing climbs with the total of {this}: from {before} to {after}, "
        "a level of {level} in all, {posted} posted before, {worth} added now.",
        "next": "{missing} short of the next step ({at}, {level} in all).",
        "top": "The highest step is reached.",
        "withheld": "Points: evidence {needs} is needed and this is {given}, so none now; "
        "someone other than the uploader must confirm.",
        "none": "{book}: none under this indicator.",
        "emptied": "{book}: the cap is reached, so 0 now.",
        "result": "Result ({state}): standing {standing}, points {points}.",
        "lot": "{book} valid until {day}.",
        "rule": "Under {pack} {version}, pack fingerprint {hash}.",
    },
}
_STATES = {
    "zh": {"posted": "全额记入", "reduced": "因上限减少", "zero": "已达上限，记 0"},
    "en": {"posted": "posted in full", "reduced": "reduced by a cap", "zero": "zero: a cap is reached"},
}


def render(trace: Mapping[str, Any], lang: str) -> str:
    """The explanation as lines of text; any language but "en" reads Chinese."""
    return "\n".join(_Prose(trace, "en" if lang == "en" else "zh").lines())


class _Prose:
    def __init__(self, trace: Mapping[str, Any], lang: str) -> None:
        self.trace, self.lang = trace, lang
        self.rule: Mapping[str, Any] = trace["rule"]

    def lines(self) -> Iterator[str]:
        trace, rule = self.trace, self.rule
        yield self.say(
            "head",
            name=rule["name"][self.lang],
            code=rule["code"],
            day=trace["occurred_on"],
            posted=trace["posted_on"],
        )
        for field, value in trace["facts"].items():
            yield self.say("fact", label=self.label(field), value=self.fact(field, value))
        yield self.say("evidence", level=trace["evidence"])
        if "takeover" in trace:
            yield self.say("takeover")
        for cap in trace["caps"]:
            yield self.cap(cap)
        for book in ("standing", "points"):
            yield from self.book(book, trace[book])
        yield self.say(
            "result",
            state=_STATES[self.lang][trace["state"]],
            standing=amount(trace["standing"]["result"]),
            points=amount(trace["points"]["result"]),
        )
        for book in ("standing", "points"):
            if "lot" in trace[book]:
                yield self.say("lot", book=_BOOKS[self.lang][book], day=trace[book]["lot"])
        pack = trace["pack"]
        yield self.say("rule", pack=pack["id"], version=pack["version"], hash=pack["hash"][:16])

    def cap(self, cap: Mapping[str, Any]) -> str:
        on = cap["on"]
        what = _BOOKS[self.lang].get(on) or self.label(on)
        asked, let = cap["asked"], cap["let"]
        return self.say(
            "cap_open" if asked == let else "cap_cut",
            what=what,
            window=_WINDOWS[self.lang][cap["window"]],
            this=_THIS_WINDOW[self.lang][cap["window"]],
            limit=self.counted(on, cap["limit"]),
            used=self.counted(on, cap["used_before"]),
            asked=self.counted(on, asked),
            let=self.counted(on, let),
            lost=self.counted(on, asked - let),
        )

    def book(self, book: str, entry: Mapping[str, Any]) -> Iterator[str]:
        step, name = entry["step"], _BOOKS[self.lang][book]
        kind = step["kind"]
        if kind == "none":
            yield self.say("emptied" if step.get("why") == "emptied" else "none", book=name)
        elif kind == "withheld":
            yield self.say("withheld", needs=step["needs"], given=self.trace["evidence"])
        elif kind == "fixed":
            yield self.say("fixed", book=name, amount=self.signed(step["amount"]))
        elif kind == "tier":
            choice = self.fact(step["field"], step["choice"])
            yield self.say("tier", book=name, choice=choice, amount=self.signed(step["amount"]))
        elif kind == "per_unit":
            yield self.say(
                f"per_unit_{step['rounding']}",
                book=name,
                unit=self.counted(step["field"], step["unit"]),
                amount=self.signed(step["amount"]),
                quantity=self.counted(step["field"], step["quantity"]),
                worth=amount(entry["worth"]),
            )
        elif kind == "brackets":
            parts = ("; " if self.lang == "en" else "；").join(
                self.bracket(step["field"], part) for part in step["parts"]
            )
            yield self.say("brackets", book=name, parts=parts, worth=amount(entry["worth"]))
        else:
            yield from self.ladder(step, entry)

    def bracket(self, field: str, part: Mapping[str, Any]) -> str:
        return self.say(
            "bracket" if part["above"] else "bracket_first",
            above=self.counted(field, part["above"]),
            part=self.counted(field, part["part"]),
            unit=self.counted(field, part["unit"]),
            amount=amount(part["amount"]),
            worth=amount(part["worth"]),
        )

    def ladder(self, step: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
        field = step["field"]
        yield self.say(
            "ladder",
            this=_THIS_WINDOW[self.lang][step["window"]],
            before=self.counted(field, step["before"]),
            after=self.counted(field, step["after"]),
            level=amount(step["level_after"]),
            posted=amount(step["posted_before"]),
            worth=amount(entry["worth"]),
        )
        if "next_at" in step:
            yield self.say(
                "next",
                at=self.counted(field, step["next_at"]),
                level=amount(step["next_level"]),
                missing=self.counted(field, step["missing"]),
            )
        else:
            yield self.say("top")

    def say(self, key: str, **words: object) -> str:
        return _SENTENCES[self.lang][key].format(**words)

    def label(self, field: str) -> str:
        return self.rule["fields"][field]["label"][self.lang]

    def fact(self, field: str, value: int | str) -> str:
        if isinstance(value, str):
            return self.rule["fields"][field]["values"][value][self.lang]
        return self.counted(field, value)

    def counted(self, on: str, quantity: int) -> str:
        """A quantity with its unit: awards plain, books in 分, fields in the unit that they declare."""
        if on == "count":
            return str(quantity)
        if on in ("standing", "points"):
            return amount(quantity) + ("分" if self.lang == "zh" else "")
        unit = self.rule["fields"][on].get("unit", "")
        number = amount(quantity) if unit == "fen" else str(quantity)
        word = _UNITS[self.lang].get(unit, unit)
        return number + word if unit == "percent" or self.lang == "zh" else f"{number} {word}".rstrip()

    def signed(self, value: int) -> str:
        return amount(-value if self.rule["direction"] == "minus" else value)


def amount(hundredths: int) -> str:
    """An amount as it is written on a slip: 200 → 2, 250 → 2.5, 1667 → 16.67, −50 → -0.5."""
    whole, rest = divmod(abs(hundredths), 100)
    text = f"{whole}.{rest:02d}".rstrip("0").rstrip(".") if rest else str(whole)
    return f"-{text}" if hundredths < 0 else text
