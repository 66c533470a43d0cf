# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema for editors: it is stored as the model says it, and it takes every pack that ships."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rules.engine.pack import PACKS
from rules.engine.schema import schema
from tests.tree import ROOT

KINDS: dict[str, type] = {"object": dict, "array": list, "string": str, "integer": int}


def fits(value: Any, rule: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether a value fits a schema: the words of JSON Schema that ours uses, and an error for any other."""
    if "type" in rule and not isinstance(value, KINDS[rule["type"]]):
        return False
    return all(_fits(word, wanted, value, rule, whole) for word, wanted in rule.items())


def _fits(word: str, wanted: Any, value: Any, rule: dict[str, Any], whole: dict[str, Any]) -> bool:
    match word:
        case "$schema" | "$defs" | "title" | "description" | "default" | "format" | "type":
            return True
        case "$ref":
            return fits(value, whole["$defs"][wanted.rpartition("/")[2]], whole)
        case "anyOf":
            return any(fits(value, one, whole) for one in wanted)
        case "oneOf":
            return sum(fits(value, one, whole) for one in wanted) == 1
        case "properties":
            return all(fits(value[key], one, whole) for key, one in wanted.items() if key in value)
        case "additionalProperties":
            rest = value.keys() - rule.get("properties", {}).keys()
            return not rest if isinstance(wanted, bool) else all(fits(value[key], wanted, whole) for key in rest)
        case "patternProperties":
            return all(
                fits(value[key], one, whole) for form, one in wanted.items() for key in value if re.match(form, key)
            )
        case "propertyNames":
            return all(fits(key, wanted, whole) for key in value)
        case "required":
            return set(wanted) <= value.keys()
        case "items":
            return all(fits(one, wanted, whole) for one in value)
        case "enum":
            return value in wanted
        case "const":
            return value == wanted
        case "pattern":
            return re.search(wanted, value) is not None
        case "minimum" | "maximum":
            return value >= wanted if word == "minimum" else value <= wanted
        case "minLength" | "maxLength" | "minItems" | "maxItems":
            return len(value) >= wanted if word.startswith("min") else len(value) <= wanted
    raise AssertionError(f"this test does not know {word}")


def test_the_schema_is_current() -> None:
    """The stored file is what the model says: `schema()` of rules/engine/schema.py, indented by two."""
    stored = (ROOT / "docs" / "reference" / "pack.schema.json").read_text("utf-8")
    assert json.dumps(schema(), ensure_ascii=False, indent=2) + "\n" == stored


@pytest.mark.parametrize("path", sorted(PACKS.rglob("*.toml")), ids=lambda path: path.name)
def test_the_schema_takes_every_file_that_ships(path: Path) -> None:
    """Each default file fits, and does not with a key too many or a word that is none."""
    said = tomllib.loads(path.read_text("utf-8"))
    content = json.loads(json.dumps(said, default=lambda day: day.isoformat()))
    whole = schema()
    assert fits(content, whole, whole)
    assert not fits({**content, "colour": 1}, whole, whole)
    if "indicator" in content:
        content["indicator"][0]["approval"] = "nobody"
        assert not fits(content, whole, whole)
