"""What a worker process does for one document: parse, validate, chunk.

What belongs here: module-level functions that a worker can be sent, whose arguments and
results are plain values. What does not: the processes (`workers`), the formats (`parsers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from tvdb_assets.errors import ChunkError, TvdbError
from tvdb_assets.models import Chunk, ParsedDocument
from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.pipeline.validation import validate
from tvdb_assets.services.parsing import parse_document


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document's text and, where they were asked for, its chunks."""

    parsed: ParsedDocument
    chunks: Sequence[Chunk] | None = None
    error: TvdbError | None = None
    """Why there are no chunks though they were asked for; the text is good."""
    parse_seconds: float = 0.0
    chunk_seconds: float = 0.0


def prepare_document(data: bytes, path: str, mode: str, chunker: Chunker | None) -> Prepared:
    """Parse and validate a document, and chunk it if there is a chunker.

    Args:
        data: the file's bytes.
        path: its name, which settles what content leaves open.
        mode: the parser's resolved mode, recorded with the text.
        chunker: or None, to stop after parsing.

    Raises:
        ParseError: the bytes give no usable text.
    """
    started = perf_counter()
    parsed = parse_document(data, path)
    validate(parsed, len(data))
    parsed = replace(parsed, made_by=replace(parsed.made_by, mode=mode))
    seconds = perf_counter() - started
    if chunker is None:
        return Prepared(parsed, parse_seconds=seconds)
    return replace(chunk_document(parsed, chunker), parse_seconds=seconds)


def chunk_document(parsed: ParsedDocument, chunker: Chunker) -> Prepared:
    """Chunk a text; a text that can't be chunked is an `error`, so that the text is kept."""
    started = perf_counter()
    chunks = chunker.chunk(parsed)
    seconds = perf_counter() - started
    if chunks:
        return Prepared(parsed, chunks, chunk_seconds=seconds)
    error = ChunkError(
        "no_chunks",
        "The document's text holds nothing to search for.",
        remedy="Check that the file holds readable text, and replace it in the source.",
    )
    return Prepared(parsed, error=error, chunk_seconds=seconds)
