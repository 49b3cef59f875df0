"""A local folder as a source.

What belongs here: listing and reading files, and refusing files that must not be read. What does
not: objects of a bucket (`bucket`).

A link is followed if its target is a file within the source. A link to a folder is refused, so
that a listing can't loop. Files are opened by this module and not by obstore, which follows links
out of the root and blocks for ever on a FIFO.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.source_store import is_ignored


class FolderStore:
    """The documents of a folder and its subfolders."""

    def __init__(self, root: str) -> None:
        """Reads nothing yet; ``root`` is the absolute real path of an existing folder."""
        self._root = root

    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]:
        """See `SourceStore.list`; each folder is read when the listing reaches it."""
        parts = prefix.split("/") if prefix else []
        if ".." in parts or any(map(is_ignored, parts)):
            return
        path = str(Path(self._root, prefix))
        try:
            status = os.lstat(path)
        except OSError as error:
            if not _is_certainly_missing(path, self._root):
                yield _unlisted(error, _escaped(prefix))
            return  # the caller notices that a requested document is not listed
        if os.path.realpath(Path(path).parent) != str(Path(path).parent):
            yield codes.LINK_OUTSIDE.error().about(prefix)
        elif stat.S_ISDIR(status.st_mode):
            yield from self._list_folder(path, prefix and prefix + "/")
        else:
            yield self._inspect(path, prefix)

    def _list_folder(self, folder: str, prefix: str) -> Iterator[SourceFile | SourceError]:
        try:
            with os.scandir(folder) as entries:
                listed = [entry for entry in entries if not is_ignored(entry.name)]
                # "/" after a folder's name sorts its files by their whole paths.
                named = [(e.name + "/" * e.is_dir(follow_symlinks=False), e.path) for e in listed]
        except OSError as error:
            if not _is_certainly_missing(folder, self._root):
                yield _unlisted(error, _escaped(prefix.rstrip("/")))
            return
        for name, path in sorted(named):
            if name.endswith("/"):
                yield from self._list_folder(path, prefix + name)
            else:
                yield self._inspect(path, prefix + name)

    def _inspect(self, path: str, name: str) -> SourceFile | SourceError:
        """The file at ``path``, or the reason why it must not be read."""
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            return codes.BAD_NAME.error().about(_escaped(name))
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                self._real_path(path, name)
                status = Path(path).stat()
        except SourceError as error:
            return error
        except OSError as error:
            return _from_os_error(error, name)
        if not stat.S_ISREG(status.st_mode):
            return _not_a_file(name, status.st_mode)
        if not os.access(path, os.R_OK, effective_ids=True):
            return codes.UNREADABLE.error().about(name)
        return _source_file(name, status)

    def stat(self, path: str) -> SourceFile:
        """See `SourceStore.stat`."""
        found = self._inspect(self._full_path(path), path)
        if isinstance(found, SourceError):
            raise found
        return found

    def read(self, path: str, max_bytes: int) -> bytes:
        """See `SourceStore.read`."""
        full = self._full_path(path)
        try:
            # The real path is opened without following links, so that a link which replaced the
            # file after the check is an error.
            real = self._real_path(full, path)
            mode = os.lstat(real).st_mode
            if not stat.S_ISREG(mode):
                raise _not_a_file(path, mode)  # opening a device can have side effects
            descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise _from_os_error(error, path) from None
        with open(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise _not_a_file(path, before.st_mode)
            # A folder of the path may have become a link between the check and the opening.
            if not _is_still_at(real, before):
                raise codes.CHANGED_WHILE_READ.error().about(path)
            if (size := before.st_size) > max_bytes:
                raise codes.TOO_LARGE.error(size=size / 2**20, limit=max_bytes / 2**20).about(path)
            try:
                data = file.read(max_bytes + 1)
            except OSError as error:
                raise _from_os_error(error, path) from None
            after = os.fstat(descriptor)
        if _etag(before) != _etag(after) or len(data) != after.st_size:
            raise codes.CHANGED_WHILE_READ.error().about(path)
        return data

    def _full_path(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise codes.LINK_OUTSIDE.error().about(path)
        return str(Path(self._root, path))

    def _real_path(self, full: str, path: str) -> str:
        """The path without links; an error if it is outside of the source."""
        real = os.path.realpath(full, strict=True)
        if not real.startswith(self._root.rstrip("/") + "/"):
            raise codes.LINK_OUTSIDE.error().about(path)
        return real


def _source_file(name: str, status: os.stat_result) -> SourceFile:
    # The change time too: a copy may have the modification time of its original.
    written_at = max(status.st_mtime, status.st_ctime)
    return SourceFile(name, status.st_size, _etag(status), written_at)


def _etag(status: os.stat_result) -> str:
    # The change time too: a program may restore the modification time after writing.
    return f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _is_still_at(real: str, opened: os.stat_result) -> bool:
    """Whether the real path still names the opened file, and has no link in it."""
    try:
        return os.path.realpath(real) == real and os.path.samestat(opened, os.lstat(real))
    except OSError:
        return False


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
