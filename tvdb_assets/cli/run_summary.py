"""Progress and outcome of the commands that process documents: ``ingest``, ``catch-up``, ``retry``.

What belongs here: the progress bar, the summary as JSON and as a table, and the exit code. What
does not: the choice and the processing of documents.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tvdb_assets.cli.output import console, notices, pairs
from tvdb_assets.core.message_counts import counted
from tvdb_assets.lifecycle import DocumentStatus, Outcome
from tvdb_assets.redaction import display_path, printable
from tvdb_assets.reporting.costs import cost_of_runs
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry, FailedDocument
from tvdb_assets.spend_guard.budget import usd

_STYLES = {"published": "green", "failed": "red", "deferred": "yellow"}


@contextmanager
def progress(
    registry: DocumentRegistry, run_ids: list[str], *, is_quiet: bool
) -> Iterator[Callable[[int], None]]:
    """Display the progress: a bar on a terminal, else a line every ten seconds.

    Args:
        registry: counts the documents that are done.
        run_ids: runs of this command; the caller appends to it.
        is_quiet: display nothing.

    Yields:
        A function that takes the number of documents to process, and starts the display.
    """
    done_before = registry.count_finished(run_ids) if run_ids else 0
    is_over = threading.Event()
    # Read once: while Dagster captures the output of a step, stderr is not a terminal.
    is_terminal = notices.is_terminal
    bar = Progress(
        TextColumn("[bold]Documents"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notices,
        transient=True,
        disable=not is_terminal,
    )
    task = bar.add_task("", total=None)
    total = 0

    def watch() -> None:
        interval = 0.3 if is_terminal else 10.0
        while not is_over.wait(interval):
            count = registry.count_finished(list(run_ids)) - done_before if run_ids else 0
            bar.update(task, completed=count)
            if not is_terminal:
                notices.print(f"{count:,} of {counted(total, 'document')} done.")

    watcher = threading.Thread(target=watch, daemon=True)

    def start(documents: int) -> None:
        nonlocal total
        total = documents
        bar.update(task, total=documents)
        if documents and not is_quiet:
            bar.start()
            watcher.start()

    try:
        yield start
    finally:
        is_over.set()
        if watcher.is_alive():
            watcher.join()
        bar.stop()


def summary_of(
    partition_keys: Sequence[str],
    run_ids: list[str],
    registry: DocumentRegistry,
    database: Database,
) -> dict[str, Any]:
    """Summarize runs: outcomes of documents, number of embedded texts, cost in US dollars."""
    outcomes = registry.outcomes(run_ids)
    failures = registry.failures(partition_keys)
    texts = registry.count_texts(run_ids)
    return {
        "run_ids": run_ids,
        "documents": {
            "total": registry.count(partition_keys),
            "published": outcomes.get(Outcome.PUBLISHED, 0),
            "unchanged": 0,
            "failed": len(failures),
            "degraded": outcomes.get(Outcome.DEGRADED, 0),
            "deferred": outcomes.get(Outcome.DEFERRED, 0),
            "deleted": 0,
        },
        "failures": [_as_json(failure) for failure in failures],
        "deferred": [
            _as_json(document)
            for document in registry.failures(partition_keys, DocumentStatus.DEFERRED)
        ],
        "sources": len(registry.sources()),
        "embedded_texts": texts["embedded"],
        "cached_texts": texts["cached"],
        "cost_usd": usd(cost_of_runs(database, run_ids)),
    }


def _as_json(document: FailedDocument) -> dict[str, Any]:
    # The output of these commands is often logged. `tvdb status` prints private paths as they are.
    return asdict(document) | {"document": display_path(document.document)}


def exit_code(summary: dict[str, Any]) -> int:
    """The exit code: 1 if any document failed, 3 if any waits, else 0."""
    return 1 if summary["failures"] else 3 if summary["documents"]["deferred"] else 0


def show_summary(summary: dict[str, Any]) -> None:
    """Print a summary as a table, and then the failed and the waiting documents."""
    table = pairs()
    for name, count in summary["documents"].items():
        if name != "behind":
            style = _STYLES.get(name, "") if count else "dim"
            table.add_row(name.replace("_", " "), f"{count:,}", style=style)
    table.add_row("texts embedded", f"{summary['embedded_texts']:,}")
    table.add_row("texts from the cache", f"{summary['cached_texts']:,}")
    table.add_row("cost", f"${Decimal(summary['cost_usd']):,.4f}")
    table.add_row("seconds", f"{summary['seconds']}")
    console.print(table)
    show_failures(
        [FailedDocument(**failure) for failure in summary["failures"]],
        shows_source=summary["sources"] > 1,
    )
    show_deferred([FailedDocument(**document) for document in summary["deferred"]])


def show_failures(failures: Sequence[FailedDocument], *, shows_source: bool) -> None:
    """Print each failed document with its cause and remedy, and with its source if asked for."""
    for failure in failures:
        console.print(f"\n{printable(failure.document)}", style="bold red", markup=False)
        if shows_source and failure.source:
            console.print(f"  source {printable(failure.source)}", style="dim", markup=False)
        _show_reason(failure)


def show_deferred(documents: Sequence[FailedDocument]) -> None:
    """Print why documents wait, once for each reason, because one limit stops many documents."""
    for code in dict.fromkeys(document.code for document in documents):
        same = [document for document in documents if document.code == code]
        waiting = counted(len(same), "document waits", "documents wait")
        console.print(f"\n{waiting}", style="bold yellow")
        _show_reason(same[0])


def _show_reason(document: FailedDocument) -> None:
    console.print(f"  {printable(document.message)} [{document.code}]", markup=False)
    console.print(f"  {printable(document.remedy)}", style="dim", markup=False)
    if document.run_id:
        console.print(f"  id {document.run_id}", style="dim", markup=False)
