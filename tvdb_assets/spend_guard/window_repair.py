"""Budget windows are compared with the ledger, and corrected where they differ.

What belongs here: finding and correcting differences. What does not: the statements that keep both
equal (`ledger_statements`), or who shows a correction (`cli`, `dagster`).

Ledger and windows change in one transaction, so they differ only if something else wrote to one of
them: a restored table, a person, a fault of the disk. The ledger is right: each of its entries was
a request. A window that is too low would let a limit be exceeded, and one that is too high would
stop paid work too early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import class_row

from tvdb_assets import error_codes as codes
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import usd
from tvdb_assets.telemetry import BUDGET_WINDOW_REPAIRED, log_event

Connection: TypeAlias = psycopg.Connection[Any]
RECENT = timedelta(days=1)
"""Windows that begin at most so long before today are compared by each run; the others at night."""
_ONE_DAY = timedelta(days=1)
_EVENT = "budget_window_repaired"


@dataclass(frozen=True, slots=True)
class WindowDifference:
    """A window that did not have the sum of its entries."""

    scope: str
    """A service, or the empty string for all of them."""
    period: str
    """``day`` or ``hour``."""
    starts_at: datetime
    window_usd: Decimal | None
    """US dollars that the window had; None if it was missing."""
    ledger_usd: Decimal
    """US dollars of its entries, which it has now."""
    window_requests: int | None
    ledger_requests: int

    def message(self) -> str:
        """For people."""
        whose = self.scope or "all paid services"
        begins = f"{self.starts_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if self.window_usd is None or self.window_requests is None:
            had = "was missing"
        else:
            had = f"had ${usd(self.window_usd)} and {self.window_requests} requests"
        return (
            f"The budget window of {whose} ({self.period} from {begins}) {had}; the ledger has "
            f"${usd(self.ledger_usd)} and {self.ledger_requests} requests. It was corrected."
        )


def repair_windows(
    database: Database,
    clock: Callable[[Connection], datetime],
    run_id: str,
    *,
    recent: timedelta | None = RECENT,
) -> list[WindowDifference]:
    """Give each window that differs from the ledger the sum of its entries, and report it.

    Args:
        database: of the ledger.
        clock: of the ledger.
        run_id: on the events that report a correction.
        recent: how long before today a window may have begun; None compares all of them.

    Returns:
        What was corrected, oldest first; usually nothing.
    """
    with database.transaction() as tx:
        now = clock(tx).astimezone(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        first = datetime.min.replace(tzinfo=UTC) if recent is None else today - recent
        found = _differences(tx, first, now + _ONE_DAY * 36_500, now)
    repaired: list[WindowDifference] = []
    # A transaction for each day: windows of two days are never locked together.
    for day in sorted({_day(each.starts_at) for each in found}):
        keys = [(e.scope, e.period, e.starts_at) for e in found if _day(e.starts_at) == day]
        with database.transaction() as tx:
            fixed = _repair(tx, day, keys, now)
            _record(tx, fixed, run_id, clock(tx))
        repaired += fixed
    for difference in repaired:
        facts = {
            "service": difference.scope or None,
            "code": codes.BUDGET_WINDOW_DIFFERS.code,
            "period": difference.period,
            "starts_at": difference.starts_at.isoformat(),
        }
        log_event(BUDGET_WINDOW_REPAIRED, difference.message(), facts, run_id=run_id)
    return repaired


def last_repair(database: Database) -> tuple[datetime, str] | None:
    """When a window was corrected last, and the message; None if no event of it is left."""
    with database.transaction() as tx:
        return tx.execute(
            "SELECT happened_at, message FROM tvdb.service_events WHERE kind = %s"
            " ORDER BY event_id DESC LIMIT 1",
            (_EVENT,),
        ).fetchone()


def _repair(
    tx: Connection, day: datetime, keys: Iterable[tuple[str, str, datetime]], now: datetime
) -> list[WindowDifference]:
    # As a reservation does, this locks the day of all services first, then the others in order.
    # An entry that is settled meanwhile is still as it was here, and adds its change afterwards.
    locked = sorted({("", "day", day), *keys})
    tx.cursor().executemany(
        "INSERT INTO tvdb.budget_windows AS w (scope, period, starts_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (scope, period, starts_at) DO UPDATE SET requests = w.requests",
        locked,
    )
    found = [
        each
        for each in _differences(tx, day, day + _ONE_DAY, now)
        if (each.scope, each.period, each.starts_at) in locked
    ]
    tx.cursor().executemany(
        "UPDATE tvdb.budget_windows SET spent_usd = %s, requests = %s"
        " WHERE (scope, period, starts_at) = (%s, %s, %s)",
        [(e.ledger_usd, e.ledger_requests, e.scope, e.period, e.starts_at) for e in found],
    )
    return found


def _record(
    tx: Connection, repaired: Iterable[WindowDifference], run_id: str, now: datetime
) -> None:
    tx.cursor().executemany(
        "INSERT INTO tvdb.service_events (happened_at, run_id, service, kind, code, message)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [
            (now, run_id, each.scope, _EVENT, codes.BUDGET_WINDOW_DIFFERS.code, each.message())
            for each in repaired
        ],
    )


def _differences(
    tx: Connection, first: datetime, end: datetime, now: datetime
) -> list[WindowDifference]:
    with tx.cursor(row_factory=class_row(WindowDifference)) as cursor:
        # Hours before the last ones limit nothing, and are deleted some time.
        cursor.execute(_DIFFERENCES, {"first": first, "end": end, "hours": now - 2 * _ONE_DAY})
        return cursor.fetchall()


def _day(starts_at: datetime) -> datetime:
    return starts_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


_DIFFERENCES = """
WITH entries AS (
    SELECT service, day, hour,
           CASE WHEN state = 'voided' THEN 0 ELSE coalesce(posted_usd, reserved_usd) END AS usd,
           -- Entries of earlier releases do not say when they were sent.
           sent_before IS NOT NULL OR state <> 'voided' OR http_status IS NOT NULL
               OR coalesce(outcome = 'not_billed', false) AS was_sent
    FROM tvdb.cost_ledger WHERE day >= %(first)s AND day < %(end)s
), summed AS (
    SELECT '' AS scope, 'day' AS period, day AS starts_at, sum(usd) AS usd, count(*) AS requests
    FROM entries GROUP BY day
    UNION ALL
    SELECT service, 'day', day, sum(usd), count(*) FROM entries GROUP BY service, day
    UNION ALL
    SELECT service, 'hour', hour, 0, count(*) FILTER (WHERE was_sent)
    FROM entries WHERE hour >= %(hours)s GROUP BY service, hour
), windows AS (
    SELECT scope, period, starts_at, spent_usd, requests FROM tvdb.budget_windows
    WHERE starts_at >= %(first)s AND starts_at < %(end)s
      AND (period = 'day' OR starts_at >= %(hours)s)
)
SELECT scope, period, starts_at, w.spent_usd AS window_usd, coalesce(s.usd, 0) AS ledger_usd,
       w.requests AS window_requests, coalesce(s.requests, 0) AS ledger_requests
FROM summed s FULL JOIN windows w USING (scope, period, starts_at)
WHERE coalesce(w.spent_usd, 0) <> coalesce(s.usd, 0)
   OR coalesce(w.requests, 0) <> coalesce(s.requests, 0)
ORDER BY starts_at, scope, period
"""
