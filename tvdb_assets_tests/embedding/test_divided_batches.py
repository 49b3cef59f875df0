"""One text at which a server fails is found in few requests, and fails alone.

What belongs here: failures at a text, whatever the server does instead of answering. What does not:
texts that are refused with a reason (`test_paid_batches`), or what servers take
(`test_server_traits`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import httpx2
import numpy as np
import pytest

from tvdb_assets.embedding.embedding_result import EmbeddingResult
from tvdb_assets.errors import UnavailableError
from tvdb_assets_tests.paid_apis.vectors import expected_vectors
from tvdb_assets_tests.paid_router import PaidServicesFixture
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters

POISON = "a text at which the server fails"
FORTY = [f"Clause {number} covers damage by water." for number in range(40)]
SETTINGS = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "embedding_model": "a-model",
    "embedding_usd_per_million": "0.02",
    "paid_attempts": 6,
}


class Server(httpx2.AsyncBaseTransport):
    """Fails at requests that contain a text; its vectors are those of the simulated API."""

    def __init__(self, fail: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.fail = fail
        self.is_down = False
        self.failed = 0
        self.asked: list[int] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        texts = json.loads(await request.aread())["input"]
        self.asked.append(len(texts))
        if self.is_down or any(POISON in text for text in texts):
            self.failed += 1
            return self.fail(request)
        data = [
            {"index": at, "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()}
            for at, row in enumerate(vectors_of(texts))
        ]
        usage = {"total_tokens": 9 * len(texts)}
        return httpx2.Response(200, json={"data": data, "usage": usage}, request=request)


def vectors_of(texts: list[str]) -> np.ndarray:
    return np.asarray(expected_vectors(texts, "text-embedding-3-small", 8))


def status(number: int) -> Callable[[httpx2.Request], httpx2.Response]:
    def fail(request: httpx2.Request) -> httpx2.Response:
        body = {"error": {"message": "failed to encode response: unsupported value: NaN"}}
        return httpx2.Response(number, json=body, request=request)

    return fail


def reset(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadError("reset")


def late(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("late")


def half(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, content=b'{"data": [{"ind', request=request)


FAILURES = {
    **{str(number): status(number) for number in (400, 413, 422, 500, 502)},
    "reset": reset,
    "late": late,
    "half": half,
}


def embed(paid: PaidServicesFixture, texts: list[str]) -> EmbeddingResult:
    stored: list[int] = []
    return paid.use(
        lambda router: router.embed(texts, persist=lambda tx, at, *rest: stored.extend(at)),
        **SETTINGS,
    )


@pytest.mark.parametrize(
    ("fail", "at"),
    [(fail, 17) for fail in FAILURES.values()] + [(status(500), 0), (status(500), 39)],
    ids=[*FAILURES, "500 at the first", "500 at the last"],
)
def test_one_text_fails_alone_in_five_requests(
    paid_in_shared: PaidServicesFixture, fail: Callable[..., httpx2.Response], at: int
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(fail)
    texts = [*FORTY[:at], POISON, *FORTY[at + 1 :]]

    result = embed(paid, texts)

    assert list(result.errors) == [at]
    assert POISON not in result.errors[at].message
    good = [position for position in range(40) if position != at]
    assert np.allclose(result.vectors[good], vectors_of([texts[i] for i in good]), atol=1e-6)
    assert server.failed <= 5
    assert paid.state("openai").breaker.is_closed
    # Each request was reserved and settled separately.
    assert [state for state, _ in paid.ledger()].count("pending") == 0
    assert len(paid.ledger()) == len(server.asked)
    check_counters(paid.database)


def test_a_text_that_is_alone_fails_with_what_the_server_said(
    paid_in_shared: PaidServicesFixture,
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(status(500))

    result = embed(paid, [POISON])

    assert result.errors[0].code == "text_breaks_service"
    assert "status 500" in result.errors[0].message
    assert server.failed <= 4
    assert paid.state("openai").breaker.is_closed


@pytest.mark.parametrize("fail", [status(500), reset], ids=["500", "reset"])
def test_an_outage_is_attributed_to_no_text(
    paid_in_shared: PaidServicesFixture, fail: Callable[..., httpx2.Response]
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(fail)
    embed(paid, FORTY[:1])  # The length of its vectors is known.
    server.is_down = True

    with pytest.raises(UnavailableError) as caught:
        embed(paid, FORTY[1:3])

    assert caught.value.code == "service_unavailable"
    assert server.failed <= SETTINGS["paid_attempts"]
    check_counters(paid.database)
