"""Search in a large index: time, recall, build time and size.

Prints tables; asserts nothing, as machines are noisy. The index is that of `search_corpus`. Then
200 questions of each kind are searched through `tvdb_assets.Index`, after one round that warms up:
one at a time and 8 at once, with filters that few and many documents pass. The results are compared
with those of an exact search, without the index over vectors and with the postings of every word.

Next to the times stand the seconds of a processor that a question costs this process and the
server, which depend less on what else the machine does.

Usage: python benchmarks/search.py [CHUNKS] [DIMENSIONS] [--folder FOLDER]
[--versions]; the default is 100,000 of 256. With a folder the database is kept there, and used
again. A million takes an hour, and 10 GB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from search_corpus import Corpus, Vector, load, store_question_vectors

from tvdb_assets import Filters, Index
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.repositories.vector_index import build_vector_indexes
from tvdb_assets.retrieval import candidates, word_ranking
from tvdb_assets.retrieval.hybrid_search import Ranking
from tvdb_assets.settings import load_settings

_QUESTIONS = 200
_FILTERS = {
    "a folder, 0.1 % of documents": Filters(path="folder7/part7/"),
    "a folder, 2 %": Filters(path="folder7/"),
    "a glob, 2 %": Filters(path="folder7/*.txt"),
    "a source, 10 %": Filters(source="/mail"),
    "a source, 90 %": Filters(source="/archive"),
    "a media type, 0.1 %": Filters(media_type="image/png"),
    "a media type, 70 %": Filters(media_type="application/pdf"),
    "a language, 20 %": Filters(language="de"),
    "30 days of 1,000": Filters(
        modified_from=datetime(2024, 1, 1, tzinfo=UTC),
        modified_to=datetime(2024, 1, 31, tzinfo=UTC),
    ),
    "metadata, 14 %": Filters(metadata={"tables": "3"}),
    "nothing passes": Filters(path="nowhere/"),
}


def main() -> None:
    """Load, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("chunks", type=int, nargs="?", default=100_000)
    parser.add_argument("dimensions", type=int, nargs="?", default=256)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--versions", action="store_true")
    parser.add_argument("--only", help="begin of the rows to measure")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tvdb-search-") as folder:
        server = EmbeddedPostgres(asked.folder or Path(folder))
        try:
            url = server.ensure_running()
            prepare(url)
            with Database(url) as database:
                measure(database, Corpus(asked.chunks, asked.dimensions), asked)
        finally:
            server.stop()


def measure(database: Database, corpus: Corpus, asked: argparse.Namespace) -> None:
    """Print one row for each figure."""
    console = Console(width=118)
    with database.transaction() as tx:
        is_loaded = tx.execute("SELECT FROM tvdb.indexes").fetchone() is not None
    if not is_loaded:
        build(database, corpus, console, versions=asked.versions)
    kinds = {
        "4 to 12 words": corpus.questions(_QUESTIONS, 4, 12),
        "60 words": corpus.questions(_QUESTIONS, 60, 60),
        "6 of the 30 most frequent words": corpus.common_words(_QUESTIONS),
        "12 Chinese characters": corpus.unspaced(_QUESTIONS),
    }
    for questions in kinds.values():
        store_question_vectors(database, questions)
    title = f"{corpus.chunks:,} chunks of {corpus.dimensions} dimensions, load of machine"
    table = Table(
        *("question", "p50 ms", "p95 ms", "python ms", "server ms", "buffers", "recall@10"),
        title=f"{title} {os.getloadavg()[0]:.1f}",
    )
    settings = load_settings(
        service_mode="real", openai_api_key="sk-none", llama_cloud_api_key="llx-none"
    )
    with Index(settings, database=database) as index:
        measured = Measured(index, database, table, asked.only)
        usual = kinds["4 to 12 words"]
        started = time.perf_counter()
        index.search(usual[0][0])
        first = (time.perf_counter() - started) * 1000
        for name, questions in kinds.items():
            measured.row(name, questions)
        measured.row("8 at once", usual, threads=8)
        measured.row("words alone", usual, ranking=Ranking.WORDS)
        measured.row("vectors alone", usual, ranking=Ranking.VECTORS)
        for name, filters in _FILTERS.items():
            measured.row(name, usual[:100], filters)
        console.print(table)
        console.print(f"first search of a process: {first:.0f} ms")


class Measured:
    """Runs questions and adds rows to a table."""

    def __init__(self, index: Index, database: Database, table: Table, only: str | None) -> None:
        self._index, self._database, self._table, self._only = index, database, table, only

    def row(
        self,
        name: str,
        questions: list[tuple[str, Vector]],
        filters: Filters | None = None,
        *,
        threads: int = 1,
        ranking: Ranking = Ranking.BOTH,
    ) -> None:
        """One kind of question."""
        if self._only and not name.startswith(self._only):
            return

        def ask(question: tuple[str, Vector]) -> tuple[float, list[int]]:
            started = time.perf_counter()
            found = self._index.search(question[0], 10, filters, ranking=ranking)
            return time.perf_counter() - started, [hit.chunk_id for hit in found]

        for question in questions:
            ask(question)
        before, own = self._usage(), time.process_time()
        if threads == 1:
            answers = [ask(question) for question in questions]
        else:
            with ThreadPoolExecutor(threads) as pool:
                answers = list(pool.map(ask, questions))
        own = time.process_time() - own
        server, buffers = (b - a for a, b in zip(before, self._usage(), strict=True))
        sample = questions[:40]
        with exact():
            wanted = [ask(question)[1] for question in sample] if threads == 1 else []
        shares = [
            len({*found} & {*exactly}) / max(1, len(exactly))
            for (_, found), exactly in zip(answers, wanted, strict=False)
        ]
        p50, p95 = np.percentile([seconds for seconds, _ in answers], (50, 95)) * 1000
        self._table.add_row(
            *(name, f"{p50:.1f}", f"{p95:.1f}", f"{own / len(questions) * 1000:.1f}"),
            *(f"{server / len(questions) * 1000:.1f}", f"{buffers / len(questions):.0f}"),
            f"{statistics.mean(shares):.3f}" if shares else "",
        )
        print(name, f"{p50:.1f} {p95:.1f}", flush=True)

    def _usage(self) -> tuple[float, float]:
        """Seconds of a processor that the server's connections have used, and buffers."""
        with self._database.transaction() as tx:
            tx.execute("SELECT pg_stat_force_next_flush()")
            pids = tx.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            ).fetchall()
            row = tx.execute(
                "SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit, 0)"
                " + coalesce(idx_blks_read, 0) + coalesce(toast_blks_hit, 0)"
                " + coalesce(toast_blks_read, 0)) FROM pg_statio_user_tables"
            ).fetchone()
        seconds = sum(sum(psutil.Process(pid).cpu_times()[:2]) for (pid,) in pids)
        return seconds, float(row[0]) if row else 0.0


@contextmanager
def exact() -> Iterator[None]:
    """Search without the index over vectors, and with the postings of every word."""
    current_index, share = candidates.current_index, word_ranking._COMMON
    candidates.current_index = lambda tx, index_id=None: (
        replace(found, last_vector=None) if (found := current_index(tx, index_id)) else None
    )
    word_ranking._COMMON = 2.0
    try:
        yield
    finally:
        candidates.current_index, word_ranking._COMMON = current_index, share


def build(database: Database, corpus: Corpus, console: Console, *, versions: bool) -> None:
    """Load the corpus and build its indexes."""
    table = Table("", "seconds", "size", title=f"{corpus.chunks:,} of {corpus.dimensions}")
    chunks_seconds, words_seconds = load(database, corpus, versions=versions)
    table.add_row("chunks and vectors", f"{chunks_seconds:.1f}", "")
    table.add_row("words, with merges", f"{words_seconds:.1f}", _size(database, "word_%"))
    seconds = _timed(lambda: build_vector_indexes(database))
    table.add_row("HNSW index", f"{seconds:.1f}", _size(database, "embeddings_hnsw_%"))
    with database.session() as session:
        session.execute("VACUUM ANALYZE")
    console.print(table)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _size(database: Database, pattern: str) -> str:
    with database.transaction() as tx:
        row = tx.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relnamespace = 'tvdb'::regnamespace AND relkind IN ('r', 'i')"
            " AND relname LIKE %s AND NOT (relkind = 'i' AND %s LIKE 'word%%')",
            (pattern, pattern),
        ).fetchone()
    return f"{int((row and row[0]) or 0) / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
