"""Parsing that begins while the program is still being loaded.

What belongs here: what an ingest will surely walk is read and handed to the worker processes
early. What does not: anything that is stored, paid for or decided; the walk finds its tasks
done, and does the rest as ever. Loading Dagster takes seconds of one processor, in which the
others have nothing to do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tvdb_assets.errors import TvdbError
from tvdb_assets.models import SourceFile
from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.services.workers import WorkerPool, drop_handed_on, hand_on
from tvdb_assets.settings import Settings
from tvdb_assets.storage.registry import Registry
from tvdb_assets.storage.source import Source
from tvdb_assets.walk.preparing import parse_task

_MOST_BYTES = 32 << 20
"""Of source files; bounds what is held of them and of their texts."""


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
            target=_parse, args=(settings, router, pool, registry, places, stopped), daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
            drop_handed_on(pool)


def _parse(
    settings: Settings,
    router: ServiceRouter,
    pool: WorkerPool,
    registry: Registry,
    places: Iterable[tuple[Source, Sequence[str]]],
    stopped: threading.Event,
) -> None:
    chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
    left, count = _MOST_BYTES, settings.run_partitions
    # What goes wrong here goes wrong in the walk too, where it is told. A pool that is closed
    # says that the walk has ended.
    with suppress(TvdbError, RuntimeError):
        for source, prefixes in places:
            known = registry.listed(source.root)
            for file in source.list(prefixes):
                if stopped.is_set() or count == 0:
                    return
                if not isinstance(file, SourceFile) or file.path in known or file.size > left:
                    continue
                data = source.read(file.path, max_bytes=left)
                task, args = parse_task(router, data, file.path, chunker)
                pool.submit_early(task, *args)
                left, count = left - file.size, count - 1
