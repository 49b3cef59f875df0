"""Admission of requests to a service, by its rate limit and its breaker.

What belongs here: waiting for a rate slot and for the breaker, and recording the result of a
request for the service's health. What does not: money (`ledger`), retries (`retry_policy`), the
rules of rate limit and breaker (`rate_limiter`, `circuit_breaker`, `service_state`).
"""

from __future__ import annotations

import asyncio

from tvdb_assets.spend_guard.call_log import CallEventLog, ServiceEvent
from tvdb_assets.spend_guard.circuit_breaker import Breaker
from tvdb_assets.spend_guard.retry_policy import BreakerOpen
from tvdb_assets.spend_guard.service_state import Change, ServiceState, pass_breaker, take_rate_slot
from tvdb_assets.spend_guard.service_state_store import ServiceStates

_PROBED_SECONDS = 0.25
"""Between two reads of the state, while another caller probes a service that refused or failed."""
_NOTED_WAIT_SECONDS = 1.0
"""A shorter wait for a rate slot is no event."""


class AdmissionControl:
    """Admits the requests of one run, or makes them wait."""

    def __init__(
        self, states: ServiceStates, event_log: CallEventLog, max_wait_seconds: float
    ) -> None:
        """Nothing is opened yet.

        Args:
            states: of the services, shared by all processes.
            event_log: records waits and the changes of a breaker.
            max_wait_seconds: the longest single wait.
        """
        self._states = states
        self._event_log = event_log
        self._max_wait = max_wait_seconds

    async def admit(self, service: str, account: str, tokens: int, caller: str) -> None:
        """Wait for a slot within the rate, and pass the breaker.

        Raises:
            RefusedError: the account was refused a short while ago.
            RateError: the wait would be too long.
            BreakerError: the breaker is open.
        """
        slot = take_rate_slot(service, account, tokens, self._max_wait, caller)
        while (wait := await asyncio.to_thread(self._states.change, service, slot)) is None:
            await asyncio.sleep(_PROBED_SECONDS)
        if wait:
            await asyncio.sleep(wait)
        if wait >= _NOTED_WAIT_SECONDS:
            await self._event_log.record(
                ServiceEvent.WAITED, service, "Waited for a slot within its rate.", seconds=wait
            )
        # Last, so that the wait does not use up a probe's lease.
        passing = pass_breaker(caller)

        def transition(state: ServiceState, now: float) -> tuple[ServiceState, tuple[float, bool]]:
            changed, wait = passing(state, now)
            return changed, (wait, changed.breaker.name(now) == "half-open")

        waited = 0.0
        while True:
            closed_for, is_probed = await asyncio.to_thread(
                self._states.change, service, transition
            )
            if not closed_for:
                break
            if not is_probed or waited >= self._max_wait:
                raise BreakerOpen(service, closed_for)
            # Another caller is finding out right now, long before its lease runs out.
            await asyncio.sleep(_PROBED_SECONDS)
            waited += _PROBED_SECONDS
        if is_probed:
            message = "One request finds out whether the service is back."
            await self._event_log.record(ServiceEvent.BREAKER_PROBED, service, message)

    async def record(self, service: str, caller: str, change: Change) -> None:
        """Record the result of a request for the service's health."""

        def transition(
            state: ServiceState, now: float
        ) -> tuple[ServiceState, tuple[ServiceState, ServiceState]]:
            changed = change(state, now, caller)
            return changed, (state, changed)

        before, after = await asyncio.to_thread(self._states.change, service, transition)
        if (turned := _turned(before.breaker, after.breaker)) is not None:
            kind, message, seconds = turned
            await self._event_log.record(kind, service, message, seconds=seconds)
        refusal, known = after.refusal, before.refusal
        if refusal is not None and (known is None or refusal.until > known.until):
            await self._event_log.record(
                ServiceEvent.SERVICE_REFUSED, service, refusal.message, code=refusal.code
            )


def _turned(before: Breaker, after: Breaker) -> tuple[ServiceEvent, str, float | None] | None:
    if after.is_closed:
        if before.is_closed:
            return None
        return ServiceEvent.BREAKER_CLOSED, "The service answers again.", None
    if after.open_until > before.open_until:
        message = f"The service is not called for {after.open_seconds:.0f} seconds."
        return ServiceEvent.BREAKER_OPENED, message, after.open_seconds
    return None
