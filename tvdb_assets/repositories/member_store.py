"""Members of containers, which are registered and deleted with their container.

What belongs here: statements on members only. What does not: texts, chunks and vectors of a
member, which are stored like those of any other document (`document_store`, `index_store`), or its
path (`core.member_paths`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from psycopg.rows import kwargs_row

from tvdb_assets.core.member_paths import member_path
from tvdb_assets.errors import Disposition
from tvdb_assets.lifecycle.events import ContainerEnded, ContainerStopped, Event, MembersEnded
from tvdb_assets.lifecycle.states import DocumentStatus
from tvdb_assets.models import Member, Stage
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import delete_documents
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.rows import (
    ROW,
    DocumentFailure,
    DocumentRow,
    ReadSnapshot,
    document_row,
)


class MemberStore:
    """Reads and writes the members of containers in one ingestion run."""

    def __init__(self, database: Database, run_id: str, pipeline_fingerprint: str = "") -> None:
        """Store a database and a run; nothing is read yet.

        Args:
            database: the database.
            run_id: id that all written rows get.
            pipeline_fingerprint: fingerprint that rows of containers get.
        """
        self._database = database
        self._run_id = run_id
        self.pipeline_fingerprint = pipeline_fingerprint

    def sync(self, container: DocumentRow, members: Sequence[Member]) -> list[DocumentRow]:
        """Register the new members of a container; returns the rows of ``members``, in order.

        Rows of removed members are kept until `delete_vanished`, so that the text and vectors of a
        renamed member are found under its old name.
        """
        with self._database.transaction() as tx:
            known = dict(
                tx.execute(
                    "SELECT member, position FROM tvdb.documents WHERE container_id = %s",
                    (container.document_id,),
                ).fetchall()
            )
            with tx.cursor().copy(
                "COPY tvdb.documents (partition_key, source, path, size, etag, run_id,"
                " container_id, member, position) FROM STDIN"
            ) as copy:
                for m in members:
                    if m.name not in known:
                        copy.write_row(
                            (container.partition_key, container.source)
                            + (member_path(container.path, m.name), m.size, "", self._run_id)
                            + (container.document_id, m.name, m.position)
                        )
            moved = [m for m in members if known.get(m.name, m.position) != m.position]
            if moved:
                DocumentLifecycle(tx).move_members(container.document_id, moved)
        rows = {row.member: row for row in self.rows([container.document_id])}
        return [rows[m.name] for m in members]

    def rows(self, container_ids: Sequence[int]) -> list[DocumentRow]:
        """The registered members of these containers, in the order of their positions."""
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=kwargs_row(document_row)) as c,
        ):
            c.execute(
                f"SELECT {ROW} FROM tvdb.documents WHERE container_id = ANY(%s)"
                " ORDER BY container_id, position",
                (list(container_ids),),
            )
            return c.fetchall()

    def is_any_due(self, partition_key: str) -> bool:
        """Whether a member of a file needs work, or was requested without its file."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT EXISTS (SELECT FROM tvdb.documents WHERE partition_key = %s"
                " AND container_id IS NOT NULL AND (manually_requested_at IS NOT NULL"
                "   OR is_degraded OR status = ANY(%s) OR status = %s AND quarantine IS NULL))",
                (
                    partition_key,
                    [DocumentStatus.REGISTERED.value, DocumentStatus.DEFERRED.value],
                    DocumentStatus.FAILED.value,
                ),
            ).fetchone()
        return bool(row and row[0])

    def containers(self, document_ids: Sequence[int]) -> set[int]:
        """The ids of the documents that have registered members."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT DISTINCT container_id FROM tvdb.documents WHERE container_id = ANY(%s)",
                (list(document_ids),),
            ).fetchall()
        return {row[0] for row in rows}

    def delete_vanished(self, container_ids: Sequence[int], kept: Collection[int]) -> None:
        """Delete members of these containers that are not in ``kept`` (document ids)."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT document_id FROM tvdb.documents WHERE container_id = ANY(%s)"
                " AND document_id <> ALL(%s)",
                (list(container_ids), list(kept)),
            ).fetchall()
            if rows:
                delete_documents(tx, [row[0] for row in rows], keeps_results=True)

    def record_stopped_containers(
        self, failures: Sequence[DocumentFailure], snapshot: ReadSnapshot
    ) -> None:
        """Record why the members of containers that could not be opened were not processed.

        Their published versions stay. They are not due, because they are processed with their file.
        """
        containers = self.containers([failure.document_id for failure in failures])
        with self._database.transaction() as tx:
            events: dict[int, Event] = {}
            for failure in failures:
                if failure.document_id in containers:
                    stopped = self._container_stopped(failure, snapshot)
                    rows = tx.execute(_MEMBERS_OF_ALL_LEVELS, (failure.document_id,))
                    events.update(dict.fromkeys((row[0] for row in rows), stopped))
            DocumentLifecycle(tx).apply(events)

    def _container_stopped(
        self, failure: DocumentFailure, snapshot: ReadSnapshot
    ) -> ContainerStopped:
        found = failure.as_stored
        verb = "waits" if failure.error.is_deferred else "failed"
        return ContainerStopped(
            run_id=self._run_id,
            stage=failure.stage,
            began_at=snapshot.began_at,
            failure=replace(
                found,
                message=f"Its container {verb}: {found.message}",
                # The member can be processed as soon as its container can be opened.
                disposition=Disposition.DEFERRED
                if failure.error.is_deferred
                else Disposition.TRANSIENT,
            ),
            pipeline_fingerprint=self.pipeline_fingerprint,
        )

    def record_processed_container(
        self, container_id: int, stage: Stage, snapshot: ReadSnapshot, *, has_text: bool
    ) -> None:
        """Record that a container and all its members were processed successfully up to ``stage``.

        Args:
            container_id: document id of the container.
            stage: the last stage of the run.
            snapshot: the versions that the run has read.
            has_text: whether it has a text, as an email has. A container without text is published
                when its members are, and its text from before it was a container is deleted.
        """
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT coalesce(bool_or(is_degraded), false),"
                " coalesce(bool_and(status = %s), true)"
                " FROM tvdb.documents WHERE container_id = %s",
                (DocumentStatus.PUBLISHED.value, container_id),
            ).fetchone()
            assert row is not None
            is_degraded, is_published = row
            is_last = stage is Stage.EMBEDDINGS
            if not has_text and is_last:
                # Its publications and chunks are deleted by foreign keys.
                tx.execute(
                    "DELETE FROM tvdb.parsed_documents WHERE document_id = %s", (container_id,)
                )
            ended: Event = MembersEnded(is_degraded=is_degraded)
            if not has_text:
                ended = ContainerEnded(
                    run_id=self._run_id,
                    stage=stage,
                    began_at=snapshot.began_at,
                    read=snapshot.version(container_id),
                    is_published=is_published,
                    is_degraded=is_degraded,
                    pipeline_fingerprint=self.pipeline_fingerprint if is_last else None,
                )
            DocumentLifecycle(tx).apply({container_id: ended})


_MEMBERS_OF_ALL_LEVELS = """
WITH RECURSIVE members AS (
    SELECT document_id FROM tvdb.documents WHERE container_id = %s
    UNION SELECT d.document_id FROM tvdb.documents d JOIN members i
        ON d.container_id = i.document_id
) SELECT document_id FROM members
"""
