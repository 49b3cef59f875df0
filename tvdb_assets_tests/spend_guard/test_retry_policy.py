"""Which failures are followed by another attempt, and after what wait."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import BreakerError
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge, FailureKind
from tvdb_assets.spend_guard.rate_limiter import RateLimitHeaders, RateLimits
from tvdb_assets.spend_guard.retry_policy import BreakerOpen, RetryPolicy

ERROR = codes.SERVICE_UNAVAILABLE.error(service="OpenAI", why="it did not answer in time")
AGAIN = (FailureKind.UNAVAILABLE, FailureKind.THROTTLED)


def failure(kind: FailureKind, retry_after: float | None = None) -> CallFailed:
    return CallFailed(kind, ERROR, retry_after=retry_after)


@given(
    st.lists(st.tuples(st.sampled_from(FailureKind), st.none() | st.floats(0, 1_000)), max_size=30),
    st.floats(0, 1_000),
)
def test_every_sequence_of_failures(
    failures: list[tuple[FailureKind, float | None]], max_wait: float
) -> None:
    retry_policy, unknown = RetryPolicy(max_wait, wait_if_open=True), 0
    for kind, retry_after in failures:
        error = failure(kind, retry_after)
        wait = retry_policy.wait_after(error)
        # Asked twice by who retries and by who reports: the answer is the same.
        assert retry_policy.wait_after(error) is wait
        unknown += kind is FailureKind.UNKNOWN
        if kind in (FailureKind.CONTENT, FailureKind.REFUSED) or (
            kind is FailureKind.UNKNOWN and unknown > 1
        ):
            assert wait is False
        elif retry_after is None:
            assert wait is True
        else:
            assert wait == (retry_after if retry_after <= max_wait else False)


def test_an_unknown_failure_is_tried_again_once() -> None:
    retry_policy = RetryPolicy(60, wait_if_open=True)
    assert retry_policy.wait_after(failure(FailureKind.UNKNOWN)) is True
    assert retry_policy.wait_after(failure(FailureKind.UNAVAILABLE)) is True
    assert retry_policy.wait_after(failure(FailureKind.UNKNOWN)) is False


def test_a_wait_of_no_seconds_is_a_wait() -> None:
    assert (
        RetryPolicy(0, wait_if_open=True).wait_after(failure(FailureKind.THROTTLED, 0.0))
        is not False
    )


def test_an_open_breaker_is_waited_for_or_not() -> None:
    error = BreakerOpen("openai", 15.0)
    assert isinstance(error.error, BreakerError)
    assert RetryPolicy(60, wait_if_open=True).wait_after(error) == 15.0
    assert RetryPolicy(10, wait_if_open=True).wait_after(error) is False
    assert RetryPolicy(60, wait_if_open=False).wait_after(error) is False


@pytest.mark.parametrize("error", [codes.TEXT_EMPTY.error(), ValueError(), ERROR])
def test_what_is_no_failed_call_is_not_tried_again(error: Exception) -> None:
    assert RetryPolicy(60, wait_if_open=True).wait_after(error) is False


def test_failures_pickle_whole() -> None:
    error = CallFailed(
        FailureKind.THROTTLED,
        ERROR,
        charge=Charge.BOUND,
        was_sent=False,
        retry_after=1.5,
        status=429,
        request_id="req_1",
        rate_limit_headers=RateLimitHeaders(RateLimits(60, 1_000)),
    )
    copy = pickle.loads(pickle.dumps(error))
    assert {k: v for k, v in vars(copy).items() if k != "error"} == {
        k: v for k, v in vars(error).items() if k != "error"
    }
    assert str(copy.error) == str(ERROR)
    assert pickle.loads(pickle.dumps(BreakerOpen("openai", 3.0))).seconds == 3.0
