"""Vectors are checked before they count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import EmbeddingError

_REMEDY = "Check that the document's text is readable; if it is, report the model's answer."


def check_vectors(
    vectors: NDArray[np.float32], count: int, dimensions: int
) -> list[tuple[int, EmbeddingError]]:
    """Which rows may not be stored, each with the reason; an empty list means that all may.

    Args:
        vectors: what an embedder answered, to be of shape (count, dimensions).
        count: how many texts it was given.
        dimensions: of the vector space.

    Raises:
        ServiceError: the answer as a whole has the wrong shape, so that no row can be
            trusted to belong to its text.
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
