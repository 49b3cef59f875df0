"""The second half of the seeds, in a separate file so that both halves run in parallel.

The course of one seed is in `seeds`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tvdb_assets_tests.simulation.seeds import run
from tvdb_assets_tests.simulation.simulated_services import Shared

PART = 1


def test_every_fault_scenario_recovers(
    shared: Shared, seeds: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(shared, seeds, monkeypatch)
