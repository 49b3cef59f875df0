"""The breaker that eight processes share: one probe a window, whichever process dies.

What belongs here: the requests that a real server gets. What does not: the state machine alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.circuit_breaker import FAILURES, PROBE_SECONDS, Breaker
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets_tests.paid_apis import Behaviour, RunningServer, running_server
from tvdb_assets_tests.spend_guard.guard_fixtures import Clock, Once, call
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters, ledger_usd
from tvdb_assets_tests.spend_guard.processes import Crew

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC).timestamp()
PROCESSES = 8


class Outage:
    """Eight processes that call, a server that fails, and a clock that the test moves."""

    def __init__(self, database: Database, server: RunningServer, clock: Clock, crew: Crew) -> None:
        self.database, self.server, self.clock, self.crew = database, server, clock, crew
        self.once = Once(database.url, server.url, clock)
        self.clock.set(NOON)

    def breaker(self) -> Breaker:
        return ServiceStates(self.database, self.clock).read("openai")[0].breaker

    def requests_of(self, processes: int, first: int = 0) -> tuple[int, list[str]]:
        """How many requests reach the server when so many call at once, and what they got."""
        before = len(self.server.apis.requests)
        got = self.crew.run([self.once] * processes, first)
        return len(self.server.apis.requests) - before, got

    def begin(self) -> None:
        """Fail until the breaker is open."""
        self.server.apis.faults.script("server_error", times=None)
        for _ in range(FAILURES):
            assert self.requests_of(1) == (1, ["service_unavailable"])
        assert self.breaker().name(NOON) == "open"


@pytest.fixture
def outage(database: Database, tmp_path: Path) -> Iterator[Outage]:
    # Answers take so long that the others ask while the probe is out.
    with (
        running_server(Behaviour(latency_seconds=0.1)) as server,
        Crew(call, PROCESSES) as crew,
    ):
        yield Outage(database, server, Clock(tmp_path / "now"), crew)


def test_each_window_has_one_probe(outage: Outage) -> None:
    outage.begin()
    lasted = []
    for _ in range(4):
        breaker = outage.breaker()
        lasted.append(breaker.open_seconds)
        outage.clock.set(breaker.open_until - 0.001)
        assert outage.requests_of(PROCESSES) == (0, ["breaker_open"] * PROCESSES)

        outage.clock.set(breaker.open_until)
        requests, got = outage.requests_of(PROCESSES)

        assert requests == 1
        assert sorted(got) == ["breaker_open"] * (PROCESSES - 1) + ["service_unavailable"]
    assert lasted == [15, 30, 60, 120]

    outage.server.apis.faults.clear()
    outage.clock.set(outage.breaker().open_until)
    assert "answered" in outage.requests_of(PROCESSES)[1]
    assert outage.breaker() == Breaker()
    assert outage.requests_of(PROCESSES) == (PROCESSES, ["answered"] * PROCESSES)
    check_counters(outage.database)
    assert ledger_usd(outage.database) == outage.server.apis.dollars


def test_the_lease_of_a_killed_prober_passes_on(outage: Outage) -> None:
    outage.begin()
    outage.server.apis.faults.clear()
    outage.server.apis.faults.script("slow", seconds=60)
    opened_until = outage.breaker().open_until
    outage.clock.set(opened_until)
    before = len(outage.server.apis.requests)
    outage.crew.send(0, outage.once)
    _until(lambda: len(outage.server.apis.requests) > before)
    refused = (0, ["breaker_open"] * (PROCESSES - 1))
    assert outage.requests_of(PROCESSES - 1, first=1) == refused

    outage.crew.kill(0)

    assert outage.requests_of(PROCESSES - 1, first=1) == refused
    outage.clock.set(opened_until + PROBE_SECONDS - 0.001)
    assert outage.requests_of(PROCESSES - 1, first=1) == refused
    outage.server.apis.faults.script("server_error", times=None)
    outage.clock.set(opened_until + PROBE_SECONDS)
    requests, got = outage.requests_of(PROCESSES - 1, first=1)
    assert (requests, got.count("service_unavailable")) == (1, 1)
    # The possible cost of the killed process stays reserved.
    assert ledger_usd(outage.database) >= outage.server.apis.dollars > 0
    check_counters(outage.database)


def test_refused_texts_never_open_it(outage: Outage) -> None:
    outage.server.apis.faults.script("server_error", times=FAILURES - 1)
    for _ in range(FAILURES - 1):
        outage.requests_of(1)
    outage.server.apis.faults.script("refused_text", times=None)

    for _ in range(2):
        assert outage.requests_of(PROCESSES) == (PROCESSES, ["text_refused"] * PROCESSES)

    assert outage.breaker() == Breaker()
    assert ledger_usd(outage.database) == outage.server.apis.dollars == 0
    check_counters(outage.database)


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        os.sched_yield()
