"""The indexes of a database: their states, the current one, and deletion.

What belongs here: statements on indexes. What does not: their vectors and publications
(`index_store`), or searching one (`retrieval`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import LiteralString

from psycopg.rows import class_row, dict_row

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import VectorSpace
from tvdb_assets.redaction import display_path
from tvdb_assets.repositories import text_claims
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.unused_parses import keep_parses_sql
from tvdb_assets.repositories.vector_index import build_vector_indexes


@dataclass(frozen=True, slots=True)
class CurrentIndex:
    """The index that search reads, with its chunker and vector space."""

    index_id: int
    space_id: int
    space: VectorSpace
    chunker: str
    """Fingerprint."""
    chunk_tokens: int | None
    chunk_overlap_tokens: int | None
    """Both sizes are in tokens, and None if the fingerprint does not contain them."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """The progress and cost of one index."""

    index_id: int
    vector_space: str
    chunk_tokens: int | None
    chunk_overlap_tokens: int | None
    is_current: bool
    is_searchable: bool
    """False for vectors of a mock or of the fallback, which search never reads."""
    documents: int
    """Documents that are published in it."""
    missing: int
    """Searchable documents whose newest version is not published in it."""
    chunks: int
    cost_usd: Decimal
    """US dollars paid so far for the model of its vectors."""
    created_at: datetime
    switched_at: datetime | None
    """When search last switched to it; None for never."""

    @property
    def is_complete(self) -> bool:
        """Whether a switch to it would lose no document."""
        return self.is_searchable and not self.missing and (self.documents > 0 or self.is_current)

    @property
    def is_waiting(self) -> bool:
        """Whether search has never read it."""
        return self.is_searchable and self.switched_at is None

    @property
    def name(self) -> str:
        """The name in messages: ``2 (512/64 tokens, wordllama/l2_supercat_256@256#0.4)``."""
        size = f"{self.chunk_tokens}/{self.chunk_overlap_tokens} tokens, "
        return f"{self.index_id} ({size if self.chunk_tokens else ''}{self.vector_space})"


class IndexCatalog:
    """The indexes of a database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def current(self) -> CurrentIndex | None:
        """The index that search reads; None before the first document is published."""
        return self._find("is_current", None)

    def required(self) -> CurrentIndex:
        """The index that search reads.

        Raises:
            ConfigurationError: nothing is indexed yet.
        """
        index = self.current()
        if index is None:
            raise codes.NO_INDEX.error()
        return index

    def get(self, index_id: int) -> CurrentIndex:
        """The index with a number, whether search reads it or not.

        Raises:
            ConfigurationError: there is no such index.
        """
        index = self._find("index_id = %s", index_id)
        if index is None:
            raise codes.INDEX_UNKNOWN.error(index=index_id)
        return index

    def _find(self, condition: LiteralString, index_id: int | None) -> CurrentIndex | None:
        # A single statement without a transaction, as each question to search waits for it.
        with self._database.session() as session, session.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(
                "SELECT index_id, space_id, provider, model, dimensions, version, chunker,"
                " chunk_tokens, chunk_overlap_tokens"
                " FROM tvdb.indexes JOIN tvdb.vector_spaces USING (space_id) WHERE " + condition,
                None if index_id is None else (index_id,),
            ).fetchone()
        if row is None:
            return None
        parts = ("provider", "model", "dimensions", "version")
        space = VectorSpace(**{part: row.pop(part) for part in parts})
        return CurrentIndex(space=space, **row)

    def states(self) -> list[IndexState]:
        """All indexes: the one that search reads, then the others, the newest first."""
        with self._database.transaction() as tx:
            return _states(tx)

    def count_stale_documents(self) -> int:
        """The number of documents whose newest version search does not return.

        Their newest version is published in another searchable index, and could not be published
        in the one that search reads.
        """
        with self._database.transaction() as tx:
            row = tx.execute(_COUNT_STALE).fetchone()
        return int(row[0]) if row else 0

    def target(self, index_id: int | None = None) -> IndexState:
        """The index that `switch` with this argument would choose.

        Raises:
            ConfigurationError: there is no such index.
        """
        states = self.states()
        return _default_target(states) if index_id is None else _state_of(states, index_id)

    def switch(self, index_id: int | None = None, *, force: bool = False) -> IndexState:
        """Switch search to another index, in one transaction; returns it.

        Args:
            index_id: the index; None is the newest complete one that search has never read. If
                there is none, search continues to read the current one.
            force: switch even if it lacks documents that are searchable now.

        Raises:
            ConfigurationError: there is no such index, or it may not be searched, or it is
                not complete.
        """
        # Beside its documents' other index, so that no search waits for it after the switch.
        build_vector_indexes(self._database)
        with self._database.transaction() as tx:
            # A publication locks its index too, so that a complete index stays complete.
            tx.execute("SELECT FROM tvdb.indexes ORDER BY index_id FOR UPDATE")
            states = _states(tx)
            index = _default_target(states) if index_id is None else _state_of(states, index_id)
            if index.is_current:
                return index
            if not index.is_searchable:
                raise codes.INDEX_NOT_SEARCHABLE.error(index=index.name)
            if not (index.is_complete or force):
                raise _incomplete(tx, index)
            tx.execute("UPDATE tvdb.indexes SET is_current = false WHERE is_current")
            tx.execute(
                "UPDATE tvdb.indexes SET is_current = true, switched_at = now()"
                " WHERE index_id = %s",
                (index.index_id,),
            )
            return _state_of(_states(tx), index.index_id)

    def switch_if_complete(self, index_id: int) -> bool:
        """Switch search to this index if it is complete; returns whether search reads it."""
        index = _state_of(self.states(), index_id)
        if index.is_complete and not index.is_current:
            try:
                return self.switch(index_id).is_current
            except ConfigurationError:
                return False  # another run has published a document in the meantime
        return index.is_current

    def drop(self, index_id: int) -> IndexState:
        """Delete an index, with the chunks and vectors that no other index needs; returns it.

        Raises:
            ConfigurationError: there is no such index, search reads it, or a run is paying for its
                vectors.
        """
        with self._database.transaction() as tx:
            tx.execute("SELECT FROM tvdb.indexes ORDER BY index_id FOR UPDATE")
            index = _state_of(_states(tx), index_id)
            if index.is_current:
                raise codes.INDEX_IN_USE.error(index=index.name)
            # Waits for claims that are being written; those after it wait for this transaction.
            tx.execute(
                "SELECT FROM tvdb.vector_spaces JOIN tvdb.indexes USING (space_id)"
                " WHERE index_id = %s FOR UPDATE OF vector_spaces",
                (index_id,),
            )
            if text_claims.is_any_valid(tx, index_id):
                raise codes.INDEX_IS_BUILT.error(index=index.name)
            # Otherwise the next ingest would treat its documents as unchanged.
            DocumentLifecycle(tx).drop_fingerprints_of(index.index_id)
            for statement in _DROP_STATEMENTS:
                tx.execute(statement, {"index": index_id})
        return index


def _states(tx: Connection) -> list[IndexState]:
    with tx.cursor(row_factory=class_row(IndexState)) as cursor:
        return cursor.execute(_SELECT_STATES).fetchall()


def _state_of(states: Sequence[IndexState], index_id: int) -> IndexState:
    for index in states:
        if index.index_id == index_id:
            return index
    raise codes.INDEX_UNKNOWN.error(index=index_id)


def _default_target(states: Sequence[IndexState]) -> IndexState:
    waiting = [index for index in states if index.is_waiting]
    if waiting:
        return max(waiting, key=lambda index: (index.is_complete, index.index_id))
    for index in states:
        if index.is_current:
            return index
    raise codes.NO_INDEX.error()


def _incomplete(tx: Connection, index: IndexState) -> ConfigurationError:
    rows = tx.execute(
        _SELECT_MISSING + " ORDER BY path LIMIT 3", {"index": index.index_id}
    ).fetchall()
    named = ", ".join(display_path(row[0]) for row in rows) + (
        ", …" if index.missing > len(rows) else ""
    )
    return codes.INDEX_INCOMPLETE.error(index=index.name, missing=index.missing, documents=named)


# A published version is the newest one if it was created from the bytes that were read last, or if
# the current index has it too: a file that can no longer be read has no newer version.
_PUBLISHED = """
WITH published AS (
    SELECT u.index_id, u.document_id, k.parsed_id, k.chunk_count, p.content_sha256, d.sha256,
           d.path
    FROM tvdb.publications u JOIN tvdb.chunk_sets k USING (chunk_set_id)
    JOIN tvdb.parsed_documents p USING (parsed_id)
    JOIN tvdb.documents d ON d.document_id = u.document_id
), searched AS (
    SELECT * FROM published JOIN tvdb.indexes USING (index_id) WHERE is_current
)
"""
_IS_NEWEST = "(n.parsed_id = w.parsed_id OR n.content_sha256 = n.sha256)"
_SELECT_STATES = f"""{_PUBLISHED}
SELECT i.index_id, s.label AS vector_space, i.chunk_tokens, i.chunk_overlap_tokens, i.is_current,
       NOT (s.is_mock OR s.is_fallback) AS is_searchable, i.created_at, i.switched_at,
       coalesce(h.documents, 0) AS documents, coalesce(h.chunks, 0) AS chunks,
       (SELECT count(*) FROM searched) - coalesce(h.newest, 0) AS missing,
       coalesce(l.usd, 0) AS cost_usd
FROM tvdb.indexes i JOIN tvdb.vector_spaces s USING (space_id)
LEFT JOIN (SELECT n.index_id, count(*) AS documents, sum(n.chunk_count)::bigint AS chunks,
                  count(*) FILTER (WHERE {_IS_NEWEST} AND w.document_id IS NOT NULL) AS newest
           FROM published n LEFT JOIN searched w USING (document_id) GROUP BY 1) h USING (index_id)
LEFT JOIN (SELECT service, model, sum(coalesce(posted_usd, reserved_usd)) AS usd
           FROM tvdb.cost_ledger WHERE operation = 'embed' AND state <> 'voided'
           GROUP BY 1, 2) l ON l.service = s.provider AND l.model = s.model
ORDER BY i.is_current DESC, i.index_id DESC
"""
_SELECT_MISSING = f"""{_PUBLISHED}
SELECT w.path FROM searched w
LEFT JOIN published n ON n.index_id = %(index)s AND n.document_id = w.document_id AND {_IS_NEWEST}
WHERE n.document_id IS NULL
"""
_COUNT_STALE = f"""{_PUBLISHED}
SELECT count(DISTINCT n.document_id) FROM published n
JOIN tvdb.indexes i ON i.index_id = n.index_id AND NOT i.is_current
JOIN tvdb.vector_spaces s ON s.space_id = i.space_id AND NOT (s.is_mock OR s.is_fallback)
LEFT JOIN searched w ON w.document_id = n.document_id
WHERE n.content_sha256 = n.sha256 AND w.content_sha256 IS DISTINCT FROM n.sha256
"""
_DROP_STATEMENTS = (
    """CREATE TEMP TABLE dropped_sets ON COMMIT DROP AS
       SELECT i.space_id, i.chunker, k.chunk_set_id, k.parsed_id
       FROM tvdb.indexes i LEFT JOIN tvdb.chunk_sets k ON k.fingerprint = i.chunker
       WHERE i.index_id = %(index)s
    """,
    "DELETE FROM tvdb.publications WHERE index_id = %(index)s",
    "DELETE FROM tvdb.indexes WHERE index_id = %(index)s",
    # Except texts that a document once had in another index, and may have again.
    """CREATE TEMP TABLE dropped_texts ON COMMIT DROP AS
       SELECT DISTINCT c.text_sha256 FROM dropped_sets x JOIN tvdb.chunks c USING (chunk_set_id)
       WHERE NOT EXISTS (SELECT FROM tvdb.former_texts f WHERE f.text_sha256 = c.text_sha256)
    """,
    # Sets of other indexes with this chunker stay, including sets that are not published yet.
    """DELETE FROM tvdb.chunk_sets k USING dropped_sets x
       WHERE k.chunk_set_id = x.chunk_set_id
         AND NOT EXISTS (SELECT FROM tvdb.indexes i WHERE i.chunker = x.chunker)
         AND NOT EXISTS (SELECT FROM tvdb.publications u WHERE u.chunk_set_id = k.chunk_set_id)
    """,
    # The text of the current bytes stays: it may have been paid for, and the next index needs it.
    f"""WITH dropped AS (DELETE FROM tvdb.parsed_documents p USING dropped_sets x, tvdb.documents d
       WHERE p.parsed_id = x.parsed_id AND d.document_id = p.document_id
         AND d.sha256 <> p.content_sha256
         AND NOT EXISTS (SELECT FROM tvdb.chunk_sets k WHERE k.parsed_id = p.parsed_id)
       RETURNING p.*) {keep_parses_sql("dropped")}
    """,
    """DELETE FROM tvdb.embeddings e USING (SELECT DISTINCT space_id FROM dropped_sets) x
       WHERE e.space_id = x.space_id
         AND NOT EXISTS (SELECT FROM tvdb.indexes i WHERE i.space_id = e.space_id)
    """,
    """DELETE FROM tvdb.embeddings e USING dropped_texts x
       WHERE e.text_sha256 = x.text_sha256
         AND NOT EXISTS (SELECT FROM tvdb.chunks c WHERE c.text_sha256 = e.text_sha256)
    """,
    # They were recorded when their chunks were deleted, to find vectors that are deleted now.
    """DELETE FROM tvdb.former_texts f USING dropped_texts x
       WHERE f.text_sha256 = x.text_sha256
         AND NOT EXISTS (SELECT FROM tvdb.embeddings e WHERE e.text_sha256 = f.text_sha256)
    """,
    """DELETE FROM tvdb.vector_spaces s USING (SELECT DISTINCT space_id FROM dropped_sets) x
       WHERE s.space_id = x.space_id
         AND NOT EXISTS (SELECT FROM tvdb.indexes i WHERE i.space_id = s.space_id)
         AND NOT EXISTS (SELECT FROM tvdb.embeddings e WHERE e.space_id = s.space_id)
    """,
)
