"""A claim is valid while its lock is held or its lease is renewed, and no longer."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psycopg
import pytest

from tvdb_assets.errors import StorageError
from tvdb_assets.repositories import leases, locks
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.leases import Leases


def is_claimed(database: Database, holder: int) -> bool:
    with database.transaction() as tx:
        row = tx.execute(
            f"SELECT {leases.is_claimed('h')} FROM (VALUES (%s::bigint)) AS v(h)", (holder,)
        ).fetchone()
    return row is not None and bool(row[0])


def test_a_claim_is_valid_while_its_lock_is_held(database: Database) -> None:
    holder = locks.new_claim_key()
    with database.session() as session, locks.holding(session, [holder]):
        assert is_claimed(database, holder)
    assert not is_claimed(database, holder)


def test_a_claim_without_its_lock_is_valid_until_its_lease_ends(database: Database) -> None:
    holder = locks.new_claim_key()
    with database.transaction() as tx:
        database.leases.keep(tx, holder)
    assert is_claimed(database, holder)
    database.end_claim(holder)
    assert not is_claimed(database, holder)


def test_a_lease_that_nobody_renews_expires(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a process that was killed."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 3_600.0)
    holder = locks.new_claim_key()
    began = time.monotonic()
    with database.transaction() as tx:
        database.leases.keep(tx, holder)
    while is_claimed(database, holder):
        assert time.monotonic() - began < 30
    assert time.monotonic() - began > 0.1


def test_a_lease_is_renewed_on_a_new_connection_after_a_cut(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.01)
    holder = locks.new_claim_key()
    held = Leases(database.url)
    with database.transaction() as tx:
        held.keep(tx, holder)

    def renewed_after(moment: float) -> bool:
        with database.transaction() as tx:
            row = tx.execute(
                "SELECT extract(epoch FROM renewed_at) > %s FROM tvdb.claim_leases", (moment,)
            ).fetchone()
        return row is not None and bool(row[0])

    try:
        for _ in range(3):
            began = time.time()
            while not renewed_after(began):
                assert time.time() - began < 30
            with database.transaction() as tx:
                tx.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'tvdb leases' AND datname = current_database()"
                )
    finally:
        held.close()
    assert is_claimed(database, holder), "it expires, as nobody ended it"


def test_a_lease_counts_from_the_start_of_the_server(database: Database) -> None:
    """While the server is down, no process can renew a lease."""
    holder = locks.new_claim_key()
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.claim_leases (holder, renewed_at, lasts)"
            " VALUES (%s, pg_postmaster_start_time() - '1 hour'"
            "::interval, clock_timestamp() - pg_postmaster_start_time() + '1 minute'::interval)",
            (holder,),
        )
    assert is_claimed(database, holder)
    with database.transaction() as tx:
        tx.execute(
            "UPDATE tvdb.claim_leases SET lasts ="
            " (clock_timestamp() - pg_postmaster_start_time()) / 2"
        )
    assert not is_claimed(database, holder)


def test_a_lease_that_has_ended_is_not_renewed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a process that was stopped, and that another one has taken over from."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.0)
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.01)
    holder = locks.new_claim_key()
    with database.transaction() as tx:
        database.leases.keep(tx, holder)
    ended = _renewed_at(database)
    while not _is_renewing(database):
        pass  # the thread has begun
    monkeypatch.setattr(leases, "LEASE_SECONDS", 30.0)
    with database.transaction() as tx:
        database.leases.keep(tx, holder)
    assert _renewed_at(database) == ended
    with pytest.raises(StorageError, match="claim_lost"), database.transaction() as tx:
        leases.ensure_claimed(tx, holder)


def test_a_claim_of_what_was_sent_outlives_its_lease(database: Database) -> None:
    """The answer may be there although its process can't reach the database to store it."""
    holder = locks.new_claim_key()
    with database.transaction() as tx:
        database.leases.keep(tx, holder)
        leases.ensure_claimed(tx, holder)
        tx.execute("UPDATE tvdb.claim_leases SET lasts = '0'")
    assert is_claimed(database, holder)
    with database.transaction() as tx:
        tx.execute("UPDATE tvdb.claim_leases SET in_flight_until = clock_timestamp()")
    assert not is_claimed(database, holder)


def test_a_process_of_this_machine_that_has_ended_keeps_no_claim(database: Database) -> None:
    living, killed, other_machine = (locks.new_claim_key() for _ in range(3))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    name = leases._process(ended.pid)
    assert name is not None
    with database.transaction() as tx:
        for holder in (living, killed, other_machine):
            database.leases.keep(tx, holder)
            leases.ensure_claimed(tx, holder)
        for holder in (killed, other_machine):
            tx.execute(
                "UPDATE tvdb.claim_leases SET process = %s WHERE holder = %s", (name, holder)
            )
        tx.execute(
            "UPDATE tvdb.claim_leases SET machine = machine || '.1' WHERE holder = %s",
            (other_machine,),
        )
    ended.kill()
    while leases._process(ended.pid) is not None:
        pass  # until its parent has waited for it, it is a zombie
    with database.transaction() as tx:
        leases.end_leases_of_dead_processes(tx)
    ended.wait()

    claimed = [is_claimed(database, holder) for holder in (living, killed, other_machine)]
    assert claimed == [True, False, True]


def test_a_process_with_the_same_id_is_another_one() -> None:
    own = leases._process(os.getpid())
    assert own is not None
    assert leases._is_running(own)
    assert not leases._is_running(f"{os.getpid()} 1")


def test_a_lease_whose_end_could_not_be_written_ends_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.01)
    holder = locks.new_claim_key()
    with database.transaction() as tx:
        database.leases.keep(tx, holder)
        leases.ensure_claimed(tx, holder)

    def unreachable(work: object) -> None:
        raise psycopg.OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(database, "run", unreachable)
        database.end_claim(holder)
    began = time.monotonic()
    while is_claimed(database, holder):
        assert time.monotonic() - began < 30


def _renewed_at(database: Database) -> object:
    with database.transaction() as tx:
        return tx.execute("SELECT renewed_at FROM tvdb.claim_leases").fetchall()


def _is_renewing(database: Database) -> bool:
    with database.transaction() as tx:
        return bool(
            tx.execute(
                "SELECT FROM pg_stat_activity WHERE application_name = 'tvdb leases'"
                " AND datname = current_database() AND query LIKE 'UPDATE%' AND state = 'idle'"
            ).fetchall()
        )
