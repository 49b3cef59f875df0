"""The state of a scan of a source that takes several ticks of a sensor.

What belongs here: how far a scan is, which documents it has listed, and which ones it has not. What
does not: listing (`sources`), the comparison (`core.source_comparison`), or what is done with a
document that is gone (`deletion`).

Only a complete scan shows that a file is gone. So the documents that a scan lists are stored with
its position, in arrays of a page each: a million ids are some megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tvdb_assets.repositories.database import Database

_FETCHED_AT_ONCE = 10_000


@dataclass(slots=True)
class ScanProgress:
    """An incomplete scan."""

    source: str
    started_at: datetime
    newest_document: int
    """The largest document id at its start. The scan may have passed the place of a newer one."""
    position: str = ""
    """The last path that was listed; empty at the start."""
    listed: int = 0
    """Number of files that were listed so far."""
    unlisted: list[str] = field(default_factory=list)
    """Parts that could not be listed so far; empty text is the whole source."""
    is_resumed: bool = False
    """Whether an earlier tick started it."""


class ScanProgressStore:
    """Stores the incomplete scans of a database; use it in `DueDocuments.planning`."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def resume_or_start(self, source: str) -> ScanProgress:
        """The incomplete scan of a source, or a new one, which is not stored yet."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT started_at, newest_document, position, listed, unlisted"
                " FROM tvdb.scan_progress WHERE source = %s",
                (source,),
            ).fetchone()
            if row is not None:
                started_at, newest, position, listed, unlisted = row
                return ScanProgress(
                    source, started_at, newest, position, listed, unlisted, is_resumed=True
                )
            start = tx.execute(
                "SELECT tvdb.clock(), coalesce(max(document_id), 0) FROM tvdb.documents"
            ).fetchone()
        assert start is not None
        return ScanProgress(source, *start)

    def store(self, progress: ScanProgress, page: int, document_ids: Sequence[int]) -> None:
        """Store the progress after a page.

        Args:
            progress: the scan, after the page.
            page: the number of files that were listed before the page.
            document_ids: the registered documents of the page.
        """
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT INTO tvdb.scan_progress"
                " (source, started_at, newest_document, position, listed, unlisted)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (source) DO UPDATE SET"
                " position = excluded.position, listed = excluded.listed,"
                " unlisted = excluded.unlisted",
                (
                    *(progress.source, progress.started_at, progress.newest_document),
                    *(progress.position, progress.listed, progress.unlisted),
                ),
            )
            if document_ids:
                tx.execute(
                    "INSERT INTO tvdb.scan_pages (source, page, document_ids) VALUES (%s, %s, %s)"
                    " ON CONFLICT (source, page) DO UPDATE"
                    " SET document_ids = scan_pages.document_ids || excluded.document_ids",
                    (progress.source, page, list(document_ids)),
                )

    def count_known(self, progress: ScanProgress) -> int:
        """The number of files of the source that the scan should find, and that are not gone."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT count(*) FROM tvdb.documents WHERE source = %s AND container_id IS NULL"
                " AND gone_at IS NULL AND document_id <= %s",
                (progress.source, progress.newest_document),
            ).fetchone()
        return int(row[0]) if row is not None else 0

    def missed(self, progress: ScanProgress, last_page: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Ids and paths of documents that are not gone yet and that the scan did not list.

        Args:
            progress: a scan that has reached the end of the source.
            last_page: the registered documents of the page that is not stored.
        """
        with self._database.transaction() as tx, tx.cursor(name="missed") as cursor:
            cursor.itersize = _FETCHED_AT_ONCE
            cursor.execute(
                "SELECT document_id, path FROM tvdb.documents d WHERE source = %(source)s"
                " AND container_id IS NULL AND gone_at IS NULL AND document_id <= %(newest)s"
                " AND NOT EXISTS (SELECT FROM ("
                "   SELECT unnest(document_ids) AS document_id FROM tvdb.scan_pages"
                "   WHERE source = %(source)s UNION ALL SELECT unnest(%(last)s::bigint[])"
                " ) s WHERE s.document_id = d.document_id) ORDER BY document_id",
                {
                    "source": progress.source,
                    "newest": progress.newest_document,
                    "last": list(last_page),
                },
            )
            yield from cursor

    def end(self, source: str) -> None:
        """Forget the scan of a source, because it is complete."""
        with self._database.transaction() as tx:
            tx.execute("DELETE FROM tvdb.scan_progress WHERE source = %s", (source,))
