# SPDX-License-Identifier: Apache-2.0
"""The scenario files: exactly 36, from where the record says, none that takes away; their limits, days and gates."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Refusal
from merchants.catalogue import FOLDER, Scenario, ScenarioError, load_scenario, load_scenarios
from merchants.judging import judge
from merchants.windows import named, window, windows
from tests.scenarios_page import PAGE, beside, table

ALL = load_scenarios()
CHEAP = (FOLDER / "S32-ebike-charging.toml").read_text(encoding="utf-8")
CLINIC = (FOLDER / "S08-clinic-registration.toml").read_text(encoding="utf-8")
LIBRARY = (FOLDER / "S27-library.toml").read_text(encoding="utf-8")
METER = (FOLDER / "S21-water-bill.toml").read_text(encoding="utf-8")
HELP = (FOLDER / "S33-volunteer-help.toml").read_text(encoding="utf-8")
KERB = (FOLDER / "S04-kerb-parking.toml").read_text(encoding="utf-8")
NAMED = 'by = "reference", reference = { zh = "户号", en = "meter" }'

# What the catalogue was asked to be, by code: gate, and how often.
ASKED = """
S01 AA 60/month | S02 20pt 2/quarter | S03 10pt 12/year | S04 AA 1/year,1/year/reference | S05 AA | S06 AA
S07 AA 4/year | S08 AAA 6/year | S09 AAA|100pt 1/year | S10 A 1/ever/reference | S11 AA 4/year/site | S12 AAA 1/year
S13 0.5-100pt 100pt/month | S14 AA | S15 50pt 4/year | S16 AA | S17 10-30pt 2/month | S18 AA | S19 AAA | S20 AA
S21 AA|30pt 1/quarter/reference | S22 AA|30pt 1/quarter/reference | S23 AA|30pt 1/quarter/reference
S24 AAA 1/season/reference | S25 AAA 1/year/reference | S26 AA 1/year,1/year/reference | S27 A | S28 AA 8/month
S29 30pt 1/month | S30 AA 2/term | S31 5pt 20/month | S32 2pt 40/month | S33 attested | S34 AA
S35 AAA&attested 1/year | S36 1-1000pt
"""


def test_there_are_36_of_seven_kinds() -> None:
    """All codes S01 to S36, every kind of benefit, and origins as the catalogue counts them."""
    assert [f"S{n:02d}" for n in range(1, 37)] == list(ALL)
    assert 7 == len({one.benefit for one in ALL.values()})
    assert {"record": 9, "field": 5, "local": 3, "practice": 17, "ours": 2} == Counter(
        one.origin for one in ALL.values()
    )


def test_gates_and_limits_are_those_asked_for() -> None:
    """Each scenario asks and allows what the catalogue says, and nothing more."""
    rows = [row for line in ASKED.strip().splitlines() for row in line.split(" | ")]
    assert rows == [" ".join(filter(None, (one.code, _gate(one), _limits(one)))) for one in ALL.values()]


def _gate(one: Scenario) -> str:
    cost = one.gate.points
    points = cost and "-".join(dict.fromkeys(f"{amount / 100:g}" for amount in (cost.least, cost.most))) + "pt"
    asked = filter(None, (one.gate.grade, points, one.gate.attested and "attested"))
    return ("&" if one.gate.needs == "all" else "|").join(asked)


def _limits(one: Scenario) -> str:
    return ",".join(
        "/".join(
            (
                str(limit.count) if limit.count else f"{(limit.points or 0) // 100}pt",
                limit.per or "ever",
                *([limit.by] if limit.by != "person" else []),
            )
        )
        for limit in one.limits
    )


def test_public_services_keep_their_ordinary_route() -> None:
    """Whatever is medical, education or a public service says which way stays open to everybody."""
    public = [one for one in ALL.values() if one.public_service or one.category in ("medical", "education")]
    assert {"S06", "S07", "S08", "S09", "S10", "S19", "S27", "S28", "S29", "S30", "S33", "S34"} == {
        one.code for one in public
    }
    assert all(one.ordinary_route for one in public)


def test_every_scenario_says_who_pays_and_has_examples() -> None:
    """Days, a yearly budget where somebody is paid, and at least three examples: one that gets it and one that does
    not; where a limit counts, one at its edge."""
    for one in ALL.values():
        assert one.valid.first
        assert (one.settlement == "reimburse") == (one.yearly_budget_fen is not None)
        codes = Counter(example.code for example in one.examples)
        assert codes.total() >= 3, one.code
        assert codes[None] or one.waits_for, one.code
        assert len(codes) > 1 or one.waits_for, one.code
        assert not one.limits or codes["limit_reached"], one.code


def test_no_scenario_changes_anybodys_place_in_a_queue_or_asks_how_bills_were_paid() -> None:
    """The one medical scenario of kind "priority" is help, and says so; utilities look at nothing but grade, points
    and the meter."""
    assert ["S07"] == [one.code for one in ALL.values() if one.category == "medical" and one.benefit == "priority"]
    assert "不是插队" in str(ALL["S07"].note)
    for code in ("S21", "S22", "S23", "S24", "S25"):
        assert ALL[code].gate.attested is None
        assert "与以往缴费情况无关" in str(ALL[code].terms)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CHEAP.replace('benefit = "goods"', 'benefit = "deny"'), "benefit: .*may only give"),
        (CHEAP.replace('benefit = "goods"', 'benefit = "punish"'), "benefit: "),
        (CHEAP + "\n[penalty]\npoints = 5\n", "penalty: "),
        (CHEAP.replace('category = "community"', 'category = "medical"'), "ordinary_route"),
        (CHEAP.replace("settlement =", "public_service = true\nsettlement ="), "ordinary_route"),
        (re.sub(r"ordinary_route.*\n", "", CLINIC), "ordinary_route"),
        (CHEAP.replace("电动车充电时长", "政务代办"), "ordinary_route"),
        (CHEAP.replace("充电运营单位", "县医院"), "ordinary_route"),
        (re.sub(r"ordinary_route.*\n", "", LIBRARY), "ordinary_route"),
        (re.sub(r"gate = .*", 'gate = { attested = { zh = "无欠费", en = "no arrears" } }', HELP), "gate: .*欠费"),
        (CHEAP.replace("least = 200", "least = 2.0"), "gate.points.least: "),
        (CHEAP.replace("least = 200", "least = 201"), "least is above most"),
        (re.sub(r"gate = .*", 'gate = { needs = "all" }', CHEAP), "gate: .*needs a grade, points or attested"),
        (CHEAP.replace('kinds = ["person"]', "kinds = []"), "eligible.kinds: "),
        (CHEAP.replace('kinds = ["person"]', 'kinds = ["person"], age_min = 16'), "eligible.age_min: "),
        (CHEAP.replace("count = 40", "count = 0"), "limits.0.count: "),
        (CHEAP.replace("count = 40", "count = 40, points = 100"), "limits.0: .*count or points"),
        (CHEAP.replace("count = 40, ", ""), "limits.0: .*count or points"),
        (CHEAP.replace('per = "month"', 'per = "week"'), "limits.0.per: "),
        (CHEAP.replace('per = "month"', 'per = "month", by = "reference"'), "limits.0: .*reference says what"),
        (METER.replace('by = "reference", ', ""), "limits.0: .*reference says what"),
        (re.sub(r"limits = \[(.*)\]", r"limits = [\1, \1]", CHEAP), "limits: two of one kind"),
        (KERB.replace('"year", note', f'"month", {NAMED}, note'), "only one thing can be named"),
        (re.sub(r"yearly_budget_fen.*\n", "", CHEAP), "needs a yearly_budget_fen"),
        (CHEAP.replace('"reimburse"', '"provider_bears"'), "nobody is paid here"),
        (re.sub(r"yearly_budget_fen.*\n", "", CHEAP).replace('"reimburse"', '"none"'), "nobody is paid here"),
        (HELP.replace('"none"', '"none"\ngift = true'), "only points can be given"),
        (CHEAP.replace("2020-10-01", "2020-10-01, to = 2020-09-30"), "valid: .*to is before from"),
        (CHEAP.replace("2020-10-01", '"2020-10-01"'), "valid.from: "),
        (re.sub(r"agreement = .*\n", "", CHEAP), "agreement: "),
        (CHEAP.replace("quantity = 4", 'quantity = "4"'), "examples.0.quantity: "),
        (CHEAP.replace('"S32"', '"S31"'), "name must begin with S31-"),
        (CHEAP + "x", "not TOML"),
    ],
)  # fmt: skip
def test_what_does_not_load(tmp_path: Path, text: str, said: str) -> None:
    """The message names the file, the place in it and what is wrong."""
    assert text not in (CHEAP, CLINIC, LIBRARY, METER, HELP, KERB)
    path = tmp_path / "S32-wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=said) as caught:
        load_scenario(path)
    assert str(caught.value).startswith("S32-wrong.toml: ")


def test_one_code_once(tmp_path: Path) -> None:
    """Two files may not claim one code."""
    for name in ("S32-a.toml", "S32-b.toml"):
        (tmp_path / name).write_text(CHEAP, encoding="utf-8")
    with pytest.raises(ScenarioError, match="S32 is there already"):
        load_scenarios(tmp_path)


@pytest.mark.parametrize(
    ("per", "day", "days"),
    [
        (None, "2026-03-10", ("", "9999-12-31")),
        ("day", "2026-03-10", ("2026-03-10", "2026-03-10")),
        ("month", "2026-12-31", ("2026-12-01", "2026-12-31")),
        ("month", "2028-02-29", ("2028-02-01", "2028-02-29")),
        ("quarter", "2026-03-31", ("2026-01-01", "2026-03-31")),
        ("quarter", "2026-10-01", ("2026-10-01", "2026-12-31")),
        ("term", "2026-08-31", ("2026-03-01", "2026-08-31")),
        ("term", "2026-09-01", ("2026-09-01", "2027-02-28")),
        ("term", "2027-01-15", ("2026-09-01", "2027-02-28")),
        ("season", "2026-11-15", ("2026-03-16", "2027-03-15")),
        ("season", "2027-03-15", ("2026-03-16", "2027-03-15")),
        ("season", "2027-03-16", ("2027-03-16", "2028-03-15")),
        ("year", "2026-01-01", ("2026-01-01", "2026-12-31")),
    ],
)
def test_the_days_of_a_period(per: str | None, day: str, days: tuple[str, str]) -> None:
    """Periods of the calendar; a heating season reaches from the end of one winter to the end of the next."""
    assert days == window(per, day)  # type: ignore[arg-type]


def test_no_two_limits_share_a_counter() -> None:
    """On the first of January a day, a month and a year begin together; they are counted apart, and so are shops."""
    per = ("day", "month", "quarter", "year")
    limits = [limit.model_copy(update={"per": one}) for limit in ALL["S01"].limits for one in per]
    limits += ALL["S11"].limits + ALL["S13"].limits + ALL["S21"].limits
    many = ALL["S01"].model_copy(update={"limits": limits})
    here = windows(many, day="2026-01-01", merchant="mer_a", subject="sub_1", reference="aa")
    there = windows(many, day="2026-01-01", merchant="mer_b", subject="sub_1", reference="aa")
    assert len(limits) == len({one.key for one in here})
    assert 1 == len({one.key for one in there} - {one.key for one in here})


def test_a_reference_is_asked_for_and_read_in_one_form() -> None:
    """Without a number there is no order, though anybody may ask; spelling, spaces and width do not make another."""
    place: dict[str, Any] = {"day": "2026-01-01", "merchant": "mer_a", "subject": "sub_1"}
    with pytest.raises(Refusal, match="reference_missing"):
        windows(ALL["S21"], **place)
    assert () == windows(ALL["S21"], **place, asking=True)
    assert 1 == len({named(text) for text in ("鲁C12345", "鲁c 12345", "鲁Ｃ·１２３４５")})
    assert named("3-2-501") != named("32-501x")


def test_a_person_passes_no_gate_of_bodies_and_a_body_none_of_persons() -> None:
    """Who it is not for is refused whatever they have; and nobody passes a gate with nothing in hand."""
    has = {"in_group": True, "of_age": True, "grade_ok": True, "attested_ok": True, "price": 100}
    nothing = {"in_group": True, "of_age": True, "grade_ok": False, "attested_ok": False, "price": 0}
    for one in ALL.values():
        for kind in ("person", "body"):
            if kind in one.eligible.kinds:
                judge(one, kind=kind, **has)
                assert "gate" == _why(one, kind=kind, **nothing)
            else:
                assert "kind" == _why(one, kind=kind, **has)
    assert "consent" == _why(ALL["S18"], kind="person", **has, agreed=False)
    assert "age" == _why(ALL["S31"], kind="person", **{**has, "of_age": False})
    assert "group" == _why(ALL["S36"], kind="body", **{**has, "in_group": False})


def _why(one: Scenario, **found: object) -> object:
    with pytest.raises(Refusal) as caught:
        judge(one, **found)  # type: ignore[arg-type]
    assert "not_eligible" == caught.value.code
    return caught.value.facts["reason"]


def test_the_page_says_what_the_files_say() -> None:
    """The lists of docs/scenarios.md are the files', its file is one that loads. `python -m tests.scenarios_page`
    writes the lists again."""
    text = PAGE.read_text(encoding="utf-8")
    assert table() in text
    assert beside() in text
    shown = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", text, re.S)))
    scenario = Scenario.model_validate(shown)
    assert (scenario.gate, scenario.reference) == (ALL["S21"].gate, ALL["S21"].reference)
    assert {one.says for one in scenario.examples} <= {one.says for one in ALL["S21"].examples}
