"""The only module that writes the state of documents: it has every UPDATE of ``tvdb.documents``.

What belongs here: reading states, storing the states after events, and the history of outcomes.
What does not: how an event changes a state (`lifecycle`, pure), which event has happened (the
callers), new rows (`document_registry`, `member_store`), deletion (`deletion`), or which documents
are due (`due_documents`).

States are read, changed by the pure rules, and written back in batches of documents. A batch takes
three statements, whatever its size. Rows are locked in the order of their ids, as in every process
that locks several rows, so that no deadlock is possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvdb_assets.errors import Disposition
from tvdb_assets.lifecycle import (
    Deferred,
    DocumentLife,
    DocumentStatus,
    Event,
    Failed,
    Failure,
    FileVersion,
    Quarantine,
    WorkEnded,
)
from tvdb_assets.models import Member, Stage
from tvdb_assets.repositories.database import Connection

_BATCH = 1_000
"""Documents read and written by one statement."""


class DocumentLifecycle:
    """Reads and writes the states of documents within one transaction."""

    def __init__(self, tx: Connection) -> None:
        """Nothing is read yet; all changes are committed with ``tx``."""
        self._tx = tx

    def read(self, document_ids: Sequence[int]) -> dict[int, DocumentLife]:
        """The states of the documents that exist, by id; locks their rows, as `apply` does."""
        rows = self._tx.execute(_LOCK_AND_READ, (list(document_ids),)).fetchall()
        return {row[0]: _state_from_row(row[1:-1]) for row in rows}

    def apply(self, events: Mapping[int, Event]) -> dict[int, DocumentLife]:
        """Apply events to documents; returns the new states of those that exist, by id.

        The rows stay locked until the transaction ends.

        Args:
            events: one event for each document, by document id.
        """
        lives: dict[int, DocumentLife] = {}
        ordered = sorted(events)
        for start in range(0, len(ordered), _BATCH):
            ids = ordered[start : start + _BATCH]
            rows = self._tx.execute(_LOCK_AND_READ, (ids,)).fetchall()
            batch = {row[0]: _state_from_row(row[1:-1]) for row in rows}
            for document_id, *_, now in rows:
                event = events[document_id]
                lives[document_id] = event.apply(batch[document_id], now)
            self._store(batch, lives, events)
            self._record({i: events[i] for i in batch})
        return lives

    def apply_to(self, document_ids: Sequence[int], event: Event) -> dict[int, DocumentLife]:
        """Apply the same event to several documents; returns their new states, by id."""
        return self.apply(dict.fromkeys(document_ids, event))

    def request_runs(self, partition_keys: Sequence[str], requested_by: str) -> None:
        """Apply the event `RunRequested` to files by one statement; there may be a million."""
        self._tx.execute(
            "UPDATE tvdb.documents SET run_requested_at = tvdb.clock(), run_requested_by = %s"
            " WHERE partition_key = ANY(%s) AND container_id IS NULL",
            (requested_by, list(partition_keys)),
        )

    def release_run_requests(self, requested_by: str) -> int:
        """Apply the event `RequestReleased` to files by one statement; returns how many."""
        return self._tx.execute(
            "UPDATE tvdb.documents SET run_requested_at = NULL"
            " WHERE run_requested_by = %s AND run_requested_at IS NOT NULL",
            (requested_by,),
        ).rowcount

    def drop_fingerprints_of(self, index_id: int) -> None:
        """Apply the event `FingerprintDropped` to all documents of an index."""
        self._tx.execute(
            "UPDATE tvdb.documents d SET pipeline_fingerprint = ''"
            " FROM tvdb.indexes i JOIN tvdb.vector_spaces s USING (space_id)"
            " WHERE i.index_id = %s AND right(d.pipeline_fingerprint,"
            "   length(i.chunker || s.label) + 2) = ' ' || i.chunker || ' ' || s.label",
            (index_id,),
        )

    def rename_partitions(self, new_keys: Mapping[str, str]) -> None:
        """Change the partition keys of documents, and apply the event `FingerprintDropped`.

        The next ingest processes them for their new partitions, which costs nothing.

        Args:
            new_keys: new partition keys, by the old ones.
        """
        self._tx.cursor().executemany(
            "UPDATE tvdb.documents SET partition_key = %s, pipeline_fingerprint = ''"
            " WHERE partition_key = %s",
            [(new, old) for old, new in new_keys.items()],
        )

    def store_modification_times(self, times: Mapping[int, float | None]) -> None:
        """Record when files were modified.

        Args:
            times: seconds since 1970 by document id; None leaves what is stored.
        """
        self._tx.execute(
            "UPDATE tvdb.documents d SET modified_at = to_timestamp(n.modified)"
            " FROM unnest(%s::bigint[], %s::float8[]) AS n(id, modified)"
            " WHERE d.document_id = n.id AND n.modified IS NOT NULL",
            (list(times), list(times.values())),
        )

    def move_source(self, old: str, new: str) -> int:
        """Give all documents of a source to another one; returns the number of files.

        Where a document comes from says nothing of its life.
        """
        row = self._tx.execute(
            "WITH moved AS (UPDATE tvdb.documents SET source = %(new)s"
            "   WHERE source = %(old)s RETURNING container_id)"
            " SELECT count(*) FROM moved WHERE container_id IS NULL",
            {"old": old, "new": new},
        ).fetchone()
        return int(row[0]) if row is not None else 0

    def move_members(self, container_id: int, members: Sequence[Member]) -> None:
        """Store new positions of members in their container; their states do not change."""
        self._tx.execute(
            "UPDATE tvdb.documents d SET position = m.position"
            " FROM unnest(%s::text[], %s::int[]) AS m(name, position)"
            " WHERE d.container_id = %s AND d.member = m.name",
            ([m.name for m in members], [m.position for m in members], container_id),
        )

    def _store(
        self,
        before: Mapping[int, DocumentLife],
        after: Mapping[int, DocumentLife],
        events: Mapping[int, Event],
    ) -> None:
        rows = [
            (
                document_id,
                *_row_from_state(after[document_id]),
                isinstance(events[document_id], WorkEnded),
            )
            for document_id, life in before.items()
            if after[document_id] != life or isinstance(events[document_id], WorkEnded)
        ]
        if rows:
            self._tx.execute(_STORE, [list(column) for column in zip(*rows, strict=True)])

    def _record(self, events: Mapping[int, Event]) -> None:
        rows = []
        for document_id, event in events.items():
            if isinstance(event, WorkEnded) and (outcome := event.outcome) is not None:
                failure = event.failure if isinstance(event, Failed | Deferred) else None
                rows.append(
                    (document_id, event.run_id, outcome.value, event.stage.value)
                    + (failure.code if failure is not None else None,)
                    + (failure.message if failure is not None else None,)
                )
        if rows:
            self._tx.execute(_RECORD, [list(column) for column in zip(*rows, strict=True)])


_COLUMNS = {
    "size": "bigint",
    "etag": "text",
    "sha256": "bytea",
    "status": "text",
    "is_degraded": "bool",
    "is_changed": "bool",
    "failed_stage": "text",
    "error_code": "text",
    "error_message": "text",
    "error_remedy": "text",
    "disposition": "text",
    "attempts": "int",
    "quarantine": "text",
    "next_attempt_at": "timestamptz",
    "deferred_at": "timestamptz",
    "manually_requested_at": "timestamptz",
    "run_requested_at": "timestamptz",
    "gone_at": "timestamptz",
    "pipeline_fingerprint": "text",
    "run_id": "text",
}
"""Columns of a state, with types, in the order of `_state_from_row` and `_row_from_state`."""

_LOCK_AND_READ = (
    f"SELECT document_id, {', '.join(_COLUMNS)}, (SELECT tvdb.clock()) FROM tvdb.documents"
    " WHERE document_id = ANY(%s) ORDER BY document_id FOR NO KEY UPDATE"
)
_STORE = (
    "UPDATE tvdb.documents d SET "
    + ", ".join(f"{name} = n.{name}" for name in _COLUMNS)
    + ", updated_at = CASE WHEN n.has_ended THEN now() ELSE d.updated_at END FROM unnest("
    + ", ".join(f"%s::{kind}[]" for kind in ("bigint", *_COLUMNS.values(), "bool"))
    + f") AS n(document_id, {', '.join(_COLUMNS)}, has_ended)"
    " WHERE d.document_id = n.document_id"
)
_RECORD = (
    "INSERT INTO tvdb.document_events (document_id, run_id, outcome, stage, code, message)"
    " SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[],"
    " %s::text[])"
)


def _state_from_row(row: Sequence[Any]) -> DocumentLife:
    size, etag, sha256, status, is_degraded, is_changed = row[:6]
    stage, code, message, remedy, disposition = row[6:11]
    failure = None
    if code is not None:
        failure = Failure(Stage(stage), code, message or "", remedy or "", Disposition(disposition))
    attempts, quarantine = row[11:13]
    return DocumentLife(
        FileVersion(size, etag, sha256),
        DocumentStatus(status),
        is_degraded,
        is_changed,
        failure,
        attempts,
        Quarantine(quarantine) if quarantine is not None else None,
        # The times, the fingerprint and the run, in the order of the fields.
        *row[13:],
    )


def _row_from_state(life: DocumentLife) -> tuple[Any, ...]:
    version, failure, quarantine = life.version, life.failure, life.quarantine
    error: tuple[str | None, ...] = (None,) * 5
    if failure is not None:
        error = (failure.stage.value, failure.code, failure.message, failure.remedy)
        error += (failure.disposition.value,)
    return (
        *(version.size, version.etag, version.sha256, life.status.value),
        *(life.is_degraded, life.is_changed, *error, life.attempts),
        quarantine.value if quarantine is not None else None,
        *(life.next_attempt_at, life.deferred_at),
        *(life.manually_requested_at, life.run_requested_at, life.gone_at),
        *(life.pipeline_fingerprint, life.run_id),
    )
