"""Processes that are killed at each step of batch jobs, in an order that a seed draws.

What belongs here: that nothing is lost, submitted twice or billed twice, whatever is killed. What
does not: faults of the service alone (`test_batch_jobs`).

A killed process is simulated: from the moment of its death, neither the database nor the service
hears of it. It dies before or after a request, and before or after a commit.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import stamina

from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.paid_apis import Behaviour, FaultKind, PaidApis, PaidApisTransport
from tvdb_assets_tests.paid_router import Clock, DocumentFolder, PaidServicesFixture

SEEDS = 25
_BATCH: dict[str, Any] = {"batch": "always", "parser_mode": "local", "paid_attempts": 1}
_REQUESTS = 6
"""A smaller number counts requests alone, of which there are fewer than commits."""
_LONGEST_LEASE = 400.0
"""Seconds until a reservation of a killed process counts as one of a process that died."""


class KilledError(BaseException):
    """The process is dead."""


class Killer:
    """Kills a process at its n-th step: before or after a request, or a commit as well."""

    def __init__(self, steps: int | None, *, is_at_request: bool = False) -> None:
        self._left = steps
        self._is_at_request = is_at_request
        self.is_dead = False
        self.step = ""
        """At which the process died."""

    def reach(self, step: str) -> None:
        self.check()
        if self._left is not None and not (self._is_at_request and step.endswith("commit")):
            self._left -= 1
            if self._left < 0:
                self.is_dead, self.step = True, step
                raise KilledError(step)

    def check(self) -> None:
        if self.is_dead:
            raise KilledError(self.step)


class KillableDatabase(Database):
    """The connections of a process that may be killed."""

    def __init__(self, url: str, killer: Killer) -> None:
        super().__init__(url)
        self._killer = killer

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        self._killer.check()
        with super().transaction() as connection:
            yield connection
            self._killer.reach("before a commit")
        self._killer.reach("after a commit")

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        self._killer.check()
        with super().session() as connection:
            yield connection


class KillableTransport(httpx2.AsyncBaseTransport):
    """The requests of a process that may be killed."""

    def __init__(self, apis: PaidApis, clock: Clock, killer: Killer) -> None:
        self._inner = PaidApisTransport(apis, lambda: clock.now.timestamp())
        self._apis = apis
        self._killer = killer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        before = len(self._apis.requests)
        self._killer.reach(f"before {request.method} {request.url.path.split('/')[2]}")
        response = await self._inner.handle_async_request(request)
        self._killer.reach(f"after {self._apis.requests[before].operation}")
        return response


class Inline:
    """Parses within the process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args))
        return future

    def close(self) -> None:
        pass


class World:
    """One database, one service and one folder of documents."""

    def __init__(self, database: Database, folder: Path, seed: int) -> None:
        self.database = database
        self.folder = folder
        self.draw = random.Random(seed)
        self.clock = Clock()
        self.apis = PaidApis(Behaviour(seed=seed, batch_seconds=3_000.0))
        self.deaths: Counter[str] = Counter()
        self.processes = 0

    @contextmanager
    def process(self, steps: int | None) -> Iterator[tuple[PaidServicesFixture, DocumentFolder]]:
        """A process that dies after so many steps; None lives."""
        killer = Killer(steps, is_at_request=steps is not None and steps < _REQUESTS)
        self.processes += 1
        with KillableDatabase(self.database.url, killer) as database:
            paid = PaidServicesFixture(database, Inline())  # type: ignore[arg-type]
            paid.apis, paid.clock = self.apis, self.clock
            paid.transport = KillableTransport(self.apis, self.clock, killer)
            folder = DocumentFolder(paid, self.folder)
            folder.ingestions = 1_000 * self.processes
            with suppress(KilledError):
                yield paid, folder
        if killer.is_dead:
            self.deaths[killer.step] += 1
            # Its process has ended, which a test's own process never does.
            with self.database.transaction() as tx:
                tx.execute("DELETE FROM tvdb.claim_leases")

    def ingest(self, steps: int | None, **given: Any) -> None:
        with self.process(steps) as (paid, folder):
            paid.router().services.ledger.reconcile()
            folder.ingest(**{**_BATCH, **given})

    def tick(self, steps: int | None) -> None:
        with self.process(steps) as (paid, _):
            paid.use(lambda router: router.batch_work.advance(), **_BATCH)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.transaction() as tx:
            return tx.execute(query).fetchall()

    def run_until_published(self, documents: int, texts_in_a_job: int) -> None:
        draw, chance = self.draw, self.draw.choice((0.5, 0.8))
        for turn in range(200):
            is_calm = turn > 60
            steps = None
            if not is_calm and draw.random() < chance:
                most = draw.choice((_REQUESTS - 1, 90 if turn % 4 == 0 else 25))
                steps = draw.randint(0, most)
            if turn % 4 == 0:
                self.ingest(steps, batch_texts=texts_in_a_job)
            else:
                self.tick(steps)
            self.clock.forward(draw.choice((1.0, 100.0, _LONGEST_LEASE)))
            if is_calm:
                self.apis.faults.clear()
            [(published,)] = self.rows(
                "SELECT count(*) FROM tvdb.documents WHERE status = 'published'"
            )
            if published == documents:
                return
        raise AssertionError("documents wait for ever")


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, SEEDS))]
)
def test_killed_processes_lose_no_document_and_pay_for_no_text_twice(
    database: Database, tmp_path: Path, is_full: bool, seed: int
) -> None:
    documents = int(os.environ.get("BATCH_DOCUMENTS", "500")) if is_full else 24
    for number in range(documents):
        text = f"# Policy {number}\n\nClause {number} covers the roof.\n"
        (tmp_path / f"{number}.md").write_text(text)
    world = World(database, tmp_path, seed)
    rate = world.draw.choice((0.0, 0.2))
    for operation in ("upload", "create", "poll", "download"):
        world.apis.faults.set_rates(
            {FaultKind.RESET_AFTER_WORK: rate}, operation=f"batch_{operation}"
        )

    with stamina.set_testing(True, attempts=1, cap=True):
        world.run_until_published(documents, texts_in_a_job=-(-documents // 3))
        world.clock.forward(3_600)
        world.tick(None)

    print(f"seed {seed}: {world.processes} processes, {dict(world.deaths)}")
    assert world.deaths
    lines = Counter(line.custom_id for job in world.apis.batches for line in job.lines)
    assert len(lines) == documents
    assert set(lines.values()) == {1}, "submitted twice"
    assert len(world.apis.batches) >= 3
    assert world.apis.charge_record.counters()["billed_twice"] == 0
    assert "embeddings" not in {request.operation for request in world.apis.requests}
    [(posted, pending, tokens)] = world.rows(
        "SELECT sum(posted_usd), count(*) FILTER (WHERE state = 'pending'),"
        " sum(quantity) FILTER (WHERE state = 'posted') FROM tvdb.cost_ledger"
    )
    assert pending == 0
    assert posted == world.apis.dollars
    assert posted == tokens * Decimal("0.01") / 1_000_000
    [(open_texts, claims)] = world.rows(
        "SELECT (SELECT count(*) FROM tvdb.embedding_batch_texts),"
        " (SELECT count(*) FROM tvdb.text_claims)"
    )
    assert (open_texts, claims) == (0, 0)
