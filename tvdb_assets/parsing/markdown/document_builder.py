"""Builds a `ParsedDocument` from a parser's raw text: normalizes it, then computes offsets.

What belongs here: the last step of every parser. What does not: any format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version

from tvdb_assets.core.normalization import normalize
from tvdb_assets.models import Heading, ParsedDocument, Provenance

MODE = "local"
PAGE_BREAK = "\n\n"

# Only candidate lines are examined, so a text without any costs one scan in C. Each pattern is
# limited to a line, so the time is linear for any input.
_CANDIDATE = re.compile(
    r"^ {0,3}(?:(?P<fence>`{3,}|~{3,})(?P<info>.*)"
    r"|(?P<hashes>#{1,6})(?:[ \t](?P<title>.*))?"
    r"|(?P<underline>=+|-+)[ \t]*"
    r"|(?P<comment><!--.*))$",
    re.MULTILINE,
)
_NOT_A_PARAGRAPH = re.compile(r"^(?: {4}|\t| {0,3}(?:>|#{1,6}(?:\s|$)|[-*+]\s|\d{1,9}[.)]\s|\|))")
_INLINE = re.compile(
    r"!?\[([^\[\]]{0,500})\]\([^()\s]{0,2000}\)|</?[a-zA-Z][^<>]{0,500}>|[*_`]{1,3}"
)
_SETEXT_LINES = 3  # a longer paragraph above a row of dashes is text above a rule


def build_document(
    pages: Sequence[str],
    *,
    media_type: str,
    is_markdown: bool,
    service: str = "",
    model: str = "",
    produced_by: Provenance | None = None,
    has_pages: bool = False,
    title: str | None = None,
    encoding: str | None = None,
    notes: Sequence[str] = (),
    facts: Mapping[str, int] | None = None,
) -> ParsedDocument:
    """Normalize and join ``pages`` and find the headings.

    Args:
        pages: Raw text of each page, or one text for a format without pages.
        media_type: As sniffed.
        is_markdown: Whether the text is Markdown, whose headings are found.
        service: The library; its installed version is recorded.
        model: The algorithm or output format of the library.
        produced_by: Replaces ``service`` and ``model`` if no library of this machine did it.
        has_pages: Whether the format has pages.
        title: The document's stated title; the fallback is the first heading of the top level.
        encoding: The detected encoding of a text format.
        notes: Remarks for the reader, without document text.
        facts: Counts, by name.
    """
    cleaned = [normalize(page) for page in pages]
    texts = [clean.text for clean in cleaned]
    starts: list[int] = []
    offset = 0
    for text in texts:
        starts.append(offset)
        offset += len(text) + len(PAGE_BREAK)
    joined = PAGE_BREAK.join(texts)
    headings = find_headings(joined) if is_markdown else ()
    counts = dict(facts or {})
    for clean in cleaned:
        for name, count in clean.facts().items():
            counts[name] = counts.get(name, 0) + count
    return ParsedDocument(
        text=joined,
        media_type=media_type,
        is_markdown=is_markdown,
        produced_by=produced_by
        or Provenance(service=service, mode=MODE, model=model, version=_version(service)),
        title=_clean_title(title) or _first_title(headings),
        page_starts=tuple(starts) if has_pages else (),
        headings=headings,
        encoding=encoding,
        notes=tuple(notes),
        facts=counts,
    )


@cache
def _version(library: str) -> str:
    # Reading a package's metadata takes longer than parsing a small text.
    return version(library)


def find_headings(text: str) -> tuple[Heading, ...]:
    """ATX and setext headings of Markdown, outside of code fences and comments.

    Linear time. ``text`` must be normalized. The result agrees with CommonMark except for headings
    inside of lists and quotes, which are not part of the document's structure.
    """
    headings: list[Heading] = []
    fence: str | None = None
    resume = 0
    for match in _CANDIDATE.finditer(text):
        if match.start() < resume:
            continue
        if (mark := match["fence"]) is not None:
            if fence is None:
                if mark[0] == "~" or "`" not in match["info"]:
                    fence = mark
            elif mark[0] == fence[0] and len(mark) >= len(fence) and not match["info"].strip():
                fence = None
        elif fence is not None:
            continue
        elif match["hashes"]:
            title = _plain((match["title"] or "").strip())
            if title:
                headings.append(Heading(match.start(), len(match["hashes"]), title))
        elif match["underline"]:
            heading = _setext(text, match.start(), 1 if match["underline"][0] == "=" else 2)
            if heading is not None and (not headings or headings[-1].offset < heading.offset):
                headings.append(heading)
        elif match["comment"]:
            end = text.find("-->", match.start() + 4)
            resume = len(text) if end < 0 else end
    return tuple(headings)


def _setext(text: str, underline: int, level: int) -> Heading | None:
    lines: list[str] = []
    start = underline
    while start > 0:
        previous = text.rfind("\n", max(0, start - 2_000), start - 1) + 1
        if previous == 0 and start > 2_000:
            return None
        line = text[previous : start - 1]
        if not line.strip():
            break
        if _NOT_A_PARAGRAPH.match(line) or len(lines) == _SETEXT_LINES:
            return None
        lines.insert(0, line)
        start = previous
    title = _plain(" ".join(line.strip() for line in lines))
    return Heading(start, level, title) if title else None


def _plain(title: str) -> str:
    title = title[:1_000]
    stripped = title.rstrip("#")
    if stripped != title and (not stripped or stripped[-1] in " \t"):
        title = stripped
    return " ".join(_INLINE.sub(lambda match: match[1] or "", title).split())[:300]


def _clean_title(title: str | None) -> str | None:
    return " ".join(normalize(title).text.split())[:300] or None if title else None


def _first_title(headings: Sequence[Heading]) -> str | None:
    if not headings:
        return None
    return min(headings[:20], key=lambda heading: heading.level).title
