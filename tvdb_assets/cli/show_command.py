"""``tvdb show``: print the stored text of a document, with pages, headings, notes and provenance.

What belongs here: the form on a terminal and as JSON. What does not: reading the document
(`retrieval.stored_document`).
"""

from __future__ import annotations

import click
from rich.rule import Rule
from rich.text import Text

from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, notices, pairs, plain, print_json
from tvdb_assets.core.message_counts import counted
from tvdb_assets.redaction import printable
from tvdb_assets.repositories.database import Database
from tvdb_assets.retrieval.stored_document import StoredDocument, read_document
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import source_root


@click.command()
@click.argument("document")
@click.option("--page", type=click.IntRange(min=1), help="Show this page only, from 1.")
@click.option("--source", help="The source of the document, if several sources have its path.")
@json_option
def show(document: str, page: int | None, source: str | None, as_json: bool) -> None:
    """Show the stored text of DOCUMENT, as search sees it.

    DOCUMENT is a path as `tvdb search` prints it, or a partition key. The pages, headings and
    notes, and what produced the text, are shown too. If search does not find the text, the reason
    is printed.
    """
    settings = load_settings()
    root = None if source is None else source_root(source)
    with Database.open(settings) as database:
        stored = read_document(
            database, document, source=root, preferred=source_root(settings.source)
        )
    if as_json:
        print_json(stored.as_json(page))
        return
    if page is not None:
        stored.page_range(page)  # refuses a page that does not exist before anything is printed
    _show_facts(stored)
    if page is None and stored.headings:
        _show_headings(stored)
    pages = [page] if page else range(1, (stored.page_count or 1) + 1)
    for number in pages:
        title = f"page {number} of {stored.page_count}" if stored.page_count else "text"
        console.print()
        console.print(Rule(title, align="left", style="dim"))
        _show_text(stored.page_text(number))


def _show_facts(stored: StoredDocument) -> None:
    table = pairs()
    table.add_row("document", plain(stored.path))
    table.add_row("source", plain(stored.source))
    if stored.title:
        table.add_row("title", plain(stored.title))
    kind = stored.media_type + (f", language {stored.language}" if stored.language else "")
    table.add_row("type", plain(kind))
    size = counted(len(stored.text), "character")
    if stored.page_count:
        size += f", {counted(stored.page_count, 'page')}"
    if stored.chunks:
        size += f", {counted(stored.chunks, 'passage')}"
    table.add_row("size", size)
    by = stored.produced_by
    table.add_row("parsed by", plain(f"{by.service} {by.model} {by.version} (mode {by.mode})"))
    table.add_row("parsed at", f"{stored.parsed_at:%Y-%m-%d %H:%M:%S %Z}, run {stored.run_id}")
    if stored.vector_space:
        table.add_row("vectors", plain(stored.vector_space))
    for name, count in stored.facts.items():
        table.add_row(plain(name.replace("_", " ")), plain(str(count)))
    for note in stored.notes:
        table.add_row("note", plain(note))
    console.print(table)
    if stored.not_searched:
        notices.print(f"Search does not find this text. {stored.not_searched}", style="yellow")
    if stored.is_outdated:
        notices.print("The file has changed since. Run tvdb ingest.", style="yellow")


def _show_headings(stored: StoredDocument) -> None:
    console.print("\nHeadings", style="bold")
    for heading in stored.headings:
        page = stored.page_at(heading.offset)
        line = Text("  " * heading.level + printable(heading.title), style="magenta")
        console.print(line.append(f"  page {page}", style="dim") if page else line)


def _show_text(text: str) -> None:
    # Tabs are harmless on a terminal; all other control characters are shown as escapes.
    lines = (printable(line.expandtabs(4)) for line in text.rstrip().split("\n"))
    console.print(Text("\n".join(lines)))
