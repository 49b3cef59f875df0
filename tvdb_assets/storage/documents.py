"""What is stored of documents on their walk, and the statements that store it.

What belongs here: reads and writes of one batch of documents, each write whole or not at
all. What does not: which document needs which stage (`walk`), or search (`search`).

Ids are drawn from their sequences first, so that documents, chunk sets and chunks go in by
COPY without a round trip each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from tvdb_assets.errors import TvdbError
from tvdb_assets.models import Chunk, Heading, ParsedDocument, Provenance, Stage, VectorSpace
from tvdb_assets.storage.database import Database

Connection: TypeAlias = psycopg.Connection[Any]
_LOCK_NAMESPACE = 0x7464 << 48  # "td": keeps our advisory locks apart from other users' keys


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A registered document, as the walk needs it."""

    document_id: int
    partition_key: str
    source: str
    path: str
    size: int
    etag: str
    sha256: bytes | None
    status: str


@dataclass(frozen=True, slots=True)
class StoredParse:
    """A parsed text that is stored already."""

    parsed_id: int
    document_id: int
    content_sha256: bytes
    fingerprint: str


@dataclass(frozen=True, slots=True)
class StoredChunkSet:
    """A chunk set that is stored already."""

    chunk_set_id: int
    parsed_id: int
    document_id: int
    chunk_count: int
    token_count: int


@dataclass(frozen=True, slots=True)
class NewParse:
    """A parsed text to store."""

    document_id: int
    content_sha256: bytes
    fingerprint: str
    suffix: str
    parsed: ParsedDocument


@dataclass(frozen=True, slots=True)
class NewChunkSet:
    """A chunk set to store."""

    parsed_id: int
    document_id: int
    fingerprint: str
    chunks: Sequence[Chunk]


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that failed, at which stage, and why."""

    document_id: int
    stage: Stage
    error: TvdbError


class DocumentStore:
    """Reads and writes of the walk, under one run's id."""

    def __init__(self, database: Database, run_id: str, recipe: str = "") -> None:
        """Rows that are written carry ``run_id``, and documents' rows ``recipe`` too."""
        self._database = database
        self.run_id = run_id
        self._recipe = recipe

    @contextmanager
    def claim(self, document_ids: Sequence[int]) -> Iterator[None]:
        """Hold these documents against every other process; waits for whoever holds one.

        The claim ends with the block, or with the process, however it ends.
        """
        keys = sorted(_LOCK_NAMESPACE | document_id for document_id in document_ids)
        with self._database.session() as session:
            for key in keys:
                session.execute("SELECT pg_advisory_lock(%s)", (key,))
            try:
                yield
            finally:
                session.execute("SELECT pg_advisory_unlock(k) FROM unnest(%s::bigint[]) k", (keys,))

    def rows(self, partition_keys: Sequence[str]) -> list[DocumentRow]:
        """The registered documents among ``partition_keys``."""
        with self._database.transaction() as tx, tx.cursor(row_factory=class_row(DocumentRow)) as c:
            c.execute(
                "SELECT document_id, partition_key, source, path, size, etag, sha256, status"
                " FROM tvdb.documents WHERE partition_key = ANY(%s)",
                (list(partition_keys),),
            )
            return c.fetchall()

    def parses(
        self, wanted: Sequence[tuple[int, bytes, str, str]]
    ) -> tuple[dict[int, StoredParse], dict[int, tuple[int, ParsedDocument]]]:
        """Look for texts that need no parsing.

        Args:
            wanted: (document id, sha256 of the bytes, parser fingerprint, name suffix).

        Returns:
            By document id: the document's own stored text; and, where it has none, the
            text that another document with the same bytes has.
        """
        if not wanted:
            return {}, {}
        ids, hashes, prints, suffixes = (list(column) for column in zip(*wanted, strict=True))
        asked = (
            "unnest(%s::bigint[], %s::bytea[], %s::text[], %s::text[])"
            " AS w(id, content, print, suffix)"
        )
        with self._database.transaction() as tx, tx.cursor(row_factory=dict_row) as c:
            c.execute(
                f"SELECT p.parsed_id, p.document_id, p.content_sha256, p.fingerprint FROM {asked}"
                " JOIN tvdb.parsed_documents p ON p.document_id = w.id"
                " AND p.content_sha256 = w.content AND p.fingerprint = w.print",
                (ids, hashes, prints, suffixes),
            )
            own = {row["document_id"]: StoredParse(**row) for row in c}
            c.execute(
                f"SELECT DISTINCT ON (w.id) w.id AS wanted_by, p.* FROM {asked}"
                " JOIN tvdb.parsed_documents p ON p.content_sha256 = w.content"
                " AND p.fingerprint = w.print AND p.suffix = w.suffix"
                " WHERE w.id <> ALL(%s) ORDER BY w.id, p.parsed_id",
                (ids, hashes, prints, suffixes, list(own)),
            )
            return own, {row["wanted_by"]: (row["parsed_id"], _parsed(row)) for row in c}

    def latest_parses(self, document_ids: Sequence[int]) -> dict[int, StoredParse]:
        """Each document's newest stored text, by document id."""
        with self._database.transaction() as tx, tx.cursor(row_factory=class_row(StoredParse)) as c:
            c.execute(
                "SELECT DISTINCT ON (document_id) parsed_id, document_id, content_sha256,"
                " fingerprint FROM tvdb.parsed_documents WHERE document_id = ANY(%s)"
                " ORDER BY document_id, parsed_id DESC",
                (list(document_ids),),
            )
            return {row.document_id: row for row in c}

    def parsed(self, parsed_id: int) -> ParsedDocument:
        """One stored text with its structure."""
        with self._database.transaction() as tx, tx.cursor(row_factory=dict_row) as c:
            c.execute("SELECT * FROM tvdb.parsed_documents WHERE parsed_id = %s", (parsed_id,))
            row = c.fetchone()
        if row is None:
            raise LookupError(f"no parsed document {parsed_id}")
        return _parsed(row)

    def chunk_sets(
        self, parsed_ids: Sequence[int], fingerprint: str | None
    ) -> dict[int, StoredChunkSet]:
        """By parsed id: the set that a chunker made, or with None the newest of any chunker."""
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(StoredChunkSet)) as c,
        ):
            c.execute(
                "SELECT DISTINCT ON (parsed_id) chunk_set_id, parsed_id, document_id,"
                " chunk_count, token_count FROM tvdb.chunk_sets WHERE parsed_id = ANY(%s)"
                " AND (%s::text IS NULL OR fingerprint = %s) ORDER BY parsed_id, chunk_set_id DESC",
                (list(parsed_ids), fingerprint, fingerprint),
            )
            return {row.parsed_id: row for row in c}

    def store_parses(self, parses: Sequence[NewParse]) -> dict[int, int]:
        """Store parsed texts; returns the parsed id by document id."""
        if not parses:
            return {}
        with self._database.transaction() as tx:
            ids = _draw_ids(tx, "tvdb.parsed_documents", "parsed_id", len(parses))
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
                        + (list(p.notes), Jsonb(p.facts), *_made_by(p.made_by), self.run_id)
                    )
        return {new.document_id: i for i, new in zip(ids, parses, strict=True)}

    def store_chunk_sets(
        self, sets: Sequence[NewChunkSet], made_by: Provenance
    ) -> dict[int, StoredChunkSet]:
        """Store chunk sets with their chunks; returns them by document id."""
        if not sets:
            return {}
        stored: dict[int, StoredChunkSet] = {}
        provenance = (*_made_by(made_by), self.run_id)
        with self._database.transaction() as tx:
            ids = _draw_ids(tx, "tvdb.chunk_sets", "chunk_set_id", len(sets))
            with tx.cursor().copy(
                "COPY tvdb.chunk_sets (chunk_set_id, parsed_id, document_id, fingerprint,"
                " chunk_count, token_count, run_id) FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(_types("int8 int8 int8 text int4 int4 text"))
                for set_id, new in zip(ids, sets, strict=True):
                    tokens = sum(chunk.token_count for chunk in new.chunks)
                    copy.write_row(
                        (set_id, new.parsed_id, new.document_id, new.fingerprint)
                        + (len(new.chunks), tokens, self.run_id)
                    )
                    stored[new.document_id] = StoredChunkSet(
                        set_id, new.parsed_id, new.document_id, len(new.chunks), tokens
                    )
            with tx.cursor().copy(
                "COPY tvdb.chunks (chunk_set_id, document_id, ordinal, start_offset, end_offset,"
                " page_first, page_last, heading_path, token_count, text_sha256, text,"
                " service, mode, model, version, is_degraded, run_id) FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(
                    _types(
                        "int8 int8 int4 int4 int4 int4 int4 text[] int4"
                        " bytea text text text text text bool text"
                    )
                )
                for set_id, new in zip(ids, sets, strict=True):
                    for c in new.chunks:
                        copy.write_row(
                            (set_id, new.document_id, c.ordinal, c.start, c.end, c.page_first)
                            + (c.page_last, list(c.heading_path), c.token_count, c.sha256, c.text)
                            + provenance
                        )
        return stored

    def space_id(self, space: VectorSpace, *, is_mock: bool) -> int:
        """The row of a vector space, made when it is new."""
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT INTO tvdb.vector_spaces"
                " (label, provider, model, dimensions, version, is_mock, run_id)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (label) DO NOTHING",
                (space.label, space.provider, space.model, space.dimensions, space.version)
                + (is_mock, self.run_id),
            )
            row = tx.execute(
                "SELECT space_id FROM tvdb.vector_spaces WHERE label = %s", (space.label,)
            ).fetchone()
        assert row is not None
        return int(row[0])

    def texts_without_vector(
        self, space_id: int, chunk_set_ids: Sequence[int], refused: Sequence[bytes], limit: int
    ) -> list[tuple[bytes, str, int]]:
        """Distinct texts of these sets that the space has no vector for, at most ``limit``.

        Args:
            space_id: the space.
            chunk_set_ids: whose chunks.
            refused: hashes of texts that were tried and have no vector.
            limit: the most to return; ask again for the rest.

        Returns:
            (sha256, text, cl100k tokens), each text once.
        """
        with self._database.transaction() as tx:
            return tx.execute(
                "SELECT DISTINCT ON (c.text_sha256) c.text_sha256, c.text, c.token_count"
                " FROM tvdb.chunks c WHERE c.chunk_set_id = ANY(%s)"
                " AND c.text_sha256 <> ALL(%s::bytea[])"
                " AND NOT EXISTS (SELECT FROM tvdb.embeddings e"
                "   WHERE e.space_id = %s AND e.text_sha256 = c.text_sha256)"
                " ORDER BY c.text_sha256 LIMIT %s",
                (list(chunk_set_ids), list(refused), space_id, limit),
            ).fetchall()

    def store_vectors(
        self,
        space_id: int,
        texts: Sequence[tuple[bytes, int]],
        vectors: NDArray[np.float32],
        made_by: Provenance,
    ) -> None:
        """Store vectors, one a text, committed when this returns.

        Args:
            space_id: the space that the vectors belong to.
            texts: (sha256, tokens) of each text.
            vectors: shape (len(texts), dimensions), checked by the caller.
            made_by: who made them.
        """
        try:
            self._copy_vectors(space_id, texts, vectors, made_by, "tvdb.embeddings")
        except psycopg.errors.UniqueViolation:
            # Another run embedded one of these texts meanwhile; its vector is as good.
            self._copy_vectors(space_id, texts, vectors, made_by, "pg_temp.new_embeddings")

    def _copy_vectors(
        self,
        space_id: int,
        texts: Sequence[tuple[bytes, int]],
        vectors: NDArray[np.float32],
        made_by: Provenance,
        table: str,
    ) -> None:
        columns = (
            "space_id, text_sha256, embedding, token_count,"
            " service, mode, model, version, is_degraded, run_id"
        )
        rest = (*_made_by(made_by), self.run_id)
        with self._database.transaction() as tx:
            staged = table != "tvdb.embeddings"
            if staged:
                tx.execute(
                    "CREATE TEMP TABLE new_embeddings (LIKE tvdb.embeddings INCLUDING DEFAULTS)"
                    " ON COMMIT DROP"
                )
            with tx.cursor().copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(_types("int2 bytea vector int4 text text text text bool text"))
                for (sha256, tokens), vector in zip(texts, vectors, strict=True):
                    copy.write_row((space_id, sha256, vector, tokens, *rest))
            if staged:
                tx.execute(
                    f"INSERT INTO tvdb.embeddings ({columns}) SELECT {columns}"
                    " FROM pg_temp.new_embeddings ON CONFLICT DO NOTHING"
                )

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

    def publish(self, space_id: int, sets: Sequence[StoredChunkSet]) -> set[int]:
        """Show these sets in a space and drop what they replace, in one transaction.

        Returns:
            The ids of the documents whose published set changed.
        """
        if not sets:
            return set()
        documents = [s.document_id for s in sets]
        chunk_sets = [s.chunk_set_id for s in sets]
        with self._database.transaction() as tx:
            changed = tx.execute(
                "INSERT INTO tvdb.publications (document_id, space_id, chunk_set_id, run_id)"
                " SELECT d, %s, s, %s FROM unnest(%s::bigint[], %s::bigint[]) AS n(d, s)"
                " ON CONFLICT (document_id, space_id) DO UPDATE SET"
                "   chunk_set_id = excluded.chunk_set_id, run_id = excluded.run_id,"
                "   published_at = now()"
                " WHERE publications.chunk_set_id <> excluded.chunk_set_id"
                " RETURNING document_id",
                (space_id, self.run_id, documents, chunk_sets),
            ).fetchall()
            # What a mock made goes as soon as the real thing is there.
            tx.execute(
                "DELETE FROM tvdb.publications p USING tvdb.vector_spaces s, tvdb.vector_spaces n"
                " WHERE p.space_id = s.space_id AND s.is_mock AND n.space_id = %s"
                " AND NOT n.is_mock AND p.document_id = ANY(%s)",
                (space_id, documents),
            )
            tx.execute(
                "DELETE FROM tvdb.chunk_sets k WHERE document_id = ANY(%s) AND NOT EXISTS"
                " (SELECT FROM tvdb.publications u WHERE u.chunk_set_id = k.chunk_set_id)",
                (documents,),
            )
            tx.execute(
                "DELETE FROM tvdb.parsed_documents p WHERE document_id = ANY(%s) AND NOT EXISTS"
                " (SELECT FROM tvdb.chunk_sets k WHERE k.parsed_id = p.parsed_id)",
                (documents,),
            )
            tx.execute(
                "UPDATE tvdb.vector_spaces SET is_current = true WHERE space_id = %s"
                " AND NOT is_mock AND NOT EXISTS"
                "   (SELECT FROM tvdb.vector_spaces WHERE is_current)",
                (space_id,),
            )
            self._mark(tx, documents, "published", Stage.EMBEDDINGS)
        return {row[0] for row in changed}

    def mark_advanced(self, document_ids: Sequence[int], stage: Stage) -> None:
        """Note that a stage before the last went well; what is published stays so."""
        with self._database.transaction() as tx:
            self._mark(tx, list(document_ids), "advanced", stage)

    def _mark(self, tx: Connection, documents: list[int], outcome: str, stage: Stage) -> None:
        # A document that reached an early stage counts as published only while what is
        # published was made of the text that is stored last.
        status = (
            "'published'"
            if outcome == "published"
            else (
                "CASE WHEN EXISTS (SELECT FROM tvdb.publications u JOIN tvdb.chunk_sets k"
                " USING (chunk_set_id) WHERE u.document_id = d.document_id AND k.parsed_id ="
                " (SELECT max(parsed_id) FROM tvdb.parsed_documents p"
                "  WHERE p.document_id = d.document_id)) THEN 'published' ELSE 'registered' END"
            )
        )
        tx.execute(
            f"UPDATE tvdb.documents d SET status = {status}, failed_stage = NULL,"
            " error_code = NULL, error_message = NULL, error_remedy = NULL, disposition = NULL,"
            " attempts = 0, recipe = %s, run_id = %s, updated_at = now()"
            " WHERE document_id = ANY(%s)",
            (self._recipe, self.run_id, documents),
        )
        tx.execute(
            "INSERT INTO tvdb.document_events (document_id, run_id, outcome, stage)"
            " SELECT unnest(%s::bigint[]), %s, %s, %s",
            (documents, self.run_id, outcome, stage.value),
        )

    def record_contents(self, contents: Mapping[int, tuple[int, str, bytes]]) -> None:
        """Note what was read of each document: its size in bytes, etag and sha256."""
        rows = [(size, etag, sha, i) for i, (size, etag, sha) in contents.items()]
        with self._database.transaction() as tx, tx.cursor() as cursor:
            cursor.executemany(
                "UPDATE tvdb.documents SET size = %s, etag = %s, sha256 = %s"
                " WHERE document_id = %s",
                rows,
            )

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Note why documents failed; what is published of them stays."""
        with self._database.transaction() as tx, tx.cursor() as cursor:
            cursor.executemany(
                "UPDATE tvdb.documents SET status = 'failed', failed_stage = %s, error_code = %s,"
                " error_message = %s, error_remedy = %s, disposition = %s,"
                " attempts = attempts + 1, recipe = %s, run_id = %s, updated_at = now()"
                " WHERE document_id = %s",
                [
                    (f.stage.value, f.error.code, f.error.message, f.error.remedy)
                    + (f.error.disposition.value, self._recipe, self.run_id, f.document_id)
                    for f in failures
                ],
            )
            cursor.executemany(
                "INSERT INTO tvdb.document_events"
                " (document_id, run_id, outcome, stage, code, message)"
                " VALUES (%s, %s, 'failed', %s, %s, %s)",
                [
                    (f.document_id, self.run_id, f.stage.value, f.error.code, f.error.message)
                    for f in failures
                ],
            )

    def promote_space(self, space_id: int) -> bool:
        """Let search read this space, if it is real and shows every published document.

        Returns:
            Whether search reads it now.
        """
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT is_current, is_mock, EXISTS (SELECT FROM tvdb.publications p"
                "   JOIN tvdb.vector_spaces c ON c.space_id = p.space_id AND c.is_current"
                "   WHERE NOT EXISTS (SELECT FROM tvdb.publications n"
                "     WHERE n.document_id = p.document_id AND n.space_id = s.space_id))"
                " FROM tvdb.vector_spaces s WHERE space_id = %s FOR UPDATE",
                (space_id,),
            ).fetchone()
            assert row is not None
            is_current, is_mock, has_holes = row
            if is_current or is_mock or has_holes:
                return bool(is_current)
            tx.execute("UPDATE tvdb.vector_spaces SET is_current = false WHERE is_current")
            tx.execute(
                "UPDATE tvdb.vector_spaces SET is_current = true WHERE space_id = %s", (space_id,)
            )
            return True


def _draw_ids(tx: Connection, table: str, column: str, count: int) -> list[int]:
    rows = tx.execute(
        "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
        (table, column, count),
    ).fetchall()
    return [row[0] for row in rows]


def _types(names: str) -> list[str]:
    return names.split()


def _made_by(made_by: Provenance) -> tuple[str, str, str, str, bool]:
    return made_by.service, made_by.mode, made_by.model, made_by.version, made_by.is_degraded


def _parsed(row: Mapping[str, Any]) -> ParsedDocument:
    return ParsedDocument(
        text=row["text"],
        media_type=row["media_type"],
        is_markdown=row["is_markdown"],
        made_by=Provenance(
            row["service"], row["mode"], row["model"], row["version"], row["is_degraded"]
        ),
        title=row["title"],
        page_starts=tuple(row["page_starts"]),
        headings=tuple(Heading(**h) for h in row["headings"]),
        encoding=row["encoding"],
        notes=tuple(row["notes"]),
        facts=row["facts"],
    )
