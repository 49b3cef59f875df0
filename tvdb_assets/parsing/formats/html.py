"""HTML: the main text as Markdown, nothing lost without a trace, nothing twice.

What belongs here: which part of a page is its main text. What does not: rendering
(`html_markdown`), which DOCX shares.

Every element is rendered at most once, in the order of the page; so no sentence can come
out more often than it went in.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.metadata import version

from lxml import etree

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.html_markdown import (
    Element,
    drop_invisible,
    parse_tree,
    render,
    visible_length,
)
from tvdb_assets.parsing.formats.refusals import empty

_REVISION = 1
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)
_BOILERPLATE_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary"})
_BOILERPLATE_TAGS = frozenset({"nav", "footer", "aside"})
_BOILERPLATE_NAMES = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|menu|breadcrumbs?|sidebar|site-?footer|footer|site-?header|masthead|"
    r"cookies?|skip-?(?:nav|link|to)?|share|social|pagination|usa-banner)(?:$|[\s_-])",
    re.IGNORECASE,
)
_MAIN = ".//main | .//*[@role='main'] | .//*[@id='main-content' or @id='content' or @id='main']"
_LINK_SHARE = 0.5  # of its letters inside links: then a list is a menu
_LEAST_SHARE = 0.3  # of the page's text without boilerplate, that a main part must hold
_LEAST_LETTERS = 60


class HtmlParser:
    """The page's main text; the whole visible text where no main part can be told."""

    media_types = frozenset({"text/html"})
    name = "HTML"
    kept = "the main text with its headings, lists, tables, code"
    lost = "navigation, footers, forms, scripts, hidden text, pictures"
    service = "lxml"

    @property
    def version(self) -> str:
        return version(self.service)

    @property
    def fingerprint(self) -> str:
        libxml = ".".join(map(str, etree.LIBXML_VERSION))
        return f"html{_REVISION}:{self.service}{self.version}:{libxml}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a page; fetches nothing and runs nothing."""
        declared = _CHARSET.search(data[:4_096])
        decoded = decode(data, declared[1].decode("ascii") if declared else None)
        body = html_to_markdown(decoded.text)
        if not body.text.strip():
            raise empty("The page")
        return make(
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


class MainText:
    """What was kept of a page."""

    def __init__(self, text: str, title: str | None, notes: list[str], facts: dict[str, int]):
        self.text = text
        self.title = title
        self.notes = notes
        self.facts = facts


def html_to_markdown(source: str) -> MainText:
    """The main text of a page, or of a mail's HTML body."""
    nul = source.count("\x00")
    tree, is_whole = parse_tree(source)
    facts = {"nul_removed": nul} if nul else {}
    if tree is None:
        return MainText("", None, [], facts)
    if not is_whole:
        # The tree ends where nesting passed the parser's limit; the text must not.
        return MainText(_bare_text(source), None, ["nested too deeply: plain text only"], facts)
    title_element = tree.find(".//title")
    title = title_element.text if title_element is not None else None
    drop_invisible(tree)
    found = tree.find("body")
    body = tree if found is None else found
    visible = visible_length(body)
    chosen, skipped = _main_part(body, visible)
    rendered = render(chosen, skipped)
    if visible_length(chosen) and len(rendered.text) < _LEAST_SHARE * min(visible, _LEAST_LETTERS):
        rendered = render(body, frozenset())
    facts |= {"visible_characters": visible, "tables": rendered.tables}
    return MainText(rendered.text, title, [], facts)


def _main_part(body: Element, visible: int) -> tuple[Element, frozenset[Element]]:
    """The element to render, and the elements inside it to leave out."""
    boilerplate = frozenset(_boilerplate(body))
    remaining = visible - sum(visible_length(element) for element in boilerplate)
    if remaining < min(_LEAST_LETTERS, visible * _LEAST_SHARE):
        return body, frozenset()
    candidates = body.xpath(_MAIN)
    articles = body.findall(".//article")
    if len(articles) == 1:
        candidates += articles
    best = max(candidates, key=visible_length, default=None)
    if best is not None:
        inside = [element for element in boilerplate if _is_inside(element, best)]
        kept = visible_length(best) - sum(map(visible_length, inside))
        if kept >= max(_LEAST_SHARE * remaining, min(_LEAST_LETTERS, remaining)):
            return best, boilerplate
    return body, boilerplate


def _boilerplate(body: Element) -> list[Element]:
    """The outermost elements that are navigation, by meaning or by name and links."""
    found: list[Element] = []
    walk = etree.iterwalk(body, events=("start",))
    for _, element in walk:
        if element is not body and isinstance(element.tag, str) and _is_boilerplate(element):
            found.append(element)
            walk.skip_subtree()
    return found


def _is_boilerplate(element: Element) -> bool:
    if element.tag in _BOILERPLATE_TAGS or element.get("role") in _BOILERPLATE_ROLES:
        return True
    if element.tag == "header":
        # A header inside an article or main part holds its title.
        return not any(a.tag in {"main", "article", "section"} for a in element.iterancestors())
    if element.tag not in {"div", "ul", "ol", "section", "p", "a"}:
        return False
    names = f"{element.get('class') or ''} {element.get('id') or ''}"[:1_000]
    if not _BOILERPLATE_NAMES.search(names):
        return False
    total = visible_length(element)
    links = sum(visible_length(link) for link in element.iter("a"))
    return total == 0 or links > _LINK_SHARE * total


def _is_inside(element: Element, ancestor: Element) -> bool:
    return element is ancestor or any(parent is ancestor for parent in element.iterancestors())


class _BareText(HTMLParser):
    """Visible text without a tree, for pages nested past any sense."""

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
