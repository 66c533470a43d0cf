# SPDX-License-Identifier: Apache-2.0
"""A trace in plain words, Chinese or English: why these points, why not more, and what comes next.

Reads the trace alone and recomputes nothing: what it says is what was stored when the award was decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

UNITS = {
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
WINDOWS = {
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
BOOKS = {
    "zh": {"standing": "信用分", "points": "兑换积分", "count": "次数"},
    "en": {"standing": "Standing", "points": "Points", "count": "Number of awards"},
}
# pyright: reportUnknownLambdaType=false
# Sentences are f-strings in functions and not templates to fill in: an award is answered with a dozen of them, and
# `str.format` took half of the time. In both languages a sentence takes the same words in the same order; every word
# is a string.
_SENTENCES: dict[str, dict[str, Callable[..., str]]] = {
    "zh": {
        "head": lambda name, code, day, posted: f"{name}（{code}），{day} 的服务或事项，{posted} 登记。",
        "fact": lambda label, value: f"{label}：{value}。",
        "evidence": lambda level: f"证据等级 {level}。",
        "takeover": lambda: "接管期内补录：不受登记期限限制，有效期从登记之日算起。",
        "condition": lambda says, values: f"条件：{says}，符合{values}。",
        "one_hat_day": lambda name, others: f"“{name}”同一天只按其中一项计分，当日没有按其他项（{others}）计过。",
        "one_hat_case": lambda name, others: f"“{name}”同一件事只按其中一项计分，不再按其他项（{others}）计。",
        "cap_open": lambda what, window, limit, this, used, asked: (
            f"上限：{what}{window}最多{limit}，{this}此前已计{used}；本次{asked}全部计入。"
        ),
        "cap_cut": lambda what, window, limit, this, used, asked, let, lost: (
            f"上限：{what}{window}最多{limit}，{this}此前已计{used}；本次{asked}，计入{let}，超出的{lost}不计。"
        ),
        "fixed": lambda book, amount: f"{book}：每次{amount}分。",
        "per_unit_unit": lambda book, unit, amount, quantity, worth: (
            f"{book}：每满{unit}计{amount}分，不满的部分不计；{quantity}得{worth}分。"
        ),
        "per_unit_hundredth": lambda book, unit, amount, quantity, worth: (
            f"{book}：每{unit}计{amount}分，按比例计到百分之一分，余下舍去；{quantity}得{worth}分。"
        ),
        "tier": lambda book, choice, amount: f"{book}：“{choice}”计{amount}分。",
        "brackets": lambda book, parts, worth: f"{book}：分段计算，{parts}；合计{worth}分。",
        "bracket": lambda above, part, unit, amount, worth: f"超过{above}的{part}每{unit}计{amount}分，得{worth}分",
        "bracket_first": lambda part, unit, amount, worth: f"前{part}每{unit}计{amount}分，得{worth}分",
        "ladder": lambda this, before, after, level, posted, worth: (
            f"信用分按{this}累计分档：累计由{before}到{after}，"
            f"所到档位共{level}分，此前已记{posted}分，本次加{worth}分。"
        ),
        "next": lambda at, level, missing: f"距下一档（{at}，共{level}分）还差{missing}。",
        "top": lambda: "已到最高一档。",
        "formula": lambda book, expr, values, worth: f"{book}：按公式（以百分之一分计）：{expr}{values}，得{worth}分。",
        "highest": lambda name, this, worth, given, added: (
            f"“{name}”只取最高一项：本项值{worth}分，{this}此前已记{given}分，本次加{added}分。"
        ),
        "withheld": lambda needs, given: (
            f"兑换积分：需要证据等级 {needs}，现为 {given}，本次不计；由上传人以外的人确认后方可计入。"
        ),
        "none": lambda book: f"{book}：本指标不计。",
        "emptied": lambda book: f"{book}：已达上限，本次为 0。",
        "kept": lambda book, amount: f"{book}：此前那一笔有{amount}分未能收回，算在这一笔里。",
        "result": lambda state, standing, points: f"结果（{state}）：信用分{standing}分，兑换积分{points}分。",
        "lot": lambda book, day: f"{book}有效至 {day}。",
        "rule": lambda pack, version, hash: f"依据：{pack} {version}，规则包指纹 {hash}。",
    },
    "en": {
        "head": lambda name, code, day, posted: f"{name} ({code}), deed of {day}, entered {posted}.",
        "fact": lambda label, value: f"{label}: {value}.",
        "evidence": lambda level: f"Evidence level {level}.",
        "takeover": lambda: "Entered in the take-over window: no deadline; validity runs from the day of entry.",
        "condition": lambda says, values: f"Condition: {says}; it holds{values}.",
        "one_hat_day": lambda name, others: (
            f"{name}: one of these counts on a day, and none of the others ({others}) was given that day."
        ),
        "one_hat_case": lambda name, others: (
            f"{name}: one of these counts for one matter, so none of the others ({others}) counts for it any more."
        ),
        "cap_open": lambda what, window, limit, this, used, asked: (
            f"Cap: {what} at most {limit} {window}, {used} counted {this} before; all {asked} counted."
        ),
        "cap_cut": lambda what, window, limit, this, used, asked, let, lost: (
            f"Cap: {what} at most {limit} {window}, {used} counted {this} before; "
            f"of {asked}, {let} counted and {lost} not."
        ),
        "fixed": lambda book, amount: f"{book}: {amount} each time.",
        "per_unit_unit": lambda book, unit, amount, quantity, worth: (
            f"{book}: {amount} for each full {unit}, parts do not count; {quantity} give {worth}."
        ),
        "per_unit_hundredth": lambda book, unit, amount, quantity, worth: (
            f"{book}: {amount} for each {unit}, in proportion, rounded down to a hundredth; {quantity} give {worth}."
        ),
        "tier": lambda book, choice, amount: f"{book}: {amount} for “{choice}”.",
        "brackets": lambda book, parts, worth: f"{book}: in brackets, {parts}; together {worth}.",
        "bracket": lambda above, part, unit, amount, worth: (
            f"{part} above {above} at {amount} for each {unit} give {worth}"
        ),
        "bracket_first": lambda part, unit, amount, worth: f"the first {part} at {amount} for each {unit} give {worth}",
        "ladder": lambda this, before, after, level, posted, worth: (
            f"Standing climbs with the total of {this}: from {before} to {after}, "
            f"a level of {level} in all, {posted} posted before, {worth} added now."
        ),
        "next": lambda at, level, missing: f"{missing} short of the next step ({at}, {level} in all).",
        "top": lambda: "The highest step is reached.",
        "formula": lambda book, expr, values, worth: f"{book}: by the formula (in hundredths) {expr}{values}; {worth}.",
        "highest": lambda name, this, worth, given, added: (
            f"{name}: only the highest counts. This one is worth {worth}, {given} was given {this} before, "
            f"{added} added now."
        ),
        "withheld": lambda needs, given: (
            f"Points: evidence {needs} is needed and this is {given}, "
            "so none now; someone other than the uploader must confirm."
        ),
        "none": lambda book: f"{book}: none under this indicator.",
        "emptied": lambda book: f"{book}: the cap is reached, so 0 now.",
        "kept": lambda book, amount: f"{book}: {amount} of the award before this one stayed and count here.",
        "result": lambda state, standing, points: f"Result ({state}): standing {standing}, points {points}.",
        "lot": lambda book, day: f"{book} valid until {day}.",
        "rule": lambda pack, version, hash: f"Under {pack} {version}, pack fingerprint {hash}.",
    },
}
_STATES = {
    "zh": {
        "posted": "全额记入",
        "reduced": "因上限减少",
        "zero": "已达上限，记 0",
        "reduced_highest": "只补与此前最高一项的差额",
        "zero_highest": "此前已记的不低于本项，本次不加",
    },
    "en": {
        "posted": "posted in full",
        "reduced": "reduced by a cap",
        "zero": "zero: a cap is reached",
        "reduced_highest": "the difference to the highest before",
        "zero_highest": "zero: no higher than what was given before",
    },
}


def render(trace: Mapping[str, Any], lang: str) -> str:
    """The explanation as lines of text; any language but "en" reads Chinese."""
    return "\n".join(_Prose(trace, "en" if lang == "en" else "zh").lines())


def written(rule: Mapping[str, Any], on: str, value: int | str, lang: str) -> str:
    """A fact, or an amount of a book, as it reads under this rule."""
    return _Prose({"rule": rule}, lang).fact(on, value)


def looked(rule: Mapping[str, Any], condition: Mapping[str, Any], lang: str) -> str:
    """The values that a condition looked at, in brackets; nothing where there are none."""
    return _Prose({"rule": rule}, lang).looked(condition)


def window_words(window: str, lang: str, *, this: bool = False) -> str:
    """What the window of a cap is called: "a year", or `this` one: "that year"."""
    return (_THIS_WINDOW if this else WINDOWS)[lang][window]


class _Prose:
    def __init__(self, trace: Mapping[str, Any], lang: str) -> None:
        self.trace, self.lang = trace, lang
        self.rule: Mapping[str, Any] = trace["rule"]
        self.say = _SENTENCES[lang]

    def lines(self) -> list[str]:
        trace, rule, say, books = self.trace, self.rule, self.say, BOOKS[self.lang]
        standing, points = trace["standing"], trace["points"]
        lines = [say["head"](rule["name"][self.lang], rule["code"], trace["occurred_on"], trace["posted_on"])]
        for field, value in trace["facts"].items():
            lines.append(say["fact"](self.label(field), self.fact(field, value)))
        lines.append(say["evidence"](trace["evidence"]))
        if "takeover" in trace:
            lines.append(say["takeover"]())
        for condition in trace.get("conditions", ()):
            lines.append(say["condition"](condition["says"][self.lang], self.looked(condition)))
        if "exclusion" in trace:
            lines.append(self.hat(trace["exclusion"]))
        for cap in trace["caps"]:
            lines.append(self.cap(cap))
        self.book(books["standing"], standing, lines)
        if "highest" in standing:
            lines.append(self.highest(standing["highest"]))
        self.book(books["points"], points, lines)
        lines += [
            say["kept"](books[name], amount(entry["kept"]))
            for name, entry in (("standing", standing), ("points", points))
            if "kept" in entry
        ]
        lines.append(say["result"](self.state(), amount(standing["result"]), amount(points["result"])))
        if "lot" in standing:
            lines.append(say["lot"](books["standing"], standing["lot"]))
        if "lot" in points:
            lines.append(say["lot"](books["points"], points["lot"]))
        pack = trace["pack"]
        lines.append(say["rule"](pack["id"], pack["version"], pack["hash"][:16]))
        return lines

    def state(self) -> str:
        state, highest = self.trace["state"], self.trace["standing"].get("highest")
        if highest is not None and state != "posted" and all(cap["let"] == cap["asked"] for cap in self.trace["caps"]):
            state += "_highest"
        return _STATES[self.lang][state]

    def hat(self, exclusion: Mapping[str, Any]) -> str:
        between = ", " if self.lang == "en" else "、"
        others = between.join(name[self.lang] for name in exclusion["others"].values())
        return self.say[f"one_hat_{exclusion['by']}"](exclusion["name"][self.lang], others)

    def values(self, values: Mapping[str, int | str]) -> str:
        """Facts as a remark in brackets, nothing where there are none."""
        return self.remark((self.label(name), self.seen(name, value)) for name, value in values.items())

    def looked(self, condition: Mapping[str, Any]) -> str:
        """What a condition looked at: facts, and what was worked out from them."""
        facts = ((self.label(name), self.seen(name, value)) for name, value in condition["values"].items())
        worked = ((one["says"][self.lang], str(one["value"])) for one in condition["worked"])
        return self.remark((*facts, *worked))

    def remark(self, said: Iterable[tuple[str, str]]) -> str:
        if self.lang == "en":
            parts = ", ".join(f"{label}: {value}" for label, value in said)
            return f" ({parts})" if parts else ""
        parts = "，".join(f"{label}：{value}" for label, value in said)
        return f"（{parts}）" if parts else ""

    def cap(self, cap: Mapping[str, Any]) -> str:
        on, window = cap["on"], cap["window"]
        asked, let = cap["asked"], cap["let"]
        write, unit = self.measure(on)
        words = (
            BOOKS[self.lang].get(on) or self.label(on),
            WINDOWS[self.lang][window],
            write(cap["limit"]) + unit,
            _THIS_WINDOW[self.lang][window],
            write(cap["used_before"]) + unit,
            write(asked) + unit,
        )
        if asked == let:
            return self.say["cap_open"](*words)
        return self.say["cap_cut"](*words, write(let) + unit, write(asked - let) + unit)

    def book(self, name: str, entry: Mapping[str, Any], lines: list[str]) -> None:
        step, say = entry["step"], self.say
        kind = step["kind"]
        if kind == "none":
            lines.append(say["emptied" if step.get("why") == "emptied" else "none"](name))
        elif kind == "withheld":
            lines.append(say["withheld"](step["needs"], self.trace["evidence"]))
        elif kind == "fixed":
            lines.append(say["fixed"](name, self.signed(step["amount"])))
        elif kind == "tier":
            choice = self.fact(step["field"], step["choice"])
            lines.append(say["tier"](name, choice, self.signed(step["amount"])))
        elif kind == "per_unit":
            write, unit = self.measure(step["field"])
            lines.append(
                say[f"per_unit_{step['rounding']}"](
                    name,
                    write(step["unit"]) + unit,
                    self.signed(step["amount"]),
                    write(step["quantity"]) + unit,
                    amount(entry["worth"]),
                )
            )
        elif kind == "brackets":
            between = "; " if self.lang == "en" else "；"
            parts = between.join(self.bracket(step["field"], part) for part in step["parts"])
            lines.append(say["brackets"](name, parts, amount(entry["worth"])))
        elif kind == "formula":
            values = self.values(step["values"])
            lines.append(say["formula"](name, step["says"][self.lang], values, amount(entry["worth"])))
        else:
            self.ladder(step, entry, lines)

    def bracket(self, field: str, part: Mapping[str, Any]) -> str:
        words = (
            self.counted(field, part["part"]),
            self.counted(field, part["unit"]),
            amount(part["amount"]),
            amount(part["worth"]),
        )
        if part["above"]:
            return self.say["bracket"](self.counted(field, part["above"]), *words)
        return self.say["bracket_first"](*words)

    def highest(self, step: Mapping[str, Any]) -> str:
        return self.say["highest"](
            step["name"][self.lang],
            _THIS_WINDOW[self.lang][step["window"]],
            amount(step["worth"]),
            amount(step["given_before"]),
            amount(step["let"]),
        )

    def ladder(self, step: Mapping[str, Any], entry: Mapping[str, Any], lines: list[str]) -> None:
        write, unit = self.measure(step["field"])
        lines.append(
            self.say["ladder"](
                _THIS_WINDOW[self.lang][step["window"]],
                write(step["before"]) + unit,
                write(step["after"]) + unit,
                amount(step["level_after"]),
                amount(step["posted_before"]),
                amount(entry["worth"]),
            )
        )
        if "next_at" in step:
            lines.append(
                self.say["next"](
                    write(step["next_at"]) + unit, amount(step["next_level"]), write(step["missing"]) + unit
                )
            )
        else:
            lines.append(self.say["top"]())

    def label(self, field: str) -> str:
        return self.rule["fields"][field]["label"][self.lang]

    def fact(self, field: str, value: int | str) -> str:
        if isinstance(value, str):
            words = self.rule["fields"][field].get("values")
            return value if words is None else words[value][self.lang]  # a day is its own word
        return self.counted(field, value)

    def seen(self, field: str, value: int | str) -> str:
        """A fact beside a condition or formula, which sees money in fen."""
        said = self.fact(field, value)
        if self.rule["fields"][field].get("unit") != "fen":
            return said
        return f"{said} = {value} fen" if self.lang == "en" else f"{said}＝{value}分钱"

    def counted(self, on: str, quantity: int) -> str:
        """A quantity with its unit."""
        write, unit = self.measure(on)
        return write(quantity) + unit

    def measure(self, on: str) -> tuple[Callable[[int], str], str]:
        """How a quantity's number is written and what stands after it: awards plain, books in 分, fields in the unit
        that they declare."""
        if on == "count":
            return str, "次" if self.lang == "zh" else ""
        if on in ("standing", "points"):
            return amount, "分" if self.lang == "zh" else ""
        unit: str = self.rule["fields"][on].get("unit", "")
        word = UNITS[self.lang].get(unit, unit)
        if word and self.lang == "en" and unit != "percent":
            word = f" {word}"
        return amount if unit == "fen" else str, word

    def signed(self, value: int) -> str:
        return amount(-value if self.rule["direction"] == "minus" else value)


@lru_cache(maxsize=4096)  # the same few amounts in sentence after sentence
def amount(hundredths: int) -> str:
    """An amount as it is written on a slip: 200 → 2, 250 → 2.5, 1667 → 16.67, −50 → -0.5."""
    whole, rest = divmod(abs(hundredths), 100)
    text = f"{whole}.{rest:02d}".rstrip("0").rstrip(".") if rest else str(whole)
    return f"-{text}" if hundredths < 0 else text
