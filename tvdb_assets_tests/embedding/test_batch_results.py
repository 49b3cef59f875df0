"""The files of a batch job, read without a service, and the tokens that it is billed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tvdb_assets.embedding.batch_billing import billed_tokens
from tvdb_assets.embedding.batch_lines import read_lines, write_lines
from tvdb_assets.embedding.batch_service import BatchResults

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
