"""A clock that is set back must not leave a service alone for as long as it was ahead."""

from __future__ import annotations

import pytest

from tvdb_assets.spend_guard import circuit_breaker, rate_limiter
from tvdb_assets.spend_guard.circuit_breaker import Breaker
from tvdb_assets.spend_guard.rate_limiter import Limiter, RateLimits
from tvdb_assets.spend_guard.service_state import Refusal, ServiceState, on_this_clock

DAY = 86_400.0
NOW = 1_800_000_000.0
LIMITS = RateLimits(60, 10_000)


def used(now: float) -> ServiceState:
    """A state in which everything waits for something."""
    line = Limiter(LIMITS)
    for _ in range(30):
        line, _, _ = rate_limiter.admit(line, now, 500, max_wait=1e9)
    circuit = Breaker()
    for caller in range(circuit_breaker.FAILURES):
        circuit = circuit_breaker.record_failure(circuit, now, str(caller))
    return ServiceState(
        breaker=circuit,
        limiter=rate_limiter.block(line, now, 60),
        refusal=Refusal("quota_exhausted", "It is.", "Pay.", "account", now + 900),
    )


def test_what_lies_within_an_hour_stands() -> None:
    assert on_this_clock(used(NOW), NOW) == used(NOW)
    assert on_this_clock(used(NOW), NOW - 600) == used(NOW)


@pytest.mark.parametrize("seconds", [2 * 3_600.0, DAY, 365 * DAY])
def test_after_it_was_set_back_calls_go_out_again_and_limits_are_known_still(
    seconds: float,
) -> None:
    state = on_this_clock(used(NOW), NOW - seconds)

    line, wait, is_taken = rate_limiter.admit(state.limiter, NOW - seconds, 500, max_wait=1.0)
    assert (wait, is_taken, line.limits) == (0.0, True, LIMITS)
    circuit, wait = circuit_breaker.admit(state.breaker, NOW - seconds, "caller")
    assert (wait, circuit.probe) == (0.0, "caller")
    assert state.refusal is not None
    assert state.refusal.until == NOW - seconds
