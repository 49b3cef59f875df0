"""``tvdb search``: a question in, the passages that answer it out."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from tvdb_assets.cli.output import console, notices, print_json
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.full_text import index_full_text
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.search.hybrid_search import Hit, other_space, unsearchable
from tvdb_assets.search.hybrid_search import search as find
from tvdb_assets.settings import Settings, load_settings

_EXCERPT = 420
"""Characters of a passage that are shown; ``--json`` gives all."""


@click.command()
@click.argument("query")
@click.option("-k", "k", default=5, show_default=True, type=click.IntRange(1, 100), help="Results.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def search(query: str, k: int, as_json: bool) -> None:
    """Show the passages that fit QUERY best, by meaning and by words."""
    settings = load_settings()
    with Database.open(settings) as database:
        hits = asyncio.run(_hits_of(query, k, settings, database))
        kept_out = 0 if hits else unsearchable(database)
    if as_json:
        print_json({"query": query, "results": [_as_json(hit) for hit in hits]})
        return
    if not hits:
        notices.print("Nothing found.")
        if kept_out:
            notices.print(
                f"{kept_out:,} chunks were made by a mock and are kept out of search. "
                "Set TVDB_SERVICE_MODE=local and run tvdb ingest."
            )
    for number, hit in enumerate(hits, 1):
        _show(number, hit, query)


async def _hits_of(query: str, k: int, settings: Settings, database: Database) -> list[Hit]:
    """What the index finds that search reads, by a vector of its own space."""
    indexes = IndexCatalog(database)
    async with ServiceRouter(settings, database=database) as router:
        current = indexes.current()
        while True:
            # Never by a stand-in, whose vectors nothing that is searched can be compared with.
            embedder = router.embedder_in(current.space) if current else router.embedder
            if embedder is None:
                assert current is not None
                raise other_space(current.space.label, router.embedder.space.label)
            made = await router.embed_by(embedder, [query])
            # After a large ingest this takes seconds, once.
            index_full_text(database)
            try:
                return find(database, query, made[0], made.space.label, k)
            except ConfigurationError:
                asked, current = current, indexes.current()
                # Unless a switch came in between, it would end the same way again.
                if current == asked:
                    raise


def _as_json(hit: Hit) -> dict[str, Any]:
    # The old name of the field is shown for one release.
    return {**asdict(hit), "lead": hit.repeated_header}


def _show(number: int, hit: Hit, query: str) -> None:
    words = re.findall(r"\w{4,}", query.casefold())
    # By stems, roughly, as the search itself: "covered" marks "cover" and "coverage".
    pattern = "|".join(rf"\b{re.escape(w[:-2] if len(w) > 5 else w)}\w*" for w in words)
    heading, excerpt = _excerpt(hit, pattern)
    where = Text(f"{number}. ", style="bold")
    if hit.title:
        where.append(f"{hit.title}  ", style="bold")
    where.append(hit.document, style="cyan")
    if hit.page is not None:
        where.append(f"  page {hit.page}")
    where.append(f"  {hit.score:.4f}", style="dim")
    console.print(where)
    if heading:
        console.print(Text(f"   {heading}", style="magenta"))
    text = Text(excerpt)
    if pattern:
        text.highlight_regex(f"(?i){pattern}", "bold yellow")
    console.print(text)
    console.print()


def _excerpt(hit: Hit, pattern: str) -> tuple[str, str]:
    """The part of a passage where most of the words stand, and the heading that it is under."""
    # Each section of the passage by itself, so that heading and text belong together.
    found = _HEADING.split(hit.repeated_header + hit.text)
    sections = [(hit.heading, found[0])]
    # The passage's own path has no levels; of it only the document's title is surely above all.
    path = [(0, hit.title)] if hit.title and hit.heading.startswith(hit.title) else []
    for marks, title, text in zip(found[1::3], found[2::3], found[3::3], strict=True):
        name = title.strip().strip("#").strip()
        path = [above for above in path if above[0] < len(marks) and above[1] != name]
        path.append((len(marks), name))
        inner = " > ".join(above for _, above in path)
        sections.append((hit.heading if hit.heading.endswith(name) else inner, text))
    flat = [(heading, _plain(text)) for heading, text in sections]
    flat = [(heading, text) for heading, text in flat if text] or [(hit.heading, "")]
    heading, text = max(flat, key=lambda section: _matches(section[1], pattern))
    if len(text) <= _EXCERPT:
        return heading, text
    places = [match.start() for match in re.finditer(pattern, text, re.IGNORECASE)] or [0]
    best = max(places, key=lambda at: sum(at <= p < at + _EXCERPT for p in places))
    start = max(0, min(best - 60, len(text) - _EXCERPT))
    start = text.find(" ", start) + 1 if start else 0
    end = text.rfind(" ", start, start + _EXCERPT)
    cut = text[start : end if end > start else None]
    return heading, ("… " if start else "") + cut + " …"


_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+)$", re.MULTILINE)
_MARKS = re.compile(r"^ {0,3}(?:\|(?: ?:?-+:? ?\|)+|-{3,}|\*{3,}|={3,})[ \t]*$", re.MULTILINE)


def _plain(text: str) -> str:
    """Markdown as running text: no rules, no marks of tables."""
    rows = _MARKS.sub("", text).replace("**", "").splitlines()
    cells = [" · ".join(c.strip() for c in row.strip().strip("|").split("|")) for row in rows]
    return " ".join(" ".join(cells).split())


def _matches(text: str, pattern: str) -> int:
    """How many different words of the query a text holds."""
    return len({m.casefold() for m in re.findall(pattern, text, re.IGNORECASE)}) if pattern else 0
