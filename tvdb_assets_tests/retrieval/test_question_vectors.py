"""What the vector of a question costs: it is shown, paid once, and can be left out."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from threading import Event

import psycopg
import pytest

from tvdb_assets.correlation import new_run_id, run_scope
from tvdb_assets.errors import BudgetError, TvdbError
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.retrieval.index import Index
from tvdb_assets_tests.paid_apis import FaultKind
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

QUESTION = "Is damage by water covered?"


@pytest.fixture
def paid_index(folder: DocumentFolder) -> PaidServicesFixture:
    """Two documents in an index of a paid embedder, which search reads."""
    folder.write("a.md", "# Rule 1\n\nDamage by water up to floor 1 is covered.\n")
    folder.write("b.md", "# Rule 2\n\nDamage by water up to floor 2 is covered.\n")
    assert folder.codes(folder.ingest()) == {}
    assert IndexCatalog(folder.paid.database).required().space.provider == "openai"
    return folder.paid


def test_an_equal_question_is_paid_for_once_by_all_processes(
    paid_index: PaidServicesFixture,
) -> None:
    paid, spent = paid_index, paid_index.spent
    requests = paid.request_count("embeddings")

    with Index(database=paid.database, router=paid.router()) as index:
        first = index.search(QUESTION)
    # Another process has another router and another index.
    with Index(database=paid.database, router=paid.router()) as index:
        again = index.search(QUESTION)

    assert first.cost_usd == paid.spent - spent > 0
    assert again.cost_usd == 0
    assert again.hits == first.hits
    assert paid.request_count("embeddings") == requests + 1


def test_equal_questions_at_the_same_time_are_paid_for_once(
    paid_index: PaidServicesFixture,
) -> None:
    paid, spent = paid_index, paid_index.spent
    requests = paid.request_count("embeddings")

    async def ask(index: Index) -> list[Decimal]:
        found = await asyncio.gather(*(index.asearch(QUESTION) for _ in range(5)))
        return [result.cost_usd for result in found]

    with Index(database=paid.database, router=paid.router()) as index:
        costs = asyncio.run(ask(index))

    assert sum(costs) == paid.spent - spent
    assert sum(cost > 0 for cost in costs) == 1
    assert paid.request_count("embeddings") == requests + 1


@pytest.mark.timeout(60)
def test_equal_questions_of_two_processes_at_the_same_time_are_paid_for_once(
    paid_index: PaidServicesFixture,
) -> None:
    paid, spent = paid_index, paid_index.spent
    requests = paid.request_count("embeddings")
    # The first one is still waiting for its answer when the second one is asked.
    paid.apis.behaviour = replace(paid.apis.behaviour, latency_seconds=0.5)

    def ask(_: int) -> Decimal:
        with (
            Database(paid.database.url) as own,
            Index(database=own, router=paid.router()) as index,
        ):
            return index.search(QUESTION).cost_usd

    with ThreadPoolExecutor(2) as pool:
        costs = sorted(pool.map(ask, range(2)))

    assert costs == [0, paid.spent - spent]
    assert paid.request_count("embeddings") == requests + 1


class _CutsInFlight:
    """Ends all connections to the database just before a request is sent, once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_done = Event()

    def reached(self, point: str, *_: object) -> None:
        if point == "before_send" and not self.is_done.is_set():
            with psycopg.connect(self._url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            self.is_done.set()


@pytest.mark.timeout(60)
def test_a_connection_that_breaks_while_an_answer_is_awaited_has_no_question_paid_for_twice(
    paid_index: PaidServicesFixture,
) -> None:
    paid = paid_index
    requests = paid.request_count("embeddings")
    paid.apis.behaviour = replace(paid.apis.behaviour, latency_seconds=1.0)
    paid.observer = cuts = _CutsInFlight(paid.database.url)

    def ask(waits: bool) -> Decimal:
        if waits:
            assert cuts.is_done.wait(30)
        with (
            Database(paid.database.url) as own,
            Index(database=own, router=paid.router()) as index,
        ):
            return index.search(QUESTION).cost_usd

    with ThreadPoolExecutor(2) as pool:
        costs = sorted(pool.map(ask, (False, True)))

    assert costs[0] == 0 < costs[1]
    assert paid.request_count("embeddings") == requests + 1
    assert paid.rows("SELECT count(*) FROM tvdb.text_claims") == [(0,)]


@pytest.mark.timeout(60)
def test_a_question_that_is_cancelled_keeps_no_other_process_waiting(
    paid_index: PaidServicesFixture,
) -> None:
    paid = paid_index
    paid.apis.behaviour = replace(paid.apis.behaviour, latency_seconds=0.5)

    async def cancelled(index: Index) -> None:
        # At several moments: before the lock is taken, and while the answer is awaited.
        for seconds in (0.0, 0.005, 0.02, 0.1):
            with suppress(TimeoutError):
                await asyncio.wait_for(index.asearch(f"{QUESTION} {seconds}"), seconds)

    with Index(database=paid.database, router=paid.router()) as index:
        asyncio.run(cancelled(index))
    with paid.database.transaction() as tx:
        row = tx.execute(
            "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),"
            " (SELECT count(*) FROM tvdb.text_claims)"
        ).fetchone()
    assert row == (0, 0)


def test_the_cost_of_a_question_has_the_id_of_its_own_search(
    paid_index: PaidServicesFixture,
) -> None:
    paid = paid_index
    with (
        Index(database=paid.database, router=paid.router()) as index,
        run_scope(new_run_id()) as run_id,
    ):
        index.search(QUESTION)
    rows = paid.rows("SELECT count(*) FROM tvdb.cost_ledger WHERE run_id = %s", run_id)
    assert rows == [(1,)]


def test_without_a_budget_a_search_is_refused_or_compares_words_and_says_so(
    paid_index: PaidServicesFixture,
) -> None:
    paid, spent = paid_index, paid_index.spent
    refusing = paid.router(daily_cost_limit=spent)
    with Index(database=paid.database, router=refusing) as index, pytest.raises(BudgetError):
        index.search(QUESTION)

    by_words = paid.router(daily_cost_limit=spent, search_over_budget="words")
    with Index(database=paid.database, router=by_words) as index:
        result = index.search("floor 2")

    assert result[0].document == "b.md"
    assert any("budget is used up" in note for note in result.notes)
    assert result.cost_usd == 0
    assert paid.spent == spent


def test_the_text_of_a_question_is_not_stored(paid_index: PaidServicesFixture) -> None:
    paid = paid_index
    with Index(database=paid.database, router=paid.router()) as index:
        index.search(QUESTION)
    [(row,)] = paid.rows("SELECT q::text FROM tvdb.question_vectors q")
    assert "water" not in row


_UNUSABLE = [FaultKind.ZERO_VECTOR, FaultKind.NOT_A_NUMBER]


class _EndedError(Exception):
    pass


class _EndsAtCommit:
    """Ends the call right after its transaction, as a process does that is killed."""

    def reached(self, point: str, *_: object) -> None:
        if point == "committed":
            raise _EndedError


@pytest.mark.parametrize("vector", _UNUSABLE)
def test_the_answer_of_a_question_without_a_vector_is_stored_with_its_cost(
    vector: FaultKind, paid_index: PaidServicesFixture
) -> None:
    paid = paid_index
    paid.apis.faults.script(vector, times=None)
    paid.observer = _EndsAtCommit()
    with (
        Index(database=paid.database, router=paid.router()) as index,
        pytest.raises(TvdbError, match="_EndedError"),
    ):
        index.search("floor 2")
    paid.observer, spent = None, paid.spent

    with Index(database=paid.database, router=paid.router()) as index:
        assert index.search("floor 2")[0].document == "b.md"

    assert paid.spent == spent


@pytest.mark.parametrize("vector", _UNUSABLE)
def test_a_question_without_a_usable_vector_is_paid_for_once(
    vector: FaultKind, paid_index: PaidServicesFixture
) -> None:
    """As of a model that knows no token of it."""
    paid = paid_index
    paid.apis.faults.script(vector, times=None)
    requests = paid.request_count("embeddings")

    for _ in range(2):
        with (
            Database(paid.database.url, is_read_only=True) as reader,
            Index(database=reader, router=paid.router()) as index,
        ):
            assert index.search("floor 2")[0].document == "b.md"

    assert paid.request_count("embeddings") == requests + 1


def test_a_question_with_a_vector_of_another_length_is_not_sent_by_the_next_search(
    paid_index: PaidServicesFixture,
) -> None:
    paid = paid_index
    paid.apis.faults.script(FaultKind.WRONG_DIMENSIONS, times=None, marker="floor 2")
    with Index(database=paid.database, router=paid.router()) as index:
        assert index.search("floor 2")[0].document == "b.md"
    spent = paid.spent

    with Index(database=paid.database, router=paid.router()) as index:
        assert index.search("floor 2")[0].document == "b.md"

    assert paid.spent == spent
