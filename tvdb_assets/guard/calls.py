"""The walk of a paid call: reservation, rate limit, breaker, client, settlement, retry.

What belongs here: the order of these, and what follows from each outcome. What does not: who
is called and what is sent (`services`); each step's own rules (`ledger`, `limiter`, `breaker`).

Every attempt is reserved, sent and settled by itself, so that a retry can't overspend and
each is a row of the ledger. What the service answers is stored in the same transaction that
posts its cost, before anything else happens to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from uuid import UUID, uuid4

import psycopg
import stamina

from tvdb_assets.errors import StorageError, TvdbError
from tvdb_assets.guard.failures import CallFailed, Charge
from tvdb_assets.guard.ledger import Attempt, Hold, Ledger
from tvdb_assets.guard.limiter import RateLimits
from tvdb_assets.guard.prices import Price
from tvdb_assets.guard.service_state import (
    Change,
    ServiceState,
    abandoned,
    answered,
    failed,
    pass_breaker,
    take_place,
)
from tvdb_assets.guard.states import ServiceStates
from tvdb_assets.guard.tries import BreakerOpen, Tries
from tvdb_assets.storage.database import Database

Transaction: TypeAlias = psycopg.Connection[Any]
T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 20.0
_PROBED_SECONDS = 0.25
"""Between looks at what another found, who asks a service that had refused or failed."""


@dataclass(frozen=True, slots=True)
class PaidCall:
    """What is to be paid for."""

    service: str
    operation: str
    model: str
    account: str
    """Fingerprint of key, server and model: what a refusal of the account is remembered by."""
    price: Price
    quantity: int
    """Units at most: the upper bound that is reserved."""
    inputs: int
    documents: Sequence[str]
    quantities: Sequence[int]
    """Units of each document, in the order of ``documents``."""
    is_split: bool = False
    """A part of a batch that was refused as a whole."""

    @property
    def counted(self) -> int:
        """Units as they were counted here; at least 1."""
        return max(1, sum(self.quantities))


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a client made of a service's answer."""

    value: T
    quantity: int | None = None
    """Units that the service billed; None posts the bound."""
    request_id: str | None = None
    limits: RateLimits = field(default_factory=RateLimits)
    """As told in the answer's headers."""
    job_id: str | None = None
    """Of work that goes on, and is billed when it is done: the hold stays pending."""


class Observer(Protocol):
    """Told of each point that a paid call reaches; for traces, and for tests that kill there."""

    def reached(self, point: str, call: PaidCall, hold: Hold | None) -> None:
        """``point`` is one of `POINTS`."""
        ...


POINTS = (
    "before_reservation",
    "reserved",
    "admitted",
    "before_send",
    "answered",
    "before_commit",
    "committed",
    "recorded",
    "failed",
    "before_void",
    "voided",
    "before_loss",
    "loss_posted",
    "before_retry",
)


class Guard:
    """Makes paid calls that fit budget, rate and breaker; one for each run.

    Raises:
        BudgetError, RateError, BreakerError: nothing was sent; it may be later.
        RefusedError: key, quota or model; one request was sent, or none.
        UnavailableError: no usable answer after all attempts.
        DocumentError: the input itself was refused.
        StorageError: ledger out of reach, so nothing is paid.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        states: ServiceStates,
        *,
        run_id: str,
        attempts: int = 6,
        patience_seconds: float = 120.0,
        request_seconds: float = 60.0,
        observer: Observer | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            database: where results and postings are committed.
            ledger: of the same database.
            states: of the same database.
            run_id: on every entry.
            attempts: of one call, the first included.
            patience_seconds: the longest single wait for a limit, a breaker or a service.
            request_seconds: the client's own time limit for one request.
            observer: told of each point reached.
        """
        self.ledger = ledger
        self.states = states
        self.run_id = run_id
        self._database = database
        self._attempts = attempts
        self._patience = patience_seconds
        self._lease = timedelta(seconds=2 * request_seconds + patience_seconds + 60)
        self._observer = observer

    async def call(
        self,
        call: PaidCall,
        send: Callable[[UUID], Awaitable[Answer[T]]],
        keep: Callable[[Transaction, Hold, T], None],
        *,
        waits_for_breaker: bool = True,
    ) -> T:
        """Pay for one request, once.

        Args:
            call: what is paid for.
            send: makes one request; is given the id that goes into ``X-Client-Request-Id``,
                and raises `CallFailed`.
            keep: stores the answer; runs in a thread, in the transaction that posts the cost.
            waits_for_breaker: False halts at once where the breaker is open.

        Returns:
            What ``send`` made of the answer, once it is stored.
        """
        call_id = uuid4()
        tries = Tries(self._patience, waits_for_breaker)
        async for attempt in self._retrying(tries):
            with attempt:
                if attempt.num > 1:
                    self._reached("before_retry", call)
                try:
                    return await self._attempt(call, call_id, attempt.num, send, keep)
                except CallFailed as failure:
                    if tries.wait_after(failure) is False or attempt.num == self._attempts:
                        raise failure.error from failure
                    raise
                except psycopg.Error as error:
                    raise _ledger_lost() from error
        raise AssertionError("unreachable")

    async def ask(
        self,
        service: str,
        account: str,
        send: Callable[[UUID], Awaitable[T]],
        *,
        waits_for_breaker: bool = True,
    ) -> T:
        """Make a request that costs nothing, within the same limits: a poll, a probe.

        Raises:
            As `call`, but for the budget.
        """
        tries = Tries(self._patience, waits_for_breaker)
        async for attempt in self._retrying(tries):
            with attempt:
                caller = uuid4()
                try:
                    await self._admit(service, account, 0, str(caller))
                    try:
                        answer = await send(caller)
                    except CallFailed as failure:
                        await asyncio.to_thread(
                            self._record, service, str(caller), failed(account, failure)
                        )
                        raise
                    await asyncio.to_thread(
                        self._record, service, str(caller), answered(RateLimits())
                    )
                except CallFailed as failure:
                    if tries.wait_after(failure) is False or attempt.num == self._attempts:
                        raise failure.error from failure
                    raise
                return answer
        raise AssertionError("unreachable")

    def _retrying(self, tries: Tries) -> AsyncIterable[stamina.Attempt]:
        return stamina.retry_context(
            on=tries.wait_after,
            attempts=self._attempts,
            timeout=None,
            wait_initial=_FIRST_WAIT_SECONDS,
            wait_max=_LONGEST_WAIT_SECONDS,
        )

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction of the database that the ledger is in."""
        with self._database.transaction() as tx:
            yield tx

    async def _attempt(
        self,
        call: PaidCall,
        call_id: UUID,
        number: int,
        send: Callable[[UUID], Awaitable[Answer[T]]],
        keep: Callable[[Transaction, Hold, T], None],
    ) -> T:
        self._reached("before_reservation", call)
        hold = await asyncio.to_thread(
            self.ledger.reserve, self._reservation(call, call_id, number)
        )
        self._reached("reserved", call, hold)
        try:
            tokens = call.quantity if call.price.unit == "token" else 0
            await self._admit(call.service, call.account, tokens, str(hold.entry_id))
            self._reached("admitted", call, hold)
        except BaseException as error:
            cause = error.error if isinstance(error, CallFailed) else error
            code = cause.code if isinstance(cause, TvdbError) else "cancelled"
            await asyncio.to_thread(self.ledger.void, hold, outcome=code, was_sent=False)
            raise
        self._reached("before_send", call, hold)
        try:
            answer = await send(hold.entry_id)
        except CallFailed as failure:
            self._reached("failed", call, hold)
            await self._settle_failure(call, hold, failure)
            raise
        except BaseException:
            # Cancelled, or a bug, while the request was out: it may have been billed.
            await asyncio.to_thread(self._post_loss, hold, "lost", None, None)
            await asyncio.to_thread(self._record, call.service, str(hold.entry_id), abandoned)
            raise
        self._reached("answered", call, hold)
        await asyncio.to_thread(self._keep, call, hold, answer, keep)
        self._reached("committed", call, hold)
        await asyncio.to_thread(
            self._record,
            call.service,
            str(hold.entry_id),
            answered(answer.limits, call.account, (answer.quantity or 0) / call.counted),
        )
        self._reached("recorded", call, hold)
        return answer.value

    def _reservation(self, call: PaidCall, call_id: UUID, number: int) -> Attempt:
        purpose = "retry" if number > 1 else "split" if call.is_split else "first"
        return Attempt(
            entry_id=uuid4(),
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
        )

    async def _admit(self, service: str, account: str, tokens: int, caller: str) -> None:
        """Wait for a place within the rate, and pass the breaker.

        Raises:
            RefusedError: the account was refused a short while ago.
            RateError: the wait would be too long.
            BreakerError: the breaker is open.
        """
        place = take_place(service, account, tokens, self._patience, caller)
        while (wait := await asyncio.to_thread(self.states.change, service, place)) is None:
            await asyncio.sleep(_PROBED_SECONDS)
        if wait:
            await asyncio.sleep(wait)
        # Last, so that a probe's lease is not spent on waiting.
        passing = pass_breaker(caller)

        def transition(state: ServiceState, now: float) -> tuple[ServiceState, tuple[float, bool]]:
            changed, wait = passing(state, now)
            return changed, (wait, changed.breaker.name(now) == "half-open")

        waited = 0.0
        while True:
            closed_for, is_probed = await asyncio.to_thread(self.states.change, service, transition)
            if not closed_for:
                return
            if not is_probed or waited >= self._patience:
                raise BreakerOpen(service, closed_for)
            # Another caller is finding out right now, long before its lease runs out.
            await asyncio.sleep(_PROBED_SECONDS)
            waited += _PROBED_SECONDS

    def _keep(
        self,
        call: PaidCall,
        hold: Hold,
        answer: Answer[T],
        keep: Callable[[Transaction, Hold, T], None],
    ) -> None:
        with self._database.transaction() as tx:
            keep(tx, hold, answer.value)
            self._reached("before_commit", call, hold)
            if answer.job_id is None:
                self.ledger.post(
                    tx, hold, quantity=answer.quantity, status=200, request_id=answer.request_id
                )

    async def _settle_failure(self, call: PaidCall, hold: Hold, failure: CallFailed) -> None:
        code, status, request_id = failure.error.code, failure.status, failure.request_id
        if failure.charge is Charge.BOUND:
            self._reached("before_loss", call, hold)
            outcome = code if status == 200 else "lost"
            await asyncio.to_thread(self._post_loss, hold, outcome, status, request_id)
            self._reached("loss_posted", call, hold)
        else:
            self._reached("before_void", call, hold)
            await asyncio.to_thread(
                self.ledger.void,
                hold,
                outcome=code,
                status=status,
                request_id=request_id,
                was_sent=failure.was_sent,
            )
            self._reached("voided", call, hold)
        await asyncio.to_thread(
            self._record, call.service, str(hold.entry_id), failed(call.account, failure)
        )

    def _post_loss(
        self, hold: Hold, outcome: str, status: int | None, request_id: str | None
    ) -> None:
        with self._database.transaction() as tx:
            self.ledger.post(tx, hold, outcome=outcome, status=status, request_id=request_id)

    def _record(self, service: str, caller: str, change: Change) -> None:
        self.states.change(service, lambda state, now: (change(state, now, caller), None))

    def _reached(self, point: str, call: PaidCall, hold: Hold | None = None) -> None:
        if self._observer is not None:
            self._observer.reached(point, call, hold)


def _ledger_lost() -> StorageError:
    return StorageError(
        "ledger_unreachable",
        "The cost ledger was lost during a paid call, so nothing more may be paid.",
        remedy="Check the database and run it again; what the call may have cost stays held.",
    )
