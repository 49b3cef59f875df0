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

from tvdb_assets.errors import TvdbError
from tvdb_assets.models import SourceFile
from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.services.workers import WorkerPool, drop_handed_on, hand_on
from tvdb_assets.settings import Settings
from tvdb_assets.storage.registry import Registry
from tvdb_assets.storage.source import Source
from tvdb_assets.walk.indexing import load_client
from tvdb_assets.walk.preparing import parse_task

_MOST_BYTES = 32 << 20
"""Of source files; bounds what is held of them and of their texts."""
_BYTES_AT_ONCE = 256 << 10
"""Of files that a worker is handed together, unless it is a single one."""


@contextmanager
def parsing_ahead(
    settings: Settings, registry: Registry, places: Iterable[tuple[Source, Sequence[str]]]
) -> Iterator[None]:
    """Parse new documents in the worker processes that the next walk of this process takes over.

    Args:
        settings: of the walk.
        registry: says which files are new.
        places: each source with the prefixes to look at.
    """
    stopped = threading.Event()
    with ServiceRouter(settings) as router:
        pool = WorkerPool.of(settings)
        hand_on(pool)
        thread = threading.Thread(
            target=_prepare, args=(settings, router, pool, registry, places, stopped), daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
            drop_handed_on(pool)


def _prepare(
    settings: Settings,
    router: ServiceRouter,
    pool: WorkerPool,
    registry: Registry,
    places: Iterable[tuple[Source, Sequence[str]]],
    stopped: threading.Event,
) -> None:
    # What goes wrong here goes wrong in the walk too, where it is told. A pool that is closed
    # says that the walk has ended.
    with suppress(TvdbError, RuntimeError):
        if _parse(settings, router, pool, registry, places, stopped) and not stopped.is_set():
            load_client(router)


def _parse(
    settings: Settings,
    router: ServiceRouter,
    pool: WorkerPool,
    registry: Registry,
    places: Iterable[tuple[Source, Sequence[str]]],
    stopped: threading.Event,
) -> bool:
    """Hand the new files to the workers, in bounds; whether there are any."""
    chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
    left, count = _MOST_BYTES, settings.run_partitions
    gathered = _Gathered(pool)
    for source, prefixes in places:
        known = registry.listed(source.root)
        for file in source.list(prefixes):
            if stopped.is_set() or count == 0:
                break
            if not isinstance(file, SourceFile) or file.path in known or file.size > left:
                continue
            data = source.read(file.path, max_bytes=left)
            gathered.add(parse_task(router, data, file.path, chunker), file.size)
            left, count = left - file.size, count - 1
    gathered.submit()
    return count < settings.run_partitions


class _Gathered:
    """Small tasks that are handed to a worker together.

    A thread that is about to hand on the next one may wait 5 ms for its turn beside one that
    loads a program, which is longer than the task takes.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._tasks: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._bytes = 0

    def add(self, task: tuple[Callable[..., Any], tuple[Any, ...]], size: int) -> None:
        if self._bytes + size > _BYTES_AT_ONCE:
            self.submit()
        self._tasks.append(task)
        self._bytes += size

    def submit(self) -> None:
        """Hand on what is left."""
        if self._tasks:
            self._pool.submit_early(self._tasks)
        self._tasks, self._bytes = [], 0
