"""The source: a folder or a bucket that holds the documents.

What belongs here: listing and reading, and refusing what must not be read. What does not:
whether a file changed (`ingest`) or what its bytes mean (`parsing.formats`).

Passed over without a word: files and folders whose name starts with a dot, ``~$`` lock files,
``Thumbs.db`` and ``desktop.ini``. Everything else is listed, or refused with a reason. A link
is followed if it leads to a file within the source; a link to a folder is refused, which also
settles loops. In a folder, files are opened by this module and not by obstore, which follows
links out of the root and waits for ever on a FIFO.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ConfigurationError, SourceError
from tvdb_assets.models import SourceFile

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SCHEMES = frozenset({"s3", "gs", "az"})
_PASSED_OVER = frozenset({"thumbs.db", "desktop.ini"})


class _Store(Protocol):
    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]: ...
    def stat(self, path: str) -> SourceFile: ...

    def read(self, path: str, max_bytes: int) -> bytes: ...


class Source:
    """Lists and reads documents; make it with `Source.open`. Safe to share between threads."""

    def __init__(self, root: str, store: _Store) -> None:
        """Use `Source.open`, which tells a folder from a bucket."""
        self.root = root
        """What the source is known by: the folder's absolute real path, or the URL."""
        self._store = store

    @classmethod
    def open(cls, url_or_path: str) -> Source:
        """A folder, or a bucket with an optional prefix: ``s3://bucket/prefix``.

        Buckets take credentials and endpoint from their provider's variables (``AWS_…``).

        Raises:
            ConfigurationError: there is no such folder, or the URL can't be used.
        """
        scheme, separator, _ = url_or_path.partition("://")
        if separator and scheme != "file":
            url = url_or_path.rstrip("/")
            return cls(url, _BucketStore(url, scheme))
        path = url_or_path.removeprefix("file://") if separator else url_or_path
        root = os.path.realpath(Path(path).expanduser())
        if not Path(root).is_dir():
            raise codes.SOURCE_MISSING.error(root=root)
        return cls(root, _FolderStore(root))

    def list(self, prefixes: Sequence[str] = ()) -> Iterator[SourceFile | SourceError]:
        """All documents, or those at or under ``prefixes``, sorted by path, each once.

        What must not be read comes as the `SourceError` that says why; its ``document`` is the
        path, with a backslash and hex digits for bytes that are no UTF-8. A folder is read when
        the listing reaches it.

        Raises:
            ConfigurationError: the source as a whole can't be listed.
        """
        seen = ""
        for prefix in sorted({p.strip("/") for p in prefixes}) if prefixes else [""]:
            if seen and (prefix == seen or prefix.startswith(seen + "/")):
                continue
            seen = prefix
            yield from self._store.list(prefix)
            if not prefix:
                return

    def stat(self, path: str) -> SourceFile:
        """One document as `list` would give it.

        Raises:
            SourceError: it is gone or must not be read.
        """
        return self._store.stat(path)

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """A document's bytes, whole.

        Raises:
            SourceError: it is gone, must not be read, has more than ``max_bytes`` bytes, or
                changed while it was read.
        """
        return self._store.read(path, max_bytes)


class _FolderStore:
    def __init__(self, root: str) -> None:
        self._root = root

    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]:
        parts = prefix.split("/") if prefix else []
        if ".." in parts or any(map(_is_passed_over, parts)):
            return
        folder = str(Path(self._root, prefix))
        try:
            status = os.lstat(folder)
        except OSError:
            return  # what was asked for and is not there is for the caller to miss
        if os.path.realpath(Path(folder).parent) != str(Path(folder).parent):
            yield _link_outside(prefix)
        elif stat.S_ISDIR(status.st_mode):
            yield from self._walk(folder, prefix and prefix + "/")
        else:
            yield self._listed(folder, prefix)

    def _walk(self, folder: str, prefix: str) -> Iterator[SourceFile | SourceError]:
        try:
            with os.scandir(folder) as entries:
                found = [entry for entry in entries if not _is_passed_over(entry.name)]
                # "/" after a folder's name puts its files where their paths sort.
                named = [(e.name + "/" * e.is_dir(follow_symlinks=False), e.path) for e in found]
        except OSError as error:
            if error.errno != errno.ENOENT:
                yield _from_os(error, _shown(prefix.rstrip("/") or "."))
            return
        for name, path in sorted(named):
            if name.endswith("/"):
                yield from self._walk(path, prefix + name)
            else:
                yield self._listed(path, prefix + name)

    def _listed(self, path: str, name: str) -> SourceFile | SourceError:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            return codes.BAD_NAME.error().about(_shown(name))
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                self._check_within(path, name)
                status = Path(path).stat()
        except SourceError as error:
            return error
        except OSError as error:
            return _from_os(error, name)
        if not stat.S_ISREG(status.st_mode):
            return _not_a_file(name, status.st_mode)
        if not os.access(path, os.R_OK, effective_ids=True):
            return _unreadable(name)
        return _as_file(name, status)

    def stat(self, path: str) -> SourceFile:
        listed = self._listed(self._within(path), path)
        if isinstance(listed, SourceError):
            raise listed
        return listed

    def read(self, path: str, max_bytes: int) -> bytes:
        full = self._within(path)
        try:
            # The real path is opened, without following a link that came there since.
            real = self._check_within(full, path)
            mode = os.lstat(real).st_mode
            if not stat.S_ISREG(mode):
                raise _not_a_file(path, mode)  # opening a device can do things to it
            descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise _from_os(error, path) from None
        with open(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise _not_a_file(path, before.st_mode)
            # A folder on the way may have become a link between the check and the opening.
            if not _is_still_at(real, before):
                raise _changed(path)
            if before.st_size > max_bytes:
                raise _too_large(path, before.st_size, max_bytes)
            try:
                data = file.read(max_bytes + 1)
            except OSError as error:
                raise _from_os(error, path) from None
            after = os.fstat(descriptor)
        if _etag(before) != _etag(after) or len(data) != after.st_size:
            raise _changed(path)
        return data

    def _within(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise _link_outside(path)
        return str(Path(self._root, path))

    def _check_within(self, full: str, path: str) -> str:
        real = os.path.realpath(full, strict=True)
        if not real.startswith(self._root.rstrip("/") + "/"):
            raise _link_outside(path)
        return real


class _BucketStore:
    def __init__(self, url: str, scheme: str) -> None:
        if scheme not in _SCHEMES:
            raise _bad_url(url, "its scheme is none of s3, gs and az")
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        try:
            self._objects: ObjectStore = from_url(url)
        except (BaseError, ValueError) as error:
            raise _bad_url(url, type(error).__name__) from None
        self._url = url

    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]:
        import obstore
        from obstore.exceptions import BaseError

        try:
            # A prefix names whole parts of a path, so a single document is asked for by itself.
            if prefix:
                try:
                    yield _from_meta(obstore.head(self._objects, prefix))
                    return
                except FileNotFoundError:
                    pass
            for page in obstore.list(self._objects, prefix or None):
                for meta in page:
                    name = meta["path"]
                    if not any(map(_is_passed_over, name.split("/"))):
                        yield _from_meta(meta)
        except BaseError as error:
            raise _bad_url(self._url, f"it can't be listed ({type(error).__name__})") from None

    def stat(self, path: str) -> SourceFile:
        import obstore
        from obstore.exceptions import BaseError

        try:
            return _from_meta(obstore.head(self._objects, path))
        except FileNotFoundError:
            raise _vanished(path) from None
        except (BaseError, OSError) as error:
            raise _failed(path, error) from None

    def read(self, path: str, max_bytes: int) -> bytes:
        import obstore
        from obstore.exceptions import BaseError

        try:
            found = obstore.get(self._objects, path)
            if (size := found.meta["size"]) > max_bytes:
                raise _too_large(path, size, max_bytes)
            return bytes(found.bytes())
        except FileNotFoundError:
            raise _vanished(path) from None
        except (BaseError, OSError) as error:
            raise _failed(path, error) from None


def _is_passed_over(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in _PASSED_OVER


def _as_file(name: str, status: os.stat_result) -> SourceFile:
    # The change time too: a copy may be given its original's modification time.
    written_at = max(status.st_mtime, status.st_ctime)
    return SourceFile(name, status.st_size, _etag(status), written_at)


def _etag(status: os.stat_result) -> str:
    # The change time too: a program may set the modification time back after writing.
    return f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _from_meta(meta: object) -> SourceFile:
    values: dict[str, object] = dict(meta)  # type: ignore[call-overload]
    modified = values["last_modified"]
    assert isinstance(modified, datetime)
    etag = values.get("e_tag") or f"{modified.isoformat()}-{values['size']}"
    return SourceFile(str(values["path"]), int(str(values["size"])), str(etag).strip('"'))


def _is_still_at(real: str, opened: os.stat_result) -> bool:
    try:
        return os.path.realpath(real) == real and os.path.samestat(opened, os.lstat(real))
    except OSError:
        return False


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _from_os(error: OSError, path: str) -> SourceError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return _vanished(path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return _unreadable(path)
    if error.errno == errno.ELOOP:
        return codes.LINK_LOOP.error().about(path)
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return _not_a_file(path, 0)
    return _failed(path, error)


def _vanished(path: str) -> SourceError:
    return codes.VANISHED.error().about(path)


def _unreadable(path: str) -> SourceError:
    return codes.UNREADABLE.error().about(path)


def _link_outside(path: str) -> SourceError:
    return codes.LINK_OUTSIDE.error().about(path)


def _not_a_file(path: str, mode: int) -> SourceError:
    kinds = {
        stat.S_IFDIR: "a link to a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return codes.NOT_A_FILE.error(kind=kinds.get(stat.S_IFMT(mode), "not an ordinary file")).about(
        path
    )


def _too_large(path: str, size: int, most: int) -> SourceError:
    return codes.TOO_LARGE.error(size=size / 2**20, limit=most / 2**20).about(path)


def _changed(path: str) -> SourceError:
    return codes.CHANGED_WHILE_READ.error().about(path)


def _failed(path: str, error: Exception) -> SourceError:
    return codes.READ_FAILED.error(kind=type(error).__name__).about(path)


def _bad_url(url: str, why: str) -> ConfigurationError:
    return codes.SOURCE_UNUSABLE.error(url=url, why=why)
