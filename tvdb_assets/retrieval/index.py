"""`Index` and `search`: search the current index from any program, without Dagster.

What belongs here: embedding a question with the model of the current index, and the lifetime of
the connections that a search needs. What does not: the query itself (`retrieval.hybrid_search`), or
how results are displayed (`cli`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import current_run_id, new_run_id, run_scope
from tvdb_assets.error_boundaries import redacting_errors
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.full_text import index_full_text
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.retrieval.hybrid_search import CANDIDATES, Hit, other_space
from tvdb_assets.retrieval.hybrid_search import search as hybrid_search
from tvdb_assets.retrieval.stored_document import (
    SourceSummary,
    StoredDocument,
    list_sources,
    read_document,
)
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import Settings, load_settings

T = TypeVar("T")
_WITHOUT_VECTOR = frozenset({codes.VECTOR_ZERO.code, codes.VECTOR_NOT_FINITE.code})
"""Error codes of a question without a known token; full text may still find something."""
MAX_RESULTS = CANDIDATES
"""The largest ``k``: results beyond the candidates of a ranking would have no defined order."""


def search(question: str, k: int = 10, *, settings: Settings | None = None) -> list[Hit]:
    """Find the ``k`` passages that match a question best, the best one first.

    Each call connects to the database and loads the embedding model. For more than one question,
    use an `Index`, which does both once.

    Args:
        question: a question in plain language.
        k: maximum number of results, 1 to 100.
        settings: None reads them from the environment.

    Raises:
        ValueError: ``k`` is out of range.
        ConfigurationError: the embedder of the current index can't be used with these settings.
        StorageError: the database can't be used.
        ServiceError: the current index needs a paid service, and a limit, an outage or a refused
            key prevents the call.
    """
    with Index(settings) as index:
        return index.search(question, k)


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
    ) -> None:
        """Nothing is opened until the first search.

        Args:
            settings: None reads them from the environment.
            database: None opens the one of the settings. The caller closes a given one.
            router: None creates one from the settings. The caller closes a given one, and must
                not use it in another event loop at the same time.
        """
        self._settings = settings
        self._database = database
        self._router = router
        self._owns_database = database is None
        self._owns_router = router is None
        self._run_id = router.run_id if router is not None else current_run_id() or new_run_id()
        self._opening = asyncio.Lock()
        self._starting = threading.Lock()
        self._thread: _EventLoopThread | None = None
        self._is_closed = False

    def search(self, question: str, k: int = 10) -> list[Hit]:
        """Find the ``k`` passages that match a question best; see the function `search`."""
        return self._submit(question, k).result()

    async def asearch(self, question: str, k: int = 10) -> list[Hit]:
        """Search without blocking the event loop of the caller; see the function `search`."""
        return await asyncio.wrap_future(self._submit(question, k))

    def document(
        self, name: str, *, source: str | None = None, preferred: str | None = None
    ) -> StoredDocument:
        """Read the stored text of a document, as search sees it; see `read_document`."""
        return self._document(name, source, preferred).result()

    async def adocument(
        self, name: str, *, source: str | None = None, preferred: str | None = None
    ) -> StoredDocument:
        """Read a document without blocking the event loop of the caller; see `document`."""
        return await asyncio.wrap_future(self._document(name, source, preferred))

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

    def _submit(self, question: str, k: int) -> Future[list[Hit]]:
        if not 1 <= k <= MAX_RESULTS:
            raise ValueError(f"k must be between 1 and {MAX_RESULTS}, not {k}")
        return self._start(self._search(question, k))

    def _document(
        self, name: str, source: str | None, preferred: str | None
    ) -> Future[StoredDocument]:
        return self._run(partial(read_document, name=name, source=source, preferred=preferred))

    def _run(self, work: Callable[[Database], T]) -> Future[T]:
        """Run a statement in a thread, with the database of this index."""

        async def running() -> T:
            with run_scope(self._run_id), redacting_errors(self._run_id):
                return await asyncio.to_thread(work, await self._open_database())

        return self._start(running())

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._starting:
            if self._is_closed:
                work.close()
                raise RuntimeError("the index is closed")
            # Connections of an async client belong to one event loop, so all searches share one.
            self._thread = self._thread or _EventLoopThread()
            return self._thread.submit(work)

    async def _search(self, question: str, k: int) -> list[Hit]:
        with run_scope(self._run_id), redacting_errors(self._run_id):
            database, router = await self._open()
            return await _search(question, k, database, router)

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


async def _search(question: str, k: int, database: Database, router: ServiceRouter) -> list[Hit]:
    catalog = IndexCatalog(database)
    index = await asyncio.to_thread(catalog.current)
    while True:
        # Never the fallback embedder: its vectors can't be compared with those of the index.
        embedder = router.clients.embedder_in(index.space) if index else router.clients.embedder
        if embedder is None:
            assert index is not None
            raise other_space(index.space.label, router.clients.embedder.space.label)
        embedded = await router.embed_by(embedder, [question])
        error = embedded.errors.get(0)
        if error is not None and error.code not in _WITHOUT_VECTOR:
            raise error
        vector, space = embedded[0], embedded.space.label
        # After a large ingestion this takes seconds, once.
        await asyncio.to_thread(index_full_text, database)
        try:
            return await asyncio.to_thread(hybrid_search, database, question, vector, space, k)
        except ConfigurationError:
            before, index = index, await asyncio.to_thread(catalog.current)
            # The question is embedded again only if another index became current in between.
            if index == before:
                raise


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
