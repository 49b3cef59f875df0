"""Documents that wait for batch jobs: from the collection of their texts to their publication."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx2
import orjson
import pytest

from tvdb_assets.routing.batch_work import BatchWork
from tvdb_assets.spend_guard.spend_limits import change
from tvdb_assets_tests.paid_apis import Behaviour, FaultKind, PaidApis, PaidApisTransport
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

_BATCH: dict[str, Any] = {"batch": "always", "parser_mode": "local"}


@pytest.fixture
def paid(paid: PaidServicesFixture) -> PaidServicesFixture:
    """The service and the ledger have one clock."""
    paid.transport = PaidApisTransport(paid.apis, lambda: paid.clock.now.timestamp())
    return paid


def advance(paid: PaidServicesFixture, times: int = 1, seconds: float = 0.0, **given: Any) -> None:
    """Let ``batch_sensor`` tick so often, with the time between two ticks."""
    for _ in range(times):
        paid.use(lambda router: router.batch_work.advance(), **{**_BATCH, **given})
        paid.clock.forward(seconds)


def write(folder: DocumentFolder, *numbers: int) -> None:
    for number in numbers:
        folder.write(f"{number}.md", f"# Policy {number}\n\nClause {number} covers the roof.\n")


def states(paid: PaidServicesFixture) -> dict[str, tuple[str, str | None]]:
    rows = paid.rows("SELECT path, status, error_code FROM tvdb.documents")
    return {path: (status, code) for path, status, code in rows}


def jobs(paid: PaidServicesFixture) -> list[tuple[str, str | None]]:
    return paid.rows("SELECT state, outcome FROM tvdb.embedding_batches ORDER BY created_at")  # type: ignore[return-value]


def open_texts(paid: PaidServicesFixture) -> int:
    [(claims, texts)] = paid.rows(
        "SELECT (SELECT count(*) FROM tvdb.text_claims),"
        " (SELECT count(*) FROM tvdb.embedding_batch_texts)"
    )
    assert claims == texts
    return int(texts)


def assert_books_agree(paid: PaidServicesFixture) -> None:
    [(posted, pending)] = paid.rows(
        "SELECT coalesce(sum(posted_usd), 0), count(*) FILTER (WHERE state = 'pending')"
        " FROM tvdb.cost_ledger"
    )
    assert pending == 0
    assert posted == paid.spent
    assert abs(posted - paid.apis.dollars) < Decimal("1e-9")


def test_documents_wait_for_a_job_and_are_published_at_half_of_the_price(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, *range(5))
    results = folder.ingest(**_BATCH)
    assert set(folder.codes(results).values()) == {"batch_pending"}
    assert states(paid)["0.md"] == ("deferred", "batch_pending")
    assert jobs(paid) == [("submitted", None)]
    [job] = paid.apis.batches
    # Results that nobody deletes, because a process was killed, do not stay for ever.
    assert job.output_seconds == 3 * 86_400
    assert paid.request_count("embeddings") == 0
    reserved = paid.spent
    assert reserved > 0

    advance(paid)
    assert jobs(paid) == [("submitted", None)]
    assert open_texts(paid) == 5
    paid.clock.forward(4_000)
    advance(paid)

    assert jobs(paid) == [("done", "completed")]
    assert open_texts(paid) == 0
    assert states(paid)["0.md"] == ("deferred", "batch_ended")
    assert folder.codes(folder.ingest(**_BATCH)) == {}
    assert len(folder.passages()) == 5
    assert paid.request_count("embeddings") == 0
    assert_books_agree(paid)
    [(tokens, usd)] = paid.rows("SELECT quantity, posted_usd FROM tvdb.cost_ledger")
    assert usd == tokens * Decimal("0.01") / 1_000_000


def finish(
    paid: PaidServicesFixture, folder: DocumentFolder, ticks: int = 12, **given: Any
) -> dict[str, str]:
    """Ticks and resumed runs, as by the sensors, until nothing waits; the codes of the last run."""
    codes: dict[str, str] = {}
    for _ in range(ticks):
        advance(paid, seconds=1_000, **given)
        if not any(status == "deferred" for status, _ in states(paid).values()):
            break
        due = [name for name, (_, code) in states(paid).items() if code == "batch_ended"]
        if due:
            codes = folder.codes(folder.ingest(due, **{**_BATCH, **given}))
    return codes


_LOST = [FaultKind.RESET_AFTER_WORK, FaultKind.RESET_BEFORE_WORK, FaultKind.HTML_200]
_OPERATIONS = ["upload", "create", "poll", "list", "download", "discard"]


_CASES = [
    (operation, fault)
    for operation in _OPERATIONS
    for fault in (*_LOST, FaultKind.SERVER_ERROR, FaultKind.RATE_LIMITED)
]
_QUICK = {
    ("create", FaultKind.RESET_AFTER_WORK),
    ("create", FaultKind.RESET_BEFORE_WORK),
    ("list", FaultKind.RESET_AFTER_WORK),
}


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        pytest.param(*case, marks=() if case in _QUICK else pytest.mark.full)  # type: ignore[arg-type]
        for case in _CASES
    ],
)
def test_a_lost_answer_loses_nothing_and_submits_nothing_twice(
    paid: PaidServicesFixture,
    folder: DocumentFolder,
    operation: str,
    fault: FaultKind,
) -> None:
    write(folder, 1, 2)
    if operation == "list":
        paid.apis.faults.script(FaultKind.RESET_AFTER_WORK, operation="batch_create")
    paid.apis.faults.script(fault, operation=f"batch_{operation}")
    folder.ingest(**_BATCH)

    assert finish(paid, folder) == {}

    assert len(folder.passages()) == 2
    assert len(paid.apis.batches) == 1
    assert paid.request_count("embeddings") == 0
    assert_books_agree(paid)


class FailsAfterWork(httpx2.AsyncBaseTransport):
    """The service does what the first submission asks for, and answers that it failed."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, status: int) -> None:
        self._inner = inner
        self._status = status
        self._is_first = True

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if self._is_first and (request.method, request.url.path) == ("POST", "/v1/batches"):
            self._is_first = False
            return httpx2.Response(self._status, json={"error": {}}, request=request)
        return response


@pytest.mark.parametrize(
    "status", [500, *(pytest.param(status, marks=pytest.mark.full) for status in (503, 409))]
)
def test_a_submission_that_the_service_failed_at_is_looked_for_before_it_is_repeated(
    paid: PaidServicesFixture, folder: DocumentFolder, status: int
) -> None:
    write(folder, 1, 2)
    paid.transport = FailsAfterWork(paid.transport, status)
    folder.ingest(**_BATCH)

    assert finish(paid, folder) == {}

    assert len(paid.apis.batches) == 1
    assert_books_agree(paid)


def test_a_submission_that_becomes_a_job_after_it_was_given_up_is_recorded(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    inner, held = paid.transport, list[httpx2.Request]()

    class Holder(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if (request.method, request.url.path) == ("POST", "/v1/batches") and not held:
                held.append(request)
                raise httpx2.ReadError("reset")
            return await inner.handle_async_request(request)

    paid.transport = Holder()
    write(folder, 1, 2)
    folder.ingest(**_BATCH)
    advance(paid, times=4, seconds=100)
    assert len(paid.apis.batches) == 1, "submitted again"
    asyncio.run(inner.handle_async_request(held[0]))
    paid.clock.forward(1_800)

    assert finish(paid, folder, ticks=20) == {}

    assert len(paid.apis.batches) == 2
    paid.clock.forward(4_000)
    advance(paid)
    assert paid.spent >= paid.apis.dollars
    assert len(folder.passages()) == 2


def test_pages_of_a_gateway_instead_of_results_lose_nothing(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, 1, 2)
    paid.apis.faults.script(FaultKind.HTML_200, operation="batch_download", times=8)
    folder.ingest(**_BATCH)

    assert finish(paid, folder, ticks=20) == {}

    assert len(folder.passages()) == 2
    assert len(paid.apis.batches) == 1
    assert_books_agree(paid)


def test_jobs_are_asked_for_with_the_headers_of_the_settings(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    inner, projects = paid.transport, set[str | None]()

    class Recorder(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            projects.add(request.headers.get("openai-project"))
            return await inner.handle_async_request(request)

    paid.transport = Recorder()
    write(folder, 1)
    given = {**_BATCH, "embedding_headers": "OpenAI-Project: of-the-search"}
    folder.ingest(**given)

    assert finish(paid, folder, **given) == {}

    assert projects == {"of-the-search"}


def test_the_list_of_another_account_proves_no_submission_free(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, 1, 2)
    paid.apis.faults.script(FaultKind.RESET_AFTER_WORK, operation="batch_create")
    folder.ingest(**_BATCH)
    of_the_first, other = paid.apis, PaidApis(Behaviour())
    paid.transport = PaidApisTransport(other, lambda: paid.clock.now.timestamp())

    assert finish(paid, folder, OPENAI_API_KEY="sk-of-another-account") == {}

    paid.clock.forward(4_000)
    of_the_first.handle("GET", "/v1/batches", {}, b"", paid.clock.now.timestamp())
    assert of_the_first.dollars > 0
    assert paid.spent >= of_the_first.dollars + other.dollars


@pytest.mark.parametrize(
    "fault",
    [
        FaultKind.BATCH_SHUFFLED,
        FaultKind.BATCH_DUPLICATES,
        FaultKind.BATCH_UNKNOWN_IDS,
        FaultKind.BATCH_WITHOUT_USAGE,
    ],
)
def test_results_belong_to_the_texts_that_they_name(
    paid: PaidServicesFixture, folder: DocumentFolder, fault: FaultKind
) -> None:
    write(folder, *range(6))
    paid.apis.faults.script(fault, operation="batch_create")
    folder.ingest(**_BATCH)

    assert finish(paid, folder) == {}

    assert len(folder.passages()) == 6
    assert len(paid.apis.batches) == 1
    assert_books_agree(paid)


@pytest.mark.parametrize(
    "fault",
    [
        FaultKind.BATCH_EXPIRED,
        FaultKind.BATCH_LINES_MISSING,
        FaultKind.BATCH_TRUNCATED,
        FaultKind.BATCH_LINES_FAIL,
        FaultKind.BATCH_INVALID,
    ],
)
def test_what_a_job_leaves_out_is_embedded_by_another_request(
    paid: PaidServicesFixture, folder: DocumentFolder, fault: FaultKind
) -> None:
    write(folder, *range(6))
    paid.apis.faults.script(fault, operation="batch_create")
    folder.ingest(**_BATCH)

    assert finish(paid, folder, ticks=24) == {}

    assert len(folder.passages()) == 6
    is_batched_again = fault in (
        FaultKind.BATCH_EXPIRED,
        FaultKind.BATCH_LINES_MISSING,
        FaultKind.BATCH_TRUNCATED,
    )
    assert len(paid.apis.batches) == 1 + is_batched_again
    assert bool(paid.request_count("embeddings")) is not is_batched_again
    assert open_texts(paid) == 0
    assert paid.apis.batch_files == [], "texts stay at the service"
    assert_books_agree(paid)


def test_a_refused_text_fails_its_document_alone(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, 1, 2)
    folder.write("bad.md", "# Bad\n\nzzpoison is in it.\n")
    for operation in ("batch_line", "embeddings"):
        paid.apis.faults.script(
            FaultKind.REFUSED_TEXT, operation=operation, times=None, marker="zzpoison"
        )
    folder.ingest(**_BATCH)

    assert finish(paid, folder) == {"bad.md": "text_refused"}

    assert len(folder.passages()) == 2
    assert len(paid.apis.batches) == 1
    assert_books_agree(paid)


def test_a_pause_cancels_jobs_and_keeps_what_they_have_done(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, *range(8))
    folder.ingest(**_BATCH)
    paid.clock.forward(1_800)
    change(paid.database, "is_paused", Decimal(1), changed_by="a test")

    advance(paid)

    assert jobs(paid) == [("done", "cancelled")]
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings") == [(4,)]
    # A pause is no reason to embed the others at once, for the full price.
    assert paid.rows("SELECT max(misses) FROM tvdb.embedding_batch_returns") == [(0,)]
    assert_books_agree(paid)
    change(paid.database, "is_paused", None, changed_by="a test")
    folder.ingest(list(states(paid)), **_BATCH)
    assert finish(paid, folder) == {}
    assert len(folder.passages()) == 8
    assert len(paid.apis.batches) == 2
    assert paid.apis.charge_record.counters()["billed_twice"] == 0
    assert_books_agree(paid)


def test_a_full_queue_of_the_account_delays_a_job_and_fails_nothing(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    paid.apis.behaviour = Behaviour(enqueued_tokens=50)
    write(folder, *range(6))
    folder.ingest(batch_texts=2, **_BATCH)
    advance(paid)
    assert [state for state, _ in jobs(paid)].count("submitted") >= 1
    assert ("batch_queue_full",) in paid.rows("SELECT waits_for FROM tvdb.embedding_batches")

    assert finish(paid, folder, ticks=30) == {}

    assert len(folder.passages()) == 6
    assert paid.request_count("embeddings") == 0
    assert_books_agree(paid)


def test_a_job_that_alone_exceeds_the_queue_is_split(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    paid.apis.behaviour = Behaviour(enqueued_tokens=40)
    write(folder, *range(6))
    folder.ingest(**_BATCH)

    assert finish(paid, folder, ticks=40) == {}

    assert paid.apis.batch_files == []
    assert len(folder.passages()) == 6
    assert paid.request_count("embeddings") == 0
    assert_books_agree(paid)


def test_a_budget_submits_what_fits_and_the_rest_another_day(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, *range(6))
    limit = Decimal("0.00000035")
    folder.ingest(daily_cost_limit=limit, **_BATCH)
    assert Decimal(0) < paid.spent <= limit
    assert [state for state, _ in jobs(paid)].count("ready") == 1

    finish(paid, folder, daily_cost_limit=limit)
    assert 0 < len(folder.passages()) < 6
    for _ in range(5):
        paid.clock.forward(86_400)
        finish(paid, folder, daily_cost_limit=limit)

    assert len(folder.passages()) == 6
    assert paid.request_count("embeddings") == 0
    [(most,)] = paid.rows("SELECT max(spent_usd) FROM tvdb.budget_windows WHERE scope = ''")
    assert most <= limit


def test_a_server_without_batch_jobs_embeds_at_once(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    paid.apis.behaviour = Behaviour(has_batches=False)
    write(folder, 1, 2)
    folder.ingest(**_BATCH)

    assert finish(paid, folder) == {}

    assert len(folder.passages()) == 2
    assert paid.apis.batches == []
    assert paid.state("openai").refusal is None
    assert_books_agree(paid)


def test_an_estimate_has_the_price_of_the_jobs_that_will_be_used(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, 1)
    [at_once] = folder.estimate(parser_mode="local")
    [by_a_job] = folder.estimate(**_BATCH)
    assert 0 < by_a_job.cost_usd == at_once.cost_usd / 2


def test_only_runs_whose_documents_can_wait_use_jobs(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    given = {**_BATCH, "batch": "auto"}
    write(folder, 1)
    assert folder.codes(folder.ingest(**given)) == {}
    write(folder, 2)
    results = folder.ingest(is_deferrable=True, **given)
    assert folder.codes(results) == {"2.md": "batch_pending"}
    write(folder, 3)
    codes = folder.codes(folder.ingest(is_deferrable=True, **{**given, "batch": "never"}))
    assert "3.md" not in codes


def test_a_changed_and_a_deleted_document_lose_nothing_while_a_job_is_out(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, 1, 2, 3)
    folder.ingest(**_BATCH)
    folder.write("1.md", "# Policy 1\n\nAnother clause.\n")
    (folder.path / "2.md").unlink()
    plan = folder.plan(**_BATCH)
    folder.registry.change(plan.changed)
    folder.ingest(["1.md"], **_BATCH)
    with paid.database.transaction() as tx:
        from tvdb_assets.repositories.deletion import delete_documents

        [(gone,)] = tx.execute("SELECT document_id FROM tvdb.documents WHERE path = '2.md'")
        delete_documents(tx, [gone], keeps_results=True)

    assert finish(paid, folder) == {}

    assert set(folder.passages()) == {"1.md", "3.md"}
    assert paid.apis.charge_record.counters()["billed_twice"] == 0
    assert_books_agree(paid)
    # The text of the deleted document is kept, as it was paid for.
    write(folder, 2)
    assert folder.codes(folder.ingest(["2.md"], **_BATCH)) == {}


def test_a_job_that_can_not_be_looked_at_says_what_is_missing(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, 1)
    folder.ingest(**_BATCH)

    advance(paid, OPENAI_API_KEY=None, service_mode="local")

    [(code, message)] = paid.rows("SELECT waits_for, waits_message FROM tvdb.embedding_batches")
    assert code == "key_missing"
    assert "text-embedding-3-small" in message
    # It is found again.
    assert finish(paid, folder) == {}
    assert len(folder.passages()) == 1


def test_a_job_that_never_gets_on_does_not_keep_others_waiting(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, 1)
    folder.ingest(**_BATCH)
    paid.clock.forward(1)
    write(folder, 2)
    folder.ingest(["2.md"], **_BATCH)
    paid.clock.forward(4_000)
    first, second = paid.apis.batches
    polled: list[str] = []

    def tick() -> None:
        """It ends within the first job that it advances."""
        seconds = iter([0.0, 0.0])
        paid.use(
            lambda router: BatchWork(
                router.settings,
                router.services,
                router.clients,
                clock=lambda: next(seconds, 99.0),
            ).advance(),
            **_BATCH,
        )
        paid.clock.forward(60)
        done = paid.rows("SELECT batch_id FROM tvdb.embedding_batches WHERE state = 'done'")
        polled.extend(batch_id for (batch_id,) in done)

    paid.apis.faults.script(FaultKind.SERVER_ERROR, operation="batch_poll", times=1)
    tick()
    assert polled == []
    tick()
    assert polled == [second.id]
    tick()
    assert first.id in polled


def test_another_run_leaves_texts_of_a_job_to_it(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    write(folder, 1)
    folder.ingest(**_BATCH)
    folder.write("twin.md", "# Policy 1\n\nClause 1 covers the roof.\n")

    results = folder.ingest(["twin.md"], **{**_BATCH, "batch": "never"})

    assert folder.codes(results) == {"twin.md": "batch_pending"}
    assert finish(paid, folder) == {}
    assert len(folder.passages()) == 2
    assert paid.apis.charge_record.counters()["billed_twice"] == 0


@pytest.mark.parametrize(
    ("vector", "code"), [([0.0] * 1536, "vector_zero"), ([1.0], "vector_unusable")]
)
def test_a_text_that_a_job_was_paid_for_without_a_usable_vector_is_not_paid_for_again(
    paid: PaidServicesFixture, folder: DocumentFolder, vector: list[float], code: str
) -> None:
    inner = paid.transport

    class Spoils(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await inner.handle_async_request(request)
            if not request.url.path.endswith("/content"):
                return response
            first, *rest = (await response.aread()).splitlines()
            row = orjson.loads(first)
            row["response"]["body"]["data"][0]["embedding"] = vector
            content = b"\n".join((orjson.dumps(row), *rest))
            return httpx2.Response(200, content=content, request=request)

    paid.transport = Spoils()
    write(folder, 1, 2)
    folder.ingest(**_BATCH)

    codes = finish(paid, folder)

    assert list(codes.values()) == [code]
    assert folder.codes(folder.ingest(list(codes))) == codes
    assert paid.request_count("embeddings") == 0
    assert len(paid.apis.batches) == 1
    assert_books_agree(paid)
