# SPDX-License-Identifier: Apache-2.0
"""Every answer that any test sees, held against docs/reference/openapi.json.

In the document answers may grow members; here they may not: a member, a status or a code that is not told is an error.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, NamedTuple

import httpx
import jsonschema_rs

from tests.tree import ROOT

DOCUMENT = ROOT / "docs" / "reference" / "openapi.json"
_REF = "#/components/schemas/"
_METHODS = ("get", "post", "patch", "put", "delete")


class Told(NamedTuple):
    """One operation of the document."""

    path: re.Pattern[str]
    operation: dict[str, Any]


@cache
def document() -> dict[str, Any]:
    return json.loads(DOCUMENT.read_text(encoding="utf-8"))


@cache
def _operations() -> dict[str, list[Told]]:
    """By method; fixed paths before those with ids."""
    found: dict[str, list[Told]] = {method: [] for method in _METHODS}
    for path, operations in sorted(document()["paths"].items(), key=lambda one: one[0].replace("{", "~")):
        pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
        for method, operation in operations.items():
            found[method].append(Told(pattern, operation))
    return found


def operation(method: str, path: str) -> dict[str, Any] | None:
    """The operation that answers there, if the document has one."""
    for told in _operations().get(method.lower(), ()):
        if told.path.fullmatch(path):
            return told.operation
    return None


def closed(schema: Any) -> Any:
    """The schema with every object closed that says what its members are."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        made.setdefault("additionalProperties", False)
    return made


def _needed(schema: Any, found: dict[str, Any]) -> None:
    """All components that a schema reaches, closed."""
    if isinstance(schema, list):
        for one in schema:
            _needed(one, found)
    elif isinstance(schema, dict):
        name = str(schema.get("$ref", "")).removeprefix(_REF)
        if name and name not in found:
            found[name] = closed(document()["components"]["schemas"][name])
            _needed(found[name], found)
        for one in schema.values():
            _needed(one, found)


def validator(schema: dict[str, Any]) -> Any:
    """What checks a value against a schema of the document."""
    components: dict[str, Any] = {}
    _needed(schema, components)
    whole = {**closed(schema), "components": {"schemas": components}}
    return jsonschema_rs.validator_for(whole, validate_formats=True)


_validators: dict[tuple[str, int, str], Any] = {}


def complaint(method: str, path: str, status: int, kind: str, content: bytes) -> str | None:
    """What is wrong with an answer, by the document; None for what is right and for what is not in it at all."""
    known = operation(method, path)
    if known is None:
        return None
    name, media = known["operationId"], kind.partition(";")[0].strip()
    answer = known["responses"].get(str(status))
    if answer is None:
        return f"{name}: {status} is not told: {content[:300].decode(errors='replace')}"
    if "$ref" in answer:
        answer = document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    told = answer.get("content", {})
    if not told or not content:
        return f"{name}: {status} should be empty" if content and not told else None
    if media not in told:
        return f"{name}: {status} as {media} is not told"
    if not media.endswith("json"):
        return None
    key = (name, status, media)
    if key not in _validators:
        _validators[key] = validator(told[media]["schema"])
    errors = [f"{error.instance_path}: {error.message}" for error in _validators[key].iter_errors(json.loads(content))]
    return f"{name} {status}: " + "; ".join(errors)[:1500] if errors else None


broken: list[str] = []
"""What the test that is running has seen."""


def look(response: httpx.Response) -> None:
    """Note what is wrong with an answer of ours. Others' answers in the same test have none of our headers."""
    request = response.request
    if response.headers.get("x-content-type-options") != "nosniff" or not response.is_stream_consumed:
        return
    kind = response.headers.get("content-type", "")
    found = complaint(request.method, request.url.path, response.status_code, kind, response.content)
    if found is not None:
        broken.append(f"{request.method} {request.url.path} {found}")
