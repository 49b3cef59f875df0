"""Warnings before a budget is used up: thresholds, a forecast, a webhook.

What belongs here: which threshold is told, once in each window, and delivering it. What does
not: halting, which needs no alert (`budget`), or Dagster's events (`automation`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import httpx2
import stamina

from tvdb_assets.guard.budget import usd
from tvdb_assets.guard.ledger import Ledger
from tvdb_assets.storage.database import Database

THRESHOLDS = (50, 80, 100)
"""Percent of a day's budget."""
_LEAST_PACE = timedelta(minutes=15)
"""A shorter time since the day's first call says nothing of its pace."""
_ATTEMPTS = 3
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What today was spent, and where that leads."""

    day: datetime
    now: datetime
    spent_usd: Decimal
    limit_usd: Decimal
    reached_at: datetime | None
    """When the limit is reached at today's pace; None if not before midnight UTC."""

    @property
    def percent(self) -> int:
        """Of the limit, rounded down; 100 where the limit is 0."""
        return int(self.spent_usd * 100 / self.limit_usd) if self.limit_usd else 100

    def words(self) -> str:
        """For people: what is spent, and the forecast."""
        told = f"${usd(self.spent_usd)} of today's ${usd(self.limit_usd)} are spent or reserved."
        if self.spent_usd >= self.limit_usd:
            return told
        if self.reached_at is None:
            return f"{told} At this pace the limit is not reached today."
        return f"{told} At this pace the limit is reached at {self.reached_at:%H:%M} UTC."


@dataclass(frozen=True, slots=True)
class Alert:
    """One threshold of one day."""

    day: datetime
    threshold: int
    pace: Pace

    def body(self) -> bytes:
        """What is posted to a webhook: JSON."""
        reached = self.pace.reached_at
        return json.dumps(
            {
                "event": "budget_threshold",
                "day": self.day.isoformat(),
                "threshold_percent": self.threshold,
                "spent_usd": usd(self.pace.spent_usd),
                "limit_usd": usd(self.pace.limit_usd),
                "limit_reached_at": reached.isoformat() if reached else None,
                "message": self.pace.words(),
            }
        ).encode()


def pace(database: Database, ledger: Ledger) -> Pace:
    """Today's spending and where it leads, at the pace since the day's first call."""
    committed = ledger.committed("")
    limit = ledger.limits.daily_usd
    with database.transaction() as tx:
        now = ledger.now(tx)
        row = tx.execute(
            "SELECT min(reserved_at) FROM tvdb.cost_ledger WHERE day = %s AND state <> 'voided'",
            (committed.day,),
        ).fetchone()
    reached = None
    if row is not None and row[0] is not None and committed.day_usd:
        elapsed = max(now - row[0], _LEAST_PACE)
        left = max(Decimal(0), limit - committed.day_usd)
        seconds = float(left / committed.day_usd) * elapsed.total_seconds()
        midnight = committed.day + timedelta(days=1)
        if seconds < (midnight - now).total_seconds():
            reached = now + timedelta(seconds=seconds)
    return Pace(committed.day, now, committed.day_usd, limit, reached)


def note_thresholds(database: Database, at: Pace) -> list[Alert]:
    """Thresholds that are passed and were not told in this window; each is returned once."""
    passed = [threshold for threshold in THRESHOLDS if at.percent >= threshold]
    with database.transaction() as tx:
        rows = tx.execute(
            "INSERT INTO tvdb.budget_alerts (day, scope, threshold)"
            " SELECT %s, '', unnest(%s::int[]) ON CONFLICT DO NOTHING RETURNING threshold",
            (at.day, passed),
        ).fetchall()
    return [Alert(at.day, threshold, at) for (threshold,) in sorted(rows)]


def deliver(
    database: Database, at: Pace, url: str, secret: str | None, most_attempts: int = 50
) -> list[str]:
    """Post what was not delivered yet to a webhook; what fails is tried again at the next call.

    A body is signed as ``X-Tvdb-Signature: sha256=<HMAC-SHA256 of timestamp, dot, body>``, with
    the timestamp in ``X-Tvdb-Timestamp``.

    Args:
        database: where alerts are noted.
        at: today's pace.
        url: of the webhook.
        secret: to sign with; None does not sign.
        most_attempts: calls after which an alert is given up.

    Returns:
        Why deliveries failed, in words without the URL, which may hold a key.
    """
    failures = []
    # The rows stay locked meanwhile, so that of two sensors only one posts.
    with database.transaction() as tx:
        rows = tx.execute(
            "SELECT threshold FROM tvdb.budget_alerts WHERE delivered_at IS NULL AND day = %s"
            " AND attempts < %s ORDER BY threshold FOR UPDATE SKIP LOCKED",
            (at.day, most_attempts),
        ).fetchall()
        for (threshold,) in rows:
            is_delivered = True
            try:
                _post(url, Alert(at.day, threshold, at).body(), secret, at.now)
            except httpx2.HTTPError as error:
                is_delivered = False
                failures.append(f"the alert of {threshold} % was not delivered: {_why(error)}")
            tx.execute(
                "UPDATE tvdb.budget_alerts SET attempts = attempts + 1,"
                " delivered_at = CASE WHEN %s THEN tvdb.clock() END"
                " WHERE day = %s AND threshold = %s",
                (is_delivered, at.day, threshold),
            )
    return failures


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


__all__: Sequence[str] = ["THRESHOLDS", "Alert", "Pace", "deliver", "note_thresholds", "pace"]
