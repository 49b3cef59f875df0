"""``tvdb switch``: which index search reads, and what waits to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from tvdb_assets.cli.options import CommandWithRenamedOptions, json_option
from tvdb_assets.cli.output import console, print_json
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.index_catalog import IndexCatalog, IndexState
from tvdb_assets.settings import load_settings
from tvdb_assets.spend_guard.budget import usd


@click.command(cls=CommandWithRenamedOptions)
@click.argument("index", required=False, type=click.IntRange(min=1))
@click.option("--list", "is_listing", is_flag=True, help="Show all indexes; change nothing.")
@click.option(
    "--drop", "is_dropping", is_flag=True, help="Delete INDEX, which search must not use."
)
@click.option("--force", is_flag=True, help="Switch even if documents are missing in INDEX.")
@json_option
def switch(
    index: int | None, is_listing: bool, is_dropping: bool, force: bool, as_json: bool
) -> None:
    """Let search read INDEX, or the newest complete one that it has not read yet.

    Another model or chunk size makes another index, beside the one that search reads. Each
    search answers from one or the other. The old one stays until it is dropped, so that a switch
    can be taken back.
    """
    if is_listing + is_dropping + force > 1:
        raise click.UsageError("--list, --drop and --force exclude each other.")
    if is_dropping and index is None:
        raise click.UsageError("--drop needs the number of an index.")
    with Database.open(load_settings()) as database:
        indexes = IndexCatalog(database)
        if is_listing:
            states = indexes.states()
            if as_json:
                print_json({"indexes": [as_row(state) for state in states]})
            else:
                _show(states)
        elif is_dropping and index is not None:
            dropped = indexes.drop(index)
            if as_json:
                print_json({"dropped": as_row(dropped)})
            else:
                console.print(f"Dropped index {dropped.name}.", markup=False)
        else:
            before = indexes.current()
            now = indexes.switch(index, force=force)
            is_switched = before is None or before.index_id != now.index_id
            if as_json:
                print_json({"index": as_row(now), "switched": is_switched})
            else:
                console.print(
                    f"Search {'now reads' if is_switched else 'reads'} index {now.name}.",
                    markup=False,
                )


def as_row(state: IndexState) -> dict[str, Any]:
    """An index as ``--json`` tells of it."""
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
    table = Table(
        *("Index", "vector space", "chunks of", "documents", "chunks", "paid to its model", ""),
        box=None,
        padding=(0, 2, 0, 0),
    )
    current = next((state.documents for state in states if state.is_current), None)
    for state in states:
        done = f"{state.documents:,}"
        if not state.is_current and state.is_searchable and current is not None:
            done = f"{current - state.missing:,} of {current:,}"
        table.add_row(
            str(state.index_id),
            state.vector_space,
            f"{state.chunk_tokens}/{state.chunk_overlap_tokens}" if state.chunk_tokens else "?",
            done,
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
        return "kept out of search"
    return "complete" if state.is_complete else f"{state.missing:,} documents missing"


def show_waiting(states: Sequence[IndexState], behind: int) -> None:
    """Tell of an index that was built and is not searched, and of what search lacks for it."""
    for state in states:
        if state.is_waiting and state.documents:
            console.print(f"\nIndex {state.name} is not searched yet.", style="bold", markup=False)
            console.print(
                "  It is complete: tvdb switch lets search read it."
                if state.is_complete
                else f"  {state.missing:,} documents are missing in it; tvdb ingest goes on.",
                markup=False,
            )
    if behind:
        console.print(
            f"\n{behind:,} documents are newer in another index than in the one that search reads.",
            style="bold yellow",
        )
        console.print(
            "  Their runs could not add to that one, by their mode, version or an error; "
            "search finds them after tvdb switch.",
            style="dim",
            markup=False,
        )
