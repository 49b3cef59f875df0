"""Streams of OLE2 compound files, by olefile, within bounds.

What belongs here: opening the container. What does not: which kind it holds (`ole`), the
formats inside (`doc`, `ppt`, `msg`).
"""

from __future__ import annotations

import io
from typing import Any

from tvdb_assets.parsing.formats.refusals import corrupt

_LONGEST_STREAM = 256 * 1024 * 1024


class Compound:
    """An open file; a stream that is absent or damaged is None."""

    def __init__(self, data: bytes, what: str) -> None:
        import olefile  # it has no stubs

        try:
            self._file: Any = olefile.OleFileIO(io.BytesIO(data))
        except (OSError, ValueError, IndexError, KeyError, TypeError, AttributeError):
            raise corrupt(what, "its OLE2 directory can't be read") from None
        self._what = what

    def names(self) -> list[tuple[str, ...]]:
        """The paths of all streams."""
        try:
            return [tuple(path) for path in self._file.listdir()]
        except RecursionError:
            raise corrupt(self._what, "its OLE2 directory is nested too deeply") from None

    def read(self, *path: str) -> bytes | None:
        """A stream's bytes."""
        try:
            if not self._file.exists(list(path)):
                return None
            with self._file.openstream(list(path)) as stream:
                return bytes(stream.read(_LONGEST_STREAM))
        except (OSError, ValueError, IndexError, TypeError, AttributeError):
            return None

    def title(self) -> str | None:
        """The title in the file's summary."""
        try:
            summary = self._file.get_metadata()
            raw = summary.title
            if not isinstance(raw, bytes):
                return None
            page = summary.codepage
            name = "utf-8" if page in {65001, -535} else f"cp{page % 65_536}" if page else "cp1252"
            return raw.decode(name, errors="replace").strip("\x00 ") or None
        except Exception:
            return None  # a broken summary says nothing about the text
