# SPDX-License-Identifier: Apache-2.0
"""The pack format as JSON Schema, for editors that complete and underline while a rule is written.

Generated from the model, so it says what the types say: keys, words, ranges, forms. What belongs together (a cap and
its field, a quotation and its text) only the loader knows.
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from rules.engine.lists import ListRule
from rules.engine.model import Band, Group, Indicator, PackHeader

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILLED = {"Indicator": {"group", "reversal", "effective"}, "Effective": {"from"}}
"""Keys that the model needs and the loader fills in, so a file may leave them out."""


def schema() -> dict[str, Any]:
    """One schema for every TOML file of a pack: `pack.toml`, `groups.toml`, `bands.toml`, `lists.toml`, indicators."""
    models: list[type[BaseModel]] = [PackHeader, Group, Band, Indicator, ListRule]
    made = models_json_schema([(model, "validation") for model in models], by_alias=True)[1]
    definitions = cast("dict[str, dict[str, Any]]", _without_null(made["$defs"]))
    for name, keys in FILLED.items():
        definitions[name]["required"] = [key for key in definitions[name]["required"] if key not in keys]
    del definitions["Indicator"]["properties"]["group"]  # it stands once, at the head of the file
    return {
        "$schema": DIALECT,
        "title": "Jifen rule pack, format 1",
        "oneOf": [
            {"$ref": "#/$defs/PackHeader"},
            _file("groups.toml", {"group": _tables("Group")}),
            _file("bands.toml", {"band": _tables("Band")}),
            _file("lists.toml", {"list": _tables("ListRule")}),
            _file(
                "indicators", {"group": definitions["Group"]["properties"]["code"], "indicator": _tables("Indicator")}
            ),
        ],
        "$defs": definitions,
    }


def _file(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _tables(model: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/$defs/{model}"}}


def _without_null(node: object) -> Any:
    """TOML has no null: a key that may be absent is absent. Nor is the discriminator a word of JSON Schema."""
    if isinstance(node, list):
        return [_without_null(one) for one in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in cast("dict[str, object]", node).items() if key != "discriminator"}
    if kept.get("default", 0) is None:
        del kept["default"]
    branches = cast("list[object]", kept.get("anyOf", []))
    if {"type": "null"} in branches:
        left = [branch for branch in branches if branch != {"type": "null"}]
        if len(left) == 1:
            del kept["anyOf"]
            kept |= _without_null(left[0])
        else:
            kept["anyOf"] = left
    return {key: _without_null(value) for key, value in kept.items()}
