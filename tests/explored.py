# SPDX-License-Identifier: Apache-2.0
"""schemathesis on a town: the document with the town's own values as examples, a guard around the application that
sees what every refused call left behind, and the run itself."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import schemathesis
import uvicorn
from schemathesis.engine import Status, events, from_schema

from api.app import create_app
from api.server.bounds import BoundedHttp
from tests import contract
from tests.permission_town import Matrix, Somebody
from tests.test_bad_input import sample

PHASES = ("examples", "coverage", "fuzzing", "stateful")
_KEYS = count()
# 400 is for what the document does not allow, so it is never the answer to what it does. What the rules refuse is 422,
# 412 what is no longer as it was read.
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "410", "412", "422", "428"]
# What a schema cannot say, so that a body which it allows may be 400 all the same (a photo 415), by operation.
BEYOND_SCHEMA = {
    "addCheckpoint": "the text of C2SP tlog-witness",
    "addImpactAssessment": "`valid_until` is not over",
    "addMerchant": "a `subject` that is a body",
    "addMyProxy": "`until` is to come, and not in years",
    "addProxy": "`until` is to come, and not in years",
    "changeConsents": "which of them there are",
    "changePerson": "which groups there are",
    "createAward": "`subject` or `who`, one of them",
    "createBatch": "`subject` or `who`, one of them in each row; a large one needs a retry key",
    "createConfirmer": "whom: a `subject` or staff",
    "createEvidence": "bytes of a photo",
    "createKey": "addresses that there are",
    "createObjection": "about an entry or about what is missing; staff say for whom",
    "createReport": "staff say for whom",
    "createStaff": "passwords that are easily guessed",
    "createWebhook": "staff and clients say at which place",
    "decideEditionLine": "which decisions there are depends on the list",
    "eligibility": "one of the ways of saying who pays",
    "evaluate": "`subject` or `who`, one of them",
    "getCalendarPage": "days that belong together",
    "getFairness": "a quarter that there is",
    "getFairnessPage": "a quarter that there is",
    "getFairnessTable": "a quarter that there is",
    "listAnomalies": "days that belong together",
    "lookUpPeople": "a name with one other thing",
    "proposeOffer": "staff say for which shop",
    "proveSession": "a password or a one-time code, one of them",
    "redeem": "one of the ways of saying who pays",
    "setCalendar": "members that are bodies",
    "setFloor": "staff say for whom",
    "signIn": "which scopes there are",
    "signInOidc": "which scopes there are",
    "uploadVouchers": "days that there are",
}
# And for every operation: a cursor is one that was given out, JSON is written as docs/reference has it (23.0 is no
# integer, no text has a NUL, no number is beyond 10¹²).
BEYOND_ANY = {
    ("?cursor", "not_in_form"),
    (None, "not_an_integer"),
    (None, "bad_character"),
    (None, "number_too_large"),
}
CHECKS: dict[str, Any] = {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A request that repeats the retry key of an example with other words would only be told so."""
    if case.headers and case.headers.get("Idempotency-Key") == "example":
        case.headers["Idempotency-Key"] = f"explored-{next(_KEYS)}"


class Guard:
    """Around the application. Of every call that is refused it sees that nothing of what the ledger keeps is other than
    before; of every answer, that the document tells it."""

    def __init__(self, made: Matrix) -> None:
        self._app: Any = create_app(made.world.settings, made.world)
        self._town = made.town
        self._before: dict[str, str] | None = None
        self._mark: Any = None
        self.wrong: list[str] = []
        self.answers: Counter[int] = Counter()
        self._one = asyncio.Lock()  # the next call may be there as soon as this one is answered

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._one:
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Any, receive: Any, send: Any) -> None:
        if self._before is None:
            self._before, self._mark = await self._town.fingerprint(), await self._commits()
        told: dict[str, Any] = {}
        content = bytearray()

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                told.update(status=message["status"], headers=dict(message["headers"]))
            else:
                content.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, noted)
        status, where = told["status"], f"{scope['method']} {scope['path']}"
        self.answers[status] += 1
        kind = told["headers"].get(b"content-type", b"").decode()
        if scope["method"] != "HEAD" and status != 405:
            found = contract.complaint(scope["method"], scope["path"], status, kind, bytes(content))
            if found is not None:
                self.wrong.append(f"{where}: {found}")
        mark = await self._commits()
        if mark != self._mark:
            self._mark, before, self._before = mark, self._before, None
            if status >= 400:
                self._before = await self._town.fingerprint()
                if changed := [table for table, rows in self._before.items() if rows != before[table]]:
                    self.wrong.append(f"{where}: {status} changed {changed}: {content[:200].decode(errors='replace')}")

    async def _commits(self) -> Any:
        """Something that is another after a commit."""
        fetch = self._town.world.ledger.fetch
        if self._town.world.settings.sqlite:
            return await fetch("SELECT data_version FROM pragma_data_version")
        return await fetch("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")


@asynccontextmanager
async def guarded(made: Matrix) -> AsyncIterator[tuple[Guard, str]]:
    """The town on a socket in this process, under its guard; and its address."""
    guard: Any = Guard(made)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(guard, http=BoundedHttp, ws="none", lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([bound]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield guard, f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def exemplified(document: dict[str, Any], made: Matrix, by: Somebody) -> dict[str, Any]:
    """The document with what the town knows as examples: ids that are there, bodies that are taken."""
    document = copy.deepcopy(document)
    for name, one in made.operations.items():
        operation = document["paths"][one.path][one.method]
        asked = made.requests(name)[0]
        ids = asked.path(by) if callable(asked.path) else asked.path
        said = dict(pair.split("=", 1) for pair in asked.query.split("&") if pair)
        if not said and not ids:
            said = dict(pair.split("=", 1) for pair in made.town.asked(one).partition("?")[2].split("&") if pair)
        known = {
            "path": {"epoch": "0", "day": "2026-01-01", **made.town.ids, **ids},
            "query": said,
            "header": {"Idempotency-Key": "example", **asked.headers},
        }
        for parameter in operation.get("parameters", ()):
            value = known[parameter["in"]].get(parameter["name"])
            if value is not None:
                kind = parameter["schema"].get("type")
                parameter["example"] = int(value) if kind == "integer" else value
        body = asked.body(by) if callable(asked.body) else asked.body
        if body is None and one.schema is not None:
            body = sample(one.schema, made.town.known)
        content = operation.get("requestBody", {}).get("content", {})
        if body is not None and not isinstance(body, bytes) and "application/json" in content:
            content["application/json"]["example"] = body
    return document


def explore(
    document: dict[str, Any],
    address: str,
    by: Somebody,
    *,
    examples: int,
    phases: Iterable[str] = PHASES,
    chosen: Callable[[str], bool] = lambda operation: True,
) -> tuple[Counter[str], list[str]]:
    """How many cases each phase made, and what the checks found wrong, each once."""
    phases = set(phases)
    config = schemathesis.Config.from_dict(
        {
            "seed": 7,
            "base-url": address,
            "continue-on-failure": True,
            "request-timeout": 30,
            "suppress-health-check": ["all"],
            "headers": {"Authorization": f"Bearer {by.token}"} if by.token else {},
            "checks": CHECKS,
            "generation": {"max-examples": examples, "deterministic": True, "no-shrink": True},
            "phases": {name: {"enabled": name in phases} for name in PHASES},
        }
    )
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema = schema.include(lambda context: chosen(context.operation.definition.raw["operationId"]))
    cases: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            wrong.setdefault(f"{event.label} {event.info.title}", f"{event.label}: {event.info.format()}"[:1500])
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            cases[event.phase.value] += len(event.recorder.interactions)
            for id_, checks in event.recorder.checks.items():
                for check in checks:
                    if check.status == Status.FAILURE:
                        if _does_not_apply(check, event.recorder, id_):
                            continue
                        assert check.failure_info is not None
                        failure, asked = check.failure_info.failure, event.recorder.interactions[id_]
                        said = "" if asked.response is None else asked.response.text
                        wrong.setdefault(
                            f"{check.name} {failure.operation} {failure.title}",
                            f"{by} {event.phase.value} {check.name} {failure.operation}: {failure.title} "
                            f"{failure.message} | {asked.request.method} {asked.request.uri}"
                            f" {asked.request.body!r:.300} | {said:.300}",
                        )
    return cases, list(wrong.values())


def _does_not_apply(check: Any, recorder: Any, case: str) -> bool:
    """What a check finds where it cannot be asked for."""
    asked = recorder.interactions[case]
    if check.name == "missing_required_header":  # our token goes with every call; `ignored_auth` calls without
        return "'Authorization'" in check.failure_info.failure.message
    if check.name == "negative_data_rejection":  # in an address `null` is as good as nothing said
        return "=null" in asked.request.uri
    if check.name != "positive_data_acceptance":
        return False
    operation = recorder.cases[case].value.operation.definition.raw["operationId"]
    return operation in BEYOND_SCHEMA or any(
        {(one["pointer"], one["code"]), (None, one["code"])} & BEYOND_ANY
        for one in json.loads(asked.response.text)["errors"]
    )
