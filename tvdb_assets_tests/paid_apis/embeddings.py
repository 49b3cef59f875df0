"""OpenAI's ``POST /v1/embeddings``: reading a request, and writing its answer.

What belongs here: the request's limits and their refusals, and the answer's bytes, honest or
spoilt by a fault. What does not: who may ask and how often (`core`), what it costs (`charges`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvdb_assets_tests.paid_apis.faults import FaultKind
from tvdb_assets_tests.paid_apis.refusals import model_not_found
from tvdb_assets_tests.paid_apis.replies import openai_refusal
from tvdb_assets_tests.paid_apis.vectors import FULL_DIMENSIONS, encode, encode_one

MAX_INPUTS = 2_048
MAX_TOKENS_PER_INPUT = 8_192
MAX_TOKENS_PER_REQUEST = 300_000


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    texts: list[str]
    model: str
    dimensions: int
    encoding: str


def read_json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise openai_refusal(
            400,
            "We could not parse the JSON body of your request. (HINT: This likely means you "
            "aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, "
            "but what was sent was not valid JSON.)",
        )
    return document


def loosely_texts(document: dict[str, Any]) -> list[str]:
    """The texts of a request that is not yet known to be good."""
    given = document.get("input")
    texts = given if isinstance(given, list) else [given]
    return [text for text in texts if isinstance(text, str)]


def check_request(document: dict[str, Any], canary: str) -> EmbeddingRequest:
    """Everything that OpenAI refuses before it counts tokens."""
    model = document.get("model")
    if not isinstance(model, str):
        raise openai_refusal(400, "you must provide a model parameter")
    if model not in FULL_DIMENSIONS:
        raise model_not_found(model, canary)
    given = document.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        raise openai_refusal(400, "'$.input' is invalid. Please check the API reference.")
    if len(texts) > MAX_INPUTS:
        raise openai_refusal(
            400,
            f"Invalid 'input': array too long. Expected an array with maximum length "
            f"{MAX_INPUTS}, but got an array with length {len(texts)} instead.",
            code="array_above_max_length",
            param="input",
        )
    if "" in texts:
        place = texts.index("")
        raise openai_refusal(
            400,
            f"Invalid 'input[{place}]': input cannot be an empty string.",
            param="input",
        )
    full = FULL_DIMENSIONS[model]
    dimensions = document.get("dimensions")
    if dimensions is None:
        dimensions = full
    if not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1:
        raise openai_refusal(400, f"{dimensions!r} is not valid for 'dimensions'.")
    if dimensions > full:
        raise openai_refusal(
            400, f"Invalid value for 'dimensions' = {dimensions}. Must be less than or equal "
            f"to {full}.", param="dimensions"
        )  # fmt: skip
    encoding = document.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise openai_refusal(
            400, f"'{encoding}' is not one of ['float', 'base64'] - 'encoding_format'"
        )
    return EmbeddingRequest(texts, model, dimensions, encoding)


def check_tokens(counts: list[int]) -> int:
    """The tokens of a request, if no limit is exceeded."""
    for place, tokens in enumerate(counts):
        if tokens > MAX_TOKENS_PER_INPUT:
            raise openai_refusal(
                400,
                f"Invalid 'input[{place}]': maximum context length is {MAX_TOKENS_PER_INPUT} "
                f"tokens.",
                param="input",
            )
    total = sum(counts)
    if total > MAX_TOKENS_PER_REQUEST:
        raise openai_refusal(
            400,
            f"Requested {total} tokens, max {MAX_TOKENS_PER_REQUEST} tokens per request",
            "max_tokens_per_request",
            "max_tokens_per_request",
        )
    return total


def write_answer(
    request: EmbeddingRequest, tokens: int, fault: FaultKind | None, stream: random.Random
) -> bytes:
    values = encode(request.texts, request.model, request.dimensions, request.encoding)
    rows = list(enumerate(values))
    if fault is not None and (spoil := _SPOILERS.get(fault)):
        rows = spoil(rows, request, stream)
    parts = [b'{"object":"list","data":[']
    glue = b""
    for index, value in rows:
        parts.append(b'%b{"object":"embedding","index":%d,"embedding":' % (glue, index))
        parts.append(value)
        glue = b"},"
    end = b'%b],"model":"%b","usage":{"prompt_tokens":%d,"total_tokens":%d}}\n'
    parts.append(end % (b"}" if rows else b"", request.model.encode(), tokens, tokens))
    return b"".join(parts)


_Rows = list[tuple[int, bytes]]
_Spoiler = Callable[[_Rows, EmbeddingRequest, random.Random], _Rows]


def _shuffled(rows: _Rows, _: EmbeddingRequest, stream: random.Random) -> _Rows:
    mixed = list(rows)
    stream.shuffle(mixed)
    if mixed == rows:  # a fault that happens is one that can be seen
        mixed.reverse()
    return mixed


def _one_too_many(rows: _Rows, request: EmbeddingRequest, _: random.Random) -> _Rows:
    return [*rows, (len(request.texts), rows[-1][1])]


def _duplicated_index(rows: _Rows, _: EmbeddingRequest, __: random.Random) -> _Rows:
    """The right count, but the last index is given again; a lone row gets an index past it."""
    if len(rows) == 2:
        return [(1, rows[0][1]), rows[1]]  # Twice 0 is what servers send that number nothing.
    return [*rows[:-1], (max(0, len(rows) - 2) if len(rows) > 1 else 1, rows[-1][1])]


def _missing_index(rows: _Rows, _: EmbeddingRequest, __: random.Random) -> _Rows:
    """The right count, but the first index is left out: they run from 1."""
    return [(index + 1, value) for index, value in rows]


def _same(make: Callable[[int], np.ndarray[Any, Any]]) -> _Spoiler:
    def spoil(rows: _Rows, request: EmbeddingRequest, stream: random.Random) -> _Rows:
        place = stream.randrange(len(rows))
        spoilt = encode_one(make(request.dimensions), request.encoding)
        return [(index, spoilt if index == place else value) for index, value in rows]

    return spoil


def _wrong_dimensions(rows: _Rows, request: EmbeddingRequest, _: random.Random) -> _Rows:
    short = max(1, request.dimensions - 1)
    if short == request.dimensions:
        short += 1
    value = encode_one(np.full(short, short**-0.5, np.float32), request.encoding)
    return [(index, value) for index, _ in rows]


_SPOILERS: dict[FaultKind, _Spoiler] = {
    FaultKind.SHUFFLED: _shuffled,
    FaultKind.ONE_TOO_FEW: lambda rows, *_: rows[:-1],
    FaultKind.ONE_TOO_MANY: _one_too_many,
    FaultKind.DUPLICATED_INDEX: _duplicated_index,
    FaultKind.MISSING_INDEX: _missing_index,
    FaultKind.WRONG_DIMENSIONS: _wrong_dimensions,
    FaultKind.NOT_A_NUMBER: _same(lambda size: np.full(size, np.nan, np.float32)),
    FaultKind.ZERO_VECTOR: _same(lambda size: np.zeros(size, np.float32)),
}
