"""What metrics show of the present: budget, queue and breakers, as all processes share them.

What belongs here: reading them. What does not: exporting (`tracing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal

import psycopg

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.tracing import GaugeReading, Trace

_BREAKER = {"closed": 0, "half-open": 1, "open": 2}


def publish(
    trace: Trace,
    database: Database,
    ledger: Ledger,
    states: ServiceStates,
    services: Sequence[str],
) -> None:
    """Set the gauges to what holds now; what can't be read is not shown, and ends no run.

    Args:
        trace: whose metrics are set.
        database: of ledger and documents.
        ledger: with the limits and the clock.
        states: of the services.
        services: whose breakers are shown.
    """
    with suppress(psycopg.Error):
        trace.read(_readings(database, ledger, states, services))


def _readings(
    database: Database, ledger: Ledger, states: ServiceStates, services: Sequence[str]
) -> list[GaugeReading]:
    with database.transaction() as tx:
        rows = tx.execute("SELECT status, count(*) FROM tvdb.documents GROUP BY 1").fetchall()
    queue = {"registered": 0, "deferred": 0} | dict(rows)
    spent, limit = ledger.committed("").day_usd, ledger.limits.daily_usd
    left = max(Decimal(0), limit - spent)
    made = [
        GaugeReading("tvdb.budget.spent", float(spent), "USD"),
        GaugeReading("tvdb.budget.limit", float(limit), "USD"),
        GaugeReading("tvdb.budget.remaining", float(left), "USD"),
    ]
    made += [
        GaugeReading("tvdb.documents", count, "{document}", {"status": status})
        for status, count in queue.items()
    ]
    for service in services:
        state, now = states.read(service)
        breaker = _BREAKER[state.breaker.name(now)]
        made.append(GaugeReading("tvdb.breaker.state", breaker, "1", {"service": service}))
    return made
