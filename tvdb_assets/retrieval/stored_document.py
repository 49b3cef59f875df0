"""The stored text of a document: what search sees of it, with pages, headings and provenance.

What belongs here: reading one document, and the list of sources. What does not: ranking
(`hybrid_search`), or how a document is displayed (`cli`, `serve`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from tvdb_assets import error_codes as codes
from tvdb_assets.models import Heading, Provenance
from tvdb_assets.redaction import display_path, printable
from tvdb_assets.repositories.database import Connection, Database

_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One document as it is stored; offsets are in code points of ``text``."""

    document_id: int
    source: str
    """Root folder or bucket that ``path`` is relative to."""
    path: str
    title: str | None
    media_type: str
    is_markdown: bool
    """Whether ``text`` is Markdown; otherwise it is plain text."""
    language: str | None
    """Language of the text as a code of ISO 639-1; None if it was not determined."""
    text: str
    page_starts: tuple[int, ...]
    """Start of each page in ``text``; empty for a format without pages."""
    headings: tuple[Heading, ...]
    notes: tuple[str, ...]
    """Remarks of the parser for the reader."""
    facts: Mapping[str, int] = field(hash=False)
    """Counts that the parser reported: ``tables``, ``attachments`` …"""
    produced_by: Provenance
    """The parser of the text."""
    run_id: str
    """Id of the run that parsed it, for ``tvdb trace``."""
    parsed_at: datetime
    content_sha256: str
    """SHA-256 of the file's bytes that the text comes from, in hexadecimal."""
    is_searched: bool
    """Whether search finds this text. Otherwise ``not_searched`` says why."""
    not_searched: str | None
    chunks: int
    """Number of passages of this text that search reads."""
    vector_space: str | None
    """Label of the space of its vectors; None if search does not find it."""
    is_outdated: bool
    """Whether the file had other bytes when it was read last."""
    status: str
    """State of the document: ``registered``, ``published``, ``failed`` or ``deferred``."""
    error_code: str | None
    """Code of the error that its last ingestion ended with."""

    @property
    def page_count(self) -> int | None:
        """Number of pages; None for a format without pages."""
        return len(self.page_starts) or None

    def page_at(self, offset: int) -> int | None:
        """The page at an offset, from 1; None for a format without pages."""
        return bisect_right(self.page_starts, offset) or 1 if self.page_starts else None

    def page_range(self, page: int) -> tuple[int, int]:
        """Start and end of a page in ``text``.

        Args:
            page: number of the page, from 1. A format without pages has one.

        Raises:
            ConfigurationError: there is no such page.
        """
        starts = self.page_starts or (0,)
        if not 1 <= page <= len(starts):
            raise codes.PAGE_UNKNOWN.error(
                name=display_path(self.path), page=page, pages=len(starts)
            )
        # Text before the first mark belongs to the first page.
        start = starts[page - 1] if page > 1 else 0
        return start, starts[page] if page < len(starts) else len(self.text)

    def as_json(self, page: int | None = None) -> dict[str, Any]:
        """The fields as values of JSON, for every interface that returns documents.

        Args:
            page: the only page whose text is included; None includes the whole text.

        Raises:
            ConfigurationError: there is no such page.
        """
        start, end = (0, len(self.text)) if page is None else self.page_range(page)
        fields = asdict(self)
        for name in ("text", "page_starts", "headings", "produced_by", "facts"):
            del fields[name]
        return fields | {
            "parsed_at": self.parsed_at.isoformat(),
            "page_count": self.page_count,
            "page": page,
            "start": start,
            "end": end,
            "text": self.text[start:end],
            "pages": [
                {"page": number + 1, "start": self.page_range(number + 1)[0]}
                for number in range(len(self.page_starts))
            ],
            "headings": [
                asdict(heading) | {"page": self.page_at(heading.offset)}
                for heading in self.headings
            ],
            "produced_by": asdict(self.produced_by),
            "facts": dict(self.facts),
        }

    def page_text(self, page: int) -> str:
        """The text of a page; see `page_range`."""
        start, end = self.page_range(page)
        return self.text[start:end]


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """A source, and what search finds of it."""

    source: str
    documents: int
    """Registered documents, with those inside of containers."""
    searched_documents: int
    """Documents that search finds."""
    media_types: tuple[str, ...]
    """Media types of the documents that search finds."""
    languages: tuple[str, ...]
    """Languages of the documents that search finds, as codes of ISO 639-1."""


def read_document(
    database: Database, name: str, *, source: str | None = None, preferred: str | None = None
) -> StoredDocument:
    """Read the stored text of a document: the one that search shows, or else the newest one.

    Args:
        database: contains the document.
        name: path of the document within its source, or its partition key in Dagster.
        source: the source; None accepts any.
        preferred: the source whose document is meant if several have the name.

    Raises:
        ConfigurationError: no document or several have this name, or it has no text yet.
    """
    with database.transaction() as tx:
        # The statements must see the same index, also when a switch happens between them.
        tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        document_id = _identify(tx, name, source, preferred)
        with tx.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_DOCUMENT, {"document": document_id}).fetchone()
    if row is None:
        raise codes.DOCUMENT_WITHOUT_TEXT.error(name=display_path(name))
    return _document(row)


def list_sources(database: Database) -> list[SourceSummary]:
    """All sources of registered documents, sorted by their name."""
    with database.transaction() as tx:
        rows = tx.execute(_SOURCES).fetchall()
    return [
        SourceSummary(source, documents, searched, tuple(media_types), tuple(languages))
        for source, documents, searched, media_types, languages in rows
    ]


def _identify(tx: Connection, name: str, source: str | None, preferred: str | None) -> int:
    # Postgres stores neither NUL nor halves of surrogate pairs, so no document has them.
    is_storable = not re.search("[\0\ud800-\udfff]", name + (source or ""))
    rows = (
        tx.execute(
            "SELECT document_id, source, path = %(name)s FROM tvdb.documents"
            " WHERE (path = %(name)s OR partition_key = %(name)s AND container_id IS NULL)"
            " AND (%(source)s::text IS NULL OR source = %(source)s) AND gone_at IS NULL"
            " ORDER BY path = %(name)s DESC, source",
            {"name": name, "source": source},
        ).fetchall()
        if is_storable
        else []
    )
    # A path is meant before a partition key that happens to be equal to it.
    rows = [row for row in rows if row[2] == rows[0][2]]
    if not rows:
        raise codes.DOCUMENT_UNKNOWN.error(name=display_path(name))
    if len(rows) > 1:
        rows = [row for row in rows if row[1] == preferred] or rows
    if len(rows) > 1:
        sources = ", ".join(printable(row[1]) for row in rows[:_MAX_NAMED])
        raise codes.DOCUMENT_AMBIGUOUS.error(
            name=display_path(name),
            sources=sources + (", …" if len(rows) > _MAX_NAMED else ""),
        )
    return int(rows[0][0])


def _document(row: Mapping[str, Any]) -> StoredDocument:
    return StoredDocument(
        document_id=row["document_id"],
        source=row["source"],
        path=row["path"],
        title=row["title"],
        media_type=row["media_type"],
        is_markdown=row["is_markdown"],
        language=row["language"],
        text=row["text"],
        page_starts=tuple(row["page_starts"]),
        headings=tuple(Heading(**heading) for heading in row["headings"]),
        notes=tuple(row["notes"]),
        facts=row["facts"],
        produced_by=Provenance(
            row["service"], row["mode"], row["model"], row["version"], row["is_degraded"]
        ),
        run_id=row["run_id"],
        parsed_at=row["created_at"],
        content_sha256=row["content_sha256"].hex(),
        is_searched=row["chunks"] > 0,
        not_searched=None if row["chunks"] else _why_not_searched(row),
        chunks=row["chunks"],
        vector_space=row["vector_space"] if row["chunks"] else None,
        is_outdated=row["is_outdated"],
        status=row["status"],
        error_code=row["error_code"],
    )


def _why_not_searched(row: Mapping[str, Any]) -> str:
    if row["mode"] == "mock":
        return "A mock parsed it."
    if row["is_degraded"]:
        return "A fallback parsed it while the paid service was unavailable."
    if row["is_published"]:
        return "A mock or a fallback embedded it."
    return f"It is not published yet: the document is {row['status']}."


# A text that the current index shows comes first, then the newest one.
_DOCUMENT = """
SELECT d.document_id, d.source, d.path, d.status, d.error_code, p.title, p.media_type,
       p.is_markdown, u.language, p.text, p.page_starts, p.headings,
       p.notes, p.facts, p.service, p.mode, p.model, p.version, p.is_degraded, p.run_id,
       p.created_at, p.content_sha256, coalesce(p.content_sha256 <> d.sha256, false) OR d.is_changed
         AS is_outdated,
       u.label AS vector_space, u.chunk_set_id IS NOT NULL AS is_published,
       CASE WHEN u.is_real AND NOT p.is_degraded AND p.mode <> 'mock' THEN u.chunk_count ELSE 0 END
         AS chunks
FROM tvdb.documents d JOIN tvdb.parsed_documents p USING (document_id)
LEFT JOIN (SELECT k.parsed_id, u.document_id, u.chunk_set_id, k.chunk_count, k.language,
                  s.label,
                  NOT (s.is_mock OR s.is_fallback) AS is_real
           FROM tvdb.publications u JOIN tvdb.chunk_sets k USING (chunk_set_id)
           JOIN tvdb.indexes i USING (index_id) JOIN tvdb.vector_spaces s USING (space_id)
           WHERE i.is_current) u
  ON u.document_id = d.document_id AND u.parsed_id = p.parsed_id
WHERE d.document_id = %(document)s
ORDER BY u.chunk_set_id IS NULL, p.created_at DESC, p.parsed_id DESC LIMIT 1
"""
_SOURCES = """
SELECT d.source, count(*), count(p.parsed_id),
       coalesce(array_agg(DISTINCT p.media_type) FILTER (WHERE p.parsed_id IS NOT NULL), '{}'),
       coalesce(array_agg(DISTINCT k.language)
                FILTER (WHERE p.parsed_id IS NOT NULL AND k.language IS NOT NULL), '{}')
FROM tvdb.documents d
LEFT JOIN (tvdb.publications u
           JOIN tvdb.indexes i ON i.index_id = u.index_id AND i.is_current
           JOIN tvdb.vector_spaces s ON s.space_id = i.space_id AND NOT (s.is_mock OR s.is_fallback)
           JOIN tvdb.chunk_sets k ON k.chunk_set_id = u.chunk_set_id
           JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id AND p.mode <> 'mock'
             AND NOT p.is_degraded)
  ON u.document_id = d.document_id
WHERE d.gone_at IS NULL
GROUP BY 1 ORDER BY 1
"""
