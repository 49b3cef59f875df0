"""What search is made of: vector spaces, the vectors in them, and what each index shows.

What belongs here: storing vectors once for each text and space, and publishing documents.
What does not: documents and their chunks (`documents`), asking questions (`search`), and
which index search reads (`switching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import class_row

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.lifecycle.events import Published, SourceGone
from tvdb_assets.models import Provenance, Stage, VectorSpace
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.deletion import lock_present
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.document_store import provenance_row
from tvdb_assets.repositories.full_text import index_full_text
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.rows import ReadSnapshot, StoredChunkSet

_TYPES = ("int2", "bytea", "vector", "int4", *("text",) * 4, "bool", "text")


@dataclass(frozen=True, slots=True)
class MissingText:
    """A text that a space has no vector for."""

    sha256: bytes
    text: str
    tokens: int
    document: str
    """Path of the first document that has it."""
    chunk_id: int


class IndexStore:
    """Reads and writes of vectors and publications in one run."""

    def __init__(self, database: Database, run_id: str, pipeline_fingerprint: str = "") -> None:
        """Written rows carry ``run_id``; documents' rows ``pipeline_fingerprint`` too."""
        self._database = database
        self.run_id = run_id
        self._pipeline_fingerprint = pipeline_fingerprint
        self.indexes = IndexCatalog(database)

    def space_id(
        self, space: VectorSpace, *, is_mock: bool = False, is_fallback: bool = False
    ) -> int:
        """The row of a vector space, made when it is new."""
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT INTO tvdb.vector_spaces"
                " (label, provider, model, dimensions, version, is_mock, is_fallback, run_id)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (label) DO NOTHING",
                (space.label, space.provider, space.model, space.dimensions, space.version)
                + (is_mock, is_fallback, self.run_id),
            )
            row = tx.execute(
                "SELECT space_id FROM tvdb.vector_spaces WHERE label = %s", (space.label,)
            ).fetchone()
        assert row is not None
        return int(row[0])

    def index_id(self, space_id: int, chunker: Chunker) -> int:
        """The row of the index that a chunker and a space make, made when it is new."""
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT INTO tvdb.indexes"
                " (space_id, chunker, chunk_tokens, chunk_overlap_tokens, run_id)"
                " SELECT %(space)s, %(chunker)s, %(tokens)s, %(overlap)s, %(run)s WHERE NOT EXISTS"
                # Not by conflict alone, which would draw a number for each run.
                " (SELECT FROM tvdb.indexes WHERE space_id = %(space)s AND chunker = %(chunker)s)"
                " ON CONFLICT (space_id, chunker) DO NOTHING",
                {
                    "space": space_id,
                    "chunker": chunker.fingerprint,
                    "tokens": chunker.max_tokens,
                    "overlap": chunker.overlap_tokens,
                    "run": self.run_id,
                },
            )
            row = tx.execute(
                "SELECT index_id FROM tvdb.indexes WHERE space_id = %s AND chunker = %s",
                (space_id, chunker.fingerprint),
            ).fetchone()
        assert row is not None
        return int(row[0])

    def index_full_text(self, at_least: int) -> None:
        """See `search.index_full_text`."""
        index_full_text(self._database, at_least)

    def claim_missing(
        self,
        space_id: int,
        chunk_set_ids: Sequence[int],
        holder: int | None,
        refused: Sequence[bytes],
        limit: int,
    ) -> list[MissingText]:
        """Distinct texts of these sets that the space has no vector for, at most ``limit``.

        Args:
            space_id: the space.
            chunk_set_ids: whose chunks.
            holder: claims the texts, and leaves out those that others have claimed: the number
                of an advisory lock that is held meanwhile, and with which the claims end. None
                claims nothing, for vectors that cost nothing.
            refused: hashes of texts that were tried and have no vector.
            limit: the most to return; ask again for the rest.
        """
        asked = {
            "space": space_id,
            "sets": list(chunk_set_ids),
            "refused": list(refused),
            "limit": limit,
            "holder": holder,
        }
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(MissingText)) as cursor,
        ):
            if holder is None:
                return cursor.execute(_MISSING.format(unclaimed=""), asked).fetchall()
            texts = cursor.execute(_MISSING.format(unclaimed=_UNCLAIMED), asked).fetchall()
            if not texts:
                return []
            hashes = [text.sha256 for text in texts]
            claimed = tx.execute(_CLAIM, {**asked, "hashes": hashes}).fetchall()
            mine = {row[0] for row in claimed}
            # A process that had claimed a text before may have stored its vector meanwhile.
            known = tx.execute(
                "SELECT text_sha256 FROM tvdb.embeddings"
                " WHERE space_id = %s AND text_sha256 = ANY(%s)",
                (space_id, hashes),
            ).fetchall()
            mine -= {row[0] for row in known}
        return [text for text in texts if text.sha256 in mine]

    def release(self, holder: int) -> None:
        """Give up all claims of this holder, on texts that got no vector."""
        with self._database.transaction() as tx:
            tx.execute("DELETE FROM tvdb.text_claims WHERE holder = %s", (holder,))

    def known_texts(self, space: VectorSpace, hashes: Sequence[bytes]) -> set[bytes]:
        """Which of these texts have a vector in the space; none where there is no such space."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT e.text_sha256 FROM tvdb.embeddings e"
                " JOIN tvdb.vector_spaces s USING (space_id)"
                " WHERE s.label = %s AND e.text_sha256 = ANY(%s)",
                (space.label, list(hashes)),
            ).fetchall()
        return {row[0] for row in rows}

    def incomplete(self, space_id: int, chunk_set_ids: Sequence[int]) -> set[int]:
        """Ids of the documents of these sets that have a text without a vector in the space."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT DISTINCT c.document_id FROM tvdb.chunks c"
                " WHERE c.chunk_set_id = ANY(%s) AND NOT EXISTS (SELECT FROM tvdb.embeddings e"
                "   WHERE e.space_id = %s AND e.text_sha256 = c.text_sha256)",
                (list(chunk_set_ids), space_id),
            ).fetchall()
        return {row[0] for row in rows}

    def documents_with_text(
        self, chunk_set_ids: Sequence[int], hashes: Sequence[bytes]
    ) -> list[tuple[int, bytes]]:
        """Which documents of these sets hold which of these texts: (document id, sha256)."""
        with self._database.transaction() as tx:
            return tx.execute(
                "SELECT DISTINCT document_id, text_sha256 FROM tvdb.chunks"
                " WHERE chunk_set_id = ANY(%s) AND text_sha256 = ANY(%s)",
                (list(chunk_set_ids), list(hashes)),
            ).fetchall()

    def store_vectors(
        self,
        space_id: int,
        texts: Sequence[tuple[bytes, int]],
        vectors: NDArray[np.float32],
        produced_by: Provenance,
        *,
        tx: Connection | None = None,
    ) -> None:
        """Store vectors, one a text; without ``tx``, committed when this returns.

        Args:
            space_id: the space that the vectors belong to.
            texts: (sha256, tokens) of each text.
            vectors: shape (len(texts), dimensions), checked by the caller.
            produced_by: who made them.
            tx: the transaction that posts what they cost.
        """
        with self._database.transaction() if tx is None else nullcontext(tx) as outer:
            try:
                with outer.transaction():
                    self._copy_vectors(outer, space_id, texts, vectors, produced_by)
            except psycopg.errors.UniqueViolation:
                # Another run embedded one of these texts meanwhile; its vector is as good.
                self._copy_vectors(outer, space_id, texts, vectors, produced_by, is_staged=True)
            if tx is not None:
                tx.execute(
                    "DELETE FROM tvdb.text_claims WHERE space_id = %s AND text_sha256 = ANY(%s)",
                    (space_id, [sha256 for sha256, _ in texts]),
                )

    def _copy_vectors(
        self,
        tx: Connection,
        space_id: int,
        texts: Sequence[tuple[bytes, int]],
        vectors: NDArray[np.float32],
        produced_by: Provenance,
        *,
        is_staged: bool = False,
    ) -> None:
        columns = (
            "space_id, text_sha256, embedding, token_count,"
            " service, mode, model, version, is_degraded, run_id"
        )
        rest = (*provenance_row(produced_by), self.run_id)
        table = "pg_temp.new_embeddings" if is_staged else "tvdb.embeddings"
        if is_staged:
            tx.execute(
                "CREATE TEMP TABLE new_embeddings (LIKE tvdb.embeddings INCLUDING DEFAULTS)"
                " ON COMMIT DROP"
            )
        with tx.cursor().copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(_TYPES)
            for (sha256, tokens), vector in zip(texts, vectors, strict=True):
                copy.write_row((space_id, sha256, vector, tokens, *rest))
        if is_staged:
            tx.execute(
                f"INSERT INTO tvdb.embeddings ({columns}) SELECT {columns}"
                " FROM pg_temp.new_embeddings ON CONFLICT DO NOTHING"
            )

    def publish(
        self,
        index_id: int,
        sets: Sequence[StoredChunkSet],
        snapshot: ReadSnapshot | None,
        *,
        is_degraded: bool = False,
    ) -> set[int]:
        """Show these sets in an index and drop what they replace, in one transaction.

        Of a file that is gone, nothing is published.

        Args:
            index_id: the index.
            sets: each made by its chunker, with all its vectors in its space.
            snapshot: by the run; None if this is not the index that the run builds, so that the
                documents' own ends are recorded elsewhere.
            is_degraded: a fallback made something of them; then nothing real is replaced.

        Returns:
            The ids of the documents whose published set changed.
        """
        if not sets:
            return set()
        documents = [s.document_id for s in sets]
        chunk_sets = [s.chunk_set_id for s in sets]
        with self._database.transaction() as tx:
            # One at a time while there are vectors of a fallback: of two documents with a text in
            # common, each would leave the vector of the fallback to the other.
            locks.acquire_in_transaction_if(tx, locks.FALLBACK_CLEANUP.key(), _HAS_FALLBACK_VECTORS)
            # Held against a switch, which thus sees all of this transaction or nothing.
            tx.execute("SELECT FROM tvdb.indexes WHERE index_id = %s FOR KEY SHARE", (index_id,))
            # The file may be gone since the run began.
            there = lock_present(tx, documents)
            changed = tx.execute(
                "INSERT INTO tvdb.publications (document_id, index_id, chunk_set_id, run_id)"
                " SELECT d, %s, s, %s FROM unnest(%s::bigint[], %s::bigint[]) AS n(d, s)"
                " WHERE d = ANY(%s)"
                " ON CONFLICT (document_id, index_id) DO UPDATE SET"
                "   chunk_set_id = excluded.chunk_set_id, run_id = excluded.run_id,"
                "   published_at = now()"
                " WHERE publications.chunk_set_id <> excluded.chunk_set_id"
                " RETURNING document_id",
                (index_id, self.run_id, documents, chunk_sets, list(there)),
            ).fetchall()
            self._drop_replaced(tx, index_id, sets)
            self._make_first(tx, index_id)
            if snapshot is not None:
                lifecycle = DocumentLifecycle(tx)
                lifecycle.apply(
                    {
                        document_id: Published(
                            run_id=self.run_id,
                            stage=Stage.EMBEDDINGS,
                            began_at=snapshot.began_at,
                            read=snapshot.version(document_id),
                            pipeline_fingerprint=self._pipeline_fingerprint,
                            is_degraded=is_degraded,
                        )
                        for document_id in documents
                    }
                )
                # A member may have been registered while its file was taken out of search.
                lifecycle.apply_to(sorted(set(documents) - there), SourceGone())
        return {row[0] for row in changed}

    def _make_first(self, tx: Connection, index_id: int) -> None:
        """Let search read this index if it is real and there is no other to read."""
        is_first = (
            "SELECT FROM tvdb.indexes i JOIN tvdb.vector_spaces s USING (space_id)"
            " WHERE i.index_id = %s AND NOT (s.is_mock OR s.is_fallback)"
            " AND NOT EXISTS (SELECT FROM tvdb.indexes WHERE is_current)"
        )
        if tx.execute(is_first, (index_id,)).fetchone() is None:
            return
        # One at a time; the second one finds the first one's.
        locks.acquire_in_transaction(tx, [locks.FIRST_INDEX.key()])
        tx.execute(
            "UPDATE tvdb.indexes SET is_current = true, switched_at = now()"
            f" WHERE index_id = %s AND EXISTS ({is_first})",
            (index_id, index_id),
        )

    def _drop_replaced(self, tx: Connection, index_id: int, sets: Sequence[StoredChunkSet]) -> None:
        asked = {
            "index": index_id,
            "documents": [s.document_id for s in sets],
            "parsed": [s.parsed_id for s in sets],
        }
        # What a mock or a fallback made is deleted as soon as there is a real one.
        tx.execute(
            "DELETE FROM tvdb.publications p USING tvdb.indexes i, tvdb.vector_spaces s"
            " WHERE p.index_id = i.index_id AND i.space_id = s.space_id"
            " AND (s.is_mock OR s.is_fallback) AND p.document_id = ANY(%(documents)s)"
            " AND EXISTS (SELECT FROM tvdb.indexes JOIN tvdb.vector_spaces n USING (space_id)"
            "   WHERE index_id = %(index)s AND NOT (n.is_mock OR n.is_fallback))",
            asked,
        )
        # Vectors of a fallback go with the last publication that shows their text: when the real
        # thing is there, and also when the document was edited while it was degraded.
        tx.execute(
            "DELETE FROM tvdb.embeddings e USING tvdb.vector_spaces s"
            " WHERE s.is_fallback AND e.space_id = s.space_id AND e.text_sha256 IN"
            "   (SELECT c.text_sha256 FROM tvdb.chunks c JOIN tvdb.chunk_sets k"
            "    USING (chunk_set_id) WHERE k.document_id = ANY(%(documents)s))"
            " AND NOT EXISTS (SELECT FROM tvdb.publications o JOIN tvdb.indexes USING (index_id)"
            "   JOIN tvdb.chunks oc USING (chunk_set_id) WHERE space_id = e.space_id"
            "   AND oc.text_sha256 = e.text_sha256)"
            # Another document may be about to be published with it.
            " AND NOT EXISTS (SELECT FROM tvdb.chunks oc WHERE oc.text_sha256 = e.text_sha256"
            "   AND oc.document_id <> ALL(%(documents)s) AND NOT EXISTS"
            "     (SELECT FROM tvdb.publications r WHERE r.document_id = oc.document_id"
            "      AND r.index_id = %(index)s))",
            asked,
        )
        # Of the same text, another index may be about to show what its chunker made.
        tx.execute(
            "DELETE FROM tvdb.chunk_sets k"
            " USING unnest(%(documents)s::bigint[], %(parsed)s::bigint[]) AS n(document, parsed)"
            " WHERE k.document_id = n.document AND (k.parsed_id <> n.parsed OR NOT EXISTS"
            "   (SELECT FROM tvdb.indexes i WHERE i.chunker = k.fingerprint))"
            " AND NOT EXISTS"
            "   (SELECT FROM tvdb.publications u WHERE u.chunk_set_id = k.chunk_set_id)",
            asked,
        )
        tx.execute(
            "DELETE FROM tvdb.parsed_documents p WHERE document_id = ANY(%(documents)s)"
            " AND NOT EXISTS (SELECT FROM tvdb.chunk_sets k WHERE k.parsed_id = p.parsed_id)",
            asked,
        )


_HAS_FALLBACK_VECTORS = """EXISTS (SELECT FROM tvdb.vector_spaces s
    WHERE s.is_fallback AND EXISTS (SELECT FROM tvdb.embeddings e WHERE e.space_id = s.space_id))"""
# In the order of the documents, so that money which is running out completes some of them.
_MISSING = """
SELECT * FROM (
    SELECT DISTINCT ON (c.text_sha256) c.text_sha256 AS sha256, c.repeated_header || c.text AS text,
           c.token_count AS tokens, d.path AS document, c.chunk_id
    FROM tvdb.chunks c JOIN tvdb.documents d USING (document_id)
    WHERE c.chunk_set_id = ANY(%(sets)s) AND c.text_sha256 <> ALL(%(refused)s::bytea[])
      AND NOT EXISTS (SELECT FROM tvdb.embeddings e
        WHERE e.space_id = %(space)s AND e.text_sha256 = c.text_sha256){unclaimed}
    ORDER BY c.text_sha256, c.chunk_id
) missing ORDER BY chunk_id LIMIT %(limit)s
"""
_IS_ALIVE = locks.is_held("t.holder")
_UNCLAIMED = f"""
  AND NOT EXISTS (SELECT FROM tvdb.text_claims t
    WHERE t.space_id = %(space)s AND t.text_sha256 = c.text_sha256
      AND t.holder <> %(holder)s AND {_IS_ALIVE})"""
_CLAIM = f"""
INSERT INTO tvdb.text_claims AS t (space_id, text_sha256, holder)
SELECT %(space)s, h, %(holder)s FROM unnest(%(hashes)s::bytea[]) AS n(h) ORDER BY h
ON CONFLICT (space_id, text_sha256) DO UPDATE SET holder = excluded.holder
    WHERE t.holder = excluded.holder OR NOT {_IS_ALIVE}
RETURNING text_sha256
"""
