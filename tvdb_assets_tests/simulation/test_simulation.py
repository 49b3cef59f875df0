"""Whole paid walks on a virtual clock, in weather that a seed chooses: the first half of the seeds.

What a seed lives through is in `seeds`.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tvdb_assets_tests.paid_apis import FaultKind
from tvdb_assets_tests.simulation.fault_scenario import weather
from tvdb_assets_tests.simulation.seeds import SEEDS, blocks, live, named, run
from tvdb_assets_tests.simulation.simulated_services import Shared, World, governed


@pytest.mark.parametrize("seeds", blocks(0, of=2), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_any_weather_passes(shared: Shared, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    run(shared, seeds, monkeypatch)


@pytest.mark.parametrize("seed", [3, 36, 73, 101, 500])
def test_the_same_seed_is_the_same_story(
    shared: Shared, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories, drawn = [], weather(seed, shared.corpus)
    for _ in range(2):
        with governed(monkeypatch, drawn), named(seed):
            world = World(shared, drawn)
            live(world)
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
        # By all of it: two halves of one batch are asked for at the same moment.
        " FROM tvdb.cost_ledger ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14"
    )
    return requests, ledger
