"""``tvdb ingest``, ``status`` and ``forget``: documents in, looked at, and out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tvdb_assets.cli.output import console, notices, print_json
from tvdb_assets.cli.switching import as_row, show_waiting
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.guard.budget import usd
from tvdb_assets.guard.costs import spent_by
from tvdb_assets.redaction import shown
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.storage.database import Database
from tvdb_assets.storage.home import dagster_instance
from tvdb_assets.storage.registry import FailedDocument, Registry
from tvdb_assets.storage.source import Source
from tvdb_assets.storage.switching import Indexes

if TYPE_CHECKING:
    from tvdb_assets.ingest import Plan
    from tvdb_assets.walk.outlook import Outlook

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
    # Dagster is loaded only by the commands that need it: it costs a second.
    from tvdb_assets.ingest import execute, keep_names, plan

    started = time.perf_counter()
    settings = load_settings()
    with Database.open(settings) as database, dagster_instance(settings) as instance:
        registry = Registry(database)
        plans: list[Plan] = []
        run_ids: list[str] = []
        outlooks: list[Outlook] = []

        def announce(outlook: Outlook) -> None:
            outlooks.append(outlook)
            notices.print(outlook.words(), style="yellow", markup=False)

        for source, prefixes in sources_of(paths, settings, registry):
            keep_names(source, registry, instance)
            made = plan(source, prefixes, registry, settings, settings.max_document_mib << 20)
            plans.append(made)
            to_do = len(made.new) + len(made.stale)
            with _progress(registry, to_do, run_ids, is_quiet=as_json):
                execute(made, registry, instance, settings, run_ids.append, announce)
        summary = _summary(plans, run_ids, registry, database)
        indexes = Indexes(database)
        states = indexes.states()
        summary["indexes"] = [as_row(state) for state in states]
        summary["outlooks"] = [
            {"documents": o.documents, "documents_that_fit": o.fitting}
            | {"estimated_usd": usd(o.cost_usd), "left_usd": usd(o.left_usd)}
            for o in outlooks
        ]
        summary["seconds"] = round(time.perf_counter() - started, 2)
        if as_json:
            print_json(summary)
        else:
            _show_summary(summary)
            show_waiting(indexes, states)
    if summary["failures"]:
        context.exit(1)
    context.exit(3 if summary["documents"]["deferred"] else 0)


def sources_of(
    paths: tuple[str, ...], settings: Settings, registry: Registry
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
        raise ConfigurationError(
            "path_missing",
            f"There is no file or folder {shown(path)}.",
            remedy="Check the spelling.",
        )
    for root in roots:
        if "://" not in root and absolute.is_relative_to(Path(root).absolute()):
            prefix = absolute.relative_to(Path(root).absolute()).as_posix()
            return str(Path(root).absolute()), "" if prefix == "." else prefix
    if absolute.is_file():
        return str(absolute.parent), absolute.name
    return str(absolute), ""


def _summary(
    plans: list[Plan], run_ids: list[str], registry: Registry, database: Database
) -> dict[str, Any]:
    outcomes = registry.outcomes(run_ids)
    looked_at = [d.path for p in plans for d in (*p.unchanged, *p.stale)]
    looked_at += [f.path for p in plans for f in p.new]
    failures = registry.failures(looked_at)
    deferred = registry.failures(looked_at, status="deferred")
    left_alone = [d.path for p in plans for d in p.unchanged]
    texts = registry.texts_of(run_ids)
    return {
        "run_ids": run_ids,
        "documents": {
            "total": registry.count(looked_at),
            "published": outcomes.get("published", 0),
            "unchanged": registry.count(left_alone, status="published"),
            "failed": len(failures),
            "degraded": outcomes.get("degraded", 0),
            "deferred": outcomes.get("deferred", 0),
            "deleted": sum(len(p.gone) for p in plans),
        },
        "failures": [_without_names(failure) for failure in failures],
        "deferred": [_without_names(document) for document in deferred],
        "embedded_texts": texts["embedded"],
        "cached_texts": texts["cached"],
        "cost_usd": usd(spent_by(database, run_ids)),
    }


def _without_names(document: FailedDocument) -> dict[str, Any]:
    """For all who see what an ingest prints; `tvdb status` tells who asks for it."""
    return asdict(document) | {"document": shown(document.document)}


def _show_summary(summary: dict[str, Any]) -> None:
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


def _show_deferred(documents: list[FailedDocument]) -> None:
    """Why documents wait: once a reason, as a limit stops many for the same one."""
    for code in dict.fromkeys(document.code for document in documents):
        same = [document for document in documents if document.code == code]
        console.print(f"\n{len(same):,} documents wait", style="bold yellow")
        console.print(f"  {same[0].message} [{code}]", markup=False)
        console.print(f"  {same[0].remedy}", style="dim", markup=False)


@contextmanager
def _progress(
    registry: Registry, total: int, run_ids: list[str], *, is_quiet: bool
) -> Iterator[None]:
    """A bar on a terminal, a line every ten seconds elsewhere, nothing where it is quiet."""
    if is_quiet or not total:
        yield
        return
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
    task = bar.add_task("", total=total)

    def watch() -> None:
        interval = 0.3 if notices.is_terminal else 10.0
        while not done.wait(interval):
            count = registry.finished(list(run_ids)) - before if run_ids else 0
            bar.update(task, completed=count)
            if not notices.is_terminal:
                notices.print(f"{count:,} of {total:,} documents done.")

    watcher = threading.Thread(target=watch, daemon=True)
    with bar:
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


@click.command()
@click.argument("document", required=False)
@_json
def status(document: str | None, as_json: bool) -> None:
    """Counts by stage and outcome; or one DOCUMENT's row, failures and runs."""
    settings = load_settings()
    with Database.open(settings) as database:
        registry = Registry(database)
        if document is None:
            indexes = Indexes(database)
            states = indexes.states()
            counts = registry.counts() | {"indexes": [as_row(state) for state in states]}
            if as_json:
                print_json(counts)
            else:
                _show_counts(counts, registry.failures())
                _show_deferred(registry.failures(status="deferred"))
                show_waiting(indexes, states)
            return
        found = _find(registry, document)
        histories = [registry.history(known.document_id) for known in found]
    if as_json:
        print_json(histories[0])
    else:
        for history in histories:
            _show_history(history)


def _find(registry: Registry, name: str) -> list[Any]:
    if found := registry.find(name):
        return found
    raise ConfigurationError(
        "document_unknown",
        f"There is no document {name}.",
        remedy="Use the path as tvdb search or the Dagster UI shows it.",
    )


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
    for name in ("error_code", "error_message", "error_remedy"):
        if row[name]:
            table.add_row(name.removeprefix("error_"), row[name])
    for name in ("title", "media_type", "pages", "chunk_count", "token_count"):
        if made.get(name) is not None:
            table.add_row(name.replace("_", " "), str(made[name]))
    for event in history["events"]:
        table.add_row(event["happened_at"][:19], f"{event['outcome']} in run {event['run_id']}")
    console.print(table)


@click.command()
@click.argument("document")
@_json
def forget(document: str, as_json: bool) -> None:
    """Delete DOCUMENT and all that came from it; its file stays where it is."""
    settings = load_settings()
    with Database.open(settings) as database, dagster_instance(settings) as instance:
        registry = Registry(database)
        found = _find(registry, document)
        registry.forget([known.document_id for known in found])
        for known in found:
            if not known.is_member:
                instance.delete_dynamic_partition("documents", known.partition_key)
    if as_json:
        print_json({"forgotten": [shown(known.path) for known in found]})
    else:
        console.print(f"Forgotten: {document}", markup=False)
