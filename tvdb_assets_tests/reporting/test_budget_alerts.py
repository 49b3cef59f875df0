"""Budget alerts: each threshold once a day, the arithmetic of the forecast, and the webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
import stamina

from tvdb_assets.reporting.budget_alerts import (
    Alert,
    BudgetPace,
    budget_pace,
    deliver_alerts,
    record_thresholds,
    report_alerts,
)
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.spend_limits import change
from tvdb_assets_tests.spend_guard.ledger_rows import DAY, Paying

SECRET = "the secret of the webhook"


class Webhook:
    """A webhook on loopback that answers with given statuses and records its requests."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        """The statuses of the next answers; 200 after the last one."""
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                webhook.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(webhook.statuses.pop(0) if webhook.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Logs nothing, so that the output of the test stays readable."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?key=of-the-hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _no_wait_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def paying(database: Database) -> Paying:
    return Paying(database)


def now(paying: Paying) -> BudgetPace:
    return budget_pace(paying.database, paying.ledger)


def alerts(paying: Paying) -> list[Alert]:
    """The alerts that one tick of the sensor reports."""
    reported: list[Alert] = []
    record_thresholds(paying.database, paying.ledger)
    report_alerts(paying.database, paying.ledger, reported.append)
    return reported


def thresholds(paying: Paying) -> list[int]:
    return [alert.threshold for alert in alerts(paying)]


def post(paying: Paying, webhook: Webhook | str, secret: str | None = SECRET) -> list[str]:
    record_thresholds(paying.database, paying.ledger)
    url = webhook if isinstance(webhook, str) else webhook.url
    return deliver_alerts(paying.database, paying.ledger, url, secret)


def posted(webhook: Webhook) -> list[int]:
    return [json.loads(body)["threshold_percent"] for _, body in webhook.received]


def test_each_threshold_is_reported_once_a_day(paying: Paying) -> None:
    steps = []
    for tokens in (499, 1, 299, 1, 199, 1):  # cents: 4.99, 5.00, 7.99, 8.00, 9.99, 10.00
        paying.pay(tokens)
        steps.append((thresholds(paying), thresholds(paying)))
    assert steps == [([], []), ([50], []), ([], []), ([80], []), ([], []), ([100], [])]

    paying.now += timedelta(days=1)
    assert thresholds(paying) == []
    paying.pay(850)
    assert thresholds(paying) == [50, 80]
    assert thresholds(paying) == []


def test_two_concurrent_sensors_report_each_threshold_once(paying: Paying) -> None:
    paying.pay(1_000)
    start = threading.Barrier(2)

    def tick() -> list[int]:
        start.wait()
        return thresholds(paying)

    with ThreadPoolExecutor(2) as sensors:
        both = [future.result() for future in [sensors.submit(tick) for _ in range(2)]]
    assert sorted([*both[0], *both[1]]) == [50, 80, 100]


def test_the_forecast_uses_the_pace_since_the_first_call(paying: Paying) -> None:
    paying.pay(200)  # at 08:00
    paying.now += timedelta(hours=2)
    paying.pay(300)
    # $5.00 in 2 hours; $5.00 are left, which is 2 more hours: 10:00 + 2 h.
    assert now(paying).reached_at == DAY + timedelta(hours=12)
    assert now(paying).message() == (
        "$5.00 of today's $10.00 are spent or reserved."
        " At this pace the limit is reached at 12:00 UTC."
    )
    # $5.00 in 7 hours; $5.00 are left, so 7 more: 15:00 + 7 h = 22:00, still today.
    paying.now = DAY + timedelta(hours=15)
    assert now(paying).reached_at == DAY + timedelta(hours=22)
    # At 16:30 it is 8.5 hours, so 8.5 more: 01:00 of tomorrow, in the next window.
    paying.now = DAY + timedelta(hours=16, minutes=30)
    assert now(paying).reached_at is None
    assert "not reached today" in now(paying).message()


def test_the_pace_is_computed_over_at_least_15_minutes(paying: Paying) -> None:
    paying.pay(100)
    paying.now += timedelta(minutes=1)
    # $1.00 counts as 15 minutes' worth: $9.00 are left, 135 minutes.
    assert now(paying).reached_at == paying.now + timedelta(minutes=135)


def test_without_spending_there_is_no_forecast_and_a_limit_of_zero_is_reached(
    database: Database,
) -> None:
    assert now(Paying(database)).reached_at is None
    assert now(Paying(database)).percent == 0
    assert now(Paying(database, "0")).percent == 100


def test_a_service_with_its_own_limit_has_its_own_alerts(paying: Paying, webhook: Webhook) -> None:
    change(paying.database, "daily_usd", Decimal("2.00"), scope="openai", changed_by="ada")
    paying.pay(400, service="llamaparse")
    paying.pay(160)
    # $1.60 of openai's $2.00, and $5.60 of all $10.00; llamaparse has no own limit.
    seen = {(alert.pace.service, alert.threshold) for alert in alerts(paying)}
    assert seen == {("", 50), ("openai", 50), ("openai", 80)}
    assert post(paying, webhook) == []
    bodies = [json.loads(body) for _, body in webhook.received]
    assert [(b["service"], b["spent_usd"], b["limit_usd"]) for b in bodies] == [
        (None, "5.60", "10.00"),
        ("openai", "1.60", "2.00"),
        ("openai", "1.60", "2.00"),
    ]
    assert "today's $2.00 for openai" in bodies[1]["message"]
    assert alerts(paying) == []


def test_a_threshold_reached_just_before_midnight_is_reported_after_it(
    paying: Paying, webhook: Webhook
) -> None:
    paying.now = DAY + timedelta(hours=23, minutes=59, seconds=59)
    paying.pay(800)
    paying.now += timedelta(seconds=20)
    # A change of today does not apply to yesterday.
    with paying.database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.limit_changes (scope, kind, value, changed_by, changed_at, run_ids)"
            " VALUES ('', 'daily_usd', 1, 'ada', %s, '{}')",
            (DAY + timedelta(days=1, seconds=5),),
        )
    seen = alerts(paying)
    assert [(alert.threshold, alert.pace.day) for alert in seen] == [(50, DAY), (80, DAY)]
    assert seen[0].pace.message() == "$8.00 of the $10.00 of 2026-03-01 were spent or reserved."
    assert post(paying, webhook) == []
    assert posted(webhook) == [50, 80]
    # Older days are not checked.
    paying.now += timedelta(days=2)
    paying.pay(1)
    assert thresholds(paying) == []


def test_an_alert_is_reported_again_after_a_sensor_was_killed(paying: Paying) -> None:
    paying.pay(500)
    record_thresholds(paying.database, paying.ledger)

    def is_killed(alert: Alert) -> None:
        raise KeyboardInterrupt(alert.threshold)

    with pytest.raises(KeyboardInterrupt):
        report_alerts(paying.database, paying.ledger, is_killed)
    assert thresholds(paying) == [50]
    assert thresholds(paying) == []


def test_the_webhook_receives_each_threshold_signed(paying: Paying, webhook: Webhook) -> None:
    paying.pay(800)
    assert post(paying, webhook) == []
    assert post(paying, webhook) == []

    bodies = [json.loads(body) for _, body in webhook.received]
    assert [body["threshold_percent"] for body in bodies] == [50, 80]
    assert bodies[0]["spent_usd"] == "8.00"
    assert bodies[0]["limit_usd"] == "10.00"
    for headers, body in webhook.received:
        stamp = headers["x-tvdb-timestamp"]
        assert stamp == str(int(paying.now.timestamp()))
        expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256)
        assert headers["x-tvdb-signature"] == f"sha256={expected.hexdigest()}"


def test_without_a_secret_there_is_no_signature(paying: Paying, webhook: Webhook) -> None:
    paying.pay(500)
    assert post(paying, webhook, None) == []
    [(headers, _)] = webhook.received
    assert not any(name.startswith("x-tvdb") for name in headers)


def test_a_delivery_with_status_500_is_retried(paying: Paying, webhook: Webhook) -> None:
    paying.pay(500)
    webhook.statuses = [500, 503]
    assert post(paying, webhook) == []
    assert len(webhook.received) == 3


def test_a_failed_delivery_is_repeated_later_with_the_recorded_amounts(
    paying: Paying, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    paying.pay(500)
    webhook.statuses = [500] * 3
    failures = post(paying, webhook)
    assert failures == ["the alert of 50 % for all services was not delivered: status 500"]
    # Not immediately.
    assert post(paying, webhook) == []
    paying.now += timedelta(seconds=30)
    [failure] = post(paying, "http://127.0.0.1:9/hook?key=of-the-hook")
    assert failure.startswith("the alert of 50 % for all services was not delivered: Connect")
    assert len(webhook.received) == 3

    # The next day has its own thresholds.
    paying.now += timedelta(days=1)
    paying.pay(800)
    assert post(paying, webhook) == []
    bodies = [json.loads(body) for _, body in webhook.received[3:]]
    assert [(body["day"][:10], body["threshold_percent"]) for body in bodies] == [
        ("2026-03-01", 50),
        ("2026-03-02", 50),
        ("2026-03-02", 80),
    ]
    assert bodies[0]["spent_usd"] == "5.00"
    logged = "".join(str(vars(record)) for record in caplog.records) + caplog.text
    assert "of-the-hook" not in logged + "".join(failures) + failure
    assert SECRET not in logged


def test_two_concurrent_sensors_deliver_once(paying: Paying, webhook: Webhook) -> None:
    paying.pay(1_000)
    record_thresholds(paying.database, paying.ledger)
    start = threading.Barrier(2)

    def tick() -> list[str]:
        start.wait()
        return deliver_alerts(paying.database, paying.ledger, webhook.url, SECRET)

    with ThreadPoolExecutor(2) as sensors:
        both = [future.result() for future in [sensors.submit(tick) for _ in range(2)]]
    assert both == [[], []]
    assert sorted(posted(webhook)) == [50, 80, 100]


def test_retries_become_less_frequent_and_end_after_three_days(
    paying: Paying, webhook: Webhook
) -> None:
    paying.pay(500)
    webhook.statuses = [500] * 1_000
    began, tried = paying.now, []
    while paying.now < began + timedelta(days=4):
        if post(paying, webhook):
            tried.append(paying.now - began)
        # A sensor ticks each minute; from the fourth hour on, every twentieth is as good.
        is_early = paying.now < began + timedelta(hours=4)
        paying.now += timedelta(minutes=1 if is_early else 20)
    waits = [int((b - a).total_seconds() / 60) for a, b in pairwise(tried)]
    assert waits[:9] == [1, 1, 2, 4, 8, 16, 32, 60, 60]
    assert timedelta(days=2, hours=23) < tried[-1] < timedelta(days=3)
