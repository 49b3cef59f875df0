"""OLE2 compound files: old Office, Outlook, and password-protected new Office.

What belongs here: which kind of document a file holds, whether it is locked, and its streams. What
does not: the text in the streams (`formats.doc`, `formats.ppt`, `formats.xls`, `formats.msg`).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from tvdb_assets.errors import ParseError
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
    "hwp": "application/x-hwp",
    "vsd": "application/vnd.visio",
    "pub": "application/x-mspublisher",
}
NAMES = {
    "application/msword": "an old Word document (DOC)",
    "application/vnd.ms-excel": "an old Excel workbook (XLS)",
    "application/vnd.ms-powerpoint": "an old PowerPoint presentation (PPT)",
    "application/vnd.ms-outlook": "an Outlook message (MSG)",
    "application/x-hwp": "a Hangul document (HWP)",
    "application/vnd.visio": "an old Visio drawing (VSD)",
    "application/x-mspublisher": "a Publisher document (PUB)",
    UNKNOWN: "an OLE2 file of another program",
}
_STREAMS = (
    ("__substg1.0_", "application/vnd.ms-outlook"),
    ("WordDocument", "application/msword"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("HwpSummaryInformation", "application/x-hwp"),
    ("BodyText", "application/x-hwp"),
    ("VisioDocument", "application/vnd.visio"),
    ("Quill", "application/x-mspublisher"),
)
"""Names in the root directory; one that ends in ``_`` is the start of a name."""
_EXCEL_LOCK = 0x2F  # the record FILEPASS
_RECORDS = 20
_LONGEST_STREAM = 256 * 1024 * 1024


def identify_ole(data: bytes) -> tuple[str, bool]:
    """The media type, and whether a password is needed; from the root directory alone.

    A document may name streams in its text, or hold other documents with such streams. Where the
    directory can't be read, the kind is guessed by the bytes, so that the error names it.
    """
    try:
        file = OleFile(data, "OLE2 file")
        root = {path[0] for path in file.names()}
    except ParseError:
        found = [kind for name, kind in _STREAMS if _mentions(data, name)]
        return next(iter(found), UNKNOWN), not found and _mentions(data, "EncryptedPackage")
    # OOXML with a password is OLE2 around an encrypted package.
    if root & {"EncryptedPackage", "EncryptionInfo"} and "WordDocument" not in root:
        return UNKNOWN, True
    kind = next((kind for start, kind in _STREAMS if any(map(_starts_with(start), root))), UNKNOWN)
    if kind == "application/msword":
        head = file.read("WordDocument") or b""
        return kind, bool(int.from_bytes(head[10:12], "little") & 0x0100)
    if kind == "application/vnd.ms-excel":
        return kind, _is_excel_locked(file.read("Workbook") or file.read("Book") or b"")
    return kind, "EncryptedSummary" in root


def _mentions(data: bytes, name: str) -> bool:
    return name.encode("utf-16-le") in data


def _starts_with(start: str) -> Callable[[str], bool]:
    if start.endswith("_"):
        return lambda name: name.startswith(start)
    return lambda name: name == start


def _is_excel_locked(stream: bytes) -> bool:
    offset = 0
    for _ in range(_RECORDS):
        if int.from_bytes(stream[offset : offset + 2], "little") == _EXCEL_LOCK:
            return True
        offset += 4 + int.from_bytes(stream[offset + 2 : offset + 4], "little")
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
