"""The errors that several parsers raise, one function per code.

What belongs here: codes that parsers share. What does not: codes of the parsed text
(`core.text_validation`) or of the worker processes (`parsing.worker_pool`).
"""

from __future__ import annotations

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ParseError


def empty(what: str = "The file") -> ParseError:
    """The document has no text."""
    return codes.EMPTY.error(what=what)


def encrypted(what: str) -> ParseError:
    """The document needs a password or key."""
    return codes.ENCRYPTED.error(what=what)


def corrupt(what: str, reason: str) -> ParseError:
    """The bytes are damaged; ``reason`` must not contain document text."""
    return codes.CORRUPT.error(what=what, why=reason)


def unsupported(what: str, supported: str) -> ParseError:
    """No parser reads this kind of content."""
    return codes.UNSUPPORTED.error(what=what, supported=supported)


def mislabelled(name_says: str, content: str, supported: str) -> ParseError:
    """The name's extension and the content disagree, and the content can't be parsed."""
    return codes.MISLABELLED.error(name_says=name_says, content=content, supported=supported)


def expands_too_far(what: str, limit_mib: int) -> ParseError:
    """Its unpacked size exceeds the limit, as of a ZIP bomb."""
    return codes.EXPANDS_TOO_FAR.error(what=what, limit=limit_mib)


def is_container(what: str) -> ParseError:
    """A parse was requested for a container that has no text itself."""
    return codes.CONTAINER.error(what=what)


def too_large(limit_mib: int) -> ParseError:
    """A document inside of a container is larger than the limit."""
    return codes.MEMBER_TOO_LARGE.error(limit=limit_mib)
