"""What a worker process does for one document: parse, validate, chunk.

What belongs here: module-level functions that a worker can be sent, whose arguments and
results are plain values. What does not: the processes (`workers`), the formats (`parsers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.text_validation import most_characters, validate
from tvdb_assets.errors import ParseError, TvdbError
from tvdb_assets.models import Chunk, ParsedDocument
from tvdb_assets.parsing.document_parser import identify_document, is_container_only, parse_document
from tvdb_assets.parsing.format_registry import container_for, is_memory_safe
from tvdb_assets.parsing.parse_errors import is_container
from tvdb_assets.parsing.parse_isolation import TaskTraits, register_traits
from tvdb_assets.parsing.reading import ocr
from tvdb_assets.parsing.reading.content_sniffing import describe_media_type, media_type_by_name
from tvdb_assets.parsing.reply_checks import (
    check_chunks,
    check_provenance,
    check_seconds,
    check_text,
    register_check,
)
from tvdb_assets.parsing.worker_replies import MAX_JSON_BYTES

_BYTES_OF_A_CHARACTER = 12
"""Of a reply: once in the text, and at most twice in the chunks, with up to four bytes each."""
_SPARE_PAGES = 2
_SCANNED = frozenset({"application/pdf", "image/tiff"})
"""Kinds of documents that may have many pages to read by OCR."""
_CHARACTERS_OF_A_PAGE = 1_000
"""A third of a full page, so that a bound from the text's length is rarely reached."""
_BYTES_OF_A_PAGE = 10_000
_NOT_WORTH_SENDING = frozenset(
    entry.code for entry in (codes.EMPTY, codes.ENCRYPTED, codes.CORRUPT, codes.EXPANDS_TOO_FAR)
)
"""Nobody can read these, and asking costs money."""


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document's text and, where they were asked for, its chunks."""

    parsed: ParsedDocument
    chunks: Sequence[Chunk] | None = None
    error: TvdbError | None = None
    """Why there are no chunks though they were asked for; the text is good."""
    parse_seconds: float = 0.0
    chunk_seconds: float = 0.0

    def check_reply(self) -> None:
        """Check what a worker replied, before anything is stored; see `parsing.reply_checks`.

        Raises:
            ValueError: no honest worker replies this.
        """
        check_text(self.parsed)
        check_chunks(self.chunks or (), self.parsed)
        check_seconds(self.parse_seconds, self.chunk_seconds)

    @property
    def has_members(self) -> bool:
        """Whether there are documents inside of it, to be listed."""
        return has_members(self.parsed.media_type, self.parsed.facts.get("attachments", 0))


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A document without text that contains other documents, which are to be listed."""

    media_type: str

    def check_reply(self) -> None:
        """Check what a worker replied.

        Raises:
            ValueError: no such container is known.
        """
        if container_for(self.media_type) is None:
            raise ValueError("media type")


@dataclass(frozen=True, slots=True)
class PaidParseCandidate:
    """A document that a paid service is to parse: what it may cost."""

    media_type: str
    most_pages: int
    """What is reserved for, and the most that the service is allowed."""


def has_members(media_type: str, attachments: int) -> bool:
    """Whether a text that was parsed comes with documents inside of its document."""
    return attachments > 0 and container_for(media_type) is not None


def prepare_document(
    data: bytes,
    path: str,
    mode: str,
    chunker: Chunker | None,
    is_degraded: bool = False,
    media_type: str | None = None,
) -> PreparedDocument | ContainerFile:
    """Parse and validate a document, and chunk it if there is a chunker.

    Args:
        data: the file's bytes.
        path: its name, which settles what content leaves open.
        mode: the parser's resolved mode, recorded with the text.
        chunker: or None, to stop after parsing.
        is_degraded: whether this parser stands in for another, recorded with the text.
        media_type: of a member, as its container says it.

    Raises:
        ParseError: the bytes give no usable text.
    """
    started = perf_counter()
    sniffed = identify_document(data, path, media_type)
    if is_container_only(sniffed):
        return ContainerFile(sniffed.media_type)
    parsed = parse_document(data, path, sniffed)
    parsed = validate(parsed, len(data))
    parsed = replace(
        parsed, produced_by=replace(parsed.produced_by, mode=mode, is_degraded=is_degraded)
    )
    seconds = perf_counter() - started
    if chunker is None:
        return PreparedDocument(parsed, parse_seconds=seconds)
    return replace(chunk_document(parsed, chunker), parse_seconds=seconds)


def text_of(made: PreparedDocument | ContainerFile) -> ParsedDocument:
    """The text that was asked for.

    Raises:
        ParseError: it has no text.
    """
    if isinstance(made, ContainerFile):
        raise is_container(describe_media_type(made.media_type))
    return made.parsed


def prepare_or_inspect(
    data: bytes,
    path: str,
    mode: str,
    chunker: Chunker | None,
    paid_types: frozenset[str],
    media_type: str | None = None,
) -> PreparedDocument | ContainerFile | PaidParseCandidate:
    """As `prepare_document`, unless a paid service is to parse this kind of document.

    Args:
        data: the file's bytes.
        path: its name.
        mode: of the parsers on this machine.
        chunker: or None, to stop after parsing.
        paid_types: media types that the paid service is to parse.
        media_type: of a member, as its container says it.

    Raises:
        ParseError: the bytes give no usable text, or are not worth sending: empty, encrypted,
            damaged.
    """
    seen = identify_document(data, path, media_type)
    if seen.media_type not in paid_types:
        return prepare_document(data, path, mode, chunker, False, media_type)
    return PaidParseCandidate(seen.media_type, _bound(data, path, seen.media_type))


def most_pages(
    data: bytes, path: str, paid_types: frozenset[str], media_type: str | None = None
) -> int:
    """A bound on the pages that a paid service would parse: 0 where it would not be asked.

    Args:
        data: the file's bytes.
        path: its name.
        paid_types: media types that the paid service is to parse.
        media_type: of a member, as its container says it.

    Raises:
        ParseError: as of `identify_document`.
    """
    media_type = identify_document(data, path, media_type).media_type
    return _bound(data, path, media_type) if media_type in paid_types else 0


def _bound(data: bytes, path: str, media_type: str) -> int:
    """Exact for a PDF, generous for a format without pages."""
    if media_type.startswith("image/") and media_type != "image/tiff":
        return 1
    try:
        with ocr.disabled():
            parsed = parse_document(data, path)
    except ParseError as error:
        if error.code in _NOT_WORTH_SENDING:
            raise
        # What can't be read here may be readable there; its size alone says how long it is.
        return _SPARE_PAGES + len(data) // _BYTES_OF_A_PAGE
    if parsed.page_starts:
        return len(parsed.page_starts)
    return _SPARE_PAGES + len(parsed.text) // _CHARACTERS_OF_A_PAGE


def chunk_document(parsed: ParsedDocument, chunker: Chunker) -> PreparedDocument:
    """Chunk a text; a text that can't be chunked is an `error`, so that the text is stored."""
    started = perf_counter()
    chunks = chunker.chunk(parsed)
    seconds = perf_counter() - started
    if chunks:
        return PreparedDocument(parsed, chunks, chunk_seconds=seconds)
    error = codes.NO_CHUNKS.error()
    return PreparedDocument(parsed, error=error, chunk_seconds=seconds)


def _traits_by_name(path: str, media_type: str | None, size: int = 0) -> TaskTraits:
    kind = media_type or media_type_by_name(path) or "application/octet-stream"
    extra = ocr.seconds_for(size) if kind in _SCANNED else 0.0
    return TaskTraits(is_memory_safe(kind), (kind,), extra)


def _traits_of_parse(data: bytes, path: str, *rest: Any) -> TaskTraits:
    traits = _traits_by_name(path, rest[3] if len(rest) > 3 else None, len(data))
    most = MAX_JSON_BYTES + _BYTES_OF_A_CHARACTER * most_characters(len(data))
    return replace(traits, most_reply_bytes=most)


def _traits_of_most_pages(
    data: bytes, path: str, paid_types: frozenset[str], media_type: str | None = None
) -> TaskTraits:
    return _traits_by_name(path, media_type)


def _traits_of_chunking(*_: object) -> TaskTraits:
    return TaskTraits(may_share=True)


def _check_prepared(
    made: PreparedDocument | ContainerFile,
    data: bytes,
    path: str,
    mode: str,
    chunker: Chunker | None,
    is_degraded: bool = False,
    media_type: str | None = None,
) -> None:
    if isinstance(made, ContainerFile):
        return
    if len(made.parsed.text) > most_characters(len(data)):
        raise ValueError("length of the text")
    _check_pages(len(made.parsed.page_starts), data)
    check_provenance(made.parsed.produced_by, mode, is_degraded=is_degraded)
    if chunker is not None and not made.chunks and made.error is None:
        raise ValueError("no chunks")
    _check_size_of_chunks(made, chunker)


def _check_prepared_or_inspected(
    made: PreparedDocument | ContainerFile | PaidParseCandidate,
    data: bytes,
    path: str,
    mode: str,
    chunker: Chunker | None,
    paid_types: frozenset[str],
    media_type: str | None = None,
) -> None:
    if not isinstance(made, PaidParseCandidate):
        _check_prepared(made, data, path, mode, chunker, False, media_type)
    elif made.media_type not in paid_types or made.most_pages < 1:
        # What is reserved, and the most that the service may bill, must not be nothing.
        raise ValueError("kind or number of pages")
    else:
        _check_pages(made.most_pages, data)


def _check_pages(pages: int, data: bytes, *_: object) -> None:
    # A byte unpacks to less than the text of two pages.
    if not 0 <= pages <= 2 * len(data) + _SPARE_PAGES:
        raise ValueError("number of pages")


def _check_chunked(made: PreparedDocument, parsed: ParsedDocument, chunker: Chunker) -> None:
    if made.parsed != parsed:
        raise ValueError("another text")
    _check_size_of_chunks(made, chunker)


def _check_size_of_chunks(made: PreparedDocument, chunker: Chunker | None) -> None:
    most = chunker.max_tokens if chunker is not None else 0
    if any(chunk.token_count > most for chunk in made.chunks or ()):
        raise ValueError("size of a chunk")


register_traits(prepare_document, _traits_of_parse)
register_traits(prepare_or_inspect, _traits_of_parse)
register_traits(most_pages, _traits_of_most_pages)
register_traits(chunk_document, _traits_of_chunking)
register_check(prepare_document, _check_prepared)
register_check(prepare_or_inspect, _check_prepared_or_inspected)
register_check(most_pages, _check_pages)
register_check(chunk_document, _check_chunked)
