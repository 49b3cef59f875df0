"""The work queue: which documents are due, and which process may request runs of them.

What belongs here: the statement that finds due documents, however many there are, and the locks
by which planners exclude each other. What does not: the rules from which the statement is
generated (`lifecycle.due`), requesting runs (`dagster`), or processing documents.

A planner holds the lock of `planning`, so that two planners never request the same document. After
a run was requested for a document, the document is not due for `lifecycle.due.RUN_REQUEST_TIMEOUT`,
until the run appears in Dagster. The next tick of the sensor that requested it ends this wait,
because the run then exists or was lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from tvdb_assets.lifecycle.due import (
    DEFAULT_WAIT,
    RUN_REQUEST_TIMEOUT,
    WAITS,
    BudgetWindows,
    Reason,
    Wait,
)
from tvdb_assets.lifecycle.events import Requested
from tvdb_assets.lifecycle.states import DocumentStatus
from tvdb_assets.repositories import locks, texts_without_vector
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle


@dataclass(frozen=True, slots=True)
class DueDocument:
    """A document that needs work."""

    document_id: int
    partition_key: str
    source: str
    path: str
    reason: Reason
    run_id: str
    """The run that processed it last."""


class DueDocuments:
    """Finds the documents of a database that need work."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    @contextmanager
    def planning(self, *, waits: bool = True) -> Iterator[bool]:
        """Hold the lock for requesting runs, and for adding, moving and removing partitions.

        Args:
            waits: wait for another process that holds the lock.

        Yields:
            Whether this process holds the lock; always true with ``waits``.
        """
        with self._database.session() as session:
            if waits:
                locks.acquire(session, locks.PLANNING.key())
            elif not locks.try_acquire(session, locks.PLANNING.key()):
                yield False
                return
            try:
                yield True
            finally:
                locks.release(session, [locks.PLANNING.key()])

    @contextmanager
    def planned(self) -> Iterator[None]:
        """Signal to other planners that this process will start runs that are not in Dagster yet.

        Partitions are not moved in the block, because the runs have ranges of them. Enter this
        context within `planning`.
        """
        with (
            self._database.session() as session,
            locks.holding(session, [locks.PLANNED.key()], is_shared=True),
        ):
            yield

    def is_planned(self) -> bool:
        """Whether any process is in `planned`."""
        with self._database.transaction() as tx:
            return bool(locks.held(tx, [locks.PLANNED.key()]))

    def find(
        self,
        pipeline_fingerprint: str,
        windows: BudgetWindows,
        *,
        limits_fingerprint: str = "",
        reasons: frozenset[Reason] = frozenset(Reason),
        can_retry_degraded: bool = True,
        not_in_dagster: Sequence[str] = (),
        source: str | None = None,
        excluding: Collection[str] = (),
        limit: int | None = None,
    ) -> list[DueDocument]:
        """Due documents without a requested run: nearly finished ones first, then the oldest.

        Args:
            pipeline_fingerprint: fingerprint of the current pipeline; documents with another one
                are stale.
            windows: when the limits that deferred documents wait for were last renewed.
            limits_fingerprint: fingerprint of the current limits; documents that failed because
                of other limits are stale.
            reasons: the reasons to include.
            can_retry_degraded: whether the paid services are available again.
            not_in_dagster: partition keys that Dagster shows as missing.
            source: the root of the source of the documents; None means all sources.
            excluding: partition keys of documents that are left out.
            limit: maximum number of documents; None means all.
        """
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(DueDocument)) as cursor,
        ):
            cursor.execute(
                _DUE,
                {
                    "pipeline_fingerprints": [
                        pipeline_fingerprint,
                        limits_fingerprint + pipeline_fingerprint,
                    ],
                    "day": windows.day,
                    "hour": windows.hour,
                    "changed": windows.changed,
                    "now": windows.now,
                    "lasts": RUN_REQUEST_TIMEOUT,
                    # A command's last run may start hours after it was planned.
                    "is_planned": self.is_planned(),
                    "reasons": [reason.value for reason in reasons],
                    "order": [reason.value for reason in Reason],
                    "can_retry_degraded": can_retry_degraded,
                    "not_in_dagster": list(not_in_dagster),
                    "source": source,
                    "excluding": list(excluding),
                    "limit": limit,
                },
            )
            return cursor.fetchall()

    def note_run_requests(self, partition_keys: Sequence[str], *, requested_by: str = "") -> None:
        """Record that runs are requested for these files; the end of a run clears the record.

        Args:
            partition_keys: their partitions.
            requested_by: the name of the sensor or schedule, see `release_run_requests`.
        """
        with self._database.transaction() as tx:
            DocumentLifecycle(tx).request_runs(partition_keys, requested_by)

    def release_run_requests(self, requested_by: str) -> int:
        """Delete the records of requests of a sensor, whose runs exist or never will.

        Returns:
            The number of records.
        """
        with self._database.transaction() as tx:
            return DocumentLifecycle(tx).release_run_requests(requested_by)

    def request_documents(
        self,
        document_ids: Sequence[int] | None = None,
        *,
        source: str | None = None,
        resets_attempts: bool = True,
        pays_again: bool = False,
    ) -> int:
        """Record that a person requested documents; returns how many are now due.

        Args:
            document_ids: the documents; None means all that failed.
            source: the root of the source of the failed documents; None means all sources.
            resets_attempts: count their attempts from zero again.
            pays_again: also pay once more for what was paid for and gave no usable text or vector.
        """
        with self._database.transaction() as tx:
            if document_ids is None:
                rows = tx.execute(
                    "SELECT document_id FROM tvdb.documents WHERE status = %s AND gone_at IS NULL"
                    " AND source = coalesce(%s, source)",
                    (DocumentStatus.FAILED.value, source),
                )
                document_ids = [row[0] for row in rows]
            if pays_again:
                texts_without_vector.remove_of_documents(tx, document_ids)
            requested = Requested(resets_attempts=resets_attempts)
            lives = DocumentLifecycle(tx).apply_to(document_ids, requested)
        return sum(not life.is_gone for life in lives.values())

    def processed_in_backfill(
        self, partition_keys: Sequence[str], backfill_id: str
    ) -> dict[str, tuple[str, DocumentStatus]]:
        """Those partitions whose file a run of a backfill processed last: run id and result."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT d.partition_key, d.run_id, d.status"
                " FROM tvdb.documents d JOIN tvdb.runs r USING (run_id)"
                " WHERE d.partition_key = ANY(%s) AND d.container_id IS NULL"
                " AND r.backfill_id = %s",
                (list(partition_keys), backfill_id),
            ).fetchall()
        return {key: (run_id, DocumentStatus(status)) for key, run_id, status in rows}

    @contextmanager
    def mark_run_alive(self, run_id: str) -> Iterator[None]:
        """Signal to other processes that this run is active, until the block or process ends.

        A server that restarts in the block forgets the signal, which fails no block that succeeds.
        """
        has_ended = False
        try:
            with (
                self._database.session() as session,
                locks.holding(session, [locks.run_key(run_id)], is_shared=True),
            ):
                yield
                has_ended = True
        except psycopg.OperationalError:
            if not has_ended:
                raise

    def live_runs(self, run_ids: Sequence[str]) -> set[str]:
        """The ids of those runs that a process is executing."""
        by_key = {locks.run_key(run_id): run_id for run_id in run_ids}
        with self._database.transaction() as tx:
            return {by_key[key] for key in locks.held(tx, list(by_key))}


def _wait_end_sql(wait: Wait) -> str:
    """An SQL expression for the end of a wait."""
    ends = [f"%({renewal.value})s" for renewal in wait.renewals]
    if wait.delay is not None:
        seconds = wait.delay.total_seconds()
        ends.append(f"coalesce(%(now)s, tvdb.clock()) - interval '{seconds:.0f} seconds'")
    return f"greatest({', '.join(ends)})"


_WAIT_ENDS = (
    "CASE error_code "
    + " ".join(f"WHEN '{code}' THEN {_wait_end_sql(wait)}" for code, wait in WAITS.items())
    + f" ELSE {_wait_end_sql(DEFAULT_WAIT)} END"
)

# The same rule as `lifecycle.due_reason`, for all documents at once.
_REASON = f"""CASE
    WHEN manually_requested_at IS NOT NULL THEN '{Reason.REQUESTED}'
    WHEN status = '{DocumentStatus.DEFERRED}' AND deferred_at < {_WAIT_ENDS}
        THEN '{Reason.DEFERRED}'
    WHEN is_changed THEN '{Reason.CHANGED}'
    WHEN status = '{DocumentStatus.REGISTERED}' THEN '{Reason.MISSING}'
    WHEN status = '{DocumentStatus.FAILED}' AND quarantine IS NULL
        AND coalesce(next_attempt_at <= tvdb.clock(), true) THEN '{Reason.FAILED}'
    WHEN status = '{DocumentStatus.PUBLISHED}' AND is_degraded AND %(can_retry_degraded)s
        THEN '{Reason.DEGRADED}'
    WHEN (status = '{DocumentStatus.PUBLISHED}' AND NOT is_degraded OR quarantine IS NOT NULL)
        AND pipeline_fingerprint <> ALL(%(pipeline_fingerprints)s) THEN '{Reason.STALE}'
    WHEN status = '{DocumentStatus.PUBLISHED}' AND partition_key = ANY(%(not_in_dagster)s)
        THEN '{Reason.NOT_IN_DAGSTER}'
END"""

# A file is processed with all its members, so its reason is the first one of all of them. They have
# the same source, which is not compared again for the file: a planner without statistics, as after
# the first scan of a large source, would take few files to be of that source, and compare each with
# all others.
_DUE = f"""
SELECT f.document_id, f.partition_key, f.source, f.path, n.reason, f.run_id FROM (
    SELECT partition_key,
        (array_agg(reason ORDER BY array_position(%(order)s, reason)))[1] AS reason
    FROM (
        SELECT partition_key, {_REASON} AS reason FROM tvdb.documents WHERE gone_at IS NULL
        AND (%(source)s::text IS NULL OR source = %(source)s)
    ) due
    WHERE reason = ANY(%(reasons)s) GROUP BY partition_key
) n
JOIN tvdb.documents f ON f.partition_key = n.partition_key AND f.container_id IS NULL
WHERE f.gone_at IS NULL
  AND NOT EXISTS (SELECT FROM unnest(%(excluding)s::text[]) AS u(key) WHERE key = f.partition_key)
  AND (f.run_requested_at IS NULL
    OR f.run_requested_at < tvdb.clock() - %(lasts)s::interval AND NOT %(is_planned)s)
ORDER BY CASE
    WHEN EXISTS (SELECT FROM tvdb.chunk_sets k WHERE k.document_id = f.document_id) THEN 0
    WHEN EXISTS (SELECT FROM tvdb.parsed_documents p WHERE p.document_id = f.document_id)
    THEN 1 ELSE 2 END, f.document_id
LIMIT %(limit)s
"""
