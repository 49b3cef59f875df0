"""A bucket of object storage as a source: ``s3://bucket/prefix``, ``gs://…``, ``az://…``.

What belongs here: listing and reading objects with obstore, which takes credentials and endpoint
from the environment variables of the provider. What does not: keys that obstore can't express
(`s3_objects`), and local files (`folder`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.s3_objects import (
    BrokenListingError,
    Deadline,
    Page,
    S3Objects,
    check_size,
    is_plain,
    is_true,
    s3_option,
)
from tvdb_assets.sources.source_store import ListedPage, is_ignored
from tvdb_assets.sources.stalls import STALL_SECONDS

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

_SCHEMES = frozenset({"s3", "gs", "az"})
_PAGE_OBJECTS = 1_000
"""Objects that are listed at once, as many as a page of S3 has."""
_NUL = r"\x00"
READS_IN_FLIGHT = 32
"""Objects of a batch that are read at the same time, each of which waits for the network."""
MAX_RETRIES = 3
"""Of a request that got no answer, a broken one, or a server error; all are within the time limit
of the source, of which each may take its share."""
_CONNECT_SECONDS = 10.0
_WHOLE_ANSWER = timedelta(hours=1)
"""Of a request that makes progress; objects also have a limit by their size."""
_VARIABLES = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
_CLIENT_OPTIONS = (
    "allow_http",
    "allow_invalid_certificates",
    "http1_only",
    "http2_only",
    "proxy_url",
    "proxy_ca_certificate",
    "proxy_excludes",
    "user_agent",
)
"""obstore takes them from the environment only if it is given no others."""


class BucketStore:
    """The documents of a bucket, or under a prefix of it."""

    reads_in_flight = READS_IN_FLIGHT

    def __init__(self, url: str, scheme: str, timeout_seconds: float = STALL_SECONDS) -> None:
        """Sends no request yet.

        Args:
            url: of the bucket.
            scheme: of the URL.
            timeout_seconds: longest time for which the bucket may give no answer to a request,
                with all of its repetitions.

        Raises:
            ConfigurationError: the URL can't be used.
        """
        if scheme not in _SCHEMES:
            raise codes.SOURCE_UNUSABLE.error(url=url, why="its scheme is none of s3, gs and az")
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        self._url = url
        self._timeout_seconds = timeout_seconds
        parts = urlsplit(url)
        self._bucket, self._prefix = parts.netloc, unquote(parts.path.removeprefix("/"))
        # obstore would drop parts of an odd prefix, so that it reads none of its objects.
        self._is_plain = not self._prefix or is_plain(self._prefix)
        try:
            self._objects: ObjectStore = from_url(
                url if self._is_plain else f"{scheme}://{self._bucket}",
                client_options=self._client_options(scheme),
                retry_config={
                    "max_retries": MAX_RETRIES,
                    "retry_timeout": timedelta(seconds=timeout_seconds),
                },
                **(self._s3_options() if scheme == "s3" else {}),
            )
        except (BaseError, ValueError) as error:
            raise codes.SOURCE_UNUSABLE.error(url=url, why=type(error).__name__) from None
        # Azure has no listing from a name on, and directory buckets are not sorted.
        self._is_sorted = not is_directory_bucket(url)
        self._continues_after_a_name = scheme in ("s3", "gs") and not is_directory_bucket(url)

    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]:
        """See `SourceStore.list`."""
        if prefix:
            # A prefix must match whole parts of a path, so a single document is requested by its
            # own path. There may be documents below its name too.
            try:
                yield self.stat(prefix)
            except SourceError as error:
                if error.code != codes.VANISHED.code:
                    yield error
        for page in self._pages(prefix + "/" if prefix else "", ""):
            yield from page.entries

    def pages(self, after: str) -> Iterator[ListedPage]:
        """See `SourceStore.pages`; the position is the last key of a page, ignored or not."""
        return self._pages("", after)

    def _pages(self, prefix: str, after: str) -> Iterator[ListedPage]:
        """The pages of a listing, of which the last one says so if the listing broke off."""
        from botocore.exceptions import BotoCoreError, ClientError
        from obstore.exceptions import BaseError

        last, is_begun = after, False
        offset = after if self._is_sorted else ""
        failed: str | None = None
        try:
            for page in self._listing(prefix, offset):
                is_begun = True
                # A server may ignore where to begin, and list all again.
                listed = [
                    (key, entry)
                    for key, entry in page
                    if not offset or key > offset or isinstance(entry, SourceError)
                ]
                # The position is stored as text, which has no NUL.
                last = max([last, *(key for key, _ in listed if "\0" not in key)])
                yield ListedPage([e for key, file in listed if (e := _entry(key, file))], last)
        except BrokenListingError:
            failed = "the listing broke off"
        except (BaseError, BotoCoreError, ClientError, OSError, ValueError) as error:
            failed = _kind(error)
        if failed is None:
            return
        if not is_begun:
            why = f"it can't be listed ({failed})"
            raise codes.SOURCE_UNUSABLE.error(url=self._url, why=why)
        # What was listed so far is there; nothing is known about the rest.
        unlisted = codes.UNLISTED.error(kind=failed).about(prefix.removesuffix("/"))
        yield ListedPage([unlisted], last)

    def _listing(self, prefix: str, offset: str) -> Iterator[Page]:
        """The pages of a listing as they are; raises what the libraries raise."""
        if self._s3 is not None:
            yield from self._s3.pages(prefix, offset)
            return
        from obstore.exceptions import BaseError

        last = offset
        try:
            for page in self._flat_listing(prefix, offset):
                last = max([last, *(key for key, _ in page)])
                yield page
        except BaseError as error:
            if not _is_of_odd_key(error):
                raise
            yield from self._listing_by_folder(prefix.removesuffix("/"), last)

    def _flat_listing(self, prefix: str, offset: str) -> Iterator[Page]:
        import obstore

        last = offset
        listing = obstore.list(
            self._objects, prefix or None, offset=offset or None, chunk_size=_PAGE_OBJECTS
        )
        for page in listing:
            last = max([last, *(metadata["path"] for metadata in page)])
            yield [(metadata["path"], _source_file(metadata)) for metadata in page]
        if last and self._continues_after_a_name and not self._is_last(prefix, last):
            raise BrokenListingError

    def _listing_by_folder(self, folder: str, offset: str) -> Iterator[Page]:
        """The rest of a listing, folder by folder, so that a key hides no other folder.

        obstore lists none of the keys beside one that it can't express.
        """
        import obstore
        from obstore.exceptions import BaseError

        try:
            found = obstore.list_with_delimiter(self._objects, folder or None)
        except BaseError as error:
            if not _is_of_odd_key(error):
                raise
            yield [(folder, codes.KEYS_UNLISTED.error().about(folder))]
            return
        files = {metadata["path"]: _source_file(metadata) for metadata in found["objects"]}
        # A folder without a name leads back to this one.
        folders = {f"{name}/" for name in found["common_prefixes"] if len(name) > len(folder)}
        if len(folders) < len(found["common_prefixes"]):
            yield [(folder, codes.KEYS_UNLISTED.error().about(folder))]
        for key in sorted([*files, *folders]):
            if key in folders:
                if key > offset or offset.startswith(key):
                    yield from self._listing_by_folder(key.removesuffix("/"), offset)
            elif key > offset:
                yield [(key, files[key])]

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

        with self._errors_about(path):
            if self._s3 is not None and not self._is_read_by_obstore(path):
                return self._s3.stat(path)
            return _source_file(obstore.head(self._objects, path))

    def read(self, path: str, max_bytes: int) -> bytes:
        """See `SourceStore.read`."""
        return self.fetch(path, max_bytes)[1]

    def fetch(self, path: str, max_bytes: int) -> tuple[SourceFile, bytes]:
        """See `SourceStore.fetch`; one request."""
        import obstore

        with self._errors_about(path):
            if self._s3 is not None and not self._is_read_by_obstore(path):
                return self._s3.fetch(path, max_bytes)
            found = obstore.get(self._objects, path)
            size = found.meta["size"]
            check_size(path, size, max_bytes)
            deadline = Deadline(path, size, self._timeout_seconds)
            # Small parts, so that an object which comes slowly is noticed.
            parts = []
            for part in found.stream(min_chunk_size=1):
                parts.append(bytes(part))
                deadline.check()
            return _source_file(found.meta), b"".join(parts)

    @contextmanager
    def _errors_about(self, path: str) -> Iterator[None]:
        """Raise the errors of the libraries as the `SourceError` of a document."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            ReadTimeoutError,
        )
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        try:
            yield
        except (BaseError, BotoCoreError, ClientError, OSError, ValueError) as error:
            kind = _kind(error)
            if isinstance(error, FileNotFoundError) or kind == "HTTP 404":
                # A key that was listed as this path, and that no request can name.
                missing = codes.BAD_KEY if _NUL in path or path == "/" else codes.VANISHED
                raise missing.error().about(path) from None
            refused = (PermissionDeniedError, UnauthenticatedError, PermissionError)
            if isinstance(error, refused) or kind in ("HTTP 401", "HTTP 403"):
                raise codes.OBJECT_UNREADABLE.error().about(path) from None
            is_late = isinstance(error, ConnectTimeoutError | ReadTimeoutError)
            # obstore has no class for it.
            if is_late or (isinstance(error, BaseError) and "TimedOut" in str(error)):
                seconds = self._timeout_seconds
                raise codes.READ_STALLED.error(seconds=seconds).about(path) from None
            raise codes.READ_FAILED.error(kind=kind).about(path) from None

    def _is_read_by_obstore(self, path: str) -> bool:
        return self._is_plain and is_plain(path)

    @cached_property
    def _s3(self) -> S3Objects | None:
        """The objects of S3 by any key; None for another kind of store."""
        from obstore.store import S3Store

        if not isinstance(self._objects, S3Store):
            return None
        config: dict[str, Any] = {**self._objects.config, **(self._objects.client_options or {})}
        option = partial(s3_option, config)
        return S3Objects(self._bucket, self._prefix, option, self._attempt_seconds, MAX_RETRIES)

    @property
    def _attempt_seconds(self) -> float:
        return self._timeout_seconds / (MAX_RETRIES + 1)

    def _client_options(self, scheme: str) -> ClientConfig:
        options: dict[str, Any] = {
            name: value
            for name in _CLIENT_OPTIONS
            if (value := os.environ.get(f"{_VARIABLES[scheme]}_{name.upper()}"))
        }
        options["connect_timeout"] = timedelta(seconds=min(_CONNECT_SECONDS, self._attempt_seconds))
        options["read_timeout"] = timedelta(seconds=self._attempt_seconds)
        options["timeout"] = _WHOLE_ANSWER
        options["pool_max_idle_per_host"] = str(READS_IN_FLIGHT)
        return cast("ClientConfig", options)

    def _s3_options(self) -> dict[str, Any]:
        """What botocore finds, and obstore would not: credentials and region of a profile."""
        option = partial(s3_option, {})
        found = S3Objects(self._bucket, self._prefix, option, self._attempt_seconds, MAX_RETRIES)
        options: dict[str, Any] = {"region": found.region}
        if not option("access_key_id") and not is_true(option("skip_signature")):
            options["credential_provider"] = found.credential
        return options


def is_directory_bucket(url: str) -> bool:
    """Whether a bucket of S3 is of the kind that lists its objects in no order."""
    return url.partition("://")[2].partition("/")[0].endswith("--x-s3")


def _entry(key: str, file: SourceFile | SourceError) -> SourceFile | SourceError | None:
    """How a key is listed; None if it is no document, or an ignored one."""
    if isinstance(file, SourceError):
        return file
    if file.size == 0 and (not key or key.endswith("/")):
        return None  # the mark of a folder, as consoles and synchronizing programs create them
    if any(is_ignored(part) for part in key.split("/") if part not in (".", "..")):
        return None
    if not key or "\0" in key:
        return codes.BAD_KEY.error().about(key.replace("\0", _NUL) or "/")
    return file


def _is_of_odd_key(error: Exception) -> bool:
    """Whether obstore failed at a key that it can't express, for which it has two classes."""
    from obstore.exceptions import InvalidPathError

    text = str(error)
    is_named = "empty path segment" in text or "Error parsing Path" in text
    return isinstance(error, InvalidPathError) or is_named


def _kind(error: Exception) -> str:
    """The kind of an error, without any text of the server."""
    response = getattr(error, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return f"HTTP {status}" if status else type(error).__name__


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
