"""Records of JSON Lines and Parquet: one object of names and values.

What belongs here: which field is a record's text. What does not: where a record ends
(`json_lines`, `parquet`), documents that are JSON (`structured`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.refusals import corrupt, empty
from tvdb_assets.parsing.formats.structured import BAD, load, outline

MEDIA_TYPE = "application/x-record+json"
_TEXTS = ("text", "content", "body", "markdown", "html")
_TITLES = ("title", "name", "subject")
_IDS = ("id", "_id", "doc_id", "uuid")
_LONGEST_ID = 120
_READ_AS = frozenset({"text/plain", "text/markdown", "text/html"})


class RecordParser(BaseParser):
    """The text of a record, or else all of its names and values."""

    media_types = frozenset({MEDIA_TYPE})
    name = "record of JSON Lines or Parquet"
    service = "chardetng-py"
    also = ("lxml",)
    kept = (
        "the field `text`, `content`, `body`, `markdown` or `html`, the first that holds text, and "
        "as the title `title`, `name` or `subject`; without such a field all names and values"
    )
    lost = "other fields than these, where there is one"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse one record."""
        decoded = decode(data)
        value = load(decoded.text)
        if value is BAD:
            raise corrupt("record", "it is not valid JSON")
        text = _first(value, _TEXTS) if isinstance(value, dict) else None
        title = _first(value, _TITLES) if isinstance(value, dict) else None
        if text is None:
            written, tables = outline(value)
            if not written.strip():
                raise empty("The record")
            return make(
                [written],
                media_type=media_type,
                is_markdown=tables > 0,
                service=self.service,
                model="outline",
                title=title,
                encoding=decoded.encoding,
                facts={"tables": tables},
            )
        parsed = _as_document(text)
        return replace(
            parsed, media_type=media_type, title=title or parsed.title, encoding=decoded.encoding
        )


def record_name(value: Any, number: int) -> str:
    """What a record is called: its id where it has one, or else ``#`` and its 1-based number."""
    if isinstance(value, dict):
        for name in _IDS:
            found = value.get(name)
            if isinstance(found, str | int) and not isinstance(found, bool):
                shown = " ".join(str(found).split())
                if 0 < len(shown) <= _LONGEST_ID:
                    return shown
    return f"#{number:06}"


def _first(value: dict[str, Any], names: tuple[str, ...]) -> str | None:
    lower = {name.lower(): inner for name, inner in reversed(value.items())}
    for name in names:
        if isinstance(found := lower.get(name), str) and found.strip():
            return found
    return None


def _as_document(text: str) -> ParsedDocument:
    """A field that holds Markdown or HTML is read as that; any other as plain text."""
    from tvdb_assets.parsing.formats import parser_for
    from tvdb_assets.parsing.formats.sniff import sniff

    data = text.encode("utf-8", "replace")
    # A piece of HTML is told by its tags only where HTML was promised.
    kind = sniff(data, "field.html" if text.lstrip().startswith("<") else "").media_type
    if kind not in _READ_AS:
        kind = "text/plain"
    parser = parser_for(kind)
    assert parser is not None
    return parser.parse(data, kind, "")


PARSER = RecordParser()
