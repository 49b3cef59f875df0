"""Gauges of the state that all processes share: budget, documents by status, circuit breakers.

What belongs here: reading the values. What does not: exporting them (`tracing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal

import psycopg

from tvdb_assets.lifecycle import DocumentStatus
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.tracing import GaugeReading, Trace

_BREAKER_VALUES = {"closed": 0, "half-open": 1, "open": 2}


def publish_gauges(
    trace: Trace,
    database: Database,
    ledger: Ledger,
    states: ServiceStates,
    services: Sequence[str],
) -> None:
    """Set the gauges to the current values. An error of the database does not fail the run.

    Args:
        trace: exports the metrics.
        database: contains ledger and documents.
        ledger: provides the limits and the clock.
        states: the shared states of the services.
        services: the services whose circuit breakers are exported.
    """
    with suppress(psycopg.Error):
        trace.read(_readings(database, ledger, states, services))


def _readings(
    database: Database, ledger: Ledger, states: ServiceStates, services: Sequence[str]
) -> list[GaugeReading]:
    with database.transaction() as tx:
        rows = tx.execute(
            "SELECT status, count(*) FROM tvdb.documents WHERE gone_at IS NULL GROUP BY 1"
        ).fetchall()
    documents = {DocumentStatus.REGISTERED.value: 0, DocumentStatus.DEFERRED.value: 0} | dict(rows)
    spent, limit = ledger.committed("").day_usd, ledger.limits.daily_usd
    left = max(Decimal(0), limit - spent)
    readings = [
        GaugeReading("tvdb.budget.spent", float(spent), "USD"),
        GaugeReading("tvdb.budget.limit", float(limit), "USD"),
        GaugeReading("tvdb.budget.remaining", float(left), "USD"),
    ]
    readings += [
        GaugeReading("tvdb.documents", count, "{document}", {"status": status})
        for status, count in documents.items()
    ]
    for service in services:
        state, now = states.read(service)
        breaker = _BREAKER_VALUES[state.breaker.name(now)]
        readings.append(GaugeReading("tvdb.breaker.state", breaker, "1", {"service": service}))
    return readings
