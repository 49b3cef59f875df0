"""Word documents (DOCX), by mammoth: its HTML, rendered like any other HTML.

What belongs here: DOCX. What does not: other Office formats, rendering
(`markdown.html_renderer`).
"""

from __future__ import annotations

import io
import re
from importlib.metadata import version

from lxml import etree

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.html_renderer import parse_tree, render
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import zip_packages

_REVISION = 1
_DOCUMENT_KIND = "Word document"
_DTD = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_MARGIN = re.compile(r"^word/(?:header|footer)\d*\.xml$")
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => h2:fresh
p[style-name='heading 7'] => h6:fresh
p[style-name='heading 8'] => h6:fresh
p[style-name='heading 9'] => h6:fresh
"""


class DocxParser(BaseParser):
    """Reads headings, lists, tables, notes, text boxes in order; headers and footers once."""

    media_types = frozenset({zip_packages.EXTENSIONS["docx"]})
    name = "Word (DOCX)"
    preserved = "headings, lists, tables, notes, text boxes, headers and footers once"
    not_preserved = "pictures, comments, deleted text, page numbers"
    imports = ("mammoth",)
    service = "mammoth"

    @property
    def fingerprint(self) -> str:
        return f"docx{_REVISION}:{self.service}{self.version}:lxml{version('lxml')}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a document; linked templates and pictures are not fetched."""
        import mammoth  # it has no stubs

        members = zip_packages.read_xml_members(data, _DOCUMENT_KIND)
        # Word never writes a document type; one that is there may expand entities or read files.
        if any(_DTD.search(content[:4_096]) for content in members.values()):
            raise corrupt(_DOCUMENT_KIND, "it declares XML entities, which Word never does")
        result = mammoth.convert_to_html(
            io.BytesIO(data),
            style_map=_STYLES,
            convert_image=mammoth.images.img_element(lambda image: {"src": ""}),
            external_file_access=False,
        )
        tree, is_complete = parse_tree(result.value)
        if not is_complete:
            raise corrupt(_DOCUMENT_KIND, "it is nested too deeply")
        tables = 0
        parts: list[str] = []
        if tree is not None:
            rendered = render(tree, frozenset())
            tables = rendered.tables
            parts.append(rendered.text)
        margins = _margins(members, parts[0] if parts else "")
        text = "\n\n".join(part for part in (*parts, *margins) if part.strip())
        if not text.strip():
            raise empty("The Word document")
        return build_document(
            [text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="html",
            title=_title(members.get("docProps/core.xml")),
            facts={"tables": tables, "headers_and_footers": len(margins)},
        )


def _xml(content: bytes) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        return None  # only the main part must be valid; mammoth checks that


def _margins(members: dict[str, bytes], text: str) -> list[str]:
    """Distinct texts of headers and footers that are not in the body."""
    found: list[str] = []
    for name in sorted(filter(_MARGIN.match, members)):
        root = _xml(members[name])
        if root is None:
            continue
        lines = []
        for paragraph in root.iter(_W + "p"):
            line = "".join(run.text or "" for run in paragraph.iter(_W + "t")).strip()
            # A bare page number is worthless.
            if line and not line.isdecimal():
                lines.append(line)
        block = "\n".join(lines)
        if block and block not in found and block not in text:
            found.append(block)
    return found


def _title(core: bytes | None) -> str | None:
    root = _xml(core) if core is not None else None
    return None if root is None else root.findtext("{http://purl.org/dc/elements/1.1/}title")


PARSER = DocxParser()
