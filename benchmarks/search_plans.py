"""Print the plans of the statements of a search, for `docs/search.md`.

Usage: python benchmarks/search_plans.py FOLDER [CHUNKS] [DIMENSIONS], with the folder and the sizes
that `search.py --folder` was called with.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import psycopg
from search_corpus import Corpus

from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.repositories.database import Database
from tvdb_assets.retrieval import candidates
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.fusion import fuse
from tvdb_assets.retrieval.hybrid_search import rank
from tvdb_assets.retrieval.word_index import WordIndexReader

_SHOWN = ("->", "Index Cond", "Order By", "Filter", "Sort Key", "Recheck")
_OPTIONS = "ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF"


class Explaining:
    """A transaction that prints the plan of each query before it is executed."""

    def __init__(self, tx: psycopg.Connection) -> None:
        self._tx = tx

    def execute(self, query: str, values: Any = None, **options: Any) -> Any:
        """Explain and execute a query."""
        if "set_config" not in query:
            self._print(query, values)
        return self._tx.execute(query, values, **options)

    def cursor(self, **options: Any) -> Any:
        """A cursor without explanations."""
        return self._tx.cursor(**options)

    def _print(self, query: str, values: Any) -> None:
        rows = self._tx.execute(f"EXPLAIN ({_OPTIONS}) {query}", values).fetchall()
        print(f"\n-- {' '.join(query.split())[:90]}")
        lines = [line for (line,) in rows]
        print(lines[0], next((f"({line.strip()})" for line in lines if "Buffers" in line), ""))
        for line in lines[1:]:
            if line.lstrip().startswith(_SHOWN):
                print(re.sub(r"'\[.*", "…", line.replace(" loops=1)", ")")))


def main() -> None:
    """Ask one question, without filters."""
    folder, *sizes = sys.argv[1:]
    chunks, dimensions = (*map(int, sizes), *(100_000, 256)[len(sizes) :])
    question, vector = Corpus(chunks, dimensions).questions(1, 8, 8)[0]
    reader = WordIndexReader()
    with Database(EmbeddedPostgres(Path(folder)).ensure_running()) as database:
        for explains in (False, True):
            with database.snapshot() as tx:
                current = candidates.current_index(tx)
                assert current is not None
                asked: Any = Explaining(tx) if explains else tx
                features, words = rank(asked, current, question, vector, Filters(), reader)
                ranked = fuse(features, current.provider)[:10]
                if explains:
                    asked._print(candidates._HITS, {"ids": [each.chunk_id for each in ranked]})
                candidates.read_hits(tx, current, ranked, words.weights)


if __name__ == "__main__":
    main()
