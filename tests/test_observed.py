# SPDX-License-Identifier: Apache-2.0
"""What is written, counted and traced of requests; what probes are told. In this process, on tests/front.py's town."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from typing import Any

import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.server.logs import JsonLines, Readable, request_log
from api.server.metrics import REGISTRY, metrics
from api.server.observed import Observed
from api.server.tracing import Tracing
from api.server.watching import Watching
from ledger.store import StoreLost
from tests.application import application
from tests.front import HERE, Front, front, prepared, wang
from tests.front import PROOF as PROOF

__all__ = ["front", "prepared", "wang"]

DEED = {"indicator": "RE-01", "occurred_on": "2022-05-09", "facts": {"minutes": 60}, "place": HERE}
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def watched(front: Front, monkeypatch: pytest.MonkeyPatch) -> Observed:
    """What stands around the application; a test gives it what it looks with."""
    return application(front.world).asgi_handler


def award(subject: str) -> dict[str, Any]:
    return {**DEED, "subject": subject, "evidence": [PROOF]}


# request ids -------------------------------------------------------------------------------------------------------


async def test_an_id_from_outside_is_taken_only_where_it_can_be_nothing_else(front: Front) -> None:
    """A UUID or 32 hexadecimal digits; a phone, an identity card or a token in its place is replaced."""
    for good in ("6f2f8d0e-3a4b-4c5d-8e6f-7a8b9c0d1e2f", TRACE):
        answer = await front.client.get("/health", headers={"X-Request-Id": good})
        assert good == answer.headers["x-request-id"]
    made: set[str] = set()
    for bad in ("13900000001", "370321199001011234", "jt_" + "a" * 43, "wang li", "a" * 33, ""):
        answer = await front.client.get("/health", headers={"X-Request-Id": bad})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        made.add(answer.headers["x-request-id"])
    assert 6 == len(made)


async def test_every_answer_has_an_id_and_no_body_has(front: Front, wang: str) -> None:
    """Refusals and pages too. A refusal that is repeated is the same to the byte, so the id stands in its head."""
    headers = {"Authorization": "Bearer token-clerk", "Idempotency-Key": "same"}
    body = {**award(wang), "occurred_on": "2022-06-30"}
    first, again = [await front.client.post("/v1/awards", json=body, headers=headers) for _ in range(2)]
    assert "true" == again.headers["idempotency-replayed"] and first.content == again.content
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    for path in ("/", "/v1/nothing", "/v1/me"):
        assert 32 == len((await front.client.get(path)).headers["x-request-id"])


# lines -------------------------------------------------------------------------------------------------------------


async def test_a_line_says_what_was_asked_of_whom_and_how_it_ended(
    front: Front, wang: str, watched: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The route as we write it, never the path; probes that are well are not told."""
    written = io.BytesIO()
    monkeypatch.setattr(watched, "log", request_log(written))
    await front.call("clerk", "POST", "/awards", award(wang))
    await front.call("clerk", "GET", f"/subjects/{wang}/balance?x=13900000001")
    await front.client.get("/v1/13900000001/nothing?phone=13900000001")
    await front.client.get("/health")
    posted, read, missed = [orjson.loads(line) for line in written.getvalue().splitlines()]
    assert {"at", "level", "logger", "message", "request_id", "status", "ms", "operation", "caller"} == posted.keys()
    assert ("info", "jifen.request", "POST /v1/awards", 201) == tuple(
        posted[name] for name in ("level", "logger", "message", "status")
    )
    assert ("createAward", "staff stf_clerk") == (posted["operation"], posted["caller"])
    assert "GET /v1/subjects/{subject}/balance" == read["message"] or read["status"] >= 400
    assert ("GET ", 404, "not_found") == (missed["message"], missed["status"], missed["code"])
    assert b"13900000001" not in written.getvalue() and wang.encode() not in written.getvalue()


async def test_what_the_server_writes_meanwhile_goes_by_the_request(
    front: Front, watched: Observed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line of another room carries the id of the request it came of; the sequencer, which works for all, has none."""
    told: list[str] = []

    async def lost(*_: Any) -> Any:
        told.append(JsonLines().format(logging.makeLogRecord({"name": "jifen.x", "msg": "said inside"})))
        raise StoreLost(OSError("13900000001"))

    monkeypatch.setattr(front.world.ledger.store, "fetch", lost)
    answer = await front.client.get("/ready", headers={"X-Request-Id": TRACE})
    assert 503 == answer.status_code
    assert TRACE == orjson.loads(told[0])["request_id"]
    monkeypatch.undo()

    seen: list[str] = []

    class Watch:
        def queued(self) -> None: ...

        def committed(self, *_: Any) -> None:
            seen.append(JsonLines().format(logging.makeLogRecord({"name": "jifen.x", "msg": "a commit"})))

    watch: Any = Watch()
    front.world.ledger.sequencer.watch = watch
    await front.world.staff.create(None, "wu-commit", "a long enough one 7", [])
    assert seen and "request_id" not in orjson.loads(seen[0])


def test_an_error_or_a_library_is_told_without_its_words() -> None:
    """Both may quote what somebody sent: kind and place of an error, the first unfilled line of a library."""
    try:
        raise ValueError("13900000001")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    for said, quoted in (
        ({"name": "jifen.http", "msg": "unexpected %s", "args": ("ValueError",), "exc_info": info}, "ValueError"),
        ({"name": "asyncio", "msg": "Task exception was never retrieved\nfuture: 13900000001"}, "never retrieved"),
        ({"name": "somebody.else", "msg": "bad value %r", "args": ("13900000001",)}, "bad value"),
    ):
        record = logging.makeLogRecord({"levelname": "ERROR", "levelno": 40, **said})
        for formatter in (JsonLines(), Readable()):
            line = formatter.format(record)
            assert quoted in line and "13900000001" not in line and "\n" not in line.strip()


# probes ------------------------------------------------------------------------------------------------------------


async def test_ready_says_why_not(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost database, a clock that was set back, a server that is going; read-only is no reason. Liveness is none of
    all this."""

    async def asked() -> tuple[int, Any]:
        answer = await front.client.get("/ready")
        body = answer.json()
        assert 200 == answer.status_code or answer.headers["retry-after"]
        return answer.status_code, body.get("code") or body["read_only"]

    assert (200, False) == await asked()
    with monkeypatch.context() as patch:
        patch.setattr(front.world.ledger, "frozen", RuntimeError("older than what was published"))
        assert (200, True) == await asked()
    with monkeypatch.context() as patch:
        patch.setattr(front, "now", front.now - 3600 * 1_000_000)
        assert (503, "clock_unsafe") == await asked()
    for trouble in (StoreLost(OSError("gone")), None):

        async def fetch(*_: Any, trouble: Exception | None = trouble) -> Any:
            if trouble is None:
                await asyncio.sleep(60)
            raise trouble or AssertionError

        with monkeypatch.context() as patch:
            patch.setattr(front.world.ledger.store, "fetch", fetch)
            patch.setattr("api.http.health._DATABASE_S", 0.01)
            assert (503, "database_unavailable") == await asked()
            assert 200 == (await front.client.get("/health")).status_code
    front.world.stopping.set()
    assert (503, "shutting_down") == await asked()


async def test_a_server_that_is_going_takes_nothing_new(front: Front, wang: str) -> None:
    """503 with Retry-After and the end of the connection; probes are answered; nothing was kept under the retry key."""
    front.world.stopping.set()
    headers = {"Authorization": "Bearer token-clerk", "Idempotency-Key": "later", "Accept-Language": "en"}
    answer = await front.client.post("/v1/awards", json=award(wang), headers=headers)
    assert (503, "shutting_down") == (answer.status_code, answer.json()["code"])
    assert ("5", "close") == (answer.headers["retry-after"], answer.headers["connection"])
    assert "application/problem+json" == answer.headers["content-type"] and answer.json()["retryable"]
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert 200 == (await front.client.get("/health")).status_code
    front.world.stopping.clear()
    answer = await front.client.post("/v1/awards", json=award(wang), headers=headers)
    assert 201 == answer.status_code and "idempotency-replayed" not in answer.headers


# figures and spans -------------------------------------------------------------------------------------------------


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_requests_refusals_commits_and_the_state_of_things_are_counted(
    front: Front, wang: str, watched: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By operation, status and code; then what the database knows: heads, what is unpublished, holds, what waits."""
    meter = metrics()
    monkeypatch.setattr(watched, "meter", meter)
    front.world.ledger.sequencer.watch = meter
    before = figure("jifen_requests_total", operation="createAward", status="201")
    refused = figure("jifen_refusals_total", code="subject_unknown")
    commits = figure("jifen_commit_seconds_count")
    assert 201 == (await front.call("clerk", "POST", "/awards", award(wang))).status_code
    answer = await front.call("clerk", "POST", "/awards", award("sub_" + "0" * 16))
    assert "subject_unknown" == answer.json()["code"]
    await front.client.get("/v1/nothing/13900000001")
    assert 1 == figure("jifen_requests_total", operation="createAward", status="201") - before
    assert 1 == figure("jifen_refusals_total", code="subject_unknown") - refused
    assert figure("jifen_requests_total", operation="unknown", status="404") >= 1
    assert figure("jifen_commit_seconds_count") > commits

    front.now += 60 * 1_000_000
    await meter.look(front.world)
    ((size,),) = await front.world.ledger.fetch("SELECT size FROM head WHERE journal = ?", HERE)
    assert size - 1 == figure("jifen_head_seq", journal=HERE)
    assert figure("jifen_unpublished_entries") >= size
    assert figure("jifen_publish_lag_seconds") >= 60
    await front.world.publisher.publish()
    await meter.look(front.world)
    assert (0, 0) == (figure("jifen_unpublished_entries"), figure("jifen_publish_lag_seconds"))
    assert (0, 0, 0) == tuple(figure(f"jifen_{name}") for name in ("read_only", "queue_weight", "outbox_events"))


async def test_a_request_and_the_commit_that_it_waited_for_are_spans(
    front: Front, wang: str, watched: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the span of whoever calls; the commit is linked to the request. Nothing in them is about a person."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing = Tracing(provider)
    monkeypatch.setattr(watched, "tracing", tracing)
    watching = Watching()
    monkeypatch.setattr(watching, "_tracing", tracing)
    monkeypatch.setattr(watching, "_meter", metrics())
    watching.follow(front.world)
    parent = f"00-{TRACE}-b7ad6b7169203331-01"
    answer = await front.call("clerk", "POST", "/awards", award(wang), headers={"traceparent": parent})
    assert 201 == answer.status_code
    await front.call("clerk", "GET", "/nothing/13900000001")
    done: dict[str, Any] = {span.name: span for span in spans.get_finished_spans()}
    request, commit, missed = done["POST /v1/awards"], done["commit"], done["GET"]
    assert (int(TRACE, 16), 0xB7AD6B7169203331) == (request.context.trace_id, request.parent.span_id)
    assert [request.context.span_id] == [link.context.span_id for link in commit.links]
    assert commit.start_time < commit.end_time <= request.end_time
    assert (201, "/v1/awards", "staff") == tuple(
        request.attributes[name] for name in ("http.response.status_code", "http.route", "jifen.caller")
    )
    assert "not_found" == missed.attributes["error.type"]
    written = json.dumps([[span.name, dict(span.attributes or {})] for span in spans.get_finished_spans()])
    assert not [one for one in ("13900000001", wang, "王丽", "token-") if one in written]


async def test_a_request_that_nobody_waits_for_is_still_accounted_for(
    front: Front, watched: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever hangs up before the answer: 499 in our lines, as no answer has it."""
    written = io.BytesIO()
    monkeypatch.setattr(watched, "log", request_log(written))

    async def never() -> Any:
        raise asyncio.CancelledError

    scope = {
        "type": "http", "method": "POST", "path": "/v1/sessions", "raw_path": b"/v1/sessions", "query_string": b"",
        "headers": [(b"content-length", b"9")], "server": ("test", 80), "client": ("127.0.0.1", 1), "scheme": "http",
        "http_version": "1.1", "root_path": "", "state": {},
    }  # fmt: skip

    async def nowhere(_message: Any) -> None: ...

    with pytest.raises(asyncio.CancelledError):
        await application(front.world)(scope, never, nowhere)
    assert 499 == orjson.loads(written.getvalue())["status"]
