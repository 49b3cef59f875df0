"""``tvdb search``: print the passages that match a query best.

What belongs here: excerpts and highlighting for a terminal. What does not: the search itself
(`retrieval.index`).
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, notices, print_json
from tvdb_assets.core.message_counts import counted
from tvdb_assets.redaction import printable
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_sources import DocumentSources
from tvdb_assets.retrieval.hybrid_search import Hit, unsearchable
from tvdb_assets.retrieval.index import MAX_RESULTS, Index
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import source_root

_EXCERPT = 420
"""Maximum characters of a displayed passage; ``--json`` returns the whole passage."""


@click.command()
@click.argument("query")
@click.option(
    *("-k", "k"),
    default=5,
    show_default=True,
    type=click.IntRange(1, MAX_RESULTS),
    help="Maximum number of results.",
)
@json_option
def search(query: str, k: int, as_json: bool) -> None:
    """Show the passages that match QUERY best, by meaning and text."""
    settings = load_settings()
    with Database.open(settings) as database:
        with Index(settings, database=database) as index:
            hits = index.search(query, k)
        excluded = 0 if hits else unsearchable(database)
        current = source_root(settings.source)
        has_one_source = all(each.root == current for each in DocumentSources(database).all())
    if as_json:
        others = sorted({hit.source for hit in hits} - {current})
        print_json(
            {"query": query, "results": [_as_json(hit) for hit in hits], "other_sources": others}
        )
        return
    if not hits:
        notices.print("Nothing found.")
        if excluded:
            chunks = counted(excluded, "chunk is", "chunks are")
            notices.print(
                f"{chunks} excluded from search, because the mock embedder computed the vectors. "
                "Set TVDB_SERVICE_MODE=local and run tvdb ingest."
            )
    for number, hit in enumerate(hits, 1):
        _print_hit(number, hit, query)
        if not has_one_source:
            _print_source(hit, current)
        console.print()


def _as_json(hit: Hit) -> dict[str, Any]:
    # "lead" is the former name of "repeated_header", which programs may still read.
    return asdict(hit) | {"lead": hit.repeated_header}


def _print_source(hit: Hit, current: str) -> None:
    line = Text(f"   source: {printable(hit.source)}", style="dim")
    if hit.source != current:
        line.append(" (not the current source)", style="yellow")
    console.print(line)


def _print_hit(number: int, hit: Hit, query: str) -> None:
    terms = re.findall(r"\w{4,}", query.casefold())
    # Words are cut roughly to their stems, as in the search: "covered" highlights "coverage".
    pattern = "|".join(rf"\b{re.escape(t[:-2] if len(t) > 5 else t)}\w*" for t in terms)
    heading, excerpt = _excerpt(hit, pattern)
    title_line = Text(f"{number}. ", style="bold")
    if hit.title:
        title_line.append(f"{printable(hit.title)}  ", style="bold")
    title_line.append(printable(hit.document), style="cyan")
    if hit.page is not None:
        title_line.append(f"  page {hit.page}")
    title_line.append(f"  {hit.score:.4f}", style="dim")
    console.print(title_line)
    if heading:
        console.print(Text(f"   {printable(heading)}", style="magenta"))
    text = Text("\n".join(map(printable, excerpt.split("\n"))))
    if pattern:
        text.highlight_regex(f"(?i){pattern}", "bold yellow")
    console.print(text)


def _excerpt(hit: Hit, pattern: str) -> tuple[str, str]:
    """Choose the section with most terms of the query; return its headings and an excerpt."""
    # The passage is split into its sections, so that heading and text belong together.
    parts = _HEADING.split(hit.repeated_header + hit.text)
    sections = [(hit.heading, parts[0])]
    # The heading path of the passage has no levels. Only the document's title is above all others.
    path = [(0, hit.title)] if hit.title and hit.heading.startswith(hit.title) else []
    for marks, title, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        name = title.strip().strip("#").strip()
        path = [above for above in path if above[0] < len(marks) and above[1] != name]
        path.append((len(marks), name))
        inner = " > ".join(above for _, above in path)
        sections.append((hit.heading if hit.heading.endswith(name) else inner, text))
    plain = [(heading, _plain(text)) for heading, text in sections]
    plain = [(heading, text) for heading, text in plain if text] or [(hit.heading, "")]
    heading, text = max(plain, key=lambda section: _count_terms(section[1], pattern))
    if len(text) <= _EXCERPT:
        return heading, text
    starts = [match.start() for match in re.finditer(pattern, text, re.IGNORECASE)] or [0]
    best = max(starts, key=lambda at: sum(at <= other < at + _EXCERPT for other in starts))
    start = max(0, min(best - 60, len(text) - _EXCERPT))
    start = text.find(" ", start) + 1 if start else 0
    end = text.rfind(" ", start, start + _EXCERPT)
    excerpt = text[start : end if end > start else None]
    return heading, ("… " if start else "") + excerpt + " …"


_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+)$", re.MULTILINE)
_RULE = re.compile(r"^ {0,3}(?:\|(?: ?:?-+:? ?\|)+|-{3,}|\*{3,}|={3,})[ \t]*$", re.MULTILINE)


def _plain(text: str) -> str:
    """Convert Markdown to running text, without rules and table markup."""
    rows = _RULE.sub("", text).replace("**", "").splitlines()
    cells = [" · ".join(c.strip() for c in row.strip().strip("|").split("|")) for row in rows]
    return " ".join(" ".join(cells).split())


def _count_terms(text: str, pattern: str) -> int:
    """Count the different terms of the query in a text."""
    return len({m.casefold() for m in re.findall(pattern, text, re.IGNORECASE)}) if pattern else 0
