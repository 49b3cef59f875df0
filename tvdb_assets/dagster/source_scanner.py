"""One part of a scan of the source, within the time of a tick.

What belongs here: listing page by page, registering what is new or changed, and, at the end of the
source, what is gone. What does not: requesting runs (`reconciler`), or the comparison of a page
(`core.source_comparison`).

A scan of a large source takes many ticks. Each page is stored with the position after it, so a tick
that is killed loses one page. Only a scan that reached the end of the source can find a file gone.
A listing stays open between two ticks of one process; another process begins one at the position.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tvdb_assets import error_codes as codes
from tvdb_assets.core.source_comparison import allowed_deletions, compare
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_sources import DocumentSources
from tvdb_assets.repositories.scan_progress import ScanProgress, ScanProgressStore
from tvdb_assets.settings import Settings
from tvdb_assets.sources.source import Source
from tvdb_assets.sources.source_store import ListedPage

_UNPUBLISHED_AT_ONCE = 2_000
_LISTINGS: dict[tuple[str, str], Iterator[ListedPage]] = {}
"""Listings of this process that a tick left open, by source and position. A listing is taken out
while it is used, and `DueDocuments.planning` excludes other ticks."""


class TimeLimit:
    """The time that a tick may take, by a clock that a test can replace."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """The time starts now."""
        self._clock = clock
        self._end = clock() + seconds

    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._clock() >= self._end


@dataclass(slots=True)
class IntakeSummary:
    """The result of one part of a scan of the source, or of all of it."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    unsettled: int = 0
    """Left for the next scan, because something may still be writing to them."""
    deleted: int = 0
    held: int = 0
    """Gone, and not deleted until a person confirms it, because they are so many."""
    unlisted: list[SourceError] = field(default_factory=list)
    """Parts of the source that can't be listed, so that nothing below them was deleted."""
    is_complete: bool = True
    """Whether the scan has reached the end of the source; otherwise the next tick continues it."""
    listed: int = 0
    """Number of files that the scan has listed so far, in all of its ticks."""

    def cursor(self) -> str:
        """The progress, as the sensor's cursor; the database has what a scan continues from."""
        return json.dumps({"listed": self.listed, "is_complete": self.is_complete})

    def message(self) -> str:
        """The summary as a message on the page of a tick."""
        counts = {
            "new": self.new,
            "changed": self.changed,
            "gone": self.gone,
            "still being written": self.unsettled,
            "deleted": self.deleted,
            "missing and not deleted until tvdb ingest --delete confirms it": self.held,
            "parts that can't be listed": len(self.unlisted),
        }
        found = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        message = f"In the source: {found}." if found else "Nothing changed in the source."
        if not self.is_complete:
            message += f" {self.listed:,} files are listed so far; the next tick continues."
        return message


class SourceScanner:
    """Scans one source; use it in `DueDocuments.planning`."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        add: Callable[[Source, Sequence[SourceFile]], object],
    ) -> None:
        """Nothing is read yet.

        Args:
            database: the database of the documents.
            settings: how long a file settles, and the share of documents that may be gone.
            add: registers new files with their partitions.
        """
        self._database = database
        self._settings = settings
        self._add = add
        self._registry = DocumentRegistry(database)
        self._deletion = DocumentDeletion(database)
        self._scans = ScanProgressStore(database)

    def scan(self, source: Source, most: int, limit: TimeLimit) -> IntakeSummary:
        """Continue the scan of a source, or start one; at least one page is done.

        Args:
            source: it is listed, none of it is read.
            most: new and changed documents after which the next tick continues.
            limit: the time after which the next tick continues.

        Raises:
            ConfigurationError: the source can't be listed, or all known files are gone.
        """
        progress = self._scans.resume_or_start(source.root)
        summary = IntakeSummary()
        listing = _LISTINGS.pop((source.root, progress.position), None)
        listing = listing or source.pages(progress.position)
        unstored: tuple[int, list[int]] | None = None
        for page in listing:
            if unstored is not None:
                self._scans.store(progress, *unstored)
            unstored = progress.listed, self._process(source, page, progress, summary)
            if summary.new + summary.changed >= most or limit.is_over():
                self._scans.store(progress, *unstored)
                _LISTINGS[source.root, progress.position] = listing
                return replace(summary, is_complete=False, listed=progress.listed)
        self._complete(source, progress, unstored[1] if unstored else [], summary, limit)
        return replace(summary, listed=progress.listed)

    def _process(
        self,
        source: Source,
        page: ListedPage,
        progress: ScanProgress,
        summary: IntakeSummary,
    ) -> list[int]:
        """Register what is new or changed in a page; returns the ids of its known documents."""
        entries = page.entries
        paths = [path for entry in entries if (path := _path(entry))]
        known = self._registry.listed(source.root, paths)
        found = compare(
            entries,
            known,
            root=source.root,
            is_whole=False,
            written_before=time.time() - self._settings.intake_settle_seconds,
        )
        forgotten = self._deletion.forgotten_etags(source.root, [file.path for file in found.new])
        new = [file for file in found.new if forgotten.get(file.path) != file.etag]
        self._registry.change([(each.document_id, file) for each, file in found.changed])
        self._add(source, new)
        summary.new += len(new)
        summary.changed += len(found.changed)
        summary.unsettled += found.unsettled
        summary.unlisted += found.unlisted
        progress.unlisted += [part.document or "" for part in found.unlisted]
        progress.listed += len(entries) - len(found.unlisted)
        progress.position = page.position
        return [document.document_id for document in known.values()]

    def _complete(
        self,
        source: Source,
        progress: ScanProgress,
        last_page: Sequence[int],
        summary: IntakeSummary,
        limit: TimeLimit,
    ) -> None:
        """Take documents that the whole scan did not list out of search; delete older ones."""
        known = self._scans.count_known(progress)
        allowed = allowed_deletions(known, self._settings.deletion_share)
        count, gone = 0, list[int]()
        for document_id, path in self._scans.missed(progress, last_page):
            if not _is_hidden(path, progress.unlisted):
                count += 1
                if count <= allowed:
                    gone.append(document_id)
        if count and not progress.listed and "" not in progress.unlisted:
            self._scans.end(source.root)
            raise codes.SOURCE_EMPTY.error(root=source.root, known=count)
        summary.held = count if count > allowed else 0
        for start in range(0, 0 if summary.held else len(gone), _UNPUBLISHED_AT_ONCE):
            if start and limit.is_over():
                # The next tick finds the rest of them.
                self._scans.store(progress, progress.listed, last_page)
                summary.is_complete = False
                return
            batch = gone[start : start + _UNPUBLISHED_AT_ONCE]
            self._deletion.unpublish(batch)
            summary.gone += len(batch)
        self._scans.end(source.root)
        DocumentSources(self._database).record_scan(source.root, progress.unlisted, summary.held)
        # While a scan takes several ticks, a file may move from a place that the scan has not
        # reached yet to one that it has passed. The next scan finds it there.
        before = progress.started_at if progress.is_resumed else None
        summary.deleted = self._deletion.delete_unpublished(
            gone_before=before, is_over=limit.is_over
        )


def _path(entry: SourceFile | SourceError) -> str:
    """The path of a listed file; empty for the error of a whole source."""
    return entry.path if isinstance(entry, SourceFile) else entry.document or ""


def _is_hidden(path: str, unlisted: Sequence[str]) -> bool:
    """Whether a path is at or below a part of the source that can't be listed."""
    return any(not part or path == part or path.startswith(part + "/") for part in unlisted)
