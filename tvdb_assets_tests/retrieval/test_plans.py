"""The plans of the statements of a search keep their shape, however small the tables are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pytest

from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.vector_index import build_vector_indexes
from tvdb_assets.retrieval import candidates
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.hybrid_search import rank
from tvdb_assets.retrieval.word_index import WordIndexReader
from tvdb_assets_tests.paid_router import DocumentFolder

_SCANS = {"Seq Scan", "Hash Join", "Merge Join", "Bitmap Heap Scan", "Sort"}
"""Nodes that read a whole table, or sort it, for a few candidates."""
_DETAILS = ["embeddings_pkey", "chunk_sets_pkey", "parsed_documents_pkey"]
_BY_WORDS = ["word_sets_segment", "chunks_chunk_set_id_ordinal_key", "publications"]
_BY_VECTORS = ["chunks_text", "publications"]


@dataclass
class Plan:
    """What a statement reads, in the order in which it is joined."""

    query: str
    kinds: set[str]
    indexes: list[str]
    """Names of indexes, from the outer to the inner side of joins."""
    is_bounded: bool
    """Whether each index is read at some of its entries only."""


class Explaining:
    """A transaction that explains each query with the values that it is executed with."""

    def __init__(self, tx: psycopg.Connection) -> None:
        self._tx = tx
        self.plans: list[Plan] = []

    def execute(self, query: str, values: Any = None, **options: Any) -> Any:
        if "set_config" not in query:
            row = self._tx.execute(f"EXPLAIN (FORMAT JSON) {query}", values).fetchone()
            assert row is not None
            nodes = list(_nodes(row[0][0]["Plan"]))
            scans = [node for node in nodes if "Index Name" in node]
            self.plans.append(
                Plan(
                    query,
                    {node["Node Type"] for node in nodes},
                    [node["Index Name"] for node in scans],
                    all("Index Cond" in node or "Order By" in node for node in scans),
                )
            )
        return self._tx.execute(query, values, **options)

    def of(self, *parts: str) -> Plan:
        """The plan of the first query that contains all these parts."""
        return next(plan for plan in self.plans if all(part in plan.query for part in parts))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


@pytest.fixture
def database(folder: DocumentFolder) -> Database:
    """A few documents, of which the planner would rather scan the whole tables.

    One table is larger, as two of its indexes would do equally well for few rows.
    """
    for number in range(8):
        folder.write(f"{number}.md", f"# Rule {number}\n\nDamage by water is covered.\n")
    assert folder.codes(folder.ingest(service_mode="local")) == {}
    build_vector_indexes(folder.paid.database, is_forced=True)
    with folder.paid.database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.embeddings (space_id, text_sha256, embedding, token_count, service,"
            " mode, model, version, is_degraded, run_id) SELECT 1, sha256(n::text::bytea),"
            " array_fill(-1, ARRAY[256])::vector, 1, '', '', '', '', false, 'run'"
            " FROM generate_series(1, 2000) n"
        )
        tx.execute("ANALYZE tvdb.embeddings")
    return folder.paid.database


def _explained(database: Database, filters: Filters) -> Explaining:
    with database.snapshot() as tx:
        current = candidates.current_index(tx)
        assert current is not None
        explaining: Any = Explaining(tx)
        vector = np.ones(256, np.float32)
        features, _ = rank(explaining, current, "water", vector, filters, WordIndexReader())
        assert len(features) in (1, 8)
    return explaining  # type: ignore[no-any-return]


def _begins_with(found: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(found) >= len(wanted) and all(
        index.startswith(name) for index, name in zip(found, wanted, strict=False)
    )


def test_candidates_come_from_indexes_and_are_joined_one_by_one(database: Database) -> None:
    for filters in (Filters(), Filters(path="1", language="en", metadata={"suffix": ".md"})):
        explaining = _explained(database, filters)
        details = [*_DETAILS, *(["documents_pkey"] if filters else [])]
        by_words = explaining.of("n.segment", "tvdb.embeddings")
        by_vectors = explaining.of("LEFT JOIN LATERAL", "tvdb.embeddings")
        nearest = explaining.of("halfvec(256)")
        for plan in (by_words, by_vectors, nearest):
            assert plan.kinds & _SCANS == set()
            assert plan.is_bounded
        assert _begins_with(by_words.indexes, [*_BY_WORDS, *details])
        assert _begins_with(by_vectors.indexes, [*_BY_VECTORS, *details, "word_sets_pkey"])
        assert [name.rpartition("_")[0] for name in nearest.indexes] == ["embeddings_hnsw_1"]
