"""OpenDocument texts, presentations and spreadsheets (ODT, ODP, ODS).

What belongs here: content.xml to a tree of HTML elements, or to cells. What does not: rendering
(`markdown.html_renderer`, `markdown.tables`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tvdb_assets.core.superscripts import subscript, superscript
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.html_renderer import render
from tvdb_assets.parsing.markdown.tables import CellBudget, sheet_to_markdown
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import safe_xml, zip_packages
from tvdb_assets.parsing.reading.safe_xml import Element

_DOCUMENT_KIND = "OpenDocument file"
_TEXT, _SHEET, _SLIDES = (zip_packages.EXTENSIONS[kind] for kind in ("odt", "ods", "odp"))
_HIDDEN = {_TEXT: "pieces of text", _SHEET: "sheets, rows and columns", _SLIDES: "slides"}
_MAX_REPEATED = 1_000  # a filled cell or row that repeats more often is layout
_TAGS = {
    "p": "p",
    "list": "ul",
    "list-item": "li",
    "list-header": "li",
    "table": "table",
    "table-row": "tr",
    "table-cell": "td",
    "line-break": "br",
    "tab": "span",
    "page": "div",
    "section": "div",
    "text-box": "div",
    "note-body": "span",
}
_OMITTED = frozenset(
    {
        "annotation", "annotation-end", "tracked-changes", "table-of-content", "note-citation",
        "covered-table-cell", "notes", "forms", "event-listeners", "settings", "image-map",
        "sequence-decls", "variable-decls", "user-field-decls", "page-number", "page-count",
        "slide-name", "desc", "binary-data", "ruby-text", "object-ole",
    }
)  # fmt: skip


class OdfParser(BaseParser):
    """Reads the content as it was saved; fetches no linked file."""

    media_types = frozenset({_TEXT, _SHEET, _SLIDES})
    name = "OpenDocument (ODT, ODS, ODP)"
    service = "lxml"
    revision = 2
    preserved = (
        "headings, lists, tables, footnotes; slides as pages with speaker notes; "
        "sheets as pages with their names"
    )
    not_preserved = (
        "pictures, comments, deleted text, hidden text, slides, sheets, rows and columns, tables "
        "of contents, formulas, charts"
    )

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a document of any of the three kinds."""
        members = zip_packages.read_xml_members(data, _DOCUMENT_KIND)
        content = members.get("content.xml")
        if content is None:
            raise corrupt(_DOCUMENT_KIND, "its content is missing")
        root = safe_xml.read(content, _DOCUMENT_KIND)
        body = root.find("{*}body")
        if body is None:
            raise corrupt(_DOCUMENT_KIND, "its content has no body")
        facts: dict[str, int] = {}
        if media_type == _SHEET:
            pages, facts["tables"], hidden = _sheets(root, body)
            facts["sheets"] = len(pages)
        elif media_type == _SLIDES:
            _shift_texts(root, body)
            pages, facts["tables"], hidden = _slides(root, body)
            facts["slides"] = len(pages)
        else:
            hidden = _drop_hidden(root, body)
            _shift_texts(root, body)
            text, facts["tables"] = _render(body)
            margins = _margins(members, text)
            pages = ["\n\n".join((text, *margins))]
        if not any(page.strip() for page in pages):
            raise empty("The document" + ", except for hidden text," * bool(hidden))
        meta = safe_xml.try_read(members.get("meta.xml"))
        return build_document(
            pages,
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="content",
            has_pages=media_type != _TEXT,
            title=None if meta is None else meta.findtext(".//{*}title"),
            notes=(f"{hidden} hidden {_HIDDEN[media_type]} are left out",) if hidden else (),
            facts=facts,
        )


def _render(root: Element) -> tuple[str, int]:
    for space in list(root.iter("{*}s", "{*}tab")):
        space.text = " "
    for note in root.iter("{*}note"):
        note.text = " ["
        note.tail = "]" + (note.tail or "")
    rendered = render(safe_xml.to_html_tree(root, _html_tag), frozenset())
    return rendered.text, rendered.tables


def _html_tag(element: Element) -> str:
    name = safe_xml.local_name(element)
    if name in _OMITTED:
        return safe_xml.SKIP
    if name == "h":
        level = safe_xml.attribute(element, "outline-level") or "1"
        return f"h{min(6, max(1, int(level)))}" if level.isdecimal() else "h1"
    if name == "table-cell":
        for ours, theirs in (("colspan", "columns"), ("rowspan", "rows")):
            if span := safe_xml.attribute(element, f"number-{theirs}-spanned"):
                element.set(ours, span)
    if name == "p" and any(safe_xml.local_name(a) == "note-body" for a in element.iterancestors()):
        return "span"
    if name == "title" or name == "script":
        return safe_xml.SKIP
    return _TAGS.get(name, "span")


def _hidden_styles(root: Element, properties: str, name: str, value: str) -> set[str]:
    """The styles whose properties have an attribute with this value."""
    return {
        safe_xml.attribute(style, "name") or ""
        for style in root.iterfind("{*}automatic-styles/{*}style")
        for each in style.iterfind("{*}" + properties)
        if safe_xml.attribute(each, name) == value
    }


def _drop_hidden(root: Element, body: Element) -> int:
    """Remove hidden text; returns the number of removed pieces."""
    styles = _hidden_styles(root, "text-properties", "display", "none")
    hidden = [
        element
        for element in body.iter("{*}span", "{*}p", "{*}h", "{*}section", "{*}hidden-text",
                                 "{*}hidden-paragraph")
        if safe_xml.local_name(element).startswith("hidden-")
        or safe_xml.attribute(element, "display") == "none"
        or (safe_xml.attribute(element, "style-name") or "-") in styles
    ]  # fmt: skip
    filled = sum(bool(safe_xml.inner_text(element)) for element in hidden)
    for element in hidden:
        for child in [*element]:
            element.remove(child)
        element.text = None
    return filled


def _shift_texts(root: Element, body: Element) -> None:
    """Give superscripts and subscripts their stored form."""
    shifts: dict[str | None, Callable[[str, str], str]] = {}
    for style in root.iterfind("{*}automatic-styles/{*}style"):
        for each in style.iterfind("{*}text-properties"):
            position = (safe_xml.attribute(each, "text-position") or "0%").split()[0]
            if position.startswith(("sub", "-")):
                shifts[safe_xml.attribute(style, "name")] = subscript
            elif position == "super" or position.strip("0%"):
                shifts[safe_xml.attribute(style, "name")] = superscript
    for span in body.iter("{*}span") if shifts else ():
        shift = shifts.get(safe_xml.attribute(span, "style-name"))
        if shift is not None and span.text:
            previous = span.getprevious()
            parent = span.getparent()
            before = parent.text if previous is None else previous.tail or previous.text
            span.text = shift(span.text, before or "")


def _slides(root: Element, body: Element) -> tuple[list[str], int, int]:
    pages: list[str] = []
    tables = hidden = 0
    unseen = _hidden_styles(root, "drawing-page-properties", "visibility", "hidden")
    for slide in body.iter("{*}page"):
        if len(pages) == current_limits().max_pages:
            raise over_limit(_DOCUMENT_KIND, "max_pages", "slides")
        if (safe_xml.attribute(slide, "style-name") or "-") in unseen:
            hidden += 1
            pages.append("")
            continue
        notes = slide.find("{*}notes")
        spoken = ""
        if notes is not None:
            for thumbnail in list(notes.iterfind("{*}page-thumbnail")):
                notes.remove(thumbnail)
            spoken, _ = _render(notes) if len(notes) else ("", 0)
        title = next(
            (f for f in slide.iter("{*}frame") if safe_xml.attribute(f, "class") == "title"), None
        )
        heading = safe_xml.inner_text(title)
        if title is not None and title.getparent() is not None:
            title.getparent().remove(title)
        text, count = _render(slide)
        tables += count
        parts = (
            f"## {heading}" if heading else "",
            text,
            f"Speaker notes:\n\n{spoken}" * bool(spoken),
        )
        pages.append("\n\n".join(part for part in parts if part))
    return pages, tables, hidden


def _sheets(root: Element, body: Element) -> tuple[list[str], int, int]:
    pages: list[str] = []
    tables = 0
    hidden = [0]
    unseen = _hidden_styles(root, "table-properties", "display", "false")
    budget = CellBudget(_DOCUMENT_KIND)
    for sheet in body.iterfind("{*}spreadsheet/{*}table"):
        if len(pages) == current_limits().max_pages:
            raise over_limit(_DOCUMENT_KIND, "max_pages", "sheets")
        if (safe_xml.attribute(sheet, "style-name") or "-") in unseen:
            hidden[0] += 1
            continue
        name = " ".join((safe_xml.attribute(sheet, "name") or "Sheet").split())
        text, count = sheet_to_markdown(_rows(sheet, budget, hidden))
        pages.append(f"## {name}\n\n{text}" if text else "")
        tables += count
    return pages, tables, hidden[0]


def _rows(
    sheet: Element, budget: CellBudget, hidden: list[int]
) -> Iterator[tuple[int, dict[int, str]]]:
    """Rows with their filled cells; what a filter hides can be shown by a click, so it stays."""
    number = 0
    unseen: set[int] = set()
    columns = 0
    for column_style in sheet.iter("{*}table-column"):
        many = _count(column_style, "number-columns-repeated")
        if safe_xml.attribute(column_style, "visibility") == "collapse" and not _is_folded(
            column_style
        ):
            unseen.update(range(columns, columns + min(many, _MAX_REPEATED)))
        columns += many
    for row in sheet.iter("{*}table-row"):
        cells: dict[int, str] = {}
        column = 0
        for cell in row.iterchildren("{*}table-cell", "{*}covered-table-cell"):
            repeated = _count(cell, "number-columns-repeated")
            text = "\n".join(safe_xml.inner_text(p) for p in cell.iterfind("{*}p"))
            if text.strip():
                for place in range(column, column + min(repeated, _MAX_REPEATED)):
                    cells[place] = text
            column += repeated
        if safe_xml.attribute(row, "visibility") == "collapse" and not _is_folded(row):
            hidden[0] += bool(cells)
            cells = {}
        if unseen.intersection(cells):
            hidden[0] += 1
            cells = {at: text for at, text in cells.items() if at not in unseen}
        repeated = _count(row, "number-rows-repeated")
        if cells:
            for place in range(number, number + min(repeated, _MAX_REPEATED)):
                budget.spend(len(cells))
                yield place, cells
        number += repeated


def _is_folded(element: Element) -> bool:
    """Whether it is in a group of an outline that is folded up, not hidden."""
    parent = element.getparent()
    return parent is not None and safe_xml.local_name(parent).endswith("-group")


def _count(element: Element, name: str) -> int:
    stated = safe_xml.attribute(element, name) or "1"
    return min(int(stated), 10_000_000) if stated.isdecimal() and len(stated) < 10 else 1


def _margins(members: dict[str, bytes], text: str) -> list[str]:
    """Distinct texts of headers and footers that are not in the body."""
    root = safe_xml.try_read(members.get("styles.xml"))
    found: list[str] = []
    for margin in () if root is None else root.iter("{*}header", "{*}footer"):
        block = "\n".join(filter(None, (safe_xml.inner_text(p) for p in margin.iter("{*}p"))))
        if block and not block.isdecimal() and block not in found and block not in text:
            found.append(block)
    return found


PARSER = OdfParser()
