"""The log of a run's calls: stored, logged, traced and counted at one place.

What belongs here: the kinds of events, their rows, and the logs, spans and metrics of events and
of attempts. What does not: the row of a paid attempt, which is the ledger's, or reading the
history of a run (`reporting.run_history`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from time import perf_counter
from typing import Any, TypeAlias
from uuid import UUID

import psycopg

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import request_id as whole_id
from tvdb_assets.correlation import service_request_id
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.paid_call import FreeRequest, PaidCall, ServiceResponse
from tvdb_assets.telemetry import (
    CALL_ENDED,
    CALL_EVENT_LOST,
    REQUEST_ENDED,
    SERVICE_EVENTS,
    log_event,
)
from tvdb_assets.tracing import Trace, TracedOperation, Value

# The conventions of OpenTelemetry for embeddings. The general names, which they replace, are
# recorded as well until version 0.2.0.
_DURATIONS = ("gen_ai.client.embeddings.duration", "gen_ai.client.operation.duration")
_INPUT_TOKENS = "gen_ai.client.embeddings.operation.input_tokens"
ClockOf: TypeAlias = Callable[[psycopg.Connection[Any]], datetime]


@dataclass(frozen=True, slots=True)
class SentRequest:
    """An attempt of a paid call that is in flight."""

    call: PaidCall
    reservation: Reservation
    attempt: int
    began: float
    """By `perf_counter`."""


class ServiceEvent(StrEnum):
    """The kinds of events."""

    REQUEST = "request"
    """A request that costs nothing ended, with a response or without: a poll, a probe."""
    WAITED = "rate_waited"
    """A request waited for the service's own rate limit."""
    HALTED = "halted"
    """A limit of ours stopped a request; recorded once a run for each service and code."""
    BATCH_HALVED = "batch_halved"
    """A batch that was refused, or was over the budget, is sent in two parts."""
    JOB_RESUMED = "job_resumed"
    """A job that was submitted before is polled, and not submitted again."""
    BREAKER_OPENED = "breaker_opened"
    BREAKER_PROBED = "breaker_probed"
    BREAKER_CLOSED = "breaker_closed"
    SERVICE_REFUSED = "service_refused"
    """Key, quota or model: the service is not called for a while."""


class CallEventLog:
    """Records the events of one run."""

    def __init__(self, database: Database, run_id: str, clock: ClockOf, trace: Trace) -> None:
        """Nothing is opened yet; ``clock`` is the ledger's, so that both can be put in order."""
        self._database = database
        self._clock = clock
        self._trace = trace
        self._halts: set[tuple[str, str]] = set()
        self.run_id = run_id

    async def record(
        self,
        kind: ServiceEvent,
        service: str,
        message: str,
        *,
        document: str | None = None,
        part: UUID | None = None,
        request_id: str | None = None,
        code: str | None = None,
        status: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """Add an event. One that can't be written stops nothing: costs are on the ledger.

        Args:
            kind: of the event.
            service: that it concerns.
            message: for people; never the service's own text.
            document: of the request.
            part: of the request's id.
            request_id: the service's own name for the request.
            code: of the error, if it was one.
            status: of HTTP, if there was an answer.
            seconds: how long it took.
        """
        if kind is ServiceEvent.HALTED:
            if (service, code or "") in self._halts:
                return
            self._halts.add((service, code or ""))
        if kind is not ServiceEvent.REQUEST:
            facts = {"service": service, "document": document, "code": code, "seconds": seconds}
            log_event(SERVICE_EVENTS[kind.value], message, facts, run_id=self.run_id)
        row: tuple[object, ...] = (self.run_id, service, kind.value, document, part)
        named = service_request_id(request_id)
        await asyncio.to_thread(self._add, (*row, named, code, status, seconds, message))

    def _add(self, row: tuple[object, ...]) -> None:
        try:
            with self._database.transaction() as tx:
                tx.execute(
                    "INSERT INTO tvdb.service_events (happened_at, run_id, service, kind, document,"
                    " client_request_uuid, request_id, code, http_status, seconds, message)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (self._clock(tx), *row),
                )
        except psycopg.Error as error:
            message = "An event was not stored."
            log_event(CALL_EVENT_LOST, message, {"code": error.sqlstate}, run_id=self.run_id)

    def attempt_answered(self, sent: SentRequest, answer: ServiceResponse[Any]) -> None:
        """A paid attempt got a response; its result is stored next."""
        call, quantity = sent.call, answer.quantity
        # The cost of a job is known when it is done.
        cost = None if answer.job_id else call.price.of(quantity or call.quantity)
        self._attempted(sent, "answered", cost, quantity, 200, answer.request_id, error=None)

    def attempt_failed(self, sent: SentRequest, failure: CallFailed) -> None:
        """A paid attempt failed."""
        cost = sent.reservation.amount if failure.charge is Charge.BOUND else Decimal(0)
        code = failure.error.code
        self._attempted(sent, code, cost, None, failure.status, failure.request_id, error=code)

    def attempt_lost(self, sent: SentRequest) -> None:
        """The response of a paid attempt is not awaited any more."""
        code = codes.LOST.code
        self._attempted(sent, code, sent.reservation.amount, None, None, None, error=code)

    def job_done(self, service: str, model: str, cost: Decimal) -> None:
        """A job has ended, and its cost is known, or assumed."""
        self._trace.count("tvdb.cost", float(cost), "USD", {"service": service, "model": model})

    async def free_request_ended(
        self,
        free_request: FreeRequest,
        part: UUID,
        began: float,
        end: ServiceResponse[Any] | CallFailed,
    ) -> None:
        """A request that costs nothing got a response, or failed."""
        failure = end if isinstance(end, CallFailed) else None
        code = failure.error.code if failure is not None else None
        status = failure.status if failure is not None else 200
        seconds = perf_counter() - began
        message = f"{free_request.operation}: {code or 'answered'}."
        facts: dict[str, Value | None] = {
            "client_request_id": whole_id(self.run_id, part),
            "request_id": end.request_id,
            "status": status,
        }
        document = free_request.document
        about = {"service": free_request.service, "document": document, "code": code}
        log_event(
            REQUEST_ENDED, message, {**about, "seconds": seconds, **facts}, run_id=self.run_id
        )
        self._trace.call(
            TracedOperation(f"{free_request.operation} {free_request.service}"),
            stage=free_request.stage,
            documents=[document] if document else [],
            seconds=seconds,
            error=code,
            more={"tvdb.service": free_request.service, **_as_attributes(facts)},
        )
        await self.record(
            ServiceEvent.REQUEST,
            free_request.service,
            message,
            document=document,
            part=part,
            request_id=end.request_id,
            code=code,
            status=status,
            seconds=seconds,
        )

    def _attempted(
        self,
        sent: SentRequest,
        outcome: str,
        cost: Decimal | None,
        quantity: int | None,
        status: int | None,
        request_id: str | None,
        *,
        error: str | None,
    ) -> None:
        call, seconds = sent.call, perf_counter() - sent.began
        facts: dict[str, Value | None] = {
            "client_request_id": whole_id(self.run_id, sent.reservation.entry_id),
            "request_id": request_id,
            "status": status,
            "attempt": sent.attempt,
            "cost_usd": float(cost) if cost is not None else None,
            "units": quantity,
        }
        about = {
            "service": call.service,
            "document": call.documents[0] if len(call.documents) == 1 else None,
            "code": outcome,
            "seconds": seconds,
            "inputs": call.inputs,
        }
        message = f"{call.operation} with {call.model}: {outcome}."
        log_event(CALL_ENDED, message, {**about, **facts}, run_id=self.run_id)
        if not self._trace.is_on:
            return
        operation = call.traced_as or TracedOperation(f"{call.operation} {call.model}")
        is_tokens = call.price.unit == "token"
        more: dict[str, Value | None] = {
            "tvdb.service": call.service,
            "tvdb.inputs": call.inputs,
            "tvdb.documents": len(call.documents),
            "gen_ai.usage.input_tokens": quantity if is_tokens else None,
            "http.request.resend_count": sent.attempt - 1 or None,
        }
        self._trace.call(
            operation,
            stage=call.stage,
            documents=call.documents,
            seconds=seconds,
            error=error,
            more=more | _as_attributes(facts),
        )
        attributes = {**operation.attributes, "error.type": error}
        is_embedding = operation.attributes.get("gen_ai.operation.name") == "embeddings"
        for name in _DURATIONS[not is_embedding :]:
            self._trace.measure(name, seconds, "s", attributes)
        if is_tokens and quantity:
            if is_embedding:
                self._trace.measure(_INPUT_TOKENS, quantity, "{token}", operation.attributes)
            attributes = {**operation.attributes, "gen_ai.token.type": "input"}
            self._trace.measure("gen_ai.client.token.usage", quantity, "{token}", attributes)
        labels = {"service": call.service, "model": call.model}
        self._trace.count("tvdb.requests", 1, "{request}", {**labels, "outcome": outcome})
        if cost:
            self._trace.count("tvdb.cost", float(cost), "USD", labels)


def _as_attributes(facts: dict[str, Value | None]) -> dict[str, Value | None]:
    named = {"status": "http.response.status_code"}
    return {named.get(name, f"tvdb.{name}"): value for name, value in facts.items()}
