"""Advisory locks: key spaces are disjoint, and a lock is held only where it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

import tvdb_assets
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection
from tvdb_assets.repositories.locks import LockKey

_KEY = locks.DOCUMENTS.key(7)


@pytest.fixture
def session(empty_url: str) -> Iterator[Connection]:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def other(empty_url: str) -> Iterator[Connection]:
    """Another session of the same database."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        yield connection


def test_key_spaces_are_disjoint() -> None:
    spaces = sorted(locks.KEY_SPACES.values(), key=lambda space: space.first)
    assert all(space.first > 0 for space in spaces)
    assert all(one.first + one.size <= next_one.first for one, next_one in pairwise(spaces))
    assert spaces[-1].first + spaces[-1].size < 1 << 63


def test_every_key_space_is_in_the_register() -> None:
    spaces = [value for value in vars(locks).values() if isinstance(value, locks.KeySpace)]
    assert sorted(map(str, spaces)) == sorted(map(str, locks.KEY_SPACES.values()))


def test_keys_are_those_of_earlier_releases() -> None:
    """Processes of two releases exclude each other during an upgrade."""
    assert locks.MIGRATION.key() == 0x74766462
    assert locks.PLANNING.key() == int.from_bytes(b"tvdbplan", "big")
    assert locks.PLANNED.key() == locks.PLANNING.key() + 1
    assert locks.DOCUMENTS.key(7) == 0x7464 << 48 | 7
    assert locks.FIRST_INDEX.key() == 0x7469 << 48
    assert locks.FALLBACK_CLEANUP.key() == 0x7468 << 48
    assert locks.run_key("run-1") == 0x7472_0000_0000_0000 | 0x4E65_D3FB_E8AD
    assert locks.new_claim_key() >> 48 == 0x746E


def test_a_space_has_no_key_outside_of_its_range() -> None:
    with pytest.raises(ValueError, match="no key 1"):
        locks.PLANNING.key(1)
    with pytest.raises(ValueError, match="no key -1"):
        locks.DOCUMENTS.key(-1)


def test_no_other_module_has_statements_on_advisory_locks() -> None:
    package = Path(tvdb_assets.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for pattern in ("*.py", "*.sql")
        for path in package.rglob(pattern)
        if "advisory_" in (text := path.read_text("utf-8")) or "pg_locks" in text
    }
    assert found == {"repositories/locks.py"}


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_lock_is_held_in_its_block(
    session: Connection, other: Connection, is_shared: bool
) -> None:
    free = locks.DOCUMENTS.key(8)
    with locks.holding(session, [_KEY], is_shared=is_shared):
        assert locks.held(other, [_KEY, free]) == {_KEY}
        assert not locks.try_acquire(other, _KEY)
        assert locks.try_acquire(other, free)
    assert locks.held(other, [_KEY, free]) == {free}
    assert locks.try_acquire(other, _KEY)


def test_a_block_that_fails_to_take_a_lock_gives_back_the_others(
    session: Connection, other: Connection
) -> None:
    locks.acquire(other, _KEY)
    session.execute("SET lock_timeout = '10ms'")
    first = locks.DOCUMENTS.key(1)
    with pytest.raises(psycopg.errors.LockNotAvailable), locks.holding(session, [first, _KEY]):
        pytest.fail("the lock is held by another session")
    assert locks.held(other, [first, _KEY]) == {_KEY}


def test_release_all_gives_back_what_was_taken_twice(
    session: Connection, other: Connection
) -> None:
    assert locks.try_acquire(session, _KEY) and locks.try_acquire(session, _KEY)
    locks.release_all(session)
    assert locks.held(other, [_KEY]) == set()


def test_locks_of_a_transaction_end_with_it(session: Connection, other: Connection) -> None:
    keys = [locks.DOCUMENTS.key(number) for number in range(3)]
    locks.acquire(other, keys[1])
    with session.transaction():
        locks.acquire_in_transaction(session, keys[:1])
        assert locks.try_acquire_in_transaction(session, keys[1:]) == {keys[2]}
        assert locks.held(other, keys) == set(keys)
    assert locks.held(other, keys) == {keys[1]}


def test_a_lock_is_taken_on_a_condition(session: Connection, other: Connection) -> None:
    with session.transaction():
        locks.acquire_in_transaction_if(session, _KEY, "1 = 2")
        assert locks.held(other, [_KEY]) == set()
        locks.acquire_in_transaction_if(session, _KEY, "1 = 1")
        assert locks.held(other, [_KEY]) == {_KEY}


def test_a_lock_in_another_database_of_the_server_does_not_count(
    session: Connection, server_url: str
) -> None:
    with psycopg.connect(server_url, autocommit=True) as elsewhere:
        assert elsewhere.info.dbname != session.info.dbname
        locks.acquire(elsewhere, _KEY)
        assert locks.held(elsewhere, [_KEY]) == {_KEY}
        assert locks.held(session, [_KEY]) == set()


@pytest.mark.parametrize("key", [_KEY, LockKey(-5), LockKey(-(1 << 63)), LockKey((1 << 63) - 1)])
def test_two_keys_of_32_bits_are_not_one_of_64(
    session: Connection, other: Connection, key: LockKey
) -> None:
    high, low = key >> 32, key & 0xFFFF_FFFF
    session.execute("SELECT pg_advisory_lock(%s, %s)", (high, low - ((low >> 31) << 32)))
    assert locks.held(other, [key]) == set()
    locks.acquire(session, key)
    assert locks.held(other, [key]) == {key}
