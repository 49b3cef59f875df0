"""The sources of registered documents: counts, and moving documents to another source.

What belongs here: statements on all documents of a source. What does not: listing a source
(`sources`), or the deletion of documents (`deletion`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from tvdb_assets.lifecycle.states import DocumentStatus
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle


@dataclass(frozen=True, slots=True)
class RegisteredSource:
    """A source that has documents in the database."""

    root: str
    documents: int
    """Number of its files, without their members."""


@dataclass(frozen=True, slots=True)
class SourceScan:
    """What the last scan of a source left for a person."""

    source: str
    scanned_at: datetime
    unlisted: list[str]
    """Folders that could not be listed; empty text is the whole source."""
    held: int
    """Number of documents that are missing, and not deleted until a person confirms it."""


class DocumentSources:
    """The sources of one database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def all(self) -> list[RegisteredSource]:
        """All sources of registered documents, sorted by root."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT source, count(*) FROM tvdb.documents"
                " WHERE container_id IS NULL AND gone_at IS NULL GROUP BY 1 ORDER BY 1"
            ).fetchall()
        return [RegisteredSource(*row) for row in rows]

    def document_ids(self, source: str) -> list[int]:
        """The document ids of the files of a source."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT document_id FROM tvdb.documents"
                " WHERE source = %s AND container_id IS NULL ORDER BY 1",
                (source,),
            ).fetchall()
        return [row[0] for row in rows]

    def duplicates(self, old: str, new: str) -> list[int]:
        """The document ids to delete before a move, one for each path that both sources have.

        The published document is kept. If both are published, the one of the new source is kept.
        """
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT CASE WHEN n.status <> %(published)s AND o.status = %(published)s"
                "   THEN n.document_id ELSE o.document_id END"
                " FROM tvdb.documents o JOIN tvdb.documents n ON n.path = o.path"
                "   AND n.source = %(new)s AND n.container_id IS NULL"
                " WHERE o.source = %(old)s AND o.container_id IS NULL",
                {"old": old, "new": new, "published": DocumentStatus.PUBLISHED.value},
            ).fetchall()
        return [row[0] for row in rows]

    def move(self, old: str, new: str) -> int:
        """Move all documents of a source to another source, which must not have any of their paths.

        Returns:
            The number of files.
        """
        values = {"old": old, "new": new}
        with self._database.transaction() as tx:
            moved = DocumentLifecycle(tx).move_source(old, new)
            tx.execute(
                "DELETE FROM tvdb.forgotten_files o WHERE source = %(old)s AND EXISTS"
                " (SELECT FROM tvdb.forgotten_files n"
                "  WHERE n.source = %(new)s AND n.path = o.path)",
                values,
            )
            tx.execute("DELETE FROM tvdb.source_scans WHERE source = %(old)s", values)
            # An incomplete scan of the new source has not looked for these documents.
            tx.execute("DELETE FROM tvdb.scan_progress WHERE source IN (%(old)s, %(new)s)", values)
            tx.execute(
                "UPDATE tvdb.forgotten_files SET source = %(new)s WHERE source = %(old)s", values
            )
            tx.execute(
                "UPDATE tvdb.unused_parses SET source = %(new)s WHERE source = %(old)s", values
            )
        return moved

    def record_scan(self, source: str, unlisted: Sequence[str], held: int) -> None:
        """Record the result of a scan of a whole source."""
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT INTO tvdb.source_scans (source, unlisted, held) VALUES (%s, %s, %s)"
                " ON CONFLICT (source) DO UPDATE SET scanned_at = excluded.scanned_at,"
                " unlisted = excluded.unlisted, held = excluded.held",
                (source, list(unlisted), held),
            )

    def open_scans(self) -> list[SourceScan]:
        """The last scan of each source for which a person has something to do."""
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(SourceScan)) as cursor,
        ):
            cursor.execute(
                "SELECT source, scanned_at, unlisted, held FROM tvdb.source_scans"
                " WHERE held > 0 OR cardinality(unlisted) > 0 ORDER BY source"
            )
            return cursor.fetchall()
