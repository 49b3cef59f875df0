"""Invariants of the breaker, for callers in any order."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.spend_guard.circuit_breaker import (
    FAILURES,
    LONGEST_OPEN_SECONDS,
    OPEN_SECONDS,
    PROBE_SECONDS,
    Breaker,
    admit,
    record_failure,
    record_success,
    release_probe,
)

CALLERS = tuple("abcdefgh")


@dataclass(frozen=True)
class Step:
    caller: str
    what: str
    seconds: float


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(CALLERS),
        st.sampled_from(("ask", "answered", "failed", "released")),
        st.floats(0, 200),
    ),
    max_size=120,
)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker = record_failure(breaker, now, "a")
    return breaker


@given(STEPS)
def test_one_caller_at_most_probes_at_a_time(steps: list[Step]) -> None:
    breaker, now = opened(), 0.0
    leased: tuple[str, float] | None = None
    for step in steps:
        now += step.seconds
        if step.what == "ask":
            was_closed = breaker.is_closed
            breaker, wait = admit(breaker, now, step.caller)
            assert wait >= 0
            if wait == 0 and not was_closed:
                holder, until = leased or (step.caller, 0.0)
                assert holder == step.caller or now >= until
                leased = step.caller, now + PROBE_SECONDS
        elif step.what == "answered":
            is_probe = breaker.probe == step.caller
            was_closed = breaker.is_closed
            breaker = record_success(breaker, step.caller)
            assert breaker.is_closed == (was_closed or is_probe)
            leased = None if breaker.is_closed else leased
        elif step.what == "failed":
            was_probe = not breaker.is_closed and breaker.probe == step.caller
            breaker = record_failure(breaker, now, step.caller)
            leased = None if was_probe else leased
        else:
            was_probe = breaker.probe == step.caller
            breaker = release_probe(breaker, step.caller)
            leased = None if was_probe else leased


@given(STEPS)
def test_nobody_passes_while_it_is_open_and_nobody_waits_for_ever(steps: list[Step]) -> None:
    breaker, now = opened(), 0.0
    for step in steps:
        now += step.seconds
        before = breaker
        if step.what == "ask":
            breaker, wait = admit(breaker, now, step.caller)
            assert wait <= max(LONGEST_OPEN_SECONDS, PROBE_SECONDS)
            if before.name(now) == "open":
                assert wait > 0
                assert breaker == before
            elif before.is_closed:
                assert wait == 0
        elif step.what == "failed":
            breaker = record_failure(breaker, now, step.caller)
            assert breaker.open_seconds <= LONGEST_OPEN_SECONDS
        elif step.what == "answered":
            breaker = record_success(breaker, step.caller)


@given(st.lists(st.sampled_from(("answered", "failed", "released")), max_size=60))
def test_it_opens_after_so_many_failures_in_a_row_and_for_nothing_else(outcomes: list[str]) -> None:
    breaker, in_a_row = Breaker(), 0
    for outcome in outcomes:
        if outcome == "answered":
            breaker, in_a_row = record_success(breaker, "a"), 0
        elif outcome == "failed":
            breaker, in_a_row = record_failure(breaker, 0.0, "a"), in_a_row + 1
        else:
            breaker = release_probe(breaker, "a")
        assert breaker.is_closed == (in_a_row < FAILURES)
        if not breaker.is_closed:
            assert breaker.open_until == OPEN_SECONDS
            break


def test_the_lease_of_a_probe_that_died_passes_on() -> None:
    breaker, wait = admit(opened(), OPEN_SECONDS, "a")
    assert wait == 0
    breaker, wait = admit(breaker, OPEN_SECONDS + 1, "b")
    assert wait == PROBE_SECONDS - 1
    breaker, wait = admit(breaker, OPEN_SECONDS + PROBE_SECONDS, "b")
    assert (wait, breaker.probe) == (0, "b")
    # What the first one finds out after all is late.
    assert record_success(breaker, "a") == breaker
    assert record_failure(breaker, 200, "a") == breaker
    assert record_success(breaker, "b") == Breaker()


def test_each_probe_that_fails_doubles_the_time_up_to_a_bound() -> None:
    breaker, now, times = opened(), 0.0, []
    for _ in range(7):
        times.append(breaker.open_seconds)
        now = breaker.open_until
        breaker, wait = admit(breaker, now, "a")
        assert wait == 0
        breaker = record_failure(breaker, now, "a")
    assert times == [15, 30, 60, 120, 240, 300, 300]
