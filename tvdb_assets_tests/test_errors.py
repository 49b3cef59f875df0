"""Every error survives pickling with its causes, and has a remedy."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator

import psycopg
import pytest

from tvdb_assets import error_codes as codes
from tvdb_assets import errors
from tvdb_assets.correlation import run_scope
from tvdb_assets.errors import Disposition, ErrorCode, TvdbError
from tvdb_assets.redaction import MARK, RedactedCause
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge, FailureKind
from tvdb_assets.spend_guard.http_failures import bad_answer
from tvdb_assets.spend_guard.retry_policy import BreakerOpen

CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, TvdbError)
]


def made(
    error_class: type[TvdbError], disposition: Disposition | None = None, what: object = "part"
) -> TvdbError:
    code = ErrorCode(error_class, "a_code", "The {what} broke.", "Fix the {what}.", "It is broken.")
    return code.error(what=what, disposition=disposition)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def contents(error: BaseException) -> list[tuple[str, str, object]]:
    fields = ("code", "message", "remedy", "document", "disposition", "run_id")
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
    with run_scope("run-1"):
        error = made(found, Disposition.DEFERRED)
    error.__cause__ = cause

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error.about("a/b.md"), protocol))
        assert contents(again) == contents(error)
        assert [type(e) for e in chain(again)] == [type(e) for e in chain(error)]


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("charge", Charge)
def test_a_failed_call_crosses_a_process_whole(kind: FailureKind, charge: Charge) -> None:
    error = codes.RATE_LIMITED.error(service="OpenAI")
    failure = CallFailed(
        *(kind, error), charge=charge, was_sent=False, retry_after=0.5, status=429, request_id="r"
    )
    failure.__cause__ = RedactedCause("RateLimitError")

    again = pickle.loads(pickle.dumps(failure))

    assert contents(again) == contents(failure)
    assert contents(again.error) == contents(error)


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
def test_each_says_whether_the_work_may_be_repeated(found: type[TvdbError]) -> None:
    error = made(found)
    expected = {
        "ServiceError": Disposition.TRANSIENT,
        "UnavailableError": Disposition.TRANSIENT,
        **dict.fromkeys(
            ("RefusedError", "HaltedError", "BudgetError", "RateError", "BreakerError"),
            Disposition.DEFERRED,
        ),
    }
    assert error.disposition is expected.get(found.__name__, Disposition.TERMINAL)
    assert str(error.about("a.md")) == "a.md: [a_code] The part broke. Fix the part."


def test_a_field_that_holds_a_secret_is_redacted_everywhere() -> None:
    error = made(errors.ParseError, what="https://user:word@host/?sig=abc")
    for text in (error.message, error.remedy, str(error), repr(error)):
        assert MARK in text
        assert "word" not in text
        assert "abc" not in text


def test_a_field_may_hold_braces() -> None:
    assert made(errors.ParseError, what="{what}{0!r}").message == "The {what}{0!r} broke."


@pytest.mark.parametrize("fields", [{}, {"what": 1, "more": 2}, {"more": 2}])
def test_a_missing_or_unknown_field_is_an_error(fields: dict[str, object]) -> None:
    code = ErrorCode(errors.ParseError, "a_code", "The {what} broke.", "Fix it.", "It is broken.")
    with pytest.raises(TypeError, match="a_code takes what"):
        code.error(**fields)
