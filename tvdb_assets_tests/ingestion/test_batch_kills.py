"""Processes that are killed at each step of batch jobs, in an order that a seed draws.

What belongs here: that nothing is lost, submitted twice or billed twice, whatever is killed. What
does not: faults of the service alone (`test_batch_jobs`).

A killed process is simulated: from the moment of its death, neither the database nor the service
hears of it. It dies before or after a request, and before or after a commit.
"""

from __future__ import annotations

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

SEEDS, QUICK_SEEDS = 25, 2
_BATCH: dict[str, Any] = {"batch": "always", "parser_mode": "local", "paid_attempts": 1}
_LONGEST_LEASE = 400.0
"""Seconds until a reservation of a killed process counts as one of a process that died."""


class KilledError(BaseException):
    """The process is dead."""


class Killer:
    """Kills a process at its n-th step."""

    def __init__(self, steps: int | None) -> None:
        self._left = steps
        self.is_dead = False
        self.step = ""
        """At which the process died."""

    def reach(self, step: str) -> None:
        self.check()
        if self._left is not None:
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
        killer = Killer(steps)
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
            steps = None if is_calm or draw.random() > chance else draw.randint(0, 90)
            if turn % 4 == 0:
                self.ingest(steps, batch_texts=texts_in_a_job)
            else:
                self.tick(draw.randint(0, 25) if steps is not None else None)
            self.clock.forward(draw.choice((1.0, 100.0, _LONGEST_LEASE)))
            if is_calm:
                self.apis.faults.clear()
            [(published,)] = self.rows(
                "SELECT count(*) FROM tvdb.documents WHERE status = 'published'"
            )
            if published == documents:
                return
        raise AssertionError("documents wait for ever")


@pytest.fixture
def worlds(database: Database, tmp_path: Path) -> Iterator[Callable[[int], World]]:
    """Makes the world of a seed, on an empty database."""

    def make(seed: int) -> World:
        with database.transaction() as tx:
            tx.execute(
                "TRUNCATE tvdb.cost_ledger, tvdb.budget_windows, tvdb.service_states,"
                " tvdb.text_claims, tvdb.claim_leases, tvdb.documents, tvdb.embeddings,"
                " tvdb.embedding_batches, tvdb.embedding_batch_returns CASCADE"
            )
        return World(database, tmp_path, seed)

    with stamina.set_testing(True, attempts=1, cap=True):
        yield make


def test_killed_processes_lose_no_document_and_pay_for_no_text_twice(
    worlds: Callable[[int], World], tmp_path: Path, is_full: bool
) -> None:
    documents = 500 if is_full else 24
    texts_in_a_job = -(-documents // 3)
    deaths: Counter[str] = Counter()
    for number in range(documents):
        text = f"# Policy {number}\n\nClause {number} covers the roof.\n"
        (tmp_path / f"{number}.md").write_text(text)
    for seed in range(SEEDS if is_full else QUICK_SEEDS):
        world = worlds(seed)
        rate = world.draw.choice((0.0, 0.2))
        for operation in ("upload", "create", "poll", "download"):
            world.apis.faults.set_rates(
                {FaultKind.RESET_AFTER_WORK: rate}, operation=f"batch_{operation}"
            )

        world.run_until_published(documents, texts_in_a_job)
        world.clock.forward(3_600)
        world.tick(None)

        lines = Counter(line.custom_id for job in world.apis.batches for line in job.lines)
        assert len(lines) == documents, f"seed {seed}"
        assert set(lines.values()) == {1}, f"seed {seed}: submitted twice"
        assert len(world.apis.batches) >= 3
        assert world.apis.charge_record.counters()["billed_twice"] == 0
        assert "embeddings" not in {request.operation for request in world.apis.requests}
        [(posted, pending, tokens)] = world.rows(
            "SELECT sum(posted_usd), count(*) FILTER (WHERE state = 'pending'),"
            " sum(quantity) FILTER (WHERE state = 'posted') FROM tvdb.cost_ledger"
        )
        assert pending == 0
        assert posted == world.apis.dollars, f"seed {seed}"
        assert posted == tokens * Decimal("0.01") / 1_000_000
        [(open_texts, claims)] = world.rows(
            "SELECT (SELECT count(*) FROM tvdb.embedding_batch_texts),"
            " (SELECT count(*) FROM tvdb.text_claims)"
        )
        assert (open_texts, claims) == (0, 0)
        deaths += world.deaths
    assert deaths.total() > 3
    if is_full:
        print(deaths)
        assert {"after batch_upload", "after batch_create", "after batch_poll"} <= deaths.keys()
