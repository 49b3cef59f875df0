"""What happens to a run's calls besides money is on record, and found by the run's id."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tvdb_assets.errors import BudgetError, ParseError, RefusedError, TvdbError, UnavailableError
from tvdb_assets.reporting.run_history import HistoryEvent, RunHistory
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.runs import Run, record_run
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.call_log import CallEventLog, ServiceEvent
from tvdb_assets.tracing import trace_of
from tvdb_assets_tests.paid_apis import Behaviour, PaidApis, PaidApisTransport
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

PAGE = "<!doctype html><p>The minutes of the founding meeting are kept in the cellar.</p>"


def events_of(paid: PaidServicesFixture, run_id: str) -> list[HistoryEvent]:
    history = RunHistory(paid.database)
    subject = history.find(run_id).subject
    assert subject is not None
    assert subject.run_ids == (run_id,)
    return history.events(subject)


def embed(paid: PaidServicesFixture, text: str, **given: object) -> tuple[str, TvdbError | None]:
    """Embed a text with a new router; returns its run id, and the error."""

    async def use(router: ServiceRouter) -> tuple[str, TvdbError | None]:
        try:
            await router.embed([text])
        except TvdbError as error:
            return router.run_id, error
        return router.run_id, None

    return paid.use(use, **given)


def test_a_budget_in_the_way_is_told_once_with_the_id_that_the_user_sees(
    paid: PaidServicesFixture,
) -> None:
    async def use(router: ServiceRouter) -> str:
        for _ in range(3):
            with pytest.raises(BudgetError) as caught:
                await router.embed(["one", "two"])
            assert caught.value.run_id == router.run_id
            assert str(caught.value).endswith(f"(id {router.run_id})")
        return router.run_id

    events = events_of(paid, paid.use(use, daily_cost_limit=0))
    assert [e.code for e in events if e.kind == "halted"] == ["budget_exhausted"]
    assert not [e for e in events if e.kind == "paid_call"]


def test_a_breaker_is_told_as_it_opens_probes_and_closes(paid: PaidServicesFixture) -> None:
    paid.apis.faults.script("server_error", times=5)
    run_id, error = embed(paid, "one", paid_attempts=5)
    assert isinstance(error, UnavailableError)
    [opened] = [e for e in events_of(paid, run_id) if e.kind.startswith("breaker")]
    assert (opened.kind, opened.service, opened.seconds) == ("breaker_opened", "openai", 15.0)
    paid.clock.forward(16)
    run_id, error = embed(paid, "one")
    assert error is None
    turned = [e.kind for e in events_of(paid, run_id) if e.kind.startswith("breaker")]
    assert turned == ["breaker_probed", "breaker_closed"]


def test_a_refused_key_is_told_once_for_all_that_ask_after_it(paid: PaidServicesFixture) -> None:
    paid.apis.faults.script("invalid_key", times=None)
    first, error = embed(paid, "one")
    assert isinstance(error, RefusedError)
    [refused] = [e for e in events_of(paid, first) if e.kind == "service_refused"]
    assert refused.code == "key_refused"
    paid.apis.faults.clear()
    second, error = embed(paid, "one")
    assert isinstance(error, RefusedError)
    assert error.run_id == second
    # Nothing was sent, so that only a voided entry of the ledger speaks of it.
    assert {e.kind for e in events_of(paid, second)} == {"paid_call"}


def test_an_error_of_a_parser_process_has_the_routers_id(paid: PaidServicesFixture) -> None:
    async def use(router: ServiceRouter) -> None:
        with pytest.raises(ParseError) as caught:
            await router.parse(b"%PDF-1.7\nnothing", "a.pdf")
        assert caught.value.run_id == router.run_id

    paid.use(use, service_mode="local")


def test_a_job_that_is_resumed_names_the_run_that_pays_it(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    paid.apis = PaidApis(Behaviour(job_seconds=3_600))
    paid.transport = PaidApisTransport(paid.apis)
    folder.write("a.html", PAGE)
    late = folder.ingest(llamaparse_timeout_seconds=0.01)
    assert folder.codes(late) == {"a.html": "parse_job_late"}
    for job in paid.apis._jobs.values():
        job.done = job.billed = 0.0
    assert folder.codes(folder.ingest(["a.html"])) == {}
    [resumed] = [e for e in events_of(paid, "run-2") if e.kind == "job_resumed"]
    assert "which the run run-1 submitted and pays" in resumed.message
    assert resumed.document == "a.html"
    [submitted] = [e for e in events_of(paid, "run-1") if e.kind == "paid_call"]
    assert (submitted.code, submitted.cost_usd is not None) == ("answered", True)
    polls = [e for e in events_of(paid, "run-2") if e.kind == "request"]
    assert {e.request_id for e in polls} <= {r.request_id for r in paid.apis.requests}
    assert polls
    job_id = next(iter(paid.apis._jobs))
    subject = RunHistory(paid.database).find(job_id).subject
    assert subject is not None
    assert subject.run_ids == ("run-1",)


def test_a_note_that_can_not_be_stored_stops_nothing(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute("DROP TABLE tvdb.service_events")
    event_log = CallEventLog(database, "run", lambda _: datetime.now(UTC), trace_of("run"))
    asyncio.run(event_log.record(ServiceEvent.BATCH_HALVED, "openai", "In two."))


def test_a_run_is_recorded_with_where_it_comes_from(database: Database) -> None:
    with record_run(database, Run("one")):
        pass
    with pytest.raises(ValueError, match="killed"), record_run(database, Run("two", "one", "one")):
        raise ValueError("killed")
    with database.transaction() as tx:
        rows = tx.execute(
            "SELECT run_id, root_run_id, parent_run_id, ended_at >= started_at FROM tvdb.runs"
            " ORDER BY run_id"
        ).fetchall()
    assert rows == [("one", "one", None, True), ("two", "one", "one", True)]
