"""A bucket of object storage as a source: ``s3://bucket/prefix``, ``gs://…``, ``az://…``.

What belongs here: listing and reading objects with obstore, which takes credentials and endpoint
from the environment variables of the provider. What does not: local files (`folder`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.source_store import ListedPage, is_ignored

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SCHEMES = frozenset({"s3", "gs", "az"})
_PAGE_OBJECTS = 1_000
"""Objects that are listed at once, as many as a page of S3 has."""


class BucketStore:
    """The documents of a bucket, or under a prefix of it."""

    def __init__(self, url: str, scheme: str) -> None:
        """Sends no request yet.

        Raises:
            ConfigurationError: the URL can't be used.
        """
        if scheme not in _SCHEMES:
            raise codes.SOURCE_UNUSABLE.error(url=url, why="its scheme is none of s3, gs and az")
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        try:
            self._objects: ObjectStore = from_url(url)
        except (BaseError, ValueError) as error:
            raise codes.SOURCE_UNUSABLE.error(url=url, why=type(error).__name__) from None
        self._url = url
        # Azure has no listing from a name on, and directory buckets are not sorted.
        self._is_sorted = not is_directory_bucket(url)
        self._continues_after_a_name = scheme in ("s3", "gs") and not is_directory_bucket(url)

    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]:
        """See `SourceStore.list`."""
        import obstore
        from obstore.exceptions import BaseError

        is_begun = False
        try:
            # A prefix must match whole parts of a path, so a single document is requested by its
            # own path first.
            if prefix:
                try:
                    yield _source_file(obstore.head(self._objects, prefix))
                    return
                except FileNotFoundError:
                    pass
            last = ""
            for page in obstore.list(self._objects, prefix or None):
                is_begun = True
                for metadata in page:
                    last = max(last, metadata["path"])
                    if not any(map(is_ignored, metadata["path"].split("/"))):
                        yield _source_file(metadata)
            if last and self._continues_after_a_name and not self._is_last(prefix, last):
                yield codes.UNLISTED.error(kind="the listing broke off").about(prefix)
        except (BaseError, OSError, ValueError) as error:
            if is_begun:
                # What was listed so far is there; nothing is known about the rest.
                yield codes.UNLISTED.error(kind=type(error).__name__).about(prefix)
                return
            raise codes.SOURCE_UNUSABLE.error(
                url=self._url, why=f"it can't be listed ({type(error).__name__})"
            ) from None

    def pages(self, after: str) -> Iterator[ListedPage]:
        """See `SourceStore.pages`; the position is the last key of a page, ignored or not."""
        import obstore
        from obstore.exceptions import BaseError

        last, is_begun = after, False
        offset = after if self._is_sorted else ""
        try:
            listing = obstore.list(self._objects, offset=offset or None, chunk_size=_PAGE_OBJECTS)
            for page in listing:
                is_begun = True
                # A server may ignore where to begin, and list all again.
                keys = [o for o in page if not offset or o["path"] > offset]
                last = max([last, *(o["path"] for o in keys)])
                files = [o for o in keys if not any(map(is_ignored, o["path"].split("/")))]
                yield ListedPage([_source_file(o) for o in files], last)
            if last and self._continues_after_a_name and not self._is_last("", last):
                broke_off = codes.UNLISTED.error(kind="the listing broke off").about("")
                yield ListedPage([broke_off], last)
        except (BaseError, OSError, ValueError) as error:
            if is_begun:
                broke_off = codes.UNLISTED.error(kind=type(error).__name__).about("")
                yield ListedPage([broke_off], last)
                return
            raise codes.SOURCE_UNUSABLE.error(
                url=self._url, why=f"it can't be listed ({type(error).__name__})"
            ) from None

    def _is_last(self, prefix: str, path: str) -> bool:
        """Whether a listing that ended with this path had all of its pages.

        A server can break off a listing without an error that obstore reports: a page that says
        that another one follows and not which, or an error in the body of a successful response.
        So the end is listed again, from just before the path, which must be the last one again.
        """
        import obstore

        offset, end = path[:-1], ""
        for page in obstore.list(self._objects, prefix or None, offset=offset or None):
            for metadata in page:
                if metadata["path"] <= offset:
                    return True  # the server ignores where to begin, and would list all again
                end = max(end, metadata["path"])
        return end == path

    def stat(self, path: str) -> SourceFile:
        """See `SourceStore.stat`."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            return _source_file(obstore.head(self._objects, path))
        except FileNotFoundError:
            raise codes.VANISHED.error().about(path) from None
        except (BaseError, OSError, ValueError) as error:
            raise codes.READ_FAILED.error(kind=type(error).__name__).about(path) from None

    def read(self, path: str, max_bytes: int) -> bytes:
        """See `SourceStore.read`."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            found = obstore.get(self._objects, path)
            if (size := found.meta["size"]) > max_bytes:
                raise codes.TOO_LARGE.error(size=size / 2**20, limit=max_bytes / 2**20).about(path)
            return bytes(found.bytes())
        except FileNotFoundError:
            raise codes.VANISHED.error().about(path) from None
        except (BaseError, OSError, ValueError) as error:
            raise codes.READ_FAILED.error(kind=type(error).__name__).about(path) from None


def is_directory_bucket(url: str) -> bool:
    """Whether a bucket of S3 is of the kind that lists its objects in no order."""
    return url.partition("://")[2].partition("/")[0].endswith("--x-s3")


def _source_file(metadata: object) -> SourceFile:
    values: dict[str, object] = dict(metadata)  # type: ignore[call-overload]
    modified = values["last_modified"]
    assert isinstance(modified, datetime)
    etag = values.get("e_tag") or f"{modified.isoformat()}-{values['size']}"
    return SourceFile(
        str(values["path"]),
        int(str(values["size"])),
        str(etag).strip('"'),
        modified_at=modified.timestamp(),
    )
