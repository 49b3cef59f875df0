"""Outcome of the commands that process documents: ``ingest``, ``catch-up``, ``retry``.

What belongs here: the summary as JSON and as a table, and the exit code. What does not: the
progress (`progress`), or the choice and the processing of documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from tvdb_assets.cli.output import console, pairs
from tvdb_assets.core.message_counts import counted
from tvdb_assets.lifecycle import DocumentStatus, Outcome
from tvdb_assets.redaction import display_path, printable
from tvdb_assets.reporting.costs import cost_of_runs
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry, FailedDocument
from tvdb_assets.spend_guard.budget import usd

_STYLES = {"published": "green", "failed": "red", "deferred": "yellow"}


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


def add_others(summary: dict[str, Any], published: int) -> None:
    """Add the documents that other commands published meanwhile, so that the counts add up.

    Args:
        summary: the summary, with the counts of this command's own runs.
        published: documents of the summary that are published now.
    """
    counts = summary["documents"]
    counts["published_by_others"] = max(0, published - counts["published"] - counts["unchanged"])


def exit_code(summary: dict[str, Any]) -> int:
    """The exit code: 1 if any document failed, 3 if any waits, else 0."""
    return 1 if summary["failures"] else 3 if summary["documents"]["deferred"] else 0


def show_summary(summary: dict[str, Any]) -> None:
    """Print a summary as a table, and then the failed and the waiting documents."""
    table = pairs()
    for name, count in summary["documents"].items():
        if name != "behind" and (count or name != "published_by_others"):
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
