# SPDX-License-Identifier: Apache-2.0
"""What answers are made of: amounts, instants, places, receipts, pages. Each is said once, with its unit."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar

from pydantic import Field, WithJsonSchema

from api.http.answers import TypedDict

Item = TypeVar("Item")

Points = Annotated[int, Field(description="Hundredths of 分: 1050 is 10.50 分.")]
Standing = Annotated[int, Field(description="Hundredths of 分 of standing, which is never spent.")]
Fen = Annotated[int, Field(description="Chinese fen: 100 are one yuan.")]
Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"}), Field(description="UTC, with µs.")]
Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
Period = Annotated[str, Field(description="`2026-11`, `2026Q4` or `2026`.")]
PlaceCode = Annotated[str, Field(description="County, street, community or, below it, a grid: `370321002003-04`.")]
Journal = Annotated[str, Field(description="A community's place code.")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 in hex.")]
Seq = Annotated[int, Field(ge=0, description="The entry's number in its journal, from 0.")]
Language = Literal["zh", "en"]


def one_of(*values: str | None) -> Any:
    """`Annotated[str, one_of("open", "closed")]`: a text that is stored as such, told as one of these."""
    return WithJsonSchema({"type": ["string", "null"] if None in values else "string", "enum": [*values]})


class Page(TypedDict, Generic[Item]):
    """One page of a list. `next` goes into `?cursor=`; null at the end."""

    items: list[Item]
    next: str | None


class EntryRef(TypedDict):
    """Where an entry stands."""

    journal: Journal
    seq: Seq


class Receipt(EntryRef):
    """Where an entry stands, and the hash that its community's log commits to."""

    entry_hash: Digest


class BothLanguages(TypedDict):
    zh: str
    en: str


class Wrong(TypedDict):
    """One thing that was wrong in a request. `pointer` is a JSON pointer into the body, `?name` a parameter."""

    pointer: str
    code: str
    detail: str
    limit: NotRequired[int | str]
