"""Documents in OLE2 compound files: old Office, Outlook, and locked new Office.

What belongs here: which one, and whether it is locked. What does not: their text.
"""

from __future__ import annotations

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
# Directory entries hold stream names as UTF-16.
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


def identify(data: bytes) -> tuple[str, bool]:
    """Media type, and whether a password is needed."""
    # OOXML with a password is OLE2 around an encrypted package.
    if _holds(data, "EncryptedPackage") or _holds(data, "EncryptionInfo"):
        return UNKNOWN, True
    kind = next((kind for name, kind in _STREAMS if _holds(data, name)), UNKNOWN)
    if kind == "application/msword":
        return kind, _is_word_locked(data)
    if kind == "application/vnd.ms-excel":
        return kind, _is_excel_locked(data)
    return kind, _holds(data, "EncryptedSummary")


def _holds(data: bytes, name: str) -> bool:
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
