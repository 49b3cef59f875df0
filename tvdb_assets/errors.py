"""The one error tree: what can go wrong, whose fault it is, and what to do about it.

::

    TvdbError
    ├── ConfigurationError     a setting or an argument is wrong; nothing was started
    ├── StorageError           the database can't be reached, is too old, or lacks pgvector
    ├── DocumentError          one document's own fault; its neighbours go on
    │   ├── SourceError        the file can't or must not be read
    │   ├── ParseError         its bytes give no usable text
    │   ├── ChunkError         its text can't be cut into chunks
    │   └── EmbeddingError     a text of it has no vector that may be stored
    └── ServiceError           a service as a whole; says nothing about the document
        ├── UnavailableError   no answer, or none that can be used; a breaker counts these
        ├── RefusedError       key, quota or model: it answers nobody until someone acts
        └── HaltedError        nothing was sent, because of a limit of our own
            ├── BudgetError    the reservation does not fit the budget
            ├── RateError      the requests of this hour or minute are used up
            └── BreakerError   the service failed too often just now

Every error carries a ``code`` (stable, for programs), a message (for people), a
``remedy`` (what to do), a ``disposition`` (see `Disposition`), and, where there is one,
the ``document``, and the ``run_id`` under which all about it is found. Messages never hold
document text or secrets. Errors pickle, because they cross from worker processes to their parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Self

from tvdb_assets.correlation import current, run_scope
from tvdb_assets.redaction import RedactedCause, display_path, redact


class Disposition(StrEnum):
    """What may be done with failed work."""

    TRANSIENT = "transient"
    """The same work may succeed later, unchanged."""
    TERMINAL = "terminal"
    """The same work will fail again until someone changes the document or a setting."""
    DEFERRED = "deferred"
    """Nothing is wrong with the work; it waits for a budget, a rate or a breaker."""


class TvdbError(Exception):
    """Base of every error that this package raises on purpose."""

    default_disposition = Disposition.TERMINAL

    def __init__(
        self,
        code: str,
        message: str,
        *,
        remedy: str,
        document: str | None = None,
        disposition: Disposition | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = redact(message)
        self.remedy = redact(remedy)
        self.document = document
        self.run_id = current()
        self.disposition = disposition or self.default_disposition

    def __reduce__(self) -> tuple[object, ...]:
        rest = (self.code, self.message, self.remedy, self.document, self.disposition)
        more = {"causes": causes_of(self), "run_id": self.run_id}
        return _rebuild, (type(self), rest), more

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        state = state or {}
        self.run_id = state.get("run_id")
        link(self, state.get("causes", ()))

    def about(self, document: str) -> Self:
        """Name the document that this error is about, and return the error."""
        self.document = document
        return self

    def __str__(self) -> str:
        told = f"[{self.code}] {self.message} {self.remedy}"
        if self.document:
            # One of many of its run, which is named once.
            return f"{display_path(self.document)}: {told}"
        return f"{told} (id {self.run_id})" if self.run_id else told


def _rebuild(
    kind: type[TvdbError], rest: tuple[str, str, str, str | None, Disposition]
) -> TvdbError:
    code, message, remedy, document, disposition = rest
    return kind(code, message, remedy=remedy, document=document, disposition=disposition)


def causes_of(error: BaseException) -> list[BaseException]:
    """All that led to an error, the nearest first: exceptions do not pickle their causes."""
    causes = []
    while (cause := error.__cause__) is not None:
        causes.append(cause)
        error = cause
    return causes


def link(error: BaseException, causes: Sequence[BaseException]) -> None:
    """Give an error its causes back."""
    for cause in causes:
        error.__cause__ = cause
        error = cause


@contextmanager
def redacting_errors(run_id: str | None = None) -> Iterator[None]:
    """Let errors leave the block only as their user may see them, with an id.

    Those of ours go on with causes that say their kind alone; any other becomes a `TvdbError`
    with the code ``unexpected``, whose cause says its kind and the lines of code.

    Args:
        run_id: what the errors are to be found by; None leaves the one that they have.
    """
    try:
        yield
    except TvdbError as error:
        error.run_id = run_id or error.run_id
        link(error, [_silent(cause) for cause in causes_of(error)])
        error.__suppress_context__ = True
        raise
    except Exception as error:
        unexpected = TvdbError(
            "unexpected",
            f"Something failed that is no document's fault: {type(error).__name__}.",
            remedy="What was done before is kept. Run it again; if it stays, report the id and "
            "the lines of code that are named as the cause.",
        )
        unexpected.run_id = run_id or unexpected.run_id
        raise unexpected from RedactedCause.with_lines(error)


@contextmanager
def tagging_errors(run_id: str) -> Iterator[None]:
    """Let no error of ours leave the block without the id that its work was under."""
    with run_scope(run_id):
        try:
            yield
        except TvdbError as error:
            error.run_id = error.run_id or run_id
            raise


def _silent(cause: BaseException) -> BaseException:
    return cause if isinstance(cause, TvdbError | RedactedCause) else RedactedCause.of(cause)


class ConfigurationError(TvdbError):
    """A setting or an argument is wrong."""


class StorageError(TvdbError):
    """The database can't be used as it is."""


class DocumentError(TvdbError):
    """One document's own fault."""


class SourceError(DocumentError):
    """The file can't, or must not, be read."""


class ParseError(DocumentError):
    """The document's bytes give no usable text."""


class ChunkError(DocumentError):
    """The document's text can't be cut into chunks."""


class EmbeddingError(DocumentError):
    """A text of the document has no vector that may be stored."""


class ServiceError(TvdbError):
    """A service as a whole; says nothing about the document that met it."""

    default_disposition = Disposition.TRANSIENT


class UnavailableError(ServiceError):
    """The service gave no answer, or none that can be used."""


class RefusedError(ServiceError):
    """The service answers nobody with this key, account or model, until someone acts."""

    default_disposition = Disposition.DEFERRED


class HaltedError(ServiceError):
    """Nothing was sent and nothing paid: a limit of our own stands before the service."""

    default_disposition = Disposition.DEFERRED


class BudgetError(HaltedError):
    """The reservation of a paid call does not fit the budget."""


class RateError(HaltedError):
    """The paid requests of this hour are used up, or the wait for a free place is too long."""


class BreakerError(HaltedError):
    """The service failed so often that it is left alone for a while."""
