"""The course of one seed: ingestions under faults, then without them, with checks after each.

What belongs here: the order of the steps. What does not: the services (`simulated_services`),
the faults (`fault_scenario`), or what must hold (`invariants`).

A failure names its seed. That seed alone runs with::

    SIMULATION_SEEDS=123 python -m pytest tvdb_assets_tests/simulation -k every_fault_scenario
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tvdb_assets_tests.simulation.fault_scenario import scenario
from tvdb_assets_tests.simulation.invariants import (
    NeverBelow,
    check_healed,
    check_ingestion,
    check_money,
    check_nothing_paid_twice,
    check_reconciled,
    searchable,
)
from tvdb_assets_tests.simulation.simulated_services import Shared, SimulatedServices, seeded

SEEDS = range(1_000)
QUICK_SEEDS = (*range(41), 49, 59, 73, 80, 189)
"""The first ones, and the first ones with what those do not meet often enough."""
_BLOCK = 21


def blocks(part: int, of: int, *, is_full: bool) -> list[Sequence[int]]:
    """A part of the seeds, in blocks; the parts are files, which run side by side.

    Args:
        part: 0-based.
        of: the number of parts.
        is_full: all seeds, not only the first ones.
    """
    seeds: Sequence[int] = SEEDS if is_full else QUICK_SEEDS
    if chosen := os.environ.get("SIMULATION_SEEDS"):
        first, _, last = chosen.partition("-")
        seeds = range(int(first), int(last or first) + 1)
    return [seeds[start : start + _BLOCK] for start in range(0, len(seeds), _BLOCK)][part::of]


def run(shared: Shared, seeds: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each of these seeds."""
    for seed in seeds:
        drawn = scenario(seed, shared.corpus)
        with seeded(monkeypatch, drawn), named(seed):
            simulation = SimulatedServices(shared, drawn)
            with simulation.database:
                run_scenario(simulation)


def run_scenario(simulation: SimulatedServices) -> None:
    """Faults first, then none: every good document is published, and the ledger agrees."""
    simulation.scenario.begin(simulation.apis.faults)
    if simulation.scenario.seed % 10 == 0:
        simulation.observer = NeverBelow(simulation)
    for _ in range(simulation.scenario.faulty_ingestions):
        before = searchable(simulation)
        simulation.scan()
        results = simulation.ingest_or_break()
        if results is None:
            check_money(simulation)
        else:
            check_ingestion(simulation, results)
        assert searchable(simulation) >= before, "what search showed is gone"
        simulation.clock.advance(600)
    simulation.apis.faults.clear()
    simulation.scenario.poison(simulation.apis.faults)
    simulation.clock.advance(86_400)
    simulation.relax()
    check_ingestion(simulation, simulation.ingest())
    check_nothing_paid_twice(simulation)
    if simulation.pay_again():
        check_ingestion(simulation, simulation.ingest())
    simulation.scan()
    check_healed(simulation)
    if simulation.scenario.seed % 4 == 0:
        requests = len(simulation.apis.requests)
        check_ingestion(simulation, simulation.ingest())
        _check_only_poison_is_tried(simulation, requests)
    simulation.reconcile()
    check_reconciled(simulation)


def _check_only_poison_is_tried(simulation: SimulatedServices, before: int) -> None:
    """Nothing that is stored is requested again."""
    fresh = simulation.apis.requests[before:]
    paid = [request for request in fresh if request.operation != "upload"]
    assert {request.status for request in paid} <= {400, 422}, fresh
    # A file is uploaded before it is submitted, and the upload is free.
    submitted = [request for request in paid if request.operation == "submit"]
    assert len(fresh) - len(paid) == len(submitted), fresh


@contextmanager
def named(seed: int) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(
            f"It was seed {seed}; that alone: SIMULATION_SEEDS={seed} python -m pytest "
            "tvdb_assets_tests/simulation -k every_fault_scenario"
        )
        raise
