"""Without its ledger nothing is paid for, whenever it goes away.

What belongs here: a database that is not there, or goes while a call is under way. What does
not: a budget that is used up.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.errors import StorageError
from tvdb_assets.repositories import database as databases
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.spend_guard.guard import PaidCall
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.telemetry import LOGGER
from tvdb_assets_tests.paid_apis import RunningServer, running_server
from tvdb_assets_tests.spend_guard.guard_fixtures import Clock, Once, call_on
from tvdb_assets_tests.spend_guard.ledger_invariants import (
    check_counters,
    ledger_usd,
    rows,
    settle_by,
)


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_CONNECT_SECONDS", 1)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    made = Clock(tmp_path / "now")
    made.set(datetime.now(UTC).timestamp())
    return made


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server() as running:
        yield running


class StopsAt:
    """Stops Postgres when a call reaches a point."""

    def __init__(self, postgres: EmbeddedPostgres, point: str) -> None:
        self.postgres, self.point = postgres, point

    def reached(self, point: str, call: PaidCall, reservation: Reservation | None) -> None:
        if point == self.point:
            self.point = ""
            self.postgres.stop()


class StartsAgain(logging.Handler):
    """Starts Postgres when the log says that a response could not be stored."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        super().__init__()
        self.postgres = postgres
        self.starts = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("settlement_repeated"):
            self.starts += 1
            self.postgres.ensure_running()


@contextmanager
def own_postgres(home: Path) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(home)
    try:
        prepare(postgres.ensure_running())
        yield postgres
    finally:
        postgres.stop()


def test_a_dead_port_pays_nothing(server: RunningServer, clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"postgresql://nobody:x@127.0.0.1:{port}/none"
    with Database(url) as nowhere, pytest.raises(StorageError) as caught:
        _raise(asyncio.run(call_on(nowhere, Once(url, server.url, clock))))

    assert caught.value.code == "ledger_unreachable"
    assert server.apis.requests == []


def test_postgres_that_stops_during_a_call(
    server: RunningServer, clock: Clock, tmp_path: Path
) -> None:
    """Before the request is sent it costs nothing; after that, its response is stored and posted
    as soon as Postgres is back.
    """
    with own_postgres(tmp_path / "server") as postgres:
        url = postgres.ensure_running()
        once = Once(url, server.url, clock)
        for point in ("before_reservation", "reserved"):
            with Database(url) as database:
                got = asyncio.run(call_on(database, once, StopsAt(postgres, point)))
            assert got == "ledger_unreachable", point
            assert server.apis.requests == []
            assert postgres.ensure_running() == url  # the same port and password again

        starter = StartsAgain(postgres)
        LOGGER.addHandler(starter)
        try:
            for sent, point in enumerate(("before_send", "answered"), start=1):
                with Database(url) as database:
                    got = asyncio.run(call_on(database, once, StopsAt(postgres, point)))
                assert got == "answered", point
                assert len(server.apis.requests) == starter.starts == sent
        finally:
            LOGGER.removeHandler(starter)

        with Database(url) as database:
            states = rows(
                database, "SELECT state, count(*)::int FROM tvdb.cost_ledger GROUP BY 1 ORDER BY 1"
            )
            assert states == [("pending", 1), ("posted", 2)]  # one was reserved, two were sent
            assert ledger_usd(database) >= server.apis.dollars > 0
            check_counters(database)
            settle_by(database, server.apis.charges)
            assert ledger_usd(database) == server.apis.dollars


def _raise(code: str) -> None:
    raise StorageError.restored(code, "as given", remedy="none")
