# SPDX-License-Identifier: Apache-2.0
"""The yardstick for HTTP: Litestar reading the same award body into a pydantic model of the same fields and sending it
back, with nothing of ours in between."""

from datetime import date

from litestar import Litestar, post
from pydantic import BaseModel


class Proof(BaseModel):
    kind: str
    level: str
    sha256: str | None = None
    reference: str | None = None


class Case(BaseModel):
    source: str
    case: str
    step: str | None = None


class Body(BaseModel):
    subject: str
    indicator: str
    occurred_on: date
    facts: dict[str, int | str]
    evidence: list[Proof] = []
    cause: Case | None = None
    group: str | None = None
    place: str | None = None
    note: str | None = None


@post("/echo")
async def echo(data: Body) -> Body:
    return data


app = Litestar([echo], logging_config=None, openapi_config=None)
