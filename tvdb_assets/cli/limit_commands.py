"""``tvdb limits``, ``pause`` and ``resume``: what may be spent, changed without a restart."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

import click
from rich.table import Table

from tvdb_assets.cli.output import console, print_json
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.repositories.database import Database
from tvdb_assets.routing.paid_services import PAID_SERVICES, limits_of
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.spend_guard.budget import SpendLimits, usd
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.service_state import reset_refusal
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.spend_guard.spend_limits import ALL, LimitKind, change, changes

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
_service = click.option("--service", type=click.Choice(PAID_SERVICES), help="One service alone.")
_DEFAULT = "default"


class _Amount(click.ParamType[Any]):
    """A number of at least 0, or the word that takes a change back."""

    name = f"NUMBER|{_DEFAULT}"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal | str:
        if value == _DEFAULT:
            return _DEFAULT
        try:
            amount = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is neither a number nor '{_DEFAULT}'.", param, ctx)
        if not amount.is_finite() or amount < 0:
            self.fail("must be at least 0", param, ctx)
        return amount


@click.command()
@click.option("--daily", type=_Amount(), help="US dollars a UTC day; 'default' for the setting.")
@click.option("--hourly", type=_Amount(), help="Paid requests an hour and service.")
@_service
@_json
def limits(
    daily: Decimal | str | None, hourly: Decimal | str | None, service: str | None, as_json: bool
) -> None:
    """Show what may be spent, or change it from now on, in all processes, without a restart."""
    settings = load_settings()
    with Database.open(settings) as database:
        asked: list[tuple[LimitKind, Decimal | str | None]] = [
            ("daily_usd", daily),
            ("hourly_requests", hourly),
        ]
        for kind, value in asked:
            if value is not None:
                amount = value if isinstance(value, Decimal) else None
                _record(database, settings, kind, amount, service)
        _show(database, settings, as_json)


@click.command()
@_service
@_json
def pause(service: str | None, as_json: bool) -> None:
    """Pay for nothing from now on; what is free goes on, and what must be paid for waits."""
    _set_pause(Decimal(1), service, as_json)


@click.command()
@_service
@_json
def resume(service: str | None, as_json: bool) -> None:
    """End a pause, and ask services again that refused key or quota.

    What waited goes on by itself while tvdb dev or a daemon runs, or with the next ingest.
    """
    settings = load_settings()
    with Database.open(settings) as database:
        states = ServiceStates(database)
        for name in [service] if service else PAID_SERVICES:
            states.change(name, reset_refusal)
    _set_pause(None, service, as_json)


def _set_pause(value: Decimal | None, service: str | None, as_json: bool) -> None:
    settings = load_settings()
    with Database.open(settings) as database:
        _record(database, settings, "is_paused", value, service)
        _show(database, settings, as_json)


def _record(
    database: Database,
    settings: Settings,
    kind: LimitKind,
    value: Decimal | None,
    service: str | None,
) -> None:
    change(
        database,
        kind,
        value,
        scope=service or ALL,
        changed_by=_who(),
        run_ids=_runs_under_way(settings),
    )


def _who() -> str:
    """The account that runs this; a container's may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _runs_under_way(settings: Settings) -> Sequence[str]:
    from dagster import DagsterRunStatus as Status
    from dagster import RunsFilter

    active = [Status.QUEUED, Status.NOT_STARTED, Status.STARTING, Status.STARTED]
    with dagster_instance(settings) as instance:
        return [run.run_id for run in instance.get_runs(RunsFilter(statuses=active))]


def _show(database: Database, settings: Settings, as_json: bool) -> None:
    now = Ledger(database, limits_of(settings)).limits
    newest = changes(database)
    if as_json:
        print_json(
            {
                "daily_usd": usd(now.daily_usd),
                "hourly_requests": now.hourly_requests,
                "services": {
                    service: {
                        "daily_usd": usd(own) if own is not None else None,
                        "hourly_requests": now.requests_an_hour(service),
                        "paused": bool(now.paused & {ALL, service}),
                    }
                    for service in PAID_SERVICES
                    for own in [now.service_daily_usd.get(service)]
                },
                "paused": ALL in now.paused,
                "changes": [asdict(made) for made in newest],
            }
        )
        return
    _show_limits(now)
    if newest:
        table = Table("changed", "by", "what", "to", "runs", box=None, padding=(0, 2, 0, 0))
        for made in newest:
            table.add_row(
                f"{made.changed_at:%Y-%m-%d %H:%M}",
                made.changed_by,
                f"{made.kind.replace('_', ' ')} of {made.scope or 'all services'}",
                "the setting" if made.value is None else f"{made.value.normalize():f}",
                ", ".join(run_id[:8] for run_id in made.run_ids) or "-",
            )
        console.print()
        console.print(table)


def _show_limits(now: SpendLimits) -> None:
    if ALL in now.paused:
        console.print("Paid calls are paused.", style="bold yellow")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("all services", f"${usd(now.daily_usd)} a day (UTC)")
    for service in PAID_SERVICES:
        own = now.service_daily_usd.get(service)
        daily = f"${usd(own)} a day, " if own is not None else ""
        paused = " (paused)" if service in now.paused else ""
        table.add_row(service, f"{daily}{now.requests_an_hour(service):,} requests an hour{paused}")
    console.print(table)
