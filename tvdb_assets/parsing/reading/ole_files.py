"""OLE2 compound files: old Office, Outlook, and password-protected new Office.

What belongs here: which kind of document a file holds, whether it is locked, and its streams. What
does not: the text in the streams (`formats.doc`, `formats.ppt`, `formats.xls`, `formats.msg`).
"""

from __future__ import annotations

import io
from typing import Any

from tvdb_assets.parsing.parse_errors import corrupt

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
UNKNOWN = "application/x-ole-storage"
EXTENSIONS = {
    "doc": "application/msword",
    "dot": "application/msword",
    "xls": "application/vnd.ms-excel",
    "xlt": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "pps": "application/vnd.ms-powerpoint",
    "pot": "application/vnd.ms-powerpoint",
    "msg": "application/vnd.ms-outlook",
}
NAMES = {
    "application/msword": "an old Word document (DOC)",
    "application/vnd.ms-excel": "an old Excel workbook (XLS)",
    "application/vnd.ms-powerpoint": "an old PowerPoint presentation (PPT)",
    "application/vnd.ms-outlook": "an Outlook message (MSG)",
    UNKNOWN: "an OLE2 file of another program",
}
# Directory entries store stream names as UTF-16.
_STREAMS = (
    ("__substg1.0_", "application/vnd.ms-outlook"),
    ("WordDocument", "application/msword"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
)
_SECTOR = 512
_WORD_START = b"\xec\xa5"
_EXCEL_START = b"\x09\x08"
_EXCEL_LOCK = 0x2F  # the record FILEPASS
_RECORDS = 20
_LONGEST_STREAM = 256 * 1024 * 1024


def identify_ole(data: bytes) -> tuple[str, bool]:
    """The media type, and whether a password is needed."""
    # OOXML with a password is OLE2 around an encrypted package.
    if _has_stream(data, "EncryptedPackage") or _has_stream(data, "EncryptionInfo"):
        return UNKNOWN, True
    kind = next((kind for name, kind in _STREAMS if _has_stream(data, name)), UNKNOWN)
    if kind == "application/msword":
        return kind, _is_word_locked(data)
    if kind == "application/vnd.ms-excel":
        return kind, _is_excel_locked(data)
    return kind, _has_stream(data, "EncryptedSummary")


def _has_stream(data: bytes, name: str) -> bool:
    return name.encode("utf-16-le") in data


def _is_word_locked(data: bytes) -> bool:
    for start in range(_SECTOR, len(data), _SECTOR):
        if data[start : start + 2] == _WORD_START:
            return bool(int.from_bytes(data[start + 10 : start + 12], "little") & 0x0100)
    return False


def _is_excel_locked(data: bytes) -> bool:
    for start in range(_SECTOR, len(data), 64):
        if data[start : start + 2] != _EXCEL_START:
            continue
        offset = start
        for _ in range(_RECORDS):
            record = int.from_bytes(data[offset : offset + 2], "little")
            if record == _EXCEL_LOCK:
                return True
            offset += 4 + int.from_bytes(data[offset + 2 : offset + 4], "little")
    return False


class OleFile:
    """An open file, read by olefile; a stream that is absent or damaged is None."""

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
