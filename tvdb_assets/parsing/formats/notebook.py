"""Jupyter notebooks: text, code and the output of the code, in the order of the cells.

What belongs here: nbformat 3 and 4. What does not: running a cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import THIS_PACKAGE, BaseParser
from tvdb_assets.parsing.formats.html import extract_main_text
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading.text_decoding import decode

_DOCUMENT_KIND = "notebook"
_ANSI = re.compile(r"\x1b\[[0-9;]{0,20}m")
_LONGEST_OUTPUT = 20_000  # characters of one cell's output; more is a log
_TICKS = re.compile(r"`{3,}")


class NotebookParser(BaseParser):
    """Reads Markdown unchanged, code and outputs in fences, tables in outputs as tables."""

    media_types = frozenset({"application/x-ipynb+json"})
    name = "Jupyter notebook"
    service = THIS_PACKAGE
    other_libraries = ("lxml",)
    preserved = "text cells, code, printed output, tables"
    not_preserved = (
        "pictures, widgets, output beyond 20,000 characters per cell, colours of error traces"
    )

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a notebook; no cell is run."""
        decoded = decode(data)
        try:
            book = json.loads(decoded.text)
        except ValueError:
            raise corrupt(_DOCUMENT_KIND, "its JSON can't be read") from None
        if not isinstance(book, dict):
            raise corrupt(_DOCUMENT_KIND, "it has no cells")
        cells = list(_cells(book))
        parts: list[str] = []
        cut = tables = 0
        for cell in cells:
            source = _joined(cell.get("source", cell.get("input")))
            kind = cell.get("cell_type")
            if kind == "code":
                parts.append(_fenced(source))
                for output in cell.get("outputs") or ():
                    if isinstance(output, dict):
                        text, is_table = _output(output)
                        cut += len(text) > _LONGEST_OUTPUT
                        tables += is_table
                        text = text[:_LONGEST_OUTPUT]
                        parts.append(text if is_table else _fenced(text))
            elif kind == "heading":
                level = cell.get("level")
                level = level if isinstance(level, int) and 1 <= level <= 6 else 1
                parts.append("#" * level + " " + source.strip())
            else:
                parts.append(source.strip("\n"))
        text = "\n\n".join(part for part in parts if part.strip())
        if not text:
            raise empty("The notebook")
        return build_document(
            [text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="cells",
            encoding=decoded.encoding,
            notes=(*decoded.notes(), *((f"{cut} long outputs are cut",) if cut else ())),
            facts={"cells": len(cells), "tables": tables},
        )


def _cells(book: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sheets = book.get("worksheets")
    groups = [book, *(sheets if isinstance(sheets, list) else ())]
    for group in groups:
        cells = group.get("cells") if isinstance(group, dict) else None
        for cell in cells if isinstance(cells, list) else ():
            if isinstance(cell, dict):
                yield cell


def _joined(value: object) -> str:
    if isinstance(value, list):
        return "".join(piece for piece in value if isinstance(piece, str))
    return value if isinstance(value, str) else ""


def _output(output: dict[str, Any]) -> tuple[str, bool]:
    """The visible output, and whether it is already Markdown."""
    if output.get("output_type") == "stream" or "text" in output:
        return _ANSI.sub("", _joined(output.get("text"))), False
    if output.get("output_type") in {"error", "pyerr"}:
        return f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}", False
    data = output.get("data")
    kinds = data if isinstance(data, dict) else output
    html = _joined(kinds.get("text/html", kinds.get("html")))
    if "<table" in html:
        return extract_main_text(html).text, True
    if markdown := _joined(kinds.get("text/markdown")):
        return markdown, True
    return _ANSI.sub("", _joined(kinds.get("text/plain"))), False


def _fenced(text: str) -> str:
    text = text.strip("\n")
    longest = max(map(len, _TICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}" if text.strip() else ""


PARSER = NotebookParser()
