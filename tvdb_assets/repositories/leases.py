"""Leases: claims that outlive the database connections of their process.

What belongs here: renewing the leases of this process, and the SQL condition that one is valid.
What does not: what a lease protects (`index_store`, `parse_jobs`), or advisory locks (`locks`).

An advisory lock ends with its connection. A process that lost a connection still waits for the
answers that it pays for, so no other process may pay for them. A claim of something that is paid
for has a lease as well: it is valid while its lock is held, or while its lease is renewed. One
thread of each process renews its leases on its own connection. The lease of a process that
was killed, or that has no way to the database, ends after `LEASE_SECONDS`, or after
`IN_FLIGHT_SECONDS` if it has sent a request: the answer may have arrived, and is stored once the
database can be reached. A process on the same machine sees that it has ended, and waits no longer.

A lease that has ended is never renewed: a process that was stopped for longer asks `ensure_claimed`
before it sends anything, and finds that another process may have taken over.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, LiteralString, TypeAlias

import psycopg

from tvdb_assets import error_codes as codes
from tvdb_assets.repositories import locks

Connection: TypeAlias = psycopg.Connection[Any]
LEASE_SECONDS = 30.0
"""From the last renewal. A process that lives renews its lease within this time: `RENEWAL_SECONDS`
until the next renewal, `_STATEMENT_SECONDS` until a lost connection is noticed, and
`_CONNECT_SECONDS` for the new one, with as much time again for a slow machine."""
IN_FLIGHT_SECONDS = 300.0
"""From `ensure_claimed`, after which a request is sent: twice the longest time limit of a request,
and as much time again as a lease to store its answer, and to be on the safe side."""
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
        self._ended: set[int] = set()
        """Their ends could not be written."""
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
        tx.execute(_BEGIN, (holder, LEASE_SECONDS, _machine(), _process(os.getpid())))
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

    def end_later(self, holder: int) -> None:
        """End a lease as soon as the database can be reached again."""
        with self._lock:
            self._ended.add(holder)

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
                    holders, ended = list(self._holders), set(self._ended)
                if not holders and not ended:
                    continue
                try:
                    if connection is None:
                        connection = self._connect()
                    connection.execute(_RENEW, (holders,))
                    delete_leases(connection, ended)
                    with self._lock:
                        self._ended -= ended
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
        f" WHERE e.holder = {holder} AND {_is_current('e')}))"
    )


def ensure_claimed(tx: Connection, holder: int) -> None:
    """Check that nobody can have taken over a claim, just before something is sent and paid for.

    From now on the claim lasts for `IN_FLIGHT_SECONDS`, also if its lease is renewed no more.

    Args:
        tx: a transaction that ends before the request is sent.
        holder: the key of the claim.

    Raises:
        StorageError: the claim has ended, as its process was stopped or without a connection.
    """
    row = tx.execute(
        f"SELECT {is_claimed('h')} FROM (VALUES (%s::bigint)) AS v(h)", (holder,)
    ).fetchone()
    if row is None or not row[0]:
        raise codes.CLAIM_LOST.error()
    tx.execute(_SEND, (IN_FLIGHT_SECONDS, holder))


def end_leases_of_dead_processes(tx: Connection) -> None:
    """End the leases of processes of this machine that no longer run."""
    machine = _machine()
    if machine is None:
        return
    found = tx.execute(_OF_MACHINE, (machine,)).fetchall()
    delete_leases(tx, [holder for holder, process in found if not _is_running(process)])


def delete_leases(tx: Connection, holders: Collection[int]) -> None:
    """End leases that are renewed no more, or whose claims are taken over.

    Otherwise a lease that had ended would be valid once more after a restart of the server, as the
    time in which the server was down does not count.
    """
    if holders:
        tx.execute("DELETE FROM tvdb.claim_leases WHERE holder = ANY(%s)", (list(holders),))


def _is_current(row: LiteralString) -> LiteralString:
    return (
        f"(clock_timestamp() < greatest({row}.renewed_at, pg_postmaster_start_time()) + {row}.lasts"
        f" OR clock_timestamp() < {row}.in_flight_until)"
    )


@cache
def _machine() -> str | None:
    """This boot of this machine, with the namespace of its process ids; None if not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')} {socket.gethostname()}"  # noqa: PTH115
    except OSError:
        return None


def _process(process_id: int) -> str | None:
    """A running process by its id and its start, because ids are used again; None if it ended.

    The start is in ticks after the boot: a time of the day, as of psutil, changes with the clock.
    """
    try:
        # The name, in brackets, may have brackets itself.
        fields = Path(f"/proc/{process_id}/stat").read_text("utf-8", "replace").rpartition(")")[2]
    except OSError:
        return None
    state, started = (fields.split()[at] for at in (0, 19))
    return None if state in "ZX" else f"{process_id} {started}"


def _is_running(process: str) -> bool:
    return _process(int(process.partition(" ")[0])) == process


_BEGIN = (
    "INSERT INTO tvdb.claim_leases AS r (holder, renewed_at, lasts, machine, process)"
    " VALUES (%s, clock_timestamp(), make_interval(secs => %s),"
    " %s || ' ' || coalesce(host(inet_client_addr()), ''), %s)"
    " ON CONFLICT (holder) DO UPDATE SET renewed_at = excluded.renewed_at"
    f" WHERE {_is_current('r')}"
)
_RENEW = (
    "UPDATE tvdb.claim_leases r SET renewed_at = clock_timestamp()"
    f" WHERE r.holder = ANY(%s) AND {_is_current('r')}"
)
_SEND = (
    "UPDATE tvdb.claim_leases SET in_flight_until = greatest(in_flight_until,"
    " clock_timestamp() + make_interval(secs => %s)) WHERE holder = %s"
)
# Machines with equal names may be copies of one another, but have their own addresses.
_OF_MACHINE = (
    "SELECT holder, process FROM tvdb.claim_leases"
    " WHERE machine = %s || ' ' || coalesce(host(inet_client_addr()), '') AND process IS NOT NULL"
)
