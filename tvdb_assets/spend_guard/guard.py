"""The steps of a paid call: reservation, rate limit, breaker, client, settlement, retry.

What belongs here: the order of these steps, and the consequence of each outcome. What does not:
the services and their requests (`embedding`, `parsing`); the rules of each step (`ledger`,
`rate_limiter`, `circuit_breaker`).

Each attempt is reserved, sent and settled separately, so that a retry can't overspend and each
attempt is a row of the ledger. The result of a response is stored in the same transaction that
posts its cost, before anything else happens to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from typing import TypeAlias, TypeVar
from uuid import UUID

import psycopg
import stamina

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import new_part, request_id
from tvdb_assets.errors import HaltedError, StorageError, TvdbError
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge
from tvdb_assets.spend_guard.call_log import CallEventLog, SentRequest, ServiceEvent
from tvdb_assets.spend_guard.ledger import Ledger, Reservation, ReservationRequest
from tvdb_assets.spend_guard.paid_call import (
    POINTS,
    CallObserver,
    CheckClaim,
    FreeRequest,
    PaidCall,
    Persist,
    Recover,
    ServiceResponse,
    Transaction,
    WriteIntent,
)
from tvdb_assets.spend_guard.paid_service import RequestPermit
from tvdb_assets.spend_guard.rate_limiter import RateLimitHeaders
from tvdb_assets.spend_guard.retry_policy import RetryPolicy
from tvdb_assets.spend_guard.service_admission import AdmissionControl
from tvdb_assets.spend_guard.service_state import record_failure, record_success, release_probe
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.spend_guard.settlement import Settlement
from tvdb_assets.tracing import Trace, trace_of

T = TypeVar("T")
Send: TypeAlias = Callable[[RequestPermit], Awaitable[ServiceResponse[T]]]
"""Makes one request with a permit, or raises `CallFailed`."""

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 20.0
_EXPIRED = "expired"
"""The outcome of a reservation whose request waited beyond its hour or its lease."""
_CONFIRMED_SECONDS = 0.05
"""A request that waited for longer is confirmed before it is sent. Its limits were checked when it
was reserved, and may have changed since."""
_LONGEST_LEASE = timedelta(hours=1)
"""All processes look for reservations as far ahead when they count the requests of the last hour,
whatever their settings. A request that waits for longer is reserved again."""
_STOPPED_SECONDS = 2.0
"""A reservation that took longer is confirmed as well: its process may have been stopped after the
commit. A claim lasts for longer than this."""


class Guard:
    """Makes paid calls within budget, rate limit and breaker; one for each run.

    Raises:
        BudgetError, RateError, BreakerError: nothing was sent; a later call may succeed.
        RefusedError: key, quota or model; one request was sent, or none.
        UnavailableError: no usable answer after all attempts.
        DocumentError: the input itself was refused.
        StorageError: the ledger can't be reached, so nothing is paid.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        states: ServiceStates,
        *,
        run_id: str,
        attempts: int = 6,
        max_wait_seconds: float = 120.0,
        request_seconds: float = 60.0,
        observer: CallObserver | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            database: in which results and postings are committed.
            ledger: of the same database.
            states: of the same database.
            run_id: on every entry.
            attempts: of one call, the first included.
            max_wait_seconds: the longest single wait for a limit, a breaker or a service.
            request_seconds: the client's own time limit for one request.
            observer: notified of each point that a call reaches.
            trace: of the run; None looks it up.
        """
        self.ledger = ledger
        self.states = states
        self.run_id = run_id
        self._database = database
        self._attempts = attempts
        self._max_wait = max_wait_seconds
        self._lease = min(
            _LONGEST_LEASE, timedelta(seconds=2 * request_seconds + max_wait_seconds + 60)
        )
        self._observer = observer
        self.event_log = CallEventLog(database, run_id, ledger.now, trace or trace_of(run_id))
        self._admission = AdmissionControl(states, self.event_log, max_wait_seconds)
        self.settlement = Settlement(database, run_id)

    async def call(
        self,
        call: PaidCall,
        send: Send[T],
        persist: Persist[T],
        *,
        wait_if_open: bool = True,
        check_claim: CheckClaim | None = None,
        write_intent: WriteIntent | None = None,
        recover: Recover[T] | None = None,
    ) -> T:
        """Pay for one request, once.

        Args:
            call: the request and its bound.
            send: makes one request with the permit that it is given, and raises `CallFailed`.
            persist: stores the result; runs in a thread, in the transaction that posts the cost.
            wait_if_open: False halts at once where the breaker is open.
            check_claim: asked with each reservation, and once more just before a request that
                waited, or whose process was stopped, is sent.
            write_intent: records each attempt before it is sent; runs in a thread.
            recover: asked before each attempt but the first. If it raises, nothing more is sent.

        Returns:
            The value of the response, once it is stored.
        """
        call_id = new_part()
        retry_policy = RetryPolicy(self._max_wait, wait_if_open, call.suspect_failures)
        attempts = max(1, self._attempts - call.attempts_made)
        async for attempt in self._retrying(retry_policy):
            with attempt:
                if attempt.num > 1:
                    self._reached("before_retry", call)
                try:
                    if attempt.num > 1 and recover is not None:
                        recovered = await recover()
                        if recovered is not None:
                            return recovered
                    return await self._attempt(
                        call, call_id, attempt.num, send, persist, check_claim, write_intent
                    )
                except CallFailed as failure:
                    if retry_policy.wait_after(failure) is False or attempt.num == attempts:
                        await self._note_end(call.service, failure.error)
                        raise failure.error from failure
                    raise
                except TvdbError as error:
                    await self._note_end(call.service, error)
                    raise
                except psycopg.Error as error:
                    raise codes.LEDGER_LOST.error() from error
        raise AssertionError("unreachable")

    async def ask(
        self,
        free_request: FreeRequest,
        send: Send[T],
        *,
        wait_if_open: bool = True,
    ) -> T:
        """Make a request that costs nothing, within the same limits: a poll, a probe.

        Raises:
            As of `call`; of the budget only where a paid request is to follow.
        """
        retry_policy = RetryPolicy(self._max_wait, wait_if_open)
        async for attempt in self._retrying(retry_policy):
            with attempt:
                try:
                    return await self._ask(free_request, send)
                except CallFailed as failure:
                    if retry_policy.wait_after(failure) is False or attempt.num == self._attempts:
                        await self._note_end(free_request.service, failure.error)
                        raise failure.error from failure
                    raise
                except TvdbError as error:
                    await self._note_end(free_request.service, error)
                    raise
        raise AssertionError("unreachable")

    async def _ask(self, free_request: FreeRequest, send: Send[T]) -> T:
        part = new_part()
        caller = str(part)
        usd = free_request.leads_to_usd
        if usd is not None:
            await asyncio.to_thread(self.ledger.ensure_fits, free_request.service, usd)
        await self._admission.admit(free_request.service, free_request.account, 0, caller)
        began = perf_counter()

        try:
            answer = await send(
                RequestPermit(free_request.service, request_id(self.run_id, part), is_paid=False)
            )
        except CallFailed as failure:
            await self.event_log.free_request_ended(free_request, part, began, failure)
            await self._admission.record(
                free_request.service, caller, record_failure(free_request.account, failure)
            )
            raise
        except BaseException:
            # Cancelled, or a bug: it found nothing out, so another caller may probe at once.
            await self._admission.record(free_request.service, caller, release_probe)
            raise
        await self.event_log.free_request_ended(free_request, part, began, answer)
        success = record_success(RateLimitHeaders()) if free_request.shows_health else release_probe
        await self._admission.record(free_request.service, caller, success)
        return answer.value

    def _retrying(self, retry_policy: RetryPolicy) -> AsyncIterable[stamina.Attempt]:
        return stamina.retry_context(
            on=retry_policy.wait_after,
            attempts=self._attempts,
            timeout=None,
            wait_initial=_FIRST_WAIT_SECONDS,
            wait_max=_LONGEST_WAIT_SECONDS,
        )

    async def _attempt(
        self,
        call: PaidCall,
        call_id: UUID,
        number: int,
        send: Send[T],
        persist: Persist[T],
        check_claim: CheckClaim | None,
        write_intent: WriteIntent | None,
    ) -> T:
        def write_with(tx: Transaction, reservation: Reservation) -> None:
            if write_intent is not None:
                write_intent(tx, reservation)
            if check_claim is not None:
                check_claim(tx)

        self._reached("before_reservation", call)
        loop = asyncio.get_running_loop()
        began = loop.time()
        reservation = await asyncio.to_thread(
            self.ledger.reserve, self._reservation(call, call_id, number), write_with
        )
        self._reached("reserved", call, reservation)
        reserved_at = loop.time()
        try:
            tokens = call.likely_quantity or call.quantity
            tokens = tokens if call.price.unit == "token" else 0
            await self._admission.admit(
                call.service, call.account, tokens, str(reservation.entry_id)
            )
        except BaseException as error:
            await self._void_unsent(reservation, error)
            raise
        # The clock of the loop runs on while the process is stopped.
        was_stopped = loop.time() - began > _STOPPED_SECONDS
        if was_stopped or loop.time() - reserved_at > _CONFIRMED_SECONDS:
            try:
                is_current = await asyncio.to_thread(
                    self.ledger.confirm, reservation, call.service, check_claim
                )
            except BaseException as error:
                await self._void_unsent(reservation, error)
                # It may have passed the breaker as a probe.
                await self._admission.record(call.service, str(reservation.entry_id), release_probe)
                raise
            if not is_current:
                await self._void_unsent(reservation, None)
                await self._admission.record(call.service, str(reservation.entry_id), release_probe)
                return await self._attempt(
                    call, call_id, number, send, persist, check_claim, write_intent
                )
        self._reached("admitted", call, reservation)
        self._reached("before_send", call, reservation)
        sent = SentRequest(call, reservation, number, perf_counter())
        try:
            answer = await send(
                RequestPermit(
                    call.service, request_id(self.run_id, reservation.entry_id), is_paid=True
                )
            )
        except CallFailed as failure:
            self._reached("failed", call, reservation)
            try:
                self.event_log.attempt_failed(sent, failure)
            finally:
                await self._settle_failure(call, reservation, failure)
            raise
        except BaseException:
            # Cancelled, or a bug, while the request was out: it may have been billed.
            try:
                self.event_log.attempt_lost(sent)
            finally:
                await asyncio.to_thread(
                    self._post_loss, call, reservation, codes.LOST.code, None, None
                )
            await self._admission.record(call.service, str(reservation.entry_id), release_probe)
            raise
        usage = call.usage(answer.quantity)
        answer = replace(answer, quantity=call.billed(answer.quantity))
        self._reached("answered", call, reservation)
        try:
            # A handler of logs or of traces is not always ours, and may raise.
            self.event_log.attempt_answered(sent, answer)
        finally:
            await self._store_and_post(call, reservation, answer, persist)
        self._reached("committed", call, reservation)
        success = record_success(answer.rate_limit_headers, call.account, usage)
        # The result is stored. The next response says as well how the service is.
        with suppress(StorageError):
            await self._admission.record(call.service, str(reservation.entry_id), success)
        self._reached("recorded", call, reservation)
        return answer.value

    async def _void_unsent(self, reservation: Reservation, error: BaseException | None) -> None:
        cause = error.error if isinstance(error, CallFailed) else error
        code = _EXPIRED if cause is None else codes.CANCELLED.code
        if isinstance(cause, TvdbError):
            code = cause.code
        await asyncio.to_thread(self.ledger.void, reservation, outcome=code, was_sent=False)

    def _reservation(self, call: PaidCall, call_id: UUID, number: int) -> ReservationRequest:
        purpose = "retry" if number > 1 else "split" if call.is_split else "first"
        return ReservationRequest(
            entry_id=new_part(),
            call_id=call_id,
            number=number,
            run_id=self.run_id,
            service=call.service,
            operation=call.operation,
            model=call.model,
            purpose=purpose,
            documents=call.documents,
            quantities=call.quantities,
            inputs=call.inputs,
            quantity=call.quantity,
            price=call.price,
            lease=self._lease,
            most=call.most,
        )

    async def _store_and_post(
        self,
        call: PaidCall,
        reservation: Reservation,
        answer: ServiceResponse[T],
        persist: Persist[T],
    ) -> None:
        def write(tx: Transaction) -> None:
            persist(tx, reservation, answer.value)
            self._reached("before_commit", call, reservation)
            if answer.job_id is None:
                self.ledger.post(
                    tx,
                    reservation,
                    quantity=answer.quantity,
                    status=200,
                    request_id=answer.request_id,
                )
            else:
                self.ledger.extend(tx, reservation, answer.job_id, answer.request_id)

        def is_committed(tx: Transaction) -> bool:
            # Both are written by this attempt alone, and only together with the result.
            entry = self.ledger.lock_entry(tx, reservation.entry_id)
            if answer.job_id is None:
                return entry is not None and entry[1] == "answered"
            return entry is not None and entry[2] == answer.job_id

        await self.settlement.commit(call.service, write, is_committed)

    async def _settle_failure(
        self, call: PaidCall, reservation: Reservation, failure: CallFailed
    ) -> None:
        code, status, name = failure.error.code, failure.status, failure.request_id
        if failure.charge is Charge.BOUND:
            self._reached("before_loss", call, reservation)
            outcome = code if status == 200 else codes.LOST.code
            await asyncio.to_thread(self._post_loss, call, reservation, outcome, status, name)
            self._reached("loss_posted", call, reservation)
        else:
            self._reached("before_void", call, reservation)
            await asyncio.to_thread(
                self.ledger.void,
                reservation,
                outcome=code,
                status=status,
                request_id=name,
                was_sent=failure.was_sent,
            )
            self._reached("voided", call, reservation)
        await self._admission.record(
            call.service,
            str(reservation.entry_id),
            record_failure(call.account, failure, is_part=call.suspect_failures == 1),
        )

    def _post_loss(
        self, call: PaidCall, held: Reservation, outcome: str, status: int | None, name: str | None
    ) -> None:
        def write(tx: Transaction) -> None:
            self.ledger.post(
                tx, held, quantity=call.most, outcome=outcome, status=status, request_id=name
            )

        self._database.run(write)

    async def _note_end(self, service: str, error: TvdbError) -> None:
        error.run_id = self.run_id
        if isinstance(error, HaltedError):
            message = f"{error.message} {error.remedy}"
            await self.event_log.record(ServiceEvent.HALTED, service, message, code=error.code)

    def _reached(self, point: str, call: PaidCall, reservation: Reservation | None = None) -> None:
        if self._observer is not None:
            self._observer.reached(point, call, reservation)


__all__: Sequence[str] = [
    "POINTS",
    "CallObserver",
    "FreeRequest",
    "Guard",
    "PaidCall",
    "ServiceResponse",
    "Transaction",
]
