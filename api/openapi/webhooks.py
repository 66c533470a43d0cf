# SPDX-License-Identifier: Apache-2.0
"""The part of the document that we call and others answer: what webhooks send (docs/webhooks.md)."""

from __future__ import annotations

from typing import Any

_HEADERS = {
    "webhook-id": "Names the event: the same at every try and every replay.",
    "webhook-timestamp": "Seconds since 1970 of this try. Refuse what is older than five minutes.",
    "webhook-signature": "`v1,` HMAC-SHA-256 and `v1a,` Ed25519, separated by spaces, over `id.timestamp.body`; two of "
    "each while secrets are being changed. One that fits is enough.",
}
_EXAMPLE = {
    "type": "entry.capture",
    "timestamp": "2026-11-22T08:15:00.000000Z",
    "data": {"journal": "370321001001", "seq": 4711, "kind": "capture", "id": "red_0123456789abcdef"},
}


def webhooks(event: dict[str, Any]) -> dict[str, Any]:
    """The `webhooks` object; `event` is the schema of a message's body."""
    parameters = [
        {"name": name, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
        for name, said in _HEADERS.items()
    ]
    return {
        "entry.committed": {
            "post": {
                "operationId": "entryCommitted",
                "tags": ["webhooks"],
                "summary": "An entry was committed",
                "description": "Standard Webhooks. In the order of each journal, at least once, for about five days.",
                "parameters": parameters,
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": event, "example": _EXAMPLE}},
                },
                "responses": {
                    "2XX": {"description": "Taken. The next event of this journal may come."},
                    "410": {"description": "Never again: the endpoint is disabled."},
                    "default": {"description": "Not taken: it comes again later; `Retry-After` is heard."},
                },
                "security": [],
            }
        }
    }
