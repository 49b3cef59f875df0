"""The history of a run: the events of every table that has its id, sorted by time.

What belongs here: finding the run that an id belongs to, and reading its events. What does not:
events that Dagster stores (`dagster.storage.event_history`), or their presentation
(`cli.trace_command`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from psycopg.rows import class_row

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import part_of
from tvdb_assets.redaction import display_path
from tvdb_assets.repositories.database import Database

MAX_CANDIDATES = 20
"""The maximum number of ids with the same prefix that are listed."""


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One event in the history of a run."""

    time: datetime
    kind: str
    message: str
    run_id: str
    document: str | None = None
    """The path of the document; None if the event concerns no document or several."""
    source: str | None = None
    """The root of the document's source, where it is recorded."""
    service: str | None = None
    request_id: str | None = None
    """The id that the service assigned to the request."""
    client_request_id: str | None = None
    """The value of the header ``X-Client-Request-Id`` that was sent."""
    cost_usd: Decimal | None = None
    """US dollars of a paid call: the posted amount, or the reservation before that."""
    seconds: float | None = None
    code: str | None = None
    attempt: int | None = None
    """The number of the attempt of a paid call, from 1."""


@dataclass(frozen=True, slots=True)
class HistorySubject:
    """The run, document or request that an id identifies."""

    kind: str
    """``run``, ``document`` or ``request``."""
    run_ids: tuple[str, ...]
    """The ids of its runs, the oldest first."""
    names: tuple[str, ...] = ()
    """The names of a document in the tables: path, partition key, display path."""
    document_ids: tuple[int, ...] = ()
    """The ids of a document; another document of the same name may be in another source."""


@dataclass(frozen=True, slots=True)
class HistoryLookup:
    """The result of a lookup by an id or its prefix."""

    subject: HistorySubject | None
    candidates: list[str] = field(default_factory=list)
    """The ids with this prefix, if there are several."""


class RunHistory:
    """Reads the tables of one database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def find(self, name: str, source: str | None = None) -> HistoryLookup:
        """Look up an id.

        Args:
            name: the id of a run, the path or partition key of a document, the id of a parse job,
                or the id of a request (assigned by the service, sent to it, or of the ledger
                entry); or a prefix of an id.
            source: the root of the source that is preferred if several have such a document.

        Raises:
            ConfigurationError: several other sources have such a document.
        """
        if (document := self._document(name, source)) is not None:
            return HistoryLookup(document)
        if (request := self._request(name)) is not None:
            return HistoryLookup(request)
        runs = self._ids_with_prefix(_RUN_IDS, name)
        if name in runs:
            return HistoryLookup(HistorySubject("run", (name,)))
        requests = self._ids_with_prefix(_REQUEST_IDS, name) if len(runs) < 2 else []
        candidates = runs + requests
        if len(candidates) != 1:
            return HistoryLookup(None, candidates[:MAX_CANDIDATES])
        return HistoryLookup(
            HistorySubject("run", (runs[0],)) if runs else self._request(requests[0])
        )

    def events(self, subject: HistorySubject) -> list[HistoryEvent]:
        """Read all events of a subject in the tables of this package, unsorted."""
        values = {
            "runs": list(subject.run_ids),
            "names": list(subject.names) or None,
            "ids": list(subject.document_ids) or None,
        }
        found: list[HistoryEvent] = []
        for query in _EVENT_QUERIES:
            with (
                self._database.transaction() as tx,
                tx.cursor(row_factory=class_row(HistoryEvent)) as cursor,
            ):
                cursor.execute(query, values)
                found += cursor.fetchall()
        return [
            replace(event, document=display_path(event.document or "") or None) for event in found
        ]

    def _document(self, name: str, source: str | None) -> HistorySubject | None:
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT document_id, path, partition_key, source FROM tvdb.documents"
                " WHERE path = %(name)s OR partition_key = %(name)s",
                {"name": name},
            ).fetchall()
            if not rows:
                return None
            roots = sorted({row[3] for row in rows})
            if source in roots:
                rows = [row for row in rows if row[3] == source]
            elif source is not None and len(roots) > 1:
                raise codes.DOCUMENT_ELSEWHERE.error(
                    name=display_path(name), root=source, others=", ".join(roots)
                )
            # Other tables contain the substitute for a private path instead of the path.
            names = sorted({text for row in rows for text in (*row[1:3], display_path(row[1]))})
            ids = tuple(row[0] for row in rows)
            runs = tx.execute(_RUNS_OF_DOCUMENT, {"ids": list(ids), "names": names}).fetchall()
        return HistorySubject("document", tuple(row[0] for row in runs), tuple(names), ids)

    def _request(self, name: str) -> HistorySubject | None:
        try:
            part = part_of(name) or UUID(name)
        except ValueError:
            part = None
        with self._database.transaction() as tx:
            row = tx.execute(_RUN_OF_REQUEST, {"name": name, "part": part}).fetchone()
        return HistorySubject("request", (row[0],)) if row else None

    def _ids_with_prefix(self, query: str, prefix: str) -> list[str]:
        with self._database.transaction() as tx:
            # Dagster creates its tables when it is first used.
            row = tx.execute("SELECT to_regclass('dagster.runs') IS NOT NULL").fetchone()
            if row == (True,) and query is _RUN_IDS:
                query += f" UNION {_IDS_WITH_PREFIX.format(column='run_id', table='dagster.runs')}"
            rows = tx.execute(
                f"SELECT id FROM ({query}) AS found(id) ORDER BY id LIMIT %(most)s",
                {"prefix": prefix, "most": MAX_CANDIDATES + 1},
            ).fetchall()
        return [row[0] for row in rows]


def sorted_by_time(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Sort events by time; of events with the same time, the start of a run is the first."""
    return sorted(events, key=lambda event: (event.time, _ORDER_AT_SAME_TIME.get(event.kind, 1)))


_ORDER_AT_SAME_TIME = {"run_started": 0, "step_started": 0, "run_ended": 3, "step_ended": 2}

_IDS_WITH_PREFIX = "SELECT {column} FROM {table} WHERE starts_with({column}, %(prefix)s)"
_RUN_IDS = " UNION ".join(
    _IDS_WITH_PREFIX.format(column="run_id", table=f"tvdb.{table}")
    for table in ("runs", "cost_ledger", "document_events", "service_events")
)
_REQUEST_IDS = " UNION ".join(
    _IDS_WITH_PREFIX.format(column="request_id", table=f"tvdb.{table}")
    for table in ("cost_ledger", "service_events")
)
_RUN_OF_REQUEST = """
SELECT run_id FROM tvdb.cost_ledger
WHERE request_id = %(name)s OR entry_id = %(part)s OR job_id = %(name)s
UNION ALL
SELECT run_id FROM tvdb.service_events
WHERE kind = 'request' AND (request_id = %(name)s OR client_request_uuid = %(part)s)
LIMIT 1
"""
# The ledger has names only. A run that processed another document of the same name, and not this
# one, is none of its runs.
_RUNS_OF_DOCUMENT = """
SELECT run_id FROM (
    SELECT run_id, happened_at FROM tvdb.document_events WHERE document_id = ANY(%(ids)s)
    UNION ALL
    SELECT run_id, reserved_at FROM tvdb.cost_ledger WHERE documents && %(names)s::text[]
    UNION ALL
    SELECT run_id, happened_at FROM tvdb.service_events WHERE document = ANY(%(names)s)
) seen
WHERE run_id IN (SELECT run_id FROM tvdb.document_events WHERE document_id = ANY(%(ids)s))
   OR run_id NOT IN (SELECT e.run_id FROM tvdb.document_events e
                     JOIN tvdb.documents d USING (document_id) WHERE d.path = ANY(%(names)s))
GROUP BY run_id ORDER BY min(happened_at)
"""
_PAID_CALLS = """
SELECT reserved_at AS time, 'paid_call' AS kind, run_id,
       CASE WHEN cardinality(documents) = 1 THEN documents[1] END AS document,
       service, request_id, run_id || '.' || entry_id AS client_request_id,
       CASE state WHEN 'voided' THEN 0 ELSE coalesce(posted_usd, reserved_usd) END AS cost_usd,
       extract(epoch FROM settled_at - reserved_at)::float8 AS seconds,
       outcome AS code, attempt,
       operation || ' with ' || model || ': ' || inputs || CASE inputs WHEN 1 THEN ' input, '
           ELSE ' inputs, ' END || quantity || ' ' || unit || 's'
       || CASE WHEN cardinality(documents) > 1
           THEN ' of ' || cardinality(documents) || ' documents' ELSE '' END
       || '; attempt ' || attempt
       || CASE purpose WHEN 'split' THEN ', of a halved batch' ELSE '' END
       || ': ' || coalesce(outcome, 'under way')
       || coalesce(' (status ' || http_status || ')', '') || ', ' || state AS message
FROM tvdb.cost_ledger
WHERE run_id = ANY(%(runs)s)
  AND (%(names)s::text[] IS NULL OR documents && %(names)s::text[] OR documents = '{""}')
"""
_RETRIES = """
SELECT b.settled_at AS time, 'retry' AS kind, l.run_id,
       CASE WHEN cardinality(l.documents) = 1 THEN l.documents[1] END AS document,
       l.service, b.request_id, l.run_id || '.' || b.entry_id AS client_request_id,
       extract(epoch FROM l.reserved_at - b.settled_at)::float8 AS seconds, b.outcome AS code,
       l.attempt,
       'tried again, as attempt ' || l.attempt || ', after ' || coalesce(b.outcome, 'no outcome')
       AS message
FROM tvdb.cost_ledger l
JOIN tvdb.cost_ledger b ON b.call_id = l.call_id AND b.attempt = l.attempt - 1
WHERE l.run_id = ANY(%(runs)s) AND b.run_id = l.run_id AND b.settled_at IS NOT NULL
  AND (%(names)s::text[] IS NULL OR l.documents && %(names)s::text[] OR l.documents = '{""}')
"""
_SERVICE_EVENTS = """
SELECT happened_at AS time, kind, run_id, document, service, request_id, code, seconds, message,
       CASE kind WHEN 'request' THEN run_id || '.' || client_request_uuid END AS client_request_id
FROM tvdb.service_events
WHERE run_id = ANY(%(runs)s)
  AND (%(names)s::text[] IS NULL OR document IS NULL OR document = ANY(%(names)s))
"""
_DOCUMENT_EVENTS = """
SELECT e.happened_at AS time, 'document' AS kind, e.run_id, d.path AS document, d.source, e.code,
       e.outcome || coalesce(' at ' || e.stage, '') || coalesce(': ' || e.message, '') AS message
FROM tvdb.document_events e JOIN tvdb.documents d USING (document_id)
WHERE e.run_id = ANY(%(runs)s)
  AND (%(ids)s::bigint[] IS NULL OR d.document_id = ANY(%(ids)s))
"""
_LIMIT_CHANGES = """
SELECT changed_at AS time, 'limit_changed' AS kind, r.run_id, nullif(scope, '') AS service,
       kind || ' of ' || coalesce(nullif(scope, ''), 'all services') || ' set to '
       || coalesce(trim_scale(value)::text, 'its setting') || ' by ' || changed_by AS message
FROM tvdb.limit_changes JOIN unnest(run_ids) AS r(run_id) ON r.run_id = ANY(%(runs)s)
"""
_BUDGET_ALERTS = """
SELECT a.recorded_at AS time, 'budget_alert' AS kind, r.run_id, nullif(a.scope, '') AS service,
       a.threshold || ' percent of the day''s budget were spent' AS message
FROM tvdb.budget_alerts a JOIN tvdb.runs r ON r.run_id = ANY(%(runs)s)
  AND a.recorded_at BETWEEN r.started_at AND coalesce(r.ended_at, tvdb.clock())
"""
_EVENT_QUERIES = (
    _PAID_CALLS,
    _RETRIES,
    _SERVICE_EVENTS,
    _DOCUMENT_EVENTS,
    _LIMIT_CHANGES,
    _BUDGET_ALERTS,
)
"""Each query returns columns of `HistoryEvent` for the runs and names of a subject."""
