# SPDX-License-Identifier: Apache-2.0
"""What counts as a change that breaks clients, one kind at a time, and what does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from api.openapi.diff import breaking

OLD: dict[str, Any] = {
    "paths": {
        "/v1/things": {
            "get": {
                "operationId": "listThings",
                "security": [{}, {"bearer": []}],
                "parameters": [
                    {"name": "kind", "in": "query", "schema": {"type": "string", "enum": ["a", "b"]}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 200}},
                ],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}}
                },
            },
            "post": {
                "operationId": "addThing",
                "security": [{"bearer": ["things:write"]}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}}},
                },
                "responses": {
                    "201": {
                        "headers": {"ETag": {}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    },
                    "409": {"content": {}},
                },
            },
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "required": ["id", "state", "of"],
                "properties": {
                    "id": {"type": "string", "pattern": "^t"},
                    "state": {"type": "string", "enum": ["open", "closed"]},
                    "note": {"type": "string"},
                    "of": {"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]},
                },
            },
            "Page": {
                "type": "object",
                "required": ["items"],
                "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}},
            },
            "NewThing": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 50},
                    "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    "colour": {"type": "string", "enum": ["red", "green"]},
                },
            },
        }
    },
}
Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]


def changed(change: Change) -> list[str]:
    """What is told of a document in which paths, the two operations and the schemas were changed."""
    new = copy.deepcopy(OLD)
    change(new["paths"], new["paths"]["/v1/things"], new["components"]["schemas"])
    return breaking(OLD, new)


def _thing(schemas: Any, name: str) -> dict[str, Any]:
    return schemas["Thing"]["properties"][name]


def _new(schemas: Any, name: str) -> dict[str, Any]:
    return schemas["NewThing"]["properties"][name]


BREAKING: dict[str, tuple[Change, str]] = {
    "path gone": (lambda paths, _, __: paths.pop("/v1/things"), "GET /v1/things: is gone"),
    "operation gone": (lambda _, ops, __: ops.pop("post"), "POST /v1/things: is gone"),
    "renamed": (lambda _, ops, __: ops["get"].update(operationId="x"), "is called x"),
    "no longer public": (lambda _, ops, __: ops["get"].update(security=[{"bearer": []}]), "no longer public"),
    "another scope": (lambda _, ops, __: ops["post"].update(security=[{"bearer": ["x"]}]), "things:write"),
    "parameter gone": (lambda _, ops, __: ops["get"]["parameters"].pop(), "no longer takes query parameter limit"),
    "parameter required": (lambda _, ops, __: ops["get"]["parameters"][0].update(required=True), "kind is required"),
    "parameter new and required": (
        lambda _, ops, __: ops["get"]["parameters"].append(
            {"name": "x", "in": "query", "required": True, "schema": {"type": "string"}}
        ),
        "query parameter x is required",
    ),
    "parameter's value gone": (lambda _, ops, __: ops["get"]["parameters"][0]["schema"]["enum"].pop(), "b is refused"),
    "parameter's limit": (lambda _, ops, __: ops["get"]["parameters"][1]["schema"].update(maximum=9), "maximum is 9"),
    "body gone": (lambda _, ops, __: ops["post"].pop("requestBody"), "no longer takes application/json"),
    "field gone from the body": (lambda _, __, s: s["NewThing"]["properties"].pop("size"), "body.size: is refused now"),
    "field required": (lambda _, __, s: s["NewThing"]["required"].append("size"), "body.size: is required"),
    "new field required": (
        lambda _, __, s: (s["NewThing"]["required"].append("x"), s["NewThing"]["properties"].update(x={})),
        "body.x: is required",
    ),
    "field's type narrowed": (lambda _, __, s: _new(s, "size").update(anyOf=[{"type": "integer"}]), "null is refused"),
    "field's limit": (lambda _, __, s: _new(s, "name").update(maxLength=20), "maxLength is 20"),
    "field's pattern": (lambda _, __, s: _new(s, "name").update(pattern="^x"), "pattern is ^x"),
    "field's value gone": (lambda _, __, s: _new(s, "colour")["enum"].pop(), "green is refused now"),
    "field of few values": (lambda _, __, s: _new(s, "name").update(enum=["x"]), "one of few values only"),
    "status gone": (lambda _, ops, __: ops["post"]["responses"].pop("201"), "no longer answers 201"),
    "media type gone": (lambda _, ops, __: ops["get"]["responses"]["200"]["content"].clear(), "no longer comes as"),
    "header gone": (lambda _, ops, __: ops["post"]["responses"]["201"]["headers"].clear(), "lost the header ETag"),
    "member gone": (lambda _, __, s: s["Thing"]["properties"].pop("note"), "201.note: is gone"),
    "member of a page's item gone": (lambda _, __, s: s["Thing"]["properties"].pop("id"), "200.items[].id: is gone"),
    "member may be missing": (lambda _, __, s: s["Thing"]["required"].remove("id"), "201.id: may be missing"),
    "member's type widened": (lambda _, __, s: _thing(s, "note").update(type=["string", "null"]), "null is new"),
    "member's new value": (lambda _, __, s: _thing(s, "state")["enum"].append("lost"), "lost is a new value"),
    "member of any value": (lambda _, __, s: _thing(s, "state").pop("enum"), "no longer one of few values"),
    "member's form": (lambda _, __, s: _thing(s, "id").pop("pattern"), "pattern was ^t"),
}
HARMLESS: dict[str, Change] = {
    "nothing": lambda *_: None,
    "new path": lambda paths, ops, _: paths.update({"/v1/more": ops}),
    "new parameter": lambda _, ops, __: ops["get"]["parameters"].append({"name": "x", "in": "query", "schema": {}}),
    "wider parameter": lambda _, ops, __: ops["get"]["parameters"][0]["schema"]["enum"].append("c"),
    "new field": lambda _, __, s: s["NewThing"]["properties"].update(x={"type": "string"}),
    "field no longer required": lambda _, __, s: s["NewThing"]["required"].clear(),
    "wider field": lambda _, __, s: _new(s, "name").update(maxLength=60),
    "new member": lambda _, __, s: s["Thing"]["properties"].update(x={"type": "string"}),
    "member always there": lambda _, __, s: s["Thing"]["required"].append("note"),
    "member with fewer values": lambda _, __, s: _thing(s, "state")["enum"].pop(),
    "another refusal": lambda _, ops, __: ops["post"]["responses"].update({"422": {}}),
    "refusal gone": lambda _, ops, __: ops["post"]["responses"].pop("409"),
    "public now": lambda _, ops, __: ops["post"].update(security=[{}, {"bearer": ["things:write"]}]),
}


@pytest.mark.parametrize("kind", BREAKING)
def test_what_breaks_clients_is_told(kind: str) -> None:
    """One change of each kind, and the sentence for it."""
    change, said = BREAKING[kind]

    assert any(said in one for one in changed(change)), changed(change)


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_harms_nobody_is_not(kind: str) -> None:
    """Additions, and what is only more exact than before."""
    assert [] == changed(HARMLESS[kind])
