"""JSON, JSON Lines and YAML: names and values as an outline, lists of records as tables.

What belongs here: data as text. What does not: notebooks (`notebook`), and JSON Lines as
many documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.grid import pipe_table
from tvdb_assets.parsing.formats.refusals import empty

_JSON, _YAML = "application/json", "application/yaml"
_MOST_DEPTH = 200
_MOST_COLUMNS = 30
_LONGEST_CELL = 300  # characters: a longer value reads badly in a table


class StructuredParser(BaseParser):
    """An outline of JSON, in which escapes are characters again; YAML as it is written."""

    media_types = frozenset({_JSON, _YAML})
    name = "JSON, YAML"
    service = "chardetng-py"
    kept = "names and values in their order, lists of like records as tables"
    lost = "quotes, brackets, types"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse data; what is not valid is read as the text that it is, with a note."""
        decoded = decode(data)
        notes = list(decoded.notes())
        writer = _Writer()
        text = decoded.text
        if media_type != _YAML:
            parts: list[str] = []
            for value, source in _whole(text):
                if value is BAD:
                    notes.append("it is not valid JSON; kept as text")
                parts.append(source if value is BAD else writer.outline(value))
            # Records of one line each need no space between them.
            gap = "\n" if all("\n" not in part for part in parts) else "\n\n"
            text = gap.join(part for part in parts if part.strip())
        if not text.strip():
            raise empty()
        return make(
            [text],
            media_type=media_type,
            is_markdown=writer.tables > 0,
            service=self.service,
            model="outline" if media_type != _YAML else "plain",
            encoding=decoded.encoding,
            notes=notes,
            facts={"tables": writer.tables},
        )


BAD = object()
"""Stands for what is not valid JSON."""


def load(source: str) -> Any:
    """A JSON value, or `BAD`."""
    try:
        # Numbers stay as they are written.
        return json.loads(source, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return BAD


def _whole(text: str) -> Iterator[tuple[Any, str]]:
    value = load(text)
    if value is BAD and "\n" in text.strip():
        records = list(_lines(text))
        # Many programs name JSON Lines .json.
        if all(value is not BAD and isinstance(value, dict) for value, _ in records):
            yield from records
            return
    yield value, text


def _lines(text: str) -> Iterator[tuple[Any, str]]:
    for line in text.split("\n"):
        if line.strip():
            yield load(line), line


def outline(value: Any) -> tuple[str, int]:
    """A value as names and values, one a line, and how many tables are in it."""
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
        # Four spaces would make code of it; deeper levels stay at that of the last.
        indent = "  " * min(depth, 12)
        if depth > _MOST_DEPTH:
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
    """Records of the same simple fields, as a table; nothing for other lists."""
    if len(values) < 2 or not isinstance(values[0], dict):
        return ""
    names = list(values[0])
    if not 2 <= len(names) <= _MOST_COLUMNS:
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
