"""The fusion of the scores by words and by vectors into one.

What belongs here: pure functions on scores. What does not: where the scores come from
(`retrieval.word_ranking`, `retrieval.candidates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of a candidate."""

    chunk_id: int
    bm25: float
    most_bm25: float
    """Upper bound of ``bm25`` for the question."""
    coverage: float
    """Share of the words of the question, weighted by idf, that the chunk has."""
    similarity: float | None
    """Cosine similarity; None if vectors are not used."""
    language: str | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its scores."""

    chunk_id: int
    score: float
    """From 0 to 1."""
    words_score: float
    vector_score: float | None
    is_confident: bool


def fuse(features: Sequence[Features], provider: str) -> list[Ranked]:
    """Candidates by their fused score, the best one first.

    Args:
        features: the candidates.
        provider: provider of the vectors.
    """
    weight = 0.3 if provider == "wordllama" else 0.5
    ranked = []
    best = max((f.bm25 for f in features), default=0.0) or 1.0
    for f in features:
        similarity = max(0.0, f.similarity or 0.0)
        score = (1 - weight) * f.bm25 / best + weight * similarity
        ranked.append(Ranked(f.chunk_id, score, f.coverage, f.similarity, True))
    return sorted(ranked, key=lambda r: (-r.score, r.chunk_id))
