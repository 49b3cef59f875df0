"""Search while others write: a reader in a loop, next to loads, publications and index builds.

Prints a table; asserts nothing but that each answer is whole: it has all its results, sorted, and
those of one document are of one version of it. The reader is a separate process. The documents
are those of `search_corpus`.

Usage: python benchmarks/search_during_writes.py [CHUNKS]; the default is 40,000 of 256
dimensions.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from search_corpus import PER_DOCUMENT, Corpus, add, load, store_question_vectors

from tvdb_assets import Index
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.vector_index import build_vector_indexes
from tvdb_assets.retrieval.results import SearchResult
from tvdb_assets.settings import load_settings

_BATCH = 500


def main() -> None:
    """Load, write in several ways while a reader searches, and print."""
    corpus = Corpus(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000, 256)
    with tempfile.TemporaryDirectory(prefix="tvdb-search-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            url = server.ensure_running()
            prepare(url)
            with Database(url) as database:
                load(database, corpus, versions=True)
                build_vector_indexes(database)
                with database.session() as session:
                    session.execute("VACUUM ANALYZE")
                measure(database, corpus)
        finally:
            server.stop()


def measure(database: Database, corpus: Corpus) -> None:
    """Print one row for each kind of write."""
    questions = corpus.questions(100, 4, 12)
    store_question_vectors(database, questions)
    context = multiprocessing.get_context("spawn")
    phase, answers = context.Value("i", -1), context.Queue()
    reader = context.Process(
        target=read, args=(database.url, [text for text, _ in questions], phase, answers)
    )
    reader.start()
    answers.get()  # it is warm
    writer = _Writer(database, corpus)
    phases: list[tuple[str, Callable[[], None]]] = [
        ("nothing is written", lambda: time.sleep(20)),
        ("load", writer.load),
        ("publication of new versions", writer.replace),
        ("deletion", writer.delete),
        ("switch, ten times", writer.switch),
        ("build of indexes", writer.build),
        ("nothing is written again", lambda: time.sleep(20)),
    ]
    for number, (_, work) in enumerate(phases):
        phase.value = number
        work()
    phase.value = len(phases)
    found: list[tuple[int, float, bool]] = answers.get()
    reader.join()
    title = f"{corpus.chunks:,} chunks, load of the machine {os.getloadavg()[0]:.1f}"
    table = Table("while", "answers", "not whole", "p50 ms", "p95 ms", "p95, times", title=title)
    quiet = _p95(found, 0)
    for number, (name, _) in enumerate(phases):
        seconds = [s for at, s, _ in found if at == number]
        broken = sum(not is_whole for at, _, is_whole in found if at == number)
        p95 = _p95(found, number)
        table.add_row(
            *(name, str(len(seconds)), str(broken), f"{np.median(seconds) * 1000:.1f}"),
            *(f"{p95 * 1000:.1f}", f"{p95 / quiet:.2f}"),
        )
    Console(width=100).print(table)


def read(url: str, questions: list[str], phase: Any, answers: Any) -> None:
    """Search in a loop until the last phase is over."""
    settings = load_settings(
        service_mode="real", openai_api_key="sk-none", llama_cloud_api_key="llx-none"
    )
    found: list[tuple[int, float, bool]] = []
    last = 7
    with Database(url) as database, Index(settings, database=database) as index:
        for question in questions * 2:
            index.search(question, 10)
        answers.put(None)
        at = 0
        while (began := phase.value) < last:
            started = time.perf_counter()
            result = index.search(questions[at % len(questions)], 10)
            found.append((began, time.perf_counter() - started, is_whole(result)))
            at += 1
    answers.put(found)


def is_whole(result: SearchResult) -> bool:
    """Whether an answer has all its results, and one version of each document."""
    scores = [hit.score for hit in result]
    versions = {(hit.document, hit.text.rpartition(" version")[2][:2]) for hit in result
                if " version" in hit.text}  # fmt: skip
    documents = {hit.document for hit in result if " version" in hit.text}
    return (
        len(result) == 10
        and scores == sorted(scores, reverse=True)
        and len({hit.chunk_id for hit in result}) == 10
        and len(versions) == len(documents)
    )


@dataclass
class _Writer:
    """The writes of the phases."""

    database: Database
    corpus: Corpus

    def load(self) -> None:
        """New documents, as many as half of the others."""
        start = self.corpus.chunks
        for first in range(start, start + start // 2, _BATCH):
            texts, vectors = self.corpus.batch(first, _BATCH)
            add(self.database, first, texts, vectors, [0.0, 0.0])

    def replace(self) -> None:
        """Two new versions of documents, one after the other."""
        for version in (1, 2):
            for first in range(0, self.corpus.chunks // 4, _BATCH):
                texts, vectors = self.corpus.batch(first, _BATCH)
                texts = [f"{text} version{version}" for text in texts]
                chunker = f"version {version}"
                add(self.database, first, texts, vectors, [0.0, 0.0], chunker=chunker)

    def delete(self) -> None:
        """Documents, a few at a time."""
        deletion = DocumentDeletion(self.database)
        most = self.corpus.chunks // PER_DOCUMENT // 4
        for first in range(1, most, 25):
            deletion.delete(list(range(first, min(most, first + 25))))

    def switch(self) -> None:
        """To the other index, and back."""
        catalog = IndexCatalog(self.database)
        for number in range(10):
            catalog.switch(2 - number % 2, force=True)
            time.sleep(1)

    def build(self) -> None:
        """The index over vectors, beside the one that is searched."""
        build_vector_indexes(self.database, is_forced=True)


def _p95(found: list[tuple[int, float, bool]], phase: int) -> float:
    return float(np.percentile([seconds for at, seconds, _ in found if at == phase] or [0.0], 95))


if __name__ == "__main__":
    main()
