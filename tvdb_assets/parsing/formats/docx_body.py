"""Rewrites WordprocessingML to the plain part of it that mammoth reads as Word shows it.

What belongs here: blocks (paragraphs, tables, text boxes, notes, inserted files) and their order.
What does not: the inside of a paragraph (`formats.docx_runs`), conversion to HTML (mammoth).

Numbers of lists become text, styles that derive from headings become headings, hidden and deleted
text is left out, and equations, ticks, symbols and fields become the text that they show. The text
of a box, a diagram or a note follows the paragraph that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from tvdb_assets.core.superscripts import superscript
from tvdb_assets.parsing.formats.docx_numbering import Numbering
from tvdb_assets.parsing.formats.docx_runs import Runs, chosen
from tvdb_assets.parsing.formats.docx_styles import Styles
from tvdb_assets.parsing.markdown.list_numbers import format_number
from tvdb_assets.parsing.reading import safe_xml
from tvdb_assets.parsing.reading.drawings import chart_data, diagram_texts, paragraph_text
from tvdb_assets.parsing.reading.ooxml import relations
from tvdb_assets.parsing.reading.safe_xml import Element, attribute, local_name

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_P, _TBL, _TR, _TC = (f"{{{_W}}}{name}" for name in ("p", "tbl", "tr", "tc"))
_VAL = f"{{{_W}}}val"
_TRANSPARENT = frozenset(
    {
        *("ins", "moveTo", "smartTag", "customXml", "hyperlink", "dir", "bdo"),
        *("sdtContent", "txbxContent", "body", "hdr", "ftr", "footnote", "endnote"),
        *("docPart", "docPartBody"),
    }
)
_LISTS = 9
_BULLETS = "2"
_MAX_COLUMNS, _CELL_LETTERS = 200, 400
INSERTED = "\ue0f0{}\ue0f1"
"""Stands for an inserted file (altChunk) until its text is known; from the private use area."""


@dataclass(slots=True)
class Story:
    """What is counted and collected over a part of a document."""

    inserted: list[str] = field(default_factory=list)
    """Relations of inserted files, in the order of their placeholders."""
    hidden: int = 0
    """Runs and paragraphs that are hidden and have text."""


class BodyWriter:
    """Writes the blocks of one part, such as the body or a header."""

    def __init__(
        self, members: Mapping[str, bytes], part: str, styles: Styles, numbering: Numbering
    ) -> None:
        """A writer for the member ``part`` of the package ``members``."""
        self._members = dict(members)
        self._links = relations(self._members, part)
        self._styles = styles
        self._numbering = numbering
        self._notes = {kind: self._notes_of(f"{kind}s", kind) for kind in ("footnote", "endnote")}
        self._numbers = {"footnote": 0, "endnote": 0}
        self._waiting: list[list[Element]] = []
        self._carried: Element | None = None
        """The text of a deleted paragraph mark, which the next paragraph continues."""
        self._base: int | None = None
        """The level of the first bullet of a sequence of bullets."""
        self._depth = 0
        self.story = Story()

    def write(self, root: Element) -> Element:
        """The plain form of a part: an element ``document`` with a body."""
        document = etree.Element(f"{{{_W}}}document", nsmap={"w": _W})
        body = etree.SubElement(document, f"{{{_W}}}body")
        runs = Runs(self._styles, root, self._note_mark)
        self._blocks(root, body, runs)
        self._flush_notes(body)
        if self._carried is not None:
            body.append(self._carried)
        self.story.hidden += runs.hidden
        return document

    # --- blocks

    def _blocks(self, parent: Element, target: Element, runs: Runs) -> None:
        for child in parent:
            name = local_name(child)
            if name == "p":
                self._paragraph(child, target, runs)
            elif name == "tbl":
                self._table(child, target, runs)
            elif name == "sdt":
                content = child.find("{*}sdtContent")
                if content is not None:
                    self._blocks(content, target, runs)
            elif name in _TRANSPARENT:
                self._blocks(child, target, runs)
            elif name == "AlternateContent":
                self._blocks(chosen(child), target, runs)
            elif name == "altChunk":
                link = safe_xml.attribute_of(child, "relationships", "id") or ""
                self._add(target, INSERTED.format(len(self.story.inserted)))
                self.story.inserted.append(self._links.get(link, ("", ""))[1])
            elif name in {"oMathPara", "oMath", "r", "fldSimple"}:
                self._add(target, runs.text_of([child])[0])

    def _paragraph(self, source: Element, target: Element, runs: Runs) -> None:
        properties = source.find("{*}pPr")
        mark = None if properties is None else properties.find("{*}rPr")
        is_merged = mark is not None and any(
            mark.find("{*}" + name) is not None for name in ("del", "moveFrom")
        )
        text, boxes = runs.text_of(source, properties)
        level = self._styles.heading_level(properties)
        number, stated, style = self._styles.list_of(properties)
        label: str | None = None
        is_gone = not text.strip() and (is_merged or runs.is_hidden(mark))
        if number and not is_gone and self._carried is None:
            at = stated
            if style and (found := self._numbering.level_of_style(number, style)) is not None:
                at = found
            at = at or 0
            label = self._numbering.label(number, at)
            if label == "":
                self._base = at if self._base is None else min(self._base, at)
            else:
                self._base = None
        else:
            self._base = None if text.strip() else self._base
        out = self._carried if self._carried is not None else etree.Element(_P)
        if self._carried is None and text.strip():
            if level:
                _set(out, "pStyle", f"Heading{level}")
            elif label == "":
                _set_bullet(out, min(_LISTS - 1, (stated or 0) - (self._base or 0)))
            if label:
                text = f"{label} {text.lstrip()}"
        _write_text(out, text)
        self._carried = out if is_merged and text.strip() else None
        if self._carried is None and len(out):
            target.append(out)
        for box in boxes:
            self._box(box, target, runs)
        if not self._depth:
            self._flush_notes(target)

    def _add(self, target: Element, text: str, bullet: bool = False) -> None:
        if text.strip():
            out = etree.SubElement(target, _P)
            if bullet:
                _set_bullet(out, 0)
            _write_text(out, text)

    def _table(self, source: Element, target: Element, runs: Runs) -> None:
        self._base = None
        table = etree.Element(_TBL)
        self._depth += 1
        for row in _rows(source):
            marks = row.find("{*}trPr")
            if marks is not None and (marks.find("{*}del") is not None):
                continue
            if marks is not None and _is_on(marks.find("{*}hidden")):
                self.story.hidden += 1
                continue
            out = etree.SubElement(table, _TR)
            before = marks.find("{*}gridBefore") if marks is not None else None
            for _ in range(_number(before)):
                etree.SubElement(etree.SubElement(out, _TC), _P)
            for cell in _cells(row):
                self._cell(cell, out, runs)
        self._depth -= 1
        _demote_headings(table)
        if len(table):
            target.append(table)
        if not self._depth:
            self._flush_notes(target)

    def _cell(self, source: Element, row: Element, runs: Runs) -> None:
        cell = etree.SubElement(row, _TC)
        properties = source.find("{*}tcPr")
        if properties is not None:
            own = etree.SubElement(cell, f"{{{_W}}}tcPr")
            for name in ("gridSpan", "vMerge"):
                if (found := properties.find("{*}" + name)) is not None:
                    value = attribute(found, "val")
                    copy = etree.SubElement(own, f"{{{_W}}}{name}")
                    if value is not None and (name == "vMerge" or value.isdecimal()):
                        copy.set(_VAL, value)
                    elif name == "gridSpan":
                        own.remove(copy)
        self._blocks(source, cell, runs)
        if self._carried is not None:
            cell.append(self._carried)
            self._carried = None

    # --- what hangs on a paragraph

    def _box(self, box: Element, target: Element, runs: Runs) -> None:
        name = local_name(box)
        if name == "txbxContent":
            self._depth += 1
            carried, self._carried = self._carried, None
            self._blocks(box, target, runs)
            self._carried = carried
            self._depth -= 1
        elif name == "txBody":
            for paragraph in box.iterfind("{*}p"):
                self._add(target, paragraph_text(paragraph))
        elif name == "textpath":
            self._add(target, box.get("string") or "")
        elif (link := safe_xml.attribute_of(box, "relationships", "dm")) is not None:
            root = safe_xml.try_read(self._members.get(self._links.get(link, ("", ""))[1]))
            for text in () if root is None else diagram_texts(root):
                self._add(target, text, bullet=True)
        elif (link := safe_xml.attribute_of(box, "relationships", "id")) is not None:
            root = safe_xml.try_read(self._members.get(self._links.get(link, ("", ""))[1]))
            if root is not None:
                self._chart(root, target)

    def _chart(self, root: Element, target: Element) -> None:
        title, rows = chart_data(root)
        self._add(target, title)
        if rows:
            table = etree.SubElement(target, _TBL)
            for cells in rows:
                row = etree.SubElement(table, _TR)
                for text in cells:
                    paragraph = etree.SubElement(etree.SubElement(row, _TC), _P)
                    _write_text(paragraph, text)

    def _notes_of(self, part: str, name: str) -> dict[str, Element]:
        member = next((at for kind, at in self._links.values() if kind == part), "")
        root = safe_xml.try_read(self._members.get(member))
        return {
            attribute(note, "id") or "": note
            for note in (() if root is None else root.iterfind("{*}" + name))
            if (attribute(note, "type") or "normal") == "normal"
        }

    def _note_mark(self, kind: str, number: str, custom: str) -> str:
        """The mark of a note, which will follow the paragraph."""
        note = self._notes.get(kind, {}).pop(number, None)
        mark = custom
        if not custom:
            self._numbers[kind] += 1
            form = "decimal" if kind == "footnote" else "lowerRoman"
            mark = superscript(format_number(self._numbers[kind], form))
        if note is not None:
            container = etree.Element("notes")
            carried, base = self._carried, self._base
            self._carried, self._depth = None, self._depth + 1
            self._blocks(note, container, Runs(self._styles, note, self._note_mark))
            self._carried, self._base, self._depth = carried, base, self._depth - 1
            first = next(container.iter(_P), None)
            if first is not None and not custom:
                _write_text(first, f"{mark} ", at_start=True)
            self._waiting.append([*container])
        return mark

    def _flush_notes(self, target: Element) -> None:
        waiting, self._waiting = self._waiting, []
        for blocks in waiting:
            target.extend(blocks)


def _through(parent: Element, wanted: str) -> Iterator[Element]:
    """Children of this name, also inside of content controls and revisions."""
    for child in parent:
        name = local_name(child)
        if name == wanted:
            yield child
        elif name in _TRANSPARENT or name == "sdt":
            yield from _through(child, wanted)
        elif name == "AlternateContent":
            yield from _through(chosen(child), wanted)


def _rows(table: Element) -> Iterator[Element]:
    return _through(table, "tr")


def _cells(row: Element) -> Iterator[Element]:
    for cell in _through(row, "tc"):
        if cell.find("{*}tcPr/{*}cellDel") is None:
            yield cell


def _is_on(element: Element | None) -> bool:
    return element is not None and attribute(element, "val") not in {"0", "false", "off"}


def _number(element: Element | None) -> int:
    value = "0" if element is None else attribute(element, "val") or "0"
    return min(_MAX_COLUMNS, int(value)) if value.isdecimal() else 0


def _set(paragraph: Element, name: str, value: str) -> Element:
    properties = paragraph.find(f"{{{_W}}}pPr")
    if properties is None:
        properties = etree.Element(f"{{{_W}}}pPr")
        paragraph.insert(0, properties)
    element = etree.SubElement(properties, f"{{{_W}}}{name}")
    element.set(_VAL, value)
    return element


def _set_bullet(paragraph: Element, level: int) -> None:
    numbers = _set(paragraph, "numPr", "")
    del numbers.attrib[_VAL]
    for name, value in (("ilvl", str(max(0, level))), ("numId", _BULLETS)):
        etree.SubElement(numbers, f"{{{_W}}}{name}").set(_VAL, value)


def _write_text(paragraph: Element, text: str, *, at_start: bool = False) -> None:
    """Append a run with line breaks."""
    if not text:
        return
    run = etree.Element(f"{{{_W}}}r")
    for number, line in enumerate(text.split("\n")):
        if number:
            etree.SubElement(run, f"{{{_W}}}br")
        etree.SubElement(run, f"{{{_W}}}t").text = line
    if at_start:
        paragraph.insert(0 if paragraph.find(f"{{{_W}}}pPr") is None else 1, run)
    else:
        paragraph.append(run)


def _demote_headings(table: Element) -> None:
    """Make the headings in the cells of a table of data plain text: they are labels of cells."""
    rows = [[*row] for row in table]
    has_inner = next(table.iterdescendants(_TBL), None) is not None
    if has_inner or len(rows) < 2 or max(map(len, rows)) < 2:
        return
    if any(len("".join(cell.itertext())) > _CELL_LETTERS for row in rows for cell in row):
        return  # layout, not data
    for properties in table.iter(f"{{{_W}}}pPr"):
        for style in properties.findall(f"{{{_W}}}pStyle"):
            properties.remove(style)
