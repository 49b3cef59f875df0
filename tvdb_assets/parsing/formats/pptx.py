"""PowerPoint presentations (PPTX): a page for each slide, with its notes.

What belongs here: PresentationML. What does not: old presentations (`formats.ppt`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import pipe_table
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import safe_xml, zip_packages
from tvdb_assets.parsing.reading.drawings import chart_data, diagram_texts, paragraph_text
from tvdb_assets.parsing.reading.ooxml import core_title, relations
from tvdb_assets.parsing.reading.safe_xml import Element

_DOCUMENT_KIND = "PowerPoint presentation"
_TITLES = frozenset({"title", "ctrTitle"})
_PAGE_FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr", "sldImg"})
_STRUCTURE = re.compile(r"(?=[#>|])")
_A = "{*}"  # two namespaces are in use


class PptxParser(BaseParser):
    """Reads slides in their order: title, texts, tables, diagrams, chart data, speaker notes."""

    media_types = frozenset({zip_packages.EXTENSIONS["pptx"]})
    name = "PowerPoint (PPTX)"
    service = "lxml"
    revision = 2
    preserved = (
        "slides as pages, titles, lists, tables, texts of diagrams and charts, speaker notes"
    )
    not_preserved = (
        "hidden slides, pictures, animations, footers, dates and slide numbers drawn on slides"
    )

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a presentation; hidden slides are left out, with a note."""
        members = zip_packages.read_xml_members(data, _DOCUMENT_KIND)
        pages: list[str] = []
        with_notes = hidden = missing = tables = 0
        for part in _slides(members):
            if len(pages) == current_limits().max_pages:
                raise over_limit(_DOCUMENT_KIND, "max_pages", "slides")
            root = safe_xml.try_read(members.get(part))
            if root is None or root.find("{*}cSld/{*}spTree") is None:
                missing += 1
                pages.append("")
                continue
            if root.get("show") in {"0", "false"}:
                hidden += 1
                pages.append("")
                continue
            links = relations(members, part)
            text, count = _slide(root, members, links)
            tables += count
            notes = _notes(members, links)
            with_notes += bool(notes)
            pages.append("\n\n".join(piece for piece in (text, notes) if piece))
        if not any(pages):
            if missing:
                raise corrupt(_DOCUMENT_KIND, "its slides can't be read")
            raise empty("The presentation" + ", except for hidden slides," * bool(hidden))
        remarks = []
        if missing:
            remarks.append(f"{missing} slides are damaged and left out")
        if hidden:
            remarks.append(f"{hidden} hidden slides are left out")
        return build_document(
            pages,
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="slides",
            has_pages=True,
            title=core_title(members),
            notes=remarks,
            facts={"slides": len(pages), "speaker_notes": with_notes, "tables": tables},
        )


def _slides(members: dict[str, bytes]) -> list[str]:
    part = next(
        (name for kind, name in relations(members, "").values() if kind == "officeDocument"),
        "ppt/presentation.xml",
    )
    root = safe_xml.read(members.get(part, b""), _DOCUMENT_KIND)
    links = relations(members, part)
    order = [
        links.get(safe_xml.attribute_of(item, "relationships", "id") or "", ("", ""))[1]
        for item in root.iterfind("{*}sldIdLst/{*}sldId")
    ]
    return list(dict.fromkeys(filter(None, order)))


def _slide(
    root: Element, members: dict[str, bytes], links: dict[str, tuple[str, str]]
) -> tuple[str, int]:
    title = ""
    blocks: list[str] = []
    tables = 0
    for shape in _shapes(root):
        kind = safe_xml.local_name(shape)
        place = shape.find("{*}nvSpPr/{*}nvPr/{*}ph")
        role = place.get("type") or "" if place is not None else ""
        if role in _PAGE_FURNITURE:
            continue
        if kind == "sp":
            body = shape.find("{*}txBody")
            text = "" if body is None else _body(body)
            if role in _TITLES and not title:
                title = " ".join(text.replace("- ", "", 1).split())
            else:
                blocks.append(text)
        elif (table := shape.find(".//" + _A + "tbl")) is not None:
            blocks.append(_table(table))
            tables += 1
        else:
            blocks += _linked(shape, members, links)
    heading = f"## {title}" if title else ""
    return "\n\n".join(block for block in (heading, *blocks) if block), tables


def _shapes(root: Element) -> Iterator[Element]:
    """Shapes and frames in order, also inside of groups; each once."""
    pending = list(root.iterfind("{*}cSld/{*}spTree"))[:1]
    while pending:
        element = pending.pop()
        kind = safe_xml.local_name(element)
        if kind in {"spTree", "grpSp"}:
            pending += reversed(element)
        elif kind == "AlternateContent":
            chosen = element.find("{*}Choice")
            pending += reversed(chosen if chosen is not None else element[-1:])
        elif kind in {"sp", "graphicFrame"}:
            yield element


def _body(body: Element) -> str:
    """Paragraphs; an indented paragraph or one with a list mark becomes a list item."""
    lines: list[tuple[bool, str]] = []
    paragraphs = [(p, paragraph_text(p)) for p in body.iterfind(_A + "p")]
    filled = [(p, text) for p, text in paragraphs if text]
    for paragraph, text in filled:
        style = paragraph.find(_A + "pPr")
        level = style.get("lvl") or "0" if style is not None else "0"
        depth = min(8, int(level)) if level.isdecimal() else 0
        is_item = depth > 0 or (
            style is not None
            and any(style.find(_A + mark) is not None for mark in ("buChar", "buAutoNum"))
        )
        mark = "  " * depth + "- " if is_item else ""
        lines.append((is_item, mark + (text if is_item else _STRUCTURE.sub("\\\\", text, 1)
                                       if text[0] in "#>|" else text)))  # fmt: skip
    out = ""
    for number, (is_item, line) in enumerate(lines):
        gap = "\n" if number and is_item and lines[number - 1][0] else "\n\n" if number else ""
        out += gap + line
    return out


def _table(table: Element) -> str:
    rows = []
    for row in table.iterfind(_A + "tr"):
        cells = []
        for cell in row.iterfind(_A + "tc"):
            is_covered = cell.get("hMerge") == "1" or cell.get("vMerge") == "1"
            texts = [] if is_covered else [paragraph_text(p) for p in cell.iter(_A + "p")]
            cells.append(" ".join(filter(None, texts)))
        rows.append(cells)
    return pipe_table(rows)


def _linked(
    shape: Element, members: dict[str, bytes], links: dict[str, tuple[str, str]]
) -> list[str]:
    """Texts of the diagrams and charts in the frame."""
    blocks: list[str] = []
    for element in shape.iter():
        if not isinstance(element.tag, str):
            continue
        for key, value in element.attrib.items():
            kind, part = links.get(str(value), ("", "")) if "relationships" in key else ("", "")
            if kind == "diagramData" and (root := safe_xml.try_read(members.get(part))) is not None:
                blocks.append("\n".join(f"- {text}" for text in diagram_texts(root)))
            elif kind == "chart" and (root := safe_xml.try_read(members.get(part))) is not None:
                blocks.append(_chart(root))
    return blocks


def _chart(root: Element) -> str:
    """A chart's title and its data."""
    title, rows = chart_data(root)
    return "\n\n".join(piece for piece in (title, pipe_table(rows)) if piece)


def _notes(members: dict[str, bytes], links: dict[str, tuple[str, str]]) -> str:
    part = next((name for kind, name in links.values() if kind == "notesSlide"), None)
    root = safe_xml.try_read(members.get(part)) if part else None
    if root is None:
        return ""
    texts = []
    for shape in _shapes(root):
        place = shape.find("{*}nvSpPr/{*}nvPr/{*}ph")
        body = shape.find("{*}txBody")
        if body is not None and (place is None or place.get("type") not in _PAGE_FURNITURE):
            texts.append(_body(body))
    text = "\n\n".join(filter(None, texts))
    return f"Speaker notes:\n\n{text}" if text else ""


PARSER = PptxParser()
