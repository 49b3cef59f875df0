"""The ledger: every attempt of every paid call, and the budget windows it counts against.

What belongs here: holds, posts and voids, each whole or not at all. What does not: when to
call (`calls`), what fits (`budget`).

A hold is made at an upper bound before anything is sent. It counts as spent until the
outcome is known: posted at what it cost, or voided where the service surely billed nothing.
An answer that was lost is posted at its bound. So what is recorded is never less than what
is real.

All times come from the database's clock, which all processes share. A window is found by
the time of the reservation: a call that ends after midnight counts for the day on which it
was reserved, and a clock that is set back finds the counters of the day it goes back to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
from psycopg.rows import class_row, dict_row

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import StorageError
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import CommittedSpend, SpendLimits, check_fits
from tvdb_assets.spend_guard.prices import Price
from tvdb_assets.spend_guard.spend_limits import limits_now

Connection: TypeAlias = psycopg.Connection[Any]
Clock: TypeAlias = Callable[[], datetime]
_EVERYTHING = ""
"""The scope of the windows that all services share."""
JOB_LEASE = timedelta(hours=48)  # so long a service keeps a job's result
_UNSURE = (codes.LOST.code, codes.BAD_ANSWER.code, "assumed")
"""Outcomes that are posted at a bound, because what was billed is not known."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reservation that was granted: what may now be sent, once."""

    entry_id: UUID
    """Sent to the service behind the run's id, as ``X-Client-Request-Id``."""
    amount: Decimal
    """US dollars at most."""


@dataclass(frozen=True, slots=True)
class ReservationRequest:
    """What is reserved for one attempt of a paid call."""

    entry_id: UUID
    call_id: UUID
    number: int
    """1-based within its call."""
    run_id: str
    service: str
    operation: str
    model: str
    purpose: str
    """``first``, ``retry``, or ``split`` for a part of a batch that was refused whole."""
    documents: Sequence[str]
    quantities: Sequence[int]
    """Units of each document, in the order of ``documents``."""
    inputs: int
    quantity: int
    """Units at most."""
    price: Price
    lease: timedelta
    """After this an attempt without an outcome is one whose process died."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An entry whose real cost is not known for sure."""

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
            limits: what may be spent by the settings; changes at run time come on top.
            clock: None for the database's own clock; tests inject theirs.
        """
        self._database = database
        self.settings = limits
        self._clock = clock

    @property
    def limits(self) -> SpendLimits:
        """The limits that hold now, with what was changed at run time."""
        with self._database.transaction() as tx:
            return limits_now(tx, self.settings)

    def reserve(self, attempt: ReservationRequest) -> Reservation:
        """Hold an attempt's upper bound against the budget.

        Raises:
            BudgetError: it does not fit today's dollars.
            RateError: it does not fit this hour's requests.
            StorageError: the ledger can't be reached; then nothing may be paid.
        """
        amount = attempt.price.of(attempt.quantity)
        try:
            with self._database.transaction() as tx:
                now = self.now(tx)
                committed = self._lock_windows(tx, attempt.service, now)
                check_fits(attempt.service, amount, limits_now(tx, self.settings), committed)
                self._write_reservation(tx, attempt, amount, now, committed)
        except psycopg.Error as error:
            raise _unreachable(error) from error
        return Reservation(attempt.entry_id, amount)

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
        """Settle a hold at what the attempt cost, within the caller's transaction.

        Args:
            tx: the transaction that stores what was paid for.
            reservation: of the attempt.
            quantity: units that were billed; None where only the bound is known.
            cost: US dollars; None takes the entry's price of ``quantity``, or the bound. More
                than was held is posted in full, and may exceed the limit.
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
        """Give a hold back: the service surely billed nothing.

        Args:
            reservation: of the attempt.
            outcome: why, as the code of an error.
            status: of HTTP, if there was an answer.
            request_id: the service's own name for the request.
            was_sent: whether it counts as a request of this hour.
        """
        with self._database.transaction() as tx:
            self._settle(tx, reservation.entry_id, "voided", 0, None, outcome, status, request_id)
            if not was_sent:
                tx.execute(
                    "UPDATE tvdb.budget_windows w SET requests = requests - 1"
                    " FROM tvdb.cost_ledger l WHERE l.entry_id = %s AND w.scope = l.service"
                    " AND w.period = 'hour' AND w.starts_at = l.hour"
                    # Not where the service was asked meanwhile and had billed it.
                    " AND l.state = 'voided' AND l.outcome = %s",
                    (reservation.entry_id, outcome),
                )

    def extend(
        self, tx: Connection, reservation: Reservation, job_id: str, request_id: str | None
    ) -> None:
        """Keep a hold for a job that was submitted and bills when it is done."""
        tx.execute(
            "UPDATE tvdb.cost_ledger SET job_id = %s, lease_until = %s, http_status = 200,"
            " request_id = %s WHERE entry_id = %s",
            (job_id, self.now(tx) + JOB_LEASE, request_id, reservation.entry_id),
        )

    def reconcile(self, billed: Callable[[LedgerEntry], Decimal | None] | None = None) -> int:
        """Settle what nobody will settle any more: holds whose lease ran out.

        Args:
            billed: asks the service what an entry cost, in US dollars; None, or an answer of
                None, leaves it at its bound. Asked for answers that were lost or
                could not be used, too.

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
                # Windows are locked day by day, so that none waits in a circle.
                " ORDER BY day, entry_id FOR UPDATE SKIP LOCKED",
                {"now": self.now(tx), "can_ask": billed is not None, "unsure": list(_UNSURE)},
            )
            entries = cursor.fetchall()
            # All are asked for first: settling locks the windows that reservations need.
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
        """What today and this hour hold already, without a lock: for reports, not decisions."""
        with self._database.transaction() as tx:
            return self._read_windows(tx, service, self.now(tx), lock=False)[0]

    def now(self, tx: Connection) -> datetime:
        """The injected clock's time, or the database's."""
        if self._clock is not None:
            return self._clock()
        row = tx.execute("SELECT tvdb.clock()").fetchone()
        assert row is not None
        return row[0]  # type: ignore[no-any-return]

    def _lock_windows(self, tx: Connection, service: str, now: datetime) -> CommittedSpend:
        committed, is_whole = self._read_windows(tx, service, now, lock=True)
        if is_whole:
            return committed
        # The first of a window; whoever comes second finds the rows, or waits for them. A row
        # that is there meanwhile is locked too, so that here as well none waits in a circle.
        tx.cursor().executemany(
            "INSERT INTO tvdb.budget_windows AS w (scope, period, starts_at) VALUES (%s, %s, %s)"
            " ON CONFLICT (scope, period, starts_at) DO UPDATE SET requests = w.requests",
            [
                (_EVERYTHING, "day", committed.day),
                (service, "day", committed.day),
                (service, "hour", committed.hour),
            ],
        )
        return self._read_windows(tx, service, now, lock=True)[0]

    def _read_windows(
        self, tx: Connection, service: str, now: datetime, *, lock: bool
    ) -> tuple[CommittedSpend, bool]:
        utc = now.astimezone(UTC)
        day = utc.replace(hour=0, minute=0, second=0, microsecond=0)
        hour = utc.replace(minute=0, second=0, microsecond=0)
        with tx.cursor(row_factory=dict_row) as cursor:
            # All take the same rows in the same order, so that none waits in a circle.
            cursor.execute(
                "SELECT scope, period, spent_usd, requests FROM tvdb.budget_windows"
                " WHERE (scope, period, starts_at) IN"
                "   (('', 'day', %(day)s), (%(service)s, 'day', %(day)s),"
                "    (%(service)s, 'hour', %(hour)s))"
                " ORDER BY scope, period" + (" FOR UPDATE" if lock else ""),
                {"service": service, "day": day, "hour": hour},
            )
            rows = {(row["scope"], row["period"]): row for row in cursor}
        zero = Decimal(0)
        overall, daily = rows.get((_EVERYTHING, "day")), rows.get((service, "day"))
        hourly = rows.get((service, "hour"))
        committed = CommittedSpend(
            day=day,
            hour=hour,
            day_usd=overall["spent_usd"] if overall else zero,
            service_day_usd=daily["spent_usd"] if daily else zero,
            service_hour_requests=hourly["requests"] if hourly else 0,
        )
        return committed, len(rows) == 3

    def _write_reservation(
        self,
        tx: Connection,
        attempt: ReservationRequest,
        amount: Decimal,
        now: datetime,
        at: CommittedSpend,
    ) -> None:
        tx.execute(
            _HOLD,
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
                "quantity": attempt.quantity,
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
    ) -> None:
        tx.execute(
            _SETTLE,
            {
                "entry": entry_id,
                "state": state,
                "quantity": quantity,
                "cost": cost,
                "outcome": outcome,
                "status": status,
                "request_id": request_id,
                "unsure": list(_UNSURE),
                "now": self.now(tx),
            },
        )


def _unreachable(error: psycopg.Error) -> StorageError:
    return codes.LEDGER_UNREACHABLE.error()


# The hold and the counters it changes, in one statement under the lock of `_lock_windows`.
_HOLD = """
WITH counted AS (
    UPDATE tvdb.budget_windows SET
        spent_usd = spent_usd + CASE WHEN period = 'day' THEN %(amount)s ELSE 0 END,
        requests = requests + 1
    WHERE (scope, period, starts_at) IN
        (('', 'day', %(day)s), (%(service)s, 'day', %(day)s), (%(service)s, 'hour', %(hour)s))
)
INSERT INTO tvdb.cost_ledger (entry_id, call_id, attempt, run_id, service, operation, model,
    purpose, documents, quantities, inputs, unit, quantity, unit_usd, price_version,
    reserved_usd, day, hour, reserved_at, lease_until)
VALUES (%(entry)s, %(call)s, %(attempt)s, %(run)s, %(service)s, %(operation)s, %(model)s,
    %(purpose)s, %(documents)s::text[], %(quantities)s::bigint[], %(inputs)s, %(unit)s,
    %(quantity)s, %(unit_usd)s, %(price_version)s, %(amount)s, %(day)s, %(hour)s, %(now)s,
    %(lease_until)s)
"""

# A hold that was settled already stays as it is: settling twice counts once. What the entry
# counted before (its bound, or a cost that was only assumed) is replaced by what it costs now.
# So is a hold that reconciliation gave back, when its process comes late with an answer.
# The counters are locked in the order in which `_lock_windows` takes them.
_SETTLE = """
WITH before AS (
    SELECT entry_id, service, day,
           CASE WHEN state = 'voided' THEN 0 ELSE coalesce(posted_usd, reserved_usd) END AS counted,
           CASE WHEN %(state)s = 'voided' THEN 0
                ELSE coalesce(%(cost)s, ceil(%(quantity)s * unit_usd * 1e10) / 1e10, reserved_usd)
           END AS cost
    FROM tvdb.cost_ledger
    WHERE entry_id = %(entry)s
      AND (state = 'pending' OR outcome = 'not_billed'
           OR (state = 'posted' AND outcome = ANY(%(unsure)s)))
    FOR UPDATE
), settled AS (
    UPDATE tvdb.cost_ledger l SET
        state = %(state)s,
        posted_usd = CASE WHEN %(state)s = 'posted' THEN b.cost END,
        quantity = coalesce(%(quantity)s, l.quantity),
        outcome = %(outcome)s,
        http_status = coalesce(%(status)s, l.http_status),
        request_id = coalesce(%(request_id)s, l.request_id),
        settled_at = %(now)s
    FROM before b WHERE l.entry_id = b.entry_id
), windows AS (
    SELECT w.scope, w.period, w.starts_at, b.cost - b.counted AS change
    FROM before b JOIN tvdb.budget_windows w
      ON w.scope IN ('', b.service) AND w.period = 'day' AND w.starts_at = b.day
    WHERE b.cost <> b.counted
    ORDER BY w.scope
    FOR UPDATE OF w
)
UPDATE tvdb.budget_windows w SET spent_usd = spent_usd + c.change
FROM windows c
WHERE (w.scope, w.period, w.starts_at) = (c.scope, c.period, c.starts_at)
"""
