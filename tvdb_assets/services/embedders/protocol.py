"""What an embedder is, to those who call one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.models import Provenance, VectorSpace


class Embedder(Protocol):
    """Makes vectors of texts, all in one vector space."""

    @property
    def space(self) -> VectorSpace:
        """The space of all vectors that it makes."""
        ...

    @property
    def made_by(self) -> Provenance:
        """Who makes them."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """Most cl100k tokens that a text may have; None where nothing is ever cut off."""
        ...

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector a text, in their order: shape (len(texts), space.dimensions).

        A vector depends on its text alone. What has no vector comes back as NaN or zero,
        never as a substitute; the caller checks.

        Raises:
            ServiceError: the service as a whole can't answer.
        """
        ...
