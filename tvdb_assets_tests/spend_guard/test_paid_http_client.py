"""One request is one request: no redirect, no answer without an end, none without a bound.

What belongs here: answers that a client of a paid service does not take, over a real socket and
within the process. What does not: what a failure costs in general (`embedding`).
"""

from __future__ import annotations

import asyncio
import gzip
import resource
import time
from decimal import Decimal

import httpx2
import pytest

from tvdb_assets.errors import TvdbError
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.paid_http_client import PaidHttpClient, UnusableAnswerError
from tvdb_assets_tests.paid_apis import running_server
from tvdb_assets_tests.paid_router import FixedResponse, FixedResponses, PaidServicesFixture

PAGE = b"<html><body><h1>Terms</h1><p>Flood damage is covered.</p></body></html>"


@pytest.fixture
def paid(paid_in_shared: PaidServicesFixture) -> PaidServicesFixture:
    return paid_in_shared


async def embed(router: ServiceRouter) -> None:
    await router.embed(["Is flood damage covered?"])


async def parse(router: ServiceRouter) -> None:
    await router.parse_paid(PAGE, "terms.html", "text/html", 1)


USES = pytest.mark.parametrize(
    ("use", "operation"), [(embed, "embeddings"), (parse, "submit"), (parse, "poll")]
)


def code_of(paid: PaidServicesFixture, use: object, **given: object) -> str:
    with pytest.raises(TvdbError) as caught:
        paid.use(use, paid_attempts=1, **given)  # type: ignore[arg-type]
    return caught.value.code


@USES
def test_a_redirect_is_not_followed(paid: PaidServicesFixture, use: object, operation: str) -> None:
    paid.apis.faults.script("redirect", operation=operation, times=None)

    assert code_of(paid, use) == "model_not_found"

    assert paid.request_count(operation) == 1
    if operation != "poll":
        assert paid.spent == paid.apis.dollars == 0


@USES
@pytest.mark.parametrize("fault", ["oversized", "gzip_bomb"])
def test_an_answer_that_is_too_large_is_not_read(
    paid: PaidServicesFixture, use: object, operation: str, fault: str
) -> None:
    paid.apis.faults.script(fault, operation=operation, times=None)

    assert code_of(paid, use) == "service_unavailable"

    assert paid.request_count(operation) == 1
    assert paid.spent >= paid.apis.dollars > 0


@USES
def test_an_answer_that_drips_ends_at_the_deadline(
    paid: PaidServicesFixture, use: object, operation: str
) -> None:
    paid.apis.faults.script("drip", operation=operation, times=None, seconds=10)
    started = time.monotonic()

    assert code_of(paid, use, paid_timeout_seconds=0.5) == "service_unavailable"

    assert time.monotonic() - started < 5
    assert paid.spent >= paid.apis.dollars > 0


@pytest.mark.parametrize("fault", ["drip", "gzip_bomb", "redirect"])
def test_over_a_socket_as_well(paid: PaidServicesFixture, fault: str) -> None:
    with running_server() as server:
        server.apis.faults.script(fault, times=None, seconds=10)
        paid.transport = httpx2.AsyncHTTPTransport(verify=False)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.monotonic()

        code_of(paid, embed, paid_timeout_seconds=2, OPENAI_BASE_URL=f"{server.url}/v1")

        assert time.monotonic() - started < 8
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10  # KiB
        with server.lock:
            assert len(server.apis.requests) == 1


def exchange(reply: FixedResponse, **given: object) -> httpx2.Response:
    async def sent() -> httpx2.Response:
        async with PaidHttpClient(
            timeout_seconds=5, max_answer_bytes=1_000, transport=FixedResponses(reply)
        ) as client:
            return await client.get("http://service.test/", **given)  # type: ignore[arg-type]

    return asyncio.run(sent())


def test_an_answer_within_the_bound_is_whole() -> None:
    body = b"x" * 1_000
    compressed = FixedResponse(200, gzip.compress(body), {"content-encoding": "gzip"})

    assert exchange(FixedResponse(200, body)).content == body
    assert exchange(compressed).content == body
    assert exchange(FixedResponse(200, b"")).content == b""
    larger = exchange(FixedResponse(200, 2 * body), extensions={"max_answer_bytes": 2_000})
    assert larger.content == 2 * body


@pytest.mark.parametrize(
    "reply",
    [
        FixedResponse(200, b"x" * 1_001),
        FixedResponse(200, gzip.compress(b"x" * 1_001), {"content-encoding": "gzip"}),
        FixedResponse(200, b"plain", {"content-encoding": "gzip"}),
    ],
    ids=["larger", "larger once decompressed", "not compressed"],
)
def test_an_answer_out_of_bounds_is_refused(reply: FixedResponse) -> None:
    with pytest.raises(UnusableAnswerError):
        exchange(reply)


def test_a_compressed_answer_is_used(paid: PaidServicesFixture) -> None:
    reply = paid.apis.handle(
        "POST",
        "/v1/embeddings",
        {"authorization": "Bearer k", "content-type": "application/json"},
        b'{"input": ["a"], "model": "text-embedding-3-small", "encoding_format": "base64"}',
        0.0,
    )
    body = gzip.compress(b"".join(reply.body))
    paid.transport = FixedResponses(FixedResponse(200, body, {"content-encoding": "gzip"}))

    done = paid.use(lambda router: router.embed(["a"]))

    assert not done.errors
    assert paid.spent > Decimal(0)
