"""The limits that hold for what is parsed now, and the refusal that names one.

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


def allowed() -> DocumentLimits:
    """What a parser must keep to."""
    return _current.get()


def use(limits: DocumentLimits) -> None:
    """Let these hold from now on: the first thing that a worker process is told."""
    _current.set(limits)


@contextmanager
def using(limits: DocumentLimits) -> Iterator[None]:
    """Let these hold within the block."""
    token = _current.set(limits)
    try:
        yield
    finally:
        _current.reset(token)


def over_limit(what: str, name: str, unit: str) -> ParseError:
    """The refusal of what passes a limit; it says the limit's value and its setting.

    Args:
        what: The document, e.g. ``workbook``.
        name: The field of `DocumentLimits`.
        unit: What is counted, e.g. ``filled cells``.
    """
    return codes.OVER_LIMIT.error(
        what=what, limit=getattr(allowed(), name), unit=unit, setting=setting_of(name)
    )
