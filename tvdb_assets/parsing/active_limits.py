"""The document limits that are in force now, and the error of a document that exceeds one.

What belongs here: how limits reach a parser. What does not: the numbers
(`tvdb_assets.document_limits`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tvdb_assets import error_codes as codes
from tvdb_assets.document_limits import DocumentLimits, setting_of
from tvdb_assets.errors import ParseError

_current: ContextVar[DocumentLimits] = ContextVar("limits", default=DocumentLimits())  # noqa: B039  it is frozen


def current_limits() -> DocumentLimits:
    """The limits that a parser has to respect."""
    return _current.get()


def apply_limits(limits: DocumentLimits) -> None:
    """Use these limits from now on. It is the first task of each worker process."""
    _current.set(limits)


@contextmanager
def limits_applied(limits: DocumentLimits) -> Iterator[None]:
    """Use these limits within the block."""
    token = _current.set(limits)
    try:
        yield
    finally:
        _current.reset(token)


def over_limit(what: str, name: str, unit: str) -> ParseError:
    """The error of a document that exceeds a limit; it names the limit's value and setting.

    Args:
        what: The document, e.g. ``workbook``.
        name: The field of `DocumentLimits`.
        unit: The counted things, e.g. ``filled cells``.
    """
    return codes.OVER_LIMIT.error(
        what=what, limit=getattr(current_limits(), name), unit=unit, setting=setting_of(name)
    )
