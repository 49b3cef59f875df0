"""An OTLP collector over HTTP that decodes spans and metrics and keeps them.

What belongs here: the protocol, with OpenTelemetry's own protobuf messages. What does not: checks
of the received data.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Span:
    """A received span."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    began: int
    ended: int
    is_error: bool
    attributes: dict[str, Any]
    links: list[str]


@dataclass
class Collector:
    """Everything that was received so far."""

    url: str
    spans: list[Span] = field(default_factory=list)
    metrics: dict[str, list[tuple[dict[str, Any], float]]] = field(default_factory=dict)
    """By name: attributes, and the last value, sum or number of observations."""
    bodies: list[bytes] = field(default_factory=list)
    """Request bodies, decompressed."""
    resources: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector on a free port, until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.collector = Collector(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.collector  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        collector: Collector = self.server.collector  # type: ignore[attr-defined]
        collector.bodies.append(body)
        if self.path == "/v1/traces":
            _add_spans(collector, ExportTraceServiceRequest.FromString(body))
            response = ExportTraceServiceResponse().SerializeToString()
        else:
            _add_metrics(collector, ExportMetricsServiceRequest.FromString(body))
            response = ExportMetricsServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Log nothing."""


def _add_spans(collector: Collector, request: ExportTraceServiceRequest) -> None:
    for resource in request.resource_spans:
        collector.resources.append(_attributes(resource.resource.attributes))
        for scope in resource.scope_spans:
            collector.spans += [
                Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=span.kind,
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    is_error=span.status.code == 2,
                    attributes=_attributes(span.attributes),
                    links=[link.span_id.hex() for link in span.links],
                )
                for span in scope.spans
            ]


def _add_metrics(collector: Collector, request: ExportMetricsServiceRequest) -> None:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data"))
                collector.metrics[metric.name] = [
                    (_attributes(point.attributes), _value(point)) for point in data.data_points
                ]


def _value(point: Any) -> float:
    if hasattr(point, "bucket_counts"):
        return float(point.sum)
    return float(getattr(point, point.WhichOneof("value")))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
