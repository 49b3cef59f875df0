"""Textile, by the library of the same name: its HTML, rendered like any other HTML.

What belongs here: Textile. What does not: rendering (`markdown.html_renderer`).
"""

from __future__ import annotations

from tvdb_assets.parsing.formats.html import extract_main_text
from tvdb_assets.parsing.markup_parser import LONGEST_LINE, ConvertedMarkup, MarkupParser


class TextileParser(MarkupParser):
    """Reads the output of the library."""

    media_types = frozenset({"text/x-textile"})
    name = "Textile"
    service = "textile"
    model = "html"
    other_libraries = ("lxml",)
    longest_line = LONGEST_LINE
    preserved = "headings, lists, tables, code"
    not_preserved = "pictures, link targets, styles"
    imports = ("textile",)

    def convert(self, source: str) -> ConvertedMarkup:
        """Convert a source; no picture is fetched to learn its size."""
        import textile

        html = textile.textile(source.replace("\r\n", "\n"))
        body = extract_main_text(f"<body>{html}</body>")
        return ConvertedMarkup(body.text, body.facts.get("tables", 0), notes=tuple(body.notes))


PARSER = TextileParser()
