"""Whole paid walks on a virtual clock, in weather that a seed chooses.

What belongs here: what is done with a seed's world. What does not: the world (`world`), its
weather (`weather`), what must hold (`invariants`).

A failure names its seed. That seed alone runs with::

    SIMULATION_SEEDS=123 python -m pytest tvdb_assets_tests/simulation -k weather_passes
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tvdb_assets.storage.database import Database
from tvdb_assets_tests.paid_apis import FaultKind
from tvdb_assets_tests.simulation.corpus import make_corpus
from tvdb_assets_tests.simulation.invariants import (
    NeverBelow,
    check_healed,
    check_nothing_paid_twice,
    check_reconciled,
    check_walk,
    shown,
)
from tvdb_assets_tests.simulation.weather import weather
from tvdb_assets_tests.simulation.world import Shared, World, governed

SEEDS = 1_000
_BLOCK = 25
_ONLY = os.environ.get("SIMULATION_SEEDS", f"0-{SEEDS - 1}")


def _blocks() -> Iterator[range]:
    first, _, last = _ONLY.partition("-")
    for start in range(int(first), int(last or first) + 1, _BLOCK):
        yield range(start, min(start + _BLOCK, int(last or first) + 1))


@pytest.fixture(scope="module")
def shared(shared_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return Shared(shared_database, make_corpus(tmp_path_factory.mktemp("corpus")))


@pytest.mark.parametrize("seeds", list(_blocks()), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_any_weather_passes(shared: Shared, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in seeds:
        drawn = weather(seed, shared.corpus)
        with governed(monkeypatch, drawn), _named(seed):
            _live(World(shared, drawn))


@pytest.mark.parametrize("seed", [3, 36, 73, 101, 500])
def test_the_same_seed_is_the_same_story(
    shared: Shared, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories, drawn = [], weather(seed, shared.corpus)
    for _ in range(2):
        with governed(monkeypatch, drawn), _named(seed):
            world = World(shared, drawn)
            _live(world)
            stories.append(_story(world))
    assert stories[0] == stories[1]
    assert len(stories[0][0]) > 1


def test_the_weather_is_as_bad_as_it_can_be(shared: Shared) -> None:
    """Every fault that there is, and every limit, is met by many seeds."""
    drawn = [weather(seed, shared.corpus) for seed in range(SEEDS)]
    met = Counter(kind for one in drawn for rates in one.rates.values() for kind in rates)
    met.update(FaultKind(script["kind"]) for one in drawn for script in one.scripts)
    never = set(FaultKind) - set(met) - {FaultKind.TOO_LARGE}
    # These two are what poison meets.
    assert never == {FaultKind.REFUSED_TEXT, FaultKind.UNPROCESSABLE}
    assert min(met.values()) >= 10
    assert sum(one.is_hybrid for one in drawn) > SEEDS / 4
    assert sum(one.is_tight for one in drawn) > SEEDS / 4
    assert sum(bool(one.behaviour.tokens_per_minute) for one in drawn) > SEEDS / 10


def _story(world: World) -> tuple[list[object], list[object]]:
    """All that happened, without the ids, which are random."""
    requests: list[object] = [
        (r.time, r.service, r.operation, r.status, r.fault, r.inputs) for r in world.apis.requests
    ]
    ledger: list[object] = world.rows(
        "SELECT reserved_at, settled_at, attempt, run_id, service, purpose, documents, inputs,"
        " quantity, reserved_usd, posted_usd, state, outcome, http_status"
        " FROM tvdb.cost_ledger ORDER BY 1, 2, 3, 7"
    )
    return requests, ledger


def _live(world: World) -> None:
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
def _named(seed: int) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(
            f"It was seed {seed}; that alone: SIMULATION_SEEDS={seed} python -m pytest "
            "tvdb_assets_tests/simulation -k weather_passes"
        )
        raise
