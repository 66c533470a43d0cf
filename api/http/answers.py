# SPDX-License-Identifier: Apache-2.0
"""How a handler says what it answers with and what it takes, for the document and for nothing else.

`responses={200: answers(AwardBody)}` names the shape: a TypedDict, which the type checker holds against the function
that builds the answer and the tests against every answer they see. Nothing of it is looked at while serving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.openapi import ResponseSpec
from typing_extensions import TypedDict  # pydantic reads no other below Python 3.12

__all__ = ["Answer", "TypedDict", "answers", "takes"]

JSON = "application/json"


@dataclass
class Answer(ResponseSpec):
    """What one status of one operation answers with. Litestar sees a status with a description and no content."""

    model: Any = None
    media: tuple[str, ...] = (JSON,)
    headers: tuple[str, ...] = ()


def answers(
    model: Any = None, description: str = "", *, media: str | tuple[str, ...] = JSON, etag: bool = False
) -> Any:
    """An answer of this shape. `media` names every type that it comes in: JSON has the shape, other text is text.

    `etag`: the answer carries an ETag, which `If-Match` or `If-None-Match` takes back. What can be told from the
    handler itself (retry keys, refusals, limits) needs no word here.
    """
    types = (media,) if isinstance(media, str) else media
    return Answer(
        None,
        generate_examples=False,
        description=description,
        model=model,
        media=types,
        headers=("ETag",) if etag else (),
    )


def takes(**media: Any) -> dict[str, Any]:
    """`opt=takes(json=Items, multipart=Sheet)`: the body of a handler that reads it itself, by kind."""
    return {"takes": media}
