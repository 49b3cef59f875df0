"""Documents that are ZIP archives: their kind, whether they are locked, and their members.

What belongs here: the archive, read within limits. What does not: the formats inside.
"""

from __future__ import annotations

import io
import zipfile
import zlib

from tvdb_assets.parsing.active_limits import current_limits
from tvdb_assets.parsing.parse_errors import corrupt, expands_too_far

_MIB = 1024 * 1024
_MAX_LISTED = 20_000  # members that are examined for the format
_SMALL = 256 * 1024  # bytes that are read of a member that names the format

_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
EXTENSIONS = {
    "docx": _OOXML + "wordprocessingml.document",
    "docm": _OOXML + "wordprocessingml.document",
    "dotx": _OOXML + "wordprocessingml.document",
    "xlsx": _OOXML + "spreadsheetml.sheet",
    "xlsm": _OOXML + "spreadsheetml.sheet",
    "xltx": _OOXML + "spreadsheetml.sheet",
    "pptx": _OOXML + "presentationml.presentation",
    "pptm": _OOXML + "presentationml.presentation",
    "ppsx": _OOXML + "presentationml.presentation",
    "potx": _OOXML + "presentationml.presentation",
    "odt": _ODF + "text",
    "ods": _ODF + "spreadsheet",
    "odp": _ODF + "presentation",
    "ott": _ODF + "text",
    "ots": _ODF + "spreadsheet",
    "otp": _ODF + "presentation",
    "epub": "application/epub+zip",
    "zip": "application/zip",
    "vsdx": "application/vnd.ms-visio.drawing",
    "xlsb": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "hwpx": "application/hwp+zip",
    "pages": "application/vnd.apple.pages",
    "numbers": "application/vnd.apple.numbers",
    "key": "application/vnd.apple.keynote",
}
IWORK = "application/vnd.apple.iwork"
"""A document of Pages, Numbers or Keynote; only its name says which."""
IWORK_KINDS = tuple(EXTENSIONS[name] for name in ("pages", "numbers", "key"))
NAMES = {
    EXTENSIONS["docx"]: "a Word document (DOCX)",
    EXTENSIONS["xlsx"]: "an Excel workbook (XLSX)",
    EXTENSIONS["pptx"]: "a PowerPoint presentation (PPTX)",
    EXTENSIONS["odt"]: "an OpenDocument text (ODT)",
    EXTENSIONS["ods"]: "an OpenDocument spreadsheet (ODS)",
    EXTENSIONS["odp"]: "an OpenDocument presentation (ODP)",
    EXTENSIONS["epub"]: "an e-book (EPUB)",
    EXTENSIONS["zip"]: "a ZIP archive",
    EXTENSIONS["vsdx"]: "a Visio drawing (VSDX)",
    EXTENSIONS["xlsb"]: "a binary Excel workbook (XLSB)",
    EXTENSIONS["hwpx"]: "a Hangul document (HWPX)",
    EXTENSIONS["pages"]: "an Apple Pages document",
    EXTENSIONS["numbers"]: "an Apple Numbers spreadsheet",
    EXTENSIONS["key"]: "an Apple Keynote presentation",
    IWORK: "a document of Apple Pages, Numbers or Keynote",
}
_FOLDERS = {"word/": "docx", "xl/": "xlsx", "ppt/": "pptx", "visio/": "vsdx"}


def identify_zip(data: bytes) -> tuple[str | None, bool, str | None]:
    """The media type or None for any other archive, whether it is encrypted, and its damage."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()[:_MAX_LISTED]
            kind = _kind(archive, members)
            # `ZipInfo.is_dir` fails on a damaged entry that has no name.
            files = [member for member in members if not member.filename.endswith("/")]
            is_locked = [bool(file.flag_bits & 1) for file in files]
            # In a plain archive, each locked file fails alone.
            if any(is_locked) if kind is not None else all(is_locked) and files:
                return kind, True, None
            locked = kind is not None and b"encryption-data" in _read(
                archive, "META-INF/manifest.xml"
            )
            return kind, locked, None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError):
        return None, False, "its ZIP directory can't be read"


def _kind(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> str | None:
    names = {member.filename for member in members}
    if "mimetype" in names:
        declared = _read(archive, "mimetype").strip().decode("ascii", errors="replace")
        declared = declared.removesuffix("-template")
        if declared in NAMES:
            return declared
    if any(name.endswith(".iwa") for name in names) or "index.apxl" in names:
        return IWORK
    if "xl/workbook.bin" in names:
        return EXTENSIONS["xlsb"]
    if "[Content_Types].xml" in names or "_rels/.rels" in names:
        for folder, extension in _FOLDERS.items():
            if any(name.startswith(folder) for name in names):
                return EXTENSIONS[extension]
    return None


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as member:
            return member.read(_SMALL)
    except (KeyError, RuntimeError):  # absent, or locked
        return b""


def read_xml_members(data: bytes, what: str) -> dict[str, bytes]:
    """Every XML member, unpacked within `DocumentLimits.max_expanded_mib`; see `read_members`."""
    return read_members(data, what, (".xml", ".rels"))


def read_members(data: bytes, what: str, endings: tuple[str, ...]) -> dict[str, bytes]:
    """The members with these name endings, unpacked within `DocumentLimits.max_expanded_mib`.

    A directory can lie about sizes, so only the bytes that come out count.

    Raises:
        ParseError: ``expands_too_far`` or ``corrupt``.
    """
    limit = current_limits().max_expanded_mib
    left = limit * _MIB
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if not member.filename.lower().endswith(endings):
                    continue
                with archive.open(member) as stream:
                    content = stream.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise expands_too_far(what, limit)
                found[member.filename] = content
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise corrupt(what, f"its ZIP archive can't be unpacked ({type(error).__name__})") from None
    return found
