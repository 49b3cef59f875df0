"""`search` and `Index` from a program: the same results as the command, sync, async and mixed."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

import tvdb_assets
from tvdb_assets.cli import main
from tvdb_assets.embedding.embedding_result import EmbeddingResult
from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.errors import BudgetError, ConfigurationError
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.hybrid_search import Ranking
from tvdb_assets.retrieval.hybrid_search import search as hybrid_search
from tvdb_assets.retrieval.index import MAX_RESULTS, Index
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

NAMES = ("a.md", "b.md")
LOCAL = {"service_mode": "local"}
QUESTION = "Is damage by water covered?"


@pytest.fixture
def filled(folder: DocumentFolder) -> DocumentFolder:
    """Two documents in an index of the local embedder."""
    for number, name in enumerate(NAMES):
        folder.write(name, f"# Rule {number}\n\nDamage by water up to floor {number} is covered.\n")
    assert folder.codes(folder.ingest(**LOCAL)) == {}
    return folder


@pytest.fixture
def by_command(
    filled: DocumentFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    """The results of ``tvdb search --json``."""
    monkeypatch.setenv("TVDB_DATABASE_URL", filled.paid.database.url)
    monkeypatch.setattr(sys, "argv", ["tvdb", "search", QUESTION, "-k", "10", "--json"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    results: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["results"]
    assert {result["document"] for result in results} == set(NAMES)
    return results


def test_a_program_finds_what_the_command_finds(by_command: list[dict[str, Any]]) -> None:
    hits = tvdb_assets.search(QUESTION)

    assert [asdict(hit) | {"lead": hit.repeated_header} for hit in hits] == by_command


def test_sync_and_async_searches_of_one_index_agree_from_any_thread_and_loop(
    by_command: list[dict[str, Any]],
) -> None:
    expected = [result["chunk_id"] for result in by_command]

    def ids(hits: Sequence[tvdb_assets.Hit]) -> list[int]:
        return [hit.chunk_id for hit in hits]

    with Index() as index, ThreadPoolExecutor(4) as pool:

        async def several() -> list[list[int]]:
            # A sync search inside a running loop works too, as in a notebook.
            first = ids(index.search(QUESTION))
            return [first, *map(ids, await asyncio.gather(*(index.asearch(QUESTION),) * 3))]

        assert ids(index.search(QUESTION, k=1)) == expected[:1]
        for _ in range(2):
            assert asyncio.run(several()) == [expected] * 4
        assert list(pool.map(lambda _: ids(index.search(QUESTION)), range(4))) == [expected] * 4


def test_an_async_block_closes_what_it_opened(by_command: list[dict[str, Any]]) -> None:
    async def used() -> Index:
        async with Index() as index:
            assert len(await index.asearch(QUESTION, k=2)) == 2
            return index

    # Another test may have left an index to the collection of garbage.
    before = set(threading.enumerate())
    index = asyncio.run(used())

    started = set(threading.enumerate()) - before
    assert [thread for thread in started if thread.name == "tvdb-index"] == []
    with pytest.raises(RuntimeError, match="closed"):
        index.search(QUESTION)
    index.close()


@pytest.mark.parametrize("k", [0, -1, MAX_RESULTS + 1])
def test_a_number_of_results_out_of_range_is_an_error_before_anything_is_opened(k: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 100"):
        Index(load_settings(database_url="postgresql://nobody@127.0.0.1:9/none")).search("x", k)


def test_an_unknown_parameter_is_an_error() -> None:
    with pytest.raises(TypeError, match="document"):
        tvdb_assets.search("x", document="a.md")  # type: ignore[call-arg]


def test_a_question_without_text_finds_nothing(filled: DocumentFolder) -> None:
    with Index(load_settings(**LOCAL), database=filled.paid.database) as index:
        assert not index.search("")


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_a_question_whose_vector_has_no_direction_is_ranked_by_full_text(
    filled: DocumentFolder, value: float
) -> None:
    space = LocalEmbedder().space
    vector = np.full(space.dimensions, value, np.float32)
    hits = hybrid_search(filled.paid.database, "floor 1", vector, space.label, 5)
    assert [hit.document for hit in hits] == ["b.md", "a.md"]


def test_an_empty_index_has_no_hits(paid: PaidServicesFixture) -> None:
    with Index(load_settings(**LOCAL), database=paid.database) as index:
        assert not index.search(QUESTION)


@pytest.mark.parametrize("ranking", list(Ranking))
def test_an_index_whose_documents_were_all_deleted_has_no_hits(
    filled: DocumentFolder, ranking: Ranking
) -> None:
    database, embedder = filled.paid.database, LocalEmbedder()
    documents = filled.registry.known(str(filled.path)).values()
    DocumentDeletion(database).delete([known.document_id for known in documents], is_manual=True)
    vector = np.ones(embedder.space.dimensions, np.float32)
    for filters in (None, Filters(path="a")):
        assert not hybrid_search(
            database, QUESTION, vector, embedder.space.label, 5, filters=filters, ranking=ranking
        )


def test_a_question_to_a_paid_index_passes_the_guard(filled: DocumentFolder) -> None:
    paid = filled.paid
    filled.ingest()
    IndexCatalog(paid.database).switch()
    spent, requests = paid.spent, paid.request_count("embeddings")

    router = paid.router(daily_cost_limit=spent)
    with (
        Index(database=paid.database, router=router) as index,
        pytest.raises(BudgetError) as caught,
    ):
        index.search(QUESTION)
    assert caught.value.run_id == router.run_id
    assert (paid.spent, paid.request_count("embeddings")) == (spent, requests)

    with Index(database=paid.database, router=paid.router()) as index:
        assert {hit.document for hit in index.search(QUESTION)} == set(NAMES)
    assert paid.spent > spent
    assert paid.request_count("embeddings") == requests + 1


def test_a_free_mode_does_not_pay_for_the_vector_of_a_question(filled: DocumentFolder) -> None:
    paid = filled.paid
    filled.ingest()
    IndexCatalog(paid.database).switch()
    spent = paid.spent

    index = Index(load_settings(**LOCAL), database=paid.database)
    with index, pytest.raises(ConfigurationError) as caught:
        asyncio.run(index.asearch(QUESTION))

    assert caught.value.code == "other_vector_space"
    assert paid.spent == spent


def test_a_switch_between_the_vector_of_a_question_and_its_search_is_followed(
    filled: DocumentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = filled.paid
    filled.ingest()
    router = paid.router()
    embed_by, spaces = router.embed_by, list[str]()

    async def switch_after_embedding(*arguments: Any, **options: Any) -> EmbeddingResult:
        embedded = await embed_by(*arguments, **options)
        if not spaces:
            IndexCatalog(paid.database).switch()
        spaces.append(embedded.space.provider)
        return embedded

    monkeypatch.setattr(router, "embed_by", switch_after_embedding)
    with Index(database=paid.database, router=router) as index:
        hits = index.search(QUESTION, 5)

    assert {hit.vector_space for hit in hits} == {"openai/text-embedding-3-small@1536#v1"}
    assert spaces == ["wordllama", "openai"]
