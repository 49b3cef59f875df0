"""A claim is valid while its lock is held or its lease is renewed, and no longer."""

from __future__ import annotations

import time

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
            "INSERT INTO tvdb.claim_leases VALUES (%s, pg_postmaster_start_time() - '1 hour'"
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
