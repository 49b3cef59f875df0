"""The vectors that the simulated API returns: a function of text, model and dimensions alone.

A vector is one of 4,096 heads (three numbers) followed by one of 2,048 tails, both chosen by
the text's hash and both of a fixed length, so that every vector has length one, two texts
share theirs once in eight million, and the base64 of a head (16 letters) and of a tail can be
made in advance and joined. What belongs here: making vectors and their two encodings.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
_HEADS, _TAILS = 4096, 2048
_HEAD = 3

Vectors = NDArray[np.float32]


def expected_vector(
    text: str, model: str = "text-embedding-3-small", dimensions: int | None = None
) -> Vectors:
    """The vector that an honest answer gives for ``text``."""
    vector: Vectors = expected_vectors([text], model, dimensions)[0]
    return vector


def expected_vectors(
    texts: Sequence[str], model: str = "text-embedding-3-small", dimensions: int | None = None
) -> Vectors:
    """One row a text. Fewer dimensions are a renormalised prefix of the full vector."""
    pool = _pool(model)
    places = [_places(text) for text in texts]
    wanted = dimensions or FULL_DIMENSIONS[model]
    rows: Vectors = np.empty((len(places), FULL_DIMENSIONS[model]), np.float32)
    rows[:, :_HEAD] = pool.heads[[head for head, _ in places]]
    rows[:, _HEAD:] = pool.tails[[tail for _, tail in places]]
    if wanted == rows.shape[1]:
        return rows
    short = rows[:, :wanted].astype(np.float64)
    stretched: Vectors = (short / np.linalg.norm(short, axis=1, keepdims=True)).astype(np.float32)
    return stretched


def encode(texts: Sequence[str], model: str, dimensions: int, encoding: str) -> list[bytes]:
    """Each text's vector as the JSON value that the API gives for it."""
    if encoding == "base64" and dimensions == FULL_DIMENSIONS[model]:
        heads, tails = _pool(model).letters
        places = map(_places, texts)
        return [heads[head] + tails[tail] for head, tail in places]
    rows = expected_vectors(texts, model, dimensions)
    return [encode_one(row, encoding) for row in rows]


def encode_one(vector: NDArray[Any], encoding: str) -> bytes:
    if encoding == "base64":
        return b'"' + base64.b64encode(vector.astype("<f4").tobytes()) + b'"'
    return json.dumps(vector.tolist()).encode()


class _Pool:
    def __init__(self, model: str) -> None:
        full = FULL_DIMENSIONS[model]
        stream = np.random.default_rng(full)
        share = np.float32(np.sqrt(_HEAD / full))
        self.heads = _of_length(stream.standard_normal((_HEADS, _HEAD), np.float32), share)
        rest = np.float32(np.sqrt(1 - share**2))
        self.tails = _of_length(stream.standard_normal((_TAILS, full - _HEAD), np.float32), rest)
        self.letters = (
            [encode_one(head, "base64")[:-1] for head in self.heads],
            [encode_one(tail, "base64")[1:] for tail in self.tails],
        )


@cache
def _pool(model: str) -> _Pool:
    return _Pool(model)


def _of_length(rows: Vectors, length: np.float32) -> Vectors:
    scaled: Vectors = rows * (length / np.linalg.norm(rows, axis=1, keepdims=True))
    return scaled.astype(np.float32)


def _places(text: str) -> tuple[int, int]:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest[:4]) % _HEADS, int.from_bytes(digest[4:]) % _TAILS
