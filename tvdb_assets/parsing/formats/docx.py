"""Word documents (DOCX), by mammoth: its HTML, rendered like any other HTML.

What belongs here: DOCX as a file. What does not: its text (`formats.docx_body`), other Office
formats, rendering (`markdown.html_renderer`).
"""

from __future__ import annotations

import io
import re
import zipfile
from importlib.metadata import version

from lxml import etree

from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.formats.docx_body import INSERTED, BodyWriter
from tvdb_assets.parsing.formats.docx_numbering import Numbering
from tvdb_assets.parsing.formats.docx_styles import Styles
from tvdb_assets.parsing.formats.html import extract_main_text
from tvdb_assets.parsing.formats.mail import PARSER as MAIL
from tvdb_assets.parsing.formats.rtf import rtf_to_markdown
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.html_renderer import parse_tree, render
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import safe_xml, zip_packages
from tvdb_assets.parsing.reading.ooxml import core_title, relations
from tvdb_assets.parsing.reading.safe_xml import Element
from tvdb_assets.parsing.reading.text_decoding import decode

_REVISION = 2
_DOCUMENT_KIND = "Word document"
_DTD = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_INSERTED = re.compile(INSERTED.format(r"(\d{1,9})"))
_MARGINS = ("header", "footer")
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_STYLE_MAP = "\n".join(f"p[style-name='heading {n}'] => h{n}:fresh" for n in range(1, 7))
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
    f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
    "word/styles.xml": f'<w:styles xmlns:w="{_W}">'
    + "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/>'
        "</w:style>"
        for n in range(1, 7)
    )
    + "</w:styles>",
    "word/numbering.xml": f'<w:numbering xmlns:w="{_W}"><w:abstractNum w:abstractNumId="0">'
    + "".join(f'<w:lvl w:ilvl="{n}"><w:numFmt w:val="bullet"/></w:lvl>' for n in range(9))
    + '</w:abstractNum><w:num w:numId="2"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
}
"""The rest of the package that mammoth reads: the only styles and lists of a plain document."""


class DocxParser(BaseParser):
    """Reads headings, lists, tables, notes, text boxes in order; headers and footers once."""

    media_types = frozenset({zip_packages.EXTENSIONS["docx"]})
    name = "Word (DOCX)"
    preserved = (
        "headings, the numbers of lists and clauses as Word shows them, tables, notes after their "
        "paragraph, text boxes, diagrams, charts' data, equations as text, form fields with ticks "
        "and choices, inserted files (HTML, text, RTF, DOCX, MHT), inserted text of revisions, "
        "headers and footers once"
    )
    not_preserved = "pictures, comments, deleted text, hidden text, page numbers"
    imports = ("mammoth", "mammoth.docx.dingbats")
    service = "mammoth"

    @property
    def fingerprint(self) -> str:
        return f"docx{_REVISION}:{self.service}{self.version}:lxml{version('lxml')}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a document; linked templates and pictures are not fetched."""
        text = _Text(data, current_limits().max_depth)
        if not text.text.strip():
            if text.hidden:
                raise empty("The Word document, except for hidden text,")
            raise empty("The Word document")
        return build_document(
            [text.text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="html",
            title=core_title(text.members),
            notes=text.notes,
            facts={"tables": text.tables, "headers_and_footers": text.margins},
        )


class _Text:
    """The Markdown of a document, of inserted documents too."""

    def __init__(self, data: bytes, depth: int) -> None:
        self.notes: list[str] = []
        self.tables = 0
        self._data, self._depth = data, depth
        self.members = members = zip_packages.read_xml_members(data, _DOCUMENT_KIND)
        # Word never writes a document type; one that is there may expand entities or read files.
        if any(_DTD.search(content[:4_096]) for content in members.values()):
            raise corrupt(_DOCUMENT_KIND, "it declares XML entities, which Word never does")
        part = next(
            (name for kind, name in relations(members, "").values() if kind == "officeDocument"),
            "word/document.xml",
        )
        if part not in members:
            raise corrupt(_DOCUMENT_KIND, "its main part is missing")
        root = self._root(members[part])
        links = relations(members, part)
        parts = {kind: members.get(name) for kind, name in links.values()}
        styles = Styles(safe_xml.try_read(parts.get("styles")))
        numbering = Numbering(safe_xml.try_read(parts.get("numbering")), styles.list_styles)
        writer = BodyWriter(members, part, styles, numbering)
        self.text = self._markdown(writer.write(root), writer)
        self.hidden = writer.story.hidden
        found: list[str] = []
        for kind, name in sorted(set(links.values())):
            if kind in _MARGINS and (margin := safe_xml.try_read(members.get(name))) is not None:
                own = BodyWriter(members, name, styles, numbering)
                block = _lines(own.write(margin))
                if block and block not in found and block not in self.text:
                    found.append(block)
        self.margins = len(found)
        self.text = "\n\n".join(each for each in (self.text, *found) if each.strip())
        if self.hidden:
            self.notes.append(f"{self.hidden} pieces of hidden text are left out")

    def _root(self, content: bytes) -> Element:
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
        )
        try:
            return etree.fromstring(content, parser)
        except (etree.XMLSyntaxError, ValueError):
            root = safe_xml.read(content, _DOCUMENT_KIND)
            self.notes.append("the document is damaged; what comes before the damage is kept")
            return root

    def _markdown(self, plain: Element, writer: BodyWriter) -> str:
        import mammoth  # it has no stubs

        result = mammoth.convert_to_html(
            _packed(plain), style_map=_STYLE_MAP, external_file_access=False
        )
        tree, is_complete = parse_tree(result.value)
        if not is_complete:
            raise corrupt(_DOCUMENT_KIND, "it is nested too deeply")
        if tree is None:
            return ""
        rendered = render(tree, frozenset())
        self.tables += rendered.tables
        lines = rendered.text
        if writer.story.inserted:
            texts = [self._inserted(name) for name in writer.story.inserted]
            lines = "\n".join(_filled(line, texts) for line in lines.split("\n"))
        return lines

    def _inserted(self, name: str) -> str:
        """The text of an inserted file (altChunk)."""
        content = zip_packages.read_members(self._data, _DOCUMENT_KIND, (name,)).get(name)
        if not name or content is None or self._depth <= 0:
            self.notes.append("a file that is inserted or linked is left out")
            return ""
        try:
            return self._read_inserted(content)
        except ParseError:
            self.notes.append("an inserted file can't be read and is left out")
            return ""

    def _read_inserted(self, content: bytes) -> str:
        start = content[:2_048].lstrip(b"\xef\xbb\xbf \t\r\n")
        if start.startswith(b"PK"):
            inner = _Text(content, self._depth - 1)
            self.notes += inner.notes
            self.tables += inner.tables
            return inner.text
        if start.startswith(b"{\\rtf"):
            return rtf_to_markdown(content)[0]
        if re.match(rb"(?:MIME-Version|From|Content-Type|Subject|Date):", start, re.IGNORECASE):
            return MAIL.body_of(content)
        text = decode(content).text
        if re.search(r"<(?:html|body|p|div|table|h[1-6]|span|br|!doctype)\b", text, re.IGNORECASE):
            return extract_main_text(text).text
        return "\n\n".join(line for line in text.splitlines() if line.strip())


def _packed(plain: Element) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, content)
        archive.writestr("word/document.xml", etree.tostring(plain, encoding="utf-8"))
    buffer.seek(0)
    return buffer


def _filled(line: str, texts: list[str]) -> str:
    """A line with the texts of inserted files; in a row of a table they take one line."""
    if "\ue0f0" not in line:
        return line
    in_row = line.startswith("|")

    def text(match: re.Match[str]) -> str:
        number = int(match[1])
        found = texts[number] if number < len(texts) else ""
        return " ".join(found.replace("|", "\\|").split()) if in_row else found

    return _INSERTED.sub(text, line)


def _lines(plain: Element) -> str:
    """The paragraphs of a header or footer; a bare page number is worthless."""
    lines = []
    for paragraph in plain.iter("{*}p"):
        pieces = [
            (run.text or "") if safe_xml.local_name(run) == "t" else "\n"
            for run in paragraph.iter("{*}t", "{*}br")
        ]
        for line in "".join(pieces).split("\n"):
            line = " ".join(line.split())
            if line and not line.isdecimal() and "\ue0f0" not in line:
                lines.append(line)
    return "\n".join(lines)


PARSER = DocxParser()
