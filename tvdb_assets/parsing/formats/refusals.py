"""The sentences with which parsers refuse a document.

What belongs here: one function per code that several parsers share. What does not: codes
of the finished text (`core.text_validation`) or of the worker (`parsing.worker_pool`).
"""

from __future__ import annotations

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ParseError


def empty(what: str = "The file") -> ParseError:
    """There is no text in it, and there never was."""
    return codes.EMPTY.error(what=what)


def encrypted(what: str) -> ParseError:
    """A password or key is needed to read it."""
    return codes.ENCRYPTED.error(what=what)


def corrupt(what: str, reason: str) -> ParseError:
    """The bytes are damaged; ``reason`` must not hold document text."""
    return codes.CORRUPT.error(what=what, why=reason)


def unsupported(what: str, supported: str) -> ParseError:
    """No parser takes this kind of content."""
    return codes.UNSUPPORTED.error(what=what, supported=supported)


def mislabelled(name_says: str, content: str, supported: str) -> ParseError:
    """The name promises a document that the content is not."""
    return codes.MISLABELLED.error(name_says=name_says, content=content, supported=supported)


def expands_too_far(what: str, limit_mib: int) -> ParseError:
    """Unpacking it would take more than the limit: a bomb, or a giant."""
    return codes.EXPANDS_TOO_FAR.error(what=what, limit=limit_mib)


def is_container(what: str) -> ParseError:
    """It is no document but holds some, and was to be parsed as one."""
    return codes.CONTAINER.error(what=what)


def too_large(limit_mib: int) -> ParseError:
    """A document inside of another one is larger than the limit."""
    return codes.MEMBER_TOO_LARGE.error(limit=limit_mib)
