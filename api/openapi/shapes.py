# SPDX-License-Identifier: Apache-2.0
"""The schemas of the OpenAPI document: what each handler takes and answers with, as pydantic says it."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from litestar.handlers import HTTPRouteHandler
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from api.http.answers import JSON, Answer
from api.http.body import INTEGER_MAX

Document = dict[str, Any]
_REF = "#/components/schemas/"
_KINDS = {"json": JSON, "multipart": "multipart/form-data", "text": "text/plain"}


class _Schemas(GenerateJsonSchema):
    """Without titles, which would only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def answers_of(handler: HTTPRouteHandler) -> dict[int, Answer]:
    return {status: one for status, one in (handler.responses or {}).items() if isinstance(one, Answer)}


def bodies_of(handler: HTTPRouteHandler) -> dict[str, Any]:
    """Media type → model of what the handler takes."""
    taken: dict[str, Any] | None = handler.opt.get("takes")
    if taken is not None:
        return {_KINDS.get(kind, kind): model for kind, model in taken.items()}
    data = handler.parsed_fn_signature.parameters.get("data")
    return {} if data is None else {JSON: data.annotation}


def without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [one for one in typing.get_args(annotation) if one is not type(None)]
        return typing.Union[tuple(rest)]  # noqa: UP007 (made from a list)
    return annotation


class Shapes:
    """The schemas of all that is taken and answered, by model."""

    def __init__(self, handlers: Iterable[HTTPRouteHandler], sent: Iterable[Any] = ()) -> None:
        """`sent` are models that no handler answers with."""
        asked: dict[str, tuple[Any, str]] = {f"out {model!r}": (model, "serialization") for model in sent}
        for handler in handlers:
            for model in bodies_of(handler).values():
                if not isinstance(model, dict):
                    asked.setdefault(f"in {without_none(model)!r}", (without_none(model), "validation"))
            for answer in answers_of(handler).values():
                if answer.model is not None:
                    asked.setdefault(f"out {answer.model!r}", (answer.model, "serialization"))
        inputs: list[Any] = [(key, mode, TypeAdapter(model)) for key, (model, mode) in asked.items()]
        found, defs = TypeAdapter.json_schemas(inputs, ref_template=_REF + "{model}", schema_generator=_Schemas)
        names = {name: _short(name) for name in defs.get("$defs", {})}
        self._found = {key: _renamed(schema, names) for (key, _), schema in found.items()}
        self.components = {names[name]: _renamed(one, names) for name, one in defs.get("$defs", {}).items()}
        for schema in [*self.components.values(), *(one for key, one in self._found.items() if key[:3] == "in ")]:
            if schema.get("additionalProperties") is False:  # a body: answers may grow members
                _bounded(schema)

    def body(self, model: Any) -> Document:
        return model if isinstance(model, dict) else self._found[f"in {without_none(model)!r}"]

    def answer(self, model: Any) -> Document:
        return self._found[f"out {model!r}"]


def _short(name: str) -> str:
    """`Page_Award_` → `AwardPage`; two of one name in two files → `file_Name`."""
    if name.startswith("Page_"):
        return f"{_short(name[5:].rstrip('_'))}Page"
    *_, module, own = ("__" + name).rsplit("__", 2)
    return f"{module}_{own}" if module else own


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """A copy with other names behind the references, and without pydantic's titles."""
    if isinstance(schema, list):
        return [_renamed(one, names) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: _renamed(value, names)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
    if "properties" in schema:  # where a member may itself be called title
        made["properties"] = {name: _renamed(value, names) for name, value in schema["properties"].items()}
    if isinstance(reference := schema.get("$ref"), str):
        made["$ref"] = _REF + names[reference.removeprefix(_REF)]
    return made


def _bounded(schema: Any) -> None:
    """No number in a body goes beyond what our JSON reader lets pass, whatever its field says."""
    if isinstance(schema, list):
        for one in schema:
            _bounded(one)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer" and "const" not in schema and "enum" not in schema:
            if not {"maximum", "exclusiveMaximum"} & schema.keys():
                schema["maximum"] = INTEGER_MAX
            if not {"minimum", "exclusiveMinimum"} & schema.keys():
                schema["minimum"] = -INTEGER_MAX
        for one in schema.values():
            _bounded(one)
