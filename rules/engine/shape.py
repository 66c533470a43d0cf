# SPDX-License-Identifier: Apache-2.0
"""What the types of the model refuse, as problems of a pack: pydantic's many findings under few codes of ours."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rules.engine.coherence import listed
from rules.engine.guardrails import DENYING_KEYS, GRADING_KEYS
from rules.engine.problem import Problem, shown

_OF_RANGE = {"greater_than": ">", "greater_than_equal": "≥", "less_than": "<", "less_than_equal": "≤"}
_BOUNDS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_OF_LENGTH = {"string_too_long", "string_too_short", "too_long", "too_short"}
_WRITTEN = {"int": "123", "string": '"…"', "date": "2022-01-01", "tuple": "[ … ]", "list": "[ … ]"}
_TABLES = ("model", "dict", "mapping")


_FORMS = ("RE-01", "minutes", "G3", "AAA", "1.0.0", "2022Q1", "proposal.txt", "0" * 64)
"""One text of each form that a pack knows."""


def problems_of(
    refused: ValidationError, model: type[BaseModel], file: str, at: str, content: object, person: bool
) -> Iterator[Problem]:
    """The findings of one table, each once; `person`: the table is a rule of a group of persons."""
    told: set[tuple[str, str]] = set()
    for error in refused.errors(include_url=False):
        steps = _steps(content, error["loc"])
        if error["type"].startswith("union_tag"):
            steps.append("kind")
        path = at + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        code, found, allowed = _judged(cast("Mapping[str, Any]", error), model, content, steps, person)
        if file == "pack.toml" and steps[:1] == ["approval"] and code == "out_of_range":
            code = "GR-18"
        if file == "lists.toml" and steps[-1:] == ["months"] and allowed == "≤ 12":
            code = "GR-04"
        path = path.removeprefix(".")
        if (path, code) not in told:
            told.add((path, code))
            yield Problem(file, path, code, found, allowed)


def _judged(
    error: Mapping[str, Any], model: type[BaseModel], content: object, steps: Sequence[str | int], person: bool
) -> tuple[str, str, str]:
    """Code, found and allowed of one finding."""
    kind, found = str(error["type"]), shown(error["input"])
    facts = cast("Mapping[str, Any]", error.get("ctx", {}))
    key = str(steps[-1]) if steps else ""
    if kind == "extra_forbidden":
        if key in DENYING_KEYS:
            return "GR-08", key, listed(_keys(model, content, steps[:-1]))
        if person and key in GRADING_KEYS:
            return "GR-01", key, "standing"
        return "unknown_key", shown(key), listed(_keys(model, content, steps[:-1]))
    if kind == "missing":
        return "missing", "", f"{key} = …"
    if kind == "union_tag_not_found":
        return "missing", "", "kind = …"
    if kind in _OF_RANGE:
        bound = f"{_OF_RANGE[kind]} {facts[_BOUNDS[kind]]}"
        negative = isinstance(error["input"], int) and error["input"] < 0
        return "GR-01" if person and negative and {"standing", "points"} & set(steps) else "out_of_range", found, bound
    if kind in _OF_LENGTH:
        bound = f"≤ {facts['max_length']}" if "max_length" in facts else f"≥ {facts['min_length']}"
        return "wrong_length", found, bound
    if kind == "string_pattern_mismatch":
        return "wrong_form", found, next(one for one in _FORMS if re.search(str(facts["pattern"]), one))
    if kind == "literal_error" or kind == "union_tag_invalid":
        words = re.findall(r"'([^']*)'", str(facts.get("expected", facts.get("expected_tags", ""))))
        return "unknown_word", shown(facts["tag"]) if "tag" in facts else found, listed(words)
    wanted = kind.split("_")[0]
    found = f'"{found}"' if isinstance(error["input"], str) else found
    return "wrong_type", found, "{ … }" if wanted in _TABLES else _WRITTEN.get(wanted, "…")


def _steps(content: object, loc: Sequence[str | int]) -> list[str | int]:
    """The keys and numbers of a finding's place that the file has; pydantic also names the branch of a union."""
    steps: list[str | int] = []
    for index, part in enumerate(loc):
        if isinstance(content, dict) and part in content:
            content = cast("dict[str | int, object]", content)[part]
        elif isinstance(content, list | tuple) and isinstance(part, int):
            content = cast("Sequence[object]", content)[part]
        elif index == len(loc) - 1 and isinstance(content, dict):
            pass  # a key that is missing
        else:
            continue
        steps.append(part)
    return steps


def _keys(model: type[BaseModel], content: object, steps: Sequence[str | int]) -> list[str]:
    """The keys that a table at this place may have."""
    found: type[BaseModel] | None = model
    annotation: object = model
    for step in steps:
        content = cast("Any", content)[step]
        if isinstance(step, str) and found is not None and step in _by_key(found):
            annotation = _by_key(found)[step]
        # a list's element, or a word of a mapping, is of the kind the annotation ends in
        found = _model_in(annotation, content)
    return [] if found is None else list(_by_key(found))


def _by_key(model: type[BaseModel]) -> dict[str, object]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_in(annotation: object, content: object) -> type[BaseModel] | None:
    """The model inside an annotation that this content is meant to be: of a union, the one of its `kind`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is Annotated:
        return _model_in(get_args(annotation)[0], content)
    models = [one for part in get_args(annotation) if (one := _model_in(part, content)) is not None]
    if get_origin(annotation) in (Union, types.UnionType) and len(models) > 1 and isinstance(content, dict):
        kind = cast("dict[str, object]", content).get("kind")
        return next((one for one in models if kind in get_args(one.model_fields["kind"].annotation)), None)
    return models[0] if models else None
