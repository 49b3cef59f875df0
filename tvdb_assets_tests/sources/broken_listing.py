"""A folder whose listing breaks off, as that of a share whose server goes away.

What belongs here: the error of the operating system. What does not: any check.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock


@contextmanager
def listing_that_breaks_off(folder: Path, after: int, name: str = "EIO") -> Iterator[None]:
    """List that many entries of this folder, then raise the error of this name."""
    real = os.scandir

    @contextmanager
    def broken(opened: int | str) -> Iterator[Iterator[Any]]:
        def entries() -> Iterator[Any]:
            for _ in range(after):
                yield next(listing)
            raise OSError(getattr(errno, name), name)

        with closing(real(opened)) as listing:
            yield entries()

    def scandir(opened: int | str) -> Any:
        return broken(opened) if is_open(opened, folder) else real(opened)

    with mock.patch.object(os, "scandir", scandir):
        yield


def is_open(opened: int | str, folder: Path) -> bool:
    """Whether a descriptor, or a path, is that of a folder."""
    return os.path.samestat(os.stat(opened), folder.stat())  # noqa: PTH116 - a descriptor
