"""The statements of an ingestion run on its documents.

What belongs here: reads and writes of one batch of documents and their chunks; each write is
atomic. What does not: which document needs which stage (`ingestion`), parsed texts
(`parsed_texts`), vectors and publications (`index_store`), or search (`retrieval`).

Ids are taken from their sequences first, so that COPY stores texts, chunk sets and chunks without
a round trip for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from psycopg.rows import class_row, kwargs_row

from tvdb_assets.lifecycle.events import StageAdvanced, failed_or_deferred
from tvdb_assets.models import Provenance, Stage
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.deletion import lock_present
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.member_store import MemberStore
from tvdb_assets.repositories.parsed_texts import ParsedTextStore
from tvdb_assets.repositories.rows import (
    ROW,
    DocumentFailure,
    DocumentRow,
    NewChunkSet,
    ReadSnapshot,
    StoredChunkSet,
    document_row,
    provenance_row,
    reserve_ids,
    type_names,
)
from tvdb_assets.repositories.word_segments import compact
from tvdb_assets.repositories.word_store import (
    SetText,
    context_of,
    count_words,
    language_of,
    store_words,
)


class DocumentStore:
    """Reads and writes the documents of one ingestion run."""

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
        self.texts = ParsedTextStore(database, run_id)
        """Reads and writes the parsed texts."""
        self.members = MemberStore(database, run_id, pipeline_fingerprint)
        """Reads and writes the members of containers."""

    @contextmanager
    def claim(self, document_ids: Sequence[int]) -> Iterator[int]:
        """Lock these documents against all other processes; waits for a process that has one.

        The claim ends with the block, or when the process ends for any reason. A claim of texts
        that are paid for (`IndexStore.claim_missing`) outlives a connection that breaks; the locks
        of the documents end with it.

        Yields:
            The key of the claim: an advisory lock that no other claim has, even if a later claim
            includes some of the same documents.
        """
        claim = locks.new_claim_key()
        documents = [locks.DOCUMENTS.key(document_id) for document_id in sorted(document_ids)]
        with (
            self._database.session() as session,
            locks.holding(session, [claim, *documents]),
        ):
            try:
                yield claim
            finally:
                self._database.end_claim(claim)

    def rows(self, partition_keys: Sequence[str]) -> list[DocumentRow]:
        """The registered files among ``partition_keys``, without their members."""
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=kwargs_row(document_row)) as c,
        ):
            c.execute(
                f"SELECT {ROW} FROM tvdb.documents"
                " WHERE partition_key = ANY(%s) AND container_id IS NULL",
                (list(partition_keys),),
            )
            return c.fetchall()

    def still_registered(self, document_ids: Sequence[int]) -> set[int]:
        """The ids of the documents that are still registered."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT document_id FROM tvdb.documents WHERE document_id = ANY(%s)",
                (list(document_ids),),
            ).fetchall()
        return {row[0] for row in rows}

    def chunk_sets(self, parsed_ids: Sequence[int], fingerprint: str) -> dict[int, StoredChunkSet]:
        """The chunk sets of one chunker, by parsed id."""
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(StoredChunkSet)) as c,
        ):
            c.execute(
                "SELECT chunk_set_id, parsed_id, document_id, chunk_count, token_count"
                " FROM tvdb.chunk_sets WHERE parsed_id = ANY(%s) AND fingerprint = %s",
                (list(parsed_ids), fingerprint),
            )
            return {row.parsed_id: row for row in c}

    def store_chunk_sets(
        self, sets: Sequence[NewChunkSet], produced_by: Provenance
    ) -> dict[int, StoredChunkSet]:
        """Store chunk sets with their chunks, unless the same chunker's set is stored already.

        Returns:
            The stored chunk sets by document id.
        """
        if not sets:
            return {}
        provenance = (*provenance_row(produced_by), self.run_id)
        texts = {new.document_id: _set_text(new) for new in sets}
        counted = count_words(list(texts.values()))
        with self._database.transaction() as tx:
            lock_present(tx, [new.document_id for new in sets])
            stored = _kept_chunk_sets(tx, sets)
            if stored:
                # Another process was faster for these, which is rare.
                sets = [new for new in sets if new.document_id not in stored]
                counted = count_words([texts[new.document_id] for new in sets])
            if not sets:
                return stored
            ids = reserve_ids(tx, "tvdb.chunk_sets", "chunk_set_id", len(sets))
            with tx.cursor().copy(
                "COPY tvdb.chunk_sets (chunk_set_id, parsed_id, document_id, fingerprint,"
                " chunk_count, token_count, run_id, has_words, language)"
                " FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(type_names("int8 int8 int8 text int4 int4 text bool text"))
                for set_id, new in zip(ids, sets, strict=True):
                    tokens = sum(chunk.token_count for chunk in new.chunks)
                    copy.write_row(
                        (set_id, new.parsed_id, new.document_id, new.fingerprint)
                        + (len(new.chunks), tokens, self.run_id, True)
                        + (texts[new.document_id].language,)
                    )
                    stored[new.document_id] = StoredChunkSet(
                        set_id, new.parsed_id, new.document_id, len(new.chunks), tokens
                    )
            with tx.cursor().copy(
                "COPY tvdb.chunks (chunk_set_id, document_id, ordinal, start_offset, end_offset,"
                " page_first, page_last, heading_path, token_count, text_sha256, text,"
                " repeated_header, service, mode, model, version, is_degraded, run_id)"
                " FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(
                    type_names(
                        "int8 int8 int4 int4 int4 int4 int4 text[] int4 "
                        "bytea text text text text text text bool text"
                    )
                )
                for set_id, new in zip(ids, sets, strict=True):
                    for c in new.chunks:
                        copy.write_row(
                            (set_id, new.document_id, c.ordinal, c.start, c.end, c.page_first)
                            + (c.page_last, list(c.heading_path), c.token_count, c.sha256, c.text)
                            + (c.repeated_header,)
                            + provenance
                        )
            store_words(tx, counted, ids)
        compact(self._database)
        return stored

    def mark_advanced(
        self, document_ids: Sequence[int], stage: Stage, snapshot: ReadSnapshot
    ) -> None:
        """Record that a stage before the last one succeeded; published versions stay published.

        Args:
            document_ids: the documents.
            stage: the stage that succeeded.
            snapshot: the versions that the run has read.
        """
        ids = list(document_ids)
        with self._database.transaction() as tx:
            published = {row[0] for row in tx.execute(_PUBLISHED_AS_STORED, (ids,))}
            DocumentLifecycle(tx).apply(
                {
                    document_id: StageAdvanced(
                        run_id=self.run_id,
                        stage=stage,
                        began_at=snapshot.began_at,
                        read=snapshot.version(document_id),
                        is_published=document_id in published,
                    )
                    for document_id in ids
                }
            )

    def clock(self) -> datetime:
        """The current time, by the clock of the budget windows."""
        with self._database.transaction() as tx:
            row: tuple[datetime] | None = tx.execute("SELECT tvdb.clock()").fetchone()
        assert row is not None
        return row[0]

    def record_failures(self, failures: Sequence[DocumentFailure], snapshot: ReadSnapshot) -> None:
        """Record why documents failed or wait; their published versions stay published.

        Args:
            failures: one for each document.
            snapshot: the versions that the run has read, and when it began. A limit that was
                renewed after that may end the wait, because a refusal is recorded with a delay.
        """
        with self._database.transaction() as tx:
            DocumentLifecycle(tx).apply(
                {
                    f.document_id: failed_or_deferred(
                        run_id=self.run_id,
                        began_at=snapshot.began_at,
                        read=snapshot.version(f.document_id),
                        failure=f.as_stored,
                        pipeline_fingerprint=f.fingerprint_of(self._pipeline_fingerprint),
                    )
                    for f in failures
                }
            )


def _kept_chunk_sets(tx: Connection, sets: Sequence[NewChunkSet]) -> dict[int, StoredChunkSet]:
    """The stored chunk sets of the same texts and chunkers, by document id."""
    with tx.cursor(row_factory=class_row(StoredChunkSet)) as c:
        c.execute(
            "SELECT k.chunk_set_id, k.parsed_id, k.document_id, k.chunk_count, k.token_count"
            " FROM unnest(%s::bigint[], %s::text[]) AS n(id, print)"
            " JOIN tvdb.chunk_sets k ON k.parsed_id = n.id AND k.fingerprint = n.print",
            ([new.parsed_id for new in sets], [new.fingerprint for new in sets]),
        )
        return {row.document_id: row for row in c}


def _set_text(new: NewChunkSet) -> SetText:
    texts = [chunk.repeated_header + chunk.text for chunk in new.chunks]
    return SetText(
        texts,
        [
            context_of(new.title, chunk.heading_path, text)
            for chunk, text in zip(new.chunks, texts, strict=True)
        ],
        language_of(texts),
    )


_PUBLISHED_AS_STORED = """
SELECT u.document_id FROM tvdb.publications u JOIN tvdb.chunk_sets k USING (chunk_set_id)
WHERE u.document_id = ANY(%s) AND k.parsed_id = (SELECT max(parsed_id)
    FROM tvdb.parsed_documents p WHERE p.document_id = u.document_id)
"""
"""Documents whose published version was created from their newest stored text."""
