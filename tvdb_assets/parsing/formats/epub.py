"""E-books (EPUB): the chapters in reading order; each chapter is an HTML page.

What belongs here: the package of a book. What does not: rendering (`markdown.html_renderer`).
"""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.formats.html import extract_main_text
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.html_renderer import parse_tree, render
from tvdb_assets.parsing.markdown.visible_elements import drop_invisible
from tvdb_assets.parsing.parse_errors import corrupt, empty, encrypted
from tvdb_assets.parsing.reading import safe_xml, zip_packages
from tvdb_assets.parsing.reading.ooxml import member_of_target
from tvdb_assets.parsing.reading.safe_xml import Element
from tvdb_assets.parsing.reading.text_decoding import decode

_DOCUMENT_KIND = "e-book"
_CHAPTERS = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})


class EpubParser(BaseParser):
    """Reads the items of the book's spine in its order; opens nothing outside of the archive."""

    media_types = frozenset({zip_packages.EXTENSIONS["epub"]})
    name = "e-book (EPUB)"
    service = "lxml"
    preserved = "chapters in reading order, headings, lists, tables"
    not_preserved = "pictures, the table of contents, links, return marks of notes"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a book; one with encrypted chapters is refused as encrypted."""
        members = zip_packages.read_members(
            data, _DOCUMENT_KIND, (".xhtml", ".html", ".htm", ".xml", ".opf")
        )
        if "META-INF/encryption.xml" in members and _locks_chapters(members):
            raise encrypted(_DOCUMENT_KIND)
        package, part = _package(members)
        folder = posixpath.dirname(part)
        items = {
            item.get("id"): (member_of_target(folder, unquote(item.get("href") or "")), item)
            for item in package.iterfind("{*}manifest/{*}item")
        }
        parts: list[str] = []
        tables = missing = 0
        for number, reference in enumerate(package.iterfind("{*}spine/{*}itemref")):
            if number == current_limits().max_members:
                raise over_limit(_DOCUMENT_KIND, "max_members", "chapters")
            name, item = items.get(reference.get("idref"), ("", None))
            if item is None or "nav" in (item.get("properties") or "").split():
                continue
            if (item.get("media-type") or "") not in _CHAPTERS:
                continue
            content = members.get(name)
            if content is None:
                missing += 1
                continue
            text, count = _chapter(content)
            tables += count
            parts.append(text)
        text = "\n\n".join(part for part in parts if part.strip())
        if not text:
            if missing:
                raise corrupt(_DOCUMENT_KIND, "its chapters are missing")
            raise empty("The e-book")
        return build_document(
            [text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="spine",
            title=package.findtext(".//{http://purl.org/dc/elements/1.1/}title"),
            notes=(f"{missing} chapters are missing from the file",) if missing else (),
            facts={"chapters": len(parts), "tables": tables},
        )


def _package(members: dict[str, bytes]) -> tuple[Element, str]:
    container = safe_xml.try_read(members.get("META-INF/container.xml"))
    part = ""
    if container is not None:
        root = container.find(".//{*}rootfile")
        part = member_of_target("", (root.get("full-path") or "")) if root is not None else ""
    if part not in members:
        part = next((name for name in sorted(members) if name.endswith(".opf")), "")
    if not part:
        raise corrupt(_DOCUMENT_KIND, "its list of chapters is missing")
    return safe_xml.read(members[part], _DOCUMENT_KIND), part


def _locks_chapters(members: dict[str, bytes]) -> bool:
    """Whether chapters are encrypted, and not only fonts."""
    root = safe_xml.try_read(members["META-INF/encryption.xml"])
    names = (
        [] if root is None else [ref.get("URI") or "" for ref in root.iter("{*}CipherReference")]
    )
    return any(name.lower().endswith((".xhtml", ".html", ".htm", ".xml")) for name in names)


def _chapter(content: bytes) -> tuple[str, int]:
    text = decode(content, safe_xml.declared_encoding(content)).text
    tree, is_complete = parse_tree(safe_xml.without_declaration(text))
    if tree is None:
        return "", 0
    if not is_complete:
        return extract_main_text(text).text, 0
    drop_invisible(tree)
    body = tree.find("body")
    rendered = render(tree if body is None else body, frozenset())
    return rendered.text, rendered.tables


PARSER = EpubParser()
