"""kill -9 of real processes while documents wait for batch jobs, at any moment.

What belongs here: that nothing is lost, submitted twice or billed twice. What does not: kills at
each single step, which are simulated (`ingestion/test_batch_kills`).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tvdb_assets.embedding import batch_submission
from tvdb_assets.embedding.providers import openai_batches
from tvdb_assets.repositories.database import Database
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.guard import Guard
from tvdb_assets_tests.integration.ingestion_processes import (
    ProcessSettings,
    register,
    run_process,
    settings_of,
)
from tvdb_assets_tests.paid_apis import Behaviour, FaultKind, running_server
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters, rows
from tvdb_assets_tests.spend_guard.processes import KILLED, ended, start

_SETTINGS = {"batch": "always", "parser_mode": "local", "batch_texts": 20, "paid_attempts": 1}
_LEASE = timedelta(seconds=3)


def ingest(given: ProcessSettings) -> None:
    """Ingest, which also advances the jobs that this run collected."""
    _shorten_waits()
    run_process(given)


def advance(given: ProcessSettings) -> None:
    """Advance all jobs, as `batch_sensor` does."""
    _shorten_waits()
    with (
        Database(given.url) as database,
        ServiceRouter(settings_of(given), database=database, run_id="sensor") as router,
    ):
        router.services.ledger.reconcile()
        asyncio.run(router.batch_work.advance())


def _shorten_waits() -> None:
    """Those for a process or a list of another machine, of which there is none."""
    openai_batches._HOST = "127.0.0.1"  # Whose jobs cost half.
    batch_submission._LIST_DELAY = timedelta(seconds=0.5)
    inner = Guard.__init__

    def with_short_lease(guard: Guard, *arguments: object, **named: object) -> None:
        inner(guard, *arguments, **named)  # type: ignore[arg-type]
        guard._lease = _LEASE

    Guard.__init__ = with_short_lease  # type: ignore[method-assign]


@pytest.mark.full
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", range(3))
def test_processes_killed_at_any_moment_pay_for_no_text_twice(
    database: Database, tmp_path: Path, seed: int
) -> None:
    draw, documents = random.Random(seed), 60
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(documents):
        (folder / f"{number}.md").write_text(f"# Policy {number}\n\nClause {number} is in force.\n")
    register(database, folder)
    kills, behaviour = 0, Behaviour(seed=seed, latency_seconds=0.05, batch_seconds=3.0)
    with running_server(behaviour) as server:
        server.apis.faults.set_rates({FaultKind.RESET_AFTER_WORK: 0.1}, operation="batch_create")
        given = ProcessSettings(database.url, str(folder), server.url, settings=_SETTINGS)
        for turn in range(120):
            process = start(draw.choice((ingest, advance)), replace(given, inputs=2_048))
            if turn < 40:
                process.join(draw.uniform(0.2, 2.5))
                process.kill()
            kills += ended(process) == KILLED
            check_counters(database)
            [(published,)] = rows(
                database, "SELECT count(*) FROM tvdb.documents WHERE status = 'published'"
            )
            if published == documents:
                break
        ended(start(advance, given))
        lines = Counter(line.custom_id for job in server.apis.batches for line in job.lines)
        dollars, twice = server.apis.dollars, server.apis.charge_record.counters()["billed_twice"]
        at_once = [r for r in server.apis.requests if r.operation == "embeddings"]

    print(f"seed {seed}: {kills} kills in {turn + 1} processes, {len(server.apis.batches)} jobs")
    assert published == documents
    assert kills > 3
    assert len(lines) == documents
    assert set(lines.values()) == {1}, "submitted twice"
    assert (twice, at_once) == (0, [])
    [(posted, pending)] = rows(
        database,
        "SELECT sum(posted_usd), count(*) FILTER (WHERE state = 'pending') FROM tvdb.cost_ledger",
    )
    assert pending == 0
    assert abs(posted - dollars) < Decimal("1e-9")
