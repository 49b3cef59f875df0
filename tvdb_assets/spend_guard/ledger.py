"""The ledger: every attempt of every paid call, and the budget windows it counts against.

What belongs here: reservations, postings and voids, each complete or not at all. What does not:
when to call (`guard`), whether an amount fits (`budget`), the two long statements
(`ledger_statements`).

An upper bound is reserved before anything is sent. The reservation counts as spent until the
outcome is known: it is posted at the actual cost, or voided where the service certainly billed
nothing. An attempt whose response was lost is posted at the most that it can have cost. So the
recorded cost is never lower than the real one.

All times come from the database's clock, which all processes share. A window is found by
the time of the reservation: a call that ends after midnight counts for the day on which it
was reserved, and a clock that is set back finds the counters of the earlier day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import service_request_id
from tvdb_assets.errors import StorageError
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import (
    CommittedSpend,
    SpendLimits,
    check_fits,
    requests_renewed_at,
)
from tvdb_assets.spend_guard.budget_windows import count_requests, lock_windows, read_windows
from tvdb_assets.spend_guard.ledger_statements import RESERVE, SETTLE
from tvdb_assets.spend_guard.prices import Price
from tvdb_assets.spend_guard.spend_limits import limits_now

Connection: TypeAlias = psycopg.Connection[Any]
Clock: TypeAlias = Callable[[], datetime]
JOB_LEASE = timedelta(hours=48)
"""A service keeps the result of a job for so long."""
_UNSURE = (codes.LOST.code, codes.BAD_ANSWER.code, "assumed")
"""Outcomes that are posted at the bound, because the billed amount is not known."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A granted reservation: one request may be sent."""

    entry_id: UUID
    """Sent to the service after the run's id, in ``X-Client-Request-Id``."""
    amount: Decimal
    """US dollars at most."""


@dataclass(frozen=True, slots=True)
class ReservationRequest:
    """A request to reserve the bound of one attempt of a paid call."""

    entry_id: UUID
    call_id: UUID
    number: int
    """1-based within its call."""
    run_id: str
    service: str
    operation: str
    model: str
    purpose: str
    """``first``, ``retry``, or ``split`` for a part of a batch that was refused as a whole."""
    documents: Sequence[str]
    quantities: Sequence[int]
    """Units of each document, in the order of ``documents``."""
    inputs: int
    quantity: int
    """Units that are reserved."""
    price: Price
    lease: timedelta
    """After this time an attempt without an outcome belongs to a process that died."""
    most: int | None = None
    """Units that may be billed at most; None where no more than ``quantity`` can be."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An entry whose real cost is not certain."""

    entry_id: UUID
    service: str
    run_id: str
    job_id: str | None
    reserved_usd: Decimal


class Ledger:
    """The ledger of one database."""

    def __init__(self, database: Database, limits: SpendLimits, clock: Clock | None = None) -> None:
        """Nothing is read yet.

        Args:
            database: where the ledger is.
            limits: of the settings; changes at run time are applied on top of them.
            clock: None for the database's own clock; tests inject theirs.
        """
        self._database = database
        self.settings = limits
        self._clock = clock

    @property
    def limits(self) -> SpendLimits:
        """The current limits, with the changes made at run time."""
        with self._database.transaction() as tx:
            return limits_now(tx, self.settings)

    def reserve(
        self,
        attempt: ReservationRequest,
        write_with: Callable[[Connection, Reservation], None] | None = None,
    ) -> Reservation:
        """Reserve an attempt's upper bound in the budget.

        Args:
            attempt: what is about to be sent.
            write_with: called in the transaction of the reservation.

        Raises:
            BudgetError: it does not fit today's dollars.
            RateError: it does not fit the requests of the last 60 minutes.
            StorageError: the ledger can't be reached; then nothing may be paid.
        """
        amount = attempt.price.of(attempt.quantity)
        is_repeated = False

        def write(tx: Connection) -> None:
            nonlocal is_repeated
            committed = lock_windows(tx, attempt.service, attempt.lease, self._injected_now())
            if is_repeated and self.lock_entry(tx, attempt.entry_id) is not None:
                return
            is_repeated = True
            limits = limits_now(tx, self.settings)
            most = limits.requests_an_hour(attempt.service)
            if committed.service_hour_requests >= most:
                committed = count_requests(tx, committed, attempt.service, most, attempt.lease)
            check_fits(attempt.service, amount, limits, committed)
            self._write_reservation(tx, attempt, amount, committed)
            if write_with is not None:
                write_with(tx, reservation)

        reservation = Reservation(attempt.entry_id, amount)
        try:
            self._database.run(write)
        except psycopg.Error as error:
            raise _unreachable(error) from error
        return reservation

    def post(
        self,
        tx: Connection,
        reservation: Reservation,
        *,
        quantity: int | None = None,
        cost: Decimal | None = None,
        outcome: str = "answered",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        """Settle a reservation at the cost of the attempt, within the caller's transaction.

        Args:
            tx: the transaction that stores the result.
            reservation: of the attempt.
            quantity: units that were billed; None where only the most that can be is known.
            cost: US dollars; None takes the entry's price of ``quantity``, or of the most. More
                than was reserved is posted in full, and may exceed the limit.
            outcome: one word: ``answered``, ``lost``, ``bad_answer`` …
            status: of HTTP, if there was an answer.
            request_id: the service's own name for the request.
        """
        self._settle(
            tx, reservation.entry_id, "posted", quantity, cost, outcome, status, request_id
        )

    def void(
        self,
        reservation: Reservation,
        *,
        outcome: str,
        status: int | None = None,
        request_id: str | None = None,
        was_sent: bool = True,
    ) -> None:
        """Release a reservation: the service certainly billed nothing.

        Args:
            reservation: of the attempt.
            outcome: why, as the code of an error.
            status: of HTTP, if there was an answer.
            request_id: the service's own name for the request.
            was_sent: whether it counts as a request of the last hour.
        """

        def write(tx: Connection) -> None:
            if self.lock_entry(tx, reservation.entry_id) == ("voided", outcome, None):
                return  # by an earlier attempt, whose connection broke while it committed
            settled = (reservation.entry_id, "voided", 0, None, outcome, status, request_id)
            self._settle(tx, *settled, was_sent=was_sent)
            if not was_sent:
                tx.execute(
                    "UPDATE tvdb.budget_windows w SET requests = requests - 1"
                    " FROM tvdb.cost_ledger l WHERE l.entry_id = %s AND w.scope = l.service"
                    " AND w.period = 'hour' AND w.starts_at = l.hour"
                    # Not where reconciliation found meanwhile that the service had billed it.
                    " AND l.state = 'voided' AND l.outcome = %s",
                    (reservation.entry_id, outcome),
                )

        self._database.run(write)

    def confirm(
        self,
        reservation: Reservation,
        service: str,
        check_claim: Callable[[Connection], None] | None = None,
    ) -> bool:
        """Whether a request that waited may still be sent with its reservation.

        What changes between this answer and the request itself, in about a millisecond, is not
        noticed; nor is a process that is stopped at exactly that point.

        Args:
            reservation: of the request.
            service: that it goes to.
            check_claim: raises if another process may pay for the same.

        Returns:
            False if it needs another reservation: another day has begun, its lease is over, or it
            was settled meanwhile.

        Raises:
            BudgetError: paid calls are paused, or the day's limit is lower than what is reserved.
            RateError: the hour's limit is lower than what is reserved.
            StorageError: the ledger can't be reached, or `check_claim` raised it; then nothing may
                be paid.
        """

        def read(tx: Connection) -> tuple[bool, SpendLimits, CommittedSpend]:
            if check_claim is not None:
                check_claim(tx)
            limits = limits_now(tx, self.settings)
            committed = read_windows(tx, service, now=self._injected_now())
            row = tx.execute(
                "SELECT state = 'pending' AND lease_until > %s AND day = %s"
                " FROM tvdb.cost_ledger WHERE entry_id = %s",
                (committed.now, committed.day, reservation.entry_id),
            ).fetchone()
            most = limits.requests_an_hour(service)
            if committed.service_hour_requests > most:
                committed = count_requests(tx, committed, service, most)
            return row is not None and row[0], limits, committed

        try:
            is_current, limits, committed = self._database.run(read)
        except psycopg.Error as error:
            raise _unreachable(error) from error
        # What is reserved contains this request, if it is current.
        others = committed.service_hour_requests - 1
        check_fits(
            service, Decimal(0), limits, replace(committed, service_hour_requests=max(0, others))
        )
        return is_current

    def ensure_fits(self, service: str, amount: Decimal) -> None:
        """Check that this amount could be reserved now, before a free request that leads to it.

        Raises:
            As of `reserve`.
        """

        def read(tx: Connection) -> tuple[SpendLimits, CommittedSpend]:
            limits = limits_now(tx, self.settings)
            committed = read_windows(tx, service, now=self._injected_now())
            most = limits.requests_an_hour(service)
            if committed.service_hour_requests >= most:
                committed = count_requests(tx, committed, service, most)
            return limits, committed

        try:
            limits, committed = self._database.run(read)
        except psycopg.Error as error:
            raise _unreachable(error) from error
        check_fits(service, amount, limits, committed)

    def lock_entry(
        self, tx: Connection, entry_id: UUID
    ) -> tuple[str, str | None, str | None] | None:
        """State, outcome and job of an entry, locked; None if there is no such entry.

        Waits for a transaction that changes it, also where the process that began it lost its
        connection and the server is still committing.
        """
        return tx.execute(
            "SELECT state, outcome, job_id FROM tvdb.cost_ledger WHERE entry_id = %s FOR UPDATE",
            (entry_id,),
        ).fetchone()

    def extend(
        self, tx: Connection, reservation: Reservation, job_id: str, request_id: str | None
    ) -> None:
        """Keep a reservation for a job that was submitted and is billed when it is done."""
        now = self.now(tx)
        tx.execute(
            "UPDATE tvdb.cost_ledger SET job_id = %s, lease_until = %s, http_status = 200,"
            " request_id = %s, sent_before = least(sent_before, %s) WHERE entry_id = %s",
            (
                *(job_id, now + JOB_LEASE, service_request_id(request_id)),
                *(now, reservation.entry_id),
            ),
        )

    def reconcile(self, billed: Callable[[LedgerEntry], Decimal | None] | None = None) -> int:
        """Settle the reservations whose lease ran out: their processes died.

        Args:
            billed: asks the service for the cost of an entry, in US dollars; None, or a result of
                None, leaves the entry at its bound. Also asked for responses that were lost or
                could not be used.

        Returns:
            How many entries were settled or corrected.
        """
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(LedgerEntry)) as cursor,
        ):
            cursor.execute(
                "SELECT entry_id, service, run_id, job_id, reserved_usd FROM tvdb.cost_ledger"
                " WHERE (state = 'pending' AND lease_until < %(now)s)"
                "    OR (%(can_ask)s AND state = 'posted' AND outcome = ANY(%(unsure)s))"
                # Windows are locked day by day, which prevents deadlocks.
                " ORDER BY day, entry_id FOR UPDATE SKIP LOCKED",
                {"now": self.now(tx), "can_ask": billed is not None, "unsure": list(_UNSURE)},
            )
            entries = cursor.fetchall()
            # All costs are looked up first: settling locks the windows that reservations need.
            costs = [billed(entry) if billed is not None else None for entry in entries]
            for entry, cost in zip(entries, costs, strict=True):
                if cost is None:
                    self._settle(tx, entry.entry_id, "posted", None, None, "assumed")
                elif cost:
                    self._settle(tx, entry.entry_id, "posted", None, cost, "reconciled")
                else:
                    self._settle(tx, entry.entry_id, "voided", 0, None, "not_billed")
        return len(entries)

    def committed(self, service: str) -> CommittedSpend:
        """The amounts of today and of the last hour, without a lock: for reports, not decisions."""
        with self._database.transaction() as tx:
            most = limits_now(tx, self.settings).requests_an_hour(service)
            committed = read_windows(tx, service, now=self._injected_now())
            return count_requests(tx, committed, service, most)

    def requests_renewed_at(self, services: Sequence[str]) -> datetime:
        """See `budget.requests_renewed_at`, for these services."""
        committed = {service: self.committed(service) for service in services}
        with self._database.transaction() as tx:
            return requests_renewed_at(committed, limits_now(tx, self.settings), self.now(tx))

    def now(self, tx: Connection) -> datetime:
        """The injected clock's time, or the database's."""
        if self._clock is not None:
            return self._clock()
        row = tx.execute("SELECT tvdb.clock()").fetchone()
        assert row is not None
        return row[0]  # type: ignore[no-any-return]

    def _injected_now(self) -> datetime | None:
        """None lets a statement read the database's clock itself, without a round trip."""
        return None if self._clock is None else self._clock()

    def _write_reservation(
        self,
        tx: Connection,
        attempt: ReservationRequest,
        amount: Decimal,
        at: CommittedSpend,
    ) -> None:
        now = at.now or at.hour
        tx.execute(
            RESERVE,
            {
                "entry": attempt.entry_id,
                "call": attempt.call_id,
                "attempt": attempt.number,
                "run": attempt.run_id,
                "service": attempt.service,
                "operation": attempt.operation,
                "model": attempt.model,
                "purpose": attempt.purpose,
                "documents": list(attempt.documents),
                "quantities": list(attempt.quantities),
                "inputs": attempt.inputs,
                "unit": attempt.price.unit,
                "quantity": max(attempt.quantity, attempt.most or 0),
                "unit_usd": attempt.price.unit_usd,
                "price_version": attempt.price.version,
                "amount": amount,
                "day": at.day,
                "hour": at.hour,
                "now": now,
                "lease_until": now + attempt.lease,
            },
        )

    def _settle(
        self,
        tx: Connection,
        entry_id: UUID,
        state: str,
        quantity: int | None,
        cost: Decimal | None,
        outcome: str,
        status: int | None = None,
        request_id: str | None = None,
        *,
        was_sent: bool = True,
    ) -> None:
        tx.execute(
            SETTLE,
            {
                "entry": entry_id,
                "state": state,
                "quantity": quantity,
                "cost": cost,
                "outcome": outcome,
                "status": status,
                "request_id": service_request_id(request_id),
                "unsure": list(_UNSURE),
                "was_sent": was_sent,
                "now": self._injected_now(),
            },
        )


def _unreachable(error: psycopg.Error) -> StorageError:
    return codes.LEDGER_UNREACHABLE.error()
