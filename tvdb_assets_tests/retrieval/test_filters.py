"""Filters restrict both rankings; vectors are searched by an index and exactly with one result."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import psutil
import pytest

from tvdb_assets import Filters, Index
from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.vector_index import build_memory, build_vector_indexes
from tvdb_assets.retrieval import hybrid_search
from tvdb_assets.retrieval.filters import glob_pattern
from tvdb_assets.retrieval.hybrid_search import Ranking
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

LOCAL = {"service_mode": "local"}
QUESTION = "Is damage by water covered?"
ENGLISH = "# Rule {0}\n\nDamage by water up to floor {0} is covered by this rule of the house.\n"
GERMAN = (
    "# Regel\n\nDer Schaden durch Wasser ist in diesem Haus immer versichert, sagt die Regel.\n"
)
OLD = datetime(2020, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared_folder(
    shared_database: Database, paid_workers: WorkerPool, tmp_path_factory: pytest.TempPathFactory
) -> DocumentFolder:
    """A folder that all tests of this module share."""
    paid = PaidServicesFixture(shared_database, paid_workers)
    return DocumentFolder(paid, tmp_path_factory.mktemp("documents"))


@pytest.fixture(scope="module")
def index(shared_folder: DocumentFolder) -> Iterator[Index]:
    """Documents in two folders, two formats and two languages; one file is old."""
    folder = shared_folder
    for name in ("a/1.md", "a/2.md", "b/3.md", "b/4.txt"):
        (folder.path / name).parent.mkdir(exist_ok=True)
        folder.write(name, ENGLISH.format(name[2]))
    folder.write("b/5.md", GERMAN)
    os.utime(folder.path / "a/2.md", (OLD.timestamp(), OLD.timestamp()))
    assert folder.codes(folder.ingest(**LOCAL)) == {}
    with Index(load_settings(**LOCAL), database=folder.paid.database) as index:
        yield index


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(), "12345"),
        (Filters(path="a/"), "12"),
        (Filters(path="a/1"), "1"),
        (Filters(path="*.md"), "1235"),
        (Filters(path="?/[34].*"), "34"),
        (Filters(path="%"), ""),
        (Filters(media_type="text/plain"), "4"),
        (Filters(media_type="text/*"), "12345"),
        (Filters(media_type="application/pdf"), ""),
        (Filters(language="de"), "5"),
        (Filters(language="en", path="b/"), "34"),
        (Filters(modified_to=OLD + timedelta(days=1)), "2"),
        (Filters(modified_from=OLD + timedelta(days=1)), "1345"),
        (Filters(modified_from=OLD, modified_to=OLD), ""),
        (Filters(metadata={"title": "Rule 3"}), "3"),
        (Filters(metadata={"title": "Rule 3", "tables": "7"}), ""),
        (Filters(source="/nowhere"), ""),
    ],
)
def test_only_documents_that_pass_are_found(index: Index, filters: Filters, found: str) -> None:
    hits = index.search(QUESTION, 10, filters)
    assert "".join(sorted(hit.document[2] for hit in hits)) == found
    unfiltered = {hit.chunk_id: hit.score for hit in index.search(QUESTION, 10)}
    assert all(unfiltered[hit.chunk_id] == hit.score for hit in hits)


def test_a_filter_that_few_candidates_pass_is_looked_up_for_all_documents(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hybrid_search, "CANDIDATES", 1)
    monkeypatch.setattr(hybrid_search, "_FILTERED", 1)
    assert [hit.document for hit in index.search(QUESTION, 10, Filters(language="de"))] == [
        "b/5.md"
    ]


def test_a_minimum_score_omits_weaker_results(index: Index) -> None:
    hits = index.search(QUESTION, 10)
    assert all(0 <= hit.score <= 1 for hit in hits)
    second = hits[1].score
    assert [h.chunk_id for h in index.search(QUESTION, 10, min_score=second)] == [
        h.chunk_id for h in hits if h.score >= second
    ]
    with pytest.raises(ValueError, match="min_score"):
        index.search(QUESTION, min_score=1.5)


def test_an_index_over_vectors_and_newer_vectors_give_the_same_results(
    index: Index, shared_folder: DocumentFolder
) -> None:
    def by_vectors() -> list[tuple[int, float | None]]:
        return [(hit.chunk_id, hit.vector_score) for hit in index.search("xyzzy water floor", 10)]

    database = shared_folder.paid.database
    before = by_vectors()
    assert build_vector_indexes(database) == 0
    assert build_vector_indexes(database, is_forced=True) == 1
    assert by_vectors() == before
    assert index.search(QUESTION, 10, Filters(language="de"))[0].document == "b/5.md"
    shared_folder.write("b/6.md", ENGLISH.format(6))
    shared_folder.ingest(**LOCAL)
    assert "b/6.md" in {hit.document for hit in index.search("xyzzy floor 6", 10)}
    # A new index replaces the old one.
    assert build_vector_indexes(database, is_forced=True) == 1
    with database.transaction() as tx:
        names = tx.execute(
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'embeddings\\_hnsw\\_%'"
        ).fetchone()
    assert names == (1,)
    assert "b/6.md" in {hit.document for hit in index.search("xyzzy floor 6", 10)}


@pytest.mark.parametrize("count", [192, 400])
def test_nearer_vectors_of_texts_that_are_not_shown_hide_no_document(
    index: Index, shared_folder: DocumentFolder, count: int
) -> None:
    def found(filters: Filters) -> list[tuple[int, float]]:
        hits = index.search(QUESTION, 10, filters, ranking=Ranking.VECTORS)
        return [(hit.chunk_id, hit.score) for hit in hits]

    some = (Filters(), Filters(path="a/"), Filters(language="de"))
    expected = [found(filters) for filters in some]
    assert all(expected)
    vector = asyncio.run(LocalEmbedder().embed([QUESTION]))[0]
    with shared_folder.paid.database.transaction() as tx:
        # As of another index of the same vector space.
        tx.execute(
            "INSERT INTO tvdb.embeddings (space_id, text_sha256, embedding, token_count, service,"
            " mode, model, version, is_degraded, run_id) SELECT 1, sha256(n::text::bytea), %s, 1,"
            " 'other', '', '', '', false, 'run' FROM generate_series(1, %s) n",
            (vector, count),
        )
    try:
        assert [found(filters) for filters in some] == expected
    finally:
        with shared_folder.paid.database.transaction() as tx:
            tx.execute("DELETE FROM tvdb.embeddings WHERE service = 'other'")


@pytest.mark.parametrize("vectors", [100_000, 1_000_000])
def test_a_build_has_memory_for_all_vectors_and_no_more_than_a_quarter_of_the_machine(
    vectors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 8 MiB were full after 6,836 vectors of 256 dimensions.
    measured = vectors * (8 << 20) / 6_836
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 << 30))
    assert measured < build_memory(vectors, 256) < 1.2 * measured
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=256 << 20))
    assert build_memory(vectors, 256) == 64 << 20


def test_page_heading_and_offsets_are_those_of_the_passage(
    index: Index, shared_folder: DocumentFolder
) -> None:
    text = (
        "# Policy\n\n## Fire\n\nFire is covered.\n\n## Theft\n\nBicycles are covered up to 900.\n"
    )
    shared_folder.write("c.md", text)
    shared_folder.ingest(**LOCAL)
    hit = index.search("Are bicycles covered?", 1)[0]
    assert hit.heading == "Policy > Theft"
    assert hit.text[hit.passage_start : hit.passage_end] == "Bicycles are covered up to 900."
    assert hit.page is None


@pytest.mark.parametrize(
    ("glob", "pattern"),
    [
        ("a/*.md", "^a/.*\\.md$"),
        ("a?[!b]c", "^a.[^b]c$"),
        ("a[b", "^a\\[b$"),
        ("(x)+", "^\\(x\\)\\+$"),
    ],
)
def test_a_glob_is_translated_to_a_pattern(glob: str, pattern: str) -> None:
    assert glob_pattern(glob).replace("\\/", "/") == pattern
