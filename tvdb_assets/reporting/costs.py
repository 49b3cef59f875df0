"""Summaries of the cost ledger for users: by day, run, document, model and service.

What belongs here: reading the ledger. What does not: writing it (`spend_guard.ledger`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg.rows import dict_row

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.ledger import Ledger


@dataclass(frozen=True, slots=True)
class BudgetSummary:
    """Today's budget of all paid services, and the amount that is left."""

    day: datetime
    """Start of the budget window, in UTC."""
    limit_usd: Decimal
    reserved_usd: Decimal
    """Reserved for calls whose outcome is not known."""
    posted_usd: Decimal
    remaining_usd: Decimal
    """Never below 0."""
    requests_this_hour: dict[str, int]
    """The number of paid requests by service."""


def budget_summary(database: Database, ledger: Ledger, services: Sequence[str]) -> BudgetSummary:
    """The amounts of today's budget.

    Args:
        database: contains the ledger.
        ledger: provides the limits and the clock.
        services: the services whose requests are counted.
    """
    committed = {service: ledger.committed(service) for service in services}
    now = next(iter(committed.values()))
    with database.transaction() as tx:
        row = tx.execute(
            "SELECT coalesce(sum(reserved_usd) FILTER (WHERE state = 'pending'), 0),"
            " coalesce(sum(posted_usd), 0) FROM tvdb.cost_ledger WHERE day = %s",
            (now.day,),
        ).fetchone()
    reserved, posted = row or (Decimal(0), Decimal(0))
    limit = ledger.limits.daily_usd
    return BudgetSummary(
        day=now.day,
        limit_usd=limit,
        reserved_usd=reserved,
        posted_usd=posted,
        remaining_usd=max(Decimal(0), limit - reserved - posted),
        requests_this_hour={s: c.service_hour_requests for s, c in committed.items()},
    )


@dataclass(frozen=True, slots=True)
class DocumentCosts:
    """The cost of one operation on one document."""

    usd: Decimal = Decimal(0)
    requests: int = 0
    """The number of requests that contained a part of the document."""
    units: int = 0
    unit: str = ""
    """``token`` or ``page``."""


def cost_of_documents(
    database: Database, run_id: str, documents: Sequence[str]
) -> dict[tuple[str, str], DocumentCosts]:
    """The cost of documents in a run, by operation (``parse``, ``embed``) and path."""
    with database.transaction() as tx:
        rows = tx.execute(
            "SELECT c.operation, c.document, sum(c.usd), count(DISTINCT c.entry_id),"
            " sum(c.units) FILTER (WHERE c.state <> 'voided'), min(c.unit)"
            " FROM tvdb.cost_entries c WHERE c.run_id = %s AND c.document = ANY(%s) GROUP BY 1, 2",
            (run_id, list(documents)),
        ).fetchall()
    return {
        (operation, document): DocumentCosts(usd, requests, int(units or 0), unit)
        for operation, document, usd, requests, units, unit in rows
    }


@dataclass(frozen=True, slots=True)
class DayCost:
    """The cost of one service on one day."""

    day: str
    """ISO date, UTC."""
    service: str
    usd: Decimal


@dataclass(frozen=True, slots=True)
class CostReport:
    """The sums that the cost report shows."""

    by_day: list[DayCost]
    """The costs of the last 14 days."""
    by_kind: list[tuple[str, Decimal]]
    """US dollars by the suffix of the document's name."""
    most_expensive: list[tuple[str, Decimal, int]]
    """The ten most expensive documents: path, US dollars, requests."""
    wasted_usd: Decimal
    """US dollars paid for responses that were lost or could not be used."""
    saved: list[DayCost]
    """What batch jobs of the last 14 days have saved, against the same texts without a job."""


def cost_report(database: Database, today: datetime) -> CostReport:
    """Sum the ledger for a report on the 14 days that end with ``today``."""
    with database.transaction() as tx:
        days = tx.execute(
            "SELECT to_char(day AT TIME ZONE 'UTC', 'YYYY-MM-DD'), service, sum(usd)"
            " FROM tvdb.cost_by_service WHERE day > %s - interval '14 days' GROUP BY 1, 2"
            " ORDER BY 1, 2",
            (today,),
        ).fetchall()
        kinds = tx.execute(
            "SELECT coalesce(lower(substring(document FROM '\\.[^./]+$')),"
            "  CASE document WHEN '' THEN 'searches' ELSE 'other' END), sum(usd)"
            " FROM tvdb.cost_by_document GROUP BY 1 ORDER BY 2 DESC LIMIT 12"
        ).fetchall()
        most_expensive = tx.execute(
            "SELECT document, usd, requests FROM tvdb.cost_by_document WHERE document <> ''"
            " ORDER BY usd DESC, document LIMIT 10"
        ).fetchall()
        wasted = tx.execute("SELECT coalesce(sum(usd), 0) FROM tvdb.cost_waste").fetchone()
        saved = tx.execute(
            "SELECT to_char(l.day AT TIME ZONE 'UTC', 'YYYY-MM-DD'), l.service,"
            f" {_SAVED} FROM tvdb.cost_ledger l JOIN tvdb.embedding_batches b USING (entry_id)"
            " WHERE l.day > %s - interval '14 days' AND l.state = 'posted' GROUP BY 1, 2"
            " ORDER BY 1, 2",
            (today,),
        ).fetchall()
    return CostReport(
        by_day=[DayCost(*row) for row in days],
        by_kind=kinds,
        most_expensive=most_expensive,
        wasted_usd=wasted[0] if wasted else Decimal(0),
        saved=[DayCost(*row) for row in saved],
    )


def saved_by_batches(database: Database) -> Decimal:
    """US dollars that all batch jobs have saved, against the same texts without a job."""
    with database.transaction() as tx:
        row = tx.execute(
            f"SELECT {_SAVED} FROM tvdb.cost_ledger l JOIN tvdb.embedding_batches b"
            " USING (entry_id) WHERE l.state = 'posted'"
        ).fetchone()
    return Decimal(row[0]) if row else Decimal(0)


def cost_of_runs(database: Database, run_ids: Sequence[str]) -> Decimal:
    """US dollars that runs have spent: posted amounts, and reservations that are not settled."""
    with database.transaction() as tx:
        row = tx.execute(
            "SELECT coalesce(sum(CASE state WHEN 'voided' THEN 0 ELSE"
            " coalesce(posted_usd, reserved_usd) END), 0) FROM tvdb.cost_ledger"
            " WHERE run_id = ANY(%s)",
            (list(run_ids),),
        ).fetchone()
    return Decimal(row[0]) if row else Decimal(0)


def grouped_costs(database: Database, by: str = "day", limit: int = 50) -> list[dict[str, Any]]:
    """The sums of the ledger by group, the newest or most expensive first.

    Args:
        database: contains the ledger.
        by: one of `COST_GROUPS`.
        limit: the maximum number of rows.

    Returns:
        Rows with the name of the group, requests, billed units, and US dollars that are
        reserved, posted and voided.
    """
    with database.transaction() as tx, tx.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_QUERY_BY_GROUP[by], {"limit": limit})
        return cursor.fetchall()


_SAVED = """coalesce(sum(greatest(0, l.quantity * b.unit_usd - l.posted_usd)), 0)"""
"""Of ledger entries ``l`` and their batch jobs ``b``."""
_SUMS = """
    count(*) FILTER (WHERE state <> 'voided' OR http_status IS NOT NULL) AS requests,
    sum(quantity) FILTER (WHERE state = 'posted') AS units,
    coalesce(sum(reserved_usd) FILTER (WHERE state = 'pending'), 0) AS reserved_usd,
    coalesce(sum(posted_usd), 0) AS posted_usd,
    coalesce(sum(reserved_usd) FILTER (WHERE state = 'voided'), 0) AS voided_usd
"""
_QUERY_BY_GROUP = {
    "day": f"SELECT to_char(day AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, service, {_SUMS}"
    " FROM tvdb.cost_ledger GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT %(limit)s",
    "run": f"SELECT run_id AS run, min(reserved_at) AS started, {_SUMS}"
    " FROM tvdb.cost_ledger GROUP BY 1 ORDER BY 2 DESC LIMIT %(limit)s",
    "model": f"SELECT service, model, {_SUMS}"
    " FROM tvdb.cost_ledger GROUP BY 1, 2 ORDER BY posted_usd DESC LIMIT %(limit)s",
    "service": f"SELECT service, operation, {_SUMS}"
    " FROM tvdb.cost_ledger GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %(limit)s",
    "document": "SELECT document, count(DISTINCT entry_id) AS requests, sum(units) AS units,"
    " coalesce(sum(usd) FILTER (WHERE state = 'pending'), 0) AS reserved_usd,"
    " coalesce(sum(usd) FILTER (WHERE state = 'posted'), 0) AS posted_usd, 0 AS voided_usd"
    " FROM tvdb.cost_entries GROUP BY 1 ORDER BY posted_usd DESC, 1 LIMIT %(limit)s",
}
COST_GROUPS = tuple(_QUERY_BY_GROUP)
