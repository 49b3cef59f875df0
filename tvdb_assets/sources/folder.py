"""A local folder as a source.

What belongs here: listing and reading files, and refusing files that must not be read. What does
not: objects of a bucket (`bucket`).

A link is followed if its target is a file within the source. A link to a folder is refused, so
that a listing can't loop. A link that leads to or through a name which listings leave out, such as
a hidden file or folder, is refused too: no other name makes a document of what is no document.
Folders and files are opened by `beneath`, which nobody can lead out of
the source, and not by obstore, which follows links out of the root and blocks for ever on a FIFO.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.beneath import (
    IgnoredError,
    OutsideError,
    SwappedError,
    open_file,
    open_folder,
    open_root,
    parent_of,
)
from tvdb_assets.sources.source_store import ListedPage, is_ignored
from tvdb_assets.sources.stalls import note_progress

_PAGE_FILES = 2_000
_PART_BYTES = 4 << 20
MAX_PATH_BYTES = 2_600
"""Of a path with that of its source: an entry of an index in Postgres has at most 2,704 bytes."""
MAX_DEPTH = 128
"""Folders above a file. Each has an open descriptor, of which a process often has 1,024."""


def _is_closed(name: str) -> bool:
    """Whether no link may lead to or through a name.

    Kubernetes mounts each file of a volume as a link through ``..data``, which listings leave out.
    """
    return is_ignored(name) and not name.startswith("..")


class FolderStore:
    """The documents of a folder and its subfolders."""

    reads_in_flight = 1

    def __init__(self, root: str) -> None:
        """Reads nothing yet; ``root`` is the absolute real path of an existing folder."""
        self._root = root

    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]:
        """See `SourceStore.list`; each folder is read when the listing reaches it."""
        parts = prefix.split("/") if prefix else []
        if ".." in parts or any(map(is_ignored, parts)):
            return
        try:
            if not prefix:
                yield from self._list_folder(open_root(self._root), "")
                return
            with parent_of(self._root, parts, follow=False) as (parent, name, status):
                if stat.S_ISDIR(status.st_mode):
                    yield from self._list_folder(open_folder(parent, name), prefix + "/")
                else:
                    yield self._inspect(parent, name, prefix)
        except OutsideError:
            yield codes.LINK_OUTSIDE.error().about(prefix)
        except SwappedError:
            yield codes.CHANGED_WHILE_READ.error().about(prefix)
        except OSError as error:
            # If it is missing, the caller notices that a requested document is not listed.
            if not self._is_certainly_missing(prefix):
                yield _unlisted(error, _escaped(prefix))

    def pages(self, after: str) -> Iterator[ListedPage]:
        """See `SourceStore.pages`; the position is the last path of a page."""
        try:
            root = open_root(self._root)
        except OSError as error:
            yield ListedPage([_unlisted(error, "")], after)
            return
        entries = self._list_folder(root, "", after)
        while page := list(_noting(islice(entries, _PAGE_FILES))):
            last = page[-1]
            path = last.path if isinstance(last, SourceFile) else last.document
            yield ListedPage(page, path or after)

    def _list_folder(
        self, descriptor: int, prefix: str, after: str = ""
    ) -> Iterator[SourceFile | SourceError]:
        """The documents of an open folder, after a path; the folder is closed at the end."""
        try:
            try:
                with os.scandir(descriptor) as entries:
                    listed = []
                    for entry in entries:
                        note_progress()
                        if not is_ignored(entry.name):
                            listed.append(entry)
                    # "/" after a folder's name sorts its files by their whole paths.
                    names = [e.name + "/" * e.is_dir(follow_symlinks=False) for e in listed]
                    if after:
                        names = [name for name in names if _is_after(prefix + name, after)]
            except OSError as error:
                if not self._is_certainly_missing(prefix.rstrip("/")):
                    yield _unlisted(error, _escaped(prefix.rstrip("/")))
                return
            # As text, so that the order is that of the paths which are listed.
            for name in sorted(names, key=_escaped):
                if not name.endswith("/"):
                    yield self._inspect(descriptor, name, prefix + name)
                    continue
                if prefix.count("/") >= MAX_DEPTH:
                    kind = f"it is inside of more than {MAX_DEPTH} folders"
                    yield codes.UNLISTED.error(kind=kind).about(_escaped(prefix + name[:-1]))
                    continue
                try:
                    folder = open_folder(descriptor, name.rstrip("/"))
                except SwappedError:
                    yield codes.UNLISTED.error(kind="ENOTDIR").about(_escaped(prefix + name[:-1]))
                except OSError as error:
                    if not self._is_certainly_missing(prefix + name.rstrip("/")):
                        yield _unlisted(error, _escaped(prefix + name.rstrip("/")))
                else:
                    yield from self._list_folder(folder, prefix + name, after)
        finally:
            os.close(descriptor)

    def _is_certainly_missing(self, path: str) -> bool:
        return _is_certainly_missing(str(Path(self._root, path)), self._root)

    def _inspect(self, parent: int, name: str, path: str) -> SourceFile | SourceError:
        """The file of a name in an open folder, or the reason why it must not be read."""
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            return codes.BAD_NAME.error().about(_escaped(path))
        if (size := len(os.fsencode(self._root + path))) > MAX_PATH_BYTES:
            return codes.LONG_PATH.error(size=size, limit=MAX_PATH_BYTES).about(path)
        try:
            status = os.lstat(name, dir_fd=parent)
            if not stat.S_ISLNK(status.st_mode):
                return _inspected(parent, name, status, path)
            with parent_of(self._root, path.split("/"), is_ignored=_is_closed) as found:
                folder, real_name, status = found
                return _inspected(folder, real_name, status, path)
        except IgnoredError:
            return codes.LINK_TO_IGNORED.error().about(path)
        except OutsideError:
            return codes.LINK_OUTSIDE.error().about(path)
        except SwappedError:
            return codes.CHANGED_WHILE_READ.error().about(path)
        except OSError as error:
            return _from_os_error(error, path)

    def stat(self, path: str) -> SourceFile:
        """See `SourceStore.stat`."""
        with self._found(path) as (parent, name, status):
            found = _inspected(parent, name, status, path)
        if isinstance(found, SourceError):
            raise found
        return found

    def fetch(self, path: str, max_bytes: int) -> tuple[SourceFile, bytes]:
        """See `SourceStore.fetch`; size, bytes and status come from one descriptor.

        The status of a path that was looked at before might be that of another file, whose folder
        was exchanged meanwhile, and stay with these bytes for ever.
        """
        with self._found(path) as (parent, name, status):
            if not stat.S_ISREG(status.st_mode):
                # Opening a device can have side effects.
                raise _not_a_file(path, status.st_mode)
            descriptor = open_file(parent, name)
        with open(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise _not_a_file(path, before.st_mode)
            if (size := before.st_size) > max_bytes:
                raise codes.TOO_LARGE.error(size=size / 2**20, limit=max_bytes / 2**20).about(path)
            try:
                data = b"".join(_parts(file, max_bytes + 1))
            except OSError as error:
                raise _from_os_error(error, path) from None
            after = os.fstat(descriptor)
        if _etag(before) != _etag(after) or len(data) != after.st_size:
            raise codes.CHANGED_WHILE_READ.error().about(path)
        return _source_file(path, before), data

    def read(self, path: str, max_bytes: int) -> bytes:
        """See `SourceStore.read`."""
        return self.fetch(path, max_bytes)[1]

    @contextmanager
    def _found(self, path: str) -> Iterator[tuple[int, str, os.stat_result]]:
        """See `beneath.parent_of`; what goes wrong on the way is a `SourceError`."""
        parts = path.split("/")
        if path.startswith("/") or ".." in parts or "\0" in path:
            raise codes.LINK_OUTSIDE.error().about(path)
        try:
            with parent_of(self._root, parts, is_ignored=_is_closed) as found:
                yield found
        except IgnoredError:
            raise codes.LINK_TO_IGNORED.error().about(path) from None
        except OutsideError:
            raise codes.LINK_OUTSIDE.error().about(path) from None
        except SwappedError:
            raise codes.CHANGED_WHILE_READ.error().about(path) from None
        except OSError as error:
            raise _from_os_error(error, path) from None


def _inspected(
    parent: int, name: str, status: os.stat_result, path: str
) -> SourceFile | SourceError:
    """The file of a name that is no link, or the reason why it must not be read."""
    if not stat.S_ISREG(status.st_mode):
        return _not_a_file(path, status.st_mode)
    if not os.access(name, os.R_OK, dir_fd=parent, effective_ids=True):
        return codes.UNREADABLE.error().about(path)
    return _source_file(path, status)


def _parts(file: BinaryIO, most: int) -> Iterator[bytes]:
    """The bytes of a file in parts, so that each of them is progress."""
    while most > 0 and (part := file.read(min(most, _PART_BYTES))):
        note_progress()
        most -= len(part)
        yield part


def _source_file(name: str, status: os.stat_result) -> SourceFile:
    # The change time too: a copy may have the modification time of its original.
    written_at = max(status.st_mtime, status.st_ctime)
    return SourceFile(name, status.st_size, _etag(status), written_at, status.st_mtime)


def _etag(status: os.stat_result) -> str:
    # The change time too: a program may restore the modification time after writing.
    return f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _noting(
    entries: Iterator[SourceFile | SourceError],
) -> Iterator[SourceFile | SourceError]:
    for entry in entries:
        note_progress()
        yield entry


def _is_after(path: str, after: str) -> bool:
    """Whether a file, or a part of a folder, whose path ends with "/", follows a path."""
    path = _escaped(path)
    return path > after or (path.endswith("/") and after.startswith(path))


def _escaped(name: str) -> str:
    """The name with a backslash and hex digits for bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_certainly_missing(path: str, root: str) -> bool:
    """Whether the path is gone: the nearest folder above it that is left can be listed.

    The root itself is never gone in this sense: it may be a folder that is not mounted.
    """
    while path != root:
        try:
            os.lstat(path)
            return False  # it is there, and can't be listed
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                return False
        path = str(Path(path).parent)
        try:
            with os.scandir(path) as entries:
                next(entries, None)
            return True
        except OSError:
            continue
    return False


def _unlisted(error: OSError, path: str) -> SourceError:
    kind = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return codes.UNLISTED.error(kind=kind).about(path)


def _from_os_error(error: OSError, path: str) -> SourceError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return codes.VANISHED.error().about(path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return codes.UNREADABLE.error().about(path)
    if error.errno == errno.ELOOP:
        return codes.LINK_LOOP.error().about(path)
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return _not_a_file(path, 0)
    return codes.READ_FAILED.error(kind=type(error).__name__).about(path)


def _not_a_file(path: str, mode: int) -> SourceError:
    kinds = {
        stat.S_IFDIR: "a link to a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = kinds.get(stat.S_IFMT(mode), "not an ordinary file")
    return codes.NOT_A_FILE.error(kind=kind).about(path)
