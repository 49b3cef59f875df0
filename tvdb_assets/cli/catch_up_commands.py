"""``tvdb catch-up``, ``retry`` and ``forget``: process due or failed documents, or delete one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.cost_commands import estimate_documents, show_estimate
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, plain, print_json, table_of
from tvdb_assets.cli.progress import progress
from tvdb_assets.cli.run_summary import exit_code, show_summary, summary_of
from tvdb_assets.cli.status_command import find_documents
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.lifecycle import Reason
from tvdb_assets.redaction import display_path, printable
from tvdb_assets.reporting.run_progress import run_progress
from tvdb_assets.repositories.due_documents import DueDocument
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import Source, source_root

if TYPE_CHECKING:
    import dagster as dg

    from tvdb_assets.dagster.reconciler import Reconciler

_LISTED = 40
"""Maximum number of documents that a dry run lists on a terminal; ``--json`` lists all."""


@click.command("catch-up")
@click.option(
    "--dry-run", is_flag=True, help="List due documents with reason and cost; process nothing."
)
@json_option
@click.pass_context
def catch_up(context: click.Context, dry_run: bool, as_json: bool) -> None:
    """Process all due documents.

    These are the missing, degraded, stale and deferred documents, and the failed ones whose retry
    is due. The schedule nightly_catch_up does the same. New and changed files are found by
    `tvdb ingest` and by the sensor document_intake. Exits with 1 if any document failed, and with
    3 if any waits for a budget or a paid service.
    """
    from tvdb_assets.dagster.reconciler import Reconciler

    settings = load_settings()
    with dagster_instance(settings) as instance, Reconciler.open(settings, instance) as reconciler:
        if dry_run:
            _show_due(reconciler, as_json=as_json)
            return
        code = _run(reconciler, instance, frozenset(Reason), as_json=as_json)
    context.exit(code)


@click.command()
@click.argument("documents", nargs=-1)
@click.option(
    "--pay-again",
    is_flag=True,
    help="Also pay again for what a paid service answered without a usable text or vector.",
)
@json_option
@click.pass_context
def retry(
    context: click.Context, documents: tuple[str, ...], pay_again: bool, as_json: bool
) -> None:
    """Retry DOCUMENTS, or all failed documents, of the current source.

    Documents in quarantine are included. What was paid for is not paid for again, unless by
    --pay-again. Exits with 1 if any failed again, and with 3 if any
    waits for a budget or a paid service.
    """
    from tvdb_assets.dagster.reconciler import Reconciler

    settings = load_settings()
    root = source_root(settings.source)
    with dagster_instance(settings) as instance, Reconciler.open(settings, instance) as reconciler:
        requested = [
            d.document_id
            for name in documents
            for d in find_documents(reconciler.registry, name, root)
        ]
        reconciler.due.request_documents(
            requested if documents else None, source=root, pays_again=pay_again
        )
        code = _run(reconciler, instance, frozenset({Reason.REQUESTED}), as_json=as_json)
    context.exit(code)


@click.command()
@click.argument("document")
@json_option
def forget(document: str, as_json: bool) -> None:
    """Delete DOCUMENT of the current source with its text, chunks and vectors.

    The sensor document_intake ignores the file until it changes. `tvdb ingest` adds it again. Of a
    document whose file is gone, the text is deleted that is kept for TVDB_CACHE_DAYS.
    """
    from tvdb_assets.dagster.reconciler import Reconciler

    settings = load_settings()
    with dagster_instance(settings) as instance, Reconciler.open(settings, instance) as reconciler:
        root = source_root(settings.source)
        kept = reconciler.deletion.forget_unused(root, document)
        try:
            documents = find_documents(reconciler.registry, document, root)
        except ConfigurationError as error:
            # Its text may be kept although the source no longer has the file.
            if not kept or error.code != codes.DOCUMENT_UNKNOWN.code:
                raise
            documents = []
        reconciler.deletion.delete([known.document_id for known in documents], is_manual=True)
        with reconciler.due.planning():
            reconciler.partitions.drop_removed(reconciler.deletion)
    if as_json:
        paths = [known.path for known in documents] or [document]
        print_json({"forgotten": [display_path(path) for path in paths]})
    else:
        of = f" of {printable(root)}" if len(reconciler.registry.sources()) > 1 else ""
        console.print(f"Forgotten: {printable(document)}{of}", markup=False)


def _run(
    reconciler: Reconciler,
    instance: dg.DagsterInstance,
    reasons: frozenset[Reason],
    *,
    as_json: bool,
) -> int:
    from tvdb_assets.dagster import ingest

    started = time.perf_counter()
    run_ids: list[str] = []
    database = reconciler.database
    with progress(lambda: run_progress(database, run_ids), is_quiet=as_json) as set_total:
        due = ingest.catch_up(
            reconciler,
            instance,
            reasons,
            lambda documents: set_total(len(documents)),
            run_ids.append,
        )
    summary = summary_of(
        [d.partition_key for d in due], run_ids, reconciler.registry, reconciler.database
    )
    summary["due"] = _by_reason(due)
    summary["seconds"] = round(time.perf_counter() - started, 2)
    if as_json:
        print_json(summary)
    elif due:
        show_summary(summary)
    else:
        console.print("No document is due.")
    return exit_code(summary)


def _show_due(reconciler: Reconciler, *, as_json: bool) -> None:
    with reconciler.due.planning():
        due = reconciler.plan(frozenset(Reason))
    by_source: dict[str, list[str]] = {}
    for document in due:
        by_source.setdefault(document.source, []).append(document.path)
    timeout = reconciler.settings.source_timeout_seconds
    grouped = [(Source.reopen(root, timeout), paths) for root, paths in by_source.items()]
    costs, summary = estimate_documents(grouped, reconciler.settings, reconciler.database)
    costs_by_path = {row["document"]: row["cost_usd"] for row in summary.pop("by_document")}
    rows = [
        {
            "document": display_path(d.path),
            "source": d.source,
            "reason": d.reason,
            "cost_usd": costs_by_path.get(display_path(d.path)),
        }
        for d in due
    ]
    if as_json:
        print_json({**summary, "due": _by_reason(due), "by_document": rows})
        return
    if not due:
        console.print("No document is due.")
        return
    table = table_of("Document", "Reason", "Cost")
    for row in rows[:_LISTED]:
        table.add_row(
            plain(str(row["document"])), row["reason"], f"${float(row['cost_usd'] or 0):,.4f}"
        )
    console.print(table)
    if len(rows) > _LISTED:
        console.print(f"and {len(rows) - _LISTED:,} more. --json lists all.", style="dim")
    console.print()
    show_estimate(summary, costs)


def _by_reason(due: Sequence[DueDocument]) -> dict[str, int]:
    return dict(Counter(document.reason for document in due))
