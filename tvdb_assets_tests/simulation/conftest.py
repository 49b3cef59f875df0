"""What the files of the simulation share."""

from __future__ import annotations

import pytest

from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.simulation.corpus import make_corpus
from tvdb_assets_tests.simulation.simulated_services import Shared


@pytest.fixture(scope="module")
def shared(shared_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """A database and a corpus for all seeds of a file."""
    return Shared(shared_database, make_corpus(tmp_path_factory.mktemp("corpus")))
