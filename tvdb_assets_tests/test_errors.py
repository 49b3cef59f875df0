"""Every error crosses a process whole, with its causes, and says what to do."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator

import psycopg
import pytest

from tvdb_assets import errors
from tvdb_assets.errors import Disposition, TvdbError
from tvdb_assets.redaction import RedactedCause
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge, FailureKind
from tvdb_assets.spend_guard.http_failures import bad_answer
from tvdb_assets.spend_guard.retry_policy import BreakerOpen

CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, TvdbError)
]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def told(error: BaseException) -> list[tuple[str, str, object]]:
    fields = ("code", "message", "remedy", "document", "disposition")
    more = ("kind", "charge", "was_sent", "retry_after", "status", "request_id", "seconds")
    return [
        (type(e).__name__, str(e), [getattr(e, name, None) for name in (*fields, *more)])
        for e in chain(error)
    ]


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


CAUSES = [
    RedactedCause("ReadError from OSError"),
    OSError(2, "No such file"),
    psycopg.OperationalError("gone"),
    psycopg.errors.UniqueViolation("twice"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    bad_answer("OpenAI", "it is not JSON", 200, "req_1"),
    caused(bad_answer("OpenAI", "it is not JSON", 200, None), ValueError("it is not JSON")),
    caused(BreakerOpen("openai", 12.0), caused(KeyError("a"), OSError("b"))),
]


def test_the_tree_is_the_one_that_is_drawn() -> None:
    drawn = inspect.getdoc(errors) or ""
    assert len(CLASSES) == 15
    assert all(found.__name__ in drawn for found in CLASSES)


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
@pytest.mark.parametrize("cause", [None, *CAUSES], ids=lambda cause: type(cause).__name__)
def test_an_error_crosses_a_process_whole(
    found: type[TvdbError], cause: BaseException | None
) -> None:
    error = found("a_code", "It broke.", remedy="Mend it.", disposition=Disposition.DEFERRED)
    error.__cause__ = cause

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error.about("a/b.md"), protocol))
        assert told(again) == told(error)
        assert [type(e) for e in chain(again)] == [type(e) for e in chain(error)]


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("charge", Charge)
def test_a_failed_call_crosses_a_process_whole(kind: FailureKind, charge: Charge) -> None:
    error = errors.RateError("rate_limited", "Too many.", remedy="Wait.")
    failure = CallFailed(
        *(kind, error), charge=charge, was_sent=False, retry_after=0.5, status=429, request_id="r"
    )
    failure.__cause__ = RedactedCause("RateLimitError")

    again = pickle.loads(pickle.dumps(failure))

    assert told(again) == told(failure)
    assert told(again.error) == told(error)


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
def test_each_says_whether_it_may_be_tried_again(found: type[TvdbError]) -> None:
    error = found("a_code", "It broke.", remedy="Mend it.")
    expected = {
        "ServiceError": Disposition.TRANSIENT,
        "UnavailableError": Disposition.TRANSIENT,
        **dict.fromkeys(
            ("RefusedError", "HaltedError", "BudgetError", "RateError", "BreakerError"),
            Disposition.DEFERRED,
        ),
    }
    assert error.disposition is expected.get(found.__name__, Disposition.TERMINAL)
    assert str(error.about("a.md")) == "a.md: [a_code] It broke. Mend it."
