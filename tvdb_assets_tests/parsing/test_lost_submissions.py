"""A submission whose answer was lost is looked for in the service's list before another one.

What belongs here: one process. What does not: processes that are killed or lose their connection
(`integration.test_claims_across_processes`).
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest

from tvdb_assets.errors import ServiceError, StorageError, TvdbError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.leases import ensure_claimed
from tvdb_assets.repositories.parse_jobs import REUSE_JOBS_FOR, ParseJobs
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.guard import PaidCall
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets_tests.paid_apis import FaultKind, PaidApisTransport
from tvdb_assets_tests.paid_router import PaidServicesFixture
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters

PAGE = b"<html><body><h1>Terms</h1><p>Flood damage is covered.</p></body></html>"
LOST = (
    FaultKind.RESET_AFTER_WORK,
    FaultKind.RESET_MID_BODY,
    FaultKind.TRUNCATED_JSON,
    FaultKind.EMPTY_BODY,
    FaultKind.HTML_200,
)
PAGE_USD = Decimal("0.00375")


@pytest.fixture(autouse=True)
def _one_clock(paid: PaidServicesFixture) -> None:
    """The service and the ledger have the same time."""
    paid.transport = PaidApisTransport(paid.apis, lambda: paid.clock.now.timestamp())


def parse(paid: PaidServicesFixture, data: bytes = PAGE, **given: object) -> ParsedDocument:
    async def use(router: ServiceRouter) -> ParsedDocument:
        return await router.parse_paid(data, "terms.html", "text/html", 1)

    return paid.use(use, **given)


def lose_an_answer(paid: PaidServicesFixture, **given: object) -> None:
    """A submission whose job exists; the process knows nothing of it, and the list fails."""
    paid.apis.faults.script(FaultKind.RESET_AFTER_WORK, operation="submit")
    paid.apis.faults.script(FaultKind.SERVER_ERROR, operation="list", times=None)
    with pytest.raises(TvdbError):
        parse(paid, **given)
    paid.apis.faults.clear()


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_answer_is_found_in_the_list(paid: PaidServicesFixture, kind: FaultKind) -> None:
    paid.apis.faults.script(kind, operation="submit")

    assert "Flood damage" in parse(paid).text

    assert paid.request_count("submit") == len(paid.apis.charges) == 1
    assert paid.ledger() == [("posted", "answered")]
    assert paid.spent == paid.apis.dollars == PAGE_USD
    check_counters(paid.database)


def test_a_process_that_lost_its_lock_finds_the_job_of_another_one(
    paid: PaidServicesFixture,
) -> None:
    class Loses:
        """Loses its connections before it reserves, and another process submits the same bytes."""

        def __init__(self) -> None:
            self.other: Future[ParsedDocument] | None = None

        def reached(self, point: str, call: PaidCall, _: Reservation | None) -> None:
            if point == "before_reservation" and self.other is None:
                with paid.database.transaction() as tx:
                    tx.execute(
                        "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks"
                        " WHERE locktype = 'advisory' AND granted AND database ="
                        " (SELECT oid FROM pg_database WHERE datname = current_database())"
                    )
                self.other = Future()
                with ThreadPoolExecutor(1) as threads:
                    self.other = threads.submit(parse, paid)

    paid.observer = loses = Loses()

    text = parse(paid).text

    assert loses.other is not None
    assert text == loses.other.result().text
    assert paid.request_count("submit") == len(paid.apis.charges) == 1
    assert paid.spent == paid.apis.dollars == PAGE_USD


def test_a_submission_that_never_arrived_is_sent_again(paid: PaidServicesFixture) -> None:
    paid.apis.faults.script(FaultKind.RESET_BEFORE_WORK, operation="submit")

    assert "Flood damage" in parse(paid).text

    assert paid.request_count("submit") == 2
    assert paid.request_count("list") == 2
    assert len(paid.apis.charges) == 1
    assert sorted(paid.ledger()) == [("posted", "answered"), ("posted", "lost")]


def test_a_refused_submission_is_not_looked_for(paid: PaidServicesFixture) -> None:
    paid.apis.faults.script(FaultKind.RATE_LIMITED_SECONDS, operation="submit", seconds=0)

    parse(paid)

    assert paid.request_count("list") == 0


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.SERVER_ERROR, "service_unavailable"),
        (FaultKind.RESET_BEFORE_WORK, "service_unavailable"),
        (FaultKind.HTML_200, "bad_answer"),
        (FaultKind.FORBIDDEN, "job_list_unusable"),
        (FaultKind.NOT_FOUND, "job_list_unusable"),
        (FaultKind.INVALID_KEY, "key_refused"),
    ],
)
def test_nothing_is_submitted_again_before_the_list_can_be_read(
    paid: PaidServicesFixture, kind: FaultKind, code: str
) -> None:
    paid.apis.faults.script(FaultKind.RESET_AFTER_WORK, operation="submit")
    paid.apis.faults.script(kind, operation="list", times=None)
    for _ in range(2):
        with pytest.raises(ServiceError) as raised:
            parse(paid)
        assert raised.value.code in (code, "breaker_open")
        assert paid.request_count("submit") == 1
        assert paid.ledger() == [("posted", "lost")]
        assert paid.spent >= paid.apis.dollars
        paid.clock.forward(3_600)  # a breaker, or the memory of a refusal, is over

    paid.apis.faults.clear()
    assert "Flood damage" in parse(paid).text
    assert paid.request_count("submit") == len(paid.apis.charges) == 1
    assert paid.ledger() == [("posted", "answered")]
    assert paid.spent == paid.apis.dollars


def test_a_document_is_submitted_again_once_its_job_would_be_forgotten(
    paid: PaidServicesFixture,
) -> None:
    lose_an_answer(paid)
    paid.clock.forward((REUSE_JOBS_FOR + timedelta(hours=1)).total_seconds())
    paid.apis.faults.script(FaultKind.SERVER_ERROR, operation="list", times=None)

    assert "Flood damage" in parse(paid).text

    assert len(paid.apis.charges) == 2
    assert sorted(paid.ledger()) == [("posted", "answered"), ("posted", "lost")]
    check_counters(paid.database)


def test_a_job_is_found_among_thousands_of_others(paid: PaidServicesFixture) -> None:
    lose_an_answer(paid)
    [job] = paid.apis._jobs.values()
    for number in range(250):
        other = type(job)(
            id=f"pjb-other-{number}",
            submission=type(job.submission)("terms.html", b"other", job.submission.tier, "x"),
            pages=["Another document."],
            created=job.created + 1,
            done=0,
            billed=0,
            credits=0,
            fault=None,
        )
        paid.apis._jobs[other.id] = other

    before = paid.request_count("list")
    assert "Flood damage" in parse(paid).text

    assert paid.request_count("list") - before == 3
    assert paid.request_count("submit") == 1


def test_the_job_of_other_bytes_is_not_taken(paid: PaidServicesFixture) -> None:
    lose_an_answer(paid)

    other = PAGE.replace(b"Flood", b"Storm")

    assert "Storm damage" in parse(paid, other).text
    assert paid.request_count("submit") == 2


def test_the_list_of_another_account_is_not_asked(paid: PaidServicesFixture) -> None:
    lose_an_answer(paid)
    before = paid.request_count("list")

    parse(paid, LLAMA_CLOUD_API_KEY="llx-of-another-account")

    assert paid.request_count("list") == before
    assert paid.request_count("submit") == 2


def test_the_job_of_a_reservation_without_an_outcome_is_found(paid: PaidServicesFixture) -> None:
    """As after a kill between the answer and its transaction."""
    parse(paid)
    with paid.database.transaction() as tx:
        tx.execute("DELETE FROM tvdb.parse_jobs")
        tx.execute(
            "UPDATE tvdb.cost_ledger SET state = 'pending', posted_usd = NULL, outcome = NULL,"
            " job_id = NULL"
        )

    assert "Flood damage" in parse(paid).text
    assert paid.request_count("submit") == len(paid.apis.charges) == 1
    assert paid.ledger() == [("posted", "answered")]


def test_a_submission_is_in_flight_while_its_lease_is_renewed(paid: PaidServicesFixture) -> None:
    parse(paid)
    database, holder = paid.database, locks.new_claim_key()
    jobs = ParseJobs(database, "run-2", paid.clock)
    [(service, account, digest, fingerprint)] = paid.rows(
        "SELECT service, account, content_sha256, fingerprint FROM tvdb.parse_submissions"
    )
    with database.transaction() as tx:
        tx.execute(
            "UPDATE tvdb.cost_ledger SET state = 'pending', posted_usd = NULL, job_id = NULL"
        )
        tx.execute("UPDATE tvdb.parse_submissions SET holder = %s", (holder,))
        database.leases.keep(tx, holder)
    [sent] = jobs.unanswered(service, account, digest, fingerprint)
    assert sent.is_in_flight

    jobs.end_claim(holder)

    [sent] = jobs.unanswered(service, account, digest, fingerprint)
    assert not sent.is_in_flight


def test_a_submission_that_another_process_made_is_not_sent_after_a_restart(
    paid: PaidServicesFixture,
) -> None:
    """Its process was stopped before it was sent, and continues when the server has restarted."""
    lose_an_answer(paid)
    stopped = locks.new_claim_key()
    with paid.database.transaction() as tx:
        tx.execute("UPDATE tvdb.parse_submissions SET holder = %s", (stopped,))
        tx.execute(
            "INSERT INTO tvdb.claim_leases (holder, renewed_at, lasts) VALUES (%s, now(), '0')",
            (stopped,),
        )
    paid.apis._jobs.clear()  # It was not sent yet.

    parse(paid)
    with paid.database.transaction() as tx:
        # As if the server had been started a moment ago.
        tx.execute(
            "UPDATE tvdb.claim_leases SET lasts ="
            " clock_timestamp() - pg_postmaster_start_time() + '1 minute' WHERE holder = %s",
            (stopped,),
        )

    with pytest.raises(StorageError, match="claim_lost"), paid.database.transaction() as tx:
        ensure_claimed(tx, stopped)
