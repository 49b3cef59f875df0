"""`Index` and `search`: search the current index from any program, without Dagster.

What belongs here: embedding a question with the model of the current index, and the lifetime of
the connections that a search needs. What does not: the query itself (`retrieval.hybrid_search`), or
how results are displayed (`cli`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from tvdb_assets.correlation import current_run_id, new_run_id, run_scope
from tvdb_assets.error_boundaries import redacting_errors
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.index_catalog import CurrentIndex, IndexCatalog
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.hybrid_search import CANDIDATES, Ranking, other_space
from tvdb_assets.retrieval.hybrid_search import search as hybrid_search
from tvdb_assets.retrieval.question_vectors import QuestionVector, QuestionVectors
from tvdb_assets.retrieval.results import SearchResult
from tvdb_assets.retrieval.stored_document import (
    SourceSummary,
    StoredDocument,
    list_sources,
    read_document,
)
from tvdb_assets.retrieval.word_index import WordIndexReader
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import OverBudget, Settings, load_settings

T = TypeVar("T")
MAX_RESULTS = CANDIDATES
"""The largest ``k``: results beyond the candidates of a ranking would have no defined order."""


def search(
    question: str,
    k: int = 10,
    filters: Filters | None = None,
    *,
    min_score: float | None = None,
    settings: Settings | None = None,
) -> SearchResult:
    """Find the ``k`` passages that match a question best, the best one first.

    Each call connects to the database and loads the embedding model. For more than one question,
    use an `Index`, which does both once.

    Args:
        question: a question in plain language.
        k: maximum number of results, 1 to 100.
        filters: the documents to search; None searches all.
        min_score: omit results with a lower `Hit.score`, 0 to 1; None omits none.
        settings: None reads them from the environment.

    Raises:
        ValueError: ``k`` or ``min_score`` is out of range.
        ConfigurationError: the embedder of the current index can't be used with these settings.
        StorageError: the database can't be used.
        ServiceError: the current index needs a paid service, and a limit, an outage or a refused
            key prevents the call.
    """
    with Index(settings) as index:
        return index.search(question, k, filters, min_score=min_score)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked."""

    text: str
    k: int
    filters: Filters
    min_score: float | None
    ranking: Ranking


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a search uses."""

    database: Database
    router: ServiceRouter
    reader: WordIndexReader
    vectors: QuestionVectors
    index_id: int | None


class Index:
    """The current index, for any number of questions, from any thread or event loop.

    ::

        with Index() as index:
            for hit in index.search("Is flood damage covered?", k=3):
                print(hit.document, hit.page, hit.text)

        async with Index() as index:
            hits = await index.asearch("Is flood damage covered?")

    A question is embedded by the embedding model of the current index, not by the model of the
    settings. If that is a paid service, the call passes the spend guard, and is sent only in a
    mode that may pay. After ``tvdb switch``, the next search reads the new index.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        database: Database | None = None,
        router: ServiceRouter | None = None,
        index_id: int | None = None,
    ) -> None:
        """Nothing is opened until the first search.

        Args:
            settings: None reads them from the environment.
            database: None opens the one of the settings. The caller closes a given one.
            router: None creates one from the settings. The caller closes a given one, and must
                not use it in another event loop at the same time.
            index_id: the number of another index than the current one, as ``tvdb switch --list``
                shows it.
        """
        self._index_id = index_id
        self._vectors = QuestionVectors()
        self._settings = settings
        self._database = database
        self._router = router
        self._owns_database = database is None
        self._owns_router = router is None
        self._run_id = router.run_id if router is not None else current_run_id() or new_run_id()
        self._reader = WordIndexReader()
        self._opening = asyncio.Lock()
        self._starting = threading.Lock()
        self._thread: _EventLoopThread | None = None
        self._is_closed = False

    def search(
        self,
        question: str,
        k: int = 10,
        filters: Filters | None = None,
        *,
        min_score: float | None = None,
        ranking: Ranking = Ranking.BOTH,
    ) -> SearchResult:
        """Find the ``k`` passages that match a question best; see the function `search`.

        ``ranking`` ranks by words or vectors alone, for an evaluation.
        """
        return self._submit(question, k, filters, min_score, ranking).result()

    async def asearch(
        self,
        question: str,
        k: int = 10,
        filters: Filters | None = None,
        *,
        min_score: float | None = None,
        ranking: Ranking = Ranking.BOTH,
    ) -> SearchResult:
        """Search without blocking the event loop of the caller; see `search`."""
        return await asyncio.wrap_future(self._submit(question, k, filters, min_score, ranking))

    def document(
        self, name: str, *, source: str | None = None, preferred: str | None = None
    ) -> StoredDocument:
        """Read the stored text of a document, as search sees it; see `read_document`."""
        return self._run(
            lambda database: read_document(database, name, source=source, preferred=preferred)
        ).result()

    async def adocument(
        self, name: str, *, source: str | None = None, preferred: str | None = None
    ) -> StoredDocument:
        """Read a document without blocking the event loop of the caller; see `document`."""
        return await asyncio.wrap_future(
            self._run(
                lambda database: read_document(database, name, source=source, preferred=preferred)
            )
        )

    def sources(self) -> list[SourceSummary]:
        """List the sources of all documents, with what search finds of each."""
        return self._run(list_sources).result()

    async def asources(self) -> list[SourceSummary]:
        """List the sources without blocking the event loop of the caller; see `sources`."""
        return await asyncio.wrap_future(self._run(list_sources))

    def close(self) -> None:
        """Close the connections that this object opened; no search is possible after that."""
        with self._starting:
            self._is_closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(self._disconnect()).result()
            thread.close()
        if self._owns_database and self._database is not None:
            self._database.close()

    async def aclose(self) -> None:
        """Close without blocking the event loop of the caller; see `close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Index:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def _submit(
        self,
        question: str,
        k: int,
        filters: Filters | None,
        min_score: float | None,
        ranking: Ranking,
    ) -> Future[SearchResult]:
        if not 1 <= k <= MAX_RESULTS:
            raise ValueError(f"k must be between 1 and {MAX_RESULTS}, not {k}")
        if min_score is not None and not 0 <= min_score <= 1:
            raise ValueError(f"min_score must be between 0 and 1, not {min_score}")
        asked = _Question(question, k, filters or Filters(), min_score, ranking)
        return self._start(self._search(asked))

    def _run(self, work: Callable[[Database], T]) -> Future[T]:
        """Run a statement in a thread, with the database of this index."""

        async def running() -> T:
            with self._scope():
                return await asyncio.to_thread(work, await self._open_database())

        return self._start(running())

    @contextmanager
    def _scope(self) -> Iterator[str]:
        """Give the work the id of the caller's run or request, or else the one of this index."""
        run_id = current_run_id() or self._run_id
        with run_scope(run_id), redacting_errors(run_id):
            yield run_id

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._starting:
            if self._is_closed:
                work.close()
                raise RuntimeError("the index is closed")
            # Connections of an async client belong to one event loop, so all searches share one.
            self._thread = self._thread or _EventLoopThread()
            return self._thread.submit(work)

    async def _search(self, question: _Question) -> SearchResult:
        with self._scope() as run_id:
            database, router = await self._open()
            opened = _Opened(
                database, router.for_run(run_id), self._reader, self._vectors, self._index_id
            )
            return await _search(question, opened)

    async def _open(self) -> tuple[Database, ServiceRouter]:
        database = await self._open_database()
        async with self._opening:
            if self._router is None:
                self._router = ServiceRouter(self._loaded_settings(), database=database)
            return database, self._router

    async def _open_database(self) -> Database:
        async with self._opening:
            if self._database is None:
                self._database = await asyncio.to_thread(Database.open, self._loaded_settings())
            return self._database

    def _loaded_settings(self) -> Settings:
        if self._settings is None:
            self._settings = load_settings()
        return self._settings

    async def _disconnect(self) -> None:
        if self._router is not None:
            await (self._router.aclose() if self._owns_router else self._router.disconnect())


async def _search(question: _Question, opened: _Opened) -> SearchResult:
    catalog = IndexCatalog(opened.database)
    find = catalog.current if opened.index_id is None else partial(catalog.get, opened.index_id)
    index = await asyncio.to_thread(find)
    while True:
        asked, space = await _vector(question, index, opened)
        try:
            found = await asyncio.to_thread(
                hybrid_search,
                *(opened.database, question.text, asked.vector, space, question.k),
                question.filters,
                min_score=question.min_score,
                reader=opened.reader,
                ranking=question.ranking,
                index_id=opened.index_id,
            )
        except ConfigurationError:
            before, index = index, await asyncio.to_thread(find)
            # The question is embedded again only if another index became current in between.
            if index == before:
                raise
        else:
            notes = (asked.note, *found.notes) if asked.note else found.notes
            return replace(found, notes=notes, cost_usd=asked.cost_usd)


async def _vector(
    question: _Question, index: CurrentIndex | None, opened: _Opened
) -> tuple[QuestionVector, str]:
    """The vector of a question in the space of an index, and the label of the space."""
    clients = opened.router.clients
    if index is not None and question.ranking is Ranking.WORDS:
        nothing = np.zeros(index.space.dimensions, np.float32)
        return QuestionVector(nothing), index.space.label
    # Never the fallback embedder: its vectors can't be compared with those of the index.
    embedder = clients.embedder_in(index.space) if index else clients.embedder
    if embedder is None:
        assert index is not None
        raise other_space(index.space.label, clients.embedder.space.label)
    asked = await opened.vectors.embed(
        question.text,
        embedder=embedder,
        router=opened.router,
        database=opened.database,
        words_over_budget=opened.router.settings.search_over_budget is OverBudget.WORDS
        and question.ranking is Ranking.BOTH,
    )
    return asked, embedder.space.label


class _EventLoopThread:
    """An event loop in a separate thread."""

    def __init__(self) -> None:
        self._is_ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="tvdb-index", daemon=True
        )
        self._thread.start()
        self._is_ready.wait()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._is_ready.set()
        await self._end.wait()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run ``work`` in the loop, with the context variables of the caller."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel the running coroutines, and end the thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
