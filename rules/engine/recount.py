# SPDX-License-Identifier: Apache-2.0
"""The same numbers again, from a stored trace alone: the second opinion on every award.

Shares no arithmetic with `evaluate.py` and needs no pack: what the trace states of limits, rates, levels and rooms is
worked through once more. Whoever holds a trace (an auditor, a resident at the counter) can do the same by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from rules.engine.language import Day, Enum, Int, Type, check, compile_scalar, parse

Trace = Mapping[str, Any]


def recount(trace: Trace) -> tuple[int, int]:
    """Standing and points, in hundredths of a 分, as the trace says they come about.

    Raises ValueError where the trace contradicts itself before there is a number.
    """
    facts: dict[str, Any] = dict(trace["facts"])
    caps: list[Mapping[str, Any]] = list(trace["caps"])
    emptied = False
    on_result: list[Mapping[str, Any]] = []
    for cap in caps:
        if cap["on"] not in facts:
            on_result.append(cap)
            continue
        let = _let(cap, facts[cap["on"]])
        emptied = emptied or let == 0 < facts[cap["on"]]  # of nothing, nothing was taken away
        facts[cap["on"]] = let
    standing = 0 if emptied else _worth(trace, trace["standing"]["step"], facts)
    points = 0 if emptied else _worth(trace, trace["points"]["step"], facts)
    if (highest := trace["standing"].get("highest")) is not None:
        standing = max(standing - highest["given_before"], 0)
    for cap in on_result:
        if cap["on"] == "standing":
            standing = _let(cap, standing)
        elif cap["on"] == "points":
            points = _let(cap, points)
        elif cap["asked"] and _let(cap, 1) == 0:
            standing = points = 0
    standing -= trace["standing"].get("kept", 0)
    points -= trace["points"].get("kept", 0)
    return (-standing if trace["rule"]["direction"] == "minus" else standing), points


def _let(cap: Mapping[str, Any], asked: int) -> int:
    return min(asked, max(cap["limit"] - cap["used_before"], 0))


def _worth(trace: Trace, step: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
    """What one book's step is worth."""
    match step["kind"]:
        case "none" | "withheld":
            return 0
        case "fixed":
            return step["amount"]
        case "tier":
            if facts[step["field"]] != step["choice"]:
                raise ValueError("the tier is another word's")
            return step["amount"]
        case "per_unit":
            return _rated(step, facts[step["field"]], step)
        case "brackets":
            if sum(part["part"] for part in step["parts"]) != facts[step["field"]]:
                raise ValueError("the brackets do not add up to the quantity")
            return sum(_rated(step, part["part"], part) for part in step["parts"])
        case "ladder":
            if step["before"] + facts[step["field"]] != step["after"]:
                raise ValueError("the ladder was climbed by another quantity")
            return max(step["level_after"] - step["posted_before"], 0)
        case "formula":
            return _formula(trace, step["expr"], facts)
        case other:
            raise ValueError(f"no such step: {other}")


def _rated(step: Mapping[str, Any], quantity: int, rate: Mapping[str, Any]) -> int:
    """So much for each unit: whole units only, or in proportion; what is over is dropped."""
    if step["rounding"] == "unit":
        return quantity // rate["unit"] * rate["amount"]
    return quantity * rate["amount"] // rate["unit"]


def _formula(trace: Trace, expr: str, facts: Mapping[str, Any]) -> int:
    """The formula's text read again, on exactly these facts."""
    scope: dict[str, Type] = {}
    given: dict[str, int | str | date] = {"occurred_on": date.fromisoformat(trace["occurred_on"])}
    for name, value in facts.items():
        words: Mapping[str, Any] | None = trace["rule"]["fields"][name].get("values")
        if isinstance(value, int):
            scope[name], given[name] = Int(value, value), value
        elif words is not None:
            scope[name], given[name] = Enum(tuple(words)), value
        else:
            scope[name], given[name] = Day(), date.fromisoformat(value)
    return int(compile_scalar(check(parse(expr), scope))(given))
