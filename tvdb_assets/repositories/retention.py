"""Retention: deletes old logs, old history and unused vectors.

What belongs here: deleting rows that are older than the settings allow, in statements of bounded
size. What does not: deleting documents (`deletion`), or the schedule
(`dagster.nightly_maintenance`).

Never deleted: `cost_ledger`, and for each asset and partition the newest event of each type, from
which Dagster computes the state of a partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.vector_index import build_vector_indexes
from tvdb_assets.repositories.word_segments import compact, fill_words

_BATCH_ROWS = 20_000
_ANALYZED = (
    "documents",
    "chunk_sets",
    "chunks",
    "embeddings",
    "publications",
    "word_segments",
    "word_postings",
    "word_sets",
    "word_live",
    "word_changes",
)


class Retention:
    """Deletes old rows of one database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def delete_old_rows(self, *, keep: timedelta, cache: timedelta) -> dict[str, int]:
        """Delete rows that are older than the given times; returns the number of rows by kind.

        Args:
            keep: for logs and history.
            cache: for vectors and parsed texts that are no longer of any document.
        """
        with self._database.transaction() as tx:
            row = tx.execute("SELECT to_regclass('dagster.event_logs') IS NOT NULL").fetchone()
        statements = dict(_OWN_TABLES) | (_DAGSTER_TABLES if row is not None and row[0] else {})
        return {
            kind: self._in_batches(statement, {"keep": keep, "cache": cache})
            for kind, statement in statements.items()
        }

    def runs_without_events(self, keep: timedelta, limit: int = 1_000) -> list[str]:
        """Ids of finished Dagster runs that no longer have any asset event."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT run_id FROM dagster.runs r"
                " WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED')"
                " AND update_timestamp < tvdb.clock() AT TIME ZONE 'UTC' - %s::interval"
                " AND NOT EXISTS (SELECT FROM dagster.event_logs e WHERE e.run_id = r.run_id"
                "   AND e.asset_key IS NOT NULL) ORDER BY id LIMIT %s",
                (keep, limit),
            ).fetchall()
        return [row[0] for row in rows]

    def refresh(self) -> None:
        """Complete the index that search reads, and update the planner's statistics."""
        while fill_words(self._database):
            pass
        compact(self._database)
        build_vector_indexes(self._database)
        with self._database.session() as session:
            for table in _ANALYZED:
                session.execute(f"VACUUM (ANALYZE) tvdb.{table}")

    def _in_batches(self, statement: str, values: Mapping[str, timedelta]) -> int:
        deleted = 0
        while True:
            with self._database.transaction() as tx:
                count = tx.execute(statement, {**values, "limit": _BATCH_ROWS}).rowcount
            deleted += count
            if count < _BATCH_ROWS:
                return deleted


_OWN_TABLES = {
    "vectors": """
        DELETE FROM tvdb.embeddings WHERE (space_id, text_sha256) IN (
            SELECT e.space_id, e.text_sha256 FROM tvdb.embeddings e
            WHERE NOT EXISTS (SELECT FROM tvdb.chunks c WHERE c.text_sha256 = e.text_sha256)
              AND tvdb.clock() - %(cache)s::interval > coalesce(greatest(
                (SELECT max(dropped_at) FROM tvdb.former_texts f
                 WHERE f.text_sha256 = e.text_sha256),
                (SELECT dropped_at FROM tvdb.unused_texts u
                 WHERE u.text_sha256 = e.text_sha256)), e.created_at)
            LIMIT %(limit)s)""",
    # They are deleted when the paid service has embedded their documents. This deletes those that
    # were left because another document, which was then deleted, might have needed them. A
    # document that is not published yet may still need them.
    "fallback vectors": """
        DELETE FROM tvdb.embeddings WHERE (space_id, text_sha256) IN (
            SELECT e.space_id, e.text_sha256 FROM tvdb.embeddings e
            JOIN tvdb.vector_spaces s ON s.space_id = e.space_id AND s.is_fallback
            WHERE NOT EXISTS (SELECT FROM tvdb.chunks c
                LEFT JOIN tvdb.publications u USING (chunk_set_id)
                LEFT JOIN tvdb.indexes i USING (index_id)
                WHERE c.text_sha256 = e.text_sha256
                  AND (u.chunk_set_id IS NULL OR i.space_id = e.space_id))
            LIMIT %(limit)s)""",
    "vectors of questions": """
        DELETE FROM tvdb.question_vectors WHERE (space_id, question_sha256) IN (
            SELECT space_id, question_sha256 FROM tvdb.question_vectors
            WHERE created_at < tvdb.clock() - %(cache)s::interval LIMIT %(limit)s)""",
    "texts without a vector": """
        DELETE FROM tvdb.texts_without_vector WHERE (space_id, text_sha256) IN (
            SELECT w.space_id, w.text_sha256 FROM tvdb.texts_without_vector w
            WHERE w.answered_at < tvdb.clock() - %(cache)s::interval
              AND NOT EXISTS (SELECT FROM tvdb.chunks c WHERE c.text_sha256 = w.text_sha256)
            LIMIT %(limit)s)""",
    "former texts": """
        DELETE FROM tvdb.former_texts WHERE (document_id, text_sha256) IN (
            SELECT f.document_id, f.text_sha256 FROM tvdb.former_texts f
            WHERE NOT EXISTS (SELECT FROM tvdb.embeddings e WHERE e.text_sha256 = f.text_sha256)
            LIMIT %(limit)s)""",
    "unused texts": """
        DELETE FROM tvdb.unused_texts WHERE text_sha256 IN (
            SELECT u.text_sha256 FROM tvdb.unused_texts u
            WHERE NOT EXISTS (SELECT FROM tvdb.embeddings e WHERE e.text_sha256 = u.text_sha256)
            LIMIT %(limit)s)""",
    "unused parses": """
        DELETE FROM tvdb.unused_parses WHERE (content_sha256, fingerprint, suffix) IN (
            SELECT content_sha256, fingerprint, suffix FROM tvdb.unused_parses
            WHERE dropped_at < tvdb.clock() - %(cache)s::interval LIMIT %(limit)s)""",
    # The last event of each document is not deleted.
    "document events": """
        DELETE FROM tvdb.document_events WHERE event_id IN (
            SELECT event_id FROM tvdb.document_events e
            WHERE happened_at < tvdb.clock() - %(keep)s::interval
              AND EXISTS (SELECT FROM tvdb.document_events n
                WHERE n.document_id = e.document_id AND n.event_id > e.event_id)
            LIMIT %(limit)s)""",
    "service events": """
        DELETE FROM tvdb.service_events WHERE event_id IN (
            SELECT event_id FROM tvdb.service_events
            WHERE happened_at < tvdb.clock() - %(keep)s::interval LIMIT %(limit)s)""",
    "parse jobs": """
        DELETE FROM tvdb.parse_jobs WHERE (service, job_id) IN (
            SELECT service, job_id FROM tvdb.parse_jobs j
            WHERE submitted_at < tvdb.clock() - %(keep)s::interval
              AND (error_code IS NULL OR NOT EXISTS (SELECT FROM tvdb.documents d
                WHERE d.sha256 = j.content_sha256)) LIMIT %(limit)s)""",
    "parse submissions": """
        DELETE FROM tvdb.parse_submissions WHERE entry_id IN (
            SELECT entry_id FROM tvdb.parse_submissions
            WHERE submitted_at < tvdb.clock() - %(keep)s::interval LIMIT %(limit)s)""",
    "batch jobs": """
        DELETE FROM tvdb.embedding_batches WHERE job_id IN (
            SELECT job_id FROM tvdb.embedding_batches WHERE state = 'done'
              AND ended_at < tvdb.clock() - %(keep)s::interval LIMIT %(limit)s)""",
    "texts returned by batch jobs": """
        DELETE FROM tvdb.embedding_batch_returns WHERE (space_id, text_sha256) IN (
            SELECT space_id, text_sha256 FROM tvdb.embedding_batch_returns
            WHERE returned_at < tvdb.clock() - %(keep)s::interval LIMIT %(limit)s)""",
    "hourly budget windows": """
        DELETE FROM tvdb.budget_windows WHERE (scope, period, starts_at) IN (
            SELECT scope, period, starts_at FROM tvdb.budget_windows WHERE period = 'hour'
              AND starts_at < tvdb.clock() - %(keep)s::interval LIMIT %(limit)s)""",
}
_DAGSTER_TABLES = {
    "Dagster events": """
        DELETE FROM dagster.event_logs WHERE id IN (
            SELECT e.id FROM dagster.event_logs e
            WHERE e.timestamp < tvdb.clock() AT TIME ZONE 'UTC' - %(keep)s::interval
              AND NOT EXISTS (SELECT FROM dagster.runs r WHERE r.run_id = e.run_id
                AND r.status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED'))
              AND (e.asset_key IS NULL OR EXISTS (SELECT FROM dagster.event_logs n
                WHERE n.asset_key = e.asset_key AND n.dagster_event_type = e.dagster_event_type
                  AND n.partition IS NOT DISTINCT FROM e.partition AND n.id > e.id))
            LIMIT %(limit)s)""",
}
