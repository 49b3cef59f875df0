"""Evaluates an index on a file of questions, and compares two indexes.

What belongs here: which rankings are measured, what is stored of it, and when an index counts as
worse. What does not: the measures (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Final

from tvdb_assets import error_codes as codes
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.evaluation_store import StoredMeasure
from tvdb_assets.repositories.index_catalog import IndexState
from tvdb_assets.retrieval.evaluation import (
    HITS,
    Evaluation,
    EvaluationQuery,
    Measure,
    difference,
    evaluate,
    read_queries,
)
from tvdb_assets.retrieval.hybrid_search import Ranking
from tvdb_assets.retrieval.index import Index
from tvdb_assets.retrieval.results import SearchResult
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import Settings

DECIDING: Final = "ndcg@10"
"""The measure that decides whether an index is worse, and that the floor applies to."""
TOLERANCE: Final = 0.01
"""By how much the deciding measure may fall without counting as worse."""


@dataclass(frozen=True, slots=True)
class IndexEvaluation:
    """The measures of the rankings of one index."""

    index_id: int
    rankings: Mapping[Ranking, Evaluation] = field(hash=False)
    cost_usd: Decimal
    """US dollars paid for vectors of questions."""

    def measure(self, name: str = DECIDING, ranking: Ranking = Ranking.BOTH) -> Measure:
        """One measure."""
        return self.rankings[ranking].measures[name]

    def stored(self, run_id: str, digest: bytes) -> list[StoredMeasure]:
        """The rows that are stored of it."""
        now = datetime.now(UTC)
        return [
            StoredMeasure(
                *(run_id, self.index_id, ranking.value, name, m.mean, m.low, m.high),
                *(evaluation.queries, digest, now),
            )
            for ranking, evaluation in self.rankings.items()
            for name, m in evaluation.measures.items()
        ]


def evaluate_index(
    queries: Sequence[EvaluationQuery],
    index_id: int,
    settings: Settings,
    database: Database,
    *,
    rankings: Sequence[Ranking] = tuple(Ranking),
    router: ServiceRouter | None = None,
) -> IndexEvaluation:
    """Ask an index all questions, by each ranking.

    Args:
        queries: the questions.
        index_id: the index; it need not be the one that search reads.
        settings: modes and keys; vectors of questions of a paid model pass the spend guard.
        database: contains the index.
        rankings: what is measured.
        router: embeds the questions; None creates one from the settings.

    Raises:
        ConfigurationError: the embedder of the index can't be used with these settings.
        ServiceError: a vector costs money, and a limit, an outage or a refused key prevents it.
    """
    cost = Decimal(0)
    found: dict[Ranking, Evaluation] = {}
    with Index(settings, database=database, router=router, index_id=index_id) as index:
        for ranking in rankings:

            def ask(question: str, ranking: Ranking = ranking) -> SearchResult:
                nonlocal cost
                result = index.search(question, HITS, ranking=ranking)
                cost += result.cost_usd
                return result

            found[ranking] = evaluate(queries, ask)
    return IndexEvaluation(index_id, found, cost)


def refuse_worse(
    file: Path, before: IndexState, after: IndexState, settings: Settings, database: Database
) -> Measure:
    """Compare an index with the one that search reads; returns the difference of nDCG@10.

    It counts as worse if nDCG@10 falls by more than `TOLERANCE`, or if the whole interval of the
    difference is below zero.

    Raises:
        ConfigurationError: the index is worse, or the file can't be used.
        ServiceError: see `evaluate_index`.
    """
    queries = read_queries(file)
    both = (Ranking.BOTH,)
    old = evaluate_index(queries, before.index_id, settings, database, rankings=both)
    new = evaluate_index(queries, after.index_id, settings, database, rankings=both)
    change = difference(old.rankings[Ranking.BOTH], new.rankings[Ranking.BOTH], DECIDING)
    if change.mean < -TOLERANCE or change.high < 0:
        raise codes.INDEX_WORSE.error(
            index=after.name,
            measure=DECIDING,
            before=old.measure().mean,
            after=new.measure().mean,
            queries=len(queries),
        )
    return change


def digest_of(file: Path) -> bytes:
    """The SHA-256 of a file of questions."""
    return sha256(file.read_bytes()).digest()
