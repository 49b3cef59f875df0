"""The plans of the statements of a search keep their shape, whatever the statistics say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.vector_index import build_vector_indexes
from tvdb_assets.retrieval import candidates
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.word_ranking import Place
from tvdb_assets_tests.paid_router import DocumentFolder

_SLOW = {"Seq Scan", "Hash Join", "Merge Join", "Bitmap Heap Scan"}
"""Nodes that read a whole table, or sort it, for a few candidates."""


class Explaining:
    """A transaction that explains each query with the values that it is executed with."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self.plans: list[list[dict[str, Any]]] = []

    def execute(self, query: str, values: Any = None, **options: Any) -> Any:
        if query.lstrip().upper().startswith("SELECT"):
            row = self._tx.execute(f"EXPLAIN (FORMAT JSON) {query}", values).fetchone()
            self.plans.append(list(_nodes(row[0][0]["Plan"])))
        return self._tx.execute(query, values, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


@pytest.fixture
def database(folder: DocumentFolder) -> Database:
    """A few documents, of which the planner would rather scan the whole tables."""
    for number in range(8):
        folder.write(f"{number}.md", f"# Rule {number}\n\nDamage by water is covered.\n")
    assert folder.codes(folder.ingest(service_mode="local")) == {}
    build_vector_indexes(folder.paid.database, is_forced=True)
    return folder.paid.database


def test_candidates_are_joined_one_by_one_through_indexes(database: Database) -> None:
    vector = np.ones(256, np.float32)
    with database.transaction() as tx:
        current = candidates.current_index(tx)
        place = tx.execute("SELECT segment_id, first_position FROM tvdb.word_sets").fetchone()
        assert current is not None
        assert place is not None
        explaining: Any = Explaining(tx)
        for filters in (Filters(), Filters(path="1", language="en")):
            assert candidates.at_places(explaining, current, [Place(*place)], vector, filters) or (
                filters
            )
    assert len(explaining.plans) == 2
    for nodes in explaining.plans:
        kinds = {node["Node Type"] for node in nodes}
        assert kinds & _SLOW == set()
        assert {node.get("Index Name") for node in nodes} >= {
            "word_sets_segment",
            "chunks_chunk_set_id_ordinal_key",
            "publications_pkey",
            "embeddings_pkey",
        }


def test_the_index_over_vectors_is_used(database: Database) -> None:
    vector = np.ones(256, np.float32)
    with database.transaction() as tx:
        current = candidates.current_index(tx)
        assert current is not None
        explaining: Any = Explaining(tx)
        assert len(candidates.nearest(explaining, current, vector, 5, Filters())) == 5
    indexes = {node.get("Index Name") for nodes in explaining.plans for node in nodes}
    assert any(name and name.startswith("embeddings_hnsw_") for name in indexes)
    joins = explaining.plans[-1]
    assert {node["Node Type"] for node in joins} & _SLOW == set()
