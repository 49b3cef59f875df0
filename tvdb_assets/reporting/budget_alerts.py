"""Alerts before a budget is exhausted: thresholds, a forecast, and delivery to a webhook.

What belongs here: recording each threshold once for each budget and day, and delivering the alert.
What does not: refusing paid calls, which needs no alert (`spend_guard.budget`), or Dagster's events
(`dagster.cost_sensor`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString

import httpx2
import psycopg
import stamina

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import usd
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.spend_limits import ALL, limits_now

THRESHOLDS = (50, 80, 100)
"""Percent of a day's budget."""
_DAY = timedelta(days=1)
_MIN_ELAPSED = timedelta(minutes=15)
"""The shortest time since the first call of the day that the pace is computed over."""
_ATTEMPTS = 3
"""Delivery attempts for one alert in one call of `deliver_alerts`."""
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class BudgetPace:
    """The spending of one day's budget, and when it will reach the limit."""

    day: datetime
    now: datetime
    spent_usd: Decimal
    limit_usd: Decimal
    reached_at: datetime | None
    """When the limit will be reached at the pace of the day; None if not before midnight UTC."""
    service: str = ALL
    """The service of the budget; `ALL` for the budget of all services."""

    @property
    def percent(self) -> int:
        """The spent share of the limit, rounded down; 100 if the limit is 0."""
        return int(self.spent_usd * 100 / self.limit_usd) if self.limit_usd else 100

    @property
    def is_over(self) -> bool:
        """Whether the day has ended."""
        return self.now >= self.day + _DAY

    def message(self) -> str:
        """A sentence for people: the spending and the forecast."""
        budget = f" for {self.service}" if self.service else ""
        spent, limit = usd(self.spent_usd), usd(self.limit_usd)
        if self.is_over:
            return (
                f"${spent} of the ${limit}{budget} of {self.day:%Y-%m-%d} were spent or reserved."
            )
        spending = f"${spent} of today's ${limit}{budget} are spent or reserved."
        if self.spent_usd >= self.limit_usd:
            return spending
        if self.reached_at is None:
            return f"{spending} At this pace the limit is not reached today."
        return f"{spending} At this pace the limit is reached at {self.reached_at:%H:%M} UTC."


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold of one day's budget, with the amounts at the time when it was recorded."""

    threshold: int
    pace: BudgetPace

    def body(self) -> bytes:
        """The JSON document that is posted to a webhook."""
        reached = self.pace.reached_at
        return json.dumps(
            {
                "event": "budget_threshold",
                "day": self.pace.day.isoformat(),
                "service": self.pace.service or None,
                "threshold_percent": self.threshold,
                "spent_usd": usd(self.pace.spent_usd),
                "limit_usd": usd(self.pace.limit_usd),
                "limit_reached_at": reached.isoformat() if reached else None,
                "message": self.pace.message(),
            }
        ).encode()


def budget_pace(database: Database, ledger: Ledger) -> BudgetPace:
    """Today's spending on all services, and its forecast."""
    with database.transaction() as tx:
        now = ledger.now(tx)
        limit = limits_now(tx, ledger.settings).daily_usd
        day = _day_of(now)
        [found] = _paces(tx, now, day, {ALL: limit}) or [
            BudgetPace(day, now, Decimal(0), limit, None)
        ]
    return found


def _paces(
    tx: psycopg.Connection[Any], now: datetime, day: datetime, limits: Mapping[str, Decimal]
) -> list[BudgetPace]:
    """The budgets of a day with any spending, at the pace since the first call of the day."""
    rows = tx.execute(
        "SELECT w.scope, w.spent_usd, (SELECT min(l.reserved_at) FROM tvdb.cost_ledger l"
        "  WHERE l.day = w.starts_at AND l.state <> 'voided' AND w.scope IN ('', l.service))"
        " FROM tvdb.budget_windows w WHERE w.period = 'day' AND w.starts_at = %s"
        " AND w.scope = ANY(%s) AND w.spent_usd > 0 ORDER BY w.scope",
        (day, list(limits)),
    ).fetchall()
    return [
        BudgetPace(
            day, now, spent, limits[scope], _forecast(day, now, spent, limits[scope], first), scope
        )
        for scope, spent, first in rows
    ]


def _forecast(
    day: datetime, now: datetime, spent: Decimal, limit: Decimal, first: datetime | None
) -> datetime | None:
    midnight = day + _DAY
    if first is None or now >= midnight:
        return None
    elapsed = max(now - first, _MIN_ELAPSED)
    left = max(Decimal(0), limit - spent)
    seconds = float(left / spent) * elapsed.total_seconds()
    return now + timedelta(seconds=seconds) if seconds < (midnight - now).total_seconds() else None


def record_thresholds(database: Database, ledger: Ledger) -> None:
    """Record the thresholds that were reached today and yesterday, once for each day.

    Yesterday is included, with the limits at its end, because a threshold that was reached in its
    last seconds is recorded only after midnight.
    """
    with database.transaction() as tx:
        now = ledger.now(tx)
        today = _day_of(now)
        for day, limits_until in ((today - _DAY, today), (today, None)):
            limits = limits_now(tx, ledger.settings, limits_until)
            scopes = {ALL: limits.daily_usd, **limits.service_daily_usd}
            for pace in _paces(tx, now, day, scopes):
                tx.execute(
                    "INSERT INTO tvdb.budget_alerts"
                    " (day, scope, threshold, spent_usd, limit_usd, reached_at, recorded_at,"
                    "  next_attempt_at)"
                    " SELECT %s, %s, unnest(%s::int[]), %s, %s, %s, %s, %s"
                    " ON CONFLICT DO NOTHING",
                    (day, pace.service, [n for n in THRESHOLDS if pace.percent >= n])
                    + (pace.spent_usd, pace.limit_usd, pace.reached_at, now, now),
                )


def report_alerts(database: Database, ledger: Ledger, report: Callable[[Alert], None]) -> None:
    """Report each recorded alert once, even if several sensors run at the same time.

    Args:
        database: where alerts are recorded.
        ledger: provides the clock.
        report: called with each alert. If the process ends during the call, a later process calls
            it again: an alert may be reported twice, and is never lost.
    """
    with database.transaction() as tx:
        for alert in _lock_alerts(tx, ledger.now(tx), "reported_at IS NULL"):
            report(alert)
            _update(tx, alert, "reported_at = %(now)s")


def deliver_alerts(database: Database, ledger: Ledger, url: str, secret: str | None) -> list[str]:
    """Post each alert that was not delivered yet to a webhook; later calls retry failures.

    The time between retries doubles from half a minute to an hour. An alert is dropped three days
    after it was recorded.

    A body is signed as ``X-Tvdb-Signature: sha256=<HMAC-SHA256 of timestamp, dot, body>``, with
    the timestamp in ``X-Tvdb-Timestamp``.

    Args:
        database: where alerts are recorded.
        ledger: provides the clock.
        url: the address of the webhook.
        secret: the key of the signature; None sends no signature.

    Returns:
        A message for each failed delivery, without the URL, which may contain a key.
    """
    failures = []
    # The rows stay locked during delivery, so that of two sensors only one posts.
    with database.transaction() as tx:
        now = ledger.now(tx)
        due = _lock_alerts(
            tx,
            now,
            "delivered_at IS NULL AND next_attempt_at <= %(now)s"
            " AND recorded_at > %(now)s - interval '3 days'",
        )
        for alert in due:
            try:
                _post(url, alert.body(), secret, now)
            except httpx2.HTTPError as error:
                budget = alert.pace.service or "all services"
                failures.append(
                    f"the alert of {alert.threshold} % for {budget} was not delivered:"
                    f" {_reason(error)}"
                )
                _update(
                    tx,
                    alert,
                    "attempts = attempts + 1, next_attempt_at = %(now)s"
                    " + least(interval '30 seconds' * 2 ^ least(attempts, 7), interval '1 hour')",
                )
                # A webhook that does not answer would delay the tick once for each alert.
                break
            _update(tx, alert, "attempts = attempts + 1, delivered_at = %(now)s")
    return failures


def _lock_alerts(
    tx: psycopg.Connection[Any], now: datetime, condition: LiteralString
) -> list[Alert]:
    rows = tx.execute(
        "SELECT threshold, day, spent_usd, limit_usd, reached_at, scope FROM tvdb.budget_alerts"
        f" WHERE {condition} ORDER BY day, scope, threshold FOR UPDATE SKIP LOCKED",
        {"now": now},
    ).fetchall()
    return [Alert(threshold, BudgetPace(day, now, *amounts)) for threshold, day, *amounts in rows]


def _update(tx: psycopg.Connection[Any], alert: Alert, changes: LiteralString) -> None:
    tx.execute(
        f"UPDATE tvdb.budget_alerts SET {changes} WHERE day = %(day)s AND scope = %(scope)s"
        " AND threshold = %(threshold)s",
        {
            "now": alert.pace.now,
            "day": alert.pace.day,
            "scope": alert.pace.service,
            "threshold": alert.threshold,
        },
    )


def _day_of(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _post(url: str, body: bytes, secret: str | None, now: datetime) -> None:
    headers = {"Content-Type": "application/json"}
    if secret is not None:
        timestamp = str(int(now.timestamp()))
        signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
        headers["X-Tvdb-Timestamp"] = timestamp
        headers["X-Tvdb-Signature"] = f"sha256={signed.hexdigest()}"
    # A context, not a decorator: a decorator would log the arguments with each retry.
    for attempt in stamina.retry_context(
        on=httpx2.HTTPError, attempts=_ATTEMPTS, timeout=None, wait_max=2.0
    ):
        with attempt, _without_client_log():
            httpx2.post(
                url, content=body, headers=headers, timeout=_TIMEOUT_SECONDS
            ).raise_for_status()


@contextmanager
def _without_client_log() -> Iterator[None]:
    """Suppress the client's log record of each request in this thread: it contains the URL."""
    thread = threading.get_ident()
    logger = logging.getLogger("httpx2")

    def is_of_another_thread(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(is_of_another_thread)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another_thread)


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"status {error.response.status_code}"
    return type(error).__name__


__all__: Sequence[str] = [
    "THRESHOLDS",
    "Alert",
    "BudgetPace",
    "budget_pace",
    "deliver_alerts",
    "record_thresholds",
    "report_alerts",
]
