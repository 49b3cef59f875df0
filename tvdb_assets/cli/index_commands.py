"""``tvdb switch``: list the indexes, and choose the one that search reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from tvdb_assets.cli.options import CommandWithRenamedOptions, json_option
from tvdb_assets.cli.output import console, notices, plain, print_json, table_of
from tvdb_assets.core.message_counts import counted
from tvdb_assets.redaction import printable
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.index_catalog import IndexCatalog, IndexState
from tvdb_assets.retrieval.index_evaluation import DECIDING, refuse_worse
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.spend_guard.budget import usd


@click.command(cls=CommandWithRenamedOptions)
@click.argument("index", required=False, type=click.IntRange(min=1))
@click.option("--list", "is_listing", is_flag=True, help="List all indexes and change nothing.")
@click.option("--drop", "is_dropping", is_flag=True, help="Delete INDEX. Search must not read it.")
@click.option("--force", is_flag=True, help="Switch even if INDEX lacks documents or is worse.")
@json_option
def switch(
    index: int | None, is_listing: bool, is_dropping: bool, force: bool, as_json: bool
) -> None:
    """Choose the index that search reads.

    Without INDEX, that is the newest complete index that search has not read yet. Another
    embedding model or chunk size creates another index next to the one that search reads. A
    search reads exactly one index. The old index stays until it is dropped, so you can switch
    back. If TVDB_EVALUATION_QUERIES is set, both indexes answer its questions first, and a worse
    index is refused.
    """
    if is_listing + is_dropping + force > 1:
        raise click.UsageError("--list, --drop and --force exclude each other.")
    if is_dropping and index is None:
        raise click.UsageError("--drop needs the number of an index.")
    settings = load_settings()
    with Database.open(settings) as database:
        catalog = IndexCatalog(database)
        if is_listing:
            states = catalog.states()
            if as_json:
                print_json({"indexes": [index_row(state) for state in states]})
            else:
                _show(states)
        elif is_dropping and index is not None:
            dropped = catalog.drop(index)
            if as_json:
                print_json({"dropped": index_row(dropped)})
            else:
                console.print(f"Dropped index {printable(dropped.name)}.", markup=False)
        else:
            before = catalog.current()
            if settings.evaluation_queries is not None and not force:
                _compare(catalog, index, settings, database)
            current = catalog.switch(index, force=force)
            is_switched = before is None or before.index_id != current.index_id
            if as_json:
                print_json({"index": index_row(current), "switched": is_switched})
            else:
                console.print(
                    f"Search {'now reads' if is_switched else 'already reads'} index "
                    f"{printable(current.name)}.",
                    markup=False,
                )


def _compare(
    catalog: IndexCatalog, number: int | None, settings: Settings, database: Database
) -> None:
    """Refuse an index that answers known questions worse than the one that search reads."""
    target, current = catalog.target(number), catalog.current()
    if current is None or target.is_current or settings.evaluation_queries is None:
        return
    if not target.is_complete:
        return  # the switch says what is missing
    before = next(state for state in catalog.states() if state.is_current)
    change = refuse_worse(settings.evaluation_queries, before, target, settings, database)
    notices.print(
        f"{DECIDING} changes by {change.mean:+.3f} ({change.low:+.3f} to {change.high:+.3f})."
    )


def index_row(state: IndexState) -> dict[str, Any]:
    """The fields of an index in the output of ``--json``."""
    return {
        "index": state.index_id,
        "vector_space": state.vector_space,
        "chunk_tokens": state.chunk_tokens,
        "chunk_overlap_tokens": state.chunk_overlap_tokens,
        "documents": state.documents,
        "missing": state.missing,
        "chunks": state.chunks,
        "cost_usd": usd(state.cost_usd),
        "is_current": state.is_current,
        "is_complete": state.is_complete,
        "is_searchable": state.is_searchable,
        "created_at": state.created_at.isoformat(),
        "switched_at": state.switched_at.isoformat() if state.switched_at else None,
    }


def _show(states: Sequence[IndexState]) -> None:
    table = table_of(
        "Index", "vector space", "chunk tokens", "documents", "chunks", "paid for vectors", ""
    )
    current = next((state.documents for state in states if state.is_current), None)
    for state in states:
        documents = f"{state.documents:,}"
        if not state.is_current and state.is_searchable and current is not None:
            documents = f"{current - state.missing:,} of {current:,}"
        table.add_row(
            str(state.index_id),
            plain(state.vector_space),
            f"{state.chunk_tokens}/{state.chunk_overlap_tokens}" if state.chunk_tokens else "?",
            documents,
            f"{state.chunks:,}",
            f"${state.cost_usd:,.4f}",
            _status(state),
            style="green" if state.is_current else "",
        )
    console.print(table)


def _status(state: IndexState) -> str:
    if state.is_current:
        return "searched"
    if not state.is_searchable:
        return "not searchable"
    return "complete" if state.is_complete else f"{counted(state.missing, 'document')} missing"


def add_stale(documents: dict[str, Any], catalog: IndexCatalog) -> int:
    """Add the number of documents that are stale in the current index to ``documents``.

    Returns:
        The number.
    """
    stale = catalog.count_stale_documents()
    # "behind" is the former name, which programs may still read.
    documents["stale_in_current_index"] = documents["behind"] = stale
    return stale


def show_waiting_indexes(states: Sequence[IndexState], stale: int) -> None:
    """Print the indexes that search does not read yet, and the effect of that on search.

    Args:
        states: all indexes.
        stale: the number of documents that are newer in another index than in the current one.
    """
    for state in states:
        if state.is_waiting and state.documents:
            console.print(
                f"\nIndex {printable(state.name)} is not searched yet.", style="bold", markup=False
            )
            missing = counted(state.missing, "document is", "documents are")
            console.print(
                "  It is complete. Run tvdb switch to let search read it."
                if state.is_complete
                else f"  {missing} missing in it. Run tvdb ingest to complete it.",
                markup=False,
            )
    if stale:
        newer = counted(stale, "document is", "documents are")
        console.print(
            f"\n{newer} newer in another index than in the one that search reads.",
            style="bold yellow",
        )
        console.print(
            "  Their runs could not update the searched index, because of their mode, their "
            "version or an error. Search finds the new versions after tvdb switch.",
            style="dim",
            markup=False,
        )
