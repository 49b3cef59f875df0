"""Vector spaces, their vectors, and the publications of each index.

What belongs here: storing vectors once for each text and space, and publishing documents.
What does not: documents and their chunks (`document_store`), searching (`retrieval`), or which
index search reads (`index_catalog`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import class_row

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.errors import EmbeddingError
from tvdb_assets.lifecycle.events import Published, SourceGone
from tvdb_assets.models import Provenance, Stage, VectorSpace
from tvdb_assets.repositories import locks, text_claims, texts_without_vector
from tvdb_assets.repositories.database import Connection, Database, analyze_changed_tables
from tvdb_assets.repositories.deletion import lock_present
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.leases import end_leases_of_dead_processes
from tvdb_assets.repositories.rows import ReadSnapshot, StoredChunkSet, provenance_row
from tvdb_assets.repositories.unused_parses import keep_parses_sql
from tvdb_assets.repositories.vector_index import build_vector_indexes
from tvdb_assets.repositories.word_segments import compact, fill_words

T = TypeVar("T")
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
        """Store a database and a run; nothing is read yet.

        Args:
            database: the database.
            run_id: id that all written rows get.
            pipeline_fingerprint: fingerprint that rows of documents get.
        """
        self._database = database
        self.run_id = run_id
        self._pipeline_fingerprint = pipeline_fingerprint
        self.indexes = IndexCatalog(database)

    def space_id(
        self, space: VectorSpace, *, is_mock: bool = False, is_fallback: bool = False
    ) -> int:
        """The id of a vector space; creates its row if it is new."""
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
        """The id of the index with this chunker and space; creates its row if it is new."""
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT INTO tvdb.indexes"
                " (space_id, chunker, chunk_tokens, chunk_overlap_tokens, run_id)"
                " SELECT %(space)s, %(chunker)s, %(tokens)s, %(overlap)s, %(run)s WHERE NOT EXISTS"
                # A conflict alone would use up an id for each run.
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

    def complete_search_index(self) -> None:
        """Store missing words, merge what was stored piece by piece, and index new vectors.

        Each part is done only where there is enough to do.
        """
        while fill_words(self._database):
            pass
        compact(self._database, is_forced=True)
        build_vector_indexes(self._database)
        analyze_changed_tables(self._database)

    def claim_missing(
        self,
        space_id: int,
        chunk_set_ids: Sequence[int],
        holder: int | None,
        refused: Sequence[bytes],
        limit: int,
        request_fingerprint: str | None = None,
    ) -> list[MissingText]:
        """Distinct texts of these chunk sets without a vector in the space; claims them.

        Args:
            space_id: id of the vector space.
            chunk_set_ids: ids of the chunk sets.
            holder: key of the claim, which has a lease from now on. Texts that another holder has
                claimed are excluded. None claims nothing, for vectors that are free.
            refused: hashes of texts that could not be embedded.
            limit: maximum number of texts; call again for the rest.
            request_fingerprint: of a paid embedder; texts that it has no usable vector of may be
                left out, see `refused_texts`.

        Raises:
            StorageError: ``index_dropped``; nothing is claimed.
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
            texts = cursor.execute(
                _MISSING.format(unclaimed=text_claims.UNCLAIMED), asked
            ).fetchall()
            if not texts:
                end_leases_of_dead_processes(tx)
                return []
            # The space can't be deleted before the claims are written, nor afterwards.
            space = "SELECT FROM tvdb.vector_spaces WHERE space_id = %s FOR KEY SHARE"
            if not tx.execute(space, (space_id,)).fetchall():
                raise codes.INDEX_DROPPED.error()
            hashes = [text.sha256 for text in texts]
            self._database.leases.keep(tx, holder)
            claimed_hashes = text_claims.claim(tx, space_id, hashes, holder)
            # Another process may have stored a vector since the first statement, or may have
            # recorded that there is none. The caller then looks again.
            known = tx.execute(
                "SELECT text_sha256 FROM tvdb.embeddings"
                " WHERE space_id = %(space)s AND text_sha256 = ANY(%(hashes)s)"
                " UNION ALL SELECT text_sha256 FROM tvdb.texts_without_vector"
                " WHERE space_id = %(space)s AND text_sha256 = ANY(%(hashes)s)"
                "   AND request_fingerprint = %(request)s",
                {"space": space_id, "hashes": hashes, "request": request_fingerprint},
            ).fetchall()
            claimed_hashes -= {row[0] for row in known}
        return [text for text in texts if text.sha256 in claimed_hashes]

    def is_embedded_elsewhere(
        self, space_id: int, chunk_set_ids: Sequence[int], refused: Sequence[bytes]
    ) -> bool:
        """Whether texts lack a vector that other processes are embedding right now.

        Texts that wait for a batch job are left out. Arguments are those of `claim_missing`.
        """
        asked = {
            "space": space_id,
            "sets": list(chunk_set_ids),
            "refused": list(refused),
            "limit": 1,
        }
        with self._database.transaction() as tx:
            missing = _MISSING.format(unclaimed=text_claims.NOT_IN_BATCH)
            return tx.execute(missing, asked).fetchone() is not None

    def release(self, holder: int) -> None:
        """Release all claims of this holder on texts that got no vector."""
        with self._database.transaction() as tx:
            text_claims.release(tx, holder)

    def known_texts(
        self, space: VectorSpace, hashes: Sequence[bytes], request_fingerprint: str | None = None
    ) -> set[bytes]:
        """The hashes of the texts that have a vector in the space; empty if the space is new.

        Args:
            space: the vector space.
            hashes: sha256 of the texts.
            request_fingerprint: of a paid embedder; also those that it has no usable vector of.
        """
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT e.text_sha256 FROM tvdb.embeddings e"
                " JOIN tvdb.vector_spaces s USING (space_id)"
                " WHERE s.label = %s AND e.text_sha256 = ANY(%s)",
                (space.label, list(hashes)),
            ).fetchall()
            found = {row[0] for row in rows}
            if request_fingerprint is not None:
                found |= texts_without_vector.known(tx, space.label, request_fingerprint, hashes)
        return found

    def refused_texts(
        self, space_id: int, request_fingerprint: str, chunk_set_ids: Sequence[int]
    ) -> dict[bytes, EmbeddingError]:
        """See `texts_without_vector.find`."""
        with self._database.transaction() as tx:
            return texts_without_vector.find(tx, space_id, request_fingerprint, chunk_set_ids)

    def record_refused(
        self,
        tx: Connection,
        space_id: int,
        request_fingerprint: str,
        errors: Mapping[bytes, EmbeddingError],
    ) -> None:
        """See `texts_without_vector.record`."""
        texts_without_vector.record(tx, space_id, request_fingerprint, self.run_id, errors)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run work in a transaction of the database; see `Database.run`."""
        return self._database.run(work)

    def kept_texts(self, tx: Connection, hashes: Sequence[bytes]) -> list[bytes]:
        """Those texts that a document has or had, in their order; a person forgot the others.

        Args:
            tx: the transaction that stores their vectors.
            hashes: sha256 of the texts.
        """
        rows = tx.execute(
            "SELECT h FROM unnest(%s::bytea[]) WITH ORDINALITY AS n(h, place)"
            " WHERE EXISTS (SELECT FROM tvdb.chunks c WHERE c.text_sha256 = h)"
            "   OR EXISTS (SELECT FROM tvdb.former_texts f WHERE f.text_sha256 = h)"
            "   OR EXISTS (SELECT FROM tvdb.unused_texts u WHERE u.text_sha256 = h)"
            " ORDER BY place",
            (list(hashes),),
        ).fetchall()
        return [row[0] for row in rows]

    def incomplete(self, space_id: int, chunk_set_ids: Sequence[int]) -> set[int]:
        """The ids of documents in these chunk sets with a text that has no vector in the space."""
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
        """Pairs of document id and text hash: the documents in these sets with these texts."""
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
        """Store one vector for each text; without ``tx``, they are committed on return.

        Args:
            space_id: the space that the vectors belong to.
            texts: (sha256, tokens) of each text.
            vectors: shape (len(texts), dimensions), checked by the caller.
            produced_by: the service that created them.
            tx: the transaction that posts their cost; None begins a new one.
        """
        with self._database.transaction() if tx is None else nullcontext(tx) as outer:
            try:
                with outer.transaction():
                    self._copy_vectors(outer, space_id, texts, vectors, produced_by)
            except psycopg.errors.UniqueViolation:
                # Another run has stored a vector for one of these texts; it is kept.
                self._copy_vectors(outer, space_id, texts, vectors, produced_by, is_staged=True)
            if tx is not None:
                hashes = [sha256 for sha256, _ in texts]
                text_claims.remove(tx, space_id, hashes)
                texts_without_vector.remove(tx, space_id, hashes)

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
                "CREATE TEMP TABLE new_embeddings"
                " (LIKE tvdb.embeddings INCLUDING DEFAULTS INCLUDING IDENTITY)"
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
        """Publish chunk sets in an index and delete the rows that they replace, in one transaction.

        A file that is gone is not published.

        Args:
            index_id: id of the index.
            sets: chunk sets of the index's chunker, with all vectors in the index's space.
            snapshot: the versions that the run has read; None if this is not the run's own index,
                so that the outcomes of the documents are recorded elsewhere.
            is_degraded: whether a fallback created a part of them; then no result of a real service
                is replaced.

        Returns:
            The ids of the documents whose published set changed.
        """
        if not sets:
            return set()
        documents = [s.document_id for s in sets]
        chunk_sets = [s.chunk_set_id for s in sets]
        with self._database.transaction() as tx:
            # One transaction at a time while there are vectors of a fallback. Otherwise two
            # documents with a common text would each leave that vector for the other one.
            locks.acquire_in_transaction_if(tx, locks.FALLBACK_CLEANUP.key(), _HAS_FALLBACK_VECTORS)
            # This lock excludes a switch, which sees all of this transaction or nothing.
            tx.execute("SELECT FROM tvdb.indexes WHERE index_id = %s FOR KEY SHARE", (index_id,))
            # The file may be gone since the run began.
            present = lock_present(tx, documents)
            changed = tx.execute(
                "INSERT INTO tvdb.publications (document_id, index_id, chunk_set_id, run_id)"
                " SELECT d, %s, s, %s FROM unnest(%s::bigint[], %s::bigint[]) AS n(d, s)"
                " WHERE d = ANY(%s)"
                " ON CONFLICT (document_id, index_id) DO UPDATE SET"
                "   chunk_set_id = excluded.chunk_set_id, run_id = excluded.run_id,"
                "   published_at = now()"
                " WHERE publications.chunk_set_id <> excluded.chunk_set_id"
                " RETURNING document_id",
                (index_id, self.run_id, documents, chunk_sets, list(present)),
            ).fetchall()
            self._drop_replaced(tx, index_id, sets)
            self._make_current_if_first(tx, index_id)
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
                lifecycle.apply_to(sorted(set(documents) - present), SourceGone())
        return {row[0] for row in changed}

    def _make_current_if_first(self, tx: Connection, index_id: int) -> None:
        """Make this index current if it is searchable and no index is current."""
        is_first = (
            "SELECT FROM tvdb.indexes i JOIN tvdb.vector_spaces s USING (space_id)"
            " WHERE i.index_id = %s AND NOT (s.is_mock OR s.is_fallback)"
            " AND NOT EXISTS (SELECT FROM tvdb.indexes WHERE is_current)"
        )
        if tx.execute(is_first, (index_id,)).fetchone() is None:
            return
        # One transaction at a time; the next one finds that an index is current.
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
        # A mock or degraded publication is deleted as soon as there is a real one.
        tx.execute(
            "DELETE FROM tvdb.publications p USING tvdb.indexes i, tvdb.vector_spaces s"
            " WHERE p.index_id = i.index_id AND i.space_id = s.space_id"
            " AND (s.is_mock OR s.is_fallback) AND p.document_id = ANY(%(documents)s)"
            " AND EXISTS (SELECT FROM tvdb.indexes JOIN tvdb.vector_spaces n USING (space_id)"
            "   WHERE index_id = %(index)s AND NOT (n.is_mock OR n.is_fallback))",
            asked,
        )
        # Vectors of a fallback are deleted with the last publication of their text: when the real
        # vector is stored, and also when the document was edited while it was degraded.
        tx.execute(
            "DELETE FROM tvdb.embeddings e USING tvdb.vector_spaces s"
            " WHERE s.is_fallback AND e.space_id = s.space_id AND e.text_sha256 IN"
            "   (SELECT c.text_sha256 FROM tvdb.chunks c JOIN tvdb.chunk_sets k"
            "    USING (chunk_set_id) WHERE k.document_id = ANY(%(documents)s))"
            " AND NOT EXISTS (SELECT FROM tvdb.publications o JOIN tvdb.indexes USING (index_id)"
            "   JOIN tvdb.chunks oc USING (chunk_set_id) WHERE space_id = e.space_id"
            "   AND oc.text_sha256 = e.text_sha256)"
            # Another document may soon be published with it.
            " AND NOT EXISTS (SELECT FROM tvdb.chunks oc WHERE oc.text_sha256 = e.text_sha256"
            "   AND oc.document_id <> ALL(%(documents)s) AND NOT EXISTS"
            "     (SELECT FROM tvdb.publications r WHERE r.document_id = oc.document_id"
            "      AND r.index_id = %(index)s))",
            asked,
        )
        # Another index may soon publish chunks of its own chunker for the same text.
        tx.execute(
            "DELETE FROM tvdb.chunk_sets k"
            " USING unnest(%(documents)s::bigint[], %(parsed)s::bigint[]) AS n(document, parsed)"
            " WHERE k.document_id = n.document AND (k.parsed_id <> n.parsed OR NOT EXISTS"
            "   (SELECT FROM tvdb.indexes i WHERE i.chunker = k.fingerprint))"
            " AND NOT EXISTS"
            "   (SELECT FROM tvdb.publications u WHERE u.chunk_set_id = k.chunk_set_id)",
            asked,
        )
        # The file may get its former bytes back. What was paid for is kept for that.
        tx.execute(
            "WITH dropped AS (DELETE FROM tvdb.parsed_documents p"
            "   WHERE document_id = ANY(%(documents)s)"
            "   AND NOT EXISTS (SELECT FROM tvdb.chunk_sets k WHERE k.parsed_id = p.parsed_id)"
            f"   RETURNING p.*) {keep_parses_sql('dropped')}",
            asked,
        )


_HAS_FALLBACK_VECTORS = """EXISTS (SELECT FROM tvdb.vector_spaces s
    WHERE s.is_fallback AND EXISTS (SELECT FROM tvdb.embeddings e WHERE e.space_id = s.space_id))"""
# In the order of the documents, so that the rest of a budget completes some of them.
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
