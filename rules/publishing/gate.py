# SPDX-License-Identifier: Apache-2.0
"""The gate: what a pack must pass before anybody is asked to adopt it, stage by stage, with what was found.

The first stages are the reader's: it reports everything it can see at once, and each problem belongs to one stage. A
pack that cannot be read reaches none of the later ones. Overlap warns where it finds something that may be meant. The
last stage, the second person, can only be passed by that person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from rules.engine.examples import failures
from rules.engine.model import Pack
from rules.engine.mutation import BURDEN_MAX, burden, survivors
from rules.engine.pack import PROBLEMS_MAX, PackError, read_pack
from rules.engine.problem import EXPRESSION, Problem
from rules.publishing.overlap import overlaps

StageName = Literal[
    "schema", "types", "ranges", "windows", "guardrails", "overlap", "examples", "mutation", "quotes", "backtest",
    "people",
]  # fmt: skip
State = Literal["passed", "warned", "failed", "not_reached", "waiting"]
Backtest: TypeAlias = Callable[[Pack], Awaitable[Mapping[str, Any]]]
"""A pack against history: a summary in plain JSON values. Raises `Refusal` where it cannot be made."""

STAGES: tuple[StageName, ...] = get_args(StageName)
_READING = frozenset({"schema", "types", "ranges", "windows", "guardrails", "overlap", "quotes"})

_CODES: dict[StageName, str] = {
    "types": "wrong_type not_an_integer unknown_word unknown_field unknown_counter field_shape tier_incomplete "
    "not_a_condition not_an_amount unknown_indicator unknown_unit key_of_other_kind",
    "ranges": "out_of_range wrong_length number_too_big not_rising not_open bands_not_falling negative_amount",
    "windows": "windows_not_nested ladder_is_its_own_cap standing_only ends_before_it_starts",
    "guardrails": "minus_points evidence_too_low",
    "overlap": "duplicate_code duplicate_alias cause_too_wide unknown_set lonely_set second_notice",
    "examples": "examples_missing",
    "quotes": "unknown_source source_without_text source_text_missing source_changed quote_not_found",
}
_STAGE_OF: dict[str, StageName] = {
    code: stage for stage, codes in _CODES.items() for code in codes.split()
}  # the others: a matter of form


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: a stable code, a sentence in each language, and where it stands if it stands somewhere."""

    code: str
    zh: str
    en: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    @property
    def where(self) -> str:
        """`file:line:column`, as far as it is known."""
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}"

    def says(self, lang: str) -> str:
        return self.zh if lang == "zh" else self.en

    def data(self) -> dict[str, Any]:
        said: dict[str, Any] = {"code": self.code, "says": {"zh": self.zh, "en": self.en}}
        if self.file:
            said |= {"file": self.file, "line": self.line, "column": self.column}
        if self.path:
            said["path"] = self.path
        return said


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage and what it found; `report` is the back-test's summary."""

    name: StageName
    state: State
    findings: tuple[Finding, ...] = ()
    report: Mapping[str, Any] | None = None

    def data(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "stage": self.name,
            "state": self.state,
            "findings": [finding.data() for finding in self.findings],
        }
        if self.report is not None:
            said["report"] = self.report
        return said


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate says of a pack; `pack` is None where it could not be read."""

    stages: tuple[Stage, ...]
    pack: Pack | None

    @property
    def ok(self) -> bool:
        """Has it passed everything that needs no second person?"""
        return all(stage.state in ("passed", "warned", "waiting") for stage in self.stages)

    @property
    def failed(self) -> StageName | None:
        """The first stage that it did not pass."""
        return next((stage.name for stage in self.stages if stage.state == "failed"), None)

    def findings(self) -> Iterator[tuple[StageName, Finding]]:
        for stage in self.stages:
            for finding in stage.findings:
                yield stage.name, finding

    def data(self) -> list[dict[str, Any]]:
        return [stage.data() for stage in self.stages]


async def gate(files: Mapping[str, bytes], backtest: Backtest | None) -> GateReport:
    """All stages, in order. A stage is only reached if those before it hold, except that the reader tells all it sees
    at once. Without a `backtest` that stage passes with no report."""
    report = read(files)
    pack = report.pack
    if pack is None:
        return report
    done = {stage.name: stage for stage in report.stages}
    done["examples"] = await asyncio.to_thread(examples, pack)
    if done["examples"].state == "passed":
        done["mutation"] = await asyncio.to_thread(mutation, pack)
    if all(stage.state in ("passed", "warned") for name, stage in done.items() if name not in ("backtest", "people")):
        summary = None if backtest is None else await backtest(pack)
        done["backtest"] = Stage("backtest", "passed", report=summary)
        done["people"] = Stage("people", "waiting")
    return GateReport(tuple(done[name] for name in STAGES), pack)


def read(files: Mapping[str, bytes]) -> GateReport:
    """The stages that need nothing but the files: everything that the loader checks, and overlap."""
    try:
        pack = read_pack(files)
    except PackError as error:
        return unreadable(error)
    warnings = tuple(_overlap(pack))
    states: dict[StageName, Stage] = {name: Stage(name, "not_reached") for name in STAGES}
    states |= {name: Stage(name, "passed") for name in STAGES if name in _READING}
    states["overlap"] = Stage("overlap", "warned" if warnings else "passed", warnings)
    return GateReport(tuple(states[name] for name in STAGES), pack)


def unreadable(error: PackError) -> GateReport:
    """Every problem under its stage. What comes after the first failed stage was not looked at to the end."""
    found: dict[StageName, list[Finding]] = {}
    stage: StageName = "schema"
    for problem in error.problems:
        if problem.code != "more_problems":  # the end of a long list, whatever that was a list of
            stage = stage_of(problem.code)
        found.setdefault(stage, []).append(_problem(problem))
    first = min(STAGES.index(name) for name in found)
    return GateReport(
        tuple(
            Stage(name, "failed", tuple(found[name]))
            if name in found
            else Stage(name, "passed" if at < first and name in _READING else "not_reached")
            for at, name in enumerate(STAGES)
        ),
        None,
    )


def examples(pack: Pack) -> Stage:
    """Every worked example comes out as it says."""
    from rules.lists import examples as lists  # here: polars takes a third of a second to load

    wrong = tuple(
        Finding(
            "example_failed",
            f"{one.indicator}“{one.example}”：应为 {one.expected}，实际是 {one.found}。",
            f"{one.indicator} “{one.example}”: expected {one.expected}, found {one.found}.",
            path=one.indicator,
        )
        for one in (*failures(pack), *lists.failures(pack))
    )
    return Stage("examples", "failed" if wrong else "passed", _first(wrong))


def mutation(pack: Pack) -> Stage:
    """Every number and comparison of a rule or a list is held by an example: changed by one, an example fails."""
    from rules.lists import mutation as lists  # here, as above

    for work, most in ((burden(pack), BURDEN_MAX), (lists.burden(pack), lists.BURDEN_MAX)):
        if (whole := sum(work.values())) > most:
            heaviest = max(work, key=lambda code: work[code])
            return Stage("mutation", "failed", (_too_many_changes(whole, most, heaviest),))
    left = tuple(
        Finding(
            "unheld",
            f"{one.indicator}：{one.path} 改动后（{one.change}）没有例子发现；请加一个会因此不同的例子。",
            f"{one.indicator}: with {one.path} changed ({one.change}) no example fails; add one that would.",
            path=f"{one.indicator}.{one.path}",
        )
        for one in (*survivors(pack), *lists.survivors(pack))
    )
    return Stage("mutation", "failed" if left else "passed", _first(left))


def _first(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """As many as somebody can read; what is over is counted."""
    over = len(findings) - PROBLEMS_MAX
    if over <= 0:
        return findings
    more = Finding("more_problems", f"此外还有 {over} 处，没有列出。", f"There are {over} more, which are not listed.")
    return (*findings[:PROBLEMS_MAX], more)


def _too_many_changes(work: int, most: int, heaviest: str) -> Finding:
    return Finding(
        "too_many_changes",
        f"逐项改动检查的工作量至少为 {work}，上限 {most}，没有开始查；占用最多的是 {heaviest}。"
        "请把长的条件和公式拆短，减少重复的例子，或把规则包分成几个。",
        f"changing every number in turn is work for at least {work}, and {most} is the limit, so it was not "
        f"begun; most of it is {heaviest}. Shorten long conditions and formulas, drop examples that repeat one "
        "another, or make it several packs.",
        path=heaviest,
    )


def stage_of(code: str) -> StageName:
    """Which stage a problem of the reader's belongs to."""
    if code.startswith("GR-"):
        return "guardrails"
    if code.startswith(EXPRESSION):
        return "ranges" if code == f"{EXPRESSION}out_of_range" else "types"
    return _STAGE_OF.get(code, "schema")


def _problem(problem: Problem) -> Finding:
    return Finding(
        problem.code,
        problem.tells("zh"),
        problem.tells("en"),
        problem.file,
        problem.line,
        problem.column,
        problem.path,
    )


def _overlap(pack: Pack) -> Iterator[Finding]:
    """One finding for all of them: a matter to look through once, and no fault."""
    found = list(overlaps(pack))
    if not found:
        return
    zh, en = (
        "; ".join(
            f"{one.group} {pack.categories[one.category].model_dump()[lang]}: {', '.join(one.indicators)}"
            for one in found
        )
        for lang in ("zh", "en")
    )
    yield Finding(
        "overlap",
        f"请看一遍：下面同组的规则之间没有设“不重复计”，如果同一件事能按其中两条报，就会计两次分；"
        f"会重复的写上同一个 exclusion，不会重复的不用管。{zh}。",
        f"To look through once: nothing keeps the rules of each of these groups apart, so a deed that fits two of them "
        f"would be paid twice. Give those one exclusion and leave the others. {en}.",
        "pack.toml",
    )
