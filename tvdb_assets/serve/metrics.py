"""Prometheus metrics of the HTTP service.

What belongs here: names, labels and their values. What does not: the metrics of runs, which
OpenTelemetry exports (`tracing`). No label has a question, a document or a path of a request.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from tvdb_assets.repositories.database import Database
from tvdb_assets.retrieval.results import SearchResult

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class ServiceMetrics:
    """The metrics of one service, in its own registry."""

    def __init__(self) -> None:
        """All counters are zero."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tvdb_http_requests",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tvdb_http_request_seconds",
            "Seconds until a request was answered.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._searches = Counter(
            "tvdb_searches",
            "Searches, by whether the best result fits the question.",
            ("is_confident",),
            registry=self._registry,
        )
        self._cost = Counter(
            "tvdb_search_cost_usd",
            "US dollars paid for the vectors of questions.",
            registry=self._registry,
        )
        self._documents = Gauge(
            "tvdb_index_documents", "Documents that search finds.", registry=self._registry
        )
        self._chunks = Gauge(
            "tvdb_index_chunks", "Passages that search reads.", registry=self._registry
        )

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_search(self, result: SearchResult) -> None:
        """Count a search and its cost."""
        self._searches.labels(str(result.is_confident).lower()).inc()
        self._cost.inc(float(result.cost_usd))

    def response(self, database: Database) -> Response:
        """All metrics in the text format of Prometheus."""
        with database.transaction() as tx:
            row = tx.execute(
                "SELECT count(*), coalesce(sum(k.chunk_count), 0) FROM tvdb.publications u"
                " JOIN tvdb.indexes i USING (index_id) JOIN tvdb.chunk_sets k USING (chunk_set_id)"
                " WHERE i.is_current"
            ).fetchone()
        documents, chunks = row or (0, 0)
        self._documents.set(documents)
        self._chunks.set(int(chunks))
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
