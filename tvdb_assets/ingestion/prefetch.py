"""Parsing that begins while the program is still being loaded.

What belongs here: what an ingest will surely walk is read and handed to the worker processes
early, and what its first paid request needs is loaded. What does not: anything that is stored,
paid for or decided; the walk finds its tasks done, and does the rest as ever. Loading Dagster
takes seconds of one processor, in which the others have nothing to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from tvdb_assets.core.batching import split_into_batches
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.errors import TvdbError
from tvdb_assets.ingestion.embed_stage import load_client
from tvdb_assets.ingestion.parse_stage import parse_task
from tvdb_assets.models import SourceFile
from tvdb_assets.parsing.worker_pool import WorkerPool, drop_handed_on, hand_on
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import Settings
from tvdb_assets.sources.source import Source

_MOST_BYTES = 32 << 20
"""Of source files; bounds what is held of them and of their texts."""
_BYTES_AT_ONCE = 256 << 10
"""Of files that a worker is handed together, unless it is a single one."""
_MOST_AT_ONCE = 64
"""Files that a worker is handed together."""


@contextmanager
def parsing_ahead(
    settings: Settings, registry: DocumentRegistry, places: Iterable[tuple[Source, Sequence[str]]]
) -> Iterator[None]:
    """Parse new documents in the worker processes that the next walk of this process takes over.

    Args:
        settings: of the walk.
        registry: says which files are new.
        places: each source with the prefixes to look at.
    """
    with ServiceRouter(settings) as router:
        ahead = _Ahead(settings, router, WorkerPool.of(settings), registry, places)
        hand_on(ahead.pool)
        thread = threading.Thread(target=ahead.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ahead.stopped.set()
            thread.join()
            drop_handed_on(ahead.pool)


class _Ahead:
    """What a thread does while the program is being loaded."""

    def __init__(
        self,
        settings: Settings,
        router: ServiceRouter,
        pool: WorkerPool,
        registry: DocumentRegistry,
        places: Iterable[tuple[Source, Sequence[str]]],
    ) -> None:
        self.pool = pool
        self.stopped = threading.Event()
        self._most_files = settings.run_partitions
        self._chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
        self._router = router
        self._registry = registry
        self._places = places

    def run(self) -> None:
        """Hand new files to the workers, then load what the first paid request needs."""
        # What goes wrong here goes wrong in the walk too, where it is told. A pool that is
        # closed says that the walk has ended.
        with suppress(TvdbError, RuntimeError):
            files = self._new_files()
            # A thread that is about to hand on the next file may wait 5 ms for its turn beside
            # one that loads a program, which is longer than a small one takes: so, together.
            sizes = [file.size for _, file in files]
            for start, end in split_into_batches(
                sizes, max_inputs=_MOST_AT_ONCE, max_tokens=_BYTES_AT_ONCE
            ):
                if self.stopped.is_set():
                    return
                self.pool.submit_early([self._task(*place) for place in files[start:end]])
            if files and not self.stopped.is_set():
                load_client(self._router)

    def _new_files(self) -> list[tuple[Source, SourceFile]]:
        """As many as a run takes and as may be held."""
        found: list[tuple[Source, SourceFile]] = []
        left = _MOST_BYTES
        for source, prefixes in self._places:
            known = self._registry.listed(source.root)
            for file in source.list(prefixes):
                if self.stopped.is_set() or len(found) == self._most_files:
                    return found
                if isinstance(file, SourceFile) and file.path not in known and file.size <= left:
                    found.append((source, file))
                    left -= file.size
        return found

    def _task(self, source: Source, file: SourceFile) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        data = source.read(file.path, max_bytes=_MOST_BYTES)
        return parse_task(self._router, data, file.path, self._chunker)
