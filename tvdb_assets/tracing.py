"""OpenTelemetry: spans and metrics of runs. ``OTEL_`` variables turn it on.

What belongs here: all use of the SDK. What does not: the choice of the operations that have a
span, which is made by the callers.

The id of the trace is the id of the run. The ids of spans are derived from their subject
(`correlation`), so that in any process, the span of a call can name the span of its document as
parent before that span has ended. The SDK is imported when the first run needs it, and reads its
configuration from its own variables. If they are not set, the SDK is not loaded.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tvdb_assets.correlation import span_id, trace_id
from tvdb_assets.redaction import redact

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, Value | None]

_ENABLING_VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
)
_FLUSH_SECONDS = 5.0
_SERVICE_NAME = "tvdb_assets"


@dataclass(frozen=True, slots=True)
class TracedOperation:
    """The name and attributes of a call's span, defined by the semantic conventions."""

    name: str
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GaugeReading:
    """The current value of a gauge."""

    name: str
    value: float
    unit: str
    attributes: Attributes = field(default_factory=dict)


class Trace(Protocol):
    """The trace of one run."""

    is_on: bool

    def run(self, began: int, root: str | None, parent: str | None, error: str | None) -> None:
        """Record the span of a run that has ended.

        Args:
            began: the start of the run in nanoseconds since 1970.
            root: the id of the first run, of which this run is a retry.
            parent: the id of the run that this run retries.
            error: the code of the error that ended the run.
        """
        ...

    def stage(self, stage: str, began: int, ended: int, documents: int) -> None:
        """Record the span of a stage that has ended, with times in nanoseconds since 1970."""
        ...

    def document(
        self, stage: str, name: str, span: tuple[int, int], error: str | None, more: Attributes
    ) -> None:
        """Record the span of a document that has passed a stage or failed in it."""
        ...

    def call(
        self,
        operation: TracedOperation,
        *,
        stage: str,
        documents: Sequence[str],
        seconds: float,
        error: str | None,
        more: Attributes,
    ) -> None:
        """Record the span of a request that ended just now, with or without a response."""
        ...

    def count(self, name: str, amount: float, unit: str, attributes: Attributes) -> None:
        """Add to a counter."""
        ...

    def measure(self, name: str, value: float, unit: str, attributes: Attributes) -> None:
        """Add a value to a histogram."""
        ...

    def read(self, readings: Sequence[GaugeReading]) -> None:
        """Set gauges."""
        ...

    def flush(self) -> None:
        """Export the recorded spans and metrics; waits at most 5 seconds."""
        ...


def trace_of(run_id: str) -> Trace:
    """The trace of a run; it does nothing unless an ``OTEL_`` variable turns tracing on."""
    return _OnTrace(run_id) if is_on() else _OFF


def is_on(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the standard variables turn on spans or metrics."""
    variables = os.environ if environment is None else environment
    if variables.get("OTEL_SDK_DISABLED", "").casefold() == "true":
        return False
    return any(
        variables.get(name, "").casefold() not in ("", "none") for name in _ENABLING_VARIABLES
    )


class _OffTrace:
    """A trace that does nothing and costs nothing."""

    is_on = False

    def run(self, *_: object) -> None: ...
    def stage(self, *_: object) -> None: ...
    def document(self, *_: object) -> None: ...
    def call(self, *_: object, **__: object) -> None: ...
    def count(self, *_: object) -> None: ...
    def measure(self, *_: object) -> None: ...
    def read(self, readings: object) -> None: ...
    def flush(self) -> None: ...


_OFF: Trace = _OffTrace()


class _OnTrace:
    is_on = True

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._sdk = _sdk()

    def run(self, began: int, root: str | None, parent: str | None, error: str | None) -> None:
        from opentelemetry.context import Context

        links = [self._context(run) for run in dict.fromkeys((parent, root)) if run]
        more: Attributes = {"tvdb.parent_run_id": parent, "tvdb.root_run_id": root}
        self._span("run", (), Context(), (began, time.time_ns()), error, more, links)

    def stage(self, stage: str, began: int, ended: int, documents: int) -> None:
        more: Attributes = {"tvdb.stage": stage, "tvdb.documents": documents}
        self._span(f"stage {stage}", (stage,), self._parent(), (began, ended), None, more)

    def document(
        self, stage: str, name: str, span: tuple[int, int], error: str | None, more: Attributes
    ) -> None:
        attributes = {"tvdb.stage": stage, "tvdb.document": name, **more}
        parent = self._parent(stage)
        self._span(f"document {stage}", (stage, name), parent, span, error, attributes)

    def call(
        self,
        operation: TracedOperation,
        *,
        stage: str,
        documents: Sequence[str],
        seconds: float,
        error: str | None,
        more: Attributes,
    ) -> None:
        from opentelemetry.trace import SpanKind

        ended = time.time_ns()
        # A request for several documents has their stage as parent, and a link to each document.
        only_document = documents[0] if len(documents) == 1 else ""
        names = (stage, only_document) if only_document else (stage,) if stage else ()
        links = [
            self._context(self._run_id, stage, document)
            for document in documents
            if document and not only_document
        ]
        span = (ended - int(seconds * 1e9), ended)
        attributes = {**operation.attributes, **more}
        parent = self._parent(*names)
        self._span(operation.name, None, parent, span, error, attributes, links, SpanKind.CLIENT)

    def count(self, name: str, amount: float, unit: str, attributes: Attributes) -> None:
        self._sdk.instrument("counter", name, unit).add(amount, _redacted(attributes))

    def measure(self, name: str, value: float, unit: str, attributes: Attributes) -> None:
        self._sdk.instrument("histogram", name, unit).record(value, _redacted(attributes))

    def read(self, readings: Sequence[GaugeReading]) -> None:
        for reading in readings:
            gauge = self._sdk.instrument("gauge", reading.name, reading.unit)
            gauge.set(reading.value, _redacted(reading.attributes))

    def flush(self) -> None:
        # An exporter retries for longer than its timeout if the collector is unreachable.
        flushing = threading.Thread(target=self._flush, name="tvdb-flush", daemon=True)
        flushing.start()
        flushing.join(_FLUSH_SECONDS)

    def _flush(self) -> None:
        for provider in (self._sdk.tracers, self._sdk.meters):
            with suppress(Exception):
                provider.force_flush(int(_FLUSH_SECONDS * 1_000))

    def _span(
        self,
        name: str,
        subject: tuple[str, ...] | None,
        parent: Context,
        times: tuple[int, int],
        error: str | None,
        attributes: Attributes,
        links: Sequence[SpanContext] = (),
        kind: Any = None,
    ) -> None:
        from opentelemetry.trace import Link, SpanKind, Status, StatusCode

        own_id = None if subject is None else span_id(self._run_id, *subject)
        attributes = {"tvdb.run_id": self._run_id, "error.type": error, **attributes}
        with self._sdk.ids.next(trace_id(self._run_id), own_id):
            span = self._sdk.tracer.start_span(
                name,
                context=parent,
                kind=kind or SpanKind.INTERNAL,
                attributes=_redacted(attributes),
                links=[Link(context) for context in links],
                start_time=times[0],
            )
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end_time=max(times))

    def _parent(self, *names: str) -> Context:
        from opentelemetry.context import Context
        from opentelemetry.trace import NonRecordingSpan, set_span_in_context

        return set_span_in_context(NonRecordingSpan(self._context(self._run_id, *names)), Context())

    def _context(self, run_id: str, *names: str) -> SpanContext:
        from opentelemetry.trace import SpanContext, TraceFlags

        return SpanContext(
            trace_id=trace_id(run_id),
            span_id=span_id(run_id, *names),
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED if self._is_sampled(run_id) else 0),
        )

    def _is_sampled(self, run_id: str) -> bool:
        """The sampler's decision for the run, so that a trace is complete or absent."""
        result = self._sdk.tracers.sampler.should_sample(None, trace_id(run_id), "run")
        return bool(result.decision.is_sampled())  # type: ignore[no-untyped-call]


class _Ids:
    """An `IdGenerator` of the SDK that gives the next span chosen ids instead of random ones."""

    def __init__(self, random: Any) -> None:
        self._random = random
        self._local = threading.local()

    def next(self, trace: int, span: int | None) -> _Ids:
        self._local.trace, self._local.span = trace, span
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None:
        self._local.trace = self._local.span = None

    def generate_trace_id(self) -> int:
        return getattr(self._local, "trace", None) or int(self._random.generate_trace_id())

    def generate_span_id(self) -> int:
        return getattr(self._local, "span", None) or int(self._random.generate_span_id())

    def is_trace_id_random(self) -> bool:
        return True


class _Sdk:
    """The SDK's providers, one set per process, configured by the standard variables."""

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        has_name = "OTEL_SERVICE_NAME" in os.environ or "service.name" in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        resource = Resource.create({} if has_name else {"service.name": _SERVICE_NAME})
        self.ids = _Ids(RandomIdGenerator())
        # A process waits for its exporters in `flush`, which has a time limit, and not at exit.
        self.tracers = TracerProvider(
            resource=resource,
            id_generator=self.ids,  # type: ignore[arg-type]
            shutdown_on_exit=False,
        )
        self.meters = MeterProvider(_readers(), resource=resource, shutdown_on_exit=False)
        for processor in _processors():
            self.tracers.add_span_processor(processor)
        self.tracer = self.tracers.get_tracer(_SERVICE_NAME)
        self._meter = self.meters.get_meter(_SERVICE_NAME)
        self._instruments: dict[str, Any] = {}
        self._lock = threading.Lock()

    def instrument(self, kind: str, name: str, unit: str) -> Any:
        with self._lock:
            if name not in self._instruments:
                create = getattr(self._meter, f"create_{kind}")
                self._instruments[name] = create(name, unit=unit)
            return self._instruments[name]


@lru_cache(maxsize=1)
def _sdk() -> _Sdk:
    return _Sdk()


def _exporter(signal: str) -> str:
    exporter = os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().casefold()
    if exporter:
        return exporter
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return "otlp" if any(os.environ.get(name) for name in names) else "none"


def _processors() -> list[Any]:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    match _exporter("TRACES"):
        case "otlp":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            return [BatchSpanProcessor(OTLPSpanExporter())]
        case "console":
            return [BatchSpanProcessor(ConsoleSpanExporter())]
    return []


def _readers() -> list[Any]:
    from opentelemetry.sdk.metrics.export import (
        ConsoleMetricExporter,
        PeriodicExportingMetricReader,
    )

    match _exporter("METRICS"):
        case "otlp":
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

            return [PeriodicExportingMetricReader(OTLPMetricExporter())]
        case "console":
            return [PeriodicExportingMetricReader(ConsoleMetricExporter())]
    return []


def _redacted(attributes: Attributes) -> dict[str, Value]:
    return {
        name: redact(value) if isinstance(value, str) else value
        for name, value in attributes.items()
        if value is not None
    }
