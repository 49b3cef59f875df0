"""Texts to embed, and the vectors and errors that come of them.

What belongs here: the values that go into and come out of embedding, and how one result is
collected from several responses. What does not: requests (`paid_embedding`), or the embedders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tvdb_assets import error_codes as codes
from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.core.vector_validation import check_vectors
from tvdb_assets.deprecation import RenamedAttribute
from tvdb_assets.embedding.embedder_protocol import EmbedderIdentity, Vectors
from tvdb_assets.errors import EmbeddingError
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.spend_guard.guard import Transaction

PersistVectors: TypeAlias = Callable[[Transaction | None, Sequence[int], Vectors, Provenance], None]
"""Stores vectors as they arrive: (transaction, positions in ``texts``, vectors of shape
(len(positions), dimensions), provenance). The transaction is None where nothing was paid."""
PersistErrors: TypeAlias = Callable[[Transaction, Mapping[int, EmbeddingError]], None]
"""Records the texts that an answer which was paid for has no usable vector of: (transaction that
posts its cost, errors by position in ``texts``)."""


@dataclass(frozen=True, slots=True)
class TextToEmbed:
    """A text to embed, with its size and its document."""

    text: str
    tokens: int
    """Exact cl100k tokens."""
    document: str = ""
    """To which its cost is attributed; empty for a search."""

    @classmethod
    def of(cls, text: str) -> TextToEmbed:
        """A text of no document, with its tokens counted."""
        return cls(text, count_tokens(text) if is_unicode(text) else 0)


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """The result of an embedder: a sequence of the vectors of texts, in their order."""

    vectors: Vectors
    """Shape (len(texts), space.dimensions); NaN where there is an error."""
    space: VectorSpace
    produced_by: Provenance
    """With the mode that was resolved for the call."""
    errors: Mapping[int, EmbeddingError] = field(default_factory=dict)
    """By position, for the texts that have no vector."""

    made_by = RenamedAttribute("EmbeddingResult.made_by")

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, position: int) -> Vectors:
        vector: Vectors = self.vectors[position]
        return vector

    def __iter__(self) -> Iterator[Vectors]:
        return iter(self.vectors)


def is_unicode(text: str) -> bool:
    """Whether it can be encoded: half of a surrogate pair is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class ResultCollector:
    """Collects the vectors and errors of the distinct texts of one call."""

    def __init__(self, texts: Sequence[TextToEmbed], embedder: EmbedderIdentity) -> None:
        """Every vector is NaN."""
        self._texts = texts
        self._space = embedder.space
        self._made_by = embedder.produced_by
        self._errors: dict[int, EmbeddingError] = {}
        self.vectors = np.full((len(texts), self._space.dimensions), np.nan, np.float32)

    def add(
        self,
        positions: Sequence[int],
        vectors: Vectors,
        unusable: Mapping[int, str] | None = None,
    ) -> list[int]:
        """Check vectors and add the good ones; returns the positions of those.

        Args:
            positions: of the texts.
            vectors: shape (len(positions), dimensions).
            unusable: by row, what is known to be wrong with a vector.
        """
        bad = dict(check_vectors(vectors, len(positions), self._space.dimensions))
        bad |= {row: codes.VECTOR_UNUSABLE.error(why=why) for row, why in (unusable or {}).items()}
        for row, error in bad.items():
            self.refuse(positions[row], error)
        good = [row for row in range(len(positions)) if row not in bad]
        added = [positions[row] for row in good]
        self.vectors[added] = vectors[good]
        return added

    def refuse(self, position: int, error: EmbeddingError) -> None:
        """Record why a text has no vector."""
        self._errors[position] = error

    def errors_of(self, positions: Sequence[int]) -> dict[int, EmbeddingError]:
        """The errors of those texts that have one."""
        return {at: self._errors[at] for at in positions if at in self._errors}

    def finished(self) -> EmbeddingResult:
        """The result, where equal texts share one vector or error."""
        first: dict[str, int] = {}
        for position, text in enumerate(self._texts):
            source = first.setdefault(text.text, position)
            if source != position:
                self.vectors[position] = self.vectors[source]
                if source in self._errors:
                    self._errors[position] = self._errors[source]
        return EmbeddingResult(self.vectors, self._space, self._made_by, self._errors)


def distinct_positions(texts: Sequence[TextToEmbed]) -> list[int]:
    """The position of the first of each group of equal texts, in order."""
    first: dict[str, int] = {}
    for position, text in enumerate(texts):
        first.setdefault(text.text, position)
    return list(first.values())


def unsendable(text: TextToEmbed) -> EmbeddingError:
    """Why a text is not given to an embedder: it is empty, no Unicode, or too long."""
    if not text.text:
        return codes.TEXT_EMPTY.error()
    if not is_unicode(text.text):
        return codes.TEXT_NOT_UNICODE.error()
    return codes.TEXT_TOO_LONG.error(tokens=text.tokens)
