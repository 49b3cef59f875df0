"""Ingestion of documents into a real database, with real worker processes.

What belongs here: the rows that an ingestion writes, and the work that it does not repeat. What
does not: formats (`parsing`), chunking (`core`), Dagster (`integration`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.errors import Disposition
from tvdb_assets.ingestion import IngestionRun, StageResult
from tvdb_assets.models import Stage
from tvdb_assets.parsing.parse_tasks import chunk_document, prepare_document
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.repositories.word_segments import fill_words
from tvdb_assets.retrieval.hybrid_search import search, unsearchable
from tvdb_assets.retrieval.results import Hit
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import ServiceMode, load_settings
from tvdb_assets.sources.source import Source

HANDBOOK = """\
# Handbook

## Travel

Employees book trains in second class. A hotel may cost at most ninety euros a night, and
receipts are handed in within two weeks of the journey.

## Leave

Every employee has thirty days of vacation a year. Days that are left over expire at the end
of March of the year after.
"""
CORRUPT_PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\ntruncated"
Routers = Callable[[ServiceMode], ServiceRouter]


class Index:
    """A folder of documents and the index that ingestions build from it."""

    def __init__(self, database: Database, folder: Path, routers: Routers) -> None:
        self.database = database
        self.folder = folder
        self.routers = routers
        self.chunker = Chunker(64, 0)
        self.ingestions = 0
        self.embedded_texts = self.cached_texts = 0

    def write(self, name: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)

    def ingest(
        self,
        mode: ServiceMode = ServiceMode.LOCAL,
        stages: frozenset[Stage] = frozenset(Stage),
    ) -> dict[tuple[str, Stage], StageResult]:
        """Ingest every document of the folder; results by path and stage."""
        source = Source.open(str(self.folder))
        registry = DocumentRegistry(self.database)
        files = [file for file in source.list() if not isinstance(file, Exception)]
        known = registry.known(source.root)
        registry.register(source.root, [f for f in files if f.path not in known], "by hand")
        router = self.routers(mode)
        self.ingestions += 1
        run_id = f"run-{self.ingestions}"
        pipeline_fingerprint = router.clients.pipeline_fingerprint(self.chunker)
        ingestion = IngestionRun(
            store=DocumentStore(self.database, run_id, pipeline_fingerprint),
            index=IndexStore(self.database, run_id, pipeline_fingerprint),
            sources=Source.open,
            router=router,
            chunker=self.chunker,
            max_document_bytes=1 << 20,
        )
        keys = [document.partition_key for document in registry.known(source.root).values()]
        results = [result for batch in ingestion.run(keys, stages) for result in batch]
        self.embedded_texts, self.cached_texts = ingestion.embedded_texts, ingestion.cached_texts
        by_stage = {(result.path, result.stage): result for result in results}
        assert len(by_stage) == len(results) == len(keys) * len(stages)
        return by_stage

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.transaction() as tx:
            return tx.execute(query).fetchall()

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All stored rows, with their times and run ids."""
        tables = ("parsed_documents", "chunk_sets", "chunks", "embeddings", "publications")
        return {
            table: self.rows(f"SELECT t::text FROM tvdb.{table} t ORDER BY 1") for table in tables
        }

    def visible(self, document: str) -> list[str]:
        """What search sees of a document: its passages in order."""
        rows = self.rows("SELECT document, text FROM tvdb.search_index ORDER BY document, ordinal")
        return [text for name, text in rows if name == document]

    def search(self, query: str, k: int = 5) -> list[Hit]:
        embedded = asyncio.run(self.routers(ServiceMode.LOCAL).embed([query]))
        return list(search(self.database, query, embedded[0], embedded.space.label, k))


@pytest.fixture(scope="module")
def routers() -> Iterator[Routers]:
    """A router for each mode; worker processes are started once for all of these tests."""
    routers: dict[ServiceMode, ServiceRouter] = {}
    with ExitStack() as stack:

        def router(mode: ServiceMode) -> ServiceRouter:
            if mode not in routers:
                settings = load_settings(service_mode=mode, parse_workers=1)
                routers[mode] = stack.enter_context(ServiceRouter(settings))
            return routers[mode]

        yield router


@pytest.fixture
def index(database: Database, tmp_path: Path, routers: Routers) -> Index:
    return Index(database, tmp_path, routers)


def test_one_document_becomes_text_chunks_vectors_and_a_publication(index: Index) -> None:
    index.write("handbook.md", HANDBOOK)

    results = index.ingest()

    assert [results["handbook.md", stage].error for stage in Stage] == [None] * 3
    assert not any(result.is_unchanged for result in results.values())
    [(text, content, title, media_type, mode, parsed_run)] = index.rows(
        "SELECT text, content_sha256, title, media_type, mode, run_id FROM tvdb.parsed_documents"
    )
    assert text.strip() == HANDBOOK.strip()
    assert content == sha256(HANDBOOK.encode()).digest()
    assert (title, media_type, mode) == ("Handbook", "text/markdown", "local")
    chunks = index.rows(
        "SELECT ordinal, start_offset, end_offset, text, text_sha256, token_count, heading_path"
        " FROM tvdb.chunks ORDER BY ordinal"
    )
    assert [chunk[0] for chunk in chunks] == list(range(len(chunks)))
    assert len(chunks) > 1
    for _, start, end, piece, digest, tokens, _ in chunks:
        assert text[start:end] == piece
        assert sha256(piece.encode()).digest() == digest
        assert 0 < tokens <= 64
    assert "".join(" ".join(c[3] for c in chunks).split()) == "".join(text.split())
    assert chunks[-1][6] == ["Handbook", "Leave"]
    vectors = index.rows("SELECT text_sha256, embedding, service, mode FROM tvdb.embeddings")
    assert {row[0] for row in vectors} == {chunk[4] for chunk in chunks}
    for _, stored, service, mode in vectors:
        vector = stored.to_numpy()
        assert (vector.shape, service, mode) == ((256,), "wordllama", "local")
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert index.rows(
        "SELECT d.status, d.failed_stage, d.attempts, u.run_id, k.chunk_count FROM tvdb.documents d"
        " JOIN tvdb.publications u USING (document_id) JOIN tvdb.chunk_sets k USING (chunk_set_id)"
    ) == [("published", None, 0, "run-1", len(chunks))]
    assert parsed_run == "run-1"
    assert index.embedded_texts == len(chunks)
    assert index.visible("handbook.md") == [chunk[3] for chunk in chunks]
    metadata = results["handbook.md", Stage.CHUNKS].metadata
    assert metadata["chunks"] == len(chunks)
    assert metadata["tokens"] == sum(chunk[5] for chunk in chunks)


def test_a_second_ingestion_stores_nothing(index: Index) -> None:
    index.write("handbook.md", HANDBOOK)
    index.ingest()
    before = index.everything()

    results = index.ingest()

    assert all(before.values())
    assert index.everything() == before
    assert all(result.is_unchanged and result.error is None for result in results.values())
    assert (index.embedded_texts, index.cached_texts) == (0, len(before["chunks"]))


def test_words_are_found_as_soon_as_their_document_is_published(index: Index) -> None:
    index.write("handbook.md", HANDBOOK)
    index.write("other.md", "# Garden\n\nThe hedges are trimmed before the birds nest.\n")
    index.ingest()
    without_words = "SELECT count(*) FROM tvdb.chunk_sets WHERE NOT has_words"
    assert index.rows(without_words) == [(0,)]
    assert index.search("hedge")[0].document == "other.md"
    # A changed document is found by its new text at once.
    index.write("other.md", "# Garden\n\nThe lawn is mown before the guests come.\n")
    index.ingest()
    assert index.search("lawn")[0].document == "other.md"
    assert not any("hedge" in hit.text for hit in index.search("hedge"))


def test_words_that_are_missing_are_stored_later(index: Index) -> None:
    index.write("handbook.md", HANDBOOK)
    index.write("other.md", "# Garden\n\nThe hedges are trimmed before the birds nest.\n")
    index.ingest()
    found = [index.search(question) for question in ("hedge", "How many days of leave?")]
    with index.database.transaction() as tx:
        tx.execute("DELETE FROM tvdb.word_sets")
        tx.execute("DELETE FROM tvdb.word_segments")
        tx.execute("UPDATE tvdb.chunk_sets SET has_words = false")
    with Database(index.database.url + "&options=-cdefault_transaction_read_only%3Don") as reader:
        assert fill_words(reader) == 0

    assert fill_words(index.database, at_least=3) == 0
    assert fill_words(index.database, at_least=2) == 2

    assert [index.search(q) for q in ("hedge", "How many days of leave?")] == found


def test_search_shows_the_old_chunks_of_a_document_until_the_new_ones_are_complete(
    index: Index,
) -> None:
    index.write("handbook.md", HANDBOOK)
    index.ingest()
    old = index.visible("handbook.md")
    [(old_set,)] = index.rows("SELECT chunk_set_id FROM tvdb.publications")
    index.write("handbook.md", HANDBOOK.replace("thirty days", "twenty days"))

    index.ingest(stages=frozenset({Stage.PARSED_DOCUMENTS, Stage.CHUNKS}))

    assert index.visible("handbook.md") == old
    assert index.rows("SELECT status FROM tvdb.documents") == [("registered",)]

    index.ingest()

    new = index.visible("handbook.md")
    assert [piece.replace("thirty days", "twenty days") for piece in old] == new
    assert new != old
    [(new_set, count)] = index.rows("SELECT max(chunk_set_id), count(*) FROM tvdb.publications")
    assert new_set != old_set
    assert count == 1
    assert index.rows("SELECT chunk_set_id FROM tvdb.chunk_sets") == [(new_set,)]
    assert index.rows("SELECT count(*) FROM tvdb.parsed_documents") == [(1,)]
    # Unchanged chunks are not embedded again.
    assert index.embedded_texts == len(set(new) - set(old)) < len(new)


def test_chunks_of_another_size_are_embedded_only_with_the_same_settings(index: Index) -> None:
    index.write("handbook.md", HANDBOOK)
    index.ingest()
    before = index.visible("handbook.md")
    fingerprint = index.rows("SELECT pipeline_fingerprint FROM tvdb.documents")

    index.chunker = Chunker(32, 0)
    index.ingest(stages=frozenset({Stage.PARSED_DOCUMENTS, Stage.CHUNKS}))

    assert index.visible("handbook.md") == before
    # The next ingestion with these settings still has to embed them.
    assert index.rows("SELECT pipeline_fingerprint FROM tvdb.documents") == fingerprint

    index.chunker = Chunker(32, 0)
    index.ingest(stages=frozenset({Stage.EMBEDDINGS}))
    assert index.visible("handbook.md") == before
    assert index.rows(
        "SELECT i.chunk_tokens, i.is_current, k.fingerprint = i.chunker FROM tvdb.publications"
        " JOIN tvdb.indexes i USING (index_id) JOIN tvdb.chunk_sets k USING (chunk_set_id)"
        " ORDER BY 1"
    ) == [(32, False, True), (64, True, True)]

    index.chunker = Chunker(48, 0)
    error = index.ingest(stages=frozenset({Stage.EMBEDDINGS}))[
        "handbook.md", Stage.EMBEDDINGS
    ].error
    assert error is not None
    assert error.code == "chunks_missing"


def test_a_bad_document_fails_alone_with_a_code_and_a_remedy(index: Index) -> None:
    index.write("a.md", HANDBOOK)
    index.write("b.pdf", CORRUPT_PDF)
    index.write("c.md", "# Notes\n\nThe boiler is serviced each autumn by the same company.\n")

    results = index.ingest()

    errors = [error for stage in Stage if (error := results["b.pdf", stage].error) is not None]
    assert [(error.code, error.document) for error in errors] == [("corrupt", "b.pdf")] * 3
    assert all(error.remedy for error in errors)
    assert index.rows(
        "SELECT path, status, failed_stage, error_code, disposition, attempts"
        " FROM tvdb.documents ORDER BY path"
    ) == [
        ("a.md", "published", None, None, None, 0),
        ("b.pdf", "failed", "parsed_documents", "corrupt", Disposition.TERMINAL.value, 1),
        ("c.md", "published", None, None, None, 0),
    ]
    assert index.rows("SELECT DISTINCT document FROM tvdb.search_index ORDER BY 1") == [
        ("a.md",),
        ("c.md",),
    ]
    [failure] = DocumentRegistry(index.database).failures()
    assert (failure.document, failure.code, failure.remedy) == (
        "b.pdf",
        "corrupt",
        errors[0].remedy,
    )


def test_a_fixed_document_is_published_and_its_failure_is_cleared(index: Index) -> None:
    index.write("plan.md", b"\x00\x00 \n")
    assert index.ingest()["plan.md", Stage.EMBEDDINGS].error is not None
    index.write("plan.md", HANDBOOK)

    results = index.ingest()

    assert results["plan.md", Stage.EMBEDDINGS].error is None
    assert index.rows("SELECT status, error_code, error_remedy, attempts FROM tvdb.documents") == [
        ("published", None, None, 0)
    ]
    assert index.rows("SELECT outcome FROM tvdb.document_events ORDER BY event_id") == [
        ("failed",),
        ("published",),
    ]


def test_an_edit_that_breaks_a_document_keeps_what_was_published(index: Index) -> None:
    index.write("plan.md", HANDBOOK)
    index.ingest()
    before = index.visible("plan.md")
    index.write("plan.md", b"")

    results = index.ingest()

    assert results["plan.md", Stage.PARSED_DOCUMENTS].error is not None
    assert before
    assert index.visible("plan.md") == before


def test_the_same_bytes_under_another_name_are_not_parsed_or_embedded_again(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.write("handbook.md", HANDBOOK)
    index.ingest()
    index.write("copy.md", HANDBOOK)
    workers = index.routers(ServiceMode.LOCAL).services.workers
    submit, tasks = workers.submit, []

    def recorded(task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        tasks.append(task)
        return submit(task, *arguments)

    monkeypatch.setattr(workers, "submit", recorded)
    index.ingest()

    assert prepare_document not in tasks
    assert tasks == [chunk_document]
    assert index.embedded_texts == 0
    assert index.visible("copy.md") == index.visible("handbook.md") != []
    assert index.rows("SELECT count(DISTINCT document_id) FROM tvdb.parsed_documents") == [(2,)]


def test_vectors_of_the_mock_are_excluded_from_search_until_real_ones_exist(
    index: Index,
) -> None:
    index.write("handbook.md", HANDBOOK)

    index.ingest(ServiceMode.MOCK)

    [(count, modes)] = index.rows("SELECT count(*), array_agg(DISTINCT mode) FROM tvdb.embeddings")
    assert count > 1
    assert modes == ["mock"]
    assert index.rows("SELECT count(*) FROM tvdb.search_index") == [(0,)]
    assert index.search("vacation") == []
    assert unsearchable(index.database) == count

    index.ingest(ServiceMode.LOCAL)

    assert len(index.visible("handbook.md")) == count
    assert index.rows("SELECT DISTINCT mode FROM tvdb.search_index") == [("local",)]
    assert unsearchable(index.database) == 0


def test_an_ingestion_with_the_mock_does_not_change_search(index: Index) -> None:
    index.write("handbook.md", HANDBOOK)
    index.ingest(ServiceMode.LOCAL)
    before = index.visible("handbook.md")

    index.ingest(ServiceMode.MOCK)

    assert before
    assert index.visible("handbook.md") == before
    assert [hit.document for hit in index.search("vacation", k=1)] == ["handbook.md"]


@pytest.mark.parametrize(
    ("question", "document", "passage"),
    [
        ("How many days of vacation do I get?", "handbook.md", "thirty days of vacation"),
        ("What may a hotel cost?", "handbook.md", "ninety euros"),
        ("When is the heating maintained?", "house.md", "boiler"),
        ("Who must know when a password leaks?", "security.md", "security office"),
    ],
)
def test_search_finds_the_right_passage_first(
    index: Index, question: str, document: str, passage: str
) -> None:
    index.write("handbook.md", HANDBOOK)
    index.write("house.md", "# House\n\nThe boiler and the heating are serviced each autumn.\n")
    index.write(
        "security.md",
        "# Security\n\nWhoever sees a leaked password calls the security office at once.\n",
    )
    index.ingest()

    hits = index.search(question)

    assert hits[0].document == document
    assert passage in " ".join(hits[0].text.split())
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_each_chunk_of_a_table_is_found_by_its_header_row(index: Index) -> None:
    rows = "".join(f"house {n},{n * 17}\n" for n in range(60))
    index.write("prices.csv", "building,premium\n" + rows)
    index.ingest()

    chunks = index.rows(
        "SELECT c.repeated_header, c.text, c.text_sha256, p.text, c.start_offset, c.end_offset"
        " FROM tvdb.chunks c JOIN tvdb.chunk_sets USING (chunk_set_id)"
        " JOIN tvdb.parsed_documents p USING (parsed_id) ORDER BY ordinal"
    )
    assert len(chunks) > 3
    assert [repeated_header for repeated_header, *_ in chunks[1:]] == [
        "| building | premium |\n"
    ] * (len(chunks) - 1)
    for repeated_header, text, digest, parsed, start, end in chunks:
        assert digest == sha256((repeated_header + text).encode()).digest()
        assert text == parsed[start:end]
    found = "to_tsvector('english', repeated_header || text) @@ to_tsquery('english', 'premium')"
    [(count,)] = index.rows(f"SELECT count(*) FROM tvdb.search_index WHERE {found}")
    assert count == len(chunks)
    assert {hit.repeated_header for hit in index.search("premium", 20)} == {
        "",
        "| building | premium |\n",
    }
