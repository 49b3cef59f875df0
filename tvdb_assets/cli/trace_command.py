"""``tvdb trace``: show all events with one id in order of time."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import click
from rich.text import Text

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, notices, print_json
from tvdb_assets.core.message_counts import counted
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.redaction import printable
from tvdb_assets.reporting.run_history import (
    HistoryEvent,
    HistoryLookup,
    HistorySubject,
    RunHistory,
    sorted_by_time,
)
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.runs import Run
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import source_root
from tvdb_assets.spend_guard.budget import usd

_COLOURS = {
    **{"paid_call": "cyan", "request": "dim", "retry": "yellow", "batch_halved": "yellow"},
    **{"halted": "yellow", "rate_waited": "yellow", "service_refused": "red"},
    **{"breaker_opened": "red", "breaker_probed": "yellow", "breaker_closed": "green"},
    **{"run_started": "bold", "run_ended": "bold", "document": "green", "job_resumed": "cyan"},
}


@click.command()
@click.argument("name", metavar="ID")
@json_option
def trace(name: str, as_json: bool) -> None:
    """Show all events of ID in order of time.

    Durations and costs are included. ID is the id of a run, of a request to a paid service (the
    service's own id, or the one that was sent) or of a parse job, a document, or the first
    characters of an id. For a document, the events of all its runs are shown.
    """
    settings = load_settings()
    with Database.open(settings) as database:
        history = RunHistory(database)
        subject = _only(history.find(name, source_root(settings.source)), name)
        events = history.events(subject)
    with dagster_instance(settings) as instance:
        # This import loads Dagster, which takes a second, so it follows the lookup.
        from tvdb_assets.dagster.storage.event_history import lineage, run_events

        events = sorted_by_time(events + run_events(instance, subject.run_ids))
        known = {run_id: lineage(instance, run_id) for run_id in subject.run_ids}
    runs = [_as_json(*(known[run_id] or (Run(run_id), []))) for run_id in subject.run_ids]
    cost = sum((event.cost_usd for event in events if event.cost_usd is not None), Decimal(0))
    if as_json:
        document = {"run_id": subject.run_ids[-1], "asked_for": subject.kind, "runs": runs}
        print_json(
            document | {"cost_usd": usd(cost), "events": [_event(event) for event in events]}
        )
        return
    for run in runs:
        _show_run(run)
    _show(events, len(runs) > 1)
    calls = sum(event.kind == "paid_call" for event in events)
    totals = f"{counted(len(events), 'event')}, {counted(calls, 'paid call')}"
    console.print(f"\n{totals}, ${usd(cost)}.", style="bold")


def _only(lookup: HistoryLookup, name: str) -> HistorySubject:
    """Return the one subject that a name identifies.

    Raises:
        ConfigurationError: there is no such id, or several ids begin with the name.
    """
    if lookup.subject is not None and lookup.subject.run_ids:
        return lookup.subject
    if lookup.subject is not None:
        raise codes.NO_RUN.error(name=name)
    if not lookup.candidates:
        raise codes.ID_UNKNOWN.error(name=name)
    raise codes.ID_AMBIGUOUS.error(name=name, candidates=", ".join(lookup.candidates))


def _as_json(run: Run, retried_as: list[str]) -> dict[str, Any]:
    return asdict(run) | {"root_run_id": run.root_run_id or run.run_id, "retried_as": retried_as}


def _event(event: HistoryEvent) -> dict[str, Any]:
    cost = usd(event.cost_usd) if event.cost_usd is not None else None
    return asdict(event) | {"time": event.time.isoformat(), "cost_usd": cost}


def _show_run(run: dict[str, Any]) -> None:
    console.print(f"Run {run['run_id']}", style="bold")
    if run["parent_run_id"]:
        notices.print(f"  retry of {run['parent_run_id']}; the first run was {run['root_run_id']}")
    for retry in run["retried_as"]:
        notices.print(f"  retried as {retry}")


def _show(events: list[HistoryEvent], with_run: bool) -> None:
    has_one_source = len({event.source for event in events if event.source}) < 2
    day = ""
    for event in events:
        if (now := f"{event.time:%Y-%m-%d}") != day:
            day = now
            console.print(f"\n{day} (UTC)" if event.time.utcoffset() is not None else day)
        line = Text(f"{event.time:%H:%M:%S.%f}"[:12] + "  ")
        line.append(f"{event.kind:<15}", style=_COLOURS.get(event.kind, ""))
        line.append(f"{'' if event.seconds is None else f'{event.seconds:.3f} s':>11}")
        line.append(f"{'' if event.cost_usd is None else f'${usd(event.cost_usd)}':>14}  ")
        line.append(f"{event.service}: " if event.service else "")
        line.append(printable(event.message))
        if event.document:
            line.append(f"  {printable(event.document)}", style="cyan")
            if event.source and not has_one_source:
                line.append(f" of {printable(event.source)}", style="dim")
        named = event.request_id or event.client_request_id
        if named:
            line.append(f"  [{printable(named)}]", style="dim")
        if with_run:
            line.append(f"  in {event.run_id[:8]}", style="dim")
        console.print(line)
