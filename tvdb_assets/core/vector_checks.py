"""Vectors are checked before they count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.errors import EmbeddingError, ServiceError

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
        raise ServiceError(
            "bad_answer",
            f"The embedder answered {vectors.shape} to {count} texts of {dimensions} dimensions.",
            remedy="Check TVDB_EMBEDDING_MODEL and the service behind it. Nothing was stored.",
        )
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(vectors).all(axis=1))
    is_zero = np.asarray((vectors == 0).all(axis=1))
    return [
        (
            int(row),
            EmbeddingError(
                "vector_zero" if finite[row] else "vector_not_finite",
                "The embedding model has no vector for a part of this text.",
                remedy=_REMEDY,
            ),
        )
        for row in np.flatnonzero(~finite | is_zero)
    ]
