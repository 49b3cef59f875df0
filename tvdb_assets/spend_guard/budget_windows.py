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

from tvdb_assets.spend_guard.budget import CommittedSpend

Connection: TypeAlias = psycopg.Connection[Any]
ALL_SERVICES = ""
"""The scope of the windows that all services share."""
HOUR = timedelta(hours=1)


def lock_windows(
    tx: Connection, service: str, lease: timedelta, now: datetime | None = None
) -> CommittedSpend:
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
    return _read(tx, service, committed.now, lease, lock=True)[0]


def read_windows(
    tx: Connection, service: str, lease: timedelta = HOUR, now: datetime | None = None
) -> CommittedSpend:
    """The amounts of today, and at least the requests of the last hour.

    Args:
        tx: reads the counters.
        service: whose requests are counted.
        lease: the longest time between a reservation and its request.
        now: by the clock of the ledger; None for the database's.
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
    tx: Connection, service: str, now: datetime | None, lease: timedelta, *, lock: bool
) -> tuple[CommittedSpend, bool]:
    """The amounts, and whether all rows exist that a reservation changes."""
    # A request that was reserved so long before this hour may have been sent in the last one.
    span = HOUR + max(HOUR, lease)
    rows = tx.execute(
        _READ_LOCKED if lock else _READ, {"service": service, "now": now, "span": span}
    ).fetchall()
    if rows:
        now = rows[0][0]
    elif now is None:
        ((now,),) = tx.execute("SELECT tvdb.clock()")
    assert now is not None
    utc = now.astimezone(UTC)
    hour = utc.replace(minute=0, second=0, microsecond=0)
    days = {scope: usd for _, scope, period, _, usd, _ in rows if period == "day"}
    hours = {starts_at: requests for *_, period, starts_at, _, requests in rows if period == "hour"}
    committed = CommittedSpend(
        day=hour.replace(hour=0),
        hour=hour,
        now=now,
        day_usd=days.get(ALL_SERVICES, Decimal(0)),
        service_day_usd=days.get(service, Decimal(0)),
        service_hour_requests=sum(hours.values()),
    )
    return committed, len(days) == 2 and hour in hours


# The clock is read by the same statement, which spares every reservation a round trip. All callers
# lock the same rows in the same order, which prevents deadlocks.
_READ = """
WITH clock AS MATERIALIZED (
    SELECT coalesce(%(now)s::timestamptz, tvdb.clock()) AS now
), given AS MATERIALIZED (
    SELECT now, date_trunc('day', now, 'UTC') AS day, date_trunc('hour', now, 'UTC') AS hour
    FROM clock
)
SELECT given.now, w.scope, w.period, w.starts_at, w.spent_usd, w.requests
FROM given JOIN tvdb.budget_windows w
  ON w.scope IN ('', %(service)s) AND (
       w.period = 'day' AND w.starts_at = given.day
    OR w.period = 'hour' AND w.starts_at BETWEEN given.hour - %(span)s AND given.hour)
ORDER BY w.scope, w.period, w.starts_at
"""
_READ_LOCKED = _READ + "FOR UPDATE OF w"
