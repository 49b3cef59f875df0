"""One document from bytes to text: sniff, choose the parser, parse, note what was odd.

What belongs here: the task that a worker process is sent, and the fingerprint by which
stale parses are found. What does not: any format (`parsers`), processes (`workers`),
judgement of the text (`core.text_validation`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache

from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats import (
    Parser,
    all_containers,
    all_parsers,
    container_for,
    ole,
    parser_for,
    supported_names,
)
from tvdb_assets.parsing.formats.active_limits import using
from tvdb_assets.parsing.formats.refusals import (
    corrupt,
    empty,
    encrypted,
    is_container,
    mislabelled,
    unsupported,
)
from tvdb_assets.parsing.formats.sniff import Sniffed, describe, promised_by, sniff

# Changes whenever sniffing, decoding, normalization or assembly give another text.
_REVISION = 3
_DEFAULTS = DocumentLimits()
_READABLE = frozenset(
    {"text/x-rst", "text/x-textile", "text/x-mediawiki", "application/x-tex", "text/asciidoc"}
)


def parse_document(data: bytes, path: str, sniffed: Sniffed | None = None) -> ParsedDocument:
    """Parse a document by its content.

    Args:
        data: The whole file.
        path: Its name; settles only what content leaves open, such as Markdown or text.
        sniffed: What it is, where that is known.

    Raises:
        ParseError: ``empty``, ``encrypted``, ``corrupt``, ``unsupported``, ``mislabelled``,
            ``container`` for what only holds other documents, or a code of the parser.
    """
    if sniffed is None:
        sniffed = look_at(data, path)
    promised = promised_by(path)
    parser = _parser(sniffed)
    what = describe(sniffed.media_type)
    if is_mere_container(sniffed):
        raise is_container(what)
    if parser is None:
        raise _refusal(sniffed, promised)
    try:
        parsed = parser.parse(data, sniffed.media_type, path)
    except (ParseError, MemoryError):
        raise
    except Exception as error:
        if sniffed.media_type in _READABLE:
            return _as_written(data, path, parser)
        if isinstance(error, RecursionError):
            raise corrupt(_without_article(what), "it is nested too deeply") from None
        # A library's message may quote the document; its type does not.
        raise corrupt(
            _without_article(what), f"its parser stopped with {type(error).__name__}"
        ) from None
    if promised is not None and not _agree(promised, sniffed):
        note = f"the name says {describe(promised)}, the content is {what}"
        parsed = replace(parsed, notes=(*parsed.notes, note))
    return parsed


def _as_written(data: bytes, path: str, failed: Parser) -> ParsedDocument:
    """The source itself: people write these formats by hand, so it reads well enough."""
    plain = parser_for("text/plain")
    assert plain is not None
    parsed = plain.parse(data, "text/plain", path)
    note = f"{failed.service} could not read its {failed.name}; the source is kept as it is written"
    return replace(parsed, notes=(*parsed.notes, note))


def is_mere_container(sniffed: Sniffed) -> bool:
    """Whether it holds documents and has no text of its own."""
    has_parser = parser_for(sniffed.media_type) is not None
    return not has_parser and container_for(sniffed.media_type) is not None


def look_at(data: bytes, path: str, media_type: str | None = None) -> Sniffed:
    """What a document is, by its content.

    Args:
        data: The whole file.
        path: Its name.
        media_type: What its container says that it is; believed.

    Raises:
        ParseError: ``empty``, ``encrypted`` or ``corrupt``, whoever would parse it.
    """
    if not data.strip(b"\x00\t\n\x0b\x0c\r "):
        raise empty()
    if media_type is not None:
        return Sniffed(media_type)
    sniffed = sniff(data, path)
    what = _without_article(describe(sniffed.media_type))
    if sniffed.is_encrypted:
        raise encrypted("file" if sniffed.media_type == ole.UNKNOWN else what)
    if sniffed.damage is not None:
        raise corrupt(what, sniffed.damage)
    return sniffed


@cache
def parser_fingerprint(media_type: str | None = None, limits: DocumentLimits = _DEFAULTS) -> str:
    """Changes whenever the same bytes may give another text; imports no parsing library.

    Args:
        media_type: Of one kind of document; None covers all parsers.
        limits: What is asked of OCR is part of it.
    """
    chosen = parser_for(media_type) if media_type is not None else None
    formats = (*all_parsers(), *all_containers()) if chosen is None else (chosen,)
    with using(limits):
        parts = [str(_REVISION), *(each.fingerprint for each in formats)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _parser(sniffed: Sniffed) -> Parser | None:
    parser = parser_for(sniffed.media_type)
    if parser is None and sniffed.is_text:
        return parser_for("text/plain")
    return parser


def _refusal(sniffed: Sniffed, promised: str | None) -> ParseError:
    what = describe(sniffed.media_type)
    if promised is None or promised == sniffed.media_type:
        return unsupported(what, supported_names())
    if sniffed.media_type == ole.UNKNOWN and promised in ole.EXTENSIONS.values():
        return corrupt(_without_article(describe(promised)), "its OLE2 directory is incomplete")
    if sniffed.media_type == "application/octet-stream":
        name = _without_article(describe(promised))
        return corrupt(f"file, by its name {name},", "its content has no known format")
    return mislabelled(describe(promised), what, supported_names())


def _agree(promised: str, sniffed: Sniffed) -> bool:
    return promised == sniffed.media_type


def _without_article(what: str) -> str:
    return what.removeprefix("a ").removeprefix("an ")


__all__ = ["is_mere_container", "look_at", "parse_document", "parser_fingerprint"]
