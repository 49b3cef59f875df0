"""Indexes over vectors: when one is built, and how.

What belongs here: building and replacing the HNSW index of a vector space. What does not: searching
it (`retrieval.candidates`).

Inserting into an HNSW index takes 2 to 8 ms a vector, so an index ends at a vector and never grows
while documents are ingested. Newer vectors are compared exactly. When they are many, a new index is
built beside the old one, which then is dropped; searches and ingestions go on meanwhile.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil
import psycopg

from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database

MIN_VECTORS = 20_000
"""Vectors of a space up to which exact search is fast enough: 20 to 30 ms with 256 dimensions."""
_REBUILT_SHARE = 0.2
"""Share of newer vectors from which an index is built again."""
_MOST_DIMENSIONS = 4_000
"""Of an index over `halfvec`, by pgvector."""
_M, _EF_CONSTRUCTION = 16, 64
"""The defaults of pgvector."""
_MOST_MEMORY = 8 << 30
_FREE_PROCESSORS = 2
"""Of this machine, that a build leaves to searches and to itself; more than that help to build."""
_MOST_WORKERS = 2
"""The default of Postgres."""


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """The HNSW index of a vector space."""

    name: str
    last_vector: int
    """The highest ``vector_id`` that it contains."""


def build_vector_indexes(database: Database, *, is_forced: bool = False) -> int:
    """Build the index of each searchable vector space that needs a new one; returns how many.

    Args:
        database: contains the vectors.
        is_forced: build also where there are few newer vectors.
    """
    built = 0
    try:
        with database.session() as session:
            key = locks.VECTOR_INDEX.key()
            if not locks.try_acquire(session, key):
                return 0
            try:
                _drop_unfinished(session)
                spaces = session.execute(
                    "SELECT DISTINCT s.space_id, s.dimensions FROM tvdb.vector_spaces s"
                    " JOIN tvdb.indexes USING (space_id) WHERE NOT (is_mock OR is_fallback)"
                ).fetchall()
                for space_id, dimensions in spaces:
                    if dimensions <= _MOST_DIMENSIONS:
                        built += _build(session, space_id, dimensions, is_forced=is_forced)
            finally:
                locks.release(session, [key])
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return 0  # a user with read-only access
    return built


def _build(session: Connection, space_id: int, dimensions: int, *, is_forced: bool) -> bool:
    row = session.execute(
        "SELECT name, last_vector, vector_count FROM tvdb.vector_indexes WHERE space_id = %s",
        (space_id,),
    ).fetchone()
    old_name, old_last, old_count = row or (None, 0, 0)
    counted = session.execute(
        "SELECT count(*), max(vector_id) FROM tvdb.embeddings"
        " WHERE space_id = %s AND vector_id > %s",
        (space_id, old_last),
    ).fetchone()
    assert counted is not None
    newer, last = counted
    least = 1 if is_forced else max(MIN_VECTORS, int(old_count * _REBUILT_SHARE))
    if newer < least:
        return False
    name = f"embeddings_hnsw_{space_id}_{last}"
    memory = build_memory(old_count + newer, dimensions)
    session.execute(f"SET maintenance_work_mem = '{memory >> 10}kB'")
    # With as many workers as processors, searches would take several times as long meanwhile.
    workers = min(_MOST_WORKERS, max(0, (os.cpu_count() or 1) - _FREE_PROCESSORS))
    session.execute(f"SET max_parallel_maintenance_workers = {workers}")
    # Of numbers and names that this module made.
    statement = (
        f"CREATE INDEX CONCURRENTLY {name} ON tvdb.embeddings"
        f" USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops)"
        f" WITH (m = {_M}, ef_construction = {_EF_CONSTRUCTION})"
        f" WHERE space_id = {space_id} AND vector_id <= {last}"
    )
    try:
        session.execute(statement)
    except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory):
        # The shared memory of a container may be too small for parallel workers.
        _drop_unfinished(session)
        session.execute("SET max_parallel_maintenance_workers = 0")
        session.execute(statement)
    finally:
        session.execute("RESET maintenance_work_mem")
        session.execute("RESET max_parallel_maintenance_workers")
    session.execute(
        "INSERT INTO tvdb.vector_indexes AS i (space_id, name, last_vector, vector_count)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (space_id) DO UPDATE SET name = excluded.name,"
        " last_vector = excluded.last_vector, vector_count = excluded.vector_count,"
        " built_at = excluded.built_at",
        (space_id, name, last, old_count + newer),
    )
    if old_name is not None:
        session.execute(f"DROP INDEX CONCURRENTLY IF EXISTS tvdb.{old_name}")
    return True


def build_memory(vectors: int, dimensions: int) -> int:
    """The bytes that a build may use, so that all of the index fits unless the machine is small.

    When the memory is full, pgvector inserts the other vectors on disk, five times as slowly. It
    takes 1,227 bytes for a vector of 256 dimensions, measured with pgvector 0.8.
    """
    size = vectors * (2 * dimensions + 48 * _M) * 11 // 10
    return min(_MOST_MEMORY, psutil.virtual_memory().total // 4, max(64 << 20, size))


def _drop_unfinished(session: Connection) -> None:
    """Drop indexes whose build or replacement was interrupted, or whose space is gone."""
    rows = session.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid"
        " WHERE c.relnamespace = 'tvdb'::regnamespace AND c.relname LIKE 'embeddings\\_hnsw\\_%%'"
        " AND (NOT x.indisvalid OR c.relname NOT IN (SELECT name FROM tvdb.vector_indexes))"
    ).fetchall()
    for (name,) in rows:
        session.execute(f"DROP INDEX CONCURRENTLY IF EXISTS tvdb.{name}")
