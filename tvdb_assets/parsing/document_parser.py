"""Parses one document: detects its kind, chooses the parser, parses, adds notes.

What belongs here: the choice of the parser, its fallbacks, and the fingerprint by which outdated
parses are found. What does not: any format (`parsing.formats`), processes (`parsing.worker_pool`),
checks of the text (`core.text_validation`).
"""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import replace
from functools import cache

from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import limits_applied
from tvdb_assets.parsing.cpu_deadline import DeadlineExceeded, cpu_deadline
from tvdb_assets.parsing.format_protocol import Parser, UnsupportedVariantError
from tvdb_assets.parsing.format_registry import (
    all_containers,
    all_parsers,
    container_for,
    is_memory_safe,
    parser_for,
    supported_names,
)
from tvdb_assets.parsing.parse_errors import (
    corrupt,
    empty,
    encrypted,
    is_container,
    mislabelled,
    unsupported,
)
from tvdb_assets.parsing.parse_isolation import require_own_process
from tvdb_assets.parsing.reading import ole_files
from tvdb_assets.parsing.reading.content_sniffing import (
    SniffResult,
    describe_media_type,
    media_type_by_name,
    name_without_article,
    sniff,
)

# Increase it whenever sniffing, decoding, normalization or document building give another text.
_REVISION = 4
_DEFAULTS = DocumentLimits()
_READABLE_AS_SOURCE = frozenset(
    {
        "text/x-rst",
        "text/x-textile",
        "text/x-mediawiki",
        "text/x-org",
        "application/x-tex",
        "text/asciidoc",
    }
)
_SECONDS, _SECONDS_PER_MB = 4.0, 20.0
"""The limit of processor time for markup. Honest markup takes less than 10 s per MB; unclosed
markup makes some libraries take quadratic time, and is then kept as it is written."""


def parse_document(data: bytes, path: str, sniffed: SniffResult | None = None) -> ParsedDocument:
    """Parse a document by its content.

    Args:
        data: The whole file.
        path: Its name; it only decides what content leaves open, such as Markdown or text.
        sniffed: Its kind, if the caller knows it.

    Raises:
        ParseError: ``empty``, ``encrypted``, ``corrupt``, ``unsupported``, ``mislabelled``,
            ``container`` for a file that only holds other documents, or a code of the parser.
    """
    if sniffed is None:
        sniffed = identify_document(data, path)
    if not is_memory_safe(sniffed.media_type):
        require_own_process()
    named = media_type_by_name(path)
    parser = _parser(sniffed)
    what = describe_media_type(sniffed.media_type)
    if is_container_only(sniffed):
        raise is_container(what)
    if parser is None:
        raise _refusal_of(sniffed, named)
    has_source = sniffed.media_type in _READABLE_AS_SOURCE
    seconds = _SECONDS + _SECONDS_PER_MB * len(data) / 1e6
    try:
        with cpu_deadline(seconds) if has_source else nullcontext():
            parsed = parser.parse(data, sniffed.media_type, path)
    except DeadlineExceeded:
        return _parse_as_source(data, path, parser)
    except (ParseError, MemoryError):
        raise
    except UnsupportedVariantError as variant:
        raise unsupported(str(variant), supported_names()) from None
    except BaseException as error:
        # A panic of a Rust library is no `Exception`, and an error like any other.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if has_source:
            return _parse_as_source(data, path, parser)
        if isinstance(error, RecursionError):
            raise corrupt(
                name_without_article(sniffed.media_type), "it is nested too deeply"
            ) from None
        # A library's message may quote the document; the type of its error does not.
        raise corrupt(
            name_without_article(sniffed.media_type),
            f"its parser stopped with {type(error).__name__}",
        ) from None
    if named is not None and named != sniffed.media_type:
        note = f"the name says {describe_media_type(named)}, the content is {what}"
        parsed = replace(parsed, notes=(*parsed.notes, note))
    return parsed


def _parse_as_source(data: bytes, path: str, failed: Parser) -> ParsedDocument:
    """The source itself as text; these formats are written by hand, so their source is readable."""
    plain = parser_for("text/plain")
    assert plain is not None
    parsed = plain.parse(data, "text/plain", path)
    note = f"{failed.service} could not read its {failed.name}; the source is kept as it is written"
    return replace(parsed, notes=(*parsed.notes, note))


def is_container_only(sniffed: SniffResult) -> bool:
    """Whether the document only holds other documents and has no text itself."""
    has_parser = parser_for(sniffed.media_type) is not None
    return not has_parser and container_for(sniffed.media_type) is not None


def identify_document(data: bytes, path: str, media_type: str | None = None) -> SniffResult:
    """Detect a document's kind by its content.

    Args:
        data: The whole file.
        path: Its name.
        media_type: As its container states it; trusted.

    Raises:
        ParseError: ``empty``, ``encrypted`` or ``corrupt``, for any parser.
    """
    if not data.strip(b"\x00\t\n\x0b\x0c\r "):
        raise empty()
    if media_type is not None:
        return SniffResult(media_type)
    if data.startswith((b"PK", ole_files.MAGIC)):
        require_own_process()  # their directories are read to tell what they are
    sniffed = sniff(data, path)
    what = name_without_article(sniffed.media_type)
    if sniffed.is_encrypted:
        raise encrypted("file" if sniffed.media_type == ole_files.UNKNOWN else what)
    if sniffed.damage is not None:
        raise corrupt(what, sniffed.damage)
    return sniffed


@cache
def parser_fingerprint(media_type: str | None = None, limits: DocumentLimits = _DEFAULTS) -> str:
    """Changes whenever the same bytes may give another text; imports no parsing library.

    Args:
        media_type: The kind of document; None covers all parsers and containers.
        limits: Their OCR settings are part of the fingerprint.
    """
    chosen = parser_for(media_type) if media_type is not None else None
    formats = (*all_parsers(), *all_containers()) if chosen is None else (chosen,)
    with limits_applied(limits):
        parts = [str(_REVISION), *(each.fingerprint for each in formats)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _parser(sniffed: SniffResult) -> Parser | None:
    parser = parser_for(sniffed.media_type)
    if parser is None and sniffed.is_text:
        return parser_for("text/plain")
    return parser


def _refusal_of(sniffed: SniffResult, named: str | None) -> ParseError:
    what = describe_media_type(sniffed.media_type)
    if named is None or named == sniffed.media_type:
        return unsupported(what, supported_names())
    if sniffed.media_type == ole_files.UNKNOWN and named in ole_files.EXTENSIONS.values():
        return corrupt(name_without_article(named), "its OLE2 directory is incomplete")
    if sniffed.media_type == "application/octet-stream":
        name = name_without_article(named)
        return corrupt(f"file, by its name {name},", "its content has no known format")
    return mislabelled(describe_media_type(named), what, supported_names())
