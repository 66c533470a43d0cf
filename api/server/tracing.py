# SPDX-License-Identifier: Apache-2.0
"""Spans for OpenTelemetry: one for each request, one for each commit, linked to the requests that waited for it.

On with `JIFEN_TRACING=on` and the extra `otel`; where the spans go is OpenTelemetry's own configuration
(`OTEL_TRACES_EXPORTER`, `OTEL_EXPORTER_OTLP_ENDPOINT` …). A span carries what a log line carries and nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

from api.settings import SettingsError, software_version

try:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import Link, SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise SettingsError(f"JIFEN_TRACING: {error.name} is not installed; pip install 'jifen[otel]'") from error

_EXPORTERS = "opentelemetry_traces_exporter"  # the group under which exporters make themselves known
_PARENTS = TraceContextTextMapPropagator()


def provider() -> TracerProvider:
    """Spans to the exporter that the environment names, OTLP where it names none. Raises `SettingsError`."""
    made = TracerProvider(resource=Resource.create({"service.name": "jifen", "service.version": software_version()}))
    name = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name != "none":
        found = next(iter(entry_points(group=_EXPORTERS, name=name)), None)
        if found is None:
            raise SettingsError(
                f"JIFEN_TRACING: no exporter {name!r}; pip install opentelemetry-exporter-otlp-proto-http, "
                "or set OTEL_TRACES_EXPORTER to console or none"
            )
        made.add_span_processor(BatchSpanProcessor(found.load()()))
    return made


class Tracing:
    """Makes the spans; a `ledger.sequencer.Watch`."""

    def __init__(self, made: TracerProvider | None = None) -> None:
        self._provider = made or provider()
        self._tracer = self._provider.get_tracer("jifen", software_version())

    @contextmanager
    def request(self, scope: Any) -> Iterator[None]:
        """A span around one request, below the one that its `traceparent` names."""
        carried = {n.decode(): v.decode("latin-1") for n, v in scope["headers"] if n in (b"traceparent", b"tracestate")}
        parent = _PARENTS.extract(carried) if carried else None
        with self._tracer.start_as_current_span(
            scope["method"], parent, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            finally:
                _describe(span, scope)

    def queued(self) -> object:
        return trace.get_current_span().get_span_context()

    def committed(self, callers: Sequence[Any], started_ns: int, failure: str) -> None:
        links = [Link(caller) for caller in callers if caller is not None and caller.is_valid]
        span = self._tracer.start_span(
            "commit", links=links, attributes={"jifen.commands": len(callers)}, start_time=started_ns
        )
        if failure:
            span.set_attribute("error.type", failure)
            span.set_status(StatusCode.ERROR)
        span.end(time.time_ns())

    def close(self) -> None:
        """Send what is still to be sent."""
        self._provider.shutdown()


def _describe(span: trace.Span, scope: Any) -> None:
    route, status, caller = scope.get("path_template", ""), scope["status"], scope.get("caller")
    span.update_name(f"{scope['method']} {route}".strip())
    said = {"http.request.method": scope["method"], "http.route": route, "http.response.status_code": status}
    said["jifen.request_id"] = scope["request_id"]
    if caller is not None:
        said["jifen.caller"] = caller.kind  # spans leave the machine, so not who
    if code := scope.get("refused"):
        said["error.type"] = code
    span.set_attributes(said)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
