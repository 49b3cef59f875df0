"""The parsed texts of documents: found by their bytes and parser, read and stored.

What belongs here: statements on `tvdb.parsed_documents`, and looking up a text that is kept
although no document has it. What does not: keeping those (`unused_parses`), or chunks
(`document_store`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from tvdb_assets.models import Heading, ParsedDocument, Provenance
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.deletion import lock_present
from tvdb_assets.repositories.rows import (
    DocumentRow,
    NewParse,
    StoredParse,
    provenance_row,
    reserve_ids,
    type_names,
)
from tvdb_assets.repositories.unused_parses import keep_parse

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


class ParsedTextStore:
    """Reads and writes the texts of one ingestion run."""

    def __init__(self, database: Database, run_id: str) -> None:
        """Nothing is read yet; the run id is stored with each text."""
        self._database = database
        self._run_id = run_id

    def find(
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

    def latest(self, document_ids: Sequence[int]) -> dict[int, StoredParse]:
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
            paid_prefix: as of `find`.
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

    def read(self, parsed_id: int) -> ParsedDocument:
        """One stored text with its structure."""
        with self._database.transaction() as tx, tx.cursor(row_factory=dict_row) as c:
            c.execute(
                f"SELECT {_TEXT} FROM tvdb.parsed_documents p WHERE parsed_id = %s", (parsed_id,)
            )
            row = c.fetchone()
        if row is None:
            raise LookupError(f"no parsed document {parsed_id}")
        return _parsed(row)

    def store(
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
            ids = reserve_ids(tx, "tvdb.parsed_documents", "parsed_id", len(parses))
            with tx.cursor().copy(
                "COPY tvdb.parsed_documents (parsed_id, document_id, content_sha256, fingerprint,"
                " suffix, text, title, media_type, is_markdown, encoding, page_starts, headings,"
                " notes, facts, service, mode, model, version, is_degraded, run_id)"
                " FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(
                    type_names(
                        "int8 int8 bytea text text text text text bool text "
                        "int4[] jsonb text[] jsonb text text text text bool text"
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
                            self._run_id,
                        )
                    )
        return stored | {
            new.document_id: (parsed_id, new.parsed)
            for parsed_id, new in zip(ids, parses, strict=True)
        }

    def store_paid(
        self, new: NewParse, row: DocumentRow, tx: Connection
    ) -> tuple[int, ParsedDocument] | None:
        """Store a text that was paid for, in the transaction that posts its cost.

        Returns:
            As of `store`, of this document. None if the document was deleted by a process
            that found it without its lock; then the text is kept for its bytes.
        """
        is_there = "SELECT FROM tvdb.documents WHERE document_id = %s FOR KEY SHARE"
        if not tx.execute(is_there, (new.document_id,)).fetchall():
            keep_parse(tx, new, row.source, row.path, self._run_id)
            return None
        return self.store([new], tx)[new.document_id]


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
