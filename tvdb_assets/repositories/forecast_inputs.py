"""What is known of files before they are walked: enough to say what they may cost.

What belongs here: the one query. What does not: the estimate (`ingestion.cost_forecast`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from tvdb_assets.repositories.database import Database


@dataclass(frozen=True, slots=True)
class ForecastInput:
    """A file that is to be walked, with what is inside of it."""

    source: str
    path: str
    size: int
    """Bytes."""
    is_known: bool
    """It has been through this pipeline_fingerprint's parser and chunker."""
    lacking_tokens: int
    """Tokens of its chunks whose texts have no vector yet, each text once over all files."""


def pending(
    database: Database, partition_keys: Sequence[str], pipeline_fingerprint: str, space: str
) -> list[ForecastInput]:
    """The files of these partitions, in the order in which a walk takes them.

    Args:
        database: to look into.
        partition_keys: of registered documents.
        pipeline_fingerprint: parser, chunker and vector space that they are to be made by.
        space: label of the vector space alone.
    """
    with database.transaction() as tx, tx.cursor(row_factory=class_row(ForecastInput)) as cursor:
        cursor.execute(
            _PENDING,
            {
                "keys": list(partition_keys),
                "pipeline_fingerprint": pipeline_fingerprint,
                "space": space,
            },
        )
        return cursor.fetchall()


# The next ingestion finds the chunks of this fingerprint, as long as the bytes are the same.
_PENDING = """
WITH wanted AS (
    SELECT * FROM tvdb.documents WHERE partition_key = ANY(%(keys)s)
), made AS (
    SELECT DISTINCT ON (k.document_id) k.document_id, k.chunk_set_id
    FROM wanted w JOIN tvdb.chunk_sets k USING (document_id)
    WHERE w.pipeline_fingerprint = %(pipeline_fingerprint)s AND NOT w.is_degraded
      AND position(' ' || k.fingerprint || ' ' IN w.pipeline_fingerprint) > 0
    ORDER BY k.document_id, k.chunk_set_id DESC
), lacking AS (
    SELECT DISTINCT ON (c.text_sha256) m.document_id, c.token_count
    FROM made m JOIN tvdb.chunks c USING (chunk_set_id)
    WHERE NOT EXISTS (
        SELECT FROM tvdb.embeddings e JOIN tvdb.vector_spaces s USING (space_id)
        WHERE s.label = %(space)s AND e.text_sha256 = c.text_sha256
    )
    ORDER BY c.text_sha256, m.document_id
)
SELECT w.source, w.path, w.size, bool_or(m.document_id = w.document_id) IS TRUE AS is_known,
       coalesce(sum(l.tokens), 0)::bigint AS lacking_tokens
FROM wanted w
LEFT JOIN wanted inside ON inside.partition_key = w.partition_key
LEFT JOIN made m ON m.document_id = inside.document_id
LEFT JOIN (SELECT document_id, sum(token_count) AS tokens FROM lacking GROUP BY 1) l
       ON l.document_id = m.document_id
WHERE w.container_id IS NULL
GROUP BY w.document_id, w.source, w.path, w.size
ORDER BY w.document_id
"""
