"""The retrievers of LangChain and LlamaIndex answer the questions of the demo, sync and async."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tvdb_assets.integrations import langchain, llama_index
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.index import Index
from tvdb_assets.serve.backend import SearchBackend
from tvdb_assets_tests.serve.conftest import QUESTIONS, Demo


@pytest.fixture
def index(backend: SearchBackend) -> Index:
    return backend.index


def test_langchain_gets_documents_with_their_place(index: Index) -> None:
    retriever = langchain.TvdbRetriever(index=index, k=2)

    async def ask(question: str) -> str:
        documents = await retriever.ainvoke(question)
        return str(documents[0].metadata["document"])

    for question, document in QUESTIONS.items():
        found = retriever.invoke(question)
        assert len(found) == 2
        assert found[0].metadata["document"] == document
        assert found[0].page_content
        assert found[0].metadata["is_confident"]
        assert asyncio.run(ask(question)) == document
    page = retriever.invoke("Is flood damage covered?")[0].metadata["page"]
    assert page in (2, 3)


def test_llama_index_gets_nodes_with_their_place(index: Index) -> None:
    retriever = llama_index.TvdbRetriever(index, k=2)

    async def ask(question: str) -> str:
        nodes = await retriever.aretrieve(question)
        return str(nodes[0].metadata["document"])

    for question, document in QUESTIONS.items():
        found = retriever.retrieve(question)
        assert len(found) == 2
        assert found[0].metadata["document"] == document
        assert found[0].score is not None
        assert found[0].get_content()
        assert asyncio.run(ask(question)) == document


def test_a_retriever_opens_the_index_of_the_settings_and_closes_it(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", demo.database.url)
    question, document = next(iter(QUESTIONS.items()))
    with langchain.TvdbRetriever(k=1) as chain:
        assert chain.invoke(question)[0].metadata["document"] == document
    with llama_index.TvdbRetriever(k=1) as llama:
        assert llama.retrieve(question)[0].metadata["document"] == document


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("langchain", "langchain_core", "langchain"),
        ("llama_index", "llama_index", "llama-index"),
    ],
)
def test_without_the_framework_the_import_names_the_line_to_install_it(
    module: str, package: str, extra: str
) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import tvdb_assets.integrations.{module}"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert f"pip install 'tvdb-assets[{extra}]'" in result.stderr


def test_filters_reach_the_search(index: Index) -> None:
    only_scans = Filters(path="scans/")
    chain = langchain.TvdbRetriever(index=index, filters=only_scans)
    llama = llama_index.TvdbRetriever(index, filters=only_scans)
    scan = "scans/scanned-endorsement.pdf"
    assert {found.metadata["document"] for found in chain.invoke("damage")} == {scan}
    assert {found.metadata["document"] for found in llama.retrieve("damage")} == {scan}
