"""Records of JSON Lines and Parquet: the fields that are a record's text, title and name.

What belongs here: the choice of a record's fields. What does not: the split into records
(`formats.json_lines`, `formats.parquet`), documents that are JSON (`formats.structured_data`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.formats.html import PARSER as HTML_PARSER
from tvdb_assets.parsing.formats.structured_data import INVALID, load_json, to_outline
from tvdb_assets.parsing.formats.text_and_markdown import PARSER as TEXT_PARSER
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading.content_sniffing import sniff
from tvdb_assets.parsing.reading.text_decoding import decode

MEDIA_TYPE = "application/x-record+json"
_TEXTS = ("text", "content", "body", "markdown", "html")
_TITLES = ("title", "name", "subject")
_IDS = ("id", "_id", "doc_id", "uuid")
_LONGEST_ID = 120


class RecordParser(BaseParser):
    """Reads the text field of a record, or all names and values if it has none."""

    media_types = frozenset({MEDIA_TYPE})
    name = "record of JSON Lines or Parquet"
    service = "chardetng-py"
    other_libraries = ("lxml",)
    preserved = (
        "the field `text`, `content`, `body`, `markdown` or `html`, the first that holds text, and "
        "as the title `title`, `name` or `subject`; without a text field all names and values"
    )
    not_preserved = "all other fields, if there is a text field"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse one record."""
        decoded = decode(data)
        value = load_json(decoded.text)
        if value is INVALID:
            raise corrupt("record", "it is not valid JSON")
        text = _first(value, _TEXTS) if isinstance(value, dict) else None
        title = _first(value, _TITLES) if isinstance(value, dict) else None
        if text is None:
            written, tables = to_outline(value)
            if not written.strip():
                raise empty("The record")
            return build_document(
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
    """A record's name: its id, or ``#`` and its 1-based number if it has none."""
    if isinstance(value, dict):
        for name in _IDS:
            found = value.get(name)
            if isinstance(found, str | int) and not isinstance(found, bool):
                identifier = " ".join(str(found).split())
                if 0 < len(identifier) <= _LONGEST_ID:
                    return identifier
    return f"#{number:06}"


def _first(value: dict[str, Any], names: tuple[str, ...]) -> str | None:
    lower = {name.lower(): inner for name, inner in reversed(value.items())}
    for name in names:
        if isinstance(found := lower.get(name), str) and found.strip():
            return found
    return None


def _as_document(text: str) -> ParsedDocument:
    """Read a field with Markdown or HTML as such, and any other as plain text."""
    data = text.encode("utf-8", "replace")
    # Sniffing detects a fragment of HTML by its tags only if the name says HTML.
    kind = sniff(data, "field.html" if text.lstrip().startswith("<") else "").media_type
    if kind in HTML_PARSER.media_types:
        return HTML_PARSER.parse(data, kind, "")
    if kind not in TEXT_PARSER.media_types:
        kind = "text/plain"
    return TEXT_PARSER.parse(data, kind, "")


PARSER = RecordParser()
