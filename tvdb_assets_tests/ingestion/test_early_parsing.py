"""Parsing that starts before the ingestion: its processes, its documents and its end."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tvdb_assets.ingestion.early_parsing import parsing_while_loading
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories.database import Database
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture


@pytest.fixture
def folder(database: Database, tmp_path: Path) -> DocumentFolder:
    made = DocumentFolder(PaidServicesFixture(database), tmp_path)
    for number in range(3):
        made.write(f"{number}.md", f"# Note {number}\n\nThe boiler of house {number} is old.\n")
    return made


def processes_of(workers: WorkerPool) -> tuple[int, ...]:
    """The ids of the worker processes, as soon as there are any."""
    while not workers.process_ids():
        os.sched_yield()
    return workers.process_ids()


def test_an_ingestion_takes_over_tasks_started_early(folder: DocumentFolder) -> None:
    settings = folder.paid.settings()
    locations = [(Source.open(str(folder.path)), ())]
    with parsing_while_loading(settings, folder.registry, locations) as workers:
        early = processes_of(workers)
        folder.paid.workers = workers
        # A file that has changed since then is parsed again.
        folder.write("1.md", "# Note 1\n\nThe boiler is new.\n")

        assert folder.codes(folder.ingest()) == {}

        assert workers.process_ids() == early
    assert not any(map(psutil.pid_exists, early))
    shown = folder.passages()
    assert sorted(shown) == ["0.md", "1.md", "2.md"]
    assert "new" in shown["1.md"][0]


def test_known_documents_are_not_parsed_and_unused_results_are_dropped(
    folder: DocumentFolder,
) -> None:
    settings = folder.paid.settings()
    source = Source.open(str(folder.path))
    with parsing_while_loading(settings, folder.registry, [(source, ())]) as workers:
        early = processes_of(workers)
    assert workers.process_ids() == ()
    assert not any(map(psutil.pid_exists, early))
    folder.registry.register(source.root, folder.plan().new, "by hand")
    with parsing_while_loading(settings, folder.registry, [(source, ())]) as workers:
        folder.paid.workers = workers
        assert folder.codes(folder.ingest([])) == {}
        assert workers.process_ids() == ()
