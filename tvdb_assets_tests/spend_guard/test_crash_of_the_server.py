"""A crash of the database server, which starts itself again: claims outlive it.

What belongs here: what differs from an orderly restart. What does not: a restart
(`test_ledger_down`), or leases in general (`repositories.test_leases`).
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psycopg
import pytest

from tvdb_assets.repositories import leases, locks
from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.spend_guard.test_ledger_down import own_postgres

_SECONDS = 1.0


@pytest.mark.xfail(reason="a crash does not change the start time of the server", strict=True)
def test_the_time_in_which_a_crashed_server_recovers_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for an orderly restart: no process could renew its lease meanwhile."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", _SECONDS)
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 3_600.0)
    holder = locks.new_claim_key()
    with own_postgres(tmp_path / "server") as postgres:
        url = postgres.ensure_running()
        with Database(url) as database:
            with database.transaction() as tx:
                database.leases.keep(tx, holder)
                [(pid,)] = tx.execute("SELECT pg_backend_pid()").fetchall()
            time.sleep(1.5 * _SECONDS)  # in which the server could have been down
            os.kill(pid, signal.SIGKILL)
            while True:
                try:
                    with psycopg.connect(url) as tx:
                        leases.ensure_claimed(tx, holder)
                    break
                except psycopg.OperationalError:
                    continue
