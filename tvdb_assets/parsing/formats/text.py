"""Plain text and Markdown, in any common encoding.

What belongs here: text whose bytes are its content. What does not: formats with markup
that must be taken off; until one has its own parser, its source is read as plain text.
"""

from __future__ import annotations

import re
from importlib.metadata import version

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.refusals import empty

_REVISION = 1
_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\r?\n(.{0,100000}?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.M | re.S
)
_TITLE = re.compile(r"^title:[ \t]*(.{1,500}?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_KEY = re.compile(r"^[A-Za-z_][\w -]{0,60}:", re.MULTILINE)


class TextParser:
    """Text as it is; of Markdown, front matter gives the title and is taken off."""

    media_types = frozenset({"text/plain", "text/markdown"})
    name = "Markdown, plain text"
    kept = "everything; front matter gives the title"
    lost = "front matter itself"
    service = "chardetng-py"

    @property
    def version(self) -> str:
        return version(self.service)

    @property
    def fingerprint(self) -> str:
        return f"text{_REVISION}:{self.service}{self.version}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Decode ``data`` and, of Markdown, take front matter off."""
        decoded = decode(data)
        text = decoded.text
        is_markdown = media_type == "text/markdown"
        title = None
        if is_markdown:
            text, title = _without_front_matter(text)
        document = make(
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
    # Text between two rules also looks like this, but has no keys.
    if match is None or (match[1].strip() and not _KEY.search(match[1])):
        return text, None
    title = _TITLE.search(match[1])
    return text[match.end() :].lstrip("\r\n"), title[1].strip("\"'") if title else None


PARSER = TextParser()
