"""A response of OpenAI's embeddings API to vectors and billed tokens. Pure.

What belongs here: the form of a response, and what of it can't be right. What does not: the request
(`providers.openai`), or what is billed where a response does not say it (`spend_guard.paid_call`).
"""

from __future__ import annotations

import binascii
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from tvdb_assets.embedding.answer_forms import lines_of, vectors_in

_MOST_TOKENS = 2_048 * 8_192
"""More than any request can contain: a larger number is no usage."""
_MOST_SPACE = 4_096
"""Bytes in which something has to begin."""


class ErrorBodyError(ValueError):
    """The response reports an error, under a status of success."""


class NoUsableVectorError(ValueError):
    """The response has the right form, and each of its vectors is missing or of another length."""


class NoVectorsError(ValueError):
    """The response is none of an embedding server; the message says what it is."""

    def __init__(self, message: str, *, is_empty: bool = False) -> None:
        super().__init__(message)
        self.is_empty = is_empty


class OtherCountError(ValueError):
    """The response has not one vector for each text, in a number or by its numbers."""

    def __init__(self, message: str, received: int | None = None) -> None:
        super().__init__(message)
        self.received = received
        """Vectors in the response; None if their numbers are wrong."""


class DecodedResponse(NamedTuple):
    """What a response contains."""

    vectors: NDArray[np.float32]
    """Shape (count, dimensions), in the order of the texts; NaN where one is unusable."""
    tokens: int | None
    """That were billed; None where the response does not report them."""
    unusable: dict[int, str]
    """By the number of a text: what is wrong with its vector. Not of all texts."""


def decode(
    body: bytes, count: int, dimensions: int | None, *, is_strict: bool = True
) -> DecodedResponse:
    """Read the vectors of a response, and the tokens that were billed.

    A vector that can't be used does not spoil the others, which were paid for as well.

    Args:
        body: JSON, with the vectors in base64 or as lists of numbers.
        count: of texts.
        dimensions: of the vector space; None takes the length of the first vector.
        is_strict: whether it has the form of OpenAI's own server. Other servers have other names
            and nestings, number the vectors from 1, or all with 0, or not at all; then their
            places count.

    Raises:
        ErrorBodyError: it reports an error.
        NoUsableVectorError: all vectors are missing or of another length.
        NoVectorsError: it is something else, such as a web page.
        OtherCountError: there is not one vector for each text.
        ValueError: the response has another form; the message says which, and quotes nothing.
    """
    answer = _parsed(body, is_strict=is_strict)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not is_strict:
        data = vectors_in(answer, count)
    if not isinstance(data, list):
        if is_error(answer):
            raise ErrorBodyError("it reports an error")
        raise NoVectorsError("it contains no embeddings")
    if len(data) != count:
        if is_error(answer):
            raise ErrorBodyError("it reports an error")
        raise OtherCountError(f"it contains {len(data)} embeddings for {count} texts", len(data))
    if not all(isinstance(item, dict) for item in data):
        raise ValueError("its embeddings are not objects")
    indexes = _indexes(data, is_strict=is_strict)
    if dimensions is None:
        dimensions = _numbers(data[0].get("embedding")).size
        if not dimensions:
            raise ValueError("an embedding is empty")
    vectors = np.empty((count, dimensions), np.float32)
    seen = bytearray(count)
    unusable: dict[int, str] = {}
    for item, index in zip(data, indexes, strict=True):
        if type(index) is not int or not 0 <= index < count or seen[index]:
            raise OtherCountError("its embeddings are not numbered like the texts")
        seen[index] = 1
        try:
            vectors[index] = _vector(item.get("embedding"), dimensions)
        except ValueError as error:
            vectors[index] = np.nan
            unusable[index] = str(error)
    if len(unusable) == count:
        raise NoUsableVectorError(next(iter(unusable.values())))
    usage = answer.get("usage") if isinstance(answer, dict) else None
    return DecodedResponse(vectors, _billed_tokens(usage), unusable)


def _parsed(body: bytes, *, is_strict: bool) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    start = body[:_MOST_SPACE].lstrip()
    if not start:
        raise NoVectorsError("it is empty", is_empty=True)
    if start.startswith(b"<"):
        raise NoVectorsError("it is a web page")
    lines = [] if is_strict else lines_of(body)
    if lines:
        return lines
    if start[:1] in b"{[":
        raise ValueError("it is not JSON")
    raise NoVectorsError("it is not JSON")


def is_error(answer: object) -> bool:
    """Whether a body without vectors reports an error."""
    if isinstance(answer, list):
        return bool(answer) and is_error(answer[0])
    if not isinstance(answer, dict):
        return False
    return any(answer.get(name) for name in ("error", "errors", "detail", "message", "code"))


def numbers_vectors(body: bytes, count: int) -> bool:
    """Whether the vectors of a response that was decoded have numbers."""
    data = vectors_in(_parsed(body, is_strict=False), count) or []
    return len(data) == 1 or any(item.get("index") not in (None, 0) for item in data)


def _indexes(data: list[dict[str, Any]], *, is_strict: bool) -> list[Any]:
    """The number that each vector carries; its place where a server numbers none of them."""
    given = [item.get("index") for item in data]
    if is_strict:
        return given
    given = [int(i) if isinstance(i, str) and i.isdecimal() and len(i) < 6 else i for i in given]
    given = [int(i) if isinstance(i, float) and i.is_integer() else i for i in given]
    if len(given) == 1 or all(index in (None, 0) for index in given):
        return list(range(len(given)))
    numbers = [index for index in given if type(index) is int]
    # From 1: twice the same number is found by the caller.
    if len(numbers) == len(given) and min(numbers) == 1 and max(numbers) == len(given):
        return [number - 1 for number in numbers]
    return given


def _billed_tokens(usage: object) -> int | None:
    """The tokens that a usage reports; None where it reports no possible number."""
    if not isinstance(usage, dict):
        return None
    found = [_number(usage.get(name)) for name in ("total_tokens", "prompt_tokens")]
    return max((tokens for tokens in found if tokens is not None), default=None)


def _number(value: object) -> int | None:
    """A number of tokens, rounded up; some servers write it as a float or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return ceil(value) if 0 <= value <= _MOST_TOKENS else None


def _vector(value: object, dimensions: int) -> NDArray[np.float32]:
    vector = _numbers(value)
    if vector.shape != (dimensions,):
        raise ValueError(f"an embedding has {vector.size} dimensions, not {dimensions}")
    return vector


def _numbers(value: object) -> NDArray[np.float32]:
    if isinstance(value, str):
        try:
            return np.frombuffer(binascii.a2b_base64(value), "<f4")
        except ValueError:
            raise ValueError("an embedding is not base64 of floats") from None
    if isinstance(value, list):
        # A compatible server may not support base64.
        try:
            with np.errstate(over="ignore"):
                return np.asarray(value, np.float32)
        except (TypeError, ValueError):
            raise ValueError("an embedding is not a list of numbers") from None
    raise ValueError("an embedding is missing")
