"""The effects of each failure of a paid service: error, cost, retries and circuit breaker.

What belongs here: one row for each status, code and connection failure of OpenAI and LlamaParse.
What does not: batches and halving (`test_paid_batches`), outages in an ingestion
(`ingestion/test_hybrid_mode`).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from tvdb_assets.errors import ConfigurationError, Disposition, TvdbError
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import load_settings
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge, FailureKind
from tvdb_assets.spend_guard.http_failures import retry_after
from tvdb_assets_tests.embedding.failure_table import (
    ATTEMPTS,
    BOTH,
    HTML,
    LLAMAPARSE,
    OPENAI,
    SERVICE_MESSAGE,
    Row,
    llamaparse_error,
)
from tvdb_assets_tests.paid_apis import running_server
from tvdb_assets_tests.paid_router import Clock, FixedResponse, FixedResponses, PaidServicesFixture

TEXT = "The insured pays."
FILE = b"<!doctype html><p>The insured pays.</p>"
SERVICES = {"openai": "OpenAI", "llamaparse": "LlamaParse"}


@pytest.fixture
def paid(paid_in_shared: PaidServicesFixture) -> PaidServicesFixture:
    """All tests of this file share one database, because the table has hundreds of rows."""
    return paid_in_shared


async def pay(router: ServiceRouter, service: str) -> TvdbError:
    """Send one paid call, and return the error that it raises."""
    with pytest.raises(TvdbError) as caught:
        if service == "openai":
            done = await router.embed([TEXT])
            raise done.errors[0]
        await router.parse_paid(FILE, "a.html", "text/html", 2)
    return caught.value


def rows(service: str) -> list[Any]:
    own = OPENAI if service == "openai" else LLAMAPARSE
    return [pytest.param(service, row, id=f"{service} {name}") for name, row in
            {**BOTH, **own}.items()]  # fmt: skip


@pytest.mark.parametrize(("service", "row"), [*rows("openai"), *rows("llamaparse")])
def test_each_failure_has_the_effects_in_the_table(
    paid: PaidServicesFixture, service: str, row: Row
) -> None:
    transport = paid.transport = FixedResponses(row.response)

    error = paid.use(lambda router: pay(router, service), paid_attempts=ATTEMPTS)

    assert (type(error).__name__, error.code) == (row.error, row.code)
    assert error.disposition is row.disposition
    assert error.remedy
    reported = f"{error!s} {error!r} {error.message} {error.remedy}"
    assert SERVICE_MESSAGE not in reported
    assert "Just a moment" not in reported
    failure = error.__cause__
    assert isinstance(failure, CallFailed)
    assert (failure.kind, failure.charge, failure.was_sent) == (row.kind, row.charge, row.was_sent)
    assert failure.retry_after == row.retry_after
    assert failure.status == (
        row.response.status if isinstance(row.response, FixedResponse) else None
    )
    if isinstance(row.response, FixedResponse) and "x-request-id" in row.response.headers:
        assert failure.request_id == "req_1"
    assert failure.__cause__ is not None, "the exception of the client is lost"
    assert len(transport.requests) == row.calls

    settled = "posted" if row.charge is Charge.BOUND else "voided"
    assert paid.ledger() == [(settled, row.outcome or row.code)] * row.calls
    assert paid.hourly(service) == (row.calls if row.was_sent else 0)
    [(reserved,)] = paid.rows("SELECT sum(reserved_usd) FROM tvdb.cost_ledger")
    assert paid.spent == (reserved if row.charge is Charge.BOUND else 0)
    state = paid.state(service)
    counts = row.kind is FailureKind.UNAVAILABLE
    assert state.breaker.failures == (row.calls if counts else 0)
    assert (state.refusal is not None) == (row.kind is FailureKind.REFUSED)
    assert SERVICE_MESSAGE not in str(state)


POLLS: dict[str, tuple[FixedResponse | Exception, str, str, int]] = {
    "500": (llamaparse_error(500), "UnavailableError", "service_unavailable", ATTEMPTS),
    "reset": (httpx2.ReadError("x"), "UnavailableError", "service_unavailable", ATTEMPTS),
    "429": (llamaparse_error(429), "RateError", "rate_limited", ATTEMPTS),
    "401": (llamaparse_error(401), "RefusedError", "key_refused", 1),
    "400": (llamaparse_error(400), "ParseError", "document_refused", 2),
    "html": (FixedResponse(200, HTML), "UnavailableError", "bad_answer", ATTEMPTS),
    "no status": (FixedResponse(200, b'{"job": {}}'), "UnavailableError", "bad_answer", ATTEMPTS),
    "unknown": (
        FixedResponse(200, b'{"job": {"status": "ARCHIVED"}}'),
        "UnavailableError",
        "bad_answer",
        ATTEMPTS,
    ),
    "no pages": (
        FixedResponse(200, b'{"job": {"status": "COMPLETED"}}'),
        "UnavailableError",
        "bad_answer",
        ATTEMPTS,
    ),
    "odd pages": (
        FixedResponse(200, b'{"job": {"status": "COMPLETED"}, "markdown": {"pages": [1]}}'),
        *("UnavailableError", "bad_answer", ATTEMPTS),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", POLLS)
def test_a_failed_poll_costs_nothing_and_keeps_the_reservation_of_the_job(
    paid: PaidServicesFixture, case: str
) -> None:
    answer, error_class, code, polls = POLLS[case]
    transport = paid.transport = FixedResponses(FixedResponse(200, b'{"id": "pjb-1"}'), answer)

    error = paid.use(lambda router: pay(router, "llamaparse"))

    assert (type(error).__name__, error.code) == (error_class, code)
    assert len(transport.requests) == 1 + polls
    assert paid.ledger() == [("pending", None)]
    assert paid.spent == Decimal("0.0075")  # 2 pages of 3 credits at $1.25 / 1,000
    assert paid.hourly("llamaparse") == 1

    # The job is polled again, and not submitted again.
    paid.clock.forward(1_000)
    good = {"success": True, "markdown": "# Policy\n\nThe insured pays."}
    done = {
        "job": {"status": "COMPLETED", "usage": {"credits": 3.0}},
        "markdown": {"pages": [good]},
    }
    again = paid.transport = FixedResponses(FixedResponse(200, json.dumps(done).encode()))
    parsed = paid.use(lambda router: router.parse_paid(FILE, "a.html", "text/html", 2))

    assert parsed.text.strip() == good["markdown"]
    assert [request.method for request in again.requests] == ["GET"]
    assert paid.ledger() == [("posted", "answered")]
    assert paid.spent == Decimal("0.00375")


def test_an_unknown_job_fails_only_its_document(
    paid: PaidServicesFixture,
) -> None:
    paid.transport = FixedResponses(
        FixedResponse(200, b'{"id": "pjb-1"}'), llamaparse_error(404, "Parse job not found")
    )

    error = paid.use(lambda router: pay(router, "llamaparse"))

    assert (type(error).__name__, error.code) == ("ParseError", "parse_job_lost")
    assert error.disposition is Disposition.TRANSIENT
    assert paid.state("llamaparse").refusal is None
    assert paid.ledger() == [("posted", "lost")]
    assert paid.rows("SELECT state FROM tvdb.parse_jobs") == [("failed",)]


@pytest.mark.parametrize("billed", ["NaN", "-3", "Infinity", "1e300", "true", '"3"', "null"])
def test_invalid_credits_count_as_the_upper_bound(paid: PaidServicesFixture, billed: str) -> None:
    page = '{"success": true, "markdown": "The insured pays."}'
    done = f'{{"job": {{"status": "COMPLETED", "usage": {{"credits": {billed}}}}},' \
        f' "markdown": {{"pages": [{page}]}}}}'  # fmt: skip
    paid.transport = FixedResponses(
        FixedResponse(200, b'{"id": "pjb-1"}'), FixedResponse(200, done.encode())
    )

    parsed = paid.use(lambda router: router.parse_paid(FILE, "a.html", "text/html", 2))

    assert parsed.text.strip() == "The insured pays."
    assert paid.spent == Decimal("0.0075")


@pytest.mark.parametrize("tokens", ["-1", "1.5", "true", '"4"', "null", str(2**63), str(2**62)])
def test_invalid_token_usage_counts_as_the_upper_bound(
    paid: PaidServicesFixture, tokens: str
) -> None:
    vector = [{"index": 0, "embedding": [1.0] * 1_536}]
    body = f'{{"data": {json.dumps(vector)}, "usage": {{"total_tokens": {tokens}}}}}'
    paid.transport = FixedResponses(
        FixedResponse(200, body.encode(), {"content-type": "application/json"})
    )

    done = paid.use(lambda router: router.embed([TEXT]))

    assert not done.errors
    assert paid.ledger() == [("posted", "answered")]
    assert paid.rows("SELECT posted_usd - reserved_usd FROM tvdb.cost_ledger") == [(0,)]


@pytest.mark.parametrize("limit", ["inf", "nan", "1e400", "-5", "many"])
def test_invalid_rate_limits_are_ignored(paid: PaidServicesFixture, limit: str) -> None:
    vector = [{"index": 0, "embedding": [1.0] * 1_536}]
    limits = {"x-ratelimit-limit-requests": limit, "x-ratelimit-limit-tokens": limit}
    headers = {"content-type": "application/json", **limits}
    paid.transport = FixedResponses(
        FixedResponse(200, json.dumps({"data": vector}).encode(), headers)
    )

    assert not paid.use(lambda router: router.embed([TEXT])).errors

    limits = paid.state("openai").limiter.limits
    assert (limits.requests_per_minute, limits.tokens_per_minute) == (0, 0)


@pytest.mark.parametrize("service", SERVICES)
def test_a_closed_port_costs_nothing_and_is_no_request(
    paid: PaidServicesFixture, service: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    paid.transport = httpx2.AsyncHTTPTransport(verify=False)

    error = paid.use(
        lambda router: pay(router, service), OPENAI_BASE_URL=url, LLAMA_CLOUD_BASE_URL=url
    )

    assert error.code == "service_unavailable"
    # A document is uploaded before anything is reserved.
    attempts = ATTEMPTS if service == "openai" else 0
    assert paid.ledger() == [("voided", "service_unavailable")] * attempts
    assert (paid.spent, paid.hourly(service)) == (0, 0)


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "LLAMA_CLOUD_BASE_URL"])
@pytest.mark.parametrize("given", ["no-scheme.example/v1", "ftp://x.example", "http://[bad", "/v1"])
def test_an_invalid_base_url_is_refused_by_the_settings(name: str, given: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings(**{name: given})
    assert caught.value.code == "bad_setting"


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "LLAMA_CLOUD_API_KEY"])
@pytest.mark.parametrize("key", ["sk-line\nbreak", "sk-schlüssel", "sk with spaces", "sk\0nul"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated(name: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings(**{name: key})
    assert key[3:] not in str(caught.value)


def test_a_line_end_after_a_key_is_no_part_of_it() -> None:
    key = load_settings(OPENAI_API_KEY="sk-test\n").openai_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-test"


OVER_A_SOCKET = {
    "reset_before_work": ("service_unavailable", 0),
    "reset_after_work": ("service_unavailable", ATTEMPTS),
    "reset_mid_body": ("service_unavailable", ATTEMPTS),
    "slow": ("service_unavailable", ATTEMPTS),
    "truncated_json": ("bad_answer", ATTEMPTS),
    "empty_body": ("bad_answer", ATTEMPTS),
    "html_200": ("bad_answer", ATTEMPTS),
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", OVER_A_SOCKET)
def test_a_lost_answer_counts_as_spent_over_a_real_connection(
    paid: PaidServicesFixture, service: str, fault: str
) -> None:
    code, billed = OVER_A_SOCKET[fault]
    attempts = ATTEMPTS
    if (service, fault) == ("openai", "html_200"):
        # A web page in the place of the first answer is that of another server.
        billed = attempts = 1
    with running_server() as server:
        operation = "embeddings" if service == "openai" else "submit"
        server.apis.faults.script(fault, operation=operation, times=None)
        paid.transport = httpx2.AsyncHTTPTransport(verify=False)
        error = paid.use(
            lambda router: pay(router, service),
            OPENAI_BASE_URL=f"{server.url}/v1",
            LLAMA_CLOUD_BASE_URL=server.url,
            paid_timeout_seconds=1.0 if fault == "slow" else 60.0,
        )
        assert len(server.apis.charges) == billed
        assert sum(r.operation == operation for r in server.apis.requests) == attempts
        real = server.apis.dollars

    assert error.code == code
    assert [state for state, _ in paid.ledger()] == ["posted"] * attempts
    assert paid.spent >= real
    assert paid.hourly(service) == attempts


@dataclass(frozen=True)
class Wait:
    """Headers, and the wait that they request, in seconds."""

    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None


NOW = Clock().now


@pytest.mark.parametrize(
    "wait",
    [
        Wait(),
        Wait({"retry-after": "3"}, 3.0),
        Wait({"retry-after": "0.25"}, 0.25),
        Wait({"retry-after-ms": "250"}, 0.25),
        Wait({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        Wait({"retry-after-ms": "x", "retry-after": "1"}, 1.0),
        Wait({"retry-after": "-1"}, 0.0),
        Wait({"retry-after": "nan"}),
        Wait({"retry-after": "inf"}),
        Wait({"retry-after": "99999999"}, 3_600.0),
        Wait({"retry-after": ""}),
        Wait({"retry-after": format_datetime(NOW + timedelta(seconds=7), usegmt=True)}, 7.0),
        Wait({"retry-after": format_datetime(NOW - timedelta(days=1), usegmt=True)}, 0.0),
        Wait({"retry-after": format_datetime(NOW + timedelta(days=999), usegmt=True)}, 3_600.0),
        Wait({"retry-after": "Wed, 25 Nov 2026 12:00:07 -0000"}, 7.0),
        Wait({"retry-after": "Wed, 25 Nov 2026 13:00:07 +0100"}, 7.0),
        Wait({"retry-after": "Wed, 32 Nov 2026 12:00:07 GMT"}),
        Wait({"retry-after": "Wed, 25 Nov 99999999 12:00:07 GMT"}),
    ],
    ids=str,
)
def test_how_long_to_wait_is_read_in_every_form(wait: Wait) -> None:
    assert retry_after(httpx2.Headers(dict(wait.headers)), NOW) == wait.seconds
