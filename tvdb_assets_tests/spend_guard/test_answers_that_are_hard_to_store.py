"""An answer that was paid for is stored, whatever stands in its way.

What belongs here: what makes it hard to store an answer, other than a connection that is cut. What
does not: cuts (`test_connection_cuts`), a server that stays away (`test_ledger_down`).
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tvdb_assets.errors import TvdbError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.guard import PaidCall
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.telemetry import LOGGER
from tvdb_assets_tests.paid_router import (
    DocumentFolder,
    FixedResponse,
    FixedResponses,
    PaidServicesFixture,
)

TEXT = "Is flood damage covered?"
LONGEST_SECONDS = 15.0


class At:
    """Does something when a call to a service reaches a point, once."""

    def __init__(self, point: str, service: str, act: Callable[[Reservation], None]) -> None:
        self.point, self.service, self.act = point, service, act

    def reached(self, point: str, call: PaidCall, reservation: Reservation | None) -> None:
        if (point, call.service) == (self.point, self.service) and reservation is not None:
            self.point = ""
            self.act(reservation)


def name_of(length: int) -> str:
    """A name that can't be compressed."""
    return random.Random(length).randbytes(length // 2).hex()


def vector_answer(**headers: str) -> FixedResponse:
    vector = [1.0] + [0.0] * 1_535
    answer = {"data": [{"index": 0, "embedding": vector}], "usage": {"total_tokens": 5}}
    return FixedResponse(200, json.dumps(answer).encode(), headers)


async def embed(router: ServiceRouter, space_id: int) -> None:
    index = IndexStore(router.services.database, "run-1")

    def persist(tx: object, positions: object, vectors: object, by: object) -> None:
        index.store_vectors(space_id, [(TEXT.encode().ljust(32), 5)], vectors, by, tx=tx)  # type: ignore[arg-type]

    await asyncio.wait_for(router.embed([TEXT], persist=persist), LONGEST_SECONDS)


def new_space(paid: PaidServicesFixture) -> int:
    return IndexStore(paid.database, "run-1").space_id(paid.router().clients.embedder.space)


def test_an_answer_with_a_long_request_id_is_stored(paid: PaidServicesFixture) -> None:
    paid.transport = FixedResponses(vector_answer(**{"x-request-id": name_of(12_000)}))
    space_id = new_space(paid)

    paid.use(lambda router: embed(router, space_id))

    assert paid.ledger() == [("posted", "answered")]
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings") == [(1,)]


def test_a_failure_with_a_long_request_id_is_settled(paid: PaidServicesFixture) -> None:
    paid.transport = FixedResponses(FixedResponse(400, b"{}", {"x-request-id": name_of(12_000)}))
    space_id = new_space(paid)

    paid.use(lambda router: embed(router, space_id))

    assert set(paid.ledger()) == {("voided", "request_refused")}
    assert paid.spent == 0


@pytest.mark.parametrize(
    "name", [name_of(12_000), "pjb-\0", "pjb-\ud800"], ids=["long", "nul", "half"]
)
def test_a_job_whose_id_can_not_be_stored_is_a_bad_answer(
    paid: PaidServicesFixture, name: str
) -> None:
    paid.transport = FixedResponses(FixedResponse(200, json.dumps({"id": name}).encode()))

    async def parse(router: ServiceRouter) -> None:
        await asyncio.wait_for(
            router.parse_paid(b"<p>Terms</p>", "a.html", "text/html", 1), LONGEST_SECONDS
        )

    with pytest.raises(TvdbError) as caught:
        paid.use(parse, paid_attempts=1)

    assert caught.value.code == "bad_answer"
    assert paid.ledger() == [("posted", "bad_answer")]


def test_the_text_of_a_document_that_was_deleted_meanwhile_is_posted(
    folder: DocumentFolder,
) -> None:
    paid = folder.paid
    folder.write("a.html", "<html><body><h1>T</h1><p>Flood damage is covered.</p></body></html>")
    folder.write("b.html", "<html><body><h1>T</h1><p>Fire damage is covered.</p></body></html>")

    def delete(_: Reservation) -> None:
        with paid.database.transaction() as tx:
            [(document_id,)] = tx.execute(
                "SELECT document_id FROM tvdb.documents WHERE path = 'a.html'"
            ).fetchall()
            tx.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks"
                " WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid() AND database"
                " = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        DocumentDeletion(paid.database).delete([document_id], keeps_results=True)

    paid.observer = At("recorded", "llamaparse", delete)
    folder.ingest()
    paid.observer = None

    assert set(paid.ledger()) == {("posted", "answered")}
    assert paid.request_count("submit") == 2
    assert paid.rows("SELECT path FROM tvdb.unused_parses") == [("a.html",)]
    assert list(folder.passages()) == ["b.html"]


def test_a_job_that_another_process_recorded_meanwhile_is_awaited(
    paid: PaidServicesFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process could not store the answer for so long that another one found the job."""

    def adopt(reservation: Reservation) -> None:
        [job_id] = paid.apis._jobs
        with paid.database.transaction() as tx:
            tx.execute(
                "INSERT INTO tvdb.parse_jobs (service, job_id, entry_id, content_sha256,"
                " fingerprint, run_id) SELECT service, %s, entry_id, content_sha256, fingerprint,"
                " 'run-2' FROM tvdb.parse_submissions",
                (job_id,),
            )
            tx.execute("UPDATE tvdb.cost_ledger SET job_id = %s", (job_id,))
        transaction = Database.transaction

        def broken(self: object) -> object:
            monkeypatch.setattr(Database, "transaction", transaction)
            raise psycopg.OperationalError("the connection is lost")

        monkeypatch.setattr(Database, "transaction", broken)

    paid.observer = At("answered", "llamaparse", adopt)

    async def parse(router: ServiceRouter) -> ParsedDocument:
        return await router.parse_paid(b"<p>Flood damage</p>", "a.html", "text/html", 1)

    assert "Flood" in paid.use(parse).text
    assert paid.request_count("submit") == 1


def test_an_answer_is_stored_although_its_caller_is_cancelled_again_and_again(
    paid: PaidServicesFixture,
) -> None:
    """Also if no thread is free at first."""
    space_id = new_space(paid)
    release = threading.Event()

    async def use(router: ServiceRouter) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(embed(router, space_id))

        def block(_: Reservation) -> None:
            for _number in range(64):
                loop.run_in_executor(None, release.wait)

        paid_observer = At("answered", "openai", block)
        router.services.guard._observer = paid_observer
        while paid_observer.point:
            await asyncio.sleep(0.01)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        paid.use(use)
    finally:
        release.set()

    assert paid.ledger() == [("posted", "answered")]
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings") == [(1,)]


def test_an_index_whose_vectors_are_being_paid_for_is_not_dropped(folder: DocumentFolder) -> None:
    paid = folder.paid
    folder.write("a.md", "# Rule 1\n\nDamage by water up to floor 1 is covered.\n")
    folder.ingest()
    indexes = IndexCatalog(paid.database)
    codes: list[str] = []

    def drop(_: Reservation) -> None:
        [other] = [index for index in indexes.states() if not index.is_current]
        try:
            indexes.drop(other.index_id)
        except TvdbError as error:
            codes.append(error.code)

    paid.observer = At("answered", "openai", drop)
    # Another length of vectors is another index.
    folder.write("b.md", "# Rule 2\n\nDamage by water up to floor 2 is covered.\n")
    paid.observer.point = ""
    folder.ingest()
    paid.observer.point = "answered"
    folder.ingest(["a.md"], embedding_dimensions=256)
    paid.observer = None

    assert codes == ["index_in_use"]
    assert set(paid.ledger()) == {("posted", "answered")}


def test_a_process_that_waits_for_long_keeps_its_request_of_the_hour(
    paid: PaidServicesFixture,
) -> None:
    refused: list[str] = []

    async def ask(router: ServiceRouter) -> None:
        await router.embed([TEXT])

    def ask_elsewhere(_: Reservation) -> None:
        paid.observer = None
        with ThreadPoolExecutor(1) as threads, pytest.raises(TvdbError) as caught:
            threads.submit(paid.use, ask, hourly_rate_limit=1).result()
        refused.append(caught.value.code)

    paid.observer = At("reserved", "openai", ask_elsewhere)
    paid.use(ask, hourly_rate_limit=1, paid_max_wait_seconds=7_200.0)

    assert refused == ["hourly_requests_exhausted"]
    assert paid.request_count("embeddings") == 1


def test_an_answer_is_stored_although_a_handler_of_logs_raises(paid: PaidServicesFixture) -> None:
    space_id = new_space(paid)

    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("call_ended"):
                raise OSError(errno.ENOSPC, "no space left for logs")

    handler = Full()
    LOGGER.addHandler(handler)
    try:
        with pytest.raises(OSError, match="no space left"):
            paid.use(lambda router: embed(router, space_id))
    finally:
        LOGGER.removeHandler(handler)

    assert paid.ledger() == [("posted", "answered")]
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings") == [(1,)]
