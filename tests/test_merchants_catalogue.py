# SPDX-License-Identifier: Apache-2.0
"""The scenario files: exactly 36, from where the record says, none that takes away, and a 37th without code."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from merchants.catalogue import FOLDER, ScenarioError, load_scenario, load_scenarios

CHEAP = (FOLDER / "S32-ebike-charging.toml").read_text(encoding="utf-8")
CLINIC = (FOLDER / "S08-clinic-registration.toml").read_text(encoding="utf-8")
LIBRARY = (FOLDER / "S27-library.toml").read_text(encoding="utf-8")


def test_there_are_36_of_seven_kinds() -> None:
    """All codes S01 to S36, every kind of benefit, and origins as the catalogue counts them."""
    found = load_scenarios()
    assert [f"S{n:02d}" for n in range(1, 37)] == list(found)
    assert 7 == len({one.benefit for one in found.values()})
    assert {"record": 9, "field": 5, "local": 3, "practice": 17, "ours": 2} == Counter(
        one.origin for one in found.values()
    )


def test_public_services_keep_their_ordinary_route() -> None:
    """Whatever is medical, education or a public service says which way stays open to everybody."""
    public = [
        one for one in load_scenarios().values() if one.public_service or one.category in ("medical", "education")
    ]
    assert {"S06", "S07", "S08", "S09", "S10", "S19", "S27", "S28", "S29", "S30", "S33", "S34"} == {
        one.code for one in public
    }
    assert all(one.ordinary_route for one in public)


def test_a_37th_needs_no_code(tmp_path: Path) -> None:
    """A file is all it takes."""
    (tmp_path / "S37-umbrella.toml").write_text(CHEAP.replace('"S32"', '"S37"'), encoding="utf-8")
    assert ["S37"] == list(load_scenarios(tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CHEAP.replace('benefit = "goods"', 'benefit = "deny"'), "benefit: .*may only give"),
        (CHEAP.replace('benefit = "goods"', 'benefit = "punish"'), "benefit: "),
        (CHEAP + "\n[penalty]\npoints = 5\n", "penalty: "),
        (CHEAP.replace('category = "community"', 'category = "medical"'), "ordinary_route"),
        (
            CHEAP.replace('settlement = "reimburse"', 'settlement = "reimburse"\npublic_service = true'),
            "ordinary_route",
        ),
        (re.sub(r"ordinary_route.*\n", "", CLINIC), "ordinary_route"),
        (CHEAP.replace("电动车充电时长", "政务代办"), "ordinary_route"),
        (CHEAP.replace("充电运营单位", "县医院"), "ordinary_route"),
        (re.sub(r"ordinary_route.*\n", "", LIBRARY), "ordinary_route"),
        (CHEAP.replace("least = 200", "least = 2.0"), "gate.points.least: "),
        (CHEAP.replace("least = 200", "least = 201"), "least is above most"),
        (re.sub(r"points = \{.*\n", "", CHEAP), "gate: .*needs a grade, points or attested"),
        (CHEAP.replace('kinds = ["person"]', "kinds = []"), "eligible.kinds: "),
        (CHEAP.replace('kinds = ["person"]', 'kinds = ["person"]\nage_min = 16'), "eligible.age_min: "),
        (CHEAP.replace('"S32"', '"S31"'), "name must begin with S31-"),
        (CHEAP + "x", "not TOML"),
    ],
)
def test_what_does_not_load(tmp_path: Path, text: str, said: str) -> None:
    """The message names the file, the place in it and what is wrong."""
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
