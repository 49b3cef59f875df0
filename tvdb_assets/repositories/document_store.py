"""The statements of an ingestion run on its documents.

What belongs here: reads and writes of one batch of documents; each write is atomic.
What does not: which document needs which stage (`ingestion`), vectors and publications
(`index_store`), or search (`retrieval`).

Ids are taken from their sequences first, so that COPY stores texts, chunk sets and chunks without
a round trip for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, dict_row, kwargs_row
from psycopg.types.json import Jsonb

from tvdb_assets.lifecycle.events import StageAdvanced, failed_or_deferred
from tvdb_assets.models import Heading, ParsedDocument, Provenance, Stage
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.deletion import lock_present
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.member_store import MemberStore
from tvdb_assets.repositories.rows import (
    ROW,
    DocumentFailure,
    DocumentRow,
    NewChunkSet,
    NewParse,
    ReadSnapshot,
    StoredChunkSet,
    StoredParse,
    document_row,
)
from tvdb_assets.repositories.unused_parses import keep_parse
from tvdb_assets.repositories.word_segments import compact
from tvdb_assets.repositories.word_store import SetText, context_of, language_of, store_words

_STORED_PARSE = (
    "p.parsed_id, p.document_id, p.content_sha256, p.fingerprint, p.is_degraded, p.media_type,"
    " coalesce((p.facts->>'attachments')::int, 0) AS attachments"
)

# By name: a plan of all columns fails once a newer release has added one.
_TEXT = (
    "p.text, p.title, p.media_type, p.is_markdown, p.encoding, p.page_starts, p.headings, p.notes,"
    " p.facts, p.service, p.mode, p.model, p.version, p.is_degraded"
)

# A text of a paid service depends on no parser of this machine, whose versions are in the rest of
# its fingerprint.
_HAS_PRINT = (
    "(p.fingerprint = {} OR (p.mode = 'real' AND NOT p.is_degraded"
    " AND starts_with(p.fingerprint, %s::text)))"
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

    def parses(
        self, lookups: Sequence[tuple[int, bytes, str, str]], paid_prefix: str | None = None
    ) -> tuple[dict[int, StoredParse], dict[int, tuple[int | None, ParsedDocument]]]:
        """Find texts that need no parsing.

        Args:
            lookups: (document id, sha256 of the bytes, parser fingerprint, name suffix).
            paid_prefix: how the fingerprint of a text of the paid service begins, see
                `ServiceClients.paid_prefix`; None finds no others than those of ``lookups``.

        Returns:
            Two mappings by document id. The first has each document's own stored text. The second
            has, for documents without one, the text of another document with the same bytes, with
            its parsed id; None if that document was deleted.
        """
        if not lookups:
            return {}, {}
        ids, hashes, prints, suffixes = (list(column) for column in zip(*lookups, strict=True))
        lookup_rows = (
            "unnest(%s::bigint[], %s::bytea[], %s::text[], %s::text[])"
            " AS w(id, content, print, suffix)"
        )
        with self._database.transaction() as tx, tx.cursor(row_factory=dict_row) as c:
            c.execute(
                f"SELECT DISTINCT ON (w.id) {_STORED_PARSE} FROM {lookup_rows}"
                " JOIN tvdb.parsed_documents p ON p.document_id = w.id"
                f" AND p.content_sha256 = w.content AND {_HAS_PRINT.format('w.print')}"
                " ORDER BY w.id, p.parsed_id DESC",
                (ids, hashes, prints, suffixes, paid_prefix),
            )
            own = {row["document_id"]: StoredParse(**row) for row in c}
            c.execute(
                f"SELECT DISTINCT ON (w.id) w.id AS for_document, p.parsed_id, {_TEXT}"
                f" FROM {lookup_rows} JOIN tvdb.parsed_documents p ON p.content_sha256 = w.content"
                f" AND {_HAS_PRINT.format('w.print')} AND p.suffix = w.suffix"
                " WHERE w.id <> ALL(%s) ORDER BY w.id, p.parsed_id",
                (ids, hashes, prints, suffixes, paid_prefix, list(own)),
            )
            shared = {row["for_document"]: (row["parsed_id"], _parsed(row)) for row in c}
            c.execute(
                f"SELECT DISTINCT ON (w.id) w.id AS for_document, {_TEXT} FROM {lookup_rows}"
                " JOIN tvdb.unused_parses p ON p.content_sha256 = w.content"
                f" AND {_HAS_PRINT.format('w.print')} AND p.suffix = w.suffix"
                " WHERE w.id <> ALL(%s) ORDER BY w.id, p.dropped_at DESC",
                (ids, hashes, prints, suffixes, paid_prefix, [*own, *shared]),
            )
            return own, {row["for_document"]: (None, _parsed(row)) for row in c} | shared

    def latest_parses(self, document_ids: Sequence[int]) -> dict[int, StoredParse]:
        """Each document's newest stored text, by document id."""
        with self._database.transaction() as tx, tx.cursor(row_factory=class_row(StoredParse)) as c:
            c.execute(
                f"SELECT DISTINCT ON (document_id) {_STORED_PARSE}"
                " FROM tvdb.parsed_documents p WHERE document_id = ANY(%s)"
                " ORDER BY document_id, parsed_id DESC",
                (list(document_ids),),
            )
            return {row.document_id: row for row in c}

    def find_text(
        self, content: bytes, fingerprint: str, suffix: str, paid_prefix: str | None = None
    ) -> ParsedDocument | None:
        """The stored text of any document that has or had these bytes; None if there is none.

        Args:
            content: sha256 of the bytes.
            fingerprint: fingerprint of the parser.
            suffix: suffix of the file name, or media type.
            paid_prefix: as of `parses`.
        """
        with self._database.transaction() as tx, tx.cursor(row_factory=dict_row) as c:
            for table in ("parsed_documents", "unused_parses"):
                row = c.execute(
                    f"SELECT {_TEXT} FROM tvdb.{table} p WHERE content_sha256 = %s"
                    f" AND {_HAS_PRINT.format('%s')} AND suffix = %s LIMIT 1",
                    (content, fingerprint, paid_prefix, suffix),
                ).fetchone()
                if row is not None:
                    return _parsed(row)
        return None

    def parsed(self, parsed_id: int) -> ParsedDocument:
        """One stored text with its structure."""
        with self._database.transaction() as tx, tx.cursor(row_factory=dict_row) as c:
            c.execute(
                f"SELECT {_TEXT} FROM tvdb.parsed_documents p WHERE parsed_id = %s", (parsed_id,)
            )
            row = c.fetchone()
        if row is None:
            raise LookupError(f"no parsed document {parsed_id}")
        return _parsed(row)

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

    def store_parses(
        self, parses: Sequence[NewParse], tx: Connection | None = None
    ) -> dict[int, tuple[int, ParsedDocument]]:
        """Store parsed texts, unless a text of the same bytes and parser is stored already.

        A process that lost its connection, and with it the locks of its documents, still stores
        what it was waiting for. Another process may have stored the same meanwhile.

        Args:
            parses: the texts, one for each document.
            tx: the transaction to store them in; None begins a new one.

        Returns:
            The parsed id and the text that is stored, by document id.
        """
        if not parses:
            return {}
        with self._database.transaction() if tx is None else nullcontext(tx) as tx:
            lock_present(tx, [new.document_id for new in parses])
            stored = _kept_parses(tx, parses)
            parses = [new for new in parses if new.document_id not in stored]
            if not parses:
                return stored
            ids = _reserve_ids(tx, "tvdb.parsed_documents", "parsed_id", len(parses))
            with tx.cursor().copy(
                "COPY tvdb.parsed_documents (parsed_id, document_id, content_sha256, fingerprint,"
                " suffix, text, title, media_type, is_markdown, encoding, page_starts, headings,"
                " notes, facts, service, mode, model, version, is_degraded, run_id)"
                " FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(
                    _types(
                        "int8 int8 bytea text text text text text bool text int4[]"
                        " jsonb text[] jsonb text text text text bool text"
                    )
                )
                for parsed_id, new in zip(ids, parses, strict=True):
                    p = new.parsed
                    copy.write_row(
                        (parsed_id, new.document_id, new.content_sha256, new.fingerprint)
                        + (new.suffix, p.text, p.title, p.media_type, p.is_markdown, p.encoding)
                        + (list(p.page_starts), Jsonb([asdict(h) for h in p.headings]))
                        + (
                            list(p.notes),
                            Jsonb(p.facts),
                            *provenance_row(p.produced_by),
                            self.run_id,
                        )
                    )
        return stored | {
            new.document_id: (parsed_id, new.parsed)
            for parsed_id, new in zip(ids, parses, strict=True)
        }

    def store_paid_parse(
        self, new: NewParse, row: DocumentRow, tx: Connection
    ) -> tuple[int, ParsedDocument] | None:
        """Store a text that was paid for, in the transaction that posts its cost.

        Returns:
            As of `store_parses`, of this document. None if the document was deleted by a process
            that found it without its lock; then the text is kept for its bytes.
        """
        is_there = "SELECT FROM tvdb.documents WHERE document_id = %s FOR KEY SHARE"
        if not tx.execute(is_there, (new.document_id,)).fetchall():
            keep_parse(tx, new, row.source, row.path, self.run_id)
            return None
        return self.store_parses([new], tx)[new.document_id]

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
        with self._database.transaction() as tx:
            lock_present(tx, [new.document_id for new in sets])
            stored = _kept_chunk_sets(tx, sets)
            sets = [new for new in sets if new.document_id not in stored]
            if not sets:
                return stored
            ids = _reserve_ids(tx, "tvdb.chunk_sets", "chunk_set_id", len(sets))
            words = {set_id: _set_text(set_id, new) for set_id, new in zip(ids, sets, strict=True)}
            with tx.cursor().copy(
                "COPY tvdb.chunk_sets (chunk_set_id, parsed_id, document_id, fingerprint,"
                " chunk_count, token_count, run_id, has_words, language)"
                " FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(_types("int8 int8 int8 text int4 int4 text bool text"))
                for set_id, new in zip(ids, sets, strict=True):
                    tokens = sum(chunk.token_count for chunk in new.chunks)
                    copy.write_row(
                        (set_id, new.parsed_id, new.document_id, new.fingerprint)
                        + (len(new.chunks), tokens, self.run_id, True, words[set_id].language)
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
                    _types(
                        "int8 int8 int4 int4 int4 int4 int4 text[] int4"
                        " bytea text text text text text text bool text"
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
            store_words(tx, list(words.values()))
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


def _kept_parses(
    tx: Connection, parses: Sequence[NewParse]
) -> dict[int, tuple[int, ParsedDocument]]:
    """The stored texts of the same bytes and parsers, by document id."""
    with tx.cursor(row_factory=dict_row) as c:
        c.execute(
            f"SELECT p.parsed_id, p.document_id, {_TEXT}"
            " FROM unnest(%s::bigint[], %s::bytea[], %s::text[]) AS n(id, content, print)"
            " JOIN tvdb.parsed_documents p ON p.document_id = n.id"
            " AND p.content_sha256 = n.content AND p.fingerprint = n.print",
            (
                [new.document_id for new in parses],
                [new.content_sha256 for new in parses],
                [new.fingerprint for new in parses],
            ),
        )
        return {row["document_id"]: (row["parsed_id"], _parsed(row)) for row in c}


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


def _set_text(chunk_set_id: int, new: NewChunkSet) -> SetText:
    texts = [chunk.repeated_header + chunk.text for chunk in new.chunks]
    return SetText(
        chunk_set_id,
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


def _reserve_ids(tx: Connection, table: str, column: str, count: int) -> list[int]:
    rows = tx.execute(
        "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
        (table, column, count),
    ).fetchall()
    return [row[0] for row in rows]


def _types(names: str) -> list[str]:
    return names.split()


def provenance_row(produced_by: Provenance) -> tuple[str, str, str, str, bool]:
    return (
        produced_by.service,
        produced_by.mode,
        produced_by.model,
        produced_by.version,
        produced_by.is_degraded,
    )


def _parsed(row: Mapping[str, Any]) -> ParsedDocument:
    return ParsedDocument(
        text=row["text"],
        media_type=row["media_type"],
        is_markdown=row["is_markdown"],
        produced_by=Provenance(
            row["service"], row["mode"], row["model"], row["version"], row["is_degraded"]
        ),
        title=row["title"],
        page_starts=tuple(row["page_starts"]),
        headings=tuple(Heading(**h) for h in row["headings"]),
        encoding=row["encoding"],
        notes=tuple(row["notes"]),
        facts=row["facts"],
    )
