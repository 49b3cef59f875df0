"""The work queue: which documents are due, and which planner may ask for runs of them.

What belongs here: the one statement that finds due documents, however many there are, and the
locks by which planners exclude each other. What does not: the rules that the statement
is made from (`lifecycle.due`), asking for runs (`dagster`), or the work.

A planner holds `planning`, so that two planners never ask for the same document; and a document
that a run was asked for is not due again for `lifecycle.due.REQUEST_LASTS`, in which its run
appears on record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg.rows import class_row

from tvdb_assets.lifecycle.due import (
    OTHER_WAIT,
    REQUEST_LASTS,
    WAITS,
    BudgetWindows,
    Reason,
    Wait,
)
from tvdb_assets.lifecycle.events import Requested
from tvdb_assets.lifecycle.states import DocumentStatus
from tvdb_assets.repositories import locks
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
    """The run that left it as it is."""


class DueDocuments:
    """The documents of a database that need work."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    @contextmanager
    def planning(self, *, waits: bool = True) -> Iterator[bool]:
        """Be the only process that asks for runs, and adds, moves and removes partitions.

        Args:
            waits: for the process that plans now.

        Yields:
            Whether this process may plan; always true with ``waits``.
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
        """Show other planners that runs follow which Dagster does not know of yet.

        Their ranges name partitions, which must stay where they are; enter it in `planning`.
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
        is_healing: bool = True,
        not_in_dagster: Sequence[str] = (),
        source: str | None = None,
        limit: int | None = None,
    ) -> list[DueDocument]:
        """Documents that are due and that no run was asked for, nearly finished and oldest first.

        Args:
            pipeline_fingerprint: of the pipeline as it is now; left so by another, they are stale.
            windows: when what deferred documents may wait for was last renewed.
            limits_fingerprint: of the limits as they are now; refused by others, they are stale.
            reasons: which to look for.
            is_healing: whether the services are well that a fallback stood in for.
            not_in_dagster: partition keys that Dagster shows as missing.
            source: the root of the source whose documents to return; None is all sources.
            limit: the most to return; None is all.
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
                    "lasts": REQUEST_LASTS,
                    # A command's last run may start hours after it was planned.
                    "is_planned": self.is_planned(),
                    "reasons": [reason.value for reason in reasons],
                    "order": [reason.value for reason in Reason],
                    "is_healing": is_healing,
                    "not_in_dagster": list(not_in_dagster),
                    "source": source,
                    "limit": limit,
                },
            )
            return cursor.fetchall()

    def note_run_requests(self, partition_keys: Sequence[str]) -> None:
        """Note that runs are being asked for; the end of the work takes the note away."""
        with self._database.transaction() as tx:
            DocumentLifecycle(tx).run_requested(partition_keys)

    def request_documents(
        self,
        document_ids: Sequence[int] | None = None,
        *,
        source: str | None = None,
        resets_attempts: bool = True,
    ) -> int:
        """Note that a person asked for documents; returns how many are due by that.

        Args:
            document_ids: which; None is all that failed.
            source: the root of the source of those that failed; None is all sources.
            resets_attempts: their attempts count from the start.
        """
        with self._database.transaction() as tx:
            if document_ids is None:
                rows = tx.execute(
                    "SELECT document_id FROM tvdb.documents WHERE status = %s AND gone_at IS NULL"
                    " AND source = coalesce(%s, source)",
                    (DocumentStatus.FAILED.value, source),
                )
                document_ids = [row[0] for row in rows]
            requested = Requested(resets_attempts=resets_attempts)
            lives = DocumentLifecycle(tx).apply_to(document_ids, requested)
        return sum(not life.is_gone for life in lives.values())

    @contextmanager
    def run_lives(self, run_id: str) -> Iterator[None]:
        """Show others that this run is being worked on, for as long as the process lives."""
        with (
            self._database.session() as session,
            locks.holding(session, [locks.run_key(run_id)], is_shared=True),
        ):
            yield

    def alive(self, run_ids: Sequence[str]) -> set[str]:
        """Which of these runs a process is working on."""
        by_key = {locks.run_key(run_id): run_id for run_id in run_ids}
        with self._database.transaction() as tx:
            return {by_key[key] for key in locks.held(tx, list(by_key))}


def _wait_ends(wait: Wait) -> str:
    """When a wait is over, as SQL."""
    ends = [f"%({renewal.value})s" for renewal in wait.renewals]
    if wait.delay is not None:
        seconds = wait.delay.total_seconds()
        ends.append(f"coalesce(%(now)s, tvdb.clock()) - interval '{seconds:.0f} seconds'")
    return f"greatest({', '.join(ends)})"


_WAIT_ENDS = (
    "CASE error_code "
    + " ".join(f"WHEN '{code}' THEN {_wait_ends(wait)}" for code, wait in WAITS.items())
    + f" ELSE {_wait_ends(OTHER_WAIT)} END"
)

# As `lifecycle.due_reason`, of all documents at once.
_REASON = f"""CASE
    WHEN manually_requested_at IS NOT NULL THEN '{Reason.REQUESTED}'
    WHEN status = '{DocumentStatus.DEFERRED}' AND deferred_at < {_WAIT_ENDS}
        THEN '{Reason.DEFERRED}'
    WHEN is_changed THEN '{Reason.CHANGED}'
    WHEN status = '{DocumentStatus.REGISTERED}' THEN '{Reason.MISSING}'
    WHEN status = '{DocumentStatus.FAILED}' AND quarantine IS NULL
        AND coalesce(next_attempt_at <= tvdb.clock(), true) THEN '{Reason.FAILED}'
    WHEN status = '{DocumentStatus.PUBLISHED}' AND is_degraded AND %(is_healing)s
        THEN '{Reason.DEGRADED}'
    WHEN (status = '{DocumentStatus.PUBLISHED}' AND NOT is_degraded OR quarantine IS NOT NULL)
        AND pipeline_fingerprint <> ALL(%(pipeline_fingerprints)s) THEN '{Reason.STALE}'
    WHEN status = '{DocumentStatus.PUBLISHED}' AND partition_key = ANY(%(not_in_dagster)s)
        THEN '{Reason.NOT_IN_DAGSTER}'
END"""

# A file is processed with all of its members, so it is due for the first reason of all in it.
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
  AND (%(source)s::text IS NULL OR f.source = %(source)s)
  AND (f.run_requested_at IS NULL
    OR f.run_requested_at < tvdb.clock() - %(lasts)s::interval AND NOT %(is_planned)s)
ORDER BY CASE
    WHEN EXISTS (SELECT FROM tvdb.chunk_sets k WHERE k.document_id = f.document_id) THEN 0
    WHEN EXISTS (SELECT FROM tvdb.parsed_documents p WHERE p.document_id = f.document_id)
    THEN 1 ELSE 2 END, f.document_id
LIMIT %(limit)s
"""
