"""The second half of the seeds, in a separate file so that both halves run in parallel.

The course of one seed is in `seeds`.
"""

from __future__ import annotations

import pytest

from tvdb_assets_tests.simulation.seeds import blocks, run
from tvdb_assets_tests.simulation.simulated_services import Shared


@pytest.mark.parametrize("seeds", blocks(1, of=2), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_every_fault_scenario_recovers(
    shared: Shared, seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(shared, seeds, monkeypatch)
