# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: what Litestar gathers of paths and parameters, finished with what only we know.

Shapes of bodies and answers come from pydantic, which keeps the limits of optional fields; refusals, headers and who
may call come from the handlers and their rows in permissions.toml. The committed copy is docs/reference/openapi.json:
`python -m api.openapi` writes it, `--check` says whether it is current, `--diff OLD` what would break clients of OLD.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from api.http.answers import JSON, Answer
from api.http.webhooks import WebhookEvent
from api.openapi import links as openapi_links
from api.openapi.problems import PROBLEM, components, refusals
from api.openapi.shapes import Shapes, answers_of, bodies_of, without_none
from api.openapi.webhooks import webhooks
from api.permissions import Rule

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"

Document = dict[str, Any]
EXAMPLES = Path(__file__).with_name("examples.json")

_HEADERS: Mapping[str, Document] = {
    "ETag": {"description": "The version that was read; `If-Match` and `If-None-Match` take it.", "type": "string"},
    "Idempotency-Replayed": {"description": "`true`: the first answer to this key, once more.", "const": "true"},
    "Retry-After": {"description": "Seconds to wait before trying again.", "type": "integer", "minimum": 0},
    "RateLimit-Policy": {"description": 'The caller\'s allowance, as `"staff";q=600;w=60`.', "type": "string"},
    "RateLimit": {"description": 'What is left of it, as `"staff";r=560;t=4`.', "type": "string"},
    "Accept-Signature": {"description": "RFC 9421: what a signature must cover.", "type": "string"},
    "X-Request-Id": {"description": "Names this request in our logs: tell it when you ask about it.", "type": "string"},
    "WWW-Authenticate": {"description": "How to say who calls.", "type": "string"},
    "Content-Language": {"description": "The language of the sentences.", "enum": ["zh", "en"]},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "1 to 255 visible ASCII characters, bare or quoted. The same key with the same request is answered "
    "once more as it was the first time; with another request it is refused.",
    "schema": {"type": "string", "pattern": '^("[!#-~]{1,255}"|[!#-~]{1,255})$'},
}


_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of the answer that is there already: 304 if nothing has changed.",
    "required": False,
    "schema": {"type": "string"},
}


def document(app: Litestar) -> Document:
    """The whole document of this application. Takes about a second, so it is made once, when somebody asks."""
    made: Document = json.loads(json.dumps(app.openapi_schema.to_schema()))
    handlers = dict(_handlers(app))
    ours = {
        path: {method: one for method, one in operations.items() if one["operationId"] in handlers}
        for path, operations in made["paths"].items()
    }
    made["paths"] = {path: operations for path, operations in sorted(ours.items()) if operations}
    examples: Document = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    shapes = Shapes(handlers.values(), [WebhookEvent])
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            name = operation["operationId"]
            _finish(path, method, operation, handlers[name], shapes)
            _exemplify(operation, examples.get(name, {}))
    made["webhooks"] = webhooks(shapes.answer(WebhookEvent))
    made["components"]["schemas"] = dict(sorted({**shapes.components, "Problem": PROBLEM}.items()))
    openapi_links.add(made)
    made["components"]["responses"] = components()
    made["components"]["headers"] = {name: _header(said) for name, said in _HEADERS.items()}
    made["servers"] = [{"url": "/"}]
    return made


def rendered(made: Document) -> bytes:
    """As committed: readable, and the same bytes for the same document."""
    return (json.dumps(made, ensure_ascii=False, indent=1, sort_keys=False) + "\n").encode()


def undeclared(made: Document) -> list[str]:
    """Operations that do not say what they answer with."""
    return sorted(
        operation["operationId"]
        for operations in made["paths"].values()
        for operation in operations.values()
        if any(code[0] == "2" and "x-undeclared" in answer for code, answer in operation["responses"].items())
    )


def _handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Those that have a name of their own; a test may hang others beside them."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if isinstance(handler.operation_id, str):
                    yield handler.operation_id, handler


def _finish(path: str, method: str, operation: Document, handler: HTTPRouteHandler, shapes: Shapes) -> None:
    operation.pop("requestBody", None)
    if not operation["deprecated"]:
        operation.pop("deprecated")
    takes = handler.parsed_fn_signature.parameters
    retried = "retry" in takes or "posting" in takes
    parameters = [_parameter(one) for one in operation.pop("parameters", [])]
    if retried or "maybe_retry" in takes:
        parameters.append({**_IDEMPOTENCY_KEY, "required": retried})
    if handler.opt.get("polled"):
        parameters.append(_IF_NONE_MATCH)
    if parameters:
        operation["parameters"] = parameters
    if bodies := bodies_of(handler):
        content = {media: {"schema": shapes.body(model)} for media, model in bodies.items()}
        optional = any(without_none(model) is not model for model in bodies.values())
        operation["requestBody"] = {"required": not optional, "content": content}
    good = _good(handler, shapes, retried or "maybe_retry" in takes)
    refused = refusals(operation["operationId"], handler, path, method, bool(bodies))
    for status in good.keys() & refused.keys():  # an operation that refuses in a form of its own, too
        refused[status] = {**refused[status], "content": {**refused[status]["content"], **good[status]["content"]}}
    operation["responses"] = dict(sorted({**good, **refused}.items()))
    rule: Rule = handler.opt["rule"]
    signed_in = [{"bearer": [scope]} for scope in sorted(rule.scopes)] or [{"bearer": []}]
    operation["security"] = [*([{}] if rule.public else []), *signed_in]
    operation["x-permission"] = _permission(rule)


def _exemplify(operation: Document, examples: Document) -> None:
    if "request" in examples:
        operation["requestBody"]["content"][JSON]["example"] = examples["request"]
    for status, answer in examples.get("answer", {}).items():
        operation["responses"][status]["content"][JSON]["example"] = answer


def _permission(rule: Rule) -> Document:
    """The operation's row, as far as it says anything."""
    told: Document = {name: sorted(getattr(rule, name)) for name in ("staff", "keys", "own") if getattr(rule, name)}
    if rule.place:
        told["place"] = rule.place
    if rule.step_up:
        told["step_up"] = True
    return {**told, "cost": rule.cost}


def _parameter(one: Document) -> Document:
    """A parameter without what every one of ours says, and without null: nothing in an address is null."""
    schema = dict(one["schema"])
    several = [other for other in schema.pop("oneOf", ()) if other.get("type") != "null"]
    if len(several) > 1:
        schema["anyOf"] = several
    elif several:
        schema = {**several[0], **schema}
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    schema.pop("description", None)
    for limit in ("minimum", "maximum"):
        if limit in schema:
            schema[limit] = int(schema[limit])
    made = {key: one[key] for key in ("name", "in", "description") if key in one}
    return {**made, "required": one.get("required", False), "schema": schema}


def _good(handler: HTTPRouteHandler, shapes: Shapes, retried: bool) -> Document:
    """Answers other than refusals, as declared."""
    declared = answers_of(handler)
    if not declared:
        status = str(handler.status_code)
        bare: Document = {"description": _described("", handler)}
        if status != "204":
            bare["x-undeclared"] = True
        return {status: bare}
    made: Document = {}
    tagged = ["ETag"] if handler.opt.get("polled") else []
    if tagged:
        headers = {"ETag": {"$ref": "#/components/headers/ETag"}}
        made["304"] = {"description": "Nothing has changed since.", "headers": headers}
    for status, answer in sorted(declared.items()):
        names = [*dict.fromkeys([*answer.headers, *tagged]), *(["Idempotency-Replayed"] if retried else [])]
        one: Document = {"description": _described(answer.description, handler)}
        if names:
            one["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        content = {media: {"schema": _content(media, answer, shapes)} for media in answer.media if status != 204}
        if content and status != 304:
            one["content"] = content
        made[str(status)] = one
    return made


def _described(said: str, handler: HTTPRouteHandler) -> str:
    return said or handler.summary or ""


def _content(media: str, answer: Answer, shapes: Shapes) -> Document:
    if media == JSON and answer.model is not None:
        return shapes.answer(answer.model)
    if media == JSON:
        return {}
    return {"type": "string"} if media.startswith("text/") else {"contentMediaType": media}


def _header(said: Document) -> Document:
    return {"description": said["description"], "schema": {k: v for k, v in said.items() if k != "description"}}


def built() -> Document:
    """The document of this version of the program, without a database or a key."""
    from api.app import create_app
    from api.settings import Settings

    nowhere: Any = object()
    return document(create_app(Settings(), nowhere))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m api.openapi", description="The committed OpenAPI document.")
    parser.add_argument("--check", action="store_true", help="say whether it is current, and change nothing")
    parser.add_argument(
        "--diff", metavar="OLD", help="say what would break clients of this older document (- is stdin)"
    )
    asked = parser.parse_args(arguments)
    made = built()
    if asked.diff:
        from api.openapi.diff import breaking

        text = sys.stdin.read() if asked.diff == "-" else Path(asked.diff).read_text(encoding="utf-8")
        found = breaking(json.loads(text), made)
        print("\n".join(found) if found else "nothing that would break a client")
        return 1 if found else 0
    if asked.check:
        current = COMMITTED.is_file() and COMMITTED.read_bytes() == rendered(made)
        print("current" if current else f"{COMMITTED.name} is not current: run python -m api.openapi")
        return 0 if current else 1
    COMMITTED.write_bytes(rendered(made))
    print(f"{COMMITTED}: {sum(len(one) for one in made['paths'].values())} operations")
    return 0
