"""HTML: the main text of a page as Markdown.

What belongs here: the choice of a page's main text. What does not: rendering
(`markdown.html_renderer`), which DOCX and other formats share.

Every element is rendered at most once, in the order of the page, so no sentence is repeated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

from lxml import etree

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.html_renderer import parse_tree, render
from tvdb_assets.parsing.markdown.visible_elements import (
    close_open_marks,
    drop_invisible,
    visible_length,
)
from tvdb_assets.parsing.parse_errors import empty
from tvdb_assets.parsing.reading.safe_xml import Element
from tvdb_assets.parsing.reading.text_decoding import decode

_REVISION = 2
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)
_BOILERPLATE_ROLES = frozenset({"navigation", "contentinfo", "search"})
_BOILERPLATE_TAGS = frozenset({"nav", "footer"})
_BESIDE_ROLES = frozenset({"banner", "complementary"})

_BOILERPLATE_NAMES = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|menu|breadcrumbs?|sidebar|site-?footer|footer|site-?header|masthead|"
    r"cookies?|skip-?(?:nav|link|to)?|share|social|pagination|usa-banner)(?:$|[\s_-])",
    re.IGNORECASE,
)
_MAIN = ".//main | .//*[@role='main'] | .//*[@id='main-content' or @id='content' or @id='main']"
_LINK_SHARE = 0.5  # share of letters inside of links that makes a list a menu
_MIN_SHARE = 0.3  # share of the page's text without boilerplate that a main part must hold
_MIN_LETTERS = 60


class HtmlParser(BaseParser):
    """Reads the page's main text, or the whole visible text if no main part stands out."""

    media_types = frozenset({"text/html"})
    name = "HTML"
    preserved = (
        "the main text with its title, headings, lists with their numbers, tables, code, asides, "
        "what accordions and tabs unfold, values and ticks of fields"
    )
    not_preserved = "navigation, footers, buttons, scripts, hidden text, pictures"
    service = "lxml"

    @property
    def fingerprint(self) -> str:
        libxml = ".".join(map(str, etree.LIBXML_VERSION))
        return f"html{_REVISION}:{self.service}{self.version}:{libxml}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a page. Nothing is fetched and no script is run."""
        declared = _CHARSET.search(data[:4_096])
        decoded = decode(data, declared[1].decode("ascii") if declared else None)
        body = extract_main_text(decoded.text)
        if not body.text.strip():
            raise empty("The page")
        return build_document(
            [body.text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="main-text",
            title=body.title,
            encoding=decoded.encoding,
            notes=(*decoded.notes(), *body.notes),
            facts=body.facts,
        )


@dataclass(frozen=True, slots=True)
class MainText:
    """The main text of a page."""

    text: str
    """Markdown."""
    title: str | None
    notes: list[str]
    """Remarks for the reader, without document text."""
    facts: dict[str, int]
    """Counts: ``visible_characters``, ``tables``, ``nul_removed``."""


def extract_main_text(source: str) -> MainText:
    """The main text of a page or of a mail's HTML body."""
    nul = source.count("\x00")
    tree, is_complete = parse_tree(close_open_marks(source))
    facts = {"nul_removed": nul} if nul else {}
    if tree is None:
        return MainText("", None, [], facts)
    if not is_complete:
        # The tree ends where nesting exceeds the parser's limit; the text must be complete.
        return MainText(_bare_text(source), None, ["nested too deeply: plain text only"], facts)
    title_element = tree.find(".//title")
    title = title_element.text if title_element is not None else None
    drop_invisible(tree)
    found = tree.find("body")
    body = tree if found is None else found
    visible = visible_length(body)
    chosen, skipped = _main_part(body, visible)
    rendered = render(chosen, skipped)
    if chosen is not body and chosen.find(".//h1") is None:
        for head in _page_heads(body, chosen):
            rendered.text = f"{render(head, skipped).text}\n\n{rendered.text}"
    if chosen is not body:
        for aside in body.xpath(".//aside | .//*[@role='complementary']"):
            if not any(_is_inside(aside, other) for other in (chosen, *skipped)):
                rendered.text += f"\n\n{render(aside, skipped).text}"
    if visible_length(chosen) and len(rendered.text) < _MIN_SHARE * min(visible, _MIN_LETTERS):
        rendered = render(body, frozenset())
    facts |= {"visible_characters": visible, "tables": rendered.tables}
    return MainText(rendered.text, title, [], facts)


def _main_part(body: Element, visible: int) -> tuple[Element, frozenset[Element]]:
    """The element to render, and the elements inside of it to omit."""
    boilerplate = frozenset(_boilerplate(body))
    remaining = visible - sum(visible_length(element) for element in boilerplate)
    if remaining < min(_MIN_LETTERS, visible * _MIN_SHARE):
        return body, frozenset()
    candidates = body.xpath(_MAIN)
    articles = body.findall(".//article")
    if len(articles) == 1:
        candidates += articles
    best = max(candidates, key=visible_length, default=None)
    if best is not None:
        inside = [element for element in boilerplate if _is_inside(element, best)]
        remaining_in_best = visible_length(best) - sum(map(visible_length, inside))
        if remaining_in_best >= max(_MIN_SHARE * remaining, min(_MIN_LETTERS, remaining)):
            return best, boilerplate
    return body, boilerplate


def _boilerplate(body: Element) -> list[Element]:
    """The outermost navigation elements, by their tag or role, or by their name and links."""
    found: list[Element] = []
    elements = etree.iterwalk(body, events=("start",))
    for _, element in elements:
        if element is not body and isinstance(element.tag, str) and _is_boilerplate(element):
            found.append(element)
            elements.skip_subtree()
    return found


def _is_boilerplate(element: Element) -> bool:
    if element.tag in _BOILERPLATE_TAGS or element.get("role") in _BOILERPLATE_ROLES:
        return True
    if element.tag in {"header", "aside"} or element.get("role") in _BESIDE_ROLES:
        # A header may hold the title, and an aside a warning; a list of links is neither.
        if _is_named_boilerplate(element) or _is_mostly_links(element):
            return True
        if element.tag == "aside" or element.get("role") == "complementary":
            return False
        is_inside = any(a.tag in {"main", "article", "section"} for a in element.iterancestors())
        return not is_inside and element.find(".//h1") is None
    if element.tag not in {"div", "ul", "ol", "section", "p", "a"}:
        return False
    return _is_named_boilerplate(element) and _is_mostly_links(element)


def _is_named_boilerplate(element: Element) -> bool:
    names = f"{element.get('class') or ''} {element.get('id') or ''}"[:1_000]
    return _BOILERPLATE_NAMES.search(names) is not None


def _is_mostly_links(element: Element) -> bool:
    total = visible_length(element)
    links = sum(visible_length(link) for link in element.iter("a"))
    return total == 0 or links > _LINK_SHARE * total


def _page_heads(body: Element, main: Element) -> list[Element]:
    """The page's own header with its title, outside of the main part and before it."""
    heads = []
    for header in body.iter("header"):
        is_titled = header.find(".//h1") is not None and not _is_boilerplate(header)
        if is_titled and not _is_inside(header, main):
            heads.append(header)
    for title in body.iter("h1"):
        if heads or _is_inside(title, main):
            break
        if not any(map(_is_boilerplate, title.iterancestors())):
            heads.append(title)
    return heads[:1]


def _is_inside(element: Element, ancestor: Element) -> bool:
    return element is ancestor or any(parent is ancestor for parent in element.iterancestors())


class _BareText(HTMLParser):
    """Collects visible text without a tree, for pages that are nested too deeply."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in {"script", "style", "template"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style", "template"} and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def _bare_text(source: str) -> str:
    parser = _BareText()
    parser.feed(source)
    parser.close()
    return "\n".join(" ".join(part.split()) for part in parser.parts if part.strip())


PARSER = HtmlParser()
