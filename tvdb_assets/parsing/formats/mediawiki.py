"""MediaWiki, by mwparserfromhell: its nodes to Markdown.

What belongs here: wikitext. What does not: the text of templates, which is on the wiki.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tvdb_assets.parsing.markdown.tables import pipe_table
from tvdb_assets.parsing.markup_parser import (
    LONGEST_LINE,
    ConvertedMarkup,
    MarkupParser,
    join_lines,
)

_MEDIA = re.compile(
    r"\s*(?:file|image|datei|bild|fichier|archivo|category|kategorie|cat\xe9gorie|categor\xeda)\s*:",
    re.IGNORECASE,
)
_OMITTED_TAGS = frozenset({"gallery", "math", "timeline", "imagemap", "score", "templatestyles"})
_VERBATIM_TAGS = frozenset({"pre", "syntaxhighlight", "source"})
_CITATIONS = re.compile(r"\s*(?:cite|citation|sfn|harv|webarchive|reflist|refn)\b", re.IGNORECASE)
_WIDE_ITEM = re.compile(r"^( *(?:-|1\.)) {2,}", re.MULTILINE)
_BRACKET = re.compile(r"\{\{|\}\}|\[\[|\]\]|^\{\||^\|\}|</?[a-z][^<>]{0,500}>?", re.M | re.I)
_OPENERS = {"}}": "{{", "]]": "[[", "|}": "{|"}
_MAX_UNCLOSED = 300
_MIN_NAMED = 3  # named arguments that make a template an infobox


class UnclosedMarkupError(ValueError):
    """So much markup has no end that the library would take very long."""


class MediaWikiParser(MarkupParser):
    """Reads headings, lists, tables, texts of links and the arguments of templates."""

    media_types = frozenset({"text/x-mediawiki"})
    name = "MediaWiki"
    service = "mwparserfromhell"
    model = "wikitext"
    longest_line = LONGEST_LINE
    preserved = "headings, lists, tables, notes, arguments of templates"
    not_preserved = "the text of templates, pictures, categories, formulas"
    imports = ("mwparserfromhell",)

    def convert(self, source: str) -> ConvertedMarkup:
        """Convert a page's source."""
        import mwparserfromhell

        if _unclosed(source) > _MAX_UNCLOSED:
            raise UnclosedMarkupError
        writer = _Writer()
        writer.write(mwparserfromhell.parse(source))
        text = join_lines(line.rstrip() for line in "".join(writer.out).split("\n"))
        text = _WIDE_ITEM.sub(r"\1 ", text)
        return ConvertedMarkup(text, writer.tables)


def _unclosed(source: str) -> int:
    """Number of brackets and tags without an end; the library reads on to the end for each."""
    depths = dict.fromkeys(("{{", "[[", "{|", "<"), 0)
    for found in _BRACKET.finditer(source):
        mark = found[0]
        opener = _OPENERS.get(mark[:2], "<" if mark[0] == "<" else None)
        if opener is None:
            depths[mark] += 1
        elif mark[0] == "<" and mark[1] != "/":
            depths["<"] += not mark.endswith("/>")
        else:
            depths[opener] = max(0, depths[opener] - 1)
    return sum(depths.values())


class _Writer:
    """Writes the nodes in order, each of them once."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.tables = 0
        self._marks: list[str] = []

    def write(self, code: Any) -> None:
        if code is None:
            return
        for node in code.nodes:
            kind = type(node).__name__
            if kind != "Tag" or str(node.tag) not in {"li", "dd", "dt"}:
                self._start_item()
            getattr(self, f"_{kind.lower()}", self._ignore)(node)
        self._start_item()

    def _start_item(self) -> None:
        if self._marks:
            sign = {"li": "- ", "ol": "1. "}.get(self._marks[-1], "")
            self.out.append("  " * (min(len(self._marks), 10) - 1) + sign)
            self._marks = []

    def _ignore(self, node: Any) -> None:
        """Comments and template parameters are invisible."""

    def _text(self, node: Any) -> None:
        self.out.append(str(node.value))

    def _heading(self, node: Any) -> None:
        inner = self._on_one_line(node.title)
        self.out.append(f"\n\n{'#' * min(6, node.level)} {inner}\n\n")

    def _wikilink(self, node: Any) -> None:
        if _MEDIA.match(str(node.title)):
            return
        if node.text is not None and str(node.text).strip():
            self.write(node.text)
        else:
            self.out.append(str(node.title).lstrip(":").split("#")[0] or str(node.title))

    def _externallink(self, node: Any) -> None:
        if node.title is not None:
            self.write(node.title)
        elif not node.brackets:
            self.out.append(str(node.url))

    def _htmlentity(self, node: Any) -> None:
        try:
            self.out.append(str(node.normalize()))
        except (ValueError, OverflowError):
            self.out.append("\ufffd")

    def _template(self, node: Any) -> None:
        name = str(node.name).strip()
        if _CITATIONS.match(name):
            titles = [
                self._on_one_line(p.value) for p in node.params if str(p.name).strip() == "title"
            ]
            self.out.append("".join(titles))
            return
        named = [(str(p.name).strip(), p.value) for p in node.params if p.showkey]
        filled = [(key, text) for key, value in named if (text := self._on_one_line(value))]
        if len(filled) >= _MIN_NAMED:
            self.out.append("\n\n" + "\n".join(f"- {key}: {text}" for key, text in filled) + "\n\n")
            return
        positional = [self._on_one_line(p.value) for p in node.params if not p.showkey]
        self.out.append(" ".join(dict.fromkeys(filter(None, positional[-1:]))))

    def _tag(self, node: Any) -> None:
        tag = str(node.tag).strip().lower()
        if tag in {"li", "dd", "dt"} and node.wiki_markup:
            self._marks.append("ol" if str(node.wiki_markup) == "#" else tag)
        elif tag == "table":
            self._table(node)
        elif tag in _VERBATIM_TAGS:
            code = str(node.contents or "").strip("\n").replace("```", "'''")
            self.out.append(f"\n\n```\n{code}\n```\n\n")
        elif tag == "ref":
            note = self._on_one_line(node.contents)
            self.out.append(f" [{note}]" if note else "")
        elif tag == "br":
            self.out.append("\n")
        elif tag not in _OMITTED_TAGS:
            self.write(node.contents)

    def _table(self, node: Any) -> None:
        rows: list[list[str]] = []
        for part in node.contents.nodes if node.contents is not None else ():
            if type(part).__name__ != "Tag" or str(part.tag) not in {"tr", "td", "th"}:
                continue
            if str(part.tag) != "tr":
                rows = rows or [[]]
                rows[-1].append(self._on_one_line(part.contents))
                continue
            rows.append([self._on_one_line(cell.contents) for cell in _cells(part)])
        filled = [row for row in rows if any(row)]
        if filled:
            self.tables += 1
            self.out.append("\n\n" + pipe_table(filled) + "\n\n")

    def _on_one_line(self, code: Any) -> str:
        """The Markdown of these nodes on one line, not added to `out`."""
        inner = _Writer()
        inner.write(code)
        self.tables += inner.tables
        return " ".join("".join(inner.out).split())


def _cells(row: Any) -> Iterator[Any]:
    for part in row.contents.nodes if row.contents is not None else ():
        if type(part).__name__ == "Tag" and str(part.tag) in {"td", "th"}:
            yield part


PARSER = MediaWikiParser()
