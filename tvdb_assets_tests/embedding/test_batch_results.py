"""The files and reports of a batch job, and the tokens and the price that it is billed."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tvdb_assets.embedding.batch_billing import billed_tokens
from tvdb_assets.embedding.batch_lines import read_lines, write_lines
from tvdb_assets.embedding.batch_service import BatchPhase, BatchReport, BatchResults
from tvdb_assets.embedding.embedder_protocol import PaidEmbedder
from tvdb_assets.embedding.registry import make_embedder
from tvdb_assets.settings import ServiceMode, load_settings
from tvdb_assets.spend_guard.paid_service import RequestPermit

A, B, C = (letter * 32 for letter in (b"a", b"b", b"c"))


def line(text: bytes, *, status: int = 200, tokens: int | None = 3, **more: Any) -> bytes:
    body: dict[str, Any] = {"data": [{"index": 0, "embedding": [float(text[0]), 1.0]}]}
    if tokens is not None:
        body["usage"] = {"total_tokens": tokens}
    row = {"custom_id": text.hex(), "response": {"status_code": status, "body": body}}
    return json.dumps(row | more).encode() + b"\n"


def test_each_line_of_a_file_is_named_by_its_text() -> None:
    lines = write_lines({A: "one", B: "two"}, "/v1/embeddings", {"model": "m"}).splitlines()
    assert [json.loads(each) for each in lines] == [
        {
            "custom_id": text.hex(),
            "method": "POST",
            "url": "/v1/embeddings",
            "body": {"model": "m", "input": content},
        }
        for text, content in ((A, "one"), (B, "two"))
    ]


def test_results_are_read_in_any_order_once_and_only_of_known_texts() -> None:
    stranger = line(C)
    found = read_lines([line(B) + stranger + line(A) + line(B, tokens=9)], {A, B}, 2)
    assert {text: list(vector) for text, vector in found.vectors.items()} == {
        A: [97.0, 1.0],
        B: [98.0, 1.0],
    }
    assert found.tokens == {A: 3, B: 3}
    assert not found.is_cut


def test_a_result_replaces_an_earlier_error_of_the_same_text() -> None:
    found = read_lines([line(A, status=500), line(A)], {A}, 2)
    assert (set(found.vectors), found.refused) == ({A}, set())


def test_a_file_that_ends_in_a_line_is_incomplete() -> None:
    found = read_lines([line(A) + line(B)[:-20]], {A, B}, 2)
    assert found.is_cut
    assert set(found.vectors) == {A}


@pytest.mark.parametrize("code", ["batch_expired", "batch_cancelled"])
def test_a_line_that_was_too_late_is_not_refused(code: str) -> None:
    found = read_lines([line(A, response=None, error={"code": code})], {A}, 2)
    assert (found.expired, found.refused) == ({A}, set())


def test_a_vector_of_another_length_is_billed_and_not_stored() -> None:
    found = read_lines([line(A)], {A}, 3)
    assert (found.vectors, found.tokens) == ({}, {A: None})


@pytest.mark.parametrize(
    ("tokens", "completed", "reported", "is_exact", "billed"),
    [
        # Both are done, and say so.
        ({A: 10, B: 20}, 2, 30, True, 30),
        # A report below an exact count can't be what is billed.
        ({A: 10, B: 1}, 2, None, True, 30),
        ({A: 10, B: None}, 2, None, True, 35),
        # One is missing, and was done.
        ({A: 10}, 2, None, True, 35),
        ({A: 10}, 1, None, True, 10),
        ({A: 10}, None, None, True, 35),
        # The service bills more than its lines say.
        ({A: 10, B: 20}, 2, 40, True, 40),
        # Another tokenizer: the report of the whole job is its bill.
        ({A: 12}, 2, 33, False, 33),
        ({A: 12, B: 1}, 2, None, False, 37),
        ({}, 0, None, True, 0),
    ],
)
def test_the_tokens_of_a_job_are_never_fewer_than_it_can_be_billed(
    tokens: dict[bytes, int | None],
    completed: int | None,
    reported: int | None,
    is_exact: bool,
    billed: int,
) -> None:
    assert (
        billed_tokens(
            BatchResults(tokens=tokens),
            {A: 10, B: 20},
            {A: 15, B: 25},
            completed=completed,
            reported=reported,
            is_count_exact=is_exact,
        )
        == billed
    )


class Answer(httpx2.AsyncBaseTransport):
    """Answers with one report of a job."""

    def __init__(self, **report: Any) -> None:
        self.report = {"id": "batch_1", "created_at": 0, **report}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=self.report, request=request)


def report(**given: Any) -> BatchReport:
    settings = load_settings(service_mode="real", OPENAI_API_KEY="sk-test")
    embedder = make_embedder(ServiceMode.REAL, settings, Answer(**given))
    assert isinstance(embedder, PaidEmbedder)
    assert embedder.batches is not None
    permit = RequestPermit("openai", "id", is_paid=False)
    return asyncio.run(embedder.batches.report("batch_1", permit)).value


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        ({}, BatchPhase.INVALID),
        ({"request_counts": {"completed": 0}, "usage": {"total_tokens": 0}}, BatchPhase.INVALID),
        ({"request_counts": {"completed": 3}}, BatchPhase.ENDED),
        ({"usage": {"total_tokens": 9}}, BatchPhase.ENDED),
        ({"output_file_id": "file-1"}, BatchPhase.ENDED),
    ],
)
def test_a_job_that_failed_after_a_part_was_done_is_billed(
    given: dict[str, Any], phase: BatchPhase
) -> None:
    assert report(status="failed", **given).phase is phase


def test_a_status_that_is_a_sentence_is_not_repeated() -> None:
    assert report(status="stopped at: the flood of May").status == "unknown"


@pytest.mark.parametrize(
    ("address", "is_offered"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://evilopenai.com/v1", False),
        ("https://api.openai.com.example.org/v1", False),
        ("https://api.openai.com@example.org/v1", False),
        ("https://a.openai.azure.com", False),
    ],
)
def test_only_a_host_of_openai_has_its_price_of_jobs(address: str | None, is_offered: bool) -> None:
    given = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": address}
    embedder = make_embedder(ServiceMode.REAL, load_settings(service_mode="real", **given), None)
    assert isinstance(embedder, PaidEmbedder)
    assert embedder.batches is not None
    assert embedder.batches.is_offered is is_offered
    price = Decimal("0.01") if is_offered else Decimal("0.02")
    assert embedder.batches.price.of(1_000_000) == price
