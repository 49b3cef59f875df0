"""``tvdb search``: a question in, the passages that answer it out."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict

import click
import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from tvdb_assets.cli.output import console, notices, print_json
from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.storage.database import Database
from tvdb_assets.storage.search import Hit, unsearchable
from tvdb_assets.storage.search import search as find

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
        vector, space = asyncio.run(_vector_of(query, settings, database))
        hits = find(database, query, vector, space, k)
        kept_out = 0 if hits else unsearchable(database)
    if as_json:
        print_json({"query": query, "results": [asdict(hit) for hit in hits]})
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


async def _vector_of(
    query: str, settings: Settings, database: Database
) -> tuple[NDArray[np.float32], str]:
    """The query's vector and the label of its space."""
    async with ServiceRouter(settings, database=database) as router:
        # Never by a stand-in, whose vectors nothing that is searched can be compared with.
        embedded = await router.embed_by(router.embedder, [query])
        return embedded[0], embedded.space.label


def _show(number: int, hit: Hit, query: str) -> None:
    where = Text(f"{number}. ", style="bold")
    where.append(hit.document, style="bold cyan")
    if hit.page is not None:
        where.append(f"  page {hit.page}")
    where.append(f"  {hit.score:.4f}", style="dim")
    console.print(where)
    if hit.heading:
        console.print(Text(f"   {hit.heading}", style="magenta"))
    words = re.findall(r"\w{4,}", query.casefold())
    # By stems, roughly, as the search itself: "covered" marks "cover" and "coverage".
    pattern = "|".join(rf"\b{re.escape(w[:-2] if len(w) > 5 else w)}\w*" for w in words)
    text = Text(_excerpt(hit.text, pattern))
    if pattern:
        text.highlight_regex(f"(?i){pattern}", "bold yellow")
    console.print(text)
    console.print()


def _excerpt(text: str, pattern: str) -> str:
    """The part of a passage where most of the words stand, on one paragraph."""
    flat = " ".join(text.split())
    if len(flat) <= _EXCERPT or not pattern:
        return flat[:_EXCERPT]
    places = [match.start() for match in re.finditer(pattern, flat, re.IGNORECASE)] or [0]
    best = max(places, key=lambda at: sum(at <= p < at + _EXCERPT for p in places))
    start = max(0, min(best - 60, len(flat) - _EXCERPT))
    start = flat.find(" ", start) + 1 if start else 0
    end = flat.rfind(" ", start, start + _EXCERPT)
    return ("… " if start else "") + flat[start : end if end > start else None] + " …"
