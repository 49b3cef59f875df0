"""The simulated OpenAI API, as the official client sees it over either transport."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

import httpx2
import numpy as np
import openai
import pytest

from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets_tests.paid_apis import Behaviour, FaultKind, expected_vector, expected_vectors
from tvdb_assets_tests.paid_apis_tests.clients import MODEL, SimulatedServer, simulated_server

TEXTS = ["The insured pays.", "保险合同", "👩‍👩‍👧‍👦", "word " * 700]


@pytest.fixture(params=["socket", "in process"])
def paid(request: pytest.FixtureRequest) -> Iterator[SimulatedServer]:
    with simulated_server(request.param) as made:
        yield made


def decoded(item: Any) -> np.ndarray:
    return np.frombuffer(base64.b64decode(item.embedding), np.float32)


def embed(paid: SimulatedServer, texts: Any, **more: Any) -> Any:
    return asyncio.run(paid.embed(texts, **more))


@pytest.mark.parametrize(
    ("model", "dimensions", "full"),
    [
        (MODEL, None, 1536),
        ("text-embedding-3-large", None, 3072),
        (MODEL, 512, 1536),
        (MODEL, 2, 2),
    ],
)
def test_each_text_has_its_own_vector(
    paid: SimulatedServer, model: str, dimensions: int | None, full: int
) -> None:
    more = {"dimensions": dimensions} if dimensions else {}
    answer = embed(paid, TEXTS, model=model, **more)
    assert [item.index for item in answer.data] == [0, 1, 2, 3]
    assert answer.model == model
    for text, item in zip(TEXTS, answer.data, strict=True):
        vector = decoded(item)
        assert vector.shape == (dimensions or full,)
        np.testing.assert_array_equal(vector, expected_vector(text, model, dimensions))
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_short_vectors_are_the_long_ones_cut_and_stretched() -> None:
    cut = expected_vector("a")[:256]
    np.testing.assert_allclose(
        expected_vector("a", MODEL, 256), cut / np.linalg.norm(cut), rtol=1e-5
    )


def test_texts_share_no_vector() -> None:
    texts = [f"Clause {number}" for number in range(5_000)]
    assert len({vector.tobytes() for vector in expected_vectors(texts)}) == len(texts)


def test_floats_and_base64_say_the_same(paid: SimulatedServer) -> None:
    answer = embed(paid, "a", encoding_format="float")
    np.testing.assert_array_equal(
        np.array(answer.data[0].embedding, np.float32), expected_vector("a")
    )


def test_the_charge_is_exact(paid: SimulatedServer) -> None:
    tokens = sum(map(count_tokens, TEXTS))
    answer = embed(paid, TEXTS, extra_headers={"X-Client-Request-Id": "attempt-7"})
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == tokens
    (charge,) = paid.apis.charges
    assert charge.dollars == paid.apis.dollars == Decimal("0.02") * tokens / 1_000_000
    assert (charge.service, charge.operation, charge.model) == ("openai", "embeddings", MODEL)
    assert (charge.tokens, charge.client_request_id, charge.answered) == (tokens, "attempt-7", True)
    assert charge.sha256 == tuple(sha256(text.encode()).hexdigest() for text in TEXTS)
    (request,) = paid.apis.requests
    assert (request.status, request.request_id, request.inputs) == (200, charge.request_id, 4)


def test_the_large_model_costs_more(paid: SimulatedServer) -> None:
    embed(paid, "a", model="text-embedding-3-large")
    assert paid.apis.dollars == Decimal("0.13") / 1_000_000


@pytest.mark.parametrize(
    ("texts", "more", "code", "said"),
    [
        ([], {}, None, "'$.input' is invalid"),
        ([[1, 2]], {}, None, "'$.input' is invalid"),
        (["a", ""], {}, None, "cannot be an empty string"),
        (["a"] * 2_049, {}, "array_above_max_length", "maximum length 2048"),
        (["fine", "x " * 8_193], {}, None, "input[1]': maximum context length is 8192 tokens"),
        (["x " * 8_000] * 38, {}, "max_tokens_per_request", "max 300000 tokens per request"),
        (["a"], {"dimensions": 1_537}, None, "less than or equal to 1536"),
        (["a"], {"dimensions": 0}, None, "not valid for 'dimensions'"),
    ],
)
def test_bad_requests_are_refused_and_free(
    paid: SimulatedServer, texts: Any, more: dict[str, Any], code: str | None, said: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        embed(paid, texts, **more)
    assert caught.value.code == code
    assert said in str(caught.value)
    assert caught.value.request_id == paid.apis.requests[0].request_id
    assert paid.apis.charges == []


def test_as_much_as_is_allowed_is_served(paid: SimulatedServer) -> None:
    assert len(embed(paid, ["a"] * 2_048).data) == 2_048


@pytest.mark.parametrize("key", ["bad", "sk-proj-of-another-organization-0123"])
def test_a_wrong_key_is_refused(key: str) -> None:
    accepted = None if key == "bad" else frozenset({"sk-test"})
    with (
        simulated_server("in process", Behaviour(keys=accepted)) as paid,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        embed(paid, "a", key=key)
    assert caught.value.code == "invalid_api_key"
    assert "of-another-organization" not in str(caught.value)


def test_an_unknown_model_is_not_found(paid: SimulatedServer) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        embed(paid, "a", model="text-embedding-9")
    assert caught.value.code == "model_not_found"


REFUSALS = {
    "rate_limited": (429, "rate_limit_exceeded"),
    "rate_limited_seconds": (429, "rate_limit_exceeded"),
    "rate_limited_date": (429, "rate_limit_exceeded"),
    "rate_limited_ms": (429, "rate_limit_exceeded"),
    "server_error": (500, None),
    "bad_gateway": (502, None),
    "unavailable": (503, None),
    "gateway_timeout": (504, None),
    "overloaded": (529, None),
    "bad_gateway_html": (502, None),
    "invalid_key": (401, "invalid_api_key"),
    "forbidden": (403, None),
    "not_found": (404, "model_not_found"),
    "insufficient_quota": (429, "insufficient_quota"),
    "credit_balance_exhausted": (429, "credit_balance_exhausted"),
    "payment_required": (402, "payment_required"),
    "billing_hard_limit_400": (400, "billing_hard_limit_reached"),
    "billing_hard_limit_429": (429, "billing_hard_limit_reached"),
    "refused_text": (400, "content_policy_violation"),
    "unknown_code": (400, "a_code_of_next_year"),
    "too_large": (413, None),
    "unprocessable": (422, None),
}
BROKEN = {
    "reset_before_work": ("ReadError", False),
    "reset_after_work": ("ReadError", True),
    "reset_mid_body": ("RemoteProtocolError", True),
    "slow": ("ReadTimeout", True),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_happens_once_and_is_free(paid: SimulatedServer, kind: str) -> None:
    paid.apis.faults.script(kind)
    with pytest.raises(openai.APIStatusError) as caught:
        embed(paid, "a")
    assert (caught.value.status_code, caught.value.code) == REFUSALS[kind]
    assert paid.apis.charges == []
    assert embed(paid, "a").data
    assert [request.fault for request in paid.apis.requests] == [kind, None]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_connection_is_what_the_network_makes_of_it(
    paid: SimulatedServer, kind: str
) -> None:
    paid.apis.faults.script(kind, seconds=5)
    cause, is_billed = BROKEN[kind]
    with pytest.raises(openai.APIConnectionError) as caught:
        embed(paid, "a", timeout=0.1)
    assert type(caught.value.__cause__).__name__ == cause
    assert [charge.answered for charge in paid.apis.charges] == ([False] if is_billed else [])
    assert paid.apis.requests[0].status == (0 if cause == "ReadError" else 200)


def test_a_slow_answer_comes_to_who_waits(paid: SimulatedServer) -> None:
    paid.apis.faults.script("slow", seconds=0.1)
    assert embed(paid, "a", timeout=3).data
    assert paid.apis.charges[0].answered


def test_the_time_to_wait_comes_in_each_form(paid: SimulatedServer) -> None:
    waits = []
    for kind in ("rate_limited_seconds", "rate_limited_ms", "rate_limited_date", "rate_limited"):
        paid.apis.faults.script(kind, seconds=1.5)
        with pytest.raises(openai.RateLimitError) as caught:
            embed(paid, "a")
        waits.append(caught.value.response.headers)
    assert waits[0]["retry-after"] == "1.5"
    assert waits[1]["retry-after-ms"] == "1500"
    moment = parsedate_to_datetime(waits[2]["retry-after"]).timestamp()
    assert 1.5 <= moment - paid.apis.requests[2].time <= 2.5
    assert not {"retry-after", "retry-after-ms"} & set(waits[3])


@pytest.mark.parametrize(
    ("kind", "indexes"),
    [
        ("one_too_few", [0, 1]),
        ("one_too_many", [0, 1, 2, 3]),
        ("duplicated_index", [0, 1, 1]),
        ("missing_index", [1, 2, 3]),
    ],
)
def test_an_answer_of_the_wrong_count(paid: SimulatedServer, kind: str, indexes: list[int]) -> None:
    paid.apis.faults.script(kind)
    assert [item.index for item in embed(paid, ["a", "b", "c"]).data] == indexes
    assert len(paid.apis.charges) == 1


@pytest.mark.parametrize("count", [2, 50])
def test_a_shuffled_answer_is_right_by_index(paid: SimulatedServer, count: int) -> None:
    paid.apis.faults.script("shuffled")
    texts = [f"text {number}" for number in range(count)]
    data = embed(paid, texts).data
    assert [item.index for item in data] != list(range(count))
    for item in data:
        np.testing.assert_array_equal(decoded(item), expected_vector(texts[item.index]))


def test_spoilt_vectors(paid: SimulatedServer) -> None:
    for kind in ("wrong_dimensions", "not_a_number", "zero_vector"):
        paid.apis.faults.script(kind)
    short, not_numbers, zeros = (
        [decoded(item) for item in embed(paid, ["a", "b"]).data] for _ in range(3)
    )
    assert [vector.shape for vector in short] == [(1535,)] * 2
    assert sum(bool(np.isnan(vector).all()) for vector in not_numbers) == 1
    assert sum(not vector.any() for vector in zeros) == 1


@pytest.mark.parametrize("kind", ["truncated_json", "empty_body"])
def test_an_answer_that_is_not_json(paid: SimulatedServer, kind: str) -> None:
    paid.apis.faults.script(kind)
    with pytest.raises(json.JSONDecodeError):
        embed(paid, "a")
    assert len(paid.apis.charges) == 1


def test_a_web_page_instead_of_an_answer(paid: SimulatedServer) -> None:
    paid.apis.faults.script("html_200")
    assert str(embed(paid, "a")).startswith("<html>")


UNBOUNDED = {"redirect": 307, "drip": 200, "oversized": 200, "gzip_bomb": 200}


@pytest.mark.parametrize("kind", UNBOUNDED)
def test_what_a_careful_client_does_not_take(paid: SimulatedServer, kind: str) -> None:
    paid.apis.faults.script(kind, seconds=0.2)
    body = {"input": "a", "model": "text-embedding-3-small"}
    started = time.monotonic()

    async def post() -> httpx2.Response:
        async with paid.http() as client:
            headers = {"Authorization": "Bearer k"}
            return await client.post("/v1/embeddings", json=body, headers=headers)

    answer = asyncio.run(post())

    assert answer.status_code == UNBOUNDED[kind]
    if kind == "redirect":
        assert answer.has_redirect_location
    elif kind == "drip":
        assert time.monotonic() - started > 0.2
        assert len(answer.json()["data"]) == 1
    else:
        assert len(answer.content) == 128 << 20
    assert len(paid.apis.charges) == (kind != "redirect")


def test_every_fault_of_embeddings_is_tested() -> None:
    tested = {*REFUSALS, *BROKEN, "shuffled", "one_too_few", "one_too_many", "duplicated_index"}
    tested |= {"missing_index", "wrong_dimensions", "not_a_number", "zero_vector"}
    tested |= {"truncated_json", "empty_body", "html_200", *UNBOUNDED}
    others = ("job_", "batch_")
    assert tested == {kind.value for kind in FaultKind if not kind.startswith(others)}


def test_a_marked_text_is_refused_as_often_as_it_comes_and_is_repeated(
    paid: SimulatedServer,
) -> None:
    paid.apis.faults.script("refused_text", times=None, marker="POISON")
    assert embed(paid, ["good"]).data
    for _ in range(2):
        with pytest.raises(openai.BadRequestError, match="some POISON here"):
            embed(paid, ["good", "some POISON here"])


def test_a_fault_can_come_in_the_middle_and_stay(paid: SimulatedServer) -> None:
    paid.apis.faults.script("insufficient_quota", after=2, times=None)
    assert embed(paid, "a").data
    assert embed(paid, "a").data
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            embed(paid, "a")


def test_rough_tokens_are_a_quarter_of_the_bytes() -> None:
    with simulated_server("in process", Behaviour(exact_tokens=False)) as paid:
        assert embed(paid, ["word " * 8]).usage.prompt_tokens == 11


def test_errors_carry_the_canary() -> None:
    with simulated_server("in process", Behaviour(canary=" canary-4711")) as paid:
        for kind in REFUSALS:
            paid.apis.faults.script(kind)
            with pytest.raises(openai.APIStatusError) as caught:
                embed(paid, "a")
            assert "canary-4711" in caught.value.response.text


def test_rate_limits_are_real_and_told() -> None:
    now = 1_000_000.0
    with simulated_server(
        "in process", Behaviour(requests_per_minute=2, tokens_per_minute=10)
    ) as paid:
        ask = json.dumps({"model": MODEL, "input": "four words of text"}).encode()

        def call(body: bytes = ask) -> Any:
            key = {"Authorization": "Bearer k"}
            reply = paid.apis.handle("POST", "/v1/embeddings", key, body, now)
            return reply.status, dict(reply.headers)

        status, headers = call()
        assert (status, headers["x-ratelimit-remaining-requests"]) == (200, "1")
        assert headers["x-ratelimit-remaining-tokens"] == "6"
        assert headers["x-ratelimit-reset-tokens"] == "24s"
        assert call()[0] == 200
        status, headers = call()
        assert (status, headers["retry-after"]) == (429, "30")
        now += 29.9
        assert call()[0] == 429
        now += 0.1
        assert call()[0] == 200
        assert sum(charge.tokens for charge in paid.apis.charges) == 12


def test_random_faults_come_from_the_seed() -> None:
    def faults(seed: int) -> list[str | None]:
        with simulated_server("in process", Behaviour(seed=seed)) as paid:
            paid.apis.faults.set_rates({"server_error": 0.3, "shuffled": 0.2})
            body = json.dumps({"model": MODEL, "input": ["a", "b"]}).encode()
            for _ in range(200):
                paid.apis.handle("POST", "/embeddings", {"authorization": "Bearer k"}, body, 0)
            return [request.fault for request in paid.apis.requests]

    one = faults(1)
    assert one == faults(1) != faults(2)
    assert 30 < one.count("server_error") < 90
    assert 20 < one.count("shuffled") < 70


def test_faults_that_can_not_happen_are_refused(paid: SimulatedServer) -> None:
    with pytest.raises(ValueError, match="can't happen"):
        paid.apis.faults.script("shuffled", operation="poll")
    with pytest.raises(ValueError, match="no operation"):
        paid.apis.faults.script("slow", operation="embedding")
    with pytest.raises(ValueError, match="at most 1"):
        paid.apis.faults.set_rates({"slow": 0.6, "shuffled": 0.6})


def test_no_text_is_kept(paid: SimulatedServer) -> None:
    embed(paid, "a very secret text")
    assert "secret" not in repr((paid.apis.charges, paid.apis.requests))


def test_the_models_can_be_listed_for_free(paid: SimulatedServer) -> None:
    async def models() -> list[str]:
        async with paid.openai() as client:
            return [model.id async for model in client.models.list()]

    assert MODEL in asyncio.run(models())
    assert paid.apis.charges == []
