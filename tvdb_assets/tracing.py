"""OpenTelemetry: spans and metrics of runs, off until ``OTEL_`` variables turn it on.

What belongs here: the one place that knows the SDK. What does not: what is worth a span, which
those decide who call it.

The trace's id is the run's. Spans' ids are derived from what they are about (`correlation`), so
that a call names the document that it was made for as its parent before that document's own
span has ended, and in whatever process. The SDK is imported when the first run asks for it and
is configured by its own variables; nothing of it is loaded where they are not set.
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

_TURN_ON = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
)
_FLUSH_SECONDS = 5.0
_NAME = "tvdb_assets"


@dataclass(frozen=True, slots=True)
class TracedOperation:
    """What a span of a call says of what was called, in the semantic conventions' words."""

    name: str
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GaugeReading:
    """What a gauge shows now."""

    name: str
    value: float
    unit: str
    attributes: Attributes = field(default_factory=dict)


class Trace(Protocol):
    """The trace of one run."""

    is_on: bool

    def run(self, began: int, root: str | None, parent: str | None, error: str | None) -> None:
        """The run has ended; it began so many nanoseconds after the epoch."""
        ...

    def stage(self, stage: str, began: int, ended: int, documents: int) -> None:
        """All documents of the run have passed a stage."""
        ...

    def document(
        self, stage: str, name: str, span: tuple[int, int], error: str | None, more: Attributes
    ) -> None:
        """A document has passed a stage, or failed there."""
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
        """A request was just answered, or was not."""
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
        """Export what is there, within a few seconds."""
        ...


def trace_of(run_id: str) -> Trace:
    """The trace of a run; one that does nothing where no ``OTEL_`` variable turns it on."""
    return _OnTrace(run_id) if is_on() else _OFF


def is_on(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the standard variables ask for spans or metrics."""
    given = os.environ if environment is None else environment
    if given.get("OTEL_SDK_DISABLED", "").casefold() == "true":
        return False
    return any(given.get(name, "").casefold() not in ("", "none") for name in _TURN_ON)


class _OffTrace:
    """Does nothing, for nothing."""

    is_on = False

    def run(self, *given: object) -> None: ...
    def stage(self, *given: object) -> None: ...
    def document(self, *given: object) -> None: ...
    def call(self, *given: object, **more: object) -> None: ...
    def count(self, *given: object) -> None: ...
    def measure(self, *given: object) -> None: ...
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
        self._span(f"stage {stage}", (stage,), self._under(), (began, ended), None, more)

    def document(
        self, stage: str, name: str, span: tuple[int, int], error: str | None, more: Attributes
    ) -> None:
        told = {"tvdb.stage": stage, "tvdb.document": name, **more}
        self._span(f"document {stage}", (stage, name), self._under(stage), span, error, told)

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
        # A request for several documents belongs to their stage, and is linked with each.
        of_one = documents[0] if len(documents) == 1 else ""
        names = (stage, of_one) if of_one else (stage,) if stage else ()
        links = [] if of_one else [self._context(self._run_id, stage, n) for n in documents if n]
        span = (ended - int(seconds * 1e9), ended)
        told = {**operation.attributes, **more}
        under = self._under(*names)
        self._span(operation.name, None, under, span, error, told, links, SpanKind.CLIENT)

    def count(self, name: str, amount: float, unit: str, attributes: Attributes) -> None:
        self._sdk.instrument("counter", name, unit).add(amount, _told(attributes))

    def measure(self, name: str, value: float, unit: str, attributes: Attributes) -> None:
        self._sdk.instrument("histogram", name, unit).record(value, _told(attributes))

    def read(self, readings: Sequence[GaugeReading]) -> None:
        for reading in readings:
            gauge = self._sdk.instrument("gauge", reading.name, reading.unit)
            gauge.set(reading.value, _told(reading.attributes))

    def flush(self) -> None:
        # An exporter whose collector is away tries for longer than it is asked to.
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
        about: tuple[str, ...] | None,
        under: Context,
        times: tuple[int, int],
        error: str | None,
        attributes: Attributes,
        links: Sequence[SpanContext] = (),
        kind: Any = None,
    ) -> None:
        from opentelemetry.trace import Link, SpanKind, Status, StatusCode

        told = _told({"tvdb.run_id": self._run_id, "error.type": error, **attributes})
        wanted = None if about is None else span_id(self._run_id, *about)
        with self._sdk.ids.next(trace_id(self._run_id), wanted):
            span = self._sdk.tracer.start_span(
                name,
                context=under,
                kind=kind or SpanKind.INTERNAL,
                attributes=told,
                links=[Link(context) for context in links],
                start_time=times[0],
            )
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end_time=max(times))

    def _under(self, *names: str) -> Context:
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
        """As the sampler decides for the run, so that a trace is whole or not there."""
        decided = self._sdk.tracers.sampler.should_sample(None, trace_id(run_id), "run")
        return bool(decided.decision.is_sampled())  # type: ignore[no-untyped-call]


class _Ids:
    """Gives the next span the ids that were asked for; made an `IdGenerator` of the SDK."""

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
    """The SDK's providers, made once for each process, as its variables say."""

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        named = "OTEL_SERVICE_NAME" in os.environ or "service.name" in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        resource = Resource.create({} if named else {"service.name": _NAME})
        self.ids = _Ids(RandomIdGenerator())
        # A process waits for its exporters where it flushes, which has a bound, and not as it ends.
        self.tracers = TracerProvider(
            resource=resource,
            id_generator=self.ids,  # type: ignore[arg-type]
            shutdown_on_exit=False,
        )
        self.meters = MeterProvider(_readers(), resource=resource, shutdown_on_exit=False)
        for processor in _processors():
            self.tracers.add_span_processor(processor)
        self.tracer = self.tracers.get_tracer(_NAME)
        self._meter = self.meters.get_meter(_NAME)
        self._instruments: dict[str, Any] = {}
        self._lock = threading.Lock()

    def instrument(self, kind: str, name: str, unit: str) -> Any:
        with self._lock:
            if name not in self._instruments:
                make = getattr(self._meter, f"create_{kind}")
                self._instruments[name] = make(name, unit=unit)
            return self._instruments[name]


@lru_cache(maxsize=1)
def _sdk() -> _Sdk:
    return _Sdk()


def _exporter(signal: str) -> str:
    chosen = os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().casefold()
    if chosen:
        return chosen
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


def _told(attributes: Attributes) -> dict[str, Value]:
    return {
        name: redact(value) if isinstance(value, str) else value
        for name, value in attributes.items()
        if value is not None
    }
