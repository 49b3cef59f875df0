"""``tvdb estimate``, ``costs`` and ``health``: forecast, spending and state of paid services."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

import click

from tvdb_assets.cli.ingest_command import sources_of
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, pairs, plain, print_json, table_of
from tvdb_assets.cli.terminal_charts import charts
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.message_counts import counted
from tvdb_assets.ingestion.cost_estimator import CostEstimator, DocumentCost
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.redaction import display_path
from tvdb_assets.reporting.costs import (
    COST_GROUPS,
    budget_summary,
    cost_report,
    grouped_costs,
    saved_by_batches,
)
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.routing.paid_services import paid_services, spend_limits_of
from tvdb_assets.routing.service_health import ServiceHealth
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.budget import usd
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.window_repair import WindowDifference, last_repair, repair_windows

_LISTED = 10
"""Number of most expensive documents that an estimate lists."""


@click.command()
@click.argument("paths", nargs=-1)
@json_option
def estimate(paths: tuple[str, ...], as_json: bool) -> None:
    """Estimate the cost of `tvdb ingest`, without paying.

    The estimate is for the source, or for PATHS only.
    """
    from tvdb_assets.dagster.ingest import plan

    settings = load_settings()
    with Database.open(settings) as database:
        registry = DocumentRegistry(database)
        wanted = []
        for source, prefixes in sources_of(paths, settings, registry):
            ingest_plan = plan(
                source, prefixes, registry, settings, settings.max_document_mib << 20
            )
            wanted.append(
                (source, [f.path for f in ingest_plan.new] + [d.path for d in ingest_plan.stale])
            )
        documents, summary = estimate_documents(wanted, settings, database)
    if as_json:
        print_json(summary)
    else:
        show_estimate(summary, documents)


def estimate_documents(
    wanted: Sequence[tuple[Source, Sequence[str]]], settings: Settings, database: Database
) -> tuple[list[DocumentCost], dict[str, Any]]:
    """Estimate the cost of documents: each document, and the sums for ``--json``."""
    documents: list[DocumentCost] = []
    with ServiceRouter(settings, database=database) as router:
        chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
        estimator = CostEstimator(
            store=DocumentStore(database, "estimate"),
            index=IndexStore(database, "estimate"),
            router=router,
            chunker=chunker,
            max_document_bytes=settings.max_document_mib << 20,
        )
        for source, paths in wanted:
            documents += estimator.run(source, paths)
        left = budget_summary(
            database, router.services.ledger, paid_services(settings)
        ).remaining_usd
    total = sum((document.cost_usd for document in documents), Decimal(0))
    return documents, {
        "documents": len(documents),
        "chunks": sum(document.chunks for document in documents),
        "cached_chunks": sum(document.cached_chunks for document in documents),
        "tokens": sum(document.tokens for document in documents),
        "pages": sum(document.pages for document in documents),
        "cost_usd": usd(total),
        "remaining_usd": usd(left),
        "fits": total <= left,
        "documents_that_fit": _that_fit(documents, left),
        "by_document": [_as_json(document) for document in documents],
    }


def _that_fit(documents: list[DocumentCost], left: Decimal) -> int:
    count = 0
    for document in documents:
        left -= document.cost_usd
        if left < 0:
            break
        count += 1
    return count


def _as_json(document: DocumentCost) -> dict[str, Any]:
    row = asdict(document) | {"document": display_path(document.document)}
    error = row.pop("error")
    row |= {name: usd(row[name]) for name in ("cost_usd", "parse_usd")}
    return row | {"error": error.code if error is not None else None}


def show_estimate(summary: dict[str, Any], documents: list[DocumentCost]) -> None:
    """Print an estimate as tables."""
    table = pairs()
    for name in ("documents", "chunks", "cached_chunks", "tokens", "pages"):
        label = {"cached_chunks": "chunks in the cache", "pages": "pages to parse (maximum)"}
        table.add_row(label.get(name, name), f"{summary[name]:,}")
    table.add_row("cost", f"${Decimal(summary['cost_usd']):,.4f}", style="bold")
    table.add_row("left of today's budget", f"${Decimal(summary['remaining_usd']):,.4f}")
    console.print(table)
    if not summary["fits"]:
        console.print(
            f"Only the first {summary['documents_that_fit']:,} of {summary['documents']:,} "
            "documents fit the budget. The others would wait for the next day or a higher "
            "TVDB_DAILY_COST_LIMIT.",
            style="yellow",
        )
    most_expensive = sorted(documents, key=lambda document: -document.cost_usd)[:_LISTED]
    if most_expensive and most_expensive[0].cost_usd:
        rows = table_of("Most expensive documents", "tokens", "pages", "cost")
        for document in most_expensive:
            rows.add_row(
                plain(display_path(document.document)),
                f"{document.tokens:,}",
                f"{document.pages:,}",
                f"${document.cost_usd:,.6f}",
            )
        console.print()
        console.print(rows)
    failing = sum(document.error is not None for document in documents)
    if failing:
        console.print(f"\n{failing:,} of these documents would fail and cost nothing.", style="dim")


@click.command(name="costs")
@click.option(
    "--by", type=click.Choice(COST_GROUPS), help="Print a table grouped by this, not charts."
)
@click.option("-n", "limit", default=20, show_default=True, help="Maximum number of rows.")
@json_option
def show_costs(by: str | None, limit: int, as_json: bool) -> None:
    """Show the cost of paid services, and the rest of the budget.

    Draws charts, or prints a table with --by. With --json, the output contains the table,
    by day unless --by is given.
    """
    settings = load_settings()
    with Database.open(settings) as database:
        # A router would require an API key, and the report does not need one.
        now = budget_summary(
            database, Ledger(database, spend_limits_of(settings)), paid_services(settings)
        )
        rows = grouped_costs(database, by or "day", limit)
        sums = cost_report(database, now.day) if by is None else None
        saved = saved_by_batches(database)
    if as_json:
        print_json(
            {
                "window": now.day.isoformat(),
                "limit_usd": usd(now.limit_usd),
                "reserved_usd": usd(now.reserved_usd),
                "posted_usd": usd(now.posted_usd),
                "remaining_usd": usd(now.remaining_usd),
                "requests_this_hour": now.requests_this_hour,
                "saved_by_batches_usd": usd(saved),
                "rows": [
                    {
                        k: usd(v) if isinstance(v, Decimal) and k.endswith("usd") else v
                        for k, v in row.items()
                    }
                    for row in rows
                ],
            }
        )
        return
    console.print(
        f"Today (UTC): ${now.posted_usd:,.4f} spent and ${now.reserved_usd:,.4f} reserved of "
        f"${usd(now.limit_usd)}; ${now.remaining_usd:,.4f} left."
    )
    if not rows:
        console.print("There are no paid calls yet.")
        return
    if saved:
        console.print(f"Batch jobs have saved ${saved:,.4f} so far.")
    if sums is not None:
        console.print()
        for chart in charts(sums, now.limit_usd):
            console.print(chart)
        return
    names = [name for name in rows[0] if not name.endswith(("_usd", "requests", "units"))]
    table = table_of(*names, "requests", "units", "spent", "reserved", "voided")
    for row in rows:
        table.add_row(
            *(_cell(row[name]) for name in names),
            f"{row['requests']:,}",
            f"{int(row['units'] or 0):,}",
            *(f"${row[name]:.6f}" for name in ("posted_usd", "reserved_usd", "voided_usd")),
        )
    console.print(table)


def _cell(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)


@click.command()
@click.option("--probe", is_flag=True, help="Also send a free request to each service.")
@json_option
def health(probe: bool, as_json: bool) -> None:
    """Show the state of each service, without paying, and of the parser workers.

    That is a service's mode, circuit breaker, remaining budget and requests, and last error;
    whether the budget equals the ledger, to which it is corrected; and which protections against
    hostile documents this machine enforces.
    """
    settings = load_settings()
    services = asyncio.run(_health(settings, probe))
    repaired, last = _compared_budget(settings)
    with WorkerPool.of(settings) as workers:
        held = workers.confinement()
    if as_json:
        print_json(
            {
                "services": [asdict(service) for service in services],
                "parser_workers": asdict(held),
                "budget_windows": {
                    "repaired": [each.message() for each in repaired],
                    "last_repaired_at": last[0].isoformat(timespec="seconds") if last else None,
                },
            }
        )
        return
    colours = {"ready": "green", "unproven": "cyan", "halted": "yellow"}
    for service in services:
        console.print(
            f"{service.role:<9} {service.mode:<7} {service.service:<14}",
            f"[{colours.get(service.status, 'red')}]{service.status}[/]",
        )
        if not service.breaker:
            continue
        facts = [
            f"${Decimal(service.remaining_usd):,.2f} of today's budget left",
            "no limit of requests"
            if service.requests_left is None
            else f"{counted(service.requests_left, 'request')} left in these 60 minutes",
            f"breaker {service.breaker}",
        ]
        if service.answered_at:
            facts.append(f"last response {service.answered_at[:16].replace('T', ' ')} UTC")
        console.print("  " + " · ".join(facts), style="dim")
        if service.learned:
            console.print(f"  learned: {', '.join(service.learned)}", style="dim", markup=False)
        if service.last_error:
            console.print(f"  {service.last_error}", style="red", markup=False)
    for difference in repaired:
        console.print(difference.message(), style="red", markup=False)
    if last and not repaired:
        console.print(
            f"budget    equal to the ledger; on {last[0]:%Y-%m-%d}: {last[1]}", markup=False
        )
    elif not repaired:
        console.print("budget    equal to the ledger")
    missing = ", ".join(held.missing)
    console.print(
        "workers   parsing in processes that are confined by:",
        ", ".join(name for name in asdict(held) if name not in held.missing) or "nothing",
    )
    if missing:
        console.print(f"  not enforced on this machine: {missing}", style="yellow")


def _compared_budget(
    settings: Settings,
) -> tuple[list[WindowDifference], tuple[datetime, str] | None]:
    with Database.open(settings) as database:
        ledger = Ledger(database, spend_limits_of(settings))
        repaired = repair_windows(database, ledger.now, "", recent=None)
        return repaired, last_repair(database)


async def _health(settings: Settings, probe: bool) -> list[ServiceHealth]:
    with Database.open(settings) as database:
        async with ServiceRouter(settings, database=database) as router:
            return await router.health(probe=probe)
