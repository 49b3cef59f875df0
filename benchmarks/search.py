"""Search in a large index: time, recall, build time and size.

Prints a table; asserts nothing, as machines are noisy. The chunks are written straight into the
tables: texts of 250 words that are distributed as in natural language (Zipf), and vectors around
centers that stand for topics. Words are stored as by an ingestion. Then 200 questions of 3 to 8
words of one chunk, with a vector near that chunk's, are searched

- one at a time, and 8 at once, warm;
- with exact vectors and every word, to count how many of the first 10 results the search finds.

Usage: python benchmarks/search.py [CHUNKS] [DIMENSIONS]; the default is 100,000 of 256. A million
takes an hour, and 10 GB.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.repositories.vector_index import build_vector_indexes
from tvdb_assets.repositories.word_segments import compact
from tvdb_assets.repositories.word_store import SetText, count_words, store_words
from tvdb_assets.retrieval import candidates, word_ranking
from tvdb_assets.retrieval.hybrid_search import search
from tvdb_assets.retrieval.word_index import WordIndexReader

_WORDS, _VOCABULARY, _PER_DOCUMENT, _QUESTIONS = 250, 200_000, 20, 200
_BATCH = 2_000
_PROVENANCE = ("test", "local", "test", "1", False, "run")
Vector = NDArray[np.float32]


class Corpus:
    """Texts and vectors by number; the same in every run."""

    def __init__(self, chunks: int, dimensions: int) -> None:
        self.chunks, self.dimensions = chunks, dimensions
        random = np.random.default_rng(7)
        self._centers = random.normal(size=(max(50, chunks // 200), dimensions))
        ranks = np.arange(1, _VOCABULARY + 1)
        self._shares = (1 / (ranks + 2.7)) / (1 / (ranks + 2.7)).sum()
        letters = np.array(list("etaoinshrdlucmfwypvbgk"))
        self._vocabulary = np.array(
            ["".join(random.choice(letters, 2 + (rank > 50) * random.integers(1, 8)))
             for rank in ranks]
        )  # fmt: skip

    def batch(self, start: int, count: int) -> tuple[list[str], Vector]:
        """Texts and vectors of some chunks."""
        random = np.random.default_rng(start)
        words = random.choice(_VOCABULARY, (count, _WORDS), p=self._shares)
        texts = [" ".join(self._vocabulary[row]) for row in words]
        topics = self._centers[random.integers(len(self._centers), size=count)]
        return texts, _unit(topics + 0.8 * random.normal(size=(count, self.dimensions)))

    def questions(self) -> list[tuple[str, Vector]]:
        """Questions with their vectors."""
        random = np.random.default_rng(1)
        found = []
        for _ in range(_QUESTIONS):
            start = int(random.integers(self.chunks // _BATCH)) * _BATCH
            texts, vectors = self.batch(start, min(_BATCH, self.chunks))
            at = int(random.integers(len(texts)))
            words = random.choice(texts[at].split(), int(random.integers(3, 9)), replace=False)
            noise = 0.05 * random.normal(size=self.dimensions)
            found.append((" ".join(words), _unit((vectors[at] + noise)[None])[0]))
        return found


def _unit(vectors: NDArray[np.float64]) -> Vector:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def main() -> None:
    """Load, measure and print."""
    chunks = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    dimensions = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    with tempfile.TemporaryDirectory(prefix="tvdb-search-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            url = server.ensure_running()
            prepare(url)
            with Database(url) as database:
                measure(database, Corpus(chunks, dimensions))
        finally:
            server.stop()


def measure(database: Database, corpus: Corpus) -> None:
    """Print one row for each figure."""
    table = Table("", "", title=f"{corpus.chunks:,} chunks of {corpus.dimensions} dimensions")
    chunks_seconds, words_seconds = load(database, corpus)
    table.add_row("chunks and vectors", f"{chunks_seconds:.1f} s")
    table.add_row("words, with merges", f"{words_seconds:.1f} s, {_size(database, 'word_%')}")
    started = time.perf_counter()
    build_vector_indexes(database)
    built = f"{time.perf_counter() - started:.1f} s, {_size(database, 'embeddings_hnsw_%')}"
    table.add_row("HNSW index", built)
    with database.session() as session:
        session.execute("VACUUM ANALYZE")
    questions, reader = corpus.questions(), WordIndexReader()
    label = f"test/test@{corpus.dimensions}#1"

    def ask(question: tuple[str, Vector]) -> tuple[float, list[int]]:
        started = time.perf_counter()
        found = search(database, *question, label, 10, reader=reader)
        return time.perf_counter() - started, [hit.chunk_id for hit in found]

    first, _ = ask(questions[0])
    table.add_row("first search of a process", f"{first * 1000:.0f} ms")
    for question in questions:
        ask(question)
    answers = [ask(question) for question in questions]
    table.add_row("one at a time", _percentiles([seconds for seconds, _ in answers]))
    with ThreadPoolExecutor(8) as pool:
        table.add_row("8 at once", _percentiles([s for s, _ in pool.map(ask, questions)]))
    exact = exactly(lambda: [ask(question)[1] for question in questions[:100]])
    shares = [
        len({*found} & {*wanted}) / max(1, len(wanted))
        for (_, found), wanted in zip(answers, exact, strict=False)
    ]
    table.add_row("recall@10 against exact search", f"{np.mean(shares):.3f}")
    Console(width=100).print(table)


def exactly(run: Callable[[], list[list[int]]]) -> list[list[int]]:
    """Run searches without the index over vectors, and with the postings of every word."""
    current_index, share = candidates.current_index, word_ranking._COMMON
    candidates.current_index = lambda tx, index_id=None: (
        replace(found, last_vector=None) if (found := current_index(tx, index_id)) else None
    )
    word_ranking._COMMON = 2.0
    try:
        return run()
    finally:
        candidates.current_index, word_ranking._COMMON = current_index, share


def load(database: Database, corpus: Corpus) -> tuple[float, float]:
    """Store and publish the chunks; returns the seconds for chunks and vectors, and for words."""
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.vector_spaces (label, provider, model, dimensions, version, is_mock,"
            " is_fallback, run_id) VALUES (%s, 'test', 'test', %s, '1', false, false, 'run')",
            (f"test/test@{corpus.dimensions}#1", corpus.dimensions),
        )
        tx.execute(
            "INSERT INTO tvdb.indexes (space_id, chunker, is_current, switched_at, run_id)"
            " SELECT space_id, 'test', true, now(), 'run' FROM tvdb.vector_spaces"
        )
    seconds = [0.0, 0.0]
    for start in range(0, corpus.chunks, _BATCH):
        texts, vectors = corpus.batch(start, min(_BATCH, corpus.chunks - start))
        began = time.perf_counter()
        counted = count_words(
            [
                SetText(part, [""] * len(part), "en")
                for part in (
                    texts[at : at + _PER_DOCUMENT] for at in range(0, len(texts), _PER_DOCUMENT)
                )
            ]
        )
        words = time.perf_counter() - began
        with database.transaction() as tx:
            set_ids = _store(tx, start, texts, vectors)
            stored = time.perf_counter()
            store_words(tx, counted, set_ids)
            tx.execute("UPDATE tvdb.chunk_sets SET has_words = true WHERE NOT has_words")
            words += time.perf_counter() - stored
            _publish(tx, set_ids)
        merged = time.perf_counter()
        compact(database)
        seconds[1] += words + time.perf_counter() - merged
        seconds[0] += merged - began - words
    compact(database, is_forced=True)
    return seconds[0], seconds[1]


def _store(tx, start, texts, vectors) -> list[int]:  # type: ignore[no-untyped-def]
    documents = range(start // _PER_DOCUMENT + 1, (start + len(texts)) // _PER_DOCUMENT + 1)
    with tx.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO tvdb.documents (partition_key, source, path, size, etag, status, run_id)"
            " VALUES (%s, '/test', %s, 1, '1', 'published', 'run')",
            [(f"d{n}", f"folder{n % 50}/d{n}.txt") for n in documents],
        )
    tx.execute(
        "INSERT INTO tvdb.parsed_documents (document_id, content_sha256, fingerprint, suffix,"
        " text, title, media_type, is_markdown, page_starts, headings, notes, facts, service,"
        " mode, model, version, is_degraded, run_id) SELECT document_id, '', 'test', '.txt', '',"
        " NULL, 'text/plain', false, '{}', '[]', '{}', '{}', 'test', 'local', 'test', '1', false,"
        " 'run' FROM tvdb.documents WHERE document_id >= %s",
        (documents[0],),
    )
    tx.execute(
        "INSERT INTO tvdb.chunk_sets (parsed_id, document_id, fingerprint, chunk_count,"
        " token_count, run_id) SELECT parsed_id, document_id, 'test', %s, 1, 'run'"
        " FROM tvdb.parsed_documents WHERE document_id >= %s ORDER BY document_id",
        (_PER_DOCUMENT, documents[0]),
    )
    ids = tx.execute(
        "SELECT chunk_set_id, document_id FROM tvdb.chunk_sets WHERE document_id >= %s ORDER BY 1",
        (documents[0],),
    ).fetchall()
    hashes = [sha256(text.encode()).digest() for text in texts]
    with tx.cursor().copy(
        "COPY tvdb.chunks (chunk_set_id, document_id, ordinal, start_offset, end_offset,"
        " heading_path, token_count, text_sha256, text, service, mode, model, version,"
        " is_degraded, run_id) FROM STDIN"
    ) as copy:
        for at, (text, digest) in enumerate(zip(texts, hashes, strict=True)):
            set_id, document_id = ids[at // _PER_DOCUMENT]
            place = (set_id, document_id, at % _PER_DOCUMENT, 0, len(text))
            copy.write_row((*place, [], 1, digest, text, *_PROVENANCE))
    with tx.cursor().copy(
        "COPY tvdb.embeddings (space_id, text_sha256, embedding, token_count, service, mode,"
        " model, version, is_degraded, run_id) FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.set_types(("int2", "bytea", "vector", "int4", *("text",) * 4, "bool", "text"))
        for digest, vector in zip(hashes, vectors, strict=True):
            copy.write_row((1, digest, vector, 1, *_PROVENANCE))
    return [set_id for set_id, _ in ids]


def _publish(tx, set_ids: list[int]) -> None:  # type: ignore[no-untyped-def]
    tx.execute(
        "INSERT INTO tvdb.publications (document_id, index_id, chunk_set_id, run_id)"
        " SELECT document_id, 1, chunk_set_id, 'run' FROM tvdb.chunk_sets"
        " WHERE chunk_set_id = ANY(%s)",
        (set_ids,),
    )


def _size(database: Database, pattern: str) -> str:
    with database.transaction() as tx:
        row = tx.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relnamespace = 'tvdb'::regnamespace AND relkind IN ('r', 'i')"
            " AND relname LIKE %s AND NOT (relkind = 'i' AND %s LIKE 'word%%')",
            (pattern, pattern),
        ).fetchone()
    return f"{int((row and row[0]) or 0) / 1e6:.0f} MB"


def _percentiles(seconds: list[float]) -> str:
    p50, p95 = np.percentile(seconds, (50, 95)) * 1000
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms"


if __name__ == "__main__":
    main()
