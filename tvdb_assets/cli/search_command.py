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
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.hybrid_search import unsearchable
from tvdb_assets.retrieval.index import MAX_RESULTS, Index
from tvdb_assets.retrieval.results import Hit
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
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    help="Omit results with a lower score, from 0 to 1.",
)
@click.option("--source", help="Search only documents of this source: a folder, or a URL.")
@click.option("--path", help="Search only paths that begin with this, or match it as a glob.")
@click.option("--media-type", help="Search only this media type: application/pdf, text/*.")
@click.option("--language", help="Search only documents in this language: en, de.")
@click.option(
    "--modified-from",
    type=click.DateTime(),
    help="Search only files modified at this time or later, in UTC.",
)
@click.option(
    "--modified-to", type=click.DateTime(), help="Search only files modified before this time."
)
@click.option(
    "--metadata",
    multiple=True,
    metavar="NAME=VALUE",
    help="Search only documents with this value in their metadata: title=Handbook. Repeatable.",
)
@json_option
def search(
    query: str,
    k: int,
    min_score: float | None,
    metadata: tuple[str, ...],
    as_json: bool,
    **conditions: Any,
) -> None:
    """Show the passages that match QUERY best, by words and by meaning."""
    filters = Filters(metadata=_pairs(metadata), **conditions)
    settings = load_settings()
    with Database.open(settings) as database:
        with Index(settings, database=database) as index:
            hits = index.search(query, k, filters, min_score=min_score)
        excluded = 0 if hits else unsearchable(database)
        current = source_root(settings.source)
        has_one_source = all(each.root == current for each in DocumentSources(database).all())
    if as_json:
        others = sorted({hit.source for hit in hits} - {current})
        print_json(
            {
                "query": query,
                "results": [_as_json(hit) for hit in hits],
                "is_confident": hits.is_confident,
                "notes": list(hits.notes),
                "cost_usd": str(hits.cost_usd),
                "other_sources": others,
            }
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
    elif not hits.is_confident:
        notices.print("Nothing fits well. These results are the nearest ones.")
    for note in hits.notes:
        notices.print(note)
    for number, hit in enumerate(hits, 1):
        _print_hit(number, hit, query)
        if not has_one_source:
            _print_source(hit, current)
        console.print()


def _pairs(metadata: tuple[str, ...]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in metadata]
    if any(not mark for _, mark, _ in pairs) or len(pairs) > 10:
        raise click.BadParameter("give at most 10, each as NAME=VALUE", param_hint="--metadata")
    return {name: value for name, _, value in pairs}


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
    """The headings above the passage, and an excerpt of its section."""
    marks = list(_HEADING.finditer(hit.text))
    above = [mark.end() for mark in marks if mark.start() <= hit.passage_start]
    start = max(above, default=0)
    end = min((mark.start() for mark in marks if mark.start() >= start), default=len(hit.text))
    text = _plain(("" if start else hit.repeated_header) + hit.text[start:end])
    heading, text = hit.heading, text or _plain(hit.text)
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
