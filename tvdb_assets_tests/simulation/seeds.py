"""What a seed's world lives through: bad weather, then fine, and at each step what must hold.

What belongs here: the course of one seed. What does not: the world (`world`), its weather
(`weather`), what must hold (`invariants`).

A failure names its seed. That seed alone runs with::

    SIMULATION_SEEDS=123 python -m pytest tvdb_assets_tests/simulation -k weather_passes
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tvdb_assets_tests.simulation.fault_scenario import weather
from tvdb_assets_tests.simulation.invariants import (
    NeverBelow,
    check_healed,
    check_nothing_paid_twice,
    check_reconciled,
    check_walk,
    shown,
)
from tvdb_assets_tests.simulation.simulated_services import Shared, World, governed

SEEDS = 1_000
_BLOCK = 25
_ONLY = os.environ.get("SIMULATION_SEEDS", f"0-{SEEDS - 1}")


def blocks(part: int, of: int) -> list[range]:
    """A part of all seeds, in blocks; the parts are files, which run side by side."""
    first, _, last = _ONLY.partition("-")
    end = int(last or first) + 1
    starts = range(int(first), end, _BLOCK)
    return [range(start, min(start + _BLOCK, end)) for start in starts][part::of]


def run(shared: Shared, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live through each of these seeds."""
    for seed in seeds:
        drawn = weather(seed, shared.corpus)
        with governed(monkeypatch, drawn), named(seed):
            live(World(shared, drawn))


def live(world: World) -> None:
    """Bad weather, then fine: everything is published that can be, and the books agree."""
    world.weather.begin(world.apis.faults)
    if world.weather.seed % 10 == 0:
        world.observer = NeverBelow(world)
    for _ in range(world.weather.bad_walks):
        before = shown(world)
        check_walk(world, world.walk())
        assert shown(world) >= before, "what search showed is gone"
        world.clock.advance(600)
    world.apis.faults.clear()
    world.weather.poison(world.apis.faults)
    world.clock.advance(86_400)
    world.relax()
    check_walk(world, world.walk())
    check_healed(world)
    check_nothing_paid_twice(world)
    if world.weather.seed % 4 == 0:
        requests = len(world.apis.requests)
        check_walk(world, world.walk())
        _check_only_poison_is_tried(world, requests)
    world.reconcile()
    check_reconciled(world)


def _check_only_poison_is_tried(world: World, before: int) -> None:
    """What was stored is not asked for again."""
    fresh = world.apis.requests[before:]
    assert {request.status for request in fresh} <= {400, 422}, fresh


@contextmanager
def named(seed: int) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(
            f"It was seed {seed}; that alone: SIMULATION_SEEDS={seed} python -m pytest "
            "tvdb_assets_tests/simulation -k weather_passes"
        )
        raise
