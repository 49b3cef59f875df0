"""``tvdb ingest`` and ``status``: documents in, and looked at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.index_commands import as_row, show_waiting
from tvdb_assets.cli.output import console, notices, print_json
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.ingestion.prefetch import parsing_ahead
from tvdb_assets.redaction import display_path
from tvdb_assets.reporting.costs import spent_by
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import (
    DocumentRegistry,
    FailedDocument,
    KnownDocument,
)
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.budget import usd

if TYPE_CHECKING:
    from tvdb_assets.dagster.ingest import IngestPlan
    from tvdb_assets.ingestion.cost_forecast import CostForecast

QUARANTINE = {
    "terminal": "not tried again until it or a setting changes; tvdb retry asks for it",
    "attempts": "given up after many attempts; tvdb retry asks for it",
    "poison": "ended its parser's process each time; tvdb retry asks for it",
}
"""What a document in quarantine waits for, by the column's value."""

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.command()
@click.argument("paths", nargs=-1)
@_json
@click.pass_context
def ingest(context: click.Context, paths: tuple[str, ...], as_json: bool) -> None:
    """Bring the index up to date with the source, or with PATHS alone.

    Finds new, changed and deleted files, and makes only what is needed. Exits with 1 if any
    document failed, and with 3 if some wait for a budget or a paid service; all others are
    done all the same.
    """
    started = time.perf_counter()
    settings = load_settings()
    with ExitStack() as stack:
        database = stack.enter_context(Database.open(settings))
        registry = DocumentRegistry(database)
        places = list(sources_of(paths, settings, registry))
        stack.enter_context(parsing_ahead(settings, registry, places))
        # Loaded only by the commands that need it, because it costs seconds: Dagster.
        from tvdb_assets.dagster.ingest import execute, plan
        from tvdb_assets.dagster.reconciler import Reconciler

        instance = stack.enter_context(dagster_instance(settings))
        reconciler = Reconciler(settings, database, instance)
        plans: list[IngestPlan] = []
        run_ids: list[str] = []
        outlooks: list[CostForecast] = []

        def announce(forecast_cost: CostForecast) -> None:
            outlooks.append(forecast_cost)
            notices.print(forecast_cost.message(), style="yellow", markup=False)

        for source, prefixes in places:
            with reconciler.due.planning():
                reconciler.rekey(source)
            made = plan(source, prefixes, registry, settings, settings.max_document_mib << 20)
            plans.append(made)
            to_do = len(made.new) + len(made.stale)
            with progress(registry, run_ids, is_quiet=as_json) as start:
                start(to_do)
                execute(made, reconciler, instance, run_ids.append, announce)
        summary = _summary(plans, run_ids, registry, database)
        indexes = IndexCatalog(database)
        states = indexes.states()
        summary["indexes"] = [as_row(state) for state in states]
        summary["documents"]["behind"] = behind = indexes.behind()
        summary["outlooks"] = [
            {"documents": o.documents, "documents_that_fit": o.fitting}
            | {"estimated_usd": usd(o.cost_usd), "left_usd": usd(o.left_usd)}
            for o in outlooks
        ]
        summary["seconds"] = round(time.perf_counter() - started, 2)
        if as_json:
            print_json(summary)
        else:
            show_summary(summary)
            show_waiting(states, behind)
    context.exit(exit_code(summary))


def sources_of(
    paths: tuple[str, ...], settings: Settings, registry: DocumentRegistry
) -> Iterator[tuple[Source, list[str]]]:
    """Each source with the prefixes to look at; none means all of it."""
    if not paths:
        yield Source.open(settings.source), []
        return
    roots = [settings.source, *registry.sources()]
    grouped: dict[str, list[str]] = {}
    for path in paths:
        root, prefix = _root_of(path, roots)
        prefixes = grouped.setdefault(root, [])
        if prefix:
            prefixes.append(prefix)
    for root, prefixes in grouped.items():
        yield Source.open(root), prefixes


def _root_of(path: str, roots: list[str]) -> tuple[str, str]:
    """The source that a path belongs to, and the path within it."""
    if "://" in path:
        return path, ""
    absolute = Path(path).absolute()
    if not absolute.exists():
        raise codes.PATH_MISSING.error(path=display_path(path))
    for root in roots:
        if "://" not in root and absolute.is_relative_to(Path(root).absolute()):
            prefix = absolute.relative_to(Path(root).absolute()).as_posix()
            return str(Path(root).absolute()), "" if prefix == "." else prefix
    if absolute.is_file():
        return str(absolute.parent), absolute.name
    return str(absolute), ""


def _summary(
    plans: list[IngestPlan], run_ids: list[str], registry: DocumentRegistry, database: Database
) -> dict[str, Any]:
    looked_at = [d.path for p in plans for d in (*p.unchanged, *p.stale)]
    looked_at += [f.path for p in plans for f in p.new]
    summary = summary_of(looked_at, run_ids, registry, database)
    documents = summary["documents"]
    left_alone = [d.path for p in plans for d in p.unchanged]
    documents["unchanged"] = registry.count(left_alone, status="published")
    documents["deleted"] = sum(len(p.gone) for p in plans)
    return summary


def summary_of(
    paths: list[str], run_ids: list[str], registry: DocumentRegistry, database: Database
) -> dict[str, Any]:
    """How documents ended in these runs, what was made, and what it cost."""
    outcomes = registry.outcomes(run_ids)
    failures = registry.failures(paths)
    texts = registry.texts_of(run_ids)
    return {
        "run_ids": run_ids,
        "documents": {
            "total": registry.count(paths),
            "published": outcomes.get("published", 0),
            "unchanged": 0,
            "failed": len(failures),
            "degraded": outcomes.get("degraded", 0),
            "deferred": outcomes.get("deferred", 0),
            "deleted": 0,
        },
        "failures": [_without_names(failure) for failure in failures],
        "deferred": [_without_names(d) for d in registry.failures(paths, status="deferred")],
        "embedded_texts": texts["embedded"],
        "cached_texts": texts["cached"],
        "cost_usd": usd(spent_by(database, run_ids)),
    }


def _without_names(document: FailedDocument) -> dict[str, Any]:
    """For all who see what an ingest prints; `tvdb status` tells who asks for it."""
    return asdict(document) | {"document": display_path(document.document)}


def exit_code(summary: dict[str, Any]) -> int:
    """Of a command that ran documents: 1 if any failed, 3 if some wait, else 0."""
    return 1 if summary["failures"] else 3 if summary["documents"]["deferred"] else 0


def show_summary(summary: dict[str, Any]) -> None:
    table = Table("Documents", "", show_header=False, box=None, padding=(0, 2, 0, 0))
    colours = {"published": "green", "failed": "red", "deferred": "yellow"}
    for name, count in summary["documents"].items():
        style = colours.get(name, "") if count else "dim"
        table.add_row(name, f"{count:,}", style=style)
    table.add_row("texts embedded", f"{summary['embedded_texts']:,}")
    table.add_row("texts known before", f"{summary['cached_texts']:,}")
    table.add_row("cost", f"${Decimal(summary['cost_usd']):,.4f}")
    table.add_row("seconds", f"{summary['seconds']}")
    console.print(table)
    _show_failures([FailedDocument(**failure) for failure in summary["failures"]])
    _show_deferred([FailedDocument(**document) for document in summary["deferred"]])


def _show_failures(failures: list[FailedDocument]) -> None:
    for failure in failures:
        console.print(f"\n{failure.document}", style="bold red", markup=False)
        console.print(f"  {failure.message} [{failure.code}]", markup=False)
        console.print(f"  {failure.remedy}", style="dim", markup=False)
        console.print(f"  id {failure.run_id}", style="dim", markup=False)


def _show_deferred(documents: list[FailedDocument]) -> None:
    """Why documents wait: once a reason, as a limit stops many for the same one."""
    for code in dict.fromkeys(document.code for document in documents):
        same = [document for document in documents if document.code == code]
        console.print(f"\n{len(same):,} documents wait", style="bold yellow")
        console.print(f"  {same[0].message} [{code}]", markup=False)
        console.print(f"  {same[0].remedy}", style="dim", markup=False)
        console.print(f"  id {same[0].run_id}", style="dim", markup=False)


@contextmanager
def progress(
    registry: DocumentRegistry, run_ids: list[str], *, is_quiet: bool
) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line every ten seconds elsewhere, nothing where it is quiet.

    Yields:
        Takes the number of documents that are to be done, and starts the telling.
    """
    before = registry.finished(run_ids) if run_ids else 0
    done = threading.Event()
    bar = Progress(
        TextColumn("[bold]Documents"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notices,
        transient=True,
        disable=not notices.is_terminal,
    )
    task = bar.add_task("", total=None)
    total = 0

    def watch() -> None:
        interval = 0.3 if notices.is_terminal else 10.0
        while not done.wait(interval):
            count = registry.finished(list(run_ids)) - before if run_ids else 0
            bar.update(task, completed=count)
            if not notices.is_terminal:
                notices.print(f"{count:,} of {total:,} documents done.")

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
        done.set()
        if watcher.is_alive():
            watcher.join()
        bar.stop()


@click.command()
@click.argument("document", required=False)
@_json
def status(document: str | None, as_json: bool) -> None:
    """Counts by stage and outcome; or one DOCUMENT's row, failures and runs."""
    settings = load_settings()
    with Database.open(settings) as database:
        registry = DocumentRegistry(database)
        if document is None:
            indexes = IndexCatalog(database)
            states = indexes.states()
            counts = registry.counts() | {"indexes": [as_row(state) for state in states]}
            behind = indexes.behind()
            counts["documents"]["behind"] = behind
            if as_json:
                print_json(counts)
            else:
                _show_counts(counts, registry.failures())
                _show_deferred(registry.failures(status="deferred"))
                show_waiting(states, behind)
            return
        found = find_documents(registry, document)
        histories = [registry.history(known.document_id) for known in found]
    if as_json:
        print_json(histories[0])
    else:
        for history in histories:
            _show_history(history)


def find_documents(registry: DocumentRegistry, name: str) -> list[KnownDocument]:
    """Documents by path or partition key.

    Raises:
        ConfigurationError: there is none.
    """
    if found := registry.find(name):
        return found
    raise codes.DOCUMENT_UNKNOWN.error(name=display_path(name))


def _show_counts(counts: dict[str, Any], failures: list[FailedDocument]) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, count in counts["documents"].items():
        table.add_row(name, f"{count:,}", style="" if count else "dim")
    table.add_row("chunks", f"{counts['chunks']:,}")
    table.add_row("embeddings", f"{counts['embeddings']:,}")
    for space in counts["vector_spaces"]:
        note = "searched" if space["is_current"] else "kept out of search"
        table.add_row("vector space", f"{space['label']} ({note})")
    console.print(table)
    _show_failures(failures)


def _show_history(history: dict[str, Any]) -> None:
    row, made = history["row"], history["made"] or {}
    console.print(f"{row['path']}", style="bold", markup=False)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("status", row["status"])
    if row["quarantine"]:
        table.add_row("quarantine", f"{QUARANTINE[row['quarantine']]} ({row['attempts']} attempts)")
    elif row["next_attempt_at"]:
        table.add_row("next attempt", row["next_attempt_at"][:19])
    for name in ("error_code", "error_message", "error_remedy"):
        if row[name]:
            table.add_row(name.removeprefix("error_"), row[name])
    for name in ("title", "media_type", "pages", "chunk_count", "token_count"):
        if made.get(name) is not None:
            table.add_row(name.replace("_", " "), str(made[name]))
    if history["members"]:
        counts = ", ".join(f"{count:,} {status}" for status, count in history["members"].items())
        table.add_row("documents inside", counts)
    for event in history["events"]:
        table.add_row(event["happened_at"][:19], f"{event['outcome']} in run {event['run_id']}")
    console.print(table)
