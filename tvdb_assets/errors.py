"""The tree of error classes, which tell who can fix an error and whether a retry may succeed.

What belongs here: the classes, and `ErrorCode`, which creates every error. What does not: the
codes with their sentences (`error_codes`), or the redaction of an error that leaves a run or a
command (`error_boundaries`).

::

    TvdbError
    ├── ConfigurationError     a setting or an argument is wrong; nothing was started
    ├── StorageError           the database can't be reached, is too old, or lacks pgvector
    ├── DocumentError          the fault of one document; the others continue
    │   ├── SourceError        the file can't or must not be read
    │   ├── ParseError         the bytes give no usable text
    │   ├── ChunkError         the text can't be cut into chunks
    │   └── EmbeddingError     a text of the document has no vector that may be stored
    └── ServiceError           a service as a whole; says nothing about the document
        ├── UnavailableError   no answer, or no usable one; the circuit breaker counts these
        ├── RefusedError       key, quota or model: no call succeeds until someone acts
        └── HaltedError        nothing was sent, because of a limit of our own
            ├── BudgetError    the reservation does not fit the budget
            ├── RateError      the requests of this hour or minute are used up
            └── BreakerError   the service failed too often just now

Every error carries a ``code`` (stable, for programs), a message (for people), a
``remedy`` (what to do), a ``disposition`` (see `Disposition`), the ``document`` if it is about
one, and the ``run_id`` under which `tvdb trace` finds it. Messages never contain document text
or secrets. Errors pickle, because they cross from worker processes to their parent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from string import Formatter
from typing import Any, Generic, Self, TypeVar

from tvdb_assets.correlation import current_run_id
from tvdb_assets.redaction import display_path, printable, redact


class Disposition(StrEnum):
    """Whether a retry of failed work may succeed."""

    TRANSIENT = "transient"
    """The same work may succeed later, unchanged."""
    TERMINAL = "terminal"
    """The same work will fail again until someone changes the document or a setting."""
    DEFERRED = "deferred"
    """Nothing is wrong with the work; it waits for a budget, a rate or a service."""


class TvdbError(Exception):
    """The base of all errors that this package raises deliberately; see `ErrorCode.error`."""

    default_disposition = Disposition.TERMINAL

    def __init__(
        self,
        code: ErrorCode[Any],
        fields: Mapping[str, object],
        disposition: Disposition | None = None,
    ) -> None:
        message, remedy = code.message.format_map(fields), code.remedy.format_map(fields)
        super().__init__(printable(redact(message)))
        self._set(code.code, message, remedy, disposition or code.disposition)

    def _set(
        self, code: str, message: str, remedy: str, disposition: Disposition | None = None
    ) -> None:
        self.code = code
        self.message = printable(redact(message))
        self.remedy = printable(redact(remedy))
        self.document: str | None = None
        self.run_id = current_run_id()
        self.disposition = disposition or self.default_disposition

    @classmethod
    def restored(
        cls, code: str, message: str, *, remedy: str, disposition: Disposition | None = None
    ) -> Self:
        """Create an error with existing sentences: unpickled, read from the database, or copied.

        Args:
            code: the code of the original error, perhaps of another version of this package.
            message: the sentence that names the cause.
            remedy: the sentence that says what to do.
            disposition: None uses the disposition of the class.
        """
        error = cls.__new__(cls, printable(redact(message)))
        error._set(code, message, remedy, disposition)
        return error

    def __reduce__(self) -> tuple[object, ...]:
        rest = (self.code, self.message, self.remedy, self.document, self.disposition)
        more = {"causes": causes_of(self), "run_id": self.run_id}
        return _rebuild, (type(self), rest), more

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        state = state or {}
        self.run_id = state.get("run_id")
        link(self, state.get("causes", ()))

    @property
    def is_deferred(self) -> bool:
        """Whether the work is correct and waits until a service can do it.

        This property decides between waiting and failing: in a document's row, in Dagster and in
        an exit code.
        """
        return self.disposition is Disposition.DEFERRED

    def about(self, document: str) -> Self:
        """Set the document of this error, and return the error."""
        self.document = document
        return self

    def __str__(self) -> str:
        text = f"[{self.code}] {self.message} {self.remedy}"
        if self.document:
            # A run has many such errors, and the run's id is printed once.
            return f"{display_path(self.document)}: {text}"
        return f"{text} (id {self.run_id})" if self.run_id else text


def _rebuild(
    error_class: type[TvdbError], rest: tuple[str, str, str, str | None, Disposition]
) -> TvdbError:
    code, message, remedy, document, disposition = rest
    error = error_class.restored(code, message, remedy=remedy, disposition=disposition)
    error.document = document
    return error


def causes_of(error: BaseException) -> list[BaseException]:
    """The chain of causes of an error, nearest first. Pickling an exception loses its causes."""
    causes = []
    while (cause := error.__cause__) is not None:
        causes.append(cause)
        error = cause
    return causes


def link(error: BaseException, causes: Sequence[BaseException]) -> None:
    """Set the chain of causes of an error to one that `causes_of` returned."""
    for cause in causes:
        error.__cause__ = cause
        error = cause


class ConfigurationError(TvdbError):
    """A setting or an argument is wrong."""


class StorageError(TvdbError):
    """The database can't be used as it is."""


class DocumentError(TvdbError):
    """An error in one document; other documents are not affected."""


class SourceError(DocumentError):
    """The file can't, or must not, be read."""


class ParseError(DocumentError):
    """The document's bytes give no usable text."""


class ChunkError(DocumentError):
    """The document's text can't be cut into chunks."""


class EmbeddingError(DocumentError):
    """A text of the document has no vector that may be stored."""


class ServiceError(TvdbError):
    """A service as a whole failed; this says nothing about the document."""

    default_disposition = Disposition.TRANSIENT


class UnavailableError(ServiceError):
    """The service gave no answer, or none that can be used."""


class RefusedError(ServiceError):
    """The service refuses this key, account or model until someone acts."""

    default_disposition = Disposition.DEFERRED


class HaltedError(ServiceError):
    """Nothing was sent and nothing was paid, because of a limit of our own."""

    default_disposition = Disposition.DEFERRED


class BudgetError(HaltedError):
    """The reservation of a paid call does not fit the budget."""


class RateError(HaltedError):
    """The paid requests of this hour are used up, or the wait for the rate limit is too long."""


class BreakerError(HaltedError):
    """The service failed so often that no request is sent to it for a while."""


_E = TypeVar("_E", bound=TvdbError)
_F = TypeVar("_F", bound=TvdbError)


@dataclass(frozen=True, slots=True)
class ErrorCode(Generic[_E]):
    """A registered code with its class, sentences and disposition; see `error_codes`."""

    error_class: type[_E]
    code: str
    """Public and stable: stored in the database, printed by the command line."""
    message: str
    """The message for users; `str.format` inserts the fields of `error`."""
    remedy: str
    """The sentence that says what to do, with fields like `message`."""
    meaning: str
    """One sentence for ``docs/errors.md``."""
    disposition: Disposition | None = None
    """None uses the disposition of the class."""

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that `error` requires."""
        parts = (*Formatter().parse(self.message), *Formatter().parse(self.remedy))
        return frozenset(name for _, name, _, _ in parts if name is not None)

    def error(self, *, disposition: Disposition | None = None, **fields: object) -> _E:
        """Create the error; the caller raises it.

        Args:
            disposition: overrides the disposition of the code; None keeps it.
            fields: exactly the fields in the message and the remedy.

        Raises:
            TypeError: a field is missing or unknown.
        """
        if fields.keys() != self.fields:
            raise TypeError(
                f"{self.code} takes {', '.join(sorted(self.fields)) or 'no field'}; "
                f"given: {', '.join(sorted(fields)) or 'none'}"
            )
        return self.error_class(self, fields, disposition)

    def variant(self, error_class: type[_F], message: str, remedy: str) -> ErrorCode[_F]:
        """Create a code with other sentences, for a case that programs treat in the same way."""
        return ErrorCode(error_class, self.code, message, remedy, self.meaning, self.disposition)
