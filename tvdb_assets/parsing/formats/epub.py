"""E-books (EPUB): the chapters in reading order, each as the HTML that it is.

What belongs here: the package of a book. What does not: rendering (`html_markdown`).
"""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats import safe_xml, zipped
from tvdb_assets.parsing.formats.active_limits import allowed, over_limit
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.html_markdown import Element, drop_invisible, parse_tree, render
from tvdb_assets.parsing.formats.ooxml import inside
from tvdb_assets.parsing.formats.refusals import corrupt, empty

_WHAT = "e-book"
_CHAPTERS = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})


class EpubParser(BaseParser):
    """What the book's spine lists, in its order; nothing outside the archive is opened."""

    media_types = frozenset({zipped.EXTENSIONS["epub"]})
    name = "e-book (EPUB)"
    service = "lxml"
    kept = "chapters in reading order, headings, lists, tables"
    lost = "pictures, the table of contents, links, notes' return marks"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a book; one that is locked for reading programs is refused as encrypted."""
        members = zipped.read_members(data, _WHAT, (".xhtml", ".html", ".htm", ".xml", ".opf"))
        if "META-INF/encryption.xml" in members and _locks_chapters(members):
            from tvdb_assets.parsing.formats.refusals import encrypted

            raise encrypted(_WHAT)
        package, part = _package(members)
        folder = posixpath.dirname(part)
        items = {
            item.get("id"): (inside(folder, unquote(item.get("href") or "")), item)
            for item in package.iterfind("{*}manifest/{*}item")
        }
        parts: list[str] = []
        tables = missing = 0
        for number, reference in enumerate(package.iterfind("{*}spine/{*}itemref")):
            if number == allowed().max_members:
                raise over_limit(_WHAT, "max_members", "chapters")
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
                raise corrupt(_WHAT, "its chapters are missing")
            raise empty("The e-book")
        return make(
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
        part = inside("", (root.get("full-path") or "")) if root is not None else ""
    if part not in members:
        part = next((name for name in sorted(members) if name.endswith(".opf")), "")
    if not part:
        raise corrupt(_WHAT, "its list of chapters is missing")
    return safe_xml.read(members[part], _WHAT), part


def _locks_chapters(members: dict[str, bytes]) -> bool:
    """Whether more than fonts is locked."""
    root = safe_xml.try_read(members["META-INF/encryption.xml"])
    names = (
        [] if root is None else [ref.get("URI") or "" for ref in root.iter("{*}CipherReference")]
    )
    return any(name.lower().endswith((".xhtml", ".html", ".htm", ".xml")) for name in names)


def _chapter(content: bytes) -> tuple[str, int]:
    text = decode(content, safe_xml.declared_encoding(content)).text
    tree, is_whole = parse_tree(_without_declaration(text))
    if tree is None:
        return "", 0
    if not is_whole:
        from tvdb_assets.parsing.formats.html import html_to_markdown

        return html_to_markdown(text).text, 0
    drop_invisible(tree)
    body = tree.find("body")
    rendered = render(tree if body is None else body, frozenset())
    return rendered.text, rendered.tables


def _without_declaration(text: str) -> str:
    start = text.lstrip()
    return start[start.find("?>") + 2 :] if start.startswith("<?xml") else text


PARSER = EpubParser()
