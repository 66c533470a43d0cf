# SPDX-License-Identifier: Apache-2.0
"""Links of the OpenAPI document: what was made at a path is read, changed and ended below it, under the id answered."""

from __future__ import annotations

import re
from typing import Any

from api.http.answers import JSON

Document = dict[str, Any]


def add(made: Document) -> None:
    """An answer of `POST …/things` that names the new thing leads to the operations of `…/things/{thing}`."""
    paths: Document = made["paths"]
    for path, operations in paths.items():
        for status, answer in operations.get("post", {}).get("responses", {}).items():
            schema = answer.get("content", {}).get(JSON, {}).get("schema", {})
            reference = schema.get("$ref", "").rpartition("/")[2]
            members = made["components"]["schemas"].get(reference, schema).get("properties", {})
            if status[0] == "2" and (links := _links(path, members, paths)):
                answer["links"] = links


def _links(path: str, members: Document, paths: Document) -> Document:
    """Those to the operations whose path goes on from `path` with the id and names nothing else."""
    above = {name: f"$request.path.{name}" for name in re.findall(r"{(\w+)}", path)}
    found: Document = {}
    for other, operations in paths.items():
        if below := re.fullmatch(re.escape(path) + r"/{(\w+)}[^{]*", other):
            name = below[1]
            # An id goes by the name of what it is of, or is the `id` of what the path is called after.
            called_after = path.rpartition("/")[2].split("-")[-1].startswith(name)
            member = name if name in members else "id" if called_after else ""
            if member in members:
                parameters = {**above, name: f"$response.body#/{member}"}
                for operation in operations.values():
                    found[operation["operationId"]] = {
                        "operationId": operation["operationId"],
                        "parameters": parameters,
                    }
    return found
