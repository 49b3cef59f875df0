"""Complete paid ingestions on a virtual clock, with faults that a seed chooses.

This file runs the first half of the seeds. The course of one seed is in `seeds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from tvdb_assets_tests.paid_apis import FaultKind
from tvdb_assets_tests.paid_apis.faults import OF_BATCHES
from tvdb_assets_tests.simulation.cut_database import Cut
from tvdb_assets_tests.simulation.fault_scenario import scenario
from tvdb_assets_tests.simulation.seeds import QUICK_SEEDS, SEEDS, named, run, run_scenario
from tvdb_assets_tests.simulation.simulated_services import Shared, SimulatedServices, seeded

PART = 0


def test_every_fault_scenario_recovers(
    shared: Shared, seeds: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(shared, seeds, monkeypatch)


@pytest.mark.parametrize("seed", [3, 36, 73, 101, 500])
def test_the_same_seed_gives_the_same_outcome(
    shared: Shared, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes, drawn = [], scenario(seed, shared.corpus)
    for _ in range(2):
        with seeded(monkeypatch, drawn), named(seed):
            simulation = SimulatedServices(shared, drawn)
            with simulation.database:
                run_scenario(simulation)
            outcomes.append(_outcome(simulation))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][0]) > 1


@pytest.mark.parametrize("sample", [QUICK_SEEDS, SEEDS], ids=["quick", "all"])
def test_the_seeds_cover_every_fault(shared: Shared, sample: Sequence[int]) -> None:
    """Many seeds meet each fault and each limit."""
    drawn, count = [scenario(seed, shared.corpus) for seed in sample], len(sample)
    met = Counter(kind for one in drawn for rates in one.rates.values() for kind in rates)
    met.update(FaultKind(script["kind"]) for one in drawn for script in one.scripts)
    never = set(FaultKind) - set(met) - {FaultKind.TOO_LARGE} - OF_BATCHES
    # These two are what poison meets.
    assert never == {FaultKind.REFUSED_TEXT, FaultKind.UNPROCESSABLE}
    assert min(met.values()) >= count / 100
    assert sum(one.is_hybrid for one in drawn) > count / 4
    assert sum(one.is_tight for one in drawn) > count / 4
    assert sum(bool(one.behaviour.tokens_per_minute) for one in drawn) > count / 10
    assert sum(bool(one.cuts) for one in drawn) > count / 5
    assert {cut for one in drawn for cut in one.cuts.values()} == set(Cut)
    assert sum(one.listed_before_break is not None for one in drawn) > count / 5


def _outcome(simulation: SimulatedServices) -> tuple[list[object], list[object]]:
    """All that happened, without the ids, which are random."""
    requests: list[object] = [
        (r.time, r.service, r.operation, r.status, r.fault, r.inputs)
        for r in simulation.apis.requests
    ]
    ledger: list[object] = simulation.rows(
        "SELECT reserved_at, settled_at, attempt, run_id, service, purpose, documents, inputs,"
        " quantity, reserved_usd, posted_usd, state, outcome, http_status"
        # By all of it: two halves of one batch are asked for at the same moment.
        " FROM tvdb.cost_ledger ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14"
    )
    return requests, ledger
