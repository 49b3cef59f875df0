"""Warnings before a budget is used up: thresholds, a forecast, a webhook.

What belongs here: which threshold is told, once for each budget and window, and delivering it.
What does not: halting, which needs no alert (`budget`), or Dagster's events (`automation`).
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
_LEAST_PACE = timedelta(minutes=15)
"""A shorter time since the day's first call says nothing of its pace."""
_ATTEMPTS = 3
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class BudgetPace:
    """What one day's budget has spent, and where that leads."""

    day: datetime
    now: datetime
    spent_usd: Decimal
    limit_usd: Decimal
    reached_at: datetime | None
    """When the limit is reached at the day's pace; None if not before midnight UTC."""
    service: str = ALL
    """Whose budget it is: a service's own, or that of all together."""

    @property
    def percent(self) -> int:
        """Of the limit, rounded down; 100 where the limit is 0."""
        return int(self.spent_usd * 100 / self.limit_usd) if self.limit_usd else 100

    @property
    def is_over(self) -> bool:
        """Whether the day has ended."""
        return self.now >= self.day + _DAY

    def message(self) -> str:
        """For people: what is spent, and the forecast."""
        whose = f" for {self.service}" if self.service else ""
        spent, limit = usd(self.spent_usd), usd(self.limit_usd)
        if self.is_over:
            return f"${spent} of the ${limit}{whose} of {self.day:%Y-%m-%d} were spent or reserved."
        told = f"${spent} of today's ${limit}{whose} are spent or reserved."
        if self.spent_usd >= self.limit_usd:
            return told
        if self.reached_at is None:
            return f"{told} At this pace the limit is not reached today."
        return f"{told} At this pace the limit is reached at {self.reached_at:%H:%M} UTC."


@dataclass(frozen=True, slots=True)
class Alert:
    """One threshold of one day's budget, with what held when it was noted."""

    threshold: int
    pace: BudgetPace

    def body(self) -> bytes:
        """What is posted to a webhook: JSON."""
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
    """Today's spending over all services and where it leads."""
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
    """The budgets of a day of which something is spent, at the pace since the day's first call."""
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
    elapsed = max(now - first, _LEAST_PACE)
    left = max(Decimal(0), limit - spent)
    seconds = float(left / spent) * elapsed.total_seconds()
    return now + timedelta(seconds=seconds) if seconds < (midnight - now).total_seconds() else None


def note_thresholds(database: Database, ledger: Ledger) -> None:
    """Note the thresholds that were passed today and yesterday, each once in its window.

    Yesterday counts too, by the limits that held when it ended: what was passed in its last
    seconds is seen by a look after midnight, or by one in the morning.
    """
    with database.transaction() as tx:
        now = ledger.now(tx)
        today = _day_of(now)
        for day, until in ((today - _DAY, today), (today, None)):
            limits = limits_now(tx, ledger.settings, until)
            scopes = {ALL: limits.daily_usd, **limits.service_daily_usd}
            for at in _paces(tx, now, day, scopes):
                tx.execute(
                    "INSERT INTO tvdb.budget_alerts"
                    " (day, scope, threshold, spent_usd, limit_usd, reached_at, recorded_at,"
                    "  next_attempt_at)"
                    " SELECT %s, %s, unnest(%s::int[]), %s, %s, %s, %s, %s"
                    " ON CONFLICT DO NOTHING",
                    (day, at.service, [n for n in THRESHOLDS if at.percent >= n])
                    + (at.spent_usd, at.limit_usd, at.reached_at, now, now),
                )


def tell(database: Database, ledger: Ledger, told: Callable[[Alert], None]) -> None:
    """Hand over what was noted and not told yet; of two sensors only one tells an alert.

    Args:
        database: where alerts are noted.
        ledger: with the clock.
        told: called with each alert. If the process dies meanwhile, it is called again by a
            later one: an alert may be told twice then, and is not lost.
    """
    with database.transaction() as tx:
        for alert in _alerts(tx, ledger.now(tx), "reported_at IS NULL"):
            told(alert)
            _update(tx, alert, "reported_at = %(now)s")


def deliver(database: Database, ledger: Ledger, url: str, secret: str | None) -> list[str]:
    """Post what was not delivered yet to a webhook; what fails is tried again by later calls.

    The waits between these double from half a minute to an hour. An alert is given up three
    days after it was noted.

    A body is signed as ``X-Tvdb-Signature: sha256=<HMAC-SHA256 of timestamp, dot, body>``, with
    the timestamp in ``X-Tvdb-Timestamp``.

    Args:
        database: where alerts are noted.
        ledger: with the clock.
        url: of the webhook.
        secret: to sign with; None does not sign.

    Returns:
        Why deliveries failed, in words without the URL, which may hold a key.
    """
    failures = []
    # The rows stay locked meanwhile, so that of two sensors only one posts.
    with database.transaction() as tx:
        now = ledger.now(tx)
        due = _alerts(
            tx,
            now,
            "delivered_at IS NULL AND next_attempt_at <= %(now)s"
            " AND recorded_at > %(now)s - interval '3 days'",
        )
        for alert in due:
            try:
                _post(url, alert.body(), secret, now)
            except httpx2.HTTPError as error:
                whose = alert.pace.service or "all services"
                failures.append(
                    f"the alert of {alert.threshold} % for {whose} was not delivered: {_why(error)}"
                )
                _update(
                    tx,
                    alert,
                    "attempts = attempts + 1, next_attempt_at = %(now)s"
                    " + least(interval '30 seconds' * 2 ^ least(attempts, 7), interval '1 hour')",
                )
                # One that does not answer would hold up the tick once more for each alert.
                break
            _update(tx, alert, "attempts = attempts + 1, delivered_at = %(now)s")
    return failures


def _alerts(tx: psycopg.Connection[Any], now: datetime, which: LiteralString) -> list[Alert]:
    rows = tx.execute(
        "SELECT threshold, day, spent_usd, limit_usd, reached_at, scope FROM tvdb.budget_alerts"
        f" WHERE {which} ORDER BY day, scope, threshold FOR UPDATE SKIP LOCKED",
        {"now": now},
    ).fetchall()
    return [Alert(threshold, BudgetPace(day, now, *held)) for threshold, day, *held in rows]


def _update(tx: psycopg.Connection[Any], alert: Alert, what: LiteralString) -> None:
    tx.execute(
        f"UPDATE tvdb.budget_alerts SET {what} WHERE day = %(day)s AND scope = %(scope)s"
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
    # A context rather than a decorator: that would log the arguments with each retry.
    for attempt in stamina.retry_context(
        on=httpx2.HTTPError, attempts=_ATTEMPTS, timeout=None, wait_max=2.0
    ):
        with attempt, _unlogged():
            httpx2.post(url, content=body, headers=headers, timeout=_SECONDS).raise_for_status()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the client from logging the URL, as it does for each request."""
    thread = threading.get_ident()
    logger = logging.getLogger("httpx2")

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(is_of_another)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another)


def _why(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"status {error.response.status_code}"
    return type(error).__name__


__all__: Sequence[str] = [
    "THRESHOLDS",
    "Alert",
    "BudgetPace",
    "budget_pace",
    "deliver",
    "note_thresholds",
    "tell",
]
