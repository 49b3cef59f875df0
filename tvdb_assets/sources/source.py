"""The source of the documents: a folder or a bucket.

What belongs here: the choice between the two, and listing several prefixes. What does not: how
files are listed and read (`folder`, `bucket`), whether a file changed
(`core.source_comparison`), or the meaning of its bytes (`parsing.formats`).

`source_store.is_ignored` says which files are left out without an error. Every other file is
listed, or its `SourceError` is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.bucket import BucketStore
from tvdb_assets.sources.folder import FolderStore
from tvdb_assets.sources.source_store import ListedPage, SourceStore
from tvdb_assets.sources.stalls import STALL_SECONDS, GuardedStore, StalledError, StallGuard

ROOT_SECONDS = 10.0
"""Longest time to look for links on the way to a folder."""


class Source:
    """Lists and reads documents; create it with `Source.open`. Threads may share it."""

    def __init__(self, root: str, store: SourceStore) -> None:
        """Use `Source.open`, which chooses between a folder and a bucket."""
        self.root = root
        """The identity of the source: the absolute real path of the folder, or the URL."""
        self._store = store

    @classmethod
    def open(cls, url_or_path: str, timeout_seconds: float = STALL_SECONDS) -> Source:
        """A folder, or a bucket with an optional prefix: ``s3://bucket/prefix``.

        Buckets take credentials and endpoint from the variables of their provider (``AWS_…``).

        Args:
            url_or_path: the source.
            timeout_seconds: how long a folder may give no answer, as a mount whose server is gone,
                or how long a request to a bucket may take.

        Raises:
            ConfigurationError: there is no such folder, or the URL can't be used.
        """
        root = source_root(url_or_path)
        scheme, separator, _ = root.partition("://")
        if separator:
            return cls(root, BucketStore(root, scheme, timeout_seconds))
        guard = StallGuard(root, timeout_seconds)
        try:
            if not guard.run(lambda: Path(root).is_dir()):
                raise codes.SOURCE_MISSING.error(root=root)
        except StalledError:
            raise codes.SOURCE_STALLED.error(root=root, seconds=timeout_seconds) from None
        return cls(root, GuardedStore(FolderStore(root), guard))

    @classmethod
    def reopen(cls, root: str, timeout_seconds: float = STALL_SECONDS) -> Source:
        """The source with this identity, as it was stored with a document.

        Raises:
            ConfigurationError: as of `open`, or its path leads to another folder now: a folder was
                exchanged for a link.
        """
        source = cls.open(root, timeout_seconds)
        if source.root != root:
            raise codes.SOURCE_MISSING.error(root=root)
        return source

    def list(self, prefixes: Sequence[str] = ()) -> Iterator[SourceFile | SourceError]:
        """All documents, or those at or under ``prefixes``, sorted by path, each once.

        A file that must not be read is listed as the `SourceError` with the reason. Its
        ``document`` is the path, with a backslash and hex digits for bytes that are not UTF-8.
        A part that can't be listed is listed as the error `error_codes.UNLISTED` of its path,
        which is empty for the whole source: whether documents are below it is then not known.

        Raises:
            ConfigurationError: the source as a whole can't be listed.
        """
        listed = ""
        # A key of a bucket may begin with a slash.
        starts = "" if "://" in self.root else "/"
        wanted = {p.lstrip(starts).rstrip("/") for p in prefixes}
        for prefix in sorted(wanted) if prefixes else [""]:
            if listed and (prefix == listed or prefix.startswith(listed + "/")):
                continue
            listed = prefix
            yield from self._store.list(prefix)
            if not prefix:
                return

    def pages(self, after: str = "") -> Iterator[ListedPage]:
        """All documents page by page, from a position on; see `SourceStore.pages`.

        Raises:
            ConfigurationError: the source as a whole can't be listed.
        """
        return self._store.pages(after)

    def stat(self, path: str) -> SourceFile:
        """One document as `list` would return it.

        Raises:
            SourceError: it is gone or must not be read.
        """
        return self._store.stat(path)

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """All bytes of a document.

        Raises:
            SourceError: it is gone, must not be read, has more than ``max_bytes`` bytes, or
                changed while it was read.
        """
        return self._store.read(path, max_bytes)

    def fetch(self, path: str, *, max_bytes: int) -> tuple[SourceFile, bytes]:
        """A document as `stat` and `read` return it, in as few requests as possible.

        Raises:
            SourceError: see `read`.
        """
        return self._store.fetch(path, max_bytes)

    def fetch_all(
        self, paths: Sequence[str], *, max_bytes: int
    ) -> Iterator[tuple[SourceFile, bytes] | SourceError]:
        """Documents as `fetch` returns them, or why not, in the order of their paths.

        Those of a bucket are read at the same time, because each waits for the network.
        """

        def fetch(path: str) -> tuple[SourceFile, bytes] | SourceError:
            try:
                return self._store.fetch(path, max_bytes)
            except SourceError as error:
                return error

        at_once = min(self._store.reads_in_flight, len(paths))
        if at_once <= 1:
            yield from map(fetch, paths)
            return
        with ThreadPoolExecutor(at_once, "tvdb-read") as threads:
            yield from threads.map(fetch, paths)


def source_root(url_or_path: str) -> str:
    """The identity of a source, whether it is there or not; see `Source.root`."""
    scheme, separator, rest = url_or_path.partition("://")
    if separator and scheme != "file":
        return scheme + separator + rest.rstrip("/")
    path = Path(url_or_path.removeprefix("file://") if separator else url_or_path).expanduser()
    try:
        return StallGuard(str(path), ROOT_SECONDS).run(lambda: os.path.realpath(path))
    except StalledError:
        # Commands that only read the index must not fail with the source.
        return os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps ".."
