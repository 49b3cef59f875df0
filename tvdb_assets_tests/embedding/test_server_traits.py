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

from tvdb_assets.embedding.server_traits import ServerTraits
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

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.refused = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = json.loads(await request.aread())
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


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Invalid value for dimensions: must be less than 3072"),
        (400, "This model's maximum context length is 8192 tokens"),
        (413, "Input validation error: `inputs` must have less than 512 tokens. Given: 700"),
        (429, "batch size 64 > maximum allowed batch size 32"),
        (500, "base64 encoding is not supported"),
        (400, ""),
    ],
)
def test_a_refusal_for_another_reason_teaches_nothing(status: int, message: str) -> None:
    traits = ServerTraits().after_refusal(status, message, inputs=64, sent_dimensions=True)
    assert traits == ServerTraits()
