"""Servers that speak a part of OpenAI's protocol are used without a setting.

What belongs here: what such servers refuse or leave out, and how many requests it costs. What does
not: failures of the service as a whole (`test_paid_failures`), or bills (`test_reported_usage`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import numpy as np
import pytest

from tvdb_assets.errors import RefusedError
from tvdb_assets_tests.paid_router import PaidServicesFixture
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters

DIMENSIONS = 8
TEXTS = [f"Clause {number} covers damage by water." for number in range(280)]
SETTINGS = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "embedding_model": "a-model-of-another-server",
    "embedding_dimensions": DIMENSIONS,
    "embedding_usd_per_million": "0.02",
}


def vector_of(text: str) -> list[float]:
    numbers = np.random.default_rng(list(text.encode())).normal(size=DIMENSIONS)
    return [float(number) for number in numbers.astype("<f4")]


class Server(httpx2.AsyncBaseTransport):
    """Behaves as a kind of server does; counts the requests that it refused."""

    def __init__(self, kind: str, *, most: int = 0, status: int = 400) -> None:
        self.kind = kind
        self.most = most
        self.status = status
        self.refused = 0
        self.asked: list[int] = []
        self.encodings: set[str] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = json.loads(await request.aread())
        self.asked.append(len(asked["input"]))
        self.encodings.add(asked["encoding_format"])
        refusal = self.refusal(asked, len(asked["input"]))
        if refusal is not None:
            self.refused += 1
            status, body = refusal
            return httpx2.Response(status, json=body, request=request)
        return httpx2.Response(200, json=self.answer(asked), request=request)

    def refusal(self, asked: Mapping[str, Any], inputs: int) -> tuple[int, Any] | None:
        message = "does not support matryoshka representation, changing output dimensions ..."
        if self.kind == "no shortened vectors" and "dimensions" in asked:
            return 400, {"object": "error", "message": message, "code": 400}
        if self.kind == "unknown parameter" and "dimensions" in asked:
            detail = [{"type": "extra_forbidden", "loc": ["body", "dimensions"]}]
            return 422, {"detail": detail}
        if self.kind == "no base64" and asked["encoding_format"] == "base64":
            return 400, {"error": {"message": "base64 encoding is not supported", "code": 400}}
        if self.kind == "neither" and "dimensions" in asked:
            return 400, {"error": {"message": "Unsupported parameter: dimensions"}}
        if self.kind == "neither" and asked["encoding_format"] == "base64":
            return 400, {"error": "unknown encoding_format"}
        if self.kind == "32 texts" and inputs > 32:
            message = f"batch size {inputs} > maximum allowed batch size 32"
            return 422, {"message": message, "code": 422, "type": "Validation"}
        if self.kind == "10 texts" and inputs > 10:
            message = "batch size is invalid, it should not be larger than 10.: input.contents"
            return 400, {"error": {"code": "InvalidParameter", "message": message}}
        if self.kind == "unnamed limit" and inputs > self.most:
            message = "input is too large to process. increase the physical batch size"
            return self.status, {"error": {"message": message}}
        if self.kind == "100 texts" and inputs > 100:
            message = "at most 100 requests can be in one batch"
            return 400, [{"error": {"code": 400, "message": message}}]
        return None

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        as_floats = asked["encoding_format"] == "float" or self.kind == "floats"
        data = []
        for number, text in enumerate(asked["input"]):
            vector: Any = vector_of(text)
            if not as_floats:
                vector = base64.b64encode(np.array(vector, "<f4").tobytes()).decode()
            data.append({"embedding": vector, "index": number})
        for item in data:
            if self.kind == "no index":
                del item["index"]
            elif self.kind == "index of 0":
                item["index"] = 0
            elif self.kind == "index as text":
                item["index"] = str(item["index"])
        usage = {"prompt_tokens": 9 * len(data), "total_tokens": 9 * len(data)}
        return {"data": data} if self.kind == "no usage" else {"data": data, "usage": usage}


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("no shortened vectors", 1),
        ("unknown parameter", 1),
        ("no base64", 1),
        ("neither", 2),
        ("32 texts", 1),
        ("10 texts", 1),
        ("100 texts", 1),
        ("floats", 0),
        ("no index", 0),
        ("index of 0", 0),
        ("index as text", 0),
        ("no usage", 0),
    ],
)
def test_each_text_has_its_vector_and_few_requests_are_refused(
    paid_in_shared: PaidServicesFixture, kind: str, refused: int
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(kind)

    result = paid.use(lambda router: router.embed(TEXTS), **SETTINGS)

    assert np.allclose(result.vectors, [vector_of(text) for text in TEXTS], atol=1e-6)
    assert server.refused <= refused
    check_counters(paid.database)


def test_no_length_of_vectors_has_to_be_set(paid_in_shared: PaidServicesFixture) -> None:
    paid = paid_in_shared
    paid.transport = server = Server("plain")
    given = {**SETTINGS, "embedding_dimensions": None}

    result = paid.use(lambda router: router.embed(TEXTS), **given)

    assert np.allclose(result.vectors, [vector_of(text) for text in TEXTS], atol=1e-6)
    assert result.space.dimensions == DIMENSIONS
    assert server.asked[0] == 1
    # Another process knows it.
    before = len(server.asked)
    paid.use(lambda router: router.embed(TEXTS[:3]), **given)
    assert server.asked[before:] == [3]
    check_counters(paid.database)


def test_a_length_that_the_model_has_anyway_is_not_asked_for(
    paid_in_shared: PaidServicesFixture,
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server("no shortened vectors")
    paid.use(lambda router: router.embed(TEXTS), **SETTINGS)
    assert server.refused == 0


def test_a_length_that_the_model_can_not_make_is_reported_with_its_own(
    paid_in_shared: PaidServicesFixture,
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server("no shortened vectors")
    with pytest.raises(RefusedError, match="8 numbers") as caught:
        paid.use(lambda router: router.embed(TEXTS), **{**SETTINGS, "embedding_dimensions": 4})
    assert caught.value.code == "dimensions_refused"
    assert server.refused == 1


@pytest.mark.parametrize(("most", "status"), [(2, 500), (5, 422), (12, 413), (40, 400)])
def test_a_limit_that_no_refusal_names_is_found_and_shared(
    paid_in_shared: PaidServicesFixture, most: int, status: int
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server("unnamed limit", most=most, status=status)

    result = paid.use(lambda router: router.embed(TEXTS), **SETTINGS)

    assert np.allclose(result.vectors, [vector_of(text) for text in TEXTS], atol=1e-6)
    assert not result.errors
    assert server.refused <= 5
    before = server.refused
    paid.use(lambda router: router.embed([f"More {text}" for text in TEXTS]), **SETTINGS)
    assert server.refused == before
    check_counters(paid.database)


def test_what_a_setting_says_is_not_tried(paid_in_shared: PaidServicesFixture) -> None:
    paid = paid_in_shared
    paid.transport = server = Server("unnamed limit", most=7)
    given = {"embedding_max_inputs": 7, "embedding_encoding": "float"}
    paid.use(lambda router: router.embed(TEXTS), **SETTINGS, **given)
    assert server.refused == 0
    assert server.encodings == {"float"}
