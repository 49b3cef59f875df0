"""Textile, by the library of that name: its HTML, rendered as every other HTML.

What belongs here: Textile. What does not: rendering (`html_markdown`).
"""

from __future__ import annotations

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.html import html_to_markdown
from tvdb_assets.parsing.formats.refusals import empty


class TextileParser(BaseParser):
    """What the library makes of it."""

    media_types = frozenset({"text/x-textile"})
    name = "Textile"
    service = "textile"
    also = ("lxml",)
    kept = "headings, lists, tables, code"
    lost = "pictures, link targets, styles"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a text; no picture is fetched for its size."""
        import textile

        decoded = decode(data)
        source = decoded.text.replace("\x00", "").replace("\r\n", "\n")
        body = html_to_markdown(f"<body>{textile.textile(source)}</body>")
        if not body.text.strip():
            raise empty()
        return make(
            [body.text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="html",
            encoding=decoded.encoding,
            notes=(*decoded.notes(), *body.notes),
            facts={"tables": body.facts.get("tables", 0)},
        )


PARSER = TextileParser()
