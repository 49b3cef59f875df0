"""What grows for ever unless it is cut back: logs, histories, and vectors that nobody needs.

What belongs here: deleting what is older than the settings say, in statements of bounded size.
What does not: documents that are to go (`deletion`), or when (`dagster.nightly_maintenance`).

Never cut back: `cost_ledger`, and of each asset and partition the newest event of each kind,
which is what Dagster knows a partition's state by.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.full_text import index_full_text

_ROWS_AT_ONCE = 20_000
_ANALYZED = ("documents", "chunks", "chunk_terms", "embeddings", "publications")


class Retention:
    """Cuts back the tables of one database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def cut_back(self, *, keep: timedelta, cache: timedelta) -> dict[str, int]:
        """Delete what is older; returns how many rows of each kind.

        Args:
            keep: for logs and histories.
            cache: for vectors whose text no document has any more.
        """
        with self._database.transaction() as tx:
            row = tx.execute("SELECT to_regclass('dagster.event_logs') IS NOT NULL").fetchone()
        statements = dict(_OURS) | (_DAGSTERS if row is not None and row[0] else {})
        return {
            kind: self._in_batches(statement, {"keep": keep, "cache": cache})
            for kind, statement in statements.items()
        }

    def runs_without_events(self, keep: timedelta, limit: int = 1_000) -> list[str]:
        """Runs of Dagster that ended so long ago that nothing is left of them but their row."""
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
        """Take the words out of new texts, and let the planner count anew."""
        while index_full_text(self._database):
            pass
        with self._database.session() as session:
            session.execute("SELECT gin_clean_pending_list('tvdb.chunk_terms_terms'::regclass)")
            for table in _ANALYZED:
                session.execute(f"VACUUM (ANALYZE) tvdb.{table}")

    def _in_batches(self, statement: str, values: Mapping[str, timedelta]) -> int:
        deleted = 0
        while True:
            with self._database.transaction() as tx:
                count = tx.execute(statement, {**values, "most": _ROWS_AT_ONCE}).rowcount
            deleted += count
            if count < _ROWS_AT_ONCE:
                return deleted


_OURS = {
    "vectors": """
        DELETE FROM tvdb.embeddings WHERE (space_id, text_sha256) IN (
            SELECT e.space_id, e.text_sha256 FROM tvdb.embeddings e
            WHERE NOT EXISTS (SELECT FROM tvdb.chunks c WHERE c.text_sha256 = e.text_sha256)
              AND tvdb.clock() - %(cache)s::interval > coalesce(
                (SELECT max(dropped_at) FROM tvdb.former_texts f
                 WHERE f.text_sha256 = e.text_sha256), e.created_at)
            LIMIT %(most)s)""",
    # They go when their documents heal, unless another document might have needed them and then
    # went itself. One that is to be published may still need them.
    "vectors of stand-ins": """
        DELETE FROM tvdb.embeddings WHERE (space_id, text_sha256) IN (
            SELECT e.space_id, e.text_sha256 FROM tvdb.embeddings e
            JOIN tvdb.vector_spaces s ON s.space_id = e.space_id AND s.is_fallback
            WHERE NOT EXISTS (SELECT FROM tvdb.chunks c
                LEFT JOIN tvdb.publications u USING (chunk_set_id)
                LEFT JOIN tvdb.indexes i USING (index_id)
                WHERE c.text_sha256 = e.text_sha256
                  AND (u.chunk_set_id IS NULL OR i.space_id = e.space_id))
            LIMIT %(most)s)""",
    "former texts": """
        DELETE FROM tvdb.former_texts WHERE (document_id, text_sha256) IN (
            SELECT f.document_id, f.text_sha256 FROM tvdb.former_texts f
            WHERE NOT EXISTS (SELECT FROM tvdb.embeddings e WHERE e.text_sha256 = f.text_sha256)
            LIMIT %(most)s)""",
    # How a document ended last is kept.
    "document events": """
        DELETE FROM tvdb.document_events WHERE event_id IN (
            SELECT event_id FROM tvdb.document_events e
            WHERE happened_at < tvdb.clock() - %(keep)s::interval
              AND EXISTS (SELECT FROM tvdb.document_events n
                WHERE n.document_id = e.document_id AND n.event_id > e.event_id)
            LIMIT %(most)s)""",
    "service events": """
        DELETE FROM tvdb.service_events WHERE event_id IN (
            SELECT event_id FROM tvdb.service_events
            WHERE happened_at < tvdb.clock() - %(keep)s::interval LIMIT %(most)s)""",
    "parse jobs": """
        DELETE FROM tvdb.parse_jobs WHERE (service, job_id) IN (
            SELECT service, job_id FROM tvdb.parse_jobs
            WHERE submitted_at < tvdb.clock() - %(keep)s::interval LIMIT %(most)s)""",
    "hours of the budget": """
        DELETE FROM tvdb.budget_windows WHERE (scope, period, starts_at) IN (
            SELECT scope, period, starts_at FROM tvdb.budget_windows WHERE period = 'hour'
              AND starts_at < tvdb.clock() - %(keep)s::interval LIMIT %(most)s)""",
}
_DAGSTERS = {
    "Dagster events": """
        DELETE FROM dagster.event_logs WHERE id IN (
            SELECT e.id FROM dagster.event_logs e
            WHERE e.timestamp < tvdb.clock() AT TIME ZONE 'UTC' - %(keep)s::interval
              AND NOT EXISTS (SELECT FROM dagster.runs r WHERE r.run_id = e.run_id
                AND r.status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED'))
              AND (e.asset_key IS NULL OR EXISTS (SELECT FROM dagster.event_logs n
                WHERE n.asset_key = e.asset_key AND n.dagster_event_type = e.dagster_event_type
                  AND n.partition IS NOT DISTINCT FROM e.partition AND n.id > e.id))
            LIMIT %(most)s)""",
}
