"""Two processes that claim the same texts at the same moment: one of them gets each text.

What belongs here: claims of texts. What does not: how long a claim is valid (`test_leases`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tvdb_assets.errors import StorageError
from tvdb_assets.models import VectorSpace
from tvdb_assets.repositories import leases, locks, text_claims
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets_tests.spend_guard.ledger_invariants import rows

HASHES = [bytes([number]) * 32 for number in range(3)]
WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def space_id(database: Database) -> int:
    return IndexStore(database, "of the test").space_id(VectorSpace("openai", "model", 4, "1"))


def claim(database: Database, space_id: int, holder: int) -> set[bytes]:
    with database.transaction() as tx:
        database.leases.keep(tx, holder)
        return text_claims.claim(tx, space_id, HASHES, holder)


def test_a_claim_that_is_committed_meanwhile_is_not_taken_over(
    database: Database, space_id: int
) -> None:
    """Its holder has lost the connection with its lock: only the lease says that it lives."""
    first, second = locks.new_claim_key(), locks.new_claim_key()
    with psycopg.connect(database.url) as tx, ThreadPoolExecutor(1) as threads:
        database.leases.keep(tx, first)
        assert text_claims.claim(tx, space_id, HASHES[1:], first) == set(HASHES[1:])
        claimed = threads.submit(claim, database, space_id, second)
        while rows(database, WAITS) == [(0,)]:
            assert not claimed.done(), "it did not wait"
        tx.commit()

        assert claimed.result() == {HASHES[0]}


def test_the_claims_of_a_process_that_has_ended_are_taken_over(
    database: Database, space_id: int
) -> None:
    first, second = locks.new_claim_key(), locks.new_claim_key()
    assert claim(database, space_id, first) == set(HASHES)
    assert claim(database, space_id, first) == set(HASHES), "they are its own"
    assert claim(database, space_id, second) == set()

    database.end_claim(first)

    assert claim(database, space_id, second) == set(HASHES)


def test_a_claim_that_was_taken_over_is_not_valid_again_after_a_restart(
    database: Database, space_id: int
) -> None:
    """Its process was stopped, and continues when the server has been restarted."""
    first, second = locks.new_claim_key(), locks.new_claim_key()
    assert claim(database, space_id, first) == set(HASHES)
    with database.transaction() as tx:
        tx.execute("UPDATE tvdb.claim_leases SET lasts = '0' WHERE holder = %s", (first,))
    assert claim(database, space_id, second) == set(HASHES)
    with database.transaction() as tx:
        # As if the server had been started a moment ago.
        tx.execute(
            "UPDATE tvdb.claim_leases SET lasts ="
            " clock_timestamp() - pg_postmaster_start_time() + '1 minute' WHERE holder = %s",
            (first,),
        )

    with pytest.raises(StorageError, match="claim_lost"), database.transaction() as tx:
        leases.ensure_claimed(tx, first)
