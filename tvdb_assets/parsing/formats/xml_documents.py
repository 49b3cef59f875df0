"""XML: articles in JATS, books in DocBook, and any other XML by its text.

What belongs here: the elements of these vocabularies that are headings, lists and tables. What
does not: reading hostile XML (`reading.safe_xml`), rendering (`markdown.html_renderer`).
"""

from __future__ import annotations

from lxml import etree

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.html_renderer import render
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import safe_xml
from tvdb_assets.parsing.reading.safe_xml import Element
from tvdb_assets.parsing.reading.text_decoding import decode

_DOCUMENT_KIND = "XML document"
_ARTICLE = frozenset({"article", "book", "chapter", "section", "refentry", "topic"})
_DIVISIONS = frozenset(
    {
        "sec", "section", "sect1", "sect2", "sect3", "sect4", "sect5", "chapter", "part",
        "appendix", "preface", "refsect1", "refsect2", "refsect3", "app", "ack", "abstract",
        "simplesect", "bibliography", "glossary", "ref-list", "topic", "concept", "task",
    }
)  # fmt: skip
_BLOCKS = {
    **dict.fromkeys(
        ("p", "para", "simpara", "formalpara", "contrib", "aff", "ref", "bibliomixed",
         "biblioentry", "caption",
         "label", "def", "term", "subtitle", "attrib", "pub-date", "kwd-group", "fn",
         "disp-formula", "author", "xref-group", "td-note", "publisher", "license", "copyright",
         "journal-title", "article-id", "note", "tip", "warning", "important", "caution", "sec",
         "section", "table-wrap", "fig", "figure", "informaltable", "funding-group"),
        "div",
    ),
    **dict.fromkeys(("itemizedlist", "simplelist", "variablelist", "def-list", "ul"), "ul"),
    **dict.fromkeys(("orderedlist", "procedure", "ol"), "ol"),
    **dict.fromkeys(("listitem", "list-item", "varlistentry", "def-item", "step", "member", "li"),
                    "li"),
    **dict.fromkeys(("table", "tgroup-table"), "table"),
    **dict.fromkeys(("thead", "tbody", "tfoot"), "tbody"),
    **dict.fromkeys(("tr", "row"), "tr"),
    **dict.fromkeys(("td", "th", "entry"), "td"),
    **dict.fromkeys(("programlisting", "screen", "literallayout", "code-block", "preformat", "pre",
                     "verse-group", "codeblock"), "pre"),
    **dict.fromkeys(("disp-quote", "blockquote"), "blockquote"),
    "break": "br",
}  # fmt: skip
_OMITTED = frozenset(
    {
        "journal-id", "issn", "isbn", "object-id", "tex-math", "graphic", "inline-graphic",
        "media", "volume", "issue", "fpage", "lpage", "elocation-id", "history",
        "permissions-x", "xref-mark", "alt-text", "indexterm", "remark", "pubid", "counts",
        "page-count", "fig-count", "table-count", "equation-count", "ref-count", "word-count",
    }
)  # fmt: skip
_TITLES = frozenset({"title", "article-title"})


class XmlParser(BaseParser):
    """Reads articles and books with their structure; other XML as element names and texts."""

    media_types = frozenset({"application/xml"})
    name = "XML (JATS, DocBook and others)"
    service = "lxml"
    preserved = (
        "JATS and DocBook: headings, lists, tables, code; other XML: element names and texts"
    )
    not_preserved = (
        "attributes, entities that a file declares or fetches, comments, TeX of formulas"
    )

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse XML; entities are never expanded and nothing is fetched."""
        decoded = decode(data, safe_xml.declared_encoding(data))
        text = decoded.text.lstrip()
        root = safe_xml.read(safe_xml.without_declaration(text), _DOCUMENT_KIND)
        is_article = safe_xml.local_name(root) in _ARTICLE
        title = None
        tables = 0
        if is_article:
            rendered = render(safe_xml.to_html_tree(root, _html_tag), frozenset())
            body, tables = rendered.text, rendered.tables
            front = root.find(".//{*}article-title")
            title = safe_xml.inner_text(root.find(".//{*}title") if front is None else front)
        else:
            body = _outline(root)
        if not body.strip():
            if safe_xml.inner_text(root):
                raise corrupt(_DOCUMENT_KIND, "its text can't be separated from its markup")
            raise empty("The XML document")
        return build_document(
            [body],
            media_type=media_type,
            is_markdown=is_article,
            service=self.service,
            model="article" if is_article else "outline",
            title=title,
            encoding=decoded.encoding,
            notes=decoded.notes(),
            facts={"tables": tables},
        )


def _html_tag(element: Element) -> str:
    name = safe_xml.local_name(element)
    if name in _OMITTED:
        return safe_xml.SKIP
    parent = element.getparent()
    above = safe_xml.local_name(parent) if parent is not None else ""
    if name in _TITLES:
        if name == "article-title" and above != "title-group":
            return "span"
        if above in {"figure", "table", "fig", "caption", "example", "informaltable"}:
            return "div"
        depth = sum(safe_xml.local_name(a) in _DIVISIONS for a in element.iterancestors())
        return f"h{min(6, depth + 1)}"
    if name == "list":
        kind = element.get("list-type") or ""
        return "ol" if kind in {"order", "roman-lower", "alpha-lower", "number"} else "ul"
    if name in {"title-group", "info", "articleinfo", "front", "body", "back", "abstract"}:
        return "div"
    if name == "table" and element.find("{*}tgroup") is None and element.find(".//{*}tr") is None:
        return "div"
    return _BLOCKS.get(name, "div" if name in _DIVISIONS else "span")


def _outline(root: Element) -> str:
    """A line per element with its own text: its name and the text."""
    lines: list[str] = []
    depth = 0
    pending_names: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if not isinstance(element.tag, str):
            continue
        own = element.text if event == "start" else element.tail
        text = " ".join((own or "").split())
        if event == "start":
            name = safe_xml.local_name(element)
            indent = "  " * min(8, depth)
            has_children = len(element) > 0
            pending_names.append(f"{indent}{name}:")
            depth += 1
            if text or not has_children:
                if text:
                    lines += [*pending_names[:-1], f"{pending_names[-1]} {text}"]
                    pending_names = []
                else:
                    pending_names.pop()
        else:
            depth -= 1
            if pending_names and pending_names[-1].lstrip() == f"{safe_xml.local_name(element)}:":
                pending_names.pop()
            if text:
                lines += [*pending_names, "  " * min(8, depth) + text]
                pending_names = []
    return "\n".join(lines)


PARSER = XmlParser()
