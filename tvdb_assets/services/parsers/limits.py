"""How much of a document is read: every bound that a parser keeps, in one place.

What belongs here: numbers, each with its unit, and the refusal that names it. What does
not: time and memory, which the parent of a worker watches (`services.workers`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tvdb_assets.errors import ParseError


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults that ordinary documents don't come near."""

    cells: int = 1_000_000
    """Filled cells of all sheets of a workbook, or of a CSV file."""
    pages: int = 20_000
    """Pages, slides or sheets."""
    expanded_mib: int = 512
    """What an archive may unpack to, with the archives inside it."""
    members: int = 10_000
    """Files of an archive, or messages of a mailbox."""
    depth: int = 3
    """Archives and mails inside each other."""
    ocr_pages: int = 200
    """Pages of one document whose text is read from their picture."""
    ocr_dpi: int = 300
    """Dots per inch at which a PDF page is drawn for that."""
    picture_megapixels: int = 100
    """A larger picture is refused before it is unpacked."""


LIMITS = Limits()


def over_limit(what: str, name: str, unit: str, scale: int = 1) -> ParseError:
    """The refusal of what passes a limit; it says the limit's value and where it stands.

    Args:
        what: The document, e.g. ``workbook``.
        name: The field of `Limits`.
        unit: What is counted, e.g. ``filled cells``.
        scale: By which the field's value is divided to be read.
    """
    value = getattr(LIMITS, name) // scale
    return ParseError(
        "over_limit",
        f"The {what} has more than {value:,} {unit}, which is the limit.",
        remedy=f"Split it into smaller documents, or raise `{name}` in "
        "tvdb_assets/services/parsers/limits.py.",
    )
