"""A process that lost its connections still waits for answers: no other process pays for them.

What belongs here: two ingestions of the same documents, one of which is cut off, stopped or
killed. What does not: a cut in a single process (`spend_guard.test_connection_cuts`).
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.integration.ingestion_processes import (
    ProcessSettings,
    register,
    run_process,
)
from tvdb_assets_tests.paid_apis import Behaviour, FaultKind, RunningServer, running_server
from tvdb_assets_tests.spend_guard.cutting_proxy import CuttingProxy, cutting_proxy
from tvdb_assets_tests.spend_guard.ledger_invariants import (
    check_counters,
    ledger_usd,
    rows,
    settle_by,
)
from tvdb_assets_tests.spend_guard.processes import KILLED, ended, start

_LONGEST_SECONDS = 60
_LEASE_SECONDS = 10.0
_HAS_ASKED_AFTER_THE_LEASE = """
SELECT FROM pg_stat_activity a, tvdb.claim_leases l
WHERE a.datname = current_database() AND a.application_name = 'tvdb'
  AND a.pid <> pg_backend_pid() AND a.state = 'idle'
  AND a.state_change > l.renewed_at + l.lasts + '2 seconds'
"""
"""A process that waits for the claims of another one asks for them several times a second."""
SUFFIXES = {"embeddings": ".md", "submit": ".html", "poll": ".html"}


@pytest.fixture
def proxy(database: Database) -> Iterator[CuttingProxy]:
    with cutting_proxy(database.url) as proxy:
        yield proxy


def write_documents(folder: Path, suffix: str) -> None:
    folder.mkdir()
    for number in range(3):
        parts = [
            f"Clause {part} of document {number}: the insured pays {number * 100 + part} euros a "
            f"year, and is told so by letter in the month number {part}."
            for part in range(4)
        ]
        if suffix == ".html":
            body = "".join(f"<h2>P{at}</h2><p>{part}</p>" for at, part in enumerate(parts))
            text = f"<html><body>{body}</body></html>"
        else:
            text = "\n\n".join(f"## P{at}\n\n{part}" for at, part in enumerate(parts))
        (folder / f"{number}{suffix}").write_text(text)


def wait_for(is_reached: Callable[[], object]) -> None:
    began = time.monotonic()
    while not is_reached():
        assert time.monotonic() - began < _LONGEST_SECONDS
        time.sleep(0.01)


def has_request(server: RunningServer, operation: str) -> bool:
    with server.lock:
        return any(request.operation == operation for request in server.apis.requests)


def check_paid_once(database: Database, server: RunningServer) -> None:
    billed = Counter(
        (charge.operation, digest) for charge in server.apis.charges for digest in charge.sha256
    )
    assert {key: times for key, times in billed.items() if times > 1} == {}
    assert rows(database, "SELECT DISTINCT status, error_code FROM tvdb.documents") == [
        ("published", None)
    ]
    assert ledger_usd(database) == server.apis.dollars
    check_counters(database)


@pytest.mark.parametrize("operation", SUFFIXES)
def test_what_a_cut_off_process_waits_for_is_not_paid_for_by_another(
    database: Database, proxy: CuttingProxy, tmp_path: Path, operation: str
) -> None:
    folder = tmp_path / "documents"
    write_documents(folder, SUFFIXES[operation])
    register(database, folder)
    with running_server(Behaviour(latency_seconds=1.0)) as server:
        settings = {"lease_seconds": _LEASE_SECONDS, "batch_documents": 3}
        cut_off = start(
            run_process, ProcessSettings(proxy.url, str(folder), server.url, **settings)
        )
        wait_for(lambda: has_request(server, operation))
        proxy.cut()
        other = start(
            run_process, ProcessSettings(database.url, str(folder), server.url, **settings)
        )

        assert ended(other) == 0
        ended(cut_off)
        check_paid_once(database, server)


@pytest.mark.parametrize("operation", ["embeddings", "submit"])
def test_a_stopped_process_keeps_its_claims(
    database: Database, tmp_path: Path, operation: str
) -> None:
    """Its connections are there, however long it does not renew its lease."""
    folder = tmp_path / "documents"
    write_documents(folder, SUFFIXES[operation])
    register(database, folder)
    with running_server(Behaviour(latency_seconds=0.3)) as server:
        settings = ProcessSettings(database.url, str(folder), server.url, lease_seconds=0.3)
        stopped = start(run_process, settings)
        wait_for(lambda: has_request(server, operation))
        assert stopped.pid is not None
        os.kill(stopped.pid, signal.SIGSTOP)
        other = start(run_process, settings)
        other.join(1.5)  # the lease is over
        is_waiting = other.is_alive()
        os.kill(stopped.pid, signal.SIGCONT)

        assert is_waiting
        assert [ended(stopped), ended(other)] == [0, 0]
        check_paid_once(database, server)


@pytest.mark.parametrize("point", ["before_send", "answered", "before_commit"])
def test_the_submission_of_a_killed_process_is_found_in_the_list(
    database: Database, tmp_path: Path, point: str
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.html").write_text("<html><body><p>Worth its money.</p></body></html>")
    register(database, folder)
    with running_server() as server:
        killed = ProcessSettings(database.url, str(folder), server.url, point)
        assert ended(start(run_process, killed)) == KILLED

        again = ProcessSettings(database.url, str(folder), server.url)
        assert ended(start(run_process, again)) == 0

        submitted = [r for r in server.apis.requests if r.operation == "submit"]
        assert len(submitted) == 1
        assert rows(database, "SELECT status FROM tvdb.documents") == [("published",)]
        settle_by(database, server.apis.charges)
        assert ledger_usd(database) == server.apis.dollars


def test_nothing_is_submitted_by_another_process_before_the_list_can_be_read(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.html").write_text("<html><body><p>Worth its money.</p></body></html>")
    register(database, folder)
    with running_server() as server:
        settings = ProcessSettings(database.url, str(folder), server.url)
        killed = ProcessSettings(database.url, str(folder), server.url, "answered")
        assert ended(start(run_process, killed)) == KILLED
        with server.lock:
            server.apis.faults.script(FaultKind.UNAVAILABLE, operation="list", times=None)
        assert ended(start(run_process, settings)) == 0
        assert rows(database, "SELECT status, error_code FROM tvdb.documents") != [
            ("published", None)
        ]
        assert ledger_usd(database) >= server.apis.dollars
        with server.lock:
            server.apis.faults.clear()
        with database.transaction() as tx:
            tx.execute("DELETE FROM tvdb.service_states")  # the breaker
        assert ended(start(run_process, settings)) == 0
        check_paid_once(database, server)


def test_what_a_process_received_is_not_paid_for_by_another_before_it_can_store_it(
    database: Database, proxy: CuttingProxy, tmp_path: Path
) -> None:
    """It has no way to the database for longer than its lease lasts; the other process has."""
    folder = tmp_path / "documents"
    write_documents(folder, ".md")
    register(database, folder)
    with running_server(Behaviour(latency_seconds=0.5)) as server:
        settings = {"lease_seconds": 1.0, "batch_documents": 3}
        cut_off = start(
            run_process, ProcessSettings(proxy.url, str(folder), server.url, **settings)
        )
        wait_for(lambda: has_request(server, "embeddings"))
        proxy.is_open = False
        proxy.cut()
        other = start(
            run_process, ProcessSettings(database.url, str(folder), server.url, **settings)
        )
        wait_for(lambda: not other.is_alive() or rows(database, _HAS_ASKED_AFTER_THE_LEASE))
        assert other.is_alive()
        proxy.is_open = True

        ended(cut_off)
        assert ended(other) == 0
        check_paid_once(database, server)
