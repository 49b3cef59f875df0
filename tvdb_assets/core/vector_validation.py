"""Checks the vectors of an embedder before they are stored.

What belongs here: shape, finite values, zero vectors. What does not: calls of an embedder
(`embedding`), and distances (`retrieval`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import EmbeddingError


def check_vectors(
    vectors: NDArray[np.float32], count: int, dimensions: int
) -> list[tuple[int, EmbeddingError]]:
    """The rows that must not be stored, each with its error; empty if all rows are valid.

    Args:
        vectors: The response of an embedder; the expected shape is (count, dimensions).
        count: Number of texts in the request.
        dimensions: Dimensions of the vector space.

    Raises:
        ServiceError: the response has another shape, so no row certainly belongs to its text.
    """
    if vectors.shape != (count, dimensions):
        raise codes.BAD_VECTOR_SHAPE.error(shape=vectors.shape, count=count, dimensions=dimensions)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(vectors).all(axis=1))
    is_zero = np.asarray((vectors == 0).all(axis=1))
    return [
        (
            int(row),
            (codes.VECTOR_ZERO if finite[row] else codes.VECTOR_NOT_FINITE).error(),
        )
        for row in np.flatnonzero(~finite | is_zero)
    ]
