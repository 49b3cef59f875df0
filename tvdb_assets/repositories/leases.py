"""Leases: claims that outlive the database connections of their process.

What belongs here: renewing the leases of this process, and the SQL condition that one is valid.
What does not: what a lease protects (`index_store`, `parse_jobs`), or advisory locks (`locks`).

An advisory lock ends with its connection. A process that lost a connection still waits for the
answers that it pays for, so no other process may pay for them. A claim of something that is paid
for has a lease as well: it is valid while its lock is held, or while its lease is renewed. One
thread of each process renews its leases on a connection of its own. The lease of a process that
was killed ends after `LEASE_SECONDS`. A lease that has ended is never renewed: a process that was
stopped for longer asks `ensure_claimed` before it sends anything, and finds that another process
may have taken over.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import suppress
from typing import Any, LiteralString, TypeAlias

import psycopg

from tvdb_assets import error_codes as codes
from tvdb_assets.repositories import locks

Connection: TypeAlias = psycopg.Connection[Any]
LEASE_SECONDS = 30.0
"""From the last renewal. A process that lives renews its lease within this time: `RENEWAL_SECONDS`
until the next renewal, `_STATEMENT_SECONDS` until a lost connection is noticed, and
`_CONNECT_SECONDS` for the new one, with as much time again for a slow machine."""
RENEWAL_SECONDS = 3.0
"""Between two renewals, and between two attempts to connect."""
_STATEMENT_SECONDS = 5
"""A renewal takes a millisecond."""
_CONNECT_SECONDS = 5
_OBSOLETE = "1 day"
"""Leases of killed processes are deleted after this time."""


class Leases:
    """The leases that this process holds in one database."""

    def __init__(self, url: str) -> None:
        """Nothing is opened yet.

        Args:
            url: of the database.
        """
        self._url = url
        self._holders: set[int] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, tx: Connection, holder: int) -> None:
        """Begin a lease with this transaction, or renew it, and renew it from now on.

        Args:
            tx: the transaction that writes the claim.
            holder: the key of the claim.
        """
        with self._lock:
            is_first = holder not in self._holders
        if is_first:
            tx.execute(
                "DELETE FROM tvdb.claim_leases WHERE renewed_at < clock_timestamp() - %s::interval",
                (_OBSOLETE,),
            )
        # Also if it has begun: that transaction may have been rolled back.
        tx.execute(_BEGIN, (holder, LEASE_SECONDS))
        with self._lock:
            self._holders.add(holder)
            self._wake.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, name="tvdb-leases", daemon=True)
                self._thread.start()

    def stop_renewing(self, holder: int) -> bool:
        """Renew a lease no more; False if it has not begun."""
        with self._lock:
            is_renewed = holder in self._holders
            self._holders.discard(holder)
        return is_renewed

    def close(self) -> None:
        """End the thread; the leases that have not ended expire."""
        with self._lock:
            self._holders.clear()
            thread, self._thread = self._thread, None
        self._wake.set()
        if thread is not None:
            thread.join()

    def _renew(self) -> None:
        connection: Connection | None = None
        try:
            while not self._wake.wait(RENEWAL_SECONDS):
                with self._lock:
                    holders = list(self._holders)
                if not holders:
                    continue
                try:
                    if connection is None:
                        connection = self._connect()
                    connection.execute(_RENEW, (holders,))
                except psycopg.Error:
                    # The next attempt has a new connection.
                    if connection is not None:
                        connection.close()
                    connection = None
        finally:
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.close()

    def _connect(self) -> Connection:
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            tcp_user_timeout=1_000 * _STATEMENT_SECONDS,
            application_name="tvdb leases",
        )


def is_claimed(holder: LiteralString) -> LiteralString:
    """An SQL condition: the claim with this key is valid.

    The time in which the server was down does not count, because no process could renew a lease.

    Args:
        holder: an SQL expression of type bigint, without the aliases ``l`` and ``e``.
    """
    return (
        f"({locks.is_held(holder)} OR EXISTS (SELECT FROM tvdb.claim_leases e"
        f" WHERE e.holder = {holder} AND clock_timestamp()"
        " < greatest(e.renewed_at, pg_postmaster_start_time()) + e.lasts))"
    )


def ensure_claimed(tx: Connection, holder: int) -> None:
    """Check that nobody can have taken over a claim, before something is paid for.

    Raises:
        StorageError: the claim has ended, as its process was stopped or without a connection.
    """
    row = tx.execute(
        f"SELECT {is_claimed('h')} FROM (VALUES (%s::bigint)) AS v(h)", (holder,)
    ).fetchone()
    if row is None or not row[0]:
        raise codes.CLAIM_LOST.error()


def delete_leases(tx: Connection, holders: Collection[int]) -> None:
    """End leases that are renewed no more, or whose claims are taken over.

    Otherwise a lease that had ended would be valid once more after a restart of the server, as the
    time in which the server was down does not count.
    """
    if holders:
        tx.execute("DELETE FROM tvdb.claim_leases WHERE holder = ANY(%s)", (list(holders),))


_IS_CURRENT = "clock_timestamp() < greatest(r.renewed_at, pg_postmaster_start_time()) + r.lasts"
_BEGIN = (
    "INSERT INTO tvdb.claim_leases AS r (holder, renewed_at, lasts)"
    " VALUES (%s, clock_timestamp(), make_interval(secs => %s))"
    f" ON CONFLICT (holder) DO UPDATE SET renewed_at = excluded.renewed_at WHERE {_IS_CURRENT}"
)
_RENEW = (
    "UPDATE tvdb.claim_leases r SET renewed_at = clock_timestamp()"
    f" WHERE r.holder = ANY(%s) AND {_IS_CURRENT}"
)
