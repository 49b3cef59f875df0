"""The counters that a reservation is checked against: dollars of the day, requests of the hour.

What belongs here: reading the counters, with or without their locks. What does not: whether an
amount fits (`budget`), or the statements that change counters and ledger together
(`ledger_statements`).

The day is a UTC day. The hour slides: it is always the last 60 minutes. The counters of the clock
hours that it touches are an upper bound of its requests, and cost nothing, as they are read with
the day's. Only if that bound reaches the limit are the entries of the ledger counted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import dict_row

from tvdb_assets.spend_guard.budget import CommittedSpend

Connection: TypeAlias = psycopg.Connection[Any]
ALL_SERVICES = ""
"""The scope of the windows that all services share."""
HOUR = timedelta(hours=1)


def lock_windows(tx: Connection, service: str, now: datetime, lease: timedelta) -> CommittedSpend:
    """As `read_windows`, with the counters locked until the transaction ends."""
    committed, is_whole = _read(tx, service, now, lease, lock=True)
    if is_whole:
        return committed
    # The first caller in a window adds its rows; the second one finds them, or waits for them.
    # A row that was added meanwhile is locked too, which prevents deadlocks here as well.
    tx.cursor().executemany(
        "INSERT INTO tvdb.budget_windows AS w (scope, period, starts_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (scope, period, starts_at) DO UPDATE SET requests = w.requests",
        [
            (ALL_SERVICES, "day", committed.day),
            (service, "day", committed.day),
            (service, "hour", committed.hour),
        ],
    )
    return _read(tx, service, now, lease, lock=True)[0]


def read_windows(
    tx: Connection, service: str, now: datetime, lease: timedelta = HOUR
) -> CommittedSpend:
    """The amounts of today, and at least the requests of the last hour.

    Args:
        tx: reads the counters.
        service: whose requests are counted.
        now: by the clock of the ledger.
        lease: the longest time between a reservation and its request.
    """
    return _read(tx, service, now, lease, lock=False)[0]


def count_requests(
    tx: Connection, committed: CommittedSpend, service: str, limit: int, lease: timedelta = HOUR
) -> CommittedSpend:
    """The same amounts, with the exact number of requests of the last hour.

    A request counts from its reservation until an hour after its answer, or after the end of its
    lease if no answer is known. So no 60 minutes contain more requests than the limit, whenever
    within this time the service received them.
    """
    now = committed.now or committed.hour
    row = tx.execute(
        "WITH counted AS NOT MATERIALIZED (SELECT sent_before FROM tvdb.cost_ledger"
        "   WHERE service = %(service)s AND sent_before > %(since)s"
        # Later than any lease: the clock was ahead, and was set back since.
        "     AND sent_before <= %(until)s)"
        " SELECT (SELECT count(*) FROM counted), (SELECT sent_before FROM counted"
        "   ORDER BY sent_before DESC OFFSET %(offset)s LIMIT 1)",
        {
            "service": service,
            "since": now - HOUR,
            "until": now + max(HOUR, lease),
            "offset": max(0, limit - 1),
        },
    ).fetchone()
    assert row is not None
    requests, last_within_limit = row
    return replace(
        committed,
        service_hour_requests=requests,
        next_request_at=last_within_limit + HOUR if last_within_limit and limit else None,
    )


def _read(
    tx: Connection, service: str, now: datetime, lease: timedelta, *, lock: bool
) -> tuple[CommittedSpend, bool]:
    """The amounts, and whether all rows exist that a reservation changes."""
    utc = now.astimezone(UTC)
    day = utc.replace(hour=0, minute=0, second=0, microsecond=0)
    hour = utc.replace(minute=0, second=0, microsecond=0)
    with tx.cursor(row_factory=dict_row) as cursor:
        # All callers lock the same rows in the same order, which prevents deadlocks.
        cursor.execute(
            "SELECT scope, period, starts_at, spent_usd, requests FROM tvdb.budget_windows"
            " WHERE (scope, period, starts_at) IN"
            "   (('', 'day', %(day)s), (%(service)s, 'day', %(day)s))"
            "  OR (scope = %(service)s AND period = 'hour'"
            "      AND starts_at BETWEEN %(first_hour)s AND %(hour)s)"
            " ORDER BY scope, period, starts_at" + (" FOR UPDATE" if lock else ""),
            {
                "service": service,
                "day": day,
                "hour": hour,
                # A request that was reserved in this hour may have been sent in the last one.
                "first_hour": hour - HOUR - max(HOUR, lease),
            },
        )
        rows = cursor.fetchall()
    days = {row["scope"]: row["spent_usd"] for row in rows if row["period"] == "day"}
    hours = [row for row in rows if row["period"] == "hour"]
    committed = CommittedSpend(
        day=day,
        hour=hour,
        now=now,
        day_usd=days.get(ALL_SERVICES, Decimal(0)),
        service_day_usd=days.get(service, Decimal(0)),
        service_hour_requests=sum(row["requests"] for row in hours),
    )
    return committed, len(days) == 2 and any(row["starts_at"] == hour for row in hours)
