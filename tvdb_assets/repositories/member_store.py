"""Documents inside of documents: registered with their container, and gone with it.

What belongs here: statements on members as such. What does not: what is made of a member
(`documents`, `index`), which is the same as of any other document, or its name (`pipeline`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psycopg.rows import class_row

from tvdb_assets.core.member_paths import member_path
from tvdb_assets.models import Member, Stage
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import delete_documents
from tvdb_assets.repositories.due_documents import end_walk
from tvdb_assets.repositories.rows import ROW, DocumentFailure, DocumentRow, ReadSnapshot


class MemberStore:
    """Reads and writes of members, under one run's id."""

    def __init__(self, database: Database, run_id: str, pipeline_fingerprint: str = "") -> None:
        """Written rows carry ``run_id``; containers' rows ``pipeline_fingerprint`` too."""
        self._database = database
        self._run_id = run_id
        self.pipeline_fingerprint = pipeline_fingerprint

    def sync(self, container: DocumentRow, members: Sequence[Member]) -> list[DocumentRow]:
        """Register what is new in a container; returns the rows of ``members``, in order.

        Rows of members that are gone stay until `delete_vanished`, so that one that was renamed
        finds its text and vectors under its old name.
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
                tx.execute(
                    "UPDATE tvdb.documents d SET position = m.position"
                    " FROM unnest(%s::text[], %s::int[]) AS m(name, position)"
                    " WHERE d.container_id = %s AND d.member = m.name",
                    ([m.name for m in moved], [m.position for m in moved], container.document_id),
                )
        rows = {row.member: row for row in self.rows([container.document_id])}
        return [rows[m.name] for m in members]

    def rows(self, container_ids: Sequence[int]) -> list[DocumentRow]:
        """The registered members of these containers, in the order of their places there."""
        with self._database.transaction() as tx, tx.cursor(row_factory=class_row(DocumentRow)) as c:
            c.execute(
                f"SELECT {ROW} FROM tvdb.documents WHERE container_id = ANY(%s)"
                " ORDER BY container_id, position",
                (list(container_ids),),
            )
            return c.fetchall()

    def is_any_due(self, partition_key: str) -> bool:
        """Whether something inside of a file has not ended, or was asked for by itself."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT EXISTS (SELECT FROM tvdb.documents WHERE partition_key = %s"
                " AND container_id IS NOT NULL AND (manually_requested_at IS NOT NULL"
                "   OR is_degraded OR status IN ('registered', 'deferred')"
                "   OR status = 'failed' AND quarantine IS NULL))",
                (partition_key,),
            ).fetchone()
        return bool(row and row[0])

    def containers(self, document_ids: Sequence[int]) -> set[int]:
        """Those of ``document_ids`` that have members registered."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT DISTINCT container_id FROM tvdb.documents WHERE container_id = ANY(%s)",
                (list(document_ids),),
            ).fetchall()
        return {row[0] for row in rows}

    def delete_vanished(self, container_ids: Sequence[int], kept: Collection[int]) -> None:
        """Forget members of these containers that are not in ``kept`` (document ids)."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT document_id FROM tvdb.documents WHERE container_id = ANY(%s)"
                " AND document_id <> ALL(%s)",
                (list(container_ids), list(kept)),
            ).fetchall()
            if rows:
                delete_documents(tx, [row[0] for row in rows])

    def mark_members_failed(self, failures: Sequence[DocumentFailure], seen: ReadSnapshot) -> None:
        """Note of what is inside of containers that could not be opened why it was not made.

        What is published of it stays. None of it is due by itself any more: it is walked when
        its file is.
        """
        held = self.containers([failure.document_id for failure in failures])
        with self._database.transaction() as tx:
            for failure in failures:
                if failure.document_id in held:
                    inside = [row[0] for row in tx.execute(_INSIDE, (failure.document_id,))]
                    end_walk(tx, inside, seen)
                    tx.execute(
                        _SHUT,
                        {
                            "inside": inside,
                            "stage": failure.stage.value,
                            "code": failure.error.code,
                            "message": "What it is inside of failed: " + failure.error.message,
                            "remedy": failure.error.remedy,
                            "pipeline_fingerprint": self.pipeline_fingerprint,
                            "run": self._run_id,
                        },
                    )

    def settle(
        self, container_id: int, stage: Stage, seen: ReadSnapshot, *, has_text: bool
    ) -> None:
        """Note that a container and all of its members went well, up to ``stage``.

        Args:
            container_id: the container.
            stage: the last one that was walked.
            seen: by the walk.
            has_text: it is published by itself too, as a mail is. What has none is published
                when its members are, and whatever it published before it was a container goes.
        """
        with self._database.transaction() as tx:
            tx.execute(
                "UPDATE tvdb.documents d SET is_degraded = CASE WHEN %(text)s THEN d.is_degraded"
                "   ELSE false END OR EXISTS (SELECT FROM tvdb.documents m"
                "     WHERE m.container_id = d.document_id AND m.is_degraded)"
                " WHERE document_id = %(id)s",
                {"text": has_text, "id": container_id},
            )
            if has_text:
                return
            if stage is Stage.EMBEDDINGS:
                # Its publications and chunks go by themselves.
                tx.execute(
                    "DELETE FROM tvdb.parsed_documents WHERE document_id = %s", (container_id,)
                )
            end_walk(tx, [container_id], seen)
            tx.execute(
                "UPDATE tvdb.documents d SET status = CASE WHEN EXISTS (SELECT FROM"
                "     tvdb.documents m WHERE m.container_id = d.document_id"
                "     AND m.status <> 'published') THEN 'registered' ELSE 'published' END,"
                " failed_stage = NULL, error_code = NULL, error_message = NULL,"
                " error_remedy = NULL, disposition = NULL, deferred_at = NULL, attempts = 0,"
                " pipeline_fingerprint = coalesce(%s, pipeline_fingerprint), run_id = %s,"
                " updated_at = now()"
                " WHERE document_id = %s",
                (
                    self.pipeline_fingerprint if stage is Stage.EMBEDDINGS else None,
                    self._run_id,
                    container_id,
                ),
            )
            tx.execute(
                "INSERT INTO tvdb.document_events (document_id, run_id, outcome, stage)"
                " VALUES (%s, %s, %s, %s)",
                (container_id, self._run_id, _OUTCOMES.get(stage, "advanced"), stage.value),
            )


_OUTCOMES = {Stage.EMBEDDINGS: "published"}
_INSIDE = """
WITH RECURSIVE inside AS (
    SELECT document_id FROM tvdb.documents WHERE container_id = %s
    UNION SELECT d.document_id FROM tvdb.documents d JOIN inside i
        ON d.container_id = i.document_id
) SELECT document_id FROM inside
"""
# Its failure may pass with that of its file, so it is not terminal, and yet not due by itself.
_SHUT = """
WITH quiet AS (
    UPDATE tvdb.documents SET pipeline_fingerprint = %(pipeline_fingerprint)s
    WHERE document_id = ANY(%(inside)s) AND status = 'published'
)
UPDATE tvdb.documents SET quarantine = 'terminal', status = 'failed',
    failed_stage = %(stage)s, error_code = %(code)s, error_message = %(message)s,
    error_remedy = %(remedy)s, disposition = 'transient', deferred_at = NULL,
    pipeline_fingerprint = %(pipeline_fingerprint)s, run_id = %(run)s, updated_at = now()
WHERE document_id = ANY(%(inside)s) AND status <> 'published'
"""
