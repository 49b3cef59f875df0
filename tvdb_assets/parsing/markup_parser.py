"""The base class of parsers for markup languages whose source is text.

What belongs here: the steps that these parsers share: decode, convert, join lines, build. What
does not: any markup language (`parsing.formats`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import empty
from tvdb_assets.parsing.reading.text_decoding import decode

LONGEST_LINE = 20_000
"""Characters. Nobody writes markup into a longer line, and a search in it would take long."""


class LongLineError(ValueError):
    """A line is so long that the library would take very long."""


@dataclass(frozen=True, slots=True)
class ConvertedMarkup:
    """The Markdown of a markup source."""

    text: str
    tables: int
    """Tables in the text."""
    title: str | None = None
    """The title that the source states; None leaves it to the first heading."""
    notes: tuple[str, ...] = ()
    """Remarks for the reader, without document text."""


class MarkupParser(BaseParser):
    """A subclass converts the source; this class decodes it and builds the document."""

    model: ClassVar[str]
    """The algorithm or the library's output format, as recorded with the text."""
    longest_line: ClassVar[int | None] = None
    """Characters of a line that the library can read in reasonable time; None for any number.

    Such libraries take quadratic time, 3 s for a line of 20,000 characters of unclosed markup. A
    document with a longer line is kept as it is written, as if it did not parse.
    """

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a source. Nothing in it is run, and no file that it names is read."""
        decoded = decode(data)
        source = decoded.text.replace("\x00", "")
        longest = max(map(len, source.splitlines()), default=0)
        if self.longest_line is not None and longest > self.longest_line:
            raise LongLineError
        converted = self.convert(source)
        if not converted.text.strip():
            raise empty()
        return build_document(
            [converted.text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model=self.model,
            title=converted.title,
            encoding=decoded.encoding,
            notes=(*decoded.notes(), *converted.notes),
            facts={"tables": converted.tables},
        )

    @abstractmethod
    def convert(self, source: str) -> ConvertedMarkup:
        """Convert a source, which holds no NUL character, to Markdown."""


def join_lines(lines: Iterable[str]) -> str:
    """Join lines of Markdown with at most one blank line in a row.

    The lines inside of code fences stay as they are.
    """
    out: list[str] = []
    in_fence = False
    for line in lines:
        if line.startswith("```"):
            in_fence = not in_fence
        if line.strip() or in_fence or (out and out[-1].strip()):
            out.append(line)
    return "\n".join(out).strip("\n")
