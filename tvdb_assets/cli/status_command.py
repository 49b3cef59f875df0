"""``tvdb status``: show the state of all documents, or the history of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.index_commands import add_stale, index_row, show_waiting_indexes
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, pairs, plain, print_json, table_of
from tvdb_assets.cli.run_summary import show_deferred, show_failures
from tvdb_assets.cli.source_commands import source_row
from tvdb_assets.core.message_counts import counted
from tvdb_assets.lifecycle import DocumentStatus, Quarantine
from tvdb_assets.redaction import display_path, printable
from tvdb_assets.repositories.batch_texts import BatchTexts
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import (
    DocumentRegistry,
    KnownDocument,
)
from tvdb_assets.repositories.document_sources import DocumentSources, SourceScan
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import source_root

QUARANTINE = {
    Quarantine.TERMINAL: (
        "not retried until the document or a setting changes; tvdb retry retries it"
    ),
    Quarantine.ATTEMPTS: "failed after many attempts; tvdb retry retries it",
    Quarantine.POISON: "ended its parser's process each time; tvdb retry retries it",
    Quarantine.CONTAINER: "retried together with its container",
}
"""Why a document is in quarantine and how to end that, by the value of the column."""


@click.command()
@click.argument("document", required=False)
@json_option
def status(document: str | None, as_json: bool) -> None:
    """Show counts by outcome, all failures and all waiting documents.

    With DOCUMENT, show its current row, its failures and its runs.
    """
    settings = load_settings()
    with Database.open(settings) as database:
        registry = DocumentRegistry(database)
        if document is None:
            _show_all(database, registry, source_root(settings.source), as_json)
            return
        root = source_root(settings.source)
        documents = find_documents(registry, document, root, is_reading=True)
        histories = [registry.history(known.document_id) for known in documents]
    if as_json:
        print_json(histories[0])
    else:
        for history in histories:
            _show_history(history)


def find_documents(
    registry: DocumentRegistry, name: str, root: str, *, is_reading: bool = False
) -> list[KnownDocument]:
    """Find documents of the current source by path or partition key.

    Args:
        registry: the registry of all documents.
        name: the path or partition key.
        root: the root of the current source.
        is_reading: also find a document of another source, if only one other source has it.

    Raises:
        ConfigurationError: no source has the document, or only other sources have it.
    """
    if documents := registry.find_in(root, name):
        return documents
    elsewhere = registry.find(name)
    others = sorted({document.source for document in elsewhere})
    if is_reading and len(others) == 1:
        return elsewhere
    if others:
        raise codes.DOCUMENT_ELSEWHERE.error(
            name=display_path(name), root=root, others=", ".join(others)
        )
    raise codes.DOCUMENT_UNKNOWN.error(name=display_path(name))


def _show_all(database: Database, registry: DocumentRegistry, root: str, as_json: bool) -> None:
    catalog = IndexCatalog(database)
    states = catalog.states()
    counts = registry.counts() | {"indexes": [index_row(state) for state in states]}
    stale = add_stale(counts["documents"], catalog)
    sources = DocumentSources(database).all()
    scans = DocumentSources(database).open_scans()
    counts["sources"] = [source_row(each, root) for each in sources]
    counts["open_scans"] = [
        asdict(scan) | {"scanned_at": scan.scanned_at.isoformat()} for scan in scans
    ]
    jobs = BatchTexts(database).summary()
    counts["batch_jobs"] = [
        {name: str(v) if isinstance(v, datetime | UUID) else v for name, v in job.items()}
        for job in jobs
    ]
    if as_json:
        print_json(counts)
        return
    _show_counts(counts)
    _show_batch_jobs(jobs)
    show_failures(registry.failures(), shows_source=len(sources) > 1)
    show_deferred(registry.failures(status=DocumentStatus.DEFERRED))
    show_waiting_indexes(states, stale)
    for scan in scans:
        _show_scan(scan)
    for each in sources:
        if each.root != root:
            console.print(
                f"\n{counted(each.documents, 'document')} of {printable(each.root)}, which is not "
                f"the current source {printable(root)}. Search shows what is published. If the "
                "source has moved, run tvdb source move OLD NEW; if it is not needed any more, run "
                "tvdb source drop OLD.",
                style="yellow",
                markup=False,
            )


def _show_counts(counts: dict[str, Any]) -> None:
    table = pairs()
    for name, count in counts["documents"].items():
        if name != "behind":
            table.add_row(name.replace("_", " "), f"{count:,}", style="" if count else "dim")
    table.add_row("chunks", f"{counts['chunks']:,}")
    table.add_row("embeddings", f"{counts['embeddings']:,}")
    for space in counts["vector_spaces"]:
        note = "searched" if space["is_current"] else "not searched"
        table.add_row("vector space", plain(f"{space['label']} ({note})"))
    console.print(table)


def _show_batch_jobs(jobs: Sequence[Mapping[str, Any]]) -> None:
    """Print the batch jobs that are not done, and what delays them."""
    if not jobs:
        return
    table = table_of("Batch job", "State", "Texts", "Since (UTC)", "At the service")
    for job in jobs:
        at_service = f"{job['batch_id']} ({job['status']})" if job["batch_id"] else "-"
        table.add_row(
            str(job["job_id"]),
            job["state"],
            f"{job['texts']:,}",
            f"{job['created_at'].astimezone(UTC):%Y-%m-%d %H:%M}",
            plain(at_service),
        )
    console.print()
    console.print(table)
    for job in jobs:
        if job["waits_message"]:
            console.print(
                f"{job['job_id']}: {job['waits_message']} [{job['waits_for']}]",
                style="yellow",
                markup=False,
            )


def _show_scan(scan: SourceScan) -> None:
    """Print what the last scan of a source left for a person."""
    for part in scan.unlisted:
        where = display_path(part) if part else printable(scan.source)
        console.print(
            f"\n{where} could not be listed. The documents below it stay as they are.",
            style="yellow",
            markup=False,
        )
    if scan.held:
        console.print(
            f"\nMissing from {printable(scan.source)}, and not deleted: "
            f"{counted(scan.held, 'document')}. Check that all of it is mounted. To delete what is "
            "missing, run tvdb ingest --delete.",
            style="yellow",
            markup=False,
        )


def _show_history(history: dict[str, Any]) -> None:
    row, parsed = history["row"], history["made"] or {}
    console.print(printable(row["path"]), style="bold", markup=False)
    table = pairs()
    table.add_row("source", plain(row["source"]))
    table.add_row("status", row["status"])
    if row["quarantine"]:
        attempts = counted(row["attempts"], "attempt")
        table.add_row("quarantine", f"{QUARANTINE[row['quarantine']]} ({attempts})")
    elif row["next_attempt_at"]:
        table.add_row("next attempt", row["next_attempt_at"][:19])
    for name in ("error_code", "error_message", "error_remedy"):
        if row[name]:
            table.add_row(name.removeprefix("error_"), plain(row[name]))
    for name in ("title", "media_type", "pages", "chunk_count", "token_count"):
        if parsed.get(name) is not None:
            table.add_row(name.replace("_", " "), plain(str(parsed[name])))
    if history["members"]:
        counts = ", ".join(f"{count:,} {status}" for status, count in history["members"].items())
        table.add_row("documents inside", counts)
    for event in history["events"]:
        table.add_row(event["happened_at"][:19], f"{event['outcome']} in run {event['run_id']}")
    console.print(table)
