"""The frozen values that pass between the stages of an ingestion.

What belongs here: values with their units. What does not: computations (`core`), storage
(`repositories`) or calls of services (`spend_guard`, `embedding`, `parsing`).

Offsets and lengths of texts are in Unicode code points, sizes of files in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tvdb_assets.errors import ParseError


class Stage(StrEnum):
    """The stages of an ingestion, in order; each is the Dagster asset of the same name."""

    PARSED_DOCUMENTS = "parsed_documents"
    CHUNKS = "chunks"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True)
class Provenance:
    """The service that produced a row; stored in every row that a service or stage produced."""

    service: str
    """The service or library, e.g. ``liteparse``, ``wordllama``, ``openai``."""
    mode: str
    """The resolved mode of the call: ``mock``, ``local`` or ``real``."""
    model: str
    """The model or algorithm within the service, e.g. ``l2_supercat_256``."""
    version: str
    """The version of the service or library."""
    is_degraded: bool = False
    """Whether a fallback produced it. Search ignores it until the paid service has replaced it."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file in a listing of the source; its bytes are not read yet."""

    path: str
    """The path relative to the source root, with ``/`` between its parts; names the document."""
    size: int
    """Size in bytes."""
    etag: str
    """A version mark of the bytes: equal etags mean equal bytes."""
    written_at: float | None = None
    """Time of the last write or rename in seconds since 1970. None in a bucket, where an object
    appears only when it is complete."""
    modified_at: float | None = None
    """Time of the last change of the content in seconds since 1970, as the source states it; None
    if it is not known."""


@dataclass(frozen=True, slots=True)
class Member:
    """A document inside a container, with the data that the container states."""

    position: int
    """0-based position in the container, by which its bytes are found."""
    name: str
    """Unique name within the container; see `core.member_paths`."""
    size: int
    """Unpacked size in bytes."""
    sha256: bytes
    """SHA-256 digest of its bytes; 32 bytes."""
    media_type: str | None = None
    """The media type that the container states; None if content and name decide, as for a file."""
    error: ParseError | None = None
    """The reason why it can't be extracted; then only this member fails."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in the parsed text."""

    offset: int
    """Start of the heading's line in the text, in code points."""
    level: int
    """1 is the highest level."""
    title: str
    """The heading's text without markup."""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document's text and structure; offsets are in code points of ``text``."""

    text: str
    """Markdown if ``is_markdown``, else plain text. Normalized: no NUL, ``\\n`` line ends."""
    media_type: str
    """Detected by content, not by name: ``application/pdf``, ``text/markdown`` …"""
    is_markdown: bool
    produced_by: Provenance
    """The parser."""
    title: str | None = None
    """The stated title or the first heading of the top level; None if there is neither."""
    page_starts: tuple[int, ...] = ()
    """Start of each page in ``text``; empty for a format without pages."""
    headings: tuple[Heading, ...] = ()
    """Sorted by offset."""
    encoding: str | None = None
    """The detected encoding of a text format; None for a binary format."""
    notes: tuple[str, ...] = ()
    """Remarks for the reader, without document text: ``3 hidden slides are left out``."""
    facts: dict[str, int] = field(default_factory=dict)
    """Counts that are reported as metadata: ``tables``, ``attachments``, ``nul_removed`` …"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a parsed document; the unit of embedding and search."""

    ordinal: int
    """0-based position in the document."""
    start: int
    """Start in the parsed text, in code points; ``text == parsed.text[start:end]``."""
    end: int
    """End in the parsed text, in code points, exclusive."""
    text: str
    token_count: int
    """Exact number of cl100k_base tokens of the embedded text, ``repeated_header + text``."""
    sha256: bytes
    """SHA-256 digest of the embedded text in UTF-8; 32 bytes."""
    heading_path: tuple[str, ...] = ()
    """Titles of the headings above the chunk's first new text, from the highest to the nearest."""
    page_first: int | None = None
    """First page, 1-based; None for a format without pages."""
    page_last: int | None = None
    """Last page, 1-based and inclusive; None for a format without pages."""
    repeated_header: str = ""
    """The header row, with its line end, of a table that began in an earlier chunk; else empty.
    It is embedded and searched together with ``text``."""


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """The space of an embedding; only vectors of the same space are ever compared."""

    provider: str
    """The service or library that embeds, e.g. ``openai``, ``wordllama``."""
    model: str
    """The provider's name of the model."""
    dimensions: int
    """Number of components of each vector."""
    version: str
    """The version of the model or library; another version is another space."""

    @property
    def label(self) -> str:
        """The name of the space as rows store it: ``wordllama/l2_supercat_256@256#0.4``."""
        return f"{self.provider}/{self.model}@{self.dimensions}#{self.version}"
