"""What the files of the simulation share."""

from __future__ import annotations

import pytest

from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.simulation.corpus import make_corpus
from tvdb_assets_tests.simulation.seeds import blocks
from tvdb_assets_tests.simulation.simulated_services import Shared


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The seeds of a file, by its ``PART``; all thousand with ``--full``."""
    if "seeds" in metafunc.fixturenames:
        is_full = metafunc.config.getoption("--full")
        seeds = blocks(metafunc.module.PART, of=2, is_full=is_full)
        metafunc.parametrize("seeds", seeds, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")


@pytest.fixture(scope="module")
def shared(shared_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """A database and a corpus for all seeds of a file."""
    return Shared(shared_database, make_corpus(tmp_path_factory.mktemp("corpus")))
