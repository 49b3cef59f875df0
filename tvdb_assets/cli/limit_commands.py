"""``tvdb limits``, ``pause`` and ``resume``: change spending limits without a restart."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, pairs, print_json, table_of
from tvdb_assets.core.message_counts import counted
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.repositories.batch_texts import BatchTexts
from tvdb_assets.repositories.database import Database
from tvdb_assets.routing.paid_services import paid_services, preset_services, spend_limits_of
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.spend_guard.budget import NO_HOURLY_LIMIT, SpendLimits, usd
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.service_state import reset_refusal
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.spend_guard.spend_limits import ALL, LimitKind, change, changes

_service = click.option(
    "--service",
    type=click.Choice((*paid_services(), *preset_services())),
    help="Only this service.",
)
_DEFAULT = "default"


class _Amount(click.ParamType[Any]):
    """A number of at least 0, or ``default``, which restores the setting."""

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
@click.option(
    "--daily", type=_Amount(), help="US dollars per UTC day; 'default' restores the setting."
)
@click.option("--hourly", type=_Amount(), help="Paid requests per hour and service.")
@_service
@json_option
def limits(
    daily: Decimal | str | None, hourly: Decimal | str | None, service: str | None, as_json: bool
) -> None:
    """Show the spending limits, or change them without a restart.

    A change applies to all processes at once, and outranks the settings until it is restored.
    """
    settings = load_settings()
    with Database.open(settings) as database:
        requested: list[tuple[LimitKind, Decimal | str | None]] = [
            ("daily_usd", daily),
            ("hourly_requests", hourly),
        ]
        for kind, value in requested:
            if value is not None:
                amount = value if isinstance(value, Decimal) else None
                _record(database, settings, kind, amount, service)
        _show(database, settings, as_json)


@click.command()
@_service
@json_option
def pause(service: str | None, as_json: bool) -> None:
    """Stop paid calls.

    Free work continues. Documents that need a paid call wait. Batch jobs are cancelled; what they
    have done is billed and kept.
    """
    _set_pause(Decimal(1), service, as_json)


@click.command()
@_service
@json_option
def resume(service: str | None, as_json: bool) -> None:
    """End a pause of paid calls.

    Services that refused the key or the quota are called again. Waiting documents resume
    automatically while tvdb dev or a Dagster daemon runs, or with the next `tvdb ingest`.
    """
    settings = load_settings()
    with Database.open(settings) as database:
        states = ServiceStates(database)
        for name in [service] if service else paid_services(settings):
            states.change(name, reset_refusal)
    _set_pause(None, service, as_json)


def _set_pause(value: Decimal | None, service: str | None, as_json: bool) -> None:
    settings = load_settings()
    with Database.open(settings) as database:
        _record(database, settings, "is_paused", value, service)
        if value is not None:
            asyncio.run(_cancel_batches(database, settings))
        _show(database, settings, as_json)


async def _cancel_batches(database: Database, settings: Settings) -> None:
    """Cancel the batch jobs that are out, as `batch_sensor` does; it also takes their results."""
    if BatchTexts(database).is_needed():
        async with ServiceRouter(settings, database=database) as router:
            await router.batch_work.advance()


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
        changed_by=_account(),
        run_ids=_active_runs(settings),
    )


def _account() -> str:
    """The account that runs this process; in a container it may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _active_runs(settings: Settings) -> Sequence[str]:
    from dagster import DagsterRunStatus as Status
    from dagster import RunsFilter

    active = [Status.QUEUED, Status.NOT_STARTED, Status.STARTING, Status.STARTED]
    with dagster_instance(settings) as instance:
        return [run.run_id for run in instance.get_runs(RunsFilter(statuses=active))]


def _show(database: Database, settings: Settings, as_json: bool) -> None:
    now = Ledger(database, spend_limits_of(settings)).limits
    newest = changes(database)
    if as_json:
        print_json(
            {
                "daily_usd": usd(now.daily_usd),
                "hourly_requests": now.hourly_requests,
                "services": {
                    service: {
                        "daily_usd": usd(own) if own is not None else None,
                        "hourly_requests": (
                            most
                            if (most := now.requests_an_hour(service)) != NO_HOURLY_LIMIT
                            else None
                        ),
                        "paused": bool(now.paused & {ALL, service}),
                    }
                    for service in paid_services(settings)
                    for own in [now.service_daily_usd.get(service)]
                },
                "paused": ALL in now.paused,
                "changes": [asdict(entry) for entry in newest],
            }
        )
        return
    _show_limits(now, settings)
    if newest:
        table = table_of("changed", "by", "limit", "to", "active runs")
        for entry in newest:
            table.add_row(
                f"{entry.changed_at:%Y-%m-%d %H:%M}",
                entry.changed_by,
                f"{entry.kind.replace('_', ' ')} of {entry.scope or 'all services'}",
                "the setting" if entry.value is None else f"{entry.value.normalize():f}",
                ", ".join(run_id[:8] for run_id in entry.run_ids) or "-",
            )
        console.print()
        console.print(table)


def _show_limits(now: SpendLimits, settings: Settings) -> None:
    if ALL in now.paused:
        console.print("Paid calls are paused.", style="bold yellow")
    table = pairs()
    table.add_row("all services", f"${usd(now.daily_usd)} per day (UTC)")
    for service in paid_services(settings):
        own = now.service_daily_usd.get(service)
        daily = f"${usd(own)} per day, " if own is not None else ""
        paused = " (paused)" if service in now.paused else ""
        most = now.requests_an_hour(service)
        hourly = f"{counted(most, 'request')} per hour" if most != NO_HOURLY_LIMIT else "free"
        table.add_row(service, f"{daily}{hourly}{paused}")
    console.print(table)
