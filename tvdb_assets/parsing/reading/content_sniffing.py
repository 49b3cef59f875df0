"""Detects a document's media type by its content; the name only decides what content leaves open.

What belongs here: media types and their display names. What does not: whether a type can be parsed
(`parsing.format_registry`), kinds of ZIP archives (`reading.zip_packages`) and of OLE2 files
(`reading.ole_files`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tvdb_assets.parsing.reading import ole_files, tnef, zip_packages
from tvdb_assets.parsing.reading.text_decoding import decode

PARQUET = "application/vnd.apache.parquet"
_HEAD = 65_536  # bytes that are examined to distinguish text from binary

# Extension -> media type. The first block has kinds of text that only a name can distinguish.
TEXT_KINDS = {
    "txt": "text/plain",
    "text": "text/plain",
    "log": "text/plain",
    "md": "text/markdown",
    "markdown": "text/markdown",
    "mdx": "text/markdown",
    "mkd": "text/markdown",
    "qmd": "text/markdown",
    "rmd": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "ndjson": "application/jsonl",
    "ipynb": "application/x-ipynb+json",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "xml": "application/xml",
    "docbook": "application/xml",
    "dbk": "application/xml",
    "jats": "application/xml",
    "nxml": "application/xml",
    "rst": "text/x-rst",
    "rest": "text/x-rst",
    "adoc": "text/asciidoc",
    "asciidoc": "text/asciidoc",
    "org": "text/x-org",
    "tex": "application/x-tex",
    "latex": "application/x-tex",
    "typ": "text/x-typst",
    "mediawiki": "text/x-mediawiki",
    "wiki": "text/x-mediawiki",
    "textile": "text/x-textile",
    "vtt": "text/vtt",
    "srt": "application/x-subrip",
}
_PGP = "application/pgp-encrypted"
_OTHER_KINDS = {
    "pdf": "application/pdf",
    "html": "text/html",
    "htm": "text/html",
    "xhtml": "text/html",
    "eml": "message/rfc822",
    "mbox": "application/mbox",
    "rtf": "application/rtf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
    "one": "application/onenote",
    "chm": "application/vnd.ms-htmlhelp",
    "pgp": _PGP,
    "gpg": _PGP,
    "parquet": PARQUET,
    **zip_packages.EXTENSIONS,
    **ole_files.EXTENSIONS,
}
_NAMES = {
    "application/pdf": "PDF",
    "text/html": "HTML",
    "text/markdown": "Markdown",
    "text/plain": "plain text",
    "message/rfc822": "a mail (EML)",
    "application/mbox": "a mailbox (mbox)",
    "application/rtf": "rich text (RTF)",
    "application/postscript": "PostScript",
    "application/x-msdownload": "a Windows program (EXE)",
    "application/x-executable": "a program",
    "application/x-shockwave-flash": "a Flash movie (SWF)",
    "application/onenote": "a OneNote section",
    "application/vnd.ms-htmlhelp": "a compiled HTML help file (CHM)",
    _PGP: "a message encrypted by PGP",
    tnef.MEDIA_TYPE: "a message of Outlook (winmail.dat)",
    "application/gzip": "a compressed file (GZIP)",
    "application/x-tar": "an archive (TAR)",
    "application/x-7z-compressed": "an archive (7Z)",
    "application/json": "JSON",
    "application/jsonl": "JSON Lines",
    PARQUET: "Parquet",
    "application/xml": "XML",
    "application/octet-stream": "binary data of no known kind",
    **zip_packages.NAMES,
    **ole_files.NAMES,
}
_FAMILIES = {
    "image": "a picture",
    "audio": "a sound recording",
    "video": "a video",
    "font": "a font",
    "text": "text",
}
_HEADERS = frozenset(
    {
        "from",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "received",
        "return-path",
        "delivered-to",
        "message-id",
        "mime-version",
        "reply-to",
        "content-type",
        "x-mailer",
        "sender",
        "in-reply-to",
        "references",
        "dkim-signature",
    }
)
_HEADER_LINE = re.compile(r"^([!-9;-~]{1,80}):")
_MBOX_START = re.compile(r"From \S{1,300} .{0,200}\d\d:\d\d.{0,100}\r?\n[!-9;-~]{1,80}:")
_HTML_START = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HTML_TAG = re.compile(r"<(?:p|div|table|h[1-6]|ul|ol|a|br|span|title|meta)\b", re.IGNORECASE)
_LEADING = re.compile(r"\A\s*(?:<\?xml.{0,500}?\?>\s*)?(?:<!--.{0,2000}?-->\s*)*", re.DOTALL)
_MARKDOWN = re.compile(
    r"^(?:#{1,6} \S|```|[-*] \S|\d+\. \S|> \S|\|[ :|-]+\|$)|\[[^\]\n]{1,200}\]\([^)\n]{1,500}\)",
    re.MULTILINE,
)
_STARTS = (
    (bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3"), "application/onenote"),
    (b"ITSF\x03\x00\x00\x00", "application/vnd.ms-htmlhelp"),
    (b"-----BEGIN PGP MESSAGE-----", _PGP),
    (b"HWP Document File", "application/x-hwp"),
    (tnef.MAGIC, tnef.MEDIA_TYPE),
)
_PDF_OBJECT = re.compile(rb"\d+ \d+ obj\b")
_PDF_START = re.compile(
    rb"\s*(?:\d+ \d+ obj\b|xref\s|trailer\s*<<|startxref\s|stream\r?\n|endobj\b)"
)
_PDF_WORDS = (b"endobj", b"endstream", b"startxref", b"%%EOF")
_CONTROL = bytes(set(range(32)) - {0, 9, 10, 12, 13, 27})


@dataclass(frozen=True, slots=True)
class SniffResult:
    """The kind of a document, as detected by its content."""

    media_type: str
    is_text: bool = False
    """The content is characters, so plain text is the fallback if it has no parser."""
    is_encrypted: bool = False
    damage: str | None = None
    """The reason why it can't be read although its kind is known."""


def describe_media_type(media_type: str) -> str:
    """The display name of a media type: ``a Word document (DOCX)``."""
    if (name := _NAMES.get(media_type)) is not None:
        return name
    family, _, kind = media_type.partition("/")
    kind = kind.removeprefix("x-").removeprefix("vnd.").upper()
    return f"{_FAMILIES.get(family, 'a file of type')} ({kind})"


def name_without_article(media_type: str) -> str:
    """The display name of a media type in a sentence: ``Word document (DOCX)``."""
    return describe_media_type(media_type).removeprefix("a ").removeprefix("an ")


def media_type_by_name(path: str) -> str | None:
    """The media type for a name's extension, or None for an unknown extension."""
    extension = PurePosixPath(path).suffix.lower().lstrip(".")
    return TEXT_KINDS.get(extension) or _OTHER_KINDS.get(extension)


def sniff(data: bytes, path: str) -> SniffResult:
    """Detect the kind of ``data``. Linear in its size; unpacking is limited."""
    head = data[:_HEAD]
    named = media_type_by_name(path)
    if (at := head.find(b"%PDF-", 0, 1_024)) == 0 or (at > 0 and b" obj" in data):
        return SniffResult("application/pdf")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        kind, is_encrypted, damage = zip_packages.identify_zip(data)
        if kind in {zip_packages.IWORK, None} and named in zip_packages.IWORK_KINDS and not damage:
            kind = named
        return SniffResult(kind or "application/zip", is_encrypted=is_encrypted, damage=damage)
    if head.startswith(b"PAR1"):
        return SniffResult(PARQUET)
    if head.startswith(ole_files.MAGIC):
        kind, is_encrypted = ole_files.identify_ole(data)
        return SniffResult(kind, is_encrypted=is_encrypted)
    for start, kind in _STARTS:
        if head.startswith(start):
            return SniffResult(kind)
    if head.lstrip()[:5] == b"{\\rtf":
        return SniffResult("application/rtf")
    if head.startswith(b"%!PS"):
        return SniffResult("application/postscript")
    is_named_text = named in TEXT_KINDS.values()
    if _is_pdf_syntax(head) or (not is_named_text and _PDF_OBJECT.search(head)):
        return SniffResult(
            "application/pdf", damage="its first bytes, which say that it is one, are gone"
        )
    if _is_text(head):
        return SniffResult(_text_kind(head, named), is_text=True)
    if named == _PGP and head[0] & 0x80:
        return SniffResult(_PGP)  # every packet of a binary message begins with this bit
    return SniffResult(_binary_kind(head))


def _is_pdf_syntax(head: bytes) -> bool:
    """Whether the content is a piece out of a PDF; a text about PDF begins with words."""
    return _PDF_START.match(head) is not None and sum(word in head for word in _PDF_WORDS) > 1


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return True
    if decode(head[:4_096]).encoding.startswith(("utf-16", "utf-32")):
        return True
    # Some text has stray NUL or control characters. A file of NULs only is refused as empty later.
    body = head.replace(b"\x00", b"")
    if len(body) < 0.7 * len(head):
        return not body
    controls = len(body) - len(body.translate(None, _CONTROL))
    return controls <= 0.02 * len(body) + 1 and not _has_binary_magic(head, body)


def _has_binary_magic(head: bytes, body: bytes) -> bool:
    """Whether bytes that may be an old encoding are a known binary format."""
    return not body.isascii() and _guess_binary(head) is not None and b"\x00" in head


def _guess_binary(head: bytes) -> str | None:
    import filetype  # it has no stubs

    kind = filetype.guess(head[:8_192])
    return None if kind is None else str(kind.mime)


def _binary_kind(head: bytes) -> str:
    return _guess_binary(head) or "application/octet-stream"


def _text_kind(head: bytes, named: str | None) -> str:
    sample = decode(head).text[:16_384]
    leading = _LEADING.match(sample)
    body = sample[leading.end() if leading else 0 :]
    is_source = named in TEXT_KINDS.values() and named not in {
        "text/plain",
        "application/xml",
    }
    if _HTML_START.match(body):
        return "text/html"
    if named == "text/html" and (_HTML_START.search(sample) or _HTML_TAG.search(sample)):
        return "text/html"
    if sample.lstrip().startswith("<?xml"):
        return "application/xml"
    if not is_source and named != "message/rfc822" and _MBOX_START.match(sample):
        return "application/mbox"
    if not is_source and _is_mail(sample, named):
        return "message/rfc822"
    if named in TEXT_KINDS.values():
        return str(named)
    marks = {match[0][:2] for match in _MARKDOWN.finditer(sample)}
    return "text/markdown" if len(marks) >= 2 or sample.startswith("# ") else "text/plain"


def _is_mail(sample: str, named: str | None) -> bool:
    known: set[str] = set()
    for number, line in enumerate(sample.lstrip("\n\r").splitlines()[:200]):
        if not line.strip():
            break
        if line[0] in " \t" or (number == 0 and line.startswith(("From ", ">From "))):
            continue
        match = _HEADER_LINE.match(line)
        if match is None:
            if named != "message/rfc822":
                return False
            continue
        known.update({match[1].lower()} & _HEADERS)
    return len(known) >= (1 if named == "message/rfc822" else 3)


def extensions_of(media_type: str) -> tuple[str, ...]:
    """The name extensions of a media type."""
    kinds = {**TEXT_KINDS, **_OTHER_KINDS}
    return tuple(sorted(ending for ending, kind in kinds.items() if kind == media_type))
