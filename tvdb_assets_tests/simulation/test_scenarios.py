"""Single faults that the seeds of `test_simulation` rarely hit, or may miss.

What belongs here: scenarios with one fault that certainly happens. What does not: scenarios drawn
from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tvdb_assets_tests.paid_apis import Behaviour, FaultKind
from tvdb_assets_tests.simulation.cut_database import Cut
from tvdb_assets_tests.simulation.fault_scenario import scenario
from tvdb_assets_tests.simulation.invariants import (
    check_healed,
    check_ingestion,
    check_money,
    check_nothing_paid_twice,
    check_reconciled,
    searchable,
)
from tvdb_assets_tests.simulation.simulated_services import Shared, SimulatedServices


def fine(shared: Shared, documents: Sequence[str], **changes: Any) -> SimulatedServices:
    calm = replace(
        scenario(0, shared.corpus),
        documents=documents,
        is_hybrid=False,
        behaviour=Behaviour(job_seconds=2.0),
        max_inputs=2_048,
        concurrency=8,
        daily_usd=Decimal(5),
        hourly_requests=1_000,
        rates={},
        scripts=[],
        cuts={},
        listed_before_break=None,
    )
    return SimulatedServices(shared, replace(calm, **changes))


def states(simulation: SimulatedServices) -> dict[str, tuple[str, str | None]]:
    rows = simulation.rows("SELECT path, status, error_code FROM tvdb.documents")
    return {path: (status, code) for path, status, code in rows}


def test_a_job_that_is_not_found_fails_its_document_and_nothing_else(shared: Shared) -> None:
    simulation = fine(shared, ["page1.html", "policy3.md"])
    simulation.apis.faults.script(FaultKind.NOT_FOUND, operation="poll")

    check_ingestion(simulation, simulation.ingest())

    assert states(simulation) == {
        "page1.html": ("failed", "parse_job_lost"),
        "policy3.md": ("published", None),
    }
    # At once, not after a quarter of an hour, and as a new job.
    check_ingestion(simulation, simulation.ingest())
    assert states(simulation)["page1.html"] == ("published", None)
    simulation.reconcile()
    check_reconciled(simulation)
    assert simulation.apis.dollars > 2 * Decimal("0.00375")


def test_a_text_that_may_lack_pages_is_never_published(shared: Shared) -> None:
    simulation = fine(shared, [shared.corpus.long])
    for _ in range(2):
        check_ingestion(simulation, simulation.ingest())
        assert states(simulation) == {shared.corpus.long: ("failed", "pages_cut")}
        assert simulation.rows("SELECT count(*) FROM tvdb.parsed_documents") == [(0,)]
    assert searchable(simulation) == set()


def test_equal_files_are_submitted_once_whatever_batch_they_are_in(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 64):
        monkeypatch.setattr("tvdb_assets.ingestion.runner.BATCH_DOCUMENTS", size)
        simulation = fine(shared, shared.corpus.twins)
        check_ingestion(simulation, simulation.ingest())
        assert searchable(simulation) == set(shared.corpus.twins)
        assert [request.operation for request in simulation.apis.requests].count("submit") == 1


def test_a_fallback_parse_is_reused_in_the_same_outage(shared: Shared) -> None:
    simulation = fine(shared, ["page1.html"], is_hybrid=True)
    simulation.apis.faults.script(FaultKind.UNAVAILABLE, operation="submit", times=None)
    for _ in range(2):
        check_ingestion(simulation, simulation.ingest())
        assert states(simulation) == {"page1.html": ("published", None)}
        assert searchable(simulation) == set()
    assert simulation.rows("SELECT count(*) FROM tvdb.parsed_documents") == [(1,)]


def test_a_request_that_is_larger_than_a_minutes_allowance_is_cut(shared: Shared) -> None:
    documents = [name for name in shared.corpus.markdown if name != "policy0.md"]
    simulation = fine(shared, documents, behaviour=Behaviour(tokens_per_minute=500))
    # The service asks to wait longer than anyone would, and reports what it allows.
    check_ingestion(simulation, simulation.ingest())
    assert set(states(simulation).values()) == {("deferred", "rate_limited")}
    simulation.clock.advance(600)
    check_ingestion(simulation, simulation.ingest())
    assert searchable(simulation) == set(documents)
    assert [request.status for request in simulation.apis.requests].count(429) <= 2


@pytest.mark.parametrize("operation", ["embeddings", "submit"])
@pytest.mark.parametrize(
    "kind", [FaultKind.DRIP, FaultKind.OVERSIZED, FaultKind.GZIP_BOMB, FaultKind.REDIRECT]
)
def test_an_answer_that_is_given_up_is_recorded_and_asked_for_again(
    shared: Shared, kind: FaultKind, operation: str
) -> None:
    simulation = fine(shared, ["page1.html", "policy3.md"])
    simulation.apis.faults.script(kind, operation=operation)

    check_ingestion(simulation, simulation.ingest())

    assert [request.fault for request in simulation.apis.requests].count(kind) == 1
    # A service that redirects refuses the account for a while.
    simulation.clock.advance(3_600)
    check_ingestion(simulation, simulation.ingest())
    check_healed(simulation)
    check_nothing_paid_twice(simulation)
    simulation.reconcile()
    check_reconciled(simulation)


def test_the_connection_may_break_at_every_statement(shared: Shared, *, is_full: bool) -> None:
    """Each statement of an ingestion in turn, in each way; without ``--full``, a sample of them."""
    kinds, number, broken = list(Cut), 1, 0
    while True:
        kind = kinds[number % len(kinds)]
        simulation = fine(shared, ["page1.html", "policy3.md"], cuts={number: kind})
        with simulation.database:
            results = simulation.ingest_or_break()
            if simulation.database.cuts_left:
                break  # The ingestion has fewer statements.
            if results is None:
                broken += 1
                check_money(simulation)
            else:
                check_ingestion(simulation, results)
            simulation.clock.advance(86_400)
            simulation.relax()
            check_ingestion(simulation, simulation.ingest())
            check_healed(simulation)
            check_nothing_paid_twice(simulation)
            simulation.reconcile()
            check_reconciled(simulation)
        number += 1 if is_full else 7
    assert number > 40
    assert broken, "no cut ended an ingestion"
