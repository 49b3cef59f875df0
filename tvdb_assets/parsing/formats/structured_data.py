"""JSON and YAML: names and values as an outline, lists of records as tables.

What belongs here: data as text. What does not: notebooks (`formats.notebook`), and JSON Lines as
many documents (`formats.json_lines`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import pipe_table
from tvdb_assets.parsing.parse_errors import empty
from tvdb_assets.parsing.reading.text_decoding import decode

_JSON, _YAML = "application/json", "application/yaml"
_MAX_DEPTH = 200
_MAX_COLUMNS = 30
_LONGEST_CELL = 300  # characters: a longer value reads badly in a table


class StructuredParser(BaseParser):
    """Reads JSON as an outline with decoded escapes; YAML as it is written."""

    media_types = frozenset({_JSON, _YAML})
    name = "JSON, YAML"
    service = "chardetng-py"
    preserved = "names and values in their order, lists of records with equal fields as tables"
    not_preserved = "quotes, brackets, types"
    is_memory_safe = True

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse data; invalid JSON is read as plain text, with a note."""
        decoded = decode(data)
        notes = list(decoded.notes())
        writer = _Writer()
        text = decoded.text
        if media_type != _YAML:
            parts: list[str] = []
            for value, source in _values(text):
                if value is INVALID:
                    notes.append("it is not valid JSON; kept as text")
                parts.append(source if value is INVALID else writer.outline(value))
            # Records of one line each need no blank line between them.
            gap = "\n" if all("\n" not in part for part in parts) else "\n\n"
            text = gap.join(part for part in parts if part.strip())
        if not text.strip():
            raise empty()
        return build_document(
            [text],
            media_type=media_type,
            is_markdown=writer.tables > 0,
            service=self.service,
            model="outline" if media_type != _YAML else "plain",
            encoding=decoded.encoding,
            notes=notes,
            facts={"tables": writer.tables},
        )


INVALID = object()
"""The result of `load_json` for a text that is not valid JSON."""


def load_json(source: str) -> Any:
    """A JSON value, or `INVALID`."""
    try:
        # Numbers keep their spelling.
        return json.loads(source, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return INVALID


def _values(text: str) -> Iterator[tuple[Any, str]]:
    value = load_json(text)
    if value is INVALID and "\n" in text.strip():
        records = list(_lines(text))
        # Many programs write JSON Lines into a file named .json.
        if all(value is not INVALID and isinstance(value, dict) for value, _ in records):
            yield from records
            return
    yield value, text


def _lines(text: str) -> Iterator[tuple[Any, str]]:
    for line in text.split("\n"):
        if line.strip():
            yield load_json(line), line


def to_outline(value: Any) -> tuple[str, int]:
    """A value as one name and value per line, and the number of tables in it."""
    writer = _Writer()
    return writer.outline(value), writer.tables


class _Writer:
    """Writes values as an outline."""

    def __init__(self) -> None:
        self.tables = 0

    def outline(self, value: Any) -> str:
        lines: list[str] = []
        self._write(lines, value, "", 0)
        return "\n".join(lines).strip("\n")

    def _write(self, lines: list[str], value: Any, label: str, depth: int) -> None:
        # Two spaces per level: Markdown reads four as code. Levels below the 12th share its indent.
        indent = "  " * min(depth, 12)
        if depth > _MAX_DEPTH:
            lines.append(f"{indent}{label} …")
        elif isinstance(value, dict):
            if label:
                lines.append(f"{indent}{label}")
            for name, inner in value.items():
                self._write(lines, inner, f"{_one_line(name)}:", depth + bool(label))
        elif isinstance(value, list):
            if label:
                lines.append(f"{indent}{label}")
            if table := _table(value):
                lines += ["", table, ""]
                self.tables += 1
                return
            for inner in value:
                self._write(lines, inner, "-", depth + bool(label))
        else:
            lines.append(f"{indent}{label} {_scalar(value, indent)}".rstrip())


def _table(values: list[Any]) -> str:
    """A table of records with equal simple fields; empty for other lists."""
    if len(values) < 2 or not isinstance(values[0], dict):
        return ""
    names = list(values[0])
    if not 2 <= len(names) <= _MAX_COLUMNS:
        return ""
    for value in values:
        if not isinstance(value, dict) or list(value) != names:
            return ""
        if any(isinstance(v, dict | list) or len(str(v)) > _LONGEST_CELL for v in value.values()):
            return ""
    return pipe_table([names, *([_scalar(v, "") for v in value.values()] for value in values)])


def _scalar(value: Any, indent: str) -> str:
    if isinstance(value, str):
        return value.replace("\n", f"\n{indent}    ") if "\n" in value else value
    return "" if value is None else json.dumps(value)


def _one_line(name: str) -> str:
    return " ".join(name.split())


PARSER = StructuredParser()
