"""``tvdb source``: the sources of the documents, and what to do when one has moved.

What belongs here: the commands. What does not: the statements (`repositories.document_sources`).
"""

from __future__ import annotations

import click

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, plain, print_json, table_of
from tvdb_assets.core.message_counts import counted
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.redaction import printable
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_sources import DocumentSources, RegisteredSource
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import source_root


@click.group()
def source() -> None:
    """List the sources of the documents; move or delete the documents of one."""


@source.command("list")
@json_option
def list_sources(as_json: bool) -> None:
    """List all sources with their number of documents."""
    settings = load_settings()
    current = source_root(settings.source)
    with Database.open(settings) as database:
        registered = DocumentSources(database).all()
    if as_json:
        print_json({"sources": [source_row(each, current) for each in registered]})
        return
    table = table_of("Source", "Documents", "")
    for each in registered:
        note = "current" if each.root == current else "not current"
        table.add_row(plain(each.root), f"{each.documents:,}", note)
    console.print(table)


@source.command()
@click.argument("old")
@click.argument("new")
@json_option
def move(old: str, new: str, as_json: bool) -> None:
    """Give the documents of the source OLD to the source NEW, which has the same files.

    Texts and vectors stay, so that `tvdb ingest` pays for nothing again. If both sources have a
    document of a path, the published one stays.
    """
    from tvdb_assets.dagster.reconciler import Reconciler

    settings = load_settings()
    with dagster_instance(settings) as instance, Reconciler.open(settings, instance) as reconciler:
        sources = DocumentSources(reconciler.database)
        old_root = _registered(sources, old)
        new_root = source_root(new)
        duplicates: list[int] = []
        moved = 0
        with reconciler.due.planning():
            if new_root != old_root:
                duplicates = sources.duplicates(old_root, new_root)
                reconciler.deletion.delete(duplicates, keeps_results=True)
                moved = sources.move(old_root, new_root)
                reconciler.partitions.drop_removed(reconciler.deletion)
    if as_json:
        print_json({"moved": moved, "duplicates": len(duplicates), "source": new_root})
        return
    belong = counted(moved, "document belongs", "documents belong")
    console.print(f"{belong} to {printable(new_root)} now.", markup=False)
    if duplicates:
        were = counted(len(duplicates), "document was", "documents were")
        console.print(f"{were} in both sources. The index has only one of each.")


@source.command()
@click.argument("old")
@json_option
def drop(old: str, as_json: bool) -> None:
    """Delete all documents of the source OLD from the index. Its files are not deleted.

    Their vectors and paid texts stay for TVDB_CACHE_DAYS, in case the files return.
    """
    from tvdb_assets.dagster.reconciler import Reconciler

    settings = load_settings()
    with dagster_instance(settings) as instance, Reconciler.open(settings, instance) as reconciler:
        sources = DocumentSources(reconciler.database)
        root = _registered(sources, old)
        deleted = reconciler.deletion.delete(sources.document_ids(root), keeps_results=True)
        with reconciler.due.planning():
            reconciler.partitions.drop_removed(reconciler.deletion)
    if as_json:
        print_json({"deleted": deleted, "source": root})
    else:
        documents = counted(deleted, "document")
        console.print(f"Deleted {documents} of {printable(root)}.", markup=False)


def source_row(each: RegisteredSource, current: str) -> dict[str, str | int | bool]:
    """A source for ``--json``."""
    return {
        "source": each.root,
        "documents": each.documents,
        "is_current": each.root == current,
    }


def _registered(sources: DocumentSources, name: str) -> str:
    """The root of a source that has documents.

    Raises:
        ConfigurationError: no document is registered from it.
    """
    roots = [each.root for each in sources.all()]
    for root in (name, source_root(name)):
        if root in roots:
            return root
    raise codes.SOURCE_UNKNOWN.error(name=name, known=", ".join(roots) or "none")
