"""Texts that a paid service parsed and no document has any more, kept for TVDB_CACHE_DAYS.

What belongs here: keeping them, and deleting those of a document that a person forgets. What does
not: finding one by the bytes of a file (`parsed_texts`), or their end (`retention`).

A folder that was not mounted for an hour comes back with bytes that were parsed before, and so does
a file that was replaced by mistake. Without the text, the service would be paid twice. A text that
this machine parsed is deleted with its document, and parsed again if the file returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from psycopg.types.json import Jsonb

from tvdb_assets.repositories.database import Connection
from tvdb_assets.repositories.rows import NewParse

_COLUMNS = (
    "content_sha256, fingerprint, suffix, text, title, media_type, is_markdown, encoding,"
    " page_starts, headings, notes, facts, service, mode, model, version, is_degraded, run_id"
)


def keep_parses_sql(dropped: str) -> str:
    """The end of a statement that keeps those of the parsed texts that a paid service made.

    Args:
        dropped: the name of a table or of a part of the statement, with columns of
            `tvdb.parsed_documents`.
    """
    values = ", ".join(f"p.{column.strip()}" for column in _COLUMNS.split(","))
    return (
        f"INSERT INTO tvdb.unused_parses AS u (source, path, {_COLUMNS})"
        " SELECT DISTINCT ON (p.content_sha256, p.fingerprint, p.suffix)"
        f" d.source, d.path, {values}"
        f" FROM {dropped} p JOIN tvdb.documents d ON d.document_id = p.document_id"
        " WHERE p.mode = 'real' AND NOT p.is_degraded"
        " ON CONFLICT (content_sha256, fingerprint, suffix) DO UPDATE"
        " SET dropped_at = excluded.dropped_at, source = excluded.source, path = excluded.path"
    )


def keep_parse(tx: Connection, new: NewParse, source: str, path: str, run_id: str) -> None:
    """Keep a text that a paid service made of a document which was deleted meanwhile.

    Args:
        tx: the transaction that posts its cost.
        new: the text.
        source: of the document.
        path: of the document.
        run_id: of the run that paid for it.
    """
    p, by = new.parsed, new.parsed.produced_by
    values = (
        *(source, path, new.content_sha256, new.fingerprint, new.suffix, p.text, p.title),
        *(p.media_type, p.is_markdown, p.encoding, list(p.page_starts)),
        *(Jsonb([asdict(heading) for heading in p.headings]), list(p.notes), Jsonb(p.facts)),
        *(by.service, by.mode, by.model, by.version, by.is_degraded, run_id),
    )
    tx.execute(
        f"INSERT INTO tvdb.unused_parses (source, path, {_COLUMNS})"
        f" VALUES ({', '.join(['%s'] * len(values))}) ON CONFLICT DO NOTHING",
        values,
    )


def forget_parses(tx: Connection, document_ids: Sequence[int]) -> None:
    """Delete the kept texts of documents and of what was in them, also of earlier versions.

    Args:
        tx: the transaction, in which the documents are not deleted yet.
        document_ids: the documents.
    """
    tx.execute(
        "DELETE FROM tvdb.unused_parses u USING tvdb.documents d"
        " WHERE d.document_id = ANY(%s) AND (u.source = d.source"
        "   AND (u.path = d.path OR starts_with(u.path, d.path || '!/'))"
        "   OR u.content_sha256 IN (SELECT p.content_sha256 FROM tvdb.parsed_documents p"
        "     WHERE p.document_id = d.document_id))",
        (list(document_ids),),
    )
