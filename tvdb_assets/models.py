"""The frozen values that pass between the stages of a document's walk.

What belongs here: values and their units. What does not: anything that reads, decides or
computes (`pipeline`), stores (`storage`) or calls (`services`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tvdb_assets.errors import ParseError


class Stage(StrEnum):
    """The stages of the walk, in order; each is the asset of the same name."""

    PARSED_DOCUMENTS = "parsed_documents"
    CHUNKS = "chunks"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which service made a row: part of every row that a service or stage made."""

    service: str
    """Who made it, e.g. ``liteparse``, ``wordllama``, ``openai``."""
    mode: str
    """The mode that was resolved for the call: ``mock``, ``local`` or ``real``."""
    model: str
    """Model or algorithm within the service, e.g. ``l2_supercat_256``."""
    version: str
    """Version of the service or library that answered."""
    is_degraded: bool = False
    """Made by a stand-in; kept out of search until the real service has made it again."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A document as the source lists it; its bytes are not read yet."""

    path: str
    """Relative to the source root, ``/`` between parts; what a person calls the document."""
    size: int
    """Bytes."""
    etag: str
    """Changes whenever the bytes may have changed; equal etags mean equal bytes."""
    written_at: float | None = None
    """Seconds since 1970 when it was last written to or renamed; None in a bucket, where an
    object appears whole."""


@dataclass(frozen=True, slots=True)
class Member:
    """A document inside of another one, as its container lists it."""

    position: int
    """0-based place in the container, by which its bytes are found."""
    name: str
    """Within the container, each once; see `core.member_paths`."""
    size: int
    """Bytes, unpacked."""
    sha256: bytes
    """Of its bytes; 32 bytes."""
    media_type: str | None = None
    """As the container has it; None where content and name say it, as of any file."""
    error: ParseError | None = None
    """Why it can't be taken out; it then fails alone."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in the parsed text."""

    offset: int
    """Code points from the start of the text to the heading's line."""
    level: int
    """1 is the highest."""
    title: str


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document's text and structure; offsets count code points of ``text``."""

    text: str
    """Markdown where ``is_markdown``, else plain text. Normalized: no NUL, ``\\n`` line ends."""
    media_type: str
    """By content, not by name: ``application/pdf``, ``text/markdown`` …"""
    is_markdown: bool
    made_by: Provenance
    title: str | None = None
    page_starts: tuple[int, ...] = ()
    """Where each page starts in ``text``; empty for a format without pages."""
    headings: tuple[Heading, ...] = ()
    """In the order of their offsets."""
    encoding: str | None = None
    """Of a text format, as detected."""
    notes: tuple[str, ...] = ()
    """What the reader should know, without document text: ``name says .docx, content is PDF``."""
    facts: dict[str, int] = field(default_factory=dict)
    """Counts for metadata: ``tables``, ``attachments``, ``nul_removed`` …"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a parsed document that is embedded and found as one."""

    ordinal: int
    """0-based position in the document."""
    start: int
    """Code points into the parsed text; ``text == parsed.text[start:end]``."""
    end: int
    text: str
    token_count: int
    """Exact cl100k_base tokens of what is embedded: ``repeated_header`` and ``text``."""
    sha256: bytes
    """Of what is embedded in UTF-8; 32 bytes."""
    heading_path: tuple[str, ...] = ()
    """Titles from the highest heading above the chunk's first own text to the nearest."""
    page_first: int | None = None
    """1-based; None for a format without pages."""
    page_last: int | None = None
    repeated_header: str = ""
    """What stands before ``text`` where it is embedded and searched: the header row, with its
    line end, of a table that an earlier chunk began."""


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What makes two vectors comparable. Vectors of different spaces never meet."""

    provider: str
    model: str
    dimensions: int
    version: str

    @property
    def label(self) -> str:
        """The space in one string, as stored in rows: ``wordllama/l2_supercat_256@256#0.4``."""
        return f"{self.provider}/{self.model}@{self.dimensions}#{self.version}"
