"""Paths beneath a folder, opened so that no link leads out of it, also while folders are swapped.

What belongs here: the way from the root to a file, one name after another. What does not: what a
source lists or refuses (`folder`).

A path that is checked and then opened by its name can be another one by then: whoever writes to the
source may exchange a folder for a link between the two. So each name is looked up in the open
descriptor of the folder before it, never following a link, and links are resolved here, name by
name from the same descriptors. What was opened is therefore beneath the root, whatever happens to
the names. The root is a real path, so no link is followed on the way to it either. (``openat2``
with RESOLVE_BENEATH does this in the kernel, but refuses absolute links and is not in Python's
library.)
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

# A folder on the way needs no permission to be listed, where the system has O_PATH.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40
"""As in the kernel."""


class OutsideError(Exception):
    """A path or a link leads out of the root."""


class IgnoredError(Exception):
    """A name on the way is one that the source leaves out."""


class SwappedError(Exception):
    """A name was a folder or a file, and is a link or something else now."""


@contextmanager
def parent_of(
    root: str,
    parts: Sequence[str],
    *,
    follow: bool = True,
    is_ignored: Callable[[str], bool] = lambda name: False,
) -> Iterator[tuple[int, str, os.stat_result]]:
    """The descriptor of a file's folder, its name in there, and its status.

    Args:
        root: the real path of the root.
        parts: the names from the root to the file; at least one.
        follow: whether links that stay beneath the root are followed. If not, a link on the way
            is outside, and a link at the end is returned.
        is_ignored: names that lead to no file, whether they are in ``parts`` or in a link.

    Raises:
        IgnoredError: a part, or a part of a link, is ignored.
        OutsideError: a part or a link leads out of the root, or to the root itself.
        SwappedError: a folder on the way changed meanwhile.
        OSError: a name is missing or can't be reached, or there are too many links.
    """
    folders = [_open_root(root, _FOLDER)]
    todo = deque(parts)
    links = 0
    try:
        while True:
            name = _next_name(todo)
            if name == "..":
                if len(folders) == 1:
                    raise OutsideError
                os.close(folders.pop())
                continue
            if is_ignored(name):
                raise IgnoredError
            status = os.lstat(name, dir_fd=folders[-1])
            is_last = not any(part not in ("", ".") for part in todo)
            if stat.S_ISLNK(status.st_mode) and (follow or not is_last):
                links += 1
                if not follow:
                    raise OutsideError
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                target = _target(name, folders[-1])
                if target.startswith("/"):
                    target = _below(root, target)
                    while len(folders) > 1:
                        os.close(folders.pop())
                todo.extendleft(reversed(target.split("/")))
            elif is_last:
                yield folders[-1], name, status
                return
            elif stat.S_ISDIR(status.st_mode):
                folders.append(_open(name, _FOLDER, folders[-1]))
            else:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    finally:
        for descriptor in folders:
            os.close(descriptor)


def open_file(folder: int, name: str) -> int:
    """Open a file for reading, without waiting for the writer of a FIFO.

    Raises:
        SwappedError: it is a link now.
        OSError: it can't be opened.
    """
    return _open(name, _READ, folder)


def open_folder(folder: int, name: str) -> int:
    """Open a folder to list it; see `open_file`."""
    return _open(name, _LISTED, folder)


def open_root(root: str) -> int:
    """Open the root to list it; no folder on the way to it may be a link.

    Raises:
        OSError: it can't be opened, or a folder on the way was exchanged for a link.
    """
    return _open_root(root, _LISTED)


def _open_root(root: str, flags: int) -> int:
    if not hasattr(os, "O_PATH"):
        # Each folder above the source would have to be one that this user may list.
        return os.open(root, flags)
    names = [name for name in root.split("/") if name]
    folder = os.open("/", _FOLDER if names else flags)
    for position, name in enumerate(names, start=1):
        above = folder
        try:
            folder = os.open(name, flags if position == len(names) else _FOLDER, dir_fd=above)
        finally:
            os.close(above)
    return folder


def _next_name(todo: deque[str]) -> str:
    while todo:
        name = todo.popleft()
        if name not in ("", "."):
            return name
    raise OutsideError


def _open(name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise SwappedError from None
        raise


def _target(name: str, folder: int) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.EINVAL:  # it is no link any more
            raise SwappedError from None
        raise


def _below(root: str, target: str) -> str:
    """An absolute target as a path from the root."""
    prefix = root.rstrip("/") + "/"
    if not target.startswith(prefix):
        # The target may name the root by another way, such as /tmp on macOS. The names that this
        # gives are looked up beneath the root like all others.
        target = os.path.realpath(target)
        if not target.startswith(prefix):
            raise OutsideError
    return target.removeprefix(prefix)
