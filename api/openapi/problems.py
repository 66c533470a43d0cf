# SPDX-License-Identifier: Apache-2.0
"""Refusals in the OpenAPI document: one schema for all, and for each operation which codes it answers with what status.

What follows from an operation's form (a body, ids in its path, a retry key, who may call) is worked out here. The codes
of its own stand in refusals.toml; the tests fail for a code that they meet and that is not told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from litestar.handlers import HTTPRouteHandler

from api import problems
from api.permissions import Rule

TABLE = Path(__file__).resolve().parent / "refusals.toml"
WRITING = ("post", "patch", "put", "delete")

SIGNATURES = ("signature_invalid", "signature_required")
UNAVAILABLE = ("clock_unsafe", "database_unavailable", "shutting_down", "took_too_long")
# What any operation may meet, and beside it those that write.
ANYWHERE = ("request_invalid", "unauthenticated", *SIGNATURES, "rate_limited", "internal", *UNAVAILABLE)
WHERE_WRITTEN = ("read_only", "queue_full")
# Answers that many operations have in common stand in the document once, under these names.
_COMMON = {
    "BadRequest": (400, ["request_invalid"]),
    "Unauthorized": (401, sorted(["unauthenticated", *SIGNATURES])),
    "Forbidden": (403, ["forbidden"]),
    "NotFound": (404, ["not_found"]),
    "TooLarge": (413, ["request_invalid"]),
    "TooManyRequests": (429, ["rate_limited"]),
    "Internal": (500, ["internal"]),
    "Unavailable": (503, sorted(UNAVAILABLE)),
    "UnavailableToWrite": (503, sorted([*UNAVAILABLE, *WHERE_WRITTEN])),
}

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "JSON pointer into the body; `?name`: a parameter; or a header."},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
    "additionalProperties": True,  # the limits that were passed, what would have been allowed
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` is for programs and never changes its meaning; `title`, `detail` and `fix` are "
    "for people, in the language asked for. Every code: docs/reference/errors.md.",
    "required": ["type", "title", "status", "detail", "code", "retryable", "instance", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "A page that explains the code."},
        "title": {"type": "string", "description": "The same for every case of the code."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What was refused here, and why."},
        "code": {"type": "string"},
        "fix": {"type": "string", "description": "What to do about it."},
        "retryable": {
            "type": "boolean",
            "description": "Not an answer yet: the same request, with the same key, may be sent again later.",
        },
        "instance": {"type": "string", "description": "The path that was asked."},
        "errors": {"type": "array", "items": _ERROR, "description": "Each field that was wrong."},
        "retry_after": {"type": "integer", "minimum": 0, "description": "Seconds, as in the header."},
        "rows": {"description": "Batches: every row, as in the answer that the batch would have had."},
        "counts": {"type": "object", "description": "Batches: rows by state."},
        "journal": {"type": "string", "description": "The entry that is in the way, if the caller may read it."},
        "seq": {"type": "integer"},
    },
}


@cache
def own_codes() -> Mapping[str, tuple[str, ...]]:
    """operationId → the codes that only some operations refuse with."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {
        name: tuple(code for word in words.split() for code in table["sets"].get(word, word).split())
        for name, words in table["operations"].items()
    }


def codes_of(operation: str, handler: HTTPRouteHandler, path: str, method: str, body: bool) -> set[tuple[int, str]]:
    """Every (status, code) that the operation may be refused with."""
    takes = handler.parsed_fn_signature.parameters
    rule: Rule = handler.opt["rule"]
    found = {*ANYWHERE, *own_codes().get(operation, ())}
    if method in WRITING:
        found |= set(WHERE_WRITTEN)
    if "{" in path:
        found.add("not_found")
    if not rule.public:
        found.add("forbidden")
    if rule.step_up:
        found.add("step_up_required")
    if "retry" in takes or "posting" in takes:
        found.add("idempotency_key_missing")
    if {"retry", "posting", "maybe_retry"} & takes.keys():
        found.add("idempotency_key_reused")
    if "if_match" in takes:
        found.add("precondition_failed")
    told = {(problems.status_of_code(code), code) for code in found}
    return told | {(413, "request_invalid")} if body else told


def refusals(operation: str, handler: HTTPRouteHandler, path: str, method: str, body: bool) -> dict[str, Any]:
    """The `responses` of one operation for all that it refuses."""
    by_status: dict[int, list[str]] = {}
    for status, code in sorted(codes_of(operation, handler, path, method, body)):
        by_status.setdefault(status, []).append(code)
    named = {told: name for name, (status, codes) in _COMMON.items() for told in [(status, *codes)]}
    return {
        str(status): {"$ref": f"#/components/responses/{named[status, *codes]}"}
        if (status, *codes) in named
        else response(codes, status)
        for status, codes in by_status.items()
    }


def components() -> dict[str, Any]:
    """The answers that are told once."""
    return {name: response(codes, status) for name, (status, codes) in _COMMON.items()}


def response(codes: Iterable[str], status: int) -> dict[str, Any]:
    told = sorted(codes)
    names = ["Content-Language"]
    if status == 401:
        names += ["WWW-Authenticate", "Accept-Signature"]
    if status == 429:
        names += ["RateLimit-Policy", "RateLimit"]
    if set(told) & problems.RETRYABLE:
        names.append("Retry-After")
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": {"enum": told}}}]}
    return {
        "description": ", ".join(f"`{code}`" for code in told),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {problems.MEDIA_TYPE: {"schema": schema}},
    }
