"""How much of a document is read: every limit of the parsers, with its setting.

What belongs here: numbers, each with its unit and its default. What does not: time and
memory, which the parent of a worker watches (`parsing.worker_pool`), or money (`spend_guard`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tvdb_assets import error_codes as codes

LIMIT_CODES = frozenset(
    entry.code
    for entry in (
        codes.TOO_LARGE,
        codes.OVER_LIMIT,
        codes.EXPANDS_TOO_FAR,
        codes.PARSE_TIMEOUT,
        codes.PARSE_MEMORY,
    )
)
"""Error codes of documents that exceeded a limit. They are retried once a limit has changed."""


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The limits; ordinary documents stay far below the defaults.

    The setting of each field is ``TVDB_`` and its name in capitals.
    """

    max_document_mib: int = 100
    """MiB of a file, or of a document inside a file; a larger one is refused unread."""
    max_pages: int = 20_000
    """Pages, slides or sheets of a document."""
    max_cells: int = 1_000_000
    """Filled cells of all sheets of a workbook, or of a CSV file."""
    max_expanded_mib: int = 512
    """MiB that a file may unpack to, with the contents of its members."""
    max_members: int = 10_000
    """Documents inside a file, over all levels; chapters of an e-book."""
    max_depth: int = 3
    """Levels of documents inside each other: a file of an archive is at the first."""
    max_picture_megapixels: int = 100
    """Megapixels; a larger picture is refused before it is decoded."""
    ocr_max_pages: int = 200
    """Pages of one document that are read by OCR."""
    ocr_dpi: int = 300
    """Dots per inch at which a PDF page is rendered for OCR."""
    ocr_languages: str | None = None
    """Languages of OCR, as `eng+deu`; unset, all whose data is installed."""


def setting_of(name: str) -> str:
    """The setting that sets a field of `DocumentLimits`."""
    return f"TVDB_{name.upper()}"
