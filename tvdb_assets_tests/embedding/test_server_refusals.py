"""The meaning of the refusals of each provider, in the words of that provider.

What belongs here: status and body to a reason, without a request. What does not: the consequences
(`test_paid_failures`, `test_divided_batches`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tvdb_assets.embedding.refused_requests import failure_of, protocol_words
from tvdb_assets.embedding.server_address import server_address
from tvdb_assets.embedding.server_refusals import Reason, read_refusal
from tvdb_assets.spend_guard.call_failures import FailureKind


def error(message: str, code: object = None, **more: object) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, **more}}


GEMINI_DAY = [{"quotaId": "EmbedContentRequestsPerDayPerUserPerProjectPerModel-FreeTier"}]
ROWS: list[tuple[str, int, Any, Reason]] = [
    ("OpenAI", 401, error("Incorrect API key provided: sk-x", "invalid_api_key"), Reason.KEY),
    ("OpenAI", 429, error("You exceeded your quota", "insufficient_quota"), Reason.QUOTA),
    ("OpenAI", 429, error("Rate limit reached", "rate_limit_exceeded"), Reason.RATE),
    ("OpenAI", 400, error("Requested 9 tokens", "max_tokens_per_request"), Reason.SIZE),
    ("OpenAI", 400, error("This model's maximum context length is 8192 tokens"), Reason.LONG_TEXT),
    ("OpenAI", 404, error("The model `x` does not exist", "model_not_found"), Reason.MODEL),
    ("Azure", 401, error("Access denied due to invalid subscription key", "401"), Reason.KEY),
    ("Azure", 404, error("The API deployment does not exist", "DeploymentNotFound"), Reason.MODEL),
    ("Azure", 429, error("Requests have exceeded call rate limit", "429"), Reason.RATE),
    ("Azure", 400, error("The response was filtered", "content_filter"), Reason.TEXT),
    (
        "Gemini",
        400,
        [error("API key not valid. Please pass a valid API key.", 400, status="INVALID_ARGUMENT")],
        Reason.KEY,
    ),
    (
        "Gemini",
        429,
        [error("You exceeded your current quota. Please retry in 32.7s", 429, status="X")],
        Reason.QUOTA,
    ),
    (
        "Gemini",
        429,
        [error("You exceeded your current quota. Please retry in 32.7s", 429)
         | {"status": "RESOURCE_EXHAUSTED"}],
        Reason.RATE,
    ),
    (
        "Gemini",
        429,
        [error("Quota exceeded", 429, status="RESOURCE_EXHAUSTED", details=GEMINI_DAY)],
        Reason.QUOTA,
    ),
    ("Gemini", 400, [error("at most 100 requests can be in one batch", 400)], Reason.SIZE),
    ("Mistral", 401, {"message": "Unauthorized", "request_id": "x"}, Reason.KEY),
    (
        "Mistral",
        400,
        {"object": "error", "message": "Too many tokens overall, split into more batches.",
         "type": "invalid_request_prompt", "code": "3210"},
        Reason.SIZE,
    ),
    ("Mistral", 400, {"message": "Invalid model: x", "code": "1500"}, Reason.MODEL),
    ("Voyage", 401, {"detail": "Provided API key is invalid."}, Reason.KEY),
    (
        "Voyage",
        400,
        {"detail": "The max allowed tokens per submitted batch is 120000. Your batch has 200000 "
         "tokens. Please lower the number of tokens in the batch."},
        Reason.SIZE,
    ),
    ("Voyage", 400, {"detail": "The batch size limit is 1000. Yours is 1200."}, Reason.SIZE),
    (
        "DashScope",
        400,
        error("<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it "
              "should not be larger than 10.: input.contents", "InvalidParameter"),
        Reason.SIZE,
    ),
    ("DashScope", 400, {"code": "Arrearage", "message": "Access denied"}, Reason.QUOTA),
    ("DashScope", 401, error("Incorrect API key provided.", "invalid_api_key"), Reason.KEY),
    ("DashScope", 429, error("Allocated quota exceeded, please increase", "x"), Reason.RATE),
    ("DashScope", 400, {"code": "DataInspectionFailed", "message": "Input data"}, Reason.TEXT),
    (
        "SiliconFlow",
        413,
        {"code": 20042, "message": "input batch size 33 > maximum allowed batch size 32"},
        Reason.SIZE,
    ),
    (
        "SiliconFlow",
        403,
        {"code": 30001, "message": "Sorry, your account balance is insufficient"},
        Reason.QUOTA,
    ),
    ("SiliconFlow", 400, {"code": 20012, "message": "Model does not exist."}, Reason.MODEL),
    ("SiliconFlow", 401, "Invalid token", Reason.KEY),
    (
        "TEI",
        422,
        {"message": "batch size 33 > maximum allowed batch size 32", "type": "Validation"},
        Reason.SIZE,
    ),
    (
        "TEI",
        413,
        {"message": "Input validation error: `inputs` must have less than 512 tokens. Given: 700",
         "code": 413, "type": "validation"},
        Reason.LONG_TEXT,
    ),
    ("TEI", 429, {"error": "Model is overloaded", "error_type": "overloaded"}, Reason.RATE),
    (
        "llama.cpp",
        500,
        error("input is too large to process. increase the physical batch size", 500),
        Reason.SIZE,
    ),
    (
        "llama.cpp",
        400,
        error("request (900 tokens) exceeds the available context size (512 tokens)", 400,
              type="exceed_context_size_error"),
        Reason.LONG_TEXT,
    ),
    ("llama.cpp", 503, error("Loading model", 503, type="unavailable_error"), Reason.OUTAGE),
    (
        "llama.cpp",
        501,
        error("This server does not support embeddings. Start it with `--embeddings`", 501,
              type="not_supported_error"),
        Reason.MODEL,
    ),
    ("vLLM", 400, {"message": "base64 encoding is not currently supported"}, Reason.ENCODING),
    ("vLLM", 404, {"object": "error", "message": "The model `x` does not exist."}, Reason.MODEL),
    (
        "vLLM",
        400,
        {"object": "error", "message": "This model's maximum context length is 512 tokens."},
        Reason.LONG_TEXT,
    ),
    ("Ollama", 404, error('model "x" not found, try pulling it first'), Reason.MODEL),
    ("Ollama", 400, error("the input length exceeds the context length"), Reason.LONG_TEXT),
    ("Ollama", 500, error("failed to encode response: unsupported value: NaN"), Reason.OUTAGE),
    ("LM Studio", 404, error("No models loaded.", "model_not_found"), Reason.MODEL),
    (
        "LM Studio",
        200,
        {"error": "Unexpected endpoint or method. (POST /embeddings). Returning 200 anyway"},
        Reason.MODEL,
    ),
    ("LocalAI", 500, error("could not load model: rpc error", 500), Reason.MODEL),
    (
        "LiteLLM",
        400,
        error("Budget has been exceeded! Current cost: 0.4, Max budget: 0.3", "400",
              type="budget_exceeded"),
        Reason.QUOTA,
    ),
    (
        "LiteLLM",
        429,
        error("ExceededBudget: User=x over budget. Spend=0.4, Budget=0.3", "429", type="None"),
        Reason.QUOTA,
    ),
    (
        "LiteLLM",
        400,
        error("/embeddings: Invalid model name passed in model=x. Call `/v1/models`", "400"),
        Reason.MODEL,
    ),
    (
        "LiteLLM",
        400,
        error("No connected db.", "400", type="no_db_connection"),  # For any key but its own.
        Reason.KEY,
    ),
    ("LiteLLM", 401, error("Authentication Error, Invalid proxy server token"), Reason.KEY),
    ("OpenRouter", 200, error("Rate limit exceeded", 429), Reason.RATE),
    ("OpenRouter", 402, error("Insufficient credits", 402), Reason.QUOTA),
    ("FastAPI", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body"]}]}, Reason.UNKNOWN),
    ("FastAPI", 422, {"detail": [{"type": "too_long", "loc": ["body", "input"],
     "msg": "List should have at most 64 items after validation, not 128"}]}, Reason.SIZE),
    ("a gateway", 413, "<html><title>413 Request Entity Too Large</title></html>", Reason.SIZE),
    ("a gateway", 502, "<html>Bad Gateway</html>", Reason.OUTAGE),
    ("a gateway", 403, "<html>Forbidden</html>", Reason.PERMISSION),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [row[1:] for row in ROWS],
    ids=[f"{row[0]} {row[1]} {row[3]}" for row in ROWS],
)
def test_a_refusal_has_the_meaning_of_its_provider(status: int, body: Any, reason: Reason) -> None:
    encoded = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    assert read_refusal(status, encoded, inputs=64).reason is reason


@pytest.mark.parametrize(
    "sentence",
    [
        "Budget has been exceeded!",
        "API key not valid. Please pass a valid API key.",
        "No models loaded.",
        "insufficient_quota",
    ],
)
def test_a_document_that_contains_such_a_sentence_stops_nothing(sentence: str) -> None:
    body = json.dumps(error(f"The text was refused: {sentence}")).encode()
    assert read_refusal(400, body, inputs=1).reason is Reason.UNKNOWN


@pytest.mark.parametrize(
    ("message", "inputs", "most"),
    [
        ("batch size 64 > maximum allowed batch size 32", 64, 32),
        ("batch size is invalid, it should not be larger than 10.: input.contents", 64, 10),
        ("at most 100 requests can be in one batch", 280, 100),
        ("batch size 64 > maximum allowed batch size 128", 64, None),
        ("The max allowed tokens per submitted batch is 20", 64, None),
    ],
)
def test_the_number_that_a_refusal_names_is_read(
    message: str, inputs: int, most: int | None
) -> None:
    body = json.dumps({"message": message}).encode()
    assert read_refusal(400, body, inputs=inputs).most_inputs == most


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (error("Please retry in 32.7s"), 32.7),
        (error("Please try again in 20ms."), 0.02),
        (error("Please retry after 86400 seconds."), 86_400),
        ([error("x", details=[{"retryDelay": "32s"}])], 32),
        (error("later"), None),
    ],
)
def test_a_wait_that_a_body_asks_for_is_read(body: Any, seconds: float | None) -> None:
    assert read_refusal(429, json.dumps(body).encode()).retry_seconds == seconds


def test_a_wait_of_a_day_is_told_with_its_date() -> None:
    refusal = read_refusal(429, json.dumps(error("Please retry after 86400 seconds.")).encode())
    failure = failure_of("Azure", refusal, {})
    assert failure.kind is FailureKind.THROTTLED
    assert failure.retry_after == 3_600
    assert "accepts no request before 2" in failure.error.message


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"error":1}'])
def test_any_body_has_a_meaning(body: bytes) -> None:
    assert read_refusal(400, body).reason is Reason.UNKNOWN
    assert read_refusal(503, body).reason is Reason.OUTAGE


def test_of_a_message_only_the_words_of_protocols_are_repeated() -> None:
    said = protocol_words("failed to encode response: json: unsupported value: NaN")
    assert said == "failed to encode response json unsupported value NaN"
    assert "Miller" not in protocol_words("the input text is not supported: Mrs. Miller, 77")
    assert protocol_words("Mrs. Miller is insured") == ""


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/v1/embeddings", "http://127.0.0.1:8080/v1"),
        ("http://proxy/team/v1", "http://proxy/team/v1"),
        (
            "https://generativelanguage.googleapis.com",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        (
            "https://dashscope.aliyuncs.com/compatible-mode/v1/",
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
        ),
        ("https://a.openai.azure.com/", "https://a.openai.azure.com/openai/v1"),
        (
            "https://a.openai.azure.com/openai/deployments/e/embeddings?api-version=2024-02-01",
            "https://a.openai.azure.com/openai/deployments/e",
        ),
    ],
)
def test_an_address_is_taken_as_people_have_it(given: str, base: str) -> None:
    assert server_address(given, "m").base == base


def test_a_resource_of_azure_has_the_path_of_its_deployment() -> None:
    found = server_address("https://a.openai.azure.com", "my-model", "2024-02-01")
    assert found.base == "https://a.openai.azure.com/openai/deployments/my-model"
    assert found.query == (("api-version", "2024-02-01"),)
    assert found.key_header == "api-key"
