"""Advisory locks of the database: their key spaces, how they are acquired, and whether one is held.

What belongs here: every key of an advisory lock that this package uses, and every statement that
takes, releases or looks up one. What does not: what a lock protects (the module that takes it), or
the locks of rows and tables.

All locks have the form with one 64-bit key. Dagster and alembic use keys outside of these spaces.
Processes of two releases meet on the keys during an upgrade, so a key space never changes its
values. `SUBMISSIONS` is the exception: until schema 0012 its keys were 64-bit hashes without a
prefix, which could have been keys of any other space. A process of such a release can't submit the
same document twice next to a newer one: it holds the lock of the document, whose key is unchanged,
and its statements on `tvdb.documents` fail after the migration.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, LiteralString, NewType, TypeAlias

import psycopg

Connection: TypeAlias = psycopg.Connection[Any]
LockKey = NewType("LockKey", int)
"""The key of one advisory lock."""


@dataclass(frozen=True, slots=True)
class KeySpace:
    """A range of keys with one purpose; the ranges of two spaces never overlap."""

    first: int
    size: int = 1
    """How many keys."""

    def key(self, number: int = 0) -> LockKey:
        """The key with this 0-based number in the space.

        Raises:
            ValueError: the space has no such number.
        """
        if not 0 <= number < self.size:
            raise ValueError(f"no key {number} in a space of {self.size}")
        return LockKey(self.first + number)


_NUMBERS = 1 << 48
"""Keys of a space with a prefix of two characters: the upper 16 of the 64 bits."""


def _prefixed(prefix: bytes) -> KeySpace:
    return KeySpace(int.from_bytes(prefix, "big") << 48, _NUMBERS)


MIGRATION = KeySpace(int.from_bytes(b"tvdb", "big"))
"""Held by the process that migrates the schema."""
PLANNING = KeySpace(int.from_bytes(b"tvdbplan", "big"))
"""Held by the process that requests runs, or adds, moves or removes partitions."""
PLANNED = KeySpace(int.from_bytes(b"tvdbplan", "big") + 1)
"""Shared by processes that are about to start runs which Dagster does not know yet."""
DOCUMENTS = _prefixed(b"td")
"""Held by the process that ingests or deletes the document with this id."""
CLAIMS = _prefixed(b"tn")
"""Held by the process that claimed a batch of documents, and texts to embed; random numbers."""
RUNS = _prefixed(b"tr")
"""Shared by the processes that work on the run with this hash."""
FALLBACK_CLEANUP = KeySpace(int.from_bytes(b"th", "big") << 48)
"""Held by a transaction that publishes documents while vectors of a fallback are stored."""
FIRST_INDEX = KeySpace(int.from_bytes(b"ti", "big") << 48)
"""Held by a transaction that makes the first index current."""
SUBMISSIONS = _prefixed(b"ts")
"""Held by the process that submits the bytes with this hash to a paid parser."""
WORD_INDEX = KeySpace(int.from_bytes(b"tw", "big") << 48)
"""Held by a transaction that merges segments of the word index, or folds its changes."""
VECTOR_INDEX = KeySpace(int.from_bytes(b"tv", "big") << 48)
"""Held by the process that builds an index over vectors."""
BATCHES = KeySpace(int.from_bytes(b"tb", "big") << 48)
"""Held by the process that advances the batch jobs of embedders."""

KEY_SPACES = {
    "migration": MIGRATION,
    "planning": PLANNING,
    "planned": PLANNED,
    "documents": DOCUMENTS,
    "claims": CLAIMS,
    "runs": RUNS,
    "fallback cleanup": FALLBACK_CLEANUP,
    "first index": FIRST_INDEX,
    "submissions": SUBMISSIONS,
    "word index": WORD_INDEX,
    "vector index": VECTOR_INDEX,
    "batches": BATCHES,
}


def new_claim_key() -> LockKey:
    """A random key that no other claim has, even if two claims share documents."""
    return CLAIMS.key(secrets.randbits(48))


def run_key(run_id: str) -> LockKey:
    """The key of a run."""
    return RUNS.key(_hashed(run_id.encode()))


def submission_key(content_sha256: bytes, fingerprint: str) -> LockKey:
    """The key of a submission of these bytes to the parser with this fingerprint."""
    return SUBMISSIONS.key(_hashed(content_sha256 + fingerprint.encode()))


def _hashed(data: bytes) -> int:
    return int.from_bytes(sha256(data).digest()[:6], "big")


# --- locks of a session: held until they are released, or the connection ends


def acquire(session: Connection, key: LockKey, *, is_shared: bool = False) -> None:
    """Take a lock of the session; waits while another session holds it."""
    session.execute(_ACQUIRE_SHARED if is_shared else _ACQUIRE, (key,))


def try_acquire(session: Connection, key: LockKey) -> bool:
    """Take a lock of the session unless another session holds it; returns whether it is taken."""
    row = session.execute(_TRY_ACQUIRE, (key,)).fetchone()
    return row is not None and bool(row[0])


def release(session: Connection, keys: Sequence[LockKey], *, is_shared: bool = False) -> None:
    """Give back locks of the session."""
    session.execute(_RELEASE_SHARED if is_shared else _RELEASE, (list(keys),))


def release_all(session: Connection) -> None:
    """Give back every lock of the session, however often each was taken."""
    session.execute("SELECT pg_advisory_unlock_all()")


@contextmanager
def holding(
    session: Connection, keys: Sequence[LockKey], *, is_shared: bool = False
) -> Iterator[None]:
    """Hold locks of the session in the block; they are taken one by one, in the given order.

    Args:
        session: a connection in autocommit mode.
        keys: in the same order wherever several are taken, so that no deadlock is possible.
        is_shared: acquire them in shared mode.
    """
    taken: list[LockKey] = []
    try:
        for key in keys:
            acquire(session, key, is_shared=is_shared)
            taken.append(key)
        yield
    finally:
        # A connection that was lost has released its locks.
        with suppress(psycopg.OperationalError):
            release(session, taken, is_shared=is_shared)


# --- locks of a transaction: held until it ends


def acquire_in_transaction(tx: Connection, keys: Sequence[LockKey]) -> None:
    """Take locks until the transaction ends, one by one in the given order; waits for each."""
    for key in keys:
        tx.execute(_ACQUIRE_IN_TRANSACTION, (key,))


def acquire_in_transaction_if(tx: Connection, key: LockKey, condition: LiteralString) -> None:
    """Take a lock until the transaction ends, if an SQL condition is true; waits for it."""
    tx.execute(f"{_ACQUIRE_IN_TRANSACTION} WHERE {condition}", (key,))


def try_acquire_in_transaction(tx: Connection, keys: Sequence[LockKey]) -> set[LockKey]:
    """Take the locks that are free, until the transaction ends; returns the keys of those taken."""
    rows = tx.execute(_TRY_ACQUIRE_IN_TRANSACTION, (list(keys),)).fetchall()
    return {LockKey(row[0]) for row in rows}


# --- whether a lock is held


def held(tx: Connection, keys: Sequence[LockKey]) -> set[LockKey]:
    """The keys of the locks that any session or transaction of this database holds."""
    rows = tx.execute(_HELD, (list(keys),)).fetchall()
    return {LockKey(row[0]) for row in rows}


def is_held(key: LiteralString) -> LiteralString:
    """An SQL condition: any session or transaction of this database holds the lock.

    A server shows the locks of all its databases, those that are waited for, and those with two
    32-bit keys, whose halves may equal those of a 64-bit key.

    Args:
        key: an SQL expression of type bigint, without the alias ``l``.
    """
    return (
        "EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted"
        " AND l.objsubid = 1"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        f" AND (l.classid::bigint << 32 | l.objid::bigint) = {key})"
    )


_ACQUIRE = "SELECT pg_advisory_lock(%s)"
_ACQUIRE_SHARED = "SELECT pg_advisory_lock_shared(%s)"
_TRY_ACQUIRE = "SELECT pg_try_advisory_lock(%s)"
_RELEASE = "SELECT pg_advisory_unlock(k) FROM unnest(%s::bigint[]) k"
_RELEASE_SHARED = "SELECT pg_advisory_unlock_shared(k) FROM unnest(%s::bigint[]) k"
_ACQUIRE_IN_TRANSACTION = "SELECT pg_advisory_xact_lock(%s)"
_TRY_ACQUIRE_IN_TRANSACTION = (
    "SELECT k FROM unnest(%s::bigint[]) k WHERE pg_try_advisory_xact_lock(k)"
)
_HELD = f"SELECT k FROM unnest(%s::bigint[]) k WHERE {is_held('k')}"
