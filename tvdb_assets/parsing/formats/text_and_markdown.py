"""Plain text and Markdown, in any common encoding.

What belongs here: files whose source is their text. What does not: markup that must be removed. A
markup language without a parser is read as plain text.
"""

from __future__ import annotations

import re

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import empty
from tvdb_assets.parsing.reading.text_decoding import decode

_REVISION = 2
_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\r?\n(.{0,100000}?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.M | re.S
)
_TITLE = re.compile(r"^title:[ \t]*(.{1,500}?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_FENCED = re.compile(r"(^```.*?^```|^~~~.*?^~~~)", re.MULTILINE | re.DOTALL)
_MDX = re.compile(
    r"^(?:import\b[^\n]*?\bfrom\b|import\b[ \t]*[\"']|export\b)[^\n]*\n?"
    r"|\{/\*[^{}]{0,5000}\*/\}|</?(?:[A-Z][\w.]{0,80}\b[^<>]{0,2000})?>",
    re.MULTILINE,
)
_KEY = re.compile(r"^[A-Za-z_][\w -]{0,60}:", re.MULTILINE)


class TextParser(BaseParser):
    """Reads text unchanged; removes front matter from Markdown and takes the title from it."""

    media_types = frozenset({"text/plain", "text/markdown"})
    name = "Markdown, plain text"
    preserved = "everything; front matter gives the title; in MDX the text inside of components"
    not_preserved = "the front matter itself; imports, exports and tags of MDX"
    is_memory_safe = True
    service = "chardetng-py"

    @property
    def fingerprint(self) -> str:
        return f"text{_REVISION}:{self.service}{self.version}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Decode ``data`` and remove the front matter of Markdown."""
        decoded = decode(data)
        text = decoded.text
        is_markdown = media_type == "text/markdown"
        title = None
        if is_markdown:
            text, title = _without_front_matter(text)
            if path.lower().endswith(".mdx"):
                text = _without_components(text)
        document = build_document(
            [text],
            media_type=media_type,
            is_markdown=is_markdown,
            service=self.service,
            model="plain",
            title=title,
            encoding=decoded.encoding,
            notes=decoded.notes(),
        )
        if not document.text.strip():
            raise empty()
        return document


def _without_front_matter(text: str) -> tuple[str, str | None]:
    match = _FRONT_MATTER.match(text)
    # Text between two rules looks similar, but has no keys.
    if match is None or (match[1].strip() and not _KEY.search(match[1])):
        return text, None
    title = _TITLE.search(match[1])
    return text[match.end() :].lstrip("\r\n"), title[1].strip("\"'") if title else None


def _without_components(text: str) -> str:
    """MDX as Markdown: no imports, exports, comments and tags of components; their text stays."""
    parts = _FENCED.split(text)
    # Every second part is a block of code.
    parts[::2] = [_MDX.sub("", part) for part in parts[::2]]
    return "".join(parts)


PARSER = TextParser()
