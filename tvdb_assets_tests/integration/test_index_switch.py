"""A reader that searches continuously while an index with another chunk size is built and chosen.

What belongs here: the results of a reader in a separate process, on the demo's documents. What
does not: keeping the two indexes in sync (`ingestion/test_current_index_sync`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.ingestion import IngestionRun
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.retrieval.hybrid_search import search
from tvdb_assets.routing.run_services import RunServices
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.spend_guard.processes import ended, start

DEMO = Path(__file__).parents[2] / "demo" / "documents"
OLD, NEW = Chunker(512, 64), Chunker(128, 16)
HITS = 5
SEARCHES_EACH = 25
QUESTIONS = (
    "Is flood damage covered?",
    "What is the windscreen excess?",
    "What does endorsement NM-FL 01 change?",
    "How soon must I report lost luggage to the airline?",
)


def read(url: str, answers: str, stop: str) -> None:
    """Search until stopped; write the source of each answer, one line each."""
    embedder = LocalEmbedder()
    vectors = asyncio.run(embedder.embed(QUESTIONS))
    with Database(url) as database, Path(answers).open("w", buffering=1) as reported:
        while not Path(stop).exists():
            for question, vector in zip(QUESTIONS, vectors, strict=True):
                hits = search(database, question, vector, embedder.space.label, HITS)
                with database.transaction() as tx:
                    whole = tx.execute(
                        "SELECT count(*), count(DISTINCT document) FROM tvdb.search_index"
                    ).fetchone()
                reported.write(json.dumps([[hit.chunk_id for hit in hits], whole]) + "\n")


def ingestion(database: Database, chunker: Chunker, workers: WorkerPool) -> None:
    """Ingest the demo documents with this chunker."""
    source = Source.open(str(DEMO))
    registry = DocumentRegistry(database)
    files = [file for file in source.list() if not isinstance(file, Exception)]
    registry.register(source.root, files, "of the test")
    settings = load_settings()
    services = RunServices(settings, database=database, workers=workers)
    router = ServiceRouter(settings, services=services)
    pipeline_fingerprint = router.clients.pipeline_fingerprint(chunker)
    made = IngestionRun(
        store=DocumentStore(database, router.run_id, pipeline_fingerprint),
        index=IndexStore(database, router.run_id, pipeline_fingerprint),
        sources=Source.open,
        router=router,
        chunker=chunker,
        max_document_bytes=1 << 24,
    )
    for _ in made.run([known.partition_key for known in registry.known(source.root).values()]):
        pass


class Reader:
    """The reading process, and its answers so far."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._answers, self._stop = folder / "answers", folder / "stop"
        self._answers.touch()
        arguments = (database.url, str(self._answers), str(self._stop))
        self._process: BaseProcess = start(read, *arguments)

    def had(self) -> list[tuple[list[int], list[int]]]:
        """Each answer: the ids of its chunks; and how many chunks and documents there were."""
        lines = self._answers.read_text().splitlines(keepends=True)
        return [tuple(json.loads(line)) for line in lines if line.endswith("\n")]

    def reads_on(self) -> int:
        """Wait for more answers; return the number of answers before."""
        before = len(self.had())
        while len(self.had()) < before + SEARCHES_EACH:
            self._process.join(0.05)
            assert self._process.is_alive()
        return before

    def end(self) -> list[tuple[list[int], list[int]]]:
        """All answers."""
        self._stop.touch()
        assert ended(self._process) == 0
        return self.had()


def test_every_search_answers_from_one_chunk_size_or_the_other(
    database: Database, tmp_path: Path, paid_workers: WorkerPool
) -> None:
    indexes = IndexCatalog(database)

    def rows(query: str) -> list[tuple[Any, ...]]:
        with database.transaction() as tx:
            return tx.execute(query).fetchall()

    ingestion(database, OLD, paid_workers)
    [first] = indexes.states()
    reader = Reader(database, tmp_path)
    changes: list[Callable[[], object]] = [
        lambda: ingestion(database, NEW, paid_workers),
        lambda: indexes.switch(),
        lambda: indexes.switch(first.index_id),
        lambda: indexes.switch(indexes.states()[-1].index_id),
    ]
    starts = [reader.reads_on()]
    for change in changes:
        change()
        starts.append(reader.reads_on())
    sets = dict(rows("SELECT chunk_id, fingerprint FROM tvdb.chunks JOIN tvdb.chunk_sets"
        " USING (chunk_set_id)"))  # fmt: skip
    totals = {state.chunk_tokens: state.chunks for state in indexes.states()}
    indexes.drop(first.index_id)
    reader.reads_on()
    answers = reader.end()

    assert len(answers) >= SEARCHES_EACH * (len(changes) + 2)
    sizes = {OLD.fingerprint: totals[512], NEW.fingerprint: totals[128]}
    documents = len(rows("SELECT FROM tvdb.documents WHERE status = 'published'"))
    assert totals[128] > totals[512] > documents > len(QUESTIONS)
    made_by = []
    for chunks, whole in answers:
        assert len(chunks) == HITS
        chunkers = {sets[chunk] for chunk in chunks}
        assert len(chunkers) == 1, f"an answer of both: {chunks}"
        made_by += chunkers
        assert whole in [[total, documents] for total in sizes.values()]
    built, switched, back, again = starts[1:]
    assert set(made_by[:built]) == {OLD.fingerprint}
    assert made_by[switched + 1] == NEW.fingerprint
    assert made_by[back + 1] == OLD.fingerprint
    assert set(made_by[again + 1 :]) == {NEW.fingerprint}
