"""The input of the cost forecast: stored facts about files before they are ingested.

What belongs here: one query. What does not: the forecast (`ingestion.cost_forecast`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from tvdb_assets.repositories.database import Database


@dataclass(frozen=True, slots=True)
class ForecastInput:
    """A file that is going to be ingested, with its members."""

    source: str
    path: str
    size: int
    """Bytes."""
    is_known: bool
    """Whether its chunks from this pipeline are stored."""
    lacking_tokens: int
    """Tokens of its chunks without a vector; a text that several files have is counted once."""


def forecast_inputs(
    database: Database, partition_keys: Sequence[str], pipeline_fingerprint: str, space: str
) -> list[ForecastInput]:
    """The files of these partitions, in the order in which they are ingested.

    Args:
        database: the database of the documents.
        partition_keys: partition keys of registered documents.
        pipeline_fingerprint: fingerprint of the run's parser, chunker and vector space.
        space: label of the vector space.
    """
    with database.transaction() as tx, tx.cursor(row_factory=class_row(ForecastInput)) as cursor:
        cursor.execute(
            _FORECAST_INPUTS,
            {
                "keys": list(partition_keys),
                "pipeline_fingerprint": pipeline_fingerprint,
                "space": space,
            },
        )
        return cursor.fetchall()


# The next ingestion finds the chunks of this fingerprint, as long as the bytes are the same.
_FORECAST_INPUTS = """
WITH requested AS (
    SELECT * FROM tvdb.documents WHERE partition_key = ANY(%(keys)s)
), stored AS (
    SELECT DISTINCT ON (k.document_id) k.document_id, k.chunk_set_id
    FROM requested r JOIN tvdb.chunk_sets k USING (document_id)
    WHERE r.pipeline_fingerprint = %(pipeline_fingerprint)s AND NOT r.is_degraded
      AND position(' ' || k.fingerprint || ' ' IN r.pipeline_fingerprint) > 0
    ORDER BY k.document_id, k.chunk_set_id DESC
), lacking AS (
    SELECT DISTINCT ON (c.text_sha256) s.document_id, c.token_count
    FROM stored s JOIN tvdb.chunks c USING (chunk_set_id)
    WHERE NOT EXISTS (
        SELECT FROM tvdb.embeddings e JOIN tvdb.vector_spaces v USING (space_id)
        WHERE v.label = %(space)s AND e.text_sha256 = c.text_sha256
    )
    ORDER BY c.text_sha256, s.document_id
)
SELECT f.source, f.path, f.size, bool_or(s.document_id = f.document_id) IS TRUE AS is_known,
       coalesce(sum(l.tokens), 0)::bigint AS lacking_tokens
FROM requested f
LEFT JOIN requested d ON d.partition_key = f.partition_key
LEFT JOIN stored s ON s.document_id = d.document_id
LEFT JOIN (SELECT document_id, sum(token_count) AS tokens FROM lacking GROUP BY 1) l
       ON l.document_id = s.document_id
WHERE f.container_id IS NULL
GROUP BY f.document_id, f.source, f.path, f.size
ORDER BY f.document_id
"""
