"""A database connection that breaks at any statement of a paid call costs nothing.

What belongs here: calls and ingestions whose connections are cut, and what was billed. What does
not: a server that stays away (`test_ledger_down`), processes that die (`test_ledger_kills`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal

import psycopg
import pytest

from tvdb_assets.errors import TvdbError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.guard import PaidCall, Transaction
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture
from tvdb_assets_tests.spend_guard.cutting_proxy import CuttingProxy, cutting_proxy, fatal_error
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters

TEXTS = ["Is flood damage covered?", "Is fire damage covered?"]
_MOST_PIECES = 400
_EMPTY = (
    "TRUNCATE tvdb.cost_ledger, tvdb.budget_windows, tvdb.service_states, tvdb.parse_jobs,"
    " tvdb.service_events, tvdb.embeddings"
)
IS_ANSWERED = pytest.mark.parametrize("is_answered", [False, True], ids=["unsent", "answered"])


class CutsAt:
    """Cuts all connections when a call reaches a point, once."""

    def __init__(self, proxy: CuttingProxy, point: str, service: str) -> None:
        self.proxy, self.point, self.service = proxy, point, service

    def reached(self, point: str, call: PaidCall, reservation: Reservation | None) -> None:
        if point == self.point and call.service == self.service:
            self.point = ""
            self.proxy.cut()


@pytest.fixture
def proxy(database: Database) -> Iterator[CuttingProxy]:
    with cutting_proxy(database.url) as proxy:
        yield proxy


@contextmanager
def through(paid: PaidServicesFixture, proxy: CuttingProxy) -> Iterator[None]:
    """The paid calls use connections through the proxy."""
    direct = paid.database
    with Database(proxy.url) as database:
        paid.database = database
        try:
            yield
        finally:
            proxy.arm(0, is_answered=False)
            paid.database = direct


def billed_again(paid: PaidServicesFixture) -> int:
    counted = paid.apis.charge_record.counters()["billed_twice"]
    assert isinstance(counted, int)
    return counted


def embed(paid: PaidServicesFixture, space_id: int) -> None:
    """Embed two texts and store their vectors."""
    index = IndexStore(paid.database, "run-1")

    async def use(router: ServiceRouter) -> None:
        await router.embed(
            TEXTS,
            persist=lambda tx, positions, vectors, produced_by: index.store_vectors(
                space_id,
                [(TEXTS[at].encode().ljust(32), 5) for at in positions],
                vectors,
                produced_by,
                tx=tx,
            ),
        )

    paid.use(use, run_id="run-1")


@pytest.mark.parametrize(
    "last_words",
    [b"", fatal_error("57P01"), fatal_error("XX000"), fatal_error("25P04")],
    ids=["reset", "shutdown", "pooler", "too_slow"],
)
@IS_ANSWERED
def test_an_embedding_call_survives_a_cut_at_every_statement(
    paid: PaidServicesFixture,
    proxy: CuttingProxy,
    is_answered: bool,
    last_words: bytes,
    is_full: bool,
) -> None:
    """However the connection ends: poolers have their own codes for that."""
    proxy.last_words = last_words
    direct = paid.database
    router = paid.router()
    space_id = IndexStore(direct, "run-1").space_id(router.clients.embedder.space)
    for piece in range(1 + is_answered, _MOST_PIECES, 1 if is_full else 3):
        with direct.transaction() as tx:
            tx.execute(_EMPTY)
        paid.apis.reset()
        with through(paid, proxy):
            with paid.database.transaction() as tx:
                tx.execute("SELECT 1")  # a connection is in the pool
            proxy.arm(piece, is_answered=is_answered)
            embed(paid, space_id)
            is_over = piece > proxy.pieces

        assert len(paid.apis.charges) == 1, piece
        assert paid.ledger() == [("posted", "answered")], piece
        assert paid.rows("SELECT count(*) FROM tvdb.embeddings") == [(2,)], piece
        assert paid.spent == paid.apis.dollars > 0
        check_counters(direct)
        if is_over:
            break
    assert piece > 20
    assert is_over


@IS_ANSWERED
def test_a_parsing_call_survives_a_cut_at_every_statement(
    paid: PaidServicesFixture, proxy: CuttingProxy, is_answered: bool, is_full: bool
) -> None:
    """The job may have to be polled again, and is never submitted again."""
    direct = paid.database
    page = b"<html><body><h1>Terms</h1><p>Flood damage is covered.</p></body></html>"
    with direct.transaction() as tx:
        tx.execute("CREATE TABLE IF NOT EXISTS tvdb.stored_texts (text text)")

    def persist(tx: Transaction, parsed: ParsedDocument) -> None:
        tx.execute("INSERT INTO tvdb.stored_texts VALUES (%s)", (parsed.text,))

    async def use(router: ServiceRouter) -> None:
        await router.parse_paid(page, "terms.html", "text/html", 1, persist=persist)

    for piece in range(1 + is_answered, _MOST_PIECES, 1 if is_full else 3):
        with direct.transaction() as tx:
            tx.execute(_EMPTY)
            tx.execute("TRUNCATE tvdb.stored_texts")
        paid.apis.reset()
        with through(paid, proxy):
            with paid.database.transaction() as tx:
                tx.execute("SELECT 1")
            proxy.arm(piece, is_answered=is_answered)
            paid.use(use)
            is_over = piece > proxy.pieces

        assert paid.request_count("submit") == len(paid.apis.charges) == 1, piece
        assert paid.rows("SELECT count(*) FROM tvdb.stored_texts") == [(1,)], piece
        assert paid.ledger() == [("posted", "answered")], piece
        assert paid.spent == paid.apis.dollars > 0
        check_counters(direct)
        if is_over:
            break
    assert piece > 20
    assert is_over


@pytest.mark.parametrize("point", ["reserved", "before_send", "answered"])
@pytest.mark.parametrize("service", ["openai", "llamaparse"])
def test_an_ingestion_pays_nothing_twice_after_a_cut_at_any_point(
    folder: DocumentFolder, proxy: CuttingProxy, point: str, service: str
) -> None:
    paid = folder.paid
    paid.apis.behaviour = type(paid.apis.behaviour)(latency_seconds=0.05)
    for number in range(4):
        clauses = "".join(
            f"<h2>P{at}</h2><p>Clause {at} of {number}: {number * 100 + at} euros a year.</p>"
            for at in range(6)
        )
        folder.write(f"{number}.html", f"<html><body>{clauses}</body></html>")
    paid.observer = CutsAt(proxy, point, service)
    # The connection that holds the claim of the batch is gone as well.
    with through(paid, proxy), suppress(TvdbError, psycopg.Error):
        folder.ingest(chunk_tokens=16)
    assert paid.observer.point == "", "nothing was cut"
    paid.observer = None

    assert {result.error for result in folder.ingest(chunk_tokens=16).values()} <= {None}
    assert folder.ingest(chunk_tokens=16) == {}
    assert billed_again(paid) == 0
    assert paid.request_count("submit") == 4
    assert len(folder.passages()) == 4
    check_counters(paid.database)


def test_a_transaction_survives_connections_that_are_cut_one_after_the_other(
    proxy: CuttingProxy,
) -> None:
    tries = 0

    def work(tx: Transaction) -> int:
        nonlocal tries
        tries += 1
        if tries < 4:
            proxy.cut()
        tx.execute("SELECT 1")
        return tries

    with Database(proxy.url) as database:
        assert database.run(work) == 4


def test_the_pool_lends_no_connection_that_the_server_has_ended(database: Database) -> None:
    def use() -> int:
        with database.transaction() as tx:
            [(pid,)] = tx.execute("SELECT pg_backend_pid()").fetchall()
        return int(pid)

    before = use()
    with psycopg.connect(database.url, autocommit=True) as other:
        ended = other.execute("SELECT pg_terminate_backend(%s, 10000)", (before,)).fetchone()

    assert ended == (True,)
    assert use() != before


def test_what_is_paid_for_is_stored_when_the_server_is_back_although_its_caller_is_cancelled(
    paid: PaidServicesFixture, proxy: CuttingProxy
) -> None:
    """The attempt that is under way ends; the answer of a cancelled caller is stored."""
    space_id = IndexStore(paid.database, "run-1").space_id(paid.router().clients.embedder.space)
    cancelled: list[bool] = []

    class Cancels:
        def reached(self, point: str, call: PaidCall, reservation: Reservation | None) -> None:
            if point == "answered":
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                cancelled.append(True)

    paid.observer = Cancels()
    with pytest.raises(asyncio.CancelledError):
        embed(paid, space_id)

    assert cancelled == [True]
    assert paid.ledger() == [("posted", "answered")]
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings") == [(2,)]
    assert paid.spent == paid.apis.dollars > Decimal(0)
