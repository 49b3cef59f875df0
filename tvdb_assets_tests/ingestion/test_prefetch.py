"""Parsing that starts before the ingestion: in which processes, of which documents, and its end."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tvdb_assets.ingestion.prefetch import parsing_ahead
from tvdb_assets.repositories.database import Database
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.paid_router import DocumentFolder, Paid


@pytest.fixture
def shelf(database: Database, tmp_path: Path) -> DocumentFolder:
    made = DocumentFolder(Paid(database), tmp_path)
    for number in range(3):
        made.write(f"{number}.md", f"# Note {number}\n\nThe boiler of house {number} is old.\n")
    return made


def processes_of(router: ServiceRouter) -> tuple[int, ...]:
    """Those that work already."""
    while not router.services.workers.process_ids():
        os.sched_yield()
    return router.services.workers.process_ids()


def test_an_ingestion_takes_over_prefetched_tasks(shelf: DocumentFolder) -> None:
    settings = shelf.paid.settings()
    places = [(Source.open(str(shelf.folder)), ())]
    with parsing_ahead(settings, shelf.registry, places), ServiceRouter(settings) as router:
        early = processes_of(router)
        shelf.paid.workers = router.services.workers
        # What has changed since is parsed as it is now.
        shelf.write("1.md", "# Note 1\n\nThe boiler is new.\n")

        assert shelf.codes(shelf.ingest()) == {}

        assert router.services.workers.process_ids() == early
    assert not any(map(psutil.pid_exists, early))
    shown = shelf.shown()
    assert sorted(shown) == ["0.md", "1.md", "2.md"]
    assert "new" in shown["1.md"][0]


def test_what_is_known_is_not_begun_and_what_nobody_takes_is_dropped(shelf: DocumentFolder) -> None:
    settings = shelf.paid.settings()
    source = Source.open(str(shelf.folder))
    with parsing_ahead(settings, shelf.registry, [(source, ())]):
        pass
    with ServiceRouter(settings) as router:
        assert router.services.workers.process_ids() == ()
    shelf.registry.register(source.root, shelf.plan().new, "by hand")
    with parsing_ahead(settings, shelf.registry, [(source, ())]), ServiceRouter(settings) as router:
        assert shelf.codes(shelf.ingest([])) == {}
        assert router.services.workers.process_ids() == ()
