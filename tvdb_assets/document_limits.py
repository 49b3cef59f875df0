"""The limits of the parsers on the size of a document, each with its setting.

What belongs here: numbers, each with its unit and its default. What does not: time and
memory, which the worker's parent process limits (`parsing.worker_pool`), or money (`spend_guard`).
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
    """The limits of the parsers. Ordinary documents are far below the defaults.

    The name of each setting is ``TVDB_`` and the field's name in capitals.
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
    """Documents inside a file, on all levels; chapters of an e-book."""
    max_depth: int = 3
    """Levels of nested documents; a file in an archive is on the first level."""
    max_picture_megapixels: int = 100
    """Megapixels; a larger picture is refused before it is decoded."""
    ocr_max_pages: int = 200
    """Pages of one document that are read by OCR."""
    ocr_dpi: int = 300
    """Dots per inch at which a PDF page is rendered for OCR."""
    ocr_languages: str | None = None
    """Languages of OCR, such as `eng+deu`; if not set, all languages with installed data."""


def setting_of(name: str) -> str:
    """The name of the setting for a field of `DocumentLimits`."""
    return f"TVDB_{name.upper()}"
