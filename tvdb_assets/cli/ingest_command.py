"""``tvdb ingest``: bring the index up to date with the source, or with some paths."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.index_commands import add_stale, index_row, show_waiting_indexes
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import notices, print_json
from tvdb_assets.cli.progress import progress
from tvdb_assets.cli.run_summary import add_others, exit_code, show_summary, summary_of
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.errors import SourceError
from tvdb_assets.ingestion.early_parsing import parsing_while_loading
from tvdb_assets.lifecycle import DocumentStatus
from tvdb_assets.redaction import display_path, printable
from tvdb_assets.reporting.run_progress import run_progress
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.budget import usd

if TYPE_CHECKING:
    from tvdb_assets.dagster.ingest import IngestPlan
    from tvdb_assets.ingestion.cost_forecast import CostForecast


@click.command()
@click.argument("paths", nargs=-1)
@click.option(
    "--delete",
    "deletes",
    is_flag=True,
    help="Confirm that documents which are gone are deleted, however many they are.",
)
@json_option
@click.pass_context
def ingest(context: click.Context, paths: tuple[str, ...], deletes: bool, as_json: bool) -> None:
    """Bring the index up to date with the source, or with PATHS only.

    Finds new, changed and deleted files, and processes only what changed. Documents of a folder
    that can't be listed are not deleted. If a large part of the documents is gone, nothing is
    changed without --delete. A document that fails or waits does not stop the others. Exits with 1
    if any document failed, and with 3 if any waits for a budget or a paid service.
    """
    started = time.perf_counter()
    settings = load_settings()
    with ExitStack() as stack:
        database = stack.enter_context(Database.open(settings))
        registry = DocumentRegistry(database)
        sources = list(sources_of(paths, settings, registry))
        workers = stack.enter_context(parsing_while_loading(settings, registry, sources))
        # Dagster takes seconds to load, so only the commands that need it import it.
        from tvdb_assets.dagster.ingest import execute, plan
        from tvdb_assets.dagster.reconciler import Reconciler

        instance = stack.enter_context(dagster_instance(settings))
        reconciler = Reconciler(settings, database, instance)
        plans: list[IngestPlan] = []
        run_ids: list[str] = []
        forecasts: list[CostForecast] = []

        def announce(forecast: CostForecast) -> None:
            forecasts.append(forecast)
            notices.print(forecast.message(), style="yellow", markup=False)

        for source, prefixes in sources:
            with reconciler.due.planning():
                reconciler.update_partition_keys(source)
            ingest_plan = plan(
                source,
                prefixes,
                registry,
                settings,
                settings.max_document_mib << 20,
                deletes=deletes,
            )
            plans.append(ingest_plan)
            with progress(lambda: run_progress(database, run_ids), is_quiet=as_json) as start:
                start(len(ingest_plan.new) + len(ingest_plan.stale))
                execute(ingest_plan, reconciler, instance, run_ids.append, announce, workers)
        summary = _summary(plans, run_ids, registry, database)
        catalog = IndexCatalog(database)
        states = catalog.states()
        summary["indexes"] = [index_row(state) for state in states]
        stale = add_stale(summary["documents"], catalog)
        summary["forecasts"] = [_forecast_row(forecast) for forecast in forecasts]
        # The former name, which programs may still read.
        summary["outlooks"] = summary["forecasts"]
        summary["seconds"] = round(time.perf_counter() - started, 2)
        if as_json:
            print_json(summary)
        else:
            show_summary(summary)
            for each in plans:
                if each.is_whole and not each.has_documents:
                    root = printable(each.source.root)
                    notices.print(
                        f"\nThere are no documents in {root}. Put files there, or set TVDB_SOURCE "
                        "to the folder or bucket that has them.",
                        style="yellow",
                        markup=False,
                    )
            show_waiting_indexes(states, stale)
    context.exit(exit_code(summary))


def sources_of(
    paths: Sequence[str], settings: Settings, registry: DocumentRegistry
) -> Iterator[tuple[Source, list[str]]]:
    """Group paths by source: each source with its prefixes to scan; no prefix means all of it."""
    if not paths:
        yield Source.open(settings.source, settings.source_timeout_seconds), []
        return
    roots = [settings.source, *registry.sources()]
    grouped: dict[str, list[str]] = {}
    for path in paths:
        root, prefix = _root_of(path, roots)
        prefixes = grouped.setdefault(root, [])
        if prefix:
            prefixes.append(prefix)
    for root, prefixes in grouped.items():
        yield Source.open(root, settings.source_timeout_seconds), prefixes


def _root_of(path: str, roots: Sequence[str]) -> tuple[str, str]:
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
    plans: Sequence[IngestPlan],
    run_ids: list[str],
    registry: DocumentRegistry,
    database: Database,
) -> dict[str, Any]:
    scanned = [d.partition_key for p in plans for d in (*p.unchanged, *p.stale)]
    for p in plans:
        scanned += registry.keys_of(p.source.root, [file.path for file in p.new])
    summary = summary_of(scanned, run_ids, registry, database)
    unchanged = [d.partition_key for p in plans for d in p.unchanged]
    summary["documents"]["unchanged"] = registry.count(unchanged, status=DocumentStatus.PUBLISHED)
    add_others(summary, registry.count(scanned, status=DocumentStatus.PUBLISHED))
    summary["failures"] += [_unlisted_row(p.source, part) for p in plans for part in p.unlisted]
    summary["documents"]["deleted"] = sum(len(p.gone) for p in plans)
    return summary


def _unlisted_row(source: Source, part: SourceError) -> dict[str, str]:
    """A part of the source that can't be listed, in the shape of a failed document."""
    return {
        "document": display_path(part.document or source.root),
        "code": part.code,
        "message": part.message,
        "remedy": part.remedy,
        "run_id": "",
        "source": source.root,
    }


def _forecast_row(forecast: CostForecast) -> dict[str, Any]:
    return {
        "documents": forecast.documents,
        "documents_that_fit": forecast.fitting,
        "estimated_usd": usd(forecast.cost_usd),
        "left_usd": usd(forecast.left_usd),
    }
