"""The interface of a place that holds documents, and the names that no source lists.

What belongs here: what folders and buckets have in common. What does not: how one of them is
listed and read (`folder`, `bucket`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile

_IGNORED = frozenset({"thumbs.db", "desktop.ini"})


class ListedPage(NamedTuple):
    """A part of a listing, which may be empty."""

    entries: Sequence[SourceFile | SourceError]
    position: str
    """Where a later listing continues after this page, see `SourceStore.pages`."""


class SourceStore(Protocol):
    """Lists and reads documents by their paths within the source, with ``/`` between parts."""

    @property
    def reads_in_flight(self) -> int:
        """Documents that are best read at the same time."""

    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]:
        """The documents at or under a prefix, sorted by path; an empty prefix lists all.

        A part that can't be listed is listed as the error `error_codes.UNLISTED`. Its
        ``document`` is the path of that part, empty for the whole source.

        Raises:
            ConfigurationError: the source as a whole can't be listed.
        """

    def pages(self, after: str) -> Iterator[ListedPage]:
        """All documents page by page, in the order of the store.

        A scan that takes longer than one process stores the position of its last page, and
        continues there. A store that lists in no order begins again, which lists more than once.

        Args:
            after: the position of an earlier page; empty for the beginning.

        Raises:
            ConfigurationError: the source as a whole can't be listed.
        """

    def stat(self, path: str) -> SourceFile:
        """One document as `list` would return it.

        Raises:
            SourceError: it is gone or must not be read.
        """

    def read(self, path: str, max_bytes: int) -> bytes:
        """All bytes of a document.

        Raises:
            SourceError: it is gone, must not be read, has more than ``max_bytes`` bytes, or
                changed while it was read.
        """

    def fetch(self, path: str, max_bytes: int) -> tuple[SourceFile, bytes]:
        """A document as `stat` and `read` return it, in as few requests as possible.

        Raises:
            SourceError: see `read`.
        """


def is_ignored(name: str) -> bool:
    """Whether a file or folder with this name is left out of listings without an error.

    These are names that start with a dot, ``~$`` lock files, ``Thumbs.db`` and ``desktop.ini``.
    """
    return name.startswith((".", "~$")) or name.lower() in _IGNORED
